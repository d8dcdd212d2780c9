/*
 * internal -- what the files of core/ share and nobody else uses.
 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include "core/replica.h"

/* A batch that came early: a copy of its bytes, and where it belongs. */
struct parked {
    struct list link;
    stamp_t from, to, prev;
    size_t len;
    uint8_t bytes[];
};

void replica_raise(struct replica *r, enum replica_event_kind kind, uint8_t origin, stamp_t stamp);

/* Appends a batch to the log as one record: header room for `payload_len` bytes that the caller
 * then fills. */
uint8_t *replica_log_room(struct replica *r, size_t payload_len);
void replica_log_seal(struct replica *r, size_t payload_len);

/* When nothing is on its way to the disk, what is applied is durable. */
void replica_settle_durable(struct replica *r);

/* Ops of that run follow in the stream, after last_op. */
void replica_note_run(struct replica *r, uint8_t origin, uint64_t instance);

/* Counts the newest own op into the stream's checksum, now that its bytes are final. */
void replica_hash_last(struct replica *r);

/* One op of the group that runs: emit_start gives it its stamp and opens it in the open batch; the
 * caller appends the payload to r->open and hands the place back to emit_finish, which applies it. */
size_t emit_start(struct replica *r, struct op *op);
void emit_finish(struct replica *r, struct op *op, size_t place);

/* Clears the way for a write to one component; returns what is left of the object, or NULL. */
struct entry *emit_make_way(struct replica *r, uint8_t db, struct span key,
                            enum component component);

void replica_drain_parked(struct replica *r);

#endif
