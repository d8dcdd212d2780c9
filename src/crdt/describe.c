/*
 * describe -- all that is stored of an object, as text in one order: what makes two replicas equal.
 *
 *     s 1a2b:0:value           a register: stamp (hex), its none bit, value
 *     s +3 1a2b/19ff 7-0       a tally: origin, last/base stamps, sum-base
 *     h name 1a2b:0:value      the same of a hash's field; m of a set's member, z of a sorted set's,
 *                              l of a position, x of a stream's entry, y of its groups
 *     g 1a2b 2c3d 4:1 5:2      a hyperloglog's generation: its name, its newest write, its registers
 *     d 1a2b:1700000000000     a deadline element; 0 is none
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "crdt/resident.h"

static void put_amount(struct buffer *out, struct amount a)
{
    char text[32];
    if (a.is_float) {
        buffer_put_u8(out, 'f');
        buffer_put_bytes(out, text, decimal_of_double(a.f, text));
        return;
    }
    /* 128 bits as two halves: exact, and nobody reads such large ones by eye */
    if (a.i == (int64_t)a.i)
        buffer_put_bytes(out, text, decimal_of_int64((int64_t)a.i, text));
    else
        buffer_printf(out, "%llx:%016llx", (unsigned long long)(a.i >> 64),
                      (unsigned long long)a.i);
}

static void put_reg(struct buffer *out, const char *prefix, struct span name, stamp_t stamp,
                    bool none, struct span value)
{
    buffer_put_text(out, prefix);
    buffer_put(out, name);
    buffer_printf(out, " %llx:%d:", (unsigned long long)stamp, none);
    buffer_put(out, value);
    buffer_put_u8(out, '\n');
}

static void put_cell(struct buffer *out, const char *prefix, struct span name, const struct cell *c)
{
    for (uint16_t i = 0; i < c->reg_count; i++)
        put_reg(out, prefix, name, c->regs[i].stamp, c->regs[i].none,
                span_of(c->regs[i].value, c->regs[i].len));
    for (uint16_t i = 0; i < c->tally_count; i++) {
        const struct tally *t = &c->tallies[i];
        buffer_put_text(out, prefix);
        buffer_put(out, name);
        buffer_printf(out, " +%u %llx/%llx ", t->origin, (unsigned long long)t->last,
                      (unsigned long long)t->base_last);
        put_amount(out, t->sum);
        buffer_put_u8(out, '-');
        put_amount(out, t->base_sum);
        buffer_put_u8(out, '\n');
    }
}

static void put_entry(struct buffer *out, const char *prefix, const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        put_reg(out, prefix, entry_name(e), e->stamp, e->none, entry_inline_value(e));
    else
        put_cell(out, prefix, entry_name(e), e->cell);
}

static int by_name(const void *a, const void *b)
{
    return span_compare(entry_name(*(struct entry *const *)a),
                        entry_name(*(struct entry *const *)b));
}

static void put_items(struct buffer *out, const struct part *p)
{
    static const char *const prefixes[COMPONENT_COUNT] = {
        [COMPONENT_HASH] = "h ", [COMPONENT_SET] = "m ",    [COMPONENT_ZSET] = "z ",
        [COMPONENT_LIST] = "l ", [COMPONENT_STREAM] = "x ", [COMPONENT_GROUPS] = "y ",
    };
    struct entry **sorted = mem_alloc(part_count(p) * sizeof(struct entry *));
    size_t count = 0;
    struct part_iter it;
    part_iter_init(&it, p);
    for (struct entry *e; (e = part_iter_next(&it));)
        sorted[count++] = e;
    qsort(sorted, count, sizeof(struct entry *), by_name);
    for (size_t i = 0; i < count; i++)
        put_entry(out, prefixes[p->component], sorted[i]);
    mem_free(sorted);
}

static void put_generations(struct buffer *out, const struct hll *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        struct hll one = { .generations = &h->generations[i], .count = 1 };
        uint8_t registers[HLL_REGISTERS] = { 0 };
        hll_maxima(&one, registers);
        buffer_printf(out, "g %llx %llx", (unsigned long long)h->generations[i].name,
                      (unsigned long long)h->generations[i].newest);
        for (unsigned k = 0; k < HLL_REGISTERS; k++) {
            if (registers[k] != 0)
                buffer_printf(out, " %u:%u", k, registers[k]);
        }
        buffer_put_u8(out, '\n');
    }
}

void object_describe(struct buffer *out, const struct entry *e)
{
    if (e->form == ENTRY_INLINE) {
        put_reg(out, "s", span_of(NULL, 0), e->stamp, e->none, entry_inline_value(e));
        return;
    }
    const struct body *b = e->body;
    put_cell(out, "s", span_of(NULL, 0), &b->string);
    for (enum component c = COMPONENT_STRING + 1; c < COMPONENT_COUNT; c++) {
        const struct part *p = object_part(e, c);
        if (p && c == COMPONENT_HLL)
            put_generations(out, &p->hll);
        else if (p)
            put_items(out, p);
    }
    for (uint16_t i = 0; i < b->deadline_count; i++)
        buffer_printf(out, "d %llx:%llu\n", (unsigned long long)b->deadlines[i].stamp,
                      (unsigned long long)b->deadlines[i].at_ms);
}

struct digesting {
    uint64_t sum; /* order does not matter */
    uint8_t db;
    struct buffer text;
};

static void digest_one(void *context, const struct entry *e)
{
    struct digesting *g = context;
    buffer_clear(&g->text);
    buffer_put_prefixed(&g->text, entry_name(e));
    object_describe(&g->text, e);
    g->sum += XXH3_64bits_withSeed(g->text.at, g->text.len, g->db);
}

uint64_t database_digest(const struct database *d)
{
    struct digesting g = { .db = d->number };
    struct table_iter it;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));)
        digest_one(&g, *slot);
    resident_each_cold((struct database *)d, digest_one, &g);
    buffer_release(&g.text);
    return g.sum;
}
