/*
 * remote -- sessions here for clients of other regions, whose commands come as FORWARD messages
 * (node/forward.h).
 *
 * Each is a session like any other, without a connection: what it is told is cut into the replies that the
 * sender waits for, and sent back as ANSWERs as far as the link has room. It ends with its link, when the
 * sender forgets it, or when it is ended here; then the sender is told, and what still comes is refused.
 * Pure; part of the node.
 */
#ifndef NODE_REMOTE_H
#define NODE_REMOTE_H

#include "base/fifo.h"
#include "base/list.h"
#include "base/span.h"
#include "clock/vector.h"

struct node;
struct client;
struct link;

/* One that runs here for another region. */
struct remote_command {
    uint64_t number;
    uint64_t before; /* replies that come before the one that is wanted */
    uint32_t about;  /* of a fence (node/audited.h) */
};

/* A session here for a client of another region. */
struct remote {
    struct list link;      /* in node.remotes */
    struct list due;       /* in node.remotes_due while it may have answers */
    struct client *client; /* NULL: it was ended here; what still comes is refused */
    struct link *from;
    struct remote_key {
        uint64_t link_id; /* of `from` */
        uint64_t session; /* the other region's number */
    } key;
    uint8_t hops;         /* of its newest command */
    struct vector after;  /* what its commands come after: see forward_judge */
    struct fifo commands; /* of struct remote_command: not answered yet */
};

void remote_init(struct node *n);
void remote_release(struct node *n); /* ends all */

/* The session has something to say: it is seen off at the turn's end. */
void remote_mark_due(struct node *n, struct remote *r);
void remote_turn_end(struct node *n);

/* With a link its sessions end. */
void remote_link_closed(struct node *n, const struct link *l);

/* FORWARD, FORGET. */
void remote_take(struct node *n, struct link *l, struct span body);
void remote_take_forget(struct node *n, struct link *l, struct span body);

#endif
