/*
 * client -- a session as the node drives it: bytes in, commands run, replies held until they may
 * go.
 *
 *     input bytes -> parse -> command_run ... -> output bytes
 *                      |                            |
 *            stops while it waits,          with fsync always, what follows a write of this turn is held
 *            or the clock must rest        until the log is durable past the turn's seal
 *
 * The host takes replies from the front of client_output and says how many went.
 */
#ifndef NODE_CLIENT_H
#define NODE_CLIENT_H

#include "cmd/server.h"

struct node;

/* Output from `start` on may go when the log is durable up to `lsn`. */
struct hold {
    uint64_t start; /* bytes of output since the session began */
    uint64_t lsn;
};

struct client {
    struct session session;
    struct list dirty;   /* in node.dirty_sessions */
    struct list held;    /* in node.held while there are holds */
    struct list waiting; /* in node.waiting: WAIT, stalled or full, or just answered */
    bool stalled;        /* commands are waiting for the clock */
    bool full;           /* they are waiting for the client to read its replies */
    size_t sent;         /* bytes at the front of output that have gone */
    uint64_t sent_total; /* all bytes that went before output.at[0] */
    uint64_t turn_hold;  /* where this turn's first write begins, UINT64_MAX: none */
    struct list wrote;   /* in node.wrote: wrote in this turn */
    struct hold *holds;  /* [hold_count] ascending */
    size_t hold_count, hold_cap;
};

static inline struct client *client_of(struct session *s)
{
    return (struct client *)s; /* its first member */
}

struct session *client_open(struct node *n, void *host, const char *address,
                            const char *local_address);
void client_input(struct node *n, struct session *s, struct span bytes);
void client_close(struct node *n, struct session *s);

/* What may go now; borrowed until the session's next input or turn. */
struct span client_output(const struct session *s);
void client_sent(struct node *n, struct session *s, size_t bytes);

/* At a turn's end, after the seal: what was written in it waits for `lsn` (with fsync always). */
void client_hold_turn(struct node *n, uint64_t lsn);

/* The log is durable up to lsn: held replies may go. */
void client_release_held(struct node *n, uint64_t lsn);

/* The log failed: what is held will never be durable. One error instead of it, and the session
 * ends. */
void client_fail_held(struct node *n);

/* WAITs that are met or over, stalled and full sessions that need not wait any more: their commands
 * go on. */
void client_resume_waiting(struct node *n);

/* Serves those who wait for keys (cmd/blocking.h), after anything that may have touched some; ends
 * the waits whose time is over. */
void client_serve(struct node *n);
void client_expire(struct node *n);

/* Idle and killed ones are marked for closing. */
void client_sweep(struct node *n);

struct session *client_next_dirty(struct node *n);

#endif
