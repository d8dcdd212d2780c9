/*
 * command_keys -- which arguments of a command are keys, and what it does with them.
 *
 * Positions come from the command table (first, last, step). CMD_MOVABLE_KEYS means that an
 * argument counts the keys that follow it (argv[1], or argv[2] behind the first key, a destination,
 * or the timeout of a command that waits), or that a word says where they are (STREAMS, STORE). What
 * is done with a key is told in Redis's words ("RO access"): the first key of a command may be used
 * in another way than its others.
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
    size_t before;            /* a key that stands apart before these; 0: none */
};

/* The argument that counts keys; 0: none does. */
size_t command_count_index(const struct command *command);

/* XREAD, XREADGROUP: their keys are the first half of what follows STREAMS, which is looked for from
 * this argument on; 0: another command. */
size_t command_streams_index(const struct command *command);

/* SORT, GEORADIUS, GEORADIUSBYMEMBER: a destination may follow STORE (or STOREDIST), which is looked
 * for from this argument on; 0: another command. */
size_t command_store_index(const struct command *command);

/* Where the keys of this call are; false when its arguments do not say so. argc fits the command's
 * arity. */
bool command_key_range(const struct command *command, const struct span *argv, size_t argc,
                       struct key_range *range);

/* True when `name` is one of the words, which one space separates. */
bool command_listed(const char *words, const char *name);

#endif
