/*
 * part -- one component of an object other than its string: named items, or a hyperloglog.
 *
 *     component   items (entries of cell.h) by                      value
 *     HASH        field, in a table                                 bytes
 *     SET         member, in a table                                none
 *     ZSET        member, in a table; and in a counted B+tree       score (score.h)
 *                 by (score, member)
 *     LIST        position (position.h), in a counted B+tree        bytes
 *     STREAM      id (stream.h), in a counted B+tree                fields (stream.h)
 *     GROUPS      whatever the commands chose, in a counted B+tree  bytes
 *     HLL         generations (hll.h)
 *
 * Invariants: `contested` counts the items that hold registers of different values; no item is newer
 * than `newest`, and unless that is stale, one is as new.
 */
#ifndef CRDT_PART_H
#define CRDT_PART_H

#include "base/btree.h"
#include "base/table.h"
#include "crdt/cell.h"
#include "crdt/hll.h"

struct part {
    struct part *next; /* of the same object */
    uint8_t component;
    bool newest_stale; /* what bore the newest stamp has gone: it is looked for when asked */
    uint32_t contested;
    stamp_t newest; /* of all items */
    union {
        struct table fields; /* HASH, SET, ZSET */
        struct hll hll;
    };
    struct btree order; /* ZSET, LIST, STREAM, GROUPS; the others are allocated without it */
};

static inline bool component_in_table(uint8_t c)
{
    return c == COMPONENT_HASH || c == COMPONENT_SET || c == COMPONENT_ZSET;
}

static inline bool component_in_order(uint8_t c)
{
    return c == COMPONENT_ZSET || c == COMPONENT_LIST || c == COMPONENT_STREAM ||
           c == COMPONENT_GROUPS;
}

struct part *part_new(uint8_t component, uint64_t seed);
void part_free(struct part *p); /* and all its items */
bool part_empty(const struct part *p);
uint64_t part_count(const struct part *p); /* items; 1 for a hyperloglog */

/* The item of a name, or NULL. */
struct entry *part_find(const struct part *p, struct span name);

/* Effects on one item. put returns the item as it is then. `observed` is an encoded list's entries. */
struct entry *part_put(struct part *p, struct span name, const struct observer *by,
                       const struct write *w, struct span observed);
void part_take(struct part *p, struct span name, const struct observer *by, struct span observed);
void part_bump(struct part *p, struct span name, stamp_t stamp, stamp_t previous,
               struct amount before, struct amount after);
/* Takes in a whole item (owned from now on), for one that may be there already. */
void part_insert(struct part *p, struct entry *e);
/* Removes what `by` has observed of everything; tallies are reset one by one (part_take). */
void part_drop(struct part *p, const struct observer *by);

/* Of two types under a key this decides which is visible: known at once, but after the removal of the
 * newest item, when all are looked at. */
stamp_t part_newest(struct part *p);
size_t part_bytes(const struct part *p);

/* Visits every item: in order where there is one. */
struct part_iter {
    const struct part *part;
    struct table_iter table;
    struct btree_cursor cursor;
    bool begun;
};
void part_iter_init(struct part_iter *it, const struct part *p);
struct entry *part_iter_next(struct part_iter *it); /* NULL at the end */

/* Something to look for in a tree by name or by score and name: an entry on the stack. */
enum { PROBE_INLINE_BYTES = 256 };
struct probe {
    struct entry *entry;
    struct entry *owned; /* where the name is too long for the room below */
    _Alignas(struct entry) uint8_t room[sizeof(struct entry) + PROBE_INLINE_BYTES];
};
void probe_by_name(struct probe *p, struct span name);
void probe_by_score(struct probe *p, double score, struct span name);
void probe_release(struct probe *p);

/* Registers of different values side by side. */
bool cell_contested(const struct cell *c);

#endif
