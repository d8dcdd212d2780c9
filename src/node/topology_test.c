/* Who takes writes at whom, between whole nodes: see node/meeting.h. */
#include "base/bits.h"
#include "node/meeting.h"
#include "policy/origin.h"
#include "wire/message.h"

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

/* --- deployments --- */

static void as_mesh(struct deployment *d)
{
    d->topology = TOPOLOGY_MESH;
}

static void as_ring(struct deployment *d)
{
    d->topology = TOPOLOGY_RING;
}

static void as_chain(struct deployment *d)
{
    d->topology = TOPOLOGY_CHAIN;
}

static void as_star(struct deployment *d)
{
    d->topology = TOPOLOGY_STAR;
    d->centre = d->regions[2].id;
}

static void as_hierarchy(struct deployment *d)
{
    d->topology = TOPOLOGY_HIERARCHY;
    d->regions[1].parent = d->regions[2].parent = d->regions[0].id;
    if (d->region_count > 4)
        d->regions[4].parent = d->regions[3].id;
}

static void as_auto(struct deployment *d)
{
    d->topology = TOPOLOGY_AUTO;
}

static void (*const shapes[])(struct deployment *) = { as_mesh, as_ring,      as_chain,
                                                       as_star, as_hierarchy, as_auto };

/* The first, the third and the last of the regions, on a ring. */
static void as_fenced_ring(struct deployment *d)
{
    struct fence *f = deployment_add_fence(d);
    f->name = text_of("some");
    fence_add(f, d->regions[0].id);
    fence_add(f, d->regions[2].id);
    fence_add(f, d->regions[d->region_count - 1].id);
    d->topology = TOPOLOGY_RING;
}

/* --- what is looked at --- */

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

static bool takes(size_t i, size_t owner, size_t at)
{
    const struct link *l = peer_of(i, at)->intake;
    return l != NULL && bits_have(l->origins, world.deployment.regions[owner].id);
}

/* Each region takes each other's writes at one peer, and at none its own. */
static bool each_is_taken_once(void)
{
    for (size_t i = 0; i < world.count; i++) {
        for (size_t owner = 0; owner < world.count; owner++) {
            if (asks_at(i, world.deployment.regions[owner].id) != (i != owner))
                return false;
        }
    }
    return true;
}

static bool is_relayed(void)
{
    for (size_t i = 0; i < world.count; i++) {
        for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
            if (topology_is_relayed(node_at(i), (uint8_t)o))
                return true;
        }
    }
    return false;
}

/* Each is taken once, by plan. A machine that has not had its turn for half a second looks like one that is
 * gone: so for a moment it may be otherwise. */
static bool settles(void)
{
    for (int i = 0; i < 50; i++) {
        if (each_is_taken_once() && !is_relayed())
            return true;
        run(1000);
    }
    return false;
}

/* Of every region something was heard a moment ago. */
static bool all_are_heard(uint64_t within_ms)
{
    for (size_t i = 0; i < world.count; i++) {
        for (size_t owner = 0; owner < world.count; owner++) {
            uint8_t origin = world.deployment.regions[owner].id;
            if (stamp_ms(vector_get(&node_at(i)->replica.applied, origin)) + within_ms <
                world.now_us / 1000)
                return false;
        }
    }
    return true;
}

/* Whoever claims to have all of an owner up to its last op has that op. */
static void check_claims(void)
{
    for (size_t owner = 0; owner < world.count; owner++) {
        uint8_t origin = world.deployment.regions[owner].id;
        stamp_t last = vector_get(&node_at(owner)->replica.last_op, origin);
        for (size_t i = 0; i < world.count; i++) {
            const struct replica *r = &node_at(i)->replica;
            CHECK(vector_get(&r->applied, origin) < last ||
                  vector_get(&r->last_op, origin) == last);
        }
    }
}

static void cut(size_t a, size_t b, bool on)
{
    node_cut(node_at(a), peer_of(a, b), on);
    node_cut(node_at(b), peer_of(b, a), on);
}

/* --- by plan --- */

TEST(every_topology_brings_everything_everywhere_over_one_link_each)
{
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        world_start_as(5, test_seed() + s, shapes[s]);
        connect_all();
        for (int round = 0; round < 20; round++) {
            run_writing(60, 300);
            check_claims();
        }
        EXPECT(converge());
        run(8000);
        EXPECT(all_are_heard(2000));
        EXPECT(settles());
        world_end();
    }
}

TEST(a_ring_takes_at_its_neighbours_and_a_star_at_its_centre)
{
    world_start_as(5, test_seed(), as_ring);
    connect_all();
    run(5000);
    for (size_t i = 0; i < 5; i++) {
        size_t next = (i + 1) % 5, before = (i + 4) % 5;
        EXPECT(takes(i, next, next) && takes(i, (i + 2) % 5, next));
        EXPECT(takes(i, before, before) && takes(i, (i + 3) % 5, before));
    }
    world_start_as(5, test_seed(), as_star);
    connect_all();
    run(5000);
    for (size_t i = 0; i < 5; i++) {
        for (size_t owner = 0; owner < 5; owner++)
            EXPECT(i == owner || takes(i, owner, i == 2 ? owner : 2));
    }
    world_end();
}

TEST(a_chain_acknowledges_at_its_tail)
{
    world_start_as(5, test_seed(), as_chain);
    connect_all();
    for (int round = 0; round < 30; round++) {
        write_random(0, 100);
        run(1);
        stamp_t last = vector_get(&node_at(0)->replica.last_op, 1);
        for (int turns = 0; peers_acknowledged(&node_at(0)->matrix, last) < 4; turns++) {
            EXPECT(turns < 20000);
            run(1);
            for (size_t i = 1; i < 4; i++) /* nobody before who stands nearer */
                EXPECT(vector_get(&node_at(i)->replica.durable, 1) >=
                       vector_get(&node_at(i + 1)->replica.last_op, 1));
        }
    }
    world_end();
}

/* A link that is always busy with one region's writes, and one that never writes. */
TEST(who_is_silent_is_heard_beside_who_writes)
{
    world_start_as(3, test_seed(), as_chain);
    connect_all();
    for (int turns = 0; turns < 6000; turns++) {
        write_random(0, 500);
        run(1);
    }
    EXPECT(stamp_ms(vector_get(&node_at(2)->replica.applied, 2)) + 1000 > world.now_us / 1000);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 2) == 0);
    EXPECT(converge());
    world_end();
}

TEST(all_regions_come_to_know_the_same_round_trips)
{
    world_start_as(4, test_seed(), as_auto);
    connect_all();
    run(10000);
    for (size_t i = 0; i < 4; i++) {
        for (size_t from = 0; from < 4; from++) {
            const struct topology_row *row = &node_at(i)->topology.rows[from];
            EXPECT_EQ(row->instance, node_at(from)->options.instance);
            EXPECT(row->sequence > 0);
        }
    }
    restart(1, 5, true); /* a new run counts from the beginning */
    connect_all();
    run(10000);
    for (size_t i = 0; i < 4; i++)
        EXPECT_EQ(node_at(i)->topology.rows[1].instance, 5);
    EXPECT(converge());
    world_end();
}

static void feed_row(struct node *n, struct link *l, uint64_t instance, uint64_t sequence,
                     uint32_t us)
{
    struct message_round_trips m = { .region = 2, .instance = instance, .sequence = sequence };
    struct buffer body = { 0 };
    m.us[3] = us;
    buffer_put_varint(&body, 1);
    message_put_round_trips(&body, &m);
    topology_hear(n, l, buffer_span(&body));
    buffer_release(&body);
}

TEST(of_two_rows_the_newer_one_is_believed)
{
    world_start_as(3, test_seed(), as_auto);
    connect_all();
    struct node *n = node_at(0);
    struct link *l = peer_of(0, 1)->feed;
    feed_row(n, l, 7, 3, 50000);
    EXPECT_EQ(round_trips_row(&n->topology.round_trips, 1)[2], 50000);
    feed_row(n, l, 7, 2, 60000);
    feed_row(n, l, 6, 9, 60000);
    EXPECT_EQ(round_trips_row(&n->topology.round_trips, 1)[2], 50000);
    feed_row(n, l, 8, 1, 70000);
    EXPECT_EQ(round_trips_row(&n->topology.round_trips, 1)[2], 70000);
    topology_hear(n, l, span_str("\x01\x02"));
    EXPECT(l->close);
    world_end();
}

static uint64_t records_of(const struct machine *m)
{
    uint64_t count = 0;
    struct record r;
    size_t need;
    for (size_t at = 0; at < m->disk.len; count++) {
        CHECK(record_read(span_skip(buffer_span(&m->disk), at), at, &r, &need) == RECORD_GOOD);
        at += r.bytes;
    }
    return count;
}

/* A region asks anew now and again, while much is on the way. */
TEST(a_subscription_that_changes_fetches_nothing_twice)
{
    world_start_as(2, test_seed(), as_mesh);
    connect_all();
    for (int round = 0; round < 3000; round++) {
        write_random(0, 2000);
        run(1);
        if (round % 60 == 0)
            peer_of(1, 0)->intake->resubscribe = true;
    }
    EXPECT(converge());
    EXPECT_EQ(peer_of(0, 1)->feed->batches_out, records_of(&world.machines[0]));
    world_end();
}

/* --- round cuts --- */

TEST(a_ring_with_one_cut_goes_the_other_way_round)
{
    world_start_as(5, test_seed(), as_ring);
    connect_all();
    run_writing(300, 200);
    cut(0, 1, true);
    for (int round = 0; round < 20; round++) {
        run_writing(60, 200);
        check_claims();
    }
    EXPECT(converge());
    run(10000);
    EXPECT(all_are_heard(2000));
    EXPECT(each_is_taken_once());
    EXPECT(takes(0, 1, 4) && takes(1, 0, 2));
    cut(0, 1, false);
    connect_all();
    run(10000);
    EXPECT(takes(0, 1, 1) && takes(1, 0, 0));
    EXPECT(!is_relayed());
    EXPECT(converge());
    world_end();
}

/* The plan has no way: it lies between the two parts of the ring, whose other links stand. */
TEST(a_ring_that_is_cut_twice_is_relayed_between_its_parts)
{
    world_start_as(5, test_seed(), as_ring);
    connect_all();
    run_writing(300, 200);
    cut(0, 1, true);
    cut(2, 3, true);
    run_writing(1500, 200);
    EXPECT(converge());
    run(10000);
    EXPECT(all_are_heard(3000));
    EXPECT(is_relayed());
    EXPECT(each_is_taken_once());
    cut(0, 1, false);
    cut(2, 3, false);
    connect_all();
    run(20000);
    EXPECT(!is_relayed());
    EXPECT(each_is_taken_once());
    EXPECT(converge());
    world_end();
}

TEST(two_halves_write_on_and_come_together_once_healed)
{
    world_start_as(5, test_seed(), as_ring);
    connect_all();
    run_writing(300, 200);
    EXPECT(converge());
    for (size_t a = 0; a < 2; a++) {
        for (size_t b = 2; b < 5; b++)
            cut(a, b, true);
    }
    run_writing(1500, 200);
    run(20000);
    for (uint8_t o = 1; o <= 5; o++) {
        bool first = o <= 2;
        stamp_t last = vector_get(&node_at(o - 1u)->replica.last_op, o);
        for (size_t i = 0; i < 5; i++)
            EXPECT_EQ(vector_get(&node_at(i)->replica.last_op, o) == last, (i < 2) == first);
    }
    for (size_t a = 0; a < 2; a++) {
        for (size_t b = 2; b < 5; b++)
            cut(a, b, false);
    }
    EXPECT(converge());
    connect_all();
    run(20000);
    EXPECT(settles());
    world_end();
}

/* The plan leads over the centre, and cannot: somebody else is asked, without a circle. */
TEST(a_star_whose_centre_lost_one_region_still_hears_it)
{
    world_start_as(5, test_seed(), as_star);
    connect_all();
    run_writing(300, 200);
    cut(2, 0, true);
    for (int round = 0; round < 20; round++) {
        run_writing(100, 200);
        check_claims();
    }
    EXPECT(converge());
    run(20000);
    EXPECT(all_are_heard(3000));
    EXPECT(each_is_taken_once());
    cut(2, 0, false);
    connect_all();
    run(20000);
    EXPECT(!is_relayed());
    EXPECT(takes(0, 1, 2) && takes(1, 0, 2));
    EXPECT(converge());
    world_end();
}

TEST(a_star_without_its_centre_goes_on)
{
    world_start_as(4, test_seed(), as_star);
    connect_all();
    run_writing(300, 200);
    EXPECT(converge());
    world.machines[2].dead = true;
    stop(2, true);
    run_writing(1500, 200);
    run(20000);
    for (uint8_t o = 1; o <= 4; o++) {
        for (size_t i = 0; i < 4; i++) {
            if (o != 3 && i != 2)
                EXPECT_EQ(vector_get(&node_at(i)->replica.last_op, o),
                          vector_get(&node_at(o - 1u)->replica.last_op, o));
        }
    }
    world.machines[2].dead = false;
    EXPECT(converge());
    connect_all();
    run(20000);
    EXPECT(!is_relayed());
    world_end();
}

TEST(cuts_at_random_lose_nothing_in_any_topology)
{
    for (size_t s = 0; s < COUNT_OF(shapes); s++) {
        world_start_as(5, test_seed() + s, shapes[s]);
        for (int round = 0; round < 25; round++) {
            size_t a = (size_t)prng_below(&world.rng, 5), b = (size_t)prng_below(&world.rng, 5);
            if (a != b)
                cut(a, b, prng_chance(&world.rng, 600000));
            run_writing(100, 300);
            check_claims();
            if (prng_chance(&world.rng, 100000))
                restart(a, node_at(a)->options.instance + 1, true);
        }
        for (size_t a = 0; a < 5; a++) {
            for (size_t b = 0; b < a; b++)
                cut(a, b, false);
        }
        EXPECT(converge());
        connect_all();
        run(20000);
        EXPECT(all_are_heard(3000));
        EXPECT(settles());
        world_end();
    }
}

/* --- fences --- */

static void write_fenced(size_t i)
{
    struct replica *r = &node_at(i)->replica;
    node_turn(node_at(i), world.now_us);
    if (replica_must_wait(r) || replica_write_refusal(r) != NULL)
        return;
    replica_group_begin(r);
    replica_group_fence(r, 1);
    emit_bump(r, 0, span_str("fenced"), (struct amount){ .i = 1 });
    replica_group_end(r);
}

/* What only members may hold is asked of members, also round a cut. */
TEST(streams_of_a_fence_are_taken_from_its_members_only)
{
    static const size_t members[] = { 0, 2, 4 };
    world_start_as(5, test_seed(), as_fenced_ring);
    connect_all();
    cut(0, 2, true);
    for (int round = 0; round < 300; round++) {
        write_fenced(members[prng_below(&world.rng, 3)]);
        run_writing(10, 100);
    }
    cut(2, 4, true); /* one member that no other reaches */
    for (int round = 0; round < 100; round++) {
        write_fenced(members[prng_below(&world.rng, 3)]);
        run_writing(10, 100);
    }
    run(5000);
    for (size_t i = 0; i < 5; i++) {
        const struct node *n = node_at(i);
        for (size_t p = 0; p < n->peer_count; p++) {
            const struct link *l = n->peers[p].intake;
            for (int k = 0; l != NULL && k < 4; k++)
                EXPECT_EQ(l->origins[k] & (n->peers[p].foreign[k] | n->replica.options.foreign[k]),
                          0);
        }
    }
    cut(0, 2, false);
    cut(2, 4, false);
    connect_all();
    run(20000);
    for (size_t k = 0; k < 3; k++) {
        uint8_t origin = origin_of(&world.deployment, world.deployment.regions[members[k]].id, 1);
        stamp_t last = vector_get(&node_at(members[k])->replica.last_op, origin);
        EXPECT(last != 0);
        for (size_t i = 0; i < 5; i++)
            EXPECT_EQ(vector_get(&node_at(i)->replica.last_op, origin), i % 2 == 0 ? last : 0);
    }
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
