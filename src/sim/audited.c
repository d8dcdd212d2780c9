/*
 * audited -- the audit of fences (node/audit.h), looked at as it is written: no line names a region
 * outside of its fence, nothing was sent that was not announced before, and ranges join.
 */
#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"

/* Of a run: up to where each region was sent each origin. */
struct sim_audited {
    stamp_t sent[REGION_ID_MAX + 1][STAMP_ORIGINS];
    bool begun[REGION_ID_MAX + 1][STAMP_ORIGINS];   /* once */
    bool renewed[REGION_ID_MAX + 1][STAMP_ORIGINS]; /* since the last range: any may follow */
};

void sim_audited_start(struct sim_world *w, struct sim_region *r)
{
    sim_audited_release(r);
    if (w->plan.fence != 0)
        r->audited = mem_zalloc(sizeof(*r->audited));
}

void sim_audited_release(struct sim_region *r)
{
    mem_free(r->audited);
    r->audited = NULL;
}

/* What lies in a fence may go out only as answers, and there are none for regions outside. */
static void judge_fence(struct sim_world *w, const struct sim_region *r,
                        const struct audit_line *line)
{
    const struct deployment *d = w->deployment;
    uint32_t fence = line->key.what == AUDIT_LOG       ? w->fence_of[line->key.item]
                     : line->key.what == AUDIT_OBJECTS ? line->key.item
                                                       : d->keyspaces[line->key.item].fence;
    uint8_t to = line->key.taken ? r->id : line->key.peer;
    if (fence == 0 || !fence_holds(&d->fences[fence], to))
        sim_fail(w, "the audit of region %u has something of fence %u that went to region %u",
                 r->index + 1, fence, to);
}

static void judge_range(struct sim_world *w, struct sim_region *r, const struct audit_line *line)
{
    struct sim_audited *a = r->audited;
    uint8_t to = line->key.peer, origin = (uint8_t)line->key.item;
    if (line->event == AUDIT_BEGINS) {
        a->begun[to][origin] = a->renewed[to][origin] = true;
        return;
    }
    if (!a->begun[to][origin])
        sim_fail(w, "region %u sent region %u origin %u and had not announced it", r->index + 1, to,
                 origin);
    else if (!a->renewed[to][origin] && line->from > a->sent[to][origin])
        sim_fail(w,
                 "the audit of region %u: region %u was sent origin %u up to %llx, then from %llx",
                 r->index + 1, to, origin, (unsigned long long)a->sent[to][origin],
                 (unsigned long long)line->from);
    a->renewed[to][origin] = false;
    a->sent[to][origin] = line->to;
}

static void written(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    sim_turn_begin(w, r);
    node_audit_written(&r->node, e->number);
    sim_turn_end(w, r);
}

void sim_audited_turn(struct sim_world *w, struct sim_region *r)
{
    struct audit_line line;
    uint64_t number = 0;
    while (!w->failed && node_next_audit(&r->node, &line)) {
        judge_fence(w, r, &line);
        if (line.key.what == AUDIT_LOG && !line.key.taken)
            judge_range(w, r, &line);
        number = line.number;
    }
    if (number != 0)
        sim_for_region(w, r, w->plan.sync_us, written)->number = number;
}
