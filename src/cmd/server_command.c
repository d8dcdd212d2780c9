/* Commands about the server and its regions: TIME WAIT MEMORY LINK REGION, and the answers of one
 * without cluster mode. */
#include <stdio.h>

#include "base/check.h"
#include "cmd/handlers.h"

void cmd_time(struct call *call)
{
    reply_array(call->reply, 2);

    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)(call->server->now_us / 1000000));
    reply_bulk_text(call->reply, text);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(call->server->now_us % 1000000));
    reply_bulk_text(call->reply, text);
}

/* --- WAIT --- */

static bool take_timeout(struct call *call, struct span text, uint64_t *deadline_us)
{
    int64_t timeout_ms, deadline = 0;

    if (!span_to_int64(text, &timeout_ms)) {
        reply_error(call->reply, "ERR timeout is not an integer or out of range");
        return false;
    }
    if (timeout_ms < 0) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    if (timeout_ms > 0 &&
        (__builtin_mul_overflow(timeout_ms, 1000, &deadline) ||
         __builtin_add_overflow(deadline, (int64_t)call->server->now_us, &deadline))) {
        reply_error(call->reply, "ERR timeout is out of range");
        return false;
    }
    *deadline_us = (uint64_t)deadline;
    return true;
}

/* The node ends the wait (command_wait_end). Nothing is waited for when enough regions have
 * everything already, and inside MULTI. */
void cmd_wait(struct call *call)
{
    struct server *server = call->server;
    struct session *session = call->session;
    uint64_t deadline_us;
    int64_t wanted;

    if (!call_int(call, call->argv[1], &wanted) || !take_timeout(call, call->argv[2], &deadline_us))
        return;

    uint32_t regions = server->hooks->regions_with(server->node, session->last_write);

    if (call->nested || session->last_write == 0 || wanted <= 0 || regions >= (uint64_t)wanted) {
        reply_int(call->reply, regions);
        return;
    }
    session->waiting = true;
    session->wait_regions = wanted > UINT32_MAX ? UINT32_MAX : (uint32_t)wanted;
    session->wait_deadline_us = deadline_us;
}

void command_wait_end(struct session *session, uint64_t regions)
{
    CHECK(session->waiting);
    if (!session->wait_silent)
        reply_int(&session->reply, (int64_t)regions);
    session->waiting = session->wait_silent = false;
}

void command_wait_refuse(struct session *session)
{
    CHECK(session->waiting);
    if (!session->wait_silent)
        reply_error(&session->reply, UNBLOCKED_ERROR);
    session->waiting = session->following = session->gathering = session->wait_silent = false;
    session->wait_checkpoint = session->wait_scrub = 0;
}

/* --- MEMORY --- */

/* What the key's place in the table of its database costs, evenly shared. */
static size_t table_share_bytes(const struct table *keys)
{
    return table_bytes(keys) / keys->count;
}

/* SAMPLES is read and then not needed: sizes are exact. */
static void memory_usage(struct call *call)
{
    struct entry *entry;
    int64_t samples;

    for (size_t i = 3; i < call->argc; i += 2) {
        if (!call_is(call, i, "SAMPLES") || i + 1 == call->argc) {
            call_syntax_error(call);
            return;
        }
        if (!call_int(call, call->argv[i + 1], &samples))
            return;
        if (samples < 0) {
            call_syntax_error(call);
            return;
        }
    }
    if (!call_find(call, call->argv[2], COMPONENT_NONE, &entry))
        return;
    if (entry == NULL)
        reply_null(call->reply);
    else
        reply_int(call->reply,
                  (int64_t)(object_bytes(entry) +
                            table_share_bytes(&call->replica->databases[call->db].keys)));
}

static void memory_help(struct call *call)
{
    static const char *const lines[] = {
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Sizes are exact: <count>",
        "    is accepted and makes no difference.",
        NULL,
    };

    call_help(call, lines);
}

const struct command memory_subcommands[] = {
    COMMAND_ROW("memory|help", memory_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "server", "4.0.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("memory|usage", memory_usage, -3, CMD_READONLY, 2, 2, 1, "server", "4.0.0",
                "O(N) where N is the number of samples.", "Estimate the memory usage of a key"),
    COMMAND_END,
};

/* --- LINK and REGION: the node answers --- */

static void ask_link(struct call *call)
{
    call->server->hooks->link_command(call->server->node, call);
}

static void ask_fault(struct call *call)
{
    if (call->server->faults)
        ask_link(call);
    else
        reply_error(call->reply, "ERR faults are not allowed here: start the server with --faults");
}

static void link_help(struct call *call)
{
    static const char *const lines[] = {
        "LIST",
        "    Return the links of this region and their state.",
        "CUT <region> <region>",
        "    Cut the link between two regions. Only with --faults.",
        "HEAL <region> <region>",
        "    Undo CUT and SLOW. Only with --faults.",
        "SLOW <region> <region> <milliseconds>",
        "    Delay everything on a link by so much. Only with --faults.",
        NULL,
    };

    call_help(call, lines);
}

const struct command link_subcommands[] = {
    COMMAND_ROW("link|cut", ask_fault, 4, CMD_ADMIN, 0, 0, 0, "region", "0.1.0", "O(1)",
                "Cut the link between two regions"),
    COMMAND_ROW("link|heal", ask_fault, 4, CMD_ADMIN, 0, 0, 0, "region", "0.1.0", "O(1)",
                "Undo what CUT and SLOW did to a link"),
    COMMAND_ROW("link|help", link_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("link|list", ask_link, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(N) where N is the number of links",
                "Get the links of this region and their state"),
    COMMAND_ROW("link|slow", ask_fault, 5, CMD_ADMIN, 0, 0, 0, "region", "0.1.0", "O(1)",
                "Delay everything on a link"),
    COMMAND_END,
};

static void ask_region(struct call *call)
{
    call->server->hooks->region_command(call->server->node, call);
}

static void region_help(struct call *call)
{
    static const char *const lines[] = {
        "LAG [region]", "    Return how far this region is behind the others.",
        "LIST",         "    Return the regions of the deployment.",
        "SELF",         "    Return the name of this region.",
        NULL,
    };

    call_help(call, lines);
}

const struct command region_subcommands[] = {
    COMMAND_ROW("region|help", region_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("region|lag", ask_region, -2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(N) where N is the number of regions",
                "Get how far this region is behind the others"),
    COMMAND_ROW("region|list", ask_region, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(N) where N is the number of regions", "Get the regions of the deployment"),
    COMMAND_ROW("region|self", ask_region, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.1.0",
                "O(1)", "Get the name of this region"),
    COMMAND_END,
};

/* --- no cluster mode --- */

static void no_cluster(struct call *call)
{
    reply_error(call->reply, "ERR This instance has cluster support disabled");
}

void cmd_readonly(struct call *call)
{
    no_cluster(call);
}

void cmd_readwrite(struct call *call)
{
    no_cluster(call);
}

const struct command cluster_subcommands[] = {
    COMMAND_ROW("cluster|info", no_cluster, 2, CMD_STALE, 0, 0, 0, "cluster", "3.0.0", "O(1)",
                "Provides info about Redis Cluster node state"),
    COMMAND_ROW("cluster|nodes", no_cluster, 2, CMD_STALE, 0, 0, 0, "cluster", "3.0.0",
                "O(N) where N is the total number of Cluster nodes",
                "Get Cluster config for the node"),
    COMMAND_ROW("cluster|shards", no_cluster, 2, CMD_STALE, 0, 0, 0, "cluster", "7.0.0",
                "O(N) where N is the total number of cluster nodes",
                "Get array of cluster slots to node mappings"),
    COMMAND_ROW("cluster|slots", no_cluster, 2, CMD_STALE, 0, 0, 0, "cluster", "3.0.0",
                "O(N) where N is the total number of Cluster nodes",
                "Get array of Cluster slot to node mappings"),
    COMMAND_END,
};
