/*
 * dump -- DUMP and RESTORE.
 */
#include "cmd/dump.h"

#include "base/crc32c.h"
#include "cmd/contents.h"
#include "cmd/data.h"

enum { MAGIC = 'M', VERSION = 1, HEADER_BYTES = 2, CRC_BYTES = 4 };

void dump_put(struct buffer *out, const struct entry *e)
{
    size_t start = out->len;

    buffer_put_u8(out, MAGIC);
    buffer_put_u8(out, VERSION);
    contents_put(out, e);
    buffer_put_u32(out, crc32c(0, span_skip(buffer_span(out), start)));
}

bool dump_open(struct span payload, struct span *contents)
{
    uint32_t crc;

    if (payload.len < HEADER_BYTES + CRC_BYTES || payload.at[0] != MAGIC ||
        payload.at[1] != VERSION)
        return false;
    struct span footer = span_skip(payload, payload.len - CRC_BYTES);
    CHECK(span_take_u32(&footer, &crc));
    *contents = span_of(payload.at + HEADER_BYTES, payload.len - HEADER_BYTES - CRC_BYTES);
    return crc32c(0, span_of(payload.at, payload.len - CRC_BYTES)) == crc;
}

void cmd_dump(struct call *call)
{
    struct buffer out = { 0 };
    struct entry *e;

    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e))
        return;
    if (e == NULL) {
        reply_null(call->reply);
        return;
    }
    dump_put(&out, e);
    reply_bulk(call->reply, buffer_span(&out));
    buffer_release(&out);
}

/* --- RESTORE --- */

struct restore_options {
    bool replace, absolute;
};

/* What IDLETIME and FREQ say is checked and forgotten: nothing here is evicted by it. */
static bool take_options(struct call *call, struct restore_options *o)
{
    int64_t number;

    for (size_t i = 4; i < call->argc; i++) {
        bool more = i + 1 < call->argc;

        if (call_is(call, i, "replace")) {
            o->replace = true;
        } else if (call_is(call, i, "absttl")) {
            o->absolute = true;
        } else if (call_is(call, i, "idletime") && more) {
            if (!data_int_within(call, call->argv[++i], 0, INT64_MAX,
                                 "ERR Invalid IDLETIME value, must be >= 0", &number))
                return false;
        } else if (call_is(call, i, "freq") && more) {
            if (!data_int_within(call, call->argv[++i], 0, 255,
                                 "ERR Invalid FREQ value, must be >= 0 and <= 255", &number))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool take_deadline(struct call *call, bool absolute, uint64_t *deadline_ms)
{
    int64_t ttl;

    if (!call_int(call, call->argv[2], &ttl))
        return false;
    if (ttl < 0 || (!absolute && ttl > INT64_MAX - (int64_t)call->now_ms)) {
        reply_error(call->reply, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    *deadline_ms = ttl == 0 ? 0 : (uint64_t)ttl + (absolute ? 0 : call->now_ms);
    return true;
}

void cmd_restore(struct call *call)
{
    struct restore_options options = { 0 };
    struct span key = call->argv[1], contents;
    uint64_t deadline_ms;

    if (!take_options(call, &options))
        return;
    bool there = data_live(call, call->db, key) != NULL;
    if (there && !options.replace) {
        reply_error(call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!take_deadline(call, options.absolute, &deadline_ms))
        return;
    if (!dump_open(call->argv[3], &contents)) {
        reply_error(call->reply, "ERR DUMP payload version or checksum are wrong");
        return;
    }
    if (!contents_valid(contents)) {
        reply_error(call->reply, "ERR Bad data format");
        return;
    }
    if (deadline_ms != 0 && deadline_ms <= call->now_ms) {
        if (there)
            emit_remove(call->replica, call->db, key); /* over before it begins */
    } else {
        contents_write(call, call->db, key, contents, deadline_ms);
    }
    reply_ok(call->reply);
}
