/*
 * newcomer -- a region that holds nothing serves nobody before it knows whether others hold more.
 *
 * An empty data directory is a new deployment's, that of a region which joins a running one, or
 * stands for a disk that was lost. Who answered in the last two cases would show his clients that
 * nothing was ever written. So they get LOADING until every peer that could be dialled has said
 * HELLO, and all that these told of is here, or its bootstrap has begun; at most NEWCOMER_US when no
 * bootstrap is due. In a new deployment that is over with the first HELLOs, and at once for a region
 * whose peers are not there.
 */
#ifndef NODE_NEWCOMER_H
#define NODE_NEWCOMER_H

#include "clock/vector.h"

struct node;

enum { NEWCOMER_US = 2 * 1000 * 1000 };

struct newcomer {
    bool on;
    struct vector told; /* last ops that peers hold, of all that said HELLO */
};

/* After the log was replayed. */
void newcomer_recovered(struct node *n);

/* A HELLO came with these last ops. */
void newcomer_hears(struct node *n, const struct vector *last_op);

/* After it was decided whether a bootstrap begins. */
void newcomer_turn_end(struct node *n);

#endif
