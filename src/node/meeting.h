/*
 * meeting -- for tests: whole nodes joined by byte pipes.
 *
 * Bytes go in random pieces, nodes take turns in random order, disks sync late and answer reads
 * late; connections may be lost, machines stopped. There are no clients: writes are emitted
 * straight into the replicas. Time is simulated.
 */
#ifndef NODE_MEETING_H
#define NODE_MEETING_H

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "core/emit.h"
#include "node/node.h"

enum { NODES_MAX = 5, CONNECTIONS_MAX = 64, START_US = 1000 * 1000 * 1000 };

/* One end of a connection: the link there, and the bytes on their way to it. */
struct endpoint_of {
    size_t node;
    struct link *link; /* NULL: not open yet, or gone */
    struct buffer inbox;
    bool hung_up; /* the other end has closed: what is in the inbox still comes */
    bool reading; /* the disk is asked for log from read_lsn on */
    uint64_t read_lsn, read_limit;
};

struct connection {
    struct endpoint_of ends[2]; /* [0] dialled */
    bool used;
};

struct machine {
    struct node node;
    struct buffer disk; /* the log as written */
    uint64_t synced, written;
    bool dead;                   /* its process is stopped: nothing goes in or out */
    bool slow_reader;            /* takes next to nothing from its links */
    uint64_t clone;              /* added to the number of its runs */
    struct identity_known known; /* durable */
};

static struct world {
    struct deployment deployment;
    struct machine machines[NODES_MAX];
    size_t count;
    struct connection connections[CONNECTIONS_MAX];
    struct prng rng;
    uint64_t now_us;
    size_t output_max; /* the longest output of a link ever */
    uint64_t reads;    /* from disk */
    char last_warning[NOTICE_TEXT_MAX];
    /* Chance, in millionths, that what has come to the first from the second is not taken yet; else few
     * bytes are. 0: all are. */
    uint32_t held_up[NODES_MAX][NODES_MAX];
    void (*turn_ends)(size_t i); /* for a test that gives machines more than a log */
} world;

static const char *const names[NODES_MAX] = { "eu-de", "us-east", "ap-jp", "sa-br", "au-syd" };

static inline char *text_of(const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(mem_alloc(len), text, len);
}

/* Of a run: any number that no other process has. */
static inline uint64_t run_of(size_t i, uint64_t instance)
{
    return (i + 1) * 1000 + instance;
}

static inline void machine_start(size_t i, uint64_t instance)
{
    struct machine *m = &world.machines[i];
    node_init(&m->node, &(struct node_options){
                            .deployment = &world.deployment,
                            .self = &world.deployment.regions[i],
                            .instance = instance,
                            .run = run_of(i, instance) + m->clone,
                            .known = &m->known,
                            .seed = prng_next(&world.rng),
                            .faults = true,
                            .fsync = FSYNC_NO,
                        });
    hlc_raise_ceiling(&m->node.replica.hlc, world.now_us / 1000 + 1000000);
}

static inline void world_end(void)
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

/* `shape` may be NULL; else it completes the deployment. */
static inline void world_start_as(size_t count, uint64_t seed, void (*shape)(struct deployment *))
{
    world_end(); /* of a case that failed */
    world = (struct world){ .count = count, .now_us = START_US };
    prng_seed(&world.rng, seed);
    deployment_init(&world.deployment);
    world.deployment.name = text_of("shop");
    for (size_t i = 0; i < count; i++) {
        struct region *r = deployment_add_region(&world.deployment);
        r->name = text_of(names[i]);
        r->id = (uint8_t)(i + 1);
        r->clients.port = (uint16_t)(7001 + i);
    }
    deployment_finish(&world.deployment);
    if (shape != NULL)
        shape(&world.deployment);
    for (size_t i = 0; i < count; i++) {
        machine_start(i, 1);
        node_recovered(&world.machines[i].node, 0);
    }
}

static inline void world_start(size_t count, uint64_t seed)
{
    world_start_as(count, seed, NULL);
}

/* --- the network --- */

static inline struct connection *connection_of(struct endpoint_of *end)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (end == &world.connections[i].ends[0] || end == &world.connections[i].ends[1])
            return &world.connections[i];
    }
    return NULL;
}

static inline struct endpoint_of *other_end(struct endpoint_of *end)
{
    struct connection *c = connection_of(end);
    return end == &c->ends[0] ? &c->ends[1] : &c->ends[0];
}

static inline void free_when_done(struct connection *c)
{
    if (c->ends[0].link == NULL && c->ends[1].link == NULL)
        c->used = false;
}

static inline void close_end(struct endpoint_of *end, const char *why)
{
    if (end->link == NULL)
        return;
    node_link_closed(&world.machines[end->node].node, end->link, why);
    end->link = NULL;
    other_end(end)->hung_up = true;
    free_when_done(connection_of(end));
}

static inline struct connection *new_connection(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &world.connections[i];
        if (c->used)
            continue;
        for (int e = 0; e < 2; e++) {
            buffer_clear(&c->ends[e].inbox);
            c->ends[e].hung_up = c->ends[e].reading = false;
        }
        c->used = true;
        return c;
    }
    check_failed(__FILE__, __LINE__, "too many connections");
}

static inline void dial(size_t from, struct peer *peer)
{
    size_t to = (size_t)(peer->region - world.deployment.regions);
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

static inline void note_output(const struct link *l)
{
    if (l->output.len > world.output_max)
        world.output_max = l->output.len;
}

/* Sends what links have, in pieces, and closes those that want it. */
static inline void flush_link(struct node *n, struct endpoint_of *end)
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

static inline void deliver(struct endpoint_of *end)
{
    struct machine *m = &world.machines[end->node];
    size_t bytes = end->inbox.len;
    uint32_t held_up = world.held_up[end->node][other_end(end)->node];
    if (held_up > 0 && prng_chance(&world.rng, held_up))
        return;
    if (held_up > 0 && bytes > 20)
        bytes = 20;
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

static inline void write_log(struct machine *m)
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
static inline struct span read_records(const struct machine *m, uint64_t lsn, uint64_t limit)
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

static inline struct endpoint_of *end_of(const struct link *l)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        for (int e = 0; e < 2; e++) {
            if (world.connections[i].ends[e].link == l)
                return &world.connections[i].ends[e];
        }
    }
    check_failed(__FILE__, __LINE__, "a link without a connection");
}

/* Reads are answered some turns later. */
static inline void read_log(struct machine *m)
{
    struct link *l;
    uint64_t lsn, limit;
    size_t want;
    while (node_next_read(&m->node, &l, &lsn, &limit, &want)) {
        struct endpoint_of *end = end_of(l);
        CHECK(!end->reading);
        end->reading = true;
        end->read_lsn = lsn;
        end->read_limit = limit;
        world.reads++;
    }
}

static inline void finish_read(struct machine *m, struct endpoint_of *end)
{
    if (!end->reading || !prng_chance(&world.rng, 500000))
        return;
    end->reading = false;
    node_read_done(&m->node, end->link, end->read_lsn,
                   read_records(m, end->read_lsn, end->read_limit), NULL);
}

/* --- turns --- */

static inline void take_notices(struct node *n)
{
    struct notice notice;
    while (node_next_notice(n, &notice)) {
        if (notice.level != NOTICE_INFO)
            snprintf(world.last_warning, sizeof world.last_warning, "%s", notice.text);
    }
}

static inline void turn(size_t i)
{
    struct machine *m = &world.machines[i];
    struct peer *peer;
    if (m->dead)
        return;
    node_turn(&m->node, world.now_us);
    for (size_t c = 0; c < CONNECTIONS_MAX; c++) {
        for (int e = 0; e < 2; e++) {
            struct endpoint_of *end = &world.connections[c].ends[e];
            if (end->link == NULL || end->node != i)
                continue;
            finish_read(m, end);
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
    const struct identity_known *known = node_want_known(&m->node);
    if (known != NULL)
        m->known = *known;
    CHECK(node_next_deadline(&m->node) > 0);
    take_notices(&m->node);
    if (world.turn_ends != NULL)
        world.turn_ends(i);
}

static inline void run(int turns)
{
    for (int i = 0; i < turns; i++) {
        world.now_us += prng_below(&world.rng, 2000);
        turn((size_t)prng_below(&world.rng, world.count));
    }
}

/* A few random writes, as one group or several. */
static inline void write_random(size_t i, int value_bytes)
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
        emit_string(r, 0, span_of(&name, 1),
                    span_of(value, (size_t)prng_below(&world.rng, (uint64_t)value_bytes)),
                    TIME_NONE, 0);
    replica_group_end(r);
}

static inline void run_writing(int turns, int value_bytes)
{
    for (int i = 0; i < turns; i++) {
        write_random((size_t)prng_below(&world.rng, world.count), value_bytes);
        run(1);
    }
}

static inline bool all_equal(void)
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
static inline bool converge(void)
{
    uint64_t until = world.now_us + 60ull * 1000 * 1000;
    while (world.now_us < until) {
        run(30);
        if (all_equal())
            return true;
    }
    return false;
}

static inline bool all_up(void)
{
    for (size_t i = 0; i < world.count; i++) {
        struct node *n = &world.machines[i].node;
        for (size_t p = 0; p < n->peer_count; p++) {
            if (n->peers[p].intake == NULL || !n->peers[p].intake->ready ||
                n->peers[p].feed == NULL)
                return false;
        }
    }
    return true;
}

static inline void connect_all(void)
{
    while (!all_up())
        run(1);
}

static inline struct peer *peer_of(size_t i, size_t other)
{
    return node_peer(&world.machines[i].node, span_str(names[other]));
}

/* The process ends: its peers are told, or (a machine that lost power) are not. */
static inline void stop(size_t i, bool silently)
{
    for (size_t c = 0; c < CONNECTIONS_MAX; c++) {
        for (int e = 0; e < 2; e++) {
            struct endpoint_of *end = &world.connections[c].ends[e];
            if (end->node != i)
                continue;
            close_end(end, "stopped");
            if (silently)
                other_end(end)->hung_up = false;
        }
    }
}

/* A machine that was released starts with the first `bytes` of its log. */
static inline void start_with(size_t i, uint64_t instance, size_t bytes)
{
    struct machine *m = &world.machines[i];
    machine_start(i, instance);
    CHECK(bytes <= m->disk.len);
    m->disk.len = m->synced = m->written = bytes;
    size_t at = 0, need;
    while (at < m->disk.len) {
        struct record r;
        CHECK(record_read(span_skip(buffer_span(&m->disk), at), at, &r, &need) == RECORD_GOOD);
        CHECK(node_replay(&m->node, &r) == 0);
        at += r.bytes;
    }
    node_recovered(&m->node, at);
}

static inline void restart_with(size_t i, uint64_t instance, size_t bytes)
{
    stop(i, false);
    node_release(&world.machines[i].node);
    start_with(i, instance, bytes);
}

static inline void restart(size_t i, uint64_t instance, bool with_log)
{
    restart_with(i, instance, with_log ? world.machines[i].synced : 0);
}

#endif
