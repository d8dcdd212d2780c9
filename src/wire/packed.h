/*
 * packed -- walks the compact blobs in which Redis keeps small collections.
 *
 *     ziplist   u32 bytes | u32 offset of the last | u16 count | entries | 0xff
 *               entry: length of the one before (1 byte, or 0xfe and 4), encoding, content
 *     listpack  u32 bytes | u16 count | entries | 0xff
 *               entry: encoding, content, their length again, backwards (1 to 5 bytes)
 *     intset    u32 bytes of a number (2, 4, 8) | u32 count | numbers
 *     zipmap    u8 count | entries, names and values in turn | 0xff
 *               entry: length (1 byte, or 0xfe and 4), for values a byte of padding, content, padding
 *
 * Little-endian, but for the lengths in a ziplist. The bytes are untrusted: nothing outside of the
 * blob is read, and the walk is at most as long as the blob.
 * Source: the comments at the head of Redis's ziplist.c, listpack.c, intset.c and zipmap.c.
 */
#ifndef WIRE_PACKED_H
#define WIRE_PACKED_H

#include "base/span.h"

enum packed_kind { PACKED_ZIPLIST, PACKED_LISTPACK, PACKED_INTSET, PACKED_ZIPMAP };
enum packed_step { PACKED_ITEM, PACKED_END, PACKED_BAD };
enum { PACKED_DIGITS = 21 }; /* of a number, as text */

struct packed {
    enum packed_kind kind;
    struct span rest;      /* entries that are left, and the end mark */
    uint64_t number_bytes; /* intset: of each */
    bool at_value;         /* zipmap: a value is next */
};

/* False when the header is not that of such a blob. `blob` is borrowed as long as the walk. */
bool packed_open(struct packed *p, enum packed_kind kind, struct span blob);

/* The next element: bytes of the blob, or a number's text in digits[PACKED_DIGITS]. */
enum packed_step packed_next(struct packed *p, char *digits, struct span *out);

#endif
