/*
 * checkpoint -- a region's objects on disk, over env/kv.h.
 *
 *     KV_META        "format"      u32 version (1)
 *                    "start"       copy_start (core/copier.h): from where the log is to be replayed
 *                    "counts"      per database: 4 varints (crdt/cold.h cold_counts)
 *                    "image"       the next image's number, and which is being written
 *                    "note." c     what the node keeps beside (node/checkpoint.h), opaque here
 *     KV_OBJECTS     place -> the object's record: flags, due time, and its image, or where that is
 *     KV_PIECES      u64 image number, u32 row -> a piece of an image, or a part of one
 *     KV_DUE         u64 due_ms, place
 *     KV_CONTESTED   place
 *
 * store/checkpoint_record.h has the bytes. A place is a key's database, position (crdt/cold.h) and
 * the key itself, or the hash of a long one: two long keys of one place, which takes a collision of
 * 192 bits, have their records one after the other in one row.
 *
 * Writing: changes come in the order of the copier, in one or more transactions; the last one
 * brings a new start. Counts, due and contested follow the records within each transaction. An
 * object in pieces gets a new image number; its record is switched over with CHANGE_DONE, and the
 * old image's pieces are removed then. What an image has so far stands in KV_META, so that another
 * writer, after a restart, goes on with it; one that was never done is removed when any other
 * change comes.
 * Reading: by the replica's thread, through one reader that sees what was committed when it was
 * last refreshed.
 * Every row is checked when it is read, and whoever finds none looks whether one is hidden by its
 * damaged key (store/checkpoint_order.h). What does not match is E_CORRUPT, and `problem` names the
 * file, the table, the key, and the offset where that is known. E_IO: the disk did not give it, this
 * time.
 * Threads: `struct checkpoint` belongs to the replica's thread, `struct checkpoint_writer` to the
 * writer's. They share nothing but the kv.
 */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "core/copier.h"
#include "env/kv.h"

enum { CHECKPOINT_VERSION = 1, CHECKPOINT_PROBLEM_MAX = 320 };

struct checkpoint {
    struct cold cold; /* for replica_install */
    struct kv *kv;
    struct kv_txn *reader;
    bool fresh;                           /* the reader has been renewed since checkpoint_refresh */
    char detail[KV_DETAIL_MAX];           /* what the store says to the reader */
    char problem[CHECKPOINT_PROBLEM_MAX]; /* of the last error */
    uint64_t reads;                       /* objects read */
    uint64_t seed;                        /* of the hashes in places */
    bool seed_known;
    struct buffer joined; /* scratch */
};

/* What an open found. Without a start, what records there are belong to a copy that was never
 * completed: of a bootstrap, which goes on; else checkpoint_clear removes them before the first
 * copy, for nobody knows the seed of their hashes any more. */
struct checkpoint_found {
    bool start_known;
    bool empty; /* no records at all */
    struct copy_start start;
    struct cold_counts counts[OP_DATABASES];
};

/* E_OK, E_CORRUPT, E_VERSION, E_IO… Only reads. After an error there is nothing to close. */
int checkpoint_open(struct checkpoint *c, struct kv *kv, struct checkpoint_found *found);
void checkpoint_close(struct checkpoint *c);

/* Lets go of what the reader saw: at the end of each turn, and when a commit was heard of. */
void checkpoint_refresh(struct checkpoint *c);

/* A note's bytes (appended); E_MISSING. */
int checkpoint_note(struct checkpoint *c, char name, struct buffer *out);

/* --- writing --- */

struct checkpoint_writer {
    struct kv *kv;
    char detail[KV_DETAIL_MAX]; /* what the store says */
    char problem[CHECKPOINT_PROBLEM_MAX];
    uint64_t records, pieces, bytes; /* written */
    struct buffer key, value, old;   /* scratch */
};

void checkpoint_writer_init(struct checkpoint_writer *w, struct kv *kv);
void checkpoint_writer_release(struct checkpoint_writer *w);

/* Removes everything, a part in each call and transaction, what is believed first; *done: all is
 * gone. */
int checkpoint_clear(struct checkpoint_writer *w, bool *done);

/* One transaction: all of these changes, the notes, and the start when it is the last of a copy.
 * Durable when it returns E_OK. E_FORMAT: the changes are malformed (from a peer): nothing was
 * written. */
struct checkpoint_write {
    struct span changes;
    struct span start; /* copy_start_put; empty: more is to come */
    struct span notes; /* n x (u8 name, varint length, bytes; length 0: removes the note) */
};
int checkpoint_write(struct checkpoint_writer *w, const struct checkpoint_write *job);

/* --- reading in order, for bootstraps, back-ups and inspection --- */

/* Appends records as changes, PUT, or PIECE 0 … and DONE, until about max_bytes were appended, and
 * moves the cursor past them: an opaque place (and number of the next piece) that stays good over
 * restarts and commits. Empty: from the first. An object in pieces whose image was replaced between
 * two calls is begun again from its PIECE 0. *end: there is no more. Every call sees what is
 * committed then. */
int checkpoint_export(struct checkpoint *c, struct buffer *cursor, size_t max_bytes,
                      struct buffer *changes, bool *end);

/* The key that a cursor stands at, where it names one: not everybody who is told the cursor may know it. And
 * a cursor without that name, a little before: what stands there comes once more. */
bool checkpoint_cursor_key(struct span cursor, struct span *key);
void checkpoint_cursor_unnamed(struct span cursor, struct buffer *out);

#endif
