#include "wire/packed.h"

#include "base/buffer.h"

enum {
    END = 0xff,
    LONG_LENGTH = 0xfe, /* four bytes of it follow */
    ZIPLIST_HEADER = 10,
    LISTPACK_HEADER = 6,
};

/* An integer of 1 to 8 bytes. */
static bool take_little(struct span *in, size_t bytes, uint64_t *out)
{
    struct span s;

    if (!span_take_bytes(in, bytes, &s))
        return false;
    *out = 0;
    for (size_t i = bytes; i > 0; i--)
        *out = *out << 8 | s.at[i - 1];
    return true;
}

static bool take_big(struct span *in, size_t bytes, uint64_t *out)
{
    struct span s;

    if (!span_take_bytes(in, bytes, &s))
        return false;
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out = *out << 8 | s.at[i];
    return true;
}

static bool take_long(struct span *in, uint64_t len, struct span *out)
{
    return len <= in->len && span_take_bytes(in, (size_t)len, out);
}

static int64_t sign_extended(uint64_t bits, unsigned width)
{
    uint64_t sign = UINT64_C(1) << (width - 1);

    return (int64_t)((bits ^ sign) - sign);
}

static void put_number(int64_t number, char *digits, struct span *out)
{
    *out = span_of(digits, decimal_of_int64(number, digits));
}

/* A signed little-endian integer, as text. */
static bool take_number(struct span *in, size_t bytes, char *digits, struct span *out)
{
    uint64_t bits;

    if (!take_little(in, bytes, &bits))
        return false;
    put_number(sign_extended(bits, (unsigned)bytes * 8), digits, out);
    return true;
}

/* --- ziplist --- */

static bool ziplist_content(struct span *in, uint8_t encoding, char *digits, struct span *out)
{
    uint64_t len;

    switch (encoding >> 6) {
    case 0:
        return take_long(in, encoding & 0x3f, out);
    case 1:
        return take_big(in, 1, &len) && take_long(in, (encoding & 0x3fu) << 8 | len, out);
    case 2:
        return take_big(in, 4, &len) && take_long(in, len, out);
    default:
        break;
    }
    switch (encoding) {
    case 0xc0:
        return take_number(in, 2, digits, out);
    case 0xd0:
        return take_number(in, 4, digits, out);
    case 0xe0:
        return take_number(in, 8, digits, out);
    case 0xf0:
        return take_number(in, 3, digits, out);
    case 0xfe:
        return take_number(in, 1, digits, out);
    default:
        break;
    }
    if (encoding < 0xf1 || encoding > 0xfd)
        return false;
    put_number(encoding - 0xf1, digits, out); /* 0 to 12 */
    return true;
}

static bool ziplist_entry(struct span *in, char *digits, struct span *out)
{
    uint64_t before;
    uint8_t first, encoding;

    return span_take_u8(in, &first) && (first != LONG_LENGTH || take_little(in, 4, &before)) &&
           span_take_u8(in, &encoding) && ziplist_content(in, encoding, digits, out);
}

/* --- listpack --- */

static bool listpack_content(struct span *in, uint8_t encoding, char *digits, struct span *out)
{
    uint64_t more;

    if (encoding < 0x80) {
        put_number(encoding, digits, out);
        return true;
    }
    if (encoding < 0xc0)
        return take_long(in, encoding & 0x3f, out);
    if (encoding < 0xf0) {
        if (!take_little(in, 1, &more))
            return false;
        if (encoding >= 0xe0)
            return take_long(in, (encoding & 0x0fu) << 8 | more, out);
        put_number(sign_extended((encoding & 0x1fu) << 8 | more, 13), digits, out);
        return true;
    }
    switch (encoding) {
    case 0xf0:
        return take_little(in, 4, &more) && take_long(in, more, out);
    case 0xf1:
        return take_number(in, 2, digits, out);
    case 0xf2:
        return take_number(in, 3, digits, out);
    case 0xf3:
        return take_number(in, 4, digits, out);
    case 0xf4:
        return take_number(in, 8, digits, out);
    default:
        return false;
    }
}

/* How many bytes the length at the end of an entry takes. Redis gives the greatest length of two to
 * four bytes one byte more than it needs. */
static size_t length_bytes(size_t entry_bytes)
{
    size_t bytes = 2;

    if (entry_bytes < 128)
        return 1;
    while (bytes < 5 && entry_bytes >= ((size_t)1 << (7 * bytes)) - 1)
        bytes++;
    return bytes;
}

static bool listpack_entry(struct span *in, char *digits, struct span *out)
{
    size_t before = in->len;
    struct span backwards;
    uint8_t encoding;

    return span_take_u8(in, &encoding) && listpack_content(in, encoding, digits, out) &&
           span_take_bytes(in, length_bytes(before - in->len), &backwards);
}

/* --- zipmap --- */

static bool zipmap_entry(struct packed *p, struct span *in, struct span *out)
{
    uint8_t first, padding = 0;
    struct span unused;
    uint64_t len;

    if (!span_take_u8(in, &first))
        return false;
    len = first;
    if (first == LONG_LENGTH && !take_little(in, 4, &len))
        return false;
    if (p->at_value && !span_take_u8(in, &padding))
        return false;
    p->at_value = !p->at_value;
    return take_long(in, len, out) && span_take_bytes(in, padding, &unused);
}

/* --- all --- */

static bool open_intset(struct packed *p, struct span blob)
{
    uint64_t count;

    if (!take_little(&blob, 4, &p->number_bytes) || !take_little(&blob, 4, &count))
        return false;
    p->rest = blob;
    return (p->number_bytes == 2 || p->number_bytes == 4 || p->number_bytes == 8) &&
           blob.len == count * p->number_bytes;
}

/* The header says how long the blob is. */
static bool open_list(struct packed *p, struct span blob, size_t header)
{
    struct span in = blob;
    uint64_t bytes;

    if (blob.len <= header || !take_little(&in, 4, &bytes) || bytes != blob.len)
        return false;
    p->rest = span_skip(blob, header);
    return true;
}

bool packed_open(struct packed *p, enum packed_kind kind, struct span blob)
{
    *p = (struct packed){ .kind = kind };
    switch (kind) {
    case PACKED_ZIPLIST:
        return open_list(p, blob, ZIPLIST_HEADER);
    case PACKED_LISTPACK:
        return open_list(p, blob, LISTPACK_HEADER);
    case PACKED_INTSET:
        return open_intset(p, blob);
    case PACKED_ZIPMAP:
        p->rest = span_skip(blob, 1); /* its count stops at 254, and is not needed */
        return blob.len > 1;
    }
    return false;
}

static bool at_end(const struct packed *p)
{
    if (p->kind == PACKED_INTSET)
        return p->rest.len == 0;
    return p->rest.len == 1 && p->rest.at[0] == END && !p->at_value;
}

enum packed_step packed_next(struct packed *p, char *digits, struct span *out)
{
    bool good = false;

    if (at_end(p))
        return PACKED_END;
    if (p->kind != PACKED_INTSET && (p->rest.len == 0 || p->rest.at[0] == END))
        return PACKED_BAD; /* the end too late, or too early */
    switch (p->kind) {
    case PACKED_ZIPLIST:
        good = ziplist_entry(&p->rest, digits, out);
        break;
    case PACKED_LISTPACK:
        good = listpack_entry(&p->rest, digits, out);
        break;
    case PACKED_INTSET:
        good = take_number(&p->rest, p->number_bytes, digits, out);
        break;
    case PACKED_ZIPMAP:
        good = zipmap_entry(p, &p->rest, out);
        break;
    }
    return good ? PACKED_ITEM : PACKED_BAD;
}
