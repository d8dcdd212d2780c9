/*
 * logwalk -- reads a log that somebody else owns: beside the server that writes it, from a back-up,
 * or one that is damaged.
 *
 *     logwalk_open      lists the segments
 *     logwalk_seek      goes to a record's place
 *     logwalk_next      the record there, and past it
 *     logwalk_resync    after damage: on to the next good record
 *
 * Nothing is changed, and nothing is taken for granted: segments may come, grow and go meanwhile.
 * What looks damaged is read anew before it is called so. Whether what stands after the last good
 * record of the last segment is a torn tail or rot is judged as recovery does (store/oplog.h).
 * Threads: one owner. Blocking, through env/disk.h.
 */
#ifndef STORE_LOGWALK_H
#define STORE_LOGWALK_H

#include "store/segment.h"

enum { LOGWALK_PROBLEM_MAX = 320 };

enum logwalk_found {
    LOGWALK_RECORD,
    LOGWALK_END,     /* of what was written so far; torn_bytes follow it */
    LOGWALK_GONE,    /* the log that is there begins later */
    LOGWALK_DAMAGED, /* `problem` names file and offset */
    LOGWALK_FAILED,  /* the disk; `problem` says how */
};

struct logwalk_segment {
    uint64_t start_lsn, file_bytes;
};

struct logwalk {
    struct disk *disk;
    struct logwalk_segment *segments; /* ascending */
    size_t count, cap;
    struct segment_header header;
    struct disk_file *file; /* NULL: none is open */
    struct segment_reader reader;
    uint64_t start_lsn,
        next_lsn;        /* of the open one, and of the one after it; UINT64_MAX: the last */
    uint64_t lsn;        /* of the record that comes next */
    uint64_t passed_lsn; /* start of a segment whose header is bad, and was told */
    uint64_t torn_bytes; /* with LOGWALK_END */
    char problem[LOGWALK_PROBLEM_MAX];
};

/* E_OK also when there is no log; else an error of the disk, in `problem`. */
int logwalk_open(struct logwalk *w, struct disk *disk);
void logwalk_close(struct logwalk *w);

/* Where the log that is there begins; 0 when there is none. */
uint64_t logwalk_begin(const struct logwalk *w);

/* The next record is the one at `lsn`. */
void logwalk_seek(struct logwalk *w, uint64_t lsn);

/* The record borrows until the next call; its header stands right before the payload. */
enum logwalk_found logwalk_next(struct logwalk *w, struct record *record);

/* After LOGWALK_DAMAGED: goes to the next good record, or to the end; LOGWALK_RECORD (logwalk_next
 * gives it), LOGWALK_END, LOGWALK_FAILED. */
enum logwalk_found logwalk_resync(struct logwalk *w);

/* After LOGWALK_END, for who knows that the log goes on there: it is damage. */
enum logwalk_found logwalk_too_short(struct logwalk *w);

/* The bytes of a record as they stand in the log. */
static inline struct span logwalk_bytes(const struct record *record)
{
    return span_of(record->payload.at - RECORD_HEADER_BYTES, record->bytes);
}

#endif
