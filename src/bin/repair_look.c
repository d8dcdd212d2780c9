#include "bin/repair_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "bin/child.h"
#include "host/kv_lmdb.h"
#include "node/checkpoint.h"

/* --- the checkpoint, by a child --- */

struct work {
    char directory[FILES_PATH_MAX];
    bool still;
    bool there, start_known;
    uint64_t reach_lsn;
    struct copy_start start;
    uint64_t records;
    char problem[FILES_PROBLEM_MAX];
};

static uint64_t take_reach(struct checkpoint *c, const struct checkpoint_found *found)
{
    struct buffer note = { 0 };
    uint64_t reach = UINT64_MAX;
    if (found->start_known && checkpoint_note(c, CHECKPOINT_NOTE_REACH, &note) == E_OK) {
        struct span in = buffer_span(&note);
        if (!span_take_u64(&in, &reach))
            reach = UINT64_MAX;
    }
    buffer_release(&note);
    return reach;
}

bool repair_look_is_exact(const struct repair_look *l)
{
    return l->start_known && l->reach_lsn <= l->start.lsn;
}

uint64_t repair_look_wanted_lsn(const struct repair_look *l)
{
    bool later = l->reach_lsn != UINT64_MAX && l->reach_lsn > l->start.lsn;
    return later ? l->reach_lsn : l->start.lsn;
}

static void examine(struct work *w, struct checkpoint *c, const struct checkpoint_found *found)
{
    struct examined_checkpoint examined;
    w->start_known = found->start_known;
    w->start = found->start;
    w->reach_lsn = take_reach(c, found);
    int error = examine_checkpoint(c, NULL, NULL, &examined);
    if (error == E_OK && w->still && found->start_known && !examine_counts(c, found, &examined))
        error = E_CORRUPT;
    if (error != E_OK)
        snprintf(w->problem, sizeof(w->problem), "%s", c->problem);
    w->records = examined.objects;
}

static void examine_now(void *memory)
{
    struct work *w = memory;
    char cause[KV_LMDB_PROBLEM_MAX];
    static struct checkpoint_found found;
    struct kv_lmdb kv;
    struct checkpoint c;
    int error = kv_lmdb_open(&kv, w->directory, true, cause);
    w->there = error != E_MISSING;
    if (error != E_OK) {
        if (w->there)
            snprintf(w->problem, sizeof(w->problem), "%s", cause);
        return;
    }
    if (checkpoint_open(&c, &kv.kv, &found) != E_OK) {
        snprintf(w->problem, sizeof(w->problem), "%s", c.problem);
    } else {
        examine(w, &c, &found);
        checkpoint_close(&c);
    }
    kv_lmdb_close(&kv);
}

static bool look_at_checkpoint(const char *data, bool still, struct repair_look *l, char *problem)
{
    char crash[CHILD_PROBLEM_MAX], file[FILES_PATH_MAX];
    struct work *w = child_memory(sizeof(*w));
    if (w == NULL) {
        snprintf(problem, FILES_PROBLEM_MAX, "no memory: %s", strerror(errno));
        return false;
    }
    bool good = files_join(w->directory, data, "checkpoint", problem) &&
                files_join(file, data, "checkpoint/data.mdb", problem);
    if (good && files_exists(file)) {
        w->still = still;
        child_run(examine_now, w, crash);
        l->has_checkpoint = w->there || crash[0] != '\0';
        l->start_known = w->start_known;
        l->start = w->start;
        l->reach_lsn = w->reach_lsn;
        l->records = w->records;
        if (crash[0] != '\0')
            snprintf(l->checkpoint, sizeof(l->checkpoint), "checkpoint/data.mdb: %s", crash);
        else
            memcpy(l->checkpoint, w->problem, sizeof(l->checkpoint));
    }
    child_memory_free(w, sizeof(*w));
    return good;
}

/* --- the small files --- */

static void look_at_identity(struct disk *disk, struct repair_look *l)
{
    static struct identity id;
    char cause[320];
    int error = identity_read(disk, &id, cause);
    if (error != E_OK && error != E_MISSING)
        snprintf(l->identity, sizeof(l->identity), "%s", cause);
}

static void look_at_clock(struct disk *disk, struct repair_look *l)
{
    struct ceiling_file clock;
    uint64_t ceiling_ms;
    int error = ceiling_open(&clock, disk, &ceiling_ms);
    if (error == E_OK)
        ceiling_close(&clock);
    else if (error != E_MISSING)
        snprintf(l->clock, sizeof(l->clock), "%s", disk->detail);
}

static void look_at_marker(struct disk *disk, struct repair_look *l)
{
    char cause[MARKER_PROBLEM_MAX];
    int error = marker_read(disk, &l->marker, cause);
    l->has_marker = error == E_OK;
    if (error != E_OK && error != E_MISSING)
        snprintf(l->marker_problem, sizeof(l->marker_problem), "%s", cause);
}

bool repair_look_lacks_end(const struct repair_look *l)
{
    uint64_t end_lsn = examined_log_last(&l->log)->to_lsn;
    if (l->has_marker)
        return l->marker.end_lsn > end_lsn || (l->start_known && l->start.lsn > end_lsn);
    if (!l->start_known)
        return l->log.none;
    return repair_look_wanted_lsn(l) > end_lsn ||
           (l->start.lsn == end_lsn && examined_log_is_cut(&l->log));
}

/* What stood there was durable when the checkpoint was made: so it is no torn tail. */
static void tell_short_log(struct repair_look *l, uint64_t wanted_lsn)
{
    uint64_t end_lsn = examined_log_last(&l->log)->to_lsn;
    if (l->log.none)
        snprintf(l->missing, sizeof(l->missing),
                 "there is no log, though it went to LSN %" PRIu64 ": its files are missing",
                 wanted_lsn);
    else if (l->log.torn_bytes > 0)
        snprintf(l->missing, sizeof(l->missing),
                 "the log ends at LSN %" PRIu64 ", though it went to %" PRIu64 ": the %" PRIu64
                 " bytes that follow are no good records",
                 end_lsn, wanted_lsn, l->log.torn_bytes);
    else
        snprintf(l->missing, sizeof(l->missing),
                 "the log ends at LSN %" PRIu64 ", though it went to %" PRIu64
                 ": it was cut off, or files are missing",
                 end_lsn, wanted_lsn);
}

/* The log has to reach from where the checkpoint starts, or from its beginning. */
static void look_for_log(struct repair_look *l)
{
    const uint64_t begin_lsn = l->log.begin_lsn, start_lsn = l->start.lsn;
    if (l->has_marker && l->marker.end_lsn > examined_log_last(&l->log)->to_lsn)
        tell_short_log(l, l->marker.end_lsn);
    if (l->has_marker)
        return;
    if (l->log.none && !l->start_known)
        snprintf(l->missing, sizeof(l->missing), "there is no log: its files are missing");
    else if (l->checkpoint[0] != '\0')
        return;
    else if (!l->start_known && begin_lsn > 0)
        snprintf(l->missing, sizeof(l->missing),
                 "the log begins at LSN %" PRIu64 ", and there is no checkpoint: files are missing",
                 begin_lsn);
    else if (l->start_known && start_lsn < begin_lsn)
        snprintf(l->missing, sizeof(l->missing),
                 "the log begins at LSN %" PRIu64 ", after the checkpoint, which stands at %" PRIu64
                 ": log files are missing",
                 begin_lsn, start_lsn);
    else if (repair_look_lacks_end(l))
        tell_short_log(l, repair_look_wanted_lsn(l));
}

bool repair_look(const char *data, struct disk *disk, bool still, struct repair_look *out,
                 char *problem)
{
    char cause[LOGWALK_PROBLEM_MAX];
    *out = (struct repair_look){ .has_marker = false };
    look_at_identity(disk, out);
    look_at_clock(disk, out);
    look_at_marker(disk, out);
    if (!look_at_checkpoint(data, still, out, problem))
        return false;
    if (examine_log(disk, &out->log, cause) != E_OK) {
        snprintf(problem, FILES_PROBLEM_MAX, "%s: %s", data, cause);
        return false;
    }
    out->torn = out->log.torn_bytes > 0;
    look_for_log(out);
    return true;
}

void repair_look_release(struct repair_look *l)
{
    examined_log_release(&l->log);
}

/* --- for people --- */

const char *repair_look_problem(const struct repair_look *l)
{
    const char *const parts[] = {
        l->identity, l->clock, l->marker_problem, l->checkpoint, l->log.runs[0].problem, l->missing
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i][0] != '\0')
            return parts[i];
    }
    return NULL;
}

static void show_log(const struct repair_look *l)
{
    const struct examined_log *log = &l->log;
    bool good = examined_log_is_good(log) && l->missing[0] == '\0';
    printf("log: LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64 " records%s\n", log->begin_lsn,
           examined_log_last(log)->to_lsn, log->records, good ? ", good" : "");
    for (size_t i = 0; i + 1 < log->count; i++) {
        printf("log: %s; ", log->runs[i].problem);
        if (i + 2 == log->count && examined_log_is_cut(log))
            printf("no good record follows\n");
        else
            printf("the next good record is at LSN %" PRIu64 "\n", log->runs[i + 1].from_lsn);
    }
    if (l->missing[0] != '\0')
        printf("log: %s\n", l->missing);
    else if (log->torn_bytes > 0)
        printf("log: %" PRIu64 " bytes at its end are torn, which is normal after a crash: they "
               "were never promised, and the next start cuts them\n",
               log->torn_bytes);
}

void repair_look_show(const struct repair_look *l)
{
    const char *const small[] = { l->identity, l->clock, l->marker_problem };
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        if (small[i][0] != '\0')
            printf("%s\n", small[i]);
    }
    if (l->has_marker)
        printf("bootstrap: this region is being filled from another\n");
    if (l->checkpoint[0] != '\0')
        printf("%s\n", l->checkpoint);
    else if (!l->has_checkpoint)
        printf("checkpoint: none\n");
    else if (!l->start_known)
        printf("checkpoint: %" PRIu64 " records, not complete\n", l->records);
    else
        printf("checkpoint: %" PRIu64 " records, good; the log is replayed from LSN %" PRIu64 "\n",
               l->records, l->start.lsn);
    show_log(l);
}
