/*
 * newcomer -- a region that holds nothing serves nobody before it knows whether others hold more.
 *
 * An empty data directory is a new deployment's, that of a region which joins a running one, or
 * stands for a disk that was lost. Who answered in the last two cases would show his clients that
 * nothing was ever written. So they get LOADING until every peer that could be dialled has said
 * HELLO, and all that these told of is here, or its bootstrap has begun; at most NEWCOMER_US. But what
 * a peer has had and dropped from its log will come, or a bootstrap: that is waited for, as long as
 * it takes, though that peer is lost again, and though the process is restarted. In a new deployment
 * all is over with the first HELLOs, and at once for a region whose peers are not there.
 */
#ifndef NODE_NEWCOMER_H
#define NODE_NEWCOMER_H

#include "clock/vector.h"

struct node;

enum { NEWCOMER_US = 2 * 1000 * 1000 };

struct newcomer {
    bool on;
    struct vector told;    /* last ops that peers hold, of all that said HELLO */
    struct vector dropped; /* of that, what some have not in their logs any more */
};

/* After the log was replayed. */
void newcomer_recovered(struct node *n);

/* A HELLO came with these last ops. */
void newcomer_hears(struct node *n, const struct vector *last_op);

/* A peer has dropped its log up to there. */
void newcomer_lacks(struct node *n, const struct vector *floor);

/* After it was decided whether a bootstrap begins. */
void newcomer_turn_end(struct node *n);

#endif
