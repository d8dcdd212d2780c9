#include "node/seen.h"

#include "base/mutation.h"
#include "node/closed.h"
#include "node/node.h"

enum standing { ENTRY_HERE, ENTRY_LOST, ENTRY_GIVEN_UP, ENTRY_FOREIGN, ENTRY_MISSING };

/* Whether what our own log has is all that we ever sent. */
static bool knows_itself(const struct node *n)
{
    return !n->known.amnesiac && !n->replica.tail_unknown && !n->replica.takes_own;
}

static enum standing judge_own(const struct node *n, stamp_t op, uint64_t instance)
{
    const struct replica *r = &n->replica;

    if (op <= vector_get(&r->last_op, stamp_origin(op)))
        return replica_has_lost(r, op, instance) ? ENTRY_LOST : ENTRY_HERE;
    return instance < n->options.instance && knows_itself(n) ? ENTRY_LOST : ENTRY_MISSING;
}

static enum standing judge(struct node *n, stamp_t op, uint64_t instance)
{
    const struct replica *r = &n->replica;
    uint8_t origin = stamp_origin(op);

    if (!replica_may_hold(r, origin))
        return ENTRY_FOREIGN;
    if (replica_owns(r, origin))
        return judge_own(n, op, instance);
    if (op <= vector_get(&r->applied, origin))
        return replica_has_lost(r, op, instance) ? ENTRY_LOST : ENTRY_HERE;
    return closed_is_all_here(n, origin) ? ENTRY_GIVEN_UP : ENTRY_MISSING;
}

uint8_t seen_missing(struct node *n, const struct token *t)
{
    if (t == NULL || MUTATION(ignores_token))
        return 0;
    for (uint32_t o = 1; o < t->seen.high; o++) {
        if (t->seen.at[o] != 0 && judge(n, t->seen.at[o], t->instance[o]) == ENTRY_MISSING)
            return (uint8_t)o;
    }
    return 0;
}

const char *seen_warning(struct node *n, const struct token *t)
{
    const char *warning = NULL;

    for (uint32_t o = 1; t != NULL && o < t->seen.high; o++) {
        enum standing e = t->seen.at[o] != 0 ? judge(n, t->seen.at[o], t->instance[o]) : ENTRY_HERE;

        if (e == ENTRY_LOST)
            return "LOST";
        if (e == ENTRY_GIVEN_UP)
            warning = "CLOSED";
    }
    return warning;
}

void seen_take_time(struct node *n, const struct token *t, bool *timed)
{
    const struct replica *r = &n->replica;
    uint64_t most_ms = r->now_ms + r->options.max_skew_ms;

    if (t == NULL || *timed)
        return;
    hlc_see(&n->replica.hlc, stamp_make(t->time_ms < most_ms ? t->time_ms : most_ms, 0, 0));
    *timed = true;
}
