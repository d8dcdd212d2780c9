#include "crdt/op.h"

#include "base/check.h"
#include "crdt/hll.h"
#include "crdt/position.h"
#include "crdt/score.h"
#include "crdt/stream.h"

/* --- amounts: u8 is_float, then a zigzag varint of up to 128 bits, or the double's bits --- */

/* Far above what increments of 64 bits add up to, and far enough below 128 bits that no sum of
 * tallies overflows. */
static bool is_countable(int128_t v)
{
    const int128_t limit = (int128_t)1 << 110;
    return v > -limit && v < limit;
}

static void int128_put(struct buffer *out, int128_t v)
{
    __extension__ typedef unsigned __int128 uint128_t;
    uint128_t z = ((uint128_t)v << 1) ^ (uint128_t)(v >> 127);
    while (z >= 0x80) {
        buffer_put_u8(out, (uint8_t)(z | 0x80));
        z >>= 7;
    }
    buffer_put_u8(out, (uint8_t)z);
}

static bool int128_take(struct span *in, int128_t *v)
{
    __extension__ typedef unsigned __int128 uint128_t;
    uint128_t z = 0;
    uint8_t byte;
    for (unsigned shift = 0; shift < 128; shift += 7) {
        if (!span_take_u8(in, &byte))
            return false;
        if (shift == 126 && byte > 3)
            return false;
        z |= (uint128_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *v = (int128_t)(z >> 1) ^ -(int128_t)(z & 1);
            return true;
        }
    }
    return false;
}

void amount_put(struct buffer *out, struct amount a)
{
    buffer_put_u8(out, a.is_float);
    if (a.is_float) {
        uint64_t bits;
        memcpy(&bits, &a.f, sizeof(bits));
        buffer_put_u64(out, bits);
    } else {
        int128_put(out, a.i);
    }
}

bool amount_take(struct span *in, struct amount *a)
{
    uint8_t is_float;
    if (!span_take_u8(in, &is_float) || is_float > 1)
        return false;
    a->is_float = is_float;
    if (!is_float)
        return int128_take(in, &a->i) && is_countable(a->i);
    uint64_t bits;
    if (!span_take_u64(in, &bits))
        return false;
    memcpy(&a->f, &bits, sizeof(bits));
    /* finite: what is not is written as a result, never counted */
    return a->f - a->f == 0;
}

struct amount amount_add(struct amount a, struct amount b)
{
    CHECK(a.is_float == b.is_float);
    if (a.is_float)
        a.f += b.f;
    else
        a.i += b.i;
    return a;
}

struct amount amount_subtract(struct amount a, struct amount b)
{
    CHECK(a.is_float == b.is_float);
    if (a.is_float)
        a.f -= b.f;
    else
        a.i -= b.i;
    return a;
}

/* --- observed tallies: u8 origin, u64 last, amount --- */

void observed_put(struct buffer *out, const struct observed *o)
{
    buffer_put_u8(out, o->origin);
    buffer_put_u64(out, o->last);
    amount_put(out, o->sum);
}

bool observed_take(struct span *in, struct observed *o)
{
    return span_take_u8(in, &o->origin) && span_take_u64(in, &o->last) &&
           amount_take(in, &o->sum) && stamp_origin(o->last) == o->origin;
}

bool observed_list_take(struct span *in, struct span *entries, uint64_t *count)
{
    if (!span_take_varint(in, count))
        return false;
    const uint8_t *start = in->at;
    struct observed o;
    for (uint64_t i = 0; i < *count; i++) {
        if (!observed_take(in, &o))
            return false;
    }
    *entries = span_of(start, (size_t)(in->at - start));
    return true;
}

/* --- the op itself --- */

size_t op_begin(struct buffer *out, stamp_t before, const struct op *op)
{
    /* delta, kind, component, database, key length and payload length: at most 10 + 3 + 10 + 4
     * bytes */
    uint8_t *start = buffer_room(out, 32 + op->key.len);
    (void)start;
    buffer_put_varint(out, stamp_time(op->stamp) - stamp_time(before));
    buffer_put_u8(out, (uint8_t)(op->kind | (op->more ? OP_MORE : 0)));
    buffer_put_u8(out, op->component);
    buffer_put_u8(out, op->db);
    buffer_put_prefixed(out, op->key);
    size_t place = out->len;
    buffer_put_u32(out, 0);
    return place;
}

void op_end(struct buffer *out, size_t place)
{
    size_t len = out->len - place - 4;
    CHECK(len <= UINT32_MAX);
    uint32_t little = (uint32_t)len;
    for (int i = 0; i < 4; i++)
        out->at[place + (size_t)i] = (uint8_t)(little >> (8 * i));
}

void op_mark_more(struct buffer *out, size_t offset)
{
    while (out->at[offset] & 0x80) /* past the delta */
        offset++;
    out->at[offset + 1] |= OP_MORE;
}

bool op_take(struct span *in, stamp_t before, struct op *op, struct span *hashed)
{
    struct span s = *in;
    uint64_t delta;
    uint8_t kind;
    uint32_t payload_len;
    if (!span_take_varint(&s, &delta) || delta == 0 ||
        delta > (UINT64_MAX >> STAMP_ORIGIN_BITS) - stamp_time(before))
        return false;
    const uint8_t *start = s.at;
    if (!span_take_u8(&s, &kind) || !span_take_u8(&s, &op->component) ||
        !span_take_u8(&s, &op->db) || !span_take_prefixed(&s, &op->key) ||
        !span_take_u32(&s, &payload_len) || !span_take_bytes(&s, payload_len, &op->payload))
        return false;
    op->more = kind & OP_MORE;
    kind &= (uint8_t)~OP_MORE;
    if (kind < OP_PUT || kind >= OP_KIND_END || op->db >= OP_DATABASES ||
        op->component >= COMPONENT_COUNT)
        return false;
    op->kind = (enum op_kind)kind;
    op->stamp = ((stamp_time(before) + delta) << STAMP_ORIGIN_BITS) | stamp_origin(before);
    *hashed = span_of(start, (size_t)(s.at - start));
    *in = s;
    return true;
}

/* --- validity of payloads --- */

static bool string_put_valid(struct span p)
{
    uint8_t rule;
    uint64_t deadline, count;
    struct span value, entries;
    if (!span_take_u8(&p, &rule) || rule > TIME_KEEP)
        return false;
    if (rule == TIME_DEADLINE && (!span_take_varint(&p, &deadline) || deadline == 0))
        return false;
    return span_take_prefixed(&p, &value) && value.len <= UINT32_MAX &&
           observed_list_take(&p, &entries, &count) && p.len == 0;
}

bool op_name_valid(uint8_t component, struct span name)
{
    if (component == COMPONENT_LIST)
        return position_valid(name);
    if (component == COMPONENT_STREAM)
        return name.len == STREAM_ID_BYTES;
    return name.len <= UINT32_MAX;
}

bool op_value_valid(uint8_t component, struct span value)
{
    if (component == COMPONENT_ZSET)
        return score_valid(value);
    if (component == COMPONENT_STREAM)
        return stream_fields_valid(value);
    return value.len <= UINT32_MAX;
}

static bool items_valid(const struct op *op)
{
    struct span p = op->payload, name, value, entries;
    uint64_t n, count;
    if (!span_take_varint(&p, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!span_take_prefixed(&p, &name) || !op_name_valid(op->component, name))
            return false;
        if (op->kind == OP_PUT && component_has_values(op->component) &&
            (!span_take_prefixed(&p, &value) || !op_value_valid(op->component, value)))
            return false;
        if (component_counts(op->component) && !observed_list_take(&p, &entries, &count))
            return false;
    }
    return p.len == 0;
}

static bool put_valid(const struct op *op)
{
    if (op->component == COMPONENT_STRING)
        return string_put_valid(op->payload);
    return op->component == COMPONENT_HLL ? hll_put_valid(op->payload) : items_valid(op);
}

static bool bump_valid(const struct op *op)
{
    struct span p = op->payload, name;
    uint64_t previous;
    struct amount before, after;
    if (!component_counts(op->component))
        return false;
    if (op->component != COMPONENT_STRING &&
        (!span_take_prefixed(&p, &name) || name.len > UINT32_MAX))
        return false;
    return span_take_u64(&p, &previous) && amount_take(&p, &before) && amount_take(&p, &after) &&
           p.len == 0 && before.is_float == after.is_float &&
           (after.is_float || op->component != COMPONENT_ZSET) && previous < op->stamp &&
           (previous == 0 || stamp_origin(previous) == stamp_origin(op->stamp));
}

static bool drop_valid(struct span p)
{
    uint64_t mask, n, count;
    uint8_t component;
    struct span name, entries;
    if (!span_take_varint(&p, &mask) || mask == 0 || (mask & ~(uint64_t)MASK_ALL) != 0 ||
        !span_take_varint(&p, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!span_take_u8(&p, &component) || !component_counts(component) ||
            !span_take_prefixed(&p, &name) || !observed_list_take(&p, &entries, &count))
            return false;
    }
    return p.len == 0;
}

bool op_valid(const struct op *op)
{
    uint64_t deadline;
    struct span p = op->payload;
    if (op->key.len > UINT32_MAX)
        return false;
    switch (op->kind) {
    case OP_PUT:
        return put_valid(op);
    case OP_TAKE:
        return op->component != COMPONENT_STRING && op->component != COMPONENT_HLL &&
               items_valid(op);
    case OP_BUMP:
        return bump_valid(op);
    case OP_DEADLINE:
        return span_take_varint(&p, &deadline) && p.len == 0;
    case OP_DROP:
        return drop_valid(p);
    case OP_KIND_END:
        break;
    }
    return false;
}
