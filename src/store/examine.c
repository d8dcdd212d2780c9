#include "store/examine.h"

#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

enum { EXPORT_BYTES = 1 << 20 };

/* --- a checkpoint --- */

struct examining {
    struct checkpoint *c;
    examine_object_fn each;
    void *context;
    struct examined_checkpoint *out;
    struct database scratch; /* for objects that belong to none */
    struct heap reclaim;
    struct entry *entry; /* being put together */
    uint64_t pieces, bytes;
};

static int damaged(struct examining *x, const struct change *change, const char *what)
{
    snprintf(x->c->problem, sizeof(x->c->problem), "checkpoint: database %u, key \"%.*s\": %s",
             change->db, (int)(change->key.len > 80 ? 80 : change->key.len),
             (const char *)change->key.at, what);
    return E_CORRUPT;
}

static void drop_entry(struct examining *x)
{
    if (x->entry)
        object_free(x->entry);
    x->entry = NULL;
    x->pieces = x->bytes = 0;
}

static bool add_piece(struct examining *x, const struct change *change)
{
    x->pieces++;
    x->bytes += change->piece.len;
    if (x->entry)
        return image_add(&x->scratch, &x->entry, change->piece);
    x->entry = image_load(&x->scratch, change->key, change->piece);
    return x->entry != NULL;
}

static void count(struct examining *x, const struct change *change)
{
    struct cold_counts *counts = &x->out->counts[change->db];
    counts->keys++;
    counts->ghosts += (change->flags & COLD_GHOST) != 0;
    counts->with_deadline += (change->flags & COLD_DEADLINE) != 0;
    counts->contested += (change->flags & COLD_CONTESTED) != 0;
    x->out->objects++;
    x->out->bytes += x->bytes;
    x->out->timed += change->due_ms != 0;
}

/* One that was copied in pieces may have changed between them. Whether it is contested is known
 * when it is in a table. */
static bool says_what_it_is(const struct examining *x, const struct change *change)
{
    if (!x->entry || change->kind == CHANGE_DONE)
        return x->entry != NULL;
    return ((image_flags(x->entry) ^ change->flags) & (COLD_GHOST | COLD_DEADLINE)) == 0;
}

static int finish(struct examining *x, const struct change *change)
{
    if (!says_what_it_is(x, change))
        return damaged(x, change, "its record does not say what it is");
    count(x, change);
    if (x->each)
        x->each(x->context, &(struct examined_object){ .db = change->db,
                                                       .key = change->key,
                                                       .type = object_visible(x->entry),
                                                       .flags = change->flags,
                                                       .due_ms = change->due_ms,
                                                       .pieces = x->pieces,
                                                       .bytes = x->bytes });
    drop_entry(x);
    return E_OK;
}

static int examine_change(struct examining *x, const struct change *change)
{
    if (change->kind == CHANGE_PUT || (change->kind == CHANGE_PIECE && change->number == 0))
        drop_entry(x);
    if (change->kind != CHANGE_DONE && !add_piece(x, change))
        return damaged(x, change, "its contents do not decode");
    return change->kind == CHANGE_PIECE ? E_OK : finish(x, change);
}

static int examine_changes(struct examining *x, struct span changes)
{
    struct change change;
    int error = E_OK;
    while (changes.len > 0 && error == E_OK) {
        if (!change_take(&changes, &change))
            return E_CORRUPT; /* we made them ourselves */
        error = examine_change(x, &change);
    }
    return error;
}

static int examine_records(struct examining *x)
{
    struct buffer cursor = { 0 }, changes = { 0 };
    bool end = false;
    int error = E_OK;
    while (!end && error == E_OK) {
        buffer_clear(&changes);
        error = checkpoint_export(x->c, &cursor, EXPORT_BYTES, &changes, &end);
        if (error == E_OK)
            error = examine_changes(x, buffer_span(&changes));
    }
    drop_entry(x);
    buffer_release(&cursor);
    buffer_release(&changes);
    return error;
}

static bool count_due(void *context, const struct cold_head *head)
{
    (void)head;
    ++*(uint64_t *)context;
    return true;
}

static int examine_indexes(struct examining *x)
{
    const struct cold *cold = &x->c->cold;
    uint64_t contested = 0;
    int error = cold->ops->due(cold->store, &(struct cold_due){ .ms = 0 }, UINT64_MAX, count_due,
                               &x->out->due);
    for (uint8_t db = 0; db < OP_DATABASES && error == E_OK; db++)
        error = cold->ops->contested(cold->store, db, count_due, &contested);
    checkpoint_refresh(x->c);
    return error;
}

int examine_checkpoint(struct checkpoint *c, examine_object_fn each, void *context,
                       struct examined_checkpoint *out)
{
    struct examining x = { .c = c, .each = each, .context = context, .out = out };
    *out = (struct examined_checkpoint){ .objects = 0 };
    database_init(&x.scratch, 0, 0, 0, &x.reclaim);
    int error = examine_records(&x);
    if (error == E_OK)
        error = examine_indexes(&x);
    database_release(&x.scratch);
    heap_release(&x.reclaim);
    return error;
}

static bool counts_are_equal(const struct cold_counts *a, const struct cold_counts *b)
{
    return a->keys == b->keys && a->ghosts == b->ghosts && a->with_deadline == b->with_deadline &&
           a->contested == b->contested;
}

bool examine_counts(struct checkpoint *c, const struct checkpoint_found *found,
                    const struct examined_checkpoint *counted)
{
    for (int db = 0; db < OP_DATABASES; db++) {
        if (counts_are_equal(&found->counts[db], &counted->counts[db]))
            continue;
        snprintf(c->problem, sizeof(c->problem),
                 "checkpoint: database %d has %llu keys, but should have %llu: records are missing",
                 db, (unsigned long long)counted->counts[db].keys,
                 (unsigned long long)found->counts[db].keys);
        return false;
    }
    if (counted->due == counted->timed)
        return true;
    snprintf(c->problem, sizeof(c->problem),
             "checkpoint: the index of deadlines has %llu entries, but should have %llu",
             (unsigned long long)counted->due, (unsigned long long)counted->timed);
    return false;
}

/* --- a log --- */

static struct examined_run *begin_run(struct examined_log *log, uint64_t lsn)
{
    if (log->count == log->cap) {
        log->cap = log->cap == 0 ? 4 : log->cap * 2;
        log->runs = mem_realloc(log->runs, log->cap * sizeof(log->runs[0]));
    }
    struct examined_run *run = &log->runs[log->count++];
    *run = (struct examined_run){ .from_lsn = lsn, .to_lsn = lsn };
    return run;
}

static bool note_batch(struct examined_log *log, struct span bytes)
{
    struct batch b;
    if (!batch_take(bytes, &b) || !batch_valid(&b))
        return false;
    if (b.op_count == 0)
        return true;
    if (log->count == 1 && vector_get(&log->last, b.origin) == 0 && b.prev != 0)
        vector_set(&log->before, b.prev);
    vector_raise(&log->last, b.to);
    if (b.to > log->newest)
        log->newest = b.to;
    return true;
}

static void end_run(struct examined_log *log, const char *problem)
{
    snprintf(log->runs[log->count - 1].problem, LOGWALK_PROBLEM_MAX, "%s", problem);
}

/* A record whose checksum is right and whose contents are not: never written by this program. */
static void refuse_batch(struct logwalk *w, const struct record *record)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(w->start_lsn, name);
    snprintf(w->problem, sizeof(w->problem), "%s: damaged at offset %llu: the record is no batch",
             name, (unsigned long long)segment_offset(w->start_lsn, record->lsn));
}

/* The server has dropped what was to be read next. */
static void begin_anew(struct logwalk *w, struct examined_log *log)
{
    logwalk_seek(w, logwalk_begin(w));
    log->begin_lsn = w->lsn;
    log->count = 0;
    begin_run(log, w->lsn);
}

/* One step; false: that was all. */
static bool examine_record(struct logwalk *w, struct examined_log *log, enum logwalk_found *found)
{
    struct record record;
    *found = logwalk_next(w, &record);
    if (*found == LOGWALK_RECORD && note_batch(log, record.payload)) {
        log->records++;
        log->runs[log->count - 1].to_lsn = w->lsn;
        return true;
    }
    if (*found == LOGWALK_RECORD) {
        refuse_batch(w, &record);
        end_run(log, w->problem);
        begin_run(log, w->lsn);
        return true;
    }
    log->torn_bytes = w->torn_bytes;
    if (*found == LOGWALK_GONE && logwalk_begin(w) > w->lsn) {
        begin_anew(w, log);
        return true;
    }
    if (*found != LOGWALK_DAMAGED)
        return false;
    end_run(log, w->problem);
    *found = logwalk_resync(w);
    begin_run(log, w->lsn);
    return *found == LOGWALK_RECORD;
}

int examine_log(struct disk *disk, struct examined_log *out, char *problem)
{
    struct logwalk w;
    enum logwalk_found found = LOGWALK_FAILED;
    *out = (struct examined_log){ .begin_lsn = 0 };
    int error = logwalk_open(&w, disk);
    if (error == E_OK) {
        out->begin_lsn = logwalk_begin(&w);
        out->none = w.count == 0;
        begin_run(out, out->begin_lsn);
        while (examine_record(&w, out, &found))
            ;
    }
    if (found == LOGWALK_FAILED) {
        snprintf(problem, LOGWALK_PROBLEM_MAX, "%s", w.problem);
        error = E_IO;
        examined_log_release(out);
    }
    logwalk_close(&w);
    return error;
}

bool examined_log_lacks_headers_only(const struct examined_log *log)
{
    for (size_t i = 0; i + 1 < log->count; i++) {
        if (log->runs[i].to_lsn != log->runs[i + 1].from_lsn)
            return false;
    }
    return log->count > 1 && !examined_log_is_cut(log);
}

void examined_log_release(struct examined_log *log)
{
    mem_free(log->runs);
    *log = (struct examined_log){ .begin_lsn = 0 };
}
