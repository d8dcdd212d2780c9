/*
 * resident_trial -- for tests: databases whose keys, "key:0" to "key:399", are copied to a disk
 * that is an array, and leave memory for it.
 */
#ifndef CRDT_RESIDENT_TRIAL_H
#define CRDT_RESIDENT_TRIAL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/test.h"
#include "crdt/image.h"
#include "crdt/resident.h"

enum { KEYS = 400, NAME_MAX = 16, SELF = 1 };

/* --- a disk: what was copied last --- */

struct record {
    bool there;
    uint8_t flags;
    uint64_t due_ms;
    struct buffer piece;
};

static struct record disk[2][KEYS]; /* by database */
static bool broken;
static struct heap reclaim;
static struct database databases[OP_DATABASES];
static struct prng prng;

static inline struct span name_of(unsigned number)
{
    static char room[NAME_MAX];
    snprintf(room, sizeof(room), "key:%u", number);
    return span_str(room);
}

static inline unsigned number_of(struct span name)
{
    unsigned number = 0;
    char room[NAME_MAX] = "";
    memcpy(room, name.at, name.len < NAME_MAX - 1 ? name.len : NAME_MAX - 1);
    CHECK(sscanf(room, "key:%u", &number) == 1 && number < KEYS);
    return number;
}

static inline uint64_t position_of(unsigned number)
{
    return cold_position(table_hash(&databases[0].keys, name_of(number)));
}

static inline int disk_read(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                            cold_piece_fn take, void *context)
{
    const struct record *r = &disk[db][number_of(key)];
    (void)store;
    CHECK(hash == table_hash(&databases[db].keys, key));
    *flags = r->flags;
    if (!r->there)
        return E_MISSING;
    return !broken && take(context, buffer_span(&r->piece)) ? E_OK : E_CORRUPT;
}

static inline bool show(uint8_t db, unsigned number, cold_head_fn visit, void *context)
{
    const struct record *r = &disk[db][number];
    return visit(context, &(struct cold_head){ db, r->flags, r->due_ms, name_of(number) });
}

/* All of a database that `is_wanted`, in the order of positions, or of times first. */
struct order {
    uint8_t db;
    unsigned number;
    uint64_t due_ms, position;
};

static inline int compare_orders(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->due_ms != y->due_ms)
        return x->due_ms < y->due_ms ? -1 : 1;
    if (x->db != y->db)
        return x->db < y->db ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

static inline size_t order_all(struct order *all, bool by_due)
{
    size_t count = 0;
    for (uint8_t db = 0; db < 2; db++) {
        for (unsigned i = 0; i < KEYS; i++) {
            if (disk[db][i].there)
                all[count++] = (struct order){ db, i, by_due ? disk[db][i].due_ms : 0,
                                               position_of(i) };
        }
    }
    qsort(all, count, sizeof(*all), compare_orders);
    return count;
}

static inline int disk_scan(void *store, uint8_t db, uint64_t first, uint64_t last,
                            cold_head_fn visit, void *context)
{
    static struct order all[2 * KEYS];
    size_t count = order_all(all, false);
    (void)store;
    for (size_t i = 0; i < count; i++) {
        if (all[i].db == db && all[i].position >= first && all[i].position <= last &&
            !show(db, all[i].number, visit, context))
            break;
    }
    return E_OK;
}

static inline int disk_due(void *store, const struct cold_due *from, uint64_t to_ms,
                           cold_head_fn visit, void *context)
{
    static struct order all[2 * KEYS];
    size_t count = order_all(all, true);
    struct order least = { from->db, 0, from->ms, from->position };
    (void)store;
    for (size_t i = 0; i < count && all[i].due_ms <= to_ms; i++) {
        if (all[i].due_ms != 0 && compare_orders(&all[i], &least) >= 0 &&
            !show(all[i].db, all[i].number, visit, context))
            break;
    }
    return E_OK;
}

static inline int disk_contested(void *store, uint8_t db, cold_head_fn visit, void *context)
{
    (void)store;
    for (unsigned i = 0; i < KEYS; i++) {
        if (disk[db][i].there && disk[db][i].flags & COLD_CONTESTED && !show(db, i, visit, context))
            break;
    }
    return E_OK;
}

static const struct cold_ops disk_ops = { disk_read, disk_scan, disk_due, disk_contested };
static const struct cold cold = { &disk_ops, NULL };

/* --- databases --- */

static inline void begin(void)
{
    static const struct cold_counts none;
    broken = false;
    prng_seed(&prng, test_seed());
    for (uint8_t i = 0; i < OP_DATABASES; i++) {
        database_init(&databases[i], i, SELF, 7, &reclaim);
        resident_start(&databases[i], &cold, &none);
    }
}

static inline void end(void)
{
    for (int i = 0; i < OP_DATABASES; i++)
        database_release(&databases[i]);
    heap_release(&reclaim);
    for (int db = 0; db < 2; db++) {
        for (unsigned i = 0; i < KEYS; i++)
            buffer_release(&disk[db][i].piece);
    }
    memset(disk, 0, sizeof(disk));
}

/* A complete copy, at once. */
static inline void copy_all(uint8_t db)
{
    struct database *d = &databases[db];
    struct table_iter it;
    table_iter_init(&it, &d->gone[0]);
    for (void **slot; (slot = table_iter_next(&it));) {
        struct gone *g = *slot;
        disk[db][number_of(span_of(g->bytes, g->len))].there = false;
        table_iter_remove(&it);
        mem_free(g);
    }
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        struct entry *e = *slot;
        struct record *r = &disk[db][number_of(entry_name(e))];
        struct image_cursor cursor = { 0 };
        uint8_t who;
        if (!e->dirty)
            continue;
        buffer_clear(&r->piece);
        CHECK(image_put_piece(&r->piece, e, &cursor, 1 << 20));
        r->there = true;
        r->flags = image_flags(e);
        r->due_ms = e->form == ENTRY_BODY ? object_reclaim_ms(e->body, &who) : 0;
        e->dirty = false;
        e->stored = true;
        image_cursor_release(&cursor);
    }
    d->dirty_count = 0;
}

static inline stamp_t next_stamp(uint8_t origin)
{
    static uint64_t ms = 1000;
    return stamp_make(++ms, 0, origin);
}

static inline void apply(uint8_t db, unsigned number, uint8_t origin, enum op_kind kind,
                         struct buffer *payload, const struct vector *seen)
{
    static const struct vector nothing;
    struct op op = { .stamp = next_stamp(origin),
                     .kind = kind,
                     .component = COMPONENT_STRING,
                     .db = db,
                     .key = name_of(number),
                     .payload = buffer_span(payload) };
    op.rank = op.stamp;
    CHECK(op_valid(&op));
    database_apply(&databases[db], &op, seen ? seen : &nothing);
    buffer_release(payload);
}

static inline void write_by(uint8_t db, unsigned number, uint8_t origin, const char *value,
                            uint64_t deadline_ms)
{
    struct buffer payload = { 0 };
    buffer_put_u8(&payload, deadline_ms != 0 ? TIME_DEADLINE : TIME_NONE);
    if (deadline_ms != 0)
        buffer_put_varint(&payload, deadline_ms);
    buffer_put_prefixed(&payload, span_str(value));
    buffer_put_varint(&payload, 0);
    apply(db, number, origin, OP_PUT, &payload, NULL);
}

static inline void set(unsigned number, const char *value)
{
    write_by(0, number, SELF, value, 0);
}

static inline void del(unsigned number)
{
    struct buffer payload = { 0 };
    buffer_put_varint(&payload, MASK_ALL);
    buffer_put_varint(&payload, 0);
    apply(0, number, SELF, OP_DROP, &payload, NULL);
}

static inline bool evict(uint8_t db, unsigned number)
{
    void **slot = table_find(&databases[db].keys, name_of(number));
    if (!slot || !resident_may_leave(&databases[db], *slot))
        return false;
    resident_evict(&databases[db], *slot);
    return true;
}

static inline const char *get(unsigned number)
{
    static char text[64];
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;
    const struct entry *e = database_find(&databases[0], name_of(number));
    if (!e)
        return "(nil)";
    CHECK(object_string(e, scratch, &value));
    snprintf(text, sizeof(text), "%.*s", (int)value.len, (const char *)value.at);
    return text;
}

static inline bool is_resident(uint8_t db, unsigned number)
{
    return table_find(&databases[db].keys, name_of(number)) != NULL;
}

#define EXPECT_GET(number, value) EXPECT_TEXT(span_str(get(number)), value)

#endif
