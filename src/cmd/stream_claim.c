/*
 * stream_claim -- XCLAIM and XAUTOCLAIM: pending entries change hands.
 *
 * What changes is gathered while ids ascend, and emitted at the end: XCLAIM emits before an id that
 * does not, since it may have been named before.
 */
#include "base/memory.h"
#include "cmd/stream_args.h"
#include "cmd/stream_group.h"

struct claim {
    struct call *call;
    struct span key, group, consumer;
    uint64_t min_idle_ms;
    uint64_t delivered_ms; /* what claimed entries have then */
    int64_t deliveries;    /* likewise; -1: one more than before */
    bool force, only_ids;

    struct stream_view view;
    struct group_changes changes;
    bool seen; /* the consumer was written */
    struct reply *reply;
    uint64_t claimed;
};

/* XCLAIM and XAUTOCLAIM begin with key, group and consumer. */
static struct claim claim_of(struct call *call, struct reply *reply)
{
    return (struct claim){
        .call = call,
        .key = call->argv[1],
        .group = call->argv[2],
        .consumer = call->argv[3],
        .delivered_ms = call->now_ms,
        .deliveries = -1,
        .reply = reply,
    };
}

/* --- one entry --- */

static bool idle_enough(const struct claim *c, const struct stream_pending *p)
{
    uint64_t now_ms = c->call->now_ms;

    return now_ms >= p->delivered_ms ? now_ms - p->delivered_ms >= c->min_idle_ms
                                     : c->min_idle_ms == 0;
}

static void see_consumer(struct claim *c)
{
    if (!c->seen)
        group_put_consumer(&c->changes, c->group, c->consumer, c->call->now_ms);
    c->seen = true;
}

static void hand_over(struct claim *c, struct stream_pending *p, const struct span *before,
                      const struct entry *e)
{
    see_consumer(c);
    p->consumer = c->consumer;
    p->delivered_ms = c->delivered_ms;
    if (c->deliveries >= 0)
        p->deliveries = (uint64_t)c->deliveries;
    else if (!c->only_ids)
        p->deliveries++;
    group_put_pending(&c->changes, c->group, p, before);
    if (c->only_ids)
        stream_reply_id(c->reply, p->id);
    else
        stream_reply_entry(c->reply, e);
    c->claimed++;
}

/* An entry that was removed from the stream is no longer pending either. */
static void claim_one(struct claim *c, struct stream_id id)
{
    const struct entry *e = stream_entry(&c->view, id);
    struct stream_pending p;
    bool pending = group_find_pending(&c->view, c->group, id, &p);
    struct span before = pending ? p.consumer : span_of(NULL, 0);

    if (e == NULL) {
        if (pending)
            group_take_pending(&c->changes, c->group, &p);
        return;
    }
    if (pending ? !idle_enough(c, &p) : !c->force)
        return;
    if (!pending)
        p = (struct stream_pending){ .id = id, .deliveries = 1 };
    hand_over(c, &p, pending ? &before : NULL, e);
}

/* --- arguments --- */

static bool find_group(struct claim *c, const char *what, struct stream_group *g)
{
    struct call *call = c->call;

    if (!stream_find(call, c->key, &c->view) || !call_one_writer(call, c->key, what))
        return false;
    if (c->view.there && group_find(&c->view, c->group, g))
        return true;
    reply_errorf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'",
                 (int)c->key.len, (const char *)c->key.at, (int)c->group.len,
                 (const char *)c->group.at);
    return false;
}

static bool take_number(struct call *call, size_t at, const char *what, int64_t *out)
{
    if (span_to_int64(call->argv[at], out))
        return true;
    reply_errorf(call->reply, "ERR Invalid %s", what);
    return false;
}

static bool take_min_idle(struct claim *c, const char *what)
{
    int64_t ms;

    if (!take_number(c->call, 4, what, &ms))
        return false;
    c->min_idle_ms = ms > 0 ? (uint64_t)ms : 0;
    return true;
}

/* A time that is not past counts as now. */
static uint64_t past(const struct claim *c, int64_t ms)
{
    return ms >= 0 && (uint64_t)ms <= c->call->now_ms ? (uint64_t)ms : c->call->now_ms;
}

/* The option at *at; *at is moved to its last argument. */
static bool take_option(struct claim *c, size_t *at, struct stream_id *last_id)
{
    struct call *call = c->call;
    size_t i = *at;
    bool more = i + 1 < call->argc;
    int64_t ms;

    *at = i + 1;
    if (more && call_is(call, i, "idle")) {
        if (!take_number(call, i + 1, "IDLE option argument for XCLAIM", &ms))
            return false;
        c->delivered_ms = ms >= 0 ? past(c, (int64_t)call->now_ms - ms) : call->now_ms;
        return true;
    }
    if (more && call_is(call, i, "time")) {
        if (!take_number(call, i + 1, "TIME option argument for XCLAIM", &ms))
            return false;
        c->delivered_ms = past(c, ms);
        return true;
    }
    if (more && call_is(call, i, "retrycount"))
        return take_number(call, i + 1, "RETRYCOUNT option argument for XCLAIM", &c->deliveries);
    if (more && call_is(call, i, "lastid"))
        return stream_arg_id(call, call->argv[i + 1], 0, last_id);
    *at = i;
    if (call_is(call, i, "force"))
        c->force = true;
    else if (call_is(call, i, "justid"))
        c->only_ids = true;
    else {
        reply_errorf(call->reply, "ERR Unrecognized XCLAIM option '%.*s'",
                     call->argv[i].len < 128 ? (int)call->argv[i].len : 128,
                     (const char *)call->argv[i].at);
        return false;
    }
    return true;
}

static bool take_options(struct claim *c, size_t first, struct stream_id *last_id)
{
    *last_id = STREAM_ID_MIN;
    for (size_t i = first; i < c->call->argc; i++) {
        if (!take_option(c, &i, last_id))
            return false;
    }
    return true;
}

/* --- XCLAIM --- */

static size_t bytes_of(const struct claim *c, size_t count)
{
    enum { ITEM_BYTES = 128 }; /* ids, lengths and numbers */

    return count * (4 * (c->group.len + c->consumer.len) + ITEM_BYTES);
}

static void claim_ids(struct claim *c, const struct stream_id *ids, size_t count)
{
    size_t place = reply_later(c->reply);

    for (size_t i = 0; i < count && !data_reply_too_long(c->call); i++) {
        if (i > 0 && stream_id_compare(ids[i], ids[i - 1]) <= 0) {
            group_emit(c->call, c->key, &c->changes);
            CHECK(stream_find(c->call, c->key, &c->view));
        }
        claim_one(c, ids[i]);
    }
    reply_later_set(c->reply, place, '*', c->claimed);
    group_emit(c->call, c->key, &c->changes);
}

static size_t leading_ids(const struct call *call, size_t first, struct stream_id *ids)
{
    size_t count = 0;

    while (first + count < call->argc && stream_is_id(call->argv[first + count], &ids[count]))
        count++;
    return count;
}

void cmd_xclaim(struct call *call)
{
    struct claim c = claim_of(call, call->reply);
    struct stream_group g;
    struct stream_id last_id;

    if (!find_group(&c, "XCLAIM", &g) || !take_min_idle(&c, "min-idle-time argument for XCLAIM"))
        return;
    struct stream_id *ids = mem_alloc(call->argc * sizeof(*ids));
    size_t count = leading_ids(call, 5, ids);
    if (take_options(&c, 5 + count, &last_id) && call_fits_group(call, bytes_of(&c, count))) {
        if (stream_id_compare(last_id, g.last_id) > 0) {
            g.last_id = last_id;
            group_put(&c.changes, c.group, &g);
        }
        claim_ids(&c, ids, count);
    }
    mem_free(ids);
    group_changes_release(&c.changes);
}

/* --- XAUTOCLAIM --- */

/* COUNT limits what is claimed or found to be gone; ten times as many are looked at. */
enum { COUNT_DEFAULT = 100, LOOKS = 10 };

static bool take_auto_options(struct claim *c, int64_t *count)
{
    struct call *call = c->call;

    *count = COUNT_DEFAULT;
    for (size_t i = 6; i < call->argc; i++) {
        if (i + 1 < call->argc && call_is(call, i, "count")) {
            if (!data_int_within(call, call->argv[++i], 1, INT64_MAX / STREAM_ID_BYTES,
                                 "ERR COUNT must be > 0", count))
                return false;
        } else if (call_is(call, i, "justid")) {
            c->only_ids = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* Returns from where to go on; 0-0 at the end. The ids of what was gone are added to `gone`. */
static struct stream_id claim_range(struct claim *c, struct stream_id from, uint64_t count,
                                    struct buffer *gone)
{
    uint64_t looks = count < UINT64_MAX / LOOKS ? count * LOOKS : UINT64_MAX, taken = 0;
    struct group_items it;
    struct stream_pending p;
    bool more;

    group_items_pending(&it, &c->view, c->group, from);
    while ((more = group_next_pending(&it, &p)) && looks-- > 0 && taken < count &&
           group_has_room(c->call, &c->changes, c->reply)) {
        bool there = stream_entry(&c->view, p.id) != NULL;
        uint64_t before = c->claimed;

        claim_one(c, p.id);
        if (!there)
            buffer_put_bytes(gone, &p.id, sizeof(p.id));
        taken += !there || c->claimed > before;
    }
    group_items_release(&it);
    return more ? p.id : STREAM_ID_MIN;
}

static void reply_claimed(struct claim *c, struct stream_id next, const struct buffer *gone)
{
    struct reply *reply = c->call->reply;
    size_t gone_count = gone->len / sizeof(struct stream_id);

    reply_array(reply, 3);
    stream_reply_id(reply, next);
    reply_array(reply, c->claimed);
    buffer_put(reply->out, buffer_span(c->reply->out));
    reply_array(reply, gone_count);
    for (size_t i = 0; i < gone_count; i++) {
        struct stream_id id;

        memcpy(&id, gone->at + i * sizeof(id), sizeof(id));
        stream_reply_id(reply, id);
    }
}

void cmd_xautoclaim(struct call *call)
{
    struct buffer entries = { 0 }, gone = { 0 };
    struct reply aside = { .out = &entries, .protocol = call->reply->protocol };
    struct claim c = claim_of(call, &aside);
    struct stream_group g;
    struct stream_id from;
    int64_t count;

    if (take_min_idle(&c, "min-idle-time argument for XAUTOCLAIM") &&
        stream_arg_from(call, call->argv[5], &from) && take_auto_options(&c, &count) &&
        find_group(&c, "XAUTOCLAIM", &g)) {
        struct stream_id next = claim_range(&c, from, (uint64_t)count, &gone);
        reply_claimed(&c, next, &gone);
        group_emit(call, c.key, &c.changes);
    }
    buffer_release(&entries);
    buffer_release(&gone);
    group_changes_release(&c.changes);
}
