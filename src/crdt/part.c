#include "crdt/part.h"

#include "base/check.h"
#include "base/memory.h"
#include "crdt/score.h"

/* --- what an item counts as --- */

bool cell_contested(const struct cell *c)
{
    for (uint16_t i = 1; i < c->reg_count; i++) {
        if (!span_equal(span_of(c->regs[i].value, c->regs[i].len),
                        span_of(c->regs[0].value, c->regs[0].len)))
            return true;
    }
    return false;
}

static uint32_t contested(const struct entry *e)
{
    return e->form == ENTRY_CELL && cell_contested(e->cell);
}

static stamp_t item_newest(const struct entry *e)
{
    return e->form == ENTRY_INLINE ? e->stamp : cell_newest(e->cell);
}

static int name_compare(const void *a, const void *b)
{
    return span_compare(entry_name(a), entry_name(b));
}

/* --- probes --- */

static void probe_make(struct probe *p, struct span name, struct span value)
{
    p->owned = NULL;
    if (name.len + value.len > PROBE_INLINE_BYTES) {
        p->entry = p->owned = entry_new(name, 0, value, false);
        return;
    }
    struct entry *e = p->entry = (struct entry *)p->room;
    *e = (struct entry){ .name_len = (uint32_t)name.len, .value_len = (uint32_t)value.len };
    if (name.len > 0)
        memcpy(e->bytes, name.at, name.len);
    if (value.len > 0)
        memcpy(e->bytes + name.len, value.at, value.len);
}

void probe_by_name(struct probe *p, struct span name)
{
    probe_make(p, name, span_of(NULL, 0));
}

void probe_by_score(struct probe *p, double score, struct span name)
{
    uint8_t bytes[SCORE_BYTES];
    probe_make(p, name, score_encode(score, bytes));
}

void probe_release(struct probe *p)
{
    if (p->owned)
        entry_free(p->owned);
}

/* --- a part --- */

struct part *part_new(uint8_t component, uint64_t seed)
{
    bool ordered = component_in_order(component);
    struct part *p = mem_zalloc(ordered ? sizeof(*p) : offsetof(struct part, order));
    p->component = component;
    if (component_in_table(component))
        table_init(&p->fields, entry_key_of, seed);
    if (ordered)
        btree_init(&p->order, component == COMPONENT_ZSET ? score_compare : name_compare);
    return p;
}

void part_free(struct part *p)
{
    struct part_iter it;
    struct entry *e;
    if (p->component == COMPONENT_HLL) {
        hll_release(&p->hll);
        mem_free(p);
        return;
    }
    part_iter_init(&it, p);
    while ((e = part_iter_next(&it)))
        entry_free(e);
    if (component_in_table(p->component))
        table_release(&p->fields);
    if (component_in_order(p->component))
        btree_release(&p->order);
    mem_free(p);
}

uint64_t part_count(const struct part *p)
{
    if (p->component == COMPONENT_HLL)
        return p->hll.count > 0;
    return component_in_table(p->component) ? p->fields.count : p->order.count;
}

bool part_empty(const struct part *p)
{
    return part_count(p) == 0;
}

void part_iter_init(struct part_iter *it, const struct part *p)
{
    *it = (struct part_iter){ .part = p };
    if (component_in_table(p->component))
        table_iter_init(&it->table, &p->fields);
}

struct entry *part_iter_next(struct part_iter *it)
{
    const struct part *p = it->part;
    if (p->component == COMPONENT_HLL)
        return NULL;
    if (component_in_table(p->component)) {
        void **slot = table_iter_next(&it->table);
        return slot ? *slot : NULL;
    }
    struct entry *e = it->begun ? btree_next(&it->cursor) : btree_seek(&p->order, 0, &it->cursor);
    it->begun = true;
    return e;
}

/* --- finding --- */

static struct entry *find_in_tree(const struct part *p, struct span name)
{
    struct probe probe;
    probe_by_name(&probe, name);
    struct entry *e = btree_find(&p->order, probe.entry);
    probe_release(&probe);
    return e;
}

struct entry *part_find(const struct part *p, struct span name)
{
    if (!component_in_table(p->component))
        return find_in_tree(p, name);
    void **slot = table_find(&p->fields, name);
    return slot ? *slot : NULL;
}

/* --- changing one item: it leaves while its order or its place in memory may change --- */

static void leave(struct part *p, const struct entry *e)
{
    if (component_in_order(p->component))
        CHECK(btree_remove(&p->order, e) == e);
    p->contested -= contested(e);
    p->newest_stale |= item_newest(e) == p->newest;
}

static void note_newest(struct part *p, stamp_t newest)
{
    if (newest < p->newest)
        return;
    p->newest = newest;
    p->newest_stale = false; /* nothing was newer than what it was */
}

static void enter(struct part *p, struct entry *e)
{
    if (component_in_order(p->component))
        CHECK(btree_insert(&p->order, e));
    p->contested += contested(e);
    note_newest(p, item_newest(e));
}

/* The slot to change the item in: the table's, or *own for what stands in a tree alone. */
static struct entry **slot_of(struct part *p, struct span name, bool add, struct entry **own)
{
    if (!component_in_table(p->component)) {
        *own = find_in_tree(p, name);
        return *own || add ? own : NULL;
    }
    return (struct entry **)(add ? table_find_or_add(&p->fields, name)
                                 : table_find(&p->fields, name));
}

/* The commonest write of a sorted set: the score that is there. */
static bool only_newer(const struct entry *e, const struct observer *by, const struct write *w)
{
    return e->form == ENTRY_INLINE && observes(by, e->stamp) &&
           span_equal(entry_inline_value(e), w->value);
}

struct entry *part_put(struct part *p, struct span name, const struct observer *by,
                       const struct write *w, struct span observed)
{
    struct entry *own = NULL, **slot = slot_of(p, name, true, &own);
    if (*slot && only_newer(*slot, by, w)) {
        p->newest_stale |= (*slot)->stamp == p->newest;
        (*slot)->stamp = w->rank;
        note_newest(p, w->rank);
        return *slot;
    }
    if (*slot) {
        leave(p, *slot);
        entry_put(slot, by, w, observed);
    } else {
        *slot = entry_new(name, w->rank, w->value, w->none);
    }
    enter(p, *slot);
    return *slot;
}

void part_take(struct part *p, struct span name, const struct observer *by, struct span observed)
{
    struct entry *own = NULL, **slot = slot_of(p, name, false, &own);
    if (!slot)
        return;
    leave(p, *slot);
    if (entry_take(slot, by, observed)) {
        struct entry *e = *slot;
        if (component_in_table(p->component))
            table_remove(&p->fields, name);
        entry_free(e);
        return;
    }
    enter(p, *slot);
}

void part_bump(struct part *p, struct span name, stamp_t stamp, stamp_t previous,
               struct amount before, struct amount after)
{
    struct entry *own = NULL, **slot = slot_of(p, name, true, &own);
    if (*slot)
        leave(p, *slot);
    else
        *slot = entry_new_wide(name);
    entry_bump(slot, stamp, previous, before, after);
    enter(p, *slot);
}

void part_insert(struct part *p, struct entry *e)
{
    struct entry *own = NULL, **slot = slot_of(p, entry_name(e), true, &own);
    if (*slot) {
        struct entry *old = *slot;
        leave(p, old);
        *slot = e;
        entry_free(old);
    }
    *slot = e;
    enter(p, e);
}

/* --- changing all of it --- */

static void drop_in_table(struct part *p, const struct observer *by)
{
    struct table_iter it;
    table_iter_init(&it, &p->fields);
    for (void **slot; (slot = table_iter_next(&it));) {
        struct entry *e = *slot;
        if (entry_take((struct entry **)slot, by, span_of(NULL, 0))) {
            table_iter_remove(&it);
            entry_free(e);
        } else {
            enter(p, *slot);
        }
    }
}

static void drop_in_tree(struct part *p, struct btree *before, const struct observer *by)
{
    struct btree_cursor c;
    for (struct entry *e = btree_seek(before, 0, &c); e; e = btree_next(&c)) {
        if (entry_take(&e, by, span_of(NULL, 0)))
            entry_free(e);
        else
            enter(p, e);
    }
}

/* All items leave; those that stay enter again, as they are then. */
void part_drop(struct part *p, const struct observer *by)
{
    struct btree before = { 0 };
    if (p->component == COMPONENT_HLL) {
        hll_drop(&p->hll, by);
        return;
    }
    p->contested = 0;
    p->newest = 0;
    p->newest_stale = false;
    if (component_in_order(p->component)) {
        before = p->order;
        btree_init(&p->order, before.compare);
    }
    if (component_in_table(p->component))
        drop_in_table(p, by);
    else
        drop_in_tree(p, &before, by);
    btree_release(&before);
}

/* --- what is told of it --- */

stamp_t part_newest(struct part *p)
{
    struct part_iter it;
    if (p->component == COMPONENT_HLL)
        return hll_newest(&p->hll);
    if (!p->newest_stale)
        return p->newest;
    p->newest = 0;
    p->newest_stale = false;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));) {
        if (item_newest(e) > p->newest)
            p->newest = item_newest(e);
    }
    return p->newest;
}

size_t part_bytes(const struct part *p)
{
    bool ordered = component_in_order(p->component);
    size_t bytes = ordered ? sizeof(*p) + btree_bytes(&p->order) : offsetof(struct part, order);
    if (p->component == COMPONENT_HLL)
        return bytes + hll_bytes(&p->hll);
    if (component_in_table(p->component))
        bytes += table_bytes(&p->fields);
    struct part_iter it;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));)
        bytes += entry_bytes(e);
    return bytes;
}
