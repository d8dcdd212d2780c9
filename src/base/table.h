/*
 * table -- a hash table of pointers that never pauses.
 *
 * Linear hashing (Litwin 1980): the table grows and shrinks by one bucket at a time, so there is no
 * moment at which everything is rehashed. A bucket is one cache line: up to seven items with a byte
 * of their hash each; a full one chains (the bucket's shape is that of Valkey 8's hashtable).
 * Buckets live in segments of at most 4,096 (256 KiB), so that growing never copies more than that.
 *
 * Items are opaque pointers whose key bytes the table reads through `key_of`. Keys are unique.
 * The hash is XXH3 with the table's seed: seed it with entropy where keys come from clients.
 * Memory:    a table of up to seven items is one bucket; an empty one owns nothing.
 * Order:     table_scan visits everything that stayed in the table from its first call to its last
 *            (the cursor runs over reversed bits, as in Redis), however the table grew or shrank.
 * A slot (void **) is good until the next insert or removal; replacing *slot by an item of the
 * same key is allowed.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/prng.h"
#include "base/span.h"

typedef struct span (*table_key_fn)(const void *item);
typedef void (*table_visit_fn)(void *context, void *item);

struct table_bucket;

/* Copyable: nothing points into it. */
struct table {
    table_key_fn key_of;
    uint64_t seed;
    uint64_t count; /* items */
    union {
        struct table_bucket *first;     /* while one segment holds all buckets */
        struct table_bucket **segments; /* above */
    };
    uint32_t bucket_count;  /* 0 when empty */
    uint32_t chained_count; /* buckets allocated beside the segments */
};

void table_init(struct table *t, table_key_fn key_of, uint64_t seed);
void table_release(struct table *t); /* frees no items */

uint64_t table_hash(const struct table *t, struct span key);

/* The slot that holds the item of `key`, or NULL. */
void **table_find(const struct table *t, struct span key);

/* For who has the key's hash (table_hash) at hand: find as above; add an empty slot for a key that is
 * not there, to be filled at once; visit the items that may have this hash, some others among them,
 * but take none out. */
void **table_find_hashed(const struct table *t, struct span key, uint64_t hash);
void **table_add_hashed(struct table *t, uint64_t hash);
void table_visit_hash(const struct table *t, uint64_t hash, table_visit_fn visit, void *context);

/* For who knows the next keys: a find costs two misses of the cache, the bucket's and the item's.
 * table_prefetch starts the first and returns the key's hash, table_prefetch_item, some time later,
 * the second. Only hints: the table may change meanwhile. */
uint64_t table_prefetch(const struct table *t, struct span key);
void table_prefetch_item(const struct table *t, uint64_t hash);

/* Adds an item whose key is not in the table yet (checked in slow builds). */
void table_insert(struct table *t, void *item);

/* Finds the slot of `key`, or adds an empty one (*slot == NULL) that the caller must fill at
 * once. */
void **table_find_or_add(struct table *t, struct span key);

/* Takes the item of `key` out and returns it, or NULL. */
void *table_remove(struct table *t, struct span key);

/* Visits one bucket's worth and returns the next cursor; start with 0, ends when 0 comes back.
 * `visit` may replace nothing and remove nothing. */
uint64_t table_scan(const struct table *t, uint64_t cursor, table_visit_fn visit, void *context);

/* A random item (near uniform), or NULL when empty. */
void *table_random(const struct table *t, struct prng *prng);

/* Bytes of the table itself, items not counted. */
size_t table_bytes(const struct table *t);

/* Iteration over all items; the table must not change, except that the last item given may be taken
 * out by table_iter_remove, or its slot replaced. */
struct table_iter {
    const struct table *table;
    uint32_t bucket;   /* where the last item given stands: the bucket, */
    uint32_t position; /* and one past its place in that bucket's chain */
    /* something was taken out: buckets are given back at the end */
    bool removed;
};

void table_iter_init(struct table_iter *it, const struct table *t);
void **table_iter_next(struct table_iter *it); /* the slot, or NULL at the end */

/* Takes out the item given last, once; the table that iter_init was given must not be a
 * constant. */
void table_iter_remove(struct table_iter *it);

#endif
