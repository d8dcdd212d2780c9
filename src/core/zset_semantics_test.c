/*
 * What concurrent writes to sorted sets end in, case by case, and that after any history at all the
 * replicas agree on scores and order.
 */
#include <math.h>

#include "base/prng.h"
#include "base/test.h"
#include "core/zset_trial.h"

/* Members with their scores, lowest first: "a:1 b:2.5". */
static const char *members(size_t region, const char *key)
{
    static char text[512];
    const struct entry *object = object_at(region, key);
    size_t len = 0;
    struct btree_cursor c;
    text[0] = 0;
    if (!object || object_visible(object) != COMPONENT_ZSET)
        return "(none)";
    const struct btree *order = object_order(object, COMPONENT_ZSET);
    for (const struct entry *e = btree_seek(order, 0, &c); e; e = btree_next(&c)) {
        CHECK(len + e->name_len + 40 < sizeof(text));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s:%g", len ? " " : "",
                                (int)e->name_len, (const char *)e->bytes, entry_score(e));
    }
    return text;
}

#define EXPECT_MEMBERS(key, expected)                                                              \
    do {                                                                                           \
        for (size_t region_ = 0; region_ < trial.count; region_++)                                 \
            EXPECT_TEXT(span_str(members(region_, key)), expected);                                \
        EXPECT(all_equal());                                                                       \
    } while (0)

/* --- case by case --- */

STORY(3, of_two_concurrent_scores_the_larger_stamp_is_seen)
{
    zadd(A, "z", 1.1, "x");
    zadd(B, "z", 2.1, "x");
    synced();
    EXPECT_MEMBERS("z", "x:2.1");
    zadd(A, "z", 9, "x"); /* has seen both */
    synced();
    EXPECT_MEMBERS("z", "x:9");
    EXPECT_EQ(part_find(object_part(object_at(C, "z"), COMPONENT_ZSET), span_str("x"))->form,
              ENTRY_INLINE);
}

STORY(2, concurrent_increments_of_a_score_add_up)
{
    zadd(A, "z", 1.1, "x");
    synced();
    zincrby(A, "z", 1, "x");
    zincrby(B, "z", 1, "x");
    synced();
    EXPECT_MEMBERS("z", "x:3.1");
}

STORY(2, an_increment_that_a_removal_had_not_seen_survives_it_alone)
{
    zadd(A, "z", 4.1, "x");
    synced();
    zrem(A, "z", "x");
    zincrby(B, "z", 2, "x");
    synced();
    EXPECT_MEMBERS("z", "x:2");
}

STORY(2, a_score_and_a_concurrent_increment_add_up)
{
    zadd(A, "z", 5, "x");
    zincrby(B, "z", 2, "x");
    synced();
    EXPECT_MEMBERS("z", "x:7");
    zadd(A, "z", 1, "x"); /* has seen the increment */
    synced();
    EXPECT_MEMBERS("z", "x:1");
}

STORY(2, adding_the_score_that_is_there_survives_a_concurrent_removal)
{
    zadd(A, "z", 1, "x");
    zadd(A, "z", 2, "y");
    synced();
    zadd(A, "z", 1, "x");
    zrem(B, "z", "x");
    zrem(B, "z", "y");
    synced();
    EXPECT_MEMBERS("z", "x:1");
}

STORY(2, a_member_added_anew_survives_a_concurrent_deletion_of_the_key)
{
    zadd(A, "z", 1, "x");
    zadd(A, "z", 2, "y");
    synced();
    del(A, "z");
    zadd(B, "z", 3, "x");
    zincrby(B, "z", 10, "n");
    synced();
    EXPECT_MEMBERS("z", "x:3 n:10");
}

STORY(2, a_deletion_takes_increments_that_it_has_seen)
{
    zadd(A, "z", 1, "x");
    zincrby(B, "z", 10, "x");
    synced();
    del(A, "z");
    synced();
    EXPECT_MEMBERS("z", "(none)");
    zincrby(B, "z", 5, "x");
    synced();
    EXPECT_MEMBERS("z", "x:5");
}

STORY(2, an_increment_moves_a_member_past_its_neighbours)
{
    zadd(A, "z", 1, "a");
    zadd(A, "z", 2, "b");
    zadd(A, "z", 3, "c");
    synced();
    zincrby(A, "z", 5, "a");
    zincrby(B, "z", -5, "c");
    synced();
    EXPECT_MEMBERS("z", "c:-2 b:2 a:6");
    zadd(A, "z", 2, "a");
    zadd(A, "z", 2, "c");
    synced();
    EXPECT_MEMBERS("z", "a:2 b:2 c:2"); /* of one score: by name */
}

STORY(2, an_infinite_score_stays_whatever_is_added_concurrently)
{
    zadd(A, "z", 1, "x");
    zadd(A, "z", 7, "y");
    synced();
    zincrby(B, "z", 100, "x");
    zadd(A, "z", INFINITY, "x");
    synced();
    EXPECT_MEMBERS("z", "y:7 x:inf");
    zadd(B, "z", -INFINITY, "x");
    synced();
    EXPECT_MEMBERS("z", "x:-inf y:7");
}

STORY(2, a_sorted_set_and_a_set_under_one_key_are_both_kept)
{
    sadd(A, "k", "m");
    zadd(B, "k", 3, "m"); /* the newer one */
    synced();
    EXPECT_MEMBERS("k", "m:3");
    del(A, "k");
    synced();
    EXPECT_MEMBERS("k", "(none)");
    EXPECT(object_at(B, "k") == NULL);
}

/* --- any history --- */

enum { MEMBERS = 40, STEPS = 1500 };

static const char *const keys[] = { "z0", "z1", "z2" };

static double random_score(struct prng *prng)
{
    static const double some[] = { 0, 1, -1, 0.1, 1e15, -1e300, INFINITY, -INFINITY };
    if (prng_below(prng, 4) == 0)
        return some[prng_below(prng, COUNT_OF(some))];
    return (double)prng_below(prng, 2000) / 8 - 100;
}

static void random_write(struct prng *prng)
{
    char member[16];
    size_t region = prng_below(prng, trial.count);
    const char *key = keys[prng_below(prng, COUNT_OF(keys))];
    snprintf(member, sizeof(member), "m%d", (int)prng_below(prng, MEMBERS));
    switch (prng_below(prng, 16)) {
    case 0:
        if (prng_below(prng, 4) == 0)
            del(region, key);
        break;
    case 1:
        expire(region, key, 50 + prng_below(prng, 200));
        break;
    case 2:
    case 3:
    case 4:
        zrem(region, key, member);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        zincrby(region, key, (double)prng_below(prng, 80) / 4 - 10, member);
        break;
    default:
        zadd(region, key, random_score(prng), member);
        break;
    }
}

/* The tree has every member of the table and no other, in an order that holds. */
static void expect_order_holds(size_t region)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct database *d = &trial.regions[region].replica.databases[0];
        const struct entry *e = database_find(d, span_str(keys[i]));
        struct btree_cursor c;
        const struct part *p = e ? object_part(e, COMPONENT_ZSET) : NULL;
        if (!p)
            continue;
        btree_check(&p->order);
        EXPECT_EQ(p->order.count, p->fields.count);
        EXPECT(p->order.count > 0);
        for (e = btree_seek(&p->order, 0, &c); e; e = btree_next(&c)) {
            EXPECT(!isnan(entry_score(e)));
            EXPECT(part_find(p, entry_name(e)) == e);
        }
    }
}

/* Scores and order, as readers see them. */
static void expect_same_members(size_t region)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct entry *a = object_at(A, keys[i]), *b = object_at(region, keys[i]);
        struct btree_cursor x, y;
        EXPECT((a == NULL) == (b == NULL));
        if (!a || !b)
            continue;
        a = btree_seek(object_order(a, COMPONENT_ZSET), 0, &x);
        b = btree_seek(object_order(b, COMPONENT_ZSET), 0, &y);
        for (; a && b; a = btree_next(&x), b = btree_next(&y)) {
            EXPECT_SPAN(entry_name(a), entry_name(b));
            EXPECT(entry_score(a) == entry_score(b));
        }
        EXPECT(a == NULL && b == NULL);
    }
}

TEST(after_any_history_all_replicas_have_the_same_order)
{
    struct prng prng;
    prng_seed(&prng, test_seed());
    for (int round = 0; round < 6; round++) {
        world(2 + prng_below(&prng, 3));
        for (int step = 0; step < STEPS; step++) {
            size_t to = prng_below(&prng, trial.count), from = prng_below(&prng, trial.count);
            if (prng_below(&prng, 3) == 0)
                deliver_all(to, from);
            else
                random_write(&prng);
            if (step % 100 == 0)
                expect_order_holds(to);
        }
        synced();
        EXPECT(all_equal());
        for (size_t region = 0; region < trial.count; region++) {
            expect_order_holds(region);
            expect_same_members(region);
        }
        end_of_world();
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
