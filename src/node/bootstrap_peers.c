/*
 * bootstrap_peers -- whose log or objects this region may go on with.
 *
 * Log that one peer has dropped may still be with another: it is asked for there first. Only what
 * no peer in reach has makes a bootstrap.
 */
#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "node/bootstrap.h"
#include "node/link_info.h"
#include "node/node.h"
#include "policy/residency.h"

/* --- who is behind --- */

static bool any(const uint64_t origins[4])
{
    return (origins[0] | origins[1] | origins[2] | origins[3]) != 0;
}

void bootstrap_behind(struct node *n, struct link *l, struct span body)
{
    struct message_behind m;
    if (!message_take_behind(body, &m)) {
        link_refuse(n, l, "a malformed BEHIND");
        return;
    }
    bool any_left = false;
    for (uint32_t o = 0; o < m.floor.high; o++) {
        if (m.floor.at[o] == 0)
            continue;
        any_left = true;
        if (!bits_have(l->origins, (uint8_t)o))
            continue;
        vector_raise(&l->floor, m.floor.at[o]);
        bits_add(l->behind, (uint8_t)o);
        bits_add(l->paused, (uint8_t)o); /* it is tried again with the others */
    }
    newcomer_lacks(n, &m.floor);
    if (bootstrap_is_kept(n))
        bootstrap_kept_behind(n, &m.floor);
    else if (n->bootstrap.phase == BOOTSTRAP_CATCHUP && any_left)
        bootstrap_anew(n, l->peer == bootstrap_source(n)
                              ? "the source has dropped log that is still needed"
                              : "a member of a fence has dropped log that is still needed");
}

static bool holds_more(struct node *n, const struct peer *p, uint8_t origin)
{
    const struct peers_row *row = peers_row(&n->matrix, p->region->id);
    return row != NULL &&
           vector_get(&row->applied, origin) > vector_get(&n->replica.applied, origin);
}

/* Whether a peer may still have the log that another has not; then it is asked. */
static bool comes_elsewhere(struct node *n, uint8_t origin)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        struct link *l = node_ready_intake(p);
        if (l == NULL || bits_have(l->behind, origin))
            continue;
        /* Asked already; but one that relays, and is as far behind as we are, waits as we do. */
        if (bits_have(l->origins, origin) &&
            (bits_have(p->origins, origin) || holds_more(n, p, origin)))
            return true;
        if (bits_have(l->origins, origin) || !holds_more(n, p, origin) ||
            n->replica.streams[origin].forked || bits_have(p->barred, origin))
            continue;
        topology_relay(n, origin, p, "others have dropped that log");
        return true;
    }
    return false;
}

/* Another peer's log has brought us to where the log of this one begins. */
static void forget_met(const struct node *n, struct link *l)
{
    for (uint32_t o = 0; bits_next(l->behind, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&l->floor, (uint8_t)o) <= vector_get(&n->replica.last_op, (uint8_t)o))
            bits_remove(l->behind, (uint8_t)o);
    }
}

static bool is_lacking(struct node *n, const struct link *l)
{
    bool lacking = false;
    for (uint32_t o = 0; bits_next(l->behind, STAMP_ORIGINS, &o); o++)
        lacking |= !comes_elsewhere(n, (uint8_t)o);
    return lacking;
}

/* --- the decision --- */

static bool joins_fence(const struct node *n)
{
    return (n->known.joining & ~(uint32_t)IDENTITY_JOINS_ALL) != 0;
}

static void begin(struct node *n, const struct peer *p, const struct vector *floor)
{
    struct marker marker = { .began_us = n->now_us };
    vector_copy(&marker.floor, floor);
    vector_copy(&marker.had, &n->replica.last_op);
    node_notice(n, NOTICE_WARNING, "ev=bootstrap.begin peer=%s why=\"%s\"", p->region->name,
                joins_fence(n)
                    ? "this region has become a member of a fence, and lacks what that holds"
                    : "the log that this region lacks is kept nowhere any more");
    bootstrap_leave(n, &marker);
}

/* It may hold all that we may, or misses nothing by what it may not (`stands_in`), and means the same by
 * it: else something would be missing that nobody told us of, or here that may not be. */
static bool fits_our_fences(const struct node *n, const struct peer *p, bool stands_in)
{
    if (p->differs[0] != '\0')
        return false;
    return bootstrap_holds_all(n, p) || (stands_in && bootstrap_stands_in(n, p, true));
}

/* The peer must have what we have dropped; asked, it sees to it that its checkpoint has too. */
static bool may_give(struct node *n, const struct peer *p, const struct vector *floor)
{
    const struct peers_row *row = peers_row(&n->matrix, p->region->id);
    return node_ready_intake(p) != NULL && row != NULL && vector_covers(&row->durable, floor) &&
           fits_our_fences(n, p, true);
}

/* What the link's peer has dropped, and we lack: the source must have it. A peer that is as far behind as
 * we are would leave us where we are, again and again. */
static void want_more(struct node *n, const struct link *l, struct vector *floor)
{
    for (uint32_t o = 0; bits_next(l->behind, STAMP_ORIGINS, &o); o++) {
        stamp_t dropped = vector_get(&l->floor, (uint8_t)o);
        if (dropped > vector_get(&n->replica.last_op, (uint8_t)o) &&
            !comes_elsewhere(n, (uint8_t)o))
            vector_raise(floor, dropped);
    }
}

/* Why nobody can be asked for objects. */
static const char *obstacle(const struct node *n)
{
    if (residency_source(n->options.deployment, n->options.self) == NULL)
        return "no other region is a member of all fences of this one; one that is not may fill it "
               "while all members of these are in reach, and nothing was ever written there";
    for (size_t i = 0; i < n->peer_count; i++) {
        if (node_ready_intake(&n->peers[i]) != NULL && n->peers[i].differs[0] != '\0')
            return "a region in reach has another configuration of fences";
    }
    return "no region in reach that is a member of all fences of this one holds all that it has "
           "dropped from its log";
}

static void wait_for_source(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    const char *why = obstacle(n);
    if (b->waits == why && n->now_us - b->waits_us < BOOTSTRAP_TELL_US)
        return;
    b->waits = why;
    b->waits_us = n->now_us;
    node_notice(n, NOTICE_WARNING, "ev=bootstrap.waits why=\"%s\"", why);
    if (b->phase == BOOTSTRAP_NONE)
        bootstrap_await_fence(n);
}

static void decide(struct node *n, const struct link *l)
{
    struct vector floor;
    tail_floor(&n->tail, &floor);
    if (l != NULL)
        want_more(n, l, &floor);
    for (size_t i = 0; i < n->peer_count; i++) {
        if (may_give(n, &n->peers[i], &floor)) {
            n->bootstrap.waits = NULL;
            begin(n, &n->peers[i], &floor);
            return;
        }
    }
    wait_for_source(n);
}

void bootstrap_consider(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    const struct link *lacking = NULL;
    for (size_t i = 0; i < n->peer_count; i++) {
        struct link *l = node_ready_intake(&n->peers[i]);
        if (l != NULL)
            forget_met(n, l);
        if (l != NULL && any(l->behind) && is_lacking(n, l) && lacking == NULL)
            lacking = l;
    }
    if ((lacking == NULL && !joins_fence(n)) || n->replica.amnesiac || b->store == NULL) {
        b->behind_us = 0;
        b->waits = NULL;
        return;
    }
    if (b->behind_us == 0)
        b->behind_us = n->now_us;
    if (n->now_us - b->behind_us >= BOOTSTRAP_PATIENCE_US)
        decide(n, lacking);
}

/* --- the source --- */

struct peer *bootstrap_source(struct node *n)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (n->peers[i].region->id == n->bootstrap.note.source)
            return &n->peers[i];
    }
    return NULL;
}

struct link *bootstrap_source_link(struct node *n)
{
    const struct peer *p = bootstrap_source(n);
    return p != NULL ? node_ready_intake(p) : NULL;
}

static uint64_t distance_us(const struct node *n, const struct peer *p)
{
    int64_t offset_us;
    uint64_t rtt_us;
    return link_info_rtt_us(n, p, &offset_us, &rtt_us) ? rtt_us : UINT64_MAX - 1;
}

static bool may_be_asked(const struct node *n, const struct peer *p, bool stands_in)
{
    return node_ready_intake(p) != NULL && n->now_us >= p->declined_until_us &&
           fits_our_fences(n, p, stands_in);
}

/* Two that are filled at once do not reach each other, and one of them may be all that is missing. When
 * nobody else comes for a while, who is not reached is met later: whoever has written to the fence has
 * log of it, or is a source, and nothing is served before that is known. */
static bool is_last_resort(const struct node *n, const struct peer *p)
{
    return n->now_us >= n->bootstrap.choose_us + BOOTSTRAP_DECLINED_US &&
           node_ready_intake(p) != NULL && n->now_us >= p->declined_until_us &&
           p->differs[0] == '\0' && bootstrap_stands_in(n, p, false);
}

static bool all_are_here(const struct node *n)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (!may_be_asked(n, &n->peers[i], false) || distance_us(n, &n->peers[i]) == UINT64_MAX - 1)
            return false;
    }
    return true;
}

static const struct peer *nearest_of(const struct node *n, bool stands_in)
{
    const struct peer *nearest = NULL;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        if ((may_be_asked(n, p, stands_in) || (stands_in && is_last_resort(n, p))) &&
            (nearest == NULL || distance_us(n, p) < distance_us(n, nearest)))
            nearest = p;
    }
    return nearest;
}

/* The nearest that may have all. */
void bootstrap_choose(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (n->now_us < b->choose_us && !all_are_here(n))
        return;
    const struct peer *nearest = nearest_of(n, false);
    if (nearest == NULL)
        nearest = nearest_of(n, true);
    b->waits = nearest != NULL ? NULL : b->waits;
    if (nearest == NULL)
        wait_for_source(n);
    else
        b->note.source = nearest->region->id;
}

static bool reaches_another(const struct node *n, const struct peer *source)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (&n->peers[i] != source && may_be_asked(n, &n->peers[i], true))
            return true;
    }
    return false;
}

bool bootstrap_reaches_source(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (bootstrap_source_link(n) != NULL) {
        b->lost_us = 0;
        return true;
    }
    if (b->lost_us == 0)
        b->lost_us = n->now_us;
    if (n->now_us - b->lost_us >= BOOTSTRAP_LOST_US && reaches_another(n, bootstrap_source(n)))
        bootstrap_anew(n, "the source is not reached");
    return false;
}
