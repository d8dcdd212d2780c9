/*
 * graph -- between which regions of a fence writes flow: a topology, laid over the fence's members.
 *
 *     mesh        every two
 *     ring        a circle in the order of the file
 *     chain       a line in the order of the file; writes run both ways along it
 *     star        all with the centre: the one that the topology names, or if that is not a member
 *                 the member nearest to it; without a name the member whose links to the others
 *                 cost least
 *     hierarchy   each with the nearest of its ancestors (`parent`) that is a member; those without
 *                 one are a mesh among themselves
 *     auto        the cheapest tree by measured round trips (minimum spanning tree; Prim 1957).
 *                 Links that are down are taken last, before them those that were never measured;
 *                 what is equal goes by the order of the file
 *
 * Invariants: symmetric; nobody is linked with itself or with a region outside the fence; all
 * members hang together (in a hierarchy: unless parents run in a circle, which the configuration
 * refuses). The same deployment and the same told round trips make the same graph in every region.
 * Cost:      O(n^2) for n members.
 * Memory:    a value, 9 KB. Pure.
 */
#ifndef POLICY_GRAPH_H
#define POLICY_GRAPH_H

#include "base/bits.h"
#include "policy/deployment.h"
#include "policy/round_trips.h"

enum { PLACE_NONE = 255 }; /* places are 0..254: indices into the deployment's regions */

/* A bit for each place. */
struct place_set {
    uint64_t bits[4];
};

struct graph {
    uint8_t members[REGION_ID_MAX]; /* [member_count] places, ascending */
    size_t member_count;
    struct place_set links[REGION_ID_MAX]; /* by place */
};

/* `t` may be NULL: nothing was measured. */
void graph_plan(struct graph *g, const struct deployment *d, uint32_t fence,
                const struct round_trips *t);

/* How many links it has; each counts once. */
size_t graph_link_count(const struct graph *g);

static inline bool place_set_has(const struct place_set *s, size_t place)
{
    return bits_have(s->bits, place);
}

static inline void place_set_add(struct place_set *s, size_t place)
{
    bits_add(s->bits, place);
}

static inline bool graph_links(const struct graph *g, size_t a, size_t b)
{
    return place_set_has(&g->links[a], b);
}

#endif
