#include "clock/steady.h"

#include "base/prng.h"
#include "base/test.h"

enum { SECOND_US = 1000000 };

TEST(time_begins_at_the_wall_clock_and_runs_with_it)
{
    struct steady s;
    uint64_t wall = UINT64_C(1700000000) * SECOND_US;

    steady_init(&s, 500, wall);
    EXPECT_EQ(steady_now_us(&s, 500, wall), wall);
    EXPECT_EQ(steady_now_us(&s, 500 + SECOND_US, wall + SECOND_US), wall + SECOND_US);
    EXPECT_EQ(s.behind_us, 0);
}

TEST(a_step_of_the_wall_clock_is_slewed_and_reported)
{
    struct steady s;
    uint64_t wall = UINT64_C(1700000000) * SECOND_US;

    steady_init(&s, 0, wall);
    EXPECT_EQ(steady_now_us(&s, SECOND_US, wall + 3 * SECOND_US), wall + SECOND_US + 500);
    EXPECT_EQ(s.behind_us, 2 * SECOND_US - 500);
    EXPECT_EQ(steady_now_us(&s, 2 * SECOND_US, wall), wall + 2 * SECOND_US);
    EXPECT_EQ(s.behind_us, -2 * SECOND_US);
    EXPECT_EQ(steady_now_us(&s, 3 * SECOND_US, wall + SECOND_US), wall + 3 * SECOND_US - 500);
}

TEST(a_step_is_caught_up_with_in_the_end)
{
    struct steady s;

    steady_init(&s, 0, 50 * SECOND_US);
    for (uint64_t t = 0; t <= 2001 * (uint64_t)SECOND_US; t += SECOND_US)
        steady_now_us(&s, t, 51 * SECOND_US + t);
    EXPECT_EQ(s.behind_us, 0);
}

TEST(calls_in_quick_succession_slew_too)
{
    struct steady s;

    steady_init(&s, 0, 50 * SECOND_US);
    for (uint64_t t = 0; t <= SECOND_US; t += 10)
        steady_now_us(&s, t, 51 * SECOND_US + t);
    EXPECT_EQ(s.behind_us, SECOND_US - 500);
}

TEST(quiet_times_save_up_no_slewing)
{
    struct steady s;

    steady_init(&s, 0, 0);
    steady_now_us(&s, 3600 * (uint64_t)SECOND_US, 3600 * (uint64_t)SECOND_US);
    steady_now_us(&s, 3601 * (uint64_t)SECOND_US, 3700 * (uint64_t)SECOND_US);
    EXPECT_EQ(s.behind_us, 99 * SECOND_US - 500);
}

TEST(time_never_goes_back_nor_runs_off_whatever_the_wall_clock_does)
{
    struct steady s;
    struct prng prng;
    uint64_t mono = 12345, last, start = UINT64_C(1000) * SECOND_US;

    prng_seed(&prng, test_seed());
    steady_init(&s, mono, start);
    last = start;
    for (int i = 0; i < 100000; i++) {
        uint64_t passed = prng_below(&prng, 5000), before = last;

        mono += passed;
        last = steady_now_us(&s, mono, prng_below(&prng, 2000) * SECOND_US);
        EXPECT(last >= before);
        EXPECT(last - before <= passed + passed / 2000 + 1);
        EXPECT(last - before + passed / 2000 + 1 >= passed);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
