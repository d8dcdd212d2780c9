#include "wire/record.h"

#include <stdlib.h>

#include "base/prng.h"
#include "base/test.h"

/* A sealed record of `len` payload bytes in memory of exactly its size; the caller frees it. */
static uint8_t *sealed(size_t len, uint64_t lsn, uint64_t synced_lsn)
{
    uint8_t *bytes = malloc(RECORD_HEADER_BYTES + len);
    for (size_t i = 0; i < len; i++)
        bytes[RECORD_HEADER_BYTES + i] = (uint8_t)(i * 7 + 1);
    record_seal(bytes, len, lsn, synced_lsn);
    return bytes;
}

TEST(what_was_sealed_is_read_back)
{
    struct record got;
    size_t need;
    uint8_t *bytes = sealed(100, 123456789012, 123456780000);
    EXPECT_EQ(record_read(span_of(bytes, 120), 123456789012, &got, &need), RECORD_GOOD);
    EXPECT_EQ(got.lsn, 123456789012);
    EXPECT_EQ(got.synced_lsn, 123456780000);
    EXPECT_EQ(got.bytes, 120);
    EXPECT_SPAN(got.payload, span_of(bytes + RECORD_HEADER_BYTES, 100));
    free(bytes);
}

TEST(the_distance_to_the_synced_place_saturates)
{
    struct record got;
    size_t need;
    uint8_t *bytes = sealed(1, 1ull << 40, 0);
    EXPECT_EQ(record_read(span_of(bytes, 21), 1ull << 40, &got, &need), RECORD_GOOD);
    EXPECT_EQ(got.synced_lsn, (1ull << 40) - UINT32_MAX);
    free(bytes);
}

TEST(every_shorter_piece_says_how_much_it_needs)
{
    uint8_t *bytes = sealed(50, 7, 7);
    for (size_t have = 0; have < 70; have++) {
        struct record got;
        size_t need = 0;
        uint8_t *piece = malloc(have + 1);
        memcpy(piece, bytes, have);
        EXPECT_EQ(record_read(span_of(piece, have), 7, &got, &need), RECORD_SHORT);
        EXPECT_EQ(need, have < 4 ? 4 : have < 20 ? 20 : 70);
        free(piece);
    }
    free(bytes);
}

TEST(every_flipped_bit_is_noticed)
{
    uint8_t *bytes = sealed(40, 99, 50);
    for (size_t bit = 0; bit < 60 * 8; bit++) {
        struct record got;
        size_t need;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT(record_read(span_of(bytes, 60), 99, &got, &need) != RECORD_GOOD);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

TEST(a_record_is_good_at_its_own_place_only)
{
    struct record got;
    size_t need;
    uint8_t *bytes = sealed(10, 1000, 1000);
    EXPECT_EQ(record_read(span_of(bytes, 30), 1001, &got, &need), RECORD_BAD);
    EXPECT_EQ(record_read(span_of(bytes, 30), 1000, &got, &need), RECORD_GOOD);
    free(bytes);
}

TEST(zeros_are_the_end_and_huge_lengths_are_bad)
{
    struct record got;
    size_t need;
    uint8_t zeros[64] = { 0 };
    EXPECT_EQ(record_read(span_of(zeros, sizeof zeros), 0, &got, &need), RECORD_NONE);
    EXPECT_EQ(record_read(span_of("\1\0\0\x10 and so on, and so on", 24), 0, &got, &need),
              RECORD_BAD);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
