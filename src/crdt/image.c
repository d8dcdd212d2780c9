#include "crdt/image.h"

#include "base/check.h"
#include "base/memory.h"

enum { FORMAT = 1, HAS_TALLIES = 1, NONE = 1 };

/* --- cells as bytes --- */

static void put_reg(struct buffer *out, stamp_t stamp, bool none, struct span value)
{
    buffer_put_u64(out, stamp);
    buffer_put_varint(out, (uint64_t)value.len << 1 | none);
    buffer_put(out, value);
}

static void put_cell(struct buffer *out, const struct cell *c)
{
    buffer_put_varint(out, (uint64_t)c->reg_count << 1 | (c->tally_count > 0 ? HAS_TALLIES : 0));
    for (uint16_t i = 0; i < c->reg_count; i++)
        put_reg(out, c->regs[i].stamp, c->regs[i].none, span_of(c->regs[i].value, c->regs[i].len));
    if (c->tally_count == 0)
        return;
    buffer_put_varint(out, c->tally_count);
    for (uint16_t i = 0; i < c->tally_count; i++) {
        const struct tally *t = &c->tallies[i];
        buffer_put_u64(out, t->last);
        buffer_put_u64(out, t->base_last);
        amount_put(out, t->sum);
        amount_put(out, t->base_sum);
    }
}

/* Of an item, or of a plain string. */
static void put_inline(struct buffer *out, const struct entry *e)
{
    buffer_put_varint(out, 1 << 1);
    put_reg(out, e->stamp, e->none, entry_inline_value(e));
}

static void put_item(struct buffer *out, uint8_t component, const struct entry *e)
{
    buffer_put_u8(out, component);
    buffer_put_prefixed(out, entry_name(e));
    if (e->form == ENTRY_INLINE)
        put_inline(out, e);
    else
        put_cell(out, e->cell);
}

/* --- copying --- */

void image_cursor_release(struct image_cursor *c)
{
    buffer_release(&c->last);
    *c = (struct image_cursor){ 0 };
}

struct gathering {
    struct buffer *out;
    uint8_t component;
};

static void gather_item(void *context, void *item)
{
    struct gathering *g = context;
    put_item(g->out, g->component, item);
}

/* True when the part is through. */
static bool put_from_table(struct buffer *out, const struct part *p, struct image_cursor *c,
                           size_t end)
{
    struct gathering g = { out, p->component };
    do
        c->scan = table_scan(&p->fields, c->scan, gather_item, &g);
    while (c->scan != 0 && out->len < end);
    return c->scan == 0;
}

static struct entry *seek_past(const struct part *p, struct span name, struct btree_cursor *at)
{
    struct probe probe;
    bool found;
    probe_by_name(&probe, name);
    uint64_t rank = btree_rank(&p->order, probe.entry, &found);
    probe_release(&probe);
    return btree_seek(&p->order, rank + found, at);
}

static bool put_from_tree(struct buffer *out, const struct part *p, struct image_cursor *c,
                          size_t end)
{
    struct btree_cursor at;
    struct entry *e = c->in_tree ? seek_past(p, buffer_span(&c->last), &at)
                                 : btree_seek(&p->order, 0, &at);
    while (e) { /* one at least: every piece is a step forward */
        put_item(out, p->component, e);
        buffer_clear(&c->last);
        buffer_put(&c->last, entry_name(e));
        c->in_tree = true;
        e = btree_next(&at);
        if (out->len >= end)
            break;
    }
    return e == NULL;
}

static bool put_part(struct buffer *out, const struct part *p, struct image_cursor *c, size_t end)
{
    if (component_in_table(p->component))
        return put_from_table(out, p, c, end);
    if (p->component != COMPONENT_HLL)
        return put_from_tree(out, p, c, end);
    for (uint32_t i = 0; i < p->hll.count; i++) {
        buffer_put_u8(out, COMPONENT_HLL);
        hll_put_generation(out, &p->hll.generations[i]);
    }
    return true;
}

static void put_head(struct buffer *out, const struct entry *e)
{
    if (e->form == ENTRY_INLINE) {
        buffer_put_varint(out, 0);
        put_inline(out, e);
        return;
    }
    const struct body *b = e->body;
    buffer_put_varint(out, b->deadline_count);
    for (uint16_t i = 0; i < b->deadline_count; i++) {
        buffer_put_u64(out, b->deadlines[i].stamp);
        buffer_put_varint(out, b->deadlines[i].at_ms);
    }
    put_cell(out, &b->string);
}

bool image_put_piece(struct buffer *out, const struct entry *e, struct image_cursor *c,
                     size_t max_bytes)
{
    size_t end = out->len + max_bytes;
    buffer_put_u8(out, FORMAT);
    if (!c->begun) {
        put_head(out, e);
    } else {
        buffer_put_varint(out, 0);
        buffer_put_varint(out, 0);
    }
    c->begun = true;
    while (c->component < COMPONENT_COUNT) {
        const struct part *p = object_part(e, (enum component)c->component);
        if (p && !put_part(out, p, c, end))
            return false;
        c->component++;
        c->scan = 0;
        c->in_tree = false;
    }
    return true;
}

/* --- loading --- */

static bool stamp_valid(stamp_t s)
{
    return stamp_origin(s) != 0 && stamp_time(s) != 0;
}

static bool take_reg(struct span *in, uint8_t component, struct write *w)
{
    uint64_t len;
    if (!span_take_u64(in, &w->rank) || !stamp_valid(w->rank) || !span_take_varint(in, &len))
        return false;
    w->none = len & NONE;
    return len >> 1 <= UINT32_MAX && span_take_bytes(in, (size_t)(len >> 1), &w->value) &&
           op_value_valid(component, w->value);
}

static bool take_tally(struct span *in, uint8_t component, struct cell *c)
{
    struct tally t = { 0 };
    if (!span_take_u64(in, &t.last) || !stamp_valid(t.last) || !span_take_u64(in, &t.base_last) ||
        !amount_take(in, &t.sum) || !amount_take(in, &t.base_sum))
        return false;
    t.origin = stamp_origin(t.last);
    /* While the log is replayed over it a tally may have gone back behind its base. */
    if (t.sum.is_float != t.base_sum.is_float ||
        (!t.sum.is_float && component == COMPONENT_ZSET) || cell_tally(c, t.origin, t.sum.is_float))
        return false;
    cell_bump(c, t.last, t.base_last, t.base_sum, t.sum);
    return true;
}

static bool has_reg(const struct cell *c, stamp_t stamp)
{
    for (uint16_t i = 0; i < c->reg_count; i++) {
        if (c->regs[i].stamp == stamp)
            return true;
    }
    return false;
}

/* Into an empty cell, which may be filled in part when it is malformed. */
static bool take_cell(struct span *in, uint8_t component, struct cell *c)
{
    uint64_t head, tallies;
    if (!span_take_varint(in, &head) || head >> 1 > STAMP_ORIGINS)
        return false;
    for (uint64_t i = 0; i < head >> 1; i++) {
        struct write w;
        if (!take_reg(in, component, &w) || has_reg(c, w.rank))
            return false;
        cell_add_reg(c, &w);
    }
    if (!(head & HAS_TALLIES))
        return true;
    if (!component_counts(component) || !span_take_varint(in, &tallies) ||
        tallies > 2 * STAMP_ORIGINS)
        return false;
    for (uint64_t i = 0; i < tallies; i++) {
        if (!take_tally(in, component, c))
            return false;
    }
    return true;
}

/* One register and nothing else, as most are: *w is set and the bytes are taken. */
static bool take_single(struct span *in, uint8_t component, struct write *w)
{
    struct span rest = *in;
    uint64_t head;
    if (!span_take_varint(&rest, &head) || head != 1 << 1 || !take_reg(&rest, component, w))
        return false;
    *in = rest;
    return true;
}

static struct part *part_of(struct database *d, struct body *b, uint8_t component)
{
    struct part *p = object_part(b->entry, (enum component)component);
    if (!p) {
        p = part_new(component, d->keys.seed);
        p->next = b->parts;
        b->parts = p;
    }
    return p;
}

static bool take_item(struct database *d, struct body *b, struct span *in)
{
    uint8_t component;
    struct span name;
    struct write w;
    if (!span_take_u8(in, &component) || component == COMPONENT_STRING ||
        component >= COMPONENT_COUNT)
        return false;
    struct part *p = part_of(d, b, component);
    if (component == COMPONENT_HLL)
        return hll_take_generation(&p->hll, in);
    if (!span_take_prefixed(in, &name) || !op_name_valid(component, name))
        return false;
    struct entry *e;
    if (take_single(in, component, &w)) {
        e = entry_new(name, w.rank, w.value, w.none);
    } else {
        e = entry_new_wide(name);
        if (!take_cell(in, component, e->cell) || cell_empty(e->cell)) {
            entry_free(e);
            return false;
        }
    }
    part_insert(p, e);
    return true;
}

static bool take_items(struct database *d, struct body *b, struct span in)
{
    while (in.len > 0) {
        if (!take_item(d, b, &in))
            return false;
    }
    for (const struct part *p = b->parts; p; p = p->next) {
        if (part_empty(p))
            return false;
    }
    return true;
}

static bool take_deadlines(struct span *in, struct body *b)
{
    uint64_t n;
    if (!span_take_varint(in, &n) || n > UINT16_MAX || n * 9 > in->len)
        return false;
    if (n == 0)
        return true;
    b->deadlines = mem_alloc((size_t)n * sizeof(*b->deadlines));
    for (uint64_t i = 0; i < n; i++) {
        struct deadline *d = &b->deadlines[i];
        if (!span_take_u64(in, &d->stamp) || !stamp_valid(d->stamp) ||
            !span_take_varint(in, &d->at_ms) || (i > 0 && d->stamp < d[-1].stamp))
            return false;
        b->deadline_count++;
    }
    return true;
}

static bool take_format(struct span *in)
{
    uint8_t format;
    return span_take_u8(in, &format) && format == FORMAT;
}

/* A plain string, without the detour over a body. */
static struct entry *load_inline(struct span key, struct span in)
{
    uint64_t deadlines;
    struct write w;
    if (!span_take_varint(&in, &deadlines) || deadlines != 0 ||
        !take_single(&in, COMPONENT_STRING, &w) || in.len > 0)
        return NULL;
    return entry_new(key, w.rank, w.value, w.none);
}

struct entry *image_load(struct database *d, struct span key, struct span piece)
{
    if (key.len > UINT32_MAX || !take_format(&piece))
        return NULL;
    struct entry *e = load_inline(key, piece);
    if (e)
        return e;
    e = object_new(d, key);
    if (take_deadlines(&piece, e->body) && take_cell(&piece, COMPONENT_STRING, &e->body->string) &&
        take_items(d, e->body, piece))
        return e;
    object_free(e);
    return NULL;
}

bool image_add(struct database *d, struct entry **slot, struct span piece)
{
    uint64_t deadlines, regs;
    if (!take_format(&piece) || !span_take_varint(&piece, &deadlines) || deadlines != 0 ||
        !span_take_varint(&piece, &regs) || regs != 0)
        return false;
    return piece.len == 0 || take_items(d, object_widen(d, slot), piece);
}

/* --- what is told of it --- */

uint8_t image_flags(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return 0;
    if (object_components(e) == 0)
        return COLD_GHOST;
    uint8_t flags = object_contested(e) ? COLD_CONTESTED : 0;
    return object_deadline_ms(e) != 0 ? flags | COLD_DEADLINE : flags;
}

uint64_t image_due_ms(const struct entry *e)
{
    return e->form == ENTRY_BODY && e->body->reclaim.index != 0 ? e->body->reclaim.key : 0;
}
