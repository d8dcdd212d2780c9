/*
 * apply -- the only place where objects change: one op, local, remote or replayed, does the same.
 *
 * Ops were checked by op_valid before they come here, so the payload readers below cannot fail.
 */
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "crdt/contest.h"
#include "crdt/resident.h"

static uint64_t must_varint(struct span *in)
{
    uint64_t v;
    CHECK(span_take_varint(in, &v));
    return v;
}

static struct span must_prefixed(struct span *in)
{
    struct span s;
    CHECK(span_take_prefixed(in, &s));
    return s;
}

static struct span must_observed(struct span *in)
{
    uint64_t count;
    struct span entries;
    CHECK(observed_list_take(in, &entries, &count));
    return entries;
}

/* --- deadlines --- */

static void add_deadline(struct body *b, stamp_t stamp, uint64_t at_ms)
{
    b->deadlines = mem_realloc(b->deadlines,
                               (size_t)(b->deadline_count + 1) * sizeof(*b->deadlines));
    uint16_t at = b->deadline_count++;
    while (at > 0 && b->deadlines[at - 1].stamp > stamp) {
        b->deadlines[at] = b->deadlines[at - 1];
        at--;
    }
    b->deadlines[at] = (struct deadline){ stamp, at_ms };
}

static void drop_deadlines(struct body *b, const struct observer *by)
{
    uint16_t kept = 0;
    for (uint16_t i = 0; i < b->deadline_count; i++) {
        if (!observes(by, b->deadlines[i].stamp))
            b->deadlines[kept++] = b->deadlines[i];
    }
    b->deadline_count = kept;
    if (kept == 0) {
        mem_free(b->deadlines);
        b->deadlines = NULL;
    }
}

/* Dropped by what leaves the deadlines alone (a write that keeps the time, a removal of the hidden
 * string only): what a register said about the deadline lives on as an element, in whatever order
 * such ops and others come. */
static void keep_none(void *context, const struct reg *reg)
{
    if (reg->none && !MUTATION(forgets_none))
        add_deadline(context, reg->stamp, 0);
}

/* EXPIRE and PERSIST speak for every register that they observed. */
static void clear_none(struct body *b, const struct observer *by)
{
    for (uint16_t i = 0; i < b->string.reg_count; i++) {
        if (observes(by, b->string.regs[i].stamp))
            b->string.regs[i].none = false;
    }
}

/* --- bookkeeping of a database: what a key counts as, before and after a change --- */

struct standing {
    bool ghost;
    bool deadline;
    uint32_t components;
};

static struct standing standing_of(const struct entry *e)
{
    uint32_t components = e ? object_components(e) : 0;
    if (!e || e->form == ENTRY_INLINE)
        return (struct standing){ false, false, components };
    bool ghost = components == 0;
    return (struct standing){ ghost, !ghost && object_deadline_ms(e) != 0, components };
}

/* When nobody can keep any more what a ghost says: a writer may have seen an object with the longest
 * of its deadlines. */
static uint64_t last_word_ms(const struct body *b)
{
    uint64_t last_ms = 0;
    for (uint16_t i = 0; i < b->deadline_count; i++) {
        const struct deadline *d = &b->deadlines[i];
        uint64_t at_ms = d->at_ms ? d->at_ms : stamp_ms(d->stamp);
        last_ms = at_ms > last_ms ? at_ms : last_ms;
    }
    return last_ms;
}

/* The origin of the deadline, once that time has passed; a ghost by the origin of its newest element. */
uint64_t object_reclaim_ms(const struct body *b, uint8_t *who)
{
    *who = 0;
    if (b->deadline_count == 0)
        return 0;
    if (object_components(b->entry) == 0) {
        *who = stamp_origin(b->deadlines[b->deadline_count - 1].stamp);
        return last_word_ms(b);
    }
    *who = object_deadline_origin(b->entry);
    return object_deadline_ms(b->entry);
}

static void schedule_reclaim(struct database *d, struct body *b)
{
    uint8_t who;
    uint64_t when = object_reclaim_ms(b, &who);
    if (when != 0 && d->reclaims[who / 64] >> (who % 64) & 1)
        heap_put(d->reclaim, &b->reclaim, when);
    else
        heap_remove(d->reclaim, &b->reclaim);
}

/* Lists the object among the contested ones of its database while anything in it is. */
static void list_contested(struct database *d, struct body *b)
{
    bool contested = cell_contested(&b->string);
    uint32_t components = object_components(b->entry);
    for (const struct part *p = b->parts; p && !contested; p = p->next)
        contested = p->contested > 0;
    if (components != 0)
        contested |= (components & ~component_family((enum component)__builtin_ctz(components))) !=
                     0;
    if (contested == list_linked(&b->contested))
        return;
    if (contested)
        list_add_tail(&d->contested, &b->contested);
    else
        list_remove(&b->contested);
    d->contested_count += contested ? 1 : UINT64_MAX;
}

static void forget_body(struct database *d, struct entry *e)
{
    if (e->form != ENTRY_BODY)
        return;
    heap_remove(d->reclaim, &e->body->reclaim);
    d->contested_count -= list_linked(&e->body->contested);
}

static void remove_key(struct database *d, struct entry *e)
{
    table_remove(&d->keys, entry_name(e));
    forget_body(d, e);
    object_free(e);
    d->removed = true;
}

void object_entered(struct database *d, struct entry *e)
{
    struct standing now = standing_of(e);
    d->ghosts += now.ghost;
    d->with_deadline += now.deadline;
    if (e->form != ENTRY_BODY)
        return;
    schedule_reclaim(d, e->body);
    list_contested(d, e->body);
}

void object_leaves(struct database *d, struct entry *e)
{
    struct standing now = standing_of(e);
    d->ghosts -= now.ghost;
    d->with_deadline -= now.deadline;
    forget_body(d, e);
}

/* A type that was not there came to stand beside another one: told once, not for every write. */
static void tell_new_type(struct database *d, const struct op *op, const struct entry *e,
                          struct standing before)
{
    if ((before.components & component_family((enum component)op->component)) == 0)
        contest_tell_types(d, op, e);
}

/* After any change of a key that has a body. */
static void settle(struct database *d, struct entry **slot, struct standing before)
{
    struct entry *e = *slot;
    struct standing after = { false, false, 0 };
    if (object_components(e) == 0 && e->body->deadline_count == 0) {
        remove_key(d, e);
    } else {
        schedule_reclaim(d, e->body);
        list_contested(d, e->body);
        after = standing_of(e);
        object_narrow(slot);
    }
    d->ghosts += (uint64_t)after.ghost - (uint64_t)before.ghost;
    d->with_deadline += (uint64_t)after.deadline - (uint64_t)before.deadline;
}

/* --- strings --- */

struct string_put {
    enum time_rule rule;
    uint64_t deadline_ms;
    struct span value, observed;
};

static struct string_put read_string_put(struct span payload)
{
    struct string_put p = { TIME_NONE, 0, { NULL, 0 }, { NULL, 0 } };
    uint8_t rule;
    CHECK(span_take_u8(&payload, &rule));
    p.rule = (enum time_rule)rule;
    if (p.rule == TIME_DEADLINE)
        p.deadline_ms = must_varint(&payload);
    p.value = must_prefixed(&payload);
    p.observed = must_observed(&payload);
    return p;
}

static void put_string_wide(struct database *d, struct entry **slot, const struct op *op,
                            const struct observer *by, const struct string_put *p)
{
    struct body *b = object_widen(d, slot);
    if (p->rule != TIME_KEEP)
        drop_deadlines(b, by);
    cell_drop(&b->string, by, p->observed, p->rule == TIME_KEEP ? keep_none : NULL, b);
    cell_add_reg(&b->string, &(struct write){ op->rank, p->value, p->rule == TIME_NONE });
    if (p->rule == TIME_DEADLINE)
        add_deadline(b, op->rank, p->deadline_ms);
    contest_tell_item(d, op, span_of(NULL, 0), &b->string);
}

static void put_string(struct database *d, struct entry **slot, const struct op *op,
                       const struct observer *by)
{
    struct string_put p = read_string_put(op->payload);
    bool is_new = *slot == NULL;
    if (p.rule == TIME_NONE &&
        (is_new || ((*slot)->form == ENTRY_INLINE && observes(by, (*slot)->stamp)))) {
        struct write w = { op->rank, p.value, true };
        if (is_new)
            *slot = entry_new(op->key, w.rank, w.value, w.none);
        else
            entry_put(slot, by, &w, p.observed);
        return;
    }
    struct standing before = standing_of(*slot);
    if (is_new)
        *slot = object_new(d, op->key);
    put_string_wide(d, slot, op, by, &p);
    tell_new_type(d, op, *slot, before);
    settle(d, slot, before);
}

static void bump_string(struct database *d, struct entry **slot, const struct op *op)
{
    struct span p = op->payload;
    stamp_t previous;
    struct amount from, to;
    CHECK(span_take_u64(&p, &previous) && amount_take(&p, &from) && amount_take(&p, &to));
    struct standing before = standing_of(*slot);
    if (*slot == NULL)
        *slot = object_new(d, op->key);
    cell_bump(&object_widen(d, slot)->string, op->stamp, previous, from, to);
    tell_new_type(d, op, *slot, before);
    settle(d, slot, before);
}

/* --- items of the other components --- */

static struct part *part_for_write(struct database *d, struct body *b, uint8_t component)
{
    struct part *p = object_part(b->entry, (enum component)component);
    if (!p) {
        p = part_new(component, d->keys.seed);
        p->next = b->parts;
        b->parts = p;
    }
    return p;
}

static void drop_empty_parts(struct body *b)
{
    for (struct part **link = &b->parts; *link;) {
        struct part *p = *link;
        if (!part_empty(p)) {
            link = &p->next;
            continue;
        }
        *link = p->next;
        part_free(p);
    }
}

static void put_items(struct database *d, struct part *part, const struct op *op,
                      const struct observer *by)
{
    struct span p = op->payload;
    for (uint64_t n = must_varint(&p); n > 0; n--) {
        struct span name = must_prefixed(&p), value = { NULL, 0 }, observed = { NULL, 0 };
        if (component_has_values(op->component))
            value = must_prefixed(&p);
        if (component_counts(op->component))
            observed = must_observed(&p);
        const struct entry *e = part_put(part, name, by, &(struct write){ op->rank, value, false },
                                         observed);
        if (e->form == ENTRY_CELL)
            contest_tell_item(d, op, name, e->cell);
    }
}

static void take_items(struct part *part, const struct op *op, const struct observer *by)
{
    struct span p = op->payload;
    for (uint64_t n = must_varint(&p); n > 0; n--) {
        struct span name = must_prefixed(&p), observed = { NULL, 0 };
        if (component_counts(op->component))
            observed = must_observed(&p);
        part_take(part, name, by, observed);
    }
}

static void bump_item(struct part *part, const struct op *op)
{
    struct span p = op->payload, name = must_prefixed(&p);
    stamp_t previous;
    struct amount before, after;
    CHECK(span_take_u64(&p, &previous) && amount_take(&p, &before) && amount_take(&p, &after));
    part_bump(part, name, op->stamp, previous, before, after);
}

static void change_part(struct database *d, struct entry **slot, const struct op *op,
                        const struct observer *by)
{
    if (op->kind == OP_TAKE && !object_part(*slot, (enum component)op->component))
        return; /* nothing here to remove */
    struct standing before = standing_of(*slot);
    if (*slot == NULL)
        *slot = object_new(d, op->key);
    struct body *b = object_widen(d, slot);
    struct part *part = part_for_write(d, b, op->component);
    if (op->component == COMPONENT_HLL)
        hll_put(&part->hll, op->rank, op->payload);
    else if (op->kind == OP_PUT)
        put_items(d, part, op, by);
    else if (op->kind == OP_TAKE)
        take_items(part, op, by);
    else
        bump_item(part, op);
    drop_empty_parts(b);
    if (op->kind != OP_TAKE)
        tell_new_type(d, op, *slot, before);
    settle(d, slot, before);
}

/* --- EXPIRE, PERSIST, DEL --- */

static void write_deadline(struct database *d, struct entry **slot, const struct op *op,
                           const struct observer *by)
{
    struct span p = op->payload;
    struct standing before = standing_of(*slot);
    if (*slot == NULL)
        *slot = object_new(d, op->key); /* a concurrent removal came first: a ghost */
    struct body *b = object_widen(d, slot);
    drop_deadlines(b, by);
    clear_none(b, by);
    add_deadline(b, op->rank, must_varint(&p));
    settle(d, slot, before);
}

/* The tallies that the removal saw, named one by one. */
static void reset_listed(struct body *b, struct span p, uint64_t mask)
{
    static const struct vector nothing = { 0 };
    struct observer blind = { 0, &nothing }; /* tallies only: registers go by the context */
    for (uint64_t n = must_varint(&p); n > 0; n--) {
        uint8_t component;
        CHECK(span_take_u8(&p, &component));
        struct span name = must_prefixed(&p), observed = must_observed(&p);
        if (!(mask & (1u << component)))
            continue;
        if (component == COMPONENT_STRING) {
            cell_drop(&b->string, &blind, observed, NULL, NULL);
            continue;
        }
        struct part *part = object_part(b->entry, (enum component)component);
        const struct entry *item = part ? part_find(part, name) : NULL;
        if (item && item->form == ENTRY_CELL)
            part_take(part, name, &blind, observed);
    }
}

static void drop_components(struct database *d, struct entry **slot, const struct op *op,
                            const struct observer *by)
{
    struct span p = op->payload;
    uint64_t mask = must_varint(&p);
    bool keeps_time = !(mask & MASK_DEADLINES);
    struct entry *e = *slot;
    if (e->form == ENTRY_INLINE) {
        if (!(mask & (1 << COMPONENT_STRING)) || !observes(by, e->stamp))
            return;
        if (!keeps_time || !e->none) {
            remove_key(d, e);
            return;
        }
    }
    struct standing before = standing_of(e);
    struct body *b = object_widen(d, slot);
    reset_listed(b, p, mask);
    if (mask & (1 << COMPONENT_STRING))
        cell_drop(&b->string, by, span_of(NULL, 0), keeps_time ? keep_none : NULL, b);
    for (struct part *part = b->parts; part; part = part->next) {
        if (mask >> part->component & 1)
            part_drop(part, by);
    }
    drop_empty_parts(b);
    if (mask & MASK_DEADLINES)
        drop_deadlines(b, by);
    settle(d, slot, before);
}

static void apply(struct database *d, struct entry **slot, const struct op *op,
                  const struct observer *by)
{
    switch (op->kind) {
    case OP_PUT:
        if (op->component == COMPONENT_STRING)
            put_string(d, slot, op, by);
        else
            change_part(d, slot, op, by);
        return;
    case OP_BUMP:
        if (op->component == COMPONENT_STRING)
            bump_string(d, slot, op);
        else
            change_part(d, slot, op, by);
        return;
    case OP_TAKE:
        change_part(d, slot, op, by);
        return;
    case OP_DEADLINE:
        write_deadline(d, slot, op, by);
        return;
    case OP_DROP:
        drop_components(d, slot, op, by);
        return;
    case OP_KIND_END:
        break;
    }
    CHECK(op->kind < OP_KIND_END);
}

/* What the disk may have of the key outlives its object's places in memory. */
struct marks {
    bool dirty, stored;
    uint16_t heat;
};

static struct marks marks_of(const struct entry *e)
{
    return (struct marks){ e->dirty, e->stored, e->heat };
}

static void settle_marks(struct database *d, struct entry **slot, const struct op *op,
                         uint64_t hash, struct marks before)
{
    if (d->removed) {
        if (before.stored)
            resident_removed(d, op->key);
        return;
    }
    struct entry *e = *slot;
    e->stored = before.stored;
    e->heat = before.heat;
    if (!before.dirty && d->cold)
        resident_note_dirty(d, hash);
    e->dirty = true;
}

/* *lost: it could not be had from disk. */
static struct entry **find_slot(struct database *d, const struct op *op, uint64_t hash, bool *lost)
{
    void **slot = table_find_hashed(&d->keys, op->key, hash);
    *lost = false;
    if (!slot && d->colds.keys > 0) {
        if (resident_fetch(d, op->key))
            slot = table_find_hashed(&d->keys, op->key, hash);
        *lost = d->unread != E_OK;
    }
    return (struct entry **)slot;
}

static void tell_touched(struct database *d, const struct op *op)
{
    d->changed = true;
    if (d->watch && d->watch->touched)
        d->watch->touched(d->watch->context, op->db, op->key);
}

void database_apply(struct database *d, const struct op *op, const struct vector *context)
{
    struct observer by = { op->stamp, context };
    bool removes = op->kind == OP_DROP || op->kind == OP_TAKE;
    uint64_t hash = table_hash(&d->keys, op->key);
    bool lost;
    struct entry **slot = find_slot(d, op, hash, &lost);
    struct marks before = { 0 };
    if (slot) {
        before = marks_of(*slot);
    } else if (lost) {
        resident_lose(d, op->key);
        tell_touched(d, op);
        return;
    } else if (removes) {
        return; /* nothing here to remove */
    } else {
        before.stored = d->cold && resident_made(d, op->key);
        slot = (struct entry **)table_add_hashed(&d->keys, hash);
        *slot = NULL;
    }
    d->removed = false;
    apply(d, slot, op, &by);
    settle_marks(d, slot, op, hash, before);
    tell_touched(d, op);
}
