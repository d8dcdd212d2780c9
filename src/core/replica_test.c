#include "base/bits.h"
#include "base/test.h"
#include "core/trial.h"

/* --- a second, slower look at what is stored --- */

static const char *wrong_with_key(const struct database *d, const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return NULL;
    const struct body *b = e->body;
    if (b->entry != e)
        return "a body that does not know its key";
    if (object_components(e) == 0 && b->deadline_count == 0)
        return "an object without anything";
    for (uint16_t i = 1; i < b->string.reg_count; i++) {
        if (b->string.regs[i - 1].stamp >= b->string.regs[i].stamp)
            return "registers out of order";
    }
    for (uint16_t i = 0; i < b->string.reg_count; i++) {
        for (uint16_t k = 0; k < i; k++)
            if (stamp_origin(b->string.regs[i].stamp) == stamp_origin(b->string.regs[k].stamp))
                return "two registers of one origin";
    }
    for (uint16_t i = 1; i < b->deadline_count; i++) {
        if (b->deadlines[i - 1].stamp >= b->deadlines[i].stamp)
            return "deadlines out of order";
    }
    uint8_t whose = object_components(e) == 0
                        ? stamp_origin(b->deadlines[b->deadline_count - 1].stamp)
                        : object_deadline_origin(e);
    bool mine = whose != 0 && bits_have(d->reclaims, whose);
    if (mine != (b->reclaim.index != 0))
        return "who reclaims it is wrong";
    return NULL;
}

static const char *wrong_with(const struct replica *r)
{
    const struct database *d = &r->databases[0];
    uint64_t ghosts = 0, with_deadline = 0;
    struct table_iter it;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *e = *slot;
        const char *wrong = wrong_with_key(d, e);
        if (wrong)
            return wrong;
        ghosts += object_components(e) == 0;
        with_deadline += object_components(e) != 0 && object_deadline_ms(e) != 0;
    }
    if (ghosts != d->ghosts)
        return "ghosts miscounted";
    if (with_deadline != d->with_deadline)
        return "deadlines miscounted";
    if (!vector_covers(&r->applied, &r->last_op) || !vector_covers(&r->applied, &r->durable))
        return "more durable or last than applied";
    if (r->parked_bytes > r->options.park_max_bytes)
        return "more parked than allowed";
    return NULL;
}

/* --- random histories --- */

static void random_command(struct prng *p, size_t region)
{
    static const char *const KEYS[] = { "k0", "k1", "k2", "c" };
    static const char *const FIELDS[] = { "f0", "f1", "f2" };
    const char *key = KEYS[prng_below(p, 3)], *field = FIELDS[prng_below(p, 3)];
    int64_t by = (int64_t)prng_below(p, 20) - 8;
    uint64_t ms = 1 + prng_below(p, 300);
    char value[24];
    snprintf(value, sizeof(value), "%d", (int)prng_below(p, 100));
    bool there = object_at(region, key) != NULL;
    switch (prng_below(p, 16)) {
    case 0:
        set(region, key, value);
        break;
    case 1:
        set_ex(region, key, value, ms);
        break;
    case 2:
        rewrite(region, key, value);
        break;
    case 3:
        del(region, key);
        break;
    case 4:
        incr(region, key, by);
        break;
    case 5:
        incr_float(region, key, (double)by / 4);
        break;
    case 6:
        hset(region, key, field, value);
        break;
    case 7:
        hdel(region, key, field);
        break;
    case 8:
        hincr(region, key, field, by);
        break;
    case 9:
        sadd(region, key, field);
        break;
    case 10:
        srem(region, key, field);
        break;
    case 11:
        if (there)
            expire(region, key, ms);
        break;
    case 12:
        if (there)
            persist(region, key);
        break;
    case 13:
        incr(region, "c", 1);
        break;
    case 14:
        COMMAND(region, emit_string(r, 0, span_str("k0"), span_str(value), TIME_NONE, 0);
                later(prng_below(p, 2)); at(region); emit_remove(r, 0, span_str("k1"));
                put_fields(r, OP_PUT, COMPONENT_SET, "k2", field, "");
                emit_bump(r, 0, span_str("k1"), whole(by)));
        break;
    default:
        heartbeat(region);
        break;
    }
}

static void random_delivery(struct prng *p, size_t to)
{
    size_t from = prng_below(p, trial.count);
    size_t *cursor = &trial.regions[to].cursor[from];
    uint64_t kind = prng_below(p, 10);
    if (kind == 0)
        *cursor = prng_below(p, *cursor + 1); /* once more from earlier */
    else if (kind == 1 && *cursor < trial.regions[from].count && to != from)
        /* out of order: a gap, or early */
        receive(to, batch_of(from, trial.regions[from].count - 1));
    else
        for (uint64_t n = 1 + prng_below(p, 5); n > 0; n--)
            deliver_next(to, from);
}

/* A fresh replica that is given the whole log must be what the old one is. */
static bool replays_equal(size_t region)
{
    const struct trial_region *g = &trial.regions[region];
    static struct replica fresh;
    trial_init_replica(&fresh, region, trial.count);
    struct span in = buffer_span(&g->log);
    uint64_t place = 0;
    size_t need;
    struct record record;
    while (in.len > 0 && record_read(in, place, &record, &need) == RECORD_GOOD) {
        place += record.bytes;
        if (replica_replay(&fresh, place, record.payload) != 0)
            break;
        in = span_skip(in, record.bytes);
    }
    replica_recovered(&fresh, place);
    bool equal = in.len == 0 && place == g->replica.log_end && wrong_with(&fresh) == NULL &&
                 replica_digest(&fresh) == replica_digest(&g->replica) &&
                 vector_equal(&fresh.last_op, &g->replica.last_op);
    for (int o = 0; o < STAMP_ORIGINS; o++)
        equal = equal && fresh.streams[o].check == g->replica.streams[o].check;
    replica_release(&fresh);
    return equal;
}

/* Equal vectors mean equal states: of all pairs. */
static bool equal_where_vectors_are(void)
{
    for (size_t i = 0; i < trial.count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct replica *a = &trial.regions[i].replica, *b = &trial.regions[k].replica;
            if (vector_equal(&a->last_op, &b->last_op) && replica_digest(a) != replica_digest(b))
                return false;
        }
    }
    return true;
}

static void history(struct prng *p)
{
    world(2 + prng_below(p, 4));
    trial.park_max_bytes = prng_below(p, 2) ? 1 << 20 : 400 + prng_below(p, 1000);
    for (size_t i = 0; i < trial.count; i++) {
        trial.regions[i].skew_ms = (int64_t)prng_below(p, 400) - 200;
        trial.regions[i].replica.options.park_max_bytes = trial.park_max_bytes;
    }
    uint64_t deliveries = 1 + prng_below(p, 6);
    for (uint64_t steps = 50 + prng_below(p, 400); steps > 0; steps--) {
        size_t region = prng_below(p, trial.count);
        later(prng_below(p, 10) ? prng_below(p, 3) : prng_below(p, 50));
        if (prng_below(p, 20) == 0) {
            replica_tick(at(region), true);
            seal(region);
        } else if (prng_below(p, deliveries + 2) < 2) {
            random_command(p, region);
        } else {
            random_delivery(p, region);
        }
        if (prng_below(p, 30) == 0)
            EXPECT(replays_equal(region));
        EXPECT(equal_where_vectors_are());
        const char *wrong = wrong_with(&trial.regions[region].replica);
        if (wrong)
            test_fail(__FILE__, __LINE__, "%s", wrong);
    }
    synced();
    EXPECT(all_equal());
    for (size_t i = 0; i < trial.count; i++) {
        EXPECT_EQ(trial.regions[i].replica.parked_count, 0);
        EXPECT(wrong_with(&trial.regions[i].replica) == NULL);
        EXPECT(replays_equal(i));
    }
    end_of_world();
}

TEST(random_histories_converge)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 300; i++)
        history(&p);
}

/* --- delivery --- */

TEST(what_has_seen_more_waits_for_it)
{
    world(3);
    set(A, "k", "a");
    deliver_next(B, A);
    set(B, "k", "b");
    EXPECT_EQ(receive(C, batch_of(B, 0)), RECEIVE_PARKED);
    EXPECT_EQ(receive(C, batch_of(B, 0)), RECEIVE_DUPLICATE);
    EXPECT_TEXT(span_str(get(C, "k")), "(nil)");
    EXPECT_EQ(receive(C, batch_of(A, 0)), RECEIVE_APPLIED);
    EXPECT_TEXT(span_str(get(C, "k")), "b");
    EXPECT_EQ(receive(C, batch_of(A, 0)), RECEIVE_DUPLICATE);
    EXPECT_EQ(trial.regions[C].replica.parked_count, 0);
    end_of_world();
}

TEST(a_gap_is_noticed)
{
    world(2);
    set(A, "k", "1");
    set(A, "k", "2");
    set(A, "k", "3");
    later(1);
    heartbeat(A);
    EXPECT_EQ(receive(B, batch_of(A, 0)), RECEIVE_APPLIED);
    EXPECT_EQ(receive(B, batch_of(A, 2)), RECEIVE_GAP);
    EXPECT_EQ(receive(B, batch_of(A, 3)), RECEIVE_GAP);
    EXPECT_EQ(receive(B, batch_of(A, 1)), RECEIVE_APPLIED);
    EXPECT_EQ(receive(B, batch_of(A, 2)), RECEIVE_APPLIED);
    EXPECT_EQ(receive(B, batch_of(A, 3)), RECEIVE_APPLIED);
    EXPECT_EQ(vector_get(&trial.regions[B].replica.applied, 1),
              vector_get(&trial.regions[A].replica.applied, 1));
    end_of_world();
}

TEST(what_was_dropped_is_asked_for_when_what_it_waited_for_has_come)
{
    world(4);
    trial.regions[D].replica.options.park_max_bytes = 300;
    set(A, "a", "1");
    deliver_next(B, A);
    set(B, "b", "2"); /* has seen A's */
    deliver_next(C, A);
    deliver_next(C, B);
    for (int i = 0; i < 20; i++)
        set(C, "c", "3"); /* have seen B's */
    while (deliver_next(D, C) && !trial.regions[D].replica.dropped[3])
        continue;
    EXPECT(trial.regions[D].replica.dropped[3]);
    EXPECT(trial.regions[D].replica.parked_count > 0);
    EXPECT_EQ(receive(D, batch_of(B, 0)), RECEIVE_DROPPED); /* no room for it either */
    EXPECT_EQ(receive(D, batch_of(A, 0)), RECEIVE_APPLIED);
    uint8_t origin;
    /* though all that is parked waits for it */
    EXPECT(replica_take_dropped(&trial.regions[D].replica, &origin));
    EXPECT_EQ(origin, 2);
    synced();
    EXPECT(all_equal());
    end_of_world();
}

TEST(malformed_bytes_are_refused)
{
    world(2);
    set(A, "k", "v");
    struct span whole_batch = batch_of(A, 0);
    for (size_t len = 0; len < whole_batch.len; len++)
        EXPECT_EQ(receive(B, span_of(whole_batch.at, len)), RECEIVE_REFUSED);
    EXPECT_EQ(receive(B, whole_batch), RECEIVE_APPLIED);
    end_of_world();
}

TEST(what_comes_between_two_writes_of_a_turn_was_seen_by_the_second_only)
{
    world(3);
    set(A, "k", "a");
    struct replica *r = begin(B);
    emit_string(r, 0, span_str("j"), span_str("b"), TIME_NONE, 0);
    replica_group_end(r);
    EXPECT_EQ(replica_receive(at(B), batch_of(A, 0)), RECEIVE_APPLIED); /* in the open turn */
    set(B, "k", "b");
    EXPECT_EQ(receive(C, batch_of(B, 0)), RECEIVE_APPLIED);
    EXPECT_TEXT(span_str(get(C, "j")), "b");
    EXPECT_EQ(receive(C, batch_of(B, 1)), RECEIVE_PARKED);
    synced();
    EXPECT_EVERYWHERE("k", "b");
    EXPECT_EQ(object_at(A, "k")->form, ENTRY_INLINE);
    end_of_world();
}

/* --- what must not happen, and is noticed --- */

TEST(two_processes_of_one_region_are_a_fork)
{
    world(3);
    set(A, "k", "common");
    synced();
    replica_release(&trial.regions[C].replica);
    /* C is now a second A, which has only the first op */
    trial_init_replica(&trial.regions[C].replica, A, 2);
    EXPECT_EQ(replica_replay(&trial.regions[C].replica, 1000, batch_of(A, 0)), 0);
    replica_recovered(&trial.regions[C].replica, 1000);
    set(A, "k", "one");
    later(5);
    set(C, "k", "other");
    later(5);
    set(C, "k", "more");
    EXPECT_EQ(receive(B, batch_of(A, 1)), RECEIVE_APPLIED);
    EXPECT_EQ(receive(B, batch_of(C, 0)), RECEIVE_REFUSED);
    struct replica_event event;
    EXPECT(replica_next_event(&trial.regions[B].replica, &event));
    EXPECT_EQ(event.kind, EVENT_FORK);
    EXPECT_EQ(event.origin, 1);
    EXPECT_TEXT(span_str(get(B, "k")), "one");
    set(A, "k", "two");
    /* whose branch is right is not known */
    EXPECT_EQ(receive(B, batch_of(A, 2)), RECEIVE_REFUSED);
    EXPECT(!replica_next_event(&trial.regions[B].replica, &event));
    end_of_world();
}

TEST(a_fork_is_noticed_by_its_checksum_too)
{
    world(2);
    set(A, "k", "1");
    set(A, "k", "2");
    EXPECT_EQ(receive(B, batch_of(A, 0)), RECEIVE_APPLIED);
    struct batch b;
    EXPECT(batch_take(batch_of(A, 1), &b));
    b.check++;
    struct buffer bytes = { 0 };
    batch_put_header(&bytes, &b);
    buffer_put(&bytes, b.ops);
    EXPECT_EQ(receive(B, buffer_span(&bytes)), RECEIVE_REFUSED);
    buffer_release(&bytes);
    struct replica_event event;
    EXPECT(replica_next_event(&trial.regions[B].replica, &event));
    EXPECT_EQ(event.kind, EVENT_FORK);
    end_of_world();
}

TEST(a_batch_far_ahead_of_time_waits_until_its_time_comes)
{
    world(2);
    trial.regions[A].skew_ms = 2000;
    set(A, "k", "early");
    set(A, "k", "earlier");
    EXPECT_EQ(receive(B, batch_of(A, 0)), RECEIVE_PARKED);
    EXPECT_EQ(receive(B, batch_of(A, 1)), RECEIVE_PARKED);
    struct replica_event event;
    EXPECT(replica_next_event(&trial.regions[B].replica, &event));
    EXPECT_EQ(event.kind, EVENT_AHEAD);
    EXPECT_EQ(event.origin, 1);
    EXPECT(!replica_next_event(&trial.regions[B].replica, &event)); /* told once */
    later(1000);
    replica_tick(at(B), true);
    EXPECT_TEXT(span_str(get(B, "k")), "(nil)");
    later(600);
    replica_tick(at(B), true);
    seal(B);
    EXPECT_TEXT(span_str(get(B, "k")), "earlier");
    EXPECT_EQ(trial.regions[B].replica.parked_count, 0);
    EXPECT(replica_hlc_ms(at(B)) <= trial.now_ms + 500);
    end_of_world();
}

TEST(a_region_that_lost_its_log_learns_it_from_its_own_batches)
{
    world(2);
    set(A, "k", "v");
    synced();
    EXPECT_EQ(receive(A, batch_of(A, 0)), RECEIVE_REFUSED); /* known: harmless */
    EXPECT(replica_write_refusal(&trial.regions[A].replica) == NULL);
    replica_release(&trial.regions[A].replica);
    trial_init_replica(&trial.regions[A].replica, A, 2);
    EXPECT_EQ(receive(A, batch_of(A, 0)), RECEIVE_REFUSED);
    struct replica_event event;
    EXPECT(replica_next_event(&trial.regions[A].replica, &event));
    EXPECT_EQ(event.kind, EVENT_AMNESIA);
    EXPECT(replica_write_refusal(&trial.regions[A].replica) != NULL);
    end_of_world();
}

/* What a run wrote and did not send is known as lost where its stream goes on without it. */
TEST(what_a_later_run_followed_is_here_and_what_it_passed_over_is_lost)
{
    world(2);
    set(A, "k", "1");
    stamp_t kept = vector_get(&at(A)->last_op, 1);
    synced();
    for (uint64_t run = 2; run < 4; run++) {
        trial.now_ms += 100;
        stamp_t gone = stamp_make(trial.now_ms, 0, 1);
        trial.now_ms += 100;
        at(A)->options.instance = run; /* as if started again */
        set(A, "k", "2");
        synced();
        stamp_t next = vector_get(&at(A)->last_op, 1);
        for (size_t region = A; region <= B; region++) {
            EXPECT(!replica_has_lost(at(region), kept, run - 1));
            EXPECT(replica_has_lost(at(region), gone, run - 1));
            EXPECT(replica_has_lost(at(region), gone, 1));
            EXPECT(!replica_has_lost(at(region), next, run));
        }
        kept = next;
    }
    EXPECT(replica_has_lost(at(B), kept + 256, 3)); /* who asks sees to it that it would be here */
    end_of_world();
}

/* Else a region that is started now and then, and only read, would soon know of no loss before. */
TEST(runs_that_write_nothing_do_not_push_out_what_is_known_of_losses)
{
    world(2);
    set(A, "k", "1");
    synced();
    trial.now_ms += 100;
    stamp_t gone = stamp_make(trial.now_ms, 0, 1);
    for (uint64_t run = 2; run < 12; run++) {
        later(100);
        at(A)->options.instance = run;
        if (run == 2)
            set(A, "k", "2");
        else
            heartbeat(A);
        synced();
        EXPECT(replica_has_lost(at(B), gone, 1));
    }
    end_of_world();
}

/* --- durability and heartbeats --- */

/* A removal names every counter that it resets: enough of them are more than a record may hold. */
TEST(a_removal_of_too_many_counters_is_split)
{
    enum { FIELDS = 9, NAME_BYTES = 8 << 20 };
    world(2);
    char *name = mem_alloc(NAME_BYTES + 1);
    memset(name, 'n', NAME_BYTES);
    name[NAME_BYTES] = 0;
    for (int i = 0; i < FIELDS; i++) {
        name[0] = (char)('a' + i);
        hincr(A, "h", name, 1);
    }
    mem_free(name);
    size_t before = trial.regions[A].count;
    del(A, "h");
    EXPECT(trial.regions[A].count - before == 2); /* batches: counters first, then the rest */
    synced();
    EXPECT(object_at(A, "h") == NULL);
    EXPECT(all_equal());
    end_of_world();
}

TEST(durable_moves_with_the_log)
{
    world(2);
    struct replica *r = begin(A);
    emit_string(r, 0, span_str("k"), span_str("1"), TIME_NONE, 0);
    replica_group_end(r);
    uint64_t first = replica_seal(r);
    stamp_t first_stamp = vector_get(&r->last_op, 1);
    struct buffer out = { 0 };
    EXPECT(!replica_heartbeat(r, r->options.region, &out)); /* would claim what is not on disk */
    r = begin(A);
    emit_string(r, 0, span_str("k"), span_str("2"), TIME_NONE, 0);
    replica_group_end(r);
    uint64_t second = replica_seal(r);
    EXPECT(second > first);
    EXPECT_EQ(vector_get(&r->durable, 1), 0);
    replica_durable(r, first);
    EXPECT_EQ(vector_get(&r->durable, 1), first_stamp);
    replica_durable(r, second);
    EXPECT_EQ(vector_get(&r->durable, 1), vector_get(&r->last_op, 1));
    later(1);
    EXPECT(replica_heartbeat(at(A), at(A)->options.region, &out));
    /* B has not the ops that it follows */
    EXPECT_EQ(receive(B, buffer_span(&out)), RECEIVE_GAP);
    EXPECT(vector_get(&r->durable, 1) > vector_get(&r->last_op, 1));
    buffer_release(&out);
    buffer_clear(&r->log_out);
    end_of_world();
}

TEST(what_is_remembered_of_batches_that_are_not_durable_is_exact_and_small)
{
    enum { BATCHES = 5000 };
    static uint64_t lsns[BATCHES];
    static stamp_t stamps[BATCHES];
    world(1);
    for (int i = 0; i < BATCHES; i++) {
        struct replica *r = begin(A);
        emit_string(r, 0, span_str("k"), span_str("1"), TIME_NONE, 0);
        replica_group_end(r);
        lsns[i] = replica_seal(r);
        stamps[i] = vector_get(&r->last_op, 1);
        buffer_clear(&r->log_out);
    }
    struct replica *r = at(A);
    EXPECT(r->snapshot_cap * sizeof(*r->snapshots) <= 32 * BATCHES);
    for (int i = 0; i < BATCHES; i += 7) {
        replica_durable(r, lsns[i]);
        EXPECT_EQ(vector_get(&r->durable, 1), stamps[i]);
    }
    replica_durable(r, lsns[BATCHES - 1]);
    EXPECT_EQ(vector_get(&r->durable, 1), stamps[BATCHES - 1]);
    EXPECT_EQ(r->snapshot_count, 0);
    end_of_world();
}

TEST(stamps_go_on_above_the_ceiling_after_a_restart)
{
    world(1);
    set(A, "k", "v");
    heartbeat(A);
    stamp_t before = vector_get(&trial.regions[A].replica.applied, 1);
    struct replica_options options = trial.regions[A].replica.options;
    options.ceiling_ms = trial.now_ms + 250;
    options.instance = 2;
    replica_release(&trial.regions[A].replica);
    replica_init(&trial.regions[A].replica, &options);
    EXPECT(replica_must_wait(at(A))); /* until a higher ceiling is persisted */
    hlc_raise_ceiling(&trial.regions[A].replica.hlc, trial.now_ms + 500);
    EXPECT(!replica_must_wait(at(A)));
    set(A, "k", "w");
    EXPECT(vector_get(&trial.regions[A].replica.last_op, 1) > before);
    EXPECT(stamp_ms(vector_get(&trial.regions[A].replica.last_op, 1)) >= options.ceiling_ms);
    end_of_world();
}

/* Else it would look for ever as if ops of that origin were still to come to those who have not heard it,
 * and what waits for all to be heard would wait for ever. */
TEST(the_heartbeat_of_a_closed_origin_does_not_come_back_with_a_checkpoint)
{
    struct replica r;
    struct replica_options options = { .region = 1, .instance = 2, .closed = { 1 << 3 } };
    struct cold cold = { .ops = NULL };
    struct cold_counts counts[OP_DATABASES] = { { 0 } };
    struct copy_start start = { .lsn = 100 };
    for (uint8_t o = 2; o < 4; o++) {
        vector_raise(&start.last_op, stamp_make(1000, 0, o));
        vector_raise(&start.applied, stamp_make(2000, 0, o));
    }
    replica_init(&r, &options);
    start.table_seed = r.databases[0].keys.seed;
    replica_install(&r, &cold, &start, counts);
    EXPECT_EQ(vector_get(&r.applied, 2), stamp_make(2000, 0, 2));
    EXPECT_EQ(vector_get(&r.applied, 3), stamp_make(1000, 0, 3));
    EXPECT_EQ(vector_get(&r.last_op, 3), stamp_make(1000, 0, 3));
    replica_release(&r);
}

/* The log that showed it may be gone. */
TEST(what_is_known_of_losses_comes_back_with_a_checkpoint)
{
    struct replica r;
    struct replica_options options = { .region = 1, .instance = 2 };
    struct cold cold = { .ops = NULL };
    struct cold_counts counts[OP_DATABASES] = { { 0 } };
    struct copy_start start = { .lsn = 100 };
    for (uint8_t o = 1; o < 3; o++) { /* of its own stream, and of another's */
        vector_raise(&start.last_op, stamp_make(1000, 0, o));
        vector_raise(&start.applied, stamp_make(1000, 0, o));
        start.instance[o] = 2;
        start.takeovers[o][0] = (struct takeover){ 2, stamp_make(500, 0, o) };
    }
    replica_init(&r, &options);
    start.table_seed = r.databases[0].keys.seed;
    replica_install(&r, &cold, &start, counts);
    for (uint8_t o = 1; o < 3; o++) {
        EXPECT(!replica_has_lost(&r, stamp_make(500, 0, o), 1));
        EXPECT(replica_has_lost(&r, stamp_make(600, 0, o), 1));
        EXPECT(!replica_has_lost(&r, stamp_make(600, 0, o), 2));
    }
    replica_release(&r);
}

TEST(no_heartbeat_is_further_ahead_than_a_write_may_be)
{
    world(1);
    struct replica *r = at(A);
    struct buffer out = { 0 };
    later(1);
    hlc_see(&r->hlc,
            stamp_make(r->now_ms + 300, 0, 1)); /* the last run's ceiling, on a slow disk */
    EXPECT(!replica_heartbeat(r, 1, &out));
    later(60);
    EXPECT(replica_heartbeat(at(A), 1, &out));
    buffer_release(&out);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
