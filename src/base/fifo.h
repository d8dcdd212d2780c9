/*
 * fifo -- items of one size in the order in which they came.
 *
 * They lie behind each other: fifo_at(f, bytes, i) is the i-th, 0 the oldest. To take the oldest moves
 * nothing; room is made when the end is reached, by moving all to the front where half is free, else by
 * doubling: each item is moved a constant number of times. Zeroed, it is empty and owns nothing.
 */
#ifndef BASE_FIFO_H
#define BASE_FIFO_H

#include <stddef.h>
#include <stdint.h>

struct fifo {
    uint8_t *items;
    size_t first, count, cap; /* in items */
};

/* The place of a new item, the last, to be filled at once; good until the next push. */
void *fifo_push(struct fifo *f, size_t item_bytes);
void fifo_pop(struct fifo *f); /* the oldest goes; there is one */
void fifo_release(struct fifo *f);

static inline void *fifo_at(const struct fifo *f, size_t item_bytes, size_t i)
{
    return f->items + (f->first + i) * item_bytes;
}

#endif
