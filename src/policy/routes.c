#include "policy/routes.h"

#include <string.h>

#include "base/check.h"

#define UNREACHED UINT64_MAX

/* The cheapest ways from one member to all. */
struct ways {
    uint64_t cost[REGION_ID_MAX]; /* by place; UNREACHED */
    uint8_t first[REGION_ID_MAX]; /* the neighbour that the way begins with */
};

/* The cheapest member that is not done; PLACE_NONE: all that can be reached are. */
static uint8_t next_member(const struct graph *g, const struct ways *w,
                           const struct place_set *done)
{
    uint8_t next = PLACE_NONE;
    for (size_t i = 0; i < g->member_count; i++) {
        uint8_t place = g->members[i];
        if (place_set_has(done, place) || w->cost[place] == UNREACHED)
            continue;
        if (next == PLACE_NONE || w->cost[place] < w->cost[next])
            next = place;
    }
    return next;
}

/* Of ways that cost the same the one whose first neighbour comes first in the file. Every link
 * costs something, so when a member's turn comes all ways to it have been seen. */
static void find_ways(struct ways *w, const struct graph *g, const struct round_trips *t,
                      uint8_t from)
{
    struct place_set done = { 0 };
    memset(w, 0xff, sizeof(*w));
    w->cost[from] = 0;
    for (uint8_t at = from; at != PLACE_NONE; at = next_member(g, w, &done)) {
        place_set_add(&done, at);
        for (size_t i = 0; i < g->member_count; i++) {
            uint8_t to = g->members[i];
            if (!graph_links(g, at, to) || place_set_has(&done, to))
                continue;
            uint64_t cost = w->cost[at] + round_trips_cost(t, at, to);
            uint8_t first = at == from ? to : w->first[at];
            if (cost < w->cost[to] || (cost == w->cost[to] && first < w->first[to])) {
                w->cost[to] = cost;
                w->first[to] = first;
            }
        }
    }
}

static bool is_member(const struct graph *g, uint8_t place)
{
    return memchr(g->members, place, g->member_count) != NULL;
}

void routes_plan(struct routes *r, const struct deployment *d, uint32_t fence,
                 const struct round_trips *t, size_t self)
{
    struct ways w;
    CHECK(self < d->region_count);
    memset(r, 0, sizeof(*r));
    r->self = (uint8_t)self;
    for (size_t owner = 0; owner < REGION_ID_MAX; owner++)
        r->of[owner].upstream = PLACE_NONE;
    graph_plan(&r->graph, d, fence, t);
    if (!is_member(&r->graph, r->self))
        return;
    find_ways(&w, &r->graph, t, r->self);
    for (size_t owner = 0; owner < d->region_count; owner++) {
        if (owner == self || w.cost[owner] == UNREACHED)
            continue;
        r->of[owner] = (struct route){ .upstream = w.first[owner],
                                       .links = round_trips_cost_links(w.cost[owner]),
                                       .down = round_trips_cost_down(w.cost[owner]),
                                       .round_trip_us = round_trips_cost_us(w.cost[owner]) };
        CHECK(graph_links(&r->graph, self, w.first[owner]));
    }
}

bool routes_same(const struct routes *a, const struct routes *b)
{
    for (size_t owner = 0; owner < REGION_ID_MAX; owner++) {
        if (a->of[owner].upstream != b->of[owner].upstream)
            return false;
    }
    return true;
}

/* Appends the names of members to whom there is no way, or (`cut`) none without a link that is
 * down. */
static bool put_missed(struct buffer *names, const struct deployment *d, const struct graph *g,
                       const struct ways *w, bool cut)
{
    size_t before = names->len;
    for (size_t i = 1; i < g->member_count; i++) {
        uint64_t cost = w->cost[g->members[i]];
        bool down = cost != UNREACHED && round_trips_cost_down(cost) > 0;
        if (cut ? down : cost == UNREACHED)
            buffer_printf(names, "%s%s", names->len > before ? ", " : "",
                          d->regions[g->members[i]].name);
    }
    return names->len > before;
}

bool routes_check(const struct deployment *d, uint32_t fence, const struct round_trips *t,
                  struct buffer *why)
{
    struct buffer names = { 0 };
    struct graph g;
    struct ways w;
    graph_plan(&g, d, fence, t);
    if (g.member_count == 0)
        return true;
    find_ways(&w, &g, t, g.members[0]);
    bool apart = put_missed(&names, d, &g, &w, false);
    bool cut = !apart && put_missed(&names, d, &g, &w, true);
    if (apart || cut)
        buffer_printf(why, "fence %s: %s from %s to %.*s%s", d->fences[fence].name,
                      apart ? "the topology has no way" : "every way of the plan",
                      d->regions[g.members[0]].name, (int)names.len, (const char *)names.at,
                      cut ? " leads over a link that is down" : "");
    buffer_release(&names);
    return !apart && !cut;
}
