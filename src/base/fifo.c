#include "base/fifo.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

static void make_room(struct fifo *f, size_t item_bytes)
{
    if (f->first > 0 && f->first >= f->cap / 2) {
        memmove(f->items, f->items + f->first * item_bytes, f->count * item_bytes);
        f->first = 0;
        return;
    }
    f->cap = f->cap > 0 ? 2 * f->cap : 4;
    f->items = mem_realloc(f->items, f->cap * item_bytes);
}

void *fifo_push(struct fifo *f, size_t item_bytes)
{
    if (f->first + f->count == f->cap)
        make_room(f, item_bytes);
    return fifo_at(f, item_bytes, f->count++);
}

void fifo_pop(struct fifo *f)
{
    CHECK(f->count > 0);
    f->count--;
    f->first = f->count > 0 ? f->first + 1 : 0;
}

void fifo_release(struct fifo *f)
{
    mem_free(f->items);
    *f = (struct fifo){ 0 };
}
