/*
 * cold_trial -- for tests: a checkpoint in memory, for one replica.
 *
 *     cold_open      from now on the replica keeps its keys in it too
 *     cold_begin, cold_step, cold_commit, cold_fail      one copy, as slowly as a test likes
 *     cold_copy      all of one at once
 *
 * What is copied is seen by readers at cold_commit, all at once. Reads of `broken` fail, and those after
 * `fails_in` others.
 */
#ifndef CMD_COLD_TRIAL_H
#define CMD_COLD_TRIAL_H

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "core/copier.h"
#include "core/replica.h"
#include "crdt/resident.h"

struct cold_record {
    uint8_t db, flags;
    uint64_t hash, due_ms;
    struct buffer key;
    struct buffer pieces; /* with their lengths */
};

struct cold_trial {
    struct cold cold;
    struct replica *replica;
    struct cold_record *records; /* by database, position, key */
    size_t count, cap;
    struct buffer changes; /* of the copy that runs */
    const char *broken;    /* a key; NULL: none */
    uint64_t reads;
    uint32_t fails_in; /* the so manyth read from now fails, and all after it; 0: none */
    bool failing;
};

static inline int cold_order(const void *a, const void *b)
{
    const struct cold_record *x = a, *y = b;
    uint64_t p = cold_position(x->hash), q = cold_position(y->hash);

    if (x->db != y->db)
        return x->db < y->db ? -1 : 1;
    if (p != q)
        return p < q ? -1 : 1;
    return span_compare(buffer_span(&x->key), buffer_span(&y->key));
}

static inline struct cold_record *cold_find(const struct cold_trial *t, uint8_t db, struct span key)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->records[i].db == db && span_equal(buffer_span(&t->records[i].key), key))
            return &t->records[i];
    }
    return NULL;
}

/* --- struct cold_ops --- */

static inline int cold_read(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                            cold_piece_fn take, void *context)
{
    struct cold_trial *t = store;
    const struct cold_record *r = cold_find(t, db, key);
    struct span pieces, piece;

    t->failing |= t->fails_in == 1;
    t->fails_in -= t->fails_in > 0;
    if (t->failing)
        return E_IO;
    if (r == NULL)
        return E_MISSING;
    CHECK(r->hash == hash);
    t->reads++;
    if (t->broken != NULL && span_equal(key, span_str(t->broken)))
        return E_CORRUPT;
    *flags = r->flags;
    pieces = buffer_span(&r->pieces);
    while (span_take_prefixed(&pieces, &piece)) {
        if (!take(context, piece))
            return E_CORRUPT;
    }
    return E_OK;
}

static inline bool cold_show(const struct cold_record *r, cold_head_fn visit, void *context)
{
    return visit(context, &(struct cold_head){ r->db, r->flags, r->due_ms, buffer_span(&r->key) });
}

static inline int cold_scan(void *store, uint8_t db, uint64_t first, uint64_t last,
                            cold_head_fn visit, void *context)
{
    const struct cold_trial *t = store;
    bool more = true;

    for (size_t i = 0; i < t->count && more; i++) {
        uint64_t position = cold_position(t->records[i].hash);

        if (t->records[i].db == db && position >= first && position <= last)
            more = cold_show(&t->records[i], visit, context);
    }
    return E_OK;
}

/* The next one that is due at this place or after it; NULL: none. */
static inline const struct cold_record *cold_next_due(const struct cold_trial *t,
                                                      const struct cold_due *from)
{
    const struct cold_record *next = NULL;

    for (size_t i = 0; i < t->count; i++) {
        const struct cold_record *r = &t->records[i];
        bool after = r->due_ms != from->ms ? r->due_ms > from->ms
                     : r->db != from->db   ? r->db > from->db
                                           : cold_position(r->hash) >= from->position;
        bool sooner = next == NULL ||
                      (r->due_ms != next->due_ms ? r->due_ms < next->due_ms
                       : r->db != next->db       ? r->db < next->db
                                           : cold_position(r->hash) < cold_position(next->hash));
        if (r->due_ms != 0 && after && sooner)
            next = r;
    }
    return next;
}

static inline int cold_due(void *store, const struct cold_due *due, uint64_t to_ms,
                           cold_head_fn visit, void *context)
{
    const struct cold_trial *t = store;
    struct cold_due from = *due;
    const struct cold_record *r;

    while ((r = cold_next_due(t, &from)) != NULL && r->due_ms <= to_ms) {
        if (!cold_show(r, visit, context))
            break;
        from = (struct cold_due){ r->due_ms, r->db, cold_position(r->hash) + 1 };
    }
    return E_OK;
}

static inline int cold_contested(void *store, uint8_t db, cold_head_fn visit, void *context)
{
    const struct cold_trial *t = store;
    bool more = true;

    for (size_t i = 0; i < t->count && more; i++) {
        if (t->records[i].db == db && t->records[i].flags & COLD_CONTESTED)
            more = cold_show(&t->records[i], visit, context);
    }
    return E_OK;
}

/* --- the copy --- */

static inline void cold_clear(struct cold_record *r)
{
    buffer_release(&r->key);
    buffer_release(&r->pieces);
}

static inline void cold_remove(struct cold_trial *t, uint8_t db, struct span key)
{
    struct cold_record *r = cold_find(t, db, key);

    if (r == NULL)
        return;
    cold_clear(r);
    *r = t->records[--t->count];
}

static inline void cold_put(struct cold_trial *t, const struct change *c, struct buffer *pieces)
{
    cold_remove(t, c->db, c->key);
    if (t->count == t->cap) {
        t->cap = t->cap > 0 ? 2 * t->cap : 64;
        t->records = mem_realloc(t->records, t->cap * sizeof(*t->records));
    }
    struct cold_record *r = &t->records[t->count++];
    *r = (struct cold_record){
        .db = c->db, .flags = c->flags, .hash = c->hash, .due_ms = c->due_ms, .pieces = *pieces
    };
    buffer_put(&r->key, c->key);
    *pieces = (struct buffer){ 0 };
}

static inline void cold_take_changes(struct cold_trial *t)
{
    struct span in = buffer_span(&t->changes);
    struct buffer pieces = { 0 };
    struct change c;

    while (change_take(&in, &c)) {
        if (c.kind == CHANGE_PUT || (c.kind == CHANGE_PIECE && c.number == 0))
            buffer_clear(&pieces);
        if (c.kind == CHANGE_PUT || c.kind == CHANGE_PIECE)
            buffer_put_prefixed(&pieces, c.piece);
        if (c.kind == CHANGE_PUT || c.kind == CHANGE_DONE)
            cold_put(t, &c, &pieces);
        if (c.kind == CHANGE_GONE)
            cold_remove(t, c.db, c.key);
    }
    CHECK(in.len == 0);
    buffer_release(&pieces);
    if (t->count > 0)
        qsort(t->records, t->count, sizeof(*t->records), cold_order);
}

/* False: what the last one removed is not put away yet. */
static inline bool cold_begin(struct cold_trial *t)
{
    replica_seal(t->replica);
    buffer_clear(&t->changes);
    return copier_begin(t->replica);
}

static inline bool cold_step(struct cold_trial *t)
{
    uint64_t lsn;

    replica_seal(t->replica);
    return copier_step(t->replica, &t->changes, &lsn);
}

static inline void cold_commit(struct cold_trial *t)
{
    cold_take_changes(t);
    copier_committed(t->replica);
}

static inline void cold_copy(struct cold_trial *t)
{
    while (!cold_begin(t))
        copier_tidy(t->replica);
    while (cold_step(t))
        continue;
    cold_commit(t);
}

static inline void cold_open(struct cold_trial *t, struct replica *r)
{
    static const struct cold_ops ops = { cold_read, cold_scan, cold_due, cold_contested };
    static const struct cold_counts none[OP_DATABASES];

    *t = (struct cold_trial){ .cold = { &ops, t }, .replica = r };
    replica_install(r, &t->cold, NULL, none);
}

static inline void cold_close(struct cold_trial *t)
{
    for (size_t i = 0; i < t->count; i++)
        cold_clear(&t->records[i]);
    mem_free(t->records);
    buffer_release(&t->changes);
}

#endif
