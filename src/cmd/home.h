/*
 * home -- which region may write a key: all that hold it, its keyspace's writer, or the key's home.
 *
 *     active-active   every region of the fence
 *     primary         the keyspace's writer
 *     partitioned     the home: by the key's tag, the text between { and }, which names a region; by the
 *                     hash of the tag or the key (rendezvous hashing over the homes: Thaler and Ravishankar,
 *                     1998); or by the directory, a string under the key directory + tag that names it
 *
 * A key without tag is its own tag.
 */
#ifndef CMD_HOME_H
#define CMD_HOME_H

#include "cmd/call.h"

enum { HOME_EVERYWHERE = 0 };

struct home {
    uint8_t region;    /* its number; HOME_EVERYWHERE: every region of the fence */
    stamp_t listed;    /* of the directory's word that says so; 0: none does */
    const char *error; /* nobody may write it: why, as an error reply; else NULL */
};

struct home home_of_key(const struct server *server, uint8_t db, struct span key);

/* Appends the key under which a directory lists the home of a key. False: no directory does. */
bool home_put_listing(const struct server *server, struct span key, struct buffer *out);

/* Whether the region of that name may be a home of the keyspace's keys. */
bool home_may_be(const struct server *server, const struct keyspace *k, struct span name);

/* The part of a key that decides where it is at home. */
struct span home_tag(struct span key);

/* Whether every key of the keyspace is written by one region at a time. */
static inline bool home_is_single(const struct keyspace *k)
{
    return k->mode != KEYSPACE_ACTIVE_ACTIVE;
}

#endif
