/*
 * Deadlines, concurrent and passed: which one counts, what readers see, and who removes the key for
 * good.
 */
#include "base/test.h"
#include "core/trial.h"

/* Heartbeats of everybody, seen by everybody: all have been heard up to now. */
static void all_heard(void)
{
    for (size_t i = 0; i < trial.count; i++)
        heartbeat(i);
    synced();
}

static void tick_everywhere(void)
{
    for (size_t i = 0; i < trial.count; i++) {
        replica_tick(at(i), true);
        seal(i);
    }
    synced();
}

static size_t keys_at(size_t region)
{
    return trial.regions[region].replica.databases[0].keys.count;
}

#define EXPECT_TTL_NEAR(region, key, ms)                                                           \
    do {                                                                                           \
        int64_t ttl_ = ttl(region, key);                                                           \
        EXPECT(ttl_ > (int64_t)(ms)-200 && ttl_ <= (int64_t)(ms));                                 \
    } while (0)

STORY(2, of_concurrent_deadlines_the_longest_counts)
{
    set(A, "k", "v");
    synced();
    expire(A, "k", 50000);
    expire(B, "k", 10000);
    synced();
    EXPECT_TTL_NEAR(A, "k", 50000);
    EXPECT_TTL_NEAR(B, "k", 50000);
    expire(B, "k", 10000); /* later, and has observed */
    synced();
    EXPECT_TTL_NEAR(A, "k", 10000);
    EXPECT(all_equal());
}

STORY(2, persist_beats_a_concurrent_deadline)
{
    set_ex(A, "k", "v", 10000);
    synced();
    persist(A, "k");
    expire(B, "k", 50000);
    synced();
    EXPECT_EQ(ttl(A, "k"), -1);
    EXPECT_EQ(ttl(B, "k"), -1);
    EXPECT(all_equal());
}

STORY(2, a_leftover_deadline_never_touches_a_key_made_later)
{
    set(A, "k", "v");
    sadd(A, "s", "m");
    synced();
    del(A, "k");
    del(A, "s");
    expire(B, "k", 50);
    expire(B, "s", 50);
    synced();
    EXPECT_EVERYWHERE("k", "(nil)");
    EXPECT_EVERYWHERE("s", "(nil)");
    EXPECT_EQ(database_size(&trial.regions[A].replica.databases[0]), 0);
    EXPECT_EQ(keys_at(A), 2);
    set(A, "k", "new");
    sadd(A, "s", "new");
    synced();
    EXPECT_EQ(ttl(B, "k"), -1);
    EXPECT_EQ(ttl(B, "s"), -1);
    EXPECT_EVERYWHERE("s", "new");
    EXPECT_EQ(trial.regions[A].replica.databases[0].ghosts, 0);
}

STORY(2, a_leftover_deadline_is_reclaimed)
{
    set(A, "k", "v");
    synced();
    del(A, "k");
    expire(B, "k", 50);
    synced();
    EXPECT_EQ(keys_at(A), 1);
    later(100);
    all_heard();
    tick_everywhere();
    EXPECT_EQ(keys_at(A), 0);
    EXPECT_EQ(keys_at(B), 0);
    EXPECT_EQ(trial.regions[B].replica.databases[0].ghosts, 0);
    EXPECT(all_equal());
}

/* B leaves two deadlines without an object, the newer one the shorter. C has not seen that the object
 * is gone and writes it anew within the longer: its write is over with that, so that must stay until C
 * was heard past it. */
STORY(3, of_leftover_deadlines_the_longest_is_waited_for)
{
    set(A, "k", "v");
    synced();
    expire(C, "k", 500);
    expire(B, "k", 50);
    del(A, "k");
    deliver_all(B, C);
    deliver_all(B, A);
    later(200);
    heartbeat(A);
    heartbeat(C);
    deliver_all(B, A);
    deliver_all(B, C);
    rewrite(C, "k", "vx");
    replica_tick(at(B), true);
    seal(B);
    EXPECT_EQ(trial.regions[B].replica.reclaimed, 0);
    synced();
    EXPECT_EVERYWHERE("k", "vx");
    EXPECT_TTL_NEAR(A, "k", 300);
    later(500);
    all_heard();
    tick_everywhere();
    EXPECT_EVERYWHERE("k", "(nil)");
    EXPECT_EQ(keys_at(A), 0);
}

STORY(2, a_rewrite_keeps_what_the_write_said_about_the_deadline)
{
    set(A, "k", "v");
    rewrite(A, "k", "vx");
    expire(B, "k", 10000); /* of a key it has not seen: in effect before A's */
    synced();
    EXPECT_EQ(ttl(A, "k"), -1);
    EXPECT_EQ(ttl(B, "k"), -1);
    expire(B, "k", 10000);
    rewrite(A, "k", "vxy");
    synced();
    EXPECT_TTL_NEAR(A, "k", 10000); /* the deadline had observed the write that said none */
    EXPECT_EVERYWHERE("k", "vxy");
}

STORY(4, a_hidden_string_that_is_dropped_leaves_what_it_said_about_the_deadline)
{
    set(A, "k", "v");
    sadd(B, "k", "m");
    deliver_next(B, A);
    deliver_next(C, A);
    sadd(B, "k", "n");     /* drops the string */
    rewrite(C, "k", "vx"); /* keeps its "none" */
    deliver_all(D, A);
    deliver_all(D, B);
    deliver_all(D, C); /* in this order; A sees C's first */
    deliver_all(A, C);
    synced();
    EXPECT_EVERYWHERE("k", "vx");
    EXPECT_EQ(ttl(A, "k"), -1);
}

STORY(2, a_deadline_is_the_keys_and_not_the_fields)
{
    hset(A, "h", "f", "v");
    expire(A, "h", 1000);
    hset(B, "h", "g", "w");
    synced();
    EXPECT_EVERYWHERE("h", "f=v g=w");
    later(1001);
    EXPECT_EVERYWHERE("h", "(nil)");
}

STORY(2, a_write_without_a_time_counts_as_none)
{
    set_ex(A, "k", "v", 1000);
    set(B, "k", "w");
    synced();
    EXPECT_EVERYWHERE("k", "w");
    EXPECT_EQ(ttl(A, "k"), -1);
    set_ex(B, "k", "w", 2000);
    synced();
    EXPECT_TTL_NEAR(A, "k", 2000);
}

STORY(2, a_write_to_an_expired_key_removes_the_old_first)
{
    sadd(A, "k", "old");
    expire(A, "k", 100);
    synced();
    later(101);
    sadd(A, "k", "x");
    EXPECT_TEXT(span_str(get(A, "k")), "x");
    EXPECT_EQ(ttl(A, "k"), -1);
    synced();
    EXPECT_EVERYWHERE("k", "x");
}

STORY(2, an_extension_that_the_new_key_had_not_seen_is_its_deadline)
{
    sadd(A, "k", "old");
    expire(A, "k", 100);
    synced();
    expire(B, "k", 5000);
    later(150);
    sadd(A, "k", "x");
    synced();
    EXPECT_EVERYWHERE("k", "x");
    EXPECT_TTL_NEAR(A, "k", 5000);
}

STORY(3, reclaim_waits_until_every_writer_was_heard_past_the_deadline)
{
    set_ex(A, "k", "v", 100);
    synced();
    expire(B, "k", 5000); /* in time, and unseen by A for long */
    later(200);
    heartbeat(A);
    heartbeat(C);
    deliver_next(A, C);
    replica_tick(at(A), true);
    seal(A);
    EXPECT_TEXT(span_str(get(A, "k")), "(nil)"); /* readers see it gone at once */
    EXPECT_EQ(keys_at(A), 1);
    synced();
    EXPECT_EVERYWHERE("k", "v");
    tick_everywhere();
    EXPECT_EVERYWHERE("k", "v");
    later(5000);
    all_heard();
    EXPECT_EQ(trial.regions[B].replica.reclaimed, 0);
    tick_everywhere();
    EXPECT_EQ(trial.regions[B].replica.reclaimed, 1); /* by the deadline's origin */
    EXPECT_EQ(keys_at(A), 0);
    EXPECT(all_equal());
}

STORY(3, a_region_that_is_down_past_the_deadline_delays_the_reclaim_only)
{
    set_ex(A, "k", "v", 100);
    synced();
    later(1000);
    heartbeat(A);
    heartbeat(B);
    deliver_next(A, B);
    deliver_next(B, A);
    tick_everywhere();
    EXPECT_EQ(keys_at(A), 1);
    EXPECT_EVERYWHERE("k", "(nil)");
    all_heard();
    tick_everywhere();
    EXPECT_EQ(keys_at(A), 0);
    EXPECT_EVERYWHERE("k", "(nil)");
}

STORY(2, time_runs_out_by_the_clock_that_stamps_carry)
{
    trial.regions[A].skew_ms = 400;
    set_ex(B, "k", "v", 200);
    synced();
    set(A, "j", "w"); /* its stamp is past k's deadline */
    EXPECT_TEXT(span_str(get(B, "k")), "v");
    synced();
    EXPECT_TEXT(span_str(get(B, "k")), "(nil)"); /* B could write no stamp before it any more */
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
