#include "policy/round_trips.h"

#include "base/prng.h"
#include "base/test.h"

TEST(nothing_is_known_before_it_is_measured)
{
    struct round_trips t;
    round_trips_init(&t, 3);
    EXPECT_EQ(round_trips_between(&t, 0, 2), ROUND_TRIP_UNKNOWN);
    EXPECT_EQ(round_trips_between(NULL, 0, 2), ROUND_TRIP_UNKNOWN);
    EXPECT(round_trips_measure(&t, 0, 2, 80000));
    EXPECT_EQ(round_trips_between(&t, 0, 2), 80000);
    EXPECT_EQ(round_trips_between(&t, 2, 0), 80000);
    EXPECT_EQ(round_trips_between(&t, 0, 1), ROUND_TRIP_UNKNOWN);
    round_trips_release(&t);
    round_trips_release(&t);
}

TEST(the_mean_of_both_ends_counts_and_either_end_can_lose_a_link)
{
    struct round_trips t;
    round_trips_init(&t, 2);
    round_trips_measure(&t, 0, 1, 80000);
    round_trips_measure(&t, 1, 0, 90000);
    EXPECT_EQ(round_trips_between(&t, 1, 0), 85000);
    EXPECT(round_trips_lose(&t, 1, 0));
    EXPECT(!round_trips_lose(&t, 1, 0));
    EXPECT_EQ(round_trips_between(&t, 0, 1), ROUND_TRIP_DOWN);
    EXPECT(round_trips_measure(&t, 1, 0, 90000));
    EXPECT_EQ(round_trips_between(&t, 0, 1), 85000);
    round_trips_release(&t);
}

TEST(a_jitter_of_a_tenth_is_not_told_more_is)
{
    struct round_trips t;
    round_trips_init(&t, 2);
    EXPECT(round_trips_measure(&t, 0, 1, 100000));
    EXPECT(!round_trips_measure(&t, 0, 1, 110000));
    EXPECT(!round_trips_measure(&t, 0, 1, 90000));
    EXPECT_EQ(round_trips_between(&t, 0, 1), 100000);
    EXPECT(round_trips_measure(&t, 0, 1, 110001));
    EXPECT_EQ(round_trips_between(&t, 0, 1), 110001);
    EXPECT(!round_trips_measure(&t, 0, 1, 100000));
    EXPECT(round_trips_measure(&t, 0, 1, 89000));
    round_trips_release(&t);
}

TEST(between_neighbours_a_jitter_of_two_milliseconds_is_not_told)
{
    struct round_trips t;
    round_trips_init(&t, 2);
    EXPECT(round_trips_measure(&t, 0, 1, 200));
    EXPECT(!round_trips_measure(&t, 0, 1, 2200));
    EXPECT(round_trips_measure(&t, 0, 1, 2201));
    round_trips_release(&t);
}

TEST(what_cannot_be_a_measurement_is_brought_into_range)
{
    struct round_trips t;
    round_trips_init(&t, 2);
    round_trips_measure(&t, 0, 1, 0);
    EXPECT_EQ(round_trips_between(&t, 0, 1), 1);
    round_trips_measure(&t, 0, 1, UINT64_MAX);
    EXPECT_EQ(round_trips_between(&t, 0, 1), ROUND_TRIP_DOWN - 1);
    round_trips_release(&t);
}

TEST(a_row_that_was_heard_is_the_row_that_was_told)
{
    struct round_trips told, heard;
    round_trips_init(&told, 3);
    round_trips_init(&heard, 3);
    round_trips_measure(&told, 1, 0, 5000);
    round_trips_lose(&told, 1, 2);
    EXPECT(round_trips_hear(&heard, 1, round_trips_row(&told, 1)));
    EXPECT(!round_trips_hear(&heard, 1, round_trips_row(&told, 1)));
    EXPECT_EQ(round_trips_between(&heard, 0, 1), 5000);
    EXPECT_EQ(round_trips_between(&heard, 1, 2), ROUND_TRIP_DOWN);
    EXPECT_EQ(round_trips_between(&heard, 0, 2), ROUND_TRIP_UNKNOWN);
    round_trips_release(&told);
    round_trips_release(&heard);
}

TEST(a_way_avoids_what_is_down_then_is_short_then_fast)
{
    struct round_trips t;
    round_trips_init(&t, 4);
    round_trips_measure(&t, 0, 1, 10000);
    round_trips_measure(&t, 1, 2, 20000);
    round_trips_lose(&t, 0, 2);
    uint64_t round = round_trips_cost(&t, 0, 1) + round_trips_cost(&t, 1, 2);
    EXPECT(round < round_trips_cost(&t, 0, 2));
    EXPECT(round_trips_cost(&t, 0, 3) < round);
    EXPECT(round_trips_cost(&t, 1, 2) < round_trips_cost(&t, 0, 3));
    EXPECT_EQ(round_trips_cost_links(round), 2);
    EXPECT_EQ(round_trips_cost_down(round), 0);
    EXPECT_EQ(round_trips_cost_us(round), 30000);
    EXPECT_EQ(round_trips_cost_down(round_trips_cost(&t, 2, 0)), 1);
    EXPECT_EQ(round_trips_cost_us(round_trips_cost(&t, 0, 3)), ROUND_TRIP_UNKNOWN);
    round_trips_release(&t);
}

TEST(the_longest_way_carries_nothing_over)
{
    struct round_trips t;
    uint64_t sum = 0;
    round_trips_init(&t, 255);
    for (size_t i = 1; i < 255; i++) {
        round_trips_lose(&t, i - 1, i);
        sum += round_trips_cost(&t, i - 1, i);
    }
    EXPECT_EQ(round_trips_cost_down(sum), 254);
    EXPECT_EQ(round_trips_cost_links(sum), 254);
    round_trips_release(&t);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
