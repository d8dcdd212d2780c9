#include "policy/deployment.h"

#include "base/memory.h"
#include "base/test.h"

static char *text(const char *s)
{
    return memcpy(mem_alloc(strlen(s) + 1), s, strlen(s) + 1);
}

static void add_keyspace(struct deployment *d, const char *prefix)
{
    struct keyspace *k = deployment_add_keyspace(d);
    k->prefix = text(prefix);
    k->prefix_bytes = strlen(prefix);
}

static const char *prefix_of(const struct deployment *d, const char *key)
{
    return deployment_keyspace_of(d, span_str(key))->prefix;
}

TEST(the_longest_prefix_rules)
{
    struct deployment d;
    deployment_init(&d);
    add_keyspace(&d, "user:");
    add_keyspace(&d, "");
    add_keyspace(&d, "user:eu:");
    add_keyspace(&d, "use");
    deployment_finish(&d);
    EXPECT_EQ(d.keyspace_count, 4);
    EXPECT_TEXT(span_str(prefix_of(&d, "user:eu:7")), "user:eu:");
    EXPECT_TEXT(span_str(prefix_of(&d, "user:eu:")), "user:eu:");
    EXPECT_TEXT(span_str(prefix_of(&d, "user:e")), "user:");
    EXPECT_TEXT(span_str(prefix_of(&d, "used")), "use");
    EXPECT_TEXT(span_str(prefix_of(&d, "us")), "");
    EXPECT_TEXT(span_str(prefix_of(&d, "")), "");
    deployment_release(&d);
}

TEST(a_key_without_a_listed_prefix_has_the_default_keyspace)
{
    struct deployment d;
    deployment_init(&d);
    add_keyspace(&d, "a:");
    deployment_finish(&d);
    EXPECT_EQ(d.keyspace_count, 2);
    const struct keyspace *k = deployment_keyspace_of(&d, span_str("b"));
    EXPECT_TEXT(span_str(k->prefix), "");
    EXPECT_EQ(k->mode, KEYSPACE_ACTIVE_ACTIVE);
    EXPECT_EQ(k->promises.acks.acks, KEYSPACE_ASYNC);
    EXPECT_EQ(k->promises.ack_timeout_ms, 1000);
    deployment_release(&d);
}

TEST(the_global_fence_holds_every_region_and_no_other)
{
    struct deployment d;
    deployment_init(&d);
    static const uint8_t ids[] = { 1, 64, 255 };
    for (size_t i = 0; i < 3; i++)
        deployment_add_region(&d)->id = ids[i];
    deployment_finish(&d);
    int held = 0;
    for (int id = 0; id < 256; id++)
        held += fence_holds(&d.fences[0], (uint8_t)id);
    EXPECT_EQ(held, 3);
    for (size_t i = 0; i < 3; i++)
        EXPECT(fence_holds(&d.fences[0], ids[i]));
    deployment_release(&d);
}

TEST(regions_are_found_by_name_and_by_id)
{
    struct deployment d;
    deployment_init(&d);
    for (uint8_t id = 1; id <= 3; id++) {
        struct region *r = deployment_add_region(&d);
        r->id = id;
        r->name = text(id == 1 ? "us-east" : id == 2 ? "eu-de" : "jp-tok");
    }
    EXPECT_EQ(deployment_region_named(&d, "eu-de")->id, 2);
    EXPECT(deployment_region_named(&d, "eu") == NULL);
    EXPECT_TEXT(span_str(deployment_region_with_id(&d, 3)->name), "jp-tok");
    EXPECT(deployment_region_with_id(&d, 4) == NULL);
    deployment_release(&d);
}

TEST(a_released_deployment_is_empty_and_may_be_released_again)
{
    struct deployment d;
    deployment_init(&d);
    add_keyspace(&d, "x");
    deployment_release(&d);
    deployment_release(&d);
    EXPECT(d.fences == NULL);
    EXPECT_EQ(d.keyspace_count, 0);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
