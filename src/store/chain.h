/*
 * chain -- follows the streams through a log: what a region has after each record.
 *
 * Every batch names the op before it and the running checksum up to there. A log that continues
 * another one, or a checkpoint, does so in every stream: a batch that claims an op which was not
 * seen, or another history, does not. (A bootstrap brings in ops that no record of this log shows.)
 * Pure; the owner of the log.
 */
#ifndef STORE_CHAIN_H
#define STORE_CHAIN_H

#include "core/copier.h"
#include "wire/batch.h"

struct chain {
    struct vector last; /* op of each origin */
    uint32_t check[STAMP_ORIGINS];
    stamp_t newest; /* of all that was seen, vectors included */
};

/* What a checkpoint's start says; NULL: nothing yet. */
void chain_begin(struct chain *c, const struct copy_start *start);

/* False, and nothing changed, when the batch does not continue what was seen. One that is malformed
 * does not. */
bool chain_follow(struct chain *c, struct span batch);

/* Whether a checkpoint that starts here is of the same history. */
bool chain_meets(const struct chain *c, const struct copy_start *start);

#endif
