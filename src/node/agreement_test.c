/* What goes between two regions whose files differ in fences. */
#include "base/bits.h"
#include "node/agreement.h"

#include "node/meeting.h"
#include "policy/origin.h"
#include "wire/message.h"

enum { GDPR = 1, OCEAN = 2 };

static void add_fence(struct deployment *d, const char *name, uint8_t a, uint8_t b)
{
    struct fence *f = deployment_add_fence(d);
    f->name = text_of(name);
    fence_add(f, a);
    fence_add(f, b);
}

static void with_fences(struct deployment *d)
{
    add_fence(d, "gdpr", 1, 2);
    add_fence(d, "ocean", 1, 2);
}

/* The first machine, and what the second would say to it. */
static struct node *n;
static struct peer *peer;
static struct message_hello hello;

static void begin(void)
{
    world_start_as(3, test_seed(), with_fences);
    n = &world.machines[0].node;
    peer = peer_of(0, 1);
    hello = (struct message_hello){ .version = MESSAGE_VERSION };
    agreement_put(&world.machines[1].node, &hello);
}

/* Whether the second may be sent, or sends, what it writes to a fence. */
static bool flows(uint32_t fence)
{
    return !bits_have(peer->barred, origin_of(&world.deployment, 2, fence));
}

static bool is_apart(uint32_t fence)
{
    return bits_have(n->replica.apart, origin_of(&world.deployment, 2, fence));
}

TEST(regions_of_one_configuration_agree)
{
    begin();
    EXPECT_EQ(hello.fence_count, 2);
    agreement_judge(n, peer, &hello);
    EXPECT_TEXT(span_str(peer->differs), "");
    EXPECT(flows(0) && flows(GDPR) && flows(OCEAN));
    EXPECT(memcmp(peer->barred, peer->foreign, sizeof peer->barred) == 0);
    world_end();
}

TEST(a_fence_that_the_peer_has_not_yet_is_kept_from_it)
{
    begin();
    hello.fence_count = 1;
    agreement_judge(n, peer, &hello);
    EXPECT(flows(0) && flows(GDPR) && !flows(OCEAN));
    EXPECT_TEXT(span_str(peer->differs), "the configuration of us-east has no fence ocean");
    agreement_put(n, &hello); /* it has got the file, and is there again */
    agreement_judge(n, peer, &hello);
    EXPECT(flows(OCEAN) && !is_apart(OCEAN));
    EXPECT_TEXT(span_str(peer->differs), "");
    world_end();
}

TEST(a_fence_that_only_the_peer_has_is_one_that_we_may_not_hold)
{
    begin();
    hello.fences[2] = (struct message_fence){ .name = span_str("se\"a"), .members = 6 };
    hello.fence_count = 3;
    vector_set(&hello.applied, stamp_make(5, 0, 2 + 3 * 16));
    n->closed[0] |= 1ull << (2 + 3 * 16); /* what was taken for a region that is gone */
    EXPECT(replica_may_hold(&n->replica, 2 + 3 * 16));
    agreement_judge(n, peer, &hello);
    EXPECT(!replica_may_hold(&n->replica, 2 + 3 * 16));
    EXPECT(!bits_have(n->closed, 2 + 3 * 16));
    EXPECT(bits_have(peer->barred, 1 + 3 * 16) && flows(GDPR) && flows(OCEAN));
    EXPECT_TEXT(span_str(peer->differs), "only the configuration of us-east has fence se?a");
    world_end();
}

TEST(nothing_of_a_fence_goes_to_who_means_another_by_it)
{
    begin();
    hello.fences[0].members |= 1 << 3;
    agreement_judge(n, peer, &hello);
    EXPECT(flows(0) && !flows(GDPR) && flows(OCEAN));
    EXPECT(is_apart(GDPR) && !is_apart(OCEAN) && !is_apart(0));
    EXPECT_TEXT(span_str(peer->differs), "fence gdpr has other members at us-east");
    agreement_put(n, &hello);
    hello.fences[1].digest++;
    agreement_judge(n, peer, &hello);
    EXPECT(flows(GDPR) && !flows(OCEAN) && is_apart(OCEAN) && !is_apart(GDPR));
    EXPECT_TEXT(span_str(peer->differs), "fence ocean has other prefixes, or names of members, at "
                                         "us-east");
    world_end();
}

TEST(fences_in_another_order_are_others)
{
    begin();
    struct message_fence first = hello.fences[0];
    hello.fences[0] = hello.fences[1];
    hello.fences[1] = first;
    agreement_judge(n, peer, &hello);
    EXPECT(flows(0) && !flows(GDPR) && !flows(OCEAN));
    EXPECT_TEXT(span_str(peer->differs), "fence 1 is gdpr here, and ocean at us-east");
    world_end();
}

static void write_to(size_t i, uint32_t fence)
{
    struct replica *r = &world.machines[i].node.replica;
    node_turn(&world.machines[i].node, world.now_us);
    replica_group_begin(r);
    replica_group_fence(r, fence);
    emit_bump(r, 0, span_str(fence != 0 ? "eu:n" : "n"), (struct amount){ .i = 1 });
    replica_group_end(r);
}

TEST(what_one_writes_to_a_fence_does_not_come_to_who_disagrees)
{
    begin();
    connect_all();
    uint8_t origin = origin_of(&world.deployment, 2, GDPR);
    world.machines[1].node.agreement.fences[0].digest++; /* its file is another */
    stop(0, false);
    restart(0, 2, true);
    connect_all();
    write_to(1, GDPR);
    run(2000);
    write_to(1, 0);
    run(10000);
    n = &world.machines[0].node;
    EXPECT(vector_get(&n->replica.last_op, 2) != 0); /* which has seen the other */
    EXPECT_EQ(vector_get(&n->replica.last_op, origin), 0);
    EXPECT_EQ(n->replica.parked_count, 0);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
