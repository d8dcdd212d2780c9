/* Commands about one's own connection: PING ECHO HELLO AUTH SELECT QUIT RESET. */
#include "base/memory.h"
#include "cmd/client.h"
#include "cmd/handlers.h"

void cmd_ping(struct call *call)
{
    if (call->argc > 2)
        reply_error(call->reply, "ERR wrong number of arguments for 'ping' command");
    else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1]);
    else
        reply_simple(call->reply, "PONG");
}

void cmd_echo(struct call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

/* There are no passwords yet: the default user is let in with any, as by a Redis without one. */
static bool authenticate(struct call *call, struct span user)
{
    if (span_equal(user, span_str("default")))
        return true;
    reply_error(call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void cmd_auth(struct call *call)
{
    if (call->argc > 3)
        call_syntax_error(call);
    else if (call->argc == 2)
        reply_error(
            call->reply,
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?");
    else if (authenticate(call, call->argv[1]))
        reply_ok(call->reply);
}

struct hello {
    int protocol;     /* 0: as it is */
    struct span user; /* at NULL: not given */
    struct span name;
};

static bool take_protocol(struct call *call, struct hello *hello)
{
    int64_t version;

    if (call->argc < 2)
        return true;
    if (!span_to_int64(call->argv[1], &version)) {
        reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (version != 2 && version != 3) {
        reply_error(call->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    hello->protocol = (int)version;
    return true;
}

static bool take_hello_options(struct call *call, struct hello *hello)
{
    for (size_t i = 2; i < call->argc; i++) {
        size_t more = call->argc - 1 - i;

        if (call_is(call, i, "AUTH") && more >= 2) {
            hello->user = call->argv[i + 1];
            i += 2;
        } else if (call_is(call, i, "SETNAME") && more >= 1) {
            hello->name = call->argv[++i];
            if (!client_name_valid(call, hello->name))
                return false;
        } else {
            reply_errorf(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                         (int)call->argv[i].len, (const char *)call->argv[i].at);
            return false;
        }
    }
    return true;
}

/* `server` and `version` name what we are compatible with: clients choose their features by
 * them. */
static void describe_server(struct call *call)
{
    reply_map(call->reply, 7);
    reply_bulk_text(call->reply, "server");
    reply_bulk_text(call->reply, "redis");
    reply_bulk_text(call->reply, "version");
    reply_bulk_text(call->reply, REDIS_VERSION);
    reply_bulk_text(call->reply, "proto");
    reply_int(call->reply, call->reply->protocol);
    reply_bulk_text(call->reply, "id");
    reply_int(call->reply, (int64_t)call->session->id);
    reply_bulk_text(call->reply, "mode");
    reply_bulk_text(call->reply, "standalone");
    reply_bulk_text(call->reply, "role");
    reply_bulk_text(call->reply, "master");
    reply_bulk_text(call->reply, "modules");
    reply_array(call->reply, 0);
}

void cmd_hello(struct call *call)
{
    struct hello hello = { 0 };

    if (!take_protocol(call, &hello) || !take_hello_options(call, &hello))
        return;
    if (hello.user.at != NULL && !authenticate(call, hello.user))
        return;
    if (hello.name.at != NULL)
        client_set_text(&call->session->name, hello.name);
    if (hello.protocol != 0)
        call->reply->protocol = hello.protocol;
    describe_server(call);
}

void cmd_select(struct call *call)
{
    int64_t db;

    if (!call_int(call, call->argv[1], &db))
        return;
    if (db < 0 || db >= USER_DATABASES) {
        reply_error(call->reply, "ERR DB index is out of range");
        return;
    }
    call->session->db = (uint8_t)db;
    reply_ok(call->reply);
}

void cmd_quit(struct call *call)
{
    call->session->closing = true;
    reply_ok(call->reply);
}

void cmd_reset(struct call *call)
{
    struct session *session = call->session;

    transaction_discard(call->server, &session->transaction);
    session->db = 0;
    session->reply_mode = REPLY_ON;
    session->no_touch = false;
    session_forget(session);
    client_set_text(&session->name, span_of(NULL, 0));
    call->reply->protocol = 2;
    reply_simple(call->reply, "RESET");
}
