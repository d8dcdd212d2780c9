/*
 * transaction -- MULTI, EXEC, DISCARD, WATCH, UNWATCH: commands that are gathered and run as one group.
 *
 * After MULTI a session's commands are judged as ever (name, arity, refusals) but queued; EXEC runs
 * them one after another without anything between, and all their effects are one group: seen whole or
 * not at all, in every region. A command that cannot be queued makes EXEC refuse (EXECABORT); one that
 * fails while it runs fails alone, as in Redis.
 *
 * EXEC runs nothing when a key was changed since it was watched: by whoever, in whatever region, once
 * the change has come here. A key that expired meanwhile counts as changed; one that had expired when
 * it was watched and was then reclaimed does not.
 * Limits:    the queued writes' arguments are at most a group (GROUP_MAX_BYTES); all that is queued
 *            counts into the client's query buffer. What the commands write is counted while they run:
 *            a write that would pass the group's limit is refused (call_fits_group).
 */
#ifndef CMD_TRANSACTION_H
#define CMD_TRANSACTION_H

#include "base/buffer.h"
#include "cmd/demand.h"

struct call;
struct server;
struct session;
struct watched;

struct transaction {
    bool open;           /* MULTI came */
    bool refused;        /* a command could not be queued */
    bool writes;         /* a queued command does */
    bool fenced;         /* a queued command has keys: */
    uint32_t fence;      /* their fence, by place */
    uint8_t region;      /* where it must run; 0: here as well as anywhere */
    bool loose;          /* a queued command writes what every region may write */
    size_t count;        /* queued */
    size_t write_bytes;  /* arguments of the writes among them */
    struct buffer queue; /* of each command: varint argc, then its arguments with their lengths */
    bool unsure;         /* what was watched elsewhere is watched no more: it counts as changed */
    struct watched *watched;
    size_t watched_bytes;
};

/* Memory that a client holds by what it queued and watches. */
static inline size_t transaction_bytes(const struct transaction *t)
{
    return t->queue.len + t->watched_bytes;
}

/* Whether a command that was let in is queued instead of run. */
bool transaction_takes(const struct call *call);

/* Queues it, and replies so. */
void transaction_queue(struct call *call);

/* A command was refused, its error is the reply at `start` of the session's output: of EXEC itself,
 * the transaction is discarded and the error says so; of another, EXEC will refuse. */
void transaction_refuse(struct call *call, size_t start);

/* What all that is queued asks for, to be waited for by EXEC. */
void transaction_demand(const struct server *server, const struct transaction *t,
                        const struct levels *levels, uint8_t db, enum demand_token token,
                        struct demand *d);

/* Appends each command that is queued, by `put`; returns how many. */
uint64_t transaction_put(const struct transaction *t,
                         void (*put)(struct buffer *out, const struct span *argv, size_t argc),
                         struct buffer *out);

typedef void (*transaction_visit_fn)(void *context, const struct span *argv, size_t argc);

/* Visits each command that is queued, in order. */
void transaction_each(const struct transaction *t, transaction_visit_fn visit, void *context);

/* A command of it was refused: EXEC will refuse. */
void transaction_spoil(struct transaction *t);

/* Whether a key is watched that may be written here. */
bool transaction_watches_here(const struct server *server, const struct transaction *t);

/* True when a watched key was changed: EXEC would run nothing. */
bool transaction_is_stale(const struct server *server, const struct transaction *t);

/* A group is never split: what a command of it removes has to fit beside what it writes. Replies an
 * error and returns false when it does not. */
bool transaction_fits(struct call *call);

/* Forgets what is queued and watched (DISCARD, RESET, the end of a session). */
void transaction_discard(struct server *server, struct transaction *t);

#endif
