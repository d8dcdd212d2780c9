/*
 * stream_xgroup -- XGROUP and XACK.
 */
#include "base/memory.h"
#include "cmd/stream_args.h"
#include "cmd/stream_group.h"

static void wrong_subcommand(struct call *call)
{
    struct span name = call->argv[1];

    reply_errorf(call->reply,
                 "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try XGROUP HELP.",
                 name.len < 128 ? (int)name.len : 128, (const char *)name.at);
}

/* What follows the id of CREATE and SETID. */
struct options {
    bool make_stream;
    int64_t read;
};

static bool take_options(struct call *call, bool creates, struct options *o)
{
    *o = (struct options){ .read = GROUP_READ_UNKNOWN };
    for (size_t i = 5; i < call->argc; i++) {
        if (creates && call_is(call, i, "mkstream")) {
            o->make_stream = true;
        } else if (i + 1 < call->argc && call_is(call, i, "entriesread")) {
            if (!call_int(call, call->argv[++i], &o->read))
                return false;
            if (o->read >= 0 || o->read == GROUP_READ_UNKNOWN)
                continue;
            reply_error(call->reply, "ERR value for ENTRIESREAD must be positive or -1");
            return false;
        } else {
            wrong_subcommand(call);
            return false;
        }
    }
    return true;
}

static bool find_stream(struct call *call, struct stream_view *v, bool may_lack)
{
    if (!stream_find(call, call->argv[2], v) || !call_one_writer(call, call->argv[2], "XGROUP"))
        return false;
    if (v->there || may_lack)
        return true;
    reply_error(call->reply, "ERR The XGROUP subcommand requires the key to exist. Note that for "
                             "CREATE you may want to use the MKSTREAM option to create an empty "
                             "stream automatically.");
    return false;
}

static bool find_group(struct call *call, struct stream_view *v, struct stream_group *g)
{
    struct span key = call->argv[2], name = call->argv[3];

    if (!find_stream(call, v, false))
        return false;
    if (group_find(v, name, g))
        return true;
    reply_errorf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                 (int)name.len, (const char *)name.at, (int)key.len, (const char *)key.at);
    return false;
}

static void emit_group(struct call *call, const struct stream_group *g)
{
    struct group_changes c = { 0 };

    group_put(&c, call->argv[3], g);
    group_emit(call, call->argv[2], &c);
    group_changes_release(&c);
}

static void xgroup_create(struct call *call)
{
    struct options o;
    struct stream_view v;
    struct stream_group g, other;

    if (!take_options(call, true, &o) || !find_stream(call, &v, o.make_stream))
        return;
    g = (struct stream_group){ v.last_id, o.read };
    if (!span_equal(call->argv[4], span_str("$")) &&
        !stream_arg_id(call, call->argv[4], 0, &g.last_id))
        return;
    if (group_find(&v, call->argv[3], &other)) {
        reply_error(call->reply, "BUSYGROUP Consumer Group name already exists");
        return;
    }
    if (!v.there) /* it stays when its groups go */
        stream_emit_metadata(call, call->argv[2], &(struct stream_metadata){ 0 });
    emit_group(call, &g);
    reply_ok(call->reply);
}

static void xgroup_setid(struct call *call)
{
    struct options o;
    struct stream_view v;
    struct stream_group g;

    if (!take_options(call, false, &o) || !find_group(call, &v, &g))
        return;
    g = (struct stream_group){ v.last_id, o.read };
    if (!span_equal(call->argv[4], span_str("$")) &&
        !stream_arg_any_id(call, call->argv[4], 0, &g.last_id))
        return;
    emit_group(call, &g);
    reply_ok(call->reply);
}

static void xgroup_destroy(struct call *call)
{
    struct stream_view v;
    struct stream_group g;

    if (!find_stream(call, &v, false))
        return;
    bool there = group_find(&v, call->argv[3], &g);
    if (there)
        group_emit_destroy(call, call->argv[2], call->argv[3]);
    reply_int(call->reply, there);
}

static void xgroup_createconsumer(struct call *call)
{
    struct group_changes c = { 0 };
    struct stream_view v;
    struct stream_group g;
    uint64_t seen_ms;

    if (!find_group(call, &v, &g))
        return;
    bool there = group_find_consumer(&v, call->argv[3], call->argv[4], &seen_ms);
    if (!there) {
        group_put_consumer(&c, call->argv[3], call->argv[4], call->now_ms);
        group_emit(call, call->argv[2], &c);
    }
    group_changes_release(&c);
    reply_int(call->reply, !there);
}

static void xgroup_delconsumer(struct call *call)
{
    struct stream_view v;
    struct stream_group g;
    uint64_t seen_ms, held = 0;

    if (!find_group(call, &v, &g))
        return;
    if (group_find_consumer(&v, call->argv[3], call->argv[4], &seen_ms)) {
        held = group_count_held(&v, call->argv[3], call->argv[4]);
        group_emit_delete_consumer(call, call->argv[2], call->argv[3], call->argv[4]);
    }
    reply_int(call->reply, (int64_t)held);
}

static void xgroup_help(struct call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
        NULL,
    };
    call_help(call, lines);
}

const struct command xgroup_subcommands[] = {
    COMMAND_ROW("xgroup|create", xgroup_create, -5, CMD_WRITE | CMD_DENYOOM, 2, 2, 1, "stream",
                "5.0.0", "O(1)", "Create a consumer group."),
    COMMAND_ROW("xgroup|createconsumer", xgroup_createconsumer, 5, CMD_WRITE | CMD_DENYOOM, 2, 2, 1,
                "stream", "6.2.0", "O(1)", "Create a consumer in a consumer group."),
    COMMAND_ROW("xgroup|delconsumer", xgroup_delconsumer, 5, CMD_WRITE, 2, 2, 1, "stream", "5.0.0",
                "O(1)", "Delete a consumer from a consumer group."),
    COMMAND_ROW("xgroup|destroy", xgroup_destroy, 4, CMD_WRITE, 2, 2, 1, "stream", "5.0.0",
                "O(N) where N is the number of entries in the group's pending entries list (PEL).",
                "Destroy a consumer group."),
    COMMAND_ROW("xgroup|help", xgroup_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "stream", "5.0.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("xgroup|setid", xgroup_setid, -5, CMD_WRITE, 2, 2, 1, "stream", "5.0.0", "O(1)",
                "Set a consumer group to an arbitrary last delivered ID value."),
    COMMAND_END,
};

/* --- XACK --- */

/* An id that is named twice is acknowledged once. */
static void acknowledge(struct call *call, const struct stream_view *v, const struct stream_id *ids)
{
    struct span key = call->argv[1], group = call->argv[2];
    uint64_t before = group_count_pending(v, group);
    struct group_changes c = { 0 };
    struct stream_pending p;
    struct stream_view after;

    for (size_t i = 3; i < call->argc; i++) {
        if (group_find_pending(v, group, ids[i - 3], &p))
            group_take_pending(&c, group, &p);
    }
    group_emit(call, key, &c);
    group_changes_release(&c);
    CHECK(stream_find(call, key, &after));
    reply_int(call->reply, (int64_t)(before - group_count_pending(&after, group)));
}

void cmd_xack(struct call *call)
{
    struct stream_id *ids = NULL;
    struct stream_view v;
    struct stream_group g;

    if (!stream_find(call, call->argv[1], &v) || !call_one_writer(call, call->argv[1], "XACK"))
        return;
    if (!v.there || !group_find(&v, call->argv[2], &g))
        reply_int(call->reply, 0);
    else if (stream_arg_ids(call, 3, call->argc, &ids))
        acknowledge(call, &v, ids);
    mem_free(ids);
}
