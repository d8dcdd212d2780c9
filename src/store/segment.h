/*
 * segment -- one file of the log (store/oplog.h has the format): its name, its header, and reading
 * through it.
 *
 * A reader holds a window of the file and grows it when a record needs more, so that a segment of
 * any size is read in pieces.
 * Threads: the owner of the log.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "env/disk.h"
#include "wire/record.h"

enum {
    SEGMENT_HEADER_BYTES = 64, /* where records begin; the header itself is 32 */
    SEGMENT_NAME_BYTES = 21,   /* 16 hex digits, ".log" and the final zero */
};

/* What a header says, beside its fixed parts. */
struct segment_header {
    uint64_t start_lsn;
    uint32_t region;
    uint32_t deployment_crc;
};

void segment_name(uint64_t start_lsn, char name[SEGMENT_NAME_BYTES]);
bool segment_parse_name(const char *name, uint64_t *start_lsn);

void segment_write_header(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_BYTES]);

/* E_CORRUPT when it is not a whole header, E_VERSION when a newer version wrote it. */
int segment_read_header(struct span in, struct segment_header *out);

struct segment_reader {
    struct disk *disk;
    struct disk_file *file; /* borrowed */
    uint64_t start_lsn;
    uint64_t window_offset; /* of window.at[0] in the file */
    struct buffer window;
};

void segment_reader_init(struct segment_reader *r, struct disk *disk, struct disk_file *file,
                         uint64_t start_lsn);
void segment_reader_release(struct segment_reader *r);

/* The bytes at `offset`: `want` of them, more when they are at hand, fewer only at the end of the
 * file. Borrowed until the next call. */
int segment_bytes(struct segment_reader *r, uint64_t offset, size_t want, struct span *out);

/* Judges the record that should stand at `lsn`; never RECORD_SHORT: what the file ends in is
 * RECORD_BAD, or RECORD_NONE when too few bytes for a length are left. */
int segment_record(struct segment_reader *r, uint64_t lsn, enum record_verdict *verdict,
                   struct record *out);

/* Sets *first to the offset of the first byte that is not zero at or after `offset`, and *last to
 * that of the last one; both to UINT64_MAX when all are zero. */
int segment_nonzero(struct segment_reader *r, uint64_t offset, uint64_t *first, uint64_t *last);

/* Looks for a good record at every byte from `lsn` on; *verdict is RECORD_NONE when there is none
 * up to the end. */
int segment_search(struct segment_reader *r, uint64_t lsn, enum record_verdict *verdict,
                   struct record *out);

static inline uint64_t segment_offset(uint64_t start_lsn, uint64_t lsn)
{
    return SEGMENT_HEADER_BYTES + (lsn - start_lsn);
}

#endif
