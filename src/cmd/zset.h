/*
 * zset -- what the commands on sorted sets share: finding one, telling members, storing a result.
 *
 * A sorted set is a part (crdt/part.h): its members by name in `fields`, by (score, name) in
 * `order`. Contracts are those of call.h: spans and entries of objects die at the next emit.
 */
#ifndef CMD_ZSET_H
#define CMD_ZSET_H

#include "cmd/data.h"
#include "crdt/score.h"

/* call_find for sorted sets: *z is NULL when the key is not there. */
bool zset_find(struct call *call, struct span key, const struct part **z);

/* The entry of a member, or NULL; `z` may be NULL. */
static inline struct entry *zset_member(const struct part *z, struct span name)
{
    return z != NULL ? data_field(&z->fields, name) : NULL;
}

/* The header of `count` members, and each of them. With scores RESP2 has one flat array, RESP3 an
 * array of pairs. */
void zset_reply_header(struct call *call, uint64_t count, bool scores);
void zset_reply_member(struct call *call, struct span name, double score, bool scores);

/* A member of a result. */
struct scored {
    struct span name;
    double score;
};

/* Puts the members in place of what `key` holds, which goes in any case, and replies how many they
 * are. Copies the names first: they may be those of members of the key itself. */
void zset_store(struct call *call, struct span key, const struct scored *members, size_t count);

#endif
