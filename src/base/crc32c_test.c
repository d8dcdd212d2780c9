#include "base/crc32c.h"

#include "base/prng.h"
#include "base/test.h"

/* RFC 3720, B.4, and the check value of the CRC catalogue. */
TEST(known_checksums)
{
    uint8_t bytes[32];

    EXPECT_EQ(crc32c(0, span_str("")), 0);
    EXPECT_EQ(crc32c(0, span_str("123456789")), 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    EXPECT_EQ(crc32c(0, span_of(bytes, 32)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    EXPECT_EQ(crc32c(0, span_of(bytes, 32)), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    EXPECT_EQ(crc32c(0, span_of(bytes, 32)), 0x46dd794e);
    EXPECT_EQ(crc32c_portable(0, span_of(bytes, 32)), 0x46dd794e);
}

static uint32_t bit_by_bit(struct span bytes)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

TEST(every_way_and_every_cut_gives_the_same_number)
{
    uint8_t bytes[200];
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 3000; i++) {
        size_t from = prng_below(&prng, 20), len = prng_below(&prng, 180),
               cut = prng_below(&prng, len + 1);
        struct span all = span_of(bytes + from, len);
        uint32_t expected;

        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (uint8_t)prng_next(&prng);
        expected = bit_by_bit(all);
        EXPECT_EQ(crc32c(0, all), expected);
        EXPECT_EQ(crc32c_portable(0, all), expected);
        EXPECT_EQ(crc32c(crc32c(0, span_of(all.at, cut)), span_skip(all, cut)), expected);
        EXPECT_EQ(crc32c_portable(crc32c_portable(0, span_of(all.at, cut)), span_skip(all, cut)),
                  expected);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
