/*
 * watch -- what must hold of one region while it runs: its time, what it says by it, what it takes
 * from others, how much memory it holds for them.
 *
 * What is right is judged by the world's own time, which no region knows.
 */
#include "base/check.h"
#include "sim/world.h"

enum {
    /* A link's output: as much as a feed fills, and the message that went over it. Nothing that
     * clients send here makes a large message. */
    OUTPUT_MAX = LINK_OUTPUT_MAX + (512 << 10),
    KNOWN_AFTER_US = 1000 * 1000,  /* links up for so long have compared clocks */
    VERDICT_AFTER_US = 500 * 1000, /* and have drawn the conclusion */
    JUDGED_AFTER_US = 900 * 1000,  /* a little less than a start waits for that */
    WILD_MORE_US = 300 * 1000,     /* a right clock is off a little */
};

void sim_watch_start(struct sim_world *w, struct sim_region *r)
{
    r->watch = (struct sim_watch){
        .right = sim_clock_is_right(w, r),
        .said = vector_get(&r->node.replica.applied, r->id),
        .start_us = w->now_us,
        .joined = true,
    };
    vector_copy(&r->watch.applied, &r->node.replica.applied);
}

/* --- SKEWED --- */

static bool is_clear(const struct sim_way *way)
{
    return !way->parted && way->stalled == 0 && way->broken == 0 && way->narrow == 0;
}

static bool is_joined(const struct sim_world *w, const struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *peer = &w->regions[i];
        if (peer != r && (!peer->up || peer->watch.start_us > r->watch.start_us ||
                          sim_region_is_asleep(w, peer) || !peer->watch.right ||
                          !is_clear(&w->ways[i][r->index]) || !is_clear(&w->ways[r->index][i])))
            return false;
    }
    return true;
}

/* Of two regions each is off by half of what they differ, and half of max_skew is allowed; besides
 * what round trips make of an error. */
static bool is_wild(struct sim_world *w, struct sim_region *r, uint64_t error_us)
{
    int64_t off_us = sim_clock_error_us(w, r);
    uint64_t allowed_us = (uint64_t)w->deployment->max_skew_ms * 1000 + WILD_MORE_US;
    return (uint64_t)(off_us < 0 ? -off_us : off_us) > allowed_us + error_us;
}

/* Where the disk failed nothing piles up but what was parked. */
static void watch_broken_log(struct sim_world *w, struct sim_region *r)
{
    const struct replica *replica = &r->node.replica;
    uint64_t *most = &r->watch.log_most;
    if (*most == 0 && r->node.log_broken)
        *most = replica->log_end + replica->parked_bytes;
    if (*most != 0 && replica->log_end > *most)
        sim_fail(w, "region %u has a log that failed, and still takes what it cannot write down",
                 r->index + 1);
}

/* While it is SKEWED a region makes no write and no heartbeat; nor before it has compared clocks.
 */
void sim_watch_turn(struct sim_world *w, struct sim_region *r)
{
    struct sim_watch *watch = &r->watch;
    bool bootstrapped = watch->bootstrapped;
    watch->bootstrapped = bootstrap_is_on(&r->node);
    if (bootstrapped && !watch->bootstrapped)
        sim_verify_bootstrapped(w, r);
    bool comes_back = bootstrapped || watch->bootstrapped; /* what it said long ago */
    stamp_t said = vector_get(&r->node.replica.applied, r->id);
    if (watch->skewed && r->node.was_skewed && said != watch->said && !comes_back)
        sim_fail(w, "region %u is SKEWED and has made a write or a heartbeat", r->index + 1);
    bool amnesiac = r->node.known.amnesiac || r->node.replica.tail_unknown;
    if (watch->amnesiac && amnesiac && said != watch->said && !comes_back)
        sim_fail(w, "region %u is AMNESIAC, or may be, and has made a write or a heartbeat",
                 r->index + 1);
    watch->amnesiac = amnesiac;
    watch->joined = watch->joined && is_joined(w, r);
    if (watch->joined && w->now_us - watch->start_us < JUDGED_AFTER_US && said != watch->said &&
        !comes_back && is_wild(w, r, LINK_TIMEOUT_US))
        sim_fail(w, "region %u speaks before it could know that its clock is off", r->index + 1);
    watch->skewed = r->node.was_skewed;
    watch->led |= watch->skewed;
    watch->said = said;
    watch_broken_log(w, r);
}

/* It has compared clocks with everybody, for some time, and none has been restarted since; the
 * longest round trip that was measured. */
static bool knows_all(const struct sim_world *w, const struct sim_region *r, uint64_t *round_us)
{
    const struct node *n = &r->node;
    int64_t offset_us;
    uint64_t rtt_us;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct link *l = n->peers[i].intake;
        const struct skew_peer *measured = &n->skew.peers[i];
        const struct sim_region *peer = sim_region_named(w, n->peers[i].region->name);
        if (!l || !l->ready || n->now_us - l->opened_us < KNOWN_AFTER_US ||
            measured->count < LINK_QUICK_PINGS || l->instance != peer->instance ||
            !peer->watch.right || !skew_peer_offset(&n->skew, (uint32_t)i, &offset_us, &rtt_us))
            return false;
        *round_us = rtt_us > *round_us ? rtt_us : *round_us;
    }
    return !sim_region_is_asleep(w, r);
}

/* A region whose clock is far off refuses writes, where it and all others have compared clocks and
 * the others' are right. */
static void watch_verdict(struct sim_world *w, struct sim_region *r)
{
    uint64_t round_us = 0;
    if (!knows_all(w, r, &round_us)) {
        r->watch.known_us = 0;
        return;
    }
    if (r->watch.known_us == 0)
        r->watch.known_us = w->now_us;
    if (w->now_us - r->watch.known_us < VERDICT_AFTER_US)
        return;
    if (is_wild(w, r, round_us) && !r->node.server.refusal)
        sim_fail(w, "region %u takes writes, and its clock is off by %lld ms", r->index + 1,
                 (long long)sim_clock_error_us(w, r) / 1000);
    if (r->watch.right && r->node.was_skewed)
        sim_fail(w, "region %u is SKEWED, and every clock is right", r->index + 1);
}

/* --- what it makes and takes --- */

/* A region whose clock was right all the time has applied nothing that was more than max_skew ahead
 * of it, and made nothing that was more than half of that ahead. */
static void watch_stamps(struct sim_world *w, struct sim_region *r)
{
    const struct replica *replica = &r->node.replica;
    uint64_t now_ms = sim_clock_now_us(w, r) / 1000, max_skew_ms = replica->options.max_skew_ms;
    r->watch.led |= r->node.was_skewed; /* it may have found out in a turn that goes on */
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        uint8_t origin = w->regions[i].id;
        stamp_t newest = vector_get(&replica->applied, origin);
        uint64_t limit_ms = now_ms + (i == r->index ? max_skew_ms / 2 + 1 : max_skew_ms);
        if (newest > vector_get(&r->watch.applied, origin) && stamp_ms(newest) > limit_ms &&
            r->watch.right && !r->watch.led)
            sim_fail(w, "region %u: the newest op of region %u is %llu ms ahead of a right clock",
                     r->index + 1, origin, (unsigned long long)(stamp_ms(newest) - now_ms));
    }
    vector_copy(&r->watch.applied, &replica->applied);
}

/* --- memory --- */

static void watch_memory(struct sim_world *w, const struct sim_region *r)
{
    list_each(&r->node.links, it)
    {
        const struct link *l = container_of(it, struct link, link);
        if (l->output.len > OUTPUT_MAX)
            sim_fail(w, "region %u keeps %zu bytes for a link that does not take them",
                     r->index + 1, l->output.len);
    }
}

/* --- the log --- */

/* What a region that is down has, it has when it comes back. */
static const struct vector *durable_of(const struct sim_region *r)
{
    return r->up ? &r->node.replica.durable : &r->durable;
}

static bool has_below(const struct sim_world *w, const struct sim_region *r,
                      const struct vector *floor)
{
    for (uint32_t o = 0; o < floor->high; o++) {
        if (vector_get(durable_of(r), (uint8_t)o) < floor->at[o] && sim_may_hold(w, r, (uint8_t)o))
            return false;
    }
    return true;
}

/* What has gone from a log some majority has, so that any two such have a region in common that can give
 * both. Of those that lost a disk, or are being filled, nobody knows it. */
static void watch_floor(struct sim_world *w, const struct sim_region *r, const struct vector *floor)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        holders += other == r || other->store.marked || other->was_lost ||
                   has_below(w, other, floor);
    }
    if (holders <= w->plan.regions / 2)
        sim_fail(w, "region %u drops log that no majority holds", r->index + 1);
}

/* Below log.retain nothing goes that somebody may still ask for. */
void sim_watch_dropped(struct sim_world *w, struct sim_region *r)
{
    struct vector floor;
    tail_floor(&r->node.tail, &floor);
    if (!r->store.marked)
        watch_floor(w, r, &floor);
    /* what is not written yet counts, too */
    if (r->node.replica.log_end > w->plan.retain_bytes || r->store.marked)
        return;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        if (!other->store.marked && !other->lost && !has_below(w, other, &floor))
            sim_fail(w, "region %u drops log that region %u has not", r->index + 1, i + 1);
    }
}

void sim_watch_always(struct sim_world *w, struct sim_region *r)
{
    r->watch.right = r->watch.right && sim_clock_is_right(w, r);
    watch_stamps(w, r);
    watch_verdict(w, r);
    watch_memory(w, r);
}
