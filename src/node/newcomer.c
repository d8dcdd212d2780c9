#include "node/newcomer.h"

#include "node/node.h"

static bool holds_nothing(const struct node *n)
{
    for (uint32_t o = 0; o < n->replica.last_op.high; o++) {
        if (n->replica.last_op.at[o] != 0)
            return false;
    }
    return true;
}

/* Since an earlier run: what peers had dropped then is not known any more. */
static bool is_due(const struct node *n)
{
    return (n->known.joining & IDENTITY_JOINS_ALL) != 0 &&
           n->known.joined_instance != n->options.instance;
}

void newcomer_recovered(struct node *n)
{
    if (n->peer_count == 0 || n->options.marker != NULL || (!holds_nothing(n) && !is_due(n)))
        return;
    n->newcomer.on = true;
    n->server.loading = "LOADING this region holds nothing yet: it asks the other regions for what "
                        "they hold";
}

void newcomer_hears(struct node *n, const struct vector *last_op)
{
    for (uint32_t o = 0; n->newcomer.on && o < last_op->high; o++) {
        if (last_op->at[o] != 0 && replica_may_hold(&n->replica, (uint8_t)o))
            vector_raise(&n->newcomer.told, last_op->at[o]);
    }
}

void newcomer_lacks(struct node *n, const struct vector *floor)
{
    for (uint32_t o = 0; n->newcomer.on && o < floor->high; o++) {
        if (floor->at[o] != 0 && replica_may_hold(&n->replica, (uint8_t)o))
            vector_raise(&n->newcomer.dropped, floor->at[o]);
    }
}

/* Its HELLO may still come; where something is missing, and not known what, nobody is done without. */
static bool is_expected(const struct node *n, const struct peer *p)
{
    bool met = (p->intake != NULL && p->intake->ready) || (p->feed != NULL && p->feed->ready);
    return !met && (is_due(n) || (!p->cut && p->failures == 0));
}

static bool knows_all(const struct node *n)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (is_expected(n, &n->peers[i]))
            return false;
    }
    return vector_covers(&n->replica.last_op, &n->newcomer.told);
}

/* Over restarts: what it has by then is not all either. */
static void remember(struct node *n, bool due)
{
    uint32_t was = n->known.joining;
    if (due) {
        n->known.joining |= IDENTITY_JOINS_ALL;
        n->known.joined_instance = n->options.instance;
    } else {
        n->known.joining &= ~(uint32_t)IDENTITY_JOINS_ALL;
    }
    n->known_changed |= n->known.joining != was;
}

/* Nobody can fill it yet. */
static void wait_on(struct node *n)
{
    if (n->bootstrap.waits == NULL)
        return;
    if (!is_due(n))
        remember(n, true);
    bootstrap_await_fence(n);
}

void newcomer_turn_end(struct node *n)
{
    struct newcomer *c = &n->newcomer;
    if (!c->on)
        return;
    bool late = n->now_us - n->start_us >= NEWCOMER_US && n->bootstrap.behind_us == 0 &&
                !is_due(n) && vector_covers(&n->replica.last_op, &c->dropped);
    if (!late && !knows_all(n) && !bootstrap_is_on(n)) {
        wait_on(n);
        return;
    }
    c->on = false;
    if (bootstrap_is_on(n))
        return; /* which ends it */
    remember(n, false);
    if (n->known.joining == 0)
        n->server.loading = NULL;
}
