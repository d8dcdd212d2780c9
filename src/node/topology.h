/*
 * topology -- at which peer each stream of writes is taken.
 *
 * Links stand between all regions. By plan (policy/routes.h) each stream is taken at one of them,
 * the *upstream*: of the topology of its fence, laid over the round trips that regions tell each
 * other. Where nothing comes by plan, or something that came waits for what does not, a second peer
 * is asked, the *relay*:
 *
 *     begin   nothing new of a stream has come for TOPOLOGY_RELAY_US and two round trips, and a
 *             peer has more of it on its disk than we know: its owner if that is in reach, else who
 *             has most, else the nearest. Each further try waits twice as long as the one before.
 *             Or: what came over a link waits for it (node/intake.c), the upstream has dropped that
 *             log (node/bootstrap_peers.c), or the stream has no owner (node/closed.h).
 *     end     the upstream delivers again, and nothing waits for the stream any more. Of a stream
 *             without an owner: the relay holds no more of it than we do.
 *
 * Who takes a stream at us gives us of it only what we have given: while there is a relay, nothing
 * of it is asked of an upstream that takes it at us, nor of one to which the plan leads over a link
 * that is down. Only members of a stream's fence are ever asked for it.
 *
 * Rows of round trips travel beside the vectors; of two rows of a region the one with the larger
 * (instance, sequence) is the newer. Plans are made anew when a told number has changed, at most
 * once a TOPOLOGY_TICK_US.
 */
#ifndef NODE_TOPOLOGY_H
#define NODE_TOPOLOGY_H

#include "base/span.h"
#include "clock/stamp.h"
#include "policy/round_trips.h"

enum {
    TOPOLOGY_TICK_US = 100 * 1000,
    TOPOLOGY_RELAY_US = 500 * 1000, /* guess: five heartbeats */
    TOPOLOGY_TRIES_MAX = 6,
    TAKE_NOWHERE = 255,
};

struct node;
struct link;
struct peer;

/* Where one stream comes from: indices of node.peers, or TAKE_NOWHERE. */
struct take {
    uint8_t upstream, relay;
    uint8_t links;          /* of the planned way to its owner */
    bool down;              /* one of them is */
    bool delivers;          /* the upstream has, since the relay was begun */
    uint8_t tries;          /* of relays, since something new came */
    uint32_t round_trip_us; /* of the way; ROUND_TRIP_UNKNOWN */
    stamp_t known;          /* replica_known, when it was last looked at */
    uint64_t came_us;       /* when it last grew, or the upstream changed */
};

struct topology_row {
    uint64_t instance, sequence; /* of what round_trips has of that region; instance 0: nothing */
    uint64_t version;            /* when it changed: what a link was told is up to a version */
};

struct node_topology {
    struct round_trips round_trips;
    struct topology_row *rows; /* [region_count], by place */
    uint64_t version;          /* of the newest row */
    bool replan;
    bool changed; /* of some stream it is another peer: links are to be told */
    uint64_t tick_at_us;
    uint64_t plans; /* that took some stream elsewhere than the one before */
    uint8_t self;   /* our place */
    struct take takes[STAMP_ORIGINS];
};

void topology_init(struct node *n);
void topology_release(struct node *n);

/* An intake is ready: what is taken there. */
void topology_ready(struct node *n, struct link *l);

/* Something of a stream came over an intake. */
void topology_came(struct node *n, const struct link *l, uint8_t origin);

/* From now on a stream is taken at this peer too. `why` is a sentence for the log. */
void topology_relay(struct node *n, uint8_t origin, const struct peer *at, const char *why);

/* Whether a relay was asked for a stream. */
bool topology_is_relayed(const struct node *n, uint8_t origin);

/* Once a turn, before the links'. */
void topology_turn(struct node *n);

/* Rows of round trips: heard over a feed; told over an intake when there are newer ones. */
void topology_hear(struct node *n, struct link *l, struct span body);
void topology_tell(struct node *n, struct link *l);

#endif
