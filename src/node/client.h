/*
 * client -- a session as the node drives it: bytes in, commands run, replies held until they may
 * go.
 *
 *     input bytes -> parse -> command_run ... -> output bytes
 *                      |                            |
 *            stops while it waits,          what must be durable, or acknowledged, first is held
 *            or the clock must rest        (node/hold.h)
 *
 * The host takes replies from the front of client_output and says how many went.
 */
#ifndef NODE_CLIENT_H
#define NODE_CLIENT_H

#include "cmd/server.h"
#include "node/forward.h"
#include "node/hold.h"

struct node;

struct client {
    struct session session;
    struct list dirty;      /* in node.dirty_sessions */
    struct list held;       /* in node.held while there are holds */
    struct list waiting;    /* in node.waiting: WAIT, stalled or full, or just answered */
    bool paced;             /* it has been slowed for who is behind (max_lag) */
    bool judged;            /* the command at the front has been asked what it waits for */
    uint64_t judged_us;     /* (node/promise.h): when, */
    uint64_t waits_us;      /* since when it waits for something to come; 0: it does not, */
    uint64_t waited_us;     /* how long it has, of its timeout, */
    uint64_t barrier;       /* and for which barrier, if it reads strongly */
    struct forward forward; /* what it has elsewhere (node/forward.h) */
    struct gather *gather;  /* it waits for, or is an agent of (node/gather.h) */
    stamp_t listed;         /* by which word of a directory its command is sent; 0: none */
    uint8_t sent_to;        /* an agent's region; 0: it is none */
    struct remote *remote;  /* it is a session for another region's client; NULL: it is not */
    bool wrote_before;      /* the command that goes on did, in an earlier turn */
    bool stalled;           /* commands are waiting: the clock, a promise, memory, another region */
    bool full;              /* they are waiting for the client to read its replies */
    size_t sent;            /* bytes at the front of output that have gone */
    uint64_t sent_total;    /* all bytes that went before output.at[0] */
    struct list wrote;      /* in node.wrote: has replies that wait for the log of this turn */
    struct hold *holds;     /* [hold_count] ascending */
    size_t hold_count, hold_cap;
    size_t hold_counted; /* of them compared with the matrix, as far as it has not changed since */
    size_t hold_bytes;   /* what they take: unread output, too */
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

/* Its commands are looked at again when they can go on. */
void client_wait(struct node *n, struct client *c);

/* It has output to send, or is to be closed. */
void client_mark_dirty(struct node *n, struct client *c);

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
