/*
 * batch -- a run of operations of one origin: the unit of log, disk and wire alike.
 *
 *     u8 format (1)    u8 origin    u8 flags (0)
 *     varint instance  u64 to       varint to - from, varint to - prev (differences of time parts)
 *     u32 check
 *     varint n, n x (u8 origin, zigzag varint: to's time part minus the entry's): the context
 *     varint op count  ops (crdt/op.h)
 *
 * It says: these are all the operations of this origin with stamps in (from, to]. `prev` is the
 * stamp of the origin's last op before it, `check` the running checksum of the stream up to there:
 * a receiver that disagrees holds a fork. `from` and `prev` may be 0 (never), coded as the whole of
 * to's time part. The context is a vector of last ops of other origins. A batch without ops is a
 * heartbeat; it has no context.
 */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "crdt/op.h"

enum { BATCH_FORMAT = 1, BATCH_HEADER_MAX = 64 + 11 * STAMP_ORIGINS };

struct batch {
    uint8_t origin;
    uint64_t instance;
    stamp_t from, to, prev;
    uint32_t check;
    struct vector context;
    uint64_t op_count;
    struct span ops;
};

/* Appends the header; the ops follow it. Only b->ops is not used. */
void batch_put_header(struct buffer *out, const struct batch *b);

/* Decodes the header; b->ops borrows the rest of `in`. Checks ranges, not the ops. */
bool batch_take(struct span in, struct batch *b);

/* The few fields that a sender filters by, without the rest. */
bool batch_peek(struct span in, uint8_t *origin, stamp_t *to);

/* Walks the ops in order, from batch_walk(b), and sets each op's rank. False at the end or where it
 * is malformed: the end was clean when rest.len == 0 and rank == 0. `hashed` as in op_take. */
struct batch_walk {
    struct span rest;
    stamp_t stamp; /* of the op given last */
    stamp_t rank;  /* of the group that is open, 0: none */
};

struct batch_walk batch_walk(const struct batch *b);
bool batch_next_op(struct batch_walk *w, struct op *op, struct span *hashed);

/* Checks all ops of a batch: count, order, origin, (from, to], payloads, the last one ending its
 * group. */
bool batch_valid(const struct batch *b);

/* The running checksum after an op. */
uint32_t batch_check(uint32_t check, stamp_t stamp, struct span hashed);

#endif
