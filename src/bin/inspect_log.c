/*
 * inspect_log -- a log, record by record.
 */
#include <stdio.h>

#include "base/error.h"
#include "bin/inspect.h"
#include "crdt/op_name.h"
#include "host/disk_posix.h"
#include "store/logwalk.h"

static bool show_op(struct inspect *x, const struct op *op)
{
    struct lines *l = &x->lines;
    lines_begin(l, "op");
    lines_stamp(l, "stamp", op->stamp);
    lines_text(l, "kind", op_kind_name(op->kind));
    lines_text(l, "component", op_component_name((enum component)op->component));
    lines_number(l, "db", op->db);
    lines_bytes(l, "key", op->key);
    lines_number(l, "payload_bytes", op->payload.len);
    if (op->more)
        lines_flag(l, "more");
    return lines_end(l);
}

static bool show_batch(struct inspect *x, const struct record *record, const struct batch *b)
{
    struct lines *l = &x->lines;
    struct batch_walk walk = batch_walk(b);
    struct op op;
    struct span hashed;
    lines_begin(l, "record");
    lines_number(l, "lsn", record->lsn);
    lines_number(l, "bytes", record->bytes);
    lines_number(l, "origin", b->origin);
    lines_number(l, "instance", b->instance);
    lines_time(l, "time", stamp_ms(b->to));
    lines_stamp(l, "from", b->from);
    lines_stamp(l, "to", b->to);
    lines_stamp(l, "prev", b->prev);
    lines_number(l, "check", b->check);
    lines_vector(l, "context", &b->context);
    lines_number(l, "ops", b->op_count);
    bool good = lines_end(l);
    while (good && batch_next_op(&walk, &op, &hashed))
        good = show_op(x, &op);
    return good;
}

static bool show_segment(struct inspect *x, const struct logwalk *w)
{
    struct lines *l = &x->lines;
    char name[SEGMENT_NAME_BYTES];
    segment_name(w->start_lsn, name);
    lines_begin(l, "segment");
    lines_text(l, "file", name);
    lines_number(l, "start_lsn", w->start_lsn);
    lines_number(l, "region", w->header.region);
    lines_number(l, "deployment_crc32c", w->header.deployment_crc);
    return lines_end(l);
}

static bool show_record(struct inspect *x, const char *directory, const struct record *record)
{
    struct batch b;
    if (record->lsn < x->from_lsn)
        return true;
    if (batch_take(record->payload, &b) && batch_valid(&b))
        return show_batch(x, record, &b);
    char what[64];
    snprintf(what, sizeof(what), "the record at LSN %llu is no batch",
             (unsigned long long)record->lsn);
    inspect_damage(x, directory, what);
    return true;
}

static bool show_end(struct inspect *x, const struct logwalk *w)
{
    lines_begin(&x->lines, "end");
    lines_number(&x->lines, "lsn", w->lsn);
    if (w->torn_bytes > 0)
        lines_number(&x->lines, "torn_bytes", w->torn_bytes);
    return lines_end(&x->lines);
}

/* What logwalk_next found that is no record; *more: there is more to see. */
static bool show_other(struct inspect *x, const char *directory, struct logwalk *w, bool too_short,
                       enum logwalk_found found, bool *more)
{
    *more = false;
    if (found == LOGWALK_END && too_short)
        found = logwalk_too_short(w);
    if (found == LOGWALK_END)
        return show_end(x, w);
    if (found == LOGWALK_GONE && logwalk_begin(w) > w->lsn) {
        logwalk_seek(w, logwalk_begin(w));
        *more = true;
        return true;
    }
    if (found == LOGWALK_GONE)
        return true;
    inspect_damage(x, directory, w->problem);
    *more = found == LOGWALK_DAMAGED && logwalk_resync(w) == LOGWALK_RECORD;
    return true;
}

static bool show_records(struct inspect *x, const char *directory, struct logwalk *w, uint64_t only,
                         uint64_t until)
{
    struct record record;
    uint64_t shown_lsn = UINT64_MAX; /* segment */
    bool good = true, more = true;
    while (good && more && w->lsn < until) {
        enum logwalk_found found = logwalk_next(w, &record);
        if (only != UINT64_MAX && found == LOGWALK_RECORD && w->start_lsn != only)
            break;
        if (found == LOGWALK_RECORD && w->start_lsn != shown_lsn)
            good = show_segment(x, w);
        shown_lsn = w->start_lsn;
        if (good)
            good = found == LOGWALK_RECORD
                       ? show_record(x, directory, &record)
                       : show_other(x, directory, w, until != UINT64_MAX, found, &more);
    }
    return good;
}

bool inspect_log(struct inspect *x, const char *directory, uint64_t only, uint64_t until)
{
    struct disk_posix disk;
    struct logwalk w;
    if (disk_posix_beside(&disk, directory, false) != E_OK) {
        inspect_damage(x, "", disk.disk.detail);
        return true;
    }
    bool good = true;
    if (logwalk_open(&w, &disk.disk) != E_OK) {
        inspect_damage(x, directory, w.problem);
    } else {
        if (only != UINT64_MAX)
            logwalk_seek(&w, only);
        good = show_records(x, directory, &w, only, until);
    }
    logwalk_close(&w);
    disk_posix_close(&disk);
    return good;
}
