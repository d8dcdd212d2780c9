/*
 * gather -- a GATHER on its way: its parts run in several regions, each in a session of its own.
 *
 * A part is a command like any other, which an agent, a session without a connection, is given:
 * here, or sent to the region it is for (node/forward.h). What they find is merged as it comes;
 * when all have answered, or the time is over, the client is told, with the regions that did not
 * answer by name.
 */
#ifndef NODE_GATHER_H
#define NODE_GATHER_H

#include "base/list.h"
#include "cmd/gather.h"

struct node;
struct client;
struct session;

struct gather_part {
    uint8_t region;
    struct client *agent; /* NULL: it has answered, or will not */
    bool failed;
    uint64_t keys, took_us;
};

struct gather {
    struct list link;     /* in node.gathers */
    struct client *asker; /* NULL: nobody waits for it any more */
    enum gather_kind kind;
    uint64_t began_us;
    struct gathered found;
    size_t count, open; /* parts; those that have not answered */
    struct gather_part parts[];
};

/* A client asks; its session waits until it is told, at the latest at its wait_deadline_us. */
void gather_begin(void *node, struct session *s, const struct gather_question *q);

/* It asks no more: what is on its way ends in this turn. The session's wait is the caller's to end. */
void gather_leave(void *node, struct session *s);

/* A client that asked, or an agent, ends. */
void gather_forget(struct node *n, struct client *c);

/* Of a node that ends, once its sessions have. */
void gather_release(struct node *n);

/* Takes what agents were answered. */
void gather_turn_end(struct node *n);
uint64_t gather_deadline_us(const struct node *n);

#endif
