/*
 * oplog -- a region's one log, in preallocated segments.
 *
 * A segment is a file named by the LSN of its first record (16 hex digits, ".log"):
 *
 *     offset 0   8   magic "MRDNLOG1"
 *            8   8   LSN of the first record
 *            16  4   region number
 *            20  4   CRC32C of the deployment's name
 *            24  4   format version (1)
 *            28  4   CRC32C of bytes 0 .. 28
 *            64  ... records (wire/record.h), back to back; then zeros
 *
 * LSNs count record bytes only, without gaps over segments, and are never used twice: opening after
 * a torn tail goes on at the place of the cut, and zeroes what stood after it first.
 * Recovery reads the records in order and hands them to `replay`. At the first bad one it looks for
 * later good records: one that was written when the bad place was already durable proves rot, an
 * error that names file and offset; otherwise the bytes were never promised, and the tail is cut
 * there. A segment is made only when the one before is durable to its end: a bad record in any but
 * the last is rot too.
 * Where a checkpoint stands (`replay_from`), the log was durable: what ends or is bad before that is
 * an error too. Earlier segments are not read, only listed: one that could not reach the next is
 * missing something, else what is wrong with them shows when they are read.
 * Segments go from the front only (oplog_drop), so that what is left has no gaps, after any crash. What goes
 * is the file's name: none is used again for another segment, so no segment has bytes but its own.
 * Errors:  after a failed write or sync, E_FULL or E_IO, the log is broken for good (`broken`): it
 *          never writes again, and every call but oplog_read and oplog_close answers E_IO.
 * Threads: one owner. Blocking, through env/disk.h.
 */
#ifndef STORE_OPLOG_H
#define STORE_OPLOG_H

#include "env/disk.h"
#include "wire/record.h"

struct oplog_options {
    const char *deployment;
    uint32_t region;        /* whose log it is: new segments say so */
    uint64_t regions[4];    /* bits of further numbers that it bore before */
    uint64_t segment_bytes; /* preallocated size; a larger record gets a segment of its own */
    uint64_t replay_from;   /* a record's place, or the log's end; 0: the log's own beginning */
    bool durable_first;     /* what is replayed is durable: the log is read twice */
};

struct oplog_segment {
    uint64_t start_lsn;
    uint64_t end_lsn; /* of what is written; == next segment's start */
    uint64_t file_bytes;
};

struct oplog {
    struct disk *disk;
    struct oplog_options options;
    struct oplog_segment *segments; /* ascending */
    size_t segment_count, segment_cap;
    struct disk_file *tail;    /* the last segment, open for append */
    struct disk_file *reading; /* the earlier segment that was read last, or NULL */
    uint64_t reading_lsn;      /* its start */
    uint64_t end_lsn;          /* next record goes here */
    uint64_t durable_lsn;
    bool broken;
    bool names_unsynced; /* a segment's name is gone, but maybe not on the disk */
    char problem[320];   /* one line: file, offset, cause; set with every error */
};

struct oplog_report {
    uint64_t total_bytes; /* to be replayed at most, known before the first record: the last segment
                           * counts as if it were full */
    uint64_t records;     /* replayed */
    uint64_t bytes;
    uint64_t cut_bytes; /* torn tail, 0 when none */
    char cut_place[96]; /* "FILE at OFFSET", when cut_bytes > 0 */
};

/* Returns nonzero to stop the recovery with that error (the caller knows why). */
typedef int (*oplog_replay_fn)(void *context, const struct record *record);

/* Opens or creates the log and replays it. On error `problem` is the line for people. */
int oplog_open(struct oplog *log, struct disk *disk, const struct oplog_options *options,
               oplog_replay_fn replay, void *context, struct oplog_report *report);
void oplog_close(struct oplog *log);

/* Appends sealed records (one or more, whole, the first at end_lsn). Not yet durable. */
int oplog_append(struct oplog *log, struct span records);
int oplog_sync(struct oplog *log);

/* Syncs; the next record begins a new segment. E_FULL: there is no room for one; then the log is not broken,
 * and goes on where it was. */
int oplog_roll(struct oplog *log);

/* Removes the segments that end at or before `lsn`, oldest first, never the last. When a removal
 * fails, the log goes on as before with what is left, and the next call tries again. */
int oplog_drop(struct oplog *log, uint64_t lsn);

uint64_t oplog_start_lsn(const struct oplog *log);
uint64_t oplog_bytes(const struct oplog *log); /* of its files */

/* Appends to `out` whole record bytes from `lsn` (a record's place) on: at least one record when
 * there is one below `limit_lsn`, else up to about `want` bytes. E_MISSING when `lsn` is before the
 * first segment. Headers and records are checked: `problem` names file and offset of a bad one. */
int oplog_read(struct oplog *log, uint64_t lsn, uint64_t limit_lsn, size_t want,
               struct buffer *out);

#endif
