/* Clients that wait for keys, in whole nodes: turns, durability, other regions. */
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

/* In a turn of its own, without its end. */
static void send_text(size_t i, struct session *s, const char *text)
{
    node_turn(node_at(i), world.now_us);
    node_session_input(node_at(i), s, span_str(text));
}

/* What the client may read now, taken away. */
static struct span take_output(size_t i, struct session *s)
{
    static struct buffer text;
    struct span out = node_session_output(s);
    buffer_clear(&text);
    buffer_put(&text, out);
    node_session_sent(node_at(i), s, out.len);
    return buffer_span(&text);
}

#define EXPECT_OUTPUT(i, s, text) EXPECT_TEXT(take_output(i, s), text)
#define POPPED_X                  "*2\r\n$1\r\nl\r\n$1\r\nx\r\n"

TEST(the_answer_and_what_the_client_sent_after_it_come_in_the_turn_of_the_push)
{
    world_start(1, test_seed());
    struct session *waiter = open_client(0), *pusher = open_client(0);
    send_text(0, waiter, "BLPOP l 0\r\nSET k v\r\nGET k\r\n");
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, waiter, "");
    send_text(0, waiter, "PING\r\n");
    send_text(0, pusher, "RPUSH l x y\r\nLLEN l\r\n");
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, pusher, ":2\r\n:1\r\n"); /* it was served between the two */
    EXPECT_OUTPUT(0, waiter, POPPED_X "+OK\r\n$1\r\nv\r\n+PONG\r\n");
    bool dirty = false;
    for (struct session *s; (s = node_next_dirty_session(node_at(0)));)
        dirty |= s == waiter;
    EXPECT(dirty);
    world_end();
}

TEST(what_follows_an_answer_may_serve_others_in_the_next_turn)
{
    world_start(1, test_seed());
    struct session *first = open_client(0), *second = open_client(0), *pusher = open_client(0);
    send_text(0, second, "BLPOP m 0\r\nRPUSH n z\r\n");
    send_text(0, first, "BLPOP l 0\r\nRPUSH m y\r\nBLPOP n 0\r\n");
    send_text(0, pusher, "RPUSH l x\r\n");
    for (int turns = 0; turns < 4; turns++) {
        node_turn_end(node_at(0));
        node_turn(node_at(0), world.now_us);
    }
    EXPECT_OUTPUT(0, first, POPPED_X ":1\r\n*2\r\n$1\r\nn\r\n$1\r\nz\r\n");
    EXPECT_OUTPUT(0, second, "*2\r\n$1\r\nm\r\n$1\r\ny\r\n:1\r\n");
    world_end();
}

TEST(the_node_wakes_for_a_timeout)
{
    world_start(1, test_seed());
    struct session *s = open_client(0);
    node_turn_end(node_at(0));
    send_text(0, s, "BLPOP l 0.03\r\nPING\r\n");
    node_turn_end(node_at(0));
    EXPECT(node_next_deadline(node_at(0)) <= world.now_us + 30 * 1000);
    node_turn(node_at(0), world.now_us + 29999);
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, s, "");
    node_turn(node_at(0), world.now_us + 30000);
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, s, "*-1\r\n+PONG\r\n");
    world_end();
}

TEST(an_answer_that_took_something_waits_for_the_disk_as_any_write)
{
    world_start(1, test_seed());
    struct node *n = node_at(0);
    n->server.settings.fsync = FSYNC_ALWAYS;
    struct session *waiter = open_client(0), *pusher = open_client(0);
    struct span records;
    uint64_t end;
    send_text(0, waiter, "PING\r\nBLPOP l 0\r\nPING\r\n");
    node_turn_end(n);
    EXPECT_OUTPUT(0, waiter, "+PONG\r\n");
    send_text(0, pusher, "RPUSH l x\r\n");
    node_turn_end(n);
    EXPECT_OUTPUT(0, waiter, "");
    EXPECT_OUTPUT(0, pusher, "");
    EXPECT(node_take_log(n, &records, &end));
    node_turn(n, world.now_us);
    node_durable(n, end);
    node_turn_end(n);
    EXPECT_OUTPUT(0, waiter, POPPED_X "+PONG\r\n");
    EXPECT_OUTPUT(0, pusher, ":1\r\n");
    world_end();
}

TEST(a_timeout_is_answered_whatever_the_disk_does)
{
    world_start(1, test_seed());
    node_at(0)->server.settings.fsync = FSYNC_ALWAYS;
    struct session *s = open_client(0);
    send_text(0, s, "BLPOP l 0.01\r\n");
    node_turn(node_at(0), world.now_us + 20000);
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, s, "*-1\r\n");
    world_end();
}

TEST(while_the_clock_is_not_judged_nothing_is_taken)
{
    world_start(1, test_seed());
    struct node *n = node_at(0);
    struct session *s = open_client(0);
    struct span value = span_str("x");
    send_text(0, s, "BLPOP l 0\r\n");
    replica_group_begin(&n->replica);
    EXPECT(emit_list_insert(&n->replica, 0, span_str("l"), 0, true, &value, 1));
    replica_group_end(&n->replica);
    n->clock_judged = false;
    node_turn_end(n);
    EXPECT_OUTPUT(0, s, "");
    EXPECT(node_next_deadline(n) <= world.now_us + 10 * 1000); /* it looks again soon */
    node_turn(n, world.now_us + 1000);
    EXPECT(!node_must_wait(n));
    node_turn_end(n);
    EXPECT_OUTPUT(0, s, POPPED_X);
    world_end();
}

TEST(idle_clients_that_wait_are_not_closed)
{
    world_start(1, test_seed());
    struct node *n = node_at(0);
    n->server.settings.timeout_s = 10;
    struct session *waiter = open_client(0), *idle = open_client(0), *pusher = open_client(0);
    send_text(0, waiter, "BLPOP l 0\r\n");
    world.now_us += 60 * 1000 * 1000;
    send_text(0, pusher, "PING\r\n");
    node_turn_end(n);
    EXPECT(idle->killed);
    EXPECT(!waiter->killed);
    send_text(0, pusher, "RPUSH l x\r\n");
    node_turn_end(n);
    world.now_us += 1000 * 1000;
    node_turn(n, world.now_us);
    node_turn_end(n);
    EXPECT(!waiter->killed);
    EXPECT_OUTPUT(0, waiter, POPPED_X);
    world_end();
}

TEST(client_unblock_ends_a_wait_for_regions_too)
{
    world_start(2, test_seed());
    connect_all();
    while (node_must_wait(node_at(0)))
        run(1);
    char text[100];
    struct session *waiter = open_client(0), *other = open_client(0);
    snprintf(text, sizeof(text), "CLIENT UNBLOCK %u\r\n", (unsigned)waiter->id);
    send_text(0, waiter, "SET k v\r\nWAIT 5 0\r\n");
    EXPECT(waiter->waiting);
    send_text(0, other, text);
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, other, ":1\r\n");
    EXPECT_OUTPUT(0, waiter, "+OK\r\n:0\r\n");
    snprintf(text, sizeof(text), "CLIENT UNBLOCK %u ERROR\r\n", (unsigned)waiter->id);
    send_text(0, waiter, "WAIT 5 0\r\nPING\r\n");
    send_text(0, other, text);
    node_turn_end(node_at(0));
    EXPECT_OUTPUT(0, waiter, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n");
    world_end();
}

/* --- other regions --- */

static bool run_until_output(const struct session *s)
{
    for (int turns = 0; turns < 20000 && node_session_output(s).len == 0; turns++)
        run(1);
    return node_session_output(s).len > 0;
}

TEST(a_push_in_another_region_serves)
{
    world_start(3, test_seed());
    connect_all();
    struct session *waiter = open_client(0), *pusher = open_client(2);
    send_text(0, waiter, "BLPOP l 0\r\n");
    send_text(2, pusher, "RPUSH l x\r\n");
    EXPECT(run_until_output(waiter));
    EXPECT_OUTPUT(0, waiter, POPPED_X);
    EXPECT(converge());
    EXPECT_EQ(database_size(&node_at(1)->replica.databases[0]), 0);
    world_end();
}

TEST(a_group_of_another_region_serves_when_it_is_whole)
{
    world_start(2, test_seed());
    connect_all();
    struct session *waiter = open_client(0), *pusher = open_client(1);
    send_text(0, waiter, "BLPOP l 0\r\n");
    send_text(1, pusher, "MULTI\r\nRPUSH l a\r\nLPOP l\r\nRPUSH l y\r\nLPUSH l x\r\nEXEC\r\n");
    EXPECT(run_until_output(waiter));
    EXPECT_OUTPUT(0, waiter, POPPED_X);
    EXPECT(converge());
    world_end();
}

TEST(one_push_may_serve_a_client_in_each_region_and_the_element_is_gone)
{
    world_start(2, test_seed());
    connect_all();
    struct session *here = open_client(0), *there = open_client(1), *pusher = open_client(0);
    send_text(0, here, "BLPOP l 0\r\n");
    send_text(1, there, "BLMOVE l done LEFT RIGHT 0\r\n");
    send_text(0, pusher, "RPUSH l x\r\n");
    EXPECT(run_until_output(here));
    EXPECT_OUTPUT(0, here, POPPED_X);
    EXPECT(converge());
    EXPECT(database_find(&node_at(1)->replica.databases[0], span_str("l")) == NULL);
    world_end();
}

TEST(a_client_that_leaves_while_it_waits_is_forgotten)
{
    world_start(2, test_seed());
    connect_all();
    struct session *waiter = open_client(0), *next = open_client(0), *pusher = open_client(1);
    send_text(0, waiter, "BLPOP l 0\r\n");
    send_text(0, next, "BLPOP l 0\r\n");
    node_session_close(node_at(0), waiter);
    send_text(1, pusher, "RPUSH l x\r\n");
    EXPECT(run_until_output(next));
    EXPECT_OUTPUT(0, next, POPPED_X);
    EXPECT_EQ(node_at(0)->server.blocking.count, 0);
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
