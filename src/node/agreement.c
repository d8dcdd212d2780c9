#include "node/agreement.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "node/hello.h"
#include "node/node.h"
#include "policy/residency.h"

void agreement_init(struct node *n)
{
    const struct deployment *d = n->options.deployment;
    struct agreement *a = &n->agreement;
    struct residency *r = mem_alloc(sizeof(*r));
    CHECK(residency_of(d, r)); /* host/config.c sees to it */
    a->fence_count = r->fence_count;
    for (uint32_t place = 1; place <= r->fence_count; place++) {
        a->fences[place - 1] = (struct message_fence){
            .name = span_str(d->fences[place].name),
            .members = r->fences[place].members,
            .digest = residency_digest(r, d, place),
        };
    }
    mem_free(r);
}

void agreement_put(const struct node *n, struct message_hello *hello)
{
    hello->fence_count = n->agreement.fence_count;
    memcpy(hello->fences, n->agreement.fences, sizeof(hello->fences));
}

/* --- what differs --- */

static bool is_same(const struct message_fence *a, const struct message_fence *b)
{
    return span_equal(a->name, b->name) && a->members == b->members && a->digest == b->digest;
}

static void describe(const struct peer *p, uint32_t place, const struct message_fence *ours,
                     const struct message_fence *theirs, char *text, size_t room)
{
    const char *peer = p->region->name;
    struct shown here = hello_shown(ours != NULL ? ours->name : span_str(""));
    struct shown there = hello_shown(theirs != NULL ? theirs->name : span_str(""));
    if (theirs == NULL)
        snprintf(text, room, "the configuration of %.63s has no fence %s", peer, here.text);
    else if (ours == NULL)
        snprintf(text, room, "only the configuration of %.63s has fence %s", peer, there.text);
    else if (!span_equal(ours->name, theirs->name))
        snprintf(text, room, "fence %u is %s here, and %s at %.63s", place, here.text, there.text,
                 peer);
    else if (ours->members != theirs->members)
        snprintf(text, room, "fence %s has other members at %.63s", here.text, peer);
    else
        snprintf(text, room, "fence %s has other prefixes, or names of members, at %.63s",
                 here.text, peer);
}

/* --- what follows --- */

/* Every number that may be a stream's of that place, but those that are regions'. */
static void add_streams(const struct node *n, uint32_t place, uint64_t origins[4])
{
    const struct deployment *d = n->options.deployment;
    for (uint32_t id = 1; id <= FENCED_REGION_MAX; id++) {
        uint8_t origin = (uint8_t)(id + place * FENCE_PLACES);
        bool is_closed = deployment_closes(d, origin) && !deployment_closes(d, (uint8_t)id);
        if (deployment_region_with_id(d, origin) == NULL && !is_closed)
            bits_add(origins, origin);
    }
}

/* They were taken for streams of a region that is gone, before anybody told of the fence. */
static void keep_out(struct node *n, uint32_t place)
{
    uint64_t theirs[4] = { 0 };
    add_streams(n, place, theirs);
    for (int i = 0; i < 4; i++) {
        n->replica.options.foreign[i] |= theirs[i];
        n->closed[i] &= ~theirs[i];
    }
}

static void set_apart(struct node *n)
{
    const struct deployment *d = n->options.deployment;
    memset(n->replica.apart, 0, sizeof(n->replica.apart));
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        for (uint32_t place = 1; place < d->fence_count; place++) {
            uint8_t origin = origin_of(d, p->region->id, place);
            if (origin != 0 && p->apart >> place & 1)
                bits_add(n->replica.apart, origin);
        }
    }
}

static void tell(struct node *n, struct peer *p, const char *differs)
{
    if (strcmp(p->differs, differs) == 0)
        return;
    if (differs[0] != '\0')
        node_notice(n, NOTICE_WARNING,
                    "ev=fence.differs peer=%s why=\"%s\" what=\"nothing of that fence goes between "
                    "the two until both have the same configuration\"",
                    p->region->name, differs);
    else
        node_notice(n, NOTICE_INFO, "ev=fence.agreed peer=%s", p->region->name);
    snprintf(p->differs, sizeof(p->differs), "%s", differs);
}

void agreement_judge(struct node *n, struct peer *p, const struct message_hello *hello)
{
    const struct agreement *a = &n->agreement;
    char differs[sizeof(p->differs)] = "";
    memcpy(p->barred, p->foreign, sizeof(p->barred));
    p->apart = 0;
    for (uint32_t i = 0; i < MESSAGE_FENCES_MAX; i++) {
        const struct message_fence *ours = i < a->fence_count ? &a->fences[i] : NULL;
        const struct message_fence *theirs = i < hello->fence_count ? &hello->fences[i] : NULL;
        if ((ours == NULL && theirs == NULL) ||
            (ours != NULL && theirs != NULL && is_same(ours, theirs)))
            continue;
        add_streams(n, i + 1, p->barred);
        if (ours == NULL)
            keep_out(n, i + 1);
        else
            p->apart |= 1u << (i + 1);
        if (differs[0] == '\0')
            describe(p, i + 1, ours, theirs, differs, sizeof(differs));
    }
    set_apart(n);
    tell(n, p, differs);
}
