#include "clock/vector.h"

#include "base/prng.h"
#include "base/test.h"

static stamp_t at(uint64_t ms, uint8_t origin)
{
    return stamp_make(ms, 0, origin);
}

TEST(absent_origins_are_zero)
{
    struct vector v;

    vector_clear(&v);
    EXPECT_EQ(vector_get(&v, 0), 0);
    vector_set(&v, at(5, 3));
    EXPECT_EQ(v.high, 4);
    EXPECT_EQ(vector_get(&v, 2), 0);
    EXPECT_EQ(vector_get(&v, 3), at(5, 3));
    EXPECT_EQ(vector_get(&v, 255), 0);
    vector_set(&v, at(5, 255));
    EXPECT_EQ(v.high, 256);
}

TEST(set_moves_down_too_and_raise_only_up)
{
    struct vector v;

    vector_clear(&v);
    EXPECT(vector_raise(&v, at(5, 3)));
    EXPECT(!vector_raise(&v, at(5, 3)));
    EXPECT(!vector_raise(&v, at(4, 3)));
    vector_set(&v, at(4, 3));
    EXPECT_EQ(vector_get(&v, 3), at(4, 3));
}

TEST(what_is_dropped_is_absent)
{
    struct vector v, none;

    vector_clear(&v);
    vector_clear(&none);
    vector_set(&v, at(5, 3));
    vector_set(&v, at(5, 7));
    vector_drop(&v, 200);
    EXPECT_EQ(v.high, 8);
    vector_drop(&v, 3);
    EXPECT_EQ(vector_get(&v, 3), 0);
    EXPECT_EQ(vector_get(&v, 7), at(5, 7));
    vector_drop(&v, 7);
    EXPECT(vector_equal(&v, &none));
}

TEST(nothing_covers_less_and_all_cover_nothing)
{
    struct vector none, one;

    vector_clear(&none);
    vector_clear(&one);
    vector_set(&one, at(1, 200));
    EXPECT(vector_covers(&one, &none));
    EXPECT(vector_covers(&none, &none));
    EXPECT(!vector_covers(&none, &one));
    EXPECT(!vector_equal(&none, &one));
    EXPECT(!vector_merge(&one, &none));
    EXPECT(vector_merge(&none, &one));
    EXPECT(vector_equal(&none, &one));
}

static void fill(struct vector *v, stamp_t model[STAMP_ORIGINS], struct prng *prng)
{
    uint64_t origins = 1 + prng_below(prng, STAMP_ORIGINS);

    vector_clear(v);
    memset(model, 0, STAMP_ORIGINS * sizeof(model[0]));
    for (uint64_t i = prng_below(prng, origins); i > 0; i--) {
        stamp_t s = at(1 + prng_below(prng, 5), (uint8_t)prng_below(prng, origins));

        vector_set(v, s);
        model[stamp_origin(s)] = s;
    }
}

TEST(random_vectors_agree_with_plain_arrays)
{
    struct prng prng;
    struct vector a, b, copy;
    stamp_t model_a[STAMP_ORIGINS], model_b[STAMP_ORIGINS];

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 3000; i++) {
        bool covers = true, moved = false;

        fill(&a, model_a, &prng);
        if (prng_chance(&prng, 200000)) {
            vector_copy(&b, &a);
            memcpy(model_b, model_a, sizeof(model_a));
        } else {
            fill(&b, model_b, &prng);
        }
        for (int o = 0; o < STAMP_ORIGINS; o++)
            covers = covers && model_a[o] >= model_b[o];
        EXPECT_EQ(vector_covers(&a, &b), covers);
        EXPECT_EQ(vector_equal(&a, &b), memcmp(model_a, model_b, sizeof(model_a)) == 0);
        for (int o = 0; o < STAMP_ORIGINS; o++) {
            moved = moved || model_b[o] > model_a[o];
            model_a[o] = model_b[o] > model_a[o] ? model_b[o] : model_a[o];
        }
        vector_copy(&copy, &a);
        EXPECT_EQ(vector_merge(&a, &b), moved);
        EXPECT_EQ(vector_equal(&a, &copy), !moved);
        EXPECT(vector_covers(&a, &b) && vector_covers(&a, &copy));
        for (int o = 0; o < STAMP_ORIGINS; o++)
            EXPECT(vector_get(&a, (uint8_t)o) == model_a[o]);
    }
}

TEST(vectors_are_taken_as_they_were_put)
{
    struct prng prng;
    struct vector a, b;
    struct buffer bytes = { 0 };
    stamp_t model[STAMP_ORIGINS];

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 300; i++) {
        struct span in;

        fill(&a, model, &prng);
        buffer_clear(&bytes);
        vector_put(&bytes, &a);
        for (size_t len = 0; len < bytes.len; len += 1 + prng_below(&prng, 20)) {
            in = span_of(bytes.at, len);
            EXPECT(!vector_take(&in, &b));
            EXPECT_EQ(in.len, len);
        }
        buffer_put_text(&bytes, "rest");
        in = buffer_span(&bytes);
        EXPECT(vector_take(&in, &b));
        EXPECT(vector_equal(&a, &b));
        EXPECT_TEXT(in, "rest");
    }
    buffer_release(&bytes);
}

TEST(malformed_vectors_are_refused)
{
    struct buffer bytes = { 0 };
    struct vector v;
    struct span in;

    buffer_put_varint(&bytes, 2);
    buffer_put_u64(&bytes, at(5, 3));
    buffer_put_u64(&bytes, at(6, 3));
    in = buffer_span(&bytes);
    EXPECT(!vector_take(&in, &v));
    EXPECT_EQ(in.len, bytes.len);
    buffer_clear(&bytes);
    buffer_put_varint(&bytes, 1);
    buffer_put_u64(&bytes, 0);
    in = buffer_span(&bytes);
    EXPECT(!vector_take(&in, &v));
    buffer_clear(&bytes);
    buffer_put_varint(&bytes, 257);
    for (int i = 0; i < 257; i++)
        buffer_put_u64(&bytes, at(5, (uint8_t)i));
    in = buffer_span(&bytes);
    EXPECT(!vector_take(&in, &v));
    buffer_release(&bytes);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
