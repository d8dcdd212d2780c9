#include "bin/backup_log.h"

#include <stdio.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "host/clocks.h"
#include "host/disk_posix.h"

enum { WRITE_BYTES = 1 << 20 };

bool backup_log_open(struct backup_log *l, const char *data, struct disk *from, struct disk *to,
                     struct manifest_base *base)
{
    *l = (struct backup_log){ .data = data, .to = to, .base = base };
    if (logwalk_open(&l->walk, from) == E_OK) {
        logwalk_seek(&l->walk, base->end_lsn);
        return true;
    }
    snprintf(l->problem, sizeof(l->problem), "%s: %s", data, l->walk.problem);
    return false;
}

static void close_file(struct backup_log *l)
{
    if (l->file != NULL)
        l->to->ops->close(l->to, l->file);
    l->file = NULL;
}

void backup_log_close(struct backup_log *l)
{
    close_file(l);
    logwalk_close(&l->walk);
    buffer_release(&l->pending);
}

/* --- what went wrong --- */

static enum backup_verdict failed(struct backup_log *l, const char *where, const char *what)
{
    snprintf(l->problem, sizeof(l->problem), "%s: %s", where, what);
    return BACKUP_FAILED;
}

static enum backup_verdict write_failed(struct backup_log *l)
{
    return failed(l, l->base->name, l->to->detail);
}

static enum backup_verdict parts(struct backup_log *l, const char *why)
{
    snprintf(l->problem, sizeof(l->problem), "%s", why);
    return BACKUP_PARTS;
}

static enum backup_verdict walk_failed(struct backup_log *l, enum logwalk_found found)
{
    if (found == LOGWALK_GONE)
        return parts(l, "the region has dropped log that is not in the back-up");
    snprintf(l->problem, sizeof(l->problem), "%s: %s%s", l->data, l->walk.problem,
             found == LOGWALK_DAMAGED ? "; see meridian repair --check" : "");
    return BACKUP_FAILED;
}

/* --- where the two meet --- */

static const struct manifest_segment *last_segment(const struct manifest_base *b)
{
    return &b->segments[b->segment_count - 1];
}

enum backup_verdict backup_log_compare(struct backup_log *l)
{
    const struct manifest_segment *last = last_segment(l->base);
    struct record record;
    enum logwalk_found found = LOGWALK_RECORD;
    uint32_t crc = 0;
    /* Dropped up to the very place: the streams are compared all the same. */
    if (logwalk_begin(&l->walk) > last->start_lsn && logwalk_begin(&l->walk) <= last->end_lsn) {
        logwalk_seek(&l->walk, last->end_lsn);
        return BACKUP_GOOD;
    }
    logwalk_seek(&l->walk, last->start_lsn);
    while (l->walk.lsn < last->end_lsn && found == LOGWALK_RECORD) {
        found = logwalk_next(&l->walk, &record);
        if (found == LOGWALK_RECORD)
            crc = crc32c(crc, logwalk_bytes(&record));
    }
    if (found == LOGWALK_END)
        return parts(l, "the region's log ends before the back-up does");
    if (found != LOGWALK_RECORD)
        return walk_failed(l, found);
    if (l->walk.lsn != last->end_lsn || crc != last->crc)
        return parts(l, "the region's log is not the one that the back-up has");
    return BACKUP_GOOD;
}

/* --- writing --- */

static int open_segment(struct backup_log *l, const struct manifest_segment *s)
{
    char name[SEGMENT_NAME_BYTES];
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct segment_header h = l->walk.header;
    h.start_lsn = s->start_lsn;
    segment_write_header(&h, header);
    segment_name(s->start_lsn, name);
    int error = l->to->ops->open(l->to, name, true, &l->file);
    /* What an interrupted run has left goes. */
    if (error == E_OK)
        error = l->to->ops->truncate(l->to, l->file, segment_offset(s->start_lsn, s->end_lsn));
    if (error == E_OK && s->end_lsn == s->start_lsn)
        error = l->to->ops->write(l->to, l->file, 0, span_of(header, sizeof(header)));
    return error;
}

static int flush(struct backup_log *l)
{
    struct manifest_segment *s = &l->base->segments[l->base->segment_count - 1];
    struct span bytes = buffer_span(&l->pending);
    int error = E_OK;
    if (l->file == NULL)
        error = open_segment(l, s);
    if (error == E_OK)
        error = l->to->ops->write(l->to, l->file, segment_offset(s->start_lsn, s->end_lsn), bytes);
    if (error != E_OK)
        return error;
    s->crc = crc32c(s->crc, bytes);
    s->end_lsn += bytes.len;
    l->base->end_lsn = s->end_lsn;
    l->bytes += bytes.len;
    buffer_clear(&l->pending);
    return E_OK;
}

/* All that was copied, durable. */
static int settle(struct backup_log *l)
{
    int error = l->base->segment_count > 0 ? flush(l) : E_OK;
    if (error == E_OK && l->file != NULL)
        error = l->to->ops->sync(l->to, l->file);
    if (error == E_OK)
        error = l->to->ops->sync_names(l->to);
    return error;
}

static int begin_segment(struct backup_log *l, uint64_t lsn)
{
    int error = settle(l);
    close_file(l);
    struct manifest_segment *s = manifest_add_segment(l->base);
    s->start_lsn = s->end_lsn = lsn;
    return error;
}

static int put_record(struct backup_log *l, const struct record *record)
{
    const struct manifest_base *b = l->base;
    bool begins = record->lsn == l->walk.start_lsn && last_segment(b)->start_lsn != record->lsn;
    int error = begins ? begin_segment(l, record->lsn) : E_OK;
    buffer_put(&l->pending, logwalk_bytes(record));
    if (error == E_OK && l->pending.len >= WRITE_BYTES)
        error = flush(l);
    return error;
}

/* --- copying --- */

static bool meets(struct backup_log *l, const struct copy_start *meet)
{
    return meet == NULL || l->walk.lsn != meet->lsn || chain_meets(&l->base->end, meet);
}

static enum backup_verdict copy_records(struct backup_log *l, bool follow,
                                        const struct copy_start *meet)
{
    struct record record;
    for (;;) {
        if (!meets(l, meet))
            return parts(l, "the region has objects that did not come by its log: it was "
                            "bootstrapped");
        enum logwalk_found found = logwalk_next(&l->walk, &record);
        if (found == LOGWALK_END)
            return BACKUP_GOOD;
        if (found != LOGWALK_RECORD)
            return walk_failed(l, found);
        if (follow && !chain_follow(&l->base->end, record.payload))
            return parts(l, "the region's log does not continue what the back-up has");
        if (put_record(l, &record) != E_OK)
            return write_failed(l);
    }
}

enum backup_verdict backup_log_copy(struct backup_log *l, bool follow,
                                    const struct copy_start *meet)
{
    if (l->base->segment_count == 0 && begin_segment(l, l->base->end_lsn) != E_OK)
        return write_failed(l);
    enum backup_verdict verdict = copy_records(l, follow, meet);
    if (verdict != BACKUP_GOOD)
        return verdict;
    return settle(l) == E_OK ? BACKUP_GOOD : write_failed(l);
}

/* --- how far it reaches --- */

uint64_t backup_log_moment(const char *data)
{
    return disk_posix_is_taken(data) ? clocks_wall_us() / 1000 : 0;
}

uint64_t backup_log_until_ms(const struct manifest_base *base, uint64_t moment_ms)
{
    uint64_t newest_ms = base->end.newest != 0 ? stamp_ms(base->end.newest) : 0;
    if (moment_ms > newest_ms)
        newest_ms = moment_ms;
    if (newest_ms < base->until_ms)
        newest_ms = base->until_ms;
    return newest_ms != 0 ? newest_ms : clocks_wall_us() / 1000; /* nothing was ever written */
}

/* --- reading it back --- */

bool backup_log_verify(struct backup_log *l, const struct copy_start *start)
{
    struct logwalk w;
    struct record record;
    enum logwalk_found found = LOGWALK_RECORD;
    bool good = logwalk_open(&w, l->to) == E_OK, follows = true;
    chain_begin(&l->base->end, start);
    logwalk_seek(&w, l->base->start_lsn);
    while (good && follows && w.lsn < l->base->end_lsn) {
        found = logwalk_next(&w, &record);
        if (found == LOGWALK_END)
            found = logwalk_too_short(&w);
        good = found == LOGWALK_RECORD;
        follows = !good || chain_follow(&l->base->end, record.payload);
    }
    if (!follows)
        failed(l, l->data, "its log does not continue its checkpoint: is it being bootstrapped?");
    else if (!good)
        failed(l, l->base->name, found == LOGWALK_GONE ? "its log is not there" : w.problem);
    logwalk_close(&w);
    return good && follows;
}
