#include "cmd/command_keys.h"

#include "base/check.h"
#include "cmd/handlers.h"

/* What differs from "RO access" of reads and "RW update" of writes. */
static const struct {
    const char *commands;
    struct key_use use;
} uses[] = {
    { "exists hexists hlen hstrlen llen object|encoding object|freq object|idletime "
      "object|refcount memory|usage scard sismember strlen touch type xlen zcard",
      { "RO", NULL } },
    { "del unlink", { "RM delete", NULL } },
    { "hdel lrem ltrim srem xautoclaim xdel xgroup|delconsumer xgroup|destroy xtrim zrem "
      "zremrangebylex zremrangebyrank zremrangebyscore",
      { "RW delete", NULL } },
    { "xreadgroup", { "RO access", NULL } }, /* so says Redis */
    { "blmpop blpop brpop bzmpop bzpopmax bzpopmin getdel lmpop lpop rpop spop zmpop zpopmax "
      "zpopmin",
      { "RW access delete", NULL } },
    { "append hsetnx linsert lpush lpushx rpush rpushx sadd xgroup|create xgroup|createconsumer",
      { "RW insert", NULL } },
    { "mset psetex setex", { "OW update", NULL } },
    { "msetnx setnx", { "OW insert", NULL } },
    { "set", { "RW access update variable_flags", NULL } },
    { "decr decrby getex getset hincrby hincrbyfloat incr incrby incrbyfloat move zincrby",
      { "RW access update", NULL } },
    { "copy", { "RO access", "OW update" } },
    { "rename", { "RW access delete", "OW update" } },
    { "renamenx", { "RW access delete", "OW insert" } },
    { "sdiffstore sunionstore zdiffstore zinterstore zrangestore zunionstore",
      { "OW update", "RO access" } },
    { "sinterstore", { "RW update", "RO access" } }, /* so says Redis */
    { "georadius georadiusbymember sort", { "RO access", "OW update" } },
    { "blmove brpoplpush lmove rpoplpush smove", { "RW access delete", "RW insert" } },
};

bool command_listed(const char *words, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = words; (at = strstr(at, name)) != NULL; at += len) {
        bool starts = at == words || at[-1] == ' ';

        if (starts && (at[len] == ' ' || at[len] == 0))
            return true;
    }
    return false;
}

struct key_use command_key_use(const struct command *command)
{
    for (size_t i = 0; i < COUNT_OF(uses); i++) {
        if (command_listed(uses[i].commands, command->name))
            return uses[i].use;
    }
    return (struct key_use){ command->flags & CMD_WRITE ? "RW update" : "RO access", NULL };
}

size_t command_streams_index(const struct command *command)
{
    return command->run == cmd_xread ? 1 : command->run == cmd_xreadgroup ? 4 : 0;
}

size_t command_store_index(const struct command *command)
{
    if (command->run == cmd_sort)
        return 2;
    return command->run == cmd_georadius ? 6 : command->run == cmd_georadiusbymember ? 5 : 0;
}

size_t command_count_index(const struct command *command)
{
    if ((command->flags & CMD_MOVABLE_KEYS) == 0 || command_streams_index(command) != 0 ||
        command_store_index(command) != 0 || command->run == cmd_sort_ro)
        return 0;
    return command->first_key > 0 || (command->flags & CMD_BLOCKING) != 0 ? 2 : 1;
}

static bool counted_range(const struct span *argv, size_t argc, size_t at, struct key_range *range)
{
    int64_t count;

    if (argc < at + 2 || !span_to_int64(argv[at], &count) || count < 1 ||
        (uint64_t)count > argc - at - 1)
        return false;
    range->first = at + 1;
    range->last = at + (size_t)count;
    range->step = 1;
    return true;
}

static bool streams_range(const struct span *argv, size_t argc, size_t at, struct key_range *range)
{
    while (at < argc && !span_equal_nocase(argv[at], "streams"))
        at++;
    if (at + 1 >= argc || (argc - at - 1) % 2 != 0)
        return false;
    *range = (struct key_range){ at + 1, at + (argc - at - 1) / 2, 1, 0 };
    return true;
}

/* The last word counts, as it does when the command runs. */
static void store_range(const struct span *argv, size_t argc, size_t at, struct key_range *range)
{
    *range = (struct key_range){ 1, 1, 1, 0 };
    for (; at + 1 < argc; at++) {
        if (span_equal_nocase(argv[at], "store") || span_equal_nocase(argv[at], "storedist"))
            *range = (struct key_range){ at + 1, at + 1, 1, 1 };
    }
}

bool command_key_range(const struct command *command, const struct span *argv, size_t argc,
                       struct key_range *range)
{
    CHECK(command_has_keys(command));
    size_t count_at = command_count_index(command);

    if (count_at != 0) {
        range->before = (size_t)command->first_key;
        return counted_range(argv, argc, count_at, range);
    }
    if (command_streams_index(command) != 0)
        return streams_range(argv, argc, command_streams_index(command), range);
    if (command_store_index(command) != 0) {
        store_range(argv, argc, command_store_index(command), range);
        return true;
    }
    int64_t last = command->last_key >= 0 ? command->last_key : (int64_t)argc + command->last_key;

    *range = (struct key_range){ (size_t)command->first_key, (size_t)last,
                                 (size_t)command->key_step, 0 };
    return last >= command->first_key && last < (int64_t)argc;
}
