#include "bin/export_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "host/clocks.h"

/* So much is asked for at once. */
enum { ELEMENTS = 1000, ENTRIES = 200, PENDING = 500 };
#define ELEMENTS_TEXT "1000"
#define ENTRIES_TEXT  "200"
#define PENDING_TEXT  "500"

enum kind { KIND_STRING, KIND_LIST, KIND_SET, KIND_HASH, KIND_ZSET, KIND_STREAM, KIND_NONE };

static const char *const KINDS[] = {
    [KIND_STRING] = "string", [KIND_LIST] = "list", [KIND_SET] = "set",
    [KIND_HASH] = "hash",     [KIND_ZSET] = "zset", [KIND_STREAM] = "stream",
};

/* What of a stream is asked for. */
enum stage { STAGE_ITEMS, STAGE_FACTS, STAGE_GROUPS, STAGE_CONSUMERS, STAGE_PENDING };

struct export_key {
    struct span name;
    enum kind kind;
    enum stage stage;
    bool done, begun;
    uint64_t deadline_ms; /* 0: none */
    uint64_t from;        /* list: the next element */
    char cursor[NUMBER_TEXT_MAX + 1];
    redisReply *groups; /* of a stream: XINFO GROUPS */
    size_t group;
};

void export_keys_init(struct export_keys *k, struct remote *remote, struct commands *commands,
                      struct progress *progress)
{
    *k = (struct export_keys){ .remote = remote, .commands = commands, .progress = progress };
}

static void forget(struct export_keys *k)
{
    for (size_t i = 0; i < k->count; i++)
        freeReplyObject(k->keys[i].groups);
    mem_free(k->keys);
    k->keys = NULL;
    k->count = k->at = 0;
    k->asked = false;
}

void export_keys_release(struct export_keys *k)
{
    forget(k);
}

static void ask(struct export_keys *k, const char *verb, struct span key)
{
    remote_queue_words(k->remote, (struct span[]){ span_str(verb), key }, 2);
}

static void put(struct export_keys *k, const struct span *argv, size_t argc)
{
    commands_put(k->commands, argv, argc);
}

/* Of concurrent values that are all shown, the newest, which comes last. */
static struct span value_of(const redisReply *reply)
{
    while (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        reply = reply->element[reply->elements - 1];
    return reply_span(reply);
}

static bool is_array(const redisReply *reply, size_t at_least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= at_least;
}

/* The element of a map: names and values in turn. NULL when it is not there. */
static const redisReply *field(const redisReply *map, const char *name)
{
    for (size_t i = 0; is_array(map, i + 2); i += 2) {
        if (span_equal(reply_span(map->element[i]), span_str(name)))
            return map->element[i + 1];
    }
    return NULL;
}

/* --- types and deadlines --- */

static bool probe(struct export_keys *k)
{
    redisReply *reply;

    ask(k, "PEXPIRETIME", span_str("k"));
    reply = remote_reply(k->remote);
    if (reply == NULL)
        return false;
    k->has_deadlines = reply->type == REDIS_REPLY_INTEGER;
    k->probed = true;
    freeReplyObject(reply);
    return true;
}

static enum kind kind_of(struct span type)
{
    for (size_t i = 0; i < KIND_NONE; i++) {
        if (span_equal(type, span_str(KINDS[i])))
            return (enum kind)i;
    }
    return KIND_NONE;
}

static void take_type(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    key->kind = kind_of(reply_span(reply));
    key->done = key->kind == KIND_NONE;
    if (key->done && !span_equal(reply_span(reply), span_str("none")))
        progress_problem(k->progress, key->name, "is of the type %s, which no command makes",
                         reply->str != NULL ? reply->str : "?");
}

static void take_deadline(const struct export_keys *k, struct export_key *key,
                          const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
        return;
    key->deadline_ms = (uint64_t)reply->integer;
    if (!k->has_deadlines) /* what is left of the time */
        key->deadline_ms += clocks_wall_us() / 1000;
}

bool export_keys_begin(struct export_keys *k, const redisReply *names)
{
    forget(k);
    if (!k->probed && !probe(k))
        return false;
    k->keys = mem_zalloc(names->elements * sizeof(*k->keys));
    k->count = names->elements;
    for (size_t i = 0; i < k->count; i++) {
        k->keys[i].name = reply_span(names->element[i]);
        k->keys[i].cursor[0] = '0';
        ask(k, "TYPE", k->keys[i].name);
        ask(k, k->has_deadlines ? "PEXPIRETIME" : "PTTL", k->keys[i].name);
    }
    for (size_t i = 0; i < k->count; i++) {
        redisReply *type = remote_reply(k->remote);
        redisReply *deadline = type != NULL ? remote_reply(k->remote) : NULL;
        if (deadline != NULL) {
            take_type(k, &k->keys[i], type);
            take_deadline(k, &k->keys[i], deadline);
        }
        freeReplyObject(type);
        freeReplyObject(deadline);
        if (deadline == NULL)
            return false;
    }
    return true;
}

/* --- questions --- */

static struct span group_name(const struct export_key *key)
{
    const redisReply *name = field(key->groups->element[key->group], "name");

    return name != NULL ? reply_span(name) : span_of(NULL, 0);
}

static void ask_scan(struct export_keys *k, const struct export_key *key, const char *verb)
{
    struct span argv[] = { span_str(verb), key->name, span_str(key->cursor), span_str("COUNT"),
                           span_str(ELEMENTS_TEXT) };
    remote_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_range(struct export_keys *k, const struct export_key *key)
{
    char from[NUMBER_TEXT_MAX], to[NUMBER_TEXT_MAX];
    struct span argv[] = { span_str("LRANGE"), key->name, commands_number(key->from, from),
                           commands_number(key->from + ELEMENTS - 1, to) };
    remote_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_entries(struct export_keys *k, const struct export_key *key)
{
    struct span argv[] = {
        span_str("XRANGE"), key->name,         span_str(key->begun ? key->cursor : "-"),
        span_str("+"),      span_str("COUNT"), span_str(ENTRIES_TEXT)
    };
    remote_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_pending(struct export_keys *k, const struct export_key *key)
{
    struct span argv[] = {
        span_str("XPENDING"), key->name,
        group_name(key),      span_str(key->cursor[0] == '(' ? key->cursor : "-"),
        span_str("+"),        span_str(PENDING_TEXT)
    };
    remote_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_info(struct export_keys *k, const char *what, struct span key,
                     const struct span *group)
{
    struct span argv[] = { span_str("XINFO"), span_str(what), key,
                           group != NULL ? *group : span_of(NULL, 0) };
    remote_queue_words(k->remote, argv, group != NULL ? 4 : 3);
}

static void ask_stream(struct export_keys *k, const struct export_key *key)
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

static void ask_next(struct export_keys *k, const struct export_key *key)
{
    switch (key->kind) {
    case KIND_STRING:
        ask(k, "GET", key->name);
        break;
    case KIND_LIST:
        ask_range(k, key);
        break;
    case KIND_SET:
        ask_scan(k, key, "SSCAN");
        break;
    case KIND_HASH:
        ask_scan(k, key, "HSCAN");
        break;
    case KIND_ZSET:
        ask_scan(k, key, "ZSCAN");
        break;
    case KIND_STREAM:
        ask_stream(k, key);
        break;
    case KIND_NONE:
        break;
    }
}

/* --- answers --- */

static void begin(struct export_keys *k, struct export_key *key)
{
    if (!key->begun)
        put(k, (struct span[]){ span_str("DEL"), key->name }, 2);
    key->begun = true;
}

static void finish(struct export_keys *k, struct export_key *key)
{
    char text[NUMBER_TEXT_MAX];

    key->done = true;
    if (!key->begun)
        return; /* it went meanwhile */
    k->exported++;
    if (key->deadline_ms == 0)
        return;
    struct span deadline = commands_number(key->deadline_ms, text);
    put(k, (struct span[]){ span_str("PEXPIREAT"), key->name, deadline }, 3);
}

static void take_string(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_NIL) {
        put(k, (struct span[]){ span_str("SET"), key->name, value_of(reply) }, 3);
        key->begun = true;
    }
    finish(k, key);
}

static void take_elements(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (is_array(reply, 1))
        begin(k, key);
    for (size_t i = 0; is_array(reply, i + 1); i++) {
        struct span element = value_of(reply->element[i]);
        commands_add(k->commands, "RPUSH", key->name, &element, 1);
    }
    commands_close(k->commands);
    key->from += ELEMENTS;
    if (!is_array(reply, ELEMENTS))
        finish(k, key);
}

static void take_members(struct export_keys *k, const struct export_key *key,
                         const redisReply *members)
{
    size_t step = key->kind == KIND_SET ? 1 : 2;

    for (size_t i = 0; is_array(members, i + step); i += step) {
        struct span first = reply_span(members->element[i]);
        struct span second = step > 1 ? value_of(members->element[i + 1]) : first;

        if (key->kind == KIND_SET)
            commands_add(k->commands, "SADD", key->name, &first, 1);
        else if (key->kind == KIND_HASH)
            commands_add(k->commands, "HSET", key->name, (struct span[]){ first, second }, 2);
        else
            commands_add(k->commands, "ZADD", key->name, (struct span[]){ second, first }, 2);
    }
    commands_close(k->commands);
}

static void keep_cursor(struct export_key *key, const char *before, const redisReply *cursor)
{
    snprintf(key->cursor, sizeof(key->cursor), "%s%s", before,
             cursor->str != NULL ? cursor->str : "0");
}

static void take_scan(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (!is_array(reply, 2)) {
        finish(k, key);
        return;
    }
    if (is_array(reply->element[1], 1))
        begin(k, key);
    take_members(k, key, reply->element[1]);
    keep_cursor(key, "", reply->element[0]);
    if (strcmp(key->cursor, "0") == 0)
        finish(k, key);
}

/* --- answers about streams --- */

static void put_entry(struct export_keys *k, struct span key, struct span id,
                      const redisReply *fields)
{
    struct span *argv = mem_alloc((3 + fields->elements) * sizeof(*argv));

    argv[0] = span_str("XADD");
    argv[1] = key;
    argv[2] = id;
    for (size_t i = 0; i < fields->elements; i++)
        argv[3 + i] = reply_span(fields->element[i]);
    put(k, argv, 3 + fields->elements);
    mem_free(argv);
}

static void take_entries(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; is_array(reply, i + 1); i++) {
        const redisReply *entry = reply->element[i];

        if (!is_array(entry, 2) || !is_array(entry->element[1], 2))
            continue;
        begin(k, key);
        put_entry(k, key->name, reply_span(entry->element[0]), entry->element[1]);
        keep_cursor(key, "(", entry->element[0]);
    }
    if (!is_array(reply, ENTRIES))
        key->stage = STAGE_FACTS;
}

/* A stream may have no entries, and still be there. */
static void make_empty(struct export_keys *k, struct export_key *key)
{
    struct span argv[] = { span_str("XADD"), key->name,     span_str("MAXLEN"), span_str("0"),
                           span_str("0-1"),  span_str("x"), span_str("y") };

    begin(k, key);
    put(k, argv, COUNT_OF(argv));
}

static void take_facts(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    const redisReply *last = field(reply, "last-generated-id");
    const redisReply *added = field(reply, "entries-added");
    const redisReply *removed = field(reply, "max-deleted-entry-id");
    char text[NUMBER_TEXT_MAX];

    if (last == NULL) {
        finish(k, key);
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
    put(k, argv, argv[3].len > 0 ? 7 : 3);
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
    put(k, argv, known ? 7 : 5);
}

/* Goes on with the next group, or to the end. */
static void next_group(struct export_keys *k, struct export_key *key)
{
    if (!is_array(key->groups, key->group + 1)) {
        finish(k, key);
        return;
    }
    put_group(k, key, key->groups->element[key->group]);
    key->stage = STAGE_CONSUMERS;
}

static void take_consumers(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; is_array(reply, i + 1); i++) {
        const redisReply *name = field(reply->element[i], "name");

        if (name != NULL)
            put(k,
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
    put(k, argv, COUNT_OF(argv));
}

static void take_pending(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    for (size_t i = 0; is_array(reply, i + 1); i++) {
        if (!is_array(reply->element[i], 4))
            continue;
        put_pending(k, key, reply->element[i]);
        keep_cursor(key, "(", reply->element[i]->element[0]);
    }
    if (is_array(reply, PENDING))
        return;
    key->group++;
    next_group(k, key);
}

/* True when the key keeps the answer. */
static bool take_stream(struct export_keys *k, struct export_key *key, redisReply *reply)
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

static bool take(struct export_keys *k, struct export_key *key, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) { /* most likely it is of another type by now */
        progress_problem(k->progress, key->name, "%s", reply->str);
        key->done = true;
        return false;
    }
    switch (key->kind) {
    case KIND_STRING:
        take_string(k, key, reply);
        break;
    case KIND_LIST:
        take_elements(k, key, reply);
        break;
    case KIND_SET:
    case KIND_HASH:
    case KIND_ZSET:
        take_scan(k, key, reply);
        break;
    case KIND_STREAM:
        return take_stream(k, key, reply);
    case KIND_NONE:
        break;
    }
    return false;
}

/* --- rounds --- */

static bool ask_all(struct export_keys *k)
{
    for (size_t i = 0; i < k->count; i++) {
        if (!k->keys[i].done)
            ask_next(k, &k->keys[i]);
    }
    k->at = 0;
    k->asked = true;
    return remote_send(k->remote);
}

static bool find_undone(struct export_keys *k)
{
    while (k->at < k->count && k->keys[k->at].done)
        k->at++;
    return k->at < k->count;
}

bool export_keys_next(struct export_keys *k, bool *more)
{
    redisReply *reply;

    if (!find_undone(k)) { /* of this round */
        k->at = 0;
        k->asked = false;
    }
    *more = find_undone(k);
    if (!*more)
        return true;
    if (!k->asked && (!ask_all(k) || !find_undone(k)))
        return false;
    reply = remote_reply(k->remote);
    if (reply == NULL)
        return false;
    if (!take(k, &k->keys[k->at++], reply))
        freeReplyObject(reply);
    return true;
}
