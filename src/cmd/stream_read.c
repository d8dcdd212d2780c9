/*
 * stream_read -- XREAD and XREADGROUP.
 *
 * First every key is looked at, then those that have something are served, one by one: what a group
 * delivers is written while the reply is made, and no view outlives that.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "cmd/blocking.h"
#include "cmd/stream_args.h"
#include "cmd/stream_group.h"
#include "cmd/stream_wake.h"

struct source {
    struct span key;
    struct stream_id after;
    bool is_new; /* ">": what the group was not given yet */
    bool ready;
};

struct read {
    struct call *call;
    bool by_group;
    struct span group, consumer;
    bool no_ack;
    bool blocks;
    uint64_t timeout_us;
    uint64_t count;
    size_t first_key;
    struct source *sources; /* [source_count] */
    size_t source_count;
};

static bool refuse(struct read *r, const char *error)
{
    reply_error(r->call->reply, error);
    return false;
}

/* --- arguments --- */

static bool take_count(struct read *r, struct span s)
{
    int64_t count;

    if (!call_int(r->call, s, &count))
        return false;
    r->count = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

static bool take_streams(struct read *r, size_t first)
{
    size_t rest = r->call->argc - first;

    if (rest % 2 != 0)
        return refuse(r, "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' "
                         "must be specified.");
    r->first_key = first;
    r->source_count = rest / 2;
    return true;
}

static bool only_groups(struct read *r, const char *option)
{
    if (r->by_group)
        return true;
    reply_errorf(r->call->reply,
                 "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                 option);
    return false;
}

/* The option at *at, past which *at is moved. */
static bool take_option(struct read *r, size_t *at, bool *has_group)
{
    struct call *call = r->call;
    size_t i = *at, more = call->argc - 1 - i;

    *at += 2;
    if (more > 0 && call_is(call, i, "block")) {
        r->blocks = true;
        return call_timeout_ms(call, i + 1, &r->timeout_us);
    }
    if (more > 0 && call_is(call, i, "count"))
        return take_count(r, call->argv[i + 1]);
    if (more > 0 && call_is(call, i, "streams"))
        return take_streams(r, i + 1);
    if (more > 1 && call_is(call, i, "group")) {
        *at = i + 3;
        *has_group = true;
        r->group = call->argv[i + 1];
        r->consumer = call->argv[i + 2];
        return only_groups(r, "GROUP");
    }
    if (call_is(call, i, "noack")) {
        *at = i + 1;
        r->no_ack = true;
        return only_groups(r, "NOACK");
    }
    call_syntax_error(call);
    return false;
}

static bool take_options(struct read *r)
{
    bool has_group = false;

    r->count = UINT64_MAX;
    for (size_t at = 1; at < r->call->argc && r->first_key == 0;) {
        if (!take_option(r, &at, &has_group))
            return false;
    }
    if (r->first_key == 0) {
        call_syntax_error(r->call);
        return false;
    }
    if (r->by_group && !has_group)
        return refuse(r, "ERR Missing GROUP option for XREADGROUP");
    return true;
}

static bool take_id(struct read *r, const struct stream_view *v, struct span text, struct source *s)
{
    s->is_new = span_equal(text, span_str(">"));
    if (s->is_new && !r->by_group)
        return refuse(r, "ERR The > ID can be specified only when calling XREADGROUP using the "
                         "GROUP <group> <consumer> option.");
    if (s->is_new)
        return true;
    if (!span_equal(text, span_str("$")))
        return stream_arg_id(r->call, text, 0, &s->after);
    s->after = v->last_id;
    return !r->by_group ||
           refuse(r, "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read "
                     "the history of this consumer by specifying a proper ID, or use the > ID to "
                     "get new messages. The $ ID would just return an empty result set.");
}

/* --- looking at the keys --- */

static bool look_as_reader(struct read *r, struct source *s, struct span text)
{
    struct stream_view v;

    if (!stream_find_seen(r->call, s->key, &v) || !take_id(r, &v, text, s))
        return false;
    s->ready = v.length > 0 && stream_id_compare(v.top_id, s->after) > 0;
    return true;
}

/* Who waits for a group is told when it goes. */
static bool look_again(struct read *r, struct source *s, const struct stream_view *v)
{
    struct stream_group g;

    if (blocking_retry_key(r->call, s->key) == RETRY_HIDDEN)
        return true;
    if (!v->there)
        return refuse(r, "UNBLOCKED the stream key no longer exists");
    if (!group_find(v, r->group, &g))
        return refuse(r, "NOGROUP the consumer group this client was blocked on no longer exists");
    s->ready = v->length > 0 && stream_id_compare(v->top_id, g.last_id) > 0;
    return true;
}

static bool no_such_group(struct read *r, struct span key)
{
    reply_errorf(r->call->reply,
                 "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP "
                 "option",
                 (int)key.len, (const char *)key.at, (int)r->group.len, (const char *)r->group.at);
    return false;
}

static bool look_as_group(struct read *r, struct source *s, struct span text)
{
    struct stream_view v = { 0 };
    struct stream_group g;
    bool fits = stream_find(r->call, s->key, &v);

    if (r->call->retry)
        return look_again(r, s, &v) && take_id(r, &v, text, s);
    if (!fits || !call_one_writer(r->call, s->key, "XREADGROUP"))
        return false;
    if (!v.there || !group_find(&v, r->group, &g))
        return no_such_group(r, s->key);
    if (!take_id(r, &v, text, s))
        return false;
    if (stream_id_compare(s->after, STREAM_ID_MAX) == 0)
        s->is_new = true; /* to Redis they are one */
    s->ready = !s->is_new || (v.length > 0 && stream_id_compare(v.top_id, g.last_id) > 0);
    return true;
}

/* False when it replied an error; else *ready is how many have something. */
static bool look(struct read *r, size_t *ready)
{
    *ready = 0;
    for (size_t i = 0; i < r->source_count; i++) {
        struct source *s = &r->sources[i];
        struct span id = r->call->argv[r->first_key + r->source_count + i];

        s->key = r->call->argv[r->first_key + i];
        if (!(r->by_group ? look_as_group(r, s, id) : look_as_reader(r, s, id)))
            return false;
        *ready += s->ready;
    }
    return true;
}

/* --- serving a group --- */

/* The group's round of one stream. */
struct round {
    struct stream_view view;
    struct stream_group group;
    struct group_changes changes;
};

static bool has_room(const struct read *r, const struct round *now)
{
    return group_has_room(r->call, &now->changes, r->call->reply);
}

/* After XGROUP SETID what is delivered may be pending already. */
static bool any_pending_from(const struct read *r, const struct round *now, struct stream_id from)
{
    struct group_items it;
    struct stream_pending p;

    group_items_pending(&it, &now->view, r->group, from);
    bool any = group_next_pending(&it, &p);
    group_items_release(&it);
    return any;
}

static void make_pending(const struct read *r, struct round *now, struct stream_id id, bool again)
{
    struct stream_pending before, p = { id, r->consumer, r->call->now_ms, 1 };

    again = again && group_find_pending(&now->view, r->group, id, &before);
    group_put_pending(&now->changes, r->group, &p, again ? &before.consumer : NULL);
}

static uint64_t deliver_new(struct read *r, struct round *now)
{
    struct stream_id from = now->group.last_id;
    struct btree_cursor c;
    uint64_t count = 0;

    if (!stream_id_next(&from))
        return 0;
    bool again = any_pending_from(r, now, from);
    const struct entry *e = stream_at(&now->view, stream_rank(&now->view, from), &c);
    for (; e != NULL && count < r->count && (count == 0 || has_room(r, now)); e = btree_next(&c)) {
        struct stream_id id = stream_entry_id(e);

        group_advance(&now->view, &now->group, id);
        stream_reply_entry(r->call->reply, e);
        if (!r->no_ack)
            make_pending(r, now, id, again);
        count++;
    }
    group_put(&now->changes, r->group, &now->group);
    return count;
}

static void replay_one(struct read *r, struct round *now, struct stream_pending *p)
{
    const struct entry *e = stream_entry(&now->view, p->id);
    struct span holder = p->consumer;

    if (e == NULL) {
        reply_array(r->call->reply, 2);
        stream_reply_id(r->call->reply, p->id);
        reply_null_array(r->call->reply);
        return;
    }
    stream_reply_entry(r->call->reply, e);
    p->delivered_ms = r->call->now_ms;
    p->deliveries++;
    group_put_pending(&now->changes, r->group, p, &holder);
}

static uint64_t replay(struct read *r, struct round *now, struct stream_id after)
{
    struct group_items it;
    struct stream_pending p;
    uint64_t count = 0;

    if (!stream_id_next(&after))
        return 0;
    group_items_held(&it, &now->view, r->group, r->consumer, after);
    while (count < r->count && has_room(r, now) && group_next_pending(&it, &p)) {
        replay_one(r, now, &p);
        count++;
    }
    group_items_release(&it);
    return count;
}

static void serve_group(struct read *r, const struct source *s)
{
    struct round now = { 0 };
    size_t place = reply_later(r->call->reply);
    bool there = stream_find(r->call, s->key, &now.view) &&
                 group_find(&now.view, r->group, &now.group);

    CHECK(there);
    group_put_consumer(&now.changes, r->group, r->consumer, r->call->now_ms);
    uint64_t count = s->is_new ? deliver_new(r, &now) : replay(r, &now, s->after);
    reply_later_set(r->call->reply, place, '*', count);
    group_emit(r->call, s->key, &now.changes);
    group_changes_release(&now.changes);
}

static void serve_reader(struct read *r, const struct source *s)
{
    struct stream_id from = s->after;
    struct stream_view v;
    bool there = stream_find_seen(r->call, s->key, &v) && stream_id_next(&from);

    CHECK(there);
    stream_reply_range(r->call, &v, from, STREAM_ID_MAX, r->count, false);
}

static void serve(struct read *r, size_t ready)
{
    struct reply *reply = r->call->reply;

    if (reply->protocol >= 3)
        reply_map(reply, ready);
    else
        reply_array(reply, ready);
    for (size_t i = 0; i < r->source_count; i++) {
        const struct source *s = &r->sources[i];

        if (!s->ready)
            continue;
        if (reply->protocol < 3)
            reply_array(reply, 2);
        reply_bulk(reply, s->key);
        if (r->by_group)
            serve_group(r, s);
        else
            serve_reader(r, s);
    }
}

/* --- waiting --- */

enum { ID_TEXT_BYTES = 48 };

/* "$" means what was the last entry when the wait began. */
static bool wait_with_ids(struct read *r, const struct span *keys)
{
    struct call *call = r->call;
    struct span *argv = mem_alloc(call->argc * sizeof(*argv));
    char *texts = mem_alloc(r->source_count * ID_TEXT_BYTES);

    memcpy(argv, call->argv, call->argc * sizeof(*argv));
    for (size_t i = 0; i < r->source_count; i++) {
        struct stream_id id = r->sources[i].after;
        char *text = texts + i * ID_TEXT_BYTES;
        int len = snprintf(text, ID_TEXT_BYTES, "%" PRIu64 "-%" PRIu64, id.ms, id.sequence);

        argv[r->first_key + r->source_count + i] = span_of(text, (size_t)len);
    }
    bool waits = call_block(call, keys, r->source_count, r->timeout_us, argv, call->argc);
    mem_free(texts);
    mem_free(argv);
    return waits;
}

static bool wait_for_more(struct read *r)
{
    struct call *call = r->call;
    const struct span *keys = call->argv + r->first_key;

    if (r->by_group)
        return call_block(call, keys, r->source_count, r->timeout_us, NULL, 0);
    for (size_t i = 0; i < r->source_count; i++) {
        if (stream_closed(call->server, keys[i]))
            stream_wake_later(call->server, call->db, keys[i]);
    }
    return wait_with_ids(r, keys);
}

static void read_streams(struct call *call, bool by_group)
{
    struct read r = { .call = call, .by_group = by_group };
    size_t ready;

    if (!take_options(&r))
        return;
    r.sources = mem_zalloc(r.source_count * sizeof(*r.sources));
    if (look(&r, &ready)) {
        if (ready > 0)
            serve(&r, ready);
        else if (!r.blocks || !wait_for_more(&r))
            reply_null_array(call->reply);
    }
    mem_free(r.sources);
}

void cmd_xread(struct call *call)
{
    read_streams(call, false);
}

void cmd_xreadgroup(struct call *call)
{
    read_streams(call, true);
}
