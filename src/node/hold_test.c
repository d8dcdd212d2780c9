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

/* What a peer is known to have on disk of the first region's writes. */
static void learn(uint8_t region, stamp_t stamp)
{
    struct vector has;
    vector_copy(&has, &peers_row(&n->matrix, region)->durable);
    vector_raise(&has, stamp);
    n->matrix_changed |= peers_learn(&n->matrix, region, peers_row(&n->matrix, region)->instance,
                                     &has, &has, world.now_us);
}

static stamp_t last_op(uint32_t fence)
{
    return vector_get(&n->replica.last_op, origin_of(&world.deployment, 1, fence));
}

/* The disk has all that was written; nobody else hears of it. */
static void end_turn(void)
{
    struct span records;
    uint64_t end;
    node_turn_end(n);
    while (node_take_log(n, &records, &end))
        node_durable(n, end);
    node_turn(n, ++world.now_us);
}

static void begin_alone(void)
{
    begin();
    stop(0, true);
    ask("SESSION WRITE 1\r\n");
    EXPECT_TEXT(answers(), "+OK\r\n");
}

/* An answer that another region sent, and whose write is not here yet. */
static stamp_t await_write_of(uint8_t region)
{
    stamp_t stamp = stamp_make(world.now_us / 1000 + 1000, 0, region);
    size_t start = s->output.len;
    buffer_put_text(&s->output, "+FAR\r\n");
    hold_until_applied(n, client_of(s), start, stamp);
    return stamp;
}

TEST(acknowledgements_that_came_while_another_answer_was_waited_for_count)
{
    begin_alone();
    stamp_t far = await_write_of(2);
    ask("SET us:k v\r\nSET eu:k v\r\n");
    end_turn();
    learn(2, last_op(EUROPE));
    end_turn();
    learn(3, last_op(AMERICA));
    end_turn();
    EXPECT(!n->matrix_changed && n->holds_applied);
    EXPECT_TEXT(answers(), "");
    vector_raise(&n->replica.applied, far);
    end_turn();
    EXPECT_TEXT(answers(), "+FAR\r\n+OK\r\n+OK\r\n");
    world_end();
}

TEST(a_reply_that_is_held_after_the_matrix_moved_is_compared_with_it_all_the_same)
{
    begin_alone();
    stamp_t far = await_write_of(2);
    learn(2, stamp_make(world.now_us / 1000 + 1000, 0, origin_of(&world.deployment, 1, EUROPE)));
    end_turn();
    EXPECT(!n->matrix_changed);
    ask("SET eu:k v\r\nSET us:k v\r\n");
    end_turn();
    vector_raise(&n->replica.applied, far);
    end_turn();
    EXPECT_TEXT(answers(), "+FAR\r\n+OK\r\n");
    far = await_write_of(2);
    vector_raise(&n->replica.applied, far);
    learn(3, last_op(AMERICA));
    end_turn();
    EXPECT_TEXT(answers(), "+OK\r\n+FAR\r\n");
    EXPECT_EQ(client_of(s)->hold_count, 0);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
