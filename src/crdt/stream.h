/*
 * stream -- entries by id: how ids and fields are written down.
 *
 * An id is (milliseconds, sequence) of 64 bits each, as in Redis; in an object it is its 16 bytes
 * big-endian, so that memcmp is the order. The id that XADD * makes is the op's stamp:
 * ms-(counter * 256 + origin), unique everywhere. An entry's fields are its register's value:
 *
 *     varint n, then n x (name, value), each with its length before it
 */
#ifndef CRDT_STREAM_H
#define CRDT_STREAM_H

#include "base/buffer.h"
#include "clock/stamp.h"

enum { STREAM_ID_BYTES = 16 };

struct stream_id {
    uint64_t ms, sequence;
};

static inline struct stream_id stream_id_of_stamp(stamp_t s)
{
    return (struct stream_id){ stamp_ms(s),
                               s & ((1 << (STAMP_COUNTER_BITS + STAMP_ORIGIN_BITS)) - 1) };
}

static inline int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.sequence < b.sequence ? -1 : a.sequence > b.sequence;
}

/* `bytes` has room for STREAM_ID_BYTES. */
struct span stream_id_encode(struct stream_id id, uint8_t *bytes);
struct stream_id stream_id_decode(struct span name); /* of a name of that length */

bool stream_fields_valid(struct span value);

/* Reading the fields of a valid value: the count first, then name and value in turn. */
uint64_t stream_fields_count(struct span *value);
struct span stream_fields_next(struct span *value);

#endif
