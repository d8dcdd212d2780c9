/*
 * object -- a key: its components side by side, and its deadlines.
 *
 * A key is an entry (cell.h) in the table of its database. A plain string is inline; everything
 * else has a body. Two types under one key are both kept; the one with the largest stamp is
 * visible. Deadlines are a cell of elements {stamp, deadline or none}; a string register written
 * without a time has a bit that says "none" too. No elements, or any none among them: no deadline;
 * else the longest. An object without any component, only deadlines, is a ghost: absent for
 * everybody, kept until it is reclaimed.
 *
 * Expiry is judged by the caller's time (the HLC's), see object_expired.
 */
#ifndef CRDT_OBJECT_H
#define CRDT_OBJECT_H

#include "base/heap.h"
#include "base/list.h"
#include "crdt/cold.h"
#include "crdt/part.h"

struct deadline {
    stamp_t stamp;
    uint64_t at_ms; /* 0: none */
};

struct body {
    struct entry *entry; /* the key; stays in place as long as there is a body */
    struct cell string;
    struct part *parts;         /* the other components that are there */
    struct deadline *deadlines; /* ascending by stamp */
    uint16_t deadline_count;
    uint8_t db;
    /* in the database's heap while this replica is the one to reclaim it */
    struct heap_node reclaim;
    struct list contested; /* in the database's list while something here is */
};

/* Concurrent writes of different values, or of different types, that now stand side by side:
 * [0] the one that came, [1] the newest that it stands against. Of a write of another type the first
 * item and its value are told; of the collection that it stands against, no value. Spans are good
 * during the call. */
struct conflict {
    uint8_t db;
    struct span key;
    enum component component; /* of [0] */
    enum component against;   /* of [1]: the same, or another type */
    struct span item;         /* field, member or position */
    stamp_t stamp[2];
    struct span value[2];
};

/* Who wants to hear of changes while they are applied. Either may be NULL. Must not change
 * anything. */
struct database_watch {
    void (*touched)(void *context, uint8_t db, struct span key);
    void (*conflict)(void *context, const struct conflict *c);
    void *context;
};

struct database {
    struct table keys; /* of struct entry: those in memory */
    uint64_t ghosts;
    uint64_t with_deadline; /* keys in memory that have a deadline */
    uint8_t number;
    uint64_t reclaims[4]; /* bitmap of origins whose deadlines we reclaim: our own, and more */
    struct heap *reclaim; /* shared by the databases of a replica; by deadline */
    /* bodies in which registers of different values, or types, stand side by side */
    struct list contested;
    uint64_t contested_count;
    const struct database_watch *watch; /* NULL: nobody; shared likewise */
    bool removed;                       /* by the op that is applied now: its key */
    bool changed;                       /* an op was applied since whoever asks cleared it */

    /* crdt/resident.h */
    const struct cold *cold;  /* NULL: all keys are in memory */
    struct cold_counts colds; /* of the keys that are not */
    /* of struct gone: [0] removed since the copy for a checkpoint began that runs now, [1] before */
    struct table gone[2];
    bool gone_committed; /* the disk knows of gone[1] */
    uint64_t *dirty;     /* hashes of dirty keys */
    size_t dirty_count, dirty_cap;
    uint32_t uncommitted; /* the bit of the epoch whose copies may not be on disk */
    struct cold_due due;  /* cold keys that are due before this were fetched */
    int damage;           /* the error of the first read from disk that failed */
    int unread;           /* the error of the last resident_fetch; E_OK: what it said is true */
    /* of struct lost: keys that ops would have changed, if the disk had given them; found no more */
    struct table lost;
    uint64_t fetched;     /* keys that came back into memory */
    uint64_t missed;      /* keys that were looked for on disk, and are not there */
    int64_t moved_bytes;  /* of keys, about: what came, less what left */
};

void database_init(struct database *d, uint8_t number, uint8_t self, uint64_t seed,
                   struct heap *reclaim);
void database_release(struct database *d);

/* Applies one op: the only place where state changes. The op is valid (op_valid).
 * Works alike for local and remote ops and for replay. */
void database_apply(struct database *d, const struct op *op, const struct vector *context);

/* Brings a key that is only on disk into memory (crdt/resident.h). */
struct entry *resident_fetch(struct database *d, struct span key);

/* Where a key is kept is no part of what the database holds: so a find takes a constant one. */
static inline struct entry *database_find(const struct database *d, struct span key)
{
    void **slot = table_find(&d->keys, key);
    if (slot)
        return *slot;
    return d->colds.keys > 0 ? resident_fetch((struct database *)d, key) : NULL;
}

/* Keys that are there for readers, expired but not yet reclaimed ones counted (as in Redis). */
static inline uint64_t database_size(const struct database *d)
{
    return d->keys.count - d->ghosts + d->colds.keys - d->colds.ghosts;
}

static inline uint64_t database_with_deadline(const struct database *d)
{
    return d->with_deadline + d->colds.with_deadline;
}

static inline uint64_t database_contested(const struct database *d)
{
    return d->contested_count + d->colds.contested;
}

/* The component that readers see; COMPONENT_NONE for a ghost. */
enum component object_visible(const struct entry *e);

/* The newest stamp of a component that is there: what makes it the visible one. */
stamp_t object_newest(const struct entry *e, enum component c);

/* Of a stream with its groups, both; of any other component, itself. */
static inline uint32_t component_family(enum component c)
{
    const uint32_t stream = 1u << COMPONENT_STREAM | 1u << COMPONENT_GROUPS;
    return stream >> c & 1 ? stream : 1u << c;
}

/* A mask of the components that are there (deadlines not among them). */
uint32_t object_components(const struct entry *e);

/* 0: no deadline. */
uint64_t object_deadline_ms(const struct entry *e);

static inline bool object_expired(const struct entry *e, uint64_t now_ms)
{
    if (e->form != ENTRY_BODY)
        return false;
    uint64_t at = object_deadline_ms(e);
    return at != 0 && now_ms > at;
}

/* --- for apply.c: the forms of a key --- */

struct entry *object_new(struct database *d, struct span key);      /* with an empty body */
struct body *object_widen(struct database *d, struct entry **slot); /* inline -> body */
/* body -> inline when one register is all there is */
void object_narrow(struct entry **slot);
void object_free(struct entry *e);

/* The string component; an empty cell reads false. */
bool object_string(const struct entry *e, char *scratch, struct span *value);

/* A component other than the string, or NULL. */
static inline struct part *object_part(const struct entry *e, enum component c)
{
    struct part *p = e->form == ENTRY_BODY ? e->body->parts : NULL;
    while (p && p->component != c)
        p = p->next;
    return p;
}

/* Items by name: of a hash, a set, a sorted set; NULL when it is not there. */
static inline const struct table *object_fields(const struct entry *e, enum component c)
{
    const struct part *p = object_part(e, c);
    return p ? &p->fields : NULL;
}

/* Items in order: of a sorted set, a list, a stream or its groups; NULL when it is not there. */
static inline const struct btree *object_order(const struct entry *e, enum component c)
{
    const struct part *p = object_part(e, c);
    return p ? &p->order : NULL;
}

/* Whether concurrent writes of different values or types stand side by side in it. */
static inline bool object_contested(const struct entry *e)
{
    return e->form == ENTRY_BODY && list_linked(&e->body->contested);
}

/* About how many bytes the tallies of a part take in such a payload. */
size_t part_drop_bytes(const struct part *p);
/* Appends the payload of an OP_DROP of these components: what a removal here observes. */
void object_put_drop(struct buffer *out, const struct entry *e, uint32_t mask);

/* The origin whose element makes the deadline; 0 when there is none. */
uint8_t object_deadline_origin(const struct entry *e);

/* Who removes a key for good, and when it may be asked; 0: nobody ever. */
uint64_t object_reclaim_ms(const struct body *b, uint8_t *who);

/* For what has just come into a database's table, or leaves it: its counts and lists. */
void object_entered(struct database *d, struct entry *e);
void object_leaves(struct database *d, struct entry *e);

/* A canonical description of everything that is stored, for comparing replicas: appended as text,
 * stable order. */
void object_describe(struct buffer *out, const struct entry *e);
/* 64-bit digest of a database's contents: equal for equal states, whatever the order of arrival. */
uint64_t database_digest(const struct database *d);

size_t object_bytes(const struct entry *e);

#endif
