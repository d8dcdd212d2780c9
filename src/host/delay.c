#include "host/delay.h"

#include "base/check.h"
#include "base/memory.h"

struct delay_chunk {
    struct delay_chunk *next;
    uint64_t due_us;
    size_t taken, len;
    uint8_t bytes[];
};

void delay_release(struct delay *d)
{
    for (struct delay_chunk *c = d->first, *next; c != NULL; c = next) {
        next = c->next;
        mem_free(c);
    }
    *d = (struct delay){ 0 };
}

void delay_put(struct delay *d, struct span bytes, uint64_t due_us)
{
    struct delay_chunk *c;

    if (bytes.len == 0)
        return;
    c = mem_alloc(sizeof(*c) + bytes.len);
    c->next = NULL;
    c->due_us = d->last != NULL && d->last->due_us > due_us ? d->last->due_us : due_us;
    c->taken = 0;
    c->len = bytes.len;
    memcpy(c->bytes, bytes.at, bytes.len);
    if (d->last != NULL)
        d->last->next = c;
    else
        d->first = c;
    d->last = c;
    d->bytes += bytes.len;
}

bool delay_front(const struct delay *d, uint64_t now_us, struct span *bytes)
{
    const struct delay_chunk *c = d->first;

    if (c == NULL || c->due_us > now_us)
        return false;
    *bytes = span_of(c->bytes + c->taken, c->len - c->taken);
    return true;
}

void delay_take(struct delay *d, size_t bytes)
{
    struct delay_chunk *c = d->first;

    CHECK(c != NULL && bytes <= c->len - c->taken);
    c->taken += bytes;
    d->bytes -= bytes;
    if (c->taken < c->len)
        return;
    d->first = c->next;
    if (d->first == NULL)
        d->last = NULL;
    mem_free(c);
}

uint64_t delay_next_us(const struct delay *d)
{
    return d->first == NULL ? UINT64_MAX : d->first->due_us;
}
