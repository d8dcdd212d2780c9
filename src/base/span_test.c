#include "base/span.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/prng.h"
#include "base/test.h"

static bool reads_int(const char *text, int64_t *out)
{
    return span_to_int64(span_str(text), out);
}

static bool reads_double(const char *text, double *out)
{
    return span_to_double(span_str(text), out);
}

TEST(words_compare_without_case)
{
    EXPECT(span_equal_nocase(span_str("gEt"), "GET"));
    EXPECT(!span_equal_nocase(span_str("get"), "gets"));
    EXPECT(!span_equal_nocase(span_str("gets"), "get"));
    EXPECT(!span_equal_nocase(span_str("g[t"), "g{t"));
    EXPECT(span_equal_nocase(span_of(NULL, 0), ""));
}

TEST(order_is_bytewise_a_prefix_first)
{
    EXPECT(span_compare(span_str("a"), span_str("b")) < 0);
    EXPECT(span_compare(span_str("ab"), span_str("a")) > 0);
    EXPECT(span_compare(span_str("a"), span_str("ab")) < 0);
    EXPECT(span_compare(span_str("\xff"), span_str("a")) > 0);
    EXPECT(span_compare(span_of(NULL, 0), span_of("", 0)) == 0);
    EXPECT(span_compare(span_of("a\0b", 3), span_of("a\0c", 3)) < 0);
}

TEST(fixed_integers_are_little_endian_and_need_all_their_bytes)
{
    const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
    struct span in = span_of(bytes, 13);
    uint8_t a;
    uint32_t b;
    uint64_t c;

    EXPECT(span_take_u8(&in, &a));
    EXPECT(span_take_u32(&in, &b));
    EXPECT(span_take_u64(&in, &c));
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, 0x05040302);
    EXPECT_EQ(c, 0x0d0c0b0a09080706);
    EXPECT(!span_take_u8(&in, &a));
    in = span_of(bytes, 7);
    EXPECT(!span_take_u64(&in, &c));
    EXPECT_EQ(in.len, 7);
    in = span_of(bytes, 3);
    EXPECT(!span_take_u32(&in, &b));
    EXPECT(in.at == bytes && in.len == 3);
}

TEST(varints_read_back_what_was_put)
{
    struct buffer b = { 0 };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        uint64_t v = prng_next(&prng) >> prng_below(&prng, 64), read;
        struct span in;

        buffer_clear(&b);
        buffer_put_varint(&b, v);
        for (size_t len = 0; len < b.len; len++) {
            in = span_of(b.at, len);
            EXPECT(!span_take_varint(&in, &read));
            EXPECT_EQ(in.len, len);
        }
        in = buffer_span(&b);
        EXPECT(span_take_varint(&in, &read));
        EXPECT_EQ(read, v);
        EXPECT_EQ(in.len, 0);
    }
    buffer_release(&b);
}

TEST(varints_of_more_than_64_bits_are_refused)
{
    const uint8_t most[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 1 };
    const uint8_t more[] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 2 };
    const uint8_t longer[] = { 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0 };
    const uint8_t padded[] = { 133, 128, 0 };
    struct span in = span_of(most, 10);
    uint64_t v;

    EXPECT(span_take_varint(&in, &v) && v == UINT64_MAX);
    in = span_of(more, 10);
    EXPECT(!span_take_varint(&in, &v));
    in = span_of(longer, 11);
    EXPECT(!span_take_varint(&in, &v) && in.len == 11);
    in = span_of(padded, 3);
    EXPECT(span_take_varint(&in, &v) && v == 5);
}

TEST(prefixed_bytes_longer_than_the_rest_are_refused)
{
    struct span in = span_of("\x03"
                             "abcd",
                             5),
                out;

    EXPECT(span_take_prefixed(&in, &out));
    EXPECT_TEXT(out, "abc");
    EXPECT_TEXT(in, "d");
    in = span_of("\x03"
                 "ab",
                 3);
    EXPECT(!span_take_prefixed(&in, &out) && in.len == 3);
    in = span_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                 "ab",
                 12);
    EXPECT(!span_take_prefixed(&in, &out) && in.len == 12);
    EXPECT(span_take_bytes(&in, 12, &out) && in.len == 0);
    EXPECT(!span_take_bytes(&in, 1, &out));
    EXPECT(span_take_bytes(&in, 0, &out) && out.len == 0);
    EXPECT_EQ(span_skip(span_str("abc"), 5).len, 0);
    EXPECT_TEXT(span_skip(span_str("abc"), 1), "bc");
}

TEST(integers_are_read_as_redis_reads_them)
{
    static const char *const refused[] = { "",
                                           "-",
                                           "+1",
                                           " 1",
                                           "1 ",
                                           "01",
                                           "-0",
                                           "00",
                                           "-01",
                                           "1.0",
                                           "0x1",
                                           "1e3",
                                           "9223372036854775808",
                                           "-9223372036854775809",
                                           "18446744073709551617",
                                           "99999999999999999999",
                                           "--1" };
    int64_t v;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        EXPECT(!reads_int(refused[i], &v));
    EXPECT(reads_int("0", &v) && v == 0);
    EXPECT(reads_int("-1", &v) && v == -1);
    EXPECT(reads_int("9223372036854775807", &v) && v == INT64_MAX);
    EXPECT(reads_int("-9223372036854775808", &v) && v == INT64_MIN);
    EXPECT(!span_to_int64(span_of("1\0", 2), &v));
}

TEST(integers_read_back_what_printf_wrote)
{
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        int64_t v = (int64_t)prng_next(&prng) >> prng_below(&prng, 64), read;
        char text[32];

        snprintf(text, sizeof(text), "%" PRId64, v);
        EXPECT(reads_int(text, &read));
        EXPECT_EQ(read, v);
    }
}

TEST(doubles_are_plain_decimals_or_infinite)
{
    static const char *const refused[] = { "",       "nan", "NaN",   "-nan",  "0x10",
                                           " 1",     "1 ",  "1.5x",  "e5",    "-",
                                           ".",      "1e",  "--1",   "1e400", "-1e400",
                                           "1e-400", "1,5", "+-inf", "infx",  "in" };
    double v;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        EXPECT(!reads_double(refused[i], &v));
    EXPECT(reads_double("0.1", &v) && v == 0.1);
    EXPECT(reads_double("-1.5e3", &v) && v == -1500);
    EXPECT(reads_double("+3", &v) && v == 3);
    EXPECT(reads_double(".5", &v) && v == 0.5);
    EXPECT(reads_double("5.", &v) && v == 5);
    EXPECT(reads_double("4.9406564584124654e-324", &v) && v > 0);
    EXPECT(reads_double("inf", &v) && v == INFINITY);
    EXPECT(reads_double("+Inf", &v) && v == INFINITY);
    EXPECT(reads_double("-INF", &v) && v == -INFINITY);
    EXPECT(!span_to_double(span_of("1\0002", 3), &v));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
