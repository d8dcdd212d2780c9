/*
 * A region's directory is restored from an old copy: random histories of three regions, of which
 * the first loses the end of its log. Under a new number all comes together again, whoever can be
 * reached meanwhile; under the old one it does so only while nobody finds out.
 */
#include "base/prng.h"
#include "base/test.h"
#include "core/trial.h"

enum { REGIONS = 3, FIRST = 1, ANEW = 5 };

static struct prng rng;
static bool cut; /* C reaches nobody */

/* --- histories --- */

static void write_something(size_t region)
{
    static const char *const KEYS[] = { "k", "l" }, *const NAMES[] = { "f", "g" };
    const char *key = KEYS[prng_below(&rng, 2)], *name = NAMES[prng_below(&rng, 2)];
    char value[8];
    if (replica_write_refusal(&trial.regions[region].replica))
        return;
    snprintf(value, sizeof(value), "%u", (unsigned)prng_below(&rng, 100));
    switch (prng_below(&rng, 9)) {
    case 0:
        set(region, key, value);
        break;
    case 1:
        del(region, key);
        break;
    case 2:
        incr(region, key, 1);
        break;
    case 3:
        hset(region, key, name, value);
        break;
    case 4:
        hdel(region, key, name);
        break;
    case 5:
        hincr(region, key, name, 1);
        break;
    case 6:
        sadd(region, key, name);
        break;
    case 7:
        srem(region, key, name);
        break;
    default:
        expire(region, key, 1000000);
    }
}

/* Every region passes on all that its log holds. Hands `to` the first batch that it lacks of each
 * origin in the log of `from`; true when any was applied. */
static bool deliver(size_t to, size_t from)
{
    const struct replica *r = &trial.regions[to].replica;
    struct span log = buffer_span(&trial.regions[from].log);
    bool offered[STAMP_ORIGINS] = { false }, progress = false;
    struct record record;
    size_t need;
    uint64_t place = 0;
    if (to == from || (cut && (to == C || from == C)))
        return false;
    for (; log.len > 0; log = span_skip(log, record.bytes), place += record.bytes) {
        CHECK(record_read(log, place, &record, &need) == RECORD_GOOD);
        uint8_t origin;
        stamp_t last;
        CHECK(batch_peek(record.payload, &origin, &last));
        if (offered[origin] || last <= vector_get(&r->last_op, origin))
            continue;
        offered[origin] = true;
        progress |= receive(to, record.payload) == RECEIVE_APPLIED;
    }
    return progress;
}

static void go_on(int steps)
{
    for (int i = 0; i < steps; i++) {
        size_t region = (size_t)prng_below(&rng, REGIONS);
        if (prng_chance(&rng, 500000))
            write_something(region);
        else
            deliver(region, (size_t)prng_below(&rng, REGIONS));
    }
}

static void deliver_everything(void)
{
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t pair = 0; pair < REGIONS * REGIONS; pair++)
            progress |= deliver(pair / REGIONS, pair % REGIONS);
    }
}

/* Its process starts with the front of its log, under this number; one that it had is closed. */
static void start(size_t region, uint8_t number, size_t log_bytes)
{
    struct trial_region *g = &trial.regions[region];
    struct replica_options options = g->replica.options;
    struct record record;
    size_t need;
    options.closed[0] |= (uint64_t)(number != options.region) << options.region;
    options.region = number;
    options.instance++;
    replica_release(&g->replica);
    replica_init(&g->replica, &options);
    hlc_raise_ceiling(&g->replica.hlc, TRIAL_START_MS + TRIAL_FOR_EVER_MS);
    g->log.len = log_bytes;
    for (size_t at = 0; at < log_bytes; at += record.bytes) {
        CHECK(record_read(span_skip(buffer_span(&g->log), at), at, &record, &need) == RECORD_GOOD);
        CHECK(replica_replay(&g->replica, at + record.bytes, record.payload) == 0);
    }
    replica_recovered(&g->replica, log_bytes);
}

/* Three regions with a history, of which A has lost the end. */
static void begin_with_a_restored_region(uint64_t seed)
{
    prng_seed(&rng, seed);
    world(REGIONS);
    cut = false;
    go_on(20);
    size_t copy = trial.regions[A].log.len;
    go_on(25);
    start(A, FIRST, copy);
    later(100);
}

static bool holds_more_of_a(size_t region)
{
    return vector_get(&trial.regions[region].replica.last_op, FIRST) >
           vector_get(&trial.regions[A].replica.last_op, FIRST);
}

/* All the ops that any region has. */
static struct vector held_by_anyone(void)
{
    struct vector all;
    vector_clear(&all);
    for (size_t i = 0; i < REGIONS; i++)
        vector_merge(&all, &trial.regions[i].replica.last_op);
    return all;
}

/* --- cases --- */

TEST(a_restored_region_finds_out_as_soon_as_its_own_writes_come_back)
{
    int restored = 0;
    for (uint64_t round = 0; round < 200; round++) {
        begin_with_a_restored_region(test_seed() + round);
        bool lost = holds_more_of_a(B);
        stamp_t had = vector_get(&trial.regions[A].replica.last_op, FIRST);
        deliver(A, B);
        EXPECT_EQ(trial.regions[A].replica.amnesiac, lost);
        go_on(20);
        if (lost)
            EXPECT_EQ(vector_get(&trial.regions[A].replica.last_op, FIRST), had);
        restored += lost;
    }
    EXPECT(restored > 10);
    end_of_world();
}

/* It fetches its own writes like any other origin's, from whom it reaches, and writes meanwhile. */
static bool comes_together_under_a_new_number(uint64_t seed, bool cut_off)
{
    begin_with_a_restored_region(seed);
    cut = cut_off;
    deliver(A, B);
    if (trial.regions[A].replica.amnesiac) /* else it would write under its old number */
        go_on((int)prng_below(&rng, 30));
    struct vector all = held_by_anyone();
    start(A, ANEW, trial.regions[A].log.len);
    go_on(40);
    cut = false;
    deliver_everything();
    return all_equal() && vector_covers(&trial.regions[A].replica.last_op, &all) &&
           !trial.regions[A].replica.amnesiac;
}

TEST(under_a_new_number_all_comes_together_and_nothing_is_lost)
{
    for (uint64_t round = 0; round < 400; round++) {
        uint64_t seed = test_seed() + round;
        bool good = comes_together_under_a_new_number(seed, round % 2 == 1);
        if (!good)
            printf("# --seed %llu\n", (unsigned long long)seed);
        EXPECT(good);
    }
    end_of_world();
}

/* C, which holds writes of it that are lost, is not reached: it writes on under its old number, and
 * two histories of one origin come about. They are never mixed. */
TEST(two_histories_of_one_number_are_found_out_and_never_mixed)
{
    int forks = 0;
    for (uint64_t round = 0; round < 300; round++) {
        begin_with_a_restored_region(test_seed() + round);
        cut = true;
        go_on(30);
        cut = false;
        deliver_everything();
        bool forked = false;
        for (size_t i = 0; i < REGIONS; i++)
            forked |= trial.regions[i].replica.streams[FIRST].forked ||
                      trial.regions[i].replica.amnesiac;
        EXPECT(forked || all_equal());
        forks += forked;
    }
    EXPECT(forks > 10);
    end_of_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
