/*
 * cut -- what of a batch had happened by a moment.
 *
 * Stamps are times, and an op that observed another has the larger stamp. So all groups whose last
 * op's stamp is at most T are a consistent state: with each of them, all that it has seen. Of one
 * origin they are a prefix of its stream, and of a batch the front of it: a batch itself, from the
 * same place, with the same context.
 * Pure.
 */
#ifndef STORE_CUT_H
#define STORE_CUT_H

#include "wire/batch.h"

enum cut_verdict {
    CUT_ALL,  /* the whole batch */
    CUT_SOME, /* `out` has a batch of its first groups */
    CUT_NONE,
    CUT_BAD, /* malformed */
};

/* Appends to `out` with CUT_SOME only. */
enum cut_verdict cut_batch(struct span batch, stamp_t moment, struct buffer *out);

/* The last stamp of a millisecond: with it, all of that millisecond has happened. */
static inline stamp_t cut_moment(uint64_t ms)
{
    return stamp_make(ms, STAMP_COUNTER_MAX, STAMP_ORIGINS - 1);
}

#endif
