#include "host/peerconn.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"

static struct peerconn *of_handle(void *handle)
{
    return container_of((uv_tcp_t *)handle, struct peerconn, tcp);
}

/* --- closing --- */

/* The last of the handle and the resolver to let go frees it. */
static void free_when_idle(struct peerconn *c)
{
    if (c->resolving || c->handle_open)
        return;
    delay_release(&c->inbound);
    delay_release(&c->outbound);
    outflow_release(&c->out);
    mem_free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct peerconn *c = of_handle(handle);

    c->handle_open = false;
    free_when_idle(c);
}

static void close_handle(struct peerconn *c)
{
    c->state = PEERCONN_CLOSED;
    list_remove(&c->list);
    if (c->resolving)
        /* may be too late: then the answer finds it closed */
        uv_cancel((uv_req_t *)&c->resolve);
    if (c->handle_open)
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void dial_failed(struct peerconn *c, const char *why)
{
    struct peer *peer = c->dialled;

    close_handle(c);
    node_dial_failed(c->loop->node, peer, why);
}

/* The last words of a link say why it ends: let them arrive. Unread input would turn the close
 * into a reset. */
static void send_last_words(struct peerconn *c)
{
    uv_os_fd_t fd;

    if (c->out.busy || c->ended || uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0)
        return;
    for (struct span rest; delay_front(&c->outbound, UINT64_MAX - 1, &rest);
         delay_take(&c->outbound, rest.len))
        if (outflow_write(&c->out, (uv_stream_t *)&c->tcp, rest) != (ssize_t)rest.len)
            return;
    outflow_write(&c->out, (uv_stream_t *)&c->tcp,
                  span_skip(buffer_span(&c->link->output), c->sent));
    for (int i = 0; i < 8 && read(fd, c->loop->read_buffer, LOOP_READ_BYTES) > 0; i++)
        continue;
}

static void close_link(struct peerconn *c, const char *why)
{
    struct link *link = c->link;

    if (link == NULL)
        return;
    if (link->close)
        send_last_words(c);
    c->link = NULL;
    close_handle(c);
    node_link_closed(c->loop->node, link, why);
}

/* --- distances --- */

static uint64_t delay_us(const struct peerconn *c)
{
    const struct peer *peer = c->link->peer;

    return c->distance_us + (peer != NULL ? (uint64_t)peer->slow_ms * 1000 : 0);
}

static uint64_t distance_to(const struct loop *l, const struct region *there)
{
    double ms = -1;

    if (l->options.wan != NULL)
        ms = wan_round_trip_ms(l->options.wan, l->node->options.self->name, there->name);
    return ms > 0 ? (uint64_t)(ms * 1000 / 2) : 0;
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    *buf = uv_buf_init((char *)of_handle(handle)->loop->read_buffer, LOOP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void adjust_reading(struct peerconn *c)
{
    bool full = c->loop->full && c->link != NULL && c->link->is_intake;
    bool wanted = !c->ended && c->inbound.bytes <= PEERCONN_DELAYED_MAX && !full;

    if (wanted == c->reading)
        return;
    c->reading = wanted;
    if (wanted)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&c->tcp);
}

static void take_in(struct peerconn *c, struct span bytes)
{
    uint64_t delay = delay_us(c);

    if (delay == 0 && c->inbound.bytes == 0) {
        node_link_input(c->loop->node, c->link, bytes);
        loop_judge_room(c->loop); /* libuv would read on, as long as there is something */
        return;
    }
    delay_put(&c->inbound, bytes, c->loop->now_us + delay);
    adjust_reading(c);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct peerconn *c = of_handle(stream);

    if (got == 0)
        return;
    loop_touch(c->loop);
    if (got > 0 && !c->link->close)
        take_in(c, span_of(buf->base, (size_t)got));
    else if (got == UV_EOF && c->inbound.bytes > 0) {
        c->ended = true;
        adjust_reading(c);
    } else if (got < 0)
        close_link(c, got == UV_EOF ? "closed by the other end" : uv_strerror((int)got));
}

/* Hands over what is due. */
static void arrive(struct peerconn *c)
{
    struct span bytes;

    while (!c->link->close && delay_front(&c->inbound, c->loop->now_us, &bytes)) {
        node_link_input(c->loop->node, c->link, bytes);
        delay_take(&c->inbound, bytes.len);
    }
    if (c->ended && c->inbound.bytes == 0)
        close_link(c, "closed by the other end");
    else
        adjust_reading(c);
}

/* --- writing --- */

/* False when the connection is dead, and then closed. */
static bool alive(struct peerconn *c, ssize_t result)
{
    if (result >= 0)
        return true;
    close_link(c, uv_strerror((int)result));
    return false;
}

static void note_sent(struct peerconn *c, size_t bytes)
{
    c->sent += bytes;
    if (c->sent * 2 < c->link->output.len)
        return;
    if (c->sent >= LINK_OUTPUT_MAX / 2)
        c->loop->again = true; /* the feed had stopped at its limit: it may fill it again */
    node_link_sent(c->loop->node, c->link, c->sent);
    c->sent = 0;
}

static void send_directly(struct peerconn *c)
{
    while (c->sent < c->link->output.len) {
        ssize_t taken = outflow_write(&c->out, (uv_stream_t *)&c->tcp,
                                      span_skip(buffer_span(&c->link->output), c->sent));

        if (!alive(c, taken) || taken == 0)
            return;
        note_sent(c, (size_t)taken);
    }
}

/* Puts all that the link has on the long way. */
static void send_delayed(struct peerconn *c, uint64_t delay)
{
    struct span bytes = span_skip(buffer_span(&c->link->output), c->sent);

    if (bytes.len == 0 || c->outbound.bytes > PEERCONN_DELAYED_MAX)
        return;
    delay_put(&c->outbound, bytes, c->loop->now_us + delay);
    note_sent(c, bytes.len);
}

static void depart(struct peerconn *c)
{
    struct span bytes;

    while (delay_front(&c->outbound, c->loop->now_us, &bytes)) {
        ssize_t taken = outflow_write(&c->out, (uv_stream_t *)&c->tcp, bytes);

        if (!alive(c, taken) || taken == 0)
            return;
        delay_take(&c->outbound, (size_t)taken);
    }
}

void peerconn_flush(struct peerconn *c)
{
    uint64_t delay;

    if (c->link->close) {
        close_link(c, c->link->why);
        return;
    }
    delay = delay_us(c);
    if (delay == 0 && c->outbound.bytes == 0)
        send_directly(c);
    else
        send_delayed(c, delay);
}

static void on_ready(uv_stream_t *stream, int error)
{
    struct peerconn *c = of_handle(stream);

    if (c->link == NULL)
        return;
    loop_touch(c->loop);
    if (!alive(c, error))
        return;
    if (c->outbound.bytes > 0)
        depart(c);
    if (c->link != NULL)
        peerconn_flush(c);
}

/* --- accepting and dialling --- */

static struct peerconn *peerconn_new(struct loop *l)
{
    struct peerconn *c = mem_zalloc(sizeof(*c));

    c->loop = l;
    c->out.ready = on_ready;
    uv_tcp_init(&l->uv, &c->tcp);
    c->handle_open = true;
    list_add_tail(&l->peerconns, &c->list);
    return c;
}

static void open_link(struct peerconn *c)
{
    c->state = PEERCONN_OPEN;
    uv_tcp_nodelay(&c->tcp, 1);
    c->link = node_link_open(c->loop->node, c->dialled, c, c->address);
    if (c->link == NULL)
        close_handle(c);
    else
        adjust_reading(c);
}

void peerconn_accept(void *loop, int fd, const char *address, const char *local)
{
    struct loop *l = loop;
    struct peerconn *c;
    size_t count = 0;

    (void)local;
    list_each(&l->peerconns, at) count++;
    if (count >= PEERCONN_ACCEPTED_MAX) {
        close(fd);
        return;
    }
    loop_touch(l);
    c = peerconn_new(l);
    snprintf(c->address, sizeof(c->address), "%s", address);
    if (uv_tcp_open(&c->tcp, fd) == 0) {
        open_link(c);
        return;
    }
    close(fd);
    close_handle(c);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct peerconn *c = container_of(request, struct peerconn, connect);

    if (c->state != PEERCONN_CONNECTING)
        return; /* given up meanwhile */
    loop_touch(c->loop);
    if (status != 0)
        dial_failed(c, uv_strerror(status));
    else
        open_link(c);
}

static void connect_to(struct peerconn *c, const struct sockaddr *address)
{
    struct sockaddr_storage copy = { 0 };
    int error;

    memcpy(&copy, address,
           address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in));
    listener_address_text(&copy, c->address);
    c->state = PEERCONN_CONNECTING;
    error = uv_tcp_connect(&c->connect, &c->tcp, address, on_connected);
    if (error != 0)
        dial_failed(c, uv_strerror(error));
}

/* The address to try now: with every failure the next one that the name has. */
static const struct addrinfo *choose(const struct addrinfo *found, uint32_t failures)
{
    const struct addrinfo *a = found;
    uint32_t count = 0;

    for (; a != NULL; a = a->ai_next)
        count++;
    a = found;
    for (uint32_t i = failures % count; i > 0; i--)
        a = a->ai_next;
    return a;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct peerconn *c = container_of(request, struct peerconn, resolve);

    c->resolving = false;
    if (c->state == PEERCONN_CLOSED)
        free_when_idle(c);
    else {
        loop_touch(c->loop);
        if (status != 0)
            dial_failed(c, uv_strerror(status));
        else
            connect_to(c, choose(found, c->dialled->failures)->ai_addr);
    }
    uv_freeaddrinfo(found);
}

static void resolve(struct peerconn *c, const struct endpoint *at)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    char port[8];
    int error;

    snprintf(port, sizeof(port), "%u", at->port);
    c->state = PEERCONN_RESOLVING;
    error = uv_getaddrinfo(&c->loop->uv, &c->resolve, on_resolved, at->host, port, &hints);
    if (error != 0)
        dial_failed(c, uv_strerror(error));
    else
        c->resolving = true;
}

static const struct endpoint *address_of(const struct loop *l, const struct region *there)
{
    for (size_t i = l->options.dial_count; i-- > 0;) /* the last word counts */
        if (l->options.dials[i].region == there)
            return &l->options.dials[i].at;
    return &there->peers;
}

void peerconn_dial(struct loop *l, struct peer *peer)
{
    const struct endpoint *at = address_of(l, peer->region);
    struct peerconn *c = peerconn_new(l);
    struct sockaddr_in four;
    struct sockaddr_in6 six;

    c->dialled = peer;
    c->distance_us = distance_to(l, peer->region);
    c->give_up_us = l->now_us + PEERCONN_CONNECT_US;
    if (uv_ip4_addr(at->host, at->port, &four) == 0)
        connect_to(c, (const struct sockaddr *)&four);
    else if (uv_ip6_addr(at->host, at->port, &six) == 0)
        connect_to(c, (const struct sockaddr *)&six);
    else
        resolve(c, at);
}

/* --- once a turn --- */

static bool is_dialling(const struct peerconn *c)
{
    return c->state == PEERCONN_RESOLVING || c->state == PEERCONN_CONNECTING;
}

void peerconn_arrive(struct loop *l)
{
    list_each(&l->peerconns, at)
    {
        struct peerconn *c = container_of(at, struct peerconn, list);

        if (is_dialling(c) && l->now_us >= c->give_up_us)
            dial_failed(c, "no answer in time");
        else if (c->inbound.bytes > 0 || c->ended)
            arrive(c);
    }
}

void peerconn_depart(struct loop *l)
{
    list_each(&l->peerconns, at)
    {
        struct peerconn *c = container_of(at, struct peerconn, list);

        if (c->link == NULL || c->outbound.bytes == 0)
            continue;
        depart(c);
        if (c->link != NULL && c->link->output.len > c->sent)
            peerconn_flush(c); /* there is room on the road again */
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t peerconn_deadline_us(const struct loop *l)
{
    uint64_t due = UINT64_MAX;

    list_each(&l->peerconns, at)
    {
        const struct peerconn *c = container_of(at, struct peerconn, list);

        if (is_dialling(c))
            due = earlier(due, c->give_up_us);
        due = earlier(due, delay_next_us(&c->inbound));
        if (!c->out.busy) /* else on_ready goes on */
            due = earlier(due, delay_next_us(&c->outbound));
    }
    return due;
}

void peerconn_adjust_all(struct loop *l)
{
    list_each(&l->peerconns, at)
    {
        struct peerconn *c = container_of(at, struct peerconn, list);

        if (c->state == PEERCONN_OPEN)
            adjust_reading(c);
    }
}

void peerconn_close_all(struct loop *l)
{
    list_each(&l->peerconns, at)
    {
        struct peerconn *c = container_of(at, struct peerconn, list);

        if (c->link != NULL)
            close_link(c, "this region is stopping");
        else
            close_handle(c);
    }
}
