/*
 * import_keys -- makes commands of what a dump file tells.
 *
 * A key is DEL when it replaces, then its value, in pieces when it is large, then PEXPIREAT. A stream
 * is its entries under their ids, XSETID, and XGROUP and XCLAIM for its groups and what they have
 * pending; where ids are to be new, its entries alone, in their order.
 */
#ifndef BIN_IMPORT_KEYS_H
#define BIN_IMPORT_KEYS_H

#include "bin/commands.h"
#include "wire/rdb.h"

struct import_keys {
    struct commands *commands; /* borrowed */
    struct span prefix;        /* is put before every key */
    bool replace;
    bool new_ids;
    uint64_t groups_lost;  /* of streams with new ids */
    uint64_t streams_lost; /* with new ids, and without entries: nothing would be there */
    /* private */
    enum rdb_type type;
    uint64_t expires_ms;
    bool empty;
    struct buffer key, group, consumer;
};

void import_keys_release(struct import_keys *k);

/* The name of the current key, with its prefix. */
static inline struct span import_keys_name(const struct import_keys *k)
{
    return buffer_span(&k->key);
}

/* Any event from RDB_KEY to RDB_KEY_END. */
void import_keys_take(struct import_keys *k, const struct rdb_event *e);

#endif
