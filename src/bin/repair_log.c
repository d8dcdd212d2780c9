#include "bin/repair_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "host/datadir.h"
#include "host/disk_posix.h"
#include "store/logmake.h"
#include "store/logwalk.h"

static const char plan_name[] = "plan", marker_name[] = "bootstrap";
static const char checkpoint_name[] =
    "checkpoint"; /* of the directory, and the plan's word for it */

__attribute__((format(printf, 2, 3))) static bool fail(struct repair_log *r, const char *format,
                                                       ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->problem, sizeof(r->problem), format, args);
    va_end(args);
    return false;
}

/* --- writing the good records anew --- */

/* A run is good, but the header of a segment may not be, which was told before. */
static enum logwalk_found next_record(struct logwalk *walk, struct record *record)
{
    enum logwalk_found found = logwalk_next(walk, record);
    if (found != LOGWALK_DAMAGED || walk->passed_lsn == walk->start_lsn)
        return found;
    walk->passed_lsn = walk->start_lsn;
    return logwalk_next(walk, record);
}

static bool put_run(struct repair_log *r, struct logmake *log, uint64_t from_lsn, uint64_t to_lsn)
{
    struct logwalk walk;
    struct record record;
    bool good = logwalk_open(&walk, r->disk) == E_OK || fail(r, "%s", walk.problem);
    logwalk_seek(&walk, from_lsn);
    while (good && walk.lsn < to_lsn) {
        if (next_record(&walk, &record) != LOGWALK_RECORD)
            good = fail(r, "%s", walk.problem);
        else if (logmake_put(log, record.payload) != E_OK)
            good = fail(r, "%s", log->problem);
    }
    logwalk_close(&walk);
    return good;
}

static bool put_runs(struct repair_log *r, struct logmake *to, const struct examined_log *log,
                     const struct repair_plan *plan)
{
    bool good = true;
    for (size_t i = 0; i < log->count && good; i++) {
        const struct examined_run *run = &log->runs[i];
        uint64_t from = run->from_lsn > plan->keep_lsn ? run->from_lsn : plan->keep_lsn;
        uint64_t until = run->to_lsn < plan->until_lsn ? run->to_lsn : plan->until_lsn;
        if (from < until)
            good = put_run(r, to, from, until);
    }
    return good;
}

static bool write_log(struct repair_log *r, struct disk *to, const struct oplog_options *options,
                      const struct examined_log *log, struct repair_plan *plan)
{
    struct logmake made;
    struct oplog_options from = *options;
    from.replay_from = plan->keep_lsn;
    bool good = logmake_begin(&made, to, &from) == E_OK || fail(r, "%s", made.problem);
    good = good && put_runs(r, &made, log, plan);
    if (logmake_end(&made, &plan->end_lsn) != E_OK && good)
        good = fail(r, "%s", made.problem);
    return good;
}

/* --- the plan --- */

static bool write_plan(struct repair_log *r, struct disk *to, const struct repair_plan *plan)
{
    char text[64];
    struct disk_file *file;
    int len = snprintf(text, sizeof(text), "%016" PRIx64 " %016" PRIx64 " %s\n", plan->from_lsn,
                       plan->to_lsn, plan->checkpoint_aside ? checkpoint_name : "");
    if (to->ops->open(to, plan_name, true, &file) != E_OK)
        return fail(r, "%s", to->detail);
    int error = to->ops->write(to, file, 0, span_of(text, (size_t)len));
    if (error == E_OK)
        error = to->ops->sync(to, file);
    to->ops->close(to, file);
    return error == E_OK || fail(r, "%s", to->detail);
}

static bool fill(struct repair_log *r, struct disk *to, const struct oplog_options *options,
                 const struct examined_log *log, struct repair_plan *plan, struct marker *marker)
{
    char cause[MARKER_PROBLEM_MAX];
    plan->end_lsn = plan->until_lsn;
    if (plan->keep_lsn < plan->until_lsn && !write_log(r, to, options, log, plan))
        return false;
    if (!write_plan(r, to, plan))
        return false;
    if (marker == NULL)
        return true;
    marker->end_lsn = plan->end_lsn;
    return marker_write(to, marker, cause) == E_OK || fail(r, "%s", cause);
}

bool repair_log_prepare(struct repair_log *r, const struct oplog_options *options,
                        const struct examined_log *log, struct repair_plan *plan,
                        struct marker *marker)
{
    char making[FILES_PATH_MAX], made[FILES_PATH_MAX];
    struct disk_posix to;
    if (!files_join(making, r->data, "repaired.new", r->problem) ||
        !files_join(made, r->data, DATADIR_REPAIRED, r->problem) ||
        !files_remove_directory(making, r->problem) || !files_make_directory(making, r->problem))
        return false;
    if (disk_posix_beside(&to, making, true) != E_OK)
        return fail(r, "%s", to.disk.detail);
    bool good = fill(r, &to.disk, options, log, plan, marker) &&
                files_sync_directory(making, r->problem) &&
                files_rename(making, made, r->problem) && files_sync_directory(r->data, r->problem);
    disk_posix_close(&to);
    return good;
}

/* --- putting it in place --- */

bool repair_log_put_aside(struct repair_log *r, const char *name)
{
    char from[FILES_PATH_MAX], to[FILES_PATH_MAX];
    return files_make_directory(r->aside, r->problem) &&
           files_join(from, r->data, name, r->problem) &&
           files_join(to, r->aside, name, r->problem) && files_rename(from, to, r->problem) &&
           files_sync_directory(r->aside, r->problem) && files_sync_directory(r->data, r->problem);
}

struct names {
    uint64_t *starts; /* of segments */
    size_t count, cap;
};

static void note_segment(void *context, const char *name)
{
    struct names *n = context;
    uint64_t start_lsn;
    if (!segment_parse_name(name, &start_lsn))
        return;
    if (n->count == n->cap) {
        n->cap = n->cap == 0 ? 16 : n->cap * 2;
        n->starts = mem_realloc(n->starts, n->cap * sizeof(n->starts[0]));
    }
    n->starts[n->count++] = start_lsn;
}

static bool list_segments(struct repair_log *r, struct disk *disk, struct names *n)
{
    *n = (struct names){ .count = 0 };
    return disk->ops->list(disk, note_segment, n) == E_OK || fail(r, "%s", disk->detail);
}

static bool put_segments_aside(struct repair_log *r, uint64_t from_lsn, uint64_t to_lsn)
{
    struct names n;
    char name[SEGMENT_NAME_BYTES];
    bool good = list_segments(r, r->disk, &n);
    for (size_t i = 0; i < n.count && good; i++) {
        segment_name(n.starts[i], name);
        if (n.starts[i] >= from_lsn && n.starts[i] < to_lsn)
            good = repair_log_put_aside(r, name);
    }
    mem_free(n.starts);
    return good;
}

static bool put_checkpoint_aside(struct repair_log *r)
{
    char path[FILES_PATH_MAX];
    return files_join(path, r->data, checkpoint_name, r->problem) &&
           (!files_exists(path) || repair_log_put_aside(r, checkpoint_name));
}

static bool follow_plan(struct repair_log *r, const char *made)
{
    char path[FILES_PATH_MAX], word[16] = "";
    uint64_t from_lsn, to_lsn;
    if (!files_join(path, made, plan_name, r->problem))
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return true; /* it was followed */
    bool good = fscanf(file, "%" SCNx64 " %" SCNx64 " %15s", &from_lsn, &to_lsn, word) >= 2;
    bool checkpoint_goes = strcmp(word, checkpoint_name) == 0;
    fclose(file);
    if (!good)
        return fail(r, "%s: is no plan", path);
    return (!checkpoint_goes || put_checkpoint_aside(r)) &&
           put_segments_aside(r, from_lsn, to_lsn) && files_remove(path, r->problem) &&
           files_sync_directory(made, r->problem);
}

static bool move_in(struct repair_log *r, const char *made, const char *name)
{
    char from[FILES_PATH_MAX], to[FILES_PATH_MAX];
    if (!files_join(from, made, name, r->problem) || !files_join(to, r->data, name, r->problem))
        return false;
    return !files_exists(from) ||
           (files_rename(from, to, r->problem) && files_sync_directory(r->data, r->problem));
}

static bool move_segments_in(struct repair_log *r, const char *made, struct disk *from)
{
    struct names n;
    char name[SEGMENT_NAME_BYTES];
    bool good = list_segments(r, from, &n);
    for (size_t i = 0; i < n.count && good; i++) {
        segment_name(n.starts[i], name);
        good = move_in(r, made, name);
    }
    mem_free(n.starts);
    return good;
}

bool repair_log_finish(struct repair_log *r, bool *any)
{
    char made[FILES_PATH_MAX];
    struct disk_posix from;
    *any = false;
    if (!files_join(made, r->data, DATADIR_REPAIRED, r->problem))
        return false;
    if (!files_exists(made))
        return true;
    *any = true;
    if (disk_posix_beside(&from, made, false) != E_OK)
        return fail(r, "%s", from.disk.detail);
    bool good = move_in(r, made, marker_name) && follow_plan(r, made) &&
                move_segments_in(r, made, &from.disk) && files_remove_directory(made, r->problem) &&
                files_sync_directory(r->data, r->problem);
    disk_posix_close(&from);
    return good;
}
