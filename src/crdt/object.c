#include "crdt/resident.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"

/* --- forms of a key --- */

static struct body *body_new(struct database *d, struct entry *e)
{
    struct body *b = mem_zalloc(sizeof(*b));
    b->entry = e;
    b->db = d->number;
    return b;
}

struct entry *object_new(struct database *d, struct span key)
{
    struct entry *e = entry_new(key, 0, span_of(NULL, 0), false);
    e->form = ENTRY_BODY;
    e->body = body_new(d, e);
    return e;
}

struct body *object_widen(struct database *d, struct entry **slot)
{
    struct entry *e = *slot;
    if (e->form == ENTRY_BODY)
        return e->body;
    struct entry *wide = object_new(d, entry_name(e));
    cell_add_reg(&wide->body->string, &(struct write){ e->stamp, entry_inline_value(e), e->none });
    entry_free(e);
    *slot = wide;
    return wide->body;
}

void object_narrow(struct entry **slot)
{
    struct entry *e = *slot;
    if (e->form != ENTRY_BODY || e->body->deadline_count > 0 || e->body->string.reg_count != 1 ||
        e->body->string.tally_count > 0 || e->body->parts)
        return;
    CHECK(e->body->reclaim.index == 0);
    const struct reg *reg = &e->body->string.regs[0];
    struct entry *narrow = entry_new(entry_name(e), reg->stamp, span_of(reg->value, reg->len),
                                     reg->none);
    object_free(e);
    *slot = narrow;
}

void object_free(struct entry *e)
{
    if (e->form != ENTRY_BODY) {
        entry_free(e);
        return;
    }
    struct body *b = e->body;
    cell_release(&b->string);
    for (struct part *p = b->parts, *next; p; p = next) {
        next = p->next;
        part_free(p);
    }
    list_remove(&b->contested);
    mem_free(b->deadlines);
    mem_free(b);
    mem_free(e);
}

/* --- databases --- */

void database_init(struct database *d, uint8_t number, uint8_t self, uint64_t seed,
                   struct heap *reclaim)
{
    *d = (struct database){ .number = number, .reclaim = reclaim };
    d->reclaims[self / 64] = 1ull << (self % 64);
    table_init(&d->keys, entry_key_of, seed);
    list_init(&d->contested);
}

void database_release(struct database *d)
{
    struct table_iter it;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        struct entry *e = *slot;
        if (e->form == ENTRY_BODY)
            heap_remove(d->reclaim, &e->body->reclaim);
        object_free(e);
    }
    table_release(&d->keys);
    resident_release(d);
}

/* --- components --- */

uint32_t object_components(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return 1 << COMPONENT_STRING;
    uint32_t mask = cell_empty(&e->body->string) ? 0 : 1 << COMPONENT_STRING;
    for (const struct part *p = e->body->parts; p; p = p->next)
        mask |= 1u << p->component;
    return mask;
}

stamp_t object_newest(const struct entry *e, enum component c)
{
    if (e->form == ENTRY_INLINE)
        return e->stamp;
    if (c == COMPONENT_STRING)
        return cell_newest(&e->body->string);
    struct part *p = object_part(e, c);
    return p ? part_newest(p) : 0;
}

enum component object_visible(const struct entry *e)
{
    uint32_t mask = object_components(e);
    if (mask == 0)
        return COMPONENT_NONE;
    enum component first = (enum component)__builtin_ctz(mask), visible = first;
    if ((mask & ~component_family(first)) == 0) /* groups alone: a stream that is empty */
        return first == COMPONENT_GROUPS ? COMPONENT_STREAM : first;
    /* Two types side by side: over with the next write. */
    stamp_t newest = 0;
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        stamp_t s = mask & (1u << c) ? object_newest(e, (enum component)c) : 0;
        if (s > newest) {
            newest = s;
            visible = (enum component)c;
        }
    }
    return visible == COMPONENT_GROUPS ? COMPONENT_STREAM : visible;
}

bool object_string(const struct entry *e, char *scratch, struct span *value)
{
    if (e->form == ENTRY_INLINE) {
        *value = entry_inline_value(e);
        return true;
    }
    return cell_read(&e->body->string, scratch, value);
}

/* --- deadlines --- */

/* The element that decides, or NULL: none at all, or one that says none. */
static const struct deadline *deciding(const struct body *b)
{
    const struct deadline *longest = NULL;
    for (uint16_t i = 0; i < b->deadline_count; i++) {
        const struct deadline *d = &b->deadlines[i];
        if (d->at_ms == 0)
            return NULL;
        if (!longest ||
            (MUTATION(expires_first) ? d->at_ms < longest->at_ms : d->at_ms >= longest->at_ms))
            longest = d;
    }
    for (uint16_t i = 0; i < b->string.reg_count; i++) {
        if (b->string.regs[i].none)
            return NULL;
    }
    return longest;
}

uint64_t object_deadline_ms(const struct entry *e)
{
    if (e->form != ENTRY_BODY || e->body->deadline_count == 0)
        return 0;
    const struct deadline *d = deciding(e->body);
    return d ? d->at_ms : 0;
}

uint8_t object_deadline_origin(const struct entry *e)
{
    const struct deadline *d = e->form == ENTRY_BODY ? deciding(e->body) : NULL;
    return d ? stamp_origin(d->stamp) : 0;
}

/* --- what a removal observes --- */

static uint64_t count_tallied(const struct part *p)
{
    uint64_t count = 0;
    struct part_iter it;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));)
        count += entry_has_tallies(e);
    return count;
}

static void put_tallied(struct buffer *out, const struct part *p)
{
    struct part_iter it;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));) {
        if (!entry_has_tallies(e))
            continue;
        buffer_put_u8(out, p->component);
        buffer_put_prefixed(out, entry_name(e));
        cell_put_observed(out, e->cell);
    }
}

size_t part_drop_bytes(const struct part *p)
{
    enum { TALLY_BYTES_MAX = 1 + 8 + 20, ITEM_BYTES = 1 + 5 + 2 };
    size_t bytes = 0;
    struct part_iter it;
    if (!component_counts(p->component))
        return 0;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));) {
        if (entry_has_tallies(e))
            bytes += ITEM_BYTES + e->name_len + TALLY_BYTES_MAX * e->cell->tally_count;
    }
    return bytes;
}

void object_put_drop(struct buffer *out, const struct entry *e, uint32_t mask)
{
    buffer_put_varint(out, mask);
    if (e->form != ENTRY_BODY) {
        buffer_put_varint(out, 0);
        return;
    }
    const struct body *b = e->body;
    bool string = mask & (1 << COMPONENT_STRING) && b->string.tally_count > 0;
    uint64_t count = string;
    for (const struct part *p = b->parts; p; p = p->next) {
        if (mask >> p->component & 1 && component_counts(p->component))
            count += count_tallied(p);
    }
    buffer_put_varint(out, count);
    if (string) {
        buffer_put_u8(out, COMPONENT_STRING);
        buffer_put_prefixed(out, span_of(NULL, 0));
        cell_put_observed(out, &b->string);
    }
    for (const struct part *p = b->parts; p; p = p->next) {
        if (mask >> p->component & 1 && component_counts(p->component))
            put_tallied(out, p);
    }
}

size_t object_bytes(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return entry_bytes(e);
    size_t bytes = ENTRY_HEADER_BYTES + e->name_len + sizeof(struct body);
    const struct body *b = e->body;
    bytes += b->deadline_count * sizeof(*b->deadlines) +
             b->string.tally_count * sizeof(struct tally);
    for (uint16_t i = 0; i < b->string.reg_count; i++)
        bytes += sizeof(struct reg) + b->string.regs[i].len;
    for (const struct part *p = b->parts; p; p = p->next)
        bytes += part_bytes(p);
    return bytes;
}
