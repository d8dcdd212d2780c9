/*
 * lag -- no write to a keyspace with max_lag is taken while a region lacks one of its writes for longer than
 * that: it is refused, or (then: slow) has waited.
 *
 * How long somebody lacks what is measured by the world's own time, and by what that region really has.
 */
#include "base/memory.h"
#include "sim/world.h"

enum {
    SLACK_US = 50 * 1000,         /* a turn, a rounding, a clock that is slewed */
    PACE_MOST_US = 1000000,       /* what a slowed write waits at most */
    SETTLED_US = 4 * 1000 * 1000, /* after a restart the others have heard what it has by now */
};

static void note(struct sim_world *w, uint32_t region, stamp_t stamp)
{
    struct calls *c = &w->calls;
    if ((c->lag_count & (c->lag_count - 1)) == 0)
        c->lag = mem_realloc(c->lag, (c->lag_count ? 2 * c->lag_count : 1) * sizeof(c->lag[0]));
    c->lag[c->lag_count++] = (struct lag_write){ region, stamp, w->now_us };
}

/* Since when somebody lacks what the region wrote; clocks may be apart, and hlc stamps with them. */
static uint64_t lacked_us(const struct sim_world *w, const struct sim_region *of,
                          const struct sim_region *by)
{
    uint64_t skew_us = 2 * (uint64_t)w->plan.clock_range_us;
    for (size_t i = 0; i < w->calls.lag_count; i++) {
        const struct lag_write *l = &w->calls.lag[i];
        if (l->region != of->index ||
            vector_get(&by->node.replica.applied, stamp_origin(l->stamp)) >= l->stamp)
            continue;
        uint64_t for_us = w->now_us - w->slept_us - l->written_us;
        return for_us > skew_us ? for_us - skew_us : 0;
    }
    return 0;
}

static bool is_known(const struct sim_world *w, const struct sim_region *r)
{
    return r->up && !r->store.marked && w->now_us - r->watch.start_us > SETTLED_US;
}

/* What a write waits for somebody who is so far behind: node/promise.h. */
static uint64_t pace_us(const struct sim_world *w, uint64_t lag_us)
{
    uint64_t max_us = (uint64_t)w->plan.calls.max_lag_ms * 1000, half = max_us / 2;
    double over = lag_us > half ? (double)(lag_us - half) / (double)(max_us - half) : 0;
    over = over > 1 ? 1 : over;
    return (uint64_t)(over * over * PACE_MOST_US);
}

static void judge(struct sim_world *w, const struct sim_region *r, const struct call *call)
{
    uint64_t max_us = (uint64_t)w->plan.calls.max_lag_ms * 1000;
    uint64_t waited_us = w->now_us - call->sent_us;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct sim_region *other = &w->regions[i];
        uint64_t lag_us = other != r && is_known(w, other) ? lacked_us(w, r, other) : 0;
        if (w->plan.calls.refuses && lag_us > max_us + SLACK_US)
            sim_fail(
                w,
                "region %u takes a write where max_lag is %llu ms, and region %u lacks one for "
                "%llu ms",
                r->index + 1, (unsigned long long)max_us / 1000, i + 1,
                (unsigned long long)lag_us / 1000);
        if (lag_us > SLACK_US && waited_us + SLACK_US < pace_us(w, lag_us - SLACK_US))
            sim_fail(
                w,
                "region %u takes a write after %llu ms where max_lag is %llu ms, and region %u "
                "lacks one for %llu ms",
                r->index + 1, (unsigned long long)waited_us / 1000,
                (unsigned long long)max_us / 1000, i + 1, (unsigned long long)lag_us / 1000);
    }
}

/* A write is known by the stamp of its session's last one. */
void sim_lag_turn(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        struct sim_caller *c = &w->callers[i];
        struct call *call = &c->call;
        if (!c->session || c->region != r->index || !c->asking || call->kind != CALL_LAG ||
            call->wrote || c->session->last_write == call->last_write)
            continue;
        call->wrote = true;
        if (w->plan.calls.max_lag_ms != 0 && w->plan.clock_wild_us == 0)
            judge(w, r, call);
        note(w, r->index, c->session->last_write);
    }
}
