/*
 * peerconn -- a connection to another region: dialling, delays, bytes between a socket and its
 * link.
 *
 *     RESOLVING -> CONNECTING -> OPEN -> closed       dialled by us
 *                                OPEN -> closed       accepted
 *
 * Distances: with a WAN matrix, the region that dials holds back the bytes of both directions of
 * that
 *            connection for half the round trip each. It alone, since the other end does not know who
 *            dialled before it has read HELLO. LINK SLOW adds to both directions of every connection
 *            with that region. A delay queue holds about PEERCONN_DELAYED_MAX at most.
 * Threads:   the loop's.
 */
#ifndef HOST_PEERCONN_H
#define HOST_PEERCONN_H

#include "host/delay.h"
#include "host/loop.h"
#include "host/outflow.h"

enum {
    /* an ocean takes 0.3 s; a lost SYN is sent again after 1 s */
    PEERCONN_CONNECT_US = 3 * 1000 * 1000,
    PEERCONN_DELAYED_MAX = 16 << 20,
    /* regions are at most 255; the rest is room for half-dead ones */
    PEERCONN_ACCEPTED_MAX = 1024,
};

struct peerconn {
    uv_tcp_t tcp;
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct loop *loop;
    struct list list;     /* in loop.peerconns */
    struct peer *dialled; /* NULL: accepted */
    struct link *link;    /* NULL before OPEN */
    enum { PEERCONN_RESOLVING, PEERCONN_CONNECTING, PEERCONN_OPEN, PEERCONN_CLOSED } state;
    uint64_t give_up_us;  /* when dialling */
    uint64_t distance_us; /* half the matrix's round trip; 0 when accepted */
    char address[LISTENER_ADDRESS_MAX];
    struct delay inbound, outbound;
    struct outflow out;
    /* at the front of the link's output, not yet told to the node */
    size_t sent;
    bool reading;
    /* the other end closed; what is on the road still arrives */
    bool ended;
    bool resolving;   /* the resolver still has `resolve` */
    bool handle_open; /* `tcp` */
};

/* A listener_accept_fn; the context is the loop. */
void peerconn_accept(void *loop, int fd, const char *address, const char *local);

void peerconn_dial(struct loop *l, struct peer *peer);

/* Sends what its link has; closes it when the link says so. */
void peerconn_flush(struct peerconn *c);

/* Before the turn ends: lets arrive what is due, and gives up dials that took too long. */
void peerconn_arrive(struct loop *l);

/* After it: sends what was delayed and is due. */
void peerconn_depart(struct loop *l);

/* When one of the two has something to do. */
uint64_t peerconn_deadline_us(const struct loop *l);

/* Stops or resumes reading what peers send, as loop.full says. */
void peerconn_adjust_all(struct loop *l);

void peerconn_close_all(struct loop *l);

#endif
