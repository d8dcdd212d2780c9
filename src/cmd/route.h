/*
 * route -- where a command must run: here, or in the region that may write its keys, or that may hold them.
 *
 * A write goes to its keys' home (cmd/home.h); a strong read of a keyspace with one writer as well; what a
 * fence keeps from this region goes to a member of it, where the keyspace allows that (outside: forward).
 * Everything else runs here. What MULTI gathers goes where its writes go, whole.
 */
#ifndef CMD_ROUTE_H
#define CMD_ROUTE_H

#include "cmd/home.h"

struct route {
    uint8_t region;     /* where; our own number: here */
    stamp_t listed;     /* of the directory's word that says so (cmd/home.h) */
    bool bound;         /* it could run nowhere else */
    bool loose;         /* it writes what every region may write */
    bool through;       /* it may not be held here: a member of its fence answers */
    uint32_t unreached; /* the place of the fence of which no member is reached; 0: one is */
    bool refused;       /* it may not be shown to who asks: cmd/fence.h says so */
    bool redirects;     /* the client is told to go there (MOVED) */
    struct span key;    /* of the redirect */
    const char *error;  /* it runs nowhere: the reply; else NULL */
};

/* The command as it stands in its session: in MULTI, or the EXEC of what was gathered. */
struct route route_of(const struct server *server, const struct session *session,
                      const struct span *argv, size_t argc);

/* A command that MULTI gathers: its transaction runs where it must. An error to reply, or NULL. */
const char *route_gather(struct transaction *t, const struct route *route);

/* The slot of Redis Cluster that a key lies in: CRC16 (XMODEM) of its tag, modulo 16384. */
uint16_t route_slot(struct span key);

#endif
