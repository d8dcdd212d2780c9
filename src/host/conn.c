#include "host/conn.h"

#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "node/client.h"

static void on_closed(uv_handle_t *handle)
{
    struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);

    outflow_release(&c->out);
    mem_free(c);
}

static void conn_close(struct conn *c)
{
    if (c->session == NULL)
        return;
    node_session_close(c->loop->node, c->session);
    c->session = NULL;
    list_remove(&c->link);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static size_t unsent(const struct conn *c)
{
    return c->session->output.len - client_of(c->session)->sent;
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);

    (void)suggested;
    *buf = uv_buf_init((char *)c->loop->read_buffer, LOOP_READ_BYTES);
}

static bool may_read(const struct conn *c)
{
    struct session *s = c->session;
    /* It resumes well below where it stopped. */
    size_t most = c->reading ? LOOP_UNSENT_MAX : LOOP_UNSENT_MAX / 2;

    if (c->loop->stalled || c->loop->stopping || c->ended || s->closing || unsent(c) > most)
        return false;
    if (memory_must_wait(c->loop->node))
        most = 0; /* who waits for memory may not fill it with what is still to come */
    return !((session_waits(s) || client_of(s)->stalled) && s->input.len > most);
}

/* Answers that are still to go, or commands that came and wait for the clock or for room. */
static bool owes(const struct conn *c)
{
    const struct client *client = client_of(c->session);

    return unsent(c) > 0 || (!c->session->closing && (client->stalled || client->full));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void adjust_reading(struct conn *c)
{
    bool wanted = may_read(c);

    if (wanted == c->reading)
        return;
    c->reading = wanted;
    if (wanted)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&c->tcp);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct conn *c = container_of((uv_tcp_t *)stream, struct conn, tcp);

    if (got == 0)
        return; /* EAGAIN */
    loop_touch(c->loop);
    if (got > 0) {
        node_session_input(c->loop->node, c->session, span_of(buf->base, (size_t)got));
        if (!may_read(c))
            adjust_reading(c);
        return;
    }
    if (got == UV_EOF && owes(c)) { /* it may only have closed its writing half */
        c->ended = true;
        adjust_reading(c);
        return;
    }
    conn_close(c);
}

/* --- writing --- */

/* False when the connection is dead. */
static bool send_some(struct conn *c)
{
    for (;;) {
        struct span output = node_session_output(c->session);
        ssize_t taken = outflow_write(&c->out, (uv_stream_t *)&c->tcp, output);

        if (taken <= 0)
            return taken == 0;
        node_session_sent(c->loop->node, c->session, (size_t)taken);
        if ((size_t)taken == output.len)
            return true;
    }
}

void conn_flush(struct conn *c)
{
    if (c->session->killed || !send_some(c)) {
        conn_close(c);
        return;
    }
    if ((c->session->closing || c->ended) && !owes(c) && !c->out.busy)
        conn_close(c);
    else
        adjust_reading(c);
}

static void on_ready(uv_stream_t *stream, int error)
{
    struct conn *c = container_of((uv_tcp_t *)stream, struct conn, tcp);

    if (c->session == NULL)
        return;
    loop_touch(c->loop);
    if (error != 0)
        conn_close(c);
    else
        conn_flush(c);
}

/* --- coming and going --- */

static void refuse(int fd)
{
    ssize_t told = write(fd, NODE_TOO_MANY_CLIENTS, sizeof(NODE_TOO_MANY_CLIENTS) - 1);

    (void)told; /* the client learns by the closing, if not by the line */
    close(fd);
}

void conn_accept(void *loop, int fd, const char *address, const char *local)
{
    struct loop *l = loop;
    struct conn *c = mem_zalloc(sizeof(*c));

    loop_touch(l);
    c->session = node_session_open(l->node, c, address, local);
    if (c->session == NULL) {
        mem_free(c);
        refuse(fd);
        return;
    }
    c->loop = l;
    c->out.ready = on_ready;
    list_add_tail(&l->conns, &c->link);
    uv_tcp_init(&l->uv, &c->tcp);
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        close(fd);
        conn_close(c);
        return;
    }
    uv_tcp_keepalive(&c->tcp, 1, CONN_KEEPALIVE_S);
    adjust_reading(c);
}

void conn_adjust_all(struct loop *l)
{
    list_each(&l->conns, at) adjust_reading(container_of(at, struct conn, link));
}

void conn_close_all(struct loop *l)
{
    list_each(&l->conns, at) conn_close(container_of(at, struct conn, link));
}
