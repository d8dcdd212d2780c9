#include "host/exporter.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"

/* --- the thread --- */

/* A store that could not be opened may be the next time. */
static void export(struct exporter *e, struct checkpoint *store, bool *is_open)
{
    struct checkpoint_found found;

    buffer_clear(&e->changes);
    e->all = false;
    e->error = *is_open ? E_OK : checkpoint_open(store, e->kv, &found);
    *is_open = e->error == E_OK;
    if (*is_open) {
        e->error = checkpoint_export(store, &e->cursor, e->max_bytes, &e->changes, &e->all);
        checkpoint_refresh(store);
    }
    snprintf(e->problem, sizeof(e->problem), "%s", e->error == E_OK ? "" : store->problem);
}

static void *run(void *context)
{
    struct exporter *e = context;
    struct checkpoint store;
    bool is_open = false;

    pthread_mutex_lock(&e->lock);
    for (;;) {
        if (e->state == EXPORTER_ASKED) {
            pthread_mutex_unlock(&e->lock);
            export(e, &store, &is_open);
            pthread_mutex_lock(&e->lock);
            e->state = EXPORTER_DONE;
            uv_async_send(e->wake);
        } else if (e->stopping)
            break;
        else
            pthread_cond_wait(&e->work, &e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    if (is_open)
        checkpoint_close(&store);
    return NULL;
}

/* --- the loop's side --- */

void exporter_init(struct exporter *e, struct kv *kv, uv_async_t *wake)
{
    *e = (struct exporter){ .kv = kv, .wake = wake };
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
}

bool exporter_is_free(const struct exporter *e)
{
    return !e->is_out;
}

int exporter_submit(struct exporter *e, struct span cursor, size_t max_bytes)
{
    int error = 0;

    CHECK(!e->is_out);
    buffer_clear(&e->cursor);
    buffer_put(&e->cursor, cursor);
    e->max_bytes = max_bytes;
    if (!e->running)
        error = uv_translate_sys_error(pthread_create(&e->thread, NULL, run, e));
    if (error != 0)
        return error;
    e->running = e->is_out = true;
    pthread_mutex_lock(&e->lock);
    e->state = EXPORTER_ASKED;
    pthread_mutex_unlock(&e->lock);
    pthread_cond_signal(&e->work);
    return 0;
}

bool exporter_poll(struct exporter *e)
{
    bool done;

    if (!e->is_out)
        return false;
    pthread_mutex_lock(&e->lock);
    done = e->state == EXPORTER_DONE;
    if (done)
        e->state = EXPORTER_IDLE;
    pthread_mutex_unlock(&e->lock);
    e->is_out = !done;
    return done;
}

void exporter_stop(struct exporter *e)
{
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_mutex_unlock(&e->lock);
    pthread_cond_signal(&e->work);
    if (e->running)
        pthread_join(e->thread, NULL);
    e->running = false;
    buffer_release(&e->cursor);
    buffer_release(&e->changes);
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->lock);
}
