#include "host/checkpointer.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"

/* --- the thread --- */

static bool goes_on(void *context)
{
    struct checkpointer *c = context;
    bool goes_on;

    pthread_mutex_lock(&c->lock);
    goes_on = !c->gives_up && !c->stopping;
    pthread_mutex_unlock(&c->lock);
    return goes_on;
}

static void rewrite(struct checkpointer *c, struct checkpointer_news *news)
{
    struct kv *kv = c->writer.kv;
    char detail[KV_DETAIL_MAX] = "";

    news->error = kv->ops->rewrite(kv, goes_on, c, detail, &news->rewritten);
    snprintf(news->problem, sizeof(news->problem), "%s", detail);
}

/* Called and returns with the lock held; it is free in between. */
static void work(struct checkpointer *c)
{
    struct checkpointer_news news = { .is_rewrite = c->is_rewrite };
    struct checkpoint_write job = c->job;

    pthread_mutex_unlock(&c->lock);
    if (news.is_rewrite) {
        rewrite(c, &news);
    } else {
        news.error = checkpoint_write(&c->writer, &job);
        snprintf(news.problem, sizeof(news.problem), "%s",
                 news.error == E_OK ? "" : c->writer.problem);
    }
    pthread_mutex_lock(&c->lock);
    c->news = news;
    c->state = CHECKPOINTER_DONE;
    uv_async_send(c->wake);
}

static void *run(void *context)
{
    struct checkpointer *c = context;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        if (c->state == CHECKPOINTER_ASKED)
            work(c);
        else if (c->stopping)
            break;
        else
            pthread_cond_wait(&c->work, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- the loop's side --- */

int checkpointer_start(struct checkpointer *c, struct kv *kv, uv_async_t *wake)
{
    *c = (struct checkpointer){ .wake = wake };
    checkpoint_writer_init(&c->writer, kv);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    return uv_translate_sys_error(pthread_create(&c->thread, NULL, run, c));
}

bool checkpointer_is_free(const struct checkpointer *c)
{
    return !c->is_out;
}

/* NULL: a rewrite. */
static void submit(struct checkpointer *c, const struct checkpoint_write *job)
{
    CHECK(!c->is_out);
    c->is_out = true;
    pthread_mutex_lock(&c->lock);
    c->is_rewrite = job == NULL;
    if (job != NULL)
        c->job = *job;
    c->state = CHECKPOINTER_ASKED;
    pthread_mutex_unlock(&c->lock);
    pthread_cond_signal(&c->work);
}

void checkpointer_submit(struct checkpointer *c, const struct checkpoint_write *job)
{
    CHECK(job != NULL);
    submit(c, job);
}

void checkpointer_submit_rewrite(struct checkpointer *c)
{
    submit(c, NULL);
}

void checkpointer_give_up(struct checkpointer *c)
{
    pthread_mutex_lock(&c->lock);
    c->gives_up = true;
    pthread_mutex_unlock(&c->lock);
}

bool checkpointer_poll(struct checkpointer *c, struct checkpointer_news *news)
{
    bool done;

    if (!c->is_out)
        return false;
    pthread_mutex_lock(&c->lock);
    done = c->state == CHECKPOINTER_DONE;
    if (done) {
        *news = c->news;
        c->state = CHECKPOINTER_IDLE;
        c->is_out = false;
    }
    pthread_mutex_unlock(&c->lock);
    return done;
}

void checkpointer_stop(struct checkpointer *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    pthread_cond_signal(&c->work);
    pthread_join(c->thread, NULL);
    checkpoint_writer_release(&c->writer);
    pthread_cond_destroy(&c->work);
}
