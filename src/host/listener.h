/*
 * listener -- sockets that wait for connections.
 *
 * Opening is apart from watching, so that every port is known to be ours before anything else
 * starts. When the process has no descriptor left, accepting pauses for LISTENER_PAUSE_MS instead
 * of spinning, with a log line a second at most.
 * Threads: the loop's.
 */
#ifndef HOST_LISTENER_H
#define HOST_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "policy/region.h"

enum {
    LISTENER_BACKLOG = 4096, /* the kernel lowers it to net.core.somaxconn */
    /* as Redis: a storm of connections does not stop the others */
    LISTENER_ACCEPTS_PER_TURN = 1000,
    LISTENER_PAUSE_MS = 100,
    LISTENER_ADDRESS_MAX = 64, /* "[ip]:port" and a zero */
};

/* A connection: nonblocking, TCP_NODELAY; takes the descriptor. `address` is the other end,
 * `local` ours. */
typedef void (*listener_accept_fn)(void *context, int fd, const char *address, const char *local);

struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    int fd; /* -1: not open */
    bool watching;
    const char *name; /* "clients", for the log */
    listener_accept_fn accept;
    void *context;
    uint64_t complained_ms;
};

/* A listening socket at `at`, or -1 and one line for people in `problem`, which holds 320: the
 * address and the cause. */
int listener_socket(const struct endpoint *at, char *problem);

/* Watches `fd` (taken) on `uv`. */
int listener_watch(struct listener *l, uv_loop_t *uv, const char *name, int fd,
                   listener_accept_fn accept, void *context);

/* Stops and closes; nothing is accepted afterwards. The handles end with the loop's next round. */
void listener_close(struct listener *l);

/* "127.0.0.1:4711" or "[::1]:4711". */
void listener_address_text(const struct sockaddr_storage *address, char text[LISTENER_ADDRESS_MAX]);

#endif
