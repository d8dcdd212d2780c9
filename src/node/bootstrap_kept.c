/*
 * bootstrap_kept -- a region that has all of its objects, and of which only the log's end is lost.
 *
 * Repair says so by a note with the phase CATCHUP and no source: nothing has to be taken from others.
 * But while nobody is served, own writes that a peer holds, and that were in the lost part, can still
 * come back as if another had made them: peers in reach are heard, and what they hold is waited for.
 * Who is not in reach is met later, before the first own write (node/runs.h).
 */
#include "base/bits.h"
#include "node/bootstrap.h"
#include "node/node.h"

bool bootstrap_is_kept(const struct node *n)
{
    return n->bootstrap.phase == BOOTSTRAP_CATCHUP && n->bootstrap.note.source == 0;
}

void bootstrap_hears(struct node *n, const struct vector *last_op)
{
    for (uint32_t o = 0; bootstrap_is_kept(n) && bits_next(n->replica.own, STAMP_ORIGINS, &o);
         o++) {
        if (vector_get(last_op, (uint8_t)o) != 0)
            vector_raise(&n->bootstrap.own_told, vector_get(last_op, (uint8_t)o));
    }
}

/* Whoever told of them has dropped them from its log: they come back under a new number only. Those to our
 * other fences still come. */
void bootstrap_kept_behind(struct node *n, const struct vector *floor)
{
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        if (vector_get(floor, (uint8_t)o) != 0)
            vector_drop(&n->bootstrap.own_told, (uint8_t)o);
    }
}

/* Its HELLO may still come. */
static bool may_hear_more(const struct node *n)
{
    bool more = false;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        more |= (p->intake == NULL || !p->intake->ready) && !p->cut;
    }
    return more && n->now_us < n->bootstrap.choose_us;
}

/* More of our own writes is here than at the last look. */
static bool has_moved(struct node *n)
{
    bool moved = false;
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++)
        moved |= vector_raise(&n->bootstrap.own_seen, vector_get(&n->replica.last_op, (uint8_t)o));
    return moved;
}

/* What was told of is on its way. */
static bool is_coming(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (vector_covers(&n->replica.last_op, &b->own_told))
        return false;
    if (has_moved(n) || b->own_seen_us == 0)
        b->own_seen_us = n->now_us;
    return n->now_us - b->own_seen_us < BOOTSTRAP_LOST_US;
}

void bootstrap_kept_turn(struct node *n)
{
    bool coming = is_coming(n);
    if (coming || may_hear_more(n))
        bootstrap_ask_everybody(n);
    else
        bootstrap_enter(n, BOOTSTRAP_OWN);
}
