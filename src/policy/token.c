#include "policy/token.h"

#include "base/crc32c.h"

enum { TOKEN_VERSION = 1 };

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

/* --- the format --- */

static uint32_t entries(const struct vector *v)
{
    uint32_t count = 0;

    for (uint32_t o = 0; o < v->high; o++)
        count += v->at[o] != 0;
    return count;
}

static uint32_t check_of(struct span bytes, const char *deployment)
{
    return crc32c(crc32c(0, span_str(deployment)), bytes);
}

void token_put(struct buffer *out, const struct token *t, const char *deployment)
{
    struct buffer bytes = { 0 };

    buffer_put_u8(&bytes, TOKEN_VERSION);
    buffer_put_u8(&bytes, t->shard);
    buffer_put_varint(&bytes, t->time_ms);
    buffer_put_varint(&bytes, entries(&t->seen));
    for (uint32_t o = 0; o < t->seen.high; o++) {
        stamp_t s = t->seen.at[o];

        if (s == 0)
            continue;
        buffer_put_u8(&bytes, (uint8_t)o);
        buffer_put_varint(&bytes, t->time_ms - stamp_ms(s));
        buffer_put_varint(&bytes, stamp_counter(s));
        buffer_put_varint(&bytes, t->instance[o]);
    }
    buffer_put_u32(&bytes, check_of(buffer_span(&bytes), deployment));
    encode(out, buffer_span(&bytes));
    buffer_release(&bytes);
}

static bool take_entry(struct span *in, struct token *t, int *last)
{
    uint8_t origin;
    uint64_t before_ms, counter, instance;

    if (!span_take_u8(in, &origin) || !span_take_varint(in, &before_ms) ||
        !span_take_varint(in, &counter) || !span_take_varint(in, &instance))
        return false;
    if (origin <= *last || before_ms > t->time_ms || counter > STAMP_COUNTER_MAX)
        return false;
    *last = origin;

    stamp_t stamp = stamp_make(t->time_ms - before_ms, (uint32_t)counter, origin);

    if (stamp_time(stamp) == 0)
        return false;
    vector_set(&t->seen, stamp);
    t->instance[origin] = instance;
    return true;
}

static bool take_all(struct span in, struct token *t)
{
    static const uint64_t most_ms = (UINT64_C(1) << 44) - 1;
    uint64_t count;
    uint8_t version;
    int last = 0; /* origin 0 is nobody's */

    if (!span_take_u8(&in, &version) || version != TOKEN_VERSION || !span_take_u8(&in, &t->shard) ||
        !span_take_varint(&in, &t->time_ms) || t->time_ms > most_ms ||
        !span_take_varint(&in, &count) || count >= STAMP_ORIGINS)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!take_entry(&in, t, &last))
            return false;
    }
    return in.len == 0;
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
