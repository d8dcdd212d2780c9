/*
 * stream_pending -- XPENDING.
 */
#include "cmd/stream_args.h"
#include "cmd/stream_group.h"

struct question {
    bool summary;
    uint64_t min_idle_ms;
    struct stream_id from, to;
    uint64_t count;
    const struct span *consumer; /* NULL: any */
};

static bool take_question(struct call *call, struct question *q)
{
    size_t at = 3;
    int64_t count, idle;

    *q = (struct question){ .summary = call->argc == 3 };
    if (q->summary)
        return true;
    bool wrong = call->argc < 6 || call->argc > 9;
    if (!wrong && call_is(call, 3, "idle")) {
        if (!call_int(call, call->argv[4], &idle))
            return false;
        q->min_idle_ms = idle > 0 ? (uint64_t)idle : 0;
        wrong = call->argc < 8;
        at = 5;
    }
    if (wrong) {
        call_syntax_error(call);
        return false;
    }
    if (!call_int(call, call->argv[at + 2], &count) ||
        !stream_arg_from(call, call->argv[at], &q->from) ||
        !stream_arg_to(call, call->argv[at + 1], &q->to))
        return false;
    q->count = count > 0 ? (uint64_t)count : 0;
    if (at + 3 < call->argc)
        q->consumer = &call->argv[at + 3];
    return true;
}

/* --- the summary --- */

static void reply_holders(struct call *call, const struct stream_view *v, struct span group)
{
    size_t place = reply_later(call->reply);
    struct group_items it;
    struct span name;
    uint64_t seen_ms, count = 0;

    group_items_consumers(&it, v, group);
    while (group_next_consumer(&it, &name, &seen_ms)) {
        uint64_t held = group_count_held(v, group, name);
        char digits[24];

        if (held == 0)
            continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, name);
        reply_bulk(call->reply, span_of(digits, decimal_of_int64((int64_t)held, digits)));
        count++;
    }
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

static void reply_summary(struct call *call, const struct stream_view *v, struct span group)
{
    struct stream_id first, last;

    reply_array(call->reply, 4);
    reply_int(call->reply, (int64_t)group_count_pending(v, group));
    if (!group_pending_ends(v, group, &first, &last)) {
        reply_null(call->reply);
        reply_null(call->reply);
        reply_null_array(call->reply);
        return;
    }
    stream_reply_id(call->reply, first);
    stream_reply_id(call->reply, last);
    reply_holders(call, v, group);
}

/* --- the list --- */

static uint64_t idle_ms(const struct call *call, const struct stream_pending *p)
{
    return call->now_ms > p->delivered_ms ? call->now_ms - p->delivered_ms : 0;
}

static void reply_pending(struct call *call, const struct stream_pending *p)
{
    reply_array(call->reply, 4);
    stream_reply_id(call->reply, p->id);
    reply_bulk(call->reply, p->consumer);
    reply_int(call->reply, (int64_t)idle_ms(call, p));
    reply_int(call->reply, (int64_t)p->deliveries);
}

static void reply_list(struct call *call, const struct stream_view *v, struct span group,
                       const struct question *q)
{
    size_t place = reply_later(call->reply);
    struct group_items it;
    struct stream_pending p;
    uint64_t count = 0;

    if (q->consumer != NULL)
        group_items_held(&it, v, group, *q->consumer, q->from);
    else
        group_items_pending(&it, v, group, q->from);
    while (count < q->count && group_next_pending(&it, &p) && stream_id_compare(p.id, q->to) <= 0 &&
           !data_reply_too_long(call)) {
        if (idle_ms(call, &p) < q->min_idle_ms)
            continue;
        reply_pending(call, &p);
        count++;
    }
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

void cmd_xpending(struct call *call)
{
    struct span key = call->argv[1], group = call->argv[2];
    struct question q;
    struct stream_view v;
    struct stream_group g;

    if (!take_question(call, &q) || !stream_find(call, key, &v))
        return;
    if (!v.there || !group_find(&v, group, &g))
        reply_errorf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'",
                     (int)key.len, (const char *)key.at, (int)group.len, (const char *)group.at);
    else if (q.summary)
        reply_summary(call, &v, group);
    else
        reply_list(call, &v, group, &q);
}
