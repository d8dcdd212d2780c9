/*
 * routes -- from whom a region takes each other region's writes.
 *
 * Links stand between all regions: they are cheap, and pings measure them. Data flows along the
 * graph of the topology only (policy/graph.h): a region takes the writes of an owner at its
 * neighbour on the cheapest way to it: the one with the fewest links that are down, then the fewest
 * links, then the shortest round trip, then the first neighbour in the order of the file. The cost
 * of a way is the sum of its links', the same from both ends; so at whom we take an owner stands
 * nearer to it, takes it at one nearer still, and no circle can form. That holds among regions that
 * have heard the same round trips; until they have, and where the plan leads over links that are
 * down, somebody who is ahead is asked (node/topology.h).
 *
 * Cost:      O(n^2) for n members (Dijkstra 1959, on a dense graph).
 * Memory:    a value, 11 KB. Pure.
 */
#ifndef POLICY_ROUTES_H
#define POLICY_ROUTES_H

#include "base/buffer.h"
#include "policy/graph.h"

struct route {
    uint8_t upstream;       /* the place of the neighbour; PLACE_NONE: nobody */
    uint8_t links;          /* of the way to the owner; 0 without one */
    uint8_t down;           /* how many of them are down */
    uint32_t round_trip_us; /* along the way; ROUND_TRIP_UNKNOWN if some link was not measured */
};

struct routes {
    struct graph graph;
    struct route of[REGION_ID_MAX]; /* by the owner's place */
    uint8_t self;
};

/* The plan of the region at `self` for a fence. `t` may be NULL: nothing was measured. Nothing is
 * taken of owners outside the fence, and nothing at all when `self` is outside. */
void routes_plan(struct routes *r, const struct deployment *d, uint32_t fence,
                 const struct round_trips *t, size_t self);

/* The place of the neighbour at whom to take an owner's writes; PLACE_NONE: nobody, the owner is
 * ourselves or not of the fence. */
static inline uint8_t routes_upstream(const struct routes *r, size_t owner)
{
    return r->of[owner].upstream;
}

/* Whether two plans of the same region take all writes at the same neighbours. */
bool routes_same(const struct routes *a, const struct routes *b);

/* True when the plan joins all members of the fence, over links of which none is known to be down;
 * else appends to `why` one line, without its end, which names those who are not reached. */
bool routes_check(const struct deployment *d, uint32_t fence, const struct round_trips *t,
                  struct buffer *why);

#endif
