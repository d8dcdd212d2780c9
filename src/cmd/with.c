#include "cmd/with.h"

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

static const char *take_token(struct span value, struct with *with)
{
    if (with->token == NULL)
        with->token = mem_alloc(sizeof(*with->token));
    return token_take(value, with->token) ? NULL : "ERR token= is no token of this deployment";
}

static const char *take_option(struct span arg, struct with *with)
{
    struct span value;

    if (is_option(arg, "acks", &value))
        return take_acks(value, with);
    if (is_option(arg, "ack_timeout", &value))
        return take_timeout(value, with);
    if (is_option(arg, "read", &value))
        return take_read(value, with);
    if (is_option(arg, "token", &value))
        return take_token(value, with);
    return "ERR WITH knows the options acks=, ack_timeout=, read= and token=, and -- before the "
           "command";
}

static const char *judge_command(struct span name)
{
    const struct command *command = command_find(name);

    /* one that is unknown is told so when it runs */
    if (command == NULL || command->run == cmd_exec || command->subcommands != NULL ||
        command->flags & (CMD_WRITE | CMD_READONLY))
        return NULL;
    return "ERR WITH is for a command that reads or writes keys, or EXEC";
}

const char *with_take(const struct span *argv, size_t argc, struct with *with)
{
    const char *problem = NULL;
    size_t at = 1;

    *with = (struct with){ 0 };
    for (; at < argc && problem == NULL; at++) {
        if (span_equal(argv[at], span_str("--")))
            break;
        problem = take_option(argv[at], with);
    }
    if (problem == NULL && at + 1 >= argc)
        problem = "ERR WITH option [option ...] -- COMMAND ...: there is no command after --";
    if (problem == NULL)
        problem = judge_command(argv[at + 1]);
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

/* The node has read the options before (cmd/demand.h), and tells the answer's map once it may go. */
void cmd_with(struct call *call)
{
    struct session *s = call->session;
    const char *problem = NULL;

    if (call->nested || s->transaction.open)
        problem = "ERR WITH inside MULTI is not allowed: give it to EXEC";
    if (s->transaction.open && s->with.on &&
        command_find(call->argv[s->with.command_at])->run == cmd_exec)
        problem = NULL;
    if (problem == NULL && !s->with.on)
        problem = with_take(call->argv, call->argc, &s->with);
    if (problem != NULL)
        reply_error(call->reply, problem);
    else
        command_run_within(call, s->with.command_at);
}
