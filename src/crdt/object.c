#include "crdt/object.h"

#include "base/check.h"
#include "base/memory.h"

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
        e->body->string.tally_count > 0)
        return;
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        if (e->body->fields[c])
            return;
    }
    CHECK(e->body->reclaim.index == 0);
    const struct reg *reg = &e->body->string.regs[0];
    struct entry *narrow = entry_new(entry_name(e), reg->stamp, span_of(reg->value, reg->len),
                                     reg->none);
    object_free(e);
    *slot = narrow;
}

static void fields_free(struct table *fields)
{
    if (!fields)
        return;
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it));)
        entry_free(*slot);
    table_release(fields);
    mem_free(fields);
}

void object_free(struct entry *e)
{
    if (e->form == ENTRY_BODY) {
        cell_release(&e->body->string);
        for (int c = 0; c < COMPONENT_COUNT; c++)
            fields_free(e->body->fields[c]);
        mem_free(e->body->deadlines);
        mem_free(e->body);
        mem_free(e);
    } else {
        entry_free(e);
    }
}

/* --- databases --- */

void database_init(struct database *d, uint8_t number, uint8_t self, uint64_t seed,
                   struct heap *reclaim)
{
    *d = (struct database){ .number = number, .self = self, .reclaim = reclaim };
    table_init(&d->keys, entry_key_of, seed);
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
}

/* --- components --- */

uint32_t object_components(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return 1 << COMPONENT_STRING;
    uint32_t mask = cell_empty(&e->body->string) ? 0 : 1 << COMPONENT_STRING;
    for (int c = COMPONENT_STRING + 1; c < COMPONENT_COUNT; c++) {
        if (e->body->fields[c])
            mask |= 1u << c;
    }
    return mask;
}

static stamp_t fields_newest(const struct table *fields)
{
    stamp_t newest = 0;
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *e = *slot;
        stamp_t s = e->form == ENTRY_INLINE ? e->stamp : cell_newest(e->cell);
        if (s > newest)
            newest = s;
    }
    return newest;
}

static stamp_t component_newest(const struct body *b, int c)
{
    return c == COMPONENT_STRING ? cell_newest(&b->string) : fields_newest(b->fields[c]);
}

enum component object_visible(const struct entry *e)
{
    uint32_t mask = object_components(e);
    if (mask == 0)
        return COMPONENT_NONE;
    if ((mask & (mask - 1)) == 0)
        return (enum component)__builtin_ctz(mask);
    /* Two types side by side: rare, and over with the next write, so the search for the newest is
     * not cached. */
    enum component visible = COMPONENT_NONE;
    stamp_t newest = 0;
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        stamp_t s = mask & (1u << c) ? component_newest(e->body, c) : 0;
        if (s > newest) {
            newest = s;
            visible = (enum component)c;
        }
    }
    return visible;
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
        if (!longest || d->at_ms >= longest->at_ms)
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

static uint64_t count_tallied(const struct table *fields)
{
    uint64_t count = 0;
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it));)
        count += entry_has_tallies(*slot);
    return count;
}

static void put_tallied(struct buffer *out, uint8_t component, const struct table *fields)
{
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *field = *slot;
        if (!entry_has_tallies(field))
            continue;
        buffer_put_u8(out, component);
        buffer_put_prefixed(out, entry_name(field));
        cell_put_observed(out, field->cell);
    }
}

size_t object_drop_bytes(const struct entry *e)
{
    enum { TALLY_BYTES_MAX = 1 + 8 + 20, FIELD_BYTES = 1 + 5 + 2 };
    const struct table *hash = object_fields(e, COMPONENT_HASH);
    size_t bytes = 0;
    if (!hash)
        return 0;
    struct table_iter it;
    table_iter_init(&it, hash);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *field = *slot;
        if (entry_has_tallies(field))
            bytes += FIELD_BYTES + field->name_len + TALLY_BYTES_MAX * field->cell->tally_count;
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
    const struct table *hash = mask & (1 << COMPONENT_HASH) ? b->fields[COMPONENT_HASH] : NULL;
    bool string = mask & (1 << COMPONENT_STRING) && b->string.tally_count > 0;
    buffer_put_varint(out, (uint64_t)string + (hash ? count_tallied(hash) : 0));
    if (string) {
        buffer_put_u8(out, COMPONENT_STRING);
        buffer_put_prefixed(out, span_of(NULL, 0));
        cell_put_observed(out, &b->string);
    }
    if (hash)
        put_tallied(out, COMPONENT_HASH, hash);
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
    for (int c = 0; c < COMPONENT_COUNT; c++) {
        if (!b->fields[c])
            continue;
        bytes += sizeof(struct table) + table_bytes(b->fields[c]);
        struct table_iter it;
        table_iter_init(&it, b->fields[c]);
        for (void **slot; (slot = table_iter_next(&it));)
            bytes += entry_bytes(*slot);
    }
    return bytes;
}
