/*
 * conflict_versions -- CONFLICT VERSIONS: everything that stands under a key or in one of its items,
 * oldest first, whatever of it readers see.
 *
 * A register is a version with a `value`; the increments of a region one with `increments`; a
 * collection, beside another type, one with its number of `elements` and the names of those that are
 * `contested`.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/conflict.h"
#include "crdt/score.h"

enum { NAMES_MAX = 100 }; /* of contested items told of one collection */

struct version {
    stamp_t stamp;
    enum component type;
    bool visible;
    const struct reg *reg;     /* a value; */
    const struct tally *tally; /* increments; */
    const struct part *part;   /* or a collection */
};

struct versions {
    struct version *at; /* [count] */
    size_t count, cap;
};

static void add(struct versions *all, struct version v)
{
    if (all->count == all->cap) {
        all->cap = all->cap > 0 ? 2 * all->cap : 8;
        all->at = mem_realloc(all->at, all->cap * sizeof(*all->at));
    }
    all->at[all->count++] = v;
}

/* A number of text, or a score. */
static bool is_number(const struct reg *reg, enum component type)
{
    struct span text = span_of(reg->value, reg->len);
    double number;

    return type == COMPONENT_ZSET || span_to_double(text, &number);
}

static void add_cell(struct versions *all, const struct cell *c, enum component type, bool visible)
{
    const struct reg *newest = c->reg_count > 0 ? &c->regs[c->reg_count - 1] : NULL;
    bool counts = newest == NULL || is_number(newest, type);

    for (uint16_t i = 0; i < c->reg_count; i++)
        add(all, (struct version){ .stamp = c->regs[i].stamp,
                                   .type = type,
                                   .visible = visible && &c->regs[i] == newest,
                                   .reg = &c->regs[i] });
    for (uint16_t i = 0; i < c->tally_count; i++)
        add(all, (struct version){ .stamp = c->tallies[i].last,
                                   .type = type,
                                   .visible = visible && counts,
                                   .tally = &c->tallies[i] });
}

static void add_item(struct versions *all, const struct entry *e, enum component type, bool visible,
                     struct reg *inline_reg)
{
    if (e->form == ENTRY_CELL) {
        add_cell(all, e->cell, type, visible);
        return;
    }
    struct span value = entry_inline_value(e);
    *inline_reg = (struct reg){ .stamp = e->stamp,
                                .value = (uint8_t *)(uintptr_t)value.at,
                                .len = (uint32_t)value.len };
    add(all,
        (struct version){ .stamp = e->stamp, .type = type, .visible = visible, .reg = inline_reg });
}

static void add_object(struct versions *all, const struct entry *e, struct reg *inline_reg)
{
    enum component visible = object_visible(e);

    if (e->form == ENTRY_INLINE) {
        add_item(all, e, COMPONENT_STRING, true, inline_reg);
        return;
    }
    add_cell(all, &e->body->string, COMPONENT_STRING, visible == COMPONENT_STRING);
    for (struct part *p = e->body->parts; p != NULL; p = p->next) {
        enum component type = (enum component)p->component;

        add(all, (struct version){ .stamp = part_newest(p),
                                   .type = type,
                                   .visible = (component_family(visible) >> type & 1) != 0,
                                   .part = p });
    }
}

static int by_stamp(const void *a, const void *b)
{
    stamp_t x = ((const struct version *)a)->stamp, y = ((const struct version *)b)->stamp;

    return x < y ? -1 : x > y;
}

/* --- telling --- */

static void put_value(struct call *call, const struct version *v)
{
    struct span value = span_of(v->reg->value, v->reg->len);
    char text[32];

    reply_bulk_text(call->reply, "value");
    if (v->type == COMPONENT_ZSET)
        value = span_of(text, decimal_of_double(score_decode(value), text));
    reply_bulk(call->reply, v->type == COMPONENT_SET ? call->argv[3] : value);
}

static void put_increments(struct call *call, const struct tally *t)
{
    struct amount sum = amount_subtract(t->sum, t->base_sum);
    char text[48];
    size_t len;

    reply_bulk_text(call->reply, "increments");
    if (sum.is_float)
        len = decimal_of_double(sum.f, text);
    else
        len = decimal_of_int64(sum.i > INT64_MAX   ? INT64_MAX
                               : sum.i < INT64_MIN ? INT64_MIN
                                                   : (int64_t)sum.i,
                               text);
    reply_bulk(call->reply, span_of(text, len));
}

static void put_contested_names(struct call *call, const struct part *p)
{
    size_t place = reply_later(call->reply);
    uint64_t told = 0;
    int64_t index = 0;
    struct part_iter it;

    part_iter_init(&it, p);
    for (const struct entry *e; told < NAMES_MAX && told < p->contested;) {
        e = part_iter_next(&it);
        if (e == NULL)
            break;
        if (e->form == ENTRY_CELL && cell_contested(e->cell)) {
            if (p->component == COMPONENT_LIST)
                reply_int(call->reply, index);
            else
                reply_bulk(call->reply, entry_name(e));
            told++;
        }
        index++;
    }
    reply_later_set(call->reply, place, '*', told);
}

static void put_version(struct call *call, const struct version *v)
{
    reply_map(call->reply, v->part != NULL ? 7 : 6);
    if (v->reg != NULL) {
        put_value(call, v);
    } else if (v->tally != NULL) {
        put_increments(call, v->tally);
    } else {
        reply_bulk_text(call->reply, "elements");
        reply_int(call->reply, (int64_t)part_count(v->part));
        reply_bulk_text(call->reply, "contested");
        put_contested_names(call, v->part);
    }
    reply_bulk_text(call->reply, "type");
    reply_bulk_text(call->reply, conflict_type_name(v->type));
    conflict_put_origin(call, v->stamp);
    reply_bulk_text(call->reply, "visible");
    reply_int(call->reply, v->visible);
}

void conflict_versions(struct call *call)
{
    const struct entry *e = data_live(call, call->db, call->argv[2]), *item = NULL;
    const char *error = NULL;
    struct versions all = { 0 };
    struct reg inline_reg;

    if (call->argc > 4) {
        data_wrong_arity(call);
        return;
    }
    if (e != NULL && call->argc == 4)
        item = conflict_find_item(call, e, &error);
    if (error != NULL) {
        reply_error(call->reply, error);
        return;
    }
    if (item != NULL)
        add_item(&all, item, object_visible(e), true, &inline_reg);
    else if (e != NULL && call->argc == 3)
        add_object(&all, e, &inline_reg);
    if (all.count > 0)
        qsort(all.at, all.count, sizeof(*all.at), by_stamp);
    reply_array(call->reply, all.count);
    for (size_t i = 0; i < all.count; i++)
        put_version(call, &all.at[i]);
    mem_free(all.at);
}
