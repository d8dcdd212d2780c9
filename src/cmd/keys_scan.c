/*
 * keys_scan -- KEYS, SCAN, HSCAN, SSCAN, ZSCAN.
 *
 * A cursor is the table's own: no state is kept between calls, and what stays in the table for a
 * whole scan is told at least once. COUNT is how many items are looked at, before MATCH and TYPE
 * choose among them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/data.h"
#include "cmd/glob.h"
#include "crdt/resident.h"
#include "crdt/score.h"

enum {
    COUNT_DEFAULT = 10,
    CURSOR_TEXT_MAX = 32,
    EMPTY_BUCKETS_MAX = 10, /* for each item of COUNT: bounds a step through a sparse table */
};

struct options {
    int64_t count;
    struct span pattern;
    bool matching;
    struct span type;
    bool typed;
};

/* What one step found. */
struct found {
    const struct entry **items;
    size_t count, cap;
};

static void add_found(void *context, void *item)
{
    struct found *found = context;

    if (found->count == found->cap) {
        found->cap = found->cap > 0 ? found->cap * 2 : 32;
        found->items = mem_realloc(found->items, found->cap * sizeof(*found->items));
    }
    found->items[found->count++] = item;
}

/* Moves the cursor on until `count` items were seen, or the end. */
static uint64_t step(const struct table *t, uint64_t cursor, int64_t count, struct found *found)
{
    uint64_t buckets = (uint64_t)count < UINT64_MAX / EMPTY_BUCKETS_MAX
                           ? (uint64_t)count * EMPTY_BUCKETS_MAX
                           : UINT64_MAX;

    do {
        cursor = table_scan(t, cursor, add_found, found);
    } while (cursor != 0 && --buckets > 0 && found->count < (uint64_t)count);
    return cursor;
}

/* As strtoul reads it, which Redis uses: signs are taken, spaces are not. */
static bool take_cursor(struct call *call, struct span s, uint64_t *cursor)
{
    char text[CURSOR_TEXT_MAX];
    char *end = text;

    errno = 0;
    if (s.len < sizeof(text)) {
        memcpy(text, s.at, s.len);
        text[s.len] = 0;
        *cursor = strtoull(text, &end, 10);
        bool space = text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r');
        if (!space && *end == 0 && errno != ERANGE)
            return true;
    }
    reply_error(call->reply, "ERR invalid cursor");
    return false;
}

static bool take_options(struct call *call, size_t from, bool of_keys, struct options *o)
{
    *o = (struct options){ .count = COUNT_DEFAULT };
    for (size_t i = from; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;

        if (more && call_is(call, i, "count")) {
            if (!call_int(call, call->argv[i + 1], &o->count))
                return false;
        } else if (more && call_is(call, i, "match")) {
            o->pattern = call->argv[i + 1];
            o->matching = true;
        } else if (more && of_keys && call_is(call, i, "type")) {
            o->type = call->argv[i + 1];
            o->typed = true;
        } else {
            o->count = 0;
        }
        if (o->count < 1) {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool name_wanted(const struct options *o, struct span name)
{
    return !o->matching || glob_match(o->pattern, name);
}

static bool type_wanted(const struct options *o, enum component c)
{
    return span_equal_nocase(o->type, data_type_name(c));
}

static void reply_cursor(struct reply *r, uint64_t cursor)
{
    char text[CURSOR_TEXT_MAX];
    int len = snprintf(text, sizeof(text), "%" PRIu64, cursor);

    reply_array(r, 2);
    reply_bulk(r, span_of(text, (size_t)len));
}

/* --- keys --- */

/* Those that are wanted as far as it can be told without reading them from disk. */
struct found_keys {
    const struct call *call;
    const struct options *options;
    struct buffer names; /* with their lengths */
    uint64_t looked;
};

static void add_key(void *context, const struct scanned *s)
{
    struct found_keys *found = context;

    found->looked++;
    if (!data_is_live(found->call, s) || !name_wanted(found->options, s->key))
        return;
    buffer_put_prefixed(&found->names, s->key);
}

static uint64_t step_keys(struct call *call, uint64_t cursor, uint64_t count,
                          struct found_keys *found)
{
    struct database *d = &call->replica->databases[call->db];
    uint64_t steps = count < UINT64_MAX / EMPTY_BUCKETS_MAX ? count * EMPTY_BUCKETS_MAX
                                                            : UINT64_MAX;

    do {
        cursor = resident_scan(d, cursor, add_key, found);
    } while (cursor != 0 && --steps > 0 && found->looked < count);
    return cursor;
}

static bool is_of_type(struct call *call, const struct options *o, struct span key)
{
    const struct entry *e = o->typed ? database_find(&call->replica->databases[call->db], key)
                                     : NULL;

    return !o->typed || (e != NULL && type_wanted(o, object_visible(e)));
}

static void reply_keys(struct call *call, const struct found_keys *found)
{
    struct span names = buffer_span(&found->names), key;
    uint64_t wanted = 0;

    size_t place = reply_later(call->reply);
    while (span_take_prefixed(&names, &key)) {
        if (!is_of_type(call, found->options, key))
            continue;
        reply_bulk(call->reply, key);
        wanted++;
    }
    reply_later_set(call->reply, place, '*', wanted);
}

void cmd_scan(struct call *call)
{
    struct options o;
    struct found_keys found = { .call = call, .options = &o };
    uint64_t cursor;

    if (!take_cursor(call, call->argv[1], &cursor) || !take_options(call, 2, true, &o))
        return;
    reply_cursor(call->reply, step_keys(call, cursor, (uint64_t)o.count, &found));
    reply_keys(call, &found);
    buffer_release(&found.names);
}

void cmd_keys(struct call *call)
{
    struct options o = { .pattern = call->argv[1], .matching = true };
    struct found_keys found = { .call = call, .options = &o };
    uint64_t cursor = 0;

    do {
        cursor = step_keys(call, cursor, UINT64_MAX, &found);
    } while (cursor != 0);
    reply_keys(call, &found);
    buffer_release(&found.names);
}

/* --- fields --- */

static void reply_value(struct call *call, enum component c, const struct entry *e)
{
    char scratch[CELL_SCRATCH_BYTES];

    if (c == COMPONENT_ZSET) /* a bulk string in RESP3 too */
        reply_bulk(call->reply, span_of(scratch, decimal_of_score(entry_score(e), scratch)));
    else
        reply_bulk(call->reply, data_value(e, scratch));
}

static void scan_fields(struct call *call, enum component c)
{
    bool valued = c != COMPONENT_SET;
    struct found found = { 0 };
    const struct table *fields;
    uint64_t cursor, wanted = 0;
    struct options o;

    if (!take_cursor(call, call->argv[2], &cursor) ||
        !data_find_fields(call, call->argv[1], c, &fields))
        return;
    if (fields == NULL) {
        reply_cursor(call->reply, 0);
        reply_array(call->reply, 0);
        return;
    }
    if (!take_options(call, 3, false, &o))
        return;
    reply_cursor(call->reply, step(fields, cursor, o.count, &found));
    size_t place = reply_later(call->reply);
    for (size_t i = 0; i < found.count; i++) {
        if (!name_wanted(&o, entry_name(found.items[i])))
            continue;
        reply_bulk(call->reply, entry_name(found.items[i]));
        if (valued)
            reply_value(call, c, found.items[i]);
        wanted++;
    }
    reply_later_set(call->reply, place, '*', valued ? wanted * 2 : wanted);
    mem_free(found.items);
}

void cmd_hscan(struct call *call)
{
    scan_fields(call, COMPONENT_HASH);
}

void cmd_sscan(struct call *call)
{
    scan_fields(call, COMPONENT_SET);
}

void cmd_zscan(struct call *call)
{
    scan_fields(call, COMPONENT_ZSET);
}
