/*
 * region -- one region as its server would run it: the node, its log and ceiling on a simulated
 * disk, its clock.
 *
 * Stands where host/loop.c and host/logthread.c stand in the server, and does as they do: takes
 * what a turn gave, appends and syncs the log in one run after the other, tells when it is
 * durable, and answers reads.
 */
#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "sim/world.h"

enum {
    LINGER_MAX_US = 3000, /* of turns that gather what comes */
    START_AGAIN_US = 5000,
};

/* --- turns --- */

/* A turn is due `us` from now by the region's clock, which drifts and is slewed: a little later by
 * the world's, so that it is not too early. */
static uint64_t by_world(uint64_t us)
{
    return us + us / 1000 + 1;
}

static void turn_is_due(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    if (e->number != r->armed_us)
        return;
    r->armed_us = 0;
    sim_turn_begin(w, r);
    sim_turn_end(w, r);
}

static void arm(struct sim_world *w, struct sim_region *r)
{
    uint64_t due_us = node_next_deadline(&r->node), clock_us = sim_clock_now_us(w, r);
    uint64_t after_us = due_us <= clock_us ? 1 : by_world(due_us - clock_us);
    uint64_t when_us = w->now_us + after_us;
    if (r->armed_us != 0 && r->armed_us <= when_us)
        return;
    r->armed_us = when_us;
    sim_for_region(w, r, after_us, turn_is_due)->number = when_us;
}

enum { MB = 1 << 20, MEMORY_LIMIT = 64 * MB, OWN_BYTES = 10 * MB, KEYS_BYTES = 24 * MB };

/* A process that is so large that the keys which the plan says have room in it, while there is chaos. */
static void give_figures(const struct sim_world *w, struct sim_region *r)
{
    struct server *server = &r->node.server;
    struct process *p = &server->process;
    if (w->plan.memory_keys == 0)
        return;
    server->settings.max_memory_bytes = w->healed ? 0 : MEMORY_LIMIT;
    p->memory_used_bytes = OWN_BYTES +
                           evict_resident_keys(server) * (KEYS_BYTES / w->plan.memory_keys);
    p->memory_rss_bytes = p->memory_used_bytes;
    p->memory_samples++;
}

void sim_turn_begin(struct sim_world *w, struct sim_region *r)
{
    CHECK(r->up);
    give_figures(w, r);
    node_turn(&r->node, sim_clock_now_us(w, r));
}

/* --- the log --- */

/* A disk that was made to fail has done so. The process hears of it a little later. */
static void tell_failed(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    sim_turn_begin(w, r);
    node_log_failed(&r->node, e->what);
    sim_turn_end(w, r);
    mem_free(e->what);
}

void sim_region_disk_failed(struct sim_world *w, struct sim_region *r, const char *problem)
{
    if (!r->disk_bad) {
        sim_fail(w, "region %u: its log failed: %s", r->index + 1, problem);
        return;
    }
    r->disk_failed = true;
    sim_tell(w, r, "disk", "failed: %s", problem);
    struct sim_event *e = sim_for_region(w, r, sim_around(&r->prng, w->plan.write_us, 0),
                                         tell_failed);
    size_t bytes = strlen(problem) + 1;
    e->what = memcpy(mem_alloc(bytes), problem, bytes);
    e->owned = true;
}

static void log_failed(struct sim_world *w, struct sim_region *r)
{
    r->log_broken = true;
    sim_region_disk_failed(w, r, r->log.problem);
}

/* The process hears of it a little later, and may have written meanwhile. */
static void rolled(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    sim_turn_begin(w, r);
    node_rolled(&r->node, e->what);
    sim_turn_end(w, r);
    mem_free(e->what);
}

static void roll(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    int error = oplog_roll(&r->log);
    if (r->log.broken) {
        log_failed(w, r);
        return;
    }
    r->writing = r->rolls = false;
    struct sim_event *told = sim_for_region(w, r, sim_around(&r->prng, w->plan.write_us, 0),
                                            rolled);
    if (error != 0) {
        size_t bytes = strlen(r->log.problem) + 1;
        told->what = memcpy(mem_alloc(bytes), r->log.problem, bytes);
        told->owned = true;
    }
    sim_turn_begin(w, r);
    sim_turn_end(w, r);
}

/* After what was to be written before it. */
static void plan_roll(struct sim_world *w, struct sim_region *r)
{
    sim_for_region(w, r, sim_around(&r->prng, w->plan.sync_us, w->plan.disk_tail), roll);
}

static void log_synced(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    if (oplog_sync(&r->log) != 0) {
        log_failed(w, r);
        return;
    }
    r->writing = r->rolls;
    if (r->rolls)
        plan_roll(w, r);
    sim_trace(w, "r%u log durable %llu", r->index + 1, (unsigned long long)e->number);
    sim_turn_begin(w, r);
    r->durable_lsn = e->number;
    node_durable(&r->node, e->number);
    sim_turn_end(w, r);
}

static void write_log(struct sim_world *w, struct sim_region *r)
{
    struct span records;
    uint64_t end_lsn = 0, end;
    if (r->writing || r->log_broken)
        return;
    while (node_take_log(&r->node, &records, &end)) {
        end_lsn = end;
        if (oplog_append(&r->log, records) != 0) {
            log_failed(w, r);
            return;
        }
    }
    r->rolls = node_next_roll(&r->node);
    r->writing = r->rolls || end_lsn != 0;
    if (r->rolls && end_lsn == 0)
        plan_roll(w, r);
    if (end_lsn == 0)
        return;
    uint64_t after_us = sim_around(&r->prng, w->plan.write_us, 0) +
                        sim_around(&r->prng, w->plan.sync_us, w->plan.disk_tail);
    sim_for_region(w, r, after_us, log_synced)->number = end_lsn;
}

/* --- the ceiling --- */

static void plan_ceiling(struct sim_world *w, struct sim_region *r, uint64_t ceiling_ms);

static void ceiling_written(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    uint64_t next_ms = r->ceiling_next_ms;
    if (ceiling_write(&r->ceiling, e->number) != 0) {
        sim_region_disk_failed(w, r, r->disk.disk.detail);
        return;
    }
    r->ceiling_busy = false;
    r->ceiling_next_ms = 0;
    sim_turn_begin(w, r);
    node_ceiling_durable(&r->node, e->number);
    if (next_ms != 0)
        plan_ceiling(w, r, next_ms);
    sim_turn_end(w, r);
}

static void plan_ceiling(struct sim_world *w, struct sim_region *r, uint64_t ceiling_ms)
{
    if (r->ceiling_busy) {
        r->ceiling_next_ms = ceiling_ms;
        return;
    }
    r->ceiling_busy = true;
    uint64_t after_us = sim_around(&r->prng, w->plan.sync_us, w->plan.disk_tail);
    sim_for_region(w, r, after_us, ceiling_written)->number = ceiling_ms;
}

/* --- what was learned of other runs --- */

static void store_known(struct sim_world *w, struct sim_region *r,
                        const struct identity_known *known)
{
    char problem[320];
    r->identity.known = *known;
    if (!r->log_broken && identity_store(&r->disk.disk, &r->identity, problem) != 0)
        sim_region_disk_failed(w, r, problem);
}

/* --- log read back --- */

struct read {
    uint64_t link_id, lsn, limit_lsn;
    size_t want;
};

static struct link *link_with_id(struct node *n, uint64_t id)
{
    list_each(&n->links, it)
    {
        struct link *l = container_of(it, struct link, link);
        if (l->id == id)
            return l;
    }
    return NULL;
}

static void log_read(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct read *read = e->what;
    struct link *l = link_with_id(&r->node, read->link_id);
    struct buffer records = { 0 };
    if (l) {
        int error = oplog_read(&r->log, read->lsn, read->limit_lsn, read->want, &records);
        /* Past log.retain log goes though a link reads it: that region is bootstrapped. */
        if (error != 0 && read->lsn >= r->node.log_start)
            sim_fail(w, "region %u: its log cannot be read at %llu: %s", r->index + 1,
                     (unsigned long long)read->lsn, r->log.problem);
        sim_turn_begin(w, r);
        node_read_done(&r->node, l, read->lsn, buffer_span(&records),
                       error ? r->log.problem : NULL);
        sim_turn_end(w, r);
    }
    buffer_release(&records);
    mem_free(read);
}

static void plan_reads(struct sim_world *w, struct sim_region *r)
{
    struct read found;
    struct link *l;
    while (node_next_read(&r->node, &l, &found.lsn, &found.limit_lsn, &found.want)) {
        found.link_id = l->id;
        struct sim_event *e = sim_for_region(
            w, r, sim_around(&r->prng, w->plan.write_us, w->plan.disk_tail), log_read);
        struct read *read = mem_alloc(sizeof(*read));
        *read = found;
        e->what = read;
        e->owned = true;
        w->reads++;
    }
}

/* --- what a turn gives --- */

/* Lines that no fault of this simulator explains, or of this world. */
static void judge_notice(struct sim_world *w, struct sim_region *r, const char *text)
{
    static const char *const WRONG[] = { "malformed", "no place here" };
    static const char *const OF_LOSS[] = { "ev=fork", "ev=amnesia", "ev=origin.unknown",
                                           "ev=bootstrap.lost", "ev=bootstrap.skipped" };
    static const char *const OF_CLOCKS[] = { "ev=clock.", "ev=writes.refused" };
    static const char *const OF_STORE[] = { "ev=checkpoint.failed", "ev=checkpoint.damaged",
                                            "ev=checkpoint.behind", "ev=checkpoint.unreadable" };
    for (size_t i = 0; i < COUNT_OF(WRONG); i++) {
        if (strstr(text, WRONG[i]))
            sim_fail(w, "region %u says: %s", r->index + 1, text);
    }
    for (size_t i = 0; i < COUNT_OF(OF_CLOCKS); i++) {
        if (w->plan.clock_wild_us == 0 && strstr(text, OF_CLOCKS[i]))
            sim_fail(w, "region %u says, and every clock is right: %s", r->index + 1, text);
    }
    for (size_t i = 0; i < COUNT_OF(OF_LOSS); i++) {
        if (!w->plan.losses && strstr(text, OF_LOSS[i]))
            sim_fail(w, "region %u says: %s", r->index + 1, text);
    }
    if (w->plan.repairs && strstr(text, "ev=fork"))
        sim_fail(w, "region %u says, and nobody could write twice: %s", r->index + 1, text);
    for (size_t i = 0; i < COUNT_OF(OF_STORE); i++) {
        if (!r->store.failed && strstr(text, OF_STORE[i]))
            sim_fail(w, "region %u says, and its disk is good: %s", r->index + 1, text);
    }
    if (!r->disk_failed && strstr(text, "ev=log.failed"))
        sim_fail(w, "region %u says, and its disk is good: %s", r->index + 1, text);
}

static void take_notices(struct sim_world *w, struct sim_region *r)
{
    struct notice notice;
    while (node_next_notice(&r->node, &notice)) {
        sim_trace(w, "r%u notice %s", r->index + 1, notice.text);
        judge_notice(w, r, notice.text);
    }
}

/* Remembers among which own ops there are removals of keys whose time had come. */
static void note_reclaims(struct sim_world *w, const struct sim_region *r, uint64_t reclaimed,
                          const struct vector *after)
{
    const struct replica *replica = &r->node.replica;
    if (replica->reclaimed == reclaimed)
        return;
    for (uint32_t o = 0; bits_next(replica->own, STAMP_ORIGINS, &o); o++) {
        w->reclaims = mem_realloc(w->reclaims, (w->reclaim_count + 1) * sizeof(*w->reclaims));
        w->reclaims[w->reclaim_count++] = (struct oracle_reclaim){
            .after = vector_get(after, (uint8_t)o),
            .up_to = vector_get(&replica->last_op, (uint8_t)o),
        };
    }
}

static void end_turn(struct sim_world *w, struct sim_region *r)
{
    struct session *session;
    struct link *link;
    struct peer *peer;
    uint64_t reclaimed = r->node.replica.reclaimed;
    struct vector after;
    vector_copy(&after, &r->node.replica.last_op);
    uint64_t evicted = r->node.server.statistics.evicted_keys;
    node_turn_end(&r->node);
    sim_audited_turn(w, r);
    sim_travellers_turn(w, r);
    sim_lag_turn(w, r);
    if (r->node.server.statistics.evicted_keys == evicted)
        note_reclaims(w, r, reclaimed, &after);
    else /* they cannot be told apart */
        sim_tell(w, r, "memory", "%llu keys are dropped",
                 (unsigned long long)(r->node.server.statistics.evicted_keys - evicted));
    write_log(w, r);
    uint64_t ceiling_ms = node_want_ceiling(&r->node);
    if (ceiling_ms != 0)
        plan_ceiling(w, r, ceiling_ms);
    const struct identity_known *known = node_want_known(&r->node);
    if (known)
        store_known(w, r, known);
    plan_reads(w, r);
    sim_store_turn_end(w, r);
    while ((session = node_next_dirty_session(&r->node)) != NULL) {
        if (session->host == &r->reader)
            sim_reader_answers(w, &r->reader);
        else if (sim_is_traveller(w, session->host))
            sim_traveller_answers(w, session->host);
        else if (sim_is_caller(w, session->host))
            sim_caller_answers(w, session->host);
        else if (sim_is_person_writer(w, session->host))
            sim_person_answers(w, session->host);
        else
            sim_load_answers(w, session->host);
    }
    while ((link = node_next_dirty_link(&r->node)) != NULL)
        sim_net_flush(w, link);
    while (node_next_dial(&r->node, &peer))
        sim_net_dial(w, r, peer);
    take_notices(w, r);
    if (r->index == r->place)
        sim_watch_turn(w, r);
    sim_tell_log(w, r);
    sim_tell_parked(w, r);
    arm(w, r);
}

static void end_lingering(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    r->lingering = false;
    sim_turn_begin(w, r);
    end_turn(w, r);
}

void sim_turn_end(struct sim_world *w, struct sim_region *r)
{
    if (r->lingering)
        return;
    if (!prng_chance(&r->prng, w->plan.linger)) {
        end_turn(w, r);
        return;
    }
    r->lingering = true;
    sim_for_region(w, r, prng_below(&r->prng, LINGER_MAX_US), end_lingering);
}

/* --- sleep --- */

bool sim_region_is_asleep(const struct sim_world *w, const struct sim_region *r)
{
    return r->up && r->asleep_until_us > w->now_us;
}

bool sim_region_serves(const struct sim_region *r)
{
    return r->up && !r->node.server.loading && !r->node.log_broken;
}

/* After the events that waited for it. */
static void awake(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    if (!sim_region_is_asleep(w, r))
        sim_net_region_awake(w, r);
}

static void wake(struct sim_world *w, struct sim_event *e)
{
    sim_at(w, w->now_us, awake)->region = e->region;
}

void sim_region_sleep(struct sim_world *w, struct sim_region *r, uint64_t until_us)
{
    if (!r->up || until_us <= r->asleep_until_us)
        return;
    r->asleep_until_us = until_us;
    sim_at(w, until_us, wake)->region = r->index;
}

/* --- start and crash --- */

void sim_region_init(struct sim_region *r, uint32_t index, uint32_t place)
{
    r->index = index;
    r->place = place;
    sim_disk_init(&r->disk, prng_next(&r->prng));
    sim_store_init(r);
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        r->clients[i].region = index;
        r->clients[i].index = i;
    }
    r->reader.region = index;
    r->reader.prng = prng_split(&r->prng);
    r->store.prng = prng_split(&r->prng);
}

/* A disk that is good lets a region start. */
static void not_started(struct sim_world *w, struct sim_region *r, const char *problem)
{
    if (!r->disk_bad && r->disk.die_at == 0)
        sim_fail(w, "region %u does not start: %s", r->index + 1, problem);
    sim_tell(w, r, "disk", "not started: %s", problem);
}

static bool claim(struct sim_world *w, struct sim_region *r)
{
    r->id = w->ids[r->place];
    struct identity *want = mem_zalloc(sizeof(*want)), *got = mem_zalloc(sizeof(*got));
    char problem[320] = "";
    const struct deployment *d = w->deployment;
    snprintf(want->deployment, sizeof(want->deployment), "%s", d->name);
    want->region = r->id;
    want->shards = 1;
    want->run = ++w->runs; /* as good as random: every start of the world has its own */
    memcpy(want->closed, d->closed, sizeof(want->closed));
    want->region_count = w->plan.regions;
    for (unsigned id = 1, i = 0; id <= REGION_ID_MAX && i < want->region_count; id++) {
        const struct region *region = deployment_region_with_id(d, (uint8_t)id);
        if (!region)
            continue;
        want->regions[i].id = region->id;
        snprintf(want->regions[i++].name, IDENTITY_NAME_MAX, "%s", region->name);
    }
    bool claimed = identity_claim(&r->disk.disk, want, got, problem) == 0;
    if (!claimed)
        not_started(w, r, problem);
    else if (got->instance <= r->instance)
        sim_fail(w, "region %u: instance %llu again", r->index + 1,
                 (unsigned long long)got->instance);
    else
        r->instance = got->instance;
    r->identity = *got;
    mem_free(want);
    mem_free(got);
    return claimed;
}

struct replaying {
    struct sim_world *w;
    struct sim_region *r;
};

/* As where memory is short: some turns in which a checkpoint may begin, go on, or end, and keys leave. */
static void hold_up(struct sim_world *w, struct sim_region *r)
{
    struct prng *p = &r->store.prng;
    uint64_t *limit = &r->node.server.settings.max_memory_bytes, before = *limit;
    *limit = MEMORY_LIMIT;
    if (prng_chance(p, 500000))
        checkpoint_ask(&r->node);
    for (uint64_t turns = prng_below(p, 20); turns > 0; turns--) {
        give_figures(w, r);
        node_turn(&r->node, 0); /* its clock does not run yet */
        node_turn_end(&r->node);
        sim_store_replay_turn_end(w, r);
    }
    *limit = before;
}

static int replay(void *context, const struct record *record)
{
    struct replaying *replaying = context;
    struct sim_region *r = replaying->r;
    int error = node_replay(&r->node, record);
    if (error == E_OK && r->node.loading &&
        prng_chance(&r->store.prng, replaying->w->plan.replay_stops))
        hold_up(replaying->w, r);
    return error;
}

static bool recover(struct sim_world *w, struct sim_region *r, const struct checkpoint_found *found)
{
    struct oplog_report report = { 0 };
    struct oplog_options options = {
        .deployment = w->deployment->name,
        .region = r->id,
        .segment_bytes = w->plan.segment_bytes,
        .replay_from = r->store.phase == BOOTSTRAP_IMAGE ? r->store.marker.end_lsn
                       : found->start_known              ? found->start.lsn
                                                         : 0,
    };
    if (node_install(&r->node, &r->store.checkpoint, found) != 0) {
        not_started(w, r, r->store.checkpoint.problem);
        return false;
    }
    memcpy(options.regions, r->identity.closed, sizeof(options.regions));
    struct replaying replaying = { w, r };
    if (w->plan.replay_stops > 0) {
        options.durable_first = r->node.replay_durable = true;
        node_loading(&r->node, 0, 1);
    }
    if (oplog_open(&r->log, &r->disk.disk, &options, replay, &replaying, &report) != 0) {
        not_started(w, r, r->log.problem);
        return false;
    }
    if (r->store.marked && r->log.end_lsn == r->store.marker.end_lsn && oplog_roll(&r->log) != 0) {
        not_started(w, r, r->log.problem);
        oplog_close(&r->log);
        return false;
    }
    node_recovered(&r->node, r->log.end_lsn);
    node_log_starts(&r->node, oplog_start_lsn(&r->log));
    r->told = (struct sim_told){ .lsn = r->log.end_lsn };
    sim_tell(w, r, "start", "instance %llu, checkpoint at %llu, %llu records, %llu bytes cut",
             (unsigned long long)r->instance, (unsigned long long)options.replay_from,
             (unsigned long long)report.records, (unsigned long long)report.cut_bytes);
    return true;
}

static void make_node(struct sim_world *w, struct sim_region *r, uint64_t ceiling_ms,
                      const struct checkpoint_found *found)
{
    node_init(&r->node, &(struct node_options){
                            .deployment = w->deployment,
                            .self = deployment_region_with_id(w->deployment, r->id),
                            .instance = r->instance,
                            .run = r->identity.run,
                            .known = &r->identity.known,
                            .seed = prng_next(&r->prng),
                            .ceiling_ms = ceiling_ms,
                            .table_seed = found->start_known ? found->start.table_seed : 0,
                            .marker = r->store.marked ? &r->store.marker : NULL,
                            .faults = true,
                            .audits = true,
                            .fsync = w->plan.fsync,
                        });
    sim_audited_start(w, r);
    r->node.replica.options.park_max_bytes = w->plan.park_max_bytes;
    r->node.replica.copier.step_bytes = w->plan.step_bytes;
    r->node.replica.copier.piece_bytes = w->plan.copied_bytes;
}

/* With the checkpoint and its ceiling open. */
static bool load_node(struct sim_world *w, struct sim_region *r, uint64_t ceiling_ms,
                      const struct checkpoint_found *found)
{
    make_node(w, r, ceiling_ms, found);
    if (recover(w, r, found))
        return true;
    node_release(&r->node);
    return false;
}

static bool load_store(struct sim_world *w, struct sim_region *r, uint64_t ceiling_ms)
{
    struct checkpoint_found *found = mem_zalloc(sizeof(*found));
    bool loaded = sim_store_open(r, found) == 0;
    if (!loaded)
        not_started(w, r, r->store.checkpoint.problem);
    else
        loaded = load_node(w, r, ceiling_ms, found);
    mem_free(found);
    if (!loaded)
        sim_store_close(r);
    return loaded;
}

/* The node with what its disk holds, as it was before its first turn. */
static bool load(struct sim_world *w, struct sim_region *r)
{
    uint64_t ceiling_ms = 0;
    if (!claim(w, r))
        return false;
    if (ceiling_open(&r->ceiling, &r->disk.disk, &ceiling_ms) != 0) {
        not_started(w, r, r->disk.disk.detail);
        return false;
    }
    if (load_store(w, r, ceiling_ms))
        return true;
    ceiling_close(&r->ceiling);
    return false;
}

/* A start that its disk cut short leaves the disk as a crash in its midst does. */
static void fall_over(struct sim_world *w, struct sim_region *r)
{
    bool power = prng_chance(&r->prng, 500000);
    w->crashes++;
    if (power)
        sim_disk_crash(&r->disk);
    r->disk.die_at = 0;
}

bool sim_region_start(struct sim_world *w, struct sim_region *r)
{
    r->disk_failed = r->log_broken = false;
    if (!load(w, r)) {
        fall_over(w, r);
        return false;
    }
    r->disk.die_at = 0;
    r->up = true;
    r->epoch++;
    r->writing = r->rolls = r->ceiling_busy = r->lingering = false;
    r->ceiling_next_ms = r->armed_us = 0;
    sim_clock_start(w, r);
    sim_verify_recovered(w, r);
    sim_watch_start(w, r);
    sim_turn_begin(w, r);
    sim_turn_end(w, r);
    sim_load_start(w, r);
    if (r->index == r->place)
        sim_reader_start(w, r);
    return true;
}

static void stop(struct sim_world *w, struct sim_region *r, bool power)
{
    sim_load_region_down(w, r);
    sim_reader_region_down(w, r);
    sim_travellers_region_down(w, r);
    sim_callers_region_down(w, r);
    if (r->index == r->place)
        sim_persons_region_down(w, r);
    vector_copy(&r->durable, &r->node.replica.durable);
    node_release(&r->node);
    r->up = false;
    r->asleep_until_us = 0;
    sim_net_region_down(w, r, power);
    oplog_close(&r->log);
    ceiling_close(&r->ceiling);
    sim_store_close(r);
}

/* The machine loses its power, or only the process is killed: then what was written is all
 * there. */
void sim_region_crash_by(struct sim_world *w, struct sim_region *r, bool power, struct prng *p)
{
    sim_tell(w, r, "crash", "%s", power ? "loses power" : "is killed");
    w->crashes++;
    if (power) {
        prng_seed(&r->disk.prng, prng_next(p));
        sim_disk_crash(&r->disk);
    }
    stop(w, r, power);
}

void sim_region_crash(struct sim_world *w, struct sim_region *r, struct prng *p)
{
    sim_region_crash_by(w, r, prng_chance(p, 600000), p);
}

static void start_again(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    if (!r->up && !sim_region_start(w, r))
        sim_at(w, w->now_us + START_AGAIN_US, start_again)->region = e->region;
}

void sim_region_restart(struct sim_world *w, struct sim_region *r)
{
    stop(w, r, false);
    sim_region_start_after(w, r, 1 + prng_below(&r->prng, START_AGAIN_US));
}

void sim_region_start_after(struct sim_world *w, struct sim_region *r, uint64_t after_us)
{
    sim_at(w, w->now_us + after_us, start_again)->region = r->index;
}

void sim_region_release(struct sim_world *w, struct sim_region *r)
{
    if (r->up)
        stop(w, r, false);
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        buffer_release(&r->clients[i].answers);
        buffer_release(&r->clients[i].unsent);
    }
    buffer_release(&r->reader.answers);
    sim_store_release(r);
    sim_disk_release(&r->disk);
    sim_audited_release(r);
    sim_loss_release(r);
}
