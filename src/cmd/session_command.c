/* SESSION: how much this connection's reads and writes wait for, and what it has seen. */
#include "base/check.h"
#include "base/memory.h"
#include "cmd/handlers.h"

static void session_read(struct call *call)
{
    struct levels *levels = &call->session->levels;

    struct read_level level;

    if (!read_level_parse(call->argv[2], &level)) {
        reply_error(call->reply, "ERR SESSION READ is one of: " READ_LEVEL_WORDS);
        return;
    }
    levels->read = level;
    levels->has_read = true;
    reply_ok(call->reply);
}

static void session_write(struct call *call)
{
    struct levels *levels = &call->session->levels;
    struct write_level level;
    size_t others = call->server->deployment->region_count - 1;

    if (!write_level_parse(call->argv[2], &level)) {
        reply_error(call->reply, "ERR SESSION WRITE is one of: " WRITE_LEVEL_WORDS);
        return;
    }
    if (level.acks == KEYSPACE_ACK_COUNT && level.count > others) {
        reply_errorf(call->reply, "ERR acks %u cannot be: only %zu other regions are there",
                     level.count, others);
        return;
    }
    levels->write = level;
    levels->has_write = true;
    reply_ok(call->reply);
}

void session_wrote_elsewhere(struct session *s, stamp_t stamp, uint64_t run)
{
    uint32_t at = 0;

    while (at < s->elsewhere_count && stamp_origin(s->elsewhere[at].stamp) != stamp_origin(stamp))
        at++;
    if (at == s->elsewhere_count)
        s->elsewhere = mem_realloc(s->elsewhere, ++s->elsewhere_count * sizeof(*s->elsewhere));
    else if (s->elsewhere[at].stamp > stamp)
        return;
    s->elsewhere[at] = (struct session_write){ stamp, run };
}

uint64_t session_run_of(const struct session *s, stamp_t write)
{
    for (uint32_t i = 0; i < s->elsewhere_count; i++) {
        if (s->elsewhere[i].stamp == write)
            return s->elsewhere[i].run;
    }
    return 0;
}

/* All that this region has applied, for the session may have read any of it, what it followed, and what it
 * has written in another region, which need not have come. */
void session_token_put(const struct server *server, const struct session *s, struct buffer *out)
{
    const struct replica *r = server->replica;
    struct token *t = mem_zalloc(sizeof(*t));

    for (uint32_t o = 0; o < r->last_op.high; o++) {
        if (r->last_op.at[o] != 0)
            token_see(t, r->last_op.at[o], r->streams[o].instance);
    }
    for (uint32_t i = 0; i < s->elsewhere_count; i++)
        token_see(t, s->elsewhere[i].stamp, s->elsewhere[i].run);
    if (s->token != NULL)
        token_merge(t, s->token);
    if (replica_hlc_ms(r) > t->time_ms)
        t->time_ms = replica_hlc_ms(r);
    token_put(out, t, server->deployment->name);
    mem_free(t);
}

static void session_token(struct call *call)
{
    struct buffer text = { 0 };

    session_token_put(call->server, call->session, &text);
    reply_bulk(call->reply, buffer_span(&text));
    buffer_release(&text);
}

/* The node ends the wait when all of it is here. */
static void session_follow(struct call *call)
{
    struct session *s = call->session;
    struct token *t = mem_alloc(sizeof(*t));
    int64_t timeout_ms = SESSION_FOLLOW_MS;
    bool good = false;

    if (call->nested)
        reply_error(call->reply, "ERR SESSION FOLLOW inside MULTI is not allowed");
    else if (call->argc > 4)
        call_syntax_error(call);
    else if (call->argc == 4 && (!span_to_int64(call->argv[3], &timeout_ms) || timeout_ms < 0 ||
                                 timeout_ms > LEVEL_STALENESS_MAX_MS))
        reply_error(call->reply, "ERR timeout is not a number of milliseconds, 0 to 3600000");
    else if (!token_take(call->argv[2], t, call->server->deployment->name))
        reply_error(call->reply, "ERR that is no token of this deployment");
    else
        good = true;
    if (good && s->token == NULL) {
        s->token = t;
    } else {
        if (good)
            token_merge(s->token, t);
        mem_free(t);
    }
    if (!good)
        return;
    s->token_timed = false;
    s->waiting = s->following = true;
    s->wait_deadline_us = call->server->now_us + (uint64_t)timeout_ms * 1000;
}

void session_follow_end(struct session *s, const char *problem)
{
    CHECK(s->waiting && s->following);
    if (s->wait_silent)
        ;
    else if (problem != NULL)
        reply_error(&s->reply, problem);
    else
        reply_ok(&s->reply);
    s->waiting = s->following = s->wait_silent = false;
}

void session_forget(struct session *s)
{
    mem_free(s->token);
    s->token = NULL;
    s->levels = (struct levels){ 0 };
}

static void session_reset(struct call *call)
{
    session_forget(call->session);
    reply_ok(call->reply);
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "FOLLOW <token> [<timeout-ms>]",
        "    Wait until this region has all that the token's client has seen; from then on",
        "    writes and causal reads of this connection come after it.",
        "READ <level>",
        "    What reads of this connection wait for: " READ_LEVEL_WORDS ".",
        "RESET",
        "    Forget the token and both levels.",
        "TOKEN",
        "    Return what this connection may have seen, to be followed in any region.",
        "WRITE <level>",
        "    What writes of this connection wait for:",
        "    " WRITE_LEVEL_WORDS ".",
        NULL,
    };

    call_help(call, lines);
}

const struct command session_subcommands[] = {
    COMMAND_ROW("session|follow", session_follow, -3, CMD_NOSCRIPT, 0, 0, 0, "region", "0.2.0",
                "O(N) where N is the number of regions",
                "Wait until what another client has seen is here"),
    COMMAND_ROW("session|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region", "0.2.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("session|read", session_read, 3, CMD_LOADING | CMD_STALE, 0, 0, 0, "region",
                "0.2.0", "O(1)", "Set what reads of this connection wait for"),
    COMMAND_ROW("session|reset", session_reset, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region",
                "0.2.0", "O(1)", "Forget the token and the levels of this connection"),
    COMMAND_ROW("session|token", session_token, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "region",
                "0.2.0", "O(N) where N is the number of regions",
                "Get what this connection may have seen"),
    COMMAND_ROW("session|write", session_write, 3, CMD_LOADING | CMD_STALE, 0, 0, 0, "region",
                "0.2.0", "O(1)", "Set what writes of this connection wait for"),
    COMMAND_END,
};
