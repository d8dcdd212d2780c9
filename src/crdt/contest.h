/*
 * contest -- telling who wants to hear of it that concurrent writes came to stand side by side.
 */
#ifndef CRDT_CONTEST_H
#define CRDT_CONTEST_H

#include "crdt/object.h"

/* After `op` wrote a register of the cell: told when others of different values are there. */
void contest_tell_item(struct database *d, const struct op *op, struct span item,
                       const struct cell *c);

/* After `op` brought a type to an object: told when that holds another, too. */
void contest_tell_types(struct database *d, const struct op *op, const struct entry *e);

#endif
