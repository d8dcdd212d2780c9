/*
 * command_keys -- which arguments of a command are keys, and what it does with them.
 *
 * Positions come from the command table (first, last, step); CMD_MOVABLE_KEYS with no first key
 * means that argv[1] counts the keys that follow it. What is done with a key is told in Redis's
 * words ("RO access"): the first key of a command may be used in another way than its others.
 */
#ifndef CMD_COMMAND_KEYS_H
#define CMD_COMMAND_KEYS_H

#include "cmd/call.h"

struct key_use {
    const char *first, *rest; /* rest NULL: all alike */
};

/* Of a command that has keys. */
struct key_use command_key_use(const struct command *command);

static inline bool command_has_keys(const struct command *command)
{
    return command->first_key > 0 || (command->flags & CMD_MOVABLE_KEYS) != 0;
}

struct key_range {
    size_t first, last, step; /* indices into argv, last included */
};

/* Where the keys of this call are; false when its arguments do not say so. argc fits the command's
 * arity. */
bool command_key_range(const struct command *command, const struct span *argv, size_t argc,
                       struct key_range *range);

/* True when `name` is one of the words, which one space separates. */
bool command_listed(const char *words, const char *name);

#endif
