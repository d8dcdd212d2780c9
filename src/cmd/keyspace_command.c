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
static const char *const acks[] = {
    [KEYSPACE_ASYNC] = "async",
    [KEYSPACE_SEMI_SYNC] = "semi-sync",
    [KEYSPACE_QUORUM] = "quorum",
    [KEYSPACE_SYNC] = "sync",
};
static const char *const reads[] = {
    [KEYSPACE_READ_LOCAL] = "local",
    [KEYSPACE_READ_BOUNDED] = "bounded",
    [KEYSPACE_READ_CAUSAL] = "causal",
    [KEYSPACE_READ_STRONG] = "strong",
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

static void put_acks(struct call *call, const struct keyspace *k)
{
    char count[16];

    snprintf(count, sizeof(count), "%u", k->ack_count);
    put_text(call, "acks", k->acks == KEYSPACE_ACK_COUNT ? count : acks[k->acks]);
    snprintf(count, sizeof(count), "%ums", k->ack_timeout_ms);
    put_text(call, "ack_timeout", count);
}

static void put_reads(struct call *call, const struct keyspace *k)
{
    char bounded[32];

    snprintf(bounded, sizeof(bounded), "bounded %ums", k->staleness_ms);
    put_text(call, "reads", k->reads == KEYSPACE_READ_BOUNDED ? bounded : reads[k->reads]);
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
    put_acks(call, k);
    put_reads(call, k);
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

static bool take_pair(struct call *call, size_t at, struct field_change *c)
{
    static const char *const others[] = { "prefix", "mode",      "acks",  "ack_timeout",
                                          "reads",  "elsewhere", "fence", "evict" };

    if (call_is(call, at, "conflict"))
        return take_word(call, at, conflicts, COUNT_OF(conflicts), &c->conflict);
    if (call_is(call, at, "streams"))
        return take_word(call, at, streams, COUNT_OF(streams), &c->streams);
    if (call_is(call, at, "merge")) {
        c->merge = call->argv[at + 1];
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (!call_is(call, at, others[i]))
            continue;
        reply_errorf(call->reply,
                     "ERR %s cannot be changed while the region runs: conflict, merge and streams "
                     "can",
                     others[i]);
        return false;
    }
    reply_errorf(call->reply, "ERR a keyspace has no field '%.*s'",
                 call->argv[at].len < 64 ? (int)call->argv[at].len : 64,
                 (const char *)call->argv[at].at);
    return false;
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
    for (size_t i = 3; i < call->argc; i += 2)
        conflict_log_setting(call->server, c.live, call->argv[i], call->argv[i + 1]);
    reply_ok(call->reply);
}

/* --- the table --- */

static void move(struct call *call)
{
    reply_error(call->reply,
                "ERR KEYSPACE MOVE needs a keyspace with one writer: every region writes "
                "every keyspace of this deployment");
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "FOR <key>",
        "    Return the keyspace of a key.",
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
    COMMAND_ROW("keyspace|move", move, -2, CMD_ADMIN, 0, 0, 0, "keyspace", "0.1.0", "O(1)",
                "Move the writer of a keyspace"),
    COMMAND_ROW("keyspace|set", set, -5, CMD_ADMIN, 0, 0, 0, "keyspace", "0.1.0",
                "O(1), and the size of a merge function",
                "Change what a keyspace's readers see, in this region"),
    COMMAND_END,
};
