#include "node/audit.h"

#include "base/test.h"

enum { SECOND = AUDIT_LINE_US };

static const struct audit_key TO_TWO = { .what = AUDIT_LOG, .peer = 2, .item = 17 };
static const struct audit_key FROM_TWO = {
    .what = AUDIT_LOG, .taken = true, .peer = 2, .item = 18
};

static void add(struct audit *a, struct audit_key key, uint64_t link_id, stamp_t from, stamp_t to,
                uint64_t now_us)
{
    audit_add(a, key, link_id,
              &(struct audit_flow){ .from = from, .to = to, .count = 1, .bytes = 10 }, now_us);
}

TEST(sums_become_one_line_after_a_second)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 5000);
    add(&a, TO_TWO, 1, 110, 130, 6000);
    audit_turn_end(&a, 5000 + SECOND - 1);
    EXPECT(!audit_next(&a, &line));
    EXPECT_EQ(a.due_us, 5000 + SECOND);
    audit_turn_end(&a, 5000 + SECOND);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.event, AUDIT_SENT);
    EXPECT_EQ(line.number, 1);
    EXPECT_EQ(line.ms, (5000 + SECOND) / 1000);
    EXPECT_EQ(line.key.peer, 2);
    EXPECT_EQ(line.key.item, 17);
    EXPECT_EQ(line.from, 100);
    EXPECT_EQ(line.to, 130);
    EXPECT_EQ(line.count, 2);
    EXPECT_EQ(line.bytes, 20);
    EXPECT(!audit_next(&a, &line));
    EXPECT_EQ(a.due_us, UINT64_MAX);
    audit_release(&a);
}

TEST(what_was_sent_and_what_was_taken_are_told_apart)
{
    struct audit a;
    struct audit_line sent, taken;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 0);
    add(&a, FROM_TWO, 2, 200, 210, 0);
    audit_flush(&a, 0);
    EXPECT(audit_next(&a, &sent) && audit_next(&a, &taken));
    EXPECT_EQ(sent.event, AUDIT_SENT);
    EXPECT_EQ(taken.event, AUDIT_TAKEN);
    EXPECT_EQ(taken.from, 200);
    audit_release(&a);
}

TEST(what_does_not_join_is_a_line_of_its_own)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 0);
    add(&a, TO_TWO, 1, 111, 120, 0);
    audit_flush(&a, 0);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.to, 110);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.from, 111);
    audit_release(&a);
}

TEST(what_is_sent_again_widens_its_range)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 0);
    add(&a, TO_TWO, 1, 90, 105, 0);
    audit_flush(&a, 0);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.from, 90);
    EXPECT_EQ(line.to, 110);
    EXPECT_EQ(line.bytes, 20);
    audit_release(&a);
}

TEST(a_flow_has_begun_when_its_line_is_written)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    EXPECT(!audit_is_announced(&a, TO_TWO, 1));
    uint64_t number = audit_begin(&a, TO_TWO, 1, 100, 0);
    EXPECT(audit_is_announced(&a, TO_TWO, 1));
    EXPECT(!audit_has_begun(&a, TO_TWO, 1));
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.event, AUDIT_BEGINS);
    EXPECT_EQ(line.number, number);
    EXPECT_EQ(line.from, 100);
    EXPECT(!line.again);
    audit_written(&a, number);
    EXPECT(audit_has_begun(&a, TO_TWO, 1));
    EXPECT(!audit_has_begun(&a, TO_TWO, 2)); /* another link */
    EXPECT(!audit_has_begun(&a, FROM_TWO, 1));
    audit_release(&a);
}

TEST(a_new_beginning_comes_after_the_sums_before_it)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    audit_begin(&a, TO_TWO, 1, 100, 0);
    add(&a, TO_TWO, 1, 100, 110, 0);
    audit_begin(&a, TO_TWO, 1, 105, 0);
    EXPECT(audit_next(&a, &line) && line.event == AUDIT_BEGINS && !line.again);
    EXPECT(audit_next(&a, &line) && line.event == AUDIT_SENT);
    EXPECT(audit_next(&a, &line) && line.event == AUDIT_BEGINS && line.again);
    audit_begin(&a, TO_TWO, 2, 105, 0);
    EXPECT(audit_next(&a, &line) && !line.again);
    audit_release(&a);
}

TEST(a_link_that_ends_leaves_its_sums)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 0);
    add(&a, FROM_TWO, 2, 200, 210, 0);
    audit_end_link(&a, 1, 0);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.key.item, 17);
    EXPECT(!audit_next(&a, &line));
    add(&a, FROM_TWO, 3, 210, 220, 0); /* of another link: a line of its own */
    audit_flush(&a, 0);
    EXPECT(audit_next(&a, &line) && line.to == 210);
    EXPECT(audit_next(&a, &line) && line.to == 220);
    audit_release(&a);
}

TEST(while_nothing_can_be_written_sums_grow)
{
    struct audit a;
    struct audit_line line;
    audit_init(&a, true);
    add(&a, TO_TWO, 1, 100, 110, 0);
    a.broken = true;
    audit_turn_end(&a, 10 * SECOND);
    EXPECT(!audit_next(&a, &line));
    add(&a, TO_TWO, 1, 110, 120, 0);
    a.broken = false;
    audit_turn_end(&a, 10 * SECOND);
    EXPECT(audit_next(&a, &line));
    EXPECT_EQ(line.to, 120);
    audit_release(&a);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
