#include "policy/prefixes.h"

#include "base/prng.h"
#include "base/test.h"

enum { MOST = 60 };

static size_t longest(const struct span *texts, size_t count, struct span key)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        bool begins = texts[i].len <= key.len &&
                      span_equal(texts[i], span_of(key.at, texts[i].len));

        if (begins && (best == SIZE_MAX || texts[i].len > texts[best].len))
            best = i;
    }
    return best;
}

static struct span random_text(struct prng *rng, uint8_t *bytes, size_t most)
{
    size_t len = prng_below(rng, most + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(prng_below(rng, 20) == 0 ? 255 * prng_below(rng, 2)
                                                      : 'a' + prng_below(rng, 2));
    return span_of(bytes, len);
}

TEST(the_longest_prefix_is_found_as_by_looking_at_all)
{
    struct prng rng;

    prng_seed(&rng, test_seed());
    for (int round = 0; round < 300; round++) {
        static uint8_t bytes[MOST][12];
        struct span texts[MOST] = { span_of(bytes[0], 0) };
        size_t count = 1, wanted = 1 + prng_below(&rng, MOST - 1);
        struct prefixes p;

        for (size_t tries = 0; count < wanted && tries < 200; tries++) {
            struct span text = random_text(&rng, bytes[count], 12);
            bool twice = false;

            for (size_t i = 0; i < count; i++)
                twice |= span_equal(texts[i], text);
            if (!twice)
                texts[count++] = text;
        }
        prefixes_init(&p, texts, count);
        for (int i = 0; i < 200; i++) {
            uint8_t key[16];
            struct span k = random_text(&rng, key, 16);

            EXPECT_EQ(prefixes_find(&p, k), longest(texts, count, k));
        }
        prefixes_release(&p);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
