/*
 * checkpointer -- the thread that writes checkpoints into the store of objects.
 *
 * The loop hands it one transaction at a time (node_next_write), and is woken when that is committed
 * or has failed:
 *
 *     loop     submit  ->  job   ->  thread: checkpoint_write, which puts and commits
 *              poll    <-  news  <-  E_OK, or the error and why
 *
 * Between two of them it writes the whole store anew (node_next_rewrite), which may take minutes: what is to
 * be committed waits for as long.
 * Threads: the functions belong to the loop's thread; writing to the kv, to this one, from start to
 *          stop.
 */
#ifndef HOST_CHECKPOINTER_H
#define HOST_CHECKPOINTER_H

#include <pthread.h>
#include <uv.h>

#include "store/checkpoint.h"

struct checkpointer_news {
    bool is_rewrite;
    struct kv_rewritten rewritten; /* by it */
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
    bool is_rewrite; /* instead of the job */
    struct checkpoint_write job;
    struct checkpointer_news news;
    bool gives_up; /* rewrites */
    bool stopping;
};

/* Borrows both until stop. 0, or a negative UV_ code. */
int checkpointer_start(struct checkpointer *c, struct kv *kv, uv_async_t *wake);

/* The job's spans are borrowed until it was polled. */
bool checkpointer_is_free(const struct checkpointer *c);
void checkpointer_submit(struct checkpointer *c, const struct checkpoint_write *job);

/* The store is written anew. */
void checkpointer_submit_rewrite(struct checkpointer *c);
/* A rewrite that runs, or is submitted later, ends soon with E_BUSY, unless it is done: for the stop. */
void checkpointer_give_up(struct checkpointer *c);

/* True once for each job and each rewrite: it has ended. */
bool checkpointer_poll(struct checkpointer *c, struct checkpointer_news *news);

/* Finishes what was submitted, then ends the thread; poll once more afterwards. */
void checkpointer_stop(struct checkpointer *c);

#endif
