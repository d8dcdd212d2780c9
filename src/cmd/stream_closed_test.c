/*
 * Streams that several regions write: what is refused, and what `streams: closed` keeps from
 * readers until nothing earlier can come.
 */
#include "cmd/stream_wake.h"
#include "cmd/waiter_trial.h"
#include "wire/record.h"

/* Another region, whose batches come when the test says so. */
static struct replica peer;
static struct buffer on_the_way; /* its records */

static void open_regions(enum keyspace_streams streams)
{
    static const uint8_t writers[] = { 1, 2 };
    struct replica_options options = {
        .region = 2,
        .instance = 1,
        .max_skew_ms = 500,
        .park_max_bytes = 1 << 20,
        .writers = writers,
        .writer_count = COUNT_OF(writers),
    };

    open_clients();
    world.replica.options.writers = writers;
    world.replica.options.writer_count = COUNT_OF(writers);
    world.server.keyspaces[0].promises.streams = streams;
    replica_init(&peer, &options);
    replica_recovered(&peer, 0);
    hlc_raise_ceiling(&peer.hlc, UINT64_C(1) << 40);
}

static void close_regions(void)
{
    replica_release(&peer);
    buffer_release(&on_the_way);
    close_clients();
}

static void peer_seals(void)
{
    replica_durable(&peer, replica_seal(&peer));
    buffer_put(&on_the_way, buffer_span(&peer.log_out));
    buffer_clear(&peer.log_out);
}

static void peer_adds(const char *value)
{
    struct buffer fields = { 0 };

    buffer_put_varint(&fields, 1);
    buffer_put_prefixed(&fields, span_str("f"));
    buffer_put_prefixed(&fields, span_str(value));
    replica_turn(&peer, world.now_ms);
    replica_group_begin(&peer);
    emit_stream_add(&peer, 0, span_str("x"), (struct stream_id){ 0 }, buffer_span(&fields));
    replica_group_end(&peer);
    peer_seals();
    buffer_release(&fields);
}

/* As the node's turn ends. */
static void end_turn(void)
{
    stream_wake_moved(&world.server);
    serve();
}

static void deliver(struct span batch)
{
    CHECK(replica_receive(&world.replica, batch) == RECEIVE_APPLIED);
    end_turn();
}

static void hear_peer(void)
{
    struct span in = buffer_span(&on_the_way);
    uint64_t place = peer.log_end - in.len;
    struct record record;
    size_t need;

    for (; in.len > 0; in = span_skip(in, record.bytes)) {
        CHECK(record_read(in, place, &record, &need) == RECORD_GOOD);
        deliver(record.payload);
        place += record.bytes;
    }
    buffer_clear(&on_the_way);
}

static void peer_is_quiet(void)
{
    struct buffer heartbeat = { 0 };

    hear_peer();
    replica_turn(&peer, world.now_ms);
    CHECK(replica_heartbeat(&peer, peer.options.region, &heartbeat));
    deliver(buffer_span(&heartbeat));
    buffer_release(&heartbeat);
}

#define NEEDS_ONE_WRITER(what)                                                                     \
    "-ERR " what " needs a keyspace in which one region writes: here 2 regions write at once"

/* --- what is refused --- */

TEST(what_needs_one_writer_is_refused_where_several_write)
{
    open_regions(KEYSPACE_STREAMS_LATEST);
    EXPECT_REPLY("XADD x * f v", "\"1000000-1\"");
    EXPECT_REPLY("XADD x 5000000-1 f v", NEEDS_ONE_WRITER("XADD with an explicit id"));
    EXPECT_REPLY("XADD x 5000000-* f v", NEEDS_ONE_WRITER("XADD with an explicit id"));
    EXPECT_REPLY("XSETID x 5000000-1", NEEDS_ONE_WRITER("XSETID"));
    EXPECT_REPLY("XGROUP CREATE x g 0", NEEDS_ONE_WRITER("XGROUP"));
    EXPECT_REPLY("XGROUP DESTROY x g", NEEDS_ONE_WRITER("XGROUP"));
    EXPECT_REPLY("XREADGROUP GROUP g c STREAMS x >", NEEDS_ONE_WRITER("XREADGROUP"));
    EXPECT_REPLY("XACK x g 1", NEEDS_ONE_WRITER("XACK"));
    EXPECT_REPLY("XCLAIM x g c 0 1", NEEDS_ONE_WRITER("XCLAIM"));
    EXPECT_REPLY("XAUTOCLAIM x g c 0 0", NEEDS_ONE_WRITER("XAUTOCLAIM"));
    EXPECT_REPLY("XPENDING x g", "-NOGROUP No such key 'x' or consumer group 'g'");
    EXPECT_REPLY("XINFO GROUPS x", "[]");
    EXPECT_REPLY("XLEN x", "1");
    close_regions();
}

TEST(without_metadata_a_stream_is_its_entries)
{
    open_regions(KEYSPACE_STREAMS_LATEST);
    EXPECT_REPLY("XADD x * f v", "\"1000000-1\"");
    EXPECT_REPLY("XADD x * f v", "\"1000000-257\"");
    EXPECT_REPLY("XDEL x 1000000-1", "1");
    EXPECT_REPLY("XINFO STREAM x",
                 "[\"length\" 1 \"radix-tree-keys\" 1 \"radix-tree-nodes\" 2 "
                 "\"last-generated-id\" \"1000000-257\" \"max-deleted-entry-id\" \"0-0\" "
                 "\"entries-added\" 1 \"recorded-first-entry-id\" \"1000000-257\" \"groups\" 0 "
                 "\"first-entry\" [\"1000000-257\" [\"f\" \"v\"]] "
                 "\"last-entry\" [\"1000000-257\" [\"f\" \"v\"]]]");
    EXPECT_REPLY("XTRIM x MAXLEN 0", "1");
    EXPECT_REPLY("EXISTS x", "0");
    close_regions();
}

/* --- closed --- */

TEST(a_reader_of_the_latest_can_pass_an_entry_that_comes_late)
{
    open_regions(KEYSPACE_STREAMS_LATEST);
    turn(1);
    peer_adds("late");
    turn(1);
    EXPECT_REPLY("XADD x * f own", "\"1000002-1\"");
    EXPECT_REPLY("XREAD STREAMS x 0", "[[\"x\" [[\"1000002-1\" [\"f\" \"own\"]]]]]");
    hear_peer();
    EXPECT_REPLY("XREAD STREAMS x 1000002-1", "nil-array");
    EXPECT_REPLY("XLEN x", "2");
    close_regions();
}

TEST(a_closed_stream_shows_an_entry_when_nothing_can_come_before_it)
{
    open_regions(KEYSPACE_STREAMS_CLOSED);
    turn(1);
    peer_adds("late");
    turn(1);
    EXPECT_REPLY("XADD x * f own", "\"1000002-1\"");
    EXPECT_REPLY("XREAD STREAMS x 0", "nil-array");
    EXPECT_REPLY("XLEN x", "0");
    EXPECT_REPLY("XRANGE x - +", "[]");
    EXPECT_REPLY("EXISTS x", "1");
    hear_peer(); /* up to its own entry */
    EXPECT_REPLY("XREAD STREAMS x 0", "[[\"x\" [[\"1000001-2\" [\"f\" \"late\"]]]]]");
    EXPECT_REPLY("XREVRANGE x + -", "[[\"1000001-2\" [\"f\" \"late\"]]]");
    EXPECT_REPLY("XLEN x", "1");
    turn(5);
    peer_is_quiet();
    EXPECT_REPLY("XREAD STREAMS x 1000001-2", "[[\"x\" [[\"1000002-1\" [\"f\" \"own\"]]]]]");
    EXPECT_REPLY("XLEN x", "2");
    close_regions();
}

TEST(writes_to_a_closed_stream_go_by_all_entries)
{
    open_regions(KEYSPACE_STREAMS_CLOSED);
    EXPECT_REPLY("XADD x * f a", "\"1000000-1\"");
    EXPECT_REPLY("XADD x * f b", "\"1000000-257\"");
    EXPECT_REPLY("XLEN x", "0");
    EXPECT_REPLY("XTRIM x MAXLEN 1", "1");
    EXPECT_REPLY("XDEL x 1000000-257", "1");
    EXPECT_REPLY("EXISTS x", "0");
    close_regions();
}

TEST(who_waits_for_a_closed_stream_is_served_when_its_entry_comes_into_sight)
{
    open_regions(KEYSPACE_STREAMS_CLOSED);
    turn(1);
    peer_is_quiet();
    ask(0, "XREAD BLOCK 0 STREAMS x y $ $");
    EXPECT_REPLY("XADD x * f own", "\"1000001-1\"");
    end_turn();
    EXPECT_WAITS(0);
    turn(1);
    peer_is_quiet();
    EXPECT_ANSWER(0, "[[\"x\" [[\"1000001-1\" [\"f\" \"own\"]]]]]");
    EXPECT(clients[0].blocked == NULL);
    turn(1);
    peer_is_quiet(); /* forgets the keys */
    close_regions();
}

TEST(who_waits_is_served_when_the_keyspace_is_opened)
{
    open_regions(KEYSPACE_STREAMS_CLOSED);
    ask(0, "XREAD BLOCK 0 STREAMS x 0");
    EXPECT_REPLY("XADD x * f own", "\"1000000-1\"");
    end_turn();
    EXPECT_WAITS(0);
    world.server.keyspaces[0].promises.streams = KEYSPACE_STREAMS_LATEST;
    end_turn();
    EXPECT_ANSWER(0, "[[\"x\" [[\"1000000-1\" [\"f\" \"own\"]]]]]");
    close_regions();
}

/* However the batches come, a reader that asks for what is after its last entry sees all. */
TEST(a_reader_of_a_closed_stream_misses_nothing)
{
    struct prng p;
    struct span text = { 0 };
    char last[64] = "0", line[128];
    uint64_t added = 0, seen = 0;

    prng_seed(&p, test_seed());
    open_regions(KEYSPACE_STREAMS_CLOSED);
    for (int i = 0; i < 500; i++) {
        turn(prng_below(&p, 3));
        uint64_t what = prng_below(&p, 6);
        bool last_time = i == 499;
        if (what < 2)
            execute("XADD x * f own");
        else if (what < 4)
            peer_adds("peer");
        added += what < 4;
        if (what == 4)
            hear_peer();
        if (what == 5 || last_time) {
            turn(1);
            peer_is_quiet();
        }
        snprintf(line, sizeof(line), "XRANGE x (%s +", last);
        execute(line);
        text = reply_text(false);
        for (size_t at = 0; at + 3 < text.len; at++) {
            if (memcmp(text.at + at, "[\"1", 3) != 0)
                continue;
            const uint8_t *id = text.at + at + 2, *end = memchr(id, '"', 60);
            snprintf(last, sizeof(last), "%.*s", (int)(end - id), (const char *)id);
            seen++;
        }
    }
    EXPECT_EQ(seen, added);
    close_regions();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
