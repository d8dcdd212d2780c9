/*
 * oracle -- what the declared contract says that a state must be, computed from the histories
 * alone.
 *
 * "An effect lasts until some later write has observed it." Every op of every region's own log is
 * taken apart into effects (a register, a member's dot, an increment, a word about the deadline);
 * an effect is there if and only if no op that wipes it had seen it. Brute force over all pairs:
 * nothing of crdt/'s mechanism is used but the decoding of ops, neither registers that drop each
 * other, nor the (last, sum) that removals carry, nor bases, nor the generations that are there.
 * The maxima of a hyperloglog last as long as the write that opened their generation.
 *
 * What was ever written is what stands in any log, also of a disk that was lost since. Which of it
 * counts is told by the batches themselves: from the last op of each origin back, each names the
 * one before it, and the running checksum there. What nobody has any more, or what stands in a
 * history that was given up (of a clone, of an old copy), is not on that way.
 * Limits:    origins below ORACLE_ORIGINS.
 * Memory:    one copy of all batches.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "core/replica.h"

enum { ORACLE_ORIGINS = 32 };

struct oracle_op;
struct oracle_effect;

/* Own ops of a region above `after` up to `up_to`, among them removals of keys whose time had
 * come. */
struct oracle_reclaim {
    stamp_t after, up_to;
};

/* A batch as it stands in some log, once for all. */
struct oracle_batch {
    uint64_t hash;  /* of its bytes */
    uint8_t *bytes; /* its own */
    size_t len;
    uint8_t origin;
    stamp_t last;   /* its last op */
    uint32_t check; /* the stream's after it */
    bool counts;
    size_t place; /* among those of its origin that count */
};

struct oracle {
    struct oracle_batch *batches; /* [batch_count], in no order until oracle_trace */
    size_t batch_count;
    uint32_t *known; /* [known_size] batches by hash, counted from 1; 0: none */
    size_t known_size;
    const uint8_t
        *fence_of; /* [STAMP_ORIGINS] each origin's; borrowed; NULL: there are no fences */
    bool in_order; /* the batches are */
    size_t counts[ORACLE_ORIGINS]; /* batches that count */
    struct oracle_op *ops;
    size_t op_count;
    struct oracle_effect *effects; /* by key once judged */
    size_t effect_count;
    size_t key_count;
    char problem[400];
};

void oracle_init(struct oracle *o);
void oracle_release(struct oracle *o);

/* All records of a log from LSN 0 on. False with a problem: malformed. */
bool oracle_add_log(struct oracle *o, struct span records);

/* Whether the history of an origin that ends at `last` is the beginning of the one that ends at
 * `of`. */
bool oracle_is_past(struct oracle *o, stamp_t last, uint32_t check, stamp_t of, uint32_t of_check);

/* After every log was added: which batches count, given the last op of each origin and the checksum
 * after it. False with a problem: one is missing. */
bool oracle_trace(struct oracle *o, const struct vector *last_ops, const struct stream *streams);

/* After oracle_trace: NULL when such a log holds nothing but batches that count, each once and
 * those of an origin in order; and, `whole`: all of them but those of origins that it may not hold. */
const char *oracle_check_log(struct oracle *o, struct span records, bool whole,
                             const uint64_t foreign[4]);

/* After oracle_trace: decides which effects last. */
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
