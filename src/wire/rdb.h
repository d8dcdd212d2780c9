/*
 * rdb -- reads Redis's dump files as a row of events.
 *
 *     "REDIS" and four digits of version | (opcode or key)... | 0xff | u64 CRC-64 (version 5 on)
 *     key: u8 type | string name | value
 *
 * Versions 1 to 12, with every type that Redis up to 7.2 writes. A key is RDB_KEY, what is in it, and
 * RDB_KEY_END; a stream is its entries, RDB_STREAM, and for each group RDB_GROUP and its consumers,
 * for each RDB_CONSUMER and what it has pending.
 *
 * The bytes are untrusted. Whatever is in them, they end in RDB_FINISHED or in a problem and the
 * offset where it was met; a checksum that does not fit is a problem met at the end.
 * Memory:    one element (or compact blob, at most RDB_TEXT_MAX) unpacked, a stream's entry with at
 *            most RDB_FIELDS_MAX fields, and 40 bytes for each pending entry of a group. What
 *            compression claims is believed up to the 88-fold that it can reach.
 * Lifetime:  spans of an event are good until the next event. The file's bytes are borrowed.
 * Source:    rdb.h, rdb.c, t_stream.c of Redis 7.0 and the history of its RDB_VERSION.
 */
#ifndef WIRE_RDB_H
#define WIRE_RDB_H

#include "base/buffer.h"
#include "crdt/stream.h"
#include "wire/packed.h"

enum {
    RDB_VERSION_MAX = 12,
    RDB_TEXT_MAX = 1 << 30,
    RDB_FIELDS_MAX = 1 << 20,
    RDB_PROBLEM_MAX = 96,
};

enum rdb_event_kind {
    RDB_AUX,      /* name, value: a fact of the server that wrote the file */
    RDB_LIBRARY,  /* value: functions; skipped */
    RDB_KEY,      /* name, type, db, expires_ms */
    RDB_MODULE,   /* name, db: a key whose value only the module `value` can read; skipped, with no
                   * RDB_KEY_END */
    RDB_ITEM,     /* name: a string, or an element, member or field; value: a field's; score */
    RDB_ENTRY,    /* id, fields: names and values in turn */
    RDB_STREAM,   /* stream */
    RDB_GROUP,    /* name, id: the last that was delivered; entries_read */
    RDB_CONSUMER, /* name */
    RDB_PENDING,  /* id, delivered_ms, deliveries */
    RDB_KEY_END,
    RDB_FINISHED,
};

enum rdb_type { RDB_STRING, RDB_LIST, RDB_SET, RDB_ZSET, RDB_HASH, RDB_STREAM_KEY, RDB_TYPES };

/* What a stream knows besides its entries. */
struct rdb_stream {
    uint64_t length;
    struct stream_id last_id;
    bool counted; /* written by Redis 7.0 or later: then these are known too */
    struct stream_id removed_id;
    uint64_t added;
};

struct rdb_event {
    enum rdb_event_kind kind;
    enum rdb_type type;
    struct span name, value;
    double score;
    uint64_t db;
    uint64_t expires_ms; /* 0: never */
    struct stream_id id;
    struct rdb_stream stream;
    const struct span *fields;
    size_t field_count;   /* spans: names and values */
    int64_t entries_read; /* -1: not known */
    uint64_t delivered_ms, deliveries;
};

/* Texts that are needed at the same time; numbers among them have their digits here. */
struct rdb_texts {
    struct span *at;
    char *digits; /* PACKED_DIGITS each */
    size_t count, cap;
};

struct rdb_pending {
    struct stream_id id;
    uint64_t delivered_ms, deliveries;
};

/* How far a stream has been read. */
struct rdb_stream_state {
    int stage;
    bool in_node; /* of entries; the first one's fields are `names` */
    struct stream_id node_id;
    struct rdb_texts names, fields;
    uint64_t nodes, entries, groups, consumers, held; /* left to read */
    struct rdb_pending *pending;                      /* of the group, ascending */
    size_t pending_count, pending_cap;
};

struct rdb {
    unsigned version;
    size_t at;           /* bytes read so far */
    const char *problem; /* after rdb_next said false: what, as the end of a sentence, */
    size_t problem_at;   /* and where */
    /* the rest is private */
    char problem_text[RDB_PROBLEM_MAX];
    struct span file;
    size_t summed;
    uint64_t sum;
    int state;
    uint64_t db, expires_ms;
    uint8_t type; /* of the key that is being read, as in the file */
    uint64_t left;
    bool in_blob;
    struct packed packed;
    struct rdb_stream_state stream;
    struct buffer name, value, blob; /* what had to be unpacked */
    char digits[2][PACKED_DIGITS];
};

void rdb_init(struct rdb *r, struct span file);
void rdb_release(struct rdb *r);

/* False at a problem, again and again. After RDB_FINISHED it must not be called. */
bool rdb_next(struct rdb *r, struct rdb_event *e);

/* "string", "list", ... */
const char *rdb_type_name(enum rdb_type type);

#endif
