#include "node/runs.h"

#include "base/mutation.h"
#include "node/node.h"

void runs_init(struct node *n)
{
    const struct marker *marker = n->options.marker;
    n->replica.tail_unknown = marker != NULL && marker->tail_of == n->options.self->id &&
                              !MUTATION(trusts_repaired_tail);
    if (n->options.known != NULL)
        n->known = *n->options.known;
    if (!n->known.amnesiac)
        return;
    n->known.amnesiac = false; /* told once more in this run */
    runs_lose(n, "unknown",
              "an earlier run found that others hold log of this region that it lost");
    n->known_changed = false;
}

void runs_meet(struct node *n, uint8_t region, uint64_t instance, uint64_t run)
{
    struct identity_run *latest = &n->known.latest[region];
    bool later = instance > latest->instance;
    bool named = instance == latest->instance && latest->run == 0 && run != 0;
    if (instance == 0 || (!later && !named))
        return;
    *latest = (struct identity_run){ instance, run };
    n->known_changed = true;
}

struct identity_run runs_latest(const struct node *n, uint8_t region)
{
    uint64_t streamed = n->replica.streams[region].instance;
    if (streamed > n->known.latest[region].instance)
        return (struct identity_run){ streamed, 0 };
    return n->known.latest[region];
}

bool runs_is_clone(const struct node *n, uint8_t region, uint64_t instance, uint64_t run)
{
    struct identity_run latest = runs_latest(n, region);
    return instance == latest.instance && latest.run != 0 && run != latest.run;
}

void runs_lose(struct node *n, const char *peer, const char *what)
{
    if (n->known.amnesiac)
        return;
    n->known.amnesiac = true;
    n->replica.amnesiac = !MUTATION(writes_on);
    n->known_changed = true;
    node_notice(
        n, NOTICE_ERROR,
        "ev=amnesia peer=%s what=\"%s: own writes are refused, reads go on; give this region a "
        "new id and list %u under closed, in the configuration of every region, and restart\"",
        peer, what, n->options.self->id);
}

void runs_compared(struct node *n, struct peer *peer)
{
    peer->compared = true;
    if (!n->replica.tail_unknown)
        return;
    for (size_t i = 0; i < n->peer_count; i++) {
        if (!n->peers[i].compared)
            return;
    }
    n->replica.tail_unknown = false;
    node_notice(n, NOTICE_INFO,
                "ev=tail.known what=\"every other region was met: it is known whether they hold "
                "writes of this region that its damaged log had lost\"");
}

const struct identity_known *node_want_known(struct node *n)
{
    if (!n->known_changed)
        return NULL;
    n->known_changed = false;
    return &n->known;
}
