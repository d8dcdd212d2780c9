/*
 * logthread -- the thread that owns the disk: appends and syncs the log, writes the clock's
 * ceiling and what was learned of other runs, reads old log, drops what is not needed any more.
 *
 * The loop stages jobs as it finds them and submits once a turn: one lock, and one signal if the
 * thread sleeps. The thread takes all that is queued, appends it by one write for each contiguous
 * run, syncs once (group commit), and posts how far the log is durable. The loop polls for answers
 * after `wake` was sent to it.
 *
 *     loop     stage ... stage, submit  ->  queue  ->  thread: ceiling, reads, append + fdatasync
 *              poll                     <-  news   <-  durable LSN, ceiling, records, failure,
 *                                                      what is left of the log
 *
 * Pacing:  every sync costs a tenth of a millisecond of processor and two wake-ups. While no client
 *          waits for the disk (log.fsync everysec or no), syncs begin LOGTHREAD_PACE_US apart when
 *          peers wait for writes of ours, which costs them that much lag at most, and
 *          LOGTHREAD_LAZY_US apart when all there is came from peers: they only wait to hear that
 *          we have it.
 * Drops:   one segment a round, so that a sync waits for the removal of one file at most; what is
 *          not done at the stop waits for the next drop.
 * Errors:  after a failed append, roll or sync nothing is written any more, and what is queued is
 *          given up: its LSNs never become durable. A failed drop is only told.
 * Memory:  records are borrowed until their LSN was polled as durable; after a failure, until the
 *          thread has ended.
 * Threads: the functions belong to the loop's thread; the log, the ceiling file and the identity to
 *          this one, from start to stop.
 */
#ifndef HOST_LOGTHREAD_H
#define HOST_LOGTHREAD_H

#include <pthread.h>
#include <uv.h>

#include "store/identity.h"
#include "store/oplog.h"

enum { LOGTHREAD_PACE_US = 1000, LOGTHREAD_LAZY_US = 4000, LOGTHREAD_PROBLEM_MAX = 320 };

/* Old log asked for by a feed, and the answer. */
struct logthread_read {
    struct logthread_read *next;
    uint64_t link_id;
    uint64_t lsn, limit_lsn;
    size_t want;
    struct buffer records;           /* the answer */
    char why[LOGTHREAD_PROBLEM_MAX]; /* "" when it succeeded */
};

struct logthread_jobs {
    struct span *runs; /* of contiguous records; an empty one: the next begins a segment */
    size_t run_count, run_cap;
    uint64_t ceiling_ms;          /* 0: none */
    uint64_t drop_lsn;            /* 0: none */
    struct identity_known *known; /* owned; NULL: nothing new */
    bool unmark;
    struct logthread_read *reads, **reads_end;
};

struct logthread_news {
    uint64_t durable_lsn;
    uint64_t start_lsn;  /* of the oldest segment */
    uint64_t log_bytes;  /* of all segments' files */
    uint64_t ceiling_ms; /* made durable; 0: nothing new */
    bool failed;         /* once */
    char problem[LOGTHREAD_PROBLEM_MAX];
    bool unmarked;                          /* once */
    bool rolled;                            /* once for all rolls that were staged; or not: */
    char not_rolled[LOGTHREAD_PROBLEM_MAX]; /* why, once: there is no room; "": it was */
    char warning[LOGTHREAD_PROBLEM_MAX];    /* why a drop failed, once; "": none did */
    struct logthread_read *reads;           /* gives: logthread_read_free each */
};

struct logthread {
    struct oplog *log;
    struct ceiling_file *ceiling;
    struct identity *identity;
    uv_async_t *wake;
    pthread_t thread;
    struct logthread_jobs staged; /* the loop's */
    struct logthread_jobs taken;  /* the thread's */
    uint64_t synced_us;           /* when the last sync began; the thread's */
    uint64_t drop_lsn;   /* what is still to be dropped ends here; 0: nothing; the thread's */
    uint64_t rolled_lsn; /* below this no log is held; the thread's */
    bool broken;         /* the thread's */

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    enum { LOGTHREAD_BUSY, LOGTHREAD_IDLE, LOGTHREAD_PACED } state;
    struct logthread_jobs queued;
    uint64_t pace_us;
    bool stopping;
    struct logthread_news news;
    struct logthread_read **news_reads_end;
};

/* All are open and stay the caller's. 0, or a negative UV_ code. */
int logthread_start(struct logthread *t, struct oplog *log, struct ceiling_file *ceiling,
                    struct identity *identity, uv_async_t *wake);

void logthread_stage_records(struct logthread *t, struct span records);
void logthread_stage_ceiling(struct logthread *t, uint64_t ceiling_ms);
void logthread_stage_known(struct logthread *t, const struct identity_known *known); /* copied */
void logthread_stage_read(struct logthread *t, uint64_t link_id, uint64_t lsn, uint64_t limit_lsn,
                          size_t want);

/* Records staged from here on begin a new segment, and what stands before it goes when it is dropped, though
 * the next back-up would have liked it (store/hold.h). */
void logthread_stage_roll(struct logthread *t);

/* Segments that end at or before `lsn` are removed, after what was staged up to here. */
void logthread_stage_drop(struct logthread *t, uint64_t lsn);

/* The marker of a bootstrap goes (store/marker.h). */
void logthread_stage_unmark(struct logthread *t);

/* Hands over what was staged, if anything; syncs begin at least `pace_us` apart until it is done. */
void logthread_submit(struct logthread *t, uint64_t pace_us);

void logthread_poll(struct logthread *t, struct logthread_news *news);
void logthread_read_free(struct logthread_read *r);

/* Writes and syncs all that was submitted, then ends the thread; poll once more afterwards. */
void logthread_stop(struct logthread *t);

#endif
