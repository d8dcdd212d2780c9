/* Regions that are filled from one that is no member of all of their fences. */
#include "node/bootstrap_meeting.h"

/* 0 is no member; 1 and 2 are. */
static void shape(struct deployment *d)
{
    struct fence *f = deployment_add_fence(d);
    struct keyspace *k = deployment_add_keyspace(d);
    f->name = text_of("gdpr");
    fence_add(f, d->regions[1].id);
    fence_add(f, d->regions[2].id);
    k->prefix = text_of("eu:");
    k->prefix_bytes = 3;
    k->fence = 1;
    deployment_finish(d);
}

/* As one that lost its disk and had written nothing. */
static void empty(size_t i)
{
    struct kept *k = &kept[i];
    stop(i, false);
    node_release(node_at(i));
    close_kept(i);
    kv_memory_release(&k->kv);
    kv_memory_init(&k->kv);
    buffer_clear(&world.machines[i].disk);
    world.machines[i].synced = world.machines[i].written = 0;
    k->log_start = 0;
    k->marked = false;
    open_machine(i);
}

static void switch_off(size_t i)
{
    stop(i, false);
    world.machines[i].dead = true;
}

static void switch_on(size_t i)
{
    world.machines[i].dead = false;
    empty(i);
}

static void write_fenced(size_t i, const char *key)
{
    struct replica *r = &node_at(i)->replica;
    CHECK(node_at(i)->server.loading == NULL && replica_write_refusal(r) == NULL);
    node_turn(node_at(i), world.now_us);
    replica_group_begin(r);
    replica_group_fence(r, 1);
    emit_string(r, 0, span_str(key), span_str("v"), TIME_NONE, 0);
    replica_group_end(r);
}

static bool loads(size_t i)
{
    return node_at(i)->server.loading != NULL;
}

static bool serve_within(size_t i, uint64_t us)
{
    for (uint64_t until = world.now_us + us; world.now_us < until && loads(i);)
        run(30);
    return !loads(i);
}

static bool holds(size_t i, uint8_t origin, stamp_t stamp)
{
    return vector_get(&node_at(i)->replica.last_op, origin) >= stamp;
}

enum { LONG_US = 200 * 1000 * 1000, FENCED_1 = 16 + 2, FENCED_2 = 16 + 3 };

/* All that there is, is with 0, and in its log no more. */
static void begin_with_all_at_0(void)
{
    begin_world_as(3, test_seed(), shape);
    switch_off(2);
    for (int t = 0; t < 1000 && (kept[0].drops < 3 || kept[0].log_start == 0); t++)
        write_at(0, 50);
    switch_off(1);
}

TEST(a_fence_of_which_nobody_has_anything_is_not_missed)
{
    begin_with_all_at_0();
    switch_on(1);
    switch_on(2);
    stamp_t last = own_last(0);
    for (size_t i = 1; i < 3; i++) {
        EXPECT(serve_within(i, LONG_US));
        EXPECT(kept[i].restarts >= 2);
        EXPECT(holds(i, 1, last));
    }
    for (size_t i = 1; i < 3; i++)
        write_fenced(i, i == 1 ? "eu:1" : "eu:2");
    run(3000);
    EXPECT(vector_get(&node_at(1)->replica.last_op, FENCED_2) != 0);
    for (size_t i = 1; i < 3; i++) {
        EXPECT(holds(i, FENCED_1, vector_get(&node_at(1)->replica.last_op, FENCED_1)));
        EXPECT(holds(i, FENCED_2, vector_get(&node_at(2)->replica.last_op, FENCED_2)));
    }
    EXPECT_EQ(vector_get(&node_at(0)->replica.last_op, FENCED_1), 0);
    end_world();
}

/* It may hold something of the fence. */
TEST(while_a_member_is_not_reached_an_empty_region_waits_and_says_why)
{
    begin_with_all_at_0();
    switch_on(1);
    EXPECT(!serve_within(1, 60 * 1000 * 1000));
    EXPECT_EQ(kept[1].restarts, 0);
    EXPECT(strstr(node_at(1)->server.loading, "it waits: ") != NULL);
    stop(0, false); /* and when the one that has all is lost again */
    node_cut(node_at(1), peer_of(1, 0), true);
    EXPECT(!serve_within(1, 10 * 1000 * 1000));
    restart_machine(1);
    node_cut(node_at(1), peer_of(1, 0), true);
    EXPECT(!serve_within(1, 10 * 1000 * 1000));
    EXPECT(strstr(node_at(1)->server.loading, "has to be filled") != NULL);
    node_cut(node_at(1), peer_of(1, 0), false);
    switch_on(2);
    EXPECT(serve_within(1, LONG_US) && serve_within(2, LONG_US));
    EXPECT(holds(1, 1, own_last(0)));
    end_world();
}

TEST(who_has_something_of_the_fence_is_asked_and_nobody_else)
{
    begin_world_as(3, test_seed(), shape);
    run(100);
    write_fenced(1, "eu:1");
    for (int t = 0; t < 1000 && (kept[0].drops < 3 || kept[1].drops < 3); t++)
        write_at(0, 50);
    empty(2);
    EXPECT(serve_within(2, LONG_US));
    EXPECT(kept[2].restarts >= 2);
    EXPECT_EQ(node_at(2)->bootstrap.note.source, 2);
    EXPECT(holds(2, FENCED_1, vector_get(&node_at(1)->replica.last_op, FENCED_1)));
    end_world();
}

/* As if it had decided so. */
static void mark_by_hand(size_t i)
{
    const struct replica *r = &node_at(i)->replica;
    struct marker *marker = &kept[i].marker;
    while (r->log_durable < r->log_end || r->open_ops > 0)
        run(1);
    *marker = (struct marker){ .instance = 7, .began_us = world.now_us, .end_lsn = r->log_end };
    tail_floor(&node_at(i)->tail, &marker->floor);
    vector_copy(&marker->had, &r->last_op);
    kept[i].marked = true;
}

/* Each refuses the other until it is through. */
TEST(two_members_that_are_filled_at_once_do_not_wait_for_each_other)
{
    begin_world_as(3, test_seed(), shape);
    for (int t = 0; t < 1000 && kept[0].drops < 3; t++)
        write_at(0, 50);
    uint64_t at_us;
    do { /* both at one moment */
        mark_by_hand(1);
        at_us = world.now_us;
        mark_by_hand(2);
    } while (world.now_us != at_us);
    for (size_t i = 1; i < 3; i++)
        restart_machine(i);
    for (size_t i = 1; i < 3; i++)
        EXPECT_EQ(node_at(i)->bootstrap.phase, BOOTSTRAP_IMAGE);
    for (size_t i = 1; i < 3; i++) {
        EXPECT(serve_within(i, LONG_US));
        EXPECT_EQ(node_at(i)->bootstrap.note.source, 1);
    }
    end_world();
}

/* A process dies, what it had written is there or not; or a connection is lost; or neither. */
static void disturb(size_t i)
{
    struct connection *c = &world.connections[prng_below(&world.rng, 12)];
    uint64_t what = prng_below(&world.rng, 4);
    if (what == 0 && prng_chance(&world.rng, 500000))
        world.machines[i].synced = world.machines[i].written;
    if (what == 0)
        restart_machine(i);
    for (int e = 0; what == 1 && c->used && e < 2; e++) {
        buffer_clear(&c->ends[e].inbox);
        close_end(&c->ends[e], "connection reset");
    }
}

static void write_something(size_t i)
{
    char key[16];
    if (loads(i) || replica_write_refusal(&node_at(i)->replica) != NULL)
        return;
    snprintf(key, sizeof(key), "eu:%u", (unsigned)prng_below(&world.rng, 100));
    if (i > 0 && prng_chance(&world.rng, 300000))
        write_fenced(i, key);
    else
        write_key(i);
}

static bool members_agree(void)
{
    return vector_equal(&node_at(1)->replica.last_op, &node_at(2)->replica.last_op) &&
           vector_covers(&node_at(1)->replica.last_op, &node_at(0)->replica.last_op);
}

TEST(members_are_filled_though_they_are_killed_and_cut_and_write_as_soon_as_they_can)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin_world_as(3, test_seed() + (uint64_t)round, shape);
        world.deployment.bootstrap_rate_bytes = 64 << 10;
        for (int t = 0; t < 1000 && kept[0].drops < 3; t++)
            write_at(0, 50);
        empty(1);
        empty(2);
        for (int t = 0; t < 1500; t++) {
            write_something((size_t)prng_below(&world.rng, 3));
            run(20);
            if (prng_chance(&world.rng, 30000))
                disturb(1 + (size_t)prng_below(&world.rng, 2));
        }
        EXPECT(serve_within(1, LONG_US) && serve_within(2, LONG_US));
        for (int t = 0; t < 20000 && !members_agree(); t++)
            run(30);
        EXPECT(members_agree());
        EXPECT(!node_at(1)->replica.amnesiac && !node_at(2)->replica.amnesiac);
        end_world();
    }
}

/* The objects may have what was written after it. */
TEST(nothing_is_served_before_members_were_met_that_may_have_written_to_the_fence)
{
    begin_world_as(3, test_seed(), shape);
    for (int t = 0; t < 1000 && kept[0].drops < 3; t++)
        write_at(0, 50);
    node_cut(node_at(2), peer_of(2, 1), true);
    node_cut(node_at(1), peer_of(1, 2), true);
    write_fenced(1, "eu:1");
    stamp_t fenced = vector_get(&node_at(1)->replica.last_op, FENCED_1);
    write_at(1, 20);
    stamp_t after = own_last(1);
    run(1000);
    EXPECT(holds(0, 2, after) && !holds(2, 2, after));
    uint64_t lsn = node_at(0)->replica.log_end;
    for (int t = 0; t < 1000 && node_at(0)->checkpoint.start_lsn <= lsn; t++)
        write_at(0, 50);
    mark_by_hand(2);
    restart_machine(2);
    node_cut(node_at(2), peer_of(2, 1), true);
    EXPECT(!serve_within(2, 60 * 1000 * 1000));
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_TIDY);
    EXPECT(kept[2].marked && holds(2, 2, after));
    node_cut(node_at(2), peer_of(2, 1), false);
    node_cut(node_at(1), peer_of(1, 2), false);
    EXPECT(serve_within(2, LONG_US));
    EXPECT(holds(2, FENCED_1, fenced) && holds(2, 2, after));
    end_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
