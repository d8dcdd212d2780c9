/*
 * bootstrap_meeting -- regions with a log that is dropped, a checkpoint and a marker: for tests only.
 */
#ifndef NODE_BOOTSTRAP_MEETING_H
#define NODE_BOOTSTRAP_MEETING_H

#include "base/error.h"
#include "env/kv_memory.h"
#include "node/meeting.h"

enum {
    RETAIN_BYTES = 200 << 10,
    CHECKPOINT_BYTES = 60 << 10,
    KEYS = 3000,
    ROUNDS = 10,
};

/* What a machine has beside its log. */
static struct kept {
    struct kv_memory kv;
    struct checkpoint store, exporter;
    struct checkpoint_writer writer;
    struct checkpoint_found found;
    struct marker marker;
    bool marked;
    uint64_t log_start, instance;
    struct checkpoint_write job;
    bool is_out, is_exporting, is_reading;
    struct buffer cursor;
    size_t export_bytes;
    uint64_t own_lsn, own_limit;
    uint64_t restarts, exports, drops;
} kept[NODES_MAX];

static inline struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

/* --- a machine's life --- */

static inline void close_kept(size_t i)
{
    struct kept *k = &kept[i];
    checkpoint_close(&k->store);
    checkpoint_close(&k->exporter);
    checkpoint_writer_release(&k->writer);
    buffer_release(&k->cursor);
    k->is_out = k->is_exporting = k->is_reading = false;
}

/* As the files' removal. */
static inline void forget_objects(struct kept *k)
{
    checkpoint_close(&k->store);
    kv_memory_release(&k->kv);
    kv_memory_init(&k->kv);
    CHECK(checkpoint_open(&k->store, &k->kv.kv, &k->found) == E_OK);
}

static inline enum bootstrap_phase open_objects(struct kept *k)
{
    CHECK(checkpoint_open(&k->store, &k->kv.kv, &k->found) == E_OK);
    if (!k->marked)
        return BOOTSTRAP_NONE;
    enum bootstrap_phase phase = bootstrap_phase_of(&k->store, &k->found, &k->marker);
    if (phase != BOOTSTRAP_NONE)
        return phase;
    forget_objects(k);
    return BOOTSTRAP_IMAGE;
}

static inline void replay_from(struct machine *m, uint64_t lsn)
{
    struct record r;
    size_t need;
    while (lsn < m->disk.len) {
        CHECK(record_read(span_skip(buffer_span(&m->disk), lsn), lsn, &r, &need) == RECORD_GOOD);
        CHECK(node_replay(&m->node, &r) == E_OK);
        lsn += r.bytes;
    }
    node_recovered(&m->node, lsn);
}

static inline void open_machine(size_t i)
{
    struct machine *m = &world.machines[i];
    struct kept *k = &kept[i];
    enum bootstrap_phase phase = open_objects(k);
    struct checkpoint_found found;
    CHECK(checkpoint_open(&k->exporter, &k->kv.kv, &found) == E_OK);
    checkpoint_refresh(&k->exporter);
    checkpoint_writer_init(&k->writer, &k->kv.kv);
    k->instance++;
    node_init(&m->node, &(struct node_options){
                            .deployment = &world.deployment,
                            .self = &world.deployment.regions[i],
                            .instance = k->instance,
                            .run = run_of(i, k->instance) + m->clone,
                            .known = &m->known,
                            .seed = prng_next(&world.rng),
                            .table_seed = k->found.start_known ? k->found.start.table_seed : 0,
                            .marker = k->marked ? &k->marker : NULL,
                            .faults = true,
                            .fsync = FSYNC_NO,
                        });
    hlc_raise_ceiling(&m->node.replica.hlc, world.now_us / 1000 + 1000000);
    m->disk.len = m->written = m->synced;
    CHECK(node_install(&m->node, &k->store, &k->found) == E_OK);
    CHECK(phase != BOOTSTRAP_IMAGE || k->marker.end_lsn == m->disk.len);
    replay_from(m, phase == BOOTSTRAP_IMAGE ? k->marker.end_lsn
                   : k->found.start_known   ? k->found.start.lsn
                                            : 0);
    node_log_starts(&m->node, k->log_start);
}

/* The process ends, whatever it was doing, and begins again. */
static inline void restart_machine(size_t i)
{
    stop(i, false);
    node_release(node_at(i));
    close_kept(i);
    kv_memory_crash(&kept[i].kv);
    open_machine(i);
    kept[i].restarts++;
}

/* --- what the owner of a node does --- */

static inline void write_objects(struct kept *k, struct node *n)
{
    if (k->is_out && prng_chance(&world.rng, 500000)) {
        k->is_out = false;
        int error = checkpoint_write(&k->writer, &k->job);
        node_written(n, error, k->writer.problem);
    }
    if (!k->is_out)
        k->is_out = node_next_write(n, &k->job);
}

static inline void read_objects(struct kept *k, struct node *n)
{
    struct span cursor;
    if (k->is_exporting && prng_chance(&world.rng, 500000)) {
        struct buffer changes = { 0 };
        bool all;
        k->is_exporting = false;
        k->exports++;
        int error = checkpoint_export(&k->exporter, &k->cursor, k->export_bytes, &changes, &all);
        checkpoint_refresh(&k->exporter);
        node_exported(n, error, buffer_span(&k->cursor), buffer_span(&changes), all,
                      k->exporter.problem);
        buffer_release(&changes);
    }
    if (k->is_exporting || !node_next_export(n, &cursor, &k->export_bytes))
        return;
    k->is_exporting = true;
    k->export_bytes /= 16; /* many messages of few keys */
    buffer_clear(&k->cursor);
    buffer_put(&k->cursor, cursor);
}

static inline void read_own(struct kept *k, struct machine *m)
{
    size_t want;
    if (k->is_reading && prng_chance(&world.rng, 500000)) {
        k->is_reading = false;
        CHECK(k->own_lsn >= k->log_start && k->own_limit <= m->disk.len);
        node_own_read_done(&m->node, k->own_lsn, read_records(m, k->own_lsn, k->own_limit), NULL);
    }
    if (!k->is_reading)
        k->is_reading = node_next_own_read(&m->node, &k->own_lsn, &k->own_limit, &want);
}

static inline void turn_ends(size_t i)
{
    struct kept *k = &kept[i];
    struct machine *m = &world.machines[i];
    struct node_restart restart;
    uint64_t lsn;
    write_objects(k, &m->node);
    read_objects(k, &m->node);
    read_own(k, m);
    if (node_next_drop(&m->node, &lsn)) {
        CHECK(lsn <= m->synced);
        k->log_start = lsn;
        k->drops++;
        node_log_starts(&m->node, lsn);
    }
    if (node_next_unmark(&m->node)) {
        k->marked = false;
        node_unmarked(&m->node);
    }
    if (!node_next_restart(&m->node, &restart))
        return;
    CHECK(m->synced == m->written);
    if (restart.mark) {
        k->marked = true;
        k->marker = restart.marker;
    }
    restart_machine(i);
}

/* --- worlds --- */

static inline void end_world(void)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        stop(i, false);
    for (size_t i = 0; i < world.count; i++)
        node_release(node_at(i));
    for (size_t i = 0; i < world.count; i++) {
        close_kept(i);
        kv_memory_release(&kept[i].kv);
        buffer_release(&world.machines[i].disk);
    }
    memset(kept, 0, sizeof(kept));
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        for (int e = 0; e < 2; e++)
            buffer_release(&world.connections[i].ends[e].inbox);
    }
    deployment_release(&world.deployment);
    world = (struct world){ .count = 0 };
}

static inline void begin_world_as(size_t count, uint64_t seed, void (*shape)(struct deployment *))
{
    if (world.count > 0)
        end_world();
    world_start_as(count, seed, shape);
    world.deployment.log.retain_bytes = RETAIN_BYTES;
    world.deployment.checkpoint.log_bytes = CHECKPOINT_BYTES;
    world.turn_ends = turn_ends;
    for (size_t i = 0; i < count; i++) {
        node_release(node_at(i));
        kv_memory_init(&kept[i].kv);
        kept[i].instance = 1;
        open_machine(i);
    }
}

static inline void begin_world(size_t count, uint64_t seed)
{
    begin_world_as(count, seed, NULL);
}

/* One key, of many. */
static inline void write_key(size_t i)
{
    struct replica *r = &node_at(i)->replica;
    char name[32], value[400];
    if (world.machines[i].dead || node_at(i)->server.loading != NULL ||
        replica_write_refusal(r) != NULL || replica_must_wait(r))
        return;
    node_turn(node_at(i), world.now_us);
    snprintf(name, sizeof(name), "key%u", (unsigned)prng_below(&world.rng, KEYS));
    memset(value, 'v', sizeof(value));
    replica_group_begin(r);
    if (prng_chance(&world.rng, 200000))
        emit_remove(r, 0, span_str(name));
    else if (prng_chance(&world.rng, 200000))
        emit_bump(r, 0, span_str("counter"), (struct amount){ .i = 1 });
    else
        emit_string(r, 0, span_str(name),
                    span_of(value, (size_t)prng_below(&world.rng, sizeof(value))), TIME_NONE, 0);
    replica_group_end(r);
}

static inline void write_at(size_t i, int turns)
{
    for (int t = 0; t < turns; t++) {
        write_key(i);
        run(3);
    }
}

static inline void write_anywhere(int turns)
{
    for (int t = 0; t < turns; t++) {
        write_key((size_t)prng_below(&world.rng, world.count));
        run(3);
    }
}

static inline void cut_off(size_t i, bool cut)
{
    for (size_t k = 0; k < world.count; k++) {
        if (k == i)
            continue;
        node_cut(node_at(k), peer_of(k, i), cut);
        node_cut(node_at(i), peer_of(i, k), cut);
    }
}

/* The others write until what they wrote first is in no log any more. */
static inline void leave_behind(size_t i)
{
    uint64_t drops[NODES_MAX];
    for (size_t k = 0; k < world.count; k++)
        drops[k] = kept[k].drops;
    for (int t = 0; t < 60000; t++) {
        bool dropped = true;
        for (size_t k = 0; k < world.count; k++)
            dropped &= k == i || kept[k].drops > drops[k] + 2;
        if (dropped)
            return;
        size_t k = (size_t)prng_below(&world.rng, world.count);
        if (k != i)
            write_key(k);
        run(3);
    }
    check_failed(__FILE__, __LINE__, "no log was dropped");
}

static inline bool is_served(void)
{
    for (size_t i = 0; i < world.count; i++) {
        if (node_at(i)->server.loading != NULL || world.machines[i].dead)
            return false;
    }
    return true;
}

/* All serve, and are equal. */
static inline bool settle(void)
{
    uint64_t until = world.now_us + 300ull * 1000 * 1000;
    while (world.now_us < until) {
        run(30);
        if (is_served() && all_equal())
            return true;
    }
    for (size_t i = 0; i < world.count; i++)
        printf("# %zu: %s\n", i, bootstrap_phase_name(node_at(i)));
    return false;
}

static inline stamp_t own_last(size_t i)
{
    return vector_get(&node_at(i)->replica.last_op, (uint8_t)(i + 1));
}

#endif
