#include "wire/batch.h"

#include "base/crc32c.h"

/* prev and from are of the batch's own origin, or 0 for never. */
static void put_back(struct buffer *out, stamp_t to, stamp_t earlier)
{
    buffer_put_varint(out, stamp_time(to) - stamp_time(earlier));
}

static bool take_back(struct span *in, stamp_t to, stamp_t *earlier)
{
    uint64_t back;
    if (!span_take_varint(in, &back) || back > stamp_time(to))
        return false;
    uint64_t time = stamp_time(to) - back;
    *earlier = time == 0 ? 0 : (time << STAMP_ORIGIN_BITS) | stamp_origin(to);
    return true;
}

void batch_put_header(struct buffer *out, const struct batch *b)
{
    buffer_put_u8(out, BATCH_FORMAT);
    buffer_put_u8(out, b->origin);
    buffer_put_u8(out, 0);
    buffer_put_varint(out, b->instance);
    buffer_put_u64(out, b->to);
    put_back(out, b->to, b->from);
    put_back(out, b->to, b->prev);
    buffer_put_u32(out, b->check);
    uint32_t count = 0;
    for (uint32_t o = 0; o < b->context.high; o++)
        count += b->context.at[o] != 0;
    buffer_put_varint(out, count);
    for (uint32_t o = 0; o < b->context.high; o++) {
        if (b->context.at[o] == 0)
            continue;
        buffer_put_u8(out, (uint8_t)o);
        buffer_put_varint(out, zigzag((int64_t)(stamp_time(b->to) - stamp_time(b->context.at[o]))));
    }
    buffer_put_varint(out, b->op_count);
}

static bool take_context(struct span *in, const struct batch *b, struct vector *context)
{
    uint64_t count, distance;
    uint8_t origin;
    vector_clear(context);
    if (!span_take_varint(in, &count) || count > STAMP_ORIGINS)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!span_take_u8(in, &origin) || !span_take_varint(in, &distance))
            return false;
        uint64_t time = stamp_time(b->to) - (uint64_t)unzigzag(distance);
        if (time == 0 || time > (UINT64_MAX >> STAMP_ORIGIN_BITS) || origin == b->origin ||
            vector_get(context, origin) != 0)
            return false;
        vector_set(context, (time << STAMP_ORIGIN_BITS) | origin);
    }
    return true;
}

bool batch_take(struct span in, struct batch *b)
{
    uint8_t format, flags;
    if (!span_take_u8(&in, &format) || format != BATCH_FORMAT || !span_take_u8(&in, &b->origin) ||
        !span_take_u8(&in, &flags) || flags != 0 || !span_take_varint(&in, &b->instance) ||
        !span_take_u64(&in, &b->to) || stamp_origin(b->to) != b->origin || stamp_time(b->to) == 0 ||
        !take_back(&in, b->to, &b->from) || !take_back(&in, b->to, &b->prev) ||
        !span_take_u32(&in, &b->check) || !take_context(&in, b, &b->context) ||
        !span_take_varint(&in, &b->op_count))
        return false;
    b->ops = in;
    return b->prev <= b->from && b->op_count <= in.len && (b->op_count > 0 || in.len == 0);
}

bool batch_peek(struct span in, uint8_t *origin, stamp_t *to)
{
    uint8_t format, flags;
    uint64_t instance;
    return span_take_u8(&in, &format) && format == BATCH_FORMAT && span_take_u8(&in, origin) &&
           span_take_u8(&in, &flags) && span_take_varint(&in, &instance) && span_take_u64(&in, to);
}

bool batch_next_op(struct batch_walk *w, struct op *op, struct span *hashed)
{
    if (w->rest.len == 0 || !op_take(&w->rest, w->stamp, op, hashed))
        return false;
    w->stamp = op->stamp;
    if (w->rank == 0)
        w->rank = op->stamp;
    op->rank = w->rank;
    if (!op->more)
        w->rank = 0;
    return true;
}

/* The stamp that the first op's delta counts from; its low byte names the origin even when from is
 * "never". */
static stamp_t first_before(const struct batch *b)
{
    return (stamp_time(b->from) << STAMP_ORIGIN_BITS) | b->origin;
}

struct batch_walk batch_walk(const struct batch *b)
{
    return (struct batch_walk){ b->ops, first_before(b), 0 };
}

bool batch_valid(const struct batch *b)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    uint64_t count = 0;
    while (batch_next_op(&w, &op, &hashed)) {
        if (op.stamp > b->to || !op_valid(&op))
            return false;
        count++;
    }
    return w.rest.len == 0 && w.rank == 0 && count == b->op_count;
}

uint32_t batch_check(uint32_t check, stamp_t stamp, struct span hashed)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(stamp >> (8 * i));
    return crc32c(crc32c(check, span_of(bytes, sizeof(bytes))), hashed);
}
