/*
 * touch -- who wants to hear that a key was written: clients that wait for it (cmd/blocking.h) and
 * clients that WATCH it.
 *
 * A waiter is embedded in whatever waits and stands for one key. Its function is called whenever an
 * op on that key is applied, local or remote, in the order in which a key's waiters came; what is
 * atomic is then only half applied. So the function makes a note and nothing else: it must not
 * change or read objects, nor call anything here.
 *
 *     struct watched { struct touch_waiter waiter; … };
 *     w->waiter.touched = note_it;
 *     touch_wait(&server->touch, db, key, &w->waiter);      the key is copied
 *     …
 *     touch_end(&server->touch, &w->waiter);                harmless when it waits for nothing
 *
 * While nobody waits for anything, a write pays for one comparison with NULL.
 */
#ifndef CMD_TOUCH_H
#define CMD_TOUCH_H

#include "base/list.h"
#include "base/table.h"
#include "crdt/object.h"

struct touch_key {
    struct list waiters;
    uint8_t db;
    size_t len;
    uint8_t name[];
};

struct touch_waiter {
    struct list link;      /* in key->waiters */
    struct touch_key *key; /* NULL: waits for nothing */
    void (*touched)(struct touch_waiter *w);
};

struct touch {
    struct table keys[OP_DATABASES]; /* of struct touch_key */
    uint64_t key_count;
    struct database_watch *watch; /* the server's: its `touched` is ours to set */
};

void touch_init(struct touch *t, struct database_watch *watch, uint64_t seed);
void touch_release(struct touch *t); /* when nobody waits any more */

void touch_wait(struct touch *t, uint8_t db, struct span key, struct touch_waiter *w);
void touch_end(struct touch *t, struct touch_waiter *w);

static inline struct span touch_waiter_key(const struct touch_waiter *w)
{
    return span_of(w->key->name, w->key->len);
}

#endif
