/*
 * zset_trial -- for tests: over core/trial.h, what clients do to sorted sets.
 */
#ifndef CORE_ZSET_TRIAL_H
#define CORE_ZSET_TRIAL_H

#include "core/trial.h"
#include "crdt/score.h"

static inline void put_score(struct replica *r, const char *key, const char *member, double score)
{
    struct emit_fields e;
    uint8_t bytes[SCORE_BYTES];
    emit_fields_begin(&e, r, OP_PUT, COMPONENT_ZSET, 0, span_str(key));
    emit_fields_add(&e, span_str(member), score_encode(score, bytes));
    emit_fields_end(&e);
}

static inline void zadd(size_t region, const char *key, double score, const char *member)
{
    COMMAND(region, put_score(r, key, member, score));
}

static inline void zincrby(size_t region, const char *key, double by, const char *member)
{
    COMMAND(region,
            emit_field_bump(r, 0, COMPONENT_ZSET, span_str(key), span_str(member), real(by)));
}

static inline void zrem(size_t region, const char *key, const char *member)
{
    COMMAND(region, put_fields(r, OP_TAKE, COMPONENT_ZSET, key, member, ""));
}

#endif
