#include "store/oplog.h"

#include <stdio.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "store/recover.h"
#include "store/segment.h"

enum { HARDEN_BYTES = 1 << 20 };

static int disk_error(struct oplog *log, int err)
{
    snprintf(log->problem, sizeof log->problem, "%s", log->disk->detail);
    return err;
}

/* For what must not fail: what a disk says after a failed write or sync is not to be believed, as
 * it may have dropped the bytes and call the next sync a success. */
static int break_log(struct oplog *log, int err)
{
    log->broken = true;
    return disk_error(log, err);
}

static struct oplog_segment *tail_segment(struct oplog *log)
{
    CHECK(log->segment_count > 0);
    return &log->segments[log->segment_count - 1];
}

static void close_file(struct oplog *log, struct disk_file **file)
{
    if (*file != NULL)
        log->disk->ops->close(log->disk, *file);
    *file = NULL;
}

static void add_segment(struct oplog *log, uint64_t file_bytes)
{
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap == 0 ? 16 : log->segment_cap * 2;
        log->segments = mem_realloc(log->segments, log->segment_cap * sizeof log->segments[0]);
    }
    log->segments[log->segment_count++] = (struct oplog_segment){
        .start_lsn = log->end_lsn,
        .end_lsn = log->end_lsn,
        .file_bytes = file_bytes,
    };
}

/* Makes the file of the segment that begins at end_lsn, durable with its name. What a crash left of an
 * earlier try goes first. */
static int make_file(struct oplog *log, uint64_t file_bytes, struct disk_file **file)
{
    const struct segment_header header = {
        .start_lsn = log->end_lsn,
        .region = log->options.region,
        .deployment_crc = crc32c(0, span_str(log->options.deployment)),
    };
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char name[SEGMENT_NAME_BYTES];
    segment_write_header(&header, bytes);
    segment_name(log->end_lsn, name);

    struct disk *disk = log->disk;
    int err = disk->ops->open(disk, name, true, file);
    if (err == E_OK)
        err = disk->ops->truncate(disk, *file, 0);
    if (err == E_OK)
        err = disk->ops->allocate(disk, *file, file_bytes);
    if (err == E_OK)
        err = disk->ops->write(disk, *file, 0, span_of(bytes, sizeof bytes));
    if (err == E_OK)
        err = disk->ops->sync(disk, *file);
    if (err == E_OK)
        err = disk->ops->sync_names(disk);
    if (err)
        close_file(log, file);
    return err;
}

/* Opens the segment that begins at end_lsn as the tail. The segment before must be durable: recovery
 * relies on it. When it fails reads go to the one before, which is still the last. */
static int start_segment(struct oplog *log, uint64_t file_bytes)
{
    CHECK(log->tail == NULL && log->durable_lsn == log->end_lsn);
    int err = make_file(log, file_bytes, &log->tail);
    if (err)
        return break_log(log, err);
    add_segment(log, file_bytes);
    return E_OK;
}

/* Writes what was read back but never promised once more, then syncs. After a failed sync the
 * kernel may show bytes that are not on the disk and hold them for clean: only a new write makes it
 * try again. */
static int harden_tail(struct oplog *log)
{
    struct disk *disk = log->disk;
    struct buffer bytes = { 0 };
    uint64_t lsn = log->durable_lsn;
    int err = E_OK;
    while (err == E_OK && lsn < log->end_lsn) {
        uint64_t offset = segment_offset(tail_segment(log)->start_lsn, lsn);
        uint64_t want = log->end_lsn - lsn < HARDEN_BYTES ? log->end_lsn - lsn : HARDEN_BYTES;
        buffer_clear(&bytes);
        err = disk->ops->read(disk, log->tail, offset, (size_t)want, &bytes);
        if (err == E_OK)
            err = disk->ops->write(disk, log->tail, offset, buffer_span(&bytes));
        lsn += want;
    }
    buffer_release(&bytes);
    if (err == E_OK)
        err = disk->ops->sync(disk, log->tail);
    if (err == E_OK)
        err = disk->ops->sync_names(disk);
    if (err)
        return break_log(log, err);
    log->durable_lsn = log->end_lsn;
    return E_OK;
}

static int pass(void *context, const struct record *record)
{
    (void)context;
    (void)record;
    return E_OK;
}

/* All that the log holds is durable then, and what it does not hold is cut off. */
static int make_durable(struct oplog *log, struct oplog_report *report)
{
    int err = recover_log(log, pass, NULL, report);
    if (err == E_OK && log->tail != NULL)
        err = harden_tail(log);
    oplog_close(log);
    log->segment_cap = 0;
    return err;
}

static int recover_all(struct oplog *log, oplog_replay_fn replay, void *context,
                       struct oplog_report *report)
{
    struct oplog_report first = { 0 };
    int err = log->options.durable_first ? make_durable(log, &first) : E_OK;
    if (err == E_OK) {
        log->broken = false;
        err = recover_log(log, replay, context, report);
    }
    if (first.cut_bytes == 0)
        return err;
    report->cut_bytes = first.cut_bytes;
    memcpy(report->cut_place, first.cut_place, sizeof(report->cut_place));
    return err;
}

int oplog_open(struct oplog *log, struct disk *disk, const struct oplog_options *options,
               oplog_replay_fn replay, void *context, struct oplog_report *report)
{
    *log = (struct oplog){ .disk = disk, .options = *options };
    *report = (struct oplog_report){ 0 };
    CHECK(options->segment_bytes > SEGMENT_HEADER_BYTES);
    int err = recover_all(log, replay, context, report);
    if (err == E_OK && log->tail != NULL)
        err = harden_tail(log);
    else if (err == E_OK)
        err = start_segment(log, options->segment_bytes);
    if (err) {
        log->broken = true;
        oplog_close(log);
    }
    return err;
}

void oplog_close(struct oplog *log)
{
    close_file(log, &log->tail);
    close_file(log, &log->reading);
    mem_free(log->segments);
    log->segments = NULL;
    log->segment_count = log->segment_cap = 0;
    log->broken = true;
}

/* Appending */

static uint64_t tail_room(struct oplog *log)
{
    const struct oplog_segment *segment = tail_segment(log);
    uint64_t used = segment_offset(segment->start_lsn, segment->end_lsn);
    return segment->file_bytes > used ? segment->file_bytes - used : 0;
}

/* The size of the record at the front, which the caller sealed for `lsn`. */
static size_t sealed_bytes(struct span records, uint64_t lsn)
{
    uint32_t payload_bytes, crc;
    uint64_t own_lsn;
    CHECK(records.len > RECORD_HEADER_BYTES);
    size_t most = records.len - RECORD_HEADER_BYTES;
    CHECK(span_take_u32(&records, &payload_bytes) && span_take_u32(&records, &crc));
    CHECK(span_take_u64(&records, &own_lsn) && own_lsn == lsn);
    CHECK(payload_bytes > 0 && payload_bytes <= most);
    return RECORD_HEADER_BYTES + payload_bytes;
}

/* How many bytes of whole records fit into the tail. */
static size_t fitting_bytes(struct oplog *log, struct span records)
{
    uint64_t room = tail_room(log);
    size_t bytes = 0;
    while (bytes < records.len) {
        size_t next = sealed_bytes(span_skip(records, bytes), log->end_lsn + bytes);
        if (bytes + next > room)
            break;
        bytes += next;
    }
    return bytes;
}

/* Ends the tail, durably, and begins another. */
static int next_segment(struct oplog *log, uint64_t file_bytes)
{
    int err = oplog_sync(log);
    if (err)
        return err;
    close_file(log, &log->tail);
    return start_segment(log, file_bytes);
}

/* Makes place for a record that does not fit: the next segment, or a larger one while this is
 * empty. */
static int make_room(struct oplog *log, uint64_t record_bytes)
{
    uint64_t needed = SEGMENT_HEADER_BYTES + record_bytes;
    uint64_t file_bytes = needed > log->options.segment_bytes ? needed : log->options.segment_bytes;
    struct oplog_segment *segment = tail_segment(log);
    if (segment->start_lsn == segment->end_lsn) {
        int err = log->disk->ops->allocate(log->disk, log->tail, file_bytes);
        if (err)
            return break_log(log, err);
        segment->file_bytes = file_bytes;
        return E_OK;
    }
    return next_segment(log, file_bytes);
}

int oplog_append(struct oplog *log, struct span records)
{
    if (log->broken)
        return E_IO;
    while (records.len > 0) {
        size_t bytes = fitting_bytes(log, records);
        if (bytes == 0) {
            int err = make_room(log, sealed_bytes(records, log->end_lsn));
            if (err)
                return err;
            continue;
        }
        struct oplog_segment *segment = tail_segment(log);
        uint64_t offset = segment_offset(segment->start_lsn, log->end_lsn);
        int err = log->disk->ops->write(log->disk, log->tail, offset, span_of(records.at, bytes));
        if (err)
            return break_log(log, err);
        log->end_lsn += bytes;
        segment->end_lsn = log->end_lsn;
        records = span_skip(records, bytes);
    }
    return E_OK;
}

int oplog_sync(struct oplog *log)
{
    if (log->broken)
        return E_IO;
    if (log->durable_lsn == log->end_lsn)
        return E_OK;
    int err = log->disk->ops->sync(log->disk, log->tail);
    if (err)
        return break_log(log, err);
    log->durable_lsn = log->end_lsn;
    return E_OK;
}

/* There was no room for a segment: nothing was written into it, and the tail goes on, once the name of a
 * later one cannot come back. */
static int forget_file(struct oplog *log)
{
    char name[SEGMENT_NAME_BYTES];
    disk_error(log, E_FULL);
    segment_name(log->end_lsn, name);
    int err = log->disk->ops->remove(log->disk, name);
    if (err == E_OK || err == E_MISSING)
        err = log->disk->ops->sync_names(log->disk);
    return err ? break_log(log, err) : E_FULL;
}

int oplog_roll(struct oplog *log)
{
    if (log->broken)
        return E_IO;
    const struct oplog_segment *segment = tail_segment(log);
    struct disk_file *next = NULL;
    if (segment->start_lsn == segment->end_lsn)
        return E_OK;
    int err = oplog_sync(log);
    if (err)
        return err;
    err = make_file(log, log->options.segment_bytes, &next);
    if (err)
        return err == E_FULL ? forget_file(log) : break_log(log, err);
    close_file(log, &log->tail);
    log->tail = next;
    add_segment(log, log->options.segment_bytes);
    return E_OK;
}

/* Dropping */

uint64_t oplog_start_lsn(const struct oplog *log)
{
    CHECK(log->segment_count > 0);
    return log->segments[0].start_lsn;
}

uint64_t oplog_bytes(const struct oplog *log)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < log->segment_count; i++)
        bytes += log->segments[i].file_bytes;
    return bytes;
}

/* A crash may undo any of the removals that were not synced, and so leave a gap: they are made
 * durable one by one. */
static int sync_removal(struct oplog *log)
{
    int err = log->names_unsynced ? log->disk->ops->sync_names(log->disk) : E_OK;
    if (err)
        return disk_error(log, err);
    log->names_unsynced = false;
    return E_OK;
}

static int drop_first(struct oplog *log)
{
    uint64_t start_lsn = log->segments[0].start_lsn;
    char name[SEGMENT_NAME_BYTES];
    if (log->reading != NULL && log->reading_lsn == start_lsn)
        close_file(log, &log->reading);
    segment_name(start_lsn, name);
    int err = log->disk->ops->remove(log->disk, name);
    if (err && err != E_MISSING)
        return disk_error(log, err);
    log->names_unsynced = true;
    log->segment_count--;
    memmove(log->segments, log->segments + 1, log->segment_count * sizeof log->segments[0]);
    return sync_removal(log);
}

int oplog_drop(struct oplog *log, uint64_t lsn)
{
    if (log->broken)
        return E_IO;
    int err = sync_removal(log);
    while (err == E_OK && log->segment_count > 1 && log->segments[0].end_lsn <= lsn)
        err = drop_first(log);
    return err;
}

/* Reading */

/* The segment that holds `lsn`: the last one that starts at or before it. */
static const struct oplog_segment *find_segment(const struct oplog *log, uint64_t lsn)
{
    size_t low = 0, high = log->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle].start_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &log->segments[low - 1];
}

/* Opens it as `reading`, when its header is good: recovery may not have looked at it. */
static int open_earlier(struct oplog *log, uint64_t start_lsn)
{
    struct disk *disk = log->disk;
    struct buffer header = { 0 };
    char name[SEGMENT_NAME_BYTES];
    segment_name(start_lsn, name);
    close_file(log, &log->reading);
    int err = disk->ops->open(disk, name, false, &log->reading);
    if (err == E_OK)
        err = disk->ops->read(disk, log->reading, 0, SEGMENT_HEADER_BYTES, &header);
    err = err ? disk_error(log, err) : recover_check_header(log, start_lsn, buffer_span(&header));
    buffer_release(&header);
    if (err)
        close_file(log, &log->reading);
    log->reading_lsn = start_lsn;
    return err;
}

static int open_segment(struct oplog *log, const struct oplog_segment *segment,
                        struct disk_file **file)
{
    if (segment == tail_segment(log) && log->tail != NULL) {
        *file = log->tail;
        return E_OK;
    }
    int err = E_OK;
    if (log->reading == NULL || log->reading_lsn != segment->start_lsn)
        err = open_earlier(log, segment->start_lsn);
    *file = log->reading;
    return err;
}

static int bad_record(struct oplog *log, const struct oplog_segment *segment, uint64_t lsn)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(segment->start_lsn, name);
    snprintf(log->problem, sizeof log->problem,
             "%s: damaged at offset %llu: the record does not match its checksum", name,
             (unsigned long long)segment_offset(segment->start_lsn, lsn));
    return E_CORRUPT;
}

/* The bytes of whole, good records at the front, which begin at `lsn`; 0 with *need when the first
 * is cut off, and with *need = 0 when it is bad. */
static size_t good_bytes(struct span in, uint64_t lsn, size_t *need)
{
    size_t good = 0;
    struct record record;
    *need = 0;
    while (record_read(span_skip(in, good), lsn + good, &record, need) == RECORD_GOOD)
        good += record.bytes;
    return good;
}

int oplog_read(struct oplog *log, uint64_t lsn, uint64_t limit_lsn, size_t want, struct buffer *out)
{
    if (limit_lsn > log->end_lsn)
        limit_lsn = log->end_lsn;
    if (lsn >= limit_lsn)
        return E_OK;
    const struct oplog_segment *segment = find_segment(log, lsn);
    if (segment == NULL) {
        snprintf(log->problem, sizeof log->problem, "the log before LSN %llu is no longer kept",
                 (unsigned long long)log->segments[0].start_lsn);
        return E_MISSING;
    }
    struct disk_file *file;
    int err = open_segment(log, segment, &file);
    if (err)
        return err;

    uint64_t end_lsn = segment->end_lsn < limit_lsn ? segment->end_lsn : limit_lsn;
    uint64_t offset = segment_offset(segment->start_lsn, lsn);
    size_t before = out->len, good = 0;
    size_t need = want < RECORD_HEADER_BYTES ? RECORD_HEADER_BYTES : want;
    if (need > end_lsn - lsn)
        need = (size_t)(end_lsn - lsn);
    while (good == 0) {
        size_t have = out->len - before, asked = need;
        err = log->disk->ops->read(log->disk, file, offset + have, asked - have, out);
        if (err) {
            err = disk_error(log, err);
            break;
        }
        good = good_bytes(span_skip(buffer_span(out), before), lsn, &need);
        bool cut_off = good == 0 && need > asked && out->len - before == asked;
        if (cut_off && need > end_lsn - lsn && need <= segment->end_lsn - lsn)
            break; /* the record reaches over the limit */
        if (good == 0 && (!cut_off || need > end_lsn - lsn)) {
            err = bad_record(log, segment, lsn);
            break;
        }
    }
    out->len = before + good;
    return err;
}
