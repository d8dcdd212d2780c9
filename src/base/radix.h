/*
 * radix -- sorts many integers in steps of bounded length, for who must not pause.
 *
 * The integers are counted by their highest bits, placed by them, and then sorted bucket by bucket
 * (most significant digit first; Knuth, volume 3, 5.2.5). They should be spread evenly, as hashes are:
 * a step is about as long as its budget then, however many there are.
 * Memory:    a second array of as many, while it runs.
 */
#ifndef BASE_RADIX_H
#define BASE_RADIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct radix {
    uint64_t *items; /* the caller's; sorted in the end */
    uint64_t *placed;
    size_t *starts; /* [buckets + 1] where each begins, or what it still takes */
    size_t count, next;
    uint32_t bits;
    enum { RADIX_COUNT, RADIX_PLACE, RADIX_SORT, RADIX_DONE } phase;
};

void radix_begin(struct radix *r, uint64_t *items, size_t count); /* items: stay until done */
/* Looks at about `budget` integers; true when all are sorted. */
bool radix_step(struct radix *r, size_t budget);
void radix_release(struct radix *r); /* at any time; the items are all there, in no order */

#endif
