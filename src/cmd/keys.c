/*
 * keys -- commands on whole keys of any type, their values unread.
 */
#include "base/error.h"
#include "cmd/data.h"
#include "crdt/resident.h"

enum {
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
    struct database *d = &call->replica->databases[call->db];
    uint64_t room_bytes = CALL_KEPT_BYTES;
    int64_t count = 0;

    for (size_t i = 1; i < call->argc; i++) {
        uint64_t fetched = d->fetched;

        count += is_there(call, call->argv[i]);
        if (d->fetched != fetched)
            resident_spare(d, call->argv[i], &room_bytes);
    }
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

/* Where keys are few among those that have expired, the first one there is. */
struct search {
    const struct call *call;
    struct buffer name;
    bool found;
};

static void look(void *context, const struct scanned *s)
{
    struct search *search = context;

    if (search->found || !data_is_live(search->call, s))
        return;
    search->found = true;
    buffer_put(&search->name, s->key);
}

static void reply_first_readable(struct call *call, struct database *d)
{
    struct search search = { .call = call };
    uint64_t cursor = 0;

    do {
        cursor = resident_scan(d, cursor, look, &search);
    } while (cursor != 0 && !search.found);
    if (search.found)
        reply_bulk(call->reply, buffer_span(&search.name));
    else
        reply_null(call->reply);
    buffer_release(&search.name);
}

void cmd_randomkey(struct call *call)
{
    struct database *d = &call->replica->databases[call->db];

    for (int i = 0; i < RANDOM_TRIES; i++) {
        const struct entry *e = resident_random(d, &call->replica->prng);

        if (e == NULL || d->damage != E_OK)
            break;
        if (readable(call, e)) {
            reply_bulk(call->reply, entry_name(e));
            return;
        }
    }
    reply_first_readable(call, d);
}
