/* What regions find: how it travels, and how it is merged. */
#include "cmd/gathered.h"

#include "base/check.h"
#include "base/test.h"

/* What a region finds, in RESP. */
static void put_part(struct buffer *out, const struct gathered *g)
{
    struct reply reply = { .out = out, .protocol = 2 };

    gathered_put(g, &reply);
}

static void add_groups(struct gathered *to, uint64_t from, uint64_t count)
{
    struct buffer part = { 0 };

    buffer_printf(&part, "*%llu\r\n", (unsigned long long)(9 + 2 * count));
    buffer_printf(&part, ":%llu\r\n:0\r\n:0\r\n:1\r\n:0\r\n", (unsigned long long)(3 * count));
    buffer_put_text(&part, "$1\r\n0\r\n$3\r\ninf\r\n$4\r\n-inf\r\n:0\r\n");
    for (uint64_t i = from; i < from + count; i++)
        buffer_printf(&part, "$6\r\n%06llu\r\n:3\r\n", (unsigned long long)i);
    CHECK(gathered_add(to, buffer_span(&part)));
    buffer_release(&part);
}

TEST(a_part_is_added_whole_or_not_at_all)
{
    struct gathered from, to;
    struct buffer part = { 0 };

    gathered_init(&from, 1);
    gathered_init(&to, 1);
    add_groups(&from, 0, 3);
    put_part(&part, &from);
    for (size_t len = 0; len < part.len; len++) {
        EXPECT(!gathered_add(&to, span_of(part.at, len)));
        EXPECT_EQ(to.keys, 0);
        EXPECT_EQ(to.groups.count, 0);
    }
    buffer_put_text(&part, ":1\r\n");
    EXPECT(!gathered_add(&to, buffer_span(&part))); /* more than it said */
    EXPECT_EQ(to.keys, 0);
    EXPECT_EQ(to.groups.count, 0);
    EXPECT(gathered_add(&to, span_of(part.at, part.len - 4)));
    EXPECT_EQ(to.keys, 9);
    EXPECT_EQ(to.groups.count, 3);
    buffer_release(&part);
    gathered_release(&from);
    gathered_release(&to);
}

TEST(what_is_no_part_is_not_added)
{
    static const char rest[] = "$1\r\n0\r\n$3\r\ninf\r\n$4\r\n-inf\r\n:0\r\n";
    static const char *const bad[] = {
        "-ERR no\r\n",
        "*8\r\n:1\r\n:0\r\n:0\r\n:1\r\n:0\r\n",
        "*9\r\n:-1\r\n:0\r\n:0\r\n:1\r\n:0\r\n",
        "*9\r\n:1\r\n:-1\r\n:0\r\n:1\r\n:0\r\n",
        "*9\r\n:1\r\n:0\r\n:-1\r\n:1\r\n:0\r\n",
        "*10\r\n:1\r\n:0\r\n:0\r\n:1\r\n:0\r\n",
        "*11\r\n:1\r\n:0\r\n:0\r\n:1\r\n:0\r\n",
    };
    struct gathered g;

    gathered_init(&g, 1);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buffer part = { 0 };

        buffer_put_text(&part, bad[i]);
        buffer_put_text(&part, rest);
        bool added = gathered_add(&g, buffer_span(&part));
        buffer_release(&part);
        EXPECT(!added);
        EXPECT_EQ(g.keys, 0);
    }
    gathered_release(&g);
}

TEST(keys_of_groups_that_are_too_many_are_counted)
{
    struct gathered one, two, all;
    struct buffer part = { 0 };

    gathered_init(&one, 1);
    gathered_init(&two, 2);
    gathered_init(&all, 3);
    add_groups(&one, 0, GATHER_GROUPS_MAX);
    EXPECT_EQ(one.left_out, 0);
    add_groups(&one, GATHER_GROUPS_MAX - 1, 3); /* one of them it has */
    EXPECT_EQ(one.groups.count, GATHER_GROUPS_MAX);
    EXPECT_EQ(one.left_out, 6);
    add_groups(&two, 500000, 1);
    put_part(&part, &one);
    EXPECT(gathered_add(&all, buffer_span(&part)));
    EXPECT_EQ(all.left_out, 6);
    buffer_clear(&part);
    put_part(&part, &two);
    EXPECT(gathered_add(&all, buffer_span(&part)));
    EXPECT_EQ(all.left_out, 9); /* what it finds no place for itself, too */
    EXPECT_EQ(all.keys, 3 * (GATHER_GROUPS_MAX + 3 + 1));
    buffer_release(&part);
    gathered_release(&one);
    gathered_release(&two);
    gathered_release(&all);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
