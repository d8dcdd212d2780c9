/*
 * verify -- what must hold, looked at from outside: in the replicas' own memory and logs.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "sim/world.h"

enum { COUNTER_DB = 2 };

/* --- at any time --- */

static void verify_equal(struct sim_world *w)
{
    uint64_t digests[SIM_REGIONS_MAX];
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!w->regions[i].up)
            continue;
        const struct replica *r = &w->regions[i].node.replica;
        digests[i] = replica_digest(r);
        for (uint32_t k = 0; k < i; k++) {
            const struct replica *other = &w->regions[k].node.replica;
            if (w->regions[k].up && vector_equal(&r->last_op, &other->last_op) &&
                digests[i] != digests[k])
                sim_fail(w, "regions %u and %u have the same ops and different states", k + 1,
                         i + 1);
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
    uint8_t origin = (uint8_t)(region->index + 1);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        if (other != region && other->up &&
            vector_get(&other->node.replica.last_op, origin) > vector_get(&r->durable, origin))
            sim_fail(w, "region %u has more of region %u than is durable there", i + 1, origin);
    }
}

void sim_verify_always(struct sim_world *w)
{
    verify_equal(w);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!w->regions[i].up)
            continue;
        verify_replica(w, &w->regions[i]);
        sim_watch_always(w, &w->regions[i]);
    }
}

/* After a restart: what clients were told is there, and so is what others hold. */
void sim_verify_recovered(struct sim_world *w, struct sim_region *r)
{
    uint8_t origin = (uint8_t)(r->index + 1);
    stamp_t have = vector_get(&r->node.replica.last_op, origin);
    char text[2][SIM_STAMP_BYTES];
    if (have < r->acknowledged)
        sim_fail(w, "region %u was restarted and has its writes up to %s, clients were told of %s",
                 origin, sim_stamp_text(have, text[0]), sim_stamp_text(r->acknowledged, text[1]));
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        if (other->up && vector_get(&other->node.replica.last_op, origin) > have)
            sim_fail(w, "region %u was restarted and lacks writes of its own that region %u has",
                     origin, i + 1);
    }
}

/* --- at rest --- */

/* Nothing waits here. */
static bool is_calm(const struct sim_region *region)
{
    const struct replica *r = &region->node.replica;
    return r->parked_count == 0 && r->log_durable == r->log_end &&
           list_empty(&region->node.waiting) && list_empty(&region->node.held);
}

static bool is_settled(const struct sim_world *w, const struct sim_region *region)
{
    return region->up && is_calm(region) &&
           vector_equal(&region->node.replica.last_op, &w->regions[0].node.replica.last_op);
}

bool sim_verify_settled(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (!is_settled(w, &w->regions[i]))
            return false;
    }
    return sim_load_idle(w);
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
            uint8_t origin = (uint8_t)(k + 1);
            if (!w->plan.parted[i][k] &&
                vector_get(&region->node.replica.last_op, origin) !=
                    vector_get(&w->regions[k].node.replica.last_op, origin))
                return false;
        }
    }
    return sim_load_idle(w);
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
        for (uint32_t k = 0; k < w->plan.regions; k++) {
            uint8_t origin = (uint8_t)(k + 1);
            stamp_t has = vector_get(&r->last_op, origin),
                    all = vector_get(&w->regions[k].node.replica.last_op, origin);
            if (has != all)
                buffer_printf(out, "; region %u has region %u up to %lld ms, which is at %lld ms",
                              i + 1, origin, (long long)(stamp_ms(has) - SIM_START_US / 1000),
                              (long long)(stamp_ms(all) - SIM_START_US / 1000));
        }
    }
    if (!sim_load_idle(w))
        buffer_put_text(out, "; commands without an answer");
}

static void read_log(struct sim_world *w, struct sim_region *r, struct buffer *out)
{
    uint64_t end = r->node.replica.log_end;
    while (out->len < end && !w->failed) {
        if (oplog_read(&r->log, out->len, end, 1 << 20, out) != 0)
            sim_fail(w, "region %u: its log cannot be read: %s", r->index + 1, r->log.problem);
    }
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

/* One number for each origin: all its ops in the order in which this log applies them. */
static void digest_log(struct sim_world *w, const struct sim_region *r, struct span in,
                       uint64_t digests[ORACLE_ORIGINS])
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
        if (b.origin == r->index + 1)
            verify_context(w, &b, last);
        struct batch_walk walk = batch_walk(&b);
        struct op op;
        struct span hashed;
        while (batch_next_op(&walk, &op, &hashed)) {
            if (op.stamp <= last[b.origin])
                continue;
            last[b.origin] = op.stamp;
            digests[b.origin] = XXH3_64bits_withSeed(hashed.at, hashed.len,
                                                     digests[b.origin] + op.stamp);
        }
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

void sim_verify_end(struct sim_world *w)
{
    struct oracle o;
    uint64_t first[ORACLE_ORIGINS] = { 0 };
    sim_verify_always(w);
    oracle_init(&o);
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        struct buffer log = { 0 };
        uint64_t digests[ORACLE_ORIGINS] = { 0 };
        read_log(w, &w->regions[i], &log);
        digest_log(w, &w->regions[i], buffer_span(&log), digests);
        if (i == 0)
            memcpy(first, digests, sizeof(first));
        else if (memcmp(first, digests, sizeof(first)) != 0)
            sim_fail(w, "regions 1 and %u have applied different ops", i + 1);
        if (!oracle_add_log(&o, (uint8_t)(i + 1), buffer_span(&log), 0))
            sim_fail(w, "region %u: its log: %s", i + 1, o.problem);
        buffer_release(&log);
    }
    const char *wrong = w->failed ? NULL : oracle_check_reclaims(&o, w->reclaims, w->reclaim_count);
    if (wrong)
        sim_fail(w, "reclaimed too early: %s", wrong);
    oracle_judge(&o);
    if (!w->failed)
        verify_contract(w, &o);
    if (!w->failed)
        verify_counter(w, &o);
    oracle_release(&o);
    for (uint32_t i = 0; i < w->plan.regions; i++)
        sim_trace(w, "r%u ends with %016llx", i + 1,
                  (unsigned long long)replica_digest(&w->regions[i].node.replica));
}

/* --- after the last deadline --- */

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

static bool has_expired(const struct replica *r, const struct database *d)
{
    struct table_iter it;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        if (is_over(*slot, replica_hlc_ms(r)))
            return true;
    }
    return false;
}

bool sim_verify_reclaimed(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct replica *r = &w->regions[i].node.replica;
        for (int db = 0; db < OP_DATABASES; db++) {
            if (has_expired(r, &r->databases[db]))
                return false;
        }
    }
    if (!sim_verify_settled(w))
        return false;
    sim_verify_always(w);
    return true;
}
