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
#include "base/table.h"
#include "crdt/cell.h"

struct deadline {
    stamp_t stamp;
    uint64_t at_ms; /* 0: none */
};

struct body {
    struct entry *entry; /* the key; stays in place as long as there is a body */
    struct cell string;
    /* hash and set: entries by name; NULL when there are none */
    struct table *fields[COMPONENT_COUNT];
    struct deadline *deadlines; /* ascending by stamp */
    uint16_t deadline_count;
    uint8_t db;
    /* in the database's heap while this replica is the one to reclaim it */
    struct heap_node reclaim;
};

struct database {
    struct table keys; /* of struct entry */
    uint64_t ghosts;
    uint64_t with_deadline; /* keys that have a deadline */
    uint8_t number;
    uint8_t self;         /* our origin: whose deadlines we reclaim */
    struct heap *reclaim; /* shared by the databases of a replica; by deadline */
};

void database_init(struct database *d, uint8_t number, uint8_t self, uint64_t seed,
                   struct heap *reclaim);
void database_release(struct database *d);

/* Applies one op: the only place where state changes. The op is valid (op_valid).
 * Works alike for local and remote ops and for replay. */
void database_apply(struct database *d, const struct op *op, const struct vector *context);

static inline struct entry *database_find(const struct database *d, struct span key)
{
    void **slot = table_find(&d->keys, key);
    return slot ? *slot : NULL;
}

/* Keys that are there for readers, expired but not yet reclaimed ones counted (as in Redis). */
static inline uint64_t database_size(const struct database *d)
{
    return d->keys.count - d->ghosts;
}

/* The component that readers see; COMPONENT_NONE for a ghost. */
enum component object_visible(const struct entry *e);

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

/* The hash's or the set's entries, or NULL. */
static inline const struct table *object_fields(const struct entry *e, enum component c)
{
    return e->form == ENTRY_BODY ? e->body->fields[c] : NULL;
}

/* About how many bytes such a payload would be. */
size_t object_drop_bytes(const struct entry *e);
/* Appends the payload of an OP_DROP of these components: what a removal here observes. */
void object_put_drop(struct buffer *out, const struct entry *e, uint32_t mask);

/* The origin whose element makes the deadline; 0 when there is none. */
uint8_t object_deadline_origin(const struct entry *e);

/* A canonical description of everything that is stored, for comparing replicas: appended as text,
 * stable order. */
void object_describe(struct buffer *out, const struct entry *e);
/* 64-bit digest of a database's contents: equal for equal states, whatever the order of arrival. */
uint64_t database_digest(const struct database *d);

size_t object_bytes(const struct entry *e);

#endif
