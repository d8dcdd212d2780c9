#include "base/buffer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/prng.h"
#include "base/test.h"

TEST(put_bytes_come_out_in_order_while_it_grows)
{
    struct buffer b = { 0 };

    for (uint32_t i = 0; i < 1000; i++)
        buffer_put_u32(&b, i);
    EXPECT_EQ(b.len, 4000);
    for (uint32_t i = 0; i < 1000; i++) {
        struct span in = span_of(b.at + 4 * i, 4);
        uint32_t v;

        EXPECT(span_take_u32(&in, &v) && v == i);
    }
    buffer_release(&b);
    EXPECT(b.at == NULL && b.len == 0 && b.cap == 0);
    buffer_release(&b);
}

TEST(everything_put_is_taken_back)
{
    struct buffer b = { 0 };
    struct span in, bytes;
    uint8_t a;
    uint32_t c;
    uint64_t d, e;

    buffer_put_u8(&b, 200);
    buffer_put_u32(&b, 0xfedcba98);
    buffer_put_u64(&b, 0xfedcba9876543210);
    buffer_put_varint(&b, 300);
    buffer_put_prefixed(&b, span_str("hello"));
    buffer_put_prefixed(&b, span_of(NULL, 0));
    buffer_put_text(&b, "tail");
    in = buffer_span(&b);
    EXPECT(span_take_u8(&in, &a) && a == 200);
    EXPECT(span_take_u32(&in, &c) && c == 0xfedcba98);
    EXPECT(span_take_u64(&in, &d) && d == 0xfedcba9876543210);
    EXPECT(span_take_varint(&in, &e) && e == 300);
    EXPECT(span_take_prefixed(&in, &bytes));
    EXPECT_TEXT(bytes, "hello");
    EXPECT(span_take_prefixed(&in, &bytes) && bytes.len == 0);
    EXPECT_TEXT(in, "tail");
    buffer_release(&b);
}

TEST(printf_appends_texts_of_any_length)
{
    struct buffer b = { 0 };
    char text[1000];

    memset(text, 'x', sizeof(text));
    text[999] = 0;
    buffer_put_text(&b, "a:");
    buffer_printf(&b, "%d,%s", 5, "b");
    EXPECT_TEXT(buffer_span(&b), "a:5,b");
    buffer_clear(&b);
    for (int len = 0; len < 1000; len += 37) {
        buffer_clear(&b);
        buffer_printf(&b, "%.*s", len, text);
        EXPECT_SPAN(buffer_span(&b), span_of(text, (size_t)len));
    }
    buffer_release(&b);
}

TEST(consume_drops_from_the_front)
{
    struct buffer b = { 0 };

    buffer_consume(&b, 0);
    buffer_put_text(&b, "abcdef");
    buffer_consume(&b, 2);
    EXPECT_TEXT(buffer_span(&b), "cdef");
    buffer_put_text(&b, "g");
    buffer_consume(&b, 5);
    EXPECT_EQ(b.len, 0);
    buffer_release(&b);
}

TEST(decimal_of_int64_writes_what_printf_does)
{
    static const int64_t edges[] = { 0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        int64_t v = i < 8 ? edges[i] : (int64_t)prng_next(&prng) >> prng_below(&prng, 64);
        char text[32], expected[32];

        snprintf(expected, sizeof(expected), "%" PRId64, v);
        EXPECT_TEXT(span_of(text, decimal_of_int64(v, text)), expected);
    }
}

static struct span text_of(double v)
{
    static char text[32];

    return span_of(text, decimal_of_double(v, text));
}

TEST(scores_are_written_as_17_digits)
{
    static const double edges[] = {
        0, -0.0, 0.1, 1e17, -1e17, 99999999999999984.0, 5e-324, INFINITY
    };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (size_t i = 0; i < 20000; i++) {
        int64_t random = (int64_t)prng_next(&prng) >> prng_below(&prng, 64);
        double v = i < COUNT_OF(edges) ? edges[i] : i % 2 ? (double)random : (double)random / 1000;
        char text[32], expected[32];

        snprintf(expected, sizeof(expected), "%.17g", v);
        EXPECT_TEXT(span_of(text, decimal_of_score(v, text)), expected);
    }
}

TEST(doubles_are_written_short)
{
    EXPECT_TEXT(text_of(3), "3");
    EXPECT_TEXT(text_of(-3), "-3");
    EXPECT_TEXT(text_of(0), "0");
    EXPECT_TEXT(text_of(-0.0), "-0");
    EXPECT_TEXT(text_of(0.1), "0.1");
    EXPECT_TEXT(text_of(-1.5), "-1.5");
    EXPECT_TEXT(text_of(0.1 + 0.2), "0.30000000000000004");
    EXPECT_TEXT(text_of(1e17), "100000000000000000");
    EXPECT_TEXT(text_of(1e21), "1e+21");
    EXPECT_TEXT(text_of(1e-7), "1e-07");
    EXPECT_TEXT(text_of(INFINITY), "inf");
    EXPECT_TEXT(text_of(-INFINITY), "-inf");
    EXPECT_TEXT(text_of(NAN), "nan");
}

TEST(doubles_read_back_the_same)
{
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = prng_next(&prng);
        double v, read;

        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        EXPECT(text_of(v).len < 32);
        EXPECT(span_to_double(text_of(v), &read));
        EXPECT(memcmp(&v, &read, sizeof(v)) == 0);
    }
}

TEST(zigzag_keeps_small_numbers_small)
{
    EXPECT_EQ(zigzag(0), 0);
    EXPECT_EQ(zigzag(-1), 1);
    EXPECT_EQ(zigzag(1), 2);
    EXPECT_EQ(unzigzag(zigzag(INT64_MIN)), INT64_MIN);
    EXPECT_EQ(unzigzag(zigzag(INT64_MAX)), INT64_MAX);
    EXPECT_EQ(unzigzag(zigzag(-12345)), -12345);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
