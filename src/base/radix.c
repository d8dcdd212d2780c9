#include "base/radix.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BUCKET_ITEMS = 1024, BITS_MAX = 20, PAGE_ITEMS = 512 };

void radix_begin(struct radix *r, uint64_t *items, size_t count)
{
    *r = (struct radix){ .items = items, .count = count };
    if (count < 2) {
        r->phase = RADIX_DONE;
        return;
    }
    while (r->bits < BITS_MAX && count >> r->bits > BUCKET_ITEMS)
        r->bits++;
    r->starts = mem_zalloc((((size_t)1 << r->bits) + 1) * sizeof(*r->starts));
    r->placed = mem_alloc(count * sizeof(*r->placed));
}

void radix_release(struct radix *r)
{
    /* What was not copied back yet: else some would be there twice and some not at all. */
    if (r->phase == RADIX_SORT && r->next < r->count)
        memcpy(r->items + r->next, r->placed + r->next, (r->count - r->next) * sizeof(*r->items));
    mem_free(r->starts);
    mem_free(r->placed);
    *r = (struct radix){ .phase = RADIX_DONE };
}

static size_t bucket_of(const struct radix *r, uint64_t item)
{
    return r->bits == 0 ? 0 : (size_t)(item >> (64 - r->bits));
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* starts[b + 1] is how many items bucket b has; then, where it begins. The other array gets its pages
 * on the way: placing would ask for one with nearly every item at first. */
static void count_items(struct radix *r, size_t budget)
{
    size_t end = smaller(r->count, r->next + budget);
    for (; r->next < end; r->next++) {
        r->starts[bucket_of(r, r->items[r->next]) + 1]++;
        if (r->next % PAGE_ITEMS == 0)
            r->placed[r->next] = 0;
    }
    if (r->next < r->count)
        return;
    for (size_t b = 1; b <= (size_t)1 << r->bits; b++)
        r->starts[b] += r->starts[b - 1];
    r->next = 0;
    r->phase = RADIX_PLACE;
}

/* Each start moves on to its bucket's end. */
static void place_items(struct radix *r, size_t budget)
{
    size_t end = smaller(r->count, r->next + budget);
    for (; r->next < end; r->next++) {
        uint64_t item = r->items[r->next];
        r->placed[r->starts[bucket_of(r, item)]++] = item;
    }
    if (r->next < r->count)
        return;
    r->next = 0;
    r->phase = RADIX_SORT;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The bucket that begins at `next` ends where its start has come to. */
static void sort_buckets(struct radix *r, size_t budget)
{
    size_t stop = smaller(r->count, r->next + budget);
    while (r->next < stop) {
        size_t end = r->starts[bucket_of(r, r->placed[r->next])];
        qsort(r->placed + r->next, end - r->next, sizeof(*r->placed), compare);
        memcpy(r->items + r->next, r->placed + r->next, (end - r->next) * sizeof(*r->items));
        r->next = end;
    }
    if (r->next == r->count)
        radix_release(r);
}

bool radix_step(struct radix *r, size_t budget)
{
    if (r->phase == RADIX_COUNT)
        count_items(r, budget);
    else if (r->phase == RADIX_PLACE)
        place_items(r, budget);
    else if (r->phase == RADIX_SORT)
        sort_buckets(r, budget);
    return r->phase == RADIX_DONE;
}
