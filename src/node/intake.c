#include "node/intake.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/mutation.h"
#include "node/audited.h"
#include "node/health.h"
#include "node/link_info.h"
#include "node/node.h"
#include "node/promise.h"
#include "wire/frame.h"

void intake_ready(struct node *n, struct link *l)
{
    struct peer *peer = l->peer;
    peer->problem[0] = '\0';
    peer->healing = false;
    promise_link_ready(peer);
    if (bootstrap_is_on(n)) {
        l->ping_at_us = n->now_us;
        return; /* it says what is asked for */
    }
    topology_ready(n, l);
    l->ping_at_us = n->now_us;
}

/* --- subscriptions --- */

static void subscribe(struct node *n, struct link *l)
{
    struct message_subscribe m = { 0 };
    for (uint32_t i = 0; i < STAMP_ORIGINS / 64; i++)
        m.origins[i] = (l->origins[i] & ~l->paused[i]) |
                       (MUTATION(sends_fenced) ? n->replica.options.foreign[i] : 0);
    for (int i = 0; i < 4; i++) /* what is on the way need not come twice */
        m.goes_on[i] = m.origins[i] & l->asked[i];
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        stamp_t known = bits_have(m.origins, (uint8_t)o) ? replica_known(&n->replica, (uint8_t)o)
                                                         : 0;
        if (known != 0)
            vector_raise(&m.have, known);
    }
    message_put_subscribe(&l->output, &m);
    memcpy(l->asked, m.origins, sizeof l->asked);
    l->resubscribe = false;
    l->subscribed_us = n->now_us;
    link_dirty(n, l);
}

static void pause_origin(struct link *l, uint8_t origin)
{
    bits_remove(l->asked, origin);
    if (bits_have(l->paused, origin))
        return;
    bits_add(l->paused, origin);
    l->resubscribe = true;
}

static void resume_origin(struct link *l, uint8_t origin)
{
    if (!bits_have(l->paused, origin))
        return;
    bits_remove(l->paused, origin);
    l->resubscribe = true;
}

/* The replica has room again for what it dropped, of whatever link. */
static void take_dropped(struct node *n)
{
    uint8_t origin;
    while (replica_take_dropped(&n->replica, &origin)) {
        for (size_t i = 0; i < n->peer_count; i++) {
            if (n->peers[i].intake != NULL)
                resume_origin(n->peers[i].intake, origin);
        }
    }
}

static bool may_resume(const struct node *n, const struct link *l, uint32_t origin)
{
    return bits_have(l->paused, (uint8_t)origin) && !n->replica.streams[origin].forked;
}

static bool has_resumable(const struct node *n, const struct link *l)
{
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (may_resume(n, l, o))
            return true;
    }
    return false;
}

static void resume_all(struct node *n, struct link *l)
{
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        if (may_resume(n, l, o))
            resume_origin(l, (uint8_t)o);
    }
}

/* --- what is missing is asked of who sent what depends on it --- */

static uint64_t patience_us(const struct node *n, const struct link *l)
{
    int64_t offset_us;
    uint64_t rtt_us = 0;
    link_info_rtt_us(n, l->peer, &offset_us, &rtt_us);
    return INTAKE_RELAY_US + 2 * rtt_us;
}

/* The first thing that a batch of this link waits for and that is not asked for here, nor of
 * another relay; 0: nothing. What is relayed may itself wait for what a third region made. */
static stamp_t unasked(const struct node *n, const struct link *l, bool *waits)
{
    for (uint32_t o = 0; bits_next(l->origins, STAMP_ORIGINS, &o); o++) {
        stamp_t missing = replica_awaited(&n->replica, (uint8_t)o);
        uint8_t origin = stamp_origin(missing);
        *waits |= missing != 0;
        if (missing != 0 && !replica_owns(&n->replica, origin) && !bits_have(l->origins, origin) &&
            !bits_have(l->peer->barred, origin) && !topology_is_relayed(n, origin))
            return missing;
    }
    return 0;
}

/* A batch of this link waits for another origin's op. The peer applied that op before it: when it
 * has not come by itself for longer than a round trip, it is asked for here. A batch for which
 * there is no room waits on while it comes and is dropped again. */
static void ask_for_missing(struct node *n, struct link *l)
{
    bool waits = vector_get(&n->replica.applied, stamp_origin(l->awaited)) < l->awaited;
    stamp_t missing = unasked(n, l, &waits);
    if (!waits || (missing != 0 && missing != l->awaited)) {
        l->awaited = missing;
        l->awaited_us = n->now_us;
    }
    if (missing != 0 && n->now_us - l->awaited_us >= patience_us(n, l))
        topology_relay(n, stamp_origin(missing), l->peer, "what came from there depends on it");
}

/* --- batches --- */

/* A refused batch that is well formed is of a fork, or of ourselves. */
static bool take_refused(struct node *n, struct link *l, struct span batch)
{
    uint8_t origin;
    stamp_t to;
    bool known = batch_peek(batch, &origin, &to) &&
                 (n->replica.streams[origin].forked || replica_owns(&n->replica, origin));
    if (known)
        pause_origin(l, origin);
    else
        link_refuse(n, l, "a malformed batch");
    return known;
}

static bool take_batch(struct node *n, struct link *l, struct span batch)
{
    uint8_t origin;
    stamp_t to;
    audited_batch_came(n, l, batch);
    if (batch_peek(batch, &origin, &to) && !bits_have(l->origins, origin))
        return true; /* not asked for, or not any more */
    l->batches_in++;
    l->applied_us = n->now_us;
    bits_remove(l->behind, origin);
    topology_came(n, l, origin);
    enum receive_verdict verdict = replica_receive(&n->replica, batch);
    health_look_for_damage(n); /* what it met is not a command's that comes after it */
    switch (verdict) {
    case RECEIVE_APPLIED:
    case RECEIVE_DUPLICATE:
    case RECEIVE_PARKED:
        return true;
    case RECEIVE_DROPPED:
        CHECK(batch_peek(batch, &origin, &to));
        pause_origin(l, origin);
        return true;
    case RECEIVE_GAP:
        CHECK(batch_peek(batch, &origin, &to));
        bits_remove(l->asked, origin);
        if (!bits_have(l->paused, origin))
            l->resubscribe = true;
        return true;
    case RECEIVE_REFUSED:
        return take_refused(n, l, batch);
    }
    return false;
}

static bool has_ops(struct span batch)
{
    struct batch b;
    return batch_take(batch, &b) && b.op_count > 0;
}

void intake_batches(struct node *n, struct link *l, struct span body)
{
    struct span content, batch;
    if (!frame_take(&n->codec, body, &content)) {
        link_refuse(n, l, "a malformed frame of batches");
        return;
    }
    for (bool first = true; frame_next_batch(&content, &batch); first = false) {
        if (first && has_ops(batch)) /* heartbeats have messages of their own */
            l->batch_bytes += MESSAGE_HEADER_BYTES + 1 + body.len;
        if (!take_batch(n, l, batch))
            return;
    }
    if (content.len > 0)
        link_refuse(n, l, "a malformed frame of batches");
}

/* --- the vector --- */

/* None while older ones still wait to go: on a narrow link they would only hold up what comes behind. */
static uint64_t vector_due_us(const struct node *n, const struct link *l)
{
    if (l->output.len > INTAKE_BACKLOG_BYTES)
        return UINT64_MAX;
    bool moved = !vector_equal(&n->replica.durable, &l->vector_sent);
    return l->vector_us + (moved ? INTAKE_VECTOR_MIN_US : INTAKE_VECTOR_MAX_US);
}

/* Every row that changed since the last time; the peer knows its own best. */
static bool is_news(const struct link *l, const struct peers_row *row)
{
    return row->instance != 0 && row->heard_us >= l->vector_us &&
           row->region != l->peer->region->id;
}

static void send_vector(struct node *n, struct link *l)
{
    uint64_t count = 1;
    for (size_t i = 0; i < n->matrix.count; i++)
        count += is_news(l, &n->matrix.rows[i]);
    size_t place = message_begin(&l->output, MESSAGE_VECTOR);
    buffer_put_varint(&l->output, count);
    message_put_row(&l->output, n->options.self->id, n->options.instance, &n->replica.applied,
                    &n->replica.durable);
    for (size_t i = 0; i < n->matrix.count; i++) {
        const struct peers_row *row = &n->matrix.rows[i];
        if (is_news(l, row))
            message_put_row(&l->output, row->region, row->instance, &row->applied, &row->durable);
    }
    message_end(&l->output, place);
    vector_copy(&l->vector_sent, &n->replica.durable);
    l->vector_us = n->now_us;
    link_dirty(n, l);
}

/* --- pings --- */

static void send_ping(struct node *n, struct link *l)
{
    message_put_ping(&l->output, n->now_us);
    l->pings++;
    l->ping_at_us = n->now_us + (l->pings < LINK_QUICK_PINGS ? LINK_QUICK_PING_US : LINK_PING_US);
    link_dirty(n, l);
}

void intake_pong(struct node *n, struct link *l, struct span body)
{
    struct message_pong m;
    if (!message_take_pong(body, &m))
        link_refuse(n, l, "a malformed PONG");
    else
        skew_measure(&n->skew, (uint32_t)(l->peer - n->peers), m.t0_us, m.t1_us, m.t2_us,
                     n->now_us);
}

/* --- turns --- */

void intake_turn_end(struct node *n, struct link *l)
{
    if (!health_takes_batches(n)) {
        link_close(n, l, "our log cannot take what it sends");
        return;
    }
    take_dropped(n);
    if (!bootstrap_is_on(n)) /* else all comes from the source */
        ask_for_missing(n, l);
    if (!link_has_room(l))
        return;
    if (n->now_us - l->subscribed_us >= INTAKE_PAUSE_MAX_US)
        resume_all(n, l);
    if (l->resubscribe && n->now_us - l->subscribed_us >= INTAKE_RESUBSCRIBE_US)
        subscribe(n, l);
    if (n->now_us >= vector_due_us(n, l))
        send_vector(n, l);
    if (l->round_trips_told < n->topology.version)
        topology_tell(n, l);
    if (n->now_us >= l->ping_at_us)
        send_ping(n, l);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t intake_deadline(const struct node *n, const struct link *l)
{
    uint64_t at = earlier(l->ping_at_us, vector_due_us(n, l));
    if (l->resubscribe)
        at = earlier(at, l->subscribed_us + INTAKE_RESUBSCRIBE_US);
    if (has_resumable(n, l))
        at = earlier(at, l->subscribed_us + INTAKE_PAUSE_MAX_US);
    return at;
}
