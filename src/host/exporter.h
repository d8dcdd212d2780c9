/*
 * exporter -- the thread that reads objects back from disk, for regions that are bootstrapped from
 * us.
 *
 * Records that are not in memory take as long as the disk takes; nobody else waits for them here.
 *
 *     loop     submit  ->  cursor  ->  thread: checkpoint_export
 *              poll    <-  news    <-  changes and where the cursor came to, or the error and why
 *
 * The thread is started with the first job, and has a reader of its own.
 * Threads: the functions belong to the loop's thread.
 */
#ifndef HOST_EXPORTER_H
#define HOST_EXPORTER_H

#include <pthread.h>
#include <uv.h>

#include "store/checkpoint.h"

struct exporter {
    struct kv *kv;
    uv_async_t *wake;
    pthread_t thread;
    bool running; /* the loop's: there is a thread */
    bool is_out;  /* the loop's: submitted and not yet polled */

    pthread_mutex_t lock; /* over these */
    pthread_cond_t work;
    enum { EXPORTER_IDLE, EXPORTER_ASKED, EXPORTER_DONE } state;
    bool stopping;

    /* the thread's while ASKED, else the loop's */
    size_t max_bytes;
    struct buffer cursor, changes;
    bool all;
    int error;
    char problem[CHECKPOINT_PROBLEM_MAX];
};

/* Borrows both until stop. */
void exporter_init(struct exporter *e, struct kv *kv, uv_async_t *wake);
void exporter_stop(struct exporter *e);

bool exporter_is_free(const struct exporter *e);
/* The cursor is copied. 0, or a negative UV_ code: there is no thread. */
int exporter_submit(struct exporter *e, struct span cursor, size_t max_bytes);

/* True once for each job: error, problem, cursor, changes and all are good until the next. */
bool exporter_poll(struct exporter *e);

#endif
