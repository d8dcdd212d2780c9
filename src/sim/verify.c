/*
 * verify -- what must hold, looked at from outside: in the replicas' own memory and logs.
 */
#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "crdt/image.h"
#include "crdt/resident.h"
#include "policy/origin.h"
#include "sim/world.h"

enum {
    COUNTER_DB = 2,
    TRIED_MAX = 10000,              /* keys of a database, which has a few */
    REPLAYED_MAX_BYTES = 200 << 10, /* a log that is replayed from its beginning at every restart */
};

/* --- all keys of a region, cold ones too --- */

struct census {
    struct database scratch; /* what a cold object is entered into, to see what it is */
    struct heap reclaim;
    struct cold_counts found;
    const struct replica *r;
    bool over;          /* some key's time has come: */
    char over_key[100]; /* of this one */
};

/* A ghost stays until the last deadline in it. */
static bool is_over(const struct entry *e, uint64_t now_ms)
{
    if (object_components(e) != 0)
        return object_expired(e, now_ms);
    for (uint16_t i = 0; i < e->body->deadline_count; i++) {
        if (e->body->deadlines[i].at_ms >= now_ms)
            return false;
    }
    return true;
}

static void count_one(struct census *c, const struct entry *e)
{
    uint8_t flags = image_flags(e);
    c->found.keys++;
    c->found.ghosts += (flags & COLD_GHOST) != 0;
    c->found.with_deadline += (flags & COLD_DEADLINE) != 0;
    c->found.contested += (flags & COLD_CONTESTED) != 0;
    if (c->over || !is_over(e, replica_hlc_ms(c->r)))
        return;
    c->over = true;
    snprintf(c->over_key, sizeof(c->over_key), "%.*s", (int)entry_name(e).len,
             (const char *)entry_name(e).at);
}

static void count_cold(void *context, const struct entry *e)
{
    struct census *c = context;
    object_entered(&c->scratch, (struct entry *)(uintptr_t)e);
    count_one(c, e);
    object_leaves(&c->scratch, (struct entry *)(uintptr_t)e);
}

static void take_census(struct census *c, struct sim_region *region, int db)
{
    struct replica *r = &region->node.replica;
    struct database *d = &r->databases[db];
    struct table_iter it;
    *c = (struct census){ .r = r };
    database_init(&c->scratch, (uint8_t)db, region->id, 1, &c->reclaim);
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));)
        count_one(c, *slot);
    resident_each_cold(d, count_cold, c);
    database_release(&c->scratch);
    heap_release(&c->reclaim);
}

/* --- at any time --- */

bool sim_verify_is_damaged(const struct sim_region *r)
{
    bool damaged = r->node.damaged;
    for (int i = 0; i < OP_DATABASES; i++)
        damaged |= r->node.replica.databases[i].lost.count > 0;
    return damaged;
}

/* What a region knows of its keys without looking at them. */
static void verify_counts(struct sim_world *w, struct sim_region *r)
{
    for (int i = 0; i < OP_DATABASES && !sim_verify_is_damaged(r); i++) {
        const struct database *d = &r->node.replica.databases[i];
        struct census c;
        take_census(&c, r, i);
        if (c.found.keys - c.found.ghosts != database_size(d) ||
            c.found.with_deadline != database_with_deadline(d) ||
            c.found.contested != database_contested(d))
            sim_fail(w,
                     "region %u counts %llu keys, %llu deadlines and %llu contested in database "
                     "%d, which has %llu, %llu and %llu",
                     r->index + 1, (unsigned long long)database_size(d),
                     (unsigned long long)database_with_deadline(d),
                     (unsigned long long)database_contested(d), i,
                     (unsigned long long)(c.found.keys - c.found.ghosts),
                     (unsigned long long)c.found.with_deadline,
                     (unsigned long long)c.found.contested);
    }
}

static void verify_equal(struct sim_world *w)
{
    uint64_t digests[SIM_REGIONS_MAX];
    bool skipped[SIM_REGIONS_MAX];
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        skipped[i] = !w->regions[i].up || sim_verify_is_damaged(&w->regions[i]) ||
                     bootstrap_is_on(&w->regions[i].node); /* objects may be ahead of its vector */
        if (skipped[i])
            continue;
        const struct replica *r = &w->regions[i].node.replica;
        digests[i] = replica_digest(r);
        for (uint32_t k = 0; k < i; k++) {
            const struct replica *other = &w->regions[k].node.replica;
            if (!skipped[k] && vector_equal(&r->last_op, &other->last_op) &&
                digests[i] != digests[k])
                sim_fail(w, "regions %u and %u have the same ops and different states", k + 1,
                         i + 1);
        }
    }
}

/* How many takeovers stand within the stream; the newest may be a heartbeat's, after all of it. */
static const struct takeover *takeovers_within(const struct replica *r, uint8_t origin, uint32_t *n)
{
    const struct takeover *t = r->streams[origin].takeovers;
    uint32_t first = t[0].last >= vector_get(&r->last_op, origin);
    for (*n = 0; first + *n < STREAM_TAKEOVERS && t[first + *n].instance != 0;)
        ++*n;
    return t + first;
}

static bool same_runs(const struct replica *a, const struct replica *b, uint8_t origin)
{
    uint32_t x_count, y_count;
    const struct takeover *x = takeovers_within(a, origin, &x_count);
    const struct takeover *y = takeovers_within(b, origin, &y_count);
    uint32_t kept = STREAM_TAKEOVERS - 1; /* by both at least, of as many */
    bool same = x_count == y_count || (x_count >= kept && y_count >= kept);
    for (uint32_t i = 0; i < x_count && i < y_count; i++)
        same &= x[i].instance == y[i].instance && x[i].last == y[i].last;
    return same;
}

/* Who has the same of a stream knows the same of what its region lost, whatever became of log and process. Of
 * a directory that was put back, runs have numbers twice. */
static void verify_runs(struct sim_world *w, uint32_t place)
{
    const struct replica *r = &w->regions[place].node.replica;
    for (uint32_t i = 0; i < place && !w->history_lost; i++) {
        const struct replica *other = &w->regions[i].node.replica;
        for (uint32_t o = 0; w->regions[i].up && o < r->last_op.high; o++) {
            uint8_t origin = (uint8_t)o;
            if (r->last_op.at[o] != 0 && r->last_op.at[o] == vector_get(&other->last_op, origin) &&
                !same_runs(r, other, origin))
                sim_fail(w,
                         "regions %u and %u have the same of %u, and know of different runs of it",
                         i + 1, place + 1, o);
        }
    }
}

static void verify_replica(struct sim_world *w, const struct sim_region *region)
{
    const struct replica *r = &region->node.replica;
    if (r->parked_bytes > r->options.park_max_bytes)
        sim_fail(w, "region %u parks %llu bytes", region->index + 1,
                 (unsigned long long)r->parked_bytes);
    if (!vector_covers(&r->applied, &r->last_op) || !vector_covers(&r->applied, &r->durable))
        sim_fail(w, "region %u: more is done or durable than applied", region->index + 1);
    /* What has left a region is on its disk: nobody has more of it than it would find there. */
    if (bootstrap_is_on(&region->node) || region->lost)
        return; /* what it wrote is in its old log, or nowhere */
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        for (uint32_t o = 0; other != region && other->up && bits_next(r->own, STAMP_ORIGINS, &o);
             o++) {
            if (vector_get(&other->node.replica.last_op, (uint8_t)o) >
                vector_get(&r->durable, (uint8_t)o))
                sim_fail(w, "region %u has more of region %u than is durable there", i + 1,
                         region->id);
        }
    }
}

/* What is read here is read by nobody. */
static void look_at_all(struct sim_world *w, bool look)
{
    for (uint32_t i = 0; i < w->plan.regions; i++)
        w->regions[i].store.looked_at = look;
}

void sim_verify_always(struct sim_world *w)
{
    look_at_all(w, true);
    verify_equal(w);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!w->regions[i].up)
            continue;
        verify_replica(w, &w->regions[i]);
        verify_runs(w, i);
        verify_counts(w, &w->regions[i]);
        sim_watch_always(w, &w->regions[i]);
    }
    sim_secrets_kept(w);
    look_at_all(w, false);
}

/* What a region is made of after a restart, checkpoint and log, is what its whole log makes. */
static void verify_replay(struct sim_world *w, struct sim_region *r)
{
    struct buffer log = { 0 };
    struct replica *scratch = mem_alloc(sizeof(*scratch));
    struct record record;
    size_t need;
    uint64_t lsn = 0;
    if (r->log.end_lsn <= REPLAYED_MAX_BYTES)
        sim_store_read_log(w, r, &log);
    replica_init(scratch, &r->node.replica.options);
    for (struct span in = buffer_span(&log); in.len > 0 && !w->failed;
         in = span_skip(in, record.bytes)) {
        if (record_read(in, lsn, &record, &need) != RECORD_GOOD ||
            replica_replay(scratch, lsn += record.bytes, record.payload) != E_OK)
            sim_fail(w, "region %u: no record at %llu", r->index + 1, (unsigned long long)lsn);
    }
    if (log.len > 0 && !sim_verify_is_damaged(r) &&
        replica_digest(scratch) != replica_digest(&r->node.replica))
        sim_fail(w, "region %u: its checkpoint and its log make another state than its whole log",
                 r->index + 1);
    replica_release(scratch);
    mem_free(scratch);
    buffer_release(&log);
}

/* After a restart, or a bootstrap: what clients were told is there, and so is what others hold. */
static void verify_own(struct sim_world *w, struct sim_region *r)
{
    uint8_t origin = r->id;
    stamp_t have = vector_get(&r->node.replica.last_op, origin);
    char text[2][SIM_STAMP_BYTES];
    if (r->lost || r->index != r->place)
        return; /* what it was told to be is not known any more */
    if (have < r->acknowledged)
        sim_fail(w, "region %u was restarted and has its writes up to %s, clients were told of %s",
                 origin, sim_stamp_text(have, text[0]), sim_stamp_text(r->acknowledged, text[1]));
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        for (uint32_t o = 0; other->up && bits_next(r->node.replica.own, STAMP_ORIGINS, &o); o++) {
            if (vector_get(&other->node.replica.last_op, (uint8_t)o) >
                vector_get(&r->node.replica.last_op, (uint8_t)o))
                sim_fail(w,
                         "region %u was restarted and lacks writes of its own that region %u has",
                         origin, i + 1);
        }
    }
}

void sim_verify_recovered(struct sim_world *w, struct sim_region *r)
{
    if (r->log.end_lsn < r->durable_lsn)
        sim_fail(w, "region %u was restarted and uses LSN %llu again", r->index + 1,
                 (unsigned long long)r->log.end_lsn);
    if (!r->store.marked) {
        verify_own(w, r);
        if (r->index == r->place)
            sim_posts_recovered(w, r);
    }
    look_at_all(w, true);
    if (!r->store.leapt)
        verify_replay(w, r);
    look_at_all(w, false);
}

/* Objects may have come as they were when the last of them left their region. */
void sim_verify_bootstrapped(struct sim_world *w, struct sim_region *r)
{
    if (!vector_covers(&r->node.replica.last_op, &r->node.bootstrap.note.target))
        sim_fail(w, "region %u serves objects that are ahead of its log", r->index + 1);
    verify_own(w, r);
    sim_posts_recovered(w, r);
}

/* --- at rest --- */

/* Nothing waits here. */
static bool is_calm(const struct sim_region *region)
{
    const struct replica *r = &region->node.replica;
    return r->parked_count == 0 && r->log_durable == r->log_end &&
           list_empty(&region->node.waiting) && list_empty(&region->node.held) &&
           !bootstrap_is_on(&region->node) && !region->node.audit.broken;
}

/* All that both may hold. */
static bool has_what_has(const struct sim_world *w, const struct sim_region *a,
                         const struct sim_region *b)
{
    const struct vector *x = &a->node.replica.last_op, *y = &b->node.replica.last_op;
    uint32_t high = x->high > y->high ? x->high : y->high;
    for (uint32_t o = 0; o < high; o++) {
        if (vector_get(x, (uint8_t)o) != vector_get(y, (uint8_t)o) &&
            sim_may_hold(w, a, (uint8_t)o) && sim_may_hold(w, b, (uint8_t)o))
            return false;
    }
    return true;
}

static bool has_what_others_have(const struct sim_world *w, const struct sim_region *region)
{
    for (const struct sim_region *other = w->regions; other != region; other++) {
        if (!has_what_has(w, region, other))
            return false;
    }
    return region->up;
}

bool sim_verify_alike(const struct sim_world *w, uint64_t *log_bytes)
{
    bool alike = true;
    *log_bytes = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        alike = alike && has_what_others_have(w, &w->regions[i]);
        *log_bytes += w->regions[i].up ? w->regions[i].node.replica.log_end : 0;
    }
    return alike;
}

static bool is_settled(const struct sim_world *w, const struct sim_region *region)
{
    return has_what_others_have(w, region) && is_calm(region);
}

bool sim_verify_settled(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!is_settled(w, &w->regions[i]))
            return false;
    }
    return sim_load_idle(w) && sim_travellers_idle(w) && sim_callers_idle(w) && sim_loss_is_over(w);
}

/* What they lack of a region that they never met is asked of others where something waits for
 * it. */
bool sim_verify_relayed(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *region = &w->regions[i];
        if (!region->up || !is_calm(region))
            return false;
        for (uint32_t k = 0; k < w->plan.regions; k++) {
            uint8_t origin = w->regions[k].id;
            if (!w->plan.parted[i][k] &&
                vector_get(&region->node.replica.last_op, origin) !=
                    vector_get(&w->regions[k].node.replica.last_op, origin))
                return false;
        }
    }
    return sim_load_idle(w) && sim_travellers_idle(w) && sim_callers_idle(w);
}

static const struct sim_region *writer_of(const struct sim_world *w, uint8_t origin)
{
    return sim_region_with_id(w, origin_region(w->deployment, origin));
}

void sim_verify_say_unsettled(const struct sim_world *w, struct buffer *out)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *region = &w->regions[i];
        const struct replica *r = &region->node.replica;
        if (r->parked_count > 0)
            buffer_printf(out, "; region %u parks %llu", i + 1,
                          (unsigned long long)r->parked_count);
        if (!list_empty(&region->node.waiting) || !list_empty(&region->node.held))
            buffer_printf(out, "; region %u has clients that wait", i + 1);
        for (uint32_t o = 1; o < ORACLE_ORIGINS; o++) {
            uint8_t origin = (uint8_t)o;
            const struct sim_region *writer = writer_of(w, origin);
            if (!writer || !sim_may_hold(w, region, origin))
                continue;
            stamp_t has = vector_get(&r->last_op, origin),
                    all = vector_get(&writer->node.replica.last_op, origin);
            if (has != all)
                buffer_printf(out, "; region %u has region %u up to %lld ms, which is at %lld ms",
                              i + 1, origin, (long long)(stamp_ms(has) - SIM_START_US / 1000),
                              (long long)(stamp_ms(all) - SIM_START_US / 1000));
        }
    }
    if (!sim_load_idle(w) || !sim_travellers_idle(w) || !sim_callers_idle(w))
        buffer_put_text(out, "; commands without an answer");
}

/* An own batch has seen exactly what stands before it in the log. */
static void verify_context(struct sim_world *w, const struct batch *b,
                           const stamp_t last[ORACLE_ORIGINS])
{
    char text[3][SIM_STAMP_BYTES];
    for (uint8_t o = 0; o < ORACLE_ORIGINS; o++) {
        stamp_t named = vector_get(&b->context, o);
        if (o != b->origin && named != last[o])
            sim_fail(w,
                     "region %u: its batch up to %s names %s as seen of region %u, the log has %s "
                     "before it",
                     b->origin, sim_stamp_text(b->to, text[0]), sim_stamp_text(named, text[1]), o,
                     sim_stamp_text(last[o], text[2]));
    }
}

/* The ops of an origin stand in the order of their stamps; an own batch has seen what is before
 * it. A region that was bootstrapped has seen more, and logs again what it had. */
static void verify_log(struct sim_world *w, const struct sim_region *r, struct span in)
{
    stamp_t last[ORACLE_ORIGINS] = { 0 };
    struct record record;
    struct batch b;
    size_t need;
    for (uint64_t lsn = 0; in.len > 0; lsn += record.bytes, in = span_skip(in, record.bytes)) {
        if (record_read(in, lsn, &record, &need) != RECORD_GOOD ||
            !batch_take(record.payload, &b) || b.origin >= ORACLE_ORIGINS) {
            sim_fail(w, "region %u: its log holds no batch at %llu", r->index + 1,
                     (unsigned long long)lsn);
            return;
        }
        if (replica_owns(&r->node.replica, b.origin) && !r->store.leapt)
            verify_context(w, &b, last);
        last[b.origin] = b.to;
    }
}

static void verify_contract(struct sim_world *w, struct oracle *o)
{
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        const char *wrong = oracle_compare(o, &w->regions[i].node.replica);
        if (wrong)
            sim_fail(w, "region %u is not what the contract declares: %s", i + 1, wrong);
    }
}

/* Increments that were acknowledged are all there; those whose answer was lost may be. */
static void verify_counter(struct sim_world *w, const struct oracle *o)
{
    int64_t sum = oracle_sum(o, COUNTER_DB, span_str("sum"));
    int64_t low = w->counter_acknowledged + w->counter_maybe_down,
            high = w->counter_acknowledged + w->counter_maybe_up;
    if (!w->counter_lost && (sum < low || sum > high))
        sim_fail(w, "the counter is %lld, the acknowledged increments make %lld to %lld",
                 (long long)sum, (long long)low, (long long)high);
}

/* One that may hold everything. */
static const struct sim_region *whole_region(const struct sim_world *w)
{
    uint32_t i = 0;
    while (w->plan.fence != 0 && !(w->plan.fence >> i & 1))
        i++;
    return &w->regions[i];
}

/* All that was written and is not lost, and only that, is what every region has applied. */
static void verify_logs(struct sim_world *w)
{
    struct buffer logs[SIM_REGIONS_MAX] = { 0 };
    const struct replica *any = &whole_region(w)->node.replica;
    struct oracle *o = &w->oracle;
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        sim_store_read_log(w, &w->regions[i], &logs[i]);
        verify_log(w, &w->regions[i], buffer_span(&logs[i]));
        if (!oracle_add_log(o, buffer_span(&logs[i])))
            sim_fail(w, "region %u: its log: %s", i + 1, o->problem);
    }
    if (!vector_covers(&any->last_op, &w->must_stay))
        sim_fail(w, "what a region held is lost with the disk of another");
    if (!w->failed && !oracle_trace(o, &any->last_op, any->streams))
        sim_fail(w, "%s", o->problem);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct replica *replica = &w->regions[i].node.replica;
        const char *wrong = w->failed ? NULL
                                      : oracle_check_log(o, buffer_span(&logs[i]),
                                                         !w->regions[i].store.leapt,
                                                         replica->options.foreign);
        if (wrong)
            sim_fail(w, "region %u: its log: %s", i + 1, wrong);
        buffer_release(&logs[i]);
    }
}

void sim_verify_end(struct sim_world *w)
{
    struct oracle *o = &w->oracle;
    sim_verify_always(w);
    verify_logs(w);
    bool declared = !w->two_histories;
    const char *wrong = w->failed || !declared
                            ? NULL
                            : oracle_check_reclaims(o, w->reclaims, w->reclaim_count);
    if (wrong)
        sim_fail(w, "reclaimed too early: %s", wrong);
    if (!w->failed)
        oracle_judge(o);
    if (!w->failed && declared)
        verify_contract(w, o);
    if (!w->failed)
        verify_counter(w, o);
    if (!w->failed)
        sim_calls_end(w);
    for (uint32_t i = 0; i < w->plan.regions; i++)
        sim_trace(w, "r%u ends with %016llx", i + 1,
                  (unsigned long long)replica_digest(&w->regions[i].node.replica));
}

/* --- after the last deadline --- */

static bool has_expired(struct sim_world *w, struct sim_region *r, int db)
{
    struct census c;
    take_census(&c, r, db);
    if (c.over)
        snprintf(w->left, sizeof(w->left),
                 "region %u has key %s of database %d, whose time has come", r->index + 1,
                 c.over_key, db);
    return c.over;
}

bool sim_verify_reclaimed(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (w->regions[i].store.marked) {
            snprintf(w->left, sizeof(w->left), "region %u has not ended its bootstrap", i + 1);
            return false;
        }
        for (int db = 0; db < OP_DATABASES; db++) {
            if (has_expired(w, &w->regions[i], db))
                return false;
        }
    }
    snprintf(w->left, sizeof(w->left), "some region waits for what others have");
    if (!sim_verify_settled(w))
        return false;
    sim_verify_always(w);
    return true;
}

/* --- with everything on disk --- */

static bool is_saved(const struct sim_region *r)
{
    bool saved = r->up && r->node.checkpoint.completed >= r->save_number;
    for (int db = 0; db < OP_DATABASES && saved; db++)
        saved = r->node.replica.databases[db].gone[1].count == 0;
    return saved;
}

bool sim_verify_saved(struct sim_world *w)
{
    bool saved = true;
    for (uint32_t i = 0; i < w->plan.regions; i++)
        saved &= is_saved(&w->regions[i]);
    return saved;
}

/* Nothing is remembered of what was changed or removed, every key may leave memory, and what comes
 * back is what has left. */
void sim_verify_cold(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        struct sim_region *r = &w->regions[i];
        const struct replica *replica = &r->node.replica;
        if (replica->copier.start.lsn != replica->log_end)
            continue; /* something was written meanwhile */
        uint64_t digest = replica_digest(replica), resident = 0;
        if (copier_dirty(replica) > 0)
            sim_fail(w, "region %u: %llu keys count as changed, and nothing was written since",
                     r->index + 1, (unsigned long long)copier_dirty(replica));
        sim_store_evict(r, &r->store.prng, TRIED_MAX);
        for (int db = 0; db < OP_DATABASES; db++)
            resident += replica->databases[db].keys.count;
        if (resident > 0)
            sim_fail(w, "region %u: %llu keys cannot leave memory", r->index + 1,
                     (unsigned long long)resident);
        if (replica_digest(replica) != digest)
            sim_fail(w, "region %u: its keys are others on disk than in memory", r->index + 1);
    }
    sim_verify_always(w);
}
