#include "cmd/call.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "cmd/blocking.h"
#include "cmd/command_keys.h"
#include "cmd/fence.h"
#include "cmd/glob.h"
#include "cmd/handlers.h"
#include "cmd/home.h"
#include "crdt/resident.h"

enum { QUOTED_MAX = 128 }; /* of a client's text in an error, as Redis */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* --- what is refused before a handler runs --- */

static int quoted_len(struct span s)
{
    return s.len < QUOTED_MAX ? (int)s.len : QUOTED_MAX;
}

/* Redis quotes arguments until they fill 128 bytes. */
static void unknown_command(struct call *call)
{
    char args[2 * QUOTED_MAX + 8] = "";
    size_t len = 0;

    for (size_t i = 1; i < call->argc && len < QUOTED_MAX; i++) {
        int room = QUOTED_MAX - (int)len;
        int part = quoted_len(call->argv[i]);

        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ",
                                part < room ? part : room, (const char *)call->argv[i].at);
    }
    reply_errorf(call->reply, "ERR unknown command '%.*s', with args beginning with: %s",
                 quoted_len(call->argv[0]), (const char *)call->argv[0].at, args);
}

static void unknown_subcommand(struct call *call)
{
    char name[32];
    size_t len = strlen(call->command->name);

    CHECK(len < sizeof(name));
    for (size_t i = 0; i <= len; i++) {
        char c = call->command->name[i];

        name[i] = c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    reply_errorf(call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                 quoted_len(call->argv[1]), (const char *)call->argv[1].at, name);
}

static bool arity_fits(const struct command *command, size_t argc)
{
    return command->arity >= 0 ? argc == (size_t)command->arity : argc >= (size_t)-command->arity;
}

/* Looks at the container's own arity first, as Redis does only when no subcommand is named. */
static bool resolve_subcommand(struct call *call)
{
    if (call->command->subcommands == NULL)
        return true;
    if (call->argc == 1) {
        if (arity_fits(call->command, 1))
            call->command = call->command->subcommands;
        return true;
    }

    const struct command *sub = command_find_sub(call->command, call->argv[1]);

    if (sub == NULL) {
        unknown_subcommand(call);
        return false;
    }
    call->command = sub;
    return true;
}

/* A group travels whole: what could not leave the region is not begun. */
bool call_fits_group(struct call *call, size_t bytes)
{
    size_t written = call->nested ? replica_group_bytes(call->replica) : 0;

    if (written <= GROUP_MAX_BYTES && bytes <= GROUP_MAX_BYTES - written)
        return true;
    reply_errorf(call->reply, "ERR one %s may write at most 64 MB (group.max): split it",
                 call->nested || call->session->transaction.open ? "transaction" : "command");
    return false;
}

bool call_has_one_writer(const struct call *call, struct span key)
{
    const struct server *server = call->server;
    const struct keyspace *k = server_declared(server, server_keyspace(server, key));

    return home_is_single(k) || replica_writers_of(call->replica, k->fence) <= 1;
}

bool call_one_writer(struct call *call, struct span key, const char *what)
{
    if (call_has_one_writer(call, key))
        return true;
    reply_errorf(
        call->reply,
        "ERR %s needs a keyspace in which one region writes: here %zu regions write at once", what,
        replica_writers_of(call->replica, fence_of_key(call->server, key)));
    return false;
}

static size_t argument_bytes(const struct call *call)
{
    size_t bytes = 0;
    for (size_t i = 0; i < call->argc; i++)
        bytes += call->argv[i].len;
    return bytes;
}

static const char *write_refusal(const struct server *server)
{
    return server->refusal != NULL ? server->refusal : replica_write_refusal(server->replica);
}

static bool writes(const struct session *session, const struct command *command)
{
    return command->flags & CMD_WRITE || (command->run == cmd_exec && session->transaction.writes);
}

const struct command *command_resolve(const struct span *argv, size_t argc)
{
    const struct command *command = command_find(argv[0]);

    if (command != NULL && command->subcommands != NULL)
        command = argc > 1 ? command_find_sub(command, argv[1]) : NULL;
    return command != NULL && arity_fits(command, argc) ? command : NULL;
}

bool command_writes(const struct session *session, const struct span *argv, size_t argc)
{
    const struct command *command = command_resolve(argv, argc);
    bool at_once = command != NULL && (!session->transaction.open || command->run == cmd_exec);

    return at_once && writes(session, command);
}

static bool needs_memory(const struct session *session, const struct command *command)
{
    return command->flags & CMD_DENYOOM ||
           (command->run == cmd_exec && session->transaction.writes);
}

bool command_needs_memory(const struct session *session, const struct span *argv, size_t argc)
{
    const struct command *command = command_resolve(argv, argc);
    bool at_once = command != NULL && (!session->transaction.open || command->run == cmd_exec);

    return at_once && needs_memory(session, command);
}

static bool may_write(struct call *call)
{
    const char *why = write_refusal(call->server);

    if (why != NULL)
        reply_error(call->reply, why);
    return why == NULL;
}

static bool may_run(struct call *call)
{
    const char *loading = call->server->loading;

    if (loading == NULL || call->command->flags & CMD_LOADING)
        return true;
    reply_error(call->reply, loading);
    return false;
}

/* As Redis: of a MULTI nothing more is queued either. */
static bool may_need_memory(struct call *call)
{
    bool needs = needs_memory(call->session, call->command) || transaction_takes(call);

    if (!call->server->out_of_memory || !needs)
        return true;
    reply_error(call->reply, "OOM command not allowed when used memory > 'maxmemory'.");
    return false;
}

/* Finds what really runs. False when an error was replied. */
static bool admit(struct call *call)
{
    if (call->command == NULL) {
        unknown_command(call);
        return false;
    }
    if (!resolve_subcommand(call))
        return false;

    /* A container that was named alone has an arity that forbids it. A bare first subcommand has
     * none to check. */
    bool bare = call->argc == 1 && strchr(call->command->name, '|') != NULL;

    if (!bare && !arity_fits(call->command, call->argc)) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command",
                     call->command->name);
        return false;
    }
    if (!may_run(call) || (!call->nested && !may_need_memory(call)) || !fence_admits(call))
        return false;
    if (!writes(call->session, call->command))
        return true;
    return may_write(call) && call_fits_group(call, argument_bytes(call));
}

/* --- what the disk does not give --- */

/* The error of a read that failed, told once: it is the server's from then on. */
static int met_damage(struct call *call)
{
    int error = E_OK;

    if (call->replica->databases[0].cold == NULL)
        return E_OK;
    for (int i = 0; i < OP_DATABASES; i++) {
        struct database *d = &call->replica->databases[i];

        if (d->damage != E_OK && error != E_CORRUPT)
            error = d->damage;
        d->damage = E_OK;
    }
    if (error != E_OK && call->server->damaged != E_CORRUPT)
        call->server->damaged = error;
    return error;
}

static void refuse_damaged(struct call *call, int error)
{
    if (error == E_CORRUPT)
        reply_error(call->reply, "ERR a key that this command needs is damaged on disk: see the "
                                 "server's log, and run meridian repair");
    else
        reply_errorf(call->reply,
                     "ERR a key that this command needs cannot be read from disk (%s): see the "
                     "server's log",
                     error_text(error));
}

/* What was found out of a key that could not be read is not true: one error instead of the reply at
 * `start`. Who waits has not been told anything. */
static void judge_reply(struct call *call, size_t start)
{
    bool waits = call->reply->out->len == start && !call->session->unfinished;

    int error = met_damage(call);

    if (error == E_OK || waits)
        return;
    call->reply->out->len = start;
    call->session->unfinished = false;
    refuse_damaged(call, error);
}

/* A write decides by what it finds: so its keys are read first, or it would leave the region although
 * it is wrong. What is much they do not hold together: to remove it, one after the other is enough. */
static bool can_read_keys(struct call *call)
{
    struct database *d = &call->replica->databases[call->db];
    struct key_range range = { 0 };
    uint64_t room_bytes = CALL_KEPT_BYTES;
    int error;

    if (d->colds.keys == 0 || !command_has_keys(call->command) ||
        !command_key_range(call->command, call->argv, call->argc, &range))
        return true;
    if (range.before != 0)
        resident_try(d, call->argv[range.before], &room_bytes);
    for (size_t i = range.first; i <= range.last; i += range.step)
        resident_try(d, call->argv[i], &room_bytes);
    error = met_damage(call);
    if (error != E_OK)
        refuse_damaged(call, error);
    return error == E_OK;
}

/* --- running --- */

static void run_command(struct call *call)
{
    if (!(call->command->flags & CMD_WRITE) || can_read_keys(call))
        call->command->run(call);
}

static void run_write(struct call *call)
{
    replica_group_begin(call->replica);
    if (call->fence != 0)
        replica_group_fence(call->replica, call->fence);
    run_command(call);

    stamp_t stamp = replica_group_end(call->replica);

    if (stamp != 0) {
        call->session->wrote = true;
        call->session->last_write = stamp;
    }
}

/* What is not wanted is taken back, so that handlers need not know. */
void command_silence(struct session *session, size_t start)
{
    if (session->reply_mode == REPLY_ON)
        return;
    session->output.len = start;
    session->wait_silent = session_waits(session);
    if (session->reply_mode == REPLY_SKIP)
        session->reply_mode = REPLY_ON;
    if (session->reply_mode == REPLY_SKIP_NEXT)
        session->reply_mode = REPLY_SKIP;
}

/* Counts what the reply at `start` tells. `errors` were counted before. */
static void count_call(const struct call *call, struct command_figures *figures, size_t start,
                       uint64_t errors)
{
    uint64_t more = call->reply->errors - errors;

    if (more == 0)
        return;
    if (figures != NULL)
        figures->failed++;
    call->server->statistics.errors += more - 1;
    server_count_error(call->server, call->reply->out, start);
}

/* It is counted when it ends. */
static void uncount_call(const struct call *call, struct command_figures *figures)
{
    call->server->statistics.commands--;
    call->session->commands--;
    figures->calls--;
}

static void run_call(struct call *call, struct command_figures *figures)
{
    call->server->statistics.commands++;
    figures->calls++;
    if (!call->nested && writes(call->session, call->command))
        run_write(call);
    else
        run_command(call);
}

static struct call call_of(struct server *server, struct session *session, uint8_t db,
                           const struct command *command, const struct span *argv, size_t argc)
{
    return (struct call){
        .server = server,
        .session = session,
        .replica = server->replica,
        .command = command,
        .argv = argv,
        .argc = argc,
        .reply = &session->reply,
        .now_ms = replica_hlc_ms(server->replica),
        .db = db,
    };
}

/* What a session's command does, whatever stands around it. */
static void run(struct server *server, struct session *session, const struct span *argv,
                size_t argc, size_t before)
{
    const struct command *row = command_find(argv[0]);
    struct command_figures *figures = row != NULL ? &server->figures[command_index(row)] : NULL;
    size_t start = session->output.len;
    uint64_t errors = session->reply.errors;
    struct call call = call_of(server, session, session->db, row, argv, argc);

    call.before = before;
    if (!admit(&call)) {
        transaction_refuse(&call, start);
        if (figures != NULL)
            figures->rejected++;
        figures = NULL;
    } else {
        session->commands++;
        session->last_command = call.command->name;
        if (transaction_takes(&call))
            transaction_queue(&call);
        else
            run_call(&call, figures);
    }
    judge_reply(&call, start);
    if (session->unfinished) {
        uncount_call(&call, figures);
        return;
    }
    count_call(&call, figures, start, errors);
}

void command_run(struct server *server, struct session *session, const struct span *argv,
                 size_t argc)
{
    CHECK(argc > 0);
    CHECK(session->reply.out == &session->output);
    size_t start = session->output.len;

    session->flush.runs &= session->unfinished;
    session->unfinished = session->wrote = false;
    session->merge_steps = 0;
    run(server, session, argv, argc, 0);
    if (!session->unfinished)
        command_silence(session, start);
}

void command_run_within(struct call *outer, size_t command_at)
{
    CHECK(command_at < outer->argc);
    run(outer->server, outer->session, outer->argv + command_at, outer->argc - command_at,
        command_at);
}

/* The errors counted here are taken back from the reply's, for EXEC itself has not failed. */
/* What the command would have taken away did not fit into the MULTI's group, and was not emitted: the
 * answer says so. */
static void refuse_unfit(struct call *call, size_t start)
{
    if (!call->replica->group_refused)
        return;
    call->replica->group_refused = false;
    call->reply->out->len = start;
    CHECK(!call_fits_group(call, SIZE_MAX));
}

void command_run_nested(const struct call *exec, const struct span *argv, size_t argc)
{
    const struct command *row = command_find(argv[0]);
    struct command_figures *figures = &exec->server->figures[command_index(row)];
    size_t start = exec->reply->out->len;
    uint64_t errors = exec->reply->errors;
    struct call call = call_of(exec->server, exec->session, exec->session->db, row, argv, argc);

    call.nested = true;
    if (admit(&call) && transaction_fits(&call)) {
        run_call(&call, figures);
        refuse_unfit(&call, start);
        judge_reply(&call, start);
    }
    count_call(&call, figures, start, errors);
    call.reply->errors = errors;
}

void command_retry(struct server *server, struct session *session, const struct command *command,
                   uint8_t db, const struct span *argv, size_t argc)
{
    size_t start = session->output.len;
    uint64_t errors = session->reply.errors;
    struct call call = call_of(server, session, db, command, argv, argc);

    call.retry = true;
    session->wrote = false;
    session->merge_steps = 0;
    if (!fence_admits(&call))
        ;
    else if (!(command->flags & CMD_WRITE))
        command->run(&call);
    else if (may_write(&call))
        run_write(&call);
    judge_reply(&call, start);
    count_call(&call, &server->figures[command_index(command)], start, errors);
}

/* --- helpers for handlers --- */

bool call_find(struct call *call, struct span key, enum component want, struct entry **found)
{
    struct entry *entry = database_find(&call->replica->databases[call->db], key);
    enum component visible = COMPONENT_NONE;
    enum retry_key role = call->retry ? blocking_retry_key(call, key) : RETRY_OTHER;

    *found = NULL;
    if (role == RETRY_HIDDEN)
        return true;
    if (entry != NULL && !object_expired(entry, call->now_ms))
        visible = object_visible(entry);
    if (call->command->flags & CMD_READONLY && !call->retry) {
        if (visible != COMPONENT_NONE)
            call->server->statistics.keyspace_hits++;
        else
            call->server->statistics.keyspace_misses++;
    }
    *found = visible != COMPONENT_NONE ? entry : NULL;
    if (*found != NULL)
        evict_note(call->server, entry);
    if (*found != NULL && want != COMPONENT_NONE && visible != want) {
        if (role != RETRY_SERVED)
            call_wrong_type(call);
        return false;
    }
    return true;
}

void call_wrong_type(struct call *call)
{
    reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_syntax_error(struct call *call)
{
    reply_error(call->reply, "ERR syntax error");
}

bool call_int(struct call *call, struct span s, int64_t *out)
{
    if (span_to_int64(s, out))
        return true;
    reply_error(call->reply, "ERR value is not an integer or out of range");
    return false;
}

bool call_double(struct call *call, struct span s, double *out)
{
    if (span_to_double(s, out))
        return true;
    reply_error(call->reply, "ERR value is not a valid float");
    return false;
}

bool call_is(const struct call *call, size_t index, const char *word)
{
    return index < call->argc && span_equal_nocase(call->argv[index], word);
}

bool call_matches(const struct call *call, size_t index, const char *name)
{
    struct buffer pattern = { 0 };

    buffer_put(&pattern, call->argv[index]);
    for (size_t i = 0; i < pattern.len; i++)
        pattern.at[i] = lower(pattern.at[i]);

    bool matches = glob_match(buffer_span(&pattern), span_str(name));

    buffer_release(&pattern);
    return matches;
}

/* The container's name in capitals is that of the row's: "client|help". */
void call_help(struct call *call, const char *const *lines)
{
    char head[96];
    size_t count = 0, len = 0;

    for (const char *c = call->command->name; *c != 0 && *c != '|'; c++)
        head[len++] = *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20) : *c;
    snprintf(head + len, sizeof(head) - len,
             " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    while (lines[count] != NULL)
        count++;
    reply_array(call->reply, count + 3);
    reply_simple(call->reply, head);
    for (size_t i = 0; i < count; i++)
        reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}
