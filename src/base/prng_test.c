#include "base/prng.h"

#include "base/test.h"

/* The first outputs of the authors' program from the state 1, 2, 3, 4. */
TEST(numbers_are_those_of_xoshiro256_starstar)
{
    struct prng p = { { 1, 2, 3, 4 } };

    EXPECT_EQ(prng_next(&p), 11520);
    EXPECT_EQ(prng_next(&p), 0);
    EXPECT_EQ(prng_next(&p), 1509978240);
    EXPECT_EQ(prng_next(&p), 1215971899390074240);
}

/* The first outputs of the authors' splitmix64 from 1234567. */
TEST(seeding_is_by_splitmix64)
{
    struct prng p;

    prng_seed(&p, 1234567);
    EXPECT_EQ(p.s[0], 6457827717110365317);
    EXPECT_EQ(p.s[1], 3203168211198807973);
    EXPECT(p.s[2] == 9817491932198370423u);
    EXPECT_EQ(p.s[3], 4593380528125082431);
}

TEST(same_seed_same_numbers_and_another_seed_others)
{
    struct prng a, b, c;

    prng_seed(&a, 5);
    prng_seed(&b, 5);
    prng_seed(&c, 6);
    for (int i = 0; i < 100; i++) {
        uint64_t x = prng_next(&a);

        EXPECT(x == prng_next(&b));
        EXPECT(x != prng_next(&c));
    }
}

TEST(split_streams_do_not_depend_on_each_other)
{
    struct prng a, b, first, second;

    prng_seed(&a, 5);
    prng_seed(&b, 5);
    first = prng_split(&a);
    second = prng_split(&b);
    for (int i = 0; i < 10; i++)
        prng_next(&b);
    for (int i = 0; i < 10; i++)
        EXPECT(prng_next(&first) == prng_next(&second));
    EXPECT(prng_next(&first) != prng_next(&a));
}

/* 60,000 throws: a face further than 600 from 10,000 is six and a half sigma off. */
TEST(below_is_within_its_bound_and_even)
{
    struct prng p;
    int faces[6] = { 0 };

    prng_seed(&p, test_seed());
    for (int i = 0; i < 60000; i++) {
        uint64_t x = prng_below(&p, 6);

        EXPECT(x < 6);
        faces[x]++;
    }
    for (int i = 0; i < 6; i++)
        EXPECT(faces[i] > 9400 && faces[i] < 10600);
    EXPECT_EQ(prng_below(&p, 1), 0);
    for (int i = 0; i < 1000; i++)
        EXPECT(prng_below(&p, UINT64_MAX / 3 * 2) < UINT64_MAX / 3 * 2);
}

TEST(chance_is_in_parts_per_million)
{
    struct prng p;
    int hits = 0;

    prng_seed(&p, test_seed());
    for (int i = 0; i < 40000; i++) {
        EXPECT(!prng_chance(&p, 0));
        EXPECT(prng_chance(&p, 1000000));
        hits += prng_chance(&p, 250000);
    }
    EXPECT(hits > 9400 && hits < 10600);
}

TEST(percent_is_in_hundredths)
{
    struct prng p;
    int hits = 0;

    prng_seed(&p, test_seed());
    for (int i = 0; i < 40000; i++) {
        EXPECT(!prng_percent(&p, 0));
        EXPECT(prng_percent(&p, 100));
        hits += prng_percent(&p, 25);
    }
    EXPECT(hits > 9400 && hits < 10600);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
