/*
 * oracle_compare -- whether a replica holds exactly the effects that last.
 */
#include <stdio.h>

#include "base/check.h"
#include "sim/effects.h"
#include "sim/world.h"

/* The effects of one key that last, and where it is looked for. */
struct place {
    struct oracle *o;
    const struct oracle_effect *effects;
    size_t count;
    const struct op *op; /* any: it has the key */
};

/* As it is, or in hexadecimal: positions and ids are no text. */
static void put_name(struct buffer *out, struct span name)
{
    bool is_text = true;
    for (size_t i = 0; i < name.len; i++)
        is_text &= name.at[i] > ' ' && name.at[i] < 0x7f;
    if (is_text)
        buffer_put(out, name);
    for (size_t i = 0; i < name.len && !is_text; i++)
        buffer_printf(out, "%02x", name.at[i]);
}

static const char *wrong(const struct place *p, const char *what, struct span field)
{
    struct buffer name = { 0 };
    char db[8] = "";
    put_name(&name, field);
    if (p->op->db != 0)
        snprintf(db, sizeof(db), "%u/", p->op->db);
    snprintf(p->o->problem, sizeof(p->o->problem), "key %s%.*s%s%.*s: %s", db, (int)p->op->key.len,
             (const char *)p->op->key.at, field.len ? " field " : "", (int)name.len,
             field.len ? (const char *)name.at : "", what);
    buffer_release(&name);
    return p->o->problem;
}

/* The same of an effect that is not there. */
static const char *missing(const struct place *p, const char *what, const struct oracle_effect *e)
{
    char text[160], stamp[SIM_STAMP_BYTES];
    snprintf(text, sizeof(text), "%s is missing: it lasts, and was written at r%u %s", what,
             stamp_origin(e->by->op.stamp), sim_stamp_text(e->by->op.stamp, stamp));
    return wrong(p, text, e->field);
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
            return missing(p, "a value", &p->effects[i]);
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

/* --- scores, by what lasts alone --- */

/* The newest value that lasts, and the gains that do, in origin order. */
static double score_of(const struct place *p, struct span member)
{
    double sum = 0;
    stamp_t newest = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *e = &p->effects[i];
        if (is_at(e, EFFECT_VALUE, COMPONENT_ZSET, member) && e->by->op.rank > newest) {
            newest = e->by->op.rank;
            memcpy(&sum, e->value.at, sizeof(sum));
        }
    }
    for (uint8_t origin = 0; origin < ORACLE_ORIGINS; origin++) {
        bool any;
        struct amount gain = gain_of(p, COMPONENT_ZSET, member, origin, true, &any);
        if (any)
            sum += gain.f;
    }
    return sum == sum ? sum : 0;
}

/* The tree has every item once, in order, and of a sorted set by the scores that last. */
static const char *compare_order(const struct place *p, const struct part *part)
{
    struct span last = { NULL, 0 };
    double last_score = 0, score = 0;
    struct btree_cursor c;
    uint64_t count = 0;
    for (const struct entry *e = btree_seek(&part->order, 0, &c); e; e = btree_next(&c), count++) {
        struct span name = entry_name(e);
        if (part->component == COMPONENT_ZSET)
            score = score_of(p, name);
        if (count > 0 &&
            (score < last_score || (score == last_score && span_compare(name, last) <= 0)))
            return wrong(p, "items are out of order", name);
        last = name;
        last_score = score;
    }
    return count == part_count(part) ? NULL : wrong(p, "items are missing in the order", last);
}

static const char *compare_part(const struct place *p, uint8_t component, const struct entry *e)
{
    const struct part *part = object_part(e, component);
    struct cell inlined;
    struct reg reg;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *effect = &p->effects[i];
        bool here = effect->kind != EFFECT_TIME && effect->by->op.component == component;
        if (here && (!part || !part_find(part, effect->field)))
            return missing(p, "an item", effect);
    }
    if (!part)
        return NULL;
    struct part_iter it;
    part_iter_init(&it, part);
    for (const struct entry *item; (item = part_iter_next(&it));) {
        const char *bad = compare_cell(p, component, entry_name(item),
                                       cell_of(item, &inlined, &reg));
        if (bad)
            return bad;
    }
    return component_in_order(component) ? compare_order(p, part) : NULL;
}

/* --- hyperloglogs --- */

static void raise_to(uint8_t *registers, struct span p)
{
    uint64_t n, index;
    uint8_t value;
    CHECK(span_take_varint(&p, &n));
    while (n-- > 0) {
        CHECK(span_take_varint(&p, &index) && span_take_u8(&p, &value));
        if (registers[index] < value)
            registers[index] = value;
    }
}

static const char *compare_generation(const struct place *p, const struct generation *g)
{
    static const struct span nothing = { NULL, 0 };
    uint8_t wanted[HLL_REGISTERS] = { 0 }, there[HLL_REGISTERS] = { 0 };
    bool opened = false;
    for (size_t i = 0; i < p->count; i++) {
        const struct oracle_effect *e = &p->effects[i];
        if ((e->kind != EFFECT_GENERATION && e->kind != EFFECT_MAXIMA) || e->generation != g->name)
            continue;
        opened |= e->kind == EFFECT_GENERATION;
        raise_to(wanted, e->value);
    }
    struct hll one = { .generations = (struct generation *)(uintptr_t)g, .count = 1 };
    hll_maxima(&one, there);
    if (!opened)
        return wrong(p, "a generation is there that was observed", nothing);
    return memcmp(wanted, there, sizeof(wanted)) == 0 ? NULL
                                                      : wrong(p, "the maxima differ", nothing);
}

static const char *compare_hll(const struct place *p, const struct entry *e)
{
    const struct part *part = object_part(e, COMPONENT_HLL);
    struct span nothing = { NULL, 0 };
    size_t generations = 0, there = part ? part->hll.count : 0;
    for (size_t i = 0; i < p->count; i++)
        generations += p->effects[i].kind == EFFECT_GENERATION;
    if (generations != there)
        return wrong(p, "another number of generations", nothing);
    for (size_t i = 0; i < there; i++) {
        const char *bad = compare_generation(p, &part->hll.generations[i]);
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
            return missing(p, "a word about the deadline", t);
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
        bad = c == COMPONENT_HLL ? compare_hll(p, e) : compare_part(p, c, e);
    return bad ? bad : compare_times(p, e, string);
}

const char *oracle_compare(struct oracle *o, const struct replica *r)
{
    uint64_t keys = 0, foreign = 0;
    for (size_t from = 0, end; from < o->effect_count; from = end) {
        const struct op *op = &o->effects[from].by->op;
        for (end = from;
             end < o->effect_count && oracle_compare_keys(&o->effects[end].by->op, op) == 0; end++)
            continue;
        if (!replica_may_hold(r, stamp_origin(op->stamp))) {
            foreign++;
            continue;
        }
        struct place p = { o, o->effects + from, end - from, op };
        const char *bad = compare_key(&p, r);
        if (bad)
            return bad;
    }
    for (int i = 0; i < OP_DATABASES; i++)
        keys += r->databases[i].keys.count + r->databases[i].colds.keys;
    if (keys + foreign == o->key_count)
        return NULL;
    snprintf(o->problem, sizeof(o->problem), "%llu keys, should be %llu", (unsigned long long)keys,
             (unsigned long long)(o->key_count - foreign));
    return o->problem;
}
