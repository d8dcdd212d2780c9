#include "node/topology.h"

#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "node/closed.h"
#include "node/link_info.h"
#include "node/node.h"
#include "policy/origin.h"
#include "policy/routes.h"
#include "wire/message.h"

/* --- places and peers --- */

static size_t place_of(const struct node *n, const struct region *region)
{
    return (size_t)(region - n->options.deployment->regions);
}

static uint8_t index_of(const struct node *n, const struct peer *p)
{
    return (uint8_t)(p - n->peers);
}

/* Peers stand in the deployment's order, without ourselves. */
static uint8_t peer_at(const struct node *n, size_t place)
{
    if (place == PLACE_NONE || place == n->topology.self)
        return TAKE_NOWHERE;
    return (uint8_t)(place < n->topology.self ? place : place - 1);
}

static struct link *intake_at(const struct node *n, uint8_t peer)
{
    return peer == TAKE_NOWHERE ? NULL : node_ready_intake(&n->peers[peer]);
}

static uint64_t round_trip_us(const struct node *n, const struct peer *p)
{
    int64_t offset_us;
    uint64_t rtt_us = 0;
    link_info_rtt_us(n, p, &offset_us, &rtt_us);
    return rtt_us;
}

/* --- the plan --- */

static void plan_stream(struct node *n, uint8_t origin, const struct route *route)
{
    struct take *t = &n->topology.takes[origin];
    uint8_t upstream = peer_at(n, route->upstream);
    t->links = route->links;
    t->round_trip_us = route->round_trip_us;
    n->topology.changed |= t->down != (route->down > 0);
    t->down = route->down > 0;
    if (upstream == t->upstream)
        return;
    t->upstream = upstream;
    t->delivers = false;
    t->tries = 0;
    t->came_us = n->now_us;
    n->topology.changed = true;
}

static void plan_fence(struct node *n, uint32_t fence)
{
    const struct deployment *d = n->options.deployment;
    struct routes routes;
    routes_plan(&routes, d, fence, &n->topology.round_trips, n->topology.self);
    for (size_t place = 0; place < d->region_count; place++) {
        uint8_t origin = origin_of(d, d->regions[place].id, fence);
        if (origin != 0 && place != n->topology.self)
            plan_stream(n, origin, &routes.of[place]);
    }
}

static void plan(struct node *n)
{
    const struct deployment *d = n->options.deployment;
    bool before = n->topology.changed;
    n->topology.replan = n->topology.changed = false;
    for (uint32_t fence = 0; fence < d->fence_count; fence++) {
        if (fence_holds(&d->fences[fence], n->options.self->id))
            plan_fence(n, fence);
    }
    n->topology.plans += n->topology.changed;
    n->topology.changed |= before;
}

void topology_init(struct node *n)
{
    struct node_topology *t = &n->topology;
    const struct deployment *d = n->options.deployment;
    t->self = (uint8_t)place_of(n, n->options.self);
    round_trips_init(&t->round_trips, d->region_count);
    t->rows = mem_zalloc(d->region_count * sizeof(t->rows[0]));
    t->rows[t->self].instance = n->options.instance;
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++)
        t->takes[o].upstream = t->takes[o].relay = TAKE_NOWHERE;
    plan(n);
    t->plans = 0;
}

void topology_release(struct node *n)
{
    round_trips_release(&n->topology.round_trips);
    mem_free(n->topology.rows);
}

/* --- round trips --- */

static void note_row(struct node_topology *t, size_t place, bool changed)
{
    t->rows[place].version = ++t->version;
    t->replan |= changed;
}

/* A link that never stood, and is being dialled for the first time, may well be up. */
static bool measure_link(struct node *n, const struct peer *p)
{
    struct round_trips *t = &n->topology.round_trips;
    size_t self = n->topology.self, place = place_of(n, p->region);
    uint64_t us = round_trip_us(n, p);
    if (node_ready_intake(p) != NULL)
        return us != 0 && round_trips_measure(t, self, place, us);
    return (p->cut || p->failures > 0) && round_trips_lose(t, self, place);
}

static void measure(struct node *n)
{
    struct node_topology *t = &n->topology;
    bool changed = false;
    for (size_t i = 0; i < n->peer_count; i++)
        changed |= measure_link(n, &n->peers[i]);
    if (!changed)
        return;
    t->rows[t->self].sequence++;
    note_row(t, t->self, true);
}

static void put_row(const struct node *n, struct buffer *out, size_t place)
{
    const struct deployment *d = n->options.deployment;
    const struct topology_row *row = &n->topology.rows[place];
    const uint32_t *us = round_trips_row(&n->topology.round_trips, place);
    struct message_round_trips m = {
        .region = d->regions[place].id,
        .instance = row->instance,
        .sequence = row->sequence,
    };
    for (size_t i = 0; i < d->region_count; i++)
        m.us[d->regions[i].id] = us[i];
    message_put_round_trips(out, &m);
}

void topology_tell(struct node *n, struct link *l)
{
    const struct node_topology *t = &n->topology;
    const struct deployment *d = n->options.deployment;
    uint64_t count = 0;
    for (size_t i = 0; i < d->region_count; i++)
        count += t->rows[i].version > l->round_trips_told;
    if (count == 0)
        return;
    size_t place = message_begin(&l->output, MESSAGE_ROUND_TRIPS);
    buffer_put_varint(&l->output, count);
    for (size_t i = 0; i < d->region_count; i++) {
        if (t->rows[i].version > l->round_trips_told)
            put_row(n, &l->output, i);
    }
    message_end(&l->output, place);
    l->round_trips_told = t->version;
    link_dirty(n, l);
}

static bool is_newer(const struct topology_row *row, const struct message_round_trips *m)
{
    return m->instance > row->instance ||
           (m->instance == row->instance && m->sequence > row->sequence);
}

static void hear_row(struct node *n, const struct message_round_trips *m)
{
    struct node_topology *t = &n->topology;
    const struct deployment *d = n->options.deployment;
    const struct region *region = deployment_region_with_id(d, m->region);
    uint32_t us[REGION_ID_MAX];
    if (region == NULL || region == n->options.self)
        return;
    size_t place = place_of(n, region);
    if (!is_newer(&t->rows[place], m))
        return;
    t->rows[place].instance = m->instance;
    t->rows[place].sequence = m->sequence;
    for (size_t i = 0; i < d->region_count; i++)
        us[i] = i == place ? 0 : m->us[d->regions[i].id];
    note_row(t, place, round_trips_hear(&t->round_trips, place, us));
}

void topology_hear(struct node *n, struct link *l, struct span body)
{
    struct message_round_trips m;
    struct span rows;
    if (!message_take_round_trips(body, &rows)) {
        link_refuse(n, l, "malformed ROUND_TRIPS");
        return;
    }
    while (message_next_round_trips(&rows, &m))
        hear_row(n, &m);
}

/* --- what is taken at a link --- */

static bool takes_at_us(const struct peer *p, uint8_t origin)
{
    return p->feed != NULL && p->feed->subscribed && bits_have(p->feed->origins, origin);
}

/* What a peer that lost log wrote since may contradict what others hold. */
static bool is_doubted(const struct link *l, uint8_t origin)
{
    return l->doubted && bits_have(l->peer->origins, origin);
}

static bool is_taken_at(const struct node *n, const struct link *l, uint8_t origin)
{
    const struct take *t = &n->topology.takes[origin];
    uint8_t peer = index_of(n, l->peer);
    if ((peer != t->relay && peer != t->upstream) || n->replica.streams[origin].forked ||
        is_doubted(l, origin) || bits_have(l->peer->barred, origin))
        return false;
    return peer == t->relay || t->relay == TAKE_NOWHERE ||
           (!t->down && !takes_at_us(l->peer, origin));
}

static void apply(struct node *n, struct link *l)
{
    uint64_t taken[4] = { 0 };
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (is_taken_at(n, l, (uint8_t)o))
            bits_add(taken, (uint8_t)o);
    }
    if (memcmp(l->origins, taken, sizeof taken) == 0)
        return;
    memcpy(l->origins, taken, sizeof taken);
    for (int i = 0; i < 4; i++) {
        l->paused[i] &= taken[i];
        l->asked[i] &= taken[i]; /* what comes of the others now is not looked at */
    }
    l->resubscribe = true;
}

void topology_ready(struct node *n, struct link *l)
{
    uint8_t peer = index_of(n, l->peer);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        struct take *t = &n->topology.takes[o];
        if (t->upstream == peer)
            t->came_us = n->now_us; /* it has as long as anybody to deliver */
    }
    apply(n, l);
    l->resubscribe = true;
}

/* --- relays --- */

void topology_came(struct node *n, const struct link *l, uint8_t origin)
{
    struct take *t = &n->topology.takes[origin];
    t->delivers |= t->upstream == index_of(n, l->peer);
}

bool topology_is_relayed(const struct node *n, uint8_t origin)
{
    return n->topology.takes[origin].relay != TAKE_NOWHERE;
}

void topology_relay(struct node *n, uint8_t origin, const struct peer *at, const char *why)
{
    struct take *t = &n->topology.takes[origin];
    const struct region *region = node_writer_of(n, origin);
    CHECK(!bits_have(at->barred, origin));
    if (MUTATION(asks_no_relay))
        return;
    t->relay = index_of(n, at);
    t->delivers = false;
    n->topology.changed = true;
    node_notice(n, NOTICE_INFO, "ev=relay origin=%s number=%u via=%s why=\"%s\"",
                region ? region->name : "unknown", origin_region(n->options.deployment, origin),
                at->region->name, why);
}

static void end_relay(struct node *n, struct take *t)
{
    t->relay = TAKE_NOWHERE;
    n->topology.changed = true;
}

/* Something that has come waits for an op of this stream. */
static bool is_awaited(const struct node *n, uint8_t origin)
{
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        stamp_t awaited = replica_awaited(&n->replica, (uint8_t)o);
        if (awaited != 0 && stamp_origin(awaited) == origin &&
            awaited > vector_get(&n->replica.applied, origin))
            return true;
    }
    return false;
}

static bool is_over(struct node *n, const struct take *t, uint8_t origin)
{
    const struct link *relay = intake_at(n, t->relay);
    if (relay == NULL || t->relay == t->upstream || is_doubted(relay, origin))
        return true;
    if (closed_is(n, origin))
        return !closed_comes(n, relay, origin);
    return t->delivers && intake_at(n, t->upstream) != NULL && !is_awaited(n, origin);
}

/* What a peer is known to have on its disk: it can send no more. */
static stamp_t held_by(struct node *n, const struct peer *p, uint8_t origin)
{
    const struct peers_row *row = peers_row(&n->matrix, p->region->id);
    return row != NULL ? vector_get(&row->durable, origin) : 0;
}

/* Who is not asked yet, and could give something. */
static bool may_relay(struct node *n, const struct peer *p, uint8_t origin)
{
    const struct link *l = node_ready_intake(p);
    return l != NULL && !bits_have(l->origins, origin) && !bits_have(l->behind, origin) &&
           !is_doubted(l, origin) && !bits_have(p->barred, origin) &&
           held_by(n, p, origin) > replica_known(&n->replica, origin);
}

static bool is_better(struct node *n, const struct peer *p, const struct peer *than, uint8_t origin)
{
    if (than == NULL || bits_have(than->origins, origin))
        return than == NULL;
    stamp_t ours = held_by(n, p, origin), theirs = held_by(n, than, origin);
    if (bits_have(p->origins, origin) || ours != theirs)
        return bits_have(p->origins, origin) || ours > theirs;
    return round_trip_us(n, p) < round_trip_us(n, than);
}

static const struct peer *best_relay(struct node *n, uint8_t origin)
{
    const struct peer *best = NULL;
    for (size_t i = 0; i < n->peer_count; i++) {
        if (may_relay(n, &n->peers[i], origin) && is_better(n, &n->peers[i], best, origin))
            best = &n->peers[i];
    }
    return best;
}

/* Nothing new comes, though somebody has it. Who sends something large is not left too soon. */
static void go_round(struct node *n, struct take *t, uint8_t origin)
{
    uint64_t patience_us = (uint64_t)TOPOLOGY_RELAY_US << t->tries;
    if (n->now_us - t->came_us < patience_us)
        return;
    const struct peer *at = best_relay(n, origin);
    if (at == NULL || n->now_us - t->came_us < patience_us + 2 * round_trip_us(n, at))
        return;
    if (t->tries < TOPOLOGY_TRIES_MAX)
        t->tries++;
    topology_relay(n, origin, at, "nothing comes of it by plan, and it is ahead there");
}

static void look_after(struct node *n, uint8_t origin)
{
    struct take *t = &n->topology.takes[origin];
    stamp_t known = replica_known(&n->replica, origin);
    if (known > t->known || t->came_us == 0) {
        t->came_us = n->now_us;
        t->tries = 0;
    }
    t->known = known;
    if (t->relay != TAKE_NOWHERE && is_over(n, t, origin))
        end_relay(n, t);
    bool has_room = n->replica.dropped[origin] == 0; /* else it comes, and cannot stay */
    if (t->upstream != TAKE_NOWHERE && has_room && !n->replica.streams[origin].forked)
        go_round(n, t, origin);
}

/* --- turns --- */

static void tick(struct node *n)
{
    measure(n);
    if (n->topology.replan)
        plan(n);
    if (bootstrap_is_on(n))
        return; /* it says what is asked for */
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        const struct take *t = &n->topology.takes[o];
        if (t->upstream != TAKE_NOWHERE || t->relay != TAKE_NOWHERE)
            look_after(n, (uint8_t)o);
    }
    closed_ask(n);
}

void topology_turn(struct node *n)
{
    struct node_topology *t = &n->topology;
    bool due = n->now_us >= t->tick_at_us;
    if (due) {
        t->tick_at_us = n->now_us + TOPOLOGY_TICK_US;
        tick(n);
    }
    if ((!due && !t->changed) || bootstrap_is_on(n))
        return;
    t->changed = false;
    for (size_t i = 0; i < n->peer_count; i++) { /* also: who takes what at us may have changed */
        struct link *l = node_ready_intake(&n->peers[i]);
        if (l != NULL)
            apply(n, l);
    }
}
