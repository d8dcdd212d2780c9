/*
 * stream -- a stream as the commands see it: its entries, and what stands beside them.
 *
 * Where one region writes, a stream also has metadata, an item of COMPONENT_GROUPS named "s":
 *
 *     base id (16 bytes)   varint added   greatest removed id (16 bytes)
 *
 * `added` counts what had been added when the last id was `base`; entries above it came since. So
 * XADD writes its entry and nothing else, and the metadata is written by what removes entries, by
 * XSETID, and when an empty stream is made. With several writers there is none: the last id is that
 * of the last entry, as many were added as are there, and a stream without entries is no key.
 *
 * In keyspaces with `streams: closed` readers see only entries that no late one can come before:
 * ids up to the smallest stamp up to which every other writer has been heard (of our own writes we
 * know the order). What writes (XADD, XDEL, XTRIM) goes by all entries that are here.
 *
 * Views borrow: they are good until the next emit.
 */
#ifndef CMD_STREAM_H
#define CMD_STREAM_H

#include "cmd/data.h"
#include "crdt/stream.h"

struct stream_view {
    bool there;
    const struct btree *entries;       /* NULL: none */
    const struct btree *items;         /* of COMPONENT_GROUPS; NULL: none */
    uint64_t length;                   /* the entries seen are the first of the tree */
    struct stream_id first_id, top_id; /* 0-0 without entries */
    struct stream_id last_id;          /* the greatest that there ever was */
    struct stream_id removed_id;       /* the greatest that XDEL removed, 0-0: none */
    uint64_t added;
};

static const struct stream_id STREAM_ID_MIN = { 0, 0 };
static const struct stream_id STREAM_ID_MAX = { UINT64_MAX, UINT64_MAX };

/* The stream of a key with all its entries; not `there` when the key is not. Replies WRONGTYPE and
 * returns false when it is of another type. */
bool stream_find(struct call *call, struct span key, struct stream_view *v);

/* The same as readers see it. */
bool stream_find_seen(struct call *call, struct span key, struct stream_view *v);

/* Whether its keyspace keeps late entries from readers, and up to which id they see then. */
bool stream_closed(const struct server *server, struct span key);
struct stream_id stream_bound(const struct replica *r);

/* How many of the entries seen have smaller ids. */
uint64_t stream_rank(const struct stream_view *v, struct stream_id id);

/* The entry of an id, or NULL. */
const struct entry *stream_entry(const struct stream_view *v, struct stream_id id);

/* Entries in order, from a rank on (or back): NULL past what is seen. */
const struct entry *stream_at(const struct stream_view *v, uint64_t rank, struct btree_cursor *c);

static inline struct stream_id stream_entry_id(const struct entry *e)
{
    return stream_id_decode(entry_name(e));
}

/* The id after (before) one; false when there is none. */
bool stream_id_next(struct stream_id *id);
bool stream_id_previous(struct stream_id *id);

/* As they stand in values: 16 bytes. */
void stream_put_id(struct buffer *out, struct stream_id id);
bool stream_take_id(struct span *in, struct stream_id *id);

/* --- metadata: emitted only where one region writes, else nothing --- */

struct stream_metadata {
    struct stream_id last_id, removed_id;
    uint64_t added;
};

void stream_emit_metadata(struct call *call, struct span key, const struct stream_metadata *m);

static inline struct stream_metadata stream_metadata_of(const struct stream_view *v)
{
    return (struct stream_metadata){ v->last_id, v->removed_id, v->added };
}

/* --- replies --- */

void stream_reply_id(struct reply *r, struct stream_id id);
void stream_reply_entry(struct reply *r, const struct entry *e);

/* Replies `count` entries at most of the ids [from, to], as an array. */
void stream_reply_range(struct call *call, const struct stream_view *v, struct stream_id from,
                        struct stream_id to, uint64_t count, bool backwards);

#endif
