/*
 * Random histories of regions, a fuzzy checkpoint taken meanwhile, and a moment after it: the
 * checkpoint with the log cut at that moment is what the whole log, cut at it, makes of an empty
 * map. And the same checkpoint examined: whole it is good, and no bit of it changes unseen.
 */
#include "base/error.h"
#include "base/test.h"
#include "core/history_trial.h"
#include "crdt/resident.h"
#include "env/kv_memory.h"
#include "store/cut.h"
#include "store/examine.h"

enum { REGIONS = 3 };

static struct kv_memory memory;
static struct checkpoint checkpoint;
static struct checkpoint_writer writer;
static struct checkpoint_found found;

static struct replica *mine(void)
{
    return &trial.regions[A].replica;
}

static void deliver(void)
{
    size_t to = prng_below(&prng, REGIONS), from = prng_below(&prng, REGIONS);
    for (uint64_t n = 1 + prng_below(&prng, 4); n > 0 && to != from; n--)
        deliver_next(to, from);
}

static void steps(uint64_t count)
{
    for (; count > 0; count--) {
        uint64_t choice = prng_below(&prng, 100);
        if (choice < 60)
            random_command(chance(60) ? A : prng_below(&prng, REGIONS));
        else if (choice < 90)
            deliver();
        else
            later(1 + prng_below(&prng, 20));
    }
}

/* The newest stamp of the log and of the vectors. */
static stamp_t newest(const struct replica *r)
{
    stamp_t stamp = 0;
    for (uint32_t o = 0; o < r->applied.high; o++)
        stamp = r->applied.at[o] > stamp ? r->applied.at[o] : stamp;
    return stamp;
}

/* A copy while the history goes on; what it began with. */
static struct copy_start take_checkpoint(void)
{
    struct replica *r = mine();
    struct buffer changes = { 0 }, start = { 0 };
    struct copy_start begun;
    uint64_t lsn;
    bool more = true;
    r->copier.step_bytes = 1 + prng_below(&prng, 600);
    r->copier.piece_bytes = 1 + prng_below(&prng, 200);
    CHECK(copier_begin(r));
    begun = r->copier.start;
    copy_start_put(&start, &begun);
    while (more) {
        steps(prng_below(&prng, 4));
        buffer_clear(&changes);
        more = copier_step(r, &changes, &lsn);
        CHECK(checkpoint_write(&writer, &(struct checkpoint_write){
                                            .changes = buffer_span(&changes),
                                            .start = more ? span_of(NULL, 0) : buffer_span(&start),
                                        }) == E_OK);
    }
    copier_committed(r);
    buffer_release(&changes);
    buffer_release(&start);
    return begun;
}

static void begin_store(uint64_t seed)
{
    prng_seed(&prng, seed);
    kv_memory_init(&memory);
    checkpoint_writer_init(&writer, &memory.kv);
    CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
    world(REGIONS);
    replica_install(mine(), &checkpoint.cold, NULL, found.counts);
}

static void reopen_store(void)
{
    checkpoint_close(&checkpoint);
    CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
}

static void end_store(void)
{
    end_of_world();
    checkpoint_close(&checkpoint);
    checkpoint_writer_release(&writer);
    kv_memory_release(&memory);
}

/* What of A's log from an LSN on had happened by a moment. */
static void replay_cut(struct replica *r, uint64_t from_lsn, stamp_t moment)
{
    struct span log = buffer_span(&trial.regions[A].log);
    struct buffer part = { 0 };
    struct record record;
    size_t need;
    uint64_t end_lsn = from_lsn;
    for (uint64_t at = from_lsn; at < log.len; at += record.bytes) {
        CHECK(record_read(span_skip(log, at), at, &record, &need) == RECORD_GOOD);
        buffer_clear(&part);
        enum cut_verdict verdict = cut_batch(record.payload, moment, &part);
        CHECK(verdict != CUT_BAD);
        if (verdict == CUT_NONE)
            continue;
        struct span batch = verdict == CUT_ALL ? record.payload : buffer_span(&part);
        end_lsn += RECORD_HEADER_BYTES + batch.len;
        CHECK(replica_replay(r, end_lsn, batch) == E_OK);
    }
    replica_recovered(r, end_lsn);
    buffer_release(&part);
}

TEST(a_checkpoint_with_a_log_cut_at_a_moment_is_that_moment)
{
    uint64_t seed = test_seed();
    for (uint64_t round = 0; round < 150; round++) {
        struct replica restored, plain;
        begin_store(seed + round);
        steps(prng_below(&prng, 100));
        struct copy_start start = take_checkpoint();
        stamp_t earliest = newest(mine());
        steps(prng_below(&prng, 150));
        stamp_t latest = newest(mine());
        stamp_t moment = earliest + prng_below(&prng, latest - earliest + 1);

        reopen_store();
        start_replica(&restored, A, REGIONS, found.start.table_seed);
        replica_install(&restored, &checkpoint.cold, &found.start, found.counts);
        replay_cut(&restored, start.lsn, moment);
        start_replica(&plain, A, REGIONS, 0);
        replay_cut(&plain, 0, moment);

        EXPECT(vector_equal(&restored.last_op, &plain.last_op));
        EXPECT(replica_digest(&restored) == replica_digest(&plain));
        for (uint32_t o = 0; o < plain.last_op.high; o++)
            EXPECT(plain.last_op.at[o] <= moment);
        replica_release(&restored);
        replica_release(&plain);
        end_store();
    }
}

/* --- examined --- */

static uint64_t seen;

static void count_object(void *context, const struct examined_object *o)
{
    (void)context;
    seen += o->bytes > 0 && o->pieces > 0;
}

static int examine(void)
{
    struct examined_checkpoint examined;
    seen = 0;
    int error = checkpoint_open(&checkpoint, &memory.kv, &found);
    if (error != E_OK)
        return error;
    error = examine_checkpoint(&checkpoint, count_object, NULL, &examined);
    if (error == E_OK && seen != examined.objects)
        error = E_FORMAT;
    if (error == E_OK && !examine_counts(&checkpoint, &found, &examined))
        error = E_CORRUPT;
    if (error != E_OK && checkpoint.problem[0] == '\0')
        error = E_FORMAT;
    checkpoint_close(&checkpoint);
    return error;
}

TEST(no_bit_of_a_checkpoint_changes_unseen)
{
    uint64_t seed = test_seed(), damaged = 0;
    for (uint64_t round = 0; round < 10; round++) {
        begin_store(seed + round);
        steps(150);
        take_checkpoint();
        checkpoint_close(&checkpoint);
        EXPECT_EQ(examine(), E_OK);
        for (int i = 0; i < 60; i++) {
            bool (*damage)(struct kv_memory *, enum kv_table, uint64_t,
                           uint64_t) = chance(70) ? kv_memory_damage : kv_memory_damage_key;
            enum kv_table table = (enum kv_table)prng_below(&prng, KV_TABLES);
            uint64_t index = prng_next(&prng), bit = prng_below(&prng, 200);
            bool any = damage(&memory, table, index, bit);
            EXPECT_EQ(examine(), any ? E_CORRUPT : E_OK);
            damage(&memory, table, index, bit); /* and back */
            damaged += any;
        }
        EXPECT_EQ(examine(), E_OK);
        CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
        end_store();
    }
    EXPECT(damaged > 200);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
