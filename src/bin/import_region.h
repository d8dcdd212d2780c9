/*
 * import_region -- writes the commands of keys into a region, batch by batch.
 *
 * While a region works through a batch, the next one is made. Where keys that are there already are to
 * stay, each batch begins with the question which of its keys are, and leaves their commands out;
 * who writes such a key in the moment between may be overwritten.
 *
 *     parse batch n+1 -> EXISTS n+1 -> answers of n, of EXISTS n+1 -> commands of n+1 -> parse n+2
 *
 * Errors: one about a single key is told and counted, and the rest of that key is left out; all
 * others (OOM, LOADING, a lost connection) end the import.
 * Memory: two batches of BATCH_BYTES, and at most one key's piece or item above.
 */
#ifndef BIN_IMPORT_REGION_H
#define BIN_IMPORT_REGION_H

#include "bin/commands.h"
#include "bin/connection.h"
#include "bin/progress.h"
#include "wire/rdb.h"

enum { IMPORT_BATCH_BYTES = 512 << 10 };

enum present { PRESENT_REFUSE, PRESENT_REPLACE, PRESENT_KEEP };

/* A key in a batch, or a part of it. */
struct batch_key {
    size_t name_at, name_len;
    size_t from, to; /* of the batch's bytes */
    uint64_t commands;
    enum rdb_type type;
    bool continues; /* what an earlier batch began */
    bool ends;
    bool unwanted; /* is not sent */
};

struct batch {
    struct buffer bytes, names;
    struct batch_key *keys;
    size_t count, cap;
};

struct import_region {
    struct connection remote;
    enum present present;
    struct progress *progress; /* borrowed, like the commands */
    struct commands *commands;
    struct batch batches[2]; /* what is made; what was sent and not answered */
    uint64_t commands_before;
    bool left_out; /* the last key of the batch that was answered, or a part of it */
    uint64_t written[RDB_TYPES];
    uint64_t there; /* keys that were left as they are */
    uint64_t failed;
    uint64_t unclaimed; /* pending entries that are no longer in their stream */
};

/* Connects; false: see remote.problem. */
bool import_region_open(struct import_region *r, const struct endpoint *at, enum present present,
                        struct commands *commands, struct progress *progress);
void import_region_close(struct import_region *r);

/* Chooses the database. Between keys. */
bool import_region_select(struct import_region *r, uint64_t db);

/* The commands that follow are those of this key. */
void import_region_key(struct import_region *r, struct span name, enum rdb_type type);

/* To be called after every event of a key: `ends` after its last. */
bool import_region_step(struct import_region *r, bool ends);

/* What is left of the key is not to be written. */
void import_region_reject(struct import_region *r, const char *why);

/* Sends what is left and waits for all answers. */
bool import_region_finish(struct import_region *r);

#endif
