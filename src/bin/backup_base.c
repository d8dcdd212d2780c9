#include "bin/backup_base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "bin/child.h"
#include "host/clocks.h"
#include "host/kv_lmdb.h"
#include "store/examine.h"

enum { FOLLOW_US = 100 * 1000 };

static const char checkpoint_file[] = "data.mdb";

/* --- children: what they are told, and what they tell --- */

struct work {
    char from[FILES_PATH_MAX]; /* DATA/checkpoint */
    char to[FILES_PATH_MAX];   /* BACKUP/base-… */
    char file[FILES_PATH_MAX]; /* the copy in it */
    int error;
    char problem[FILES_PROBLEM_MAX];
    struct backup_look look;
    struct examined_checkpoint examined;
};

static void tell(struct work *w, const char *where, const char *what, int error)
{
    w->error = error;
    snprintf(w->problem, sizeof(w->problem), "%s: %s", where, what);
}

/* Opens a checkpoint and says where it starts; false: it is not open. */
static bool open_store(struct work *w, const char *directory, struct kv_lmdb *kv,
                       struct checkpoint *c, struct checkpoint_found *found)
{
    char cause[KV_LMDB_PROBLEM_MAX];
    int error = kv_lmdb_open(kv, directory, true, cause);
    if (error == E_MISSING)
        return false;
    if (error != E_OK) {
        tell(w, directory, cause, error);
        return false;
    }
    error = checkpoint_open(c, &kv->kv, found);
    if (error != E_OK) {
        tell(w, directory, c->problem, error);
        kv_lmdb_close(kv);
        return false;
    }
    w->look.start_known = found->start_known;
    w->look.start = found->start;
    return true;
}

static void look_now(void *memory)
{
    struct work *w = memory;
    struct kv_lmdb kv;
    struct checkpoint c;
    static struct checkpoint_found found;
    if (!open_store(w, w->from, &kv, &c, &found))
        return;
    checkpoint_close(&c);
    kv_lmdb_close(&kv);
}

static void verify(struct work *w)
{
    struct kv_lmdb kv;
    struct checkpoint c;
    static struct checkpoint_found found;
    if (!open_store(w, w->to, &kv, &c, &found))
        return;
    int error = examine_checkpoint(&c, NULL, NULL, &w->examined);
    if (error == E_OK && found.start_known && !examine_counts(&c, &found, &w->examined))
        error = E_CORRUPT;
    if (error != E_OK)
        tell(w, w->from, c.problem, error);
    checkpoint_close(&c);
    kv_lmdb_close(&kv);
}

static void copy_now(void *memory)
{
    struct work *w = memory;
    char cause[KV_LMDB_PROBLEM_MAX];
    struct kv_lmdb kv;
    int error = kv_lmdb_open(&kv, w->from, true, cause);
    if (error != E_OK) {
        tell(w, w->from, cause, error);
        return;
    }
    error = kv_lmdb_copy(&kv, w->file, cause);
    if (error != E_OK)
        tell(w, w->from, cause, error);
    kv_lmdb_close(&kv);
    if (error == E_OK)
        verify(w);
}

static struct work *work_of(const char *data, char *problem)
{
    struct work *w = child_memory(sizeof(*w));
    if (w == NULL)
        snprintf(problem, FILES_PROBLEM_MAX, "no memory: %s", strerror(errno));
    else if (files_join(w->from, data, "checkpoint", problem))
        return w;
    child_memory_free(w, sizeof(*w));
    return NULL;
}

/* True when the child did its work. */
static bool judge(const struct work *w, const char *crash, char *problem)
{
    if (crash[0] != '\0')
        snprintf(problem, FILES_PROBLEM_MAX, "%s: %s; see meridian repair --check", w->from, crash);
    else if (w->error != E_OK)
        snprintf(problem, FILES_PROBLEM_MAX, "%s", w->problem);
    return crash[0] == '\0' && w->error == E_OK;
}

bool backup_look(const char *data, struct backup_look *look, char *problem)
{
    char crash[CHILD_PROBLEM_MAX];
    struct work *w = work_of(data, problem);
    if (w == NULL)
        return false;
    child_run(look_now, w, crash);
    bool good = judge(w, crash, problem);
    *look = w->look;
    child_memory_free(w, sizeof(*w));
    return good;
}

/* --- a base --- */

struct taking {
    struct work *work;
    struct backup_log log;
    struct manifest_base *base;
    char directory[FILES_PATH_MAX], named[FILES_PATH_MAX]; /* while it is taken, and then */
    char *problem;
};

static enum backup_verdict log_verdict(struct taking *t, enum backup_verdict verdict)
{
    if (verdict != BACKUP_GOOD)
        snprintf(t->problem, FILES_PROBLEM_MAX, "%s", t->log.problem);
    return verdict;
}

/* The log grows, and its front goes, while the checkpoint is copied. */
static enum backup_verdict copy_checkpoint(struct taking *t)
{
    const struct timespec pause = { .tv_nsec = FOLLOW_US * 1000 };
    enum backup_verdict verdict = BACKUP_GOOD;
    char crash[CHILD_PROBLEM_MAX];
    pid_t child = child_begin(copy_now, t->work);
    if (child < 0) {
        snprintf(t->problem, FILES_PROBLEM_MAX, "no process could be made: %s", strerror(errno));
        return BACKUP_FAILED;
    }
    while (!child_ended(child, verdict != BACKUP_GOOD, crash)) {
        verdict = log_verdict(t, backup_log_copy(&t->log, false, NULL));
        nanosleep(&pause, NULL);
    }
    if (verdict != BACKUP_GOOD)
        return verdict;
    return judge(t->work, crash, t->problem) ? BACKUP_GOOD : BACKUP_FAILED;
}

/* What LMDB has put beside the copy when it was read back. */
static bool tidy(struct taking *t)
{
    char path[FILES_PATH_MAX];
    return files_join(path, t->directory, "lock.mdb", t->problem) && files_remove(path, t->problem);
}

static bool describe_checkpoint(struct taking *t)
{
    struct manifest_base *b = t->base;
    b->has_checkpoint = true;
    b->start_lsn = t->work->look.start.lsn;
    b->keys = 0;
    for (int db = 0; db < OP_DATABASES; db++)
        b->keys += t->work->examined.counts[db].keys - t->work->examined.counts[db].ghosts;
    return tidy(t) &&
           files_sum(t->work->file, &b->checkpoint_bytes, &b->checkpoint_crc, t->problem);
}

/* To the log's end as it is now. */
static enum backup_verdict finish_log(struct taking *t)
{
    struct manifest_base *b = t->base;
    const struct copy_start *start = b->has_checkpoint ? &t->work->look.start : NULL;
    uint64_t moment_ms = backup_log_moment(t->log.data);
    enum backup_verdict verdict = log_verdict(t, backup_log_copy(&t->log, false, NULL));
    if (verdict != BACKUP_GOOD)
        return verdict;
    if (!backup_log_verify(&t->log, start))
        return log_verdict(t, BACKUP_FAILED);
    /* The copy was committed when the log was durable up to where it ended: nothing is newer than
     * that. */
    b->earliest = b->has_checkpoint ? b->end.newest : 0;
    b->until_ms = backup_log_until_ms(b, moment_ms);
    return BACKUP_GOOD;
}

static enum backup_verdict take(struct taking *t, const struct backup_look *look)
{
    enum backup_verdict verdict = log_verdict(t, backup_log_copy(&t->log, false, NULL));
    if (verdict == BACKUP_GOOD && look->start_known) {
        verdict = copy_checkpoint(t);
        if (verdict == BACKUP_GOOD && !describe_checkpoint(t))
            return BACKUP_FAILED;
    }
    if (verdict == BACKUP_GOOD)
        verdict = finish_log(t);
    if (verdict == BACKUP_GOOD && (!files_sync_directory(t->directory, t->problem) ||
                                   !files_rename(t->directory, t->named, t->problem)))
        verdict = BACKUP_FAILED;
    return verdict;
}

/* What an interrupted run has left goes. */
static bool make_directory(struct taking *t, const char *backup)
{
    char fresh[MANIFEST_BASE_NAME_MAX + sizeof(".new")];
    snprintf(fresh, sizeof(fresh), "%s.new", t->base->name);
    return files_join(t->directory, backup, fresh, t->problem) &&
           files_join(t->named, backup, t->base->name, t->problem) &&
           files_remove_directory(t->directory, t->problem) &&
           files_make_directory(t->directory, t->problem);
}

enum backup_verdict backup_base_take(const char *data, struct disk *from, const char *backup,
                                     struct manifest_base *base, uint64_t *log_bytes, char *problem)
{
    struct taking t = { .base = base, .problem = problem };
    struct disk_posix to;
    static struct backup_look look;
    enum backup_verdict verdict = BACKUP_FAILED;
    *log_bytes = 0;
    if (!backup_look(data, &look, problem) || !make_directory(&t, backup))
        return BACKUP_FAILED;
    if (disk_posix_beside(&to, t.directory, true) != E_OK) {
        snprintf(problem, FILES_PROBLEM_MAX, "%s", to.disk.detail);
        return BACKUP_FAILED;
    }
    base->end_lsn = look.start_known ? look.start.lsn : 0;
    t.work = work_of(data, problem);
    if (t.work != NULL && backup_log_open(&t.log, data, from, &to.disk, base)) {
        snprintf(t.work->to, sizeof(t.work->to), "%s", t.directory);
        if (files_join(t.work->file, t.directory, checkpoint_file, problem))
            verdict = take(&t, &look);
        *log_bytes = t.log.bytes;
        backup_log_close(&t.log);
    } else if (t.work != NULL) {
        log_verdict(&t, BACKUP_FAILED);
    }
    child_memory_free(t.work, sizeof(*t.work));
    disk_posix_close(&to);
    return verdict;
}
