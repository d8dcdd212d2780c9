#include "base/radix.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void expect_sorted(struct prng *prng, size_t count, uint64_t mask, size_t budget)
{
    uint64_t *items = mem_alloc(count * sizeof(*items));
    uint64_t *expected = mem_alloc(count * sizeof(*expected));
    struct radix r;
    for (size_t i = 0; i < count; i++)
        expected[i] = items[i] = prng_next(prng) & mask;
    qsort(expected, count, sizeof(*expected), compare);
    radix_begin(&r, items, count);
    while (!radix_step(&r, budget))
        continue;
    EXPECT_EQ(memcmp(items, expected, count * sizeof(*items)), 0);
    radix_release(&r);
    mem_free(items);
    mem_free(expected);
}

TEST(integers_of_any_number_are_sorted_in_steps_of_any_length)
{
    struct prng prng;
    prng_seed(&prng, test_seed());
    static const size_t counts[] = { 0, 1, 2, 1024, 1025, 5000, 70000 };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        expect_sorted(&prng, counts[i], UINT64_MAX, 1);
        expect_sorted(&prng, counts[i], UINT64_MAX, 1 + prng_below(&prng, 5000));
    }
}

TEST(many_equal_ones_and_one_full_bucket_are_sorted_too)
{
    struct prng prng;
    prng_seed(&prng, test_seed());
    expect_sorted(&prng, 5000, 7, 100);
    expect_sorted(&prng, 5000, UINT64_MAX << 62, 100);
}

/* As who goes on with them relies on: each once. */
TEST(whenever_it_is_given_up_all_are_still_there)
{
    enum { COUNT = 5000 };
    static uint64_t items[COUNT], expected[COUNT];
    struct prng prng;
    prng_seed(&prng, test_seed());
    for (unsigned steps = 0; steps < 40; steps++) {
        struct radix r;
        for (size_t i = 0; i < COUNT; i++)
            expected[i] = items[i] = prng_next(&prng);
        radix_begin(&r, items, COUNT);
        for (unsigned i = 0; i < steps; i++)
            radix_step(&r, 400);
        radix_release(&r);
        qsort(items, COUNT, sizeof(*items), compare);
        qsort(expected, COUNT, sizeof(*expected), compare);
        EXPECT_EQ(memcmp(items, expected, sizeof(items)), 0);
    }
}

TEST(it_may_be_given_up_at_any_time)
{
    uint64_t items[3000] = { 3, 2, 1 };
    struct radix r;
    radix_begin(&r, items, 3000);
    EXPECT(!radix_step(&r, 10));
    radix_release(&r);
    EXPECT(radix_step(&r, 10));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
