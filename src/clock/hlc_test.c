#include "clock/hlc.h"

#include "base/prng.h"
#include "base/test.h"

static struct hlc clock_below(uint64_t ceiling_ms)
{
    struct hlc clock;

    hlc_init(&clock, 0);
    hlc_raise_ceiling(&clock, ceiling_ms);
    return clock;
}

TEST(stamps_take_apart_as_they_were_made)
{
    stamp_t s = stamp_make(1700000000123, 4095, 255);

    EXPECT_EQ(stamp_ms(s), 1700000000123);
    EXPECT_EQ(stamp_counter(s), 4095);
    EXPECT_EQ(stamp_origin(s), 255);
    EXPECT_EQ(stamp_time(s) + 1, stamp_time(stamp_make(1700000000124, 0, 0)));
    EXPECT(stamp_make(5, 0, 0) > stamp_make(4, 4095, 255));
    EXPECT(stamp_make(5, 1, 0) > stamp_make(5, 0, 255));
}

TEST(a_stamp_carries_now_and_counts_within_the_millisecond)
{
    struct hlc clock = clock_below(2000);

    EXPECT_EQ(hlc_tick(&clock, 1000, 7), stamp_make(1000, 0, 7));
    EXPECT_EQ(hlc_tick(&clock, 1000, 9), stamp_make(1000, 1, 9));
    EXPECT_EQ(hlc_tick(&clock, 990, 7), stamp_make(1000, 2, 7));
    EXPECT_EQ(hlc_tick(&clock, 1001, 7), stamp_make(1001, 0, 7));
}

TEST(a_full_counter_carries_into_the_millisecond)
{
    struct hlc clock = clock_below(2000);

    for (int i = 0; i < 4096; i++)
        hlc_tick(&clock, 1000, 1);
    EXPECT_EQ(hlc_ahead_ms(&clock, 1000), 1);
    EXPECT_EQ(hlc_now_ms(&clock, 1000), 1001);
    EXPECT_EQ(hlc_tick(&clock, 1000, 1), stamp_make(1001, 0, 1));
    EXPECT_EQ(hlc_ahead_ms(&clock, 1001), 0);
}

TEST(a_stamp_follows_what_was_seen)
{
    struct hlc clock = clock_below(9000);

    hlc_see(&clock, stamp_make(5000, 3, 200));
    EXPECT_EQ(hlc_ahead_ms(&clock, 1000), 4000);
    EXPECT_EQ(hlc_tick(&clock, 1000, 1), stamp_make(5000, 4, 1));
    hlc_see(&clock, stamp_make(4000, 0, 200));
    EXPECT_EQ(hlc_tick(&clock, 1000, 1), stamp_make(5000, 5, 1));
}

TEST(the_ceiling_must_be_raised_before_it_is_reached)
{
    struct hlc clock;

    hlc_init(&clock, 0);
    EXPECT(hlc_needs_ceiling(&clock, 1000));
    EXPECT_EQ(hlc_next_ceiling(&clock, 1000, 250), 1250);
    hlc_raise_ceiling(&clock, 1250);
    EXPECT(!hlc_needs_ceiling(&clock, 1249));
    EXPECT(hlc_needs_ceiling(&clock, 1250));
    EXPECT_EQ(hlc_next_ceiling(&clock, 1125, 250), 0);
    EXPECT_EQ(hlc_next_ceiling(&clock, 1126, 250), 1376);
    hlc_raise_ceiling(&clock, 1200);
    EXPECT_EQ(clock.ceiling_ms, 1250);
}

TEST(a_clock_ahead_of_time_gets_the_room_that_is_left)
{
    struct hlc clock = clock_below(1250);

    hlc_see(&clock, stamp_make(1249, 4095, 3));
    EXPECT(hlc_needs_ceiling(&clock, 1000));
    EXPECT_EQ(hlc_next_ceiling(&clock, 1000, 250), 0);
    EXPECT_EQ(hlc_next_ceiling(&clock, 1001, 250), 1251);
}

TEST(a_restarted_clock_begins_at_its_ceiling)
{
    struct hlc clock;

    hlc_init(&clock, 5000);
    EXPECT(hlc_needs_ceiling(&clock, 4900));
    hlc_raise_ceiling(&clock, 5250);
    EXPECT_EQ(hlc_now_ms(&clock, 4900), 5000);
    EXPECT_EQ(hlc_tick(&clock, 4900, 1), stamp_make(5000, 0, 1));
}

TEST(heartbeats_do_not_run_ahead)
{
    struct hlc clock = clock_below(2000);
    stamp_t first = hlc_heartbeat(&clock, 1000, 1);

    EXPECT_EQ(first, stamp_make(999, 4095, 1));
    for (int i = 0; i < 10000; i++)
        EXPECT_EQ(hlc_heartbeat(&clock, 1000, 1), first);
    EXPECT_EQ(hlc_tick(&clock, 1000, 1), stamp_make(1000, 0, 1));
    EXPECT_EQ(hlc_heartbeat(&clock, 1000, 1), stamp_make(1000, 0, 1));
    EXPECT_EQ(hlc_now_ms(&clock, 1000), 1000);
}

TEST(heartbeats_stay_below_the_ceiling)
{
    struct hlc clock;

    hlc_init(&clock, 0);
    EXPECT_EQ(hlc_heartbeat(&clock, 1000, 1), 0);
    clock = clock_below(1000);
    EXPECT_EQ(hlc_heartbeat(&clock, 3000, 1), stamp_make(999, 4095, 1));
    hlc_see(&clock, stamp_make(5000, 0, 2));
    EXPECT_EQ(hlc_heartbeat(&clock, 3000, 1), stamp_make(999, 4095, 1));
}

/* The run of a replica with restarts, remote stamps, bursts and a wall clock that jumps. */
TEST(stamps_and_heartbeats_only_grow_through_restarts)
{
    struct prng prng;
    struct hlc clock;
    uint64_t now_ms = 1000000, durable_ms = 0;
    stamp_t last_op = 0, last_promise = 0;

    prng_seed(&prng, test_seed());
    hlc_init(&clock, 0);
    for (int step = 0; step < 200000; step++) {
        uint64_t next = hlc_next_ceiling(&clock, now_ms, 250);

        if (next != 0) {
            EXPECT(next > clock.ceiling_ms && next == now_ms + 250);
            durable_ms = next;
            hlc_raise_ceiling(&clock, next);
        }
        switch (prng_below(&prng, 8)) {
        case 0:
            now_ms += prng_below(&prng, 3);
            break;
        case 1:
            if (prng_chance(&prng, 20000))
                hlc_see(&clock, stamp_make(now_ms + prng_below(&prng, 400),
                                           (uint32_t)prng_below(&prng, 4096), 9));
            break;
        case 2:
            last_promise = hlc_heartbeat(&clock, now_ms, 4);
            EXPECT(last_promise >= last_op || last_promise == 0);
            break;
        case 3:
            if (prng_chance(&prng, 2000)) {
                hlc_init(&clock, durable_ms);
                now_ms -= prng_below(&prng, 200);
            }
            break;
        default:
            if (!hlc_needs_ceiling(&clock, now_ms)) {
                stamp_t made = hlc_tick(&clock, now_ms, 4);

                EXPECT(made > last_op && made > last_promise);
                EXPECT(stamp_ms(made) >= now_ms && stamp_ms(made) < durable_ms);
                last_op = made;
            }
        }
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
