/*
 * rdb_value -- the values of a dump file that are no streams.
 *
 * A value is a count of parts: plain strings, pairs, or compact blobs with elements in them.
 */
#include "wire/rdb_read.h"

enum part {
    PART_STRING,
    PART_PAIR,         /* two strings */
    PART_SCORE_TEXT,   /* a string and a score in digits */
    PART_SCORE_BINARY, /* a string and a double */
    PART_BLOB,
    PART_NODE, /* what is in it, then a string or a blob */
    PART_STREAM,
};

enum { NODE_PLAIN = 1, NODE_PACKED = 2 };

static const struct shape {
    enum rdb_type type;
    enum part part;
    bool single; /* one part, uncounted */
    enum packed_kind packed;
} SHAPES[] = {
    [0] = { RDB_STRING, PART_STRING, true, 0 },
    [1] = { RDB_LIST, PART_STRING, false, 0 },
    [2] = { RDB_SET, PART_STRING, false, 0 },
    [3] = { RDB_ZSET, PART_SCORE_TEXT, false, 0 },
    [4] = { RDB_HASH, PART_PAIR, false, 0 },
    [5] = { RDB_ZSET, PART_SCORE_BINARY, false, 0 },
    [9] = { RDB_HASH, PART_BLOB, true, PACKED_ZIPMAP },
    [10] = { RDB_LIST, PART_BLOB, true, PACKED_ZIPLIST },
    [11] = { RDB_SET, PART_BLOB, true, PACKED_INTSET },
    [12] = { RDB_ZSET, PART_BLOB, true, PACKED_ZIPLIST },
    [13] = { RDB_HASH, PART_BLOB, true, PACKED_ZIPLIST },
    [14] = { RDB_LIST, PART_BLOB, false, PACKED_ZIPLIST },
    [15] = { RDB_STREAM_KEY, PART_STREAM, true, 0 },
    [16] = { RDB_HASH, PART_BLOB, true, PACKED_LISTPACK },
    [17] = { RDB_ZSET, PART_BLOB, true, PACKED_LISTPACK },
    [18] = { RDB_LIST, PART_NODE, false, PACKED_LISTPACK },
    [19] = { RDB_STREAM_KEY, PART_STREAM, true, 0 },
    [20] = { RDB_SET, PART_BLOB, true, PACKED_LISTPACK },
    [21] = { RDB_STREAM_KEY, PART_STREAM, true, 0 },
};

enum { SHAPE_COUNT = sizeof(SHAPES) / sizeof(SHAPES[0]), GAP_FIRST = 6, GAP_LAST = 8 };

bool rdb_value_begin(struct rdb *r, enum rdb_type *type)
{
    if (r->type >= SHAPE_COUNT || (r->type >= GAP_FIRST && r->type <= GAP_LAST))
        return rdb_fail_number(r, "there is no type or opcode %u in files of Redis up to 7.2",
                               r->type);
    const struct shape *s = &SHAPES[r->type];
    *type = s->type;
    r->left = 1;
    r->in_blob = false;
    if (s->part == PART_STREAM)
        return rdb_stream_begin(r);
    return s->single || rdb_length(r, &r->left);
}

/* --- elements of blobs --- */

static bool blob_element(struct rdb *r, int which, struct span *out, bool *end)
{
    switch (packed_next(&r->packed, r->digits[which], out)) {
    case PACKED_ITEM:
        return true;
    case PACKED_END:
        if (which == 0) {
            *end = true;
            return true;
        }
        break;
    case PACKED_BAD:
        break;
    }
    return rdb_fail(r, "the blob before this place is malformed");
}

static bool blob_item(struct rdb *r, enum rdb_type type, struct rdb_event *e, bool *end)
{
    *end = false;
    if (!blob_element(r, 0, &e->name, end))
        return false;
    if (*end || (type != RDB_HASH && type != RDB_ZSET))
        return true;
    if (!blob_element(r, 1, &e->value, end))
        return false;
    return type != RDB_ZSET || span_to_double(e->value, &e->score) ||
           rdb_fail(r, "a score in the blob before this place is not a number");
}

static bool open_blob(struct rdb *r, enum packed_kind kind)
{
    struct span blob;

    if (!rdb_text(r, &r->blob, &blob))
        return false;
    if (!packed_open(&r->packed, kind, blob))
        return rdb_fail(r, "the blob before this place is malformed");
    r->in_blob = true;
    return true;
}

/* --- parts --- */

static bool read_node(struct rdb *r, const struct shape *s, struct rdb_event *e)
{
    uint64_t holds;

    if (!rdb_length(r, &holds))
        return false;
    if (holds == NODE_PLAIN)
        return rdb_text(r, &r->name, &e->name);
    return holds == NODE_PACKED ? open_blob(r, s->packed)
                                : rdb_fail(r, "a node of a list is of no known kind");
}

/* An item, unless it opened a blob. */
static bool read_part(struct rdb *r, const struct shape *s, struct rdb_event *e)
{
    switch (s->part) {
    case PART_STRING:
        return rdb_text(r, &r->name, &e->name);
    case PART_PAIR:
        return rdb_text(r, &r->name, &e->name) && rdb_text(r, &r->value, &e->value);
    case PART_SCORE_TEXT:
        return rdb_text(r, &r->name, &e->name) && rdb_score_text(r, &e->score);
    case PART_SCORE_BINARY:
        return rdb_text(r, &r->name, &e->name) && rdb_score_binary(r, &e->score);
    case PART_BLOB:
        return open_blob(r, s->packed);
    case PART_NODE:
        return read_node(r, s, e);
    case PART_STREAM:
        break;
    }
    return rdb_fail(r, "a stream has no parts");
}

bool rdb_value_next(struct rdb *r, struct rdb_event *e)
{
    const struct shape *s = &SHAPES[r->type];

    if (s->part == PART_STREAM)
        return rdb_stream_next(r, e);
    for (;;) {
        bool end;

        e->kind = RDB_ITEM;
        if (r->in_blob) {
            if (!blob_item(r, s->type, e, &end) || !end)
                return r->problem == NULL;
            r->in_blob = false;
        }
        if (r->left == 0) {
            e->kind = RDB_KEY_END;
            return true;
        }
        r->left--;
        if (!read_part(r, s, e) || !r->in_blob)
            return r->problem == NULL;
    }
}

/* --- modules --- */

/* Nine letters of six bits each, above ten bits of a version. */
bool rdb_module_name(struct rdb *r, struct span *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum { LETTERS = 9, VERSION_BITS = 10 };
    uint64_t id;

    if (!rdb_length(r, &id))
        return false;
    for (int i = 0; i < LETTERS; i++)
        r->digits[0][LETTERS - 1 - i] = letters[id >> (VERSION_BITS + 6 * i) & 0x3f];
    *out = span_of(r->digits[0], LETTERS);
    return true;
}

/* What a module wrote is told apart by opcodes, so that who does not know it can pass over it. */
bool rdb_module_skip(struct rdb *r)
{
    enum { MODULE_END, MODULE_SIGNED, MODULE_UNSIGNED, MODULE_FLOAT, MODULE_DOUBLE, MODULE_TEXT };
    uint64_t opcode, number;
    struct span bytes;

    for (;;) {
        bool good = false;

        if (!rdb_length(r, &opcode))
            return false;
        switch (opcode) {
        case MODULE_END:
            return true;
        case MODULE_SIGNED:
        case MODULE_UNSIGNED:
            good = rdb_length(r, &number);
            break;
        case MODULE_FLOAT:
            good = rdb_bytes(r, 4, &bytes);
            break;
        case MODULE_DOUBLE:
            good = rdb_bytes(r, 8, &bytes);
            break;
        case MODULE_TEXT:
            good = rdb_text(r, &r->value, &bytes);
            break;
        default:
            return rdb_fail(r, "a module's value is malformed");
        }
        if (!good)
            return false;
    }
}
