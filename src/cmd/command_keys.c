#include "cmd/command_keys.h"

#include "base/check.h"

/* What differs from "RO access" of reads and "RW update" of writes. */
static const struct {
    const char *commands;
    struct key_use use;
} uses[] = {
    { "exists hexists hlen hstrlen object|encoding object|freq object|idletime object|refcount "
      "memory|usage scard "
      "sismember strlen touch type",
      { "RO", NULL } },
    { "del unlink", { "RM delete", NULL } },
    { "hdel srem", { "RW delete", NULL } },
    { "getdel spop", { "RW access delete", NULL } },
    { "append hsetnx sadd", { "RW insert", NULL } },
    { "mset psetex setex", { "OW update", NULL } },
    { "msetnx setnx", { "OW insert", NULL } },
    { "set", { "RW access update variable_flags", NULL } },
    { "decr decrby getex getset hincrby hincrbyfloat incr incrby incrbyfloat move",
      { "RW access update", NULL } },
    { "copy", { "RO access", "OW update" } },
    { "rename", { "RW access delete", "OW update" } },
    { "renamenx", { "RW access delete", "OW insert" } },
    { "sdiffstore sunionstore", { "OW update", "RO access" } },
    { "sinterstore", { "RW update", "RO access" } }, /* so says Redis */
    { "smove", { "RW access delete", "RW insert" } },
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

static bool counted_range(const struct span *argv, size_t argc, struct key_range *range)
{
    int64_t count;

    if (argc < 3 || !span_to_int64(argv[1], &count) || count < 1 || (uint64_t)count > argc - 2)
        return false;
    *range = (struct key_range){ .first = 2, .last = 1 + (size_t)count, .step = 1 };
    return true;
}

bool command_key_range(const struct command *command, const struct span *argv, size_t argc,
                       struct key_range *range)
{
    CHECK(command_has_keys(command));
    if (command->first_key == 0)
        return counted_range(argv, argc, range);

    int64_t last = command->last_key >= 0 ? command->last_key : (int64_t)argc + command->last_key;

    *range = (struct key_range){ (size_t)command->first_key, (size_t)last,
                                 (size_t)command->key_step };
    return last >= command->first_key && last < (int64_t)argc;
}
