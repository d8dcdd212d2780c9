/*
 * stream_group -- consumer groups: how they stand among the items of COMPONENT_GROUPS.
 *
 *     item       name, whose first byte says which   value
 *     group      g group                             last delivered id (16 bytes), zigzag read
 *     consumer   c group' consumer                   varint time when it was last seen, ms
 *     pending    p group' id                         consumer', varint ms, varint deliveries
 *     held       h group' consumer' id               nothing
 *
 * A name with ' has its length before it as a varint, ids are 16 bytes big-endian: so groups, the
 * consumers of a group, its pending entries and those that one consumer holds are each one range of
 * the tree, in the order in which Redis tells them, and are counted by ranks. Every pending entry
 * is held once, by the consumer that it names. Only regions that write alone write this. Whatever
 * else is found here, from a peer that is wrong or of two that once wrote at the same time, is read
 * as if it were not there.
 */
#ifndef CMD_STREAM_GROUP_H
#define CMD_STREAM_GROUP_H

#include "cmd/stream.h"

enum { GROUP_READ_UNKNOWN = -1 };

struct stream_group {
    struct stream_id last_id;
    int64_t read; /* entries delivered since the stream's beginning; GROUP_READ_UNKNOWN */
};

struct stream_pending {
    struct stream_id id;
    struct span consumer;
    uint64_t delivered_ms, deliveries;
};

/* --- reading: spans are of the view --- */

bool group_find(const struct stream_view *v, struct span group, struct stream_group *g);
bool group_find_consumer(const struct stream_view *v, struct span group, struct span consumer,
                         uint64_t *seen_ms);
bool group_find_pending(const struct stream_view *v, struct span group, struct stream_id id,
                        struct stream_pending *p);

uint64_t group_count(const struct stream_view *v);
uint64_t group_count_consumers(const struct stream_view *v, struct span group);
uint64_t group_count_pending(const struct stream_view *v, struct span group);
uint64_t group_count_held(const struct stream_view *v, struct span group, struct span consumer);

/* The first and the last pending entry; false when there is none. */
bool group_pending_ends(const struct stream_view *v, struct span group, struct stream_id *first,
                        struct stream_id *last);

/* One of the ranges, from some place on. */
struct group_items {
    const struct stream_view *view;
    struct span group, consumer;
    struct buffer prefix; /* of all names in the range */
    struct btree_cursor cursor;
    const struct entry *next;
};

void group_items_groups(struct group_items *it, const struct stream_view *v);
void group_items_consumers(struct group_items *it, const struct stream_view *v, struct span group);
void group_items_pending(struct group_items *it, const struct stream_view *v, struct span group,
                         struct stream_id from);
void group_items_held(struct group_items *it, const struct stream_view *v, struct span group,
                      struct span consumer, struct stream_id from);
void group_items_release(struct group_items *it);

/* The next of each kind; false at the end. */
bool group_next(struct group_items *it, struct span *name, struct stream_group *g);
bool group_next_consumer(struct group_items *it, struct span *name, uint64_t *seen_ms);
bool group_next_pending(struct group_items *it, struct stream_pending *p); /* or held */

/* --- writing: gathered while the view is read, then emitted --- */

struct group_changes {
    struct buffer puts, takes, scratch;
};

void group_changes_release(struct group_changes *c);
void group_put(struct group_changes *c, struct span group, const struct stream_group *g);
void group_put_consumer(struct group_changes *c, struct span group, struct span consumer,
                        uint64_t seen_ms);
/* An entry that is pending then; `before` is who held it until now, or NULL. */
void group_put_pending(struct group_changes *c, struct span group, const struct stream_pending *p,
                       const struct span *before);
void group_take_pending(struct group_changes *c, struct span group, const struct stream_pending *p);

/* Whether another entry may be delivered by this command: what it writes has to fit a group of ops,
 * its reply the client's output buffer. The rest comes with the next command. */
bool group_has_room(const struct call *call, const struct group_changes *c, const struct reply *r);

/* Emits what was gathered, and forgets it. */
void group_emit(struct call *call, struct span key, struct group_changes *c);

/* Removes a whole group; a consumer with all that it holds. Both are there. */
void group_emit_destroy(struct call *call, struct span key, struct span group);
void group_emit_delete_consumer(struct call *call, struct span key, struct span group,
                                struct span consumer);

/* --- what a group has read: stream_lag.c --- */

/* Counts an entry that is delivered now and moves the last id to it. */
void group_advance(const struct stream_view *v, struct stream_group *g, struct stream_id id);

/* How many entries are still to be delivered; false when nobody can say. */
bool group_lag(const struct stream_view *v, const struct stream_group *g, int64_t *lag);

#endif
