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

void newcomer_recovered(struct node *n)
{
    if (n->peer_count == 0 || n->options.marker != NULL || !holds_nothing(n))
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

/* Its HELLO may still come. */
static bool is_expected(const struct peer *p)
{
    bool met = (p->intake != NULL && p->intake->ready) || (p->feed != NULL && p->feed->ready);
    return !met && !p->cut && p->failures == 0;
}

static bool knows_all(const struct node *n)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (is_expected(&n->peers[i]))
            return false;
    }
    return vector_covers(&n->replica.last_op, &n->newcomer.told);
}

void newcomer_turn_end(struct node *n)
{
    bool late = n->now_us - n->start_us >= NEWCOMER_US && n->bootstrap.behind_us == 0;
    if (!n->newcomer.on || (!late && !knows_all(n) && !bootstrap_is_on(n)))
        return;
    n->newcomer.on = false;
    if (!bootstrap_is_on(n) && n->known.joining == 0)
        n->server.loading = NULL;
}
