#include "policy/token.h"

#include "base/prng.h"
#include "base/test.h"

static stamp_t at(uint64_t ms, uint8_t origin)
{
    return stamp_make(ms, 7, origin);
}

static bool alike(const struct token *a, const struct token *b)
{
    bool same = vector_equal(&a->seen, &b->seen) && a->time_ms == b->time_ms &&
                a->shard == b->shard;

    for (uint32_t o = 0; o < a->seen.high; o++)
        same = same && (a->seen.at[o] == 0 || a->instance[o] == b->instance[o]);
    return same;
}

TEST(merging_keeps_the_later_op_with_its_instance)
{
    struct token a = { 0 }, b = { 0 };

    token_see(&a, at(5, 1), 11);
    token_see(&a, at(9, 2), 12);
    token_see(&b, at(6, 1), 13);
    token_see(&b, at(8, 2), 14);
    token_merge(&a, &b);
    EXPECT_EQ(vector_get(&a.seen, 1), at(6, 1));
    EXPECT_EQ(a.instance[1], 13);
    EXPECT_EQ(vector_get(&a.seen, 2), at(9, 2));
    EXPECT_EQ(a.instance[2], 12);
    EXPECT_EQ(a.time_ms, 9);
}

TEST(random_tokens_read_back_and_every_damaged_byte_is_seen)
{
    struct prng prng;

    prng_seed(&prng, 1);
    for (int round = 0; round < 200; round++) {
        struct token t = { .shard = (uint8_t)prng_below(&prng, 4) }, back;
        struct buffer text = { 0 };

        for (uint64_t n = prng_below(&prng, 20); n > 0; n--)
            token_see(&t,
                      stamp_make(1 + prng_below(&prng, UINT64_C(1) << 43),
                                 (uint32_t)prng_below(&prng, STAMP_COUNTER_MAX + 1),
                                 (uint8_t)(1 + prng_below(&prng, 255))),
                      prng_below(&prng, UINT64_C(1) << 40));
        token_put(&text, &t, "shop");
        EXPECT(token_take(buffer_span(&text), &back, "shop"));
        EXPECT(alike(&t, &back));
        size_t place = prng_below(&prng, text.len);
        text.at[place] = text.at[place] == 'A' ? 'B' : 'A';
        EXPECT(!token_take(buffer_span(&text), &back, "shop"));
        buffer_release(&text);
    }
}

TEST(a_token_of_sixteen_busy_regions_is_under_512_bytes)
{
    struct token t = { 0 };
    struct buffer text = { 0 };

    for (uint8_t o = 1; o <= 16; o++)
        token_see(&t, stamp_make(1760000000000u - o * 86400000u, STAMP_COUNTER_MAX, o), 1000000);
    token_put(&text, &t, "shop");
    EXPECT(text.len < 512);
    buffer_release(&text);
}

TEST(a_token_of_another_deployment_is_none)
{
    struct token t = { 0 }, back;
    struct buffer text = { 0 };

    token_see(&t, at(5, 1), 11);
    token_put(&text, &t, "shop");
    EXPECT(!token_take(buffer_span(&text), &back, "bank"));
    EXPECT(token_take(buffer_span(&text), &back, "shop"));
    buffer_release(&text);
}

TEST(what_is_no_token_is_refused)
{
    struct token t;

    EXPECT(!token_take(span_str(""), &t, "shop"));
    EXPECT(!token_take(span_str("hello"), &t, "shop"));
    EXPECT(!token_take(span_str("AQAAAAAA!"), &t, "shop"));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
