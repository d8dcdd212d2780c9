#include "host/delay.h"

#include "base/buffer.h"
#include "base/prng.h"
#include "base/test.h"

TEST(bytes_come_out_when_they_are_due_and_not_before)
{
    struct delay d = { 0 };
    struct span front;

    delay_put(&d, span_str("hello"), 100);
    EXPECT(!delay_front(&d, 99, &front));
    EXPECT_EQ(delay_next_us(&d), 100);
    EXPECT(delay_front(&d, 100, &front));
    EXPECT_TEXT(front, "hello");
    delay_take(&d, 5);
    EXPECT(!delay_front(&d, 1000, &front));
    EXPECT_EQ(d.bytes, 0);
    EXPECT(delay_next_us(&d) == UINT64_MAX);
    delay_release(&d);
}

TEST(a_shorter_way_does_not_overtake_what_is_on_the_road)
{
    struct delay d = { 0 };
    struct span front;

    delay_put(&d, span_str("slow"), 500);
    delay_put(&d, span_str("fast"), 200);
    EXPECT(!delay_front(&d, 499, &front));
    EXPECT(delay_front(&d, 500, &front));
    EXPECT_TEXT(front, "slow");
    delay_take(&d, front.len);
    EXPECT(delay_front(&d, 500, &front));
    EXPECT_TEXT(front, "fast");
    delay_release(&d);
}

TEST(a_chunk_may_leave_in_pieces)
{
    struct delay d = { 0 };
    struct span front;

    delay_put(&d, span_str("abcdef"), 1);
    delay_take(&d, 2);
    EXPECT_EQ(d.bytes, 4);
    EXPECT(delay_front(&d, 1, &front));
    EXPECT_TEXT(front, "cdef");
    delay_release(&d);
    EXPECT(d.first == NULL && d.bytes == 0);
}

TEST(nothing_in_is_nothing_out)
{
    struct delay d = { 0 };

    delay_put(&d, span_of("", 0), 1);
    EXPECT(d.first == NULL);
    EXPECT(delay_next_us(&d) == UINT64_MAX);
}

TEST(a_random_stream_comes_out_as_it_went_in)
{
    struct delay d = { 0 };
    struct prng prng;
    struct buffer in = { 0 }, out = { 0 };
    uint64_t now = 0;

    prng_seed(&prng, test_seed());
    for (int step = 0; step < 20000; step++) {
        struct span front;

        if (prng_below(&prng, 2) == 0) {
            uint8_t bytes[40];
            size_t len = prng_below(&prng, sizeof(bytes) + 1);

            for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)prng_next(&prng);
            buffer_put_bytes(&in, bytes, len);
            delay_put(&d, span_of(bytes, len), now + prng_below(&prng, 50));
        }
        now += prng_below(&prng, 5);
        while (delay_front(&d, now, &front)) {
            size_t some = 1 + prng_below(&prng, front.len);

            buffer_put_bytes(&out, front.at, some);
            delay_take(&d, some);
        }
        EXPECT_EQ(in.len, out.len + d.bytes);
    }
    EXPECT(out.len > 0);
    EXPECT_SPAN(span_of(in.at, out.len), buffer_span(&out));
    delay_release(&d);
    buffer_release(&in);
    buffer_release(&out);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
