#include "store/logwalk.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

/* --- segments --- */

static enum logwalk_found disk_failed(struct logwalk *w)
{
    snprintf(w->problem, sizeof(w->problem), "%s", w->disk->detail);
    return LOGWALK_FAILED;
}

static enum logwalk_found damaged(struct logwalk *w, uint64_t offset, const char *what)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(w->start_lsn, name);
    snprintf(w->problem, sizeof(w->problem), "%s: damaged at offset %llu: %s", name,
             (unsigned long long)offset, what);
    return LOGWALK_DAMAGED;
}

static void note_segment(void *context, const char *name)
{
    struct logwalk *w = context;
    uint64_t start_lsn;
    if (!segment_parse_name(name, &start_lsn))
        return;
    if (w->count == w->cap) {
        w->cap = w->cap == 0 ? 16 : w->cap * 2;
        w->segments = mem_realloc(w->segments, w->cap * sizeof(w->segments[0]));
    }
    w->segments[w->count++] = (struct logwalk_segment){ .start_lsn = start_lsn };
}

static int by_start(const void *a, const void *b)
{
    uint64_t x = ((const struct logwalk_segment *)a)->start_lsn;
    uint64_t y = ((const struct logwalk_segment *)b)->start_lsn;
    return x < y ? -1 : x > y;
}

static int list(struct logwalk *w)
{
    w->count = 0;
    int error = w->disk->ops->list(w->disk, note_segment, w);
    if (error != E_OK)
        disk_failed(w);
    else if (w->count > 0)
        qsort(w->segments, w->count, sizeof(w->segments[0]), by_start);
    return error;
}

/* The last one that starts at or before w->lsn. */
static const struct logwalk_segment *find(const struct logwalk *w)
{
    const struct logwalk_segment *found = NULL;
    for (size_t i = 0; i < w->count && w->segments[i].start_lsn <= w->lsn; i++)
        found = &w->segments[i];
    return found;
}

static void close_segment(struct logwalk *w)
{
    if (w->file == NULL)
        return;
    segment_reader_release(&w->reader);
    w->disk->ops->close(w->disk, w->file);
    w->file = NULL;
}

/* What was read is forgotten: the file may have changed under it. */
static void read_anew(struct logwalk *w)
{
    segment_reader_release(&w->reader);
    segment_reader_init(&w->reader, w->disk, w->file, w->start_lsn);
}

static enum logwalk_found check_header(struct logwalk *w)
{
    struct span bytes;
    if (segment_bytes(&w->reader, 0, SEGMENT_HEADER_BYTES, &bytes) != E_OK)
        return disk_failed(w);
    int error = segment_read_header(bytes, &w->header);
    if ((error == E_OK && w->header.start_lsn == w->start_lsn) || w->passed_lsn == w->start_lsn)
        return LOGWALK_RECORD;
    return damaged(w, 0,
                   error == E_VERSION ? "written by a newer version of meridian"
                   : error == E_OK    ? "the header names another place in the log"
                                      : "the header does not match its checksum");
}

/* A segment that is being made has no header yet, and no record. */
static bool is_being_made(struct logwalk *w)
{
    uint64_t first, last;
    read_anew(w);
    bool empty = segment_nonzero(&w->reader, 0, &first, &last) == E_OK && first == UINT64_MAX;
    read_anew(w);
    return empty && w->next_lsn == UINT64_MAX;
}

/* Opens the segment that holds w->lsn. */
static enum logwalk_found open_segment(struct logwalk *w)
{
    char name[SEGMENT_NAME_BYTES];
    const struct logwalk_segment *segment = find(w);
    close_segment(w);
    if (segment == NULL)
        return w->count == 0 && w->lsn == 0 ? LOGWALK_END : LOGWALK_GONE;
    w->start_lsn = segment->start_lsn;
    w->next_lsn = segment + 1 < w->segments + w->count ? segment[1].start_lsn : UINT64_MAX;
    segment_name(w->start_lsn, name);
    int error = w->disk->ops->open(w->disk, name, false, &w->file);
    if (error == E_MISSING)
        return LOGWALK_GONE;
    if (error != E_OK)
        return disk_failed(w);
    segment_reader_init(&w->reader, w->disk, w->file, w->start_lsn);
    enum logwalk_found found = check_header(w);
    if (found == LOGWALK_DAMAGED && is_being_made(w)) {
        close_segment(w);
        return LOGWALK_END;
    }
    return found;
}

int logwalk_open(struct logwalk *w, struct disk *disk)
{
    *w = (struct logwalk){ .disk = disk, .passed_lsn = UINT64_MAX };
    int error = list(w);
    if (error == E_OK)
        w->lsn = logwalk_begin(w);
    return error;
}

void logwalk_close(struct logwalk *w)
{
    close_segment(w);
    mem_free(w->segments);
    *w = (struct logwalk){ 0 };
}

uint64_t logwalk_begin(const struct logwalk *w)
{
    return w->count == 0 ? 0 : w->segments[0].start_lsn;
}

void logwalk_seek(struct logwalk *w, uint64_t lsn)
{
    close_segment(w);
    w->lsn = lsn;
}

/* --- records --- */

static enum logwalk_found read_record(struct logwalk *w, enum record_verdict *verdict,
                                      struct record *record)
{
    if (segment_record(&w->reader, w->lsn, verdict, record) != E_OK)
        return disk_failed(w);
    bool beyond = *verdict == RECORD_GOOD && record->bytes > w->next_lsn - w->lsn;
    if (beyond)
        *verdict = RECORD_BAD;
    return LOGWALK_RECORD;
}

/* Whether a later record of the last segment, which has nothing after the offset `last`, was
 * written when the bad place was durable. Reads ahead of it: so with a reader of its own. */
static enum logwalk_found look_for_proof(struct logwalk *w, uint64_t last, bool *proof)
{
    struct segment_reader ahead;
    struct record record;
    enum record_verdict verdict;
    uint64_t lsn = w->lsn + 1;
    int error = E_OK;
    *proof = false;
    segment_reader_init(&ahead, w->disk, w->file, w->start_lsn);
    while (error == E_OK && !*proof && segment_offset(w->start_lsn, lsn) <= last) {
        error = segment_record(&ahead, lsn, &verdict, &record);
        bool good = error == E_OK && verdict == RECORD_GOOD;
        *proof = good && record.synced_lsn > w->lsn;
        lsn += good ? record.bytes : 1;
    }
    segment_reader_release(&ahead);
    return error == E_OK ? LOGWALK_END : disk_failed(w);
}

/* A record that was durable is to be there now, even if it was just being written when it was
 * looked for. */
static enum logwalk_found look_after_proof(struct logwalk *w, struct record *record)
{
    enum record_verdict verdict;
    read_anew(w);
    enum logwalk_found found = read_record(w, &verdict, record);
    if (found != LOGWALK_RECORD || verdict == RECORD_GOOD)
        return found;
    return damaged(w, segment_offset(w->start_lsn, w->lsn),
                   "a record that was durable is not there any more");
}

/* No good record at w->lsn of the last segment: the end, a torn tail, or rot. */
static enum logwalk_found judge_end(struct logwalk *w, struct record *record)
{
    uint64_t first, last, offset = segment_offset(w->start_lsn, w->lsn);
    bool proof;
    w->torn_bytes = 0;
    if (segment_nonzero(&w->reader, offset, &first, &last) != E_OK)
        return disk_failed(w);
    read_anew(w);
    if (first == UINT64_MAX)
        return LOGWALK_END;
    w->torn_bytes = last - offset + 1;
    enum logwalk_found found = look_for_proof(w, last, &proof);
    return found == LOGWALK_END && proof ? look_after_proof(w, record) : found;
}

static enum logwalk_found judge(struct logwalk *w, struct record *record)
{
    if (w->next_lsn == UINT64_MAX)
        return judge_end(w, record);
    return damaged(w, segment_offset(w->start_lsn, w->lsn),
                   "no good record is there, though the log goes on in the next file");
}

/* The record at w->lsn, of the segments that were listed last. */
static enum logwalk_found look(struct logwalk *w, struct record *record)
{
    enum record_verdict verdict;
    enum logwalk_found found = LOGWALK_RECORD;
    if (w->file == NULL || w->lsn >= w->next_lsn)
        found = open_segment(w);
    if (found != LOGWALK_RECORD)
        return found;
    found = read_record(w, &verdict, record);
    if (found != LOGWALK_RECORD || verdict == RECORD_GOOD)
        return found;
    return judge(w, record);
}

enum logwalk_found logwalk_next(struct logwalk *w, struct record *record)
{
    enum logwalk_found found = look(w, record);
    if (found != LOGWALK_RECORD && found != LOGWALK_FAILED) {
        /* Once more, with what is there now. */
        close_segment(w);
        if (list(w) != E_OK)
            return LOGWALK_FAILED;
        found = look(w, record);
    }
    if (found == LOGWALK_RECORD)
        w->lsn += record->bytes;
    else
        close_segment(w);
    return found;
}

enum logwalk_found logwalk_too_short(struct logwalk *w)
{
    return damaged(w, segment_offset(w->start_lsn, w->lsn), "a record that was there is not");
}

/* --- after damage --- */

/* The next good record of the open segment, at or after `lsn`; LOGWALK_END: there is none. */
static enum logwalk_found search_segment(struct logwalk *w, uint64_t lsn)
{
    struct record record;
    enum record_verdict verdict;
    read_anew(w);
    if (segment_search(&w->reader, lsn, &verdict, &record) != E_OK)
        return disk_failed(w);
    if (verdict != RECORD_GOOD || record.bytes > w->next_lsn - record.lsn)
        return LOGWALK_END;
    w->lsn = record.lsn;
    read_anew(w);
    return LOGWALK_RECORD;
}

enum logwalk_found logwalk_resync(struct logwalk *w)
{
    enum logwalk_found found = open_segment(w);
    uint64_t lsn = w->lsn;
    if (found == LOGWALK_DAMAGED) { /* a bad header says nothing about the records */
        w->passed_lsn = w->start_lsn;
        found = search_segment(w, w->lsn);
    } else if (found == LOGWALK_RECORD) {
        found = search_segment(w, w->lsn + 1);
    }
    if (found != LOGWALK_END && found != LOGWALK_GONE)
        return found;
    close_segment(w);
    for (size_t i = 0; i < w->count; i++) {
        if (w->segments[i].start_lsn > lsn) {
            w->lsn = w->segments[i].start_lsn;
            return LOGWALK_RECORD;
        }
    }
    return LOGWALK_END;
}
