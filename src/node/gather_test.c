/* GATHER in whole nodes: whom it tells, and whom it does not any more. */
#include "node/gather.h"

#include "node/client.h"
#include "node/meeting.h"

#define UNBLOCKED "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

static struct session *open_client(void)
{
    node_turn(node_at(0), world.now_us);
    return node_session_open(node_at(0), NULL, "127.0.0.1:50000", "127.0.0.1:6379");
}

/* In a turn of its own, without its end. */
static void send_text(struct session *s, const char *text)
{
    node_turn(node_at(0), world.now_us);
    node_session_input(node_at(0), s, span_str(text));
}

static void end_turn(void)
{
    node_turn_end(node_at(0));
}

/* What the client may read now, taken away. */
static struct span take_output(struct session *s)
{
    static struct buffer text;
    struct span out = node_session_output(s);
    buffer_clear(&text);
    buffer_put(&text, out);
    node_session_sent(node_at(0), s, out.len);
    return buffer_span(&text);
}

#define EXPECT_OUTPUT(s, text) EXPECT_TEXT(take_output(s), text)

static void unblock(struct session *by, const struct session *whom, const char *how)
{
    char text[100];
    snprintf(text, sizeof(text), "CLIENT UNBLOCK %u %s\r\n", (unsigned)whom->id, how);
    send_text(by, text);
}

static void partition(struct deployment *d)
{
    d->keyspaces[0].mode = KEYSPACE_PARTITIONED;
}

/* Two regions, of which the second does not answer; the first has one key. */
static void start_half(struct session **asker, struct session **other)
{
    world_start_as(2, test_seed(), partition);
    connect_all();
    while (node_must_wait(node_at(0)))
        run(1);
    world.machines[1].dead = true;
    *asker = open_client();
    *other = open_client();
    send_text(*asker, "SET {eu-de}:1 5\r\n");
    end_turn();
    take_output(*asker);
}

/* With 0 milliseconds for the own part: no time passes. */
#define HALF                                                                                       \
    "*10\r\n$6\r\nresult\r\n:1\r\n$7\r\nregions\r\n*1\r\n*3\r\n$5\r\neu-de\r\n:1\r\n:0\r\n"        \
    "$11\r\nunreachable\r\n*1\r\n$7\r\nus-east\r\n$7\r\nskipped\r\n:0\r\n"                         \
    "$8\r\nleft_out\r\n:0\r\n"

TEST(it_waits_for_a_region_until_its_time_is_over)
{
    struct session *asker, *other;
    start_half(&asker, &other);
    send_text(asker, "GATHER count {eu-de}: TIMEOUT 30\r\nPING\r\n");
    end_turn();
    EXPECT_OUTPUT(asker, "");
    EXPECT(asker->waiting);
    EXPECT(node_next_deadline(node_at(0)) <= world.now_us + 30000);
    world.now_us += 30000;
    node_turn(node_at(0), world.now_us);
    end_turn();
    node_turn(node_at(0), world.now_us);
    end_turn();
    EXPECT_OUTPUT(asker, HALF "+PONG\r\n");
    world_end();
}

TEST(who_is_unblocked_with_an_error_is_told_nothing_else)
{
    struct session *asker, *other;
    start_half(&asker, &other);
    send_text(asker, "GATHER count {eu-de}:\r\nPING\r\n");
    end_turn();
    unblock(other, asker, "ERROR");
    end_turn();
    EXPECT_OUTPUT(other, ":1\r\n");
    EXPECT_OUTPUT(asker, UNBLOCKED "+PONG\r\n");
    EXPECT(list_empty(&node_at(0)->gathers));
    world.now_us += 60ull * 1000 * 1000;
    send_text(asker, "PING\r\n");
    end_turn();
    EXPECT_OUTPUT(asker, "+PONG\r\n");
    world_end();
}

TEST(who_is_unblocked_may_ask_anew_at_once)
{
    struct session *asker, *other;
    start_half(&asker, &other);
    send_text(asker, "GATHER count x TIMEOUT 30\r\nGATHER count {eu-de}: TIMEOUT 60\r\nPING\r\n");
    end_turn();
    unblock(other, asker, "ERROR");
    end_turn();
    EXPECT_OUTPUT(asker, UNBLOCKED);
    EXPECT(asker->waiting && asker->gathering);
    world.now_us += 30000;
    node_turn(node_at(0), world.now_us);
    end_turn();
    EXPECT_OUTPUT(asker, ""); /* the first one's time is over, and nobody asks for it */
    EXPECT(asker->waiting);
    world.now_us += 30000;
    node_turn(node_at(0), world.now_us);
    end_turn();
    node_turn(node_at(0), world.now_us);
    end_turn();
    EXPECT_OUTPUT(asker, HALF "+PONG\r\n");
    world_end();
}

TEST(who_is_unblocked_asks_anew_and_leaves_is_forgotten)
{
    struct session *asker, *other;
    start_half(&asker, &other);
    send_text(asker, "GATHER count {eu-de}: TIMEOUT 30\r\nGATHER count {eu-de}: TIMEOUT 60\r\n");
    end_turn();
    unblock(other, asker, "ERROR");
    end_turn();
    node_session_close(node_at(0), asker);
    for (int i = 0; i < 3; i++) {
        world.now_us += 30000;
        node_turn(node_at(0), world.now_us);
        end_turn();
    }
    EXPECT(list_empty(&node_at(0)->gathers));
    send_text(other, "PING\r\n");
    end_turn();
    EXPECT_OUTPUT(other, ":1\r\n+PONG\r\n");
    world_end();
}

TEST(who_is_unblocked_as_if_by_time_is_told_what_was_found)
{
    struct session *asker, *other;
    start_half(&asker, &other);
    send_text(asker, "GATHER count {eu-de}:\r\nPING\r\n");
    end_turn();
    unblock(other, asker, "TIMEOUT");
    end_turn();
    EXPECT_OUTPUT(other, ":1\r\n");
    node_turn(node_at(0), world.now_us);
    end_turn();
    EXPECT_OUTPUT(asker, HALF "+PONG\r\n");
    world_end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
