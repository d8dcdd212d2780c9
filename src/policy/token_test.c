#include "policy/token.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/memory.h"
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

/* Regions with streams in the global fence and so many others; ages up to sixteen days. Region 16 is a
 * member of no fence (policy/origin.h). SIZE_MAX: it does not read back. */
static size_t length_of(uint32_t regions, uint32_t fences, uint32_t counter_max, uint64_t run_max)
{
    struct token *t = mem_zalloc(sizeof(*t)), *back = mem_alloc(sizeof(*back));
    struct buffer text = { 0 };
    struct prng prng;

    prng_seed(&prng, 1);
    for (uint32_t region = 1; region <= regions; region++) {
        uint64_t run = 1 + prng_below(&prng, run_max);

        for (uint32_t fence = 0; fence <= fences && (fence == 0 || region < 16); fence++) {
            uint8_t o = region < 16 ? (uint8_t)(region + 16 * fence) : 200;

            token_see(t,
                      stamp_make(1760000000000u - prng_below(&prng, 16 * 86400000u),
                                 (uint32_t)prng_below(&prng, counter_max + 1), o),
                      run);
        }
    }
    token_put(&text, t, "shop");
    bool good = token_take(buffer_span(&text), back, "shop") && alike(t, back);
    size_t len = good ? text.len : SIZE_MAX;
    buffer_release(&text);
    mem_free(t);
    mem_free(back);
    return len;
}

TEST(a_token_of_sixteen_busy_regions_is_under_512_bytes)
{
    EXPECT(length_of(16, 0, STAMP_COUNTER_MAX, 1000000) < 512);
    EXPECT(length_of(16, 2, STAMP_COUNTER_MAX, 1000000) < 512);
    EXPECT(length_of(16, 3, 255, 1000) < 512);
    EXPECT(length_of(15, 15, STAMP_COUNTER_MAX, UINT64_MAX - 1) < TOKEN_TEXT_MAX);
}

/* As a tester met it: five regions, all of them in fifteen fences, each written to in the last hour. */
TEST(writes_of_an_hour_to_eighty_streams_are_named_in_under_512_bytes)
{
    struct token t = { 0 }, back;
    struct buffer text = { 0 };

    for (uint8_t region = 1; region <= 5; region++) {
        for (uint8_t fence = 0; fence <= 15; fence++)
            token_see(&t,
                      stamp_make(1760000000000u - (region * 16u + fence) * 45000u, fence % 4,
                                 (uint8_t)(region + 16 * fence)),
                      3);
    }
    token_put(&text, &t, "shop");
    EXPECT(text.len < 450);
    EXPECT(token_take(buffer_span(&text), &back, "shop") && alike(&t, &back));
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

/* The sum is no secret: what it stands behind is judged all the same. */
static bool is_taken(const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct buffer all = { 0 }, text = { 0 };
    struct token t;

    buffer_put(&all, span_of(bytes, len));
    buffer_put_u32(&all, crc32c(crc32c(0, span_str("shop")), buffer_span(&all)));
    for (size_t bit = 0; bit < 8 * all.len; bit += 6) {
        uint32_t six = 0;

        for (size_t i = bit; i < bit + 6; i++)
            six = six << 1 | (i < 8 * all.len ? all.at[i / 8] >> (7 - i % 8) & 1 : 0);
        buffer_put_u8(&text, (uint8_t)digits[six]);
    }
    bool taken = token_take(buffer_span(&text), &t, "shop");
    buffer_release(&all);
    buffer_release(&text);
    return taken;
}

TEST(what_bears_a_sum_and_names_nothing_is_refused)
{
    /* version, shard, time 9, one byte of origins: 1; orders; age 1: 010, counter 0: 1, a run: 1 1, zeros */
    static const uint8_t good[] = { 2, 0, 9, 1, 2, 0, 0, 0, 0x5c };
    uint8_t bytes[sizeof(good) + 1] = { 0 };

    EXPECT(is_taken(good, sizeof(good)));
    EXPECT(!is_taken(good, sizeof(good) - 1));
    memcpy(bytes, good, sizeof(good));
    EXPECT(!is_taken(bytes, sizeof(bytes))); /* something behind it */
    static const struct {
        uint8_t at, is;
    } wrong[] = {
        { 0, 1 },    /* a version of before */
        { 2, 0 },    /* older than time */
        { 3, 33 },   /* origins that cannot be */
        { 3, 0 },    /* none, and yet something */
        { 4, 3 },    /* origin 0 */
        { 4, 0 },    /* an origin's byte for nothing */
        { 5, 64 },   /* no order */
        { 8, 0x00 }, /* a code without end */
        { 8,
          0x58 }, /* the run of a stream that is not here: 010 1 1 0.. has none, and 0 is none below */
        { 8, 0x5d }, /* bits that are not zero behind it */
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        memcpy(bytes, good, sizeof(good));
        bytes[wrong[i].at] = wrong[i].is;
        EXPECT(!is_taken(bytes, sizeof(good)));
    }
}

TEST(whatever_stands_behind_a_sum_is_read_or_refused)
{
    struct prng prng;
    uint8_t bytes[60] = { 2, 0, 9 };

    prng_seed(&prng, 1);
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 3; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)prng_below(&prng, i < 4 ? 4 : 256);
        is_taken(bytes, 3 + prng_below(&prng, sizeof(bytes) - 2));
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
