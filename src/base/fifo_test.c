#include "base/fifo.h"

#include "base/prng.h"
#include "base/test.h"

static uint32_t number_at(const struct fifo *f, size_t i)
{
    return *(const uint32_t *)fifo_at(f, sizeof(uint32_t), i);
}

TEST(what_came_first_goes_first_whatever_comes_meanwhile)
{
    struct fifo f = { 0 };
    struct prng prng;
    uint32_t in = 0, out = 0;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        bool grows = prng_below(&prng, 2000) < 1000 + (uint64_t)(i % 2000 < 1000 ? 300 : 0);
        if (grows || f.count == 0)
            *(uint32_t *)fifo_push(&f, sizeof(uint32_t)) = in++;
        else
            fifo_pop(&f), out++;
        EXPECT_EQ(f.count, in - out);
        if (f.count == 0)
            continue;
        size_t any = prng_below(&prng, f.count);
        EXPECT_EQ(number_at(&f, 0), out);
        EXPECT_EQ(number_at(&f, any), out + any);
    }
    fifo_release(&f);
    EXPECT_EQ(f.count, 0);
}

TEST(as_many_as_are_in_it_at_once_need_room)
{
    struct fifo f = { 0 };

    for (uint32_t i = 0; i < 100000; i++) {
        *(uint32_t *)fifo_push(&f, sizeof(uint32_t)) = i;
        if (f.count == 3)
            fifo_pop(&f);
    }
    EXPECT(f.cap <= 8);
    fifo_release(&f);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
