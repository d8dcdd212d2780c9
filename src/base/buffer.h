/*
 * buffer -- bytes that grow.
 *
 * Owns its memory. Appending may move it: spans into a buffer die at the next append.
 * Zeroed memory is a valid empty buffer; buffer_release leaves it so.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/span.h"

struct buffer {
    uint8_t *at;
    size_t len;
    size_t cap;
};

void buffer_grow(struct buffer *b, size_t more); /* makes room for `more` bytes past len */
void buffer_release(struct buffer *b);

/* Room for `more` bytes at the end; the caller writes there, then adds to len. */
static inline uint8_t *buffer_room(struct buffer *b, size_t more)
{
    if (b->cap - b->len < more)
        buffer_grow(b, more);
    return b->at + b->len;
}

static inline void buffer_clear(struct buffer *b)
{
    b->len = 0;
}

/* Empties it; room for more than `keep_bytes` is given back. */
static inline void buffer_empty(struct buffer *b, size_t keep_bytes)
{
    b->len = 0;
    if (b->cap > keep_bytes)
        buffer_release(b);
}

static inline struct span buffer_span(const struct buffer *b)
{
    return span_of(b->at, b->len);
}

static inline void buffer_put_bytes(struct buffer *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buffer_room(b, len), bytes, len);
    b->len += len;
}

static inline void buffer_put(struct buffer *b, struct span s)
{
    buffer_put_bytes(b, s.at, s.len);
}

static inline void buffer_put_u8(struct buffer *b, uint8_t v)
{
    *buffer_room(b, 1) = v;
    b->len++;
}

void buffer_put_u32(struct buffer *b, uint32_t v);
void buffer_put_u64(struct buffer *b, uint64_t v);
void buffer_put_varint(struct buffer *b, uint64_t v);
void buffer_put_prefixed(struct buffer *b, struct span s); /* varint length, then bytes */
void buffer_put_text(struct buffer *b, const char *text);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Decimal digits of v; returns how many were written to `to`, which holds at least 21. */
size_t decimal_of_int64(int64_t v, char *to);

/* The shortest decimal that reads back as the same double ("3", "0.1", "1e+21", "inf"); `to` holds
 * 32. */
size_t decimal_of_double(double v, char *to);

/* Its 17 digits, as "%.17g" ("3", "0.10000000000000001"): how Redis 7.0 writes scores. `to` holds
 * 32. */
size_t decimal_of_score(double v, char *to);

/* Drops `len` bytes from the front, moving the rest down. */
void buffer_consume(struct buffer *b, size_t len);

/* Zigzag, so that small negative numbers stay small varints. */
static inline uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
