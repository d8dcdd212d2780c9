/*
 * keyspace_command -- KEYSPACE: what the keys of a prefix are promised, and the promises that may be
 * changed while regions run.
 *
 * SET holds in every region, and over restarts (cmd/keyspace_setting.h).
 */
#include "base/bits.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "cmd/home.h"
#include "cmd/keyspace_setting.h"
#include "cmd/system.h"

/* --- LIST and FOR --- */

static void put_text(struct call *call, const char *name, const char *text)
{
    reply_bulk_text(call->reply, name);
    reply_bulk_text(call->reply, text);
}

static void put_waits(struct call *call, const struct keyspace_live *live)
{
    struct buffer text = { 0 };

    write_level_put(&text, live->promises.acks);
    reply_bulk_text(call->reply, "acks");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_clear(&text);
    buffer_printf(&text, "%ums", live->promises.ack_timeout_ms);
    reply_bulk_text(call->reply, "ack_timeout");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_clear(&text);
    read_level_put(&text, live->promises.reads);
    reply_bulk_text(call->reply, "reads");
    reply_bulk(call->reply, buffer_span(&text));
    buffer_clear(&text);
    if (live->promises.max_lag_ms != 0)
        buffer_printf(&text, "%ums", live->promises.max_lag_ms);
    reply_bulk_text(call->reply, "max_lag");
    reply_bulk(call->reply, buffer_span(&text));
    put_text(call, "then", keyspace_then_words[live->promises.then]);
    buffer_release(&text);
}

static void put_readers(struct call *call, const struct keyspace *k)
{
    const struct deployment *d = call->server->deployment;
    struct buffer names = { 0 };

    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t id = d->regions[i].id;

        if (bits_have(k->readers, id))
            buffer_printf(&names, "%s%s", names.len > 0 ? ", " : "", d->regions[i].name);
    }
    reply_bulk_text(call->reply, "readers");
    reply_bulk(call->reply, buffer_span(&names));
    buffer_release(&names);
}

/* Who writes the keys, and what is told who may not hold them; "" where there is nothing to say. */
static void put_places(struct call *call, const struct keyspace *k)
{
    const struct region *writer = k->mode == KEYSPACE_PRIMARY
                                      ? deployment_region_with_id(call->server->deployment,
                                                                  k->writer)
                                      : NULL;

    put_text(call, "outside", k->fence != 0 ? keyspace_outside_words[k->outside] : "");
    put_text(call, "writer", writer != NULL ? writer->name : "");
    put_text(call, "homes", k->mode == KEYSPACE_PARTITIONED ? keyspace_homes_words[k->homes] : "");
    put_text(call, "directory", k->directory != NULL ? k->directory : "");
    put_readers(call, k);
}

static void put_keyspace(struct call *call, const struct keyspace_live *live)
{
    const struct deployment *d = call->server->deployment;
    const struct keyspace *k = server_declared(call->server, live);

    reply_map(call->reply, 18);
    put_text(call, "prefix", k->prefix);
    put_text(call, "mode", keyspace_mode_words[k->mode]);
    put_text(call, "conflict", keyspace_conflict_words[live->promises.conflict]);
    put_text(call, "merge", live->merge_file != NULL ? live->merge_file : "");
    put_waits(call, live);
    put_text(call, "elsewhere", keyspace_elsewhere_words[live->promises.elsewhere]);
    put_text(call, "fence", d->fence_count > 0 ? d->fences[k->fence].name : "");
    put_text(call, "streams", keyspace_streams_words[live->promises.streams]);
    put_text(call, "evict", keyspace_evict_words[k->evict]);
    put_places(call, k);
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

/* Which of both would hold? */
static bool is_named_before(const struct call *call, size_t at)
{
    for (size_t i = 3; i < at; i += 2) {
        if (keyspace_setting_same(call->argv[i], call->argv[at]))
            return true;
    }
    return false;
}

/* All of it is known to be good before any of it is done. */
static bool is_good(struct call *call, struct keyspace_live *live)
{
    char problem[KEYSPACE_SETTING_PROBLEM_MAX];
    size_t pairs = (call->argc - 3) / 2;

    for (size_t i = 3; i < call->argc; i += 2) {
        if (!keyspace_setting_valid(call->argv[i], call->argv[i + 1], problem)) {
            reply_errorf(call->reply, "ERR %s", problem);
            return false;
        }
        if (is_named_before(call, i)) {
            reply_errorf(call->reply, "ERR \"%.*s\" is given twice", (int)call->argv[i].len,
                         (const char *)call->argv[i].at);
            return false;
        }
    }
    if (!system_holds(call->server, live)) {
        reply_error(call->reply,
                    "FENCED this region may not hold that keyspace: ask one that does");
        return false;
    }
    if (keyspace_settings_fit(call->server, live, call->argv + 3, pairs, problem))
        return true;
    reply_errorf(call->reply, "ERR %s", problem);
    return false;
}

static void write_pair(struct call *call, const struct keyspace_live *live, size_t at)
{
    struct buffer field = { 0 };

    keyspace_setting_field(call->argv[at], &field);
    if (span_equal_nocase(call->argv[at + 1], "default"))
        system_take(call->server, live, buffer_span(&field));
    else
        system_put(call->server, live, buffer_span(&field), call->argv[at + 1]);
    buffer_release(&field);
}

static void set(struct call *call)
{
    if (call->argc % 2 == 0) {
        data_wrong_arity(call);
        return;
    }
    struct keyspace_live *live = find_prefix(call);
    if (live == NULL || !is_good(call, live))
        return;
    for (size_t i = 3; i < call->argc; i += 2)
        write_pair(call, live, i);
    keyspace_setting_apply_all(call->server);
    reply_ok(call->reply);
}

/* --- MOVE, and the table --- */

/* Runs at the key's home: it writes no more to the key, and says so in the directory; the new home takes over
 * when it has that, and with it all that was written before. */
static void move(struct call *call)
{
    struct server *server = call->server;
    const struct keyspace_live *live = server_keyspace(server, call->argv[2]);
    const struct keyspace *k = server_declared(server, live);
    struct buffer key = { 0 };

    if (!home_put_listing(server, call->argv[2], &key)) {
        reply_error(call->reply,
                    "ERR KEYSPACE MOVE moves a key of a keyspace with homes: directory");
        return;
    }
    if (!home_may_be(server, k, call->argv[3])) {
        reply_error(call->reply, "ERR that region is no home of this keyspace: see KEYSPACE FOR");
        buffer_release(&key);
        return;
    }
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
        "    Change a keyspace in all regions; 'default' is what the configuration says. Fields "
        "are:",
        "    * acks (async|semi-sync|quorum|sync|<n>)",
        "      How many regions must have a write before it is answered.",
        "    * ack_timeout (1ms to 1h)",
        "      How long acknowledgements, and what a read needs, are waited for.",
        "    * reads (local|bounded:<ms>|causal|strong)",
        "      What a read waits for.",
        "    * max_lag (none|100ms to 1h)",
        "      How far other regions may be behind before writes are slowed or refused.",
        "    * then (slow|refuse)",
        "      Which of both.",
        "    * elsewhere (forward|redirect)",
        "      What becomes of writes at regions that do not write the key.",
        "    * conflict (lww|siblings|merge)",
        "      What readers see of concurrent values.",
        "    * merge <file>",
        "      The function of conflict merge, beside the configuration of every region.",
        "    * streams (latest|closed)",
        "      What readers see of a stream.",
        NULL,
    };

    call_help(call, lines);
}

const struct command keyspace_subcommands[] = {
    /* It has no keys to be judged by: what is promised is told wherever it is asked. */
    COMMAND_ROW("keyspace|for", of_key, 3, CMD_LOADING | CMD_STALE, 0, 0, 0, "keyspace", "0.1.0",
                "O(N) where N is the number of keyspaces", "Get the keyspace of a key"),
    COMMAND_ROW("keyspace|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "keyspace", "0.1.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("keyspace|list", list, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "keyspace", "0.1.0",
                "O(N) where N is the number of keyspaces", "Get the keyspaces of the deployment"),
    COMMAND_ROW("keyspace|move", move, 4, CMD_WRITE | CMD_ADMIN, 2, 2, 1, "keyspace", "0.2.0",
                "O(1)", "Move the home of a key that a directory lists"),
    COMMAND_ROW("keyspace|set", set, -5, CMD_WRITE | CMD_ADMIN, 0, 0, 0, "keyspace", "0.1.0",
                "O(1), and the size of a merge function",
                "Change what a keyspace promises, in all regions"),
    COMMAND_END,
};
