/*
 * memory -- keeps the whole process within memory.limit.
 *
 * The owner says what the process has (server.process): resident bytes, of them pages of files, and what
 * is allocated. Pages of files, of the checkpoint above all, are the owner's to give back: it keeps them
 * below memory_file_bytes. The rest is held here, by lines; what is compared with them is what is
 * allocated and the usual overhead over it: what was freed counts no more at once, though the kernel
 * gets it back some time later, or never, when it is filled again. What is resident beyond the full line,
 * when the owner has given back all pages that are not used, makes writes wait and keys leave, some at a
 * time; a part of the holes counts as filled, so that memory grows into them again.
 *
 *     limit  ----------------------------------------------  files + everything else
 *            | margin / 2   for bursts
 *     full   |-------------  above: no batches of peers are taken
 *            | margin / 4
 *     stop   |-------------  above: commands that may need memory wait; or, when the disk failed or keys
 *            | margin / 4    hold it that may not leave, are refused (OOM)
 *     keep   |-------------  above: keys leave (cmd/evict.h), a bounded number a turn
 *            |
 *
 * Keys can leave only when the disk has them: where many have changed since the last checkpoint, one is
 * asked for, long before the line is reached.
 * Everything counts that the process holds: objects, buffers of clients, the log's tail, batches that
 * wait. Bursts within a turn (a few large values, an answer of many) must fit into the margin. What comes
 * from disk in a turn is counted as it comes, and pushes as much out; where that is not enough, all further
 * commands wait for the next turn.
 * A replay is held to the same lines, but nothing can wait for long: what it changes is written by a
 * checkpoint that begins in its midst, between two records. Beyond the lines goes what one record, or one
 * command, brings in.
 * Pure; part of the node.
 */
#ifndef NODE_MEMORY_H
#define NODE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;

struct node_memory {
    uint64_t samples; /* of the figures that were taken last */
    uint64_t sampled_us;
    uint64_t overhead_bytes; /* held beside what is allocated, on average */
    uint64_t level_bytes;    /* allocated, and that */
    uint64_t held_bytes;     /* allocated or not, but for pages of files */
    uint64_t log_lsn;        /* of the log, where this turn began */
    uint64_t fetched;        /* keys that had come from disk, when room was made for them last, */
    int64_t paced_bytes;     /* and their bytes, about, less those of keys that had left */
    int64_t moved_bytes;     /* the same, where this turn began */
    bool waits;              /* commands that may need memory wait */
    bool is_full;            /* no batches are taken */
    bool is_dry;             /* nothing can leave, and no checkpoint will change that */
    bool leaving;            /* something left in the last step: the next is due at once */
    uint64_t pushed_us;      /* keys were made to leave for that last */
    bool wants_purge;        /* the owner is to make the allocator give back what it does not use */
    uint64_t purges;         /* how often it had, when the figures were taken last */
};

/* At a turn's beginning: takes the figures. */
void memory_turn(struct node *n);

/* After a command: what it brought in from disk pushes as much out. */
void memory_keep_pace(struct node *n);

/* At a turn's end, before what was written is sealed: lets keys leave. */
void memory_turn_end(struct node *n);

/* When the next turn is due for memory's sake; UINT64_MAX: never. */
uint64_t memory_deadline_us(const struct node *n);

/* A command that may need memory must wait. */
bool memory_must_wait(const struct node *n);

/* What came from disk in this turn is all that may come: the next commands have to wait for the next. */
bool memory_turn_is_spent(const struct node *n);

/* While the log is replayed: what that changes is written down meanwhile, when there is no room for more. */
bool memory_bounds_replay(const struct node *n);

/* "ok", "writes wait", "full": they are refused. */
const char *memory_state(const struct node *n);

/* No more is to be taken from peers: also by what this turn has taken so far. */
bool memory_is_full(const struct node *n);

/* Pages of files that the process may have in memory; UINT64_MAX: no limit. */
uint64_t memory_file_bytes(const struct node *n);

/* For buffers and caches of fixed size: `bytes`, or where memory is limited at most that part of it. */
uint64_t memory_share(const struct node *n, uint64_t bytes, uint32_t part);

#endif
