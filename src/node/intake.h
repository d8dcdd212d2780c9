/*
 * intake -- our end of a link that we dialled: we subscribe, take batches, and tell our vector.
 *
 * Which streams an intake asks for is said by node/topology.h. What does not fit (a gap) is asked
 * for again from our vector; a stream of which the replica had to drop something is paused until it
 * has room again. One that forked is not asked for: the link goes on, because our vector travels on
 * it. The vector goes to the peer whenever our durable one has moved, at most once a millisecond:
 * acknowledgements are made of it. With it go the rows of other regions that changed.
 */
#ifndef NODE_INTAKE_H
#define NODE_INTAKE_H

#include "base/span.h"

enum {
    INTAKE_RESUBSCRIBE_US = 50 * 1000, /* at most so often: what is in flight makes gaps too */
    /* besides two round trips: so long what is missing may take to come by itself */
    INTAKE_RELAY_US = 200 * 1000,
    INTAKE_PAUSE_MAX_US = 500 * 1000, /* then it is tried again: others may wait for it */
    INTAKE_VECTOR_MIN_US = 1000,
    INTAKE_BACKLOG_BYTES = 4 << 10, /* of a link that takes no more: no vector is put behind that */
    INTAKE_VECTOR_MAX_US = 500 * 1000, /* also when nothing moved: the peer hears that we live */
};

struct node;
struct link;

void intake_ready(struct node *n, struct link *l);
void intake_batches(struct node *n, struct link *l, struct span body);
void intake_pong(struct node *n, struct link *l, struct span body);
void intake_turn_end(struct node *n, struct link *l);
uint64_t intake_deadline(const struct node *n, const struct link *l);

#endif
