#include "bin/import_keys.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"

void import_keys_release(struct import_keys *k)
{
    buffer_release(&k->key);
    buffer_release(&k->group);
    buffer_release(&k->consumer);
}

static void put(struct import_keys *k, const struct span *argv, size_t argc)
{
    commands_put(k->commands, argv, argc);
}

static void put_removal(struct import_keys *k)
{
    put(k, (struct span[]){ span_str("DEL"), buffer_span(&k->key) }, 2);
}

static void begin(struct import_keys *k, const struct rdb_event *e)
{
    buffer_clear(&k->key);
    buffer_put(&k->key, k->prefix);
    buffer_put(&k->key, e->name);
    k->type = e->type;
    k->expires_ms = e->expires_ms;
    k->empty = true;
    /* SET replaces whatever there is; whether a stream comes is seen with its first entry. */
    if (k->replace && k->type != RDB_STRING && !(k->new_ids && k->type == RDB_STREAM_KEY))
        put_removal(k);
}

static void end(struct import_keys *k)
{
    char text[NUMBER_TEXT_MAX];

    commands_close(k->commands);
    if (k->expires_ms == 0)
        return;
    struct span deadline = commands_number(k->expires_ms, text);
    put(k, (struct span[]){ span_str("PEXPIREAT"), buffer_span(&k->key), deadline }, 3);
}

static void put_item(struct import_keys *k, const struct rdb_event *e)
{
    struct span key = buffer_span(&k->key);
    char score[32];

    switch (k->type) {
    case RDB_STRING:
        put(k, (struct span[]){ span_str("SET"), key, e->name }, 3);
        break;
    case RDB_LIST:
        commands_add(k->commands, "RPUSH", key, &e->name, 1);
        break;
    case RDB_SET:
        commands_add(k->commands, "SADD", key, &e->name, 1);
        break;
    case RDB_HASH:
        commands_add(k->commands, "HSET", key, (struct span[]){ e->name, e->value }, 2);
        break;
    case RDB_ZSET: {
        struct span digits = span_of(score, decimal_of_double(e->score, score));
        commands_add(k->commands, "ZADD", key, (struct span[]){ digits, e->name }, 2);
        break;
    }
    case RDB_STREAM_KEY:
    case RDB_TYPES:
        break;
    }
}

/* --- streams --- */

static struct span id_text(struct stream_id id, char *text)
{
    int len = snprintf(text, NUMBER_TEXT_MAX, "%" PRIu64 "-%" PRIu64, id.ms, id.sequence);

    return span_of(text, (size_t)len);
}

static void put_entry(struct import_keys *k, const struct rdb_event *e)
{
    char text[NUMBER_TEXT_MAX];
    struct span id = k->new_ids ? span_str("*") : id_text(e->id, text);
    struct span key = buffer_span(&k->key);

    if (e->field_count == 0)
        return; /* Redis makes none */
    if (k->replace && k->new_ids && k->empty)
        put_removal(k);
    struct span *argv = mem_alloc((3 + e->field_count) * sizeof(*argv));
    argv[0] = span_str("XADD");
    argv[1] = key;
    argv[2] = id;
    memcpy(argv + 3, e->fields, e->field_count * sizeof(*argv));
    put(k, argv, 3 + e->field_count);
    mem_free(argv);
    k->empty = false;
}

/* An entry that comes and goes makes a stream without entries. */
static void put_empty_stream(struct import_keys *k)
{
    struct span argv[] = {
        span_str("XADD"), buffer_span(&k->key), span_str("MAXLEN"), span_str("0"),
        span_str("0-1"),  span_str("x"),        span_str("y"),
    };
    put(k, argv, COUNT_OF(argv));
}

/* Where several regions write, a stream is there by its entries only. */
static void leave_out(struct import_keys *k)
{
    k->streams_lost++;
    k->expires_ms = 0;
}

static void put_stream(struct import_keys *k, const struct rdb_stream *s)
{
    char last[NUMBER_TEXT_MAX], added[NUMBER_TEXT_MAX], removed[NUMBER_TEXT_MAX];

    if (k->new_ids && k->empty)
        leave_out(k);
    if (k->new_ids)
        return;
    if (k->empty)
        put_empty_stream(k);
    struct span argv[] = {
        span_str("XSETID"),
        buffer_span(&k->key),
        id_text(s->last_id, last),
        span_str("ENTRIESADDED"),
        commands_number(s->added, added),
        span_str("MAXDELETEDID"),
        id_text(s->removed_id, removed),
    };
    put(k, argv, s->counted ? COUNT_OF(argv) : 3);
}

static void put_group(struct import_keys *k, const struct rdb_event *e)
{
    char id[NUMBER_TEXT_MAX], read[NUMBER_TEXT_MAX];

    if (k->new_ids) {
        k->groups_lost++;
        return;
    }
    buffer_clear(&k->group);
    buffer_put(&k->group, e->name);
    struct span argv[] = {
        span_str("XGROUP"),
        span_str("CREATE"),
        buffer_span(&k->key),
        e->name,
        id_text(e->id, id),
        span_str("ENTRIESREAD"),
        commands_number((uint64_t)e->entries_read, read),
    };
    put(k, argv, e->entries_read < 0 ? 5 : COUNT_OF(argv));
}

static void put_consumer(struct import_keys *k, const struct rdb_event *e)
{
    struct span argv[] = { span_str("XGROUP"), span_str("CREATECONSUMER"), buffer_span(&k->key),
                           buffer_span(&k->group), e->name };

    buffer_clear(&k->consumer);
    buffer_put(&k->consumer, e->name);
    if (!k->new_ids)
        put(k, argv, COUNT_OF(argv));
}

static void put_pending(struct import_keys *k, const struct rdb_event *e)
{
    char id[NUMBER_TEXT_MAX], ms[NUMBER_TEXT_MAX], deliveries[NUMBER_TEXT_MAX];
    struct span argv[] = {
        span_str("XCLAIM"),     buffer_span(&k->key),
        buffer_span(&k->group), buffer_span(&k->consumer),
        span_str("0"),          id_text(e->id, id),
        span_str("TIME"),       commands_number(e->delivered_ms, ms),
        span_str("RETRYCOUNT"), commands_number(e->deliveries, deliveries),
        span_str("FORCE"),      span_str("JUSTID"),
    };
    if (!k->new_ids)
        put(k, argv, COUNT_OF(argv));
}

void import_keys_take(struct import_keys *k, const struct rdb_event *e)
{
    switch (e->kind) {
    case RDB_KEY:
        begin(k, e);
        break;
    case RDB_ITEM:
        put_item(k, e);
        break;
    case RDB_ENTRY:
        put_entry(k, e);
        break;
    case RDB_STREAM:
        put_stream(k, &e->stream);
        break;
    case RDB_GROUP:
        put_group(k, e);
        break;
    case RDB_CONSUMER:
        put_consumer(k, e);
        break;
    case RDB_PENDING:
        put_pending(k, e);
        break;
    case RDB_KEY_END:
        end(k);
        break;
    case RDB_AUX:
    case RDB_LIBRARY:
    case RDB_MODULE:
    case RDB_FINISHED:
        break;
    }
}
