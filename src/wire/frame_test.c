#include "wire/frame.h"

#include <zstd.h>

#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

/* Batches of random length; `noise` of them do not compress. */
static void random_content(struct prng *rng, struct buffer *content, uint64_t batches, bool noise)
{
    uint8_t batch[3000];
    for (; batches > 0; batches--) {
        size_t len = (size_t)prng_below(rng, sizeof batch);
        for (size_t i = 0; i < len; i++)
            batch[i] = noise ? (uint8_t)prng_next(rng) : (uint8_t)(i / 7);
        frame_add_batch(content, span_of(batch, len));
    }
}

static struct span body_of(const struct buffer *out)
{
    return span_skip(buffer_span(out), MESSAGE_HEADER_BYTES + 1);
}

TEST(content_comes_back_as_it_went)
{
    struct frame_codec codec = { 0 };
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 300; round++) {
        struct buffer content = { 0 }, out = { 0 };
        struct span got;
        struct message m;
        size_t need;
        random_content(&rng, &content, prng_below(&rng, 10), prng_chance(&rng, 500000));
        frame_put(&codec, &out, buffer_span(&content));
        EXPECT_EQ(message_read(buffer_span(&out), MESSAGE_MAX, &m, &need), MESSAGE_GOOD);
        EXPECT_EQ(m.type, MESSAGE_BATCHES);
        EXPECT(frame_take(&codec, m.body, &got));
        EXPECT_SPAN(got, buffer_span(&content));
        EXPECT(out.len <= MESSAGE_HEADER_BYTES + 1 + FRAME_HEADER_BYTES + content.len);
        buffer_release(&content);
        buffer_release(&out);
    }
    frame_codec_release(&codec);
}

TEST(text_shrinks)
{
    struct frame_codec codec = { 0 };
    struct buffer content = { 0 }, out = { 0 };
    struct prng rng;
    prng_seed(&rng, 1);
    random_content(&rng, &content, 100, false);
    frame_put(&codec, &out, buffer_span(&content));
    EXPECT(out.len * 4 < content.len);
    buffer_release(&content);
    buffer_release(&out);
    frame_codec_release(&codec);
}

TEST(batches_of_a_content_are_walked_to_its_clean_end)
{
    struct buffer content = { 0 };
    struct span batch, rest;
    frame_add_batch(&content, span_str("one"));
    frame_add_batch(&content, span_str(""));
    frame_add_batch(&content, span_str("three"));
    rest = buffer_span(&content);
    EXPECT(frame_next_batch(&rest, &batch));
    EXPECT_TEXT(batch, "one");
    EXPECT(frame_next_batch(&rest, &batch));
    EXPECT_TEXT(batch, "");
    EXPECT(frame_next_batch(&rest, &batch));
    EXPECT_TEXT(batch, "three");
    EXPECT(!frame_next_batch(&rest, &batch));
    EXPECT_EQ(rest.len, 0);
    rest = span_of(content.at, content.len - 1);
    while (frame_next_batch(&rest, &batch))
        ;
    EXPECT(rest.len > 0);
    buffer_release(&content);
}

static void expect_refused(struct span body)
{
    struct frame_codec codec = { 0 };
    struct span got;
    EXPECT(!frame_take(&codec, body, &got));
    frame_codec_release(&codec);
}

TEST(a_zstd_frame_must_say_its_true_size)
{
    char text[2000], packed[3000];
    struct buffer body = { 0 };
    memset(text, 'x', sizeof text);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    size_t len = ZSTD_compress2(context, packed, sizeof packed, text, sizeof text);
    buffer_put_u8(&body, 1);
    buffer_put_u32(&body, sizeof text);
    buffer_put_bytes(&body, packed, len);
    expect_refused(buffer_span(&body)); /* no size in the frame */
    len = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    for (uint32_t said = sizeof text - 1; said <= sizeof text + 1; said += 2) {
        buffer_clear(&body);
        buffer_put_u8(&body, 1);
        buffer_put_u32(&body, said);
        buffer_put_bytes(&body, packed, len);
        expect_refused(buffer_span(&body)); /* one that disagrees */
    }
    ZSTD_freeCCtx(context);
    buffer_release(&body);
}

TEST(a_frame_that_claims_more_than_a_message_holds_is_refused)
{
    struct buffer body = { 0 };
    for (uint8_t codec = 0; codec < 4; codec++) {
        buffer_clear(&body);
        buffer_put_u8(&body, codec);
        buffer_put_u32(&body, UINT32_MAX);
        buffer_put_text(&body, "bytes");
        expect_refused(buffer_span(&body));
    }
    buffer_release(&body);
}

TEST(every_cut_of_a_frame_is_refused)
{
    struct frame_codec codec = { 0 };
    struct buffer content = { 0 }, out = { 0 };
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int noise = 0; noise < 2; noise++) {
        buffer_clear(&content);
        buffer_clear(&out);
        random_content(&rng, &content, 3, noise != 0);
        frame_put(&codec, &out, buffer_span(&content));
        struct span body = body_of(&out);
        for (size_t len = 0; len < body.len; len++)
            expect_refused(span_of(body.at, len));
    }
    buffer_release(&content);
    buffer_release(&out);
    frame_codec_release(&codec);
}

TEST(hostile_frames_are_decoded_or_refused_without_harm)
{
    struct frame_codec codec = { 0 };
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 3000; round++) {
        struct buffer content = { 0 }, out = { 0 };
        struct span got, batch;
        random_content(&rng, &content, 1 + prng_below(&rng, 3), prng_chance(&rng, 300000));
        frame_put(&codec, &out, buffer_span(&content));
        struct span body = body_of(&out);
        uint8_t *copy = mem_alloc(body.len);
        memcpy(copy, body.at, body.len);
        for (uint64_t n = 1 + prng_below(&rng, 5); n > 0; n--)
            copy[prng_below(&rng, body.len)] ^= (uint8_t)(1 << prng_below(&rng, 8));
        if (frame_take(&codec, span_of(copy, body.len), &got)) {
            while (frame_next_batch(&got, &batch))
                ;
        }
        mem_free(copy);
        buffer_release(&content);
        buffer_release(&out);
    }
    frame_codec_release(&codec);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
