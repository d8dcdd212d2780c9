#include "base/bits.h"

#include "base/prng.h"
#include "base/test.h"

TEST(numbers_are_in_it_from_add_to_remove)
{
    uint64_t words[4] = { 0 };
    bool in[256] = { false };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 5000; i++) {
        size_t number = prng_below(&prng, 256);
        in[number] = prng_below(&prng, 3) == 0;
        if (in[number])
            bits_add(words, number);
        else
            bits_remove(words, number);
        uint32_t next = 0;
        for (uint32_t n = 0; n < 256; n++) {
            EXPECT_EQ(bits_have(words, n), in[n]);
            if (!in[n])
                continue;
            EXPECT(bits_next(words, 256, &next));
            EXPECT_EQ(next, n);
            next++;
        }
        EXPECT(!bits_next(words, 256, &next));
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
