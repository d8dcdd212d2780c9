/*
 * keyspace_command -- KEYSPACE: what the keys of a prefix are promised, and the promises that this
 * region may change while it runs.
 *
 * SET lasts until the restart and is this region's alone: what is to stay, or to hold everywhere,
 * belongs into the configuration of every region.
 */
#include <stdio.h>

#include "base/memory.h"
#include "cmd/conflict_log.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "cmd/home.h"

static const char *const modes[] = {
    [KEYSPACE_ACTIVE_ACTIVE] = "active-active",   [KEYSPACE_PRIMARY] = "primary",
    [KEYSPACE_FOLLOW_THE_SUN] = "follow-the-sun", [KEYSPACE_PARTITIONED] = "partitioned",
    [KEYSPACE_CONSENSUS] = "consensus",
};
static const char *const conflicts[] = {
    [KEYSPACE_LWW] = "lww",
    [KEYSPACE_SIBLINGS] = "siblings",
    [KEYSPACE_MERGE] = "merge",
};
static const char *const elsewheres[] = {
    [KEYSPACE_FORWARD] = "forward",
    [KEYSPACE_REDIRECT] = "redirect",
};
static const char *const evicts[] = {
    [KEYSPACE_EVICT_DEMOTE] = "demote",
    [KEYSPACE_EVICT_DROP] = "drop",
    [KEYSPACE_EVICT_LOCAL] = "local",
};
static const char *const streams[] = {
    [KEYSPACE_STREAMS_LATEST] = "latest",
    [KEYSPACE_STREAMS_CLOSED] = "closed",
};

/* --- LIST and FOR --- */

static void put_text(struct call *call, const char *name, const char *text)
{
    reply_bulk_text(call->reply, name);
    reply_bulk_text(call->reply, text);
}

static void put_waits(struct call *call, const struct keyspace_live *live)
{
    struct buffer text = { 0 };

    write_level_put(&text, live->acks);
    reply_bulk_text(call->reply, "acks");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_clear(&text);
    buffer_printf(&text, "%ums", live->ack_timeout_ms);
    reply_bulk_text(call->reply, "ack_timeout");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_clear(&text);
    read_level_put(&text, live->reads);
    reply_bulk_text(call->reply, "reads");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_release(&text);
}

static void put_keyspace(struct call *call, const struct keyspace_live *live)
{
    const struct deployment *d = call->server->deployment;
    const struct keyspace *k = &d->keyspaces[live - call->server->keyspaces];

    reply_map(call->reply, 11);
    put_text(call, "prefix", k->prefix);
    put_text(call, "mode", modes[k->mode]);
    put_text(call, "conflict", conflicts[live->conflict]);
    put_text(call, "merge", live->merge_file != NULL ? live->merge_file : "");
    put_waits(call, live);
    put_text(call, "elsewhere", elsewheres[k->elsewhere]);
    put_text(call, "fence", d->fence_count > 0 ? d->fences[k->fence].name : "");
    put_text(call, "streams", streams[live->streams]);
    put_text(call, "evict", evicts[k->evict]);
}

static void list(struct call *call)
{
    size_t count = call->server->deployment->keyspace_count;

    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++)
        put_keyspace(call, &call->server->keyspaces[i]);
}

static void of_key(struct call *call)
{
    put_keyspace(call, server_keyspace(call->server, call->argv[2]));
}

/* --- SET --- */

/* What the pairs ask for, all of it known to be good before any of it is done. */
struct field_change {
    struct keyspace_live *live;
    int conflict, streams;
    struct write_level acks;
    struct read_level reads;
    uint32_t ack_timeout_ms;
    struct span merge; /* at NULL: not given */
};

static bool take_word(struct call *call, size_t at, const char *const *words, size_t count, int *to)
{
    char known[64] = "";
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (call_is(call, at + 1, words[i])) {
            *to = (int)i;
            return true;
        }
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "",
                                words[i]);
        CHECK(len < sizeof(known));
    }
    reply_errorf(call->reply, "ERR %.*s is one of: %s", (int)call->argv[at].len,
                 (const char *)call->argv[at].at, known);
    return false;
}

static bool refuse_value(struct call *call, size_t at, const char *known)
{
    reply_errorf(call->reply, "ERR %.*s is one of: %s", (int)call->argv[at].len,
                 (const char *)call->argv[at].at, known);
    return false;
}

/* As in the configuration: 500ms, 5s; a bare number is milliseconds. */
static bool take_timeout(struct call *call, size_t at, uint32_t *ms)
{
    if (level_take_ms(call->argv[at + 1], ms))
        return true;
    reply_error(call->reply, "ERR ack_timeout is a time of 1ms to 1h, such as 500ms or 5s");
    return false;
}

/* Which regions write a keyspace, and which hold it, is known to all of them alike. */
static bool refuse_field(struct call *call, struct span field)
{
    static const char *const others[] = { "prefix", "mode", "elsewhere", "fence", "evict" };

    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (!span_equal_nocase(field, others[i]))
            continue;
        reply_errorf(call->reply,
                     "ERR %s cannot be changed while the region runs: conflict, merge, streams, "
                     "acks, ack_timeout and reads can",
                     others[i]);
        return false;
    }
    reply_errorf(call->reply, "ERR a keyspace has no field '%.*s'",
                 field.len < 64 ? (int)field.len : 64, (const char *)field.at);
    return false;
}

static bool take_pair(struct call *call, size_t at, struct field_change *c)
{
    struct span value = call->argv[at + 1];

    if (call_is(call, at, "conflict"))
        return take_word(call, at, conflicts, COUNT_OF(conflicts), &c->conflict);
    if (call_is(call, at, "streams"))
        return take_word(call, at, streams, COUNT_OF(streams), &c->streams);
    if (call_is(call, at, "acks"))
        return write_level_parse(value, &c->acks) || refuse_value(call, at, WRITE_LEVEL_WORDS);
    if (call_is(call, at, "reads"))
        return read_level_parse(value, &c->reads) || refuse_value(call, at, READ_LEVEL_WORDS);
    if (call_is(call, at, "ack_timeout"))
        return take_timeout(call, at, &c->ack_timeout_ms);
    if (call_is(call, at, "merge")) {
        c->merge = value;
        return true;
    }
    return refuse_field(call, call->argv[at]);
}

static struct keyspace_live *find_prefix(struct call *call)
{
    const struct deployment *d = call->server->deployment;

    for (size_t i = 0; i < d->keyspace_count; i++) {
        if (span_equal(call->argv[2], span_str(d->keyspaces[i].prefix)))
            return &call->server->keyspaces[i];
    }
    reply_error(call->reply, "ERR no keyspace has that prefix: see KEYSPACE LIST");
    return NULL;
}

static bool take_change(struct call *call, struct field_change *c)
{
    c->live = find_prefix(call);
    if (c->live == NULL)
        return false;
    c->conflict = (int)c->live->conflict;
    c->streams = (int)c->live->streams;
    c->acks = c->live->acks;
    c->reads = c->live->reads;
    c->ack_timeout_ms = c->live->ack_timeout_ms;
    if (call->argc % 2 == 0) {
        data_wrong_arity(call);
        return false;
    }
    for (size_t i = 3; i < call->argc; i += 2) {
        if (!take_pair(call, i, c))
            return false;
    }
    if (c->conflict == KEYSPACE_MERGE && c->merge.at == NULL && c->live->merge == NULL) {
        reply_error(call->reply, "ERR conflict merge needs a function: merge FILE");
        return false;
    }
    return true;
}

static bool load_merge(struct call *call, const struct field_change *c)
{
    char problem[512];
    char *file;

    if (c->merge.at == NULL)
        return true;
    if (memchr(c->merge.at, 0, c->merge.len) != NULL) {
        reply_error(call->reply, "ERR the name of a file has no zero byte");
        return false;
    }
    file = mem_alloc(c->merge.len + 1);
    memcpy(file, c->merge.at, c->merge.len);
    file[c->merge.len] = 0;
    bool good = server_load_merge(call->server, c->live, file, problem, sizeof(problem));
    mem_free(file);
    if (!good)
        reply_errorf(call->reply, "ERR %s", problem);
    return good;
}

static void set(struct call *call)
{
    struct field_change c = { 0 };

    if (!take_change(call, &c) || !load_merge(call, &c))
        return;
    c.live->conflict = (enum keyspace_conflict)c.conflict;
    c.live->streams = (enum keyspace_streams)c.streams;
    c.live->acks = c.acks;
    c.live->reads = c.reads;
    c.live->ack_timeout_ms = c.ack_timeout_ms;
    server_judge_keyspaces(call->server);
    for (size_t i = 3; i < call->argc; i += 2)
        conflict_log_setting(call->server, c.live, call->argv[i], call->argv[i + 1]);
    reply_ok(call->reply);
}

/* --- the table --- */

/* Runs at the key's home: it writes no more to the key, and says so in the directory; the new home takes over
 * when it has that, and with it all that was written before. */
static void move(struct call *call)
{
    struct server *server = call->server;
    const struct keyspace_live *live = server_keyspace(server, call->argv[2]);
    const struct keyspace *k = &server->deployment->keyspaces[live - server->keyspaces];
    struct buffer key = { 0 };

    if (k->mode != KEYSPACE_PARTITIONED || k->homes != KEYSPACE_HOMES_DIRECTORY) {
        reply_error(call->reply,
                    "ERR KEYSPACE MOVE moves a key of a keyspace with homes: directory");
        return;
    }
    if (!home_may_be(server, k, call->argv[3])) {
        reply_error(call->reply, "ERR that region is no home of this keyspace: see KEYSPACE FOR");
        return;
    }
    buffer_put_text(&key, k->directory);
    buffer_put(&key, home_tag(call->argv[2]));
    replica_group_fence(call->replica, fence_of_key(server, buffer_span(&key)));
    emit_string(call->replica, call->db, buffer_span(&key), call->argv[3], TIME_NONE, 0);
    buffer_release(&key);
    reply_ok(call->reply);
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "FOR <key>",
        "    Return the keyspace of a key.",
        "MOVE <key> <region>",
        "    Move the home of a key, and of all with its tag, in a keyspace with homes: directory.",
        "LIST",
        "    Return the keyspaces, as they are in this region now.",
        "SET <prefix> <field> <value> [<field> <value> ...]",
        "    Change a keyspace in this region until it is restarted. Fields are:",
        "    * conflict (lww|siblings|merge)",
        "      What readers see of concurrent values.",
        "    * merge <file>",
        "      The function of conflict merge, beside the configuration.",
        "    * streams (latest|closed)",
        "      What readers see of a stream.",
        "    * acks (async|semi-sync|quorum|sync|<n>)",
        "      How many regions must have a write before it is answered.",
        "    * ack_timeout (1ms to 1h)",
        "      How long acknowledgements, and what a read needs, are waited for.",
        "    * reads (local|bounded:<ms>|causal|strong)",
        "      What a read waits for.",
        NULL,
    };

    call_help(call, lines);
}

const struct command keyspace_subcommands[] = {
    COMMAND_ROW("keyspace|for", of_key, 3, CMD_LOADING | CMD_STALE, 2, 2, 1, "keyspace", "0.1.0",
                "O(N) where N is the number of keyspaces", "Get the keyspace of a key"),
    COMMAND_ROW("keyspace|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "keyspace", "0.1.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("keyspace|list", list, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "keyspace", "0.1.0",
                "O(N) where N is the number of keyspaces", "Get the keyspaces of the deployment"),
    COMMAND_ROW("keyspace|move", move, 4, CMD_WRITE | CMD_ADMIN, 2, 2, 1, "keyspace", "0.2.0",
                "O(1)", "Move the home of a key that a directory lists"),
    COMMAND_ROW("keyspace|set", set, -5, CMD_ADMIN, 0, 0, 0, "keyspace", "0.1.0",
                "O(1), and the size of a merge function",
                "Change what a keyspace's readers see, in this region"),
    COMMAND_END,
};
