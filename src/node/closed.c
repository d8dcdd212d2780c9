#include "node/closed.h"

#include "base/bits.h"
#include "node/node.h"
#include "policy/origin.h"

/* With a number that a region gave up its streams of every fence are closed. */
void closed_init(struct node *n)
{
    for (uint32_t o = 1; o < STAMP_ORIGINS; o++) {
        if (deployment_closes(n->options.deployment,
                              origin_region(n->options.deployment, (uint8_t)o)))
            bits_add(n->closed, (uint8_t)o);
    }
}

bool closed_is(const struct node *n, uint8_t origin)
{
    return bits_have(n->closed, origin);
}

/* A region's streams of fences come with its own number: it is told once. */
static bool is_told(const struct node *n, uint8_t region)
{
    for (uint32_t o = 0; bits_next(n->closed, STAMP_ORIGINS, &o); o++) {
        if (origin_region(n->options.deployment, (uint8_t)o) == region)
            return true;
    }
    return false;
}

void closed_note(struct node *n, const struct vector *v)
{
    for (uint32_t o = 0; o < v->high; o++) {
        uint8_t origin = (uint8_t)o;
        if (v->at[o] == 0 || node_writer_of(n, origin) != NULL || closed_is(n, origin) ||
            !replica_may_hold(&n->replica, origin))
            continue;
        uint8_t region = origin_region(n->options.deployment, origin);
        bool told = is_told(n, region);
        bits_add(n->closed, origin);
        if (told)
            continue;
        node_notice(
            n, NOTICE_WARNING,
            "ev=origin.unknown number=%u what=\"there are writes of it, and no region of the "
            "configuration has that number: they are fetched as those of a region that is "
            "gone; list it under closed, or, if it is a new region's, give this region the "
            "new configuration\"",
            region);
    }
}

static bool holds_more(struct node *n, const struct peer *peer, uint8_t origin)
{
    const struct peers_row *row = peers_row(&n->matrix, peer->region->id);
    return row != NULL &&
           vector_get(&row->applied, origin) > vector_get(&n->replica.applied, origin);
}

bool closed_comes(struct node *n, const struct link *l, uint8_t origin)
{
    return holds_more(n, l->peer, origin);
}

bool closed_is_all_here(struct node *n, uint8_t origin)
{
    const struct deployment *d = n->options.deployment;

    for (size_t i = 0; i < n->peer_count; i++) {
        if (holds_more(n, &n->peers[i], origin))
            return false;
    }
    return deployment_closes(d, origin_region(d, origin));
}

/* What a peer holds is known from its HELLO on. */
static bool is_met(const struct peer *peer)
{
    return (peer->intake != NULL && peer->intake->ready) ||
           (peer->feed != NULL && peer->feed->ready);
}

bool closed_settled(struct node *n)
{
    if (!(n->closed[0] | n->closed[1] | n->closed[2] | n->closed[3]))
        return true;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *peer = &n->peers[i];
        if (!is_met(peer))
            return false;
        for (uint32_t o = 0; bits_next(n->closed, STAMP_ORIGINS, &o); o++) {
            if (holds_more(n, peer, (uint8_t)o))
                return false;
        }
    }
    return true;
}

/* The first peer that holds more of it; NULL: nobody in reach. */
static const struct peer *holder(struct node *n, uint8_t origin)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        if (p->intake != NULL && p->intake->ready && !bits_have(p->intake->behind, origin) &&
            !bits_have(p->barred, origin) && holds_more(n, p, origin))
            return p;
    }
    return NULL;
}

void closed_ask(struct node *n)
{
    for (uint32_t o = 0; bits_next(n->closed, STAMP_ORIGINS, &o); o++) {
        uint8_t origin = (uint8_t)o;
        if (topology_is_relayed(n, origin) || n->replica.streams[o].forked ||
            !replica_may_hold(&n->replica, origin))
            continue;
        const struct peer *p = holder(n, origin);
        if (p != NULL)
            topology_relay(n, origin, p, "nobody owns it, and there is more of it there");
    }
}
