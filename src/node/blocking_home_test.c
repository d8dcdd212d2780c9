/* Commands that wait at the home of their key while that moves: a directory's word may change under them. */
#include "node/client.h"
#include "node/meeting.h"

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

static struct session *open_client(size_t i)
{
    node_turn(node_at(i), world.now_us);
    return node_session_open(node_at(i), NULL, "127.0.0.1:50000", "127.0.0.1:6379");
}

static void send_text(size_t i, struct session *s, const char *text)
{
    node_turn(node_at(i), world.now_us);
    node_session_input(node_at(i), s, span_str(text));
}

static bool run_until_output(const struct session *s)
{
    for (int turns = 0; turns < 40000 && node_session_output(s).len == 0; turns++)
        run(1);
    return node_session_output(s).len > 0;
}

/* What the client is told, once that comes; taken away. */
static struct span told(size_t i, struct session *s)
{
    static struct buffer text;

    run_until_output(s);
    struct span out = node_session_output(s);
    buffer_clear(&text);
    buffer_put(&text, out);
    node_session_sent(node_at(i), s, out.len);
    return buffer_span(&text);
}

#define EXPECT_TOLD(i, s, text) EXPECT_TEXT(told(i, s), text)
#define POPPED(key, value)      "*2\r\n$8\r\n" key "\r\n$1\r\n" value "\r\n"
#define NOTHING                 "*-1\r\n"

static void add_carts(struct deployment *d, const char *prefix, enum keyspace_elsewhere elsewhere)
{
    struct keyspace *k = deployment_add_keyspace(d);

    k->prefix = text_of(prefix);
    k->prefix_bytes = strlen(prefix);
    k->mode = KEYSPACE_PARTITIONED;
    k->homes = KEYSPACE_HOMES_DIRECTORY;
    k->directory = text_of("home:");
    k->promises.elsewhere = elsewhere;
    k->promises.ack_timeout_ms = 1000;
}

static void with_carts(struct deployment *d)
{
    add_carts(d, "cart:", KEYSPACE_FORWARD);
    add_carts(d, "look:", KEYSPACE_REDIRECT);
    deployment_finish(d);
}

/* Tag 7 is at home in the first region. */
static void begin(void)
{
    world_start_as(3, test_seed(), with_carts);
    connect_all();
    while (node_must_wait(node_at(0)) || node_must_wait(node_at(1)) || node_must_wait(node_at(2)))
        run(1);
    struct session *s = open_client(0);
    send_text(0, s, "SET home:7 eu-de\r\n");
    EXPECT_TOLD(0, s, "+OK\r\n");
    EXPECT(converge());
}

static void move(size_t from, const char *name)
{
    struct session *s = open_client(from);
    char text[100];

    snprintf(text, sizeof text, "KEYSPACE MOVE cart:{7} %s\r\n", name);
    send_text(from, s, text);
    EXPECT_TOLD(from, s, "+OK\r\n");
    EXPECT(converge());
}

static void push(size_t i, const char *value)
{
    struct session *s = open_client(i);
    char text[100];

    snprintf(text, sizeof text, "RPUSH cart:{7} %s\r\n", value);
    send_text(i, s, text);
    EXPECT_TOLD(i, s, ":1\r\n");
}

/* The newest write of a region. */
static stamp_t last_write(size_t i)
{
    return vector_get(&node_at(i)->replica.last_op, (uint8_t)(i + 1));
}

/* --- where it waits on --- */

TEST(a_command_that_waits_takes_nothing_where_its_key_is_not_at_home_any_more)
{
    begin();
    struct session *waiter = open_client(0);
    send_text(0, waiter, "BLPOP cart:{7} 0\r\nPING\r\n");
    move(0, "us-east");
    stamp_t before = last_write(0);
    push(1, "x");
    EXPECT_TOLD(0, waiter, POPPED("cart:{7}", "x") "+PONG\r\n");
    EXPECT(converge());
    EXPECT_EQ(last_write(0), before);
    EXPECT_EQ(node_at(0)->server.blocking.count, 0);
    world_end();
}

TEST(one_push_serves_one_client_though_its_home_has_moved)
{
    begin();
    struct session *first = open_client(0), *second = open_client(1);
    send_text(0, first, "BLPOP cart:{7} 0\r\n");
    run(200);
    move(0, "us-east");
    send_text(1, second, "BLPOP cart:{7} 0\r\n");
    push(1, "x");
    EXPECT_TOLD(0, first, POPPED("cart:{7}", "x"));
    EXPECT(converge());
    EXPECT_EQ(node_session_output(second).len, 0);
    push(2, "y");
    EXPECT_TOLD(1, second, POPPED("cart:{7}", "y"));
    world_end();
}

TEST(a_home_that_moves_on_and_back_takes_who_waits_with_it)
{
    begin();
    struct session *waiter = open_client(0);
    send_text(0, waiter, "BLMOVE cart:{7} cart:d{7} LEFT RIGHT 0\r\n");
    move(0, "us-east");
    move(1, "ap-jp");
    move(2, "eu-de");
    push(1, "x");
    EXPECT_TOLD(0, waiter, "$1\r\nx\r\n");
    EXPECT(converge());
    EXPECT_EQ(database_size(&node_at(1)->replica.databases[0]), 2);
    world_end();
}

TEST(who_waits_from_a_third_region_is_sent_on)
{
    begin();
    struct session *waiter = open_client(2);
    send_text(2, waiter, "BRPOP cart:{7} 0\r\n");
    while (node_at(0)->server.blocking.count == 0)
        run(1);
    move(0, "us-east");
    stamp_t before = last_write(0);
    push(1, "x");
    EXPECT_TOLD(2, waiter, POPPED("cart:{7}", "x"));
    EXPECT(converge());
    EXPECT_EQ(last_write(0), before);
    world_end();
}

static bool holds(struct span text, const char *word)
{
    size_t len = strlen(word);

    for (size_t at = 0; at + len <= text.len; at++) {
        if (memcmp(text.at + at, word, len) == 0)
            return true;
    }
    return false;
}

/* Any copy may answer a read, unless it is to be strong. */
TEST(readers_that_wait_go_with_the_home_only_when_they_read_strongly)
{
    begin();
    struct session *weak = open_client(0), *strong = open_client(0), *writer = open_client(1);
    send_text(0, weak, "WITH read=local -- XREAD BLOCK 0 STREAMS cart:{7} $\r\n");
    send_text(0, strong, "WITH read=strong -- XREAD BLOCK 60000 STREAMS cart:{7} $\r\n");
    move(0, "us-east");
    EXPECT_EQ(node_at(0)->server.blocking.count, 1);
    send_text(1, writer, "XADD cart:{7} 1-1 f v\r\n");
    struct span answer = told(0, weak);
    EXPECT(holds(answer, "1-1") && holds(answer, "eu-de") && !holds(answer, "us-east"));
    answer = told(0, strong);
    EXPECT(holds(answer, "1-1") && holds(answer, "us-east") && !holds(answer, "eu-de"));
    world_end();
}

/* --- for how long --- */

TEST(what_is_left_of_the_timeout_goes_with_it)
{
    static const char *const waits[] = { "BLPOP cart:{7} 5\r\n", "BZMPOP 5 1 cart:{7} MIN\r\n",
                                         "WITH acks=async -- BLPOP cart:{7} 5\r\n" };
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        begin();
        struct session *waiter = open_client(0);
        uint64_t began_us = world.now_us;
        send_text(0, waiter, waits[i]);
        while (world.now_us < began_us + 3000 * 1000)
            run(1);
        move(0, "us-east");
        EXPECT_EQ(node_session_output(waiter).len, 0);
        struct span answer = told(0, waiter);
        EXPECT(answer.len > 0 && (i == 2 || span_equal(answer, span_str(NOTHING))));
        EXPECT(world.now_us >= began_us + 5000 * 1000);
        EXPECT(world.now_us < began_us + 7000 * 1000);
        world_end();
    }
}

TEST(a_reader_for_a_group_waits_on_at_the_new_home)
{
    begin();
    struct session *waiter = open_client(0), *writer = open_client(1);
    send_text(0, waiter,
              "XGROUP CREATE cart:{7} g $ MKSTREAM\r\n"
              "XREADGROUP GROUP g c BLOCK 60000 STREAMS cart:{7} >\r\n");
    EXPECT_TOLD(0, waiter, "+OK\r\n");
    move(0, "us-east");
    stamp_t before = last_write(0);
    send_text(1, writer, "XADD cart:{7} 1-1 f v\r\n");
    EXPECT_TOLD(
        0, waiter,
        "*1\r\n*2\r\n$8\r\ncart:{7}\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    EXPECT_EQ(last_write(0), before);
    world_end();
}

TEST(who_waits_elsewhere_is_not_idle)
{
    begin();
    for (size_t i = 0; i < world.count; i++)
        node_at(i)->server.settings.timeout_s = 10;
    struct session *waiter = open_client(2);
    uint64_t began_us = world.now_us;
    send_text(2, waiter, "BLPOP cart:{7} 0\r\n");
    while (world.now_us < began_us + 20 * 1000 * 1000)
        run(1);
    EXPECT(!waiter->killed);
    push(1, "x");
    EXPECT_TOLD(2, waiter, POPPED("cart:{7}", "x"));
    world_end();
}

/* --- who is told what --- */

TEST(all_who_wait_go_in_their_order)
{
    begin();
    struct session *first = open_client(0), *second = open_client(0), *third = open_client(0);
    send_text(0, first, "BLPOP cart:{7} 0\r\n");
    send_text(0, second, "BRPOP cart:{7} 0\r\n");
    send_text(0, third, "BLPOP cart:{7} 0\r\n");
    move(0, "us-east");
    while (node_at(1)->server.blocking.count < 3)
        run(1);
    push(1, "x");
    EXPECT_TOLD(0, first, POPPED("cart:{7}", "x"));
    push(1, "y");
    EXPECT_TOLD(0, second, POPPED("cart:{7}", "y"));
    push(1, "z");
    EXPECT_TOLD(0, third, POPPED("cart:{7}", "z"));
    world_end();
}

TEST(keys_of_which_one_moves_away_are_refused_as_keys_of_two_writers)
{
    begin();
    struct session *waiter = open_client(0), *other = open_client(0);
    send_text(0, other, "SET home:8 eu-de\r\n");
    send_text(0, waiter, "BLPOP cart:{8} cart:{7} 0\r\n");
    move(0, "us-east");
    EXPECT_TOLD(0, waiter, "-CROSSSLOT Keys in request are written by different regions\r\n");
    world_end();
}

TEST(with_redirects_who_waits_is_told_where_to_go)
{
    begin();
    struct session *waiter = open_client(0);
    send_text(0, waiter, "BLPOP look:{7} 0\r\nPING\r\n");
    move(0, "us-east");
    struct span answer = told(0, waiter);
    EXPECT(answer.len > 6 && memcmp(answer.at, "-MOVED ", 7) == 0);
    EXPECT(span_equal(span_skip(answer, answer.len - 7), span_str("+PONG\r\n")));
    world_end();
}

TEST(who_waits_is_refused_where_the_new_home_is_not_reached)
{
    begin();
    struct session *waiter = open_client(0), *mover = open_client(0);
    send_text(0, waiter, "BLPOP cart:{7} 0\r\n");
    world.machines[1].dead = true;
    stop(1, false);
    while (forward_reaches(peer_of(0, 1)))
        run(1);
    send_text(0, mover, "KEYSPACE MOVE cart:{7} us-east\r\n");
    struct span answer = told(0, waiter);
    EXPECT(answer.len > 10 && memcmp(answer.at, "-NOWRITER ", 10) == 0);
    world_end();
}

TEST(who_waits_is_refused_when_the_directory_lists_its_key_no_more)
{
    begin();
    struct session *waiter = open_client(0), *other = open_client(0);
    send_text(0, waiter, "BLPOP cart:{7} 0\r\n");
    send_text(0, other, "DEL home:7\r\n");
    EXPECT_TOLD(0, waiter, "-NOWRITER the key has no home: the directory does not list it\r\n");
    world_end();
}

TEST(an_answer_that_is_not_wanted_is_not_wanted_from_the_new_home_either)
{
    begin();
    struct session *waiter = open_client(0);
    send_text(0, waiter, "CLIENT REPLY SKIP\r\nBLPOP cart:{7} 0\r\nPING\r\n");
    move(0, "us-east");
    push(1, "x");
    EXPECT_TOLD(0, waiter, "+PONG\r\n");
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
