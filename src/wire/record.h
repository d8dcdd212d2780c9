/*
 * record -- the framing of one entry of the log.
 *
 *     offset  bytes
 *     0       4     length of the payload; 0 = nothing written here yet
 *     4       4     CRC32C of bytes 8 .. 20 + length
 *     8       8     LSN: the record's own place, bytes since the log began
 *     16      4     synced: LSN minus the LSN below which all was durable when this was written
 *                   (saturating at 2^32 - 1)
 *     20      ...   payload: a batch (wire/batch.h)
 *
 * The LSN inside makes a record recognisable at its place only; `synced` tells a torn tail (its
 * bytes were never promised to be durable) from rot (they were): see store/oplog.h.
 */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "base/buffer.h"

enum { RECORD_HEADER_BYTES = 20, RECORD_PAYLOAD_MAX = 256 << 20 };

enum record_verdict {
    RECORD_GOOD,
    RECORD_NONE, /* length 0: the end of what was written */
    /* more bytes are needed: *need says how many from the record's start */
    RECORD_SHORT,
    RECORD_BAD, /* wrong length, place or checksum */
};

struct record {
    uint64_t lsn;
    uint64_t synced_lsn; /* all below was durable when this was written */
    struct span payload;
    size_t bytes; /* header and payload */
};

/* Writes the header for `payload_len` bytes that already stand at header + RECORD_HEADER_BYTES. */
void record_seal(uint8_t *header, size_t payload_len, uint64_t lsn, uint64_t synced_lsn);

/* Judges the record that should stand at `lsn` at the front of `in`; *out borrows from `in`. */
enum record_verdict record_read(struct span in, uint64_t lsn, struct record *out, size_t *need);

#endif
