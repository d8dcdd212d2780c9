#include "crdt/contest.h"

#include "base/check.h"

void contest_tell_item(struct database *d, const struct op *op, struct span item,
                       const struct cell *c)
{
    const struct reg *mine = NULL, *other = NULL;
    if (!d->watch || !d->watch->conflict || c->reg_count < 2 || !cell_contested(c))
        return;
    for (uint16_t i = 0; i < c->reg_count; i++) {
        if (c->regs[i].stamp == op->rank)
            mine = &c->regs[i];
        else
            other = &c->regs[i];
    }
    if (!mine || !other)
        return;
    d->watch->conflict(d->watch->context, &(struct conflict){
                                              .db = op->db,
                                              .key = op->key,
                                              .component = (enum component)op->component,
                                              .against = (enum component)op->component,
                                              .item = item,
                                              .stamp = { mine->stamp, other->stamp },
                                              .value = { span_of(mine->value, mine->len),
                                                         span_of(other->value, other->len) },
                                          });
}

static struct span newest_value(const struct cell *c)
{
    if (c->reg_count == 0)
        return span_of(NULL, 0);
    const struct reg *newest = &c->regs[c->reg_count - 1];
    return span_of(newest->value, newest->len);
}

/* The first of the items that a write names: what is told of a write of a type. Nothing of lists and
 * streams but the value: their names are not for people. */
static void first_item(const struct op *op, struct span *item, struct span *value)
{
    struct span p = op->payload;
    uint64_t count = 1;
    bool put = op->kind == OP_PUT;
    *item = *value = span_of(NULL, 0);
    if (op->component == COMPONENT_STRING || op->component == COMPONENT_HLL ||
        (put && (!span_take_varint(&p, &count) || count == 0)))
        return;
    CHECK(span_take_prefixed(&p, item));
    if (put && component_has_values(op->component))
        CHECK(span_take_prefixed(&p, value));
}

void contest_tell_types(struct database *d, const struct op *op, const struct entry *e)
{
    uint32_t others = object_components(e) & ~component_family((enum component)op->component);
    if (!d->watch || !d->watch->conflict || others == 0)
        return;
    enum component against = COMPONENT_NONE;
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        if (others >> c & 1 && (against == COMPONENT_NONE ||
                                object_newest(e, (enum component)c) > object_newest(e, against)))
            against = (enum component)c;
    }
    struct span string = newest_value(&e->body->string), item, value;
    first_item(op, &item, &value);
    d->watch->conflict(d->watch->context,
                       &(struct conflict){
                           .db = op->db,
                           .key = op->key,
                           .component = (enum component)op->component,
                           .against = against,
                           .item = item,
                           .stamp = { op->rank, object_newest(e, against) },
                           .value = { op->component == COMPONENT_STRING ? string : value,
                                      against == COMPONENT_STRING ? string : span_of(NULL, 0) },
                       });
}
