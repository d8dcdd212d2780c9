#include "crdt/resident.h"

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "crdt/image.h"

static struct span gone_key(const void *item)
{
    const struct gone *g = item;
    return span_of(g->bytes, g->len);
}

static struct span lost_key(const void *item)
{
    const struct lost *l = item;
    return span_of(l->bytes, l->len);
}

void resident_start(struct database *d, const struct cold *cold, const struct cold_counts *counts)
{
    CHECK(d->keys.count == 0 && d->cold == NULL);
    d->cold = cold;
    d->colds = *counts;
    for (int i = 0; i < 2; i++)
        table_init(&d->gone[i], gone_key, d->keys.seed);
    table_init(&d->lost, lost_key, d->keys.seed);
}

static void release_table(struct table *t)
{
    struct table_iter it;
    table_iter_init(&it, t);
    for (void **slot; (slot = table_iter_next(&it));)
        mem_free(*slot);
    table_release(t);
}

void resident_release(struct database *d)
{
    for (int i = 0; d->cold && i < 2; i++)
        release_table(&d->gone[i]);
    if (d->cold)
        release_table(&d->lost);
    mem_free(d->dirty);
}

/* --- what was removed, what was changed --- */

static struct gone *find_gone(const struct table *t, struct span key)
{
    void **slot = table_find(t, key);
    return slot ? *slot : NULL;
}

static bool is_gone(const struct database *d, struct span key)
{
    if (find_gone(&d->gone[0], key))
        return true;
    const struct gone *before = d->gone_committed ? NULL : find_gone(&d->gone[1], key);
    return before && !before->back;
}

void resident_removed(struct database *d, struct span key)
{
    if (MUTATION(forgets_removed))
        return;
    void **slot = table_find_or_add(&d->gone[0], key);
    CHECK(*slot == NULL);
    struct gone *g = mem_alloc(sizeof(*g) + key.len);
    *g = (struct gone){ .len = (uint32_t)key.len };
    memcpy(g->bytes, key.at, key.len);
    *slot = g;
}

bool resident_made(struct database *d, struct span key)
{
    struct gone *g = table_remove(&d->gone[0], key);
    if (g) {
        mem_free(g);
        return true;
    }
    g = d->gone_committed ? NULL : find_gone(&d->gone[1], key);
    if (!g || g->back)
        return false;
    g->back = !MUTATION(loses_back);
    return true;
}

void resident_lose(struct database *d, struct span key)
{
    void **slot = table_find_or_add(&d->lost, key);
    if (*slot)
        return;
    struct lost *l = mem_alloc(sizeof(*l) + key.len);
    *l = (struct lost){ .error = d->unread, .len = (uint32_t)key.len };
    memcpy(l->bytes, key.at, key.len);
    *slot = l;
}

void resident_note_dirty(struct database *d, uint64_t hash)
{
    if (d->dirty_count == d->dirty_cap) {
        d->dirty_cap = d->dirty_cap ? 2 * d->dirty_cap : 64;
        d->dirty = mem_realloc(d->dirty, d->dirty_cap * sizeof(*d->dirty));
    }
    d->dirty[d->dirty_count++] = cold_position(hash);
}

/* --- into memory --- */

static void note_damage(struct database *d, int error)
{
    if (error != E_OK && error != E_MISSING && d->damage == E_OK)
        d->damage = error;
}

struct loading {
    struct database *d;
    struct span key;
    struct entry *entry;
};

static bool load_piece(void *context, struct span piece)
{
    struct loading *l = context;
    if (l->entry)
        return image_add(l->d, &l->entry, piece);
    l->entry = image_load(l->d, l->key, piece);
    return l->entry != NULL;
}

/* A key that is there has something to it. */
static bool is_nothing(const struct entry *e)
{
    return e->form == ENTRY_BODY && e->body->deadline_count == 0 && object_components(e) == 0;
}

/* The object of a record, in no table yet; NULL when there is none or it cannot be had. */
static struct entry *load(struct database *d, uint64_t hash, struct span key, uint8_t *flags)
{
    struct loading l = { .d = d, .key = key };
    int error = d->cold->ops->read(d->cold->store, d->number, hash, key, flags, load_piece, &l);
    if (error == E_OK && (!l.entry || is_nothing(l.entry)))
        error = E_CORRUPT;
    if (error != E_OK && l.entry) {
        object_free(l.entry);
        l.entry = NULL;
    }
    note_damage(d, error);
    d->unread = error == E_MISSING ? E_OK : error;
    d->missed += error == E_MISSING;
    return l.entry;
}

static void count_cold(struct database *d, uint8_t flags, uint64_t by)
{
    d->colds.keys += by;
    d->colds.ghosts += flags & COLD_GHOST ? by : 0;
    d->colds.with_deadline += flags & COLD_DEADLINE ? by : 0;
    d->colds.contested += flags & COLD_CONTESTED ? by : 0;
}

/* E_OK when it is not. */
static int lost_error(const struct database *d, struct span key)
{
    void **slot = d->lost.count > 0 ? table_find(&d->lost, key) : NULL;
    return slot ? ((const struct lost *)*slot)->error : E_OK;
}

struct entry *resident_fetch(struct database *d, struct span key)
{
    d->unread = lost_error(d, key);
    note_damage(d, d->unread);
    if (d->unread != E_OK || is_gone(d, key))
        return NULL;
    uint8_t flags = 0;
    uint64_t hash = table_hash(&d->keys, key);
    struct entry *e = load(d, hash, key, &flags);
    if (!e)
        return NULL;
    object_narrow(&e);
    e->stored = true;
    *table_add_hashed(&d->keys, hash) = e;
    object_entered(d, e);
    count_cold(d, flags, UINT64_MAX);
    d->fetched++;
    d->moved_bytes += (int64_t)resident_bytes(e);
    return e;
}

/* --- out of memory --- */

enum {
    ENTRY_BYTES = 48, /* of a key beside its name and value: header, place in the table, rounding */
    ITEM_BYTES = 32,  /* of an item of a collection, likewise */
    SAMPLES = 4,
};

/* As if all items were as large as the first few. */
static uint64_t items_bytes(const struct part *p)
{
    struct part_iter it;
    const struct entry *e;
    uint64_t bytes = 0, count = 0;
    part_iter_init(&it, p);
    for (; count < SAMPLES && (e = part_iter_next(&it)); count++)
        bytes += ITEM_BYTES + entry_bytes(e);
    return count == 0 ? 0 : bytes * part_count(p) / count;
}

uint64_t resident_bytes(const struct entry *e)
{
    uint64_t bytes = ENTRY_BYTES + e->name_len + e->value_len;
    if (e->form == ENTRY_INLINE)
        return bytes;
    bytes += sizeof(struct body);
    for (uint16_t i = 0; i < e->body->string.reg_count; i++)
        bytes += sizeof(struct reg) + e->body->string.regs[i].len;
    for (const struct part *p = e->body->parts; p; p = p->next)
        bytes += sizeof(*p) + (p->component == COMPONENT_HLL ? HLL_REGISTERS : items_bytes(p));
    return bytes;
}

bool resident_may_leave(const struct database *d, const struct entry *e)
{
    bool committed = !(d->uncommitted >> e->epoch & 1);
    return e->stored && !e->dirty && (committed || MUTATION(evicts_uncommitted));
}

static bool is_before(const struct cold_due *a, const struct cold_due *b)
{
    if (a->ms != b->ms)
        return a->ms < b->ms;
    return a->db != b->db ? a->db < b->db : a->position < b->position;
}

static struct cold_due due_of(const struct database *d, uint64_t due_ms, struct span key)
{
    return (struct cold_due){ due_ms, d->number, cold_position(table_hash(&d->keys, key)) };
}

/* What is ours to reclaim is to be fetched again. */
static void note_due(struct database *d, const struct entry *e)
{
    uint64_t due_ms = image_due_ms(e);
    if (due_ms == 0 || due_ms > d->due.ms)
        return;
    struct cold_due due = due_of(d, due_ms, entry_name(e));
    if (is_before(&due, &d->due))
        d->due = due;
}

void resident_evict(struct database *d, struct entry *e)
{
    CHECK(resident_may_leave(d, e));
    note_due(d, e);
    count_cold(d, image_flags(e), 1);
    d->moved_bytes -= (int64_t)resident_bytes(e);
    object_leaves(d, e);
    table_remove(&d->keys, entry_name(e));
    object_free(e);
}

void resident_spare(struct database *d, struct span key, uint64_t *room_bytes)
{
    void **slot = table_find(&d->keys, key);
    if (!slot)
        return;
    struct entry *e = *slot;
    uint64_t bytes = resident_bytes(e);
    if (*room_bytes == 0 && resident_may_leave(d, e))
        resident_evict(d, e);
    *room_bytes -= bytes < *room_bytes ? bytes : *room_bytes;
}

void resident_try(struct database *d, struct span key, uint64_t *room_bytes)
{
    uint64_t fetched = d->fetched;
    if (database_find(d, key) && d->fetched != fetched)
        resident_spare(d, key, room_bytes);
}

void resident_forget(struct database *d, struct entry *e)
{
    object_leaves(d, e);
    table_remove(&d->keys, entry_name(e));
    if (e->stored)
        resident_removed(d, entry_name(e));
    if (d->watch && d->watch->touched)
        d->watch->touched(d->watch->context, d->number, entry_name(e));
    object_free(e);
}

/* --- all keys --- */

enum { CELL_KEYS = 8 }; /* about so many are visited at once */

struct scanning {
    struct database *d;
    uint64_t first, last; /* positions */
    bool all;             /* every item of the bucket is wanted */
    scanned_fn visit;
    void *context;
};

static void scan_resident(void *context, void *item)
{
    struct scanning *s = context;
    struct entry *e = item;
    uint64_t position = s->all ? 0 : cold_position(table_hash(&s->d->keys, entry_name(e)));
    if (!s->all && (position < s->first || position > s->last))
        return;
    s->visit(s->context,
             &(struct scanned){ entry_name(e), e, image_flags(e), object_deadline_ms(e) });
}

static bool is_cold(const struct database *d, struct span key)
{
    return !table_find(&d->keys, key) && !is_gone(d, key);
}

static bool scan_cold(void *context, const struct cold_head *head)
{
    struct scanning *s = context;
    if (is_cold(s->d, head->key))
        s->visit(s->context, &(struct scanned){ head->key, NULL, head->flags,
                                                head->flags & COLD_DEADLINE ? head->due_ms : 0 });
    return true;
}

uint64_t cold_position(uint64_t hash)
{
    uint64_t h = __builtin_bswap64(hash);
    h = (h >> 4 & 0x0f0f0f0f0f0f0f0f) | (h & 0x0f0f0f0f0f0f0f0f) << 4;
    h = (h >> 2 & 0x3333333333333333) | (h & 0x3333333333333333) << 2;
    return (h >> 1 & 0x5555555555555555) | (h & 0x5555555555555555) << 1;
}

/* Cells so small that few keys are in each, and no larger than a bucket of the table. */
static int cell_bits(const struct database *d)
{
    int bits = 0, table = d->keys.count ? 31 - __builtin_clz(d->keys.bucket_count) : 0;
    while (bits < 48 && (d->keys.count + d->colds.keys) >> bits > CELL_KEYS)
        bits++;
    return bits > table ? bits : table;
}

uint64_t resident_scan(struct database *d, uint64_t cursor, scanned_fn visit, void *context)
{
    struct scanning s = { .d = d, .all = true, .visit = visit, .context = context };
    if (d->colds.keys == 0)
        return table_scan(&d->keys, cursor, scan_resident, &s);
    int bits = cell_bits(d);
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    s.all = d->keys.count > 0 && bits == 31 - __builtin_clz(d->keys.bucket_count);
    s.first = cold_position(cursor & mask);
    s.last = s.first | (bits == 0 ? UINT64_MAX : UINT64_MAX >> bits);
    table_scan(&d->keys, cursor & mask, scan_resident, &s);
    note_damage(d, d->cold->ops->scan(d->cold->store, d->number, s.first, s.last, scan_cold, &s));
    return cold_position(cold_position(cursor | ~mask) + 1);
}

/* --- some of the cold keys --- */

/* Keys are gathered first and fetched then: the store is not read while it is being walked. */
struct picking {
    struct database *databases; /* of a replica; or NULL, and this one: */
    struct database *d;
    size_t limit;
    struct span prefix;
    struct buffer keys; /* u8 database, key with its length */
    size_t count;
    size_t looks;         /* at what is due, */
    struct cold_due last; /* and the last one */
    bool more;
};

static bool begins(struct span key, struct span prefix)
{
    return key.len >= prefix.len && span_equal(span_of(key.at, prefix.len), prefix);
}

static void gather(struct picking *p, const struct cold_head *head)
{
    buffer_put_u8(&p->keys, head->db);
    buffer_put_prefixed(&p->keys, head->key);
    p->count++;
}

static bool pick(void *context, const struct cold_head *head)
{
    struct picking *p = context;
    if (begins(head->key, p->prefix) && is_cold(p->d, head->key))
        gather(p, head);
    return p->count < p->limit;
}

enum { LOOKS = 4 }; /* for each that is wanted: they may all be in memory */

/* All of one place come together, so that the next walk can begin after it. */
static bool pick_due(void *context, const struct cold_head *head)
{
    struct picking *p = context;
    struct database *d = &p->databases[head->db];
    struct cold_due due = due_of(d, head->due_ms, head->key);
    bool enough = p->count >= p->limit || p->looks >= LOOKS * p->limit;
    p->more = enough && is_before(&p->last, &due);
    if (p->more)
        return false;
    p->last = due;
    p->looks++;
    if (is_cold(d, head->key))
        gather(p, head);
    return true;
}

static struct entry *fetch_picked(struct picking *p)
{
    struct span in = buffer_span(&p->keys), key;
    struct entry *e = NULL;
    uint8_t db;
    while (span_take_u8(&in, &db) && span_take_prefixed(&in, &key))
        e = resident_fetch(p->databases ? &p->databases[db] : p->d, key);
    buffer_release(&p->keys);
    return e;
}

struct entry *resident_random(struct database *d, struct prng *prng)
{
    enum { TRIES = 16 };
    uint64_t total = d->keys.count + d->colds.keys;
    for (int i = 0; i < TRIES && total > 0 && prng_below(prng, total) >= d->keys.count; i++) {
        struct picking p = { .d = d, .limit = 1 };
        uint64_t from = prng_next(prng);
        note_damage(d, d->cold->ops->scan(d->cold->store, d->number, from, UINT64_MAX, pick, &p));
        struct entry *e = fetch_picked(&p);
        if (e)
            return e;
    }
    return table_random(&d->keys, prng);
}

static struct cold_due after(struct cold_due due)
{
    if (++due.position == 0)
        due.db++; /* all bits were set */
    return due;
}

bool resident_fetch_due(struct database *databases, uint64_t before_ms, size_t limit)
{
    struct database *first = &databases[0];
    struct picking p = { .databases = databases, .limit = limit };
    struct cold_due end = { .ms = before_ms }, from = end;
    for (int i = 0; i < OP_DATABASES; i++) {
        if (databases[i].colds.keys > 0 && is_before(&databases[i].due, &from))
            from = databases[i].due;
    }
    if (!first->cold || !is_before(&from, &end))
        return false;
    int error = first->cold->ops->due(first->cold->store, &from, before_ms - 1, pick_due, &p);
    note_damage(first, error);
    fetch_picked(&p);
    if (error != E_OK)
        return false; /* what was not seen is still due */
    for (int i = 0; i < OP_DATABASES; i++)
        databases[i].due = p.more ? after(p.last) : end;
    return p.more;
}

void resident_fetch_contested(struct database *d, struct span prefix, size_t limit)
{
    struct picking p = { .d = d, .limit = limit, .prefix = prefix };
    if (d->colds.contested == 0 || limit == 0)
        return;
    note_damage(d, d->cold->ops->contested(d->cold->store, d->number, pick, &p));
    fetch_picked(&p);
}

/* --- cold objects, only looked at --- */

struct looking {
    struct database *d;
    cold_object_fn visit;
    void *context;
};

static bool look(void *context, const struct cold_head *head)
{
    struct looking *l = context;
    uint8_t flags;
    if (!is_cold(l->d, head->key))
        return true;
    struct entry *e = load(l->d, table_hash(&l->d->keys, head->key), head->key, &flags);
    if (!e)
        return l->d->damage == E_OK;
    object_narrow(&e);
    l->visit(l->context, e);
    object_free(e);
    return true;
}

void resident_each_cold(struct database *d, cold_object_fn visit, void *context)
{
    struct looking l = { d, visit, context };
    if (d->colds.keys > 0)
        note_damage(d, d->cold->ops->scan(d->cold->store, d->number, 0, UINT64_MAX, look, &l));
}
