/*
 * random_pick -- items of a table by chance, and the commands that reply them.
 */
#ifndef CMD_RANDOM_PICK_H
#define CMD_RANDOM_PICK_H

#include "cmd/data.h"

/* Fills out[count] with different entries; count is at most the table's. Every choice of that many
 * is as likely as the others, as far as table_random is uniform. Takes time in proportion to count,
 * or to the table when much of it is wanted. */
void random_pick(const struct table *t, struct prng *prng, uint64_t count,
                 const struct entry **out);

/* Replies one item: its name, or with `both` its value or score too, as a pair in RESP3. */
typedef void (*random_pick_reply)(struct call *call, const struct entry *e, bool both);

/* HRANDFIELD and ZRANDMEMBER, of a key's `component`: COMMAND key [count [both_word]]. */
void random_pick_command(struct call *call, enum component component, const char *both_word,
                         random_pick_reply reply);

#endif
