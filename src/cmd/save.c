/*
 * save -- SAVE, BGSAVE, LASTSAVE: checkpoints on request.
 *
 * A checkpoint runs beside everything else, so SAVE only makes its own client wait for it.
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

void cmd_save(struct call *call)
{
    struct server *server = call->server;
    struct session *session = call->session;
    uint64_t number = 0;

    if (call->nested) {
        reply_error(call->reply, "ERR Command not allowed inside a transaction");
        return;
    }
    if (refused(call, server->hooks->checkpoint(server->node, &number)))
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
