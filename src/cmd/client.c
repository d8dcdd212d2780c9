/* CLIENT: who is connected, and what they are called. */
#include "cmd/client.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/memory.h"
#include "cmd/blocking.h"
#include "cmd/handlers.h"

/* --- names --- */

static bool printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '!' || s.at[i] > '~')
            return false;
    }
    return true;
}

bool client_name_valid(struct call *call, struct span name)
{
    if (printable(name))
        return true;
    reply_error(call->reply,
                "ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
}

void client_set_text(char **text, struct span value)
{
    mem_free(*text);
    *text = NULL;
    if (value.len == 0)
        return;
    *text = mem_alloc(value.len + 1);
    memcpy(*text, value.at, value.len);
    (*text)[value.len] = 0;
}

static void get_name(struct call *call)
{
    if (call->session->name == NULL)
        reply_null(call->reply);
    else
        reply_bulk_text(call->reply, call->session->name);
}

static void set_name(struct call *call)
{
    if (!client_name_valid(call, call->argv[2]))
        return;
    client_set_text(&call->session->name, call->argv[2]);
    reply_ok(call->reply);
}

/* As Redis 7.2: client libraries send it right after connecting. */
static void set_info(struct call *call)
{
    bool is_name = call_is(call, 2, "LIB-NAME");

    if (!is_name && !call_is(call, 2, "LIB-VER")) {
        reply_errorf(call->reply, "ERR Unrecognized option '%.*s'", (int)call->argv[2].len,
                     (const char *)call->argv[2].at);
        return;
    }
    if (!printable(call->argv[3])) {
        reply_errorf(call->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                     is_name ? "lib-name" : "lib-ver");
        return;
    }
    client_set_text(is_name ? &call->session->library_name : &call->session->library_version,
                    call->argv[3]);
    reply_ok(call->reply);
}

static void get_id(struct call *call)
{
    reply_int(call->reply, (int64_t)call->session->id);
}

/* --- LIST and INFO --- */

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void put_flags(struct buffer *out, const struct server *server, const struct session *s)
{
    size_t start = out->len;

    if (s->transaction.open)
        buffer_put_u8(out, 'x');
    if (session_waits(s))
        buffer_put_u8(out, 'b');
    if (transaction_is_stale(server, &s->transaction))
        buffer_put_u8(out, 'd');
    if (s->closing)
        buffer_put_u8(out, 'c');
    if (s->killed)
        buffer_put_u8(out, 'A');
    if (s->no_evict)
        buffer_put_u8(out, 'e');
    if (s->no_touch)
        buffer_put_u8(out, 'T');
    if (out->len == start)
        buffer_put_u8(out, 'N');
}

static uint64_t age_s(const struct server *server, uint64_t since_ms)
{
    uint64_t now_ms = server->now_us / 1000;

    return now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0;
}

/* Redis's fields as far as they mean something here: there are no subscriptions. */
static void describe(struct buffer *out, const struct server *server, const struct session *s)
{
    buffer_printf(out,
                  "id=%" PRIu64 " addr=%s laddr=%s name=%s age=%" PRIu64 " idle=%" PRIu64 " flags=",
                  s->id, s->address, s->local_address, or_empty(s->name),
                  age_s(server, s->created_ms), age_s(server, s->active_ms));
    put_flags(out, server, s);
    buffer_printf(out,
                  " db=%u sub=0 psub=0 ssub=0 multi=%lld qbuf=%zu qbuf-free=%zu multi-mem=%zu "
                  "omem=%zu tot-mem=%zu",
                  s->db, s->transaction.open ? (long long)s->transaction.count : -1, s->input.len,
                  s->input.cap - s->input.len, s->transaction.queue.len, s->output.len,
                  sizeof(*s) + s->input.cap + s->output.cap + transaction_bytes(&s->transaction));
    buffer_printf(out, " cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
                  s->last_command != NULL ? s->last_command : "NULL", s->reply.protocol,
                  or_empty(s->library_name), or_empty(s->library_version));
}

static void get_info(struct call *call)
{
    struct buffer text = { 0 };

    describe(&text, call->server, call->session);
    reply_verbatim(call->reply, buffer_span(&text));
    buffer_release(&text);
}

/* Every client is a normal one: regions talk to each other elsewhere. Replies an error when there
 * is no such type. */
static bool take_type(struct call *call, struct span type, bool *normal)
{
    static const char *const others[] = { "master", "slave", "replica", "pubsub" };

    *normal = span_equal_nocase(type, "normal");
    if (*normal)
        return true;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (span_equal_nocase(type, others[i]))
            return true;
    }
    reply_errorf(call->reply, "ERR Unknown client type '%.*s'", (int)type.len,
                 (const char *)type.at);
    return false;
}

static bool asked_for(const struct call *call, uint64_t id)
{
    for (size_t i = 3; i < call->argc; i++) {
        int64_t asked;

        if (span_to_int64(call->argv[i], &asked) && asked >= 0 && (uint64_t)asked == id)
            return true;
    }
    return false;
}

static bool ids_valid(struct call *call)
{
    for (size_t i = 3; i < call->argc; i++) {
        int64_t id;

        if (!span_to_int64(call->argv[i], &id)) {
            reply_error(call->reply, "ERR Invalid client ID");
            return false;
        }
    }
    return true;
}

static void list_clients(struct call *call)
{
    bool by_id = call_is(call, 2, "ID") && call->argc >= 4;
    bool any = true;

    if (by_id) {
        if (!ids_valid(call))
            return;
    } else if (call_is(call, 2, "TYPE") && call->argc == 4) {
        if (!take_type(call, call->argv[3], &any))
            return;
    } else if (call->argc != 2) {
        call_syntax_error(call);
        return;
    }

    struct buffer text = { 0 };

    list_each(&call->server->sessions, it)
    {
        const struct session *session = container_of(it, struct session, link);

        if (any && (!by_id || asked_for(call, session->id)))
            describe(&text, call->server, session);
    }
    reply_verbatim(call->reply, buffer_span(&text));
    buffer_release(&text);
}

/* --- KILL --- */

struct kill_filter {
    uint64_t id;                        /* 0: any */
    struct span address, local_address; /* at NULL: any */
    bool nobody;                        /* a type or user that no client has */
    bool skip_me;
};

static bool kill_matches(const struct kill_filter *filter, const struct session *s,
                         const struct session *me)
{
    if (filter->nobody || (filter->skip_me && s == me))
        return false;
    if (filter->id != 0 && filter->id != s->id)
        return false;
    if (filter->address.at != NULL && !span_equal(filter->address, span_str(s->address)))
        return false;
    return filter->local_address.at == NULL ||
           span_equal(filter->local_address, span_str(s->local_address));
}

/* One's own connection still gets its answer. */
static uint64_t kill_all(struct call *call, const struct kill_filter *filter)
{
    uint64_t count = 0;

    list_each(&call->server->sessions, it)
    {
        struct session *session = container_of(it, struct session, link);

        if (session->killed || !kill_matches(filter, session, call->session))
            continue;
        if (session == call->session)
            session->closing = true;
        else
            session->killed = true;
        count++;
    }
    return count;
}

static bool take_kill_id(struct call *call, struct span text, struct kill_filter *filter)
{
    int64_t id;

    if (!span_to_int64(text, &id) || id < 1) {
        reply_error(call->reply, "ERR client-id should be greater than 0");
        return false;
    }
    filter->id = (uint64_t)id;
    return true;
}

static bool take_kill_user(struct call *call, struct span user)
{
    if (span_equal(user, span_str("default")))
        return true;
    reply_errorf(call->reply, "ERR No such user '%.*s'", (int)user.len, (const char *)user.at);
    return false;
}

/* The option at argv[i] with its value. */
static bool take_kill_option(struct call *call, size_t i, struct kill_filter *filter)
{
    struct span value = call->argv[i + 1];
    bool normal;

    if (call_is(call, i, "ID"))
        return take_kill_id(call, value, filter);
    if (call_is(call, i, "USER"))
        return take_kill_user(call, value);
    if (call_is(call, i, "TYPE")) {
        if (!take_type(call, value, &normal))
            return false;
        filter->nobody = filter->nobody || !normal;
    } else if (call_is(call, i, "ADDR")) {
        filter->address = value;
    } else if (call_is(call, i, "LADDR")) {
        filter->local_address = value;
    } else if (call_is(call, i, "SKIPME") &&
               (call_is(call, i + 1, "yes") || call_is(call, i + 1, "no"))) {
        filter->skip_me = call_is(call, i + 1, "yes");
    } else {
        call_syntax_error(call);
        return false;
    }
    return true;
}

static void kill_by_address(struct call *call)
{
    struct kill_filter filter = { .address = call->argv[2] };

    if (kill_all(call, &filter) > 0)
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR No such client");
}

static void kill_clients(struct call *call)
{
    struct kill_filter filter = { .skip_me = true };

    if (call->argc == 3) {
        kill_by_address(call);
        return;
    }
    for (size_t i = 2; i < call->argc; i += 2) {
        if (i + 1 == call->argc) {
            call_syntax_error(call);
            return;
        }
        if (!take_kill_option(call, i, &filter))
            return;
    }
    reply_int(call->reply, (int64_t)kill_all(call, &filter));
}

/* --- UNBLOCK --- */

static struct session *find_session(const struct server *server, int64_t id)
{
    list_each(&server->sessions, it)
    {
        struct session *s = container_of(it, struct session, link);

        if (id > 0 && s->id == (uint64_t)id)
            return s;
    }
    return NULL;
}

static void unblock(struct call *call)
{
    bool with_error = call_is(call, 3, "ERROR");
    int64_t id;

    if (call->argc > 4) {
        reply_errorf(call->reply,
                     "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT "
                     "HELP.",
                     (int)call->argv[1].len, (const char *)call->argv[1].at);
        return;
    }
    if (call->argc == 4 && !with_error && !call_is(call, 3, "TIMEOUT")) {
        reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!call_int(call, call->argv[2], &id))
        return;
    struct session *s = find_session(call->server, id);
    reply_int(call->reply, s != NULL && blocking_unblock(call->server, s, with_error));
}

/* --- switches --- */

static void set_switch(struct call *call, bool *to)
{
    if (call_is(call, 2, "on"))
        *to = true;
    else if (call_is(call, 2, "off"))
        *to = false;
    else {
        call_syntax_error(call);
        return;
    }
    reply_ok(call->reply);
}

static void no_evict(struct call *call)
{
    set_switch(call, &call->session->no_evict);
}

static void no_touch(struct call *call)
{
    set_switch(call, &call->session->no_touch);
}

/* What is not to be answered, this command included, is taken back by command_run. */
static void set_reply_mode(struct call *call)
{
    struct session *session = call->session;

    if (call_is(call, 2, "on")) {
        session->reply_mode = REPLY_ON;
        reply_ok(call->reply);
    } else if (call_is(call, 2, "off")) {
        session->reply_mode = REPLY_OFF;
    } else if (call_is(call, 2, "skip")) {
        if (session->reply_mode != REPLY_OFF)
            session->reply_mode = REPLY_SKIP_NEXT;
    } else {
        call_syntax_error(call);
    }
}

static void help(struct call *call)
{
    static const char *const lines[] = {
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ID <client-id>",
        "      Kill the connection with this ID.",
        "    * ADDR <ip:port>",
        "      Kill connections made from the specified address",
        "    * LADDR <ip:port>",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * ID <client-id> [<client-id> ...]",
        "      Return clients with these IDs.",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Set information specific to the client library.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        NULL,
    };

    call_help(call, lines);
}

enum {
    PLAIN = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
    ADMIN = CMD_ADMIN | PLAIN,
};

const struct command client_subcommands[] = {
    COMMAND_ROW("client|getname", get_name, 2, PLAIN, 0, 0, 0, "connection", "2.6.9", "O(1)",
                "Get the current connection name"),
    COMMAND_ROW("client|help", help, 2, CMD_LOADING | CMD_STALE, 0, 0, 0, "connection", "5.0.0",
                "O(1)", "Show helpful text about the different subcommands"),
    COMMAND_ROW("client|id", get_id, 2, PLAIN, 0, 0, 0, "connection", "5.0.0", "O(1)",
                "Returns the client ID for the current connection"),
    COMMAND_ROW("client|info", get_info, 2, PLAIN, 0, 0, 0, "connection", "6.2.0", "O(1)",
                "Returns information about the current client connection."),
    COMMAND_ROW("client|kill", kill_clients, -3, ADMIN, 0, 0, 0, "connection", "2.4.0",
                "O(N) where N is the number of client connections",
                "Kill the connection of a client"),
    COMMAND_ROW("client|list", list_clients, -2, ADMIN, 0, 0, 0, "connection", "2.4.0",
                "O(N) where N is the number of client connections",
                "Get the list of client connections"),
    COMMAND_ROW("client|no-evict", no_evict, 3, ADMIN, 0, 0, 0, "connection", "7.0.0", "O(1)",
                "Set client eviction mode for the current connection"),
    COMMAND_ROW(
        "client|no-touch", no_touch, 3, PLAIN, 0, 0, 0, "connection", "7.2.0", "O(1)",
        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys."),
    COMMAND_ROW("client|reply", set_reply_mode, 3, PLAIN, 0, 0, 0, "connection", "3.2.0", "O(1)",
                "Instruct the server whether to reply to commands"),
    COMMAND_ROW("client|setinfo", set_info, 4, PLAIN, 0, 0, 0, "connection", "7.2.0", "O(1)",
                "Sets information specific to the client or connection."),
    COMMAND_ROW("client|setname", set_name, 3, PLAIN, 0, 0, 0, "connection", "2.6.9", "O(1)",
                "Set the current connection name"),
    COMMAND_ROW("client|unblock", unblock, -3, ADMIN, 0, 0, 0, "connection", "5.0.0",
                "O(log N) where N is the number of client connections",
                "Unblock a client blocked in a blocking command from a different connection"),
    COMMAND_END,
};
