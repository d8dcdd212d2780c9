/* Regions that come back under another number: what stands under the old one is spread. */
#include "base/bits.h"
#include "node/meeting.h"

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

static void set_number(size_t i, uint8_t id)
{
    struct deployment *d = &world.deployment;
    deployment_close(d, d->regions[i].id);
    d->regions[i].id = id;
    memset(d->fences[0].members, 0, sizeof d->fences[0].members);
    for (size_t r = 0; r < d->region_count; r++)
        fence_add(&d->fences[0], d->regions[r].id);
}

/* Every region stops, gets the new configuration, and starts with what its disk has; region i, with
 * a part of it. */
static void renumber(size_t i, uint8_t id, size_t bytes)
{
    uint64_t instances[NODES_MAX];
    for (size_t k = 0; k < world.count; k++) {
        instances[k] = node_at(k)->options.instance + 1;
        stop(k, false);
        node_release(node_at(k));
    }
    set_number(i, id);
    world.machines[i].known.amnesiac = false; /* as store/identity does */
    for (size_t k = 0; k < world.count; k++)
        start_with(k, instances[k], k == i ? bytes : world.machines[k].synced);
}

/* What the world holds: after it came together, everybody must have all of it. */
static void merge_last_ops(struct vector *v)
{
    vector_clear(v);
    for (size_t k = 0; k < world.count; k++)
        vector_merge(v, &node_at(k)->replica.last_op);
}

/* At how many peers a region asks for it. */
static size_t asks_at(size_t i, uint8_t origin)
{
    size_t count = 0;
    for (size_t p = 0; p < node_at(i)->peer_count; p++) {
        const struct link *l = node_at(i)->peers[p].intake;
        count += l != NULL && l->ready && bits_have(l->origins, origin);
    }
    return count;
}

static bool converges_with_all_of(const struct vector *all)
{
    return converge() && vector_covers(&node_at(0)->replica.last_op, all);
}

/* Region 0 is restored from a copy of its directory, finds it out, and comes back as number 4. */
TEST(a_restored_region_comes_back_under_another_number_and_nothing_is_lost)
{
    for (uint64_t round = 0; round < 15; round++) {
        struct vector all;
        world_start(3, test_seed() + round);
        run_writing(200, 100);
        size_t copy = world.machines[0].synced;
        run_writing(400, 100);
        if (prng_chance(&world.rng, 500000)) /* that not all of its writes have reached everybody */
            EXPECT(converge());
        restart_with(0, 2, copy);
        connect_all();
        run_writing(200, 100);
        merge_last_ops(&all);
        EXPECT(node_at(0)->replica.amnesiac);
        renumber(0, 4, world.machines[0].synced);
        EXPECT(!node_at(0)->replica.amnesiac);
        run_writing(300, 100);
        EXPECT(vector_get(&node_at(0)->replica.last_op, 4) > 0);
        EXPECT(converges_with_all_of(&all));
        world_end();
    }
}

/* Its log holds writes that nobody else has. */
TEST(what_only_the_old_log_of_a_region_holds_reaches_the_others)
{
    struct vector all;
    world_start(3, test_seed());
    run_writing(200, 100);
    EXPECT(converge());
    node_cut(node_at(0), peer_of(0, 1), true);
    node_cut(node_at(0), peer_of(0, 2), true);
    run_writing(500, 100);
    run(100);
    merge_last_ops(&all);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 1) < vector_get(&all, 1));
    vector_copy(&all, &node_at(0)->replica.durable);
    renumber(0, 9, world.machines[0].synced);
    EXPECT(converges_with_all_of(&all)); /* though nothing new depends on it */
    run_writing(300, 100);
    EXPECT(converge());
    world_end();
}

/* The owner's disk is lost with its directory: the others hold different parts of what it wrote. */
TEST(what_the_others_hold_of_a_number_that_is_gone_is_evened_out)
{
    struct vector all;
    world_start(4, test_seed());
    run_writing(200, 100);
    EXPECT(converge());
    node_cut(node_at(0), peer_of(0, 1), true);
    run_writing(300, 100);
    node_cut(node_at(0), peer_of(0, 2), true);
    run_writing(300, 100);
    node_cut(node_at(0), peer_of(0, 3), true);
    run_writing(100, 100);
    world.machines[0].dead = true;
    run(2000);
    stop(0, false);
    node_release(node_at(0)); /* what nobody has is lost */
    start_with(0, 1, 0);
    merge_last_ops(&all);
    renumber(0, 200, 0);
    world.machines[0].dead = false;
    size_t asked = 0;
    for (int turns = 0; turns < 3000; turns++) {
        run(1);
        for (size_t k = 0; k < world.count; k++) {
            EXPECT(asks_at(k, 1) <= 1);
            asked += asks_at(k, 1);
        }
    }
    EXPECT(asked > 0);
    EXPECT(converges_with_all_of(&all));
    run_writing(300, 100);
    EXPECT(converge());
    for (size_t k = 0; k < world.count; k++)
        EXPECT_EQ(asks_at(k, 1), 0);
    world_end();
}

TEST(a_number_that_the_configuration_does_not_know_is_told_once_and_fetched)
{
    world_start(3, test_seed());
    run_writing(300, 100);
    EXPECT(converge());
    renumber(0, 7, 0);
    memset(world.deployment.closed, 0, sizeof world.deployment.closed);
    for (size_t k = 0; k < world.count; k++)
        restart_with(k, 10, world.machines[k].synced);
    EXPECT(strstr(world.last_warning, "ev=origin.unknown") == NULL);
    run_writing(300, 100);
    EXPECT(converge());
    EXPECT(strstr(world.last_warning, "ev=origin.unknown number=1 ") != NULL);
    world.last_warning[0] = '\0';
    run_writing(1000, 100);
    EXPECT(strstr(world.last_warning, "ev=origin.unknown") == NULL);
    world_end();
}

/* A deadline of the origin that is gone: the lowest-numbered region removes the key, once every
 * region has been heard. */
TEST(keys_that_expire_by_a_closed_origin_are_reclaimed_by_the_lowest_number)
{
    world_start(3, test_seed());
    connect_all();
    struct replica *r = &node_at(0)->replica;
    node_turn(node_at(0), world.now_us);
    replica_group_begin(r);
    emit_string(r, 0, span_str("k"), span_str("v"), TIME_DEADLINE, world.now_us / 1000 + 3000);
    replica_group_end(r);
    EXPECT(converge());
    renumber(0, 9, world.machines[0].synced);
    run(1000);
    for (uint64_t until = world.now_us + 10 * 1000 * 1000; world.now_us < until;)
        run(1);
    for (size_t k = 0; k < world.count; k++) {
        r = &node_at(k)->replica;
        EXPECT(database_find(&r->databases[0], span_str("k")) == NULL);
        EXPECT_EQ(r->reclaimed, k == 1);
    }
    world_end();
}

/* An op of the closed origin that has not come may have extended the deadline. */
TEST(nothing_is_reclaimed_while_somebody_holds_more_of_a_closed_number)
{
    struct vector more;
    world_start(3, test_seed());
    run_writing(200, 100);
    EXPECT(converge());
    renumber(0, 9, world.machines[0].synced);
    connect_all();
    struct node *n = node_at(1);
    struct replica *r = &n->replica;
    run(1000); /* a new run of the peer replaces what is believed of it */
    vector_copy(&more, &r->last_op);
    vector_raise(&more, vector_get(&r->last_op, 1) + (1 << 20));
    EXPECT(peers_learn(&n->matrix, 3, peers_row(&n->matrix, 3)->instance, &more, &more, n->now_us));
    node_turn(n, world.now_us);
    replica_group_begin(r);
    emit_string(r, 0, span_str("k"), span_str("v"), TIME_DEADLINE, world.now_us / 1000 + 100);
    replica_group_end(r);
    run(20000);
    EXPECT(database_find(&r->databases[0], span_str("k")) != NULL);
    restart(2, 9, true); /* what a new run has replaces what was believed of the last */
    for (int turns = 0; r->reclaimed == 0 && turns < 50000; turns++)
        run(1);
    EXPECT(database_find(&r->databases[0], span_str("k")) == NULL);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
