#include "base/check.h"
#include "base/memory.h"
#include "wire/crc64.h"
#include "wire/rdb_read.h"

enum {
    OPCODE_FUNCTIONS = 245,
    OPCODE_FUNCTIONS_OLD = 246, /* of release candidates of 7.0 */
    OPCODE_MODULE_AUX = 247,
    OPCODE_IDLE = 248,
    OPCODE_FREQUENCY = 249,
    OPCODE_AUX = 250,
    OPCODE_SIZES = 251,
    OPCODE_EXPIRES_MS = 252,
    OPCODE_EXPIRES = 253,
    OPCODE_DB = 254,
    OPCODE_END = 255,
    TYPE_MODULE_OLD = 6,
    TYPE_MODULE = 7,
    HEADER_BYTES = 9,
    CHECKSUM_VERSION = 5,
    SUM_STEP = 1 << 16, /* bytes that are summed at once, soon after they were read */
};

enum state { AT_START, BETWEEN, IN_KEY, AT_END };

void rdb_init(struct rdb *r, struct span file)
{
    *r = (struct rdb){ .file = file };
}

void rdb_release(struct rdb *r)
{
    buffer_release(&r->name);
    buffer_release(&r->value);
    buffer_release(&r->blob);
    rdb_stream_release(r);
    *r = (struct rdb){ 0 };
}

const char *rdb_type_name(enum rdb_type type)
{
    static const char *const names[RDB_TYPES] = {
        [RDB_STRING] = "string",   [RDB_LIST] = "list", [RDB_SET] = "set",
        [RDB_ZSET] = "sorted set", [RDB_HASH] = "hash", [RDB_STREAM_KEY] = "stream",
    };
    return names[type];
}

/* --- the ends --- */

static void sum_up_to(struct rdb *r, size_t to)
{
    r->sum = crc64(r->sum, span_of(r->file.at + r->summed, to - r->summed));
    r->summed = to;
}

static bool read_header(struct rdb *r)
{
    struct span header;

    if (r->file.len < HEADER_BYTES || memcmp(r->file.at, "REDIS", 5) != 0)
        return rdb_fail(r, "this is not a dump file of Redis");
    rdb_bytes(r, HEADER_BYTES, &header);
    for (size_t i = 5; i < HEADER_BYTES; i++) {
        unsigned digit = header.at[i] - '0' + 0u;

        r->version = digit > 9 ? RDB_VERSION_MAX + 1 : r->version * 10 + digit;
    }
    if (r->version == 0 || r->version > RDB_VERSION_MAX)
        return rdb_fail(r, "the version of the file is not one of 1 to 12");
    return true;
}

/* Redis that was told not to make checksums writes zero. */
static bool read_end(struct rdb *r, struct rdb_event *e)
{
    uint64_t sum;

    if (r->version >= CHECKSUM_VERSION) {
        sum_up_to(r, r->at);
        if (!rdb_u64(r, &sum))
            return false;
        if (sum != 0 && sum != r->sum)
            return rdb_fail(r, "the checksum does not fit: the file is damaged");
    }
    if (r->at != r->file.len)
        return rdb_fail(r, "something follows the end: is this an append-only file?");
    r->state = AT_END;
    e->kind = RDB_FINISHED;
    return true;
}

/* --- what stands between keys --- */

static bool read_aux(struct rdb *r, struct rdb_event *e)
{
    e->kind = RDB_AUX;
    return rdb_text(r, &r->name, &e->name) && rdb_text(r, &r->value, &e->value);
}

static bool read_library(struct rdb *r, struct rdb_event *e)
{
    e->kind = RDB_LIBRARY;
    return rdb_text(r, &r->value, &e->value);
}

/* Name, engine, a description that may be missing, code. */
static bool read_old_library(struct rdb *r, struct rdb_event *e)
{
    struct span text;
    uint64_t described;

    e->kind = RDB_LIBRARY;
    return rdb_text(r, &r->name, &e->name) && rdb_text(r, &r->value, &text) &&
           rdb_length(r, &described) && (described == 0 || rdb_text(r, &r->value, &text)) &&
           rdb_text(r, &r->value, &e->value);
}

static bool read_seconds(struct rdb *r)
{
    uint32_t seconds;

    if (!rdb_u32(r, &seconds))
        return false;
    r->expires_ms = (uint64_t)seconds * 1000;
    return true;
}

/* Opcodes that tell nobody anything; *known says whether this was one. */
static bool read_silent(struct rdb *r, uint8_t opcode, bool *known)
{
    uint64_t a, b;
    uint8_t frequency;
    struct span module;

    *known = true;
    switch (opcode) {
    case OPCODE_MODULE_AUX:
        return rdb_module_name(r, &module) && rdb_module_skip(r);
    case OPCODE_IDLE:
        return rdb_length(r, &a);
    case OPCODE_FREQUENCY:
        return rdb_u8(r, &frequency);
    case OPCODE_SIZES:
        return rdb_length(r, &a) && rdb_length(r, &b);
    case OPCODE_EXPIRES_MS:
        return rdb_u64(r, &r->expires_ms);
    case OPCODE_EXPIRES:
        return read_seconds(r);
    case OPCODE_DB:
        return rdb_length(r, &r->db);
    default:
        *known = false;
        return true;
    }
}

static bool read_module(struct rdb *r, struct rdb_event *e)
{
    e->kind = RDB_MODULE;
    return rdb_module_name(r, &e->value) && rdb_module_skip(r);
}

static bool read_key(struct rdb *r, uint8_t type, struct rdb_event *e)
{
    *e = (struct rdb_event){ .kind = RDB_KEY, .db = r->db, .expires_ms = r->expires_ms };
    r->type = type;
    r->expires_ms = 0;
    if (!rdb_text(r, &r->name, &e->name))
        return false;
    if (type == TYPE_MODULE)
        return read_module(r, e);
    if (type == TYPE_MODULE_OLD)
        return rdb_fail(r,
                        "here is a value of a module of before Redis 4.0, which nothing but that "
                        "module can read");
    if (!rdb_value_begin(r, &e->type))
        return false;
    r->state = IN_KEY;
    return true;
}

static bool read_between(struct rdb *r, struct rdb_event *e)
{
    for (;;) {
        uint8_t opcode;
        bool known;

        if (!rdb_u8(r, &opcode) || !read_silent(r, opcode, &known))
            return false;
        if (known)
            continue;
        switch (opcode) {
        case OPCODE_AUX:
            return read_aux(r, e);
        case OPCODE_FUNCTIONS:
            return read_library(r, e);
        case OPCODE_FUNCTIONS_OLD:
            return read_old_library(r, e);
        case OPCODE_END:
            return read_end(r, e);
        default:
            return read_key(r, opcode, e);
        }
    }
}

bool rdb_next(struct rdb *r, struct rdb_event *e)
{
    CHECK(r->state != AT_END);
    if (r->problem != NULL)
        return false;
    *e = (struct rdb_event){ 0 };
    if (r->state == AT_START) {
        if (!read_header(r))
            return false;
        r->state = BETWEEN;
    }
    if (r->at - r->summed >= SUM_STEP)
        sum_up_to(r, r->at);
    if (r->state == BETWEEN)
        return read_between(r, e);
    if (!rdb_value_next(r, e))
        return false;
    if (e->kind == RDB_KEY_END)
        r->state = BETWEEN;
    return true;
}
