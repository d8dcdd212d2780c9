#include "host/logthread.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "host/clocks.h"
#include "store/hold.h"
#include "store/marker.h"

/* --- queues --- */

static void jobs_init(struct logthread_jobs *j)
{
    *j = (struct logthread_jobs){ 0 };
    j->reads_end = &j->reads;
}

static bool jobs_urgent(const struct logthread_jobs *j)
{
    return j->ceiling_ms != 0 || j->known != NULL || j->unmark || j->reads != NULL;
}

static bool jobs_empty(const struct logthread_jobs *j)
{
    return j->run_count == 0 && j->drop_lsn == 0 && !jobs_urgent(j);
}

/* Records that follow the last ones in memory join them: one write. */
static void jobs_add_run(struct logthread_jobs *j, struct span run)
{
    struct span *last = j->run_count > 0 ? &j->runs[j->run_count - 1] : NULL;

    if (last != NULL && last->len > 0 && last->at + last->len == run.at) {
        last->len += run.len;
        return;
    }
    if (j->run_count == j->run_cap) {
        j->run_cap = j->run_cap == 0 ? 16 : j->run_cap * 2;
        j->runs = mem_realloc(j->runs, j->run_cap * sizeof(*j->runs));
    }
    j->runs[j->run_count++] = run;
}

/* Moves all of `from` behind what is in `to`. */
static void jobs_move(struct logthread_jobs *to, struct logthread_jobs *from)
{
    for (size_t i = 0; i < from->run_count; i++)
        jobs_add_run(to, from->runs[i]);
    from->run_count = 0;
    if (from->ceiling_ms != 0)
        to->ceiling_ms = from->ceiling_ms;
    from->ceiling_ms = 0;
    if (from->known != NULL) {
        mem_free(to->known);
        to->known = from->known;
    }
    from->known = NULL;
    to->unmark |= from->unmark;
    from->unmark = false;
    if (from->drop_lsn > to->drop_lsn)
        to->drop_lsn = from->drop_lsn;
    from->drop_lsn = 0;
    if (from->reads != NULL) {
        *to->reads_end = from->reads;
        to->reads_end = from->reads_end;
    }
    from->reads = NULL;
    from->reads_end = &from->reads;
}

static void jobs_release(struct logthread_jobs *j)
{
    for (struct logthread_read *r = j->reads, *next; r != NULL; r = next) {
        next = r->next;
        logthread_read_free(r);
    }
    mem_free(j->runs);
    mem_free(j->known);
    jobs_init(j);
}

/* --- the thread --- */

static void post_failure(struct logthread *t, const char *problem)
{
    pthread_mutex_lock(&t->lock);
    t->news.failed = true;
    snprintf(t->news.problem, sizeof(t->news.problem), "%s", problem);
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

static void write_ceiling(struct logthread *t, uint64_t ceiling_ms)
{
    if (ceiling_write(t->ceiling, ceiling_ms) != 0) {
        post_failure(t, t->ceiling->disk->detail);
        return;
    }
    pthread_mutex_lock(&t->lock);
    t->news.ceiling_ms = ceiling_ms;
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

/* What it costs to lose it is a check: but a disk that fails must be told in time. */
static void write_known(struct logthread *t, const struct identity_known *known)
{
    char problem[LOGTHREAD_PROBLEM_MAX];

    t->identity->known = *known;
    if (identity_store(t->ceiling->disk, t->identity, problem) != 0)
        post_failure(t, problem);
}

/* A marker that stays costs the next start a look at the old log, nothing else. */
static void remove_marker(struct logthread *t)
{
    char problem[MARKER_PROBLEM_MAX];
    int error = marker_remove(t->log->disk, problem);

    pthread_mutex_lock(&t->lock);
    t->news.unmarked = error == 0;
    if (error != 0)
        snprintf(t->news.warning, sizeof(t->news.warning), "%s", problem);
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

static void read_back(struct logthread *t, struct logthread_read *r)
{
    int error = oplog_read(t->log, r->lsn, r->limit_lsn, r->want, &r->records);

    if (error != 0) {
        snprintf(r->why, sizeof(r->why), "%s",
                 t->log->problem[0] != '\0' ? t->log->problem : error_text(error));
        buffer_clear(&r->records);
    }
    pthread_mutex_lock(&t->lock);
    *t->news_reads_end = r;
    t->news_reads_end = &r->next;
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

/* Without room for a segment the log goes on in the last one. */
static int roll(struct logthread *t)
{
    int error = oplog_roll(t->log);
    bool goes_on = error == 0 || !t->log->broken;

    if (!goes_on)
        return error;
    if (error == 0)
        t->rolled_lsn = t->log->end_lsn;
    pthread_mutex_lock(&t->lock);
    t->news.rolled = true;
    snprintf(t->news.not_rolled, sizeof(t->news.not_rolled), "%s",
             error == 0 ? "" : t->log->problem);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int append_run(struct logthread *t, struct span run)
{
    return run.len > 0 ? oplog_append(t->log, run) : roll(t);
}

static void append_and_sync(struct logthread *t)
{
    struct logthread_jobs *j = &t->taken;
    uint64_t log_bytes;
    int error = 0;

    if (t->broken)
        return;
    t->synced_us = clocks_monotonic_us();
    for (size_t i = 0; i < j->run_count && error == 0; i++)
        error = append_run(t, j->runs[i]);
    if (error == 0)
        error = oplog_sync(t->log);
    if (error != 0) {
        t->broken = true;
        post_failure(t, t->log->problem);
        return;
    }
    log_bytes = oplog_bytes(t->log);
    pthread_mutex_lock(&t->lock);
    t->news.durable_lsn = t->log->durable_lsn;
    t->news.log_bytes = log_bytes;
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

/* What the next back-up wants stays. */
static uint64_t but_for_held(const struct logthread *t, uint64_t lsn)
{
    uint64_t limit_lsn = hold_limit(t->log->disk, lsn, t->log->end_lsn);
    uint64_t free_lsn = lsn < t->rolled_lsn ? lsn : t->rolled_lsn;

    return limit_lsn > free_lsn ? limit_lsn : free_lsn;
}

/* The next segment that ends at or before drop_lsn, if there is one left. */
static void drop_one(struct logthread *t)
{
    const struct oplog_segment *oldest = &t->log->segments[0];
    uint64_t start_lsn = oldest->start_lsn, lsn = oldest->end_lsn, log_bytes;
    int error;

    if (lsn > t->drop_lsn || t->broken) {
        t->drop_lsn = 0;
        return;
    }
    error = oplog_drop(t->log, lsn);
    if (error != 0 || start_lsn == oplog_start_lsn(t->log))
        t->drop_lsn = 0;
    start_lsn = oplog_start_lsn(t->log);
    log_bytes = oplog_bytes(t->log);
    pthread_mutex_lock(&t->lock);
    t->news.start_lsn = start_lsn;
    t->news.log_bytes = log_bytes;
    if (error != 0)
        snprintf(t->news.warning, sizeof(t->news.warning), "%s", t->log->problem);
    pthread_mutex_unlock(&t->lock);
    uv_async_send(t->wake);
}

/* Called and returns with the lock held; it is free in between. */
static void work(struct logthread *t)
{
    struct logthread_jobs *j = &t->taken;

    jobs_move(j, &t->queued);
    pthread_mutex_unlock(&t->lock);
    if (j->ceiling_ms != 0)
        write_ceiling(t, j->ceiling_ms);
    j->ceiling_ms = 0;
    if (j->known != NULL)
        write_known(t, j->known);
    mem_free(j->known);
    j->known = NULL;
    if (j->unmark)
        remove_marker(t);
    j->unmark = false;
    while (j->reads != NULL) {
        struct logthread_read *r = j->reads;

        j->reads = r->next;
        r->next = NULL;
        read_back(t, r);
    }
    j->reads_end = &j->reads;
    if (j->run_count > 0)
        append_and_sync(t);
    j->run_count = 0;
    if (j->drop_lsn > t->drop_lsn)
        t->drop_lsn = but_for_held(t, j->drop_lsn);
    j->drop_lsn = 0;
    if (t->drop_lsn != 0)
        drop_one(t);
    pthread_mutex_lock(&t->lock);
}

static uint64_t next_sync_us(const struct logthread *t)
{
    return t->synced_us + t->pace_us;
}

/* Sleeps until the next sync may begin, or something has to be done sooner. */
static void wait_for_pace(struct logthread *t)
{
    struct timespec until = {
        .tv_sec = (time_t)(next_sync_us(t) / 1000000),
        .tv_nsec = (long)(next_sync_us(t) % 1000000 * 1000),
    };

    t->state = LOGTHREAD_PACED;
    pthread_cond_timedwait(&t->work, &t->lock, &until);
    t->state = LOGTHREAD_BUSY;
}

static bool is_too_early(const struct logthread *t)
{
    return t->pace_us > 0 && !t->stopping && !jobs_urgent(&t->queued) &&
           clocks_monotonic_us() < next_sync_us(t);
}

static void *run(void *context)
{
    struct logthread *t = context;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        if (jobs_empty(&t->queued) && t->stopping)
            break;
        if (jobs_empty(&t->queued) && t->drop_lsn == 0) {
            t->state = LOGTHREAD_IDLE;
            pthread_cond_wait(&t->work, &t->lock);
            t->state = LOGTHREAD_BUSY;
        } else if (is_too_early(t))
            wait_for_pace(t);
        else
            work(t);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* --- the loop's side --- */

int logthread_start(struct logthread *t, struct oplog *log, struct ceiling_file *ceiling,
                    struct identity *identity, uv_async_t *wake)
{
    pthread_condattr_t attributes;

    *t = (struct logthread){ .log = log, .ceiling = ceiling, .identity = identity, .wake = wake };
    jobs_init(&t->staged);
    jobs_init(&t->queued);
    jobs_init(&t->taken);
    t->news_reads_end = &t->news.reads;
    t->news.durable_lsn = log->durable_lsn;
    t->news.start_lsn = oplog_start_lsn(log);
    t->news.log_bytes = oplog_bytes(log);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&t->work, &attributes);
    pthread_condattr_destroy(&attributes);
    return uv_translate_sys_error(pthread_create(&t->thread, NULL, run, t));
}

void logthread_stage_records(struct logthread *t, struct span records)
{
    CHECK(records.len > 0);
    jobs_add_run(&t->staged, records);
}

void logthread_stage_roll(struct logthread *t)
{
    jobs_add_run(&t->staged, (struct span){ 0 });
}

void logthread_stage_drop(struct logthread *t, uint64_t lsn)
{
    t->staged.drop_lsn = lsn;
}

void logthread_stage_ceiling(struct logthread *t, uint64_t ceiling_ms)
{
    t->staged.ceiling_ms = ceiling_ms;
}

void logthread_stage_known(struct logthread *t, const struct identity_known *known)
{
    if (t->staged.known == NULL)
        t->staged.known = mem_alloc(sizeof(*known));
    *t->staged.known = *known;
}

void logthread_stage_unmark(struct logthread *t)
{
    t->staged.unmark = true;
}

void logthread_stage_read(struct logthread *t, uint64_t link_id, uint64_t lsn, uint64_t limit_lsn,
                          size_t want)
{
    struct logthread_read *r = mem_zalloc(sizeof(*r));

    r->link_id = link_id;
    r->lsn = lsn;
    r->limit_lsn = limit_lsn;
    r->want = want;
    *t->staged.reads_end = r;
    t->staged.reads_end = &r->next;
}

void logthread_submit(struct logthread *t, uint64_t pace_us)
{
    bool signal, sooner;

    if (jobs_empty(&t->staged))
        return;
    pthread_mutex_lock(&t->lock);
    /* What waits already keeps its pace, unless this is in more of a hurry. */
    sooner = t->queued.run_count == 0 || pace_us < t->pace_us;
    jobs_move(&t->queued, &t->staged);
    if (sooner)
        t->pace_us = pace_us;
    signal = t->state == LOGTHREAD_IDLE ||
             (t->state == LOGTHREAD_PACED && (sooner || jobs_urgent(&t->queued)));
    pthread_mutex_unlock(&t->lock);
    if (signal)
        pthread_cond_signal(&t->work);
}

void logthread_poll(struct logthread *t, struct logthread_news *news)
{
    pthread_mutex_lock(&t->lock);
    *news = t->news;
    t->news.ceiling_ms = 0;
    t->news.failed = false;
    t->news.warning[0] = '\0';
    t->news.unmarked = false;
    t->news.rolled = false;
    t->news.reads = NULL;
    t->news_reads_end = &t->news.reads;
    pthread_mutex_unlock(&t->lock);
}

void logthread_read_free(struct logthread_read *r)
{
    buffer_release(&r->records);
    mem_free(r);
}

void logthread_stop(struct logthread *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    jobs_move(&t->queued, &t->staged);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_signal(&t->work);
    pthread_join(t->thread, NULL);
    CHECK(jobs_empty(&t->queued));
    jobs_release(&t->staged);
    jobs_release(&t->queued);
    jobs_release(&t->taken);
    pthread_cond_destroy(&t->work);
}
