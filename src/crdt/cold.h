/*
 * cold -- what a database needs of the checkpoint on disk: the objects that are not in memory.
 *
 * Implemented by store/checkpoint.h; tests bring their own. Functions read what was committed last
 * and may block for as long as a disk takes to read a page. Nothing here changes anything.
 *
 * Order: keys on disk stand by their *position*, the bits of their hash (table_hash of the database's
 * table) reversed. That is the order in which table_scan walks a table in memory, so that one cursor
 * serves both, and a random position is a random key.
 * Errors: E_IO, E_CORRUPT; the store has told people where and why.
 * Threads: that of the replica.
 */
#ifndef CRDT_COLD_H
#define CRDT_COLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* What a record says of its object without being read whole. */
enum cold_flag {
    COLD_GHOST = 1 << 0,     /* only deadlines: absent for readers */
    COLD_DEADLINE = 1 << 1,  /* it has a deadline */
    COLD_CONTESTED = 1 << 2, /* concurrent values or types stand side by side in it */
};

/* Keys by what they are. */
struct cold_counts {
    uint64_t keys, ghosts, with_deadline, contested;
};

/* One piece of an object's image (crdt/image.h), in order, from the first on. False: malformed. */
typedef bool (*cold_piece_fn)(void *context, struct span piece);

/* What a record's head says; the key is borrowed during the call. */
struct cold_head {
    uint8_t db;
    uint8_t flags;
    uint64_t due_ms; /* when it may be reclaimed: its deadline, or a ghost's last; 0: never */
    struct span key;
};

/* A place in the order of what is due: by time, then by database and position. */
struct cold_due {
    uint64_t ms;
    uint8_t db;
    uint64_t position;
};

/* False: enough. */
typedef bool (*cold_head_fn)(void *context, const struct cold_head *head);

struct cold_ops {
    /* E_OK, E_MISSING, E_CORRUPT (also when `take` says so), E_IO. */
    int (*read)(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                cold_piece_fn take, void *context);
    /* Records with positions in [first, last], in order. */
    int (*scan)(void *store, uint8_t db, uint64_t first, uint64_t last, cold_head_fn visit,
                void *context);
    /* Records of all databases that have a due_ms, from this place on up to to_ms, in order. */
    int (*due)(void *store, const struct cold_due *from, uint64_t to_ms, cold_head_fn visit,
               void *context);
    int (*contested)(void *store, uint8_t db, cold_head_fn visit, void *context);
};

struct cold {
    const struct cold_ops *ops;
    void *store;
};

uint64_t cold_position(uint64_t hash);

#endif
