/*
 * store -- a region's checkpoint as its server would keep it: the writer's thread, the log's other
 * end, keys that leave memory.
 *
 * Stands where host/checkpointer.c stands, over env/kv_memory.h, which is as durable as the disk.
 * A transaction takes its time, is committed at once at its end, and the region hears of that a
 * little later: who crashes before has nothing of it, who crashes between does not know that he
 * has. Log that is dropped is kept here all the same, for the oracle alone: the contract is about
 * all that was ever written. Any key that may leave memory does, in some worlds after nearly every
 * turn.
 */
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "crdt/resident.h"
#include "sim/world.h"

enum { GIVEN_UP_PPM = 10000 }; /* it is tried again a minute later: that makes worlds long */

/* --- faults --- */

/* Calls that change something count with those of the disk. */
static int fault(void *context, enum kv_memory_call call, bool write)
{
    struct sim_region *r = context;
    struct sim_store *s = &r->store;
    if (s->looked_at)
        return E_OK;
    if (write)
        r->disk.calls++;
    if (r->disk.die_at != 0 && r->disk.calls >= r->disk.die_at)
        return E_IO;
    bool hit = s->fail_code != E_OK && write == s->fail_write && call != KV_MEMORY_BEGIN &&
               (!write || call != KV_MEMORY_GET);
    if (!hit || (s->fail_in > 0 && --s->fail_in > 0))
        return E_OK;
    if (s->fail_code != E_FULL)
        r->disk_failed = true; /* and is no good before a restart */
    s->failed = true;
    return s->fail_code;
}

void sim_store_fail(struct sim_region *r, bool write, uint32_t nth, int code)
{
    r->store.fail_write = write;
    r->store.fail_in = nth;
    r->store.fail_code = code;
}

/* --- life --- */

void sim_store_init(struct sim_region *r)
{
    kv_memory_init(&r->store.kv);
    r->store.kv.fault = fault;
    r->store.kv.fault_context = r;
}

void sim_store_release(struct sim_region *r)
{
    kv_memory_release(&r->store.kv);
    buffer_release(&r->store.dropped);
    buffer_release(&r->store.cursor);
}

/* What a first copy left that was never completed is of no use to anybody. */
static int clear(struct sim_store *s)
{
    bool done = false;
    int error = E_OK;
    while (error == E_OK && !done)
        error = checkpoint_clear(&s->writer, &done);
    return error;
}

/* Nothing that was ever written down is there any more: as if the files were removed. */
void sim_store_forget(struct sim_region *r)
{
    kv_memory_release(&r->store.kv);
    sim_store_init(r);
}

/* What is there belongs to this bootstrap, or else goes. */
static int open_marked(struct sim_region *r, struct checkpoint_found *found)
{
    struct sim_store *s = &r->store;
    s->phase = bootstrap_phase_of(&s->checkpoint, found, &s->marker);
    if (s->phase != BOOTSTRAP_NONE)
        return E_OK;
    s->phase = BOOTSTRAP_IMAGE;
    checkpoint_close(&s->checkpoint);
    sim_store_forget(r);
    return checkpoint_open(&s->checkpoint, &s->kv.kv, found);
}

static int open(struct sim_region *r, struct checkpoint_found *found)
{
    struct sim_store *s = &r->store;
    int error = checkpoint_open(&s->checkpoint, &s->kv.kv, found);
    s->phase = BOOTSTRAP_NONE;
    if (error == E_OK && s->marked)
        return open_marked(r, found);
    if (error != E_OK || found->start_known || found->empty)
        return error;
    checkpoint_close(&s->checkpoint);
    error = clear(s);
    return error == E_OK ? checkpoint_open(&s->checkpoint, &s->kv.kv, found) : error;
}

static int read_marker(struct sim_region *r)
{
    struct sim_store *s = &r->store;
    int error = marker_read(&r->disk.disk, &s->marker, s->checkpoint.problem);
    s->marked = error == E_OK;
    s->leapt |= s->marked;
    return error == E_MISSING ? E_OK : error;
}

static int open_exporter(struct sim_store *s)
{
    struct checkpoint_found *unused = mem_alloc(sizeof(*unused));
    int error = checkpoint_open(&s->exporter, &s->kv.kv, unused);
    mem_free(unused);
    if (error == E_OK)
        checkpoint_refresh(&s->exporter);
    else
        checkpoint_close(&s->checkpoint);
    return error;
}

int sim_store_open(struct sim_region *r, struct checkpoint_found *found)
{
    struct sim_store *s = &r->store;
    s->writing = s->dropping = s->exporting = s->failed = false;
    checkpoint_writer_init(&s->writer, &s->kv.kv);
    int error = read_marker(r);
    if (error == E_OK)
        error = open(r, found);
    if (error == E_OK)
        error = open_exporter(s);
    s->is_open = error == E_OK;
    if (!s->is_open)
        checkpoint_writer_release(&s->writer);
    return error;
}

void sim_store_close(struct sim_region *r)
{
    struct sim_store *s = &r->store;
    if (s->is_open) {
        checkpoint_close(&s->checkpoint);
        checkpoint_close(&s->exporter);
        checkpoint_writer_release(&s->writer);
    }
    s->is_open = false;
    kv_memory_crash(&s->kv);
}

/* --- transactions --- */

static void written(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_store *s = &r->store;
    s->writing = false;
    sim_turn_begin(w, r);
    node_written(&r->node, s->error, s->error == E_OK ? "" : s->writer.problem);
    sim_turn_end(w, r);
}

static void write_down(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_store *s = &r->store;
    s->error = checkpoint_write(&s->writer, &s->job);
    sim_trace(w, "r%u checkpoint %llu records, %llu pieces, %zu bytes%s: %d", r->index + 1,
              (unsigned long long)s->writer.records, (unsigned long long)s->writer.pieces,
              s->job.changes.len, s->job.start.len > 0 ? ", the last" : "", s->error);
    if (s->error != E_OK && !s->failed)
        sim_fail(w, "region %u: its checkpoint is not written: %s", r->index + 1,
                 s->writer.problem);
    sim_for_region(w, r, sim_around(&s->prng, w->plan.write_us, 0), written);
}

/* Now and then it is given up, as where somebody reads the old file for long, or the server is to stop. */
static bool goes_on(void *context)
{
    bool *given_up = context;
    return !*given_up;
}

static void rewrite(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_store *s = &r->store;
    char detail[KV_DETAIL_MAX] = "";
    struct kv_rewritten rewritten;
    bool given_up = prng_chance(&s->prng, GIVEN_UP_PPM) && !w->healed;
    int error = s->kv.kv.ops->rewrite(&s->kv.kv, goes_on, &given_up, detail, &rewritten);
    sim_trace(w, "r%u checkpoint written anew: %d", r->index + 1, error);
    s->writing = false;
    sim_turn_begin(w, r);
    node_rewritten(&r->node, error, detail, &rewritten);
    sim_turn_end(w, r);
}

static void plan_write(struct sim_world *w, struct sim_region *r)
{
    struct sim_store *s = &r->store;
    if (!s->writing && node_next_rewrite(&r->node)) {
        s->writing = true;
        sim_for_region(w, r, sim_around(&s->prng, w->plan.store_us, w->plan.disk_tail), rewrite);
        return;
    }
    if (s->writing || !node_next_write(&r->node, &s->job))
        return;
    s->writing = true;
    sim_for_region(w, r, sim_around(&s->prng, w->plan.store_us, w->plan.disk_tail), write_down);
}

/* --- objects for another region's bootstrap --- */

static void export_some(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_store *s = &r->store;
    struct buffer changes = { 0 };
    bool all = false;
    int error = checkpoint_export(&s->exporter, &s->cursor, e->number, &changes, &all);
    checkpoint_refresh(&s->exporter);
    sim_trace(w, "r%u gives %zu bytes of objects%s: %d", r->index + 1, changes.len,
              all ? ", the last" : "", error);
    if (error != E_OK && !s->failed)
        sim_fail(w, "region %u: its checkpoint is not read: %s", r->index + 1, s->exporter.problem);
    s->exporting = false;
    sim_turn_begin(w, r);
    node_exported(&r->node, error, buffer_span(&s->cursor), buffer_span(&changes), all,
                  s->exporter.problem);
    sim_turn_end(w, r);
    buffer_release(&changes);
}

static void plan_export(struct sim_world *w, struct sim_region *r)
{
    struct sim_store *s = &r->store;
    struct span cursor;
    size_t bytes;
    if (s->exporting || !node_next_export(&r->node, &cursor, &bytes))
        return;
    s->exporting = true;
    buffer_clear(&s->cursor);
    buffer_put(&s->cursor, cursor);
    if (w->plan.export_bytes != 0)
        bytes = w->plan.export_bytes;
    sim_for_region(w, r, sim_around(&s->prng, w->plan.write_us, w->plan.disk_tail), export_some)
        ->number = bytes;
}

/* --- the region's own bootstrap --- */

struct own_read {
    uint64_t lsn, limit_lsn;
    size_t want;
};

static void read_own(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct own_read *read = e->what;
    struct buffer records = { 0 };
    if (oplog_read(&r->log, read->lsn, read->limit_lsn, read->want, &records) != 0)
        sim_fail(w, "region %u: its old log cannot be read: %s", r->index + 1, r->log.problem);
    sim_turn_begin(w, r);
    node_own_read_done(&r->node, read->lsn, buffer_span(&records), NULL);
    sim_turn_end(w, r);
    buffer_release(&records);
    mem_free(read);
}

static void plan_own_read(struct sim_world *w, struct sim_region *r)
{
    struct own_read found;
    while (node_next_own_read(&r->node, &found.lsn, &found.limit_lsn, &found.want)) {
        struct own_read *read = mem_alloc(sizeof(*read));
        *read = found;
        struct sim_event *e = sim_for_region(
            w, r, sim_around(&r->store.prng, w->plan.write_us, w->plan.disk_tail), read_own);
        e->what = read;
        e->owned = true;
    }
}

static void unmark(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    char problem[MARKER_PROBLEM_MAX];
    if (r->log_broken)
        return;
    if (marker_remove(&r->disk.disk, problem) != 0) {
        sim_region_disk_failed(w, r, problem);
        return;
    }
    r->store.marked = false;
    sim_tell(w, r, "bootstrap", "is over");
    sim_turn_begin(w, r);
    node_unmarked(&r->node);
    sim_turn_end(w, r);
}

static void restart(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct node_restart *want = e->what;
    char problem[MARKER_PROBLEM_MAX];
    if (want->mark && !r->log_broken && marker_write(&r->disk.disk, &want->marker, problem) != 0)
        sim_region_disk_failed(w, r, problem);
    sim_tell(w, r, "bootstrap", "restarts%s", want->mark ? ", to begin" : "");
    mem_free(want);
    sim_region_restart(w, r);
}

static void plan_bootstrap(struct sim_world *w, struct sim_region *r)
{
    struct node_restart want;
    plan_own_read(w, r);
    if (node_next_unmark(&r->node))
        sim_for_region(w, r, sim_around(&r->store.prng, w->plan.sync_us, 0), unmark);
    if (!node_next_restart(&r->node, &want))
        return;
    struct sim_event *e = sim_for_region(w, r, sim_around(&r->store.prng, w->plan.sync_us, 0),
                                         restart);
    e->what = memcpy(mem_alloc(sizeof(want)), &want, sizeof(want));
    e->owned = true;
}

/* --- the log's other end --- */

/* All that the log ever had below `lsn`. */
static void keep_dropped(struct sim_world *w, struct sim_region *r, uint64_t lsn)
{
    struct buffer *kept = &r->store.dropped;
    while (kept->len < lsn && !w->failed) {
        if (oplog_read(&r->log, kept->len, lsn, 1 << 20, kept) != 0)
            sim_fail(w, "region %u: its log cannot be read: %s", r->index + 1, r->log.problem);
    }
}

static void drop(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_store *s = &r->store;
    s->dropping = false;
    if (r->log_broken)
        return;
    uint64_t before = oplog_start_lsn(&r->log);
    keep_dropped(w, r, e->number);
    if (oplog_drop(&r->log, e->number) != 0 && !r->disk_bad)
        sim_fail(w, "region %u: its log is not dropped: %s", r->index + 1, r->log.problem);
    uint64_t start = oplog_start_lsn(&r->log);
    if (start == before)
        return;
    sim_tell(w, r, "log", "starts at %llu now", (unsigned long long)start);
    sim_turn_begin(w, r);
    node_log_starts(&r->node, start);
    sim_watch_dropped(w, r);
    sim_turn_end(w, r);
}

static void plan_drop(struct sim_world *w, struct sim_region *r)
{
    uint64_t lsn;
    if (r->store.dropping || !node_next_drop(&r->node, &lsn))
        return;
    r->store.dropping = true;
    sim_for_region(w, r, sim_around(&r->store.prng, w->plan.write_us, 0), drop)->number = lsn;
}

void sim_store_read_log(struct sim_world *w, struct sim_region *r, struct buffer *out)
{
    const struct buffer *kept = &r->store.dropped;
    uint64_t start = oplog_start_lsn(&r->log), end = r->log.end_lsn;
    CHECK(start <= kept->len);
    buffer_put(out, span_of(kept->at, (size_t)start));
    while (out->len < end && !w->failed) {
        if (oplog_read(&r->log, out->len, end, 1 << 20, out) != 0)
            sim_fail(w, "region %u: its log cannot be read: %s", r->index + 1, r->log.problem);
    }
}

/* --- out of memory --- */

/* A few random keys of a database leave, or try. */
static void evict_some(struct database *d, struct prng *p, uint32_t most)
{
    for (uint32_t i = 0; i < most && d->keys.count > 0; i++) {
        struct entry *e = table_random(&d->keys, p);
        if (resident_may_leave(d, e))
            resident_evict(d, e);
    }
}

void sim_store_evict(struct sim_region *r, struct prng *p, uint32_t most)
{
    for (int i = 0; i < OP_DATABASES; i++)
        evict_some(&r->node.replica.databases[i], p, most);
}

static void evict_by_chance(struct sim_world *w, struct sim_region *r)
{
    struct sim_store *s = &r->store;
    if (prng_chance(&s->prng, w->plan.evict))
        sim_store_evict(r, &s->prng, 1 + (uint32_t)prng_below(&s->prng, w->plan.evict_most));
}

/* While a log is replayed nothing else happens: a transaction is written at once. */
void sim_store_replay_turn_end(struct sim_world *w, struct sim_region *r)
{
    struct sim_store *s = &r->store;
    if (node_next_write(&r->node, &s->job)) {
        s->error = checkpoint_write(&s->writer, &s->job);
        sim_trace(w, "r%u checkpoint while it recovers, %zu bytes%s: %d", r->index + 1,
                  s->job.changes.len, s->job.start.len > 0 ? ", the last" : "", s->error);
        node_written(&r->node, s->error, s->error == E_OK ? "" : s->writer.problem);
    }
    evict_by_chance(w, r);
}

void sim_store_turn_end(struct sim_world *w, struct sim_region *r)
{
    plan_write(w, r);
    plan_drop(w, r);
    plan_export(w, r);
    plan_bootstrap(w, r);
    evict_by_chance(w, r);
}
