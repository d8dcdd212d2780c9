#include "policy/graph.h"

#include <stdio.h>

#include "base/prng.h"
#include "base/test.h"
#include "policy/topology_trial.h"

/* The links as text, "ab bc", each once, in the order of the file; good until the next call. */
static struct span links_of(const struct deployment *d, uint32_t fence, const struct round_trips *t)
{
    static struct buffer text;
    struct graph g;
    buffer_release(&text);
    graph_plan(&g, d, fence, t);
    for (size_t a = 0; a < d->region_count; a++) {
        for (size_t b = a + 1; b < d->region_count; b++) {
            CHECK(graph_links(&g, a, b) == graph_links(&g, b, a));
            if (graph_links(&g, a, b))
                buffer_printf(&text, "%s%c%c", text.len > 0 ? " " : "", (char)('a' + a),
                              (char)('a' + b));
        }
    }
    return buffer_span(&text);
}

#define EXPECT_LINKS(d, fence, t, text) EXPECT_TEXT(links_of(d, fence, t), text)

TEST(a_mesh_links_every_two)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_MESH, 4);
    EXPECT_LINKS(&d, 0, NULL, "ab ac ad bc bd cd");
    EXPECT_LINKS(&d, trial_fence(&d, "dbc"), NULL, "bc bd cd");
    deployment_release(&d);
}

TEST(a_ring_goes_round_in_the_order_of_the_file)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_RING, 5);
    EXPECT_LINKS(&d, 0, NULL, "ab ae bc cd de");
    EXPECT_LINKS(&d, trial_fence(&d, "eca"), NULL, "ac ae ce");
    EXPECT_LINKS(&d, trial_fence(&d, "db"), NULL, "bd");
    EXPECT_LINKS(&d, trial_fence(&d, "c"), NULL, "");
    deployment_release(&d);
}

TEST(a_chain_is_a_line_in_the_order_of_the_file)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_CHAIN, 4);
    EXPECT_LINKS(&d, 0, NULL, "ab bc cd");
    EXPECT_LINKS(&d, trial_fence(&d, "dba"), NULL, "ab bd");
    deployment_release(&d);
}

TEST(a_star_has_the_centre_that_it_names)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_STAR, 4);
    round_trips_init(&t, 4);
    d.centre = trial_id(&d, 'c');
    EXPECT_LINKS(&d, 0, NULL, "ac bc cd");
    trial_measure(&t, 'a', 'b', 1);
    trial_cut(&t, 'c', 'a');
    EXPECT_LINKS(&d, 0, &t, "ac bc cd");
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(where_the_centre_is_no_member_the_nearest_member_is)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_STAR, 5);
    round_trips_init(&t, 5);
    d.centre = trial_id(&d, 'c');
    uint32_t fence = trial_fence(&d, "abe");
    EXPECT_LINKS(&d, fence, &t, "ab ae");
    trial_measure(&t, 'c', 'a', 90);
    trial_measure(&t, 'c', 'e', 60);
    EXPECT_LINKS(&d, fence, &t, "ae be");
    trial_measure(&t, 'c', 'b', 20);
    EXPECT_LINKS(&d, fence, &t, "ab be");
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(without_a_named_centre_the_cheapest_is_and_by_default_the_first)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_STAR, 3);
    round_trips_init(&t, 3);
    EXPECT_LINKS(&d, 0, NULL, "ab ac");
    EXPECT_LINKS(&d, 0, &t, "ab ac");
    trial_measure(&t, 'a', 'b', 50);
    trial_measure(&t, 'a', 'c', 90);
    trial_measure(&t, 'b', 'c', 40);
    EXPECT_LINKS(&d, 0, &t, "ab bc");
    trial_cut(&t, 'c', 'b');
    EXPECT_LINKS(&d, 0, &t, "ab ac");
    round_trips_release(&t);
    deployment_release(&d);
}

/* Two global regions, of which `a` has regional ones below it, with local ones below these. */
static void init_hierarchy(struct deployment *d)
{
    trial_init(d, TOPOLOGY_HIERARCHY, 8);
    trial_parent(d, 'b', 'a');
    trial_parent(d, 'c', 'a');
    trial_parent(d, 'd', 'b');
    trial_parent(d, 'e', 'b');
    trial_parent(d, 'g', 'f');
}

TEST(a_hierarchy_is_a_tree_below_a_mesh_of_its_roots)
{
    struct deployment d;
    init_hierarchy(&d);
    EXPECT_LINKS(&d, 0, NULL, "ab ac af ah bd be fg fh");
    deployment_release(&d);
}

TEST(in_a_fence_the_nearest_ancestor_that_is_a_member_is_above)
{
    struct deployment d;
    init_hierarchy(&d);
    EXPECT_LINKS(&d, trial_fence(&d, "adg"), NULL, "ad ag");
    EXPECT_LINKS(&d, trial_fence(&d, "deg"), NULL, "de dg eg");
    EXPECT_LINKS(&d, trial_fence(&d, "bcdh"), NULL, "bc bd bh ch");
    deployment_release(&d);
}

TEST(parents_in_a_circle_end)
{
    struct deployment d;
    trial_init(&d, TOPOLOGY_HIERARCHY, 5);
    trial_parent(&d, 'b', 'c');
    trial_parent(&d, 'c', 'b');
    trial_parent(&d, 'd', 'd');
    EXPECT_LINKS(&d, 0, NULL, "ae bc");
    EXPECT_LINKS(&d, trial_fence(&d, "abe"), NULL, "ae");
    trial_parent(&d, 'a', 'c');
    EXPECT_LINKS(&d, trial_fence(&d, "ae"), NULL, "ae");
    deployment_release(&d);
}

TEST(auto_takes_the_cheapest_tree)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_AUTO, 4);
    round_trips_init(&t, 4);
    EXPECT_LINKS(&d, 0, NULL, "ab ac ad");
    trial_measure(&t, 'a', 'b', 90);
    trial_measure(&t, 'a', 'c', 80);
    trial_measure(&t, 'a', 'd', 85);
    trial_measure(&t, 'b', 'c', 10);
    trial_measure(&t, 'b', 'd', 40);
    trial_measure(&t, 'c', 'd', 35);
    EXPECT_LINKS(&d, 0, &t, "ac bc cd");
    EXPECT_LINKS(&d, trial_fence(&d, "abd"), &t, "ad bd");
    trial_cut(&t, 'c', 'a');
    EXPECT_LINKS(&d, 0, &t, "ad bc cd");
    round_trips_release(&t);
    deployment_release(&d);
}

TEST(auto_takes_what_was_never_measured_before_what_is_down)
{
    struct deployment d;
    struct round_trips t;
    trial_init(&d, TOPOLOGY_AUTO, 3);
    round_trips_init(&t, 3);
    trial_measure(&t, 'a', 'b', 10);
    trial_cut(&t, 'a', 'c');
    EXPECT_LINKS(&d, 0, &t, "ab bc");
    trial_cut(&t, 'b', 'c');
    EXPECT_LINKS(&d, 0, &t, "ab ac");
    round_trips_release(&t);
    deployment_release(&d);
}

static bool is_european(size_t place)
{
    return place == EU_DE || place == EU_GB || place == EU_ES;
}

static bool is_across_the_pacific(size_t place)
{
    return place == JP_OSA || place == JP_TOK || place == AU_SYD;
}

TEST(over_the_measured_world_each_ocean_is_crossed_once)
{
    struct deployment d;
    struct round_trips t;
    size_t atlantic = 0, pacific = 0;
    struct graph g;
    trial_init(&d, TOPOLOGY_AUTO, TRIAL_WORLD);
    trial_measure_world(&t);
    graph_plan(&g, &d, 0, &t);
    for (size_t a = 0; a < TRIAL_WORLD; a++) {
        for (size_t b = 0; b < a; b++) {
            bool linked = graph_links(&g, a, b);
            atlantic += linked && is_european(a) != is_european(b);
            pacific += linked && is_across_the_pacific(a) != is_across_the_pacific(b);
        }
    }
    EXPECT_EQ(graph_link_count(&g), TRIAL_WORLD - 1);
    EXPECT_EQ(atlantic, 1);
    EXPECT_EQ(pacific, 1);
    EXPECT(graph_links(&g, EU_GB, US_EAST));
    EXPECT(graph_links(&g, JP_TOK, US_SOUTH));
    EXPECT(graph_links(&g, BR_SAO, US_EAST));
    round_trips_release(&t);
    deployment_release(&d);
}

/* Measurements as a ping gives them, each within a twentieth of the truth. */
TEST(a_jitter_of_the_measurements_never_rebuilds_the_tree)
{
    struct deployment d;
    struct round_trips t;
    struct graph before, now;
    struct prng p;
    prng_seed(&p, test_seed());
    trial_init(&d, TOPOLOGY_AUTO, TRIAL_WORLD);
    trial_measure_world(&t);
    graph_plan(&before, &d, 0, &t);
    for (int i = 0; i < 10000; i++) {
        size_t a = prng_below(&p, TRIAL_WORLD), b = prng_below(&p, TRIAL_WORLD);
        if (a != b)
            round_trips_measure(&t, a, b, TRIAL_WORLD_MS[a][b] * (950ull + prng_below(&p, 101)));
    }
    graph_plan(&now, &d, 0, &t);
    EXPECT(memcmp(&before, &now, sizeof(now)) == 0);
    for (int end = 0; end < 2; end++)
        round_trips_measure(&t, end ? US_SOUTH : JP_TOK, end ? JP_TOK : US_SOUTH, 170000);
    graph_plan(&now, &d, 0, &t);
    EXPECT(graph_links(&now, JP_OSA, US_SOUTH) && !graph_links(&now, JP_TOK, US_SOUTH));
    round_trips_release(&t);
    deployment_release(&d);
}

/* --- random worlds against a tree that is found by trying all --- */

enum { SMALL = 6 };

static bool joins(uint32_t chosen, const uint8_t ends[][2], size_t pairs, size_t n)
{
    uint32_t reached = 1;
    for (size_t round = 0; round < n; round++) {
        for (size_t i = 0; i < pairs; i++) {
            uint32_t both = 1u << ends[i][0] | 1u << ends[i][1];
            if (chosen >> i & 1 && reached & both)
                reached |= both;
        }
    }
    return reached == (1u << n) - 1;
}

/* The least sum of costs over all trees. */
static uint64_t cheapest_tree(const struct round_trips *t, size_t n)
{
    uint8_t ends[SMALL * SMALL][2];
    size_t pairs = 0;
    uint64_t least = UINT64_MAX;
    for (uint8_t a = 0; a < n; a++) {
        for (uint8_t b = 0; b < a; b++) {
            ends[pairs][0] = a;
            ends[pairs++][1] = b;
        }
    }
    for (uint32_t chosen = 0; chosen < 1u << pairs; chosen++) {
        uint64_t sum = 0;
        if (__builtin_popcount(chosen) != (int)n - 1 || !joins(chosen, ends, pairs, n))
            continue;
        for (size_t i = 0; i < pairs; i++)
            sum += chosen >> i & 1 ? round_trips_cost(t, ends[i][0], ends[i][1]) : 0;
        if (sum < least)
            least = sum;
    }
    return least;
}

static void measure_anything(struct round_trips *t, struct prng *p)
{
    for (size_t a = 0; a < t->count; a++) {
        for (size_t b = 0; b < t->count; b++) {
            uint64_t what = prng_below(p, 10);
            if (a == b || what == 0)
                continue;
            if (what == 1)
                round_trips_lose(t, a, b);
            else
                round_trips_measure(t, a, b, 1 + prng_below(p, what < 4 ? 6 : 300000));
        }
    }
}

TEST(no_tree_is_cheaper_than_that_of_auto)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 60; i++) {
        struct deployment d;
        struct round_trips t;
        struct graph g;
        size_t n = 2 + prng_below(&p, SMALL - 1);
        uint64_t sum = 0;
        trial_init(&d, TOPOLOGY_AUTO, n);
        round_trips_init(&t, n);
        measure_anything(&t, &p);
        graph_plan(&g, &d, 0, &t);
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < a; b++)
                sum += graph_links(&g, a, b) ? round_trips_cost(&t, a, b) : 0;
        }
        EXPECT_EQ(graph_link_count(&g), n - 1);
        EXPECT(sum == cheapest_tree(&t, n));
        round_trips_release(&t);
        deployment_release(&d);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
