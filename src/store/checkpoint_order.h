/*
 * checkpoint_order -- that nothing is missing where nothing is found: for the files of
 * store/checkpoint.h only.
 *
 * A checksum speaks for a row that is read. One whose key was damaged on disk is not read: a search
 * for the true key passes it by, and others that meet it go astray. But where rows are in order, but
 * for a damaged one, a search ends beside that one, or beside a row that is out of order for it: each
 * comparison with a good key leads to where the key would stand, and the last one that does not is
 * with a neighbour. So whoever finds nothing looks at the two rows between which it would stand, and
 * who walks, at the row before the first, and at the one that ends the walk.
 *
 * A key of KV_OBJECTS contains its hash: so its row, which may be large, has to be read only
 * where databases meet, for long keys, and when the hash does not match.
 * What stays unnoticed is damage in the branches of the store's own tree, of which there are few, that
 * hides whole leaves: `meridian inspect` counts.
 *
 * Functions give E_OK, or E_CORRUPT and errors of the store, and then c->problem says why.
 */
#ifndef STORE_CHECKPOINT_ORDER_H
#define STORE_CHECKPOINT_ORDER_H

#include "store/checkpoint.h"
#include "store/checkpoint_record.h"

/* After a get did not find it. */
int order_check_absent(struct checkpoint *c, enum kv_table table, struct span key);

/* Before a walk that begins with the first key from `from` on. */
int order_check_before(struct checkpoint *c, enum kv_table table, struct span from);

/* Each row of a walk: above the one before, or `from`; not below when it is the first. */
int order_check_step(struct checkpoint *c, enum kv_table table, struct span before,
                     struct span key);

/* The row that ended a walk through database db, and the one before; empty: the walk began here. */
int order_check_end(struct checkpoint *c, enum kv_table table, uint8_t db, struct span before,
                    struct span key);

#endif
