#define _GNU_SOURCE /* accept4 */
#include "host/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "host/endpoint.h"
#include "host/logger.h"

/* One listening socket, or -1 with errno. */
static int open_at(const struct addrinfo *a)
{
    int on = 1, off = 0;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6) /* [::] means every address, as in Redis */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, LISTENER_BACKLOG) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int listener_socket(const struct endpoint *at, char *problem)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char port[8], text[ENDPOINT_TEXT_MAX];
    int error, fd;

    snprintf(port, sizeof(port), "%u", at->port);
    error = getaddrinfo(at->host, port, &hints, &found);
    if (error != 0) {
        snprintf(problem, 320, "cannot listen on %s: %s", endpoint_text(at, text),
                 gai_strerror(error));
        return -1;
    }
    fd = open_at(found);
    if (fd < 0)
        snprintf(problem, 320, "cannot listen on %s: %s", endpoint_text(at, text), strerror(errno));
    freeaddrinfo(found);
    return fd;
}

void listener_address_text(const struct sockaddr_storage *address, char text[LISTENER_ADDRESS_MAX])
{
    char host[48] = "?";
    unsigned port = 0;

    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

        uv_ip6_name(six, host, sizeof(host));
        port = ntohs(six->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) /* an IPv4 client of a [::] socket */
            snprintf(text, LISTENER_ADDRESS_MAX, "%s:%u", host + strlen("::ffff:"), port);
        else
            snprintf(text, LISTENER_ADDRESS_MAX, "[%s]:%u", host, port);
        return;
    }
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;

        uv_ip4_name(four, host, sizeof(host));
        port = ntohs(four->sin_port);
    }
    snprintf(text, LISTENER_ADDRESS_MAX, "%s:%u", host, port);
}

static void hand_over(struct listener *l, int fd, const struct sockaddr_storage *from)
{
    char address[LISTENER_ADDRESS_MAX], local[LISTENER_ADDRESS_MAX];
    struct sockaddr_storage ours = { 0 };
    socklen_t len = sizeof(ours);
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    getsockname(fd, (struct sockaddr *)&ours, &len);
    listener_address_text(from, address);
    listener_address_text(&ours, local);
    l->accept(l->context, fd, address, local);
}

static int watch(struct listener *l);

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *l = container_of(timer, struct listener, pause);

    if (l->fd >= 0)
        watch(l);
}

/* No descriptor, no memory: the connection stays in the backlog until there is room. */
static void rest(struct listener *l, int error)
{
    uint64_t now_ms = uv_now(l->poll.loop);

    uv_poll_stop(&l->poll);
    uv_timer_start(&l->pause, on_pause_over, LISTENER_PAUSE_MS, 0);
    if (l->complained_ms != 0 && now_ms - l->complained_ms < 1000)
        return;
    l->complained_ms = now_ms;
    logger_line(LOGGER_WARNING, "ev=accept.failed listener=%s cause=\"%s\"", l->name,
                strerror(error));
}

static bool is_of_the_connection(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM ||
           error == ENETDOWN || error == EHOSTUNREACH || error == ENETUNREACH || error == ETIMEDOUT;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = container_of(poll, struct listener, poll);

    (void)status;
    (void)events;
    for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN && l->fd >= 0; i++) {
        struct sockaddr_storage from = { 0 };
        socklen_t len = sizeof(from);
        int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            hand_over(l, fd, &from);
        else if (errno == EAGAIN)
            return;
        else if (!is_of_the_connection(errno)) {
            rest(l, errno);
            return;
        }
    }
}

static int watch(struct listener *l)
{
    return uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

int listener_watch(struct listener *l, uv_loop_t *uv, const char *name, int fd,
                   listener_accept_fn accept, void *context)
{
    int error;

    *l = (struct listener){ .fd = fd, .name = name, .accept = accept, .context = context };
    error = uv_poll_init(uv, &l->poll, fd);
    if (error != 0)
        return error;
    uv_timer_init(uv, &l->pause);
    l->watching = true;
    return watch(l);
}

void listener_close(struct listener *l)
{
    if (!l->watching)
        return;
    l->watching = false;
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_close((uv_handle_t *)&l->pause, NULL);
    close(l->fd);
    l->fd = -1;
}
