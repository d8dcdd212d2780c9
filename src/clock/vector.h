/*
 * vector -- origin -> the highest stamp known of it.
 *
 * Dense: an array by origin, with one past the highest origin in use, so that copies and
 * comparisons touch only what is used. An origin that is absent has stamp 0.
 * Format:  varint count, then per entry with a stamp: the stamp as u64 (its origin is its low
 *          byte).
 */
#ifndef CLOCK_VECTOR_H
#define CLOCK_VECTOR_H

#include <stdbool.h>

#include "base/buffer.h"
#include "clock/stamp.h"

struct vector {
    uint32_t high;             /* one past the highest origin with a stamp */
    stamp_t at[STAMP_ORIGINS]; /* only [0, high) is meaningful */
};

void vector_clear(struct vector *v);
void vector_copy(struct vector *to, const struct vector *from);

static inline stamp_t vector_get(const struct vector *v, uint8_t origin)
{
    return origin < v->high ? v->at[origin] : 0;
}

/* Sets the entry of the stamp's own origin, up or down. */
void vector_set(struct vector *v, stamp_t s);

/* The origin is absent from then on. */
void vector_drop(struct vector *v, uint8_t origin);

/* Raises the entry of the stamp's own origin; true when it moved. */
bool vector_raise(struct vector *v, stamp_t s);

/* Raises every entry to at least the other's; true when any moved. */
bool vector_merge(struct vector *v, const struct vector *other);

/* v[o] >= other[o] for every origin. */
bool vector_covers(const struct vector *v, const struct vector *other);
bool vector_equal(const struct vector *a, const struct vector *b);

void vector_put(struct buffer *out, const struct vector *v);
/* refuses two entries of one origin and stamp 0 */
bool vector_take(struct span *in, struct vector *v);

#endif
