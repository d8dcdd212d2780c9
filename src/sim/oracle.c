#include "sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/record.h"

struct oracle_op {
    struct op op;                 /* spans into the logs */
    stamp_t seen[ORACLE_ORIGINS]; /* of every origin, its own up to itself */
};

enum effect_kind { EFFECT_VALUE, EFFECT_INCREMENT, EFFECT_TIME };

struct oracle_effect {
    const struct oracle_op *by;
    enum effect_kind kind;
    struct span field; /* of hashes and sets */
    struct span value;
    struct amount amount;
    uint64_t at_ms; /* EFFECT_TIME; 0: none */
    bool lasts;
};

void oracle_init(struct oracle *o)
{
    *o = (struct oracle){ 0 };
}

void oracle_release(struct oracle *o)
{
    for (int i = 0; i < ORACLE_ORIGINS; i++)
        buffer_release(&o->logs[i]);
    mem_free(o->ops);
    mem_free(o->effects);
    *o = (struct oracle){ 0 };
}

/* --- reading the histories --- */

static void add_op(struct oracle *o, const struct op *op, const struct vector *context)
{
    if ((o->op_count & (o->op_count - 1)) == 0)
        o->ops = mem_realloc(o->ops, (o->op_count ? 2 * o->op_count : 1) * sizeof(*o->ops));
    struct oracle_op *added = &o->ops[o->op_count++];
    *added = (struct oracle_op){ .op = *op };
    for (uint8_t i = 0; i < ORACLE_ORIGINS; i++)
        added->seen[i] = vector_get(context, i);
    added->seen[stamp_origin(op->stamp)] = op->stamp - 1;
}

static bool add_batch(struct oracle *o, const struct batch *b, stamp_t *last)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    if (b->prev != *last) {
        snprintf(o->problem, sizeof(o->problem),
                 "origin %u: a batch follows %llx, the last op is %llx", b->origin,
                 (unsigned long long)b->prev, (unsigned long long)*last);
        return false;
    }
    while (batch_next_op(&w, &op, &hashed)) {
        if (op.stamp <= *last) {
            snprintf(o->problem, sizeof(o->problem), "origin %u: stamp %llx after %llx", b->origin,
                     (unsigned long long)op.stamp, (unsigned long long)*last);
            return false;
        }
        *last = op.stamp;
        add_op(o, &op, &b->context);
    }
    return true;
}

bool oracle_add_log(struct oracle *o, uint8_t origin, struct span records, uint64_t lsn)
{
    struct record record;
    struct batch b;
    stamp_t last = 0;
    size_t need;
    CHECK(origin < ORACLE_ORIGINS && o->logs[origin].len == 0);
    buffer_put(&o->logs[origin], records);
    for (struct span in = buffer_span(&o->logs[origin]); in.len > 0;
         in = span_skip(in, record.bytes)) {
        if (record_read(in, lsn, &record, &need) != RECORD_GOOD ||
            !batch_take(record.payload, &b)) {
            snprintf(o->problem, sizeof(o->problem), "origin %u: no record at %llu", origin,
                     (unsigned long long)lsn);
            return false;
        }
        lsn += record.bytes;
        if (b.origin == origin && !add_batch(o, &b, &last))
            return false;
    }
    return true;
}

/* --- effects --- */

static struct oracle_effect *add_effect(struct oracle *o, const struct oracle_op *by,
                                        enum effect_kind kind)
{
    if ((o->effect_count & (o->effect_count - 1)) == 0)
        o->effects = mem_realloc(o->effects,
                                 (o->effect_count ? 2 * o->effect_count : 1) * sizeof(*o->effects));
    struct oracle_effect *e = &o->effects[o->effect_count++];
    *e = (struct oracle_effect){ .by = by, .kind = kind, .lasts = true };
    return e;
}

static void add_string(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload;
    uint8_t rule;
    uint64_t at_ms = 0;
    CHECK(span_take_u8(&p, &rule));
    if (rule == TIME_DEADLINE)
        CHECK(span_take_varint(&p, &at_ms));
    CHECK(span_take_prefixed(&p, &add_effect(o, by, EFFECT_VALUE)->value));
    if (rule != TIME_KEEP)
        add_effect(o, by, EFFECT_TIME)->at_ms = at_ms;
}

/* One item of a list of fields. */
static void take_item(const struct op *op, struct span *p, struct span *name, struct span *value)
{
    struct span observed;
    uint64_t count;
    *value = span_of(NULL, 0);
    CHECK(span_take_prefixed(p, name));
    if (op->component == COMPONENT_SET)
        return;
    if (op->kind == OP_PUT)
        CHECK(span_take_prefixed(p, value));
    CHECK(observed_list_take(p, &observed, &count));
}

/* A command may name a field twice: the last counts. */
static void add_fields(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload, name, value;
    size_t first = o->effect_count;
    uint64_t n;
    CHECK(span_take_varint(&p, &n));
    while (n-- > 0) {
        take_item(&by->op, &p, &name, &value);
        for (size_t i = first; i < o->effect_count; i++) {
            if (span_equal(o->effects[i].field, name))
                o->effects[i].lasts = false;
        }
        struct oracle_effect *e = add_effect(o, by, EFFECT_VALUE);
        e->field = name;
        e->value = value;
    }
}

static void add_increment(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload, field = { NULL, 0 };
    stamp_t previous;
    struct amount before, after;
    if (by->op.component != COMPONENT_STRING)
        CHECK(span_take_prefixed(&p, &field));
    CHECK(span_take_u64(&p, &previous) && amount_take(&p, &before) && amount_take(&p, &after));
    struct oracle_effect *e = add_effect(o, by, EFFECT_INCREMENT);
    e->field = field;
    e->amount = amount_subtract(after, before);
}

static void add_effects(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload;
    switch (by->op.kind) {
    case OP_PUT:
        if (by->op.component == COMPONENT_STRING)
            add_string(o, by);
        else
            add_fields(o, by);
        break;
    case OP_BUMP:
        add_increment(o, by);
        break;
    case OP_DEADLINE:
        CHECK(span_take_varint(&p, &add_effect(o, by, EFFECT_TIME)->at_ms));
        break;
    case OP_TAKE:
    case OP_DROP:
    case OP_KIND_END:
        break;
    }
}

/* --- which effects last --- */

static bool names_field(const struct op *op, struct span field)
{
    struct span p = op->payload, name, value;
    uint64_t n;
    CHECK(span_take_varint(&p, &n));
    while (n-- > 0) {
        take_item(op, &p, &name, &value);
        if (span_equal(name, field))
            return true;
    }
    return false;
}

/* Whether ops of this kind speak of the effect's place at all. */
static bool wipes(const struct op *op, const struct oracle_effect *e)
{
    uint64_t mask;
    struct span p = op->payload;
    switch (op->kind) {
    case OP_PUT:
    case OP_TAKE:
        if (e->kind == EFFECT_TIME)
            return op->component == COMPONENT_STRING && p.at[0] != TIME_KEEP;
        return e->by->op.component == op->component &&
               (op->component == COMPONENT_STRING || names_field(op, e->field));
    case OP_DEADLINE:
        return e->kind == EFFECT_TIME;
    case OP_DROP:
        CHECK(span_take_varint(&p, &mask));
        return mask &
               (e->kind == EFFECT_TIME ? (uint64_t)MASK_DEADLINES : 1ull << e->by->op.component);
    case OP_BUMP:
    case OP_KIND_END:
        break;
    }
    return false;
}

static int compare_keys(const struct op *a, const struct op *b)
{
    return a->db != b->db ? a->db - b->db : span_compare(a->key, b->key);
}

static int by_key(const void *a, const void *b)
{
    const struct oracle_op *x = a, *y = b;
    int order = compare_keys(&x->op, &y->op);
    return order != 0 ? order : x->op.stamp < y->op.stamp ? -1 : 1;
}

/* The ops of the key that begins at `from`. */
static size_t end_of_key(const struct oracle *o, size_t from)
{
    size_t end = from;
    while (end < o->op_count && compare_keys(&o->ops[end].op, &o->ops[from].op) == 0)
        end++;
    return end;
}

static void judge_key(struct oracle *o, size_t from, size_t end)
{
    size_t first = o->effect_count;
    bool any = false;
    for (size_t i = from; i < end; i++)
        add_effects(o, &o->ops[i]);
    for (size_t i = first; i < o->effect_count; i++) {
        struct oracle_effect *e = &o->effects[i];
        stamp_t stamp = e->by->op.stamp;
        for (size_t k = from; k < end && e->lasts; k++)
            e->lasts = stamp > o->ops[k].seen[stamp_origin(stamp)] || !wipes(&o->ops[k].op, e);
        any |= e->lasts;
    }
    o->key_count += any;
}

void oracle_judge(struct oracle *o)
{
    qsort(o->ops, o->op_count, sizeof(*o->ops), by_key);
    for (size_t from = 0, end; from < o->op_count; from = end) {
        end = end_of_key(o, from);
        judge_key(o, from, end);
    }
    size_t kept = 0;
    for (size_t i = 0; i < o->effect_count; i++) {
        if (o->effects[i].lasts)
            o->effects[kept++] = o->effects[i];
    }
    o->effect_count = kept;
}

/* --- reclaim --- */

/* What was over for the writer of `w` on its key, in milliseconds: 0 when nothing was. */
static uint64_t deadline_seen_by(struct oracle *o, const struct oracle_op *w)
{
    uint64_t longest = 0;
    bool none = false;
    o->effect_count = 0;
    for (size_t i = 0; i < o->op_count; i++) {
        const struct oracle_op *by = &o->ops[i];
        if (by->op.stamp <= w->seen[stamp_origin(by->op.stamp)] &&
            compare_keys(&by->op, &w->op) == 0)
            add_effects(o, by);
    }
    for (size_t i = 0; i < o->effect_count; i++) {
        struct oracle_effect *e = &o->effects[i];
        stamp_t stamp = e->by->op.stamp;
        for (size_t k = 0; k < o->op_count && e->lasts; k++) {
            const struct oracle_op *by = &o->ops[k];
            bool seen = by->op.stamp <= w->seen[stamp_origin(by->op.stamp)] &&
                        compare_keys(&by->op, &w->op) == 0;
            e->lasts = !seen || stamp > by->seen[stamp_origin(stamp)] || !wipes(&by->op, e);
        }
        if (!e->lasts || e->kind != EFFECT_TIME)
            continue;
        none |= e->at_ms == 0;
        longest = e->at_ms > longest ? e->at_ms : longest;
    }
    o->effect_count = 0;
    return none || longest >= stamp_ms(w->op.stamp) ? 0 : longest;
}

static bool is_reclaim(const struct oracle_op *w, const struct oracle_reclaim *ranges, size_t count)
{
    stamp_t s = w->op.stamp;
    if (w->op.kind != OP_DROP || w->op.rank != s || w->op.more)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (stamp_origin(s) == stamp_origin(ranges[i].up_to) && s > ranges[i].after &&
            s <= ranges[i].up_to)
            return true;
    }
    return false;
}

const char *oracle_check_reclaims(struct oracle *o, const struct oracle_reclaim *reclaims,
                                  size_t count)
{
    for (size_t i = 0; i < o->op_count; i++) {
        const struct oracle_op *w = &o->ops[i];
        uint64_t at_ms = is_reclaim(w, reclaims, count) ? deadline_seen_by(o, w) : 0;
        for (size_t k = 0; k < o->op_count && at_ms != 0; k++) {
            stamp_t other = o->ops[k].op.stamp;
            if (stamp_ms(other) > at_ms || other <= w->seen[stamp_origin(other)] ||
                other == w->op.stamp)
                continue;
            snprintf(o->problem, sizeof(o->problem),
                     "%llx reclaims a key that was over at %llu, and has not seen %llx",
                     (unsigned long long)w->op.stamp, (unsigned long long)at_ms,
                     (unsigned long long)other);
            return o->problem;
        }
    }
    return NULL;
}

/* --- comparing --- */

/* The effects of one key that last, and where it is looked for. */
struct place {
    struct oracle *o;
    const struct oracle_effect *effects;
    size_t count;
    const struct op *op; /* any: it has the key */
};

static const char *wrong(const struct place *p, const char *what, struct span field)
{
    snprintf(p->o->problem, sizeof(p->o->problem), "db %u key %.*s%s%.*s: %s", p->op->db,
             (int)p->op->key.len, (const char *)p->op->key.at, field.len ? " field " : "",
             (int)field.len, field.len ? (const char *)field.at : "", what);
    return p->o->problem;
}

static bool is_at(const struct oracle_effect *e, enum effect_kind kind, uint8_t component,
                  struct span field)
{
    return e->kind == kind && (kind == EFFECT_TIME ||
                               (e->by->op.component == component && span_equal(e->field, field)));
}

/* The register that an effect must be, among those that there are. */
static bool has_reg(const struct reg *regs, size_t count, const struct oracle_effect *e)
{
    for (size_t i = 0; i < count; i++) {
        if (regs[i].stamp == e->by->op.rank &&
            span_equal(span_of(regs[i].value, regs[i].len), e->value))
            return true;
    }
    return false;
}

/* The gain of one origin's increments that last; *any says whether there are any. */
static struct amount gain_of(const struct place *p, uint8_t component, struct span field,
                             uint8_t origin, bool is_float, bool *any)
{
    struct amount gain = { .is_float = is_float };
    *any = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *e = &p->effects[i];
        if (!is_at(e, EFFECT_INCREMENT, component, field) || e->amount.is_float != is_float ||
            stamp_origin(e->by->op.stamp) != origin)
            continue;
        gain = amount_add(gain, e->amount);
        *any = true;
    }
    return gain;
}

static bool same_amount(struct amount a, struct amount b)
{
    return a.is_float ? a.f == b.f : a.i == b.i;
}

static const char *compare_cell(const struct place *p, uint8_t component, struct span field,
                                const struct cell *c)
{
    size_t values = 0, gaining = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (!is_at(&p->effects[i], EFFECT_VALUE, component, field))
            continue;
        values++;
        if (!has_reg(c->regs, c->reg_count, &p->effects[i]))
            return wrong(p, "a value that lasts is missing", field);
    }
    if (values != c->reg_count)
        return wrong(p, "a value is there that some write had observed", field);
    for (uint32_t origin = 0; origin < 2 * ORACLE_ORIGINS; origin++) {
        bool any, is_float = origin % 2;
        struct amount gain = gain_of(p, component, field, (uint8_t)(origin / 2), is_float, &any);
        const struct tally *t = cell_tally(c, (uint8_t)(origin / 2), is_float);
        if (any != (t != NULL))
            return wrong(p,
                         any ? "increments are missing" : "increments are there that were observed",
                         field);
        if (any && !same_amount(gain, amount_subtract(t->sum, t->base_sum)))
            return wrong(p, "the increments that last do not add up to what is there", field);
        gaining += any;
    }
    return gaining == c->tally_count ? NULL : wrong(p, "too many tallies", field);
}

/* As a cell, whatever its form; *inlined is scratch. */
static const struct cell *cell_of(const struct entry *e, struct cell *inlined, struct reg *reg)
{
    if (e->form == ENTRY_CELL)
        return e->cell;
    if (e->form == ENTRY_BODY)
        return &e->body->string;
    struct span value = entry_inline_value(e);
    *reg = (struct reg){ e->stamp, (uint8_t *)(uintptr_t)value.at, (uint32_t)value.len, e->none };
    *inlined = (struct cell){ .regs = reg, .reg_count = 1 };
    return inlined;
}

static const char *compare_fields(const struct place *p, uint8_t component, const struct entry *e)
{
    const struct table *fields = object_fields(e, component);
    struct cell inlined;
    struct reg reg;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *effect = &p->effects[i];
        bool here = effect->kind != EFFECT_TIME && effect->by->op.component == component;
        if (here && (!fields || !table_find(fields, effect->field)))
            return wrong(p, "a field that lasts is missing", effect->field);
    }
    if (!fields)
        return NULL;
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it));) {
        const char *bad = compare_cell(p, component, entry_name(*slot),
                                       cell_of(*slot, &inlined, &reg));
        if (bad)
            return bad;
    }
    return NULL;
}

/* What a write without a time says stands in its register as long as that lasts, else among the
 * deadlines. */
static const char *compare_times(const struct place *p, const struct entry *e,
                                 const struct cell *string)
{
    struct span nothing = { NULL, 0 };
    size_t elements = 0, bits = 0, there = e->form == ENTRY_BODY ? e->body->deadline_count : 0;
    uint64_t longest = 0;
    bool none = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *t = &p->effects[i];
        if (t->kind != EFFECT_TIME)
            continue;
        none |= t->at_ms == 0;
        if (t->at_ms > longest)
            longest = t->at_ms;
        bool found = false;
        for (size_t k = 0; k < there; k++)
            found |= e->body->deadlines[k].stamp == t->by->op.rank &&
                     e->body->deadlines[k].at_ms == t->at_ms;
        elements += found;
        for (size_t k = 0; k < string->reg_count && !found && t->at_ms == 0; k++) {
            found = string->regs[k].stamp == t->by->op.rank && string->regs[k].none;
            bits += found;
        }
        if (!found)
            return wrong(p, "a word about the deadline that lasts is missing", nothing);
    }
    for (size_t k = 0; k < string->reg_count; k++)
        bits -= string->regs[k].none;
    if (elements != there || bits != 0)
        return wrong(p, "a word about the deadline is there that was observed", nothing);
    return object_deadline_ms(e) == (none ? 0 : longest)
               ? NULL
               : wrong(p, "another deadline is seen", nothing);
}

static const char *compare_key(const struct place *p, const struct replica *r)
{
    struct cell inlined;
    struct reg reg;
    struct span nothing = { NULL, 0 };
    const struct entry *e = database_find(&r->databases[p->op->db], p->op->key);
    if (!e)
        return wrong(p, "the key is missing", nothing);
    const struct cell *string = cell_of(e, &inlined, &reg);
    const char *bad = compare_cell(p, COMPONENT_STRING, nothing, string);
    for (uint8_t c = COMPONENT_STRING + 1; c < COMPONENT_COUNT && !bad; c++)
        bad = compare_fields(p, c, e);
    return bad ? bad : compare_times(p, e, string);
}

const char *oracle_compare(struct oracle *o, const struct replica *r)
{
    uint64_t keys = 0;
    for (size_t from = 0, end; from < o->effect_count; from = end) {
        const struct op *op = &o->effects[from].by->op;
        for (end = from; end < o->effect_count && compare_keys(&o->effects[end].by->op, op) == 0;
             end++)
            continue;
        struct place p = { o, o->effects + from, end - from, op };
        const char *bad = compare_key(&p, r);
        if (bad)
            return bad;
    }
    for (int i = 0; i < OP_DATABASES; i++)
        keys += r->databases[i].keys.count;
    if (keys == o->key_count)
        return NULL;
    snprintf(o->problem, sizeof(o->problem), "%llu keys, should be %zu", (unsigned long long)keys,
             o->key_count);
    return o->problem;
}

int64_t oracle_sum(const struct oracle *o, uint8_t db, struct span key)
{
    int128_t sum = 0;
    for (size_t i = 0; i < o->effect_count; i++) {
        const struct oracle_effect *e = &o->effects[i];
        if (e->kind == EFFECT_INCREMENT && e->by->op.db == db && span_equal(e->by->op.key, key))
            sum += e->amount.i;
    }
    return (int64_t)sum;
}
