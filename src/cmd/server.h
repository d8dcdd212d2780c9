/*
 * server -- what commands know of the process around them: sessions, settings, figures.
 *
 * Plain data. The node owns it; the host fills in what only it can know (`process`). Settings
 * changed by CONFIG SET take effect where they are read. Nothing here is touched by another thread.
 */
#ifndef CMD_SERVER_H
#define CMD_SERVER_H

#include "cmd/conflict_log.h"
#include "cmd/evict.h"
#include "cmd/session.h"
#include "cmd/touch.h"
#include "crdt/object.h"
#include "policy/deployment.h"
#include "policy/prefixes.h"

struct replica;
struct merge_function;
struct gather_question;
struct stream_wake;

/* A keyspace as it is now: what KEYSPACE SET may change in this region, and what was counted. */
struct keyspace_live {
    struct keyspace_promises promises;
    bool has_fields;                     /* of the system, at the last look: cmd/system.h */
    char *merge_file;                    /* owned; NULL: none */
    char *merge_failed;                  /* the last that could not be read; owned; NULL: none */
    struct merge_function *merge;        /* owned; NULL: none */
    uint64_t conflicts[COMPONENT_COUNT]; /* by the type that came, since the start */
    struct sampling log_sampling;        /* of the log of conflicts: cmd/conflict_log.h */
    uint64_t log_skipped;                /* since the last that it kept */
    uint64_t merge_failures;
    struct sampling failure_sampling;
    uint64_t failures_untold;
};

/* Limits and settings that CONFIG GET/SET knows. */
struct settings {
    uint64_t max_clients;
    uint64_t query_buffer_bytes;  /* of one client's incomplete command */
    uint64_t output_buffer_bytes; /* of one client's replies that it does not read */
    uint64_t timeout_s;           /* idle clients; 0: never */
    uint64_t fsync;               /* enum fsync_policy: when clients are answered */
    uint64_t max_memory_bytes;    /* of the whole process; 0: no limit */
    uint64_t memory_policy;       /* enum memory_policy */
};

/* Counted since the start, or since CONFIG RESETSTAT. */
struct statistics {
    uint64_t connections, rejected_connections;
    uint64_t commands;
    uint64_t errors;
    uint64_t reclaimed_before; /* the replica's count of expired keys when these began */
    uint64_t keyspace_hits, keyspace_misses;
    uint64_t evicted_keys; /* of caches, that are gone for good */
    uint64_t input_bytes, output_bytes;
};

/* Known to the host only; refreshed by it. */
struct process {
    const char *version;
    const char *config_file;
    const char *data_dir;
    int pid;
    int client_port;
    uint64_t start_ms;
    uint64_t memory_used_bytes; /* allocated */
    uint64_t memory_rss_bytes;
    uint64_t memory_file_bytes; /* of the rss: pages of files, which the kernel has elsewhere too */
    uint64_t memory_samples;    /* how often these two were read */
    int64_t
        memory_grown_bytes; /* allocated since memory_used_bytes was counted, less what was freed */
    uint64_t memory_purges; /* how often the allocator gave back all that it did not use */
    uint64_t cpu_user_us, cpu_system_us;
};

/* The Redis whose commands these are: clients choose their features by it. */
#define REDIS_VERSION "7.0.15"

struct command_figures { /* by index in the command table */
    uint64_t calls, rejected, failed;
};

/* Error replies by their code word ("ERR", "WRONGTYPE"), in order of appearance; what finds no room, and
 * what stands within another reply, is in statistics.errors only. */
enum { ERROR_WORDS = 32, ERROR_WORD_MAX = 16 };

struct error_count {
    char word[ERROR_WORD_MAX];
    uint64_t count;
};

/* Who waits for keys: cmd/blocking.c. */
struct blocking {
    struct list ready; /* lines at touched keys, to be tried again */
    struct list *next; /* in the line that is being served: who comes next; NULL: it is gone */
    struct list ended; /* waits that CLIENT UNBLOCK has ended */
    struct list moved; /* waits for keys that another region writes by now */
    struct heap deadlines;
    uint64_t count;
};

struct server {
    struct replica *replica;
    struct settings settings;
    struct statistics statistics;
    struct process process;
    struct list sessions; /* of struct session */
    uint64_t session_count;
    uint64_t next_session_id;
    /* microseconds since 1970, the replica's disciplined time, of this turn */
    uint64_t now_us;
    const struct deployment *deployment; /* borrowed */
    struct keyspace_live *keyspaces;     /* [deployment->keyspace_count]; owned */
    struct span *prefix_texts;           /* of them; owned */
    struct prefixes prefixes;            /* finds a key's */
    const char *region;                  /* our own name */
    struct database_watch watch;         /* of all databases, once server_listen was called */
    struct touch touch;                  /* who waits for keys, or watches them */
    struct blocking blocking;            /* who waits */
    struct stream_wake *stream_wake;     /* cmd/stream_wake.h; owned */
    struct conflict_log conflicts;
    struct command_figures *figures; /* [command_count()]; owned */
    struct error_count error_counts[ERROR_WORDS];
    bool routed; /* some keyspace is written by one region, or may be reached through another */
    bool fenced; /* some keyspace lies in a fence */
    bool plain;  /* no keyspace waits for anything */
    bool faults; /* LINK CUT, HEAL, SLOW are allowed */
    /* why own writes are refused now ("SKEWED …", "AMNESIA …", a broken disk); NULL: they are
     * not */
    const char *refusal;
    /* what clients are told while the log is replayed ("LOADING …"); NULL: it has been */
    const char *loading;
    /* commands that may need more memory are refused: nothing can leave (node/memory.h) */
    bool out_of_memory;
    /* what a command needed could not be read from disk (E_IO), or made sense of (E_CORRUPT): set here,
     * acted upon by the node (node/health.h) */
    int damaged;
    struct evict evict;

    /* What only the node can say or do; set by it at start. */
    const struct server_hooks *hooks;
    void *node;
};

struct call;

/* Commands that need the node's links: implemented by node/, called through this table so that cmd/
 * stays below it. */
struct server_hooks {
    /* Append lines "name:value\r\n"; the heading and what is true of every server stand there
     * already. */
    void (*info_replication)(void *node, struct buffer *out);
    void (*info_persistence)(void *node, struct buffer *out);
    /* Known subcommands with a right number of arguments; each writes one reply. Faults are only
     * asked for where allowed. */
    void (*link_command)(void *node, struct call *call);
    void (*region_command)(void *node, struct call *call);
    /* How many other regions hold everything up to an own stamp (0: nothing is asked) durably. */
    uint32_t (*regions_with)(void *node, stamp_t stamp);
    /* The member of a fence to ask for what may not be here: the nearest; 0: none is reached. */
    uint8_t (*member_for)(void *node, const struct session *session, uint32_t fence);
    /* Begins a GATHER: the session waits for it. */
    void (*gather)(void *node, struct session *session, const struct gather_question *question);
    /* The session does not wait for its GATHER any more, and is not told what it finds. */
    void (*gather_leave)(void *node, struct session *session);
    /* Asks for a checkpoint, to begin from now on: its number; or why there will be none. */
    const char *(*checkpoint)(void *node, uint64_t *number);
    /* The same of a scrub (node/scrub.h). */
    const char *(*scrub)(void *node, uint64_t *number);
    void (*erase_waits)(void *node, struct buffer *out); /* appends what erasures wait for here */
    uint64_t (*last_checkpoint_s)(void *node); /* when the last was complete, since 1970 */
    /* A line for the server's log: "ev=… …". */
    void (*notice)(void *node, bool warning, const char *line);
    /* Appends the source of a keyspace's merge function. NULL, or why it cannot be had, as a
     * sentence (borrowed, good until the next call). */
    const char *(*merge_source)(void *node, const char *file, struct buffer *source);
};

/* Zeroes all, sets the default settings, and makes the figures. Borrows both. */
void server_init(struct server *server, struct replica *replica,
                 const struct deployment *deployment);
/* From here on, after the log was replayed, changes wake who waits for them, and conflicts count. */
void server_listen(struct server *server);
void server_release(struct server *server);

/* Starts a session: id, times, parser, reply (RESP2), and its place in `sessions`. The caller owns
 * the struct. */
void server_open_session(struct server *server, struct session *session);
/* Takes it out and frees all it owns. */
void server_close_session(struct server *server, struct session *session);

/* Looks whether any keyspace waits for something: after each change of one. */
void server_judge_keyspaces(struct server *server);

/* The keyspace of a key, as it is now. */
struct keyspace_live *server_keyspace(const struct server *server, struct span key);

/* The same keyspace as the configuration declares it: what does not change while it runs. */
const struct keyspace *server_declared(const struct server *server, const struct keyspace_live *k);

const char *server_prefix(const struct server *server, const struct keyspace_live *k);

/* The name of the region that made a stamp; "unknown" when the deployment has it no more. */
const char *server_region_of(const struct server *server, stamp_t stamp);

/* Reads and compiles a merge function for a keyspace: its own from then on. False, with one line in
 * `problem`, leaves all as it was. */
bool server_load_merge(struct server *server, struct keyspace_live *k, const char *file,
                       char *problem, size_t problem_size);

void server_drop_merge(struct keyspace_live *k);

/* At the start, once there are hooks: all that the deployment names. */
bool server_load_merges(struct server *server, char *problem, size_t problem_size);

/* An error was replied, at `start` of what is put out: counts it, and by its word. */
void server_count_error(struct server *server, const struct buffer *out, size_t start);

/* CONFIG RESETSTAT. */
void server_reset_statistics(struct server *server);

#endif
