/*
 * random_pick -- several different items of a table, by chance.
 */
#ifndef CMD_RANDOM_PICK_H
#define CMD_RANDOM_PICK_H

#include "crdt/object.h"

/* Fills out[count] with different entries; count is at most the table's. Every choice of that many
 * is as likely as the others, as far as table_random is uniform. Takes time in proportion to count,
 * or to the table when much of it is wanted. */
void random_pick(const struct table *t, struct prng *prng, uint64_t count,
                 const struct entry **out);

#endif
