/*
 * The rule that makes copies simple (docs/design/checkpoints.md): ops k … n applied in order to a
 * state that holds any part of them already give the state after n. Here with replicas, and with
 * objects that are copied in pieces of any size while they change.
 */
#include "base/test.h"
#include "core/history_trial.h"
#include "crdt/image.h"

enum { REGIONS = 3 };

static struct replica complete, partial;

/* A log of region A, in which all of them write and see of each other now and then. */
static void make_log(unsigned steps)
{
    world(REGIONS);
    for (unsigned i = 0; i < steps; i++) {
        size_t to = prng_below(&prng, REGIONS), from = prng_below(&prng, REGIONS);
        random_command(prng_below(&prng, REGIONS));
        for (uint64_t n = prng_below(&prng, 4); n > 0 && to != from; n--)
            deliver_next(to, from);
        if (chance(5)) {
            later(60);
            heartbeat(to);
            replica_tick(at(A), true);
            seal(A);
        }
    }
    deliver_all(A, B);
    deliver_all(A, C);
}

/* The end of some record from `from` on. */
static uint64_t some_lsn(uint64_t from)
{
    uint64_t records = 0, lsn, end = trial.regions[A].log.len;
    for (lsn = from; lsn < end; lsn = record_end(lsn))
        records++;
    records = prng_below(&prng, records + 1);
    for (lsn = from; records > 0; records--)
        lsn = record_end(lsn);
    return lsn;
}

static void go_back(struct replica *r, const struct copy_start *s)
{
    vector_copy(&r->applied, &s->applied);
    vector_copy(&r->last_op, &s->last_op);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        r->streams[o].check = s->check[o];
        memcpy(r->streams[o].takeovers, s->takeovers[o], sizeof(s->takeovers[o]));
    }
}

static bool same(const struct replica *a, const struct replica *b)
{
    for (int i = 0; i < DATABASES; i++) {
        const struct database *x = &a->databases[i], *y = &b->databases[i];
        if (database_size(x) != database_size(y) || x->with_deadline != y->with_deadline ||
            x->contested_count != y->contested_count)
            return false;
    }
    return replica_digest(a) == replica_digest(b);
}

TEST(replaying_over_a_state_that_has_some_of_it_gives_the_state_after)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 30; i++) {
        prng_seed(&prng, seed + i);
        make_log(150);
        uint64_t k = some_lsn(0), j = some_lsn(k), n = trial.regions[A].log.len;
        start_replica(&complete, A, REGIONS, 0);
        replay_log(&complete, 0, n);
        start_replica(&partial, A, REGIONS, 0);
        replay_log(&partial, 0, k);
        struct copy_start start = start_here(&partial);
        replay_log(&partial, k, j);
        go_back(&partial, &start);
        replay_log(&partial, k, n);
        EXPECT(same(&complete, &partial));
        replica_release(&complete);
        replica_release(&partial);
        end_of_world();
    }
}

/* --- objects in pieces --- */

static uint64_t source_lsn;

static void source_goes_on(void)
{
    while (chance(40) && source_lsn < trial.regions[A].log.len) {
        replay_log(&complete, source_lsn, record_end(source_lsn));
        source_lsn = record_end(source_lsn);
    }
}

/* Copies an object of `complete` into `partial`, which lives on meanwhile. One that goes away
 * leaves nothing; one that was made anew is gone on with. False: refused. */
static bool copy_in_pieces(uint8_t db, struct span key, size_t max_bytes)
{
    struct database *from = &complete.databases[db], *to = &partial.databases[db];
    struct image_cursor cursor = { 0 };
    struct buffer piece = { 0 };
    struct entry *copy = NULL;
    bool last = false, good = true;
    const struct entry *e;
    while (good && !last && (e = database_find(from, key)) != NULL) {
        buffer_clear(&piece);
        last = image_put_piece(&piece, e, &cursor, max_bytes);
        if (copy)
            good = image_add(to, &copy, buffer_span(&piece));
        else
            good = (copy = image_load(to, key, buffer_span(&piece))) != NULL;
        if (!last)
            source_goes_on();
    }
    if (copy && (!last || !good)) {
        object_free(copy);
    } else if (copy) {
        object_narrow(&copy);
        table_insert(&to->keys, copy);
        object_entered(to, copy);
    }
    image_cursor_release(&cursor);
    buffer_release(&piece);
    return good;
}

TEST(a_copy_in_pieces_and_the_log_from_its_start_give_the_object)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 30; i++) {
        prng_seed(&prng, seed + i);
        make_log(150);
        uint64_t n = trial.regions[A].log.len;
        source_lsn = some_lsn(0);
        start_replica(&complete, A, REGIONS, 0);
        start_replica(&partial, A, REGIONS, 0);
        replay_log(&complete, 0, source_lsn);
        struct copy_start start = start_here(&complete);
        for (uint8_t db = 0; db < DATABASES; db++) {
            for (unsigned key = 0; key < KEYS; key++) {
                struct buffer name = { 0 }; /* key_of has one room for all */
                buffer_put(&name, key_of(key));
                EXPECT(copy_in_pieces(db, buffer_span(&name), 1 + prng_below(&prng, 300)));
                buffer_release(&name);
                source_goes_on();
            }
        }
        replay_log(&complete, source_lsn, n);
        go_back(&partial, &start);
        replay_log(&partial, start.lsn, n);
        EXPECT(same(&complete, &partial));
        replica_release(&complete);
        replica_release(&partial);
        end_of_world();
    }
}

/* Bytes that were changed are refused, or are another object: nothing worse. */
/* Counters that are removed, overwritten, and counted on again: a replay takes them back behind what reset
 * them. */
static void make_counters_log(unsigned steps)
{
    world(REGIONS);
    for (unsigned i = 0; i < steps; i++) {
        size_t region = prng_below(&prng, REGIONS), from = prng_below(&prng, REGIONS);
        struct replica *r = begin(region);
        struct span key = key_of((unsigned)prng_below(&prng, 2));
        uint64_t what = prng_below(&prng, 10);
        if (replica_must_wait(r) || replica_write_refusal(r))
            what = 10;
        if (what < 6)
            random_number(r, 0, key);
        else if (what < 8)
            emit_remove(r, 0, key);
        else if (what < 10)
            emit_string(r, 0, key, span_str("5"), TIME_NONE, 0);
        end(region);
        if (from != region)
            deliver_next(region, from);
    }
    deliver_all(A, B);
    deliver_all(A, C);
}

/* Whether every object is the same when it was written as an image and read back. */
static bool survive_images(struct replica *r)
{
    struct database *d = &r->databases[0];
    struct table_iter it;
    bool good = true;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it)) && good;) {
        struct image_cursor cursor = { 0 };
        struct buffer piece = { 0 }, before = { 0 }, after = { 0 };
        image_put_piece(&piece, *slot, &cursor, SIZE_MAX / 2);
        struct entry *e = image_load(d, entry_name(*slot), buffer_span(&piece));
        object_describe(&before, *slot);
        if (e)
            object_describe(&after, e);
        good = e && span_equal(buffer_span(&before), buffer_span(&after));
        if (e)
            object_free(e);
        image_cursor_release(&cursor);
        buffer_release(&piece);
        buffer_release(&before);
        buffer_release(&after);
    }
    return good;
}

/* A region that is bootstrapped makes checkpoints while it catches up. */
TEST(objects_can_be_stored_in_the_middle_of_a_replay)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 30; i++) {
        prng_seed(&prng, seed + i);
        make_counters_log(150);
        uint64_t k = some_lsn(0), j = some_lsn(k), n = trial.regions[A].log.len;
        start_replica(&partial, A, REGIONS, 0);
        replay_log(&partial, 0, k);
        struct copy_start start = start_here(&partial);
        replay_log(&partial, k, j);
        go_back(&partial, &start);
        for (uint64_t lsn = k, next; lsn < n; lsn = next) {
            next = record_end(lsn);
            replay_log(&partial, lsn, next);
            EXPECT(survive_images(&partial));
        }
        replica_release(&partial);
        end_of_world();
    }
}

TEST(images_that_were_changed_are_refused_or_load)
{
    unsigned refused = 0, loaded = 0;
    prng_seed(&prng, test_seed());
    make_log(200);
    start_replica(&partial, A, REGIONS, 0);
    for (unsigned i = 0; i < 4000; i++) {
        struct span key = key_of((unsigned)prng_below(&prng, KEYS));
        struct database *from = &at(A)->databases[prng_below(&prng, DATABASES)];
        const struct entry *e = database_find(from, key);
        struct image_cursor cursor = { 0 };
        struct buffer piece = { 0 }, text = { 0 };
        if (!e)
            continue;
        image_put_piece(&piece, e, &cursor, 1 << 20);
        for (uint64_t flips = 1 + prng_below(&prng, 3); flips > 0; flips--)
            piece.at[prng_below(&prng, piece.len)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        struct entry *other = image_load(&partial.databases[0], key, buffer_span(&piece));
        refused += !other;
        loaded += other != NULL;
        if (other) {
            object_describe(&text, other);
            object_free(other);
        }
        image_cursor_release(&cursor);
        buffer_release(&piece);
        buffer_release(&text);
    }
    EXPECT(refused > 100 && loaded > 100);
    replica_release(&partial);
    end_of_world();
}

/* --- where a copy starts --- */

static void random_takeovers(struct takeover *t, stamp_t last_op)
{
    uint64_t count = prng_below(&prng, STREAM_TAKEOVERS + 1);
    uint64_t ms = stamp_ms(last_op) + prng_below(&prng, 2);
    for (uint64_t i = 0; i < count && ms > 0; i++) {
        ms = prng_below(&prng, ms);
        t[i].instance = 1 + prng_below(&prng, 1000);
        t[i].last = ms == 0 ? 0 : stamp_make(ms, 0, stamp_origin(last_op));
    }
}

static struct copy_start random_start(void)
{
    struct copy_start s = { .lsn = prng_next(&prng), .table_seed = 1 + prng_below(&prng, 1000) };
    for (uint64_t n = prng_below(&prng, 5); n > 0; n--) {
        uint8_t o = (uint8_t)prng_below(&prng, STAMP_ORIGINS);
        if (vector_get(&s.last_op, o) != 0)
            continue;
        vector_raise(&s.last_op, stamp_make(1 + prng_below(&prng, 1000), 0, o));
        vector_raise(&s.applied, stamp_make(1001 + prng_below(&prng, 1000), 0, o));
        s.instance[o] = prng_below(&prng, 1000);
        s.check[o] = (uint32_t)prng_next(&prng);
        random_takeovers(s.takeovers[o], vector_get(&s.last_op, o));
    }
    return s;
}

static bool same_start(const struct copy_start *a, const struct copy_start *b)
{
    return a->lsn == b->lsn && a->table_seed == b->table_seed &&
           vector_equal(&a->applied, &b->applied) && vector_equal(&a->last_op, &b->last_op) &&
           memcmp(a->instance, b->instance, sizeof(a->instance)) == 0 &&
           memcmp(a->check, b->check, sizeof(a->check)) == 0 &&
           memcmp(a->takeovers, b->takeovers, sizeof(a->takeovers)) == 0;
}

TEST(a_start_comes_back_as_it_was_put)
{
    prng_seed(&prng, test_seed());
    for (unsigned i = 0; i < 1000; i++) {
        struct copy_start put = random_start(), taken;
        struct buffer bytes = { 0 };
        copy_start_put(&bytes, &put);
        struct span in = buffer_span(&bytes);
        EXPECT(copy_start_take(&in, &taken) && in.len == 0);
        EXPECT(same_start(&put, &taken));
        buffer_release(&bytes);
    }
}

/* What is taken in spite of it is in order. */
TEST(starts_that_were_changed_or_cut_are_refused_or_in_order)
{
    unsigned refused = 0, taken = 0;
    prng_seed(&prng, test_seed());
    for (unsigned i = 0; i < 10000; i++) {
        struct copy_start s = random_start(), again;
        struct buffer bytes = { 0 };
        copy_start_put(&bytes, &s);
        if (chance(30))
            bytes.len = prng_below(&prng, bytes.len);
        for (uint64_t flips = prng_below(&prng, 3); flips > 0 && bytes.len > 0; flips--)
            bytes.at[prng_below(&prng, bytes.len)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        struct span in = buffer_span(&bytes);
        bool good = copy_start_take(&in, &s);
        refused += !good;
        taken += good;
        buffer_clear(&bytes);
        if (good) {
            copy_start_put(&bytes, &s);
            in = buffer_span(&bytes);
            EXPECT(copy_start_take(&in, &again) && same_start(&s, &again));
        }
        buffer_release(&bytes);
    }
    EXPECT(refused > 500 && taken > 500);
}

/* One origin with one takeover: its count, instance and stamp are the last ten bytes. */
static struct copy_start start_of_one(struct takeover first, struct takeover second)
{
    struct copy_start s = { .lsn = 7, .table_seed = 9 };
    vector_raise(&s.last_op, stamp_make(100, 0, 3));
    vector_raise(&s.applied, stamp_make(100, 0, 3));
    s.instance[3] = 5;
    s.takeovers[3][0] = first;
    s.takeovers[3][1] = second;
    return s;
}

static bool is_taken(struct takeover first, struct takeover second)
{
    struct copy_start s = start_of_one(first, second);
    struct buffer bytes = { 0 };
    copy_start_put(&bytes, &s);
    struct span in = buffer_span(&bytes);
    bool taken = copy_start_take(&in, &s);
    buffer_release(&bytes);
    return taken;
}

TEST(takeovers_that_no_stream_can_have_are_refused)
{
    struct takeover none = { 0 }, first = { 2, stamp_make(50, 0, 3) };
    EXPECT(is_taken(none, none));
    EXPECT(is_taken(first, none));
    EXPECT(is_taken(first, (struct takeover){ 1, 0 }));
    EXPECT(is_taken((struct takeover){ 2, stamp_make(100, 0, 3) }, none));  /* by a heartbeat */
    EXPECT(!is_taken((struct takeover){ 2, stamp_make(101, 0, 3) }, none)); /* not here yet */
    EXPECT(!is_taken((struct takeover){ 2, stamp_make(50, 0, 4) }, none));  /* of another stream */
    EXPECT(!is_taken(first, first));                                        /* out of order */
}

TEST(a_start_from_before_takeovers_were_kept_knows_of_none)
{
    struct copy_start s = start_of_one((struct takeover){ 2, 0 }, (struct takeover){ 0 });
    struct buffer bytes = { 0 };
    copy_start_put(&bytes, &s);
    struct span in = span_of(bytes.at, bytes.len - (1 + 1 + 8));
    EXPECT(copy_start_take(&in, &s) && in.len == 0);
    EXPECT_EQ(s.instance[3], 5);
    EXPECT_EQ(s.takeovers[3][0].instance, 0);
    buffer_release(&bytes);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
