/* Who may connect, and what hostile bytes do. */
#include "node/meeting.h"
#include "wire/message.h"

/* An accepted link that is fed by hand. */
static struct link *stranger(struct endpoint_of **end)
{
    struct connection *c = new_connection();
    c->ends[1].node = 0;
    c->ends[1].link = node_link_open(&world.machines[0].node, NULL, NULL, "127.0.0.1:9");
    *end = &c->ends[1];
    return c->ends[1].link;
}

static struct message_hello good_hello(void)
{
    return (struct message_hello){
        .version = MESSAGE_VERSION,
        .role = ROLE_INTAKE,
        .region = 2,
        .instance = 1,
        .run = 2001,
        .deployment = span_str("shop"),
        .region_name = span_str("us-east"),
    };
}

/* The message at the front; a HELLO that only tells what we know goes before a REFUSED. */
static struct message refusing(struct span output, struct message_hello *told)
{
    struct message m;
    size_t need;
    CHECK(message_read(output, MESSAGE_MAX, &m, &need) == MESSAGE_GOOD);
    if (m.type != MESSAGE_HELLO)
        return m;
    CHECK(message_take_hello(m.body, told) && told->refuses);
    CHECK(message_read(span_skip(output, m.bytes), MESSAGE_MAX, &m, &need) == MESSAGE_GOOD);
    return m;
}

static struct message_hello last_told; /* instance 0: no HELLO went before the refusal */

/* Why a HELLO is refused: what stands in our log, checked to be what the peer gets. "" when it is
 * taken. */
static const char *refusal_of(const struct message_hello *hello)
{
    static char text[200];
    struct node *n = &world.machines[0].node;
    struct endpoint_of *end;
    struct buffer bytes = { 0 };
    struct link *l = stranger(&end);
    message_put_hello(&bytes, hello);
    node_turn(n, world.now_us);
    node_link_input(n, l, buffer_span(&bytes));
    buffer_release(&bytes);
    snprintf(text, sizeof text, "%s", l->why);
    if (l->close) {
        char told[MESSAGE_TEXT_MAX + 1];
        last_told = (struct message_hello){ 0 };
        struct message m = refusing(buffer_span(&l->output), &last_told);
        CHECK(m.type == MESSAGE_REFUSED && message_take_refused(m.body, told));
        CHECK(strcmp(told, text) == 0);
    }
    close_end(end, "test");
    return text;
}

TEST(who_does_not_belong_here_is_refused_with_a_reason)
{
    struct message_hello h;
    world_start(2, test_seed());
    h = good_hello();
    EXPECT_TEXT(span_str(refusal_of(&h)), "");
    h.version = 9;
    EXPECT_TEXT(span_str(refusal_of(&h)), "protocol version 9 against 3: upgrade the older one");
    h = good_hello();
    h.deployment = span_str("ba\nnk");
    EXPECT_TEXT(span_str(refusal_of(&h)),
                "a peer of deployment ba?nk at region eu-de of deployment shop");
    h = good_hello();
    h.region = 1;
    h.region_name = span_str("eu-de");
    h.run = run_of(0, 1);
    EXPECT_TEXT(span_str(refusal_of(&h)),
                "region eu-de reached itself: an address that peers dial is wrong");
    h.run = 9;
    EXPECT_TEXT(span_str(refusal_of(&h)), "a second process of region eu-de");
    h = good_hello();
    h.region = 77;
    EXPECT_TEXT(
        span_str(refusal_of(&h)),
        "region eu-de has no configured region us-east with number 77: the configurations differ");
    h = good_hello();
    h.region_name = span_str("us-west");
    EXPECT_TEXT(
        span_str(refusal_of(&h)),
        "region eu-de has no configured region us-west with number 2: the configurations differ");
    h = good_hello();
    h.role = ROLE_FEED;
    EXPECT_TEXT(span_str(refusal_of(&h)), "a HELLO of the wrong role");
    node_cut(&world.machines[0].node, peer_of(0, 1), true);
    h = good_hello();
    EXPECT_TEXT(span_str(refusal_of(&h)), "cut by LINK CUT");
    h.role = ROLE_INTAKE_HEALING;
    EXPECT_TEXT(span_str(refusal_of(&h)), "");
    world_end();
}

TEST(an_older_run_is_refused_while_a_newer_one_is_connected)
{
    struct message_hello h = good_hello();
    world_start(2, test_seed());
    restart(1, 4, true);
    connect_all();
    h.instance = 3;
    EXPECT_TEXT(span_str(refusal_of(&h)),
                "a second process of region us-east: run 3, while run 4 is connected");
    EXPECT_EQ(last_told.known_instance, 4); /* by which it learns that it is not to write */
    EXPECT(peer_of(0, 1)->feed != NULL);
    world_end();
}

TEST(a_clone_is_refused_while_the_one_met_first_is_connected_and_afterwards)
{
    static const char REFUSAL[] =
        "a clone of us-east: another process was met as run 4; stop it, or "
        "give it a new id and list 2 under closed";
    struct message_hello h = good_hello();
    world_start(2, test_seed());
    restart(1, 4, true);
    connect_all();
    h.instance = 4;
    EXPECT_TEXT(span_str(refusal_of(&h)), REFUSAL);
    EXPECT(peer_of(0, 1)->feed != NULL);
    stop(1, false);
    EXPECT_TEXT(span_str(refusal_of(&h)), REFUSAL);
    EXPECT_EQ(last_told.known_instance, 4);
    EXPECT_EQ(last_told.known_run, run_of(1, 4));
    restart(0, 2, true); /* it is remembered */
    EXPECT_TEXT(span_str(refusal_of(&h)), REFUSAL);
    h.run = run_of(1, 4);
    EXPECT_TEXT(span_str(refusal_of(&h)), "");
    world_end();
}

TEST(a_second_connection_of_a_peer_replaces_the_first)
{
    struct message_hello h = good_hello();
    struct buffer bytes = { 0 };
    struct endpoint_of *end;
    world_start(2, test_seed());
    connect_all();
    struct link *old = peer_of(0, 1)->feed;
    struct link *l = stranger(&end);
    message_put_hello(&bytes, &h);
    node_link_input(&world.machines[0].node, l, buffer_span(&bytes));
    EXPECT(old->close && !l->close);
    EXPECT(peer_of(0, 1)->feed == l);
    close_end(end, "test");
    connect_all();
    buffer_release(&bytes);
    world_end();
}

/* Whether a peer whose HELLO is this one would be asked for its own writes. */
static bool is_doubted(const struct message_hello *hello)
{
    struct endpoint_of *end;
    struct buffer bytes = { 0 };
    struct link *l = stranger(&end);
    message_put_hello(&bytes, hello);
    node_link_input(&world.machines[0].node, l, buffer_span(&bytes));
    CHECK(l->ready);
    bool doubted = l->doubted;
    close_end(end, "test");
    buffer_release(&bytes);
    return doubted;
}

/* What it wrote after it had sent its HELLO came through another region, and before it. */
TEST(a_hello_that_was_overtaken_by_what_its_sender_wrote_is_not_doubted)
{
    struct message_hello h = good_hello();
    world_start(2, test_seed());
    restart(1, 4, true);
    connect_all();
    while (vector_get(&world.machines[0].node.replica.last_op, 2) == 0)
        run_writing(10, 100);
    h.instance = 4;
    h.run = run_of(1, 4);
    EXPECT(!is_doubted(&h));
    h.instance = 5; /* but a later run has what an earlier one had written */
    h.run = run_of(1, 5);
    EXPECT(is_doubted(&h));
    world_end();
}

/* One write of a machine that meets nobody, as a batch. */
static struct span written_at(size_t i)
{
    struct replica *r = &world.machines[i].node.replica;
    struct record record;
    size_t need;
    node_turn(&world.machines[i].node, world.now_us);
    uint64_t lsn = r->log_end;
    replica_group_begin(r);
    emit_string(r, 0, span_str("k"), span_str("v"), TIME_NONE, 0);
    replica_group_end(r);
    replica_seal(r);
    CHECK(record_read(span_skip(buffer_span(&r->log_out), (size_t)lsn), lsn, &record, &need) ==
          RECORD_GOOD);
    return record.payload;
}

/* A batch that waits for what its sender had seen may be the newest that is left of it. */
TEST(a_hello_tells_of_writes_that_are_parked)
{
    struct message_hello h = good_hello(), told;
    struct buffer bytes = { 0 };
    struct endpoint_of *end;
    struct message m;
    size_t need;
    world_start(3, test_seed());
    struct replica *replicas[3];
    for (size_t i = 0; i < 3; i++) {
        node_turn(&world.machines[i].node, world.now_us);
        replicas[i] = &world.machines[i].node.replica;
    }
    CHECK(replica_receive(replicas[1], written_at(2)) == RECEIVE_APPLIED);
    EXPECT_EQ(replica_receive(replicas[0], written_at(1)), RECEIVE_PARKED);
    struct link *l = stranger(&end);
    message_put_hello(&bytes, &h);
    node_link_input(&world.machines[0].node, l, buffer_span(&bytes));
    CHECK(message_read(buffer_span(&l->output), MESSAGE_MAX, &m, &need) == MESSAGE_GOOD);
    EXPECT(message_take_hello(m.body, &told));
    EXPECT_EQ(vector_get(&replicas[0]->last_op, 2), 0);
    EXPECT_EQ(vector_get(&told.last_op, 2), vector_get(&replicas[1]->last_op, 2));
    close_end(end, "test");
    buffer_release(&bytes);
    world_end();
}

/* Bytes of a real conversation, changed; every variant is taken or the link is closed, and the rest
 * goes on. */
TEST(hostile_bytes_close_their_link_and_nothing_else)
{
    struct prng rng;
    struct buffer talk = { 0 };
    struct message_hello h = good_hello();
    struct message_subscribe s = { .origins = { 2 } };
    prng_seed(&rng, test_seed());
    message_put_hello(&talk, &h);
    size_t hello_bytes = talk.len;
    message_put_subscribe(&talk, &s);
    message_put_ping(&talk, 1);
    message_put_fault(&talk, &(struct message_fault){ FAULT_SLOW, 1, 2, 0 });
    size_t place = message_begin(&talk, MESSAGE_VECTOR);
    buffer_put_varint(&talk, 0);
    message_end(&talk, place);
    world_start(3, test_seed());
    run_writing(200, 100);
    for (int round = 0; round < 500; round++) {
        struct endpoint_of *end;
        struct link *l = stranger(&end);
        uint8_t *copy = mem_alloc(talk.len);
        memcpy(copy, talk.at, talk.len);
        size_t from = prng_chance(&rng, 700000) ? hello_bytes : 0, at = 0;
        for (uint64_t i = 1 + prng_below(&rng, 3); i > 0 || memcmp(copy, talk.at, talk.len) == 0;
             i -= i > 0)
            copy[from + prng_below(&rng, talk.len - from)] ^= (uint8_t)(1 + prng_below(&rng, 255));
        while (at < talk.len) {
            size_t piece = 1 + (size_t)prng_below(&rng, talk.len - at);
            node_link_input(&world.machines[0].node, l, span_of(copy + at, piece));
            at += piece;
        }
        EXPECT(l->close || l->input.len > 0);
        mem_free(copy);
        close_end(end, "test");
        run(3);
    }
    EXPECT(converge());
    buffer_release(&talk);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
