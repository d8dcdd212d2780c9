/* A node that is told what its process holds: what it lets leave, whom it lets wait, whom it refuses. The
 * process is a model: so much for itself, so much for each key in memory. */
#include "node/memory.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/test.h"
#include "env/kv_memory.h"
#include "node/alone.h"
#include "node/client.h"
#include "node/health.h"

enum {
    MB = 1 << 20,
    LIMIT_BYTES = 64 * MB,
    OWN_BYTES = 6 * MB,   /* of the process without keys */
    OTHER_BYTES = 2 * MB, /* not allocated */
    KEY_BYTES = 10000,    /* and for each of them */
    VALUE_BYTES = 100,    /* which is less: the test shall not take so much */
    TURN_US = 1000,
};

static struct alone alone;
static struct kv_memory disk;
static struct checkpoint store;
static struct checkpoint_writer writer;
static bool disk_rests; /* nothing is written to it */
static bool keeps_all;  /* freed memory is not given back */
static uint64_t hole_bytes, other_used_bytes;
static uint64_t worst_bytes;

static struct node *node(void)
{
    return &alone.node;
}

static uint64_t resident(void)
{
    return evict_resident_keys(&node()->server);
}

static void give_figures(void)
{
    struct process *p = &node()->server.process;
    p->memory_used_bytes = OWN_BYTES + other_used_bytes + resident() * KEY_BYTES;
    uint64_t held = p->memory_used_bytes + OTHER_BYTES + hole_bytes;
    if (!keeps_all || held > p->memory_rss_bytes)
        p->memory_rss_bytes = held;
    p->memory_samples++;
    p->memory_purges += node()->memory.wants_purge;
    if (p->memory_rss_bytes > worst_bytes)
        worst_bytes = p->memory_rss_bytes;
}

static void begin_turn(void)
{
    give_figures();
    node_turn(node(), node()->now_us + TURN_US);
}

static void end_turn(void)
{
    struct span records;
    uint64_t end_lsn;
    struct checkpoint_write job;
    node_turn_end(node());
    while (node_take_log(node(), &records, &end_lsn))
        node_durable(node(), end_lsn);
    if (!disk_rests && store.kv && node_next_write(node(), &job))
        node_written(node(), checkpoint_write(&writer, &job), writer.problem);
}

static void turns(int count)
{
    for (int i = 0; i < count; i++) {
        begin_turn();
        end_turn();
    }
}

static void prepare(bool with_disk, uint64_t limit_bytes)
{
    struct checkpoint_found found;
    disk_rests = keeps_all = false;
    hole_bytes = other_used_bytes = 0;
    worst_bytes = 0;
    store.kv = NULL;
    alone_init(&alone, 1, "eu-de");
    if (with_disk) {
        kv_memory_init(&disk);
        CHECK(checkpoint_open(&store, &disk.kv, &found) == E_OK);
        CHECK(node_install(node(), &store, &found) == E_OK);
        checkpoint_writer_init(&writer, &disk.kv);
    }
    node()->server.settings.max_memory_bytes = limit_bytes;
}

static void start(bool with_disk)
{
    prepare(with_disk, LIMIT_BYTES);
    node_recovered(node(), 0);
    node_turn(node(), ALONE_START_US);
    turns(1);
}

static void stop(void)
{
    bool with_disk = store.kv != NULL;
    alone_release(&alone);
    if (!with_disk)
        return;
    checkpoint_close(&store);
    checkpoint_writer_release(&writer);
    kv_memory_release(&disk);
}

/* Writes that a client sends at once, but the server takes as it can. */
static void send_writes(struct session *s, int from, int count)
{
    struct buffer in = { 0 };
    for (int i = from; i < from + count; i++)
        buffer_printf(&in, "SET k%d %0*d\r\n", i, VALUE_BYTES, i);
    begin_turn();
    node_session_input(node(), s, buffer_span(&in));
    end_turn();
    buffer_release(&in);
}

static void fill(struct session *s, int count)
{
    for (int i = 0; i < count; i += 100) {
        send_writes(s, i, 100);
        for (int k = 0; s->input.len > 0 && k < 1000; k++)
            turns(1);
    }
}

static bool answers(struct session *s, const char *in, const char *expected)
{
    node_session_sent(node(), s, node_session_output(s).len);
    begin_turn();
    node_session_input(node(), s, span_str(in));
    end_turn();
    for (int i = 0; node_session_output(s).len == 0 && i < 10000; i++)
        turns(1);
    return test_equal_span(__FILE__, __LINE__, in, "the answer", node_session_output(s),
                           span_str(expected));
}

TEST(below_the_line_nothing_leaves)
{
    start(true);
    fill(alone_session(&alone), 2000);
    turns(100);
    EXPECT_EQ(resident(), 2000);
    EXPECT_EQ(node()->server.evict.demoted, 0);
    stop();
}

TEST(more_than_fits_is_written_and_read_within_the_limit)
{
    enum { KEYS = 20000 };
    char in[64], expected[VALUE_BYTES + 32];
    start(true);
    struct session *s = alone_session(&alone);
    fill(s, KEYS);
    EXPECT_EQ(database_size(&node()->replica.databases[0]), KEYS);
    EXPECT(resident() < KEYS / 4);
    for (int i = 0; i < KEYS; i += 97) {
        snprintf(in, sizeof(in), "GET k%d\r\n", i);
        snprintf(expected, sizeof(expected), "$%d\r\n%0*d\r\n", VALUE_BYTES, VALUE_BYTES, i);
        EXPECT(answers(s, in, expected));
    }
    EXPECT(worst_bytes < LIMIT_BYTES - memory_file_bytes(node()));
    stop();
}

TEST(keys_are_on_disk_before_room_is_needed)
{
    start(true);
    fill(alone_session(&alone), 2400); /* four fifths of the way to the line */
    turns(20);
    EXPECT(node()->checkpoint.completed > 0);
    stop();
}

TEST(writes_wait_for_the_disk_and_reads_and_removals_do_not)
{
    start(true);
    struct session *s = alone_session(&alone), *other = alone_session(&alone);
    disk_rests = true;
    for (int i = 0; i < 10000 && s->input.len == 0; i += 100)
        send_writes(s, i, 100);
    EXPECT(s->input.len > 0);
    EXPECT(!node()->server.out_of_memory);
    turns(100);
    EXPECT(s->input.len > 0);
    EXPECT(answers(other, "STRLEN k1\r\n", ":100\r\n"));
    EXPECT(answers(other, "DEL k1\r\n", ":1\r\n"));
    disk_rests = false;
    for (int i = 0; i < 1000 && s->input.len > 0; i++)
        turns(1);
    EXPECT_EQ(s->input.len, 0);
    stop();
}

TEST(where_nothing_can_leave_writes_are_refused)
{
    start(false);
    struct session *s = alone_session(&alone);
    for (int i = 0; i < 10000 && !node()->server.out_of_memory; i += 100) {
        send_writes(s, i, 100);
        turns(60);
    }
    EXPECT(
        answers(s, "SET a 1\r\n", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    EXPECT(answers(s, "FLUSHALL\r\n", "+OK\r\n"));
    turns(300); /* what was freed is given back */
    EXPECT(answers(s, "SET a 1\r\n", "+OK\r\n"));
    stop();
}

TEST(what_many_reads_at_once_bring_in_pushes_others_out)
{
    struct buffer in = { 0 };
    start(true);
    struct session *s = alone_session(&alone);
    fill(s, 12000);
    uint64_t before = resident();
    for (int i = 0; i < 12000; i += 3)
        buffer_printf(&in, "STRLEN k%d\r\n", i);
    node_session_sent(node(), s, node_session_output(s).len);
    begin_turn();
    node_session_input(node(), s, buffer_span(&in));
    EXPECT(evict_fetched_keys(&node()->server) > 2000);
    EXPECT(resident() < before + 300);
    end_turn();
    buffer_release(&in);
    stop();
}

TEST(a_process_over_all_lines_has_no_room_for_batches)
{
    start(true);
    EXPECT(health_has_room_for_batches(node()));
    node()->server.process.memory_used_bytes = LIMIT_BYTES;
    node()->server.process.memory_rss_bytes = LIMIT_BYTES;
    node()->server.process.memory_samples++;
    node_turn(node(), node()->now_us + TURN_US);
    EXPECT(!health_has_room_for_batches(node()));
    end_turn();
    turns(1);
    EXPECT(health_has_room_for_batches(node()));
    stop();
}

/* The worst allocator: it never gives anything back. */
TEST(holes_among_allocations_do_not_drive_everything_out)
{
    enum { KEYS = 12000 };
    start(true);
    keeps_all = true;
    fill(alone_session(&alone), KEYS);
    turns(5000);
    EXPECT_EQ(database_size(&node()->replica.databases[0]), KEYS);
    EXPECT(resident() > 1500); /* half of what there is room for without holes */
    EXPECT(worst_bytes < LIMIT_BYTES - memory_file_bytes(node()));
    stop();
}

/* As after many small keys made room for few large ones: what was given back is used again. */
TEST(keys_stay_in_memory_again_once_the_holes_are_filled)
{
    enum { KEYS = 12000 };
    start(true);
    struct session *s = alone_session(&alone);
    hole_bytes = 16 * MB;
    fill(s, KEYS);
    turns(5000);
    uint64_t before = resident();
    hole_bytes = 0;
    turns(2000);
    fill(s, KEYS);
    EXPECT(resident() > before * 3 / 2);
    stop();
}

TEST(a_keyspace_that_goes_to_disk_makes_writes_wait_and_never_refuses_them)
{
    start(true);
    struct session *s = alone_session(&alone);
    send_writes(s, 0, 100);
    other_used_bytes = 40 * MB; /* no key can help it */
    turns(1000);
    EXPECT_EQ(resident(), 0);
    EXPECT(memory_must_wait(node()));
    EXPECT(!node()->server.out_of_memory);
    other_used_bytes = 0;
    node_session_sent(node(), s, node_session_output(s).len);
    EXPECT(answers(s, "SET a 1\r\n", "+OK\r\n"));
    stop();
}

/* The log of a node without a limit, which has written so many keys. */
static void make_log(struct buffer *log, int keys)
{
    struct span records;
    uint64_t end_lsn;
    prepare(false, 0);
    node_recovered(node(), 0);
    node_turn(node(), ALONE_START_US);
    struct session *s = alone_session(&alone);
    for (int i = 0; i < keys; i += 100) {
        struct buffer in = { 0 };
        begin_turn();
        for (int k = i; k < i + 100; k++)
            buffer_printf(&in, "SET k%d %0*d\r\n", k, VALUE_BYTES, k);
        node_session_input(node(), s, buffer_span(&in));
        node_turn_end(node());
        buffer_release(&in);
        node_session_sent(node(), s, node_session_output(s).len);
        while (node_take_log(node(), &records, &end_lsn)) {
            buffer_put(log, records);
            node_durable(node(), end_lsn);
        }
    }
    stop();
}

static void replay(const struct buffer *log, bool durable)
{
    struct span rest = buffer_span(log);
    struct record record;
    uint64_t lsn = 0;
    size_t need;
    node()->replay_durable = durable;
    node_loading(node(), 0, log->len);
    turns(1);
    while (rest.len > 0) {
        CHECK(record_read(rest, lsn, &record, &need) == RECORD_GOOD);
        for (int i = 0; node_replay_waits(node()) && i < 10000; i++)
            turns(1);
        CHECK(node_replay(node(), &record) == E_OK);
        turns(1);
        lsn += record.bytes;
        rest = span_skip(rest, record.bytes);
    }
    node_recovered(node(), lsn);
    turns(1);
}

TEST(a_replay_of_more_than_fits_stays_within_the_limit)
{
    enum { KEYS = 12000 };
    struct buffer log = { 0 };
    make_log(&log, KEYS);
    for (int durable = 0; durable < 2; durable++) {
        prepare(true, LIMIT_BYTES);
        replay(&log, durable);
        EXPECT_EQ(database_size(&node()->replica.databases[0]), KEYS);
        EXPECT_EQ(node()->checkpoint.completed > 0, durable);
        EXPECT_EQ(worst_bytes < LIMIT_BYTES - memory_file_bytes(node()), durable);
        turns(1000);
        EXPECT(answers(alone_session(&alone), "STRLEN k0\r\n", ":100\r\n"));
        EXPECT(resident() < KEYS / 2);
        stop();
    }
    buffer_release(&log);
}

static int refuse_writes(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    (void)call;
    return write ? E_IO : E_OK;
}

/* Of a disk that takes no checkpoint it must go on all the same: what is in the log has to be applied. */
TEST(a_replay_that_cannot_write_anything_down_goes_on_over_the_limit)
{
    enum { KEYS = 12000 };
    struct buffer log = { 0 };
    make_log(&log, KEYS);
    prepare(true, LIMIT_BYTES);
    disk.fault = refuse_writes;
    replay(&log, true);
    EXPECT_EQ(database_size(&node()->replica.databases[0]), KEYS);
    EXPECT_EQ(node()->checkpoint.completed, 0);
    stop();
    buffer_release(&log);
}

TEST(reads_of_large_keys_wait_for_the_next_turn)
{
    struct buffer in = { 0 };
    start(true);
    struct session *s = alone_session(&alone), *other = alone_session(&alone);
    for (int i = 0; i < 40; i++) {
        buffer_clear(&in);
        buffer_printf(&in, "SETRANGE big%d %d x\r\n", i, MB - 1);
        begin_turn();
        node_session_input(node(), s, buffer_span(&in));
        end_turn();
        turns(50);
    }
    fill(other, 6000);
    turns(2000);
    node_session_sent(node(), s, node_session_output(s).len);
    buffer_clear(&in);
    for (int i = 0; i < 40; i++)
        buffer_printf(&in, "STRLEN big%d\r\n", i);
    int64_t before = evict_moved_bytes(&node()->server);
    begin_turn();
    node_session_input(node(), s, buffer_span(&in));
    EXPECT(evict_moved_bytes(&node()->server) - before < 12 * MB);
    end_turn();
    turns(100);
    EXPECT_EQ(node_session_output(s).len, 40 * strlen(":1048576\r\n"));
    buffer_release(&in);
    stop();
}

TEST(a_flush_of_many_keys_lets_others_in_between)
{
    start(true);
    struct session *s = alone_session(&alone), *other = alone_session(&alone);
    fill(s, 5000);
    node_session_sent(node(), s, node_session_output(s).len);
    begin_turn();
    node_session_input(node(), s, span_str("FLUSHALL\r\nDBSIZE\r\n"));
    EXPECT_EQ(node_session_output(s).len, 0);
    EXPECT_EQ(node_next_deadline(node()), node()->now_us);
    node_session_input(node(), other, span_str("PING\r\n"));
    EXPECT_TEXT(node_session_output(other), "+PONG\r\n");
    end_turn();
    turns(100);
    EXPECT_TEXT(node_session_output(s), "+OK\r\n:0\r\n");
    stop();
}

TEST(after_a_damaged_read_nothing_is_written_or_taken_any_more)
{
    char in[64];
    start(true);
    struct session *s = alone_session(&alone);
    fill(s, 12000);
    turns(1000);
    for (uint64_t row = 0; row < kv_memory_count(&disk, KV_OBJECTS); row++)
        CHECK(kv_memory_damage(&disk, KV_OBJECTS, row, 400));
    begin_turn();
    for (int i = 0; i < 12000 && !node()->server.damaged; i++) {
        snprintf(in, sizeof(in), "STRLEN k%d\r\n", i);
        node_session_input(node(), s, span_str(in));
    }
    end_turn();
    EXPECT(node()->server.damaged);
    EXPECT(node()->server.refusal != NULL);
    EXPECT(strstr(node()->server.refusal, "run meridian repair") != NULL);
    EXPECT(!health_takes_batches(node()));
    EXPECT(node()->checkpoint.broken);
    EXPECT(answers(s, "PING\r\n", "+PONG\r\n"));
    stop();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
