#include "policy/graph.h"

#include <string.h>

#include "base/check.h"

static void link_two(struct graph *g, uint8_t a, uint8_t b)
{
    CHECK(a != b);
    place_set_add(&g->links[a], b);
    place_set_add(&g->links[b], a);
}

static void link_all(struct graph *g, const uint8_t *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            link_two(g, places[i], places[j]);
    }
}

static void plan_chain(struct graph *g)
{
    for (size_t i = 1; i < g->member_count; i++)
        link_two(g, g->members[i - 1], g->members[i]);
}

/* Two members are a circle already. */
static void plan_ring(struct graph *g)
{
    plan_chain(g);
    if (g->member_count > 2)
        link_two(g, g->members[g->member_count - 1], g->members[0]);
}

/* --- star --- */

/* The place of the region with that id, 0 being nobody's. */
static uint8_t place_of(const struct deployment *d, uint8_t id)
{
    const struct region *region = id > 0 ? deployment_region_with_id(d, id) : NULL;
    return region ? (uint8_t)(region - d->regions) : PLACE_NONE;
}

/* The member nearest to a place, itself if it is one. */
static uint8_t nearest_member(const struct graph *g, const struct round_trips *t, uint8_t place)
{
    uint8_t nearest = g->members[0];
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < g->member_count; i++) {
        uint8_t member = g->members[i];
        uint64_t cost = member == place ? 0 : round_trips_cost(t, place, member);
        if (cost < least) {
            least = cost;
            nearest = member;
        }
    }
    return nearest;
}

static uint64_t cost_to_all(const struct graph *g, const struct round_trips *t, uint8_t from)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < g->member_count; i++)
        sum += g->members[i] == from ? 0 : round_trips_cost(t, from, g->members[i]);
    return sum;
}

static uint8_t cheapest_centre(const struct graph *g, const struct round_trips *t)
{
    uint8_t centre = g->members[0];
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < g->member_count; i++) {
        uint64_t cost = cost_to_all(g, t, g->members[i]);
        if (cost < least) {
            least = cost;
            centre = g->members[i];
        }
    }
    return centre;
}

static void plan_star(struct graph *g, const struct deployment *d, const struct round_trips *t)
{
    uint8_t named = place_of(d, d->centre);
    uint8_t centre = named != PLACE_NONE ? nearest_member(g, t, named) : cheapest_centre(g, t);
    for (size_t i = 0; i < g->member_count; i++) {
        if (g->members[i] != centre)
            link_two(g, centre, g->members[i]);
    }
}

/* --- hierarchy --- */

/* The nearest ancestor that is a member, itself when it is the only one on a circle; PLACE_NONE:
 * it is a root. */
static uint8_t member_above(const uint8_t *parents, const struct place_set *members,
                            size_t region_count, uint8_t place)
{
    uint8_t up = parents[place];
    for (size_t steps = 0; up != PLACE_NONE && steps < region_count; steps++) {
        if (place_set_has(members, up))
            return up;
        up = parents[up];
    }
    return PLACE_NONE;
}

static void plan_hierarchy(struct graph *g, const struct deployment *d)
{
    uint8_t parents[REGION_ID_MAX], roots[REGION_ID_MAX];
    size_t root_count = 0;
    struct place_set members = { 0 };

    for (size_t place = 0; place < d->region_count; place++)
        parents[place] = place_of(d, d->regions[place].parent);
    for (size_t i = 0; i < g->member_count; i++)
        place_set_add(&members, g->members[i]);
    for (size_t i = 0; i < g->member_count; i++) {
        uint8_t place = g->members[i];
        uint8_t above = member_above(parents, &members, d->region_count, place);
        if (above == PLACE_NONE)
            roots[root_count++] = place;
        else if (above != place)
            link_two(g, above, place);
    }
    link_all(g, roots, root_count);
}

/* --- auto --- */

/* What the tree is the smallest sum of: down, then slow, then the order of the file. No two links
 * are equal, so there is one tree. */
static uint64_t rank_of_link(const struct round_trips *t, uint8_t a, uint8_t b)
{
    uint64_t cost = round_trips_cost(t, a, b);
    uint64_t us = cost & UINT32_MAX;
    uint8_t low = a < b ? a : b, high = a < b ? b : a;
    return (uint64_t)round_trips_cost_down(cost) << 48 | us << 16 | (uint64_t)low << 8 | high;
}

static void plan_tree(struct graph *g, const struct round_trips *t)
{
    uint64_t least[REGION_ID_MAX]; /* from the tree to members outside of it; 0: it is inside */
    uint8_t via[REGION_ID_MAX];
    uint8_t newest = 0; /* by index of the member, like the two above */

    memset(least, 0xff, sizeof(least));
    least[0] = 0;
    for (size_t joined = 1; joined < g->member_count; joined++) {
        uint8_t next = PLACE_NONE;
        for (uint8_t i = 1; i < g->member_count; i++) {
            if (least[i] == 0)
                continue;
            uint64_t rank = rank_of_link(t, g->members[newest], g->members[i]);
            if (rank < least[i]) {
                least[i] = rank;
                via[i] = newest;
            }
            if (next == PLACE_NONE || least[i] < least[next])
                next = i;
        }
        CHECK(next != PLACE_NONE);
        link_two(g, g->members[via[next]], g->members[next]);
        least[next] = 0;
        newest = next;
    }
}

void graph_plan(struct graph *g, const struct deployment *d, uint32_t fence,
                const struct round_trips *t)
{
    CHECK(fence < d->fence_count && d->region_count <= REGION_ID_MAX);
    CHECK(t == NULL || t->count == d->region_count);
    memset(g, 0, sizeof(*g));
    for (size_t place = 0; place < d->region_count; place++) {
        if (fence_holds(&d->fences[fence], d->regions[place].id))
            g->members[g->member_count++] = (uint8_t)place;
    }
    if (g->member_count == 0)
        return;
    switch (d->topology) {
    case TOPOLOGY_MESH:
        link_all(g, g->members, g->member_count);
        break;
    case TOPOLOGY_RING:
        plan_ring(g);
        break;
    case TOPOLOGY_STAR:
        plan_star(g, d, t);
        break;
    case TOPOLOGY_CHAIN:
        plan_chain(g);
        break;
    case TOPOLOGY_HIERARCHY:
        plan_hierarchy(g, d);
        break;
    case TOPOLOGY_AUTO:
        plan_tree(g, t);
        break;
    }
}

size_t graph_link_count(const struct graph *g)
{
    size_t ends = 0;
    for (size_t i = 0; i < g->member_count; i++) {
        for (size_t word = 0; word < 4; word++)
            ends += (size_t)__builtin_popcountll(g->links[g->members[i]].bits[word]);
    }
    return ends / 2;
}
