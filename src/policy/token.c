#include "policy/token.h"

#include "base/crc32c.h"

enum { TOKEN_VERSION = 2, ORDERS = 64, SAME_REGION = 16 };

void token_see(struct token *t, stamp_t stamp, uint64_t instance)
{
    uint8_t origin = stamp_origin(stamp);

    if (vector_raise(&t->seen, stamp))
        t->instance[origin] = instance;
    if (stamp_ms(stamp) > t->time_ms)
        t->time_ms = stamp_ms(stamp);
}

void token_merge(struct token *t, const struct token *other)
{
    for (uint32_t o = 0; o < other->seen.high; o++) {
        if (other->seen.at[o] != 0)
            token_see(t, other->seen.at[o], other->instance[o]);
    }
    if (other->time_ms > t->time_ms)
        t->time_ms = other->time_ms;
}

/* --- base64url, RFC 4648 section 5 --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct buffer *out, struct span bytes)
{
    uint32_t bits = 0;
    uint32_t count = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.at[i];
        for (count += 8; count >= 6; count -= 6)
            buffer_put_u8(out, (uint8_t)alphabet[bits >> (count - 6) & 63]);
    }
    if (count > 0)
        buffer_put_u8(out, (uint8_t)alphabet[bits << (6 - count) & 63]);
}

/* One text for each value: bits that are left over must be zero. */
static bool decode(struct buffer *out, struct span text)
{
    uint32_t bits = 0;
    uint32_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.at[i] != 0 ? strchr(alphabet, text.at[i]) : NULL;

        if (at == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            buffer_put_u8(out, (uint8_t)(bits >> count));
        }
    }
    return count < 6 && (bits & ((1u << count) - 1)) == 0;
}

/* --- bits --- */

struct bit_writer {
    struct buffer *out;
    uint8_t held; /* the low `count` bits are not written yet */
    uint32_t count;
};

static void put_bits(struct bit_writer *w, uint64_t value, uint32_t count)
{
    while (count-- > 0) {
        w->held = (uint8_t)((uint32_t)w->held << 1 | (uint32_t)(value >> count & 1));
        if (++w->count < 8)
            continue;
        buffer_put_u8(w->out, w->held);
        w->held = 0;
        w->count = 0;
    }
}

struct bit_reader {
    struct span in;
    uint32_t used; /* of the first byte */
};

static bool take_bits(struct bit_reader *r, uint32_t count, uint64_t *value)
{
    for (*value = 0; count > 0; count--) {
        if (r->in.len == 0)
            return false;
        *value = *value << 1 | (r->in.at[0] >> (7 - r->used) & 1);
        if (++r->used < 8)
            continue;
        r->in = span_skip(r->in, 1);
        r->used = 0;
    }
    return true;
}

/* What is left is the end of a byte, and zero. */
static bool ends_here(struct bit_reader *r)
{
    uint64_t rest = 0;

    return r->used == 0 ? r->in.len == 0
                        : take_bits(r, 8 - r->used, &rest) && rest == 0 && r->in.len == 0;
}

static uint32_t width_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

static uint32_t code_bits(uint64_t value, uint32_t order)
{
    if (value >> order == UINT64_MAX)
        return 2 * ORDERS + 1; /* q would not fit: any other order is shorter */
    return 2 * width_of((value >> order) + 1) - 1 + order;
}

static void put_code(struct bit_writer *w, uint64_t value, uint32_t order)
{
    uint64_t q = (value >> order) + 1;

    put_bits(w, 0, width_of(q) - 1);
    put_bits(w, q, width_of(q));
    put_bits(w, value, order);
}

static bool take_code(struct bit_reader *r, uint32_t order, uint64_t *value)
{
    uint32_t zeros = 0;
    uint64_t bit = 0, q, low;

    while (take_bits(r, 1, &bit) && bit == 0 && zeros < 64)
        zeros++;
    if (bit == 0 || zeros >= 64 || !take_bits(r, zeros, &q) || !take_bits(r, order, &low))
        return false;
    q |= UINT64_C(1) << zeros;
    if (q - 1 > UINT64_MAX >> order)
        return false;
    *value = (q - 1) << order | low;
    return true;
}

/* --- the format --- */

enum kind { AGE, COUNTER, RUN, KINDS };

/* What stands in the token for an origin. False where the run does: it is that of another stream. */
static bool of_kind(const struct token *t, uint32_t o, enum kind kind, uint64_t *value)
{
    uint32_t below = o;

    if (kind == AGE)
        *value = t->time_ms - stamp_ms(t->seen.at[o]);
    else if (kind == COUNTER)
        *value = stamp_counter(t->seen.at[o]);
    else
        *value = t->instance[o];
    while (kind == RUN && below >= SAME_REGION) {
        below -= SAME_REGION;
        if (t->seen.at[below] != 0)
            return t->instance[below] != t->instance[o];
    }
    return true;
}

static uint64_t codes_bits(const uint64_t *values, size_t count, uint32_t order)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < count; i++)
        bits += code_bits(values[i], order);
    return bits;
}

/* The order that makes all codes of a kind shortest; one above all values' widths never does. */
static uint8_t best_order(const struct token *t, enum kind kind)
{
    uint64_t values[STAMP_ORIGINS], any = 0;
    size_t count = 0;
    uint8_t best = 0;

    for (uint32_t o = 0; o < t->seen.high; o++) {
        if (t->seen.at[o] == 0 || !of_kind(t, o, kind, &values[count]))
            continue;
        any |= values[count++];
    }
    uint64_t best_bits = codes_bits(values, count, 0);
    for (uint8_t order = 1; order < ORDERS && order <= width_of(any); order++) {
        uint64_t bits = codes_bits(values, count, order);

        if (bits >= best_bits)
            continue;
        best_bits = bits;
        best = order;
    }
    return best;
}

static uint32_t check_of(struct span bytes, const char *deployment)
{
    return crc32c(crc32c(0, span_str(deployment)), bytes);
}

static uint8_t put_origins(struct buffer *out, const struct vector *v)
{
    uint8_t bits[STAMP_ORIGINS / 8] = { 0 }, count = 0;

    for (uint32_t o = 0; o < v->high; o++) {
        if (v->at[o] == 0)
            continue;
        bits[o / 8] |= (uint8_t)(1u << (o % 8));
        count = (uint8_t)(o / 8 + 1);
    }
    buffer_put_u8(out, count);
    buffer_put(out, span_of(bits, count));
    return count;
}

static void put_entries(struct buffer *out, const struct token *t)
{
    struct bit_writer w = { .out = out };
    uint8_t orders[KINDS];

    for (int kind = 0; kind < KINDS; kind++) {
        orders[kind] = best_order(t, (enum kind)kind);
        buffer_put_u8(out, orders[kind]);
    }
    for (uint32_t o = 0; o < t->seen.high; o++) {
        for (int kind = 0; kind < KINDS && t->seen.at[o] != 0; kind++) {
            uint64_t value;
            bool stands = of_kind(t, o, (enum kind)kind, &value);

            if (kind == RUN)
                put_bits(&w, stands, 1);
            if (stands)
                put_code(&w, value, orders[kind]);
        }
    }
    if (w.count > 0)
        put_bits(&w, 0, 8 - w.count);
}

void token_put(struct buffer *out, const struct token *t, const char *deployment)
{
    struct buffer bytes = { 0 };

    buffer_put_u8(&bytes, TOKEN_VERSION);
    buffer_put_u8(&bytes, t->shard);
    buffer_put_varint(&bytes, t->time_ms);
    if (put_origins(&bytes, &t->seen) > 0)
        put_entries(&bytes, t);
    buffer_put_u32(&bytes, check_of(buffer_span(&bytes), deployment));
    encode(out, buffer_span(&bytes));
    buffer_release(&bytes);
}

/* The run of the nearest stream below that is of the same region. */
static bool take_run(struct bit_reader *r, struct token *t, uint32_t o, uint32_t order)
{
    uint64_t stands;

    if (!take_bits(r, 1, &stands))
        return false;
    if (stands)
        return take_code(r, order, &t->instance[o]);
    for (uint32_t below = o; below >= SAME_REGION;) {
        below -= SAME_REGION;
        if (t->seen.at[below] == 0)
            continue;
        t->instance[o] = t->instance[below];
        return true;
    }
    return false;
}

static bool take_entry(struct bit_reader *r, struct token *t, uint8_t o,
                       const uint8_t orders[KINDS])
{
    uint64_t age_ms, counter;

    if (!take_code(r, orders[AGE], &age_ms) || !take_code(r, orders[COUNTER], &counter) ||
        age_ms > t->time_ms || counter > STAMP_COUNTER_MAX || !take_run(r, t, o, orders[RUN]))
        return false;

    stamp_t stamp = stamp_make(t->time_ms - age_ms, (uint32_t)counter, o);

    if (stamp_time(stamp) == 0)
        return false;
    vector_set(&t->seen, stamp);
    return true;
}

static bool take_entries(struct span in, struct span origins, struct token *t)
{
    uint8_t orders[KINDS];

    for (int kind = 0; kind < KINDS; kind++) {
        if (!span_take_u8(&in, &orders[kind]) || orders[kind] >= ORDERS)
            return false;
    }
    struct bit_reader r = { .in = in };

    if (origins.at[0] & 1 || origins.at[origins.len - 1] == 0) /* origin 0 is nobody's */
        return false;
    for (uint32_t o = 1; o < 8 * origins.len; o++) {
        if (origins.at[o / 8] >> (o % 8) & 1 && !take_entry(&r, t, (uint8_t)o, orders))
            return false;
    }
    return ends_here(&r);
}

static bool take_all(struct span in, struct token *t)
{
    static const uint64_t most_ms = (UINT64_C(1) << 44) - 1;
    uint8_t version, count;

    if (!span_take_u8(&in, &version) || version != TOKEN_VERSION || !span_take_u8(&in, &t->shard) ||
        !span_take_varint(&in, &t->time_ms) || t->time_ms > most_ms || !span_take_u8(&in, &count) ||
        count > STAMP_ORIGINS / 8 || count > in.len)
        return false;
    if (count == 0)
        return in.len == 0;
    return take_entries(span_skip(in, count), span_of(in.at, count), t);
}

bool token_take(struct span text, struct token *t, const char *deployment)
{
    struct buffer bytes = { 0 };
    bool good = false;

    *t = (struct token){ 0 };
    if (text.len > 0 && text.len <= TOKEN_TEXT_MAX && decode(&bytes, text) && bytes.len > 4) {
        struct span all = buffer_span(&bytes);
        struct span body = span_of(all.at, all.len - 4), tail = span_skip(all, all.len - 4);
        uint32_t sum;

        good = span_take_u32(&tail, &sum) && sum == check_of(body, deployment) && take_all(body, t);
    }
    buffer_release(&bytes);
    return good;
}
