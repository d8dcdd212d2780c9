#include "host/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "node/report.h"

/* What one request asks of the loop. Whoever comes last, loop or handler, frees it. */
struct question {
    struct question *next;
    const struct page *page;
    struct buffer answer;
    unsigned status;
    bool answered;
    bool abandoned; /* the handler waits no more */
};

struct http {
    struct loop *loop;
    struct MHD_Daemon *daemon;
    uv_async_t asked;
    pthread_mutex_t lock; /* over all below, and the questions' flags */
    pthread_cond_t answered;
    struct question *first, **last;
    bool stopping;
};

/* --- the pages, on the loop's thread --- */

struct page {
    const char *path;
    const char *content_type;
    unsigned (*write)(struct loop *l, struct buffer *out); /* gives the HTTP status */
};

static unsigned write_status(struct loop *l, struct buffer *out)
{
    node_status_json(l->node, out);
    return MHD_HTTP_OK;
}

static unsigned write_metrics(struct loop *l, struct buffer *out)
{
    node_metrics(l->node, out);
    return MHD_HTTP_OK;
}

static const char *unhealthy(const struct loop *l)
{
    if (l->node->server.loading != NULL)
        return l->node->loading ? "loading" : l->node->server.loading + strlen("LOADING ");
    if (l->node->server.refusal != NULL)
        return l->node->server.refusal;
    if (l->stalled)
        return "the log's disk is behind";
    if (replica_write_refusal(&l->node->replica) != NULL)
        return replica_write_refusal(&l->node->replica);
    return node_memory_refusal(l->node);
}

static unsigned write_health(struct loop *l, struct buffer *out)
{
    const char *reason = unhealthy(l);

    if (reason == NULL) {
        buffer_put_text(out, "{\"status\":\"serving\"}\n");
        return MHD_HTTP_OK;
    }
    buffer_printf(out, "{\"status\":\"not serving%s\",\"reason\":",
                  l->node->server.loading != NULL ? "" : " writes");
    report_json_string(out, reason);
    buffer_put_text(out, "}\n");
    return MHD_HTTP_SERVICE_UNAVAILABLE;
}

static const struct page PAGES[] = {
    { "/status", "application/json", write_status },
    { "/health", "application/json", write_health },
    { "/metrics", "text/plain; version=0.0.4; charset=utf-8", write_metrics },
};

static void question_free(struct question *q)
{
    buffer_release(&q->answer);
    mem_free(q);
}

static void answer_one(struct http *h, struct question *q)
{
    bool abandoned;

    q->status = q->page->write(h->loop, &q->answer);
    pthread_mutex_lock(&h->lock);
    q->answered = true;
    abandoned = q->abandoned;
    pthread_mutex_unlock(&h->lock);
    if (abandoned)
        question_free(q);
    else
        pthread_cond_broadcast(&h->answered);
}

static void on_asked(uv_async_t *asked)
{
    struct http *h = container_of(asked, struct http, asked);
    struct question *q;

    loop_touch(h->loop);
    pthread_mutex_lock(&h->lock);
    q = h->first;
    h->first = NULL;
    h->last = &h->first;
    pthread_mutex_unlock(&h->lock);
    for (struct question *next; q != NULL; q = next) {
        next = q->next;
        answer_one(h, q);
    }
}

/* --- HTTP's thread --- */

static struct timespec deadline(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += HTTP_WAIT_MS / 1000;
    return t;
}

/* The loop's answer, or NULL when it did not come in time. */
static struct question *ask(struct http *h, const struct page *page)
{
    struct question *q = mem_zalloc(sizeof(*q));
    struct timespec until = deadline();

    q->page = page;
    pthread_mutex_lock(&h->lock);
    *h->last = q;
    h->last = &q->next;
    uv_async_send(&h->asked);
    while (!q->answered && !h->stopping)
        if (pthread_cond_timedwait(&h->answered, &h->lock, &until) == ETIMEDOUT)
            break;
    if (!q->answered) {
        q->abandoned = true;
        q = NULL;
    }
    pthread_mutex_unlock(&h->lock);
    return q;
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status,
                               const char *content_type, struct span body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.at, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued;

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection, unsigned status,
                                    const char *text)
{
    return respond(connection, status, "text/plain; charset=utf-8", span_str(text));
}

static const struct page *find_page(const char *path)
{
    for (size_t i = 0; i < COUNT_OF(PAGES); i++)
        if (strcmp(PAGES[i].path, path) == 0)
            return &PAGES[i];
    return NULL;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *body, size_t *body_len, void **seen)
{
    const struct page *page = find_page(path);
    struct question *q;
    enum MHD_Result queued;

    (void)version;
    (void)body;
    (void)body_len;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                            "only GET and HEAD are answered\n");
    if (*seen == NULL) { /* only the head was read: an answer now would end the connection */
        *seen = connection;
        return MHD_YES;
    }
    if (page == NULL)
        return respond_text(connection, MHD_HTTP_NOT_FOUND,
                            "there is /status, /health and /metrics\n");
    q = ask(context, page);
    if (q == NULL)
        return respond_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                            "the region is too busy to answer\n");
    queued = respond(connection, q->status, page->content_type, buffer_span(&q->answer));
    question_free(q);
    return queued;
}

/* --- life --- */

static void init_locks(struct http *h)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&h->answered, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct http *http_start(struct loop *l, int fd)
{
    struct http *h = mem_zalloc(sizeof(*h));

    h->loop = l;
    h->last = &h->first;
    init_locks(h);
    uv_async_init(&l->uv, &h->asked, on_asked);
    h->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC, 0, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_END);
    if (h->daemon != NULL)
        return h;
    close(fd);
    uv_close((uv_handle_t *)&h->asked, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    http_free(h);
    return NULL;
}

void http_stop(struct http *h)
{
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_mutex_unlock(&h->lock);
    pthread_cond_broadcast(&h->answered);
    MHD_stop_daemon(h->daemon);
    uv_close((uv_handle_t *)&h->asked, NULL);
}

void http_free(struct http *h)
{
    for (struct question *q = h->first, *next; q != NULL; q = next) {
        next = q->next;
        question_free(q);
    }
    pthread_cond_destroy(&h->answered);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}
