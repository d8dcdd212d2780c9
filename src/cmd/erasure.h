/*
 * erasure -- ERASE: what was asked to be erased, and how far each region is, as all of them know it.
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
#ifndef CMD_ERASURE_H
#define CMD_ERASURE_H

#include "cmd/server.h"

enum { ERASURE_ID_MAX = 32 };

struct erasure {
    const struct keyspace_live *keyspace;
    bool prefix; /* else one key */
    struct span name;
    char id[ERASURE_ID_MAX];
    uint64_t asked_ms;
};

enum erasure_state { ERASURE_WAITS, ERASURE_REMOVED, ERASURE_DONE };

struct erasure_mark {
    enum erasure_state state;
    uint64_t keys; /* removed by that region */
    uint64_t at_ms;
};

/* All that this region may hold; `visit` must not emit. The name is good until the next op. */
typedef void (*erasure_fn)(void *context, const struct erasure *e);
void erasure_each(const struct server *server, erasure_fn visit, void *context);

/* How far a region is. */
struct erasure_mark erasure_mark_of(const struct server *server, const struct erasure *e,
                                    uint8_t region);

/* Within a group of its own. */
void erasure_put_mark(struct server *server, const struct erasure *e,
                      const struct erasure_mark *mark);

/* Whether all that may hold its keys have come so far; *last_ms: when the last did. */
bool erasure_all_are(const struct server *server, const struct erasure *e, enum erasure_state state,
                     uint64_t *last_ms);

/* Nothing of it is kept any more; within a group of its own. */
void erasure_forget(struct server *server, const struct erasure *e);

#endif
