/*
 * export_keys -- reads keys of a region in parts, and makes the commands that make them.
 *
 *     begin: TYPE, PEXPIRETIME of all -> next, again and again: one answer's worth of commands -> ...
 *
 * All keys of a group advance together: in a round each of them is asked for its next part. A key is
 * DEL (SET does without), its value, PEXPIREAT; so what SCAN finds twice, and an export that is loaded
 * twice, is there once.
 * Memory: an answer: a whole string, or so many elements as are asked for; hashes, sets and sorted sets
 *         that the other side keeps in one compact blob come whole.
 */
#ifndef BIN_EXPORT_KEYS_H
#define BIN_EXPORT_KEYS_H

#include "bin/commands.h"
#include "bin/connection.h"
#include "bin/progress.h"

struct export_key;

struct export_keys {
    struct connection *remote; /* borrowed, like the next two */
    struct commands *commands;
    struct progress *progress;
    uint64_t exported;
    /* private */
    struct export_key *keys;
    size_t count, at;
    bool asked;         /* the round's questions were sent */
    bool probed;        /* whether it is known */
    bool has_deadlines; /* that there is PEXPIRETIME, as from Redis 7.0 on */
};

void export_keys_init(struct export_keys *k, struct connection *remote, struct commands *commands,
                      struct progress *progress);
void export_keys_release(struct export_keys *k);

/* Takes up the keys of an array of names, which must outlive them. False when the connection failed. */
bool export_keys_begin(struct export_keys *k, const redisReply *names);

/* Takes one answer. *more is false when all keys are through. */
bool export_keys_next(struct export_keys *k, bool *more);

#endif
