/*
 * score -- the number that a member of a sorted set stands by.
 *
 * A register's value is the score as the eight bytes of an IEEE double; tallies (ZINCRBY) are floats.
 * What readers see, and what the set is ordered by, is the newest register (or 0) plus what the
 * tallies gained, added in origin order. A sum that is no number (infinity against infinity) counts
 * as 0, so that the order is total.
 */
#ifndef CRDT_SCORE_H
#define CRDT_SCORE_H

#include "crdt/cell.h"

enum { SCORE_BYTES = 8 };

/* `bytes` has room for SCORE_BYTES. -0 becomes 0. */
struct span score_encode(double score, uint8_t *bytes);
double score_decode(struct span bytes); /* of a valid one */
bool score_valid(struct span bytes);    /* eight bytes that are a number */

double entry_score(const struct entry *e);

/* Orders entries by score, then by name: for the tree of a sorted set. */
int score_compare(const void *a, const void *b);

#endif
