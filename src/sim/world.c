/*
 * world -- time, faults, and the two phases of a run.
 */
#include "sim/world.h"

#include <stdarg.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    VERIFY_EVERY_US = 30000,
    QUICK_RESTART_US = 5000,
    SETTLE_MAX_US = 60 * 1000 *
                    1000, /* backoffs, timeouts of links, and the longest delays many times over */
    RECLAIM_MAX_US = 10 * 1000 * 1000,
    CHAOS_MAX_US = 60 * 1000 *
                   1000, /* clients that wait for a region that is gone may never send all */
};

/* --- what is told --- */

void sim_fail(struct sim_world *w, const char *format, ...)
{
    va_list args;
    if (w->failed)
        return;
    w->failed = true;
    w->kind = format;
    va_start(args, format);
    vsnprintf(w->reason, sizeof(w->reason), format, args);
    va_end(args);
    sim_tell(w, NULL, "FAILED", "%s", w->reason);
}

uint64_t sim_around(struct prng *p, uint64_t typical_us, uint32_t tail)
{
    if (prng_chance(p, tail))
        return typical_us * (1 + prng_below(p, 20));
    return typical_us / 2 + prng_below(p, typical_us + 1);
}

/* --- events --- */

/* Ordered by time, then by when they were made: the heap's key holds both. */
static uint64_t key_of(struct sim_world *w, uint64_t when_us)
{
    return (when_us - SIM_START_US) << 24 | (w->tie++ & 0xffffff);
}

struct sim_event *sim_at(struct sim_world *w, uint64_t when_us,
                         void (*run)(struct sim_world *, struct sim_event *))
{
    struct sim_event *e = mem_zalloc(sizeof(*e));
    e->run = run;
    heap_put(&w->events, &e->node, key_of(w, when_us < w->now_us ? w->now_us : when_us));
    return e;
}

struct sim_event *sim_for_region(struct sim_world *w, struct sim_region *r, uint64_t delay_us,
                                 void (*run)(struct sim_world *, struct sim_event *))
{
    struct sim_event *e = sim_at(w, w->now_us + delay_us, run);
    e->region = r->index;
    e->epoch = r->epoch;
    return e;
}

static void free_event(struct sim_event *e)
{
    if (e->owned)
        mem_free(e->what);
    mem_free(e);
}

/* Takes the earliest event and runs it, unless its region has gone since. False when there is
 * none. */
static bool step(struct sim_world *w)
{
    struct heap_node *top = heap_top(&w->events);
    if (!top) {
        sim_fail(w, "nothing will ever happen again");
        return false;
    }
    struct sim_event *e = container_of(top, struct sim_event, node);
    heap_remove(&w->events, top);
    w->now_us = SIM_START_US + (e->node.key >> 24);
    w->event_count++;
    bool dead = e->epoch != 0 &&
                (!w->regions[e->region].up || w->regions[e->region].epoch != e->epoch);
    if (!dead) {
        e->run(w, e);
        e->owned = false; /* it is the handler's now */
    }
    free_event(e);
    return !w->failed;
}

/* --- faults --- */

static void start_region(struct sim_world *w, struct sim_event *e)
{
    if (!w->regions[e->region].up)
        sim_region_start(w, &w->regions[e->region]);
}

static const char *fault_name(uint32_t number)
{
    static char name[24];
    snprintf(name, sizeof(name), "fault %u", number);
    return name;
}

static void end_cut(struct sim_world *w, struct sim_event *e)
{
    uint32_t a = (uint32_t)(e->number >> 8 & 0xff), b = (uint32_t)(e->number & 0xff);
    uint32_t number = (uint32_t)(e->number >> 16);
    sim_tell(w, NULL, fault_name(number), "ends, r%u and r%u", a + 1, b + 1);
    sim_net_heal(w, a, b, number);
    sim_net_heal(w, b, a, number);
}

/* Between two regions, or all that one has; both ways, or (a stall) one way. */
static void cut(struct sim_world *w, uint32_t a, uint32_t b, bool stall, bool both_ways,
                uint64_t for_us)
{
    uint32_t number = w->fault_count;
    sim_tell(w, NULL, fault_name(number), "%s r%u %s r%u for %.3f ms", stall ? "stalls" : "cuts",
             a + 1, both_ways ? "and" : "to", b + 1, (double)for_us / 1000);
    sim_net_cut(w, a, b, stall, number);
    if (both_ways)
        sim_net_cut(w, b, a, stall, number);
    sim_at(w, w->now_us + for_us, end_cut)->number = (uint64_t)number << 16 | a << 8 | b;
}

static void cause_cut(struct sim_world *w, struct prng *p, bool stall, uint64_t for_us)
{
    uint32_t a = (uint32_t)prng_below(p, w->plan.regions);
    uint32_t b = (a + 1 + (uint32_t)prng_below(p, w->plan.regions - 1)) % w->plan.regions;
    bool alone = prng_chance(p, 300000), both_ways = !stall || prng_chance(p, 500000);
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (i != a && (alone || i == b))
            cut(w, a, i, stall, both_ways, for_us);
    }
}

static void cause_crash(struct sim_world *w, struct prng *p, uint64_t for_us)
{
    struct sim_region *r = &w->regions[prng_below(p, w->plan.regions)];
    if (!r->up)
        return;
    sim_region_crash(w, r, p);
    if (prng_chance(p, 500000))
        for_us %= QUICK_RESTART_US;
    sim_at(w, w->now_us + for_us, start_region)->region = r->index;
}

static void cause_one(struct sim_world *w, struct prng *p)
{
    const struct sim_plan *plan = &w->plan;
    uint64_t which = prng_below(p, plan->cut + plan->stall + plan->crash);
    uint64_t for_us = 1 + prng_below(p, plan->fault_max_us);
    if (which < plan->cut + plan->stall)
        cause_cut(w, p, which >= plan->cut, for_us);
    else
        cause_crash(w, p, for_us);
}

/* Each fault draws from a stream of its own, so that one that is left out changes no other. */
static void cause_fault(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    if (w->healed)
        return;
    struct prng own = prng_split(&w->fault);
    if (selection_has(&w->only.faults, ++w->fault_count))
        cause_one(w, &own);
    sim_at(w, w->now_us + sim_around(&w->fault, w->plan.fault_every_us, 50000), cause_fault);
}

static void heal(struct sim_world *w)
{
    sim_tell(w, NULL, "heal", "all faults end");
    w->healed = true;
    for (uint32_t a = 0; a < w->plan.regions; a++) {
        for (uint32_t b = 0; b < w->plan.regions; b++)
            sim_net_heal(w, a, b, 0);
    }
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        if (!w->regions[i].up)
            sim_region_start(w, &w->regions[i]);
    }
}

/* --- life --- */

static char *text_of(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

static void make_deployment(struct sim_world *w)
{
    deployment_init(&w->deployment);
    mem_free(w->deployment.name);
    w->deployment.name = text_of("sim");
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        char name[] = { 'r', (char)('1' + i), 0 };
        struct region *region = deployment_add_region(&w->deployment);
        region->name = text_of(name);
        region->id = (uint8_t)(i + 1);
    }
    deployment_finish(&w->deployment);
}

/* All that there can be, also in a world of fewer regions: it is a part of the larger one. */
static void split_streams(struct sim_world *w, uint64_t seed)
{
    struct prng root, unused[SIM_CLIENTS_MAX];
    prng_seed(&root, seed);
    prng_split(&root); /* the plan's */
    w->fault = prng_split(&root);
    for (uint32_t a = 0; a < SIM_REGIONS_MAX; a++) {
        struct sim_region *r = a < w->plan.regions ? &w->regions[a] : NULL;
        *(r ? &r->prng : unused) = prng_split(&root);
        for (uint32_t b = 0; b < SIM_REGIONS_MAX; b++)
            w->net[a][b] = prng_split(&root);
        for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
            *(r ? &r->clients[i].commands : unused) = prng_split(&root);
            *(r ? &r->clients[i].pace : unused) = prng_split(&root);
        }
    }
}

void sim_world_init(struct sim_world *w, const struct sim_plan *plan,
                    const struct sim_options *options)
{
    *w = (struct sim_world){
        .plan = *plan,
        .now_us = SIM_START_US,
        .only = options->only,
        .trace = options->trace,
        .details = options->details,
    };
    list_init(&w->conns);
    make_deployment(w);
    w->regions = mem_zalloc(plan->regions * sizeof(w->regions[0]));
    split_streams(w, options->seed);
    for (uint32_t i = 0; i < plan->regions; i++)
        sim_region_init(&w->regions[i], i);
}

void sim_world_release(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++)
        sim_region_release(w, &w->regions[i]);
    mem_free(w->regions);
    mem_free(w->reclaims);
    for (struct heap_node *top; (top = heap_top(&w->events));) {
        heap_remove(&w->events, top);
        free_event(container_of(top, struct sim_event, node));
    }
    heap_release(&w->events);
    sim_net_release(w);
    deployment_release(&w->deployment);
}

/* --- phases --- */

static void verify_often(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    sim_verify_always(w);
    sim_at(w, w->now_us + VERIFY_EVERY_US, verify_often);
}

/* Runs until `done` says so; false when that takes longer than `max_us` or something failed. */
static bool run_until(struct sim_world *w, bool (*done)(struct sim_world *w), uint64_t max_us)
{
    uint64_t end_us = w->now_us + max_us, look_us = w->now_us;
    while (w->now_us < end_us) {
        if (w->now_us >= look_us) {
            if (done(w))
                return true;
            look_us = w->now_us + 1000;
        }
        if (!step(w))
            return false;
    }
    return false;
}

static void fail_unsettled(struct sim_world *w)
{
    struct buffer why = { 0 };
    sim_verify_say_unsettled(w, &why);
    sim_fail(w, "not settled %d s after all faults ended%.*s", SETTLE_MAX_US / 1000000,
             (int)why.len, (const char *)why.at);
    buffer_release(&why);
}

static bool all_sent(struct sim_world *w)
{
    return w->sent >= w->plan.steps;
}

void sim_world_run(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++)
        sim_region_start(w, &w->regions[i]);
    verify_often(w, NULL);
    if (w->plan.fault_every_us != 0)
        sim_at(w, w->now_us + w->plan.fault_every_us, cause_fault);
    run_until(w, all_sent, CHAOS_MAX_US);
    if (!w->failed)
        heal(w);
    if (!w->failed && !run_until(w, sim_verify_settled, SETTLE_MAX_US))
        fail_unsettled(w);
    if (!w->failed)
        sim_verify_end(w);
    if (!w->failed && !run_until(w, sim_verify_reclaimed, RECLAIM_MAX_US))
        sim_fail(w, "keys whose time has come are still there %d s later",
                 RECLAIM_MAX_US / 1000000);
    sim_tell_end(w);
}

void sim_run(const struct sim_options *options, struct sim_outcome *outcome)
{
    struct prng root, choices;
    struct sim_plan plan;
    struct sim_world *w = mem_alloc(sizeof(*w));
    prng_seed(&root, options->seed);
    choices = prng_split(&root);
    sim_plan_make(&plan, &choices, options->regions, options->steps);
    if (options->clients != 0)
        plan.clients = options->clients;
    if (options->trace)
        sim_plan_print(&plan, options->trace);
    sim_world_init(w, &plan, options);
    sim_world_run(w);
    *outcome = (struct sim_outcome){
        .held = !w->failed,
        .trace_hash = w->trace_hash,
        .events = w->event_count,
        .commands = w->answered,
        .crashes = w->crashes,
        .simulated_us = w->now_us - SIM_START_US,
        .regions = plan.regions,
        .clients = plan.clients,
        .steps = w->sent,
        .faults = w->fault_count,
    };
    memcpy(outcome->reason, w->reason, sizeof(outcome->reason));
    snprintf(outcome->kind, sizeof(outcome->kind), "%s", w->kind ? w->kind : "");
    for (uint32_t i = 0; i < plan.regions; i++) {
        for (uint32_t k = 0; k < SIM_CLIENTS_MAX; k++)
            outcome->drawn[i][k] = w->regions[i].clients[k].drawn;
    }
    sim_world_release(w);
    mem_free(w);
}
