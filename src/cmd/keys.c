/*
 * keys -- commands on whole keys of any type, their values unread.
 */
#include "cmd/data.h"

enum {
    FLUSH_BATCH = 1000, /* keys removed as one group */
    RANDOM_TRIES = 100, /* before a database full of expired keys is searched from end to end */
};

static bool is_there(struct call *call, struct span key)
{
    struct entry *e;

    return call_find(call, key, COMPONENT_NONE, &e) && e != NULL;
}

void cmd_del(struct call *call)
{
    int64_t count = 0;

    for (size_t i = 1; i < call->argc; i++) {
        if (!is_there(call, call->argv[i]))
            continue;
        emit_remove(call->replica, call->db, call->argv[i]);
        count++;
    }
    reply_int(call->reply, count);
}

void cmd_unlink(struct call *call)
{
    cmd_del(call);
}

void cmd_exists(struct call *call)
{
    int64_t count = 0;

    for (size_t i = 1; i < call->argc; i++)
        count += is_there(call, call->argv[i]);
    reply_int(call->reply, count);
}

void cmd_touch(struct call *call)
{
    cmd_exists(call);
}

/* A hyperloglog is a string for clients, as in Redis. */
const char *data_type_name(enum component c)
{
    switch (c) {
    case COMPONENT_STRING:
    case COMPONENT_HLL:
        return "string";
    case COMPONENT_HASH:
        return "hash";
    case COMPONENT_SET:
        return "set";
    case COMPONENT_ZSET:
        return "zset";
    case COMPONENT_LIST:
        return "list";
    case COMPONENT_STREAM:
    case COMPONENT_GROUPS:
        return "stream";
    case COMPONENT_COUNT:
    case COMPONENT_NONE:
        break;
    }
    return "none";
}

void cmd_type(struct call *call)
{
    struct entry *e;

    if (call_find(call, call->argv[1], COMPONENT_NONE, &e))
        reply_simple(call->reply, data_type_name(e != NULL ? object_visible(e) : COMPONENT_NONE));
}

void cmd_dbsize(struct call *call)
{
    reply_int(call->reply, (int64_t)database_size(&call->replica->databases[call->db]));
}

/* --- RANDOMKEY --- */

static bool readable(const struct call *call, const struct entry *e)
{
    return object_visible(e) != COMPONENT_NONE && !object_expired(e, call->now_ms);
}

static const struct entry *first_readable(const struct call *call, const struct table *keys)
{
    struct table_iter it;
    void **slot;

    table_iter_init(&it, keys);
    while ((slot = table_iter_next(&it)) != NULL) {
        if (readable(call, *slot))
            return *slot;
    }
    return NULL;
}

void cmd_randomkey(struct call *call)
{
    const struct table *keys = &call->replica->databases[call->db].keys;
    const struct entry *e = NULL;

    for (int i = 0; i < RANDOM_TRIES && keys->count > 0; i++) {
        e = table_random(keys, &call->replica->prng);
        if (readable(call, e))
            break;
        e = NULL;
    }
    if (e == NULL)
        e = first_readable(call, keys);
    if (e == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, entry_name(e));
}

/* --- FLUSHDB, FLUSHALL --- */

struct names {
    struct buffer bytes; /* length-prefixed */
    size_t count;
    bool removed_some; /* a group of removes stands already */
};

static void add_name(void *context, void *item)
{
    struct names *names = context;

    buffer_put_prefixed(&names->bytes, entry_name(item));
    names->count++;
}

/* Removes what was gathered, as a group of its own, but inside MULTI. The last one is left open: it
 * is the command's, and tells that it wrote. */
static void remove_names(struct call *call, uint8_t db, struct names *names)
{
    struct span rest = buffer_span(&names->bytes), name;

    if (names->count == 0)
        return;
    if (names->removed_some && !call->nested) {
        replica_group_end(call->replica);
        replica_group_begin(call->replica);
    }
    while (span_take_prefixed(&rest, &name))
        emit_remove(call->replica, db, name);
    buffer_clear(&names->bytes);
    names->count = 0;
    names->removed_some = true;
}

/* Removes every key, the expired and the leftovers too. The table shrinks below the cursor;
 * scanning allows for it. */
static void flush(struct call *call, uint8_t db, struct names *names)
{
    const struct table *keys = &call->replica->databases[db].keys;
    uint64_t cursor = 0;

    do {
        cursor = table_scan(keys, cursor, add_name, names);
        if (names->count >= FLUSH_BATCH || cursor == 0)
            remove_names(call, db, names);
    } while (cursor != 0);
}

/* Inside MULTI all of it is one group. */
static bool flush_fits(struct call *call, uint8_t first, uint8_t last)
{
    size_t bytes = 0;

    for (uint8_t db = first; db <= last; db++) {
        struct table_iter it;
        void **slot;

        table_iter_init(&it, &call->replica->databases[db].keys);
        while ((slot = table_iter_next(&it)) != NULL)
            bytes += emit_remove_bytes(*slot);
    }
    return call_fits_group(call, bytes);
}

/* SYNC and ASYNC are taken alike. */
static bool take_flush_options(struct call *call)
{
    if (call->argc == 1)
        return true;
    if (call->argc == 2 && (call_is(call, 1, "sync") || call_is(call, 1, "async")))
        return true;
    call_syntax_error(call);
    return false;
}

static void flush_databases(struct call *call, uint8_t first, uint8_t last)
{
    struct names names = { 0 };

    if (!take_flush_options(call) || (call->nested && !flush_fits(call, first, last)))
        return;
    for (uint8_t db = first; db <= last; db++)
        flush(call, db, &names);
    buffer_release(&names.bytes);
    reply_ok(call->reply);
}

void cmd_flushdb(struct call *call)
{
    flush_databases(call, call->db, call->db);
}

void cmd_flushall(struct call *call)
{
    flush_databases(call, 0, OP_DATABASES - 1);
}
