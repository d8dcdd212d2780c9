#include "cmd/with.h"

#include <stdio.h>

#include "base/memory.h"
#include "cmd/handlers.h"

/* --- options --- */

/* What follows `name=`. */
static bool is_option(struct span arg, const char *name, struct span *value)
{
    size_t len = strlen(name);

    if (arg.len <= len || arg.at[len] != '=' || !span_equal_nocase(span_of(arg.at, len), name))
        return false;
    *value = span_skip(arg, len + 1);
    return true;
}

static const char *take_acks(struct span value, struct with *with)
{
    with->levels.has_write = true;
    return write_level_parse(value, &with->levels.write)
               ? NULL
               : "ERR acks= is one of: " WRITE_LEVEL_WORDS;
}

static const char *take_read(struct span value, struct with *with)
{
    with->levels.has_read = true;
    return read_level_parse(value, &with->levels.read) ? NULL
                                                       : "ERR read= is one of: " READ_LEVEL_WORDS;
}

static const char *take_timeout(struct span value, struct with *with)
{
    int64_t ms;

    if (!span_to_int64(value, &ms) || ms < 1 || ms > LEVEL_STALENESS_MAX_MS)
        return "ERR ack_timeout= is a number of milliseconds, 1 to 3600000";
    with->levels.timeout_ms = (uint32_t)ms;
    return NULL;
}

static const char *take_token(struct span value, const char *deployment, struct with *with)
{
    with->token = mem_alloc(sizeof(*with->token));
    return token_take(value, with->token, deployment) ? NULL
                                                      : "ERR token= is no token of this deployment";
}

static const char *take_option(struct span arg, const char *deployment, struct with *with)
{
    const struct levels *l = &with->levels;
    struct span value;
    bool twice = (is_option(arg, "acks", &value) && l->has_write) ||
                 (is_option(arg, "ack_timeout", &value) && l->timeout_ms != 0) ||
                 (is_option(arg, "read", &value) && l->has_read) ||
                 (is_option(arg, "token", &value) && with->token != NULL);

    if (twice)
        return "ERR WITH takes each option once";
    if (is_option(arg, "acks", &value))
        return take_acks(value, with);
    if (is_option(arg, "ack_timeout", &value))
        return take_timeout(value, with);
    if (is_option(arg, "read", &value))
        return take_read(value, with);
    if (is_option(arg, "token", &value))
        return take_token(value, deployment, with);
    return "ERR WITH knows the options acks=, ack_timeout=, read= and token=, and -- before the "
           "command";
}

static const char *judge_command(const struct span *argv, size_t argc)
{
    const struct command *command = command_resolve(argv, argc);

    /* one that is unknown, or has not its arguments, is told so when it runs */
    if (command == NULL || command->run == cmd_exec)
        return NULL;
    if (command->flags & (CMD_WRITE | CMD_READONLY) && command->run != cmd_gather)
        return NULL;
    return "ERR WITH is for a command that reads or writes keys, or EXEC";
}

const char *with_take(const struct span *argv, size_t argc, const char *deployment,
                      struct with *with)
{
    const char *problem = NULL;
    size_t at = 1;

    *with = (struct with){ 0 };
    for (; at < argc && problem == NULL; at++) {
        if (span_equal(argv[at], span_str("--")))
            break;
        problem = take_option(argv[at], deployment, with);
    }
    if (problem == NULL && at + 1 >= argc)
        problem = "ERR WITH option [option ...] -- COMMAND ...: there is no command after --";
    if (problem == NULL)
        problem = judge_command(argv + at + 1, argc - at - 1);
    with->command_at = at + 1;
    with->on = problem == NULL;
    if (problem != NULL)
        with_release(with);
    return problem;
}

void with_release(struct with *with)
{
    mem_free(with->token);
    *with = (struct with){ 0 };
}

static uint32_t count_regions(const uint64_t members[4])
{
    uint32_t count = 0;

    for (int i = 0; i < 4; i++)
        count += (uint32_t)__builtin_popcountll(members[i]);
    return count;
}

bool with_can_be(const struct server *server, const struct session *session,
                 const struct span *argv, size_t argc, uint32_t *others)
{
    const struct levels *l = &session->with.levels;
    struct demand d;

    if (!l->has_write || l->write.acks != KEYSPACE_ACK_COUNT)
        return true;
    demand_of(server, session, argv, argc, &d);
    uint32_t holders = count_regions(d.members);
    *others = holders > 0 ? holders - 1 : UINT32_MAX; /* it has no keys */
    return l->write.count <= *others;
}

void with_raise(struct levels *levels, const struct with *with)
{
    if (with->levels.has_read) {
        levels->has_read = true;
        levels->read = with->levels.read;
    }
    if (with->levels.has_write) {
        levels->has_write = true;
        levels->write = with->levels.write;
    }
    if (with->levels.timeout_ms != 0)
        levels->timeout_ms = with->levels.timeout_ms;
}

/* --- WITH --- */

static bool is_exec(struct span name)
{
    const struct command *command = command_find(name);

    return command != NULL && command->run == cmd_exec;
}

/* The node has read the options before (cmd/demand.h), and tells the answer's map once it may go. */
void cmd_with(struct call *call)
{
    struct session *s = call->session;
    const char *problem = NULL;
    char too_many[80];
    uint32_t others;

    if (!s->with.on)
        problem = with_take(call->argv, call->argc, call->server->deployment->name, &s->with);
    if (problem == NULL && s->transaction.open && !is_exec(call->argv[s->with.command_at])) {
        problem = "ERR WITH inside MULTI is not allowed: give it to EXEC";
        with_release(&s->with);
    }
    if (problem == NULL && !with_can_be(call->server, s, call->argv + s->with.command_at,
                                        call->argc - s->with.command_at, &others)) {
        snprintf(too_many, sizeof(too_many),
                 "ERR acks %u cannot be: only %u other regions hold that key",
                 s->with.levels.write.count, others);
        problem = too_many;
    }
    if (problem == NULL) {
        command_run_within(call, s->with.command_at);
        return;
    }
    reply_error(call->reply, problem);
    if (s->transaction.open) /* one of its commands is missing */
        transaction_spoil(&s->transaction);
}
