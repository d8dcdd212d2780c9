#include "core/peers.h"

#include "base/prng.h"
#include "base/test.h"

enum { REGIONS = 4 }; /* ours is 0; rows are of 1 .. 4 */

static const uint8_t regions[REGIONS] = { 1, 2, 3, 4 };

static struct vector vector_with(stamp_t a, stamp_t b)
{
    struct vector v = { 0 };
    if (a != 0)
        vector_set(&v, a);
    if (b != 0)
        vector_set(&v, b);
    return v;
}

TEST(a_row_of_one_instance_is_merged)
{
    struct peers p;
    stamp_t early = stamp_make(10, 0, 7), late = stamp_make(20, 0, 7), other = stamp_make(5, 0, 8);
    struct vector first = vector_with(late, 0), second = vector_with(early, other);
    peers_init(&p, regions, REGIONS);
    EXPECT(peers_learn(&p, 2, 1, &first, &first, 100));
    EXPECT(!peers_learn(&p, 2, 1, &first, &first, 200));
    EXPECT_EQ(peers_row(&p, 2)->heard_us, 100);
    EXPECT(peers_learn(&p, 2, 1, &second, &second, 300));
    EXPECT_EQ(vector_get(&peers_row(&p, 2)->durable, 7), late);
    EXPECT_EQ(vector_get(&peers_row(&p, 2)->durable, 8), other);
    EXPECT_EQ(peers_row(&p, 2)->heard_us, 300);
    peers_release(&p);
}

TEST(a_row_of_a_newer_instance_replaces_and_of_an_older_one_is_ignored)
{
    struct peers p;
    stamp_t early = stamp_make(10, 0, 7), late = stamp_make(20, 0, 7);
    struct vector high = vector_with(late, 0), low = vector_with(early, 0);
    peers_init(&p, regions, REGIONS);
    EXPECT(peers_learn(&p, 3, 5, &high, &high, 1));
    EXPECT(peers_learn(&p, 3, 6, &low, &low, 2));
    EXPECT_EQ(vector_get(&peers_row(&p, 3)->durable, 7), early);
    EXPECT(!peers_learn(&p, 3, 5, &high, &high, 3));
    EXPECT_EQ(vector_get(&peers_row(&p, 3)->durable, 7), early);
    EXPECT_EQ(peers_row(&p, 3)->instance, 6);
    peers_release(&p);
}

TEST(who_is_no_member_is_not_learned)
{
    struct peers p;
    struct vector v = vector_with(stamp_make(10, 0, 7), 0);
    peers_init(&p, regions, REGIONS);
    EXPECT(!peers_learn(&p, 9, 1, &v, &v, 1));
    EXPECT(peers_row(&p, 9) == NULL);
    EXPECT(!peers_learn(&p, 1, 0, &v, &v, 1));
    peers_release(&p);
}

TEST(only_durable_copies_are_acknowledgements)
{
    struct peers p;
    stamp_t write = stamp_make(10, 3, 0);
    struct vector has = vector_with(write, 0), before = vector_with(stamp_make(10, 2, 0), 0);
    peers_init(&p, regions, REGIONS);
    EXPECT_EQ(peers_acknowledged(&p, write), 0);
    peers_learn(&p, 1, 1, &has, &before, 1);
    EXPECT_EQ(peers_acknowledged(&p, write), 0);
    peers_learn(&p, 1, 1, &has, &has, 2);
    peers_learn(&p, 4, 1, &has, &has, 2);
    EXPECT_EQ(peers_acknowledged(&p, write), 2);
    peers_release(&p);
}

TEST(nothing_is_stable_before_every_region_was_heard)
{
    struct peers p;
    struct vector has = vector_with(stamp_make(10, 0, 0), 0), stable;
    peers_init(&p, regions, REGIONS);
    for (uint8_t region = 1; region < REGIONS; region++)
        peers_learn(&p, region, 1, &has, &has, 1);
    peers_stable(&p, &has, &stable, NULL, NULL);
    EXPECT_EQ(stable.high, 0);
    peers_learn(&p, REGIONS, 1, &has, &has, 1);
    peers_stable(&p, &has, &stable, NULL, NULL);
    EXPECT(vector_equal(&stable, &has));
    peers_release(&p);
}

/* The same history told to the matrix and to plain arrays. */
TEST(the_matrix_agrees_with_plain_arrays)
{
    enum { ORIGINS = 5 };
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 100; round++) {
        struct peers p;
        stamp_t durable[REGIONS + 1][ORIGINS] = { 0 };
        uint64_t instance[REGIONS + 1] = { 0 };
        struct vector own = { 0 }, stable;
        peers_init(&p, regions, REGIONS);
        for (int step = 0; step < 200; step++) {
            uint8_t region = (uint8_t)(1 + prng_below(&rng, REGIONS));
            uint64_t run = 1 + prng_below(&rng, 4);
            struct vector v = { 0 };
            for (uint8_t o = 0; o < ORIGINS; o++) {
                if (prng_chance(&rng, 700000))
                    vector_set(&v, stamp_make(1 + prng_below(&rng, 100), 0, o));
            }
            peers_learn(&p, region, run, &v, &v, 1);
            if (run > instance[region])
                memset(durable[region], 0, sizeof durable[region]);
            for (uint8_t o = 0; o < ORIGINS && run >= instance[region]; o++) {
                if (vector_get(&v, o) > durable[region][o])
                    durable[region][o] = vector_get(&v, o);
            }
            if (run > instance[region])
                instance[region] = run;
            vector_raise(
                &own, stamp_make(1 + prng_below(&rng, 100), 0, (uint8_t)prng_below(&rng, ORIGINS)));
        }
        peers_stable(&p, &own, &stable, NULL, NULL);
        for (uint8_t o = 0; o < ORIGINS; o++) {
            stamp_t least = vector_get(&own, o), asked = stamp_make(50, 0, o);
            uint32_t acknowledged = 0;
            for (uint8_t region = 1; region <= REGIONS; region++) {
                least = durable[region][o] < least ? durable[region][o] : least;
                acknowledged += durable[region][o] >= asked;
            }
            EXPECT_EQ(vector_get(&stable, o), least);
            EXPECT_EQ(peers_acknowledged(&p, asked), acknowledged);
        }
        peers_release(&p);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
