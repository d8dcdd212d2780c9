/*
 * oracle -- what the declared contract says that a state must be, computed from the histories
 * alone.
 *
 * "An effect lasts until some later write has observed it." Every op of every region's own log is
 * taken apart into effects (a register, a member's dot, an increment, a word about the deadline);
 * an effect is there if and only if no op that wipes it had seen it. Brute force over all pairs:
 * nothing of crdt/'s mechanism is used but the decoding of ops, neither registers that drop each
 * other, nor the (last, sum) that removals carry, nor bases, nor the generations that are there. The
 * maxima of a hyperloglog last as long as the write that opened their generation.
 * Limits:    origins below ORACLE_ORIGINS.
 * Memory:    one copy of all logs.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "core/replica.h"

enum { ORACLE_ORIGINS = 16 };

struct oracle_op;
struct oracle_effect;

/* Own ops of a region above `after` up to `up_to`, among them removals of keys whose time had
 * come. */
struct oracle_reclaim {
    stamp_t after, up_to;
};

struct oracle {
    struct buffer logs[ORACLE_ORIGINS]; /* by origin: its own batches */
    struct oracle_op *ops;
    size_t op_count;
    struct oracle_effect *effects; /* by key once judged */
    size_t effect_count;
    size_t key_count;
    char problem[400];
};

void oracle_init(struct oracle *o);
void oracle_release(struct oracle *o);

/* All records of one region's log; the batches of its own origin are kept. False with a problem:
 * malformed, or out of order. */
bool oracle_add_log(struct oracle *o, uint8_t origin, struct span records, uint64_t lsn);

/* After every log was added: decides which effects last. */
void oracle_judge(struct oracle *o);

/* NULL when every removal in these ranges, of a key whose time had come, had seen all ops made
 * before that time: nobody can have extended it in time. Before oracle_judge. */
const char *oracle_check_reclaims(struct oracle *o, const struct oracle_reclaim *reclaims,
                                  size_t count);

/* NULL when the replica holds exactly what lasts, else what is wrong with it. */
const char *oracle_compare(struct oracle *o, const struct replica *r);

/* The sum of a counter that only increments were ever made of: of all ops on the key. */
int64_t oracle_sum(const struct oracle *o, uint8_t db, struct span key);

#endif
