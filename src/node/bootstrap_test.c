/* Regions that lack what no log has any more: machines with a log that is dropped and a
 * checkpoint. */
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

static struct node *node_at(size_t i)
{
    return &world.machines[i].node;
}

/* --- a machine's life --- */

static void close_kept(size_t i)
{
    struct kept *k = &kept[i];
    checkpoint_close(&k->store);
    checkpoint_close(&k->exporter);
    checkpoint_writer_release(&k->writer);
    buffer_release(&k->cursor);
    k->is_out = k->is_exporting = k->is_reading = false;
}

/* As the files' removal. */
static void forget_objects(struct kept *k)
{
    checkpoint_close(&k->store);
    kv_memory_release(&k->kv);
    kv_memory_init(&k->kv);
    CHECK(checkpoint_open(&k->store, &k->kv.kv, &k->found) == E_OK);
}

static enum bootstrap_phase open_objects(struct kept *k)
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

static void replay_from(struct machine *m, uint64_t lsn)
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

static void open_machine(size_t i)
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
                            .run = run_of(i, k->instance),
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
static void restart_machine(size_t i)
{
    stop(i, false);
    node_release(node_at(i));
    close_kept(i);
    kv_memory_crash(&kept[i].kv);
    open_machine(i);
    kept[i].restarts++;
}

/* --- what the owner of a node does --- */

static void write_objects(struct kept *k, struct node *n)
{
    if (k->is_out && prng_chance(&world.rng, 500000)) {
        k->is_out = false;
        int error = checkpoint_write(&k->writer, &k->job);
        node_written(n, error, k->writer.problem);
    }
    if (!k->is_out)
        k->is_out = node_next_write(n, &k->job);
}

static void read_objects(struct kept *k, struct node *n)
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

static void read_own(struct kept *k, struct machine *m)
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

static void turn_ends(size_t i)
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

static void end_world(void)
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

static void begin_world(size_t count, uint64_t seed)
{
    if (world.count > 0)
        end_world();
    world_start(count, seed);
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

/* One key, of many. */
static void write_key(size_t i)
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

static void write_at(size_t i, int turns)
{
    for (int t = 0; t < turns; t++) {
        write_key(i);
        run(3);
    }
}

static void write_anywhere(int turns)
{
    for (int t = 0; t < turns; t++) {
        write_key((size_t)prng_below(&world.rng, world.count));
        run(3);
    }
}

static void cut_off(size_t i, bool cut)
{
    for (size_t k = 0; k < world.count; k++) {
        if (k == i)
            continue;
        node_cut(node_at(k), peer_of(k, i), cut);
        node_cut(node_at(i), peer_of(i, k), cut);
    }
}

/* The others write until what they wrote first is in no log any more. */
static void leave_behind(size_t i)
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

static bool is_served(void)
{
    for (size_t i = 0; i < world.count; i++) {
        if (node_at(i)->server.loading != NULL || world.machines[i].dead)
            return false;
    }
    return true;
}

/* All serve, and are equal. */
static bool settle(void)
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

static stamp_t own_last(size_t i)
{
    return vector_get(&node_at(i)->replica.last_op, (uint8_t)(i + 1));
}

/* --- tests --- */

TEST(a_region_that_was_away_comes_back_with_what_only_it_had)
{
    begin_world(3, test_seed());
    write_anywhere(1000);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    stamp_t own = own_last(2);
    leave_behind(2);
    EXPECT(vector_get(&node_at(0)->replica.last_op, 3) < own);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT(kept[2].restarts >= 2);
    EXPECT_EQ(kept[0].restarts + kept[1].restarts, 0);
    EXPECT(vector_get(&node_at(0)->replica.last_op, 3) >= own);
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* As if it had decided so. */
static void mark_by_hand(size_t i, struct marker *marker)
{
    const struct replica *r = &node_at(i)->replica;
    while (r->log_durable < r->log_end || r->open_ops > 0)
        run(1);
    *marker = (struct marker){ .instance = 7, .began_us = world.now_us, .end_lsn = r->log_end };
    tail_floor(&node_at(i)->tail, &marker->floor);
    vector_copy(&marker->had, &r->last_op);
    kept[i].marked = true;
}

/* Nobody has heard of its writes: their only copy is the log that it is made to give up. */
TEST(what_nobody_has_heard_of_is_only_in_the_old_log)
{
    begin_world(3, test_seed());
    write_anywhere(1000);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    leave_behind(2);
    mark_by_hand(2, &kept[2].marker);
    stamp_t own = own_last(2);
    restart_machine(2);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT_EQ(vector_get(&node_at(0)->replica.last_op, 3), own);
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* A machine that is switched off; it comes back as a process of its own. */
static void switch_off(size_t i)
{
    stop(i, false);
    world.machines[i].dead = true;
}

static void switch_on(size_t i)
{
    world.machines[i].dead = false;
    restart_machine(i);
}

TEST(a_new_region_gets_all_though_the_log_no_longer_reaches_back)
{
    begin_world(3, test_seed());
    switch_off(2);
    write_anywhere(1000);
    leave_behind(2);
    EXPECT(kept[0].log_start > 0 && kept[1].log_start > 0);
    switch_on(2);
    EXPECT(settle());
    EXPECT(node_at(2)->bootstrap.phase == BOOTSTRAP_TIDY ||
           node_at(2)->bootstrap.phase == BOOTSTRAP_NONE);
    EXPECT(kept[2].restarts >= 3);
    write_anywhere(1000);
    EXPECT(settle());
    EXPECT(!kept[2].marked);
    end_world();
}

/* Its log begins at LSN 0, and yet is not all there was. */
/* Before its bootstrap begins it does not answer as if there were nothing. */
TEST(a_new_region_serves_nothing_before_it_has_all)
{
    begin_world(3, test_seed());
    switch_off(2);
    write_anywhere(1000);
    leave_behind(2);
    struct vector held;
    vector_copy(&held, &node_at(0)->replica.last_op);
    switch_on(2);
    for (int t = 0; t < 300000 && node_at(2)->server.loading != NULL; t++)
        run(1);
    EXPECT(node_at(2)->server.loading == NULL);
    EXPECT(kept[2].restarts >= 3);
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &held));
    end_world();
}

TEST(who_asks_a_bootstrapped_region_for_what_came_before_is_told)
{
    begin_world(3, test_seed());
    switch_off(1);
    switch_off(2);
    /* two of three are a majority: the third's log goes while the second is away */
    world.machines[1].dead = false;
    restart_machine(1);
    write_anywhere(1000);
    leave_behind(2);
    switch_on(2);
    EXPECT(settle());
    uint64_t all[4] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX }, lacking[4];
    struct vector nothing = { 0 };
    EXPECT(tail_lacks(&node_at(2)->tail, &nothing, all, lacking));
    EXPECT(lacking[0] & 1 << 1);
    restart_machine(2);
    EXPECT(tail_lacks(&node_at(2)->tail, &nothing, all, lacking));
    EXPECT(settle());
    end_world();
}

/* It takes so long that the source drops log, and would drop what is still needed. */
TEST(everybody_writes_while_a_region_is_bootstrapped)
{
    begin_world(3, test_seed());
    world.deployment.bootstrap_rate_bytes = 4 << 10;
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    write_at(2, 50);
    leave_behind(2);
    cut_off(2, false);
    uint64_t log_end = node_at(0)->replica.log_end;
    for (int t = 0; t < 200000 && (kept[2].restarts < 2 || bootstrap_is_on(node_at(2))); t++)
        write_anywhere(1);
    EXPECT_EQ(kept[2].restarts, 2);
    EXPECT(node_at(0)->replica.log_end - log_end > 2 * RETAIN_BYTES);
    write_anywhere(2000);
    EXPECT(settle());
    EXPECT(!node_at(2)->replica.amnesiac);
    end_world();
}

/* A process dies as one that is killed: what it had written is there, what it had not synced too,
 * or not. */
static void kill_machine(size_t i)
{
    struct machine *m = &world.machines[i];
    if (prng_chance(&world.rng, 500000))
        m->synced = m->written;
    restart_machine(i);
}

/* Cuts a connection, kills a process, or neither. */
static void disturb(size_t i)
{
    struct connection *c = &world.connections[prng_below(&world.rng, 12)];
    switch (prng_below(&world.rng, 4)) {
    case 0:
        if (!c->used)
            break;
        for (int e = 0; e < 2; e++) {
            buffer_clear(&c->ends[e].inbox);
            close_end(&c->ends[e], "connection reset");
        }
        break;
    case 1:
        kill_machine(i);
        break;
    default:
        break;
    }
}

static void bootstrap_disturbed(size_t victim)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin_world(3, test_seed() + (uint64_t)round);
        world.deployment.bootstrap_rate_bytes = 32 << 10;
        write_anywhere(300);
        EXPECT(settle());
        cut_off(2, true);
        write_at(2, 50);
        stamp_t own = own_last(2);
        leave_behind(2);
        cut_off(2, false);
        uint64_t restarts = kept[2].restarts;
        for (int t = 0; t < 600; t++) {
            write_anywhere(20);
            if (kept[2].restarts > restarts && prng_chance(&world.rng, 100000))
                disturb(victim);
        }
        EXPECT(settle());
        EXPECT(!node_at(2)->replica.amnesiac);
        EXPECT(vector_get(&node_at(0)->replica.last_op, 3) >= own);
        end_world();
    }
}

TEST(a_bootstrap_goes_on_though_who_takes_is_killed_and_cut)
{
    bootstrap_disturbed(2);
}

TEST(a_bootstrap_goes_on_though_who_gives_is_killed_and_cut)
{
    bootstrap_disturbed(0);
}

/* What was written of the objects is not sent again. */
TEST(objects_go_on_where_they_stopped)
{
    begin_world(3, test_seed());
    write_anywhere(3000);
    EXPECT(settle());
    switch_off(2);
    leave_behind(2);
    switch_on(2);
    for (int t = 0; t < 60000 && node_at(2)->bootstrap.note.keys < 300; t++)
        run(1);
    uint64_t keys = node_at(2)->bootstrap.note.keys;
    EXPECT(keys >= 300 && node_at(2)->bootstrap.phase == BOOTSTRAP_IMAGE);
    restart_machine(2);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_IMAGE);
    EXPECT(node_at(2)->bootstrap.note.keys >= keys);
    uint8_t source = node_at(2)->bootstrap.note.source;
    while (node_at(2)->bootstrap.phase == BOOTSTRAP_IMAGE &&
           node_at(2)->bootstrap.note.cursor.len > 0)
        run(1);
    EXPECT_EQ(node_at(2)->bootstrap.note.source, source);
    EXPECT(settle());
    end_world();
}

TEST(another_source_is_taken_when_the_first_is_gone)
{
    begin_world(3, test_seed());
    write_anywhere(2000);
    EXPECT(settle());
    switch_off(2);
    leave_behind(2);
    switch_on(2);
    for (int t = 0; t < 60000 && node_at(2)->bootstrap.note.keys < 300; t++)
        run(1);
    size_t source = node_at(2)->bootstrap.note.source - 1u;
    EXPECT(source < 2);
    switch_off(source);
    uint64_t until = world.now_us + 200ull * 1000 * 1000;
    while (world.now_us < until && bootstrap_is_on(node_at(2)))
        run(30);
    EXPECT(!bootstrap_is_on(node_at(2)));
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &node_at(1 - source)->replica.last_op));
    switch_on(source);
    EXPECT(settle());
    end_world();
}

/* The log that one has dropped is still with another: no objects are needed. */
TEST(log_that_another_still_has_is_taken_from_there)
{
    begin_world(3, test_seed());
    world.deployment.log.retain_bytes = 1 << 30;
    cut_off(2, true);
    write_anywhere(1000);
    while (node_at(0)->checkpoint.start_lsn < 200 << 10)
        write_anywhere(100);
    /* 0 drops all that its checkpoint covers; 1 keeps all */
    uint64_t lsn = tail_mark_before(&node_at(0)->tail, node_at(0)->checkpoint.start_lsn);
    kept[0].log_start = lsn;
    node_log_starts(node_at(0), lsn);
    cut_off(2, false);
    EXPECT(settle());
    EXPECT_EQ(kept[2].restarts, 0);
    end_world();
}

/* 2 had writes of 1 that 0 has not, and has them in no log any more. */
TEST(who_lacks_what_was_dropped_is_no_source)
{
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(0, true);
    write_at(1, 50);
    run(2000);
    EXPECT(vector_covers(&node_at(2)->replica.last_op, &node_at(1)->replica.last_op));
    cut_off(2, true);
    mark_by_hand(2, &kept[2].marker);
    vector_copy(&kept[2].marker.floor, &kept[2].marker.had);
    restart_machine(2);
    node_cut(node_at(2), peer_of(2, 1), true);
    node_cut(node_at(0), peer_of(0, 2), false);
    run(30000);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_IMAGE);
    EXPECT_EQ(node_at(2)->bootstrap.note.keys, 0);
    EXPECT(peer_of(2, 0)->declined_until_us > 0);
    cut_off(2, false);
    cut_off(0, false);
    EXPECT(settle());
    end_world();
}

TEST(only_who_may_write_and_has_objects_on_disk_is_bootstrapped)
{
    begin_world(3, test_seed());
    write_anywhere(300);
    EXPECT(settle());
    cut_off(2, true);
    node_at(2)->replica.amnesiac = true;
    leave_behind(2);
    cut_off(2, false);
    run(20000);
    EXPECT_EQ(kept[2].restarts, 0);
    node_at(2)->replica.amnesiac = false;
    EXPECT(settle());
    end_world();
}

/* Behind as much as it: what it asked for it would not get. */
TEST(who_is_as_far_behind_is_no_source)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin_world(3, test_seed() + (uint64_t)round);
        write_anywhere(2000);
        EXPECT(settle());
        world.deployment.log.retain_bytes = 1 << 30;
        cut_off(2, true);
        uint64_t end = node_at(2)->replica.log_end;
        while (node_at(2)->checkpoint.start_lsn < end + (200 << 10))
            write_at(2, 100);
        uint64_t lsn = tail_mark_before(&node_at(2)->tail, node_at(2)->checkpoint.start_lsn);
        kept[2].log_start = lsn;
        node_log_starts(node_at(2), lsn);
        node_cut(node_at(2), peer_of(2, 0), false); /* 1 is not bootstrapped meanwhile */
        node_cut(node_at(0), peer_of(0, 2), false);
        run(20000);
        EXPECT_EQ(node_at(0)->bootstrap.note.source, 3);
        EXPECT_EQ(kept[0].restarts, 2);
        EXPECT(vector_covers(&node_at(0)->replica.last_op, &node_at(2)->replica.last_op));
        cut_off(2, false);
        EXPECT(settle());
        EXPECT_EQ(kept[2].restarts, 0);
        end_world();
    }
}

/* Two and two, and between them next to nothing comes through: neither pair may drop what only it
 * has, or nobody could give both to anybody. */
TEST(two_groups_do_not_each_drop_what_the_other_lacks)
{
    begin_world(4, test_seed());
    write_anywhere(300);
    EXPECT(settle());
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++)
            world.held_up[a][b] = a / 2 == b / 2 ? 0 : 900000;
    }
    write_anywhere(12000);
    memset(world.held_up, 0, sizeof(world.held_up));
    for (size_t i = 0; i < 4; i++) /* as a read of log that has gone ends a link */
        cut_off(i, true);
    run(2000);
    for (size_t i = 0; i < 4; i++)
        cut_off(i, false);
    EXPECT(settle());
    end_world();
}

/* --- damaged logs --- */

/* What repair makes of a log whose records from `lsn` on are damaged. */
static void repair_by_hand(size_t i, uint64_t lsn, const struct vector *had)
{
    struct machine *m = &world.machines[i];
    struct marker marker = { .instance = kept[i].instance,
                             .began_us = world.now_us,
                             .end_lsn = lsn,
                             .tail_of = (uint8_t)(i + 1) };
    tail_floor(&node_at(i)->tail, &marker.floor);
    vector_copy(&marker.had, had);
    m->written = m->synced = lsn;
    kept[i].marked = true;
    kept[i].marker = marker;
    restart_machine(i);
}

/* All of its log is durable. */
static uint64_t come_to_rest(size_t i, struct vector *had)
{
    const struct replica *r = &node_at(i)->replica;
    while (r->log_durable < r->log_end || r->open_ops > 0)
        run(1);
    vector_copy(had, &r->last_op);
    return r->log_end;
}

static bool comes_to_serve(size_t i)
{
    for (int t = 0; t < 100000 && node_at(i)->server.loading != NULL; t++)
        run(1);
    return node_at(i)->server.loading == NULL;
}

/* Region 1 alone has what was in the damaged part, and is not reached for long. */
TEST(a_region_whose_log_was_repaired_writes_nothing_before_it_has_met_everybody)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    uint64_t lsn = come_to_rest(2, &had);
    cut_off(0, true);
    write_at(2, 20);
    run(3000);
    EXPECT(vector_get(&node_at(1)->replica.last_op, 3) > vector_get(&had, 3));
    cut_off(1, true);
    node_cut(node_at(0), peer_of(0, 2), false);
    repair_by_hand(2, lsn, &had);
    EXPECT(comes_to_serve(2));
    for (int times = 0; times < 2; times++) {
        stamp_t said = vector_get(&node_at(2)->replica.applied, 3);
        run(20000);
        EXPECT(replica_write_refusal(&node_at(2)->replica) != NULL);
        EXPECT(!node_at(2)->replica.amnesiac && kept[2].marked);
        EXPECT_EQ(vector_get(&node_at(2)->replica.applied, 3), said);
        EXPECT(vector_get(&node_at(0)->replica.applied, 3) <= said);
        restart_machine(2); /* it does not forget */
        EXPECT(comes_to_serve(2));
    }
    cut_off(1, false);
    run(20000);
    EXPECT(node_at(2)->replica.amnesiac && !node_at(2)->replica.tail_unknown);
    end_world();
}

TEST(a_region_whose_log_was_repaired_writes_again_when_nobody_holds_more)
{
    struct vector had;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    uint64_t lsn = come_to_rest(2, &had);
    write_at(2, 20);
    repair_by_hand(2, lsn, &had);
    cut_off(2, false);
    EXPECT(settle());
    run(20000);
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    write_anywhere(1000);
    EXPECT(settle());
    run(20000);
    EXPECT(!kept[2].marked);
    restart_machine(2);
    EXPECT(comes_to_serve(2));
    EXPECT(replica_write_refusal(&node_at(2)->replica) == NULL);
    end_world();
}

/* Writes of its own that its checkpoint had, and that are in no log any more. */
TEST(what_nobody_has_any_more_is_told_and_not_waited_for)
{
    struct vector had, with_lost;
    begin_world(3, test_seed());
    write_anywhere(500);
    EXPECT(settle());
    cut_off(2, true);
    uint64_t lsn = come_to_rest(2, &had);
    write_at(2, 20);
    come_to_rest(2, &with_lost);
    repair_by_hand(2, lsn, &with_lost);
    node_cut(node_at(0), peer_of(0, 2), false);
    run(40000);
    EXPECT_EQ(node_at(2)->bootstrap.phase, BOOTSTRAP_OWN); /* region 1 may have them */
    EXPECT(node_at(2)->server.loading != NULL);
    cut_off(2, false);
    EXPECT(comes_to_serve(2));
    EXPECT(node_at(2)->replica.amnesiac);
    EXPECT_EQ(node_at(2)->known.amnesiac, true);
    end_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
