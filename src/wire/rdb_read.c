#include "wire/rdb_read.h"

#include <lzf.h>
#include <math.h>
#include <stdio.h>

enum {
    LENGTH_32 = 0x80,
    LENGTH_64 = 0x81,
    TEXT_INT8 = 0xc0,
    TEXT_INT16 = 0xc1,
    TEXT_INT32 = 0xc2,
    TEXT_LZF = 0xc3,
    LZF_RATIO_MAX = 88, /* three bytes stand for at most 264 */
    SCORE_NAN = 253,
    SCORE_INF = 254,
    SCORE_MINUS_INF = 255,
};

bool rdb_fail(struct rdb *r, const char *problem)
{
    if (r->problem == NULL) {
        r->problem = problem;
        r->problem_at = r->at;
    }
    return false;
}

bool rdb_fail_number(struct rdb *r, const char *format, unsigned number)
{
    snprintf(r->problem_text, sizeof(r->problem_text), format, number);
    return rdb_fail(r, r->problem_text);
}

bool rdb_bytes(struct rdb *r, uint64_t len, struct span *out)
{
    if (len > r->file.len - r->at)
        return rdb_fail(r, "the file ends too early");
    *out = span_of(r->file.at + r->at, (size_t)len);
    r->at += (size_t)len;
    return true;
}

bool rdb_u8(struct rdb *r, uint8_t *out)
{
    struct span s;

    return rdb_bytes(r, 1, &s) && span_take_u8(&s, out);
}

bool rdb_u32(struct rdb *r, uint32_t *out)
{
    struct span s;

    return rdb_bytes(r, 4, &s) && span_take_u32(&s, out);
}

bool rdb_u64(struct rdb *r, uint64_t *out)
{
    struct span s;

    return rdb_bytes(r, 8, &s) && span_take_u64(&s, out);
}

static uint64_t big_endian(struct span s)
{
    uint64_t value = 0;

    for (size_t i = 0; i < s.len; i++)
        value = value << 8 | s.at[i];
    return value;
}

/* `high`, which only a length of two bytes has, stands above the bytes that follow. */
static bool rest_of_length(struct rdb *r, size_t bytes, uint64_t high, uint64_t *out)
{
    struct span s;

    if (!rdb_bytes(r, bytes, &s))
        return false;
    *out = high << 8 | big_endian(s);
    return true;
}

static bool length_of(struct rdb *r, uint8_t first, uint64_t *out)
{
    switch (first >> 6) {
    case 0:
        *out = first & 0x3f;
        return true;
    case 1:
        return rest_of_length(r, 1, first & 0x3f, out);
    default:
        break;
    }
    if (first == LENGTH_32)
        return rest_of_length(r, 4, 0, out);
    if (first == LENGTH_64)
        return rest_of_length(r, 8, 0, out);
    r->at--;
    return rdb_fail(r, "there is no length");
}

bool rdb_length(struct rdb *r, uint64_t *out)
{
    uint8_t first;

    return rdb_u8(r, &first) && length_of(r, first, out);
}

bool rdb_stream_id(struct rdb *r, struct stream_id *out)
{
    struct span s;

    if (!rdb_bytes(r, STREAM_ID_BYTES, &s))
        return false;
    *out = stream_id_decode(s);
    return true;
}

bool rdb_length_id(struct rdb *r, struct stream_id *out)
{
    return rdb_length(r, &out->ms) && rdb_length(r, &out->sequence);
}

/* --- strings --- */

static bool text_of_number(struct rdb *r, size_t bytes, struct buffer *scratch, struct span *out)
{
    struct span s;
    uint64_t bits = 0;
    unsigned unused = 64 - 8 * (unsigned)bytes;

    if (!rdb_bytes(r, bytes, &s))
        return false;
    for (size_t i = bytes; i > 0; i--)
        bits = bits << 8 | s.at[i - 1];
    buffer_clear(scratch);
    char *to = (char *)buffer_room(scratch, PACKED_DIGITS);
    *out = span_of(to, decimal_of_int64((int64_t)(bits << unused) >> unused, to));
    return true;
}

/* Decompressed by liblzf, which checks that what it reads and writes is within bounds. */
static bool text_of_lzf(struct rdb *r, struct buffer *scratch, struct span *out)
{
    uint64_t packed_len, len;
    struct span packed;

    if (!rdb_length(r, &packed_len) || !rdb_length(r, &len) || !rdb_bytes(r, packed_len, &packed))
        return false;
    if (len == 0 || len > RDB_TEXT_MAX || packed.len > RDB_TEXT_MAX ||
        len > packed.len * LZF_RATIO_MAX)
        return rdb_fail(r, "a compressed string claims an impossible length");
    buffer_clear(scratch);
    uint8_t *to = buffer_room(scratch, (size_t)len);
    if (lzf_decompress(packed.at, (unsigned)packed.len, to, (unsigned)len) != len)
        return rdb_fail(r, "a compressed string is malformed");
    *out = span_of(to, (size_t)len);
    return true;
}

bool rdb_text(struct rdb *r, struct buffer *scratch, struct span *out)
{
    uint8_t first;
    uint64_t len;

    if (!rdb_u8(r, &first))
        return false;
    switch (first) {
    case TEXT_INT8:
        return text_of_number(r, 1, scratch, out);
    case TEXT_INT16:
        return text_of_number(r, 2, scratch, out);
    case TEXT_INT32:
        return text_of_number(r, 4, scratch, out);
    case TEXT_LZF:
        return text_of_lzf(r, scratch, out);
    default:
        return length_of(r, first, &len) && rdb_bytes(r, len, out);
    }
}

/* --- scores --- */

bool rdb_score_text(struct rdb *r, double *out)
{
    uint8_t len;
    struct span text;

    if (!rdb_u8(r, &len))
        return false;
    switch (len) {
    case SCORE_NAN:
        return rdb_fail(r, "a score is not a number");
    case SCORE_INF:
        *out = INFINITY;
        return true;
    case SCORE_MINUS_INF:
        *out = -INFINITY;
        return true;
    default:
        return rdb_bytes(r, len, &text) &&
               (span_to_double(text, out) || rdb_fail(r, "a score is not a number"));
    }
}

bool rdb_score_binary(struct rdb *r, double *out)
{
    uint64_t bits;

    if (!rdb_u64(r, &bits))
        return false;
    memcpy(out, &bits, sizeof(*out));
    return !isnan(*out) || rdb_fail(r, "a score is not a number");
}
