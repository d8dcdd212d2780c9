/* Feeds and intakes between whole nodes: see node/meeting.h. */
#include "base/bits.h"
#include "node/meeting.h"

static void two_regions_write_and_meet(size_t count)
{
    world_start(count, test_seed());
    run_writing(2000, 200);
    EXPECT(converge());
    EXPECT(world.machines[0].node.replica.last_op.high > count);
    world_end();
}

TEST(two_regions_come_to_one_state)
{
    two_regions_write_and_meet(2);
}

TEST(three_regions_come_to_one_state)
{
    two_regions_write_and_meet(3);
}

TEST(lost_connections_are_dialled_again_and_nothing_is_lost)
{
    world_start(3, test_seed());
    for (int round = 0; round < 40; round++) {
        run_writing(60, 500);
        struct connection *c = &world.connections[prng_below(&world.rng, 12)];
        if (!c->used)
            continue;
        for (int e = 0; e < 2; e++) { /* both ends, bytes on the way lost */
            buffer_clear(&c->ends[e].inbox);
            close_end(&c->ends[e], "connection reset");
        }
    }
    EXPECT(converge());
    connect_all();
    world_end();
}

TEST(cut_regions_write_on_and_agree_once_healed)
{
    world_start(3, test_seed());
    connect_all();
    node_cut(&world.machines[0].node, peer_of(0, 1), true);
    node_cut(&world.machines[0].node, peer_of(0, 2), true);
    run_writing(3000, 100);
    EXPECT(peer_of(0, 1)->intake == NULL && peer_of(0, 1)->feed == NULL);
    EXPECT(peer_of(1, 0)->feed == NULL);
    EXPECT(!all_equal());
    node_cut(&world.machines[0].node, peer_of(0, 1), false);
    node_cut(&world.machines[2].node, peer_of(2, 0), false); /* from the end that was not cut */
    EXPECT(converge());
    connect_all();
    EXPECT(!peer_of(0, 2)->cut);
    world_end();
}

TEST(a_region_that_lags_is_fed_from_disk_and_memory_stays_bounded)
{
    world_start(2, test_seed());
    connect_all();
    node_cut(&world.machines[0].node, peer_of(0, 1), true);
    while (world.machines[0].node.tail.end_lsn < (24 << 20)) {
        for (int i = 0; i < 20; i++)
            write_random(0, 20000);
        turn(0);
        world.now_us += 1000;
    }
    EXPECT(world.machines[0].node.tail.pages[0].start_lsn > 0);
    node_cut(&world.machines[0].node, peer_of(0, 1), false);
    for (int i = 0; i < 20; i++) { /* which may fall into a read */
        run(20);
        if (peer_of(1, 0)->intake != NULL)
            peer_of(1, 0)->intake->resubscribe = true;
    }
    EXPECT(converge());
    EXPECT(world.reads > 0);
    EXPECT(world.output_max < 2 * LINK_OUTPUT_MAX);
    world_end();
}

TEST(a_peer_that_hardly_reads_does_not_grow_our_memory)
{
    world_start(3, test_seed());
    connect_all();
    world.machines[1].slow_reader = true;
    run_writing(1500, 20000);
    EXPECT(world.output_max < 2 * LINK_OUTPUT_MAX);
    world.machines[1].slow_reader = false;
    EXPECT(converge());
    world_end();
}

TEST(idle_regions_hear_heartbeats_and_acknowledge)
{
    world_start(3, test_seed());
    connect_all();
    write_random(0, 50);
    EXPECT(converge());
    run(3000);
    for (size_t i = 0; i < 3; i++) {
        const struct node *n = &world.machines[i].node;
        stamp_t last = vector_get(&n->replica.last_op, 1);
        for (uint8_t o = 1; o <= 3; o++)
            EXPECT(stamp_ms(vector_get(&n->replica.applied, o)) + 1000 > world.now_us / 1000);
        EXPECT_EQ(peers_acknowledged(&n->matrix, last), i == 0 ? 2 : 2);
    }
    world_end();
}

/* Everything goes silent without a word: both sides give up, and meet again. */
TEST(a_silent_peer_is_given_up_and_welcomed_back)
{
    world_start(2, test_seed());
    connect_all();
    struct machine *m = &world.machines[1];
    m->dead = true;
    while (peer_of(0, 1)->intake != NULL || peer_of(0, 1)->feed != NULL)
        run_writing(20, 100);
    m->dead = false;
    EXPECT(converge());
    connect_all();
    world_end();
}

TEST(a_restarted_region_goes_on_where_its_log_ends)
{
    world_start(3, test_seed());
    for (uint64_t round = 2; round < 8; round++) {
        run_writing(300, 300);
        restart((size_t)prng_below(&world.rng, 3), round, true);
    }
    run_writing(300, 300);
    EXPECT(converge());
    for (size_t i = 0; i < 3; i++)
        EXPECT(!world.machines[i].node.replica.amnesiac);
    world_end();
}

TEST(a_region_that_comes_back_is_welcomed_before_its_old_links_time_out)
{
    world_start(3, test_seed());
    connect_all();
    stop(1, true);
    restart(1, 2, true);
    uint64_t until = world.now_us + LINK_TIMEOUT_US / 2;
    struct link *stale = peer_of(0, 1)->intake;
    EXPECT(stale != NULL && stale->instance == 1);
    while (world.now_us < until)
        run(1);
    EXPECT(all_up());
    EXPECT_EQ(peer_of(0, 1)->intake->instance, 2);
    world_end();
}

/* What the others wrote after seeing its lost writes has to wait there; all else goes on. */
TEST(a_region_that_lost_its_log_writes_no_more_and_stays_connected)
{
    world_start(2, test_seed());
    run_writing(500, 100);
    EXPECT(converge());
    restart(1, 2, false);
    connect_all();
    const struct node *lost = &world.machines[1].node, *other = &world.machines[0].node;
    EXPECT(lost->replica.amnesiac);
    EXPECT(!other->replica.amnesiac);
    EXPECT(strstr(world.last_warning, "ev=amnesia peer=eu-de") != NULL);
    run_writing(1000, 100);
    EXPECT(all_up());
    EXPECT_EQ(vector_get(&lost->replica.last_op, 2), 0);
    EXPECT(vector_get(&lost->replica.applied, 1) > 0);
    world_end();
}

TEST(a_region_whose_run_numbers_went_back_writes_no_more)
{
    world_start(2, test_seed());
    restart(1, 5, true);
    connect_all();
    restart(1, 2, true);
    connect_all();
    EXPECT(world.machines[1].node.replica.amnesiac);
    world_end();
}

/* What 1 writes after seeing 0's writes must wait at 2, which is cut from 0, until it takes those at 1
 * too: more than there is room for. */
TEST(what_finds_no_room_to_wait_is_fetched_again)
{
    enum { ROOM = 1500 };
    world_start(3, test_seed());
    struct replica *r = &world.machines[2].node.replica;
    r->options.park_max_bytes = ROOM;
    connect_all();
    bool waited = false, paused = false;
    for (int round = 0; round < 6000; round++) {
        if (round % 300 == 0)
            node_cut(&world.machines[2].node, peer_of(2, 0), round % 600 == 0);
        run_writing(1, 300);
        EXPECT(r->parked_bytes <= ROOM + 300);
        waited |= r->parked_count > 0;
        paused |= peer_of(2, 1)->intake && bits_have(peer_of(2, 1)->intake->paused, 2);
    }
    EXPECT(waited && paused);
    node_cut(&world.machines[2].node, peer_of(2, 0), false);
    EXPECT(converge());
    world_end();
}

/* What 1 writes depends on what 0 wrote, and 2 does not hear 0: it asks 1 for both. */
TEST(what_is_missing_is_asked_of_who_sent_what_depends_on_it)
{
    world_start(3, test_seed());
    connect_all();
    struct node *n = &world.machines[2].node;
    node_cut(n, peer_of(2, 0), true);
    run_writing(1500, 100);
    run(2000);
    struct node *source = &world.machines[0].node;
    EXPECT(vector_get(&n->replica.last_op, 1) == vector_get(&source->replica.last_op, 1));
    EXPECT(n->replica.parked_count == 0);
    node_cut(n, peer_of(2, 0), false);
    EXPECT(converge());
    world_end();
}

/* 3 hears only 2, whose write depends on one of 0, and that on one of 1: what is relayed may wait for
 * what a third region made. */
TEST(what_is_relayed_may_itself_wait_for_a_third_region)
{
    static const size_t writers[] = { 1, 0, 2 };
    world_start(4, test_seed());
    connect_all();
    struct node *n = &world.machines[3].node;
    node_cut(n, peer_of(3, 0), true);
    node_cut(n, peer_of(3, 1), true);
    run(100);
    for (size_t i = 0; i < 3; i++) {
        while (vector_get(&world.machines[writers[i]].node.replica.last_op,
                          (uint8_t)(writers[i] + 1)) == 0) {
            write_random(writers[i], 100);
            run(1000);
        }
    }
    run(5000);
    for (size_t i = 0; i < 3; i++)
        EXPECT(vector_get(&n->replica.last_op, (uint8_t)(i + 1)) ==
               vector_get(&world.machines[i].node.replica.last_op, (uint8_t)(i + 1)));
    node_cut(n, peer_of(3, 0), false);
    node_cut(n, peer_of(3, 1), false);
    EXPECT(converge());
    world_end();
}

/* A batch that is larger than all the room there is to wait comes and is dropped, again and again:
 * what it waits for is asked for all the same. */
TEST(what_a_batch_waits_for_that_never_finds_room_is_asked_for)
{
    world_start(3, test_seed());
    struct node *n = &world.machines[2].node;
    n->replica.options.park_max_bytes = 50;
    connect_all();
    node_cut(n, peer_of(2, 0), true);
    run_writing(300, 100);
    run(3000);
    for (size_t i = 0; i < 2; i++)
        EXPECT(vector_get(&n->replica.last_op, (uint8_t)(i + 1)) ==
               vector_get(&world.machines[i].node.replica.last_op, (uint8_t)(i + 1)));
    node_cut(n, peer_of(2, 0), false);
    EXPECT(converge());
    world_end();
}

/* Regions 1 and 2 stand at the same place in the log of 0: what is sent to both was built once. */
TEST(followers_at_the_same_place_share_frames)
{
    uint64_t sent = 0, built = 0;
    world_start(3, test_seed());
    connect_all();
    struct node *n = &world.machines[0].node;
    for (int i = 0; i < 1000; i++) {
        uint32_t before = n->feed.next;
        write_random(0, 2000);
        turn(0);
        built += (n->feed.next + FEED_FRAMES - before) % FEED_FRAMES;
        run(3);
    }
    EXPECT(converge());
    for (size_t i = 1; i < 3; i++)
        sent += peer_of(0, i)->feed->frames_out;
    EXPECT(built > 0);
    EXPECT(sent > built + built / 2);
    world_end();
}

/* The region's process is said to hold more than it may, then not. */
static void set_memory(size_t i, uint64_t used_bytes)
{
    struct server *server = &world.machines[i].node.server;
    server->settings.max_memory_bytes = 64 << 20;
    server->process.memory_used_bytes = used_bytes;
}

TEST(what_a_peer_sends_rests_while_there_is_no_memory_for_it)
{
    world_start(2, test_seed());
    connect_all();
    set_memory(1, 100 << 20);
    run(200);
    stamp_t before = vector_get(&world.machines[1].node.replica.last_op, 1);
    for (int i = 0; i < 200; i++) {
        write_random(0, 2000);
        run(20);
    }
    EXPECT_EQ(vector_get(&world.machines[1].node.replica.last_op, 1), before);
    EXPECT(peer_of(1, 0)->intake != NULL); /* it is not closed for that */
    set_memory(1, 1 << 20);
    EXPECT(converge());
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
