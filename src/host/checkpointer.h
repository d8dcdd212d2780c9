/*
 * checkpointer -- the thread that writes checkpoints into the store of objects.
 *
 * The loop hands it one transaction at a time (node_next_write), and is woken when that is committed
 * or has failed:
 *
 *     loop     submit  ->  job   ->  thread: checkpoint_write, which puts and commits
 *              poll    <-  news  <-  E_OK, or the error and why
 *
 * Threads: the functions belong to the loop's thread; writing to the kv, to this one, from start to
 *          stop.
 */
#ifndef HOST_CHECKPOINTER_H
#define HOST_CHECKPOINTER_H

#include <pthread.h>
#include <uv.h>

#include "store/checkpoint.h"

struct checkpointer_news {
    int error;
    char problem[CHECKPOINT_PROBLEM_MAX]; /* "" with E_OK */
};

struct checkpointer {
    uv_async_t *wake;
    pthread_t thread;
    struct checkpoint_writer writer; /* the thread's */
    bool is_out;                     /* the loop's: submitted and not yet polled */

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t work;
    enum { CHECKPOINTER_IDLE, CHECKPOINTER_ASKED, CHECKPOINTER_DONE } state;
    struct checkpoint_write job;
    struct checkpointer_news news;
    bool stopping;
};

/* Borrows both until stop. 0, or a negative UV_ code. */
int checkpointer_start(struct checkpointer *c, struct kv *kv, uv_async_t *wake);

/* The job's spans are borrowed until it was polled. */
bool checkpointer_is_free(const struct checkpointer *c);
void checkpointer_submit(struct checkpointer *c, const struct checkpoint_write *job);

/* True once for each job: it has ended. */
bool checkpointer_poll(struct checkpointer *c, struct checkpointer_news *news);

/* Finishes what was submitted, then ends the thread; poll once more afterwards. */
void checkpointer_stop(struct checkpointer *c);

#endif
