#include "bin/restore_log.h"

#include <stdio.h>

#include "base/error.h"
#include "store/cut.h"
#include "store/logmake.h"
#include "store/logwalk.h"

struct writing {
    struct restore_log *r;
    struct logmake log;
    struct buffer cut;
    char *problem;
};

static bool fail(struct writing *w, const char *where, const char *what)
{
    snprintf(w->problem, FILES_PROBLEM_MAX, "%s%s%s", where, where[0] ? ": " : "", what);
    return false;
}

static void note_newest(struct restore_log *r, struct span batch)
{
    uint8_t origin;
    stamp_t to;
    if (batch_peek(batch, &origin, &to) && to > r->newest)
        r->newest = to;
}

static bool take_record(struct writing *w, const struct record *record)
{
    struct restore_log *r = w->r;
    struct span batch = record->payload;
    buffer_clear(&w->cut);
    r->read++;
    switch (cut_batch(batch, r->moment, &w->cut)) {
    case CUT_BAD:
        return fail(w, r->from_name, "a record of its log is no batch");
    case CUT_NONE:
        return true;
    case CUT_SOME:
        r->cut++;
        batch = buffer_span(&w->cut);
        break;
    case CUT_ALL:
        break;
    }
    note_newest(r, batch);
    r->kept++;
    return logmake_put(&w->log, batch) == E_OK || fail(w, "", w->log.problem);
}

static bool take_records(struct writing *w)
{
    struct logwalk walk;
    struct record record;
    bool good = logwalk_open(&walk, w->r->from) == E_OK || fail(w, w->r->from_name, walk.problem);
    logwalk_seek(&walk, w->r->base->start_lsn);
    while (good && walk.lsn < w->r->base->end_lsn) {
        switch (logwalk_next(&walk, &record)) {
        case LOGWALK_RECORD:
            good = take_record(w, &record);
            break;
        case LOGWALK_END:
            logwalk_too_short(&walk);
            good = fail(w, w->r->from_name, walk.problem);
            break;
        case LOGWALK_GONE:
            good = fail(w, w->r->from_name, "a part of its log is missing: use another base");
            break;
        case LOGWALK_DAMAGED:
        case LOGWALK_FAILED:
            good = fail(w, w->r->from_name, walk.problem);
        }
    }
    logwalk_close(&walk);
    return good;
}

bool restore_log_write(struct restore_log *r, const struct oplog_options *options, char *problem)
{
    struct writing w = { .r = r, .problem = problem };
    uint64_t end_lsn;
    bool good = logmake_begin(&w.log, r->to, options) == E_OK || fail(&w, "", w.log.problem);
    good = good && take_records(&w);
    if (logmake_end(&w.log, &end_lsn) != E_OK && good)
        good = fail(&w, "", w.log.problem);
    buffer_release(&w.cut);
    return good;
}
