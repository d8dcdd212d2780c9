#include "bin/export_key.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "host/clocks.h"

/* So many are asked for at once. */
enum { ENTRIES = 200, PENDING = 500 };
#define ENTRIES_TEXT "200"
#define PENDING_TEXT "500"

/* The element of a map: names and values in turn. NULL when it is not there. */
static const redisReply *field(const redisReply *map, const char *name)
{
    for (size_t i = 0; export_is_array(map, i + 2); i += 2) {
        if (span_equal(reply_span(map->element[i]), span_str(name)))
            return map->element[i + 1];
    }
    return NULL;
}

/* --- questions --- */

static struct span group_name(const struct export_key *key)
{
    const redisReply *name = field(key->groups->element[key->group], "name");

    return name != NULL ? reply_span(name) : span_of(NULL, 0);
}

static void ask_entries(struct export_keys *k, const struct export_key *key)
{
    struct span argv[] = {
        span_str("XRANGE"), key->name,         span_str(key->begun ? key->cursor : "-"),
        span_str("+"),      span_str("COUNT"), span_str(ENTRIES_TEXT)
    };
    connection_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_pending(struct export_keys *k, const struct export_key *key)
{
    struct span argv[] = {
        span_str("XPENDING"), key->name,
        group_name(key),      span_str(key->cursor[0] == '(' ? key->cursor : "-"),
        span_str("+"),        span_str(PENDING_TEXT)
    };
    connection_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_info(struct export_keys *k, const char *what, struct span key,
                     const struct span *group)
{
    struct span argv[] = { span_str("XINFO"), span_str(what), key,
                           group != NULL ? *group : span_of(NULL, 0) };
    connection_queue_words(k->remote, argv, group != NULL ? 4 : 3);
}

void export_ask_stream(struct export_keys *k, const struct export_key *key)
{
    struct span group;

    switch (key->stage) {
    case STAGE_ITEMS:
        ask_entries(k, key);
        break;
    case STAGE_FACTS:
        ask_info(k, "STREAM", key->name, NULL);
        break;
    case STAGE_GROUPS:
        ask_info(k, "GROUPS", key->name, NULL);
        break;
    case STAGE_CONSUMERS:
        group = group_name(key);
        ask_info(k, "CONSUMERS", key->name, &group);
        break;
    case STAGE_PENDING:
        ask_pending(k, key);
        break;
    }
}

/* --- answers --- */

static void put_entry(struct export_keys *k, struct span key, struct span id,
                      const redisReply *fields)
{
    struct span *argv = mem_alloc((3 + fields->elements) * sizeof(*argv));

    argv[0] = span_str("XADD");
    argv[1] = key;
    argv[2] = id;
    for (size_t i = 0; i < fields->elements; i++)
        argv[3 + i] = reply_span(fields->element[i]);
    export_put(k, argv, 3 + fields->elements);
    mem_free(argv);
}

static void take_entries(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; export_is_array(reply, i + 1); i++) {
        const redisReply *entry = reply->element[i];

        if (!export_is_array(entry, 2) || !export_is_array(entry->element[1], 2))
            continue;
        export_begin(k, key);
        put_entry(k, key->name, reply_span(entry->element[0]), entry->element[1]);
        export_keep_cursor(key, "(", entry->element[0]);
    }
    if (!export_is_array(reply, ENTRIES))
        key->stage = STAGE_FACTS;
}

/* A stream may have no entries, and still be there. */
static void make_empty(struct export_keys *k, struct export_key *key)
{
    struct span argv[] = { span_str("XADD"), key->name,     span_str("MAXLEN"), span_str("0"),
                           span_str("0-1"),  span_str("x"), span_str("y") };

    export_begin(k, key);
    export_put(k, argv, COUNT_OF(argv));
}

static void take_facts(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    const redisReply *last = field(reply, "last-generated-id");
    const redisReply *added = field(reply, "entries-added");
    const redisReply *removed = field(reply, "max-deleted-entry-id");
    char text[NUMBER_TEXT_MAX];

    if (last == NULL) {
        export_finish(k, key);
        return;
    }
    if (!key->begun)
        make_empty(k, key);
    struct span argv[7] = { span_str("XSETID"), key->name, reply_span(last) };
    if (added != NULL && removed != NULL) {
        argv[3] = span_str("ENTRIESADDED");
        argv[4] = commands_number((uint64_t)added->integer, text);
        argv[5] = span_str("MAXDELETEDID");
        argv[6] = reply_span(removed);
    }
    export_put(k, argv, argv[3].len > 0 ? 7 : 3);
    key->stage = STAGE_GROUPS;
}

static void put_group(struct export_keys *k, const struct export_key *key, const redisReply *group)
{
    const redisReply *last = field(group, "last-delivered-id");
    const redisReply *read = field(group, "entries-read");
    bool known = read != NULL && read->type == REDIS_REPLY_INTEGER;
    char text[NUMBER_TEXT_MAX];
    struct span argv[] = {
        span_str("XGROUP"),
        span_str("CREATE"),
        key->name,
        group_name(key),
        last != NULL ? reply_span(last) : span_str("0"),
        span_str("ENTRIESREAD"),
        commands_number(known ? (uint64_t)read->integer : 0, text),
    };
    export_put(k, argv, known ? 7 : 5);
}

/* Goes on with the next group, or to the end. */
static void next_group(struct export_keys *k, struct export_key *key)
{
    if (!export_is_array(key->groups, key->group + 1)) {
        export_finish(k, key);
        return;
    }
    put_group(k, key, key->groups->element[key->group]);
    key->stage = STAGE_CONSUMERS;
}

static void take_consumers(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; export_is_array(reply, i + 1); i++) {
        const redisReply *name = field(reply->element[i], "name");

        if (name != NULL)
            export_put(k,
                       (struct span[]){ span_str("XGROUP"), span_str("CREATECONSUMER"), key->name,
                                        group_name(key), reply_span(name) },
                       5);
    }
    key->stage = STAGE_PENDING;
    key->cursor[0] = 0;
}

/* id, consumer, milliseconds ago, deliveries. */
static void put_pending(struct export_keys *k, const struct export_key *key,
                        const redisReply *pending)
{
    uint64_t now_ms = clocks_wall_us() / 1000;
    char ms[NUMBER_TEXT_MAX], deliveries[NUMBER_TEXT_MAX];
    struct span argv[] = {
        span_str("XCLAIM"),
        key->name,
        group_name(key),
        reply_span(pending->element[1]),
        span_str("0"),
        reply_span(pending->element[0]),
        span_str("TIME"),
        commands_number(now_ms - (uint64_t)pending->element[2]->integer, ms),
        span_str("RETRYCOUNT"),
        commands_number((uint64_t)pending->element[3]->integer, deliveries),
        span_str("FORCE"),
        span_str("JUSTID"),
    };
    export_put(k, argv, COUNT_OF(argv));
}

static void take_pending(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; export_is_array(reply, i + 1); i++) {
        if (!export_is_array(reply->element[i], 4))
            continue;
        put_pending(k, key, reply->element[i]);
        export_keep_cursor(key, "(", reply->element[i]->element[0]);
    }
    if (export_is_array(reply, PENDING))
        return;
    key->group++;
    next_group(k, key);
}

bool export_take_stream(struct export_keys *k, struct export_key *key, redisReply *reply)
{
    switch (key->stage) {
    case STAGE_ITEMS:
        take_entries(k, key, reply);
        break;
    case STAGE_FACTS:
        take_facts(k, key, reply);
        break;
    case STAGE_GROUPS:
        key->groups = reply;
        next_group(k, key);
        return true;
    case STAGE_CONSUMERS:
        take_consumers(k, key, reply);
        break;
    case STAGE_PENDING:
        take_pending(k, key, reply);
        break;
    }
    return false;
}
