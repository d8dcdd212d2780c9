/*
 * delay -- bytes on a long way: what goes in comes out later, in the same order.
 *
 * A world on one machine gets its distances by it. A due time before that of the bytes in front is
 * raised to it: a stream never overtakes itself.
 * Memory:  copies; zeroed memory is an empty queue, delay_release leaves it so.
 * Threads: one owner. Pure: times are arguments.
 */
#ifndef HOST_DELAY_H
#define HOST_DELAY_H

#include "base/list.h"
#include "base/span.h"

struct delay_chunk;

struct delay {
    struct delay_chunk *first, *last;
    size_t bytes; /* all that waits */
};

void delay_release(struct delay *d);

/* Adds bytes (copied) that are to come out at due_us. */
void delay_put(struct delay *d, struct span bytes, uint64_t due_us);

/* The bytes at the front that are due (borrowed until the next call); false when there are none. */
bool delay_front(const struct delay *d, uint64_t now_us, struct span *bytes);

/* Drops bytes from the front chunk. */
void delay_take(struct delay *d, size_t bytes);

/* When delay_front will have something: UINT64_MAX when nothing waits. */
uint64_t delay_next_us(const struct delay *d);

#endif
