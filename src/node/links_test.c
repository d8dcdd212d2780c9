/*
 * Whole nodes joined by byte pipes: random chunks, random order, slow disks, lost connections, cuts. No clients: writes are
 * emitted straight into the replicas.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "core/emit.h"
#include "node/faults.h"
#include "node/node.h"
#include "wire/message.h"

enum { NODES_MAX = 3, CONNECTIONS_MAX = 64, START_US = 1000 * 1000 * 1000 };

/* One end of a connection: the link there, and the bytes on their way to it. */
struct endpoint_of {
    size_t node;
    struct link *link;          /* NULL: not open yet, or gone */
    struct buffer inbox;
    bool hung_up;               /* the other end has closed: what is in the inbox still comes */
};

struct connection {
    struct endpoint_of ends[2]; /* [0] dialled */
    bool used;
};

struct machine {
    struct node node;
    struct buffer disk;         /* the log as written */
    uint64_t synced, written;
    bool dead;                  /* its process is stopped: nothing goes in or out */
    bool slow_reader;           /* takes next to nothing from its links */
};

static struct world {
    struct deployment deployment;
    struct machine machines[NODES_MAX];
    size_t count;
    struct connection connections[CONNECTIONS_MAX];
    struct prng rng;
    uint64_t now_us;
    size_t output_max;          /* the longest output of a link ever */
    uint64_t reads;             /* from disk */
    char last_warning[400];
} world;

static const char *const names[NODES_MAX] = { "eu-de", "us-east", "ap-jp" };

static char *text_of(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(mem_alloc(len), text, len);
}

static void machine_start(size_t i, uint64_t instance)
{
    struct machine *m = &world.machines[i];
    node_init(&m->node, &(struct node_options){
                            .deployment = &world.deployment,
                            .self = &world.deployment.regions[i],
                            .instance = instance,
                            .seed = prng_next(&world.rng),
                            .faults = true,
                            .fsync = FSYNC_NO,
                        });
    hlc_raise_ceiling(&m->node.replica.hlc, world.now_us / 1000 + 1000000);
}

static void world_end(void)
{
    for (size_t i = 0; i < world.count; i++) {
        node_release(&world.machines[i].node);
        buffer_release(&world.machines[i].disk);
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        for (int e = 0; e < 2; e++)
            buffer_release(&world.connections[i].ends[e].inbox);
    }
    deployment_release(&world.deployment);
    world = (struct world){ .count = 0 };
}

static void world_start(size_t count, uint64_t seed)
{
    world_end();                        /* of a case that failed */
    world = (struct world){ .count = count, .now_us = START_US };
    prng_seed(&world.rng, seed);
    deployment_init(&world.deployment);
    world.deployment.name = text_of("shop");
    for (size_t i = 0; i < count; i++) {
        struct region *r = deployment_add_region(&world.deployment);
        r->name = text_of(names[i]);
        r->id = (uint8_t)(i + 1);
    }
    deployment_finish(&world.deployment);
    for (size_t i = 0; i < count; i++) {
        machine_start(i, 1);
        node_recovered(&world.machines[i].node, 0);
    }
}

/* --- the network --- */

static struct connection *connection_of(struct endpoint_of *end)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (end == &world.connections[i].ends[0] || end == &world.connections[i].ends[1])
            return &world.connections[i];
    }
    return NULL;
}

static struct endpoint_of *other_end(struct endpoint_of *end)
{
    struct connection *c = connection_of(end);
    return end == &c->ends[0] ? &c->ends[1] : &c->ends[0];
}

static void free_when_done(struct connection *c)
{
    if (c->ends[0].link == NULL && c->ends[1].link == NULL)
        c->used = false;
}

static void close_end(struct endpoint_of *end, const char *why)
{
    if (end->link == NULL)
        return;
    node_link_closed(&world.machines[end->node].node, end->link, why);
    end->link = NULL;
    other_end(end)->hung_up = true;
    free_when_done(connection_of(end));
}

static struct connection *new_connection(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &world.connections[i];
        if (c->used)
            continue;
        for (int e = 0; e < 2; e++) {
            buffer_clear(&c->ends[e].inbox);
            c->ends[e].hung_up = false;
        }
        c->used = true;
        return c;
    }
    CHECK(!"too many connections");
    return NULL;
}

static void dial(size_t from, struct peer *peer)
{
    size_t to = (size_t)peer->region->id - 1;
    struct node *n = &world.machines[from].node, *remote = &world.machines[to].node;
    if (world.machines[to].dead) {
        node_dial_failed(n, peer, "connection refused");
        return;
    }
    struct connection *c = new_connection();
    c->ends[0].node = from;
    c->ends[1].node = to;
    c->ends[0].link = node_link_open(n, peer, NULL, "127.0.0.1:6380");
    node_turn(remote, world.now_us);
    c->ends[1].link = node_link_open(remote, NULL, NULL, "127.0.0.1:50000");
}

static void note_output(const struct link *l)
{
    if (l->output.len > world.output_max)
        world.output_max = l->output.len;
}

/* Sends what links have, in pieces, and closes those that want it. */
static void flush_link(struct node *n, struct endpoint_of *end)
{
    struct link *l = end->link;
    note_output(l);
    size_t bytes = l->output.len;
    if (!l->close && bytes > 0 && prng_chance(&world.rng, 500000))
        bytes = (size_t)prng_below(&world.rng, bytes + 1);
    if (other_end(end)->inbox.len < 4096 || l->close) {
        buffer_put_bytes(&other_end(end)->inbox, l->output.at, bytes);
        node_link_sent(n, l, bytes);
    }
    if (l->close)
        close_end(end, NULL);
}

static void deliver(struct endpoint_of *end)
{
    struct machine *m = &world.machines[end->node];
    size_t bytes = end->inbox.len;
    if (bytes > 0 && prng_chance(&world.rng, 500000))
        bytes = 1 + (size_t)prng_below(&world.rng, bytes);
    if (m->slow_reader && bytes > 100)
        bytes = 100;
    if (bytes > 0) {
        uint8_t *copy = mem_alloc(bytes);
        memcpy(copy, end->inbox.at, bytes);
        buffer_consume(&end->inbox, bytes);
        node_link_input(&m->node, end->link, span_of(copy, bytes));
        mem_free(copy);
    }
    if (end->hung_up && end->inbox.len == 0)
        close_end(end, "closed by the peer");
}

/* --- the disk --- */

static void write_log(struct machine *m)
{
    struct span records;
    uint64_t end;
    while (node_take_log(&m->node, &records, &end)) {
        buffer_put(&m->disk, records);
        m->written = end;
    }
    if (m->written > m->synced && prng_chance(&world.rng, 300000)) {
        m->synced = m->written;
        node_durable(&m->node, m->synced);
    }
}

/* Whole records from lsn on, some of them. */
static struct span read_records(const struct machine *m, uint64_t lsn, uint64_t limit)
{
    struct span run = span_of(m->disk.at + lsn, (size_t)(limit - lsn));
    size_t at = 0, need;
    struct record r;
    while (at < run.len && at < 3000) {
        CHECK(record_read(span_skip(run, at), lsn + at, &r, &need) == RECORD_GOOD);
        at += r.bytes;
    }
    return span_of(run.at, at);
}

static void read_log(struct machine *m)
{
    struct link *l;
    uint64_t lsn, limit;
    size_t want;
    while (node_next_read(&m->node, &l, &lsn, &limit, &want)) {
        world.reads++;
        node_read_done(&m->node, l, lsn, read_records(m, lsn, limit), NULL);
    }
}

/* --- turns --- */

static void take_notices(struct node *n)
{
    struct notice notice;
    while (node_next_notice(n, &notice)) {
        if (notice.level != NOTICE_INFO)
            snprintf(world.last_warning, sizeof world.last_warning, "%s", notice.text);
    }
}

static void turn(size_t i)
{
    struct machine *m = &world.machines[i];
    struct peer *peer;
    if (m->dead)
        return;
    node_turn(&m->node, world.now_us);
    for (size_t c = 0; c < CONNECTIONS_MAX; c++) {
        for (int e = 0; e < 2; e++) {
            struct endpoint_of *end = &world.connections[c].ends[e];
            if (end->link != NULL && end->node == i)
                deliver(end);
        }
    }
    write_log(m);
    node_turn_end(&m->node);
    write_log(m);
    read_log(m);
    while (node_next_dial(&m->node, &peer))
        dial(i, peer);
    while (node_next_dirty_link(&m->node) != NULL)
        ;
    for (size_t c = 0; c < CONNECTIONS_MAX; c++) {
        for (int e = 0; e < 2; e++) {
            struct endpoint_of *end = &world.connections[c].ends[e];
            if (end->link != NULL && end->node == i)
                flush_link(&m->node, end);
        }
    }
    CHECK(node_next_deadline(&m->node) > 0);
    take_notices(&m->node);
}

static void run(int turns)
{
    for (int i = 0; i < turns; i++) {
        world.now_us += prng_below(&world.rng, 2000);
        turn((size_t)prng_below(&world.rng, world.count));
    }
}

/* A few random writes, as one group or several. */
static void write_random(size_t i, int value_bytes)
{
    struct replica *r = &world.machines[i].node.replica;
    char value[20000];
    uint8_t name = (uint8_t)('a' + prng_below(&world.rng, 20));
    if (world.machines[i].dead || replica_write_refusal(r) != NULL || replica_must_wait(r))
        return;
    node_turn(&world.machines[i].node, world.now_us);
    memset(value, 'v', sizeof value);
    replica_group_begin(r);
    if (prng_chance(&world.rng, 300000))
        emit_bump(r, 0, span_of(&name, 1), (struct amount){ .i = 1 });
    else if (prng_chance(&world.rng, 100000))
        emit_remove(r, 0, span_of(&name, 1));
    else
        emit_string(r, 0, span_of(&name, 1), span_of(value, (size_t)prng_below(&world.rng, (uint64_t)value_bytes)),
                    TIME_NONE, 0);
    replica_group_end(r);
}

static void run_writing(int turns, int value_bytes)
{
    for (int i = 0; i < turns; i++) {
        write_random((size_t)prng_below(&world.rng, world.count), value_bytes);
        run(1);
    }
}

static bool all_equal(void)
{
    const struct replica *first = &world.machines[0].node.replica;
    for (size_t i = 0; i < world.count; i++) {
        const struct replica *r = &world.machines[i].node.replica;
        if (!vector_equal(&r->last_op, &first->last_op) || r->open_ops > 0)
            return false;
    }
    for (size_t i = 1; i < world.count; i++)
        CHECK(replica_digest(&world.machines[i].node.replica) == replica_digest(first));
    return true;
}

/* True when all regions came to the same state; a minute of theirs is more than any backoff. */
static bool converge(void)
{
    uint64_t until = world.now_us + 60ull * 1000 * 1000;
    while (world.now_us < until) {
        run(30);
        if (all_equal())
            return true;
    }
    return false;
}

static bool all_up(void)
{
    for (size_t i = 0; i < world.count; i++) {
        struct node *n = &world.machines[i].node;
        for (size_t p = 0; p < n->peer_count; p++) {
            if (n->peers[p].intake == NULL || !n->peers[p].intake->ready || n->peers[p].feed == NULL)
                return false;
        }
    }
    return true;
}

static void connect_all(void)
{
    while (!all_up())
        run(1);
}

static struct peer *peer_of(size_t i, size_t other)
{
    return node_peer(&world.machines[i].node, span_str(names[other]));
}

/* --- cases --- */

static void two_regions_write_and_meet(size_t count)
{
    world_start(count, test_seed());
    run_writing(2000, 200);
    EXPECT(converge());
    EXPECT(world.machines[0].node.replica.last_op.high > count);
    world_end();
}

TEST(two_regions_come_to_one_state)
{
    two_regions_write_and_meet(2);
}

TEST(three_regions_come_to_one_state)
{
    two_regions_write_and_meet(3);
}

TEST(lost_connections_are_dialled_again_and_nothing_is_lost)
{
    world_start(3, test_seed());
    for (int round = 0; round < 40; round++) {
        run_writing(60, 500);
        struct connection *c = &world.connections[prng_below(&world.rng, 12)];
        if (!c->used)
            continue;
        for (int e = 0; e < 2; e++) {           /* both ends, bytes on the way lost */
            buffer_clear(&c->ends[e].inbox);
            close_end(&c->ends[e], "connection reset");
        }
    }
    EXPECT(converge());
    connect_all();
    world_end();
}

TEST(cut_regions_write_on_and_agree_once_healed)
{
    world_start(3, test_seed());
    connect_all();
    node_cut(&world.machines[0].node, peer_of(0, 1), true);
    node_cut(&world.machines[0].node, peer_of(0, 2), true);
    run_writing(3000, 100);
    EXPECT(peer_of(0, 1)->intake == NULL && peer_of(0, 1)->feed == NULL);
    EXPECT(peer_of(1, 0)->feed == NULL);
    EXPECT(!all_equal());
    node_cut(&world.machines[0].node, peer_of(0, 1), false);
    node_cut(&world.machines[2].node, peer_of(2, 0), false);    /* from the end that was not cut */
    EXPECT(converge());
    connect_all();
    EXPECT(!peer_of(0, 2)->cut);
    world_end();
}

TEST(a_region_that_lags_is_fed_from_disk_and_memory_stays_bounded)
{
    world_start(2, test_seed());
    connect_all();
    node_cut(&world.machines[0].node, peer_of(0, 1), true);
    while (world.machines[0].node.tail.end_lsn < (24 << 20)) {
        for (int i = 0; i < 20; i++)
            write_random(0, 20000);
        turn(0);
        world.now_us += 1000;
    }
    EXPECT(world.machines[0].node.tail.pages[0].start_lsn > 0);
    node_cut(&world.machines[0].node, peer_of(0, 1), false);
    EXPECT(converge());
    EXPECT(world.reads > 0);
    EXPECT(world.output_max < 2 * LINK_OUTPUT_MAX);
    world_end();
}

TEST(a_peer_that_hardly_reads_does_not_grow_our_memory)
{
    world_start(3, test_seed());
    connect_all();
    world.machines[1].slow_reader = true;
    run_writing(1500, 20000);
    EXPECT(world.output_max < 2 * LINK_OUTPUT_MAX);
    world.machines[1].slow_reader = false;
    EXPECT(converge());
    world_end();
}

TEST(idle_regions_hear_heartbeats_and_acknowledge)
{
    world_start(3, test_seed());
    connect_all();
    write_random(0, 50);
    EXPECT(converge());
    run(3000);
    for (size_t i = 0; i < 3; i++) {
        const struct node *n = &world.machines[i].node;
        stamp_t last = vector_get(&n->replica.last_op, 1);
        for (uint8_t o = 1; o <= 3; o++)
            EXPECT(stamp_ms(vector_get(&n->replica.applied, o)) + 1000 > world.now_us / 1000);
        EXPECT_EQ(peers_acknowledged(&n->matrix, last), i == 0 ? 2 : 2);
    }
    world_end();
}

/* Everything goes silent without a word: both sides give up, and meet again. */
TEST(a_silent_peer_is_given_up_and_welcomed_back)
{
    world_start(2, test_seed());
    connect_all();
    struct machine *m = &world.machines[1];
    m->dead = true;
    while (peer_of(0, 1)->intake != NULL || peer_of(0, 1)->feed != NULL)
        run_writing(20, 100);
    m->dead = false;
    EXPECT(converge());
    connect_all();
    world_end();
}

static void restart(size_t i, uint64_t instance, bool with_log)
{
    struct machine *m = &world.machines[i];
    for (size_t c = 0; c < CONNECTIONS_MAX; c++) {
        for (int e = 0; e < 2; e++) {
            if (world.connections[c].ends[e].node == i)
                close_end(&world.connections[c].ends[e], "stopped");
        }
    }
    node_release(&m->node);
    machine_start(i, instance);
    m->disk.len = with_log ? m->synced : 0;
    m->synced = m->written = m->disk.len;
    size_t at = 0, need;
    while (at < m->disk.len) {
        struct record r;
        CHECK(record_read(span_skip(buffer_span(&m->disk), at), at, &r, &need) == RECORD_GOOD);
        CHECK(node_replay(&m->node, &r) == 0);
        at += r.bytes;
    }
    node_recovered(&m->node, at);
}

TEST(a_restarted_region_goes_on_where_its_log_ends)
{
    world_start(3, test_seed());
    for (uint64_t round = 2; round < 8; round++) {
        run_writing(300, 300);
        restart((size_t)prng_below(&world.rng, 3), round, true);
    }
    run_writing(300, 300);
    EXPECT(converge());
    for (size_t i = 0; i < 3; i++)
        EXPECT(!world.machines[i].node.replica.amnesiac);
    world_end();
}

/* What the others wrote after seeing its lost writes has to wait there; all else goes on. */
TEST(a_region_that_lost_its_log_writes_no_more_and_stays_connected)
{
    world_start(2, test_seed());
    run_writing(500, 100);
    EXPECT(converge());
    restart(1, 2, false);
    connect_all();
    const struct node *lost = &world.machines[1].node, *other = &world.machines[0].node;
    EXPECT(lost->replica.amnesiac);
    EXPECT(!other->replica.amnesiac);
    EXPECT(strstr(world.last_warning, "ev=amnesia peer=eu-de") != NULL);
    run_writing(1000, 100);
    EXPECT(all_up());
    EXPECT_EQ(vector_get(&lost->replica.last_op, 2), 0);
    EXPECT(vector_get(&lost->replica.applied, 1) > 0);
    world_end();
}

TEST(a_region_whose_run_numbers_went_back_writes_no_more)
{
    world_start(2, test_seed());
    restart(1, 5, true);
    connect_all();
    restart(1, 2, true);
    connect_all();
    EXPECT(world.machines[1].node.replica.amnesiac);
    world_end();
}

/* What 1 writes after seeing 0's writes must wait at 2, which is cut from 0: more than there is room for. */
TEST(what_finds_no_room_to_wait_is_fetched_again)
{
    enum { ROOM = 3000 };
    world_start(3, test_seed());
    struct replica *r = &world.machines[2].node.replica;
    r->options.park_max_bytes = ROOM;
    connect_all();
    node_cut(&world.machines[2].node, peer_of(2, 0), true);
    for (int round = 0; round < 1500; round++) {
        run_writing(1, 300);
        EXPECT(r->parked_bytes <= ROOM + 300);
    }
    EXPECT(r->parked_count > 0);
    EXPECT(peer_of(2, 1)->intake != NULL && origins_have(peer_of(2, 1)->intake->paused, 2));
    node_cut(&world.machines[2].node, peer_of(2, 0), false);
    EXPECT(converge());
    world_end();
}

/* Regions 1 and 2 stand at the same place in the log of 0: what is sent to both was built once. */
TEST(followers_at_the_same_place_share_frames)
{
    uint64_t sent = 0, built = 0;
    world_start(3, test_seed());
    connect_all();
    struct node *n = &world.machines[0].node;
    for (int i = 0; i < 1000; i++) {
        uint32_t before = n->feed.next;
        write_random(0, 2000);
        turn(0);
        built += (n->feed.next + FEED_FRAMES - before) % FEED_FRAMES;
        run(3);
    }
    EXPECT(converge());
    for (size_t i = 1; i < 3; i++)
        sent += peer_of(0, i)->feed->frames_out;
    EXPECT(built > 0);
    EXPECT(sent > built + built / 2);
    world_end();
}

/* --- commands --- */

/* What a client of a region is told. */
static const char *ask(size_t i, const char *command)
{
    static char text[2000];
    struct node *n = &world.machines[i].node;
    node_turn(n, world.now_us);
    struct session *s = node_session_open(n, NULL, "127.0.0.1:1", "127.0.0.1:2");
    node_session_input(n, s, span_str(command));
    node_turn_end(n);
    struct span out = node_session_output(s);
    CHECK(out.len < sizeof text);
    memcpy(text, out.at, out.len);
    text[out.len] = '\0';
    node_session_close(n, s);
    return text;
}

TEST(a_fault_asked_for_at_any_region_reaches_an_end_of_the_link)
{
    world_start(3, test_seed());
    connect_all();
    EXPECT_TEXT(span_str(ask(2, "LINK CUT eu-de us-east\r\n")), "+OK\r\n");
    run_writing(300, 100);
    EXPECT(peer_of(0, 1)->intake == NULL && peer_of(0, 1)->feed == NULL);
    EXPECT(peer_of(0, 1)->cut != peer_of(1, 0)->cut);
    EXPECT_TEXT(span_str(ask(1, "LINK HEAL us-east eu-de\r\n")), "+OK\r\n");
    EXPECT(converge());
    connect_all();
    EXPECT(!peer_of(0, 1)->cut && !peer_of(1, 0)->cut);
    EXPECT_TEXT(span_str(ask(2, "LINK SLOW eu-de us-east 70\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 70);
    EXPECT_TEXT(span_str(ask(1, "LINK SLOW us-east eu-de 20\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 20);
    EXPECT_TEXT(span_str(ask(2, "LINK HEAL eu-de us-east\r\n")), "+OK\r\n");
    run(200);
    EXPECT_EQ(peer_of(0, 1)->slow_ms + peer_of(1, 0)->slow_ms, 0);
    world_end();
}

TEST(a_cut_at_both_ends_is_healed_from_one)
{
    world_start(2, test_seed());
    connect_all();
    ask(0, "LINK CUT eu-de us-east\r\n");
    ask(1, "LINK CUT eu-de us-east\r\n");
    run_writing(300, 100);
    EXPECT(peer_of(0, 1)->cut && peer_of(1, 0)->cut);
    ask(0, "LINK HEAL eu-de us-east\r\n");
    EXPECT(converge());
    connect_all();
    world_end();
}

TEST(a_fault_that_makes_no_sense_is_refused)
{
    world_start(3, test_seed());
    EXPECT_TEXT(span_str(ask(2, "LINK CUT eu-de us-east\r\n")),
                "-ERR neither eu-de nor us-east can be reached from here\r\n");
    EXPECT_TEXT(span_str(ask(0, "LINK CUT eu-de mars\r\n")), "-ERR no region named 'mars'\r\n");
    EXPECT_TEXT(span_str(ask(0, "LINK CUT eu-de eu-de\r\n")), "-ERR a link is between two different regions\r\n");
    EXPECT_TEXT(span_str(ask(0, "LINK SLOW eu-de us-east -1\r\n")),
                "-ERR LINK SLOW takes 0 to 60000 milliseconds\r\n");
    world_end();
}

TEST(links_and_regions_are_listed)
{
    world_start(2, test_seed());
    connect_all();
    run_writing(500, 500);
    run(1000);
    const char *list = ask(0, "LINK LIST\r\n");
    EXPECT(strstr(list, "us-east") != NULL && strstr(list, "up") != NULL);
    EXPECT(strstr(list, "rtt_ms") != NULL && strstr(list, "lag_ms") != NULL && strstr(list, "compression") != NULL);
    EXPECT(strstr(list, "problem") == NULL);
    EXPECT_TEXT(span_str(ask(0, "REGION SELF\r\n")), "$5\r\neu-de\r\n");
    EXPECT_TEXT(span_str(ask(0, "REGION LAG eu-de\r\n")), ":0\r\n");
    EXPECT(ask(0, "REGION LAG us-east\r\n")[0] == ':');
    EXPECT(strstr(ask(0, "REGION LIST\r\n"), "us-east") != NULL);
    EXPECT(strstr(ask(0, "INFO replication\r\n"), "peer0:region=us-east,intake=up,feed=up,lag_ms=") != NULL);
    ask(0, "LINK CUT eu-de us-east\r\n");
    list = ask(0, "LINK LIST\r\n");
    EXPECT(strstr(list, "cut by LINK CUT") != NULL);
    world_end();
}

/* --- strangers --- */

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
        .deployment = span_str("shop"),
        .region_name = span_str("us-east"),
    };
}

/* Why a HELLO is refused: what stands in our log, checked to be what the peer gets. "" when it is taken. */
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
        struct message m;
        char told[MESSAGE_TEXT_MAX + 1];
        size_t need;
        CHECK(message_read(buffer_span(&l->output), MESSAGE_MAX, &m, &need) == MESSAGE_GOOD);
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
    EXPECT_TEXT(span_str(refusal_of(&h)), "protocol version 9 against 1: upgrade the older one");
    h = good_hello();
    h.deployment = span_str("ba\nnk");
    EXPECT_TEXT(span_str(refusal_of(&h)), "a peer of deployment ba?nk at region eu-de of deployment shop");
    h = good_hello();
    h.region = 1;
    h.region_name = span_str("eu-de");
    EXPECT_TEXT(span_str(refusal_of(&h)), "region eu-de reached itself: an address that peers dial is wrong");
    h.instance = 7;
    EXPECT_TEXT(span_str(refusal_of(&h)), "a second process of region eu-de");
    h = good_hello();
    h.region = 77;
    EXPECT_TEXT(span_str(refusal_of(&h)),
                "region eu-de has no configured region us-east with number 77: the configurations differ");
    h = good_hello();
    h.region_name = span_str("us-west");
    EXPECT_TEXT(span_str(refusal_of(&h)),
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
    EXPECT_TEXT(span_str(refusal_of(&h)), "a second process of region us-east: run 3, while run 4 is connected");
    EXPECT(peer_of(0, 1)->feed != NULL);
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

/* Bytes of a real conversation, changed; every variant is taken or the link is closed, and the rest goes on. */
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
        bool spare_hello = prng_chance(&rng, 700000);
        size_t from = spare_hello ? hello_bytes : 0, at = 0;
        for (uint64_t i = 1 + prng_below(&rng, 3); i > 0; i--)
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
