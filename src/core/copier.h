/*
 * copier -- copies what has changed since the last checkpoint, in slices, between batches.
 *
 *     copier_begin      fixes where the copy starts: LSN and vectors
 *     copier_step       some more changes, as bytes for store/checkpoint.h; false: that was all
 *     copier_committed  all of it is on disk, with its start
 *     copier_failed     it is not: what was copied counts as changed again
 *
 * The copy is fuzzy: each object is as it was when its turn came. Replaying the log from the start LSN
 * makes all of them exact, since an op may be applied again to a state that has it already, as long as
 * everything after it is applied again too (docs/design/checkpoints.md has the argument).
 * Log before data: changes may be written to disk only when the log is durable up to the LSN that
 * copier_step gave with them.
 *
 *     change   u8 kind   u8 database   u64 hash   key (varint length, bytes), then
 *       PUT    u8 flags (crdt/cold.h)   varint due_ms   piece (varint length, bytes)    the whole object
 *       PIECE  varint number   piece          of an object in several; the first has number 0
 *       DONE   u8 flags   varint due_ms       its pieces are complete: they replace what was there
 *       GONE                                  it was removed
 *
 * Pieces of one object follow each other, with nothing of another object between; PIECE 0 of another
 * one, or the end of the copy, without DONE: the object went away meanwhile.
 * Threads: those of the replica.
 */
#ifndef CORE_COPIER_H
#define CORE_COPIER_H

#include "base/radix.h"
#include "crdt/image.h"

struct replica;

enum change_kind { CHANGE_PUT = 1, CHANGE_PIECE, CHANGE_DONE, CHANGE_GONE, CHANGE_KIND_END };

struct change {
    enum change_kind kind;
    uint8_t db;
    uint64_t hash;
    struct span key;
    uint8_t flags;
    uint64_t due_ms;
    uint64_t number;
    struct span piece;
};

void change_put(struct buffer *out, const struct change *c);
bool change_take(struct span *in, struct change *c); /* checks form and ranges, not the piece */

/* Where a later run of an origin's region wrote on: what an earlier one wrote above `last` was lost before it
 * had left the region. */
struct takeover {
    uint64_t instance; /* the run that wrote on; 0: none */
    stamp_t last;      /* the last op before its first; 0: there is none */
};

enum { STREAM_TAKEOVERS = 4 }; /* guess: nobody carries a token through more runs of a region */

/* Where a copy started: from here the log is replayed.
 *
 *     u64 lsn   u64 table_seed   vectors applied, last_op
 *     for each origin that last_op names      varint instance   u32 check
 *     and once more, takeovers, newest first  u8 count   count x (varint instance, u64 last)
 *
 * What was written before takeovers were kept ends without them: none is known. */
struct copy_start {
    uint64_t lsn;
    uint64_t table_seed; /* of the hashes of keys */
    struct vector applied, last_op;
    uint64_t instance[STAMP_ORIGINS]; /* of each stream's newest batch */
    uint32_t check[STAMP_ORIGINS];    /* and its running checksum */
    struct takeover takeovers[STAMP_ORIGINS][STREAM_TAKEOVERS];
};

void copy_start_put(struct buffer *out, const struct copy_start *s);
bool copy_start_take(struct span *in, struct copy_start *s);

struct copier {
    size_t step_bytes, piece_bytes; /* 0: as copier.c has them; tests want less */
    struct prng prng;               /* which of the removed keys is put away next */
    bool running;
    bool failed;   /* the last one; what it took is being taken back */
    uint8_t epoch; /* of this copy, or the last; 1 .. 31 */
    struct copy_start start;
    uint8_t db; /* being copied */
    bool gone_done;
    struct table_iter gone;
    uint64_t *places[OP_DATABASES]; /* positions of what was dirty at the start */
    size_t place_counts[OP_DATABASES], place_caps[OP_DATABASES];
    struct radix order; /* sorts the database's places: disks like what comes in order */
    size_t next;        /* of the database's places */
    /* a large object of which some pieces are copied */
    bool in_pieces;
    struct image_cursor cursor;
    struct buffer key;
    uint64_t key_hash, piece_number;
    uint64_t objects, bytes; /* of this copy, or the last */
};

void copier_release(struct copier *c);

/* Anything to copy? Else a checkpoint would only move the start. */
bool copier_has_work(const struct replica *r);
uint64_t copier_dirty(const struct replica *r); /* keys changed since the last copy began */

/* False while there is something to tidy of the last copy. */
bool copier_begin(struct replica *r);
/* Nothing of our own is unsealed. Appends changes, about a quarter of a megabyte or of a millisecond of
 * them; *lsn is how far the log must be durable before they may be written. False: all is copied. */
bool copier_step(struct replica *r, struct buffer *changes, uint64_t *lsn);
void copier_committed(struct replica *r);
void copier_failed(struct replica *r);
/* Puts away what the last copy removed, or takes back what a failed one took: a little at a time. */
void copier_tidy(struct replica *r);
bool copier_is_tidy(const struct replica *r); /* nothing of that is left to do, or not yet */

#endif
