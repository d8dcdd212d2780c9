#include "base/span.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A double has at most 17 digits that matter; longer texts than this are nobody's number. */
enum { DOUBLE_TEXT_MAX = 512 };

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool span_equal_nocase(struct span a, const char *word)
{
    if (a.len != strlen(word))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower((uint8_t)word[i]))
            return false;
    }
    return true;
}

int span_compare(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool span_take_bytes(struct span *in, size_t len, struct span *out)
{
    if (in->len < len)
        return false;
    *out = span_of(in->at, len);
    *in = span_skip(*in, len);
    return true;
}

bool span_take_u8(struct span *in, uint8_t *out)
{
    struct span bytes;

    if (!span_take_bytes(in, 1, &bytes))
        return false;
    *out = bytes.at[0];
    return true;
}

bool span_take_u32(struct span *in, uint32_t *out)
{
    struct span bytes;

    if (!span_take_bytes(in, 4, &bytes))
        return false;
    *out = 0;
    for (int i = 3; i >= 0; i--)
        *out = *out << 8 | bytes.at[i];
    return true;
}

bool span_take_u64(struct span *in, uint64_t *out)
{
    struct span bytes;

    if (!span_take_bytes(in, 8, &bytes))
        return false;
    *out = 0;
    for (int i = 7; i >= 0; i--)
        *out = *out << 8 | bytes.at[i];
    return true;
}

bool span_take_varint_slow(struct span *in, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < in->len && i < 10; i++) {
        uint64_t part = in->at[i] & 0x7f;

        if (i == 9 && in->at[i] > 1)
            return false; /* more than 64 bits */
        value |= part << (7 * i);
        if (in->at[i] < 0x80) {
            *in = span_skip(*in, i + 1);
            *out = value;
            return true;
        }
    }
    return false;
}

bool span_take_prefixed(struct span *in, struct span *out)
{
    struct span rest = *in;
    uint64_t len;

    if (!span_take_varint(&rest, &len) || len > rest.len)
        return false;
    span_take_bytes(&rest, (size_t)len, out);
    *in = rest;
    return true;
}

bool span_to_int64(struct span s, int64_t *out)
{
    bool negative = s.len > 0 && s.at[0] == '-';
    struct span digits = span_skip(s, negative ? 1 : 0);
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t value = 0;

    if (digits.len == 0 || digits.len > 19)
        return false;
    if (digits.at[0] == '0' && s.len != 1)
        return false; /* "01" and "-0" are strings, as in Redis */
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(digits.at[i] - '0');
    }
    if (value > limit)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool to_infinity(struct span s, double *out)
{
    bool negative = s.len > 0 && s.at[0] == '-';
    bool sign = negative || (s.len > 0 && s.at[0] == '+');
    struct span word = span_skip(s, sign ? 1 : 0);

    if (!span_equal_nocase(word, "inf") && !span_equal_nocase(word, "infinity"))
        return false;
    *out = negative ? -INFINITY : INFINITY;
    return true;
}

/* Only what plain decimal numbers are made of: keeps strtod from reading hex, names and spaces. */
static bool looks_decimal(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == 0 || strchr("0123456789+-.eE", s.at[i]) == NULL)
            return false;
    }
    return s.len > 0;
}

bool span_to_double(struct span s, double *out)
{
    char text[DOUBLE_TEXT_MAX];
    char *end;
    double value;

    if (to_infinity(s, out))
        return true;
    if (s.len >= sizeof(text) || !looks_decimal(s))
        return false;
    memcpy(text, s.at, s.len);
    text[s.len] = 0;
    errno = 0;
    value = strtod(text, &end);
    if (end != text + s.len || !isfinite(value))
        return false;
    if (errno == ERANGE && fpclassify(value) == FP_ZERO)
        return false; /* too small for a double: refused, as Redis does */
    *out = value;
    return true;
}
