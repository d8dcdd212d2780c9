#include "clock/skew.h"

#include "base/prng.h"
#include "base/test.h"

enum { MS = 1000, LIMIT_US = 250 * MS };

/* A question sent at `now` to a peer whose clock is `offset` from ours, `there` and `back` on the
 * way. */
static void measure(struct skew *s, uint32_t peer, int64_t offset_us, uint64_t there_us,
                    uint64_t back_us)
{
    static uint64_t now_us = UINT64_C(1700000000000000);
    uint64_t arrives_us = now_us + there_us + (uint64_t)offset_us;

    now_us += 1000 * MS;
    skew_measure(s, peer, now_us - 1000 * MS, arrives_us, arrives_us + 70,
                 now_us - 1000 * MS + there_us + 70 + back_us);
}

TEST(an_even_path_measures_the_offset_exactly)
{
    struct skew s;
    int64_t offset_us;
    uint64_t rtt_us;

    skew_init(&s, LIMIT_US);
    EXPECT(!skew_peer_offset(&s, 3, &offset_us, &rtt_us));
    measure(&s, 3, -40 * MS, 10 * MS, 10 * MS);
    EXPECT(skew_peer_offset(&s, 3, &offset_us, &rtt_us));
    EXPECT_EQ(offset_us, -40 * MS);
    EXPECT_EQ(rtt_us, 20 * MS);
    skew_forget(&s, 3);
    EXPECT(!skew_peer_offset(&s, 3, &offset_us, &rtt_us));
}

TEST(the_shortest_of_the_recent_round_trips_counts)
{
    struct skew s;
    int64_t offset_us;
    uint64_t rtt_us;

    skew_init(&s, LIMIT_US);
    measure(&s, 0, 5 * MS, 1 * MS, 1 * MS);
    for (int i = 0; i < SKEW_SAMPLES - 1; i++)
        measure(&s, 0, 5 * MS, 30 * MS, 2 * MS);
    EXPECT(skew_peer_offset(&s, 0, &offset_us, &rtt_us) && offset_us == 5 * MS && rtt_us == 2 * MS);
    measure(&s, 0, 5 * MS, 30 * MS, 2 * MS);
    EXPECT(skew_peer_offset(&s, 0, &offset_us, &rtt_us) && offset_us == 19 * MS &&
           rtt_us == 32 * MS);
}

TEST(the_error_is_at_most_half_the_round_trip)
{
    struct skew s;
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 10000; i++) {
        int64_t truth_us = (int64_t)prng_below(&prng, 20000 * MS) - 10000 * MS, offset_us;
        uint64_t rtt_us;

        skew_init(&s, LIMIT_US);
        measure(&s, 0, truth_us, prng_below(&prng, 300 * MS), prng_below(&prng, 300 * MS));
        EXPECT(skew_peer_offset(&s, 0, &offset_us, &rtt_us));
        EXPECT((uint64_t)(offset_us > truth_us ? offset_us - truth_us : truth_us - offset_us) <=
               (rtt_us + 1) / 2);
    }
}

TEST(impossible_times_are_ignored)
{
    struct skew s;
    int64_t offset_us;
    uint64_t rtt_us;

    skew_init(&s, LIMIT_US);
    skew_measure(&s, 0, 1000, 50, 60, 900); /* answered before it was asked */
    skew_measure(&s, 0, 1000, 60, 50, 1100);
    skew_measure(&s, 0, 1000, 50, 200, 1100); /* took longer there than in all */
    skew_measure(&s, 0, 1000, UINT64_MAX - 10, UINT64_MAX, 1100);
    EXPECT(!skew_peer_offset(&s, 0, &offset_us, &rtt_us));
}

TEST(alone_nobody_is_off)
{
    struct skew s;

    skew_init(&s, LIMIT_US);
    EXPECT_EQ(skew_median_us(&s), 0);
    EXPECT(!skew_is_off(&s));
}

TEST(of_two_both_are_off_when_they_differ_by_twice_the_limit)
{
    struct skew s;

    skew_init(&s, LIMIT_US);
    measure(&s, 1, 498 * MS, 0, 0);
    EXPECT_EQ(skew_median_us(&s), 249 * MS);
    EXPECT(!skew_is_off(&s));
    skew_init(&s, LIMIT_US);
    measure(&s, 1, -502 * MS, 0, 0);
    EXPECT(skew_is_off(&s));
    skew_forget(&s, 1);
    EXPECT(!skew_is_off(&s));
}

TEST(of_three_only_the_odd_one_is_off)
{
    struct skew wrong, right;

    skew_init(&wrong, LIMIT_US);
    measure(&wrong, 1, 2000 * MS, 40 * MS, 40 * MS);
    measure(&wrong, 2, 2010 * MS, 90 * MS, 90 * MS);
    EXPECT_EQ(skew_median_us(&wrong), 2000 * MS);
    EXPECT(skew_is_off(&wrong));
    skew_init(&right, LIMIT_US);
    measure(&right, 0, -2000 * MS, 40 * MS, 40 * MS);
    measure(&right, 2, 10 * MS, 90 * MS, 90 * MS);
    EXPECT_EQ(skew_median_us(&right), 0);
    EXPECT(!skew_is_off(&right));
}

TEST(what_the_path_may_explain_is_not_held_against_us)
{
    struct skew s;

    skew_init(&s, LIMIT_US);
    measure(&s, 1, 0, 600 * MS, 0);
    measure(&s, 2, 0, 600 * MS, 0);
    EXPECT_EQ(skew_median_us(&s), 300 * MS);
    EXPECT(!skew_is_off(&s));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
