#include "sim/sim.h"

#include "base/test.h"

static struct sim_outcome run(uint64_t seed)
{
    struct sim_options options = { .seed = seed };
    struct sim_outcome outcome;
    sim_run(&options, &outcome);
    return outcome;
}

TEST(thirty_worlds_hold)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_outcome outcome = run(seed);
        if (!outcome.held)
            test_fail(__FILE__, __LINE__, "seed %d: %s", (int)seed, outcome.reason);
    }
}

TEST(a_seed_reruns_bit_for_bit)
{
    for (uint64_t seed = 101; seed <= 104; seed++) {
        struct sim_outcome once = run(seed), again = run(seed);
        EXPECT_EQ(once.trace_hash, again.trace_hash);
        EXPECT_EQ(once.events, again.events);
        EXPECT(once.trace_hash != run(seed + 1000).trace_hash);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
