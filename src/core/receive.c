/*
 * receive -- batches of other origins: each op once, in the order of its origin, after everything
 * it has seen.
 *
 * A batch applies when what came before it of its origin is here (`prev`), when the vector covers
 * its context, and when its time is not more than max_skew ahead of ours. Else it is parked behind
 * the others of its origin, within bounds. The stream's running checksum is compared wherever the
 * batch meets what we hold: a difference is a fork.
 */
#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "core/internal.h"

static bool is_ahead(const struct replica *r, const struct batch *b)
{
    return stamp_ms(b->to) > r->now_ms + r->options.max_skew_ms;
}

/* Follows the batch's ops through what we already have: at the last op that we hold both checksums
 * must agree. */
static bool agrees(const struct replica *r, const struct batch *b)
{
    const struct stream *s = &r->streams[b->origin];
    stamp_t last = vector_get(&r->last_op, b->origin);
    uint32_t check = b->check;
    if (b->prev == last)
        return check == s->check;
    if (b->prev > last)
        return MUTATION(accepts_holes); /* it claims an op between ours and its first */
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    while (batch_next_op(&w, &op, &hashed) && op.stamp <= last) {
        check = batch_check(check, op.stamp, hashed);
        if (op.stamp == last)
            return check == s->check;
    }
    return false; /* our last op is not among its ops */
}

/* Ops that are applied together. A random key is not in the cache, and waiting for memory was 40 % of
 * applying: so the keys of a window are looked up ahead, all at once. */
struct window {
    struct op ops[8];
    struct span hashed[8];
    uint64_t hashes[8];
    size_t count;
};

static void fill_window(const struct replica *r, struct window *w, struct batch_walk *walk)
{
    w->count = 0;
    while (w->count < COUNT_OF(w->ops) &&
           batch_next_op(walk, &w->ops[w->count], &w->hashed[w->count])) {
        const struct op *op = &w->ops[w->count];
        w->hashes[w->count++] = table_prefetch(&r->databases[op->db].keys, op->key);
    }
    for (size_t i = 0; i < w->count; i++)
        table_prefetch_item(&r->databases[w->ops[i].db].keys, w->hashes[i]);
}

/* --- runs --- */

void replica_note_run(struct replica *r, uint8_t origin, uint64_t instance)
{
    struct stream *s = &r->streams[origin];
    stamp_t last = vector_get(&r->last_op, origin);
    if (instance > s->instance) {
        /* of runs that came one after another, and wrote nothing but heartbeats, the latest says it all */
        if (s->takeovers[0].last != last)
            memmove(s->takeovers + 1, s->takeovers, sizeof(s->takeovers) - sizeof(s->takeovers[0]));
        s->takeovers[0] = (struct takeover){ instance, last };
    }
    s->instance = instance;
}

/* Stamps grow from run to run: what a run wrote lies below the first op of every later one. So if its stream
 * went on at `last`, nothing of it lies above. */
bool replica_has_lost(const struct replica *r, stamp_t op, uint64_t instance)
{
    const struct stream *s = &r->streams[stamp_origin(op)];
    if (op > vector_get(&r->last_op, stamp_origin(op)))
        return true;
    for (int i = 0; i < STREAM_TAKEOVERS; i++) {
        if (s->takeovers[i].instance > instance && op > s->takeovers[i].last)
            return true;
    }
    return false;
}

/* Applies the ops that are new. Nothing can fail from here on. */
static void apply_ops(struct replica *r, const struct batch *b)
{
    struct stream *s = &r->streams[b->origin];
    stamp_t last = vector_get(&r->last_op, b->origin);
    struct batch_walk walk = batch_walk(b);
    replica_note_run(r, b->origin, b->instance);
    struct window w;
    for (fill_window(r, &w, &walk); w.count > 0; fill_window(r, &w, &walk)) {
        for (size_t i = 0; i < w.count; i++) {
            struct op *op = &w.ops[i];
            if (op->stamp <= last && !MUTATION(applies_twice))
                continue;
            if (MUTATION(ranks_alone))
                op->rank = op->stamp;
            database_apply(&r->databases[op->db], op, &b->context);
            s->check = batch_check(s->check, op->stamp, w.hashed[i]);
            vector_set(&r->last_op, op->stamp);
        }
    }
    hlc_see(&r->hlc, b->to);
    vector_raise(&r->applied, b->to);
}

static void log_batch(struct replica *r, struct span bytes)
{
    memcpy(replica_log_room(r, bytes.len), bytes.at, bytes.len);
    replica_log_seal(r, bytes.len);
}

static enum receive_verdict refuse_fork(struct replica *r, const struct batch *b)
{
    r->streams[b->origin].forked = true;
    replica_raise(r, EVENT_FORK, b->origin, b->to);
    return RECEIVE_REFUSED;
}

/* Of an origin that we may not hold nothing is waited for: whatever else depends on it waits where it is
 * held. Nor of one that is apart, but within its own fence, where one op may undo another. */
static bool is_waited_for(const struct replica *r, const struct batch *b, uint8_t origin)
{
    bool apart = bits_have(r->apart, origin);
    return replica_may_hold(r, origin) &&
           (!apart || r->options.fence_of[origin] == r->options.fence_of[b->origin]);
}

/* The first op that the batch has seen, and that we lack; 0: none. */
static stamp_t lacking(const struct replica *r, const struct batch *b)
{
    for (uint32_t o = 0; o < b->context.high; o++) {
        if (b->context.at[o] > vector_get(&r->applied, (uint8_t)o) &&
            is_waited_for(r, b, (uint8_t)o))
            return b->context.at[o];
    }
    return 0;
}

static bool has_context(const struct replica *r, const struct batch *b)
{
    return lacking(r, b) == 0 || MUTATION(ignores_context);
}

/* The batch is next in its stream, and all that it has seen is here. */
static enum receive_verdict take(struct replica *r, const struct batch *b, struct span bytes)
{
    if (!agrees(r, b))
        return refuse_fork(r, b);
    if (b->op_count == 0) {
        hlc_see(&r->hlc, b->to);
        vector_raise(&r->applied, b->to);
        replica_settle_durable(r);
        return RECEIVE_APPLIED;
    }
    if (!MUTATION(seals_late))
        replica_seal(r); /* the context of our own next op changes here */
    apply_ops(r, b);
    log_batch(r, bytes);
    return RECEIVE_APPLIED;
}

/* A stamp that must be covered before a batch can go: its predecessor, what it has seen, or else
 * our own time. */
static stamp_t awaited(const struct replica *r, const struct batch *b)
{
    if (b->prev > vector_get(&r->applied, b->origin))
        return b->prev;
    stamp_t seen = lacking(r, b);
    if (seen != 0)
        return seen;
    return stamp_make(stamp_ms(b->to) - r->options.max_skew_ms, 0, r->options.region);
}

static enum receive_verdict park(struct replica *r, const struct batch *b, struct span bytes)
{
    struct stream *s = &r->streams[b->origin];
    if (b->op_count == 0)
        return RECEIVE_PARKED; /* the next heartbeat will say as much and more */
    if (!list_empty(&s->parked) && container_of(s->parked.prev, struct parked, link)->to >= b->to)
        return RECEIVE_DUPLICATE;
    if (r->parked_bytes + sizeof(struct parked) + bytes.len > r->options.park_max_bytes) {
        r->dropped[b->origin] = awaited(r, b);
        r->asked_again[b->origin] = false;
        return RECEIVE_DROPPED;
    }
    struct parked *p = mem_alloc(sizeof(*p) + bytes.len);
    *p = (struct parked){ .from = b->from, .to = b->to, .prev = b->prev, .len = bytes.len };
    memcpy(p->bytes, bytes.at, bytes.len);
    list_add_tail(&s->parked, &p->link);
    r->parked_bytes += sizeof(*p) + bytes.len;
    r->parked_count++;
    return RECEIVE_PARKED;
}

static void unpark(struct replica *r, struct parked *p)
{
    list_remove(&p->link);
    r->parked_bytes -= sizeof(*p) + p->len;
    r->parked_count--;
    mem_free(p);
}

stamp_t replica_newest_parked(const struct replica *r, uint8_t origin)
{
    const struct stream *s = &r->streams[origin];
    return list_empty(&s->parked) ? 0 : container_of(s->parked.prev, struct parked, link)->to;
}

stamp_t replica_known(const struct replica *r, uint8_t origin)
{
    stamp_t applied = vector_get(&r->applied, origin);
    stamp_t parked = replica_newest_parked(r, origin);
    return parked > applied ? parked : applied;
}

static enum receive_verdict judge(struct replica *r, const struct batch *b, struct span bytes)
{
    struct stream *s = &r->streams[b->origin];
    stamp_t applied = vector_get(&r->applied, b->origin);
    if (b->to <= applied && !MUTATION(applies_twice))
        return RECEIVE_DUPLICATE;
    if (b->prev > replica_known(r, b->origin) && !MUTATION(accepts_holes))
        return RECEIVE_GAP;
    bool ahead = is_ahead(r, b);
    if (ahead && !s->ahead) {
        s->ahead = true;
        replica_raise(r, EVENT_AHEAD, b->origin, b->to);
    }
    if ((b->prev > applied && !MUTATION(accepts_holes)) || ahead || !has_context(r, b))
        return park(r, b, bytes);
    s->ahead = false;
    return take(r, b, bytes);
}

enum receive_verdict replica_receive(struct replica *r, struct span bytes)
{
    struct batch b;
    if (!batch_take(bytes, &b) || !batch_valid(&b) || r->streams[b.origin].forked ||
        !replica_may_hold(r, b.origin))
        return RECEIVE_REFUSED;
    if (replica_owns(r, b.origin) && !r->takes_own) {
        if (b.op_count > 0 && b.to > vector_get(&r->last_op, b.origin) && !r->amnesiac) {
            r->amnesiac = true;
            replica_raise(r, EVENT_AMNESIA, b.origin, b.to);
        }
        return RECEIVE_REFUSED;
    }
    enum receive_verdict verdict = judge(r, &b, bytes);
    if (verdict == RECEIVE_APPLIED && r->parked_count > 0)
        replica_drain_parked(r);
    return verdict;
}

/* One origin's parked batches, as far as they can go now. True when any went. */
static bool drain_stream(struct replica *r, struct stream *s)
{
    bool progress = false;
    while (!list_empty(&s->parked)) {
        struct parked *p = container_of(s->parked.next, struct parked, link);
        struct span bytes = span_of(p->bytes, p->len);
        struct batch b;
        CHECK(batch_take(bytes, &b));
        stamp_t applied = vector_get(&r->applied, b.origin);
        bool stale = s->forked || b.to <= applied;
        if (!stale && (b.prev > applied || is_ahead(r, &b) || !has_context(r, &b)))
            break;
        if (!stale) {
            s->ahead = false;
            take(r, &b, bytes);
        }
        unpark(r, p);
        progress = true;
    }
    return progress;
}

void replica_drain_parked(struct replica *r)
{
    bool progress = r->parked_count > 0 && !MUTATION(parks_for_good);
    while (progress) {
        progress = false;
        for (int o = 0; o < STAMP_ORIGINS && r->parked_count > 0; o++)
            progress |= drain_stream(r, &r->streams[o]);
    }
}

bool replica_take_dropped(struct replica *r, uint8_t *origin)
{
    bool room = r->parked_bytes <= r->options.park_max_bytes / 2;
    for (int o = 0; o < STAMP_ORIGINS; o++) {
        stamp_t wanted = r->dropped[o];
        bool come = vector_get(&r->applied, stamp_origin(wanted)) >= wanted;
        bool ask = wanted != 0 && !r->asked_again[o] && (room || come);
        r->asked_again[o] |= ask;
        if (come)
            r->dropped[o] = 0;
        *origin = (uint8_t)o;
        if (ask)
            return true;
    }
    return false;
}

stamp_t replica_awaited(const struct replica *r, uint8_t origin)
{
    const struct stream *s = &r->streams[origin];
    struct batch b;
    if (list_empty(&s->parked))
        return r->dropped[origin];
    const struct parked *p = container_of(s->parked.next, struct parked, link);
    CHECK(batch_take(span_of(p->bytes, p->len), &b));
    return awaited(r, &b);
}

/* --- recovery --- */

int replica_replay(struct replica *r, uint64_t end_lsn, struct span bytes)
{
    struct batch b;
    if (!batch_take(bytes, &b) || !batch_valid(&b))
        return E_FORMAT;
    apply_ops(r, &b);
    r->log_end = end_lsn;
    return E_OK;
}

void replica_recovered(struct replica *r, uint64_t end_lsn)
{
    r->log_end = r->log_durable = r->snapshot_lsn = end_lsn;
    vector_copy(&r->durable, &r->applied);
}
