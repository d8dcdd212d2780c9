/*
 * bootstrap_fence -- a source that is no member of all fences of this region.
 *
 * What such a fence holds does not come with its objects. Nothing is missing then while nobody has
 * anything of the fence: as in a new deployment that grows from one back-up. Whoever writes to the
 * fence from now on is asked for it beside the source; and the region serves only when every other
 * member was met after the last object came, for what is here may depend on what they wrote there.
 */
#include "base/bits.h"
#include "node/bootstrap.h"
#include "node/link_info.h"
#include "node/node.h"

/* Streams that we may hold, and the peer may not. */
static void streams_without(const struct node *n, const struct peer *p, uint64_t origins[4])
{
    for (int i = 0; i < 4; i++)
        origins[i] = p->foreign[i] & ~n->replica.options.foreign[i];
}

bool bootstrap_holds_all(const struct node *n, const struct peer *p)
{
    uint64_t without[4];
    streams_without(n, p, without);
    return (without[0] | without[1] | without[2] | without[3]) == 0;
}

/* Neither here, nor in the log that is to be brought back, nor dropped from it. */
static bool have_nothing(const struct node *n, const uint64_t origins[4])
{
    const struct marker *m = &n->bootstrap.marker;
    for (uint32_t o = 0; bits_next(origins, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&n->replica.last_op, (uint8_t)o) != 0 ||
            vector_get(&m->had, (uint8_t)o) != 0 || vector_get(&m->floor, (uint8_t)o) != 0)
            return false;
    }
    return true;
}

static bool told_nothing(const struct link *l, const uint64_t origins[4])
{
    for (uint32_t o = 0; bits_next(origins, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&l->told, (uint8_t)o) != 0)
            return false;
    }
    return true;
}

/* A member of a fence of ours that the source is no member of. */
static bool is_concerned(const struct peer *member, const uint64_t without[4])
{
    for (uint32_t o = 0; bits_next(member->origins, STAMP_ORIGINS, &o); o++) {
        if (bits_have(without, (uint8_t)o))
            return true;
    }
    return false;
}

bool bootstrap_stands_in(const struct node *n, const struct peer *source, bool all_reached)
{
    uint64_t without[4];
    streams_without(n, source, without);
    if (!have_nothing(n, without))
        return false;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        const struct link *l = node_ready_intake(p);
        if (!is_concerned(p, without))
            continue;
        if (l != NULL ? p->differs[0] != '\0' || !told_nothing(l, without) : all_reached)
            return false;
    }
    return true;
}

void bootstrap_ask_members(struct node *n)
{
    const struct peer *source = bootstrap_source(n);
    uint64_t without[4];
    streams_without(n, source, without);
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        struct link *l = node_ready_intake(p);
        if (p == source || l == NULL || !is_concerned(p, without))
            continue;
        for (int k = 0; k < 4; k++) {
            uint64_t want = without[k] & ~p->barred[k];
            l->resubscribe |= l->origins[k] != want;
            l->origins[k] = want;
        }
    }
}

/* What it told of is here, but for what it and we do not agree on. */
static bool is_met(const struct node *n, const struct peer *p, const uint64_t without[4])
{
    const struct link *l = node_ready_intake(p);
    for (uint32_t o = 0; l != NULL && bits_next(without, STAMP_ORIGINS, &o); o++) {
        if (!bits_have(p->barred, (uint8_t)o) &&
            vector_get(&l->told, (uint8_t)o) > vector_get(&n->replica.last_op, (uint8_t)o))
            return false;
    }
    return l != NULL;
}

bool bootstrap_members_met(struct node *n)
{
    const struct peer *source = bootstrap_source(n);
    uint64_t without[4];
    if (source == NULL)
        return true;
    streams_without(n, source, without);
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        if (is_concerned(p, without) && !is_met(n, p, without))
            return false;
    }
    return true;
}
