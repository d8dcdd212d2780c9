/*
 * span -- a view of bytes that somebody else owns.
 *
 * Passed by value, never freed. The span_take_* readers are the one cursor with
 * which every format is decoded: each consumes from the front of *in and returns
 * false, leaving *in untouched, when the bytes are too few or malformed.
 * Integers are little-endian; varints are LEB128, at most 10 bytes, shortest or not.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *at;
    size_t len;
};

static inline struct span span_of(const void *at, size_t len)
{
    return (struct span){ (const uint8_t *)at, len };
}

static inline struct span span_str(const char *text)
{
    return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII case folded comparison, for command words and option names. */
bool span_equal_nocase(struct span a, const char *word);

/* Bytewise order, a prefix first: <0, 0 or >0. */
int span_compare(struct span a, struct span b);

/* The part from `from` on; empty when from >= len. */
static inline struct span span_skip(struct span s, size_t from)
{
    return from >= s.len ? span_of(s.at + s.len, 0) : span_of(s.at + from, s.len - from);
}

bool span_take_u8(struct span *in, uint8_t *out);
bool span_take_u32(struct span *in, uint32_t *out);
bool span_take_u64(struct span *in, uint64_t *out);
bool span_take_varint_slow(struct span *in, uint64_t *out);
bool span_take_bytes(struct span *in, size_t len, struct span *out);
bool span_take_prefixed(struct span *in, struct span *out); /* varint length, then bytes */

static inline bool span_take_varint(struct span *in, uint64_t *out)
{
    if (in->len > 0 && in->at[0] < 0x80) {
        *out = in->at[0];
        in->at++;
        in->len--;
        return true;
    }
    return span_take_varint_slow(in, out);
}

/* Strict decimal, as Redis reads it: optional '-', no spaces, no leading zeros, no overflow. */
bool span_to_int64(struct span s, int64_t *out);

/* A finite double or +-inf ("inf", "+inf", "-inf"), whole span; NaN, hex and spaces are refused. */
bool span_to_double(struct span s, double *out);

#endif
