/*
 * stream_info -- XINFO.
 *
 * There is no radix tree here: its figures are what Redis would have for a stream of small entries.
 */
#include "cmd/stream_args.h"
#include "cmd/stream_group.h"

enum { NODE_ENTRIES = 100, FULL_COUNT = 10 };

static bool find_stream(struct call *call, struct stream_view *v)
{
    if (!stream_find_seen(call, call->argv[2], v))
        return false;
    if (!v->there)
        reply_error(call->reply, "ERR no such key");
    return v->there;
}

static void reply_number(struct call *call, const char *name, uint64_t n)
{
    reply_bulk_text(call->reply, name);
    reply_int(call->reply, (int64_t)n);
}

static void reply_named_id(struct call *call, const char *name, struct stream_id id)
{
    reply_bulk_text(call->reply, name);
    stream_reply_id(call->reply, id);
}

/* The seven pairs that both forms begin with. */
static void reply_head(struct call *call, const struct stream_view *v)
{
    uint64_t nodes = (v->length + NODE_ENTRIES - 1) / NODE_ENTRIES;

    reply_number(call, "length", v->length);
    reply_number(call, "radix-tree-keys", nodes);
    reply_number(call, "radix-tree-nodes", nodes + 1);
    reply_named_id(call, "last-generated-id", v->last_id);
    reply_named_id(call, "max-deleted-entry-id", v->removed_id);
    reply_number(call, "entries-added", v->added);
    reply_named_id(call, "recorded-first-entry-id", v->first_id);
}

static void reply_read_and_lag(struct call *call, const struct stream_view *v,
                               const struct stream_group *g)
{
    int64_t lag;

    reply_bulk_text(call->reply, "entries-read");
    if (g->read != GROUP_READ_UNKNOWN)
        reply_int(call->reply, g->read);
    else
        reply_null(call->reply);
    reply_bulk_text(call->reply, "lag");
    if (group_lag(v, g, &lag))
        reply_int(call->reply, lag);
    else
        reply_null(call->reply);
}

/* --- STREAM --- */

static void reply_end(struct call *call, const struct stream_view *v, const char *name,
                      struct stream_id id)
{
    reply_bulk_text(call->reply, name);
    if (v->length > 0)
        stream_reply_entry(call->reply, stream_entry(v, id));
    else
        reply_null(call->reply);
}

static void reply_short(struct call *call, const struct stream_view *v)
{
    reply_map(call->reply, 10);
    reply_head(call, v);
    reply_number(call, "groups", group_count(v));
    reply_end(call, v, "first-entry", v->first_id);
    reply_end(call, v, "last-entry", v->top_id);
}

/* Who holds them is said where they are not those of one consumer. */
static void reply_pending(struct call *call, struct group_items *it, uint64_t most, bool holders)
{
    size_t place = reply_later(call->reply);
    struct stream_pending p;
    uint64_t count = 0;

    for (; count < most && group_next_pending(it, &p) && !data_reply_too_long(call); count++) {
        reply_array(call->reply, holders ? 4 : 3);
        stream_reply_id(call->reply, p.id);
        if (holders)
            reply_bulk(call->reply, p.consumer);
        reply_int(call->reply, (int64_t)p.delivered_ms);
        reply_int(call->reply, (int64_t)p.deliveries);
    }
    group_items_release(it);
    reply_later_set(call->reply, place, '*', count);
}

static void reply_full_consumers(struct call *call, const struct stream_view *v, struct span group,
                                 uint64_t most)
{
    size_t place = reply_later(call->reply);
    struct group_items it, held;
    struct span name;
    uint64_t seen_ms, count = 0;

    group_items_consumers(&it, v, group);
    for (; group_next_consumer(&it, &name, &seen_ms) && !data_reply_too_long(call); count++) {
        reply_map(call->reply, 4);
        reply_bulk_text(call->reply, "name");
        reply_bulk(call->reply, name);
        reply_number(call, "seen-time", seen_ms);
        reply_number(call, "pel-count", group_count_held(v, group, name));
        reply_bulk_text(call->reply, "pending");
        group_items_held(&held, v, group, name, STREAM_ID_MIN);
        reply_pending(call, &held, most, false);
    }
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

static void reply_full_group(struct call *call, const struct stream_view *v, struct span name,
                             const struct stream_group *g, uint64_t most)
{
    struct group_items pending;

    reply_map(call->reply, 7);
    reply_bulk_text(call->reply, "name");
    reply_bulk(call->reply, name);
    reply_named_id(call, "last-delivered-id", g->last_id);
    reply_read_and_lag(call, v, g);
    reply_number(call, "pel-count", group_count_pending(v, name));
    reply_bulk_text(call->reply, "pending");
    group_items_pending(&pending, v, name, STREAM_ID_MIN);
    reply_pending(call, &pending, most, true);
    reply_bulk_text(call->reply, "consumers");
    reply_full_consumers(call, v, name, most);
}

static void reply_full(struct call *call, const struct stream_view *v, uint64_t most)
{
    struct group_items it;
    struct stream_group g;
    struct span name;
    uint64_t count = 0;

    reply_map(call->reply, 9);
    reply_head(call, v);
    reply_bulk_text(call->reply, "entries");
    stream_reply_range(call, v, STREAM_ID_MIN, STREAM_ID_MAX, most, false);
    reply_bulk_text(call->reply, "groups");
    size_t place = reply_later(call->reply);
    group_items_groups(&it, v);
    for (; group_next(&it, &name, &g) && !data_reply_too_long(call); count++)
        reply_full_group(call, v, name, &g, most);
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

static bool take_full(struct call *call, uint64_t *most)
{
    int64_t count = FULL_COUNT;

    if (call->argc > 3 && ((call->argc != 4 && call->argc != 6) || !call_is(call, 3, "full") ||
                           (call->argc == 6 && !call_is(call, 4, "count")))) {
        reply_errorf(call->reply,
                     "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO "
                     "HELP.",
                     (int)call->argv[1].len, (const char *)call->argv[1].at);
        return false;
    }
    if (call->argc == 6 && !call_int(call, call->argv[5], &count))
        return false;
    if (count < 0)
        count = FULL_COUNT;
    *most = count > 0 ? (uint64_t)count : UINT64_MAX;
    return true;
}

static void xinfo_stream(struct call *call)
{
    struct stream_view v;
    uint64_t most;

    if (!find_stream(call, &v) || !take_full(call, &most))
        return;
    if (call->argc > 3)
        reply_full(call, &v, most);
    else
        reply_short(call, &v);
}

/* --- GROUPS, CONSUMERS --- */

static void reply_group(struct call *call, const struct stream_view *v, struct span name,
                        const struct stream_group *g)
{
    reply_map(call->reply, 6);
    reply_bulk_text(call->reply, "name");
    reply_bulk(call->reply, name);
    reply_number(call, "consumers", group_count_consumers(v, name));
    reply_number(call, "pending", group_count_pending(v, name));
    reply_named_id(call, "last-delivered-id", g->last_id);
    reply_read_and_lag(call, v, g);
}

static void xinfo_groups(struct call *call)
{
    struct stream_view v;
    struct group_items it;
    struct stream_group g;
    struct span name;
    uint64_t count = 0;

    if (!find_stream(call, &v))
        return;
    size_t place = reply_later(call->reply);
    group_items_groups(&it, &v);
    for (; group_next(&it, &name, &g); count++)
        reply_group(call, &v, name, &g);
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

static void reply_consumer(struct call *call, const struct stream_view *v, struct span group,
                           struct span name, uint64_t seen_ms)
{
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "name");
    reply_bulk(call->reply, name);
    reply_number(call, "pending", group_count_held(v, group, name));
    reply_number(call, "idle", call->now_ms > seen_ms ? call->now_ms - seen_ms : 0);
}

static void xinfo_consumers(struct call *call)
{
    struct span key = call->argv[2], group = call->argv[3];
    struct stream_view v;
    struct group_items it;
    struct stream_group g;
    struct span name;
    uint64_t seen_ms, count = 0;

    if (!find_stream(call, &v))
        return;
    if (!group_find(&v, group, &g)) {
        reply_errorf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                     (int)group.len, (const char *)group.at, (int)key.len, (const char *)key.at);
        return;
    }
    size_t place = reply_later(call->reply);
    group_items_consumers(&it, &v, group);
    for (; group_next_consumer(&it, &name, &seen_ms); count++)
        reply_consumer(call, &v, group, name, seen_ms);
    group_items_release(&it);
    reply_later_set(call->reply, place, '*', count);
}

static void xinfo_help(struct call *call)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
        NULL,
    };
    call_help(call, lines);
}

const struct command xinfo_subcommands[] = {
    COMMAND_ROW("xinfo|consumers", xinfo_consumers, 4, CMD_READONLY, 2, 2, 1, "stream", "5.0.0",
                "O(1)", "List the consumers in a consumer group"),
    COMMAND_ROW("xinfo|groups", xinfo_groups, 3, CMD_READONLY, 2, 2, 1, "stream", "5.0.0", "O(1)",
                "List the consumer groups of a stream"),
    COMMAND_ROW("xinfo|help", xinfo_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "stream", "5.0.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("xinfo|stream", xinfo_stream, -3, CMD_READONLY, 2, 2, 1, "stream", "5.0.0", "O(1)",
                "Get information about a stream"),
    COMMAND_END,
};
