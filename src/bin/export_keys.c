#include "bin/export_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "bin/export_key.h"
#include "host/clocks.h"

/* So many elements are asked for at once. */
enum { ELEMENTS = 1000 };
#define ELEMENTS_TEXT "1000"

static const char *const KINDS[] = {
    [KIND_STRING] = "string", [KIND_LIST] = "list", [KIND_SET] = "set",
    [KIND_HASH] = "hash",     [KIND_ZSET] = "zset", [KIND_STREAM] = "stream",
};

void export_keys_init(struct export_keys *k, struct connection *remote, struct commands *commands,
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

/* --- for all types --- */

void export_put(struct export_keys *k, const struct span *argv, size_t argc)
{
    commands_put(k->commands, argv, argc);
}

bool export_is_array(const redisReply *reply, size_t at_least)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= at_least;
}

void export_begin(struct export_keys *k, struct export_key *key)
{
    if (!key->begun)
        export_put(k, (struct span[]){ span_str("DEL"), key->name }, 2);
    key->begun = true;
}

void export_finish(struct export_keys *k, struct export_key *key)
{
    char text[NUMBER_TEXT_MAX];

    key->done = true;
    if (!key->begun)
        return; /* it went meanwhile */
    k->exported++;
    if (key->deadline_ms == 0)
        return;
    struct span deadline = commands_number(key->deadline_ms, text);
    export_put(k, (struct span[]){ span_str("PEXPIREAT"), key->name, deadline }, 3);
}

void export_keep_cursor(struct export_key *key, const char *before, const redisReply *cursor)
{
    snprintf(key->cursor, sizeof(key->cursor), "%s%s", before,
             cursor->str != NULL ? cursor->str : "0");
}

static void ask(struct export_keys *k, const char *verb, struct span key)
{
    connection_queue_words(k->remote, (struct span[]){ span_str(verb), key }, 2);
}

/* Of concurrent values that are all shown, the newest, which comes last. */
static struct span value_of(const redisReply *reply)
{
    while (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        reply = reply->element[reply->elements - 1];
    return reply_span(reply);
}

/* --- types and deadlines --- */

static bool probe(struct export_keys *k)
{
    redisReply *reply;

    ask(k, "PEXPIRETIME", span_str("k"));
    reply = connection_reply(k->remote);
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
        redisReply *type = connection_reply(k->remote);
        redisReply *deadline = type != NULL ? connection_reply(k->remote) : NULL;
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

static void ask_scan(struct export_keys *k, const struct export_key *key, const char *verb)
{
    struct span argv[] = { span_str(verb), key->name, span_str(key->cursor), span_str("COUNT"),
                           span_str(ELEMENTS_TEXT) };
    connection_queue_words(k->remote, argv, COUNT_OF(argv));
}

static void ask_range(struct export_keys *k, const struct export_key *key)
{
    char from[NUMBER_TEXT_MAX], to[NUMBER_TEXT_MAX];
    struct span argv[] = { span_str("LRANGE"), key->name, commands_number(key->from, from),
                           commands_number(key->from + ELEMENTS - 1, to) };
    connection_queue_words(k->remote, argv, COUNT_OF(argv));
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
        export_ask_stream(k, key);
        break;
    case KIND_NONE:
        break;
    }
}

/* --- answers --- */

static void take_string(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_NIL) {
        export_put(k, (struct span[]){ span_str("SET"), key->name, value_of(reply) }, 3);
        key->begun = true;
    }
    export_finish(k, key);
}

static void take_elements(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (export_is_array(reply, 1))
        export_begin(k, key);
    for (size_t i = 0; export_is_array(reply, i + 1); i++) {
        struct span element = value_of(reply->element[i]);
        commands_add(k->commands, "RPUSH", key->name, &element, 1);
    }
    commands_close(k->commands);
    key->from += ELEMENTS;
    if (!export_is_array(reply, ELEMENTS))
        export_finish(k, key);
}

static void take_members(struct export_keys *k, const struct export_key *key,
                         const redisReply *members)
{
    size_t step = key->kind == KIND_SET ? 1 : 2;

    for (size_t i = 0; export_is_array(members, i + step); i += step) {
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

static void take_scan(struct export_keys *k, struct export_key *key, const redisReply *reply)
{
    if (!export_is_array(reply, 2)) {
        export_finish(k, key);
        return;
    }
    if (export_is_array(reply->element[1], 1))
        export_begin(k, key);
    take_members(k, key, reply->element[1]);
    export_keep_cursor(key, "", reply->element[0]);
    if (strcmp(key->cursor, "0") == 0)
        export_finish(k, key);
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
        return export_take_stream(k, key, reply);
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
    return connection_send(k->remote);
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
    reply = connection_reply(k->remote);
    if (reply == NULL)
        return false;
    if (!take(k, &k->keys[k->at++], reply))
        freeReplyObject(reply);
    return true;
}
