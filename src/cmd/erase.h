/*
 * erase -- ERASE: what was asked to be erased, and how far each region is, as all of them know it.
 *
 * An erasure is a key, or all keys with a prefix, in every database. It is asked for once, anywhere, and
 * carried out by every region that may hold the keys (node/erase.h): each removes what it sees, and when
 * all have, each makes the removed bytes vanish from its disk. What is written under the name after a
 * region has removed stays. A prefix that reaches into several keyspaces is an erasure in each of them.
 *
 * Kept among the fields of the keyspace (cmd/system.h), with kind p or k:
 *
 *     erase:<kind>:<name>               <id>                           id: milliseconds-region-counter
 *     erased:<region>:<kind>:<name>     <id> removed|done <keys> <milliseconds since 1970>
 *
 * Marks of another id than the erasure's are of an earlier one with the same name.
 */
#ifndef CMD_ERASE_H
#define CMD_ERASE_H

#include "cmd/server.h"

enum { ERASE_ID_MAX = 32 };

struct erasure {
    const struct keyspace_live *keyspace;
    bool prefix; /* else one key */
    struct span name;
    char id[ERASE_ID_MAX];
    uint64_t asked_ms;
};

enum erase_state { ERASE_WAITS, ERASE_REMOVED, ERASE_DONE };

struct erase_mark {
    enum erase_state state;
    uint64_t keys; /* removed by that region */
    uint64_t at_ms;
};

/* All that this region may hold; `visit` must not emit. The name is good until the next op. */
typedef void (*erasure_fn)(void *context, const struct erasure *e);
void erase_each(const struct server *server, erasure_fn visit, void *context);

/* How far a region is. */
struct erase_mark erase_mark_of(const struct server *server, const struct erasure *e,
                                uint8_t region);

/* Within a group of its own. */
void erase_put_mark(struct server *server, const struct erasure *e, const struct erase_mark *mark);

/* Whether all that may hold its keys have come so far; *last_ms: when the last did. */
bool erase_all_are(const struct server *server, const struct erasure *e, enum erase_state state,
                   uint64_t *last_ms);

/* Nothing of it is kept any more; within a group of its own. */
void erase_forget(struct server *server, const struct erasure *e);

#endif
