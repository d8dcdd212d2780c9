/*
 * resident -- which keys of a database are in memory, and what the checkpoint on disk knows of them.
 *
 * A key is resident (in the table), cold (only on disk), or not there. A find of a cold key brings it
 * into memory at once; a clean key may leave. What has changed since the last copy for a checkpoint is
 * marked dirty, and its hash listed; what was removed and may still have a record is remembered as gone,
 * or a find would bring the record back.
 *
 *     dirty     changed since it was copied
 *     stored    the disk has a record of it, or a copy is on its way there
 *     epoch     the copy it was last part of: until that is committed, the record may be older; 0: it
 *               came from disk
 *
 * A key may leave memory when it is stored, not dirty, and its copy is committed.
 * Without `cold` nothing of this happens.
 */
#ifndef CRDT_RESIDENT_H
#define CRDT_RESIDENT_H

#include "crdt/cold.h"
#include "crdt/object.h"

/* A key that was removed; in database.gone. */
struct gone {
    bool back; /* it was made again */
    uint32_t len;
    uint8_t bytes[];
};

/* A key that an op could not be applied to; in database.lost. */
struct lost {
    int error; /* of the read */
    uint32_t len;
    uint8_t bytes[];
};

/* From now on the database keeps its keys on disk; `counts` of what is there. The table's seed is the
 * one that the records were stored with. */
void resident_start(struct database *d, const struct cold *cold, const struct cold_counts *counts);
void resident_release(struct database *d);

/* resident_fetch (object.h) brings a cold key into memory: NULL when there is none, or when the disk
 * did not give it: then d->unread and d->damage say why, and what was to be done with it must not be
 * done. An op that has to be, of a peer or from the log, is not applied, and the key is lost for this
 * run: nobody finds it, and everybody who looks for it is told. The op is in the log, and is applied
 * after a restart: so no start of a checkpoint may pass it. */

/* --- for apply.c --- */
void resident_note_dirty(struct database *d, uint64_t hash);
void resident_removed(struct database *d, struct span key);
void resident_lose(struct database *d, struct span key); /* after a fetch that was refused */
/* A key is about to be made: true when the disk may have a record of it all the same. */
bool resident_made(struct database *d, struct span key);

/* --- leaving memory --- */
uint64_t resident_bytes(const struct entry *e); /* what it takes, about */
bool resident_may_leave(const struct database *d, const struct entry *e);
void resident_evict(struct database *d, struct entry *e); /* frees it; it may leave */
/* Frees it, and it is gone from disk too: as if it had been removed, but without an op. */
void resident_forget(struct database *d, struct entry *e);

/* Whether the disk gives the key, if it is there: else d->damage says why. It stays in memory then while
 * there is room left, which becomes less by it. */
void resident_try(struct database *d, struct span key, uint64_t *room_bytes);
/* The same of a key that was fetched, and is not needed any more. */
void resident_spare(struct database *d, struct span key, uint64_t *room_bytes);

/* --- all keys, wherever they are --- */

struct scanned {
    struct span key;
    struct entry *entry;  /* NULL: cold */
    uint8_t flags;        /* cold_flag */
    uint64_t deadline_ms; /* 0: none */
};
typedef void (*scanned_fn)(void *context, const struct scanned *s);

/* As table_scan, over resident and cold keys: all that are there from the first call to the last are
 * visited, wherever they move meanwhile. `visit` may fetch nothing and remove nothing. */
uint64_t resident_scan(struct database *d, uint64_t cursor, scanned_fn visit, void *context);

/* A random key, near uniform, fetched; NULL when there is none. */
struct entry *resident_random(struct database *d, struct prng *prng);

/* Visits every cold object without keeping it. */
typedef void (*cold_object_fn)(void *context, const struct entry *e);
void resident_each_cold(struct database *d, cold_object_fn visit, void *context);

/* Fetches cold keys whose time to be reclaimed is before `before_ms`, at most `limit`. True: there may
 * be more. */
bool resident_fetch_due(struct database *databases, uint64_t before_ms, size_t limit);

/* Fetches the cold ones among the contested objects whose keys have the prefix, at most `limit`. */
void resident_fetch_contested(struct database *d, struct span prefix, size_t limit);

#endif
