#include "node/elsewhere.h"

#include "base/bits.h"
#include "node/client.h"
#include "node/closed.h"
#include "node/link_info.h"
#include "node/node.h"

static bool may_leave(const struct client *c)
{
    return c->session.demand.moves && c->remote == NULL && c->sent_to == 0 && !c->forward.watches &&
           c->session.transaction.watched == NULL;
}

static bool is_writer(const struct demand *d, uint8_t region)
{
    return bits_have(d->writers, region);
}

static bool has_one_writer(const struct demand *d)
{
    int count = 0;

    for (int i = 0; i < 4; i++)
        count += __builtin_popcountll(d->writers[i]);
    return count == 1;
}

static bool holds(const struct node *n, const struct peer *p, const struct demand *d)
{
    const struct deployment *deployment = n->options.deployment;

    for (uint32_t fence = 0; fence < deployment->fence_count; fence++) {
        if (d->fences >> fence & 1 && !fence_holds(&deployment->fences[fence], p->region->id))
            return false;
    }
    return true;
}

static bool has_op(const struct peer *p, const struct peers_row *row, stamp_t op)
{
    return vector_get(&row->applied, stamp_origin(op)) >= op ||
           bits_have(p->foreign, stamp_origin(op));
}

/* What never comes is met there as it is here. */
static bool has_seen(struct node *n, const struct peer *p, const struct peers_row *row,
                     const struct token *t)
{
    for (uint32_t o = 1; t != NULL && o < t->seen.high; o++) {
        if (t->seen.at[o] != 0 && !has_op(p, row, t->seen.at[o]) &&
            !closed_is_all_here(n, (uint8_t)o))
            return false;
    }
    return true;
}

static uint32_t round_trip_ms(const struct node *n, const struct peer *p)
{
    int64_t offset_us;
    uint64_t rtt_us;

    return link_info_rtt_us(n, p, &offset_us, &rtt_us) ? (uint32_t)(rtt_us / 1000) : 0;
}

/* Whether its answer can be here in time. */
static bool is_near(const struct node *n, const struct client *c, const struct peer *p)
{
    uint64_t left_us = promise_deadline_us(n, c) - n->now_us;

    return forward_reaches(p) && round_trip_ms(n, p) < left_us / 1000;
}

/* How old the oldest was of what the peer knew of those who may write the keys, when it told. */
static uint32_t staleness_ms(const struct node *n, const struct peer *p,
                             const struct peers_row *row, const struct demand *d)
{
    uint32_t late_ms = round_trip_ms(n, p) / 2, most_ms = 0;

    for (size_t i = 0; i < n->writer_count; i++) {
        uint8_t o = n->writers[i];
        const struct region *writer = node_writer_of(n, o);
        stamp_t known = vector_get(&row->applied, o);

        if (writer == NULL || writer == p->region || !is_writer(d, writer->id) ||
            !(d->fences >> n->fence_of[o] & 1))
            continue;
        uint32_t age_ms = promise_age_ms(n, known);
        most_ms = age_ms > most_ms ? age_ms : most_ms;
    }
    return most_ms > late_ms ? most_ms - late_ms : 0;
}

/* How old its answer would be when it is here; UINT32_MAX: it would do no better than we. */
static uint32_t rank(struct node *n, const struct client *c, const struct peer *p)
{
    const struct session *s = &c->session;
    const struct peers_row *row = peers_row(&n->matrix, p->region->id);
    uint32_t age_ms;

    if (!is_near(n, c, p) || !holds(n, p, &s->demand))
        return UINT32_MAX;
    if (s->demand.causal && (!has_seen(n, p, row, s->token) || !has_seen(n, p, row, s->with.token)))
        return UINT32_MAX;
    if (s->last_write != 0 && !has_op(p, row, s->last_write))
        return UINT32_MAX;
    for (uint32_t i = 0; i < s->elsewhere_count; i++) {
        if (!has_op(p, row, s->elsewhere[i].stamp))
            return UINT32_MAX;
    }
    age_ms = staleness_ms(n, p, row, &s->demand);
    return age_ms <= s->demand.staleness_ms && age_ms < UINT32_MAX / 2
               ? age_ms + round_trip_ms(n, p)
               : UINT32_MAX;
}

static struct peer *writer_of(struct node *n, const struct client *c)
{
    const struct demand *d = &c->session.demand;

    for (size_t i = 0; i < n->peer_count && has_one_writer(d); i++) {
        if (is_writer(d, n->peers[i].region->id) && is_near(n, c, &n->peers[i]))
            return &n->peers[i];
    }
    return NULL;
}

static struct peer *freshest(struct node *n, const struct client *c)
{
    struct peer *best = NULL;
    uint32_t best_ms = UINT32_MAX;

    for (size_t i = 0; i < n->peer_count; i++) {
        uint32_t age_ms = rank(n, c, &n->peers[i]);

        if (age_ms >= best_ms)
            continue;
        best = &n->peers[i];
        best_ms = age_ms;
    }
    return best;
}

struct peer *elsewhere_find(struct node *n, const struct client *c)
{
    struct peer *writer;

    if (!may_leave(c))
        return NULL;
    writer = writer_of(n, c);
    return writer != NULL ? writer : freshest(n, c);
}
