#include "store/recover.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "store/segment.h"

struct recovery {
    struct oplog *log;
    oplog_replay_fn replay;
    void *context;
    struct oplog_report *report;
    struct segment_reader reader; /* of the segment at hand */
    char name[SEGMENT_NAME_BYTES];
    uint64_t lsn;          /* all below is read */
    uint64_t promised_lsn; /* the highest place that some record names as durable */
};

static int disk_error(struct oplog *log, int err)
{
    snprintf(log->problem, sizeof log->problem, "%s", log->disk->detail);
    return err;
}

static int rot(struct recovery *r, const char *proof)
{
    snprintf(
        r->log->problem, sizeof r->log->problem,
        "%s: damaged at offset %llu: a record that was durable is not there any more, as %s shows",
        r->name, (unsigned long long)segment_offset(r->reader.start_lsn, r->lsn), proof);
    return E_CORRUPT;
}

/* Finding the segments */

static void note_segment(void *context, const char *name)
{
    struct oplog *log = context;
    uint64_t start_lsn;
    if (!segment_parse_name(name, &start_lsn))
        return;
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap == 0 ? 16 : log->segment_cap * 2;
        log->segments = mem_realloc(log->segments, log->segment_cap * sizeof log->segments[0]);
    }
    log->segments[log->segment_count++] = (struct oplog_segment){ .start_lsn = start_lsn };
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t left = ((const struct oplog_segment *)a)->start_lsn;
    uint64_t right = ((const struct oplog_segment *)b)->start_lsn;
    return left < right ? -1 : left > right;
}

static int list_segments(struct oplog *log)
{
    int err = log->disk->ops->list(log->disk, note_segment, log);
    if (err)
        return disk_error(log, err);
    if (log->segment_count > 0)
        qsort(log->segments, log->segment_count, sizeof log->segments[0], compare_segments);
    return E_OK;
}

static int measure_segment(struct oplog *log, struct oplog_segment *segment)
{
    struct disk *disk = log->disk;
    struct disk_file *file;
    char name[SEGMENT_NAME_BYTES];
    segment_name(segment->start_lsn, name);
    int err = disk->ops->open(disk, name, false, &file);
    if (err)
        return disk_error(log, err);
    err = disk->ops->size(disk, file, &segment->file_bytes);
    disk->ops->close(disk, file);
    return err ? disk_error(log, err) : E_OK;
}

static uint64_t room_of(const struct oplog_segment *segment)
{
    return segment->file_bytes > SEGMENT_HEADER_BYTES ? segment->file_bytes - SEGMENT_HEADER_BYTES
                                                      : 0;
}

/* Where to begin */

static int files_missing(struct oplog *log, const char *what, uint64_t there_lsn)
{
    snprintf(log->problem, sizeof log->problem,
             "the log %s LSN %llu, %s the checkpoint, which stands at %llu: log files are missing",
             what, (unsigned long long)there_lsn,
             there_lsn > log->options.replay_from ? "after" : "before",
             (unsigned long long)log->options.replay_from);
    return E_CORRUPT;
}

/* A segment that need not be read: all of it is known by its name and the next one's. */
static int pass_segment(struct oplog *log, struct oplog_segment *segment, uint64_t next_lsn)
{
    segment->end_lsn = next_lsn;
    if (next_lsn - segment->start_lsn <= room_of(segment))
        return E_OK;
    char name[SEGMENT_NAME_BYTES];
    segment_name(segment->start_lsn, name);
    snprintf(log->problem, sizeof log->problem,
             "%s: has no room for the log up to LSN %llu, where the next segment begins: log files "
             "are missing",
             name, (unsigned long long)next_lsn);
    return E_CORRUPT;
}

/* Sets *first to the segment that holds options.replay_from, or ends there. */
static int find_first(struct oplog *log, size_t *first)
{
    uint64_t from_lsn = log->options.replay_from;
    *first = 0;
    if (from_lsn == 0)
        return E_OK;
    if (log->segment_count == 0)
        return files_missing(log, "ends at", 0);
    if (log->segments[0].start_lsn > from_lsn)
        return files_missing(log, "begins at", log->segments[0].start_lsn);
    int err = E_OK;
    while (err == E_OK && *first + 1 < log->segment_count &&
           log->segments[*first + 1].start_lsn <= from_lsn) {
        err = pass_segment(log, &log->segments[*first], log->segments[*first + 1].start_lsn);
        (*first)++;
    }
    return err;
}

static int plan(struct recovery *r, size_t *first)
{
    struct oplog *log = r->log;
    int err = list_segments(log);
    for (size_t i = 0; err == E_OK && i < log->segment_count; i++)
        err = measure_segment(log, &log->segments[i]);
    if (err == E_OK)
        err = find_first(log, first);
    if (err || log->segment_count == 0)
        return err;
    const struct oplog_segment *last = &log->segments[log->segment_count - 1];
    uint64_t from_lsn = log->segments[*first].start_lsn, end_lsn = last->start_lsn + room_of(last);
    if (from_lsn < log->options.replay_from)
        from_lsn = log->options.replay_from;
    r->report->total_bytes = end_lsn > from_lsn ? end_lsn - from_lsn : 0;
    return E_OK;
}

/* One segment's header */

static bool is_our_number(const struct oplog_options *options, uint32_t region)
{
    return region == options->region || (region < 256 && bits_have(options->regions, region));
}

static int judge_owner(struct oplog *log, const char *name, const struct segment_header *header)
{
    const struct oplog_options *options = &log->options;
    bool ours = header->deployment_crc == crc32c(0, span_str(options->deployment));
    if (ours && is_our_number(options, header->region))
        return E_OK;
    snprintf(log->problem, sizeof log->problem,
             "%s: belongs to region number %u of %s deployment, not to region number %u of %s",
             name, header->region, ours ? "this" : "another", options->region, options->deployment);
    return E_FOREIGN;
}

int recover_check_header(struct oplog *log, uint64_t start_lsn, struct span bytes)
{
    struct segment_header header;
    const char *problem = "its header at offset 8 names another place in the log: was the file "
                          "renamed?";
    char name[SEGMENT_NAME_BYTES];
    segment_name(start_lsn, name);
    int err = segment_read_header(bytes, &header);
    if (err == E_OK && header.start_lsn == start_lsn)
        return judge_owner(log, name, &header);
    if (err == E_VERSION)
        problem = "written by a newer version of meridian: start that one";
    else if (err != E_OK)
        problem = "damaged at offset 0: the header does not match its checksum";
    snprintf(log->problem, sizeof log->problem, "%s: %s", name, problem);
    return err ? err : E_CORRUPT;
}

/* Sets *usable to false for a segment whose making was cut short by a crash: it never held a
 * record. */
static int read_header(struct recovery *r, bool last, bool *usable)
{
    struct span bytes;
    struct segment_header header;
    uint64_t start_lsn = r->reader.start_lsn;
    *usable = true;
    int err = segment_bytes(&r->reader, 0, SEGMENT_HEADER_BYTES, &bytes);
    if (err)
        return disk_error(r->log, err);
    err = recover_check_header(r->log, start_lsn, bytes);
    if (err == E_OK || segment_read_header(bytes, &header) != E_CORRUPT)
        return err;

    /* Records come only after the header is durable: one good record, or a next segment, proves
     * rot. */
    enum record_verdict verdict = RECORD_GOOD;
    struct record record;
    int failed = last ? segment_search(&r->reader, start_lsn, &verdict, &record) : E_OK;
    if (failed)
        return disk_error(r->log, failed);
    *usable = false;
    if (verdict == RECORD_GOOD)
        return err;
    r->log->problem[0] = '\0';
    return E_OK;
}

/* Records */

/* The defect loses_last_record. */
static bool is_last(struct recovery *r, struct record *record)
{
    enum record_verdict next = RECORD_BAD, verdict;
    if (segment_record(&r->reader, r->lsn + record->bytes, &next, record) != E_OK)
        return true;
    return next != RECORD_GOOD || segment_record(&r->reader, r->lsn, &verdict, record) != E_OK;
}

static int no_record_begins(struct recovery *r)
{
    snprintf(r->log->problem, sizeof r->log->problem,
             "%s: no record begins at LSN %llu, where the checkpoint stands", r->name,
             (unsigned long long)r->log->options.replay_from);
    return E_CORRUPT;
}

/* Hands on a good record, unless the checkpoint has it. */
static int replay_record(struct recovery *r, const struct record *record)
{
    uint64_t from_lsn = r->log->options.replay_from;
    if (r->lsn < from_lsn)
        return record->bytes > from_lsn - r->lsn ? no_record_begins(r) : E_OK;
    int err = r->replay(r->context, record);
    if (err)
        return err;
    r->report->records++;
    r->report->bytes += record->bytes;
    return E_OK;
}

/* Goes over good records up to `limit_lsn` or the first place that holds none. */
static int replay_records(struct recovery *r, uint64_t limit_lsn)
{
    while (r->lsn < limit_lsn) {
        enum record_verdict verdict;
        struct record record;
        int err = segment_record(&r->reader, r->lsn, &verdict, &record);
        if (err)
            return disk_error(r->log, err);
        if (verdict != RECORD_GOOD || record.bytes > limit_lsn - r->lsn)
            return E_OK;
        if (MUTATION(loses_last_record) && limit_lsn == UINT64_MAX && is_last(r, &record))
            return E_OK;
        err = replay_record(r, &record);
        if (err)
            return err;
        r->lsn += record.bytes;
        if (record.synced_lsn > r->promised_lsn)
            r->promised_lsn = record.synced_lsn;
    }
    return E_OK;
}

/* A segment with a next one: durable to its end before that was made. */
static int recover_finished(struct recovery *r, struct oplog_segment *segment, uint64_t next_lsn)
{
    int err = replay_records(r, next_lsn);
    if (err)
        return err;
    segment->end_lsn = r->lsn;
    if (r->lsn == next_lsn)
        return E_OK;
    char proof[64];
    char next_name[SEGMENT_NAME_BYTES];
    segment_name(next_lsn, next_name);
    snprintf(proof, sizeof proof, "the next segment %s", next_name);
    return rot(r, proof);
}

/* Fails if some record after the bad place was written when that place was already durable, or the
 * checkpoint was. */
static int refuse_rot(struct recovery *r)
{
    uint64_t lsn = r->lsn + 1;
    if (r->lsn < r->log->options.replay_from)
        return rot(r, "the checkpoint");
    for (;;) {
        enum record_verdict verdict;
        struct record record;
        int err = segment_search(&r->reader, lsn, &verdict, &record);
        if (err)
            return disk_error(r->log, err);
        if (verdict != RECORD_GOOD)
            return E_OK;
        if (record.synced_lsn > r->lsn) {
            char proof[64];
            snprintf(proof, sizeof proof, "a later record at offset %llu",
                     (unsigned long long)segment_offset(r->reader.start_lsn, record.lsn));
            return rot(r, proof);
        }
        lsn = record.lsn + record.bytes;
    }
}

/* Frees the place from `offset` on of what was never promised, durably, before any LSN from there
 * is used again: a stale record that names its own place would look like a new one. */
static int cut(struct recovery *r, struct disk_file *file, uint64_t offset, uint64_t file_bytes)
{
    struct disk *disk = r->log->disk;
    int err = disk->ops->truncate(disk, file, offset);
    if (err == E_OK)
        err = disk->ops->allocate(disk, file, file_bytes);
    if (err == E_OK)
        err = disk->ops->sync(disk, file);
    return err ? disk_error(r->log, err) : E_OK;
}

static int recover_last(struct recovery *r, struct oplog_segment *segment, struct disk_file *file)
{
    int err = replay_records(r, UINT64_MAX);
    if (err)
        return err;
    segment->end_lsn = r->lsn;

    uint64_t offset = segment_offset(segment->start_lsn, r->lsn);
    uint64_t first, last;
    struct segment_reader rest; /* reads ahead, while r->reader must still stand at the bad place */
    segment_reader_init(&rest, r->log->disk, file, segment->start_lsn);
    err = segment_nonzero(&rest, offset, &first, &last);
    segment_reader_release(&rest);
    if (err)
        return disk_error(r->log, err);
    if (first != UINT64_MAX) {
        err = refuse_rot(r);
        if (err)
            return err;
        r->report->cut_bytes = last - offset + 1;
        snprintf(r->report->cut_place, sizeof r->report->cut_place, "%s at %llu", r->name,
                 (unsigned long long)offset);
    } else if (r->lsn < r->log->options.replay_from) {
        return files_missing(r->log, "ends at", r->lsn);
    }
    uint64_t wanted = r->log->options.segment_bytes;
    bool whole = first == UINT64_MAX && segment->file_bytes >= wanted;
    if (segment->file_bytes < wanted)
        segment->file_bytes = wanted;
    return whole ? E_OK : cut(r, file, offset, segment->file_bytes);
}

/* Reads segment `index`; its file stays open as the log's tail when it is the last and has
 * records. */
static int recover_segment(struct recovery *r, size_t index, bool *usable)
{
    struct oplog *log = r->log;
    struct oplog_segment *segment = &log->segments[index];
    bool last = index + 1 == log->segment_count;
    struct disk_file *file;
    segment_name(segment->start_lsn, r->name);
    int err = log->disk->ops->open(log->disk, r->name, false, &file);
    if (err)
        return disk_error(log, err);
    segment_reader_init(&r->reader, log->disk, file, segment->start_lsn);
    r->lsn = segment->start_lsn;

    err = read_header(r, last, usable);
    if (err == E_OK && *usable)
        err = last ? recover_last(r, segment, file)
                   : recover_finished(r, segment, log->segments[index + 1].start_lsn);
    segment_reader_release(&r->reader);
    if (err == E_OK && last && r->lsn > segment->start_lsn)
        log->tail = file;
    else
        log->disk->ops->close(log->disk, file);
    return err;
}

int recover_log(struct oplog *log, oplog_replay_fn replay, void *context,
                struct oplog_report *report)
{
    struct recovery r = { .log = log, .replay = replay, .context = context, .report = report };
    size_t first = 0;
    r.promised_lsn = log->options.replay_from;
    int err = plan(&r, &first);
    for (size_t i = first; err == E_OK && i < log->segment_count; i++) {
        bool usable;
        err = recover_segment(&r, i, &usable);
    }
    if (err == E_OK && r.lsn < log->options.replay_from)
        err = files_missing(log, "ends at", r.lsn); /* with a segment that holds nothing */
    if (err)
        return err;
    log->end_lsn = r.lsn;
    log->durable_lsn = r.lsn;
    if (log->tail == NULL) {
        log->segment_count -= log->segment_count > 0;
        return E_OK;
    }
    uint64_t tail_start = log->segments[log->segment_count - 1].start_lsn;
    log->durable_lsn = r.promised_lsn > tail_start ? r.promised_lsn : tail_start;
    CHECK(log->durable_lsn <= log->end_lsn);
    return E_OK;
}
