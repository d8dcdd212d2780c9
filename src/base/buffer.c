#include "base/buffer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

enum { BUFFER_MIN_BYTES = 64 };

void buffer_grow(struct buffer *b, size_t more)
{
    size_t cap = b->cap < BUFFER_MIN_BYTES ? BUFFER_MIN_BYTES : b->cap;

    CHECK(more <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
    while (cap - b->len < more)
        cap *= 2;
    if (cap == b->cap)
        return;
    b->at = mem_realloc(b->at, cap);
    b->cap = cap;
}

void buffer_release(struct buffer *b)
{
    mem_free(b->at);
    *b = (struct buffer){ 0 };
}

static void put_little_endian(struct buffer *b, uint64_t v, size_t bytes)
{
    uint8_t *at = buffer_room(b, bytes);

    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    b->len += bytes;
}

void buffer_put_u32(struct buffer *b, uint32_t v)
{
    put_little_endian(b, v, 4);
}

void buffer_put_u64(struct buffer *b, uint64_t v)
{
    put_little_endian(b, v, 8);
}

void buffer_put_varint(struct buffer *b, uint64_t v)
{
    uint8_t *at = buffer_room(b, 10);

    while (v >= 0x80) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at++ = (uint8_t)v;
    b->len = (size_t)(at - b->at);
}

void buffer_put_prefixed(struct buffer *b, struct span s)
{
    buffer_put_varint(b, s.len);
    buffer_put(b, s);
}

void buffer_put_text(struct buffer *b, const char *text)
{
    buffer_put(b, span_str(text));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    size_t room = 128;
    int len;

    for (;;) {
        va_list args;

        buffer_room(b, room);
        va_start(args, format);
        len = vsnprintf((char *)b->at + b->len, room, format, args);
        va_end(args);
        CHECK(len >= 0);
        if ((size_t)len < room)
            break;
        room = (size_t)len + 1;
    }
    b->len += (size_t)len;
}

size_t decimal_of_int64(int64_t v, char *to)
{
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char digits[20];
    size_t count = 0, len = 0;

    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (v < 0)
        to[len++] = '-';
    while (count > 0)
        to[len++] = digits[--count];
    return len;
}

size_t decimal_of_double(double v, char *to)
{
    if (isnan(v))
        return (size_t)snprintf(to, 32, "nan");
    if (isinf(v))
        return (size_t)snprintf(to, 32, v < 0 ? "-inf" : "inf");
    if (v == floor(v) && fabs(v) <= 1e17)
        return (size_t)snprintf(to, 32, "%.0f", v);
    for (int precision = 15; precision < 17; precision++) {
        size_t len = (size_t)snprintf(to, 32, "%.*g", precision, v);

        if (strtod(to, NULL) == v)
            return len;
    }
    return (size_t)snprintf(to, 32, "%.17g", v);
}

/* Most scores are integers: printf would take most of a reply's time. */
size_t decimal_of_score(double v, char *to)
{
    if (v > -1e17 && v < 1e17 && v == (double)(int64_t)v && (v != 0 || !signbit(v)))
        return decimal_of_int64((int64_t)v, to);
    return (size_t)snprintf(to, 32, "%.17g", v);
}

void buffer_consume(struct buffer *b, size_t len)
{
    CHECK(len <= b->len);
    if (len == 0)
        return;
    b->len -= len;
    memmove(b->at, b->at + len, b->len);
}
