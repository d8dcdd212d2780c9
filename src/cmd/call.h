/*
 * call -- one command being run: arguments in, reply and ops out.
 *
 * A handler reads state through the replica, decides, emits ops (core/emit.h), and writes exactly
 * one reply. It never changes state itself and never blocks. Arguments are spans into the client's
 * bytes: valid until the handler returns. Spans into objects are valid until the next emit.
 */
#ifndef CMD_CALL_H
#define CMD_CALL_H

#include "cmd/server.h"
#include "core/emit.h"
#include "core/replica.h"

struct command;

struct call {
    struct server *server;
    struct session *session;
    struct replica *replica;
    const struct command *command;
    const struct span *argv; /* argv[0] is the command's name */
    size_t argc;
    struct reply *reply;
    uint64_t now_ms; /* the HLC's time: by this expiry is judged */
    uint8_t db;
    bool retry;        /* of a command that waited for a key: cmd/blocking.h */
    bool nested;       /* inside EXEC: nothing waits */
    size_t before;     /* arguments of the WITH that stand in front of argv */
    size_t timeout_at; /* which argument call_timeout has read: in seconds, or */
    bool timeout_in_ms;
    uint32_t fence; /* of its keys, by place (cmd/fence.h) */
};

enum command_flags {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_NOSCRIPT = 1 << 4,
    CMD_LOADING = 1 << 5,
    CMD_STALE = 1 << 6,
    CMD_FAST = 1 << 7,
    CMD_MOVABLE_KEYS = 1 << 8,
    CMD_BLOCKING = 1 << 9,
    CMD_NO_AUTH = 1 << 10,
};

typedef void (*command_fn)(struct call *call);

/*
 * One row of the command table. The rows stand in cmd/table_data.def and cmd/table_server.def:
 *     COMMAND(get, cmd_get, arity, flags, first, last, step, "group", "since", "complexity", "summary")
 *     CONTAINER(client, client_subcommands, arity, flags, "group", "since", "summary")
 * A container's subcommands are an array of COMMAND_ROW("client|id", handler, ...) ended by
 * COMMAND_END, beside their handlers, which see the whole argv. A container that its arity lets
 * stand alone then runs its first subcommand.
 */
struct command {
    const char *name; /* lower case; of a subcommand: "client|id" */
    command_fn run;
    int arity; /* as Redis: negative = at least */
    uint32_t flags;
    int first_key, last_key, key_step;
    const char *group; /* "string", "hash", … as Redis's COMMAND DOCS */
    const char *since; /* the Redis version that introduced it */
    const char *complexity;
    const char *summary;
    const struct command *subcommands; /* NULL-named row ends; NULL: none */
};

#define COMMAND_ROW(name, handler, arity, flags, first, last, step, group, since, complexity,      \
                    summary)                                                                       \
    {                                                                                              \
        name, handler, arity, flags, first, last, step, group, since, complexity, summary, NULL    \
    }
#define COMMAND_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* The command of a name (any case), or NULL. Constant time. */
const struct command *command_find(struct span name);
const struct command *command_at(size_t index);
size_t command_count(void);
size_t command_index(const struct command *command);

/* The subcommand of a container, or NULL. */
const struct command *command_find_sub(const struct command *container, struct span name);

/* What these arguments call, down to the subcommand; NULL when they call nothing. */
const struct command *command_resolve(const struct span *argv, size_t argc);

/* CLIENT REPLY: the reply at `start` of the session's output is taken back if it is not wanted. */
void command_silence(struct session *session, size_t start);

/* Runs one command: finds it, checks arity and refusals, calls the handler, counts. Ops emitted are
 * one group. */
void command_run(struct server *server, struct session *session, const struct span *argv,
                 size_t argc);

/* The command that stands in another one's arguments (WITH), as if it had come alone. */
void command_run_within(struct call *outer, size_t command_at);

/* One of the commands that `exec` (EXEC) runs: into its group, without a session's formalities. */
void command_run_nested(const struct call *exec, const struct span *argv, size_t argc);

/* Of cold keys that a command brings in one after the other so much stays in memory, and no more. */
enum { CALL_KEPT_BYTES = 4 << 20 };

/* Whether a command of this session would write when it came now: one that MULTI queues does not,
 * its EXEC does. */
bool command_writes(const struct session *session, const struct span *argv, size_t argc);

/* The same of what may need more memory. */
bool command_needs_memory(const struct session *session, const struct span *argv, size_t argc);

/* Runs a command that waits (cmd/blocking.h) once more; it may reply or not. */
void command_retry(struct server *server, struct session *session, const struct command *command,
                   uint8_t db, const struct span *argv, size_t argc);

/* Ends a WAIT (session->waiting): replies how many regions have the session's writes, or that it was
 * ended by CLIENT UNBLOCK. */
void command_wait_end(struct session *session, uint64_t regions);
void command_wait_refuse(struct session *session);
#define UNBLOCKED_ERROR "UNBLOCKED client unblocked via CLIENT UNBLOCK"

/* --- helpers for handlers --- */

/* The object of a key that readers see (expired ones are absent): *found is NULL when there is
 * none. Replies WRONGTYPE and returns false when it is of another type. COMPONENT_NONE as `want`
 * takes any type. Counts hits and misses when the command is a read. */
bool call_find(struct call *call, struct span key, enum component want, struct entry **found);

/* Whether only one region may write this key: what consumer groups and explicit stream ids need.
 * Replies the error and returns false when it is not so. */
bool call_one_writer(struct call *call, struct span key, const char *what);
bool call_has_one_writer(const struct call *call, struct span key); /* the same, silently */

/* Replies an error and returns false when a command would write so much that its group, of which
 * others inside MULTI may have written some, passes GROUP_MAX_BYTES. */
bool call_fits_group(struct call *call, size_t bytes);

void call_wrong_type(struct call *call);
void call_syntax_error(struct call *call); /* "ERR syntax error" */
/* replies "ERR value is not an integer or out of range" */
bool call_int(struct call *call, struct span s, int64_t *out);
/* replies "ERR value is not a valid float" */
bool call_double(struct call *call, struct span s, double *out);
/* argv[index] equals word, any case */
bool call_is(const struct call *call, size_t index, const char *word);
/* argv[index] as a pattern (cmd/glob.h) matches a lower-case name, any case. */
bool call_matches(const struct call *call, size_t index, const char *name);
/* HELP of a container: its own lines, NULL-ended */
void call_help(struct call *call, const char *const *lines);

#endif
