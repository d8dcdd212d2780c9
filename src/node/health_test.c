/* A node whose checkpoint cannot be read now and then, or is damaged. */
#include "node/health.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/test.h"
#include "core/emit.h"
#include "crdt/resident.h"
#include "env/kv_memory.h"
#include "node/alone.h"

enum { TURN_US = 1000 };

#define UNREADABLE                                                                                 \
    "-ERR a key that this command needs cannot be read from disk (input/output error): see the "   \
    "server's log\r\n"

static struct alone alone;
static struct kv_memory disk;
static struct checkpoint store;
static struct checkpoint_writer writer;
static struct session *client;
static bool disk_fails;

static struct node *node(void)
{
    return &alone.node;
}

static struct database *database(void)
{
    return &node()->replica.databases[0];
}

static int fault(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    (void)call;
    return disk_fails && !write ? E_IO : E_OK;
}

static void end_turn(void)
{
    struct span records;
    uint64_t end_lsn;
    struct checkpoint_write job;
    node_turn_end(node());
    while (node_take_log(node(), &records, &end_lsn))
        node_durable(node(), end_lsn);
    if (node_next_write(node(), &job))
        node_written(node(), checkpoint_write(&writer, &job), writer.problem);
}

static void turn(void)
{
    node_turn(node(), node()->now_us + TURN_US);
    end_turn();
}

/* The line of the node's log that tells of an event; "" when there is none. */
static const char *told(const char *event)
{
    static struct notice notice;
    static char text[sizeof(notice.text)];
    text[0] = '\0';
    while (node_next_notice(node(), &notice)) {
        if (strstr(notice.text, event))
            memcpy(text, notice.text, sizeof(text));
    }
    return text;
}

static bool answers(const char *in, const char *expected)
{
    node_session_sent(node(), client, node_session_output(client).len);
    node_turn(node(), node()->now_us + TURN_US);
    node_session_input(node(), client, span_str(in));
    end_turn();
    for (int i = 0; node_session_output(client).len == 0 && i < 1000; i++)
        turn();
    return test_equal_span(__FILE__, __LINE__, in, "the answer", node_session_output(client),
                           span_str(expected));
}

static void evict(const char *key)
{
    struct entry *e = database_find(database(), span_str(key));
    CHECK(e && resident_may_leave(database(), e));
    resident_evict(database(), e);
}

/* The keys a, b and c, of which a and b are only on disk. */
static void begin(void)
{
    struct checkpoint_found found;
    disk_fails = false;
    alone_init(&alone, 1, "eu-de");
    kv_memory_init(&disk);
    disk.fault = fault;
    CHECK(checkpoint_open(&store, &disk.kv, &found) == E_OK);
    CHECK(node_install(node(), &store, &found) == E_OK);
    checkpoint_writer_init(&writer, &disk.kv);
    node_recovered(node(), 0);
    node_turn(node(), ALONE_START_US);
    turn();
    client = alone_session(&alone);
    EXPECT(answers("MSET a 1 b 2 c 3\r\n", "+OK\r\n"));
    EXPECT(answers("SAVE\r\n", "+OK\r\n"));
    evict("a");
    evict("b");
}

static void end(void)
{
    alone_release(&alone);
    checkpoint_close(&store);
    checkpoint_writer_release(&writer);
    kv_memory_release(&disk);
}

TEST(what_the_disk_does_not_give_this_time_is_refused_and_nothing_else)
{
    begin();
    disk_fails = true;
    EXPECT(answers("GET a\r\n", UNREADABLE));
    EXPECT(strstr(told("ev=checkpoint.unreadable"), "input/output error"));
    EXPECT(answers("INCR a\r\n", UNREADABLE));
    EXPECT(answers("MSET a 5 c 5\r\n", UNREADABLE));
    EXPECT_TEXT(span_str(told("ev=checkpoint")), ""); /* it was told just now */
    EXPECT(answers("INCR c\r\n", ":4\r\n"));
    EXPECT(health_takes_batches(node()) && node()->server.refusal == NULL);
    disk_fails = false;
    EXPECT(answers("INCR a\r\n", ":2\r\n"));
    EXPECT(answers("GET b\r\n", "$1\r\n2\r\n"));
    EXPECT(answers("SAVE\r\n", "+OK\r\n"));
    end();
}

/* As a peer's op is: whether the object can be had is not asked before. */
static void write_unasked(const char *key)
{
    node_turn(node(), node()->now_us + TURN_US);
    replica_group_begin(&node()->replica);
    emit_deadline(&node()->replica, 0, span_str(key), 4102444800000);
    replica_group_end(&node()->replica);
    end_turn();
}

TEST(what_was_written_to_an_unreadable_object_is_in_the_log_until_a_restart)
{
    begin();
    disk_fails = true;
    write_unasked("a");
    EXPECT(strstr(told("ev=checkpoint.behind"), "input/output error"));
    disk_fails = false;
    EXPECT(answers("GET a\r\n", UNREADABLE)); /* what it had before is not what it has now */
    EXPECT(answers("SET a 5\r\n", UNREADABLE));
    EXPECT(answers("GET b\r\n", "$1\r\n2\r\n"));
    EXPECT(answers("SET b 5\r\n", "+OK\r\n"));
    EXPECT(health_takes_batches(node()));
    EXPECT(node()->checkpoint.broken);
    EXPECT(strstr(node()->checkpoint.problem, "input/output error"));
    end();
}

TEST(a_disk_that_gives_nothing_any_more_is_asked_for_no_more_of_peers)
{
    char key[16];
    begin();
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        node_turn(node(), node()->now_us + TURN_US);
        replica_group_begin(&node()->replica);
        emit_string(&node()->replica, 0, span_str(key), span_str("v"), TIME_NONE, 0);
        replica_group_end(&node()->replica);
        end_turn();
    }
    EXPECT(answers("SAVE\r\n", "+OK\r\n"));
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        evict(key);
    }
    disk_fails = true;
    for (int i = 0; i < 1000; i++) {
        EXPECT(health_takes_batches(node()));
        snprintf(key, sizeof(key), "k%d", i);
        write_unasked(key);
    }
    EXPECT(!health_takes_batches(node()));
    end();
}

TEST(damage_ends_all_writes)
{
    begin();
    CHECK(kv_memory_damage(&disk, KV_OBJECTS, 0, 20) &&
          kv_memory_damage(&disk, KV_OBJECTS, 1, 20) && kv_memory_damage(&disk, KV_OBJECTS, 2, 20));
    EXPECT(answers("GET a\r\n", "-ERR a key that this command needs is damaged on disk: see the "
                                "server's log, and run meridian repair\r\n"));
    EXPECT(strstr(told("ev=checkpoint.damaged"), "damaged: the checksum does not match"));
    EXPECT(node()->server.refusal != NULL && !health_takes_batches(node()));
    EXPECT(answers("GET c\r\n", "$1\r\n3\r\n"));
    end();
}

/* How many of the next thousand turns, ten milliseconds apart, find the clock's ceiling too near, on a disk
 * whose writes take so long, each begun when the one before is through. */
static int waits_on_disk(struct alone *a, uint64_t *now_us, uint64_t write_us)
{
    uint64_t staged = 0, writing = 0, done_us = 0;
    int waits = 0;
    for (int i = 0; i < 1000; i++) {
        *now_us += 10 * 1000;
        node_turn(&a->node, *now_us);
        if (writing != 0 && *now_us >= done_us) {
            node_ceiling_durable(&a->node, writing);
            writing = 0;
        }
        waits += node_must_wait(&a->node);
        node_turn_end(&a->node);
        uint64_t wanted = node_want_ceiling(&a->node);
        staged = wanted != 0 ? wanted : staged;
        if (writing == 0 && staged != 0) {
            writing = staged;
            staged = 0;
            done_us = *now_us + write_us;
        }
    }
    return waits;
}

TEST(a_slow_disk_is_asked_for_the_ceiling_further_ahead)
{
    struct alone a;
    uint64_t now_us = ALONE_START_US;
    alone_start(&a, 1, "eu-de");
    a.node.replica.hlc.ceiling_ms = 0;
    EXPECT(waits_on_disk(&a, &now_us, 1000) <= 2);
    EXPECT(waits_on_disk(&a, &now_us, 400 * 1000) <= 150);
    EXPECT_EQ(waits_on_disk(&a, &now_us, 400 * 1000), 0);
    waits_on_disk(&a, &now_us, 3000 * 1000);
    EXPECT_EQ(waits_on_disk(&a, &now_us, 3000 * 1000), 0);
    EXPECT(a.node.replica.hlc.ceiling_ms - now_us / 1000 <= CEILING_AHEAD_MAX_MS);
    alone_release(&a);
}

/* A process that was stopped for minutes while the disk wrote: the next run would wait as long. */
TEST(a_pause_is_not_taken_for_a_slow_disk)
{
    struct alone a;
    uint64_t now_us = ALONE_START_US;
    alone_start(&a, 1, "eu-de");
    a.node.replica.hlc.ceiling_ms = 0;
    EXPECT(waits_on_disk(&a, &now_us, 1000) <= 2);
    uint64_t wanted = 0;
    for (; wanted == 0; now_us += 10 * 1000) {
        node_turn(&a.node, now_us);
        node_turn_end(&a.node);
        wanted = node_want_ceiling(&a.node);
    }
    now_us += 13 * 1000 * 1000;
    node_turn(&a.node, now_us);
    node_ceiling_durable(&a.node, wanted);
    waits_on_disk(&a, &now_us, 1000);
    EXPECT(a.node.replica.hlc.ceiling_ms - now_us / 1000 <= 1000);
    alone_release(&a);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
