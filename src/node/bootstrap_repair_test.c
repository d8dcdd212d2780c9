/* Regions whose log was damaged, or lost, and repaired. */
#include "node/bootstrap_meeting.h"
#include "node/runs.h"
#include "policy/origin.h"

/* --- damaged logs --- */

/* What repair makes of a log whose records from `lsn` on are damaged. */
static void repair_by_hand(size_t i, uint64_t lsn, const struct vector *had)
{
    struct machine *m = &world.machines[i];
    struct marker marker = { .instance = kept[i].instance,
                             .began_us = world.now_us,
                             .end_lsn = lsn,
                             .tail_of = (uint8_t)(i + 1) };
    tail_floor(&node_at(i)->tail, &marker.floor);
    vector_copy(&marker.had, had);
    m->written = m->synced = lsn;
    kept[i].marked = true;
    kept[i].marker = marker;
    restart_machine(i);
}

/* All of its log is durable. */
static uint64_t come_to_rest(size_t i, struct vector *had)
{
    const struct replica *r = &node_at(i)->replica;
    while (r->log_durable < r->log_end || r->open_ops > 0)
        run(1);
    vector_copy(had, &r->last_op);
    return r->log_end;
}

static bool comes_to_serve(size_t i)
{
    for (int t = 0; t < 100000 && node_at(i)->server.loading != NULL; t++)
        run(1);
    return node_at(i)->server.loading == NULL;
}

/* Region 1 alone has what was in the damaged part, and is not reached for long. */
TEST(a_region_whose_log_was_repaired_writes_nothing_before_it_has_met_everybody)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    uint64_t lsn = come_to_rest(2, &had);
    cut_off(0, true);
    write_at(2, 20);
    run(3000);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 3) > vector_get(&had, 3));
    cut_off(1, true);
    node_cut(node_at(0), peer_of(0, 2), false);
    repair_by_hand(2, lsn, &had);
    EXPECT(comes_to_serve(2));
    for (int times = 0; times < 2; times++) {
        stamp_t said = vector_get(&node_at(2)->replica.applied, 3);
        stamp_t heard = vector_get(&node_at(0)->replica.applied, 3); /* from before */
        run(20000);
        EXPECT(replica_write_refusal(&node_at(2)->replica) != NULL);
        EXPECT(!node_at(2)->replica.amnesiac && kept[2].marked);
        EXPECT_EQ(vector_get(&node_at(2)->replica.applied, 3), said);
        EXPECT_EQ(vector_get(&node_at(0)->replica.applied, 3), heard);
        restart_machine(2); /* it does not forget */
        EXPECT(comes_to_serve(2));
    }
    cut_off(1, false);
    run(20000);
    EXPECT(node_at(2)->replica.amnesiac && !node_at(2)->replica.tail_unknown);
    end_world();
}

TEST(a_region_whose_log_was_repaired_writes_again_when_nobody_holds_more)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    uint64_t lsn = come_to_rest(2, &had);
    write_at(2, 20);
    repair_by_hand(2, lsn, &had);
    cut_off(2, false);
    EXPECT(settle());
    run(20000);
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    write_anywhere(1000);
    EXPECT(settle());
    run(20000);
    EXPECT(!kept[2].marked);
    restart_machine(2);
    EXPECT(comes_to_serve(2));
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    end_world();
}

/* Writes of its own that its checkpoint had, and that are in no log any more. */
TEST(what_nobody_has_any_more_is_told_and_not_waited_for)
{
    struct vector had, with_lost;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    uint64_t lsn = come_to_rest(2, &had);
    write_at(2, 20);
    come_to_rest(2, &with_lost);
    repair_by_hand(2, lsn, &with_lost);
    node_cut(node_at(0), peer_of(0, 2), false);
    run(40000);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_OWN); /* region 1 may have them */
    EXPECT(node_at(2)->server.loading != NULL);
    cut_off(2, false);
    EXPECT(comes_to_serve(2));
    EXPECT(node_at(2)->replica.amnesiac);
    EXPECT_EQ(node_at(2)->known.amnesiac, true);
    end_world();
}

/* --- lost logs, and checkpoints that are good without --- */

static uint64_t reach_of(size_t i)
{
    struct buffer note = { 0 };
    uint64_t lsn = 0;
    CHECK(checkpoint_note(&kept[i].exporter, CHECKPOINT_NOTE_REACH, &note) == E_OK);
    struct span in = buffer_span(&note);
    CHECK(span_take_u64(&in, &lsn));
    checkpoint_refresh(&kept[i].exporter);
    buffer_release(&note);
    return lsn;
}

static void complete_checkpoint(size_t i)
{
    uint64_t number = checkpoint_ask(node_at(i));
    while (node_at(i)->checkpoint.completed < number)
        run(1);
}

/* What repair makes of a log that ends before the checkpoint's start. */
static void keep_by_hand(size_t i)
{
    struct machine *m = &world.machines[i];
    const struct copy_start *start = &node_at(i)->checkpoint.newest;
    struct marker marker = { .instance = kept[i].instance,
                             .began_us = world.now_us,
                             .end_lsn = start->lsn,
                             .tail_of = (uint8_t)(i + 1) };
    struct bootstrap_note note = { .phase = BOOTSTRAP_CATCHUP, .instance = marker.instance };
    struct buffer notes = { 0 };
    vector_copy(&marker.floor, &start->last_op);
    vector_copy(&marker.had, &start->last_op);
    vector_copy(&note.began, &start->last_op);
    vector_copy(&note.target, &start->last_op);
    bootstrap_note_put(&notes, &note);
    CHECK(checkpoint_write(&kept[i].writer,
                           &(struct checkpoint_write){ .notes = buffer_span(&notes) }) == E_OK);
    buffer_release(&notes);
    m->written = m->synced = kept[i].log_start = start->lsn;
    kept[i].marked = true;
    kept[i].marker = marker;
    restart_machine(i);
}

TEST(a_checkpoint_says_how_far_into_the_log_its_objects_reach)
{
    begin_world(2, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    complete_checkpoint(0);
    EXPECT_EQ(reach_of(0), node_at(0)->checkpoint.newest.lsn);
    bool reached_past = false;
    for (int turn = 0; turn < 20000 && !reached_past; turn++) {
        write_at(0, 1);
        const struct node_checkpoint *c = &node_at(0)->checkpoint;
        reached_past = c->newest_known && !kept[0].is_out && reach_of(0) > c->newest.lsn;
        EXPECT(kept[0].is_out || reach_of(0) >= c->newest.lsn);
    }
    EXPECT(reached_past);
    end_world();
}

TEST(own_writes_of_a_lost_log_come_back_from_peers_before_a_kept_checkpoint_serves)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    complete_checkpoint(2);
    write_at(2, 20);
    EXPECT(settle());
    come_to_rest(2, &had);
    EXPECT(vector_get(&had, 3) > vector_get(&node_at(2)->checkpoint.newest.last_op, 3));
    keep_by_hand(2);
    EXPECT(comes_to_serve(2));
    EXPECT_EQ(vector_get(&node_at(2)->replica.last_op, 3), vector_get(&had, 3));
    run(20000);
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    write_anywhere(1000);
    EXPECT(settle());
    run(20000);
    EXPECT(!kept[2].marked);
    restart_machine(2);
    EXPECT(comes_to_serve(2));
    EXPECT(settle());
    end_world();
}

/* They are in no log, and nowhere else. */
TEST(what_only_a_kept_checkpoint_has_reaches_the_others)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 20);
    come_to_rest(2, &had);
    complete_checkpoint(2);
    keep_by_hand(2);
    EXPECT(comes_to_serve(2));
    EXPECT(replica_write_refusal(&node_at(2)->replica) != NULL);
    restart_machine(2); /* it does not forget */
    EXPECT(comes_to_serve(2));
    EXPECT(replica_write_refusal(&node_at(2)->replica) != NULL);
    EXPECT_EQ(vector_get(&node_at(2)->replica.last_op, 3), vector_get(&had, 3));
    cut_off(2, false);
    run(20000);
    EXPECT(settle());
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    EXPECT(vector_get(&node_at(0)->replica.last_op, 3) >= vector_get(&had, 3));
    end_world();
}

TEST(a_kept_checkpoint_serves_though_nobody_is_met_and_loses_its_number_when_one_holds_more)
{
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    complete_checkpoint(2);
    write_at(2, 20);
    EXPECT(settle());
    cut_off(2, true);
    keep_by_hand(2);
    EXPECT(comes_to_serve(2));
    run(20000);
    EXPECT(replica_write_refusal(&node_at(2)->replica) != NULL);
    EXPECT(!node_at(2)->replica.amnesiac);
    cut_off(2, false);
    run(20000);
    EXPECT(node_at(2)->replica.amnesiac);
    end_world();
}

static void with_a_fence(struct deployment *d)
{
    struct fence *f = deployment_add_fence(d);
    f->name = text_of("gdpr");
    fence_add(f, 1);
    fence_add(f, 2);
}

static stamp_t own_op(uint32_t ms, uint32_t fence)
{
    return stamp_make(START_US / 1000 + ms, 0, origin_of(&world.deployment, 1, fence));
}

/* A kept region that a peer has told of own writes to two fences: one op of each is missing. */
static struct node *begin_kept(void)
{
    struct vector told;
    world_start_as(2, test_seed(), with_a_fence);
    struct node *n = node_at(0);
    node_turn(n, world.now_us);
    vector_set(&n->replica.last_op, own_op(90, 0));
    vector_set(&n->replica.last_op, own_op(50, 1));
    bootstrap_enter(n, BOOTSTRAP_CATCHUP);
    vector_clear(&told);
    vector_set(&told, own_op(100, 0));
    vector_set(&told, own_op(60, 1));
    bootstrap_hears(n, &told);
    return n;
}

static bool kept_waits(struct node *n)
{
    bootstrap_kept_turn(n);
    return n->bootstrap.phase == BOOTSTRAP_CATCHUP;
}

TEST(own_writes_to_one_fence_that_come_no_more_do_not_end_the_wait_for_those_to_another)
{
    struct vector floor;
    struct node *n = begin_kept();
    vector_clear(&floor);
    vector_set(&floor, own_op(100, 0));
    bootstrap_kept_behind(n, &floor);
    EXPECT(kept_waits(n));
    vector_raise(&n->replica.last_op, own_op(60, 1));
    EXPECT(!kept_waits(n));
    world_end();
}

TEST(own_writes_that_come_to_any_fence_show_that_more_may_come)
{
    struct node *n = begin_kept();
    EXPECT(kept_waits(n));
    n->now_us += BOOTSTRAP_LOST_US - 1;
    vector_raise(&n->replica.last_op, own_op(51, 1)); /* older than what is here of the other */
    EXPECT(kept_waits(n));
    n->now_us += BOOTSTRAP_LOST_US - 1;
    EXPECT(kept_waits(n));
    n->now_us += 1;
    EXPECT(!kept_waits(n));
    world_end();
}

/* Its peer has met a later process of it, and lets it in no more: it would be loading for ever. */
TEST(a_region_put_back_into_its_bootstrap_learns_that_it_is_a_copy)
{
    struct vector had;
    begin_world(2, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    uint64_t lsn = come_to_rest(1, &had);
    kept[0].export_bytes = 100;
    repair_by_hand(1, lsn, &had);
    while (runs_latest(node_at(0), 2).instance < kept[1].instance)
        run(1);
    EXPECT(node_at(1)->bootstrap.phase == BOOTSTRAP_IMAGE);
    kept[1].instance--;
    world.machines[1].clone = 500;
    restart_machine(1);
    for (int t = 0; t < 50000 && !node_at(1)->replica.amnesiac; t++)
        run(1);
    EXPECT(node_at(1)->bootstrap.phase == BOOTSTRAP_IMAGE && node_at(1)->replica.amnesiac);
    EXPECT(!node_at(0)->replica.amnesiac);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
