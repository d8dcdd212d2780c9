/*
 * conn -- a client's connection: bytes between a socket and its session.
 *
 * Reads go into the loop's one buffer and on to the node; replies go from the session's output to
 * the socket.
 *
 *     OPEN --(end of input, replies left)--> ENDED --(all sent)--> closed
 *      |-----------(end of input, error, killed, QUIT answered)--> closed
 *
 * Threads: the loop's.
 */
#ifndef HOST_CONN_H
#define HOST_CONN_H

#include "host/loop.h"
#include "host/outflow.h"

/* Idle connections are probed after so long, as Redis's tcp-keepalive: a client that vanished is
 * noticed. */
enum { CONN_KEEPALIVE_S = 300 };

struct conn {
    uv_tcp_t tcp;
    struct loop *loop;
    struct session *session; /* NULL once closing */
    struct list link;        /* in loop.conns */
    struct outflow out;
    bool reading;
    bool ended; /* the client sends no more */
};

/* A listener_accept_fn; the context is the loop. */
void conn_accept(void *loop, int fd, const char *address, const char *local);

/* Sends what may be sent, closes what is to be closed, and decides whether to read on. */
void conn_flush(struct conn *c);

/* Stops or resumes reading from every client, as loop.stalled and loop.stopping say. */
void conn_adjust_all(struct loop *l);
void conn_close_all(struct loop *l);

#endif
