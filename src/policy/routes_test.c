#include "policy/routes.h"

#include <stdio.h>

#include "base/prng.h"
#include "base/test.h"
#include "policy/topology_trial.h"

/* At whom each region, in the order of the file, takes an owner's writes, as in "-aab"; good until
 * the next call. */
static struct span takers_of(const struct deployment *d, uint32_t fence,
                             const struct round_trips *t, char owner)
{
    static struct buffer text;
    buffer_release(&text);
    for (size_t self = 0; self < d->region_count; self++) {
        struct routes r;
        routes_plan(&r, d, fence, t, self);
        uint8_t at = routes_upstream(&r, trial_place(owner));
        buffer_put_u8(&text, at == PLACE_NONE ? '-' : (uint8_t)('a' + at));
    }
    return buffer_span(&text);
}

#define EXPECT_TAKERS(d, fence, t, owner, text) EXPECT_TEXT(takers_of(d, fence, t, owner), text)

TEST(in_a_mesh_writes_are_taken_where_they_are_made)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_MESH, 4);
    EXPECT_TAKERS(&d, 0, NULL, 'b', "b-bb");
    deployment_release(&d);
}

TEST(round_a_link_that_is_down_the_fastest_of_the_shortest_ways_is_taken)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_MESH, 4);
    round_trips_init(&t, 4);
    trial_cut(&t, 'a', 'b');
    EXPECT_TAKERS(&d, 0, &t, 'b', "c-bb");
    trial_measure(&t, 'a', 'd', 20);
    trial_measure(&t, 'd', 'b', 20);
    EXPECT_TAKERS(&d, 0, &t, 'b', "d-bb");
    trial_measure(&t, 'a', 'c', 10);
    trial_measure(&t, 'c', 'b', 20);
    EXPECT_TAKERS(&d, 0, &t, 'b', "c-bb");
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(a_ring_takes_the_shorter_side)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_RING, 5);
    EXPECT_TAKERS(&d, 0, NULL, 'a', "-abea");
    EXPECT_TAKERS(&d, 0, NULL, 'c', "bc-cd");
    deployment_release(&d);
}

TEST(opposite_on_a_ring_the_faster_side_is_taken_then_the_first)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_RING, 4);
    round_trips_init(&t, 4);
    EXPECT_TAKERS(&d, 0, &t, 'a', "-aba");
    trial_measure(&t, 'a', 'b', 30);
    trial_measure(&t, 'b', 'c', 30);
    trial_measure(&t, 'c', 'd', 10);
    trial_measure(&t, 'd', 'a', 40);
    EXPECT_TAKERS(&d, 0, &t, 'a', "-ada");
    round_trips_release(&t);
    deployment_release(&d);
    trial_init(&d, TOPOLOGY_RING, 6);
    round_trips_init(&t, 6);
    EXPECT_TAKERS(&d, 0, &t, 'e', "fade-e");
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(a_ring_that_is_cut_goes_the_other_way_and_twice_cut_the_plan_stays_whole)
{
    struct deployment d;
    struct round_trips t;
    struct buffer why = { 0 };
    trial_init(&d, TOPOLOGY_RING, 5);
    round_trips_init(&t, 5);
    trial_cut(&t, 'a', 'b');
    EXPECT_TAKERS(&d, 0, &t, 'a', "-cdea");
    EXPECT(routes_check(&d, 0, &t, &why));
    trial_cut(&t, 'd', 'c');
    EXPECT_TAKERS(&d, 0, &t, 'a', "-abea");
    EXPECT(!routes_check(&d, 0, &t, &why));
    EXPECT_TEXT(
        buffer_span(&why),
        "fence global: every way of the plan from a to b, c leads over a link that is down");
    struct routes r;
    routes_plan(&r, &d, 0, &t, trial_place('c'));
    EXPECT_EQ(r.of[trial_place('a')].links, 2);
    EXPECT_EQ(r.of[trial_place('a')].down, 1);
    buffer_release(&why);
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(a_star_takes_everything_at_its_centre)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_STAR, 4);
    d.centre = trial_id(&d, 'b');
    EXPECT_TAKERS(&d, 0, NULL, 'a', "-abb");
    EXPECT_TAKERS(&d, 0, NULL, 'b', "b-bb");
    deployment_release(&d);
}

TEST(along_a_chain_writes_run_both_ways_to_its_ends)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_CHAIN, 5);
    EXPECT_TAKERS(&d, 0, NULL, 'a', "-abcd");
    EXPECT_TAKERS(&d, 0, NULL, 'c', "bc-cd");
    EXPECT_TAKERS(&d, 0, NULL, 'e', "bcde-");
    uint32_t fence = trial_fence(&d, "bde");
    EXPECT_TAKERS(&d, fence, NULL, 'b', "---bd");
    EXPECT_TAKERS(&d, fence, NULL, 'a', "-----");
    EXPECT_TAKERS(&d, trial_fence(&d, "c"), NULL, 'c', "-----");
    deployment_release(&d);
}

TEST(a_hierarchy_goes_up_across_and_down)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_HIERARCHY, 6);
    trial_parent(&d, 'b', 'a');
    trial_parent(&d, 'c', 'b');
    trial_parent(&d, 'e', 'd');
    trial_parent(&d, 'f', 'd');
    EXPECT_TAKERS(&d, 0, NULL, 'c', "bc-add");
    deployment_release(&d);
}

TEST(parents_in_a_circle_are_told_by_name)
{
    struct deployment d;
    struct buffer why = { 0 };
    trial_init(&d, TOPOLOGY_HIERARCHY, 4);
    trial_parent(&d, 'b', 'c');
    trial_parent(&d, 'c', 'b');
    EXPECT(!routes_check(&d, 0, NULL, &why));
    EXPECT_TEXT(buffer_span(&why), "fence global: the topology has no way from a to b, c");
    EXPECT_TAKERS(&d, 0, NULL, 'b', "--b-");
    buffer_release(&why);
    deployment_release(&d);
}

/* How many of the steps on which an owner's writes travel lie between two continents. */
static size_t crossings(const struct deployment *d, const struct round_trips *t, size_t owner)
{
    static const uint8_t CONTINENT[TRIAL_WORLD] = { 0, 0, 0, 1, 1, 1, 2, 3, 2, 0 };
    size_t count = 0;
    for (size_t self = 0; self < TRIAL_WORLD; self++) {
        struct routes r;
        routes_plan(&r, d, 0, t, self);
        if (self != owner)
            count += CONTINENT[self] != CONTINENT[routes_upstream(&r, owner)];
    }
    return count;
}

TEST(over_the_measured_world_auto_crosses_each_ocean_once_and_a_mesh_for_every_region)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_AUTO, TRIAL_WORLD);
    trial_measure_world(&t);
    for (size_t owner = 0; owner < TRIAL_WORLD; owner++)
        EXPECT_EQ(crossings(&d, &t, owner), 3); /* Atlantic, Pacific, and to Australia */
    d.topology = TOPOLOGY_MESH;
    EXPECT_EQ(crossings(&d, &t, EU_DE), 7);
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(a_route_tells_how_long_its_way_is)
{
    struct deployment d;
    struct round_trips t;
    struct routes r;
    trial_init(&d, TOPOLOGY_AUTO, TRIAL_WORLD);
    trial_measure_world(&t);
    routes_plan(&r, &d, 0, &t, EU_DE);
    EXPECT_EQ(routes_upstream(&r, US_SOUTH), EU_GB);
    EXPECT_EQ(r.of[US_SOUTH].links, 3);
    EXPECT_EQ(r.of[US_SOUTH].down, 0);
    EXPECT_EQ(r.of[US_SOUTH].round_trip_us, 119000);
    EXPECT_EQ(routes_upstream(&r, EU_DE), PLACE_NONE);
    EXPECT_EQ(r.of[EU_DE].links, 0);
    d.topology = TOPOLOGY_CHAIN;
    routes_plan(&r, &d, 0, NULL, EU_DE);
    EXPECT_EQ(r.of[US_SOUTH].links, 3);
    EXPECT_EQ(r.of[US_SOUTH].round_trip_us, ROUND_TRIP_UNKNOWN);
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(the_largest_deployment_has_a_plan)
{
    static struct routes r;
    for (enum topology topology = TOPOLOGY_MESH; topology <= TOPOLOGY_AUTO; topology++) {
        struct deployment d;
        trial_init(&d, topology, REGION_ID_MAX);
        routes_plan(&r, &d, 0, NULL, 3);
        for (size_t owner = 0; owner < REGION_ID_MAX; owner++)
            EXPECT((routes_upstream(&r, owner) == PLACE_NONE) == (owner == 3));
        EXPECT_EQ(r.of[254].links, topology == TOPOLOGY_CHAIN         ? 251
                                   : topology == TOPOLOGY_RING        ? 4
                                   : topology == TOPOLOGY_MESH        ? 1
                                   : d.topology == TOPOLOGY_HIERARCHY ? 1
                                                                      : 2);
        deployment_release(&d);
    }
}

/* --- random deployments, fences and measurements --- */

enum { REGIONS = 12 };

struct random_world {
    struct deployment d;
    struct round_trips t;
    uint32_t fence;
    struct routes plans[REGIONS]; /* of every region */
};

static void random_parents(struct deployment *d, struct prng *p)
{
    for (size_t i = 1; i < d->region_count; i++) {
        if (prng_chance(p, 700000))
            d->regions[i].parent = d->regions[prng_below(p, i)].id;
    }
}

static void random_measurements(struct round_trips *t, struct prng *p)
{
    uint32_t down_ppm = (uint32_t)prng_below(p, 400000);
    uint32_t unknown_ppm = prng_chance(p, 200000) ? 1000000 : (uint32_t)prng_below(p, 300000);
    for (size_t a = 0; a < t->count; a++) {
        for (size_t b = 0; b < t->count; b++) {
            if (a == b || prng_chance(p, unknown_ppm))
                continue;
            if (prng_chance(p, down_ppm))
                round_trips_lose(t, a, b);
            else
                round_trips_measure(t, a, b, 1 + prng_below(p, prng_chance(p, 500000) ? 3 : 90000));
        }
    }
}

static void random_init(struct random_world *w, struct prng *p)
{
    size_t n = 1 + prng_below(p, REGIONS);
    trial_init(&w->d, (enum topology)prng_below(p, TOPOLOGY_AUTO + 1), n);
    struct fence *f = deployment_add_fence(&w->d);
    f->name = trial_text("some");
    for (size_t i = 0; i < n; i++) {
        if (prng_chance(p, 600000))
            fence_add(f, w->d.regions[i].id);
    }
    w->fence = (uint32_t)prng_below(p, 2);
    if (w->d.topology == TOPOLOGY_STAR && prng_chance(p, 500000))
        w->d.centre = w->d.regions[prng_below(p, n)].id;
    if (w->d.topology == TOPOLOGY_HIERARCHY)
        random_parents(&w->d, p);
    round_trips_init(&w->t, n);
    random_measurements(&w->t, p);
    for (size_t self = 0; self < n; self++)
        routes_plan(&w->plans[self], &w->d, w->fence, &w->t, self);
}

static void random_release(struct random_world *w)
{
    round_trips_release(&w->t);
    deployment_release(&w->d);
}

static bool is_member(const struct random_world *w, size_t place)
{
    return fence_holds(&w->d.fences[w->fence], w->d.regions[place].id);
}

/* From each region to the one at whom it takes an owner, until the owner itself: one link nearer
 * with each step. Returns how many links that are down lie on the way; SIZE_MAX: it is no way. */
static size_t follow(const struct random_world *w, size_t from, size_t owner)
{
    size_t down = 0;
    for (size_t at = from; at != owner;) {
        size_t next = routes_upstream(&w->plans[at], owner);
        if (next == PLACE_NONE || !graph_links(&w->plans[from].graph, at, next) ||
            w->plans[next].of[owner].links + 1 != w->plans[at].of[owner].links)
            return SIZE_MAX;
        down += round_trips_between(&w->t, at, next) == ROUND_TRIP_DOWN;
        at = next;
    }
    return down;
}

TEST(following_the_plans_every_write_reaches_every_member_and_the_plans_agree)
{
    static struct random_world w;
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 400; i++) {
        random_init(&w, &p);
        for (size_t from = 0; from < w.d.region_count; from++) {
            for (size_t owner = 0; owner < w.d.region_count; owner++) {
                const struct route *way = &w.plans[from].of[owner];
                if (from == owner || !is_member(&w, from) || !is_member(&w, owner)) {
                    EXPECT_EQ(way->upstream, PLACE_NONE);
                    continue;
                }
                EXPECT_EQ(follow(&w, from, owner), way->down);
                EXPECT_EQ(way->links, w.plans[owner].of[from].links);
            }
        }
        random_release(&w);
    }
}

/* Every pair of members by Floyd and Warshall, over the links of the graph that are up. */
static bool up_links_join(const struct random_world *w)
{
    bool reach[REGIONS][REGIONS];
    size_t n = w->d.region_count;
    bool all = true;
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < n; b++)
            reach[a][b] = a == b || (graph_links(&w->plans[0].graph, a, b) &&
                                     round_trips_between(&w->t, a, b) != ROUND_TRIP_DOWN);
    }
    for (size_t via = 0; via < n; via++) {
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < n; b++)
                reach[a][b] |= reach[a][via] && reach[via][b];
        }
    }
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < n; b++)
            all &= !is_member(w, a) || !is_member(w, b) || reach[a][b];
    }
    return all;
}

TEST(no_way_takes_a_link_that_is_down_where_the_others_join_the_members)
{
    static struct random_world w;
    struct prng p;
    int joined = 0;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 400; i++) {
        struct buffer why = { 0 };
        random_init(&w, &p);
        bool join = up_links_join(&w);
        EXPECT(routes_check(&w.d, w.fence, NULL, &why));
        EXPECT_EQ(routes_check(&w.d, w.fence, &w.t, &why), join);
        EXPECT_EQ(why.len == 0, join);
        for (size_t from = 0; join && from < w.d.region_count; from++) {
            for (size_t owner = 0; owner < w.d.region_count; owner++)
                EXPECT_EQ(w.plans[from].of[owner].down, 0);
        }
        joined += join;
        buffer_release(&why);
        random_release(&w);
    }
    EXPECT(joined > 50 && joined < 390);
}

/* One region has seen much that is over, in an order of its own; it plans as one that has not. */
TEST(a_plan_depends_on_what_was_told_and_on_nothing_before)
{
    static struct random_world w;
    static struct routes again;
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 100; i++) {
        struct round_trips other;
        random_init(&w, &p);
        size_t n = w.d.region_count;
        round_trips_init(&other, n);
        random_measurements(&other, &p);
        for (size_t row = n; row-- > 0;)
            round_trips_hear(&other, row, round_trips_row(&w.t, row));
        for (size_t self = 0; self < n; self++) {
            routes_plan(&again, &w.d, w.fence, &other, self);
            EXPECT(routes_same(&again, &w.plans[self]));
        }
        round_trips_release(&other);
        random_release(&w);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
