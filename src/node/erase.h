/*
 * erase -- this region's part of erasures (cmd/erasure.h).
 *
 *     asked     every key of it that is here is removed, in slices; then its own mark says `removed`
 *     removed   by all regions that may hold it: their removals are here, since their marks are, and
 *               with them all that they had written before. What was removed is made to vanish from this
 *               region's disk (node/scrub.h); then the mark says `done`.
 *     done      by all: a day later the erasure itself is forgotten
 *
 * A region that is down holds the others up: they have removed, but keep the log that it lacks. After a
 * restart it all goes on, from the marks. Pure; part of the node.
 */
#ifndef NODE_ERASE_H
#define NODE_ERASE_H

#include "base/list.h"
#include "base/table.h"
#include "cmd/erasure.h"

struct node;

/* The one whose keys are being removed. */
struct erase_run {
    struct erasure erasure;
    struct buffer name;
    uint8_t db;
    uint64_t cursor;
    bool scanned; /* the database's end was reached */
    uint64_t keys;
    struct buffer found; /* names, each with its length before it */
};

/* All erasures are looked at together, and many may be due at once: a look costs as much as there are, so
 * the more there are the longer is the pause after it. */
struct node_erase {
    bool look;    /* something has changed */
    bool blocked; /* nothing can be written now */
    bool running; /* `run` */
    struct erase_run run;
    struct list due;     /* to be removed next */
    struct table scrubs; /* of struct erase_scrub */
    uint64_t looks;
    uint64_t look_at_us;   /* by time alone */
    uint64_t pause_end_us; /* and never before */
};

void erase_init(struct node *n);
void erase_release(struct node *n);

/* Fields of the system's database have changed. */
void erase_changed(struct node *n);

/* A slice of work. */
void erase_turn_end(struct node *n);
uint64_t erase_deadline_us(const struct node *n);

/* Appends what this region waits for, if for anything: server_hooks.erase_waits. */
void erase_waits(void *node, struct buffer *out);

#endif
