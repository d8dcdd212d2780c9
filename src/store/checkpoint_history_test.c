/*
 * Random histories of a region that checkpoints while it works, crashes at any time between two
 * transactions, and goes on: it always is what the surviving log makes of an empty map. A plain
 * replica, which knows of no disk, applies the same log beside it.
 */
#include "base/error.h"
#include "base/test.h"
#include "core/history_trial.h"
#include "crdt/resident.h"
#include "env/kv_memory.h"
#include "store/checkpoint.h"

enum { REGIONS = 3 };

/* What may be done wrong, for the test of the test. */
enum violation {
    NOTHING_WRONG,
    COMMITS_AHEAD, /* of the log */
    STARTS_LATE,   /* the start is of the copy's end */
    FORGETS_GONE,  /* removed keys are not removed from disk */
    VIOLATIONS,
};

static struct kv_memory memory;
static struct checkpoint checkpoint;
static struct checkpoint_writer writer;
static struct replica plain;
static uint64_t plain_lsn;  /* it has applied the log up to here */
static uint64_t synced_lsn; /* what a crash leaves of the log, at least */
static enum violation violation;
static const char *wrong; /* what was found; NULL: nothing */
static struct buffer changes;
static uint64_t changes_lsn;
static bool copied, faults, quiet;
static uint64_t crashes, completed, failed, evicted;

static struct replica *mine(void)
{
    return &trial.regions[A].replica;
}

static void find(bool fact, const char *what)
{
    if (!fact && !wrong)
        wrong = what;
}

/* --- the world --- */

/* --- the log --- */

/* The end of a record, at random between what is synced and what is written. */
static uint64_t some_lsn(void)
{
    uint64_t lsn = synced_lsn;
    while (lsn < trial.regions[A].log.len && chance(80))
        lsn = record_end(lsn);
    return lsn;
}

/* Others only see what is durable. */
static void deliver(void)
{
    size_t to = prng_below(&prng, REGIONS), from = prng_below(&prng, REGIONS);
    if (to == from)
        return;
    if (from == A)
        synced_lsn = trial.regions[A].log.len;
    for (uint64_t n = 1 + prng_below(&prng, 4); n > 0; n--)
        deliver_next(to, from);
}

static void tick(void)
{
    later(chance(30) ? 50 : 1);
    if (chance(30))
        heartbeat(prng_below(&prng, REGIONS));
    replica_tick(at(A), true);
    seal(A);
}

/* --- comparing --- */

static void catch_up_plain(void)
{
    replay_log(&plain, plain_lsn, trial.regions[A].log.len);
    plain_lsn = trial.regions[A].log.len;
}

struct recount {
    struct database *d;
    uint64_t keys, with_deadline, contested;
};

static void recount_one(void *context, const struct scanned *s)
{
    struct recount *c = context;
    c->keys += !(s->flags & COLD_GHOST);
    c->with_deadline += (s->flags & COLD_DEADLINE) != 0;
    c->contested += (s->flags & COLD_CONTESTED) != 0;
    const struct entry *same = database_find(&plain.databases[c->d->number], s->key);
    find(same && (s->flags & COLD_GHOST || object_deadline_ms(same) == s->deadline_ms),
         "a deadline of a scan");
}

static void compare_counts(void)
{
    for (int i = 0; i < DATABASES; i++) {
        struct database *d = &mine()->databases[i];
        const struct database *p = &plain.databases[i];
        struct recount c = { .d = d };
        uint64_t cursor = 0;
        find(database_size(d) == database_size(p) &&
                 database_with_deadline(d) == database_with_deadline(p) &&
                 database_contested(d) == database_contested(p),
             "counts");
        do
            cursor = resident_scan(d, cursor, recount_one, &c);
        while (cursor != 0);
        find(c.keys == database_size(d) && c.with_deadline == database_with_deadline(d) &&
                 c.contested == database_contested(d),
             "counts of a scan");
    }
}

static void compare(void)
{
    catch_up_plain();
    compare_counts();
    find(replica_digest(mine()) == replica_digest(&plain), "digests");
    find(vector_equal(&mine()->last_op, &plain.last_op), "vectors");
    for (int i = 0; i < OP_DATABASES; i++)
        find(mine()->databases[i].damage == E_OK, "damage");
}

/* --- checkpoints --- */

static int fault(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    if (!write || !faults || (call != KV_MEMORY_PUT && call != KV_MEMORY_COMMIT))
        return E_OK;
    if (!chance(call == KV_MEMORY_PUT ? 2 : 10))
        return E_OK;
    return call == KV_MEMORY_COMMIT && chance(10) ? E_IO : E_FULL;
}

static void drop_gone(void)
{
    struct span in = buffer_span(&changes);
    struct buffer kept = { 0 };
    struct change c;
    while (change_take(&in, &c)) {
        if (c.kind != CHANGE_GONE)
            change_put(&kept, &c);
    }
    buffer_release(&changes);
    changes = kept;
}

static void step_copier(void)
{
    struct replica *r = mine();
    struct copier *c = &r->copier;
    if (!c->running) {
        copied = false;
        changes_lsn = 0;
        buffer_clear(&changes);
        c->step_bytes = 1 + prng_below(&prng, 600);
        c->piece_bytes = 1 + prng_below(&prng, 200);
        if (chance(30) && !copier_begin(r))
            copier_tidy(r);
        return;
    }
    if (!copied && (changes.len == 0 || chance(50)))
        copied = !copier_step(r, &changes, &changes_lsn);
}

static void write_changes(void)
{
    struct replica *r = mine();
    struct buffer start = { 0 };
    if (!r->copier.running || (changes.len == 0 && !copied))
        return;
    if (changes_lsn > synced_lsn && violation != COMMITS_AHEAD) {
        if (chance(50))
            return;
        synced_lsn = changes_lsn;
    }
    if (violation == FORGETS_GONE)
        drop_gone();
    struct copy_start begun = violation == STARTS_LATE ? start_here(r) : r->copier.start;
    if (violation == STARTS_LATE)
        synced_lsn = r->log_end;
    copy_start_put(&start, &begun);
    int error = checkpoint_write(&writer,
                                 &(struct checkpoint_write){
                                     .changes = buffer_span(&changes),
                                     .start = copied ? buffer_span(&start) : span_of(NULL, 0),
                                 });
    buffer_release(&start);
    checkpoint_refresh(&checkpoint);
    if (error != E_OK) {
        find(error == E_FULL || error == E_IO, "an error of a write");
        find(strlen(writer.problem) > 0, "a problem in words");
        copier_failed(r);
        failed++;
    } else if (copied) {
        copier_committed(r);
        completed++;
    }
    buffer_clear(&changes);
}

static void evict(void)
{
    struct database *d = &mine()->databases[prng_below(&prng, DATABASES)];
    for (uint64_t tries = prng_below(&prng, 8); tries > 0; tries--) {
        struct entry *e = table_random(&d->keys, &prng);
        if (!e || !resident_may_leave(d, e))
            continue;
        resident_evict(d, e);
        evicted++;
    }
}

/* --- crashes --- */

/* What our stream holds of what was lost never left. */
static void forget_lost(void)
{
    struct trial_region *g = &trial.regions[A];
    uint8_t origin;
    stamp_t to;
    for (; g->count > 0; mem_free(g->stream[--g->count])) {
        struct span batch = batch_of(A, g->count - 1);
        CHECK(batch_peek(batch, &origin, &to));
        if (to <= vector_get(&plain.last_op, origin))
            break;
    }
    for (size_t i = 0; i < REGIONS; i++) {
        size_t *cursor = &trial.regions[i].cursor[A];
        *cursor = *cursor < g->count ? *cursor : g->count;
    }
}

static void open_checkpoint(void)
{
    struct checkpoint_found found;
    bool done = false;
    checkpoint_writer_init(&writer, &memory.kv);
    CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
    if (!found.start_known && !found.empty) {
        checkpoint_close(&checkpoint);
        while (!done)
            CHECK(checkpoint_clear(&writer, &done) == E_OK);
        CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
        CHECK(found.empty);
    }
    start_replica(mine(), A, REGIONS, found.start_known ? found.start.table_seed : 0);
    replica_install(mine(), &checkpoint.cold, found.start_known ? &found.start : NULL,
                    found.counts);
}

static void close_checkpoint(void)
{
    replica_release(mine());
    checkpoint_close(&checkpoint);
    checkpoint_writer_release(&writer);
    kv_memory_crash(&memory);
}

static void crash(void)
{
    struct buffer *log = &trial.regions[A].log;
    crashes++;
    log->len = synced_lsn = some_lsn();
    replica_release(&plain);
    start_replica(&plain, A, REGIONS, 0);
    replay_log(&plain, 0, log->len);
    plain_lsn = log->len;
    forget_lost();

    bool had_faults = faults;
    faults = false;
    close_checkpoint();
    open_checkpoint();
    uint64_t start = mine()->log_end;
    find(start <= log->len, "a start that the log does not reach");
    if (!wrong)
        replay_log(mine(), start, log->len);
    replica_recovered(mine(), log->len);
    faults = had_faults;
    if (!wrong)
        compare();
}

/* --- a history --- */

static void step(void)
{
    uint64_t choice = prng_below(&prng, 1000);
    if (chance(1))
        quiet = !quiet; /* else nothing is ever clean */
    if (quiet && choice < 500 && chance(95))
        return;
    if (choice < 350)
        random_command(chance(60) ? A : prng_below(&prng, REGIONS));
    else if (choice < 500)
        deliver();
    else if (choice < 560)
        tick();
    else if (choice < 750)
        step_copier();
    else if (choice < 850)
        write_changes();
    else if (choice < 960)
        evict();
    else if (choice < 980)
        synced_lsn = some_lsn();
    else if (choice < 990)
        compare();
    else if (choice < 992)
        crash();
}

static const char *history(uint64_t seed, unsigned steps, enum violation v)
{
    prng_seed(&prng, seed);
    violation = v;
    wrong = NULL;
    copied = quiet = false;
    faults = v == NOTHING_WRONG && chance(50);
    synced_lsn = plain_lsn = 0;
    world(REGIONS);
    replica_release(mine());
    kv_memory_init(&memory);
    memory.fault = fault;
    open_checkpoint();
    start_replica(&plain, A, REGIONS, 0);
    for (unsigned i = 0; i < steps && !wrong; i++)
        step();
    faults = false;
    if (!wrong)
        compare();
    if (!wrong)
        crash();
    replica_release(&plain);
    start_replica(&plain, A, REGIONS, 0);
    close_checkpoint();
    start_replica(mine(), A, REGIONS, 0);
    replica_release(&plain);
    end_of_world();
    kv_memory_release(&memory);
    buffer_release(&changes);
    return wrong;
}

TEST(a_region_that_crashes_is_what_its_log_says)
{
    uint64_t seed = test_seed();
    crashes = completed = failed = evicted = 0;
    for (unsigned i = 0; i < 60; i++) {
        const char *found = history(seed + i, 1500, NOTHING_WRONG);
        if (found)
            test_fail(__FILE__, __LINE__, "%s differ; history %llu", found,
                      (unsigned long long)(seed + i));
        if (found)
            return;
    }
    EXPECT(crashes > 60 && completed > 60 && failed > 10 && evicted > 600);
}

/* The test would find it: the three that the design names (docs/design/checkpoints.md). */
static bool is_found(enum violation v)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        if (history(seed, 1500, v))
            return true;
    }
    return false;
}

TEST(a_commit_ahead_of_the_log_would_be_found)
{
    EXPECT(is_found(COMMITS_AHEAD));
}

TEST(a_start_that_is_of_the_copys_end_would_be_found)
{
    EXPECT(is_found(STARTS_LATE));
}

TEST(a_removed_key_that_stays_on_disk_would_be_found)
{
    EXPECT(is_found(FORGETS_GONE));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
