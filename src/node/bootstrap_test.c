/* Regions that lack what no log has any more. */
#include "node/bootstrap_meeting.h"

TEST(a_region_that_was_away_comes_back_with_what_only_it_had)
{
    begin_world(3, test_seed());
    write_anywhere(1000);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    stamp_t own = own_last(2);
    leave_behind(2);
    EXPECT(vector_get(&node_at(0)->replica.last_op, 3) < own);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT(kept[2].restarts >= 2);
    EXPECT_EQ(kept[0].restarts + kept[1].restarts, 0);
    EXPECT(vector_get(&node_at(0)->replica.last_op, 3) >= own);
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* As if it had decided so. */
static void mark_by_hand(size_t i, struct marker *marker)
{
    const struct replica *r = &node_at(i)->replica;
    while (r->log_durable < r->log_end || r->open_ops > 0)
        run(1);
    *marker = (struct marker){ .instance = 7, .began_us = world.now_us, .end_lsn = r->log_end };
    tail_floor(&node_at(i)->tail, &marker->floor);
    vector_copy(&marker->had, &r->last_op);
    kept[i].marked = true;
}

/* Nobody has heard of its writes: their only copy is the log that it is made to give up. */
TEST(what_nobody_has_heard_of_is_only_in_the_old_log)
{
    begin_world(3, test_seed());
    write_anywhere(1000);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    leave_behind(2);
    mark_by_hand(2, &kept[2].marker);
    stamp_t own = own_last(2);
    restart_machine(2);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT_EQ(vector_get(&node_at(0)->replica.last_op, 3), own);
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* A machine that is switched off; it comes back as a process of its own. */
static void switch_off(size_t i)
{
    stop(i, false);
    world.machines[i].dead = true;
}

static void switch_on(size_t i)
{
    world.machines[i].dead = false;
    restart_machine(i);
}

TEST(a_new_region_gets_all_though_the_log_no_longer_reaches_back)
{
    begin_world(3, test_seed());
    switch_off(2);
    write_anywhere(1000);
    leave_behind(2);
    EXPECT(kept[0].log_start > 0 && kept[1].log_start > 0);
    switch_on(2);
    EXPECT(settle());
    EXPECT(node_at(2)->bootstrap.phase == BOOTSTRAP_TIDY ||
           node_at(2)->bootstrap.phase == BOOTSTRAP_NONE);
    EXPECT(kept[2].restarts >= 3);
    write_anywhere(1000);
    EXPECT(settle());
    EXPECT(!kept[2].marked);
    end_world();
}

/* What the first run of region 1 wrote after `last` was lost: so all say, and of nothing else. */
static bool all_know(uint64_t first_run, stamp_t last)
{
    stamp_t lost = last + (1 << 8);
    bool all = true;
    for (size_t i = 0; i < world.count; i++) {
        const struct replica *r = &node_at(i)->replica;
        all &= replica_has_lost(r, lost, first_run) && !replica_has_lost(r, last, first_run) &&
               !replica_has_lost(r, lost, kept[0].instance);
    }
    return all;
}

/* No log tells it any more: it comes with the objects, and stays with its own checkpoint. */
TEST(a_new_region_knows_of_writes_that_were_lost_before_it_came)
{
    begin_world(3, test_seed());
    uint64_t first_run = kept[0].instance;
    switch_off(2);
    write_anywhere(300);
    restart_machine(0); /* what was not durable is gone */
    stamp_t last = own_last(0);
    for (int t = 0; t < 30000 && own_last(0) == last; t++)
        write_at(0, 1);
    EXPECT(own_last(0) > last);
    leave_behind(2);
    switch_on(2);
    EXPECT(settle());
    EXPECT(all_know(first_run, last));
    leave_behind(world.count); /* nobody: no log of any has it */
    for (size_t i = 0; i < world.count; i++)
        restart_machine(i);
    EXPECT(settle());
    EXPECT(all_know(first_run, last));
    end_world();
}

/* Its log begins at LSN 0, and yet is not all there was. */
/* Before its bootstrap begins it does not answer as if there were nothing. */
TEST(a_new_region_serves_nothing_before_it_has_all)
{
    begin_world(3, test_seed());
    switch_off(2);
    write_anywhere(1000);
    leave_behind(2);
    struct vector held;
    vector_copy(&held, &node_at(0)->replica.last_op);
    switch_on(2);
    for (int t = 0; t < 300000 && node_at(2)->server.loading != NULL; t++)
        run(1);
    EXPECT(node_at(2)->server.loading == NULL);
    EXPECT(kept[2].restarts >= 3);
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &held));
    end_world();
}

TEST(who_asks_a_bootstrapped_region_for_what_came_before_is_told)
{
    begin_world(3, test_seed());
    switch_off(1);
    switch_off(2);
    /* two of three are a majority: the third's log goes while the second is away */
    world.machines[1].dead = false;
    restart_machine(1);
    write_anywhere(1000);
    leave_behind(2);
    switch_on(2);
    EXPECT(settle());
    uint64_t all[4] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX }, lacking[4];
    struct vector nothing = { 0 };
    EXPECT(tail_lacks(&node_at(2)->tail, &nothing, all, lacking));
    EXPECT(lacking[0] & 1 << 1);
    restart_machine(2);
    EXPECT(tail_lacks(&node_at(2)->tail, &nothing, all, lacking));
    EXPECT(settle());
    end_world();
}

/* It takes so long that the source drops log, and would drop what is still needed. */
TEST(everybody_writes_while_a_region_is_bootstrapped)
{
    begin_world(3, test_seed());
    world.deployment.bootstrap_rate_bytes = 4 << 10;
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    leave_behind(2);
    cut_off(2, false);
    uint64_t log_end = node_at(0)->replica.log_end;
    for (int t = 0; t < 200000 && (kept[2].restarts < 2 || bootstrap_is_on(node_at(2))); t++)
        write_anywhere(1);
    EXPECT_EQ(kept[2].restarts, 2);
    EXPECT(node_at(0)->replica.log_end - log_end > 2 * RETAIN_BYTES);
    write_anywhere(2000);
    EXPECT(settle());
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* A process dies as one that is killed: what it had written is there, what it had not synced too,
 * or not. */
static void kill_machine(size_t i)
{
    struct machine *m = &world.machines[i];
    if (prng_chance(&world.rng, 500000))
        m->synced = m->written;
    restart_machine(i);
}

/* Cuts a connection, kills a process, or neither. */
static void disturb(size_t i)
{
    struct connection *c = &world.connections[prng_below(&world.rng, 12)];
    switch (prng_below(&world.rng, 4)) {
    case 0:
        if (!c->used)
            break;
        for (int e = 0; e < 2; e++) {
            buffer_clear(&c->ends[e].inbox);
            close_end(&c->ends[e], "connection reset");
        }
        break;
    case 1:
        kill_machine(i);
        break;
    default:
        break;
    }
}

static void bootstrap_disturbed(size_t victim)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin_world(3, test_seed() + (uint64_t)round);
        world.deployment.bootstrap_rate_bytes = 32 << 10;
        write_anywhere(300);
        EXPECT(settle());
        cut_off(2, true);
        write_at(2, 50);
        stamp_t own = own_last(2);
        leave_behind(2);
        cut_off(2, false);
        uint64_t restarts = kept[2].restarts;
        for (int t = 0; t < 600; t++) {
            write_anywhere(20);
            if (kept[2].restarts > restarts && prng_chance(&world.rng, 100000))
                disturb(victim);
        }
        EXPECT(settle());
        EXPECT(!node_at(2)->replica.amnesiac);
        EXPECT(vector_get(&node_at(0)->replica.last_op, 3) >= own);
        end_world();
    }
}

TEST(a_bootstrap_goes_on_though_who_takes_is_killed_and_cut)
{
    bootstrap_disturbed(2);
}

TEST(a_bootstrap_goes_on_though_who_gives_is_killed_and_cut)
{
    bootstrap_disturbed(0);
}

/* What was written of the objects is not sent again. */
TEST(objects_go_on_where_they_stopped)
{
    begin_world(3, test_seed());
    write_anywhere(3000);
    EXPECT(settle());
    switch_off(2);
    leave_behind(2);
    switch_on(2);
    for (int t = 0; t < 60000 && node_at(2)->bootstrap.note.keys < 300; t++)
        run(1);
    uint64_t keys = node_at(2)->bootstrap.note.keys;
    EXPECT(keys >= 300 && node_at(2)->bootstrap.phase == BOOTSTRAP_IMAGE);
    restart_machine(2);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_IMAGE);
    EXPECT(node_at(2)->bootstrap.note.keys >= keys);
    uint8_t source = node_at(2)->bootstrap.note.source;
    while (node_at(2)->bootstrap.phase == BOOTSTRAP_IMAGE &&
           node_at(2)->bootstrap.note.cursor.len > 0)
        run(1);
    EXPECT_EQ(node_at(2)->bootstrap.note.source, source);
    EXPECT(settle());
    end_world();
}

TEST(another_source_is_taken_when_the_first_is_gone)
{
    begin_world(3, test_seed());
    write_anywhere(2000);
    EXPECT(settle());
    switch_off(2);
    leave_behind(2);
    switch_on(2);
    for (int t = 0; t < 60000 && node_at(2)->bootstrap.note.keys < 300; t++)
        run(1);
    size_t source = node_at(2)->bootstrap.note.source - 1u;
    EXPECT(source < 2);
    switch_off(source);
    uint64_t until = world.now_us + 200ull * 1000 * 1000;
    while (world.now_us < until && bootstrap_is_on(node_at(2)))
        run(30);
    EXPECT(!bootstrap_is_on(node_at(2)));
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &node_at(1 - source)->replica.last_op));
    switch_on(source);
    EXPECT(settle());
    end_world();
}

/* The log that one has dropped is still with another: no objects are needed. */
TEST(log_that_another_still_has_is_taken_from_there)
{
    begin_world(3, test_seed());
    world.deployment.log.retain_bytes = 1 << 30;
    cut_off(2, true);
    write_anywhere(1000);
    while (node_at(0)->checkpoint.start_lsn < 200 << 10)
        write_anywhere(100);
    /* 0 drops all that its checkpoint covers; 1 keeps all */
    uint64_t lsn = tail_mark_before(&node_at(0)->tail, node_at(0)->checkpoint.start_lsn);
    kept[0].log_start = lsn;
    node_log_starts(node_at(0), lsn);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT_EQ(kept[2].restarts, 0);
    end_world();
}

/* It had all at once, so its link closed before it had asked for the log on it. What 0 keeps of its log
 * for it would else be kept for minutes, and an erasure waits for that. */
TEST(who_was_given_all_and_comes_back_on_another_link_holds_no_log)
{
    uint64_t origins[4] = { 1u << 1, 0, 0, 0 };
    begin_world(3, test_seed());
    EXPECT(settle());
    struct peer *p = peer_of(0, 2);
    p->source = (struct source){ .phase = SOURCE_IMAGE, .link_id = p->feed->id, .end_sent = true };
    source_subscribed(node_at(0), p->feed, origins);
    EXPECT_EQ(p->source.phase, SOURCE_IMAGE); /* asked before the objects */
    p->source.link_id = p->feed->id + 1;
    source_subscribed(node_at(0), p->feed, origins);
    EXPECT_EQ(p->source.phase, SOURCE_NONE);
    end_world();
}

/* 2 had writes of 1 that 0 has not, and has them in no log any more. */
TEST(who_lacks_what_was_dropped_is_no_source)
{
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(0, true);
    write_at(1, 50);
    run(2000);
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &node_at(1)->replica.last_op));
    cut_off(2, true);
    mark_by_hand(2, &kept[2].marker);
    vector_copy(&kept[2].marker.floor, &kept[2].marker.had);
    restart_machine(2);
    node_cut(node_at(2), peer_of(2, 1), true);
    node_cut(node_at(0), peer_of(0, 2), false);
    run(30000);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_IMAGE);
    EXPECT_EQ(node_at(2)->bootstrap.note.keys, 0);
    EXPECT(peer_of(2, 0)->declined_until_us > 0);
    cut_off(2, false);
    cut_off(0, false);
    EXPECT(settle());
    end_world();
}

TEST(only_who_may_write_and_has_objects_on_disk_is_bootstrapped)
{
    begin_world(3, test_seed());
    write_anywhere(300);
    EXPECT(settle());
    cut_off(2, true);
    node_at(2)->replica.amnesiac = true;
    leave_behind(2);
    cut_off(2, false);
    run(20000);
    EXPECT_EQ(kept[2].restarts, 0);
    node_at(2)->replica.amnesiac = false;
    EXPECT(settle());
    end_world();
}

/* Behind as much as it: what it asked for it would not get. */
TEST(who_is_as_far_behind_is_no_source)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin_world(3, test_seed() + (uint64_t)round);
        write_anywhere(2000);
        EXPECT(settle());
        world.deployment.log.retain_bytes = 1 << 30;
        cut_off(2, true);
        uint64_t end = node_at(2)->replica.log_end;
        while (node_at(2)->checkpoint.start_lsn < end + (200 << 10))
            write_at(2, 100);
        uint64_t lsn = tail_mark_before(&node_at(2)->tail, node_at(2)->checkpoint.start_lsn);
        kept[2].log_start = lsn;
        node_log_starts(node_at(2), lsn);
        node_cut(node_at(2), peer_of(2, 0), false); /* 1 is not bootstrapped meanwhile */
        node_cut(node_at(0), peer_of(0, 2), false);
        run(20000);
        EXPECT_EQ(node_at(0)->bootstrap.note.source, 3);
        EXPECT_EQ(kept[0].restarts, 2);
        EXPECT(vector_covers(&node_at(0)->replica.last_op, &node_at(2)->replica.last_op));
        cut_off(2, false);
        EXPECT(settle());
        EXPECT_EQ(kept[2].restarts, 0);
        end_world();
    }
}

/* Two and two, and between them next to nothing comes through: neither pair may drop what only it
 * has, or nobody could give both to anybody. */
TEST(two_groups_do_not_each_drop_what_the_other_lacks)
{
    begin_world(4, test_seed());
    write_anywhere(300);
    EXPECT(settle());
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++)
            world.held_up[a][b] = a / 2 == b / 2 ? 0 : 900000;
    }
    write_anywhere(12000);
    memset(world.held_up, 0, sizeof(world.held_up));
    for (size_t i = 0; i < 4; i++) /* as a read of log that has gone ends a link */
        cut_off(i, true);
    run(2000);
    for (size_t i = 0; i < 4; i++)
        cut_off(i, false);
    EXPECT(settle());
    end_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
