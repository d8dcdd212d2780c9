#include "bin/ask.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clocks.h"
#include "host/endpoint.h"
#include "wire/resp.h"

/* A question on its way: `failed` until it is answered. */
struct asking {
    int fd;
    uint64_t deadline_us;
    struct buffer input;
    const char *cause; /* NULL: all is well */
};

/* Waits until the socket is ready; false when the time is over. */
static bool ready(struct asking *a, short events)
{
    uint64_t now_us = clocks_monotonic_us();
    struct pollfd p = { .fd = a->fd, .events = events };
    int left_ms = now_us >= a->deadline_us ? 0 : (int)((a->deadline_us - now_us + 999) / 1000);

    if (poll(&p, 1, left_ms) > 0)
        return true;
    a->cause = "no answer in time";
    return false;
}

static bool try_connect(struct asking *a, const struct addrinfo *to)
{
    int error = 0;
    socklen_t len = sizeof(error);

    a->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0) {
        a->cause = strerror(errno);
        return false;
    }
    if (connect(a->fd, to->ai_addr, to->ai_addrlen) == 0)
        return true;
    error = errno;
    if (error == EINPROGRESS) {
        if (!ready(a, POLLOUT))
            error = ETIMEDOUT;
        else
            getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    }
    if (error == 0)
        return true;
    a->cause = strerror(error);
    close(a->fd);
    a->fd = -1;
    return false;
}

static bool reach(struct asking *a, const struct endpoint *at)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    char port[8];
    int error;

    snprintf(port, sizeof(port), "%u", at->port);
    error = getaddrinfo(at->host, port, &hints, &found);
    if (error != 0) {
        a->cause = gai_strerror(error);
        return false;
    }
    for (const struct addrinfo *to = found; to != NULL; to = to->ai_next)
        if (try_connect(a, to)) {
            a->cause = NULL;
            break;
        }
    freeaddrinfo(found);
    return a->cause == NULL;
}

static bool send_all(struct asking *a, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(a->fd, bytes.at, bytes.len, MSG_NOSIGNAL);

        if (sent > 0)
            bytes = span_skip(bytes, (size_t)sent);
        else if (errno != EAGAIN && errno != EINTR) {
            a->cause = strerror(errno);
            return false;
        } else if (!ready(a, POLLOUT))
            return false;
    }
    return true;
}

/* Reads some more; false at the end, or with a cause. */
static bool read_more(struct asking *a)
{
    for (;;) {
        ssize_t got = recv(a->fd, buffer_room(&a->input, 16384), 16384, 0);

        if (got > 0) {
            a->input.len += (size_t)got;
            if (a->input.len <= ASK_ANSWER_MAX)
                return true;
            a->cause = "the answer is too long";
            return false;
        }
        if (got == 0)
            return false;
        if (errno != EAGAIN && errno != EINTR) {
            a->cause = strerror(errno);
            return false;
        }
        if (!ready(a, POLLIN))
            return false;
    }
}

static bool ask_begin(struct asking *a, const struct endpoint *at, uint32_t timeout_ms,
                      struct span question)
{
    *a = (struct asking){ .fd = -1,
                          .deadline_us = clocks_monotonic_us() + (uint64_t)timeout_ms * 1000 };
    return reach(a, at) && send_all(a, question);
}

static void ask_end(struct asking *a, const struct endpoint *at, char *problem)
{
    char text[ENDPOINT_TEXT_MAX];

    if (a->cause != NULL)
        snprintf(problem, ASK_PROBLEM_MAX, "%s: %s", endpoint_text(at, text), a->cause);
    if (a->fd >= 0)
        close(a->fd);
    buffer_release(&a->input);
}

/* --- HTTP --- */

/* "HTTP/1.1 200 OK": 0 when it is not such a line. */
static int status_of(const char *head)
{
    int status = 0;

    return sscanf(head, "HTTP/1.%*d %d", &status) == 1 && status >= 100 && status < 600 ? status
                                                                                        : 0;
}

/* The connection is closed by the server after the answer, so that its end is the end of the
 * body. */
int ask_http(const struct endpoint *at, const char *path, uint32_t timeout_ms, struct buffer *body,
             char *problem)
{
    struct asking a;
    struct buffer question = { 0 };
    char text[ENDPOINT_TEXT_MAX];
    const char *blank = NULL;
    int status = 0;

    buffer_printf(&question, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
                  endpoint_text(at, text));
    if (ask_begin(&a, at, timeout_ms, buffer_span(&question)))
        while (read_more(&a))
            continue;
    buffer_put_u8(&a.input, '\0');
    if (a.cause == NULL)
        blank = strstr((const char *)a.input.at, "\r\n\r\n");
    if (blank != NULL)
        status = status_of((const char *)a.input.at);
    if (status != 0)
        buffer_put_bytes(body, blank + 4,
                         a.input.len - 1 - (size_t)(blank + 4 - (const char *)a.input.at));
    else if (a.cause == NULL)
        a.cause = "what answers there is no Meridian region";
    ask_end(&a, at, problem);
    buffer_release(&question);
    return status;
}

/* --- RESP --- */

bool ask_resp(const struct endpoint *at, const struct span *argv, size_t argc, uint32_t timeout_ms,
              struct buffer *line, char *problem)
{
    struct asking a;
    struct buffer question = { 0 };
    const uint8_t *end = NULL;

    resp_put_command(&question, argv, argc);
    if (ask_begin(&a, at, timeout_ms, buffer_span(&question)))
        while (end == NULL && read_more(&a))
            end = memchr(a.input.at, '\r', a.input.len);
    if (end != NULL)
        buffer_put(line, span_of(a.input.at, (size_t)(end - a.input.at)));
    else if (a.cause == NULL)
        a.cause = "closed without an answer";
    ask_end(&a, at, problem);
    buffer_release(&question);
    return end != NULL;
}
