#include "cmd/erasure.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "cmd/data.h"
#include "cmd/handlers.h"
#include "cmd/system.h"
#include "core/replica.h"

static const char *const state_words[] = {
    [ERASURE_WAITS] = "waits",
    [ERASURE_REMOVED] = "removed",
    [ERASURE_DONE] = "done",
};

/* --- fields --- */

static void put_name(struct buffer *out, const struct erasure *e)
{
    buffer_put_text(out, e->prefix ? "p:" : "k:");
    buffer_put(out, e->name);
}

static struct span asked_field(struct buffer *out, const struct erasure *e)
{
    buffer_clear(out);
    buffer_put_text(out, "erase:");
    put_name(out, e);
    return buffer_span(out);
}

static struct span mark_field(struct buffer *out, const struct erasure *e, uint8_t region)
{
    buffer_clear(out);
    buffer_printf(out, "erased:%u:", region);
    put_name(out, e);
    return buffer_span(out);
}

static bool take_text(struct span *in, const char *text)
{
    size_t len = strlen(text);

    if (in->len < len || memcmp(in->at, text, len) != 0)
        return false;
    *in = span_skip(*in, len);
    return true;
}

/* Up to the next of `end`, which goes too. */
static bool take_until(struct span *in, char end, struct span *word)
{
    const uint8_t *at = in->len > 0 ? memchr(in->at, end, in->len) : NULL;

    if (at == NULL)
        return false;
    *word = span_of(in->at, (size_t)(at - in->at));
    *in = span_skip(*in, word->len + 1);
    return true;
}

static bool take_number(struct span text, uint64_t *number)
{
    int64_t value;

    if (!span_to_int64(text, &value) || value < 0)
        return false;
    *number = (uint64_t)value;
    return true;
}

static bool take_erasure(struct span field, struct span id, struct erasure *e)
{
    struct span in = id, ms;

    if (!take_text(&field, "erase:") || id.len >= ERASURE_ID_MAX || !take_until(&in, '-', &ms) ||
        !take_number(ms, &e->asked_ms))
        return false;
    e->prefix = take_text(&field, "p:");
    if (!e->prefix && !take_text(&field, "k:"))
        return false;
    e->name = field;
    memcpy(e->id, id.at, id.len);
    e->id[id.len] = 0;
    return true;
}

static bool take_mark(struct span in, const char *id, struct erasure_mark *mark)
{
    struct span of, state, keys;

    if (!take_until(&in, ' ', &of) || !span_equal(of, span_str(id)) ||
        !take_until(&in, ' ', &state) || !take_until(&in, ' ', &keys) ||
        !take_number(keys, &mark->keys) || !take_number(in, &mark->at_ms))
        return false;
    mark->state = span_equal(state, span_str(state_words[ERASURE_DONE]))      ? ERASURE_DONE
                  : span_equal(state, span_str(state_words[ERASURE_REMOVED])) ? ERASURE_REMOVED
                                                                              : ERASURE_WAITS;
    return true;
}

/* --- reading them --- */

void erasure_each(const struct server *server, erasure_fn visit, void *context)
{
    for (size_t i = 0; i < server->deployment->keyspace_count; i++) {
        const struct keyspace_live *k = &server->keyspaces[i];
        const struct table *fields = system_holds(server, k) ? system_fields(server, k) : NULL;
        struct table_iter it;

        if (fields == NULL)
            continue;
        table_iter_init(&it, fields);
        for (void **slot; (slot = table_iter_next(&it)) != NULL;) {
            struct erasure e = { .keyspace = k };
            char scratch[CELL_SCRATCH_BYTES];
            struct span value;

            if (entry_read(*slot, scratch, &value) && take_erasure(entry_name(*slot), value, &e))
                visit(context, &e);
        }
    }
}

struct erasure_mark erasure_mark_of(const struct server *server, const struct erasure *e,
                                    uint8_t region)
{
    struct erasure_mark mark = { .state = ERASURE_WAITS };
    struct buffer field = { 0 };
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;

    if (system_get(server, e->keyspace, mark_field(&field, e, region), scratch, &value) &&
        !take_mark(value, e->id, &mark))
        mark = (struct erasure_mark){ .state = ERASURE_WAITS };
    buffer_release(&field);
    return mark;
}

static bool is_member(const struct server *server, const struct erasure *e, size_t region)
{
    const struct deployment *d = server->deployment;

    return fence_holds(&d->fences[server_declared(server, e->keyspace)->fence],
                       d->regions[region].id);
}

bool erasure_all_are(const struct server *server, const struct erasure *e, enum erasure_state state,
                     uint64_t *last_ms)
{
    const struct deployment *d = server->deployment;

    *last_ms = 0;
    for (size_t i = 0; i < d->region_count; i++) {
        if (!is_member(server, e, i))
            continue;
        struct erasure_mark mark = erasure_mark_of(server, e, d->regions[i].id);
        if (mark.state < state)
            return false;
        *last_ms = mark.at_ms > *last_ms ? mark.at_ms : *last_ms;
    }
    return true;
}

/* --- writing them --- */

void erasure_put_mark(struct server *server, const struct erasure *e,
                      const struct erasure_mark *mark)
{
    struct buffer field = { 0 }, value = { 0 };

    mark_field(&field, e, server->replica->options.region);
    buffer_printf(&value, "%s %s %" PRIu64 " %" PRIu64, e->id, state_words[mark->state], mark->keys,
                  mark->at_ms);
    system_put(server, e->keyspace, buffer_span(&field), buffer_span(&value));
    buffer_release(&field);
    buffer_release(&value);
}

void erasure_forget(struct server *server, const struct erasure *e)
{
    const struct deployment *d = server->deployment;
    struct buffer field = { 0 }, name = { 0 };
    struct erasure own = *e;

    buffer_put(&name, e->name); /* the field that it stands in goes first */
    own.name = buffer_span(&name);
    system_take(server, e->keyspace, asked_field(&field, &own));
    for (size_t i = 0; i < d->region_count; i++)
        system_take(server, e->keyspace, mark_field(&field, &own, d->regions[i].id));
    buffer_release(&field);
    buffer_release(&name);
}

/* --- the command --- */

/* A keyspace of a longer prefix that begins with the name: what erases a prefix reaches into it too. */
static bool is_below(const struct server *server, const struct keyspace_live *k, struct span name)
{
    struct span text = span_str(server_declared(server, k)->prefix);

    return text.len > name.len && memcmp(text.at, name.at, name.len) == 0;
}

static bool holds(struct call *call, const struct keyspace_live *k)
{
    if (system_holds(call->server, k))
        return true;
    reply_errorf(call->reply,
                 "FENCED this region may not hold keys of '%s': ask a region of its fence",
                 server_prefix(call->server, k));
    return false;
}

static bool holds_all(struct call *call, struct span name, bool prefix)
{
    const struct server *server = call->server;

    if (!holds(call, server_keyspace(server, name)))
        return false;
    for (size_t i = 0; prefix && i < server->deployment->keyspace_count; i++) {
        const struct keyspace_live *k = &server->keyspaces[i];

        if (is_below(server, k, name) && !holds(call, k))
            return false;
    }
    return true;
}

/* Greater than that of an erasure of a moment ago, if anything was written or heard of between. */
static void put_id(char id[ERASURE_ID_MAX], const struct call *call)
{
    const struct replica *r = call->replica;

    snprintf(id, ERASURE_ID_MAX, "%" PRIu64 "-%u-%" PRIu64, call->now_ms, r->options.region,
             r->hlc.last & STAMP_COUNTER_MAX);
}

/* Each keyspace may lie in a fence of its own: so each is a group. */
static void ask_in(struct call *call, const struct erasure *e, const char *id)
{
    struct buffer field = { 0 };

    if (!call->nested)
        replica_split_group(call->replica);
    system_put(call->server, e->keyspace, asked_field(&field, e), span_str(id));
    buffer_release(&field);
}

static void ask(struct call *call, struct span name, bool prefix)
{
    const struct server *server = call->server;
    struct erasure e = { .keyspace = server_keyspace(server, name),
                         .prefix = prefix,
                         .name = name };
    char id[ERASURE_ID_MAX];

    put_id(id, call);
    ask_in(call, &e, id);
    for (size_t i = 0; prefix && i < server->deployment->keyspace_count; i++) {
        e.keyspace = &server->keyspaces[i];
        if (is_below(server, e.keyspace, name))
            ask_in(call, &e, id);
    }
}

static void ask_for_keys(struct call *call)
{
    for (size_t i = 2; i < call->argc; i++) {
        if (!holds_all(call, call->argv[i], false))
            return;
    }
    for (size_t i = 2; i < call->argc; i++)
        ask(call, call->argv[i], false);
    reply_ok(call->reply);
}

static void ask_for_prefix(struct call *call, struct span prefix)
{
    if (prefix.len == 0) {
        reply_error(call->reply, "ERR an empty prefix is everything: that is FLUSHALL");
        return;
    }
    if (!holds_all(call, prefix, true))
        return;
    ask(call, prefix, true);
    reply_ok(call->reply);
}

static void put_regions(struct call *call, const struct erasure *e)
{
    const struct deployment *d = call->server->deployment;
    size_t members = 0;

    for (size_t i = 0; i < d->region_count; i++)
        members += is_member(call->server, e, i);
    reply_array(call->reply, members);
    for (size_t i = 0; i < d->region_count; i++) {
        if (!is_member(call->server, e, i))
            continue;
        struct erasure_mark mark = erasure_mark_of(call->server, e, d->regions[i].id);

        reply_array(call->reply, 4);
        reply_bulk_text(call->reply, d->regions[i].name);
        reply_bulk_text(call->reply, state_words[mark.state]);
        reply_int(call->reply, (int64_t)mark.keys);
        reply_int(call->reply, mark.at_ms > e->asked_ms ? (int64_t)(mark.at_ms - e->asked_ms) : 0);
    }
}

struct listing {
    struct call *call;
    struct span name; /* at NULL: all */
    uint64_t count;
    bool put;
};

static void list_one(void *context, const struct erasure *e)
{
    struct listing *l = context;
    struct reply *reply = l->call->reply;
    struct buffer waits = { 0 };
    uint64_t last_ms;

    if (l->name.at != NULL && !span_equal(l->name, e->name))
        return;
    l->count++;
    if (!l->put)
        return;
    bool done = erasure_all_are(l->call->server, e, ERASURE_DONE, &last_ms);
    reply_map(reply, 6);
    reply_bulk_text(reply, e->prefix ? "prefix" : "key");
    reply_bulk(reply, e->name);
    reply_bulk_text(reply, "keyspace");
    reply_bulk_text(reply, server_prefix(l->call->server, e->keyspace));
    reply_bulk_text(reply, "id");
    reply_bulk_text(reply, e->id);
    reply_bulk_text(reply, "state");
    reply_bulk_text(reply, done ? "finished" : "running");
    reply_bulk_text(reply, "regions");
    put_regions(l->call, e);
    reply_bulk_text(reply, "waits");
    l->call->server->hooks->erase_waits(l->call->server->node, &waits);
    reply_bulk(reply, buffer_span(&waits));
    buffer_release(&waits);
}

static void list(struct call *call)
{
    struct listing l = { .call = call };

    if (call->argc > 2)
        l.name = call->argv[2];
    erasure_each(call->server, list_one, &l);
    reply_array(call->reply, l.count);
    l.put = true;
    erasure_each(call->server, list_one, &l);
}

/* A list of keys that has come out empty must not erase whatever begins with KEY. */
void cmd_erase(struct call *call)
{
    if (call_is(call, 1, "key") && call->argc > 2)
        ask_for_keys(call);
    else if (call_is(call, 1, "prefix") && call->argc == 3)
        ask_for_prefix(call, call->argv[2]);
    else if (call_is(call, 1, "status") && call->argc <= 3)
        list(call);
    else if (call->argc == 2 && !call_is(call, 1, "key") && !call_is(call, 1, "prefix"))
        ask_for_prefix(call, call->argv[1]);
    else
        call_syntax_error(call);
}
