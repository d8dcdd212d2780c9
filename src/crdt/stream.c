#include "crdt/stream.h"

#include "base/check.h"

static void put_big_endian(uint8_t *at, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * (7 - i)));
}

static uint64_t get_big_endian(const uint8_t *at)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v = v << 8 | at[i];
    return v;
}

struct span stream_id_encode(struct stream_id id, uint8_t *bytes)
{
    put_big_endian(bytes, id.ms);
    put_big_endian(bytes + 8, id.sequence);
    return span_of(bytes, STREAM_ID_BYTES);
}

struct stream_id stream_id_decode(struct span name)
{
    CHECK(name.len == STREAM_ID_BYTES);
    return (struct stream_id){ get_big_endian(name.at), get_big_endian(name.at + 8) };
}

bool stream_fields_valid(struct span value)
{
    uint64_t n;
    struct span s;
    if (value.len > UINT32_MAX || !span_take_varint(&value, &n))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!span_take_prefixed(&value, &s) || !span_take_prefixed(&value, &s))
            return false;
    }
    return value.len == 0;
}

uint64_t stream_fields_count(struct span *value)
{
    uint64_t n;
    CHECK(span_take_varint(value, &n));
    return n;
}

struct span stream_fields_next(struct span *value)
{
    struct span s;
    CHECK(span_take_prefixed(value, &s));
    return s;
}
