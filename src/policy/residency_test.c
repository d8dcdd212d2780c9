#include "policy/residency.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

static struct deployment d;
static struct residency r, other;

static char *text(const char *of)
{
    size_t len = strlen(of) + 1;
    return memcpy(mem_alloc(len), of, len);
}

static void add_region(uint8_t id, const char *name)
{
    struct region *region = deployment_add_region(&d);
    region->id = id;
    region->name = text(name);
}

static void add_fence(const char *name, uint8_t a, uint8_t b)
{
    struct fence *f = deployment_add_fence(&d);
    f->name = text(name);
    fence_add(f, a);
    fence_add(f, b);
}

static void add_prefix(const char *prefix, uint32_t fence)
{
    struct keyspace *k = deployment_add_keyspace(&d);
    k->prefix = text(prefix);
    k->prefix_bytes = strlen(prefix);
    k->fence = fence;
}

/* Regions 1, 2, 3; fence 1 of 1 and 2, fence 2 of 2 and 3. */
static void begin(void)
{
    deployment_release(&d);
    deployment_init(&d);
    add_region(1, "eu-de");
    add_region(2, "eu-es");
    add_region(3, "us-east");
    add_fence("gdpr", 1, 2);
    add_fence("ocean", 2, 3);
}

static struct span describe(struct residency *out, struct buffer *bytes)
{
    CHECK(residency_of(&d, out));
    buffer_clear(bytes);
    residency_put(out, bytes);
    return buffer_span(bytes);
}

static uint32_t fence_of(const char *key)
{
    return residency_fence_of(&r, span_str(key));
}

TEST(a_key_lies_in_the_fence_of_its_longest_prefix)
{
    begin();
    add_prefix("", 0);
    add_prefix("eu:", 1);
    add_prefix("eu:public:", 0);
    add_prefix("eu:public:sea:", 2);
    EXPECT(residency_of(&d, &r));
    EXPECT_EQ(fence_of(""), 0);
    EXPECT_EQ(fence_of("eu"), 0);
    EXPECT_EQ(fence_of("eu:"), 1);
    EXPECT_EQ(fence_of("eu:p"), 1);
    EXPECT_EQ(fence_of("eu:public:x"), 0);
    EXPECT_EQ(fence_of("eu:public:sea:x"), 2);
    EXPECT_EQ(fence_of("f"), 0);
}

/* Names of few letters, so that they begin each other. */
static const char *short_name(struct prng *prng, char text[8])
{
    size_t len = prng_below(prng, 7);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + prng_below(prng, 3));
    text[len] = '\0';
    return text;
}

static bool has_prefix(const char *prefix)
{
    for (size_t i = 0; i < d.keyspace_count; i++) {
        if (strcmp(d.keyspaces[i].prefix, prefix) == 0)
            return true;
    }
    return false;
}

TEST(the_index_finds_what_a_look_at_every_prefix_finds)
{
    struct prng prng;
    struct residency_index index;
    char text[8];
    prng_seed(&prng, test_seed());
    for (int round = 0; round < 200; round++) {
        begin();
        for (uint64_t i = prng_below(&prng, 20); i > 0; i--) {
            if (!has_prefix(short_name(&prng, text)))
                add_prefix(text, (uint32_t)prng_below(&prng, 3));
        }
        EXPECT(residency_of(&d, &r));
        residency_index_init(&index, &r);
        for (int i = 0; i < 100; i++) {
            struct span key = span_str(short_name(&prng, text));
            struct residency_place found = residency_find(&index, key);
            EXPECT_EQ(found.fence, residency_fence_of(&r, key));
            EXPECT(found.prefix.len <= key.len);
            EXPECT_SPAN(found.prefix, span_of(key.at, found.prefix.len));
            EXPECT_EQ(residency_fence_of(&r, found.prefix), found.fence);
        }
        residency_index_release(&index);
    }
}

TEST(prefixes_that_move_no_key_are_not_told_apart)
{
    begin();
    add_prefix("eu:", 1);
    EXPECT(residency_of(&d, &r));
    begin();
    add_prefix("eu:", 1);
    add_prefix("eu:carts:", 1);
    add_prefix("us:", 0);
    add_prefix("", 0);
    EXPECT(residency_of(&d, &other));
    EXPECT(residency_same_prefixes(&r, &other));
    EXPECT(residency_digest(&r, &d, 1) == residency_digest(&other, &d, 1));
    add_prefix("eu:public:", 0);
    EXPECT(residency_of(&d, &other));
    EXPECT(!residency_same_prefixes(&r, &other));
    EXPECT(residency_digest(&r, &d, 1) != residency_digest(&other, &d, 1));
    EXPECT(residency_digest(&r, &d, 2) == residency_digest(&other, &d, 2));
}

TEST(a_digest_tells_names_members_and_prefixes)
{
    begin();
    EXPECT(residency_of(&d, &r));
    uint64_t before = residency_digest(&r, &d, 1);
    d.regions[1].name[0] = 'x'; /* another region under that number */
    EXPECT(residency_digest(&r, &d, 1) != before);
    d.regions[1].name[0] = 'e';
    fence_add(&d.fences[1], 3);
    EXPECT(residency_of(&d, &other));
    EXPECT(residency_digest(&other, &d, 1) != before);
    EXPECT(residency_digest(&other, &d, 2) == residency_digest(&r, &d, 2));
    d.fences[2].name[0] = 'O';
    EXPECT(residency_of(&d, &other));
    EXPECT(residency_digest(&other, &d, 2) != residency_digest(&r, &d, 2));
}

TEST(what_is_written_comes_back)
{
    struct buffer bytes = { 0 }, again = { 0 };
    begin();
    add_prefix("", 2);
    add_prefix("eu:", 1);
    struct span all = describe(&r, &bytes), in = all;
    EXPECT(residency_take(&in, &other));
    EXPECT_EQ(in.len, 0);
    residency_put(&other, &again);
    EXPECT_SPAN(buffer_span(&again), all);
    EXPECT_EQ(residency_fence_of(&other, span_str("eu:1")), 1);
    EXPECT_EQ(residency_fence_of(&other, span_str("x")), 2);
    for (size_t len = 0; len < all.len; len++) {
        in = span_of(all.at, len);
        EXPECT(!residency_take(&in, &other));
    }
    buffer_release(&bytes);
    buffer_release(&again);
}

TEST(prefixes_of_a_fence_that_is_not_there_are_malformed)
{
    struct buffer bytes = { 0 };
    begin();
    add_prefix("eu:", 1);
    struct span in = describe(&r, &bytes);
    for (size_t i = 0; i + 5 <= in.len; i++) {
        if (memcmp(in.at + i, "\1\3eu:", 5) == 0)
            bytes.at[i] = 3;
    }
    EXPECT(!residency_take(&in, &other));
    buffer_release(&bytes);
}

TEST(too_many_prefixes_are_not_taken)
{
    char prefix[250];
    begin();
    memset(prefix, 'p', sizeof(prefix));
    prefix[sizeof(prefix) - 1] = '\0';
    for (int i = 0; i < 130; i++) {
        prefix[0] = (char)('a' + i % 26);
        prefix[1] = (char)('a' + i / 26);
        add_prefix(prefix, 1);
    }
    EXPECT(residency_of(&d, &r));
    add_prefix(
        "one more, which has to be about so long as the others that are there already, each of "
        "them of two hundred and forty-nine bytes, of which a hundred and thirty fit: this one "
        "does not any more, and who writes such a file is told",
        1);
    EXPECT(!residency_of(&d, &r));
}

TEST(a_source_is_a_member_of_all_fences)
{
    begin();
    EXPECT(residency_source(&d, &d.regions[0]) == &d.regions[1]);
    EXPECT(residency_source(&d, &d.regions[2]) == &d.regions[1]);
    EXPECT(residency_source(&d, &d.regions[1]) == NULL);
    add_region(4, "eu-fr");
    fence_add(&d.fences[1], 4);
    fence_add(&d.fences[2], 4);
    EXPECT(residency_source(&d, &d.regions[1]) != NULL);
    deployment_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
