/*
 * save -- SAVE, BGSAVE, LASTSAVE, CHECKPOINT SCRUB: checkpoints on request.
 *
 * A checkpoint runs beside everything else, so SAVE only makes its own client wait for it; so does a scrub.
 */
#include "cmd/save.h"
#include "base/check.h"
#include "cmd/handlers.h"

static bool refused(struct call *call, const char *why)
{
    if (why == NULL)
        return false;
    reply_errorf(call->reply, "ERR %s", why);
    return true;
}

static bool refused_in_transaction(struct call *call)
{
    if (call->nested)
        reply_error(call->reply, "ERR Command not allowed inside a transaction");
    return call->nested;
}

void cmd_save(struct call *call)
{
    struct server *server = call->server;
    struct session *session = call->session;
    uint64_t number = 0;

    if (refused_in_transaction(call) ||
        refused(call, server->hooks->checkpoint(server->node, &number)))
        return;
    session->waiting = true;
    session->wait_deadline_us = 0;
    session->wait_checkpoint = number;
}

void cmd_bgsave(struct call *call)
{
    struct server *server = call->server;
    uint64_t number;

    if (call->argc > 2 || (call->argc == 2 && !call_is(call, 1, "SCHEDULE"))) {
        call_syntax_error(call);
        return;
    }
    if (!refused(call, server->hooks->checkpoint(server->node, &number)))
        reply_simple(call->reply, "Background saving started");
}

void cmd_lastsave(struct call *call)
{
    struct server *server = call->server;

    reply_int(call->reply, (int64_t)server->hooks->last_checkpoint_s(server->node));
}

static void checkpoint_scrub(struct call *call)
{
    struct server *server = call->server;
    struct session *session = call->session;
    uint64_t number = 0;

    if (refused_in_transaction(call) || refused(call, server->hooks->scrub(server->node, &number)))
        return;
    session->waiting = true;
    session->wait_deadline_us = 0;
    session->wait_scrub = number;
}

static void checkpoint_help(struct call *call)
{
    static const char *const lines[] = {
        "SCRUB",
        "    Removes from this region's disk all bytes of what was removed from keys by now:",
        "    a checkpoint, the log before it, and the checkpoint's file written anew.",
        NULL,
    };

    call_help(call, lines);
}

const struct command checkpoint_subcommands[] = {
    COMMAND_ROW("checkpoint|help", checkpoint_help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "server",
                "0.2.0", "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("checkpoint|scrub", checkpoint_scrub, 2, CMD_ADMIN | CMD_NOSCRIPT, 0, 0, 0,
                "server", "0.2.0", "O(N) where N is the total number of keys in all databases",
                "Remove all bytes of removed keys and values from the disk"),
    COMMAND_END,
};

void command_scrub_end(struct session *session, const char *problem)
{
    CHECK(session->waiting && session->wait_scrub != 0);
    if (!session->wait_silent && problem == NULL)
        reply_ok(&session->reply);
    else if (!session->wait_silent)
        reply_errorf(&session->reply, "ERR the scrub failed: %s", problem);
    session->waiting = session->wait_silent = false;
    session->wait_scrub = 0;
}

void command_save_end(struct session *session, const char *problem)
{
    CHECK(session->waiting && session->wait_checkpoint != 0);
    if (!session->wait_silent && problem == NULL)
        reply_ok(&session->reply);
    else if (!session->wait_silent)
        reply_errorf(&session->reply, "ERR the checkpoint failed: %s", problem);
    session->waiting = session->wait_silent = false;
    session->wait_checkpoint = 0;
}
