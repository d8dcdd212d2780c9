/* Replies that wait for other regions. */
#include "node/hold.h"

#include "node/client.h"
#include "node/meeting.h"
#include "policy/origin.h"

enum { EUROPE = 1, AMERICA = 2 };

static void add_fence(struct deployment *d, const char *name, uint8_t other)
{
    struct fence *f = deployment_add_fence(d);
    struct keyspace *k = deployment_add_keyspace(d);
    f->name = text_of(name);
    fence_add(f, 1);
    fence_add(f, other);
    k->prefix = text_of(name);
    k->prefix_bytes = strlen(name);
    k->fence = (uint32_t)d->fence_count - 1;
}

/* The first region shares one fence with each of the others. */
static void with_fences(struct deployment *d)
{
    add_fence(d, "eu:", 2);
    add_fence(d, "us:", 3);
    deployment_finish(d);
}

static struct node *n;
static struct session *s;

static void begin(void)
{
    world_start_as(3, test_seed(), with_fences);
    connect_all();
    n = &world.machines[0].node;
    while (node_must_wait(n))
        run(1);
    node_turn(n, world.now_us);
    s = node_session_open(n, NULL, "127.0.0.1:50000", "127.0.0.1:6379");
}

static void ask(const char *commands)
{
    node_session_input(n, s, span_str(commands));
}

/* What may go now. */
static struct span answers(void)
{
    static struct buffer text;
    buffer_clear(&text);
    buffer_put(&text, node_session_output(s));
    node_session_sent(n, s, text.len);
    return buffer_span(&text);
}

/* The newest write to a fence of the first region that a peer knows to be waited for. */
static stamp_t wanted_of(size_t peer, uint32_t fence)
{
    return vector_get(&world.machines[peer].node.wanted, origin_of(&world.deployment, 1, fence));
}

TEST(who_is_to_acknowledge_a_write_to_one_fence_is_told_though_another_has_newer_ones)
{
    begin();
    ask("SESSION WRITE 1\r\nSET eu:k v\r\nSET us:k v\r\n");
    node_turn_end(n);
    EXPECT_TEXT(answers(), "+OK\r\n");
    stamp_t last[3];
    for (uint32_t fence = EUROPE; fence <= AMERICA; fence++)
        last[fence] = vector_get(&n->replica.last_op, origin_of(&world.deployment, 1, fence));
    for (int turns = 0; turns < 100000 && client_of(s)->hold_count > 0; turns++)
        run(1);
    EXPECT_TEXT(answers(), "+OK\r\n+OK\r\n");
    EXPECT_EQ(wanted_of(1, EUROPE), last[EUROPE]);
    EXPECT_EQ(wanted_of(2, AMERICA), last[AMERICA]);
    EXPECT_EQ(wanted_of(2, EUROPE), 0);
    EXPECT_EQ(wanted_of(1, AMERICA), 0);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
