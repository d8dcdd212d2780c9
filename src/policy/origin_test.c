#include "base/bits.h"
#include "policy/origin.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/test.h"

static char *copy(const char *text)
{
    return strcpy(mem_alloc(strlen(text) + 1), text);
}

/* Regions 1..3 and 20; fence 1 is {1, 2}, fence 2 is {2, 3}. */
static void build(struct deployment *d)
{
    static const uint8_t ids[] = { 1, 2, 3, 20 };

    deployment_init(d);
    for (size_t i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof(name), "r%u", ids[i]);
        struct region *r = deployment_add_region(d);
        r->name = copy(name);
        r->id = ids[i];
    }
    for (uint8_t place = 1; place <= 2; place++) {
        struct fence *f = deployment_add_fence(d);
        f->name = copy(place == 1 ? "one" : "two");
        fence_add(f, place);
        fence_add(f, (uint8_t)(place + 1));
    }
    deployment_finish(d);
}

static bool has(const uint64_t bits[4], uint8_t o)
{
    return bits_have(bits, o);
}

TEST(every_member_has_a_stream_in_its_fences)
{
    struct deployment d;

    build(&d);
    EXPECT_EQ(origin_of(&d, 1, 0), 1);
    EXPECT_EQ(origin_of(&d, 20, 0), 20);
    EXPECT_EQ(origin_of(&d, 1, 1), 17);
    EXPECT_EQ(origin_of(&d, 2, 1), 18);
    EXPECT_EQ(origin_of(&d, 3, 1), 0);
    EXPECT_EQ(origin_of(&d, 2, 2), 34);
    EXPECT_EQ(origin_of(&d, 20, 2), 0);
    deployment_release(&d);
}

TEST(an_origin_tells_its_fence_and_its_region)
{
    struct deployment d;

    build(&d);
    for (uint32_t fence = 0; fence < d.fence_count; fence++) {
        for (size_t i = 0; i < d.region_count; i++) {
            uint8_t origin = origin_of(&d, d.regions[i].id, fence);

            if (origin == 0)
                continue;
            EXPECT_EQ(origin_fence(&d, origin), fence);
            EXPECT_EQ(origin_region(&d, origin), d.regions[i].id);
        }
    }
    /* one that was never given stands in the global fence: whoever finds it fetches it */
    EXPECT_EQ(origin_fence(&d, 99), 0);
    EXPECT_EQ(origin_region(&d, 99), 99);
    deployment_release(&d);
}

TEST(a_closed_number_closes_its_streams_and_does_not_open_them_when_they_are_listed_too)
{
    struct deployment d;

    build(&d);
    EXPECT_EQ(origin_inner_of(21, d.fence_count), 5);
    EXPECT_EQ(origin_inner_of(5, d.fence_count), 0);
    EXPECT_EQ(origin_inner_of(32, d.fence_count), 0);
    EXPECT_EQ(origin_inner_of(53, d.fence_count), 0);
    deployment_close(&d, 5);
    EXPECT_EQ(origin_fence(&d, 21), 1);
    EXPECT_EQ(origin_region(&d, 21), 5);
    deployment_close(&d, 21);
    EXPECT_EQ(origin_fence(&d, 21), 1);
    deployment_close(&d, 22); /* a region's own, for nobody had 6 */
    EXPECT_EQ(origin_fence(&d, 22), 0);
    deployment_release(&d);
}

TEST(a_region_may_not_hold_the_streams_of_fences_that_it_is_no_member_of)
{
    struct deployment d;
    uint64_t foreign[4];

    build(&d);
    origin_foreign(&d, 1, foreign);
    EXPECT(!has(foreign, 1) && !has(foreign, 20) && !has(foreign, 17) && !has(foreign, 18));
    EXPECT(has(foreign, 34) && has(foreign, 35));
    EXPECT(!has(foreign, 19)); /* of fence 1, whoever that was: it is a member */
    origin_foreign(&d, 20, foreign);
    EXPECT(has(foreign, 17) && has(foreign, 18) && has(foreign, 34) && !has(foreign, 2));
    deployment_release(&d);
}

TEST(writers_are_all_streams_that_a_region_may_hold)
{
    struct deployment d;
    uint8_t writers[256];

    build(&d);
    EXPECT_EQ(origin_writers(&d, 20, writers), 4);
    EXPECT_EQ(origin_writers(&d, 1, writers), 6);
    EXPECT_EQ(writers[4], 17);
    EXPECT_EQ(writers[5], 18);
    EXPECT_EQ(origin_writers(&d, 2, writers), 8);
    deployment_release(&d);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
