/*
 * fault -- what goes wrong while there is chaos, and its end.
 *
 * Each fault has a number and draws from a stream of its own, so that one that is left out
 * (selection.h) changes no other.
 */
#include "base/error.h"
#include "base/memory.h"
#include "sim/world.h"

enum {
    QUICK_RESTART_US = 5000,
    LOOP_ROUNDS_MAX = 6,
    LOOP_CALLS_MAX = 25,        /* of the disk, until a recovery is cut short */
    STARVED_RUN_MAX_US = 2000,  /* what a starved process runs at once, */
    STARVED_NAP_MAX_US = 30000, /* and what it then waits */
    SLEPT_MORE_US = 1000 * 1000,
};

const char *const sim_fault_names[SIM_FAULTS] = {
    [SIM_FAULT_CUT] = "cut",       [SIM_FAULT_STALL] = "stall", [SIM_FAULT_RESET] = "reset",
    [SIM_FAULT_NARROW] = "narrow", [SIM_FAULT_PAUSE] = "pause", [SIM_FAULT_STARVE] = "starve",
    [SIM_FAULT_CRASH] = "crash",   [SIM_FAULT_LOOP] = "loop",   [SIM_FAULT_DISK] = "disk",
    [SIM_FAULT_CLOCK] = "clock",   [SIM_FAULT_LOSS] = "loss",
};

/* One that is being caused. */
struct fault {
    enum sim_fault kind;
    uint32_t number;
    struct prng prng;
    uint64_t for_us;
};

static void tell(struct sim_world *w, uint32_t number, const struct sim_region *r, const char *what)
{
    char name[24];
    snprintf(name, sizeof(name), "fault %u", number);
    sim_tell(w, r, name, "%s", what);
}

static void tell_begin(struct sim_world *w, const struct fault *f, const struct sim_region *r)
{
    char name[24];
    snprintf(name, sizeof(name), "fault %u", f->number);
    sim_tell(w, r, name, "%s for %.3f ms", sim_fault_names[f->kind], (double)f->for_us / 1000);
}

static struct sim_region *any_region(struct sim_world *w, struct fault *f)
{
    return &w->regions[prng_below(&f->prng, w->plan.regions)];
}

/* --- the network --- */

static void heal_way(struct sim_world *w, uint32_t from, uint32_t to, uint32_t number)
{
    struct sim_way *way = &w->ways[from][to];
    if (way->stalled == number)
        way->stalled = 0;
    if (way->broken == number)
        way->broken = 0;
    if (way->narrow == number)
        way->narrow = 0;
    sim_net_release_held(w, from, to);
}

static void end_on_way(struct sim_world *w, struct sim_event *e)
{
    uint32_t a = (uint32_t)(e->number >> 8 & 0xff), b = (uint32_t)(e->number & 0xff);
    uint32_t number = (uint32_t)(e->number >> 16);
    char text[40];
    snprintf(text, sizeof(text), "ends, r%u to r%u", a + 1, b + 1);
    tell(w, number, NULL, text);
    heal_way(w, a, b, number);
}

static void fault_on_way(struct sim_world *w, const struct fault *f, uint32_t a, uint32_t b)
{
    struct sim_way *way = &w->ways[a][b];
    if (f->kind == SIM_FAULT_STALL)
        way->stalled = f->number;
    else if (f->kind == SIM_FAULT_NARROW)
        way->narrow = f->number;
    else if (f->kind == SIM_FAULT_CUT)
        way->broken = f->number;
    if (f->kind == SIM_FAULT_CUT || f->kind == SIM_FAULT_RESET)
        sim_net_reset(w, a, b);
    if (f->kind != SIM_FAULT_RESET)
        sim_at(w, w->now_us + f->for_us, end_on_way)->number = (uint64_t)f->number << 16 | a << 8 |
                                                               b;
}

static void fault_between(struct sim_world *w, const struct fault *f, uint32_t a, uint32_t b,
                          bool both_ways)
{
    char name[24];
    snprintf(name, sizeof(name), "fault %u", f->number);
    sim_tell(w, NULL, name, "%s, r%u %s r%u for %.3f ms", sim_fault_names[f->kind], a + 1,
             both_ways ? "and" : "to", b + 1, (double)f->for_us / 1000);
    fault_on_way(w, f, a, b);
    if (both_ways)
        fault_on_way(w, f, b, a);
}

/* Between two regions, or all that one has. */
static void fault_of_net(struct sim_world *w, struct fault *f)
{
    struct prng *p = &f->prng;
    uint32_t a = (uint32_t)prng_below(p, w->plan.regions);
    uint32_t b = (a + 1 + (uint32_t)prng_below(p, w->plan.regions - 1)) % w->plan.regions;
    bool lasting = w->plan.bootstraps || w->plan.calls.about_lag;
    bool alone = prng_chance(p, lasting ? 800000 : 300000), both_ways = prng_chance(p, 500000);
    bool to_it = prng_chance(p, 500000); /* of one way: where it leads */
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (i == a || (!alone && i != b))
            continue;
        if (both_ways || !to_it)
            fault_between(w, f, a, i, both_ways);
        else
            fault_between(w, f, i, a, false);
    }
}

/* --- processes --- */

static void fault_pause(struct sim_world *w, struct fault *f)
{
    struct sim_region *r = any_region(w, f);
    tell_begin(w, f, r);
    sim_region_sleep(w, r, w->now_us + f->for_us);
}

struct starving {
    uint64_t until_us;
    struct prng prng;
};

static void nap(struct sim_world *w, struct sim_event *e)
{
    struct starving *s = e->what;
    if (w->healed || w->now_us >= s->until_us) {
        mem_free(s);
        return;
    }
    uint64_t until_us = w->now_us + 1 + prng_below(&s->prng, STARVED_NAP_MAX_US);
    sim_region_sleep(w, &w->regions[e->region], until_us);
    struct sim_event *next = sim_at(w, until_us + prng_below(&s->prng, STARVED_RUN_MAX_US), nap);
    next->region = e->region;
    next->what = s;
    next->owned = true;
}

static void fault_starve(struct sim_world *w, struct fault *f)
{
    struct sim_region *r = any_region(w, f);
    struct starving *s = mem_alloc(sizeof(*s));
    *s = (struct starving){ .until_us = w->now_us + f->for_us, .prng = prng_split(&f->prng) };
    tell_begin(w, f, r);
    struct sim_event *e = sim_at(w, w->now_us, nap);
    e->region = r->index;
    e->what = s;
    e->owned = true;
}

/* --- crashes --- */

static void start_region(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    if (!r->up && !sim_region_start(w, r))
        sim_at(w, w->now_us + QUICK_RESTART_US, start_region)->region = e->region;
}

static void restart_after(struct sim_world *w, const struct sim_region *r, uint64_t after_us)
{
    sim_at(w, w->now_us + after_us, start_region)->region = r->index;
}

/* A clock may be another after that, also an earlier one. */
static void crash(struct sim_world *w, struct sim_region *r, struct fault *f)
{
    sim_region_crash(w, r, &f->prng);
    if (prng_chance(&f->prng, 500000))
        sim_clock_set(w, r, sim_clock_offset(&f->prng, w->plan.clock_range_us));
}

static void fault_crash(struct sim_world *w, struct fault *f)
{
    uint32_t first = (uint32_t)prng_below(&f->prng, w->plan.regions), count = 1;
    if (prng_chance(&f->prng, 250000))
        count += (uint32_t)prng_below(&f->prng, w->plan.regions);
    bool quick = prng_chance(&f->prng, 500000);
    for (uint32_t i = 0; i < count; i++) {
        struct sim_region *r = &w->regions[(first + i) % w->plan.regions];
        if (!r->up)
            continue;
        tell(w, f->number, r, "crash");
        crash(w, r, f);
        restart_after(w, r, prng_below(&f->prng, quick ? QUICK_RESTART_US : f->for_us));
    }
}

/* A region that is up crashes; one that is down starts, and may crash while it does. */
struct loop {
    struct fault fault;
    uint32_t rounds; /* left */
};

static void go_round(struct sim_world *w, struct sim_event *e);

static void go_round_after(struct sim_world *w, uint32_t region, struct loop *l, uint64_t after_us)
{
    struct sim_event *e = sim_at(w, w->now_us + after_us, go_round);
    e->region = region;
    e->what = l;
    e->owned = true;
}

static void go_round(struct sim_world *w, struct sim_event *e)
{
    struct loop *l = e->what;
    struct prng *p = &l->fault.prng;
    struct sim_region *r = &w->regions[e->region];
    uint64_t after_us = 1 + prng_below(p, prng_chance(p, 500000) ? 1000 : 30000);
    bool cut_short = prng_chance(p, 600000);
    if (w->healed || (r->up && l->rounds == 0)) {
        mem_free(l);
        return;
    }
    if (r->up) {
        l->rounds--;
        crash(w, r, &l->fault);
    } else {
        if (l->rounds > 0 && cut_short)
            r->disk.die_at = r->disk.calls + 1 + prng_below(p, LOOP_CALLS_MAX);
        sim_region_start(w, r);
    }
    go_round_after(w, e->region, l, after_us);
}

static void fault_loop(struct sim_world *w, struct fault *f)
{
    struct sim_region *r = any_region(w, f);
    struct loop *l = mem_alloc(sizeof(*l));
    *l = (struct loop){ .fault = *f,
                        .rounds = 2 + (uint32_t)prng_below(&f->prng, LOOP_ROUNDS_MAX) };
    tell_begin(w, f, r);
    go_round_after(w, r->index, l, 0);
}

/* --- disks --- */

static void mend(struct sim_region *r)
{
    r->disk_bad = false;
    r->disk.die_at = 0;
    for (int i = 0; i < SIM_DISK_CALLS; i++)
        sim_disk_fail(&r->disk, (enum sim_disk_call)i, 0, E_OK);
    sim_store_fail(r, false, 0, E_OK);
}

/* Some calls of the checkpoint's store fail from now on: a full disk until there is room again,
 * anything else until a restart. */
static void fail_store(struct sim_region *r, struct prng *p)
{
    bool write = prng_chance(p, 800000);
    int code = !write || prng_chance(p, 300000) ? E_IO : E_FULL;
    sim_store_fail(r, write, 1 + (uint32_t)prng_below(p, 10), code);
}

/* What the failed disk still showed is lost with the power, if it was not written anew. */
static void lose_power_too(struct sim_world *w, struct sim_event *e)
{
    struct fault *f = e->what;
    struct sim_region *r = &w->regions[e->region];
    if (r->up && !w->healed) {
        tell(w, f->number, r, "goes on");
        sim_region_crash_by(w, r, true, &f->prng);
        restart_after(w, r, prng_below(&f->prng, QUICK_RESTART_US));
    }
    mem_free(f);
}

/* Somebody mends it, and restarts the server, if it has failed. */
static void mend_and_restart(struct sim_world *w, struct sim_event *e)
{
    struct fault *f = e->what;
    struct sim_region *r = &w->regions[e->region];
    bool failed = r->up && r->disk_failed;
    mend(r);
    if (!failed) {
        mem_free(f);
        return;
    }
    tell(w, f->number, r, "ends, the disk is mended");
    sim_region_crash_by(w, r, prng_chance(&f->prng, 200000), &f->prng);
    restart_after(w, r, prng_below(&f->prng, QUICK_RESTART_US));
    uint64_t after_us = QUICK_RESTART_US + prng_below(&f->prng, f->for_us);
    struct sim_event *next = sim_at(w, w->now_us + after_us, lose_power_too);
    next->region = r->index;
    next->what = f;
    next->owned = true;
}

static void fault_disk(struct sim_world *w, struct fault *f)
{
    struct sim_region *r = any_region(w, f);
    enum sim_disk_call call = (enum sim_disk_call)prng_below(&f->prng, SIM_DISK_CALLS);
    int code = prng_chance(&f->prng, 500000) ? E_IO : E_FULL;
    bool of_store = prng_chance(&f->prng, w->plan.store_faults);
    if (!r->up || r->disk_bad)
        return;
    tell_begin(w, f, r);
    if (of_store)
        fail_store(r, &f->prng);
    else
        sim_disk_fail(&r->disk, call, 1 + prng_below(&f->prng, 4), code);
    r->disk_bad = true;
    struct fault *own = mem_alloc(sizeof(*own));
    *own = *f;
    struct sim_event *e = sim_at(w, w->now_us + f->for_us, mend_and_restart);
    e->region = r->index;
    e->what = own;
    e->owned = true;
}

/* --- clocks --- */

static void cut_off(struct sim_world *w, const struct fault *f, const struct sim_region *r)
{
    struct fault cut = *f;
    cut.kind = SIM_FAULT_CUT;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (i != r->index)
            fault_between(w, &cut, r->index, i, true);
    }
}

/* A right one is set to another right time, or (in some worlds) to a wild one; or it is set right.
 */
static void fault_clock(struct sim_world *w, struct fault *f)
{
    struct sim_region *r = any_region(w, f);
    bool wild = w->plan.clock_wild_us != 0 && prng_chance(&f->prng, 500000);
    int64_t range_us = wild ? w->plan.clock_wild_us : w->plan.clock_range_us;
    int64_t error_us = sim_clock_offset(&f->prng, range_us);
    char text[60];
    snprintf(text, sizeof(text), "clock, set to %+.3f ms", (double)error_us / 1000);
    tell(w, f->number, r, text);
    sim_clock_set(w, r, error_us);
    if (!r->up || !prng_chance(&f->prng, wild ? 700000 : 300000))
        return;
    sim_region_crash(w, r, &f->prng); /* only a restart follows it at once */
    if (wild && prng_chance(&f->prng, 500000))
        cut_off(w, f, r); /* and where nobody is reached, nobody tells that it is wrong */
    restart_after(w, r, prng_below(&f->prng, QUICK_RESTART_US));
}

/* --- directories --- */

/* One that was cut off for a while, and so lacks what others have. */
struct lagging {
    struct fault fault;
    uint32_t index;
};

/* Who is repaired then reaches the one that lags, and nobody else: not those that hold more of what he
 * wrote. */
static void repair_beside(struct sim_world *w, struct sim_event *e)
{
    struct lagging *l = e->what;
    struct fault *f = &l->fault, cut = *f;
    const struct sim_region *r = w->healed ? NULL : sim_loss(w, &f->prng, f->for_us);
    cut.kind = SIM_FAULT_CUT;
    for (uint32_t i = 0; r && i < w->plan.regions; i++) {
        if (i == r->index || i == l->index)
            continue;
        fault_between(w, &cut, r->index, i, true);
        if (l->index != r->index)
            fault_between(w, &cut, l->index, i, true);
    }
    if (r)
        tell_begin(w, f, r);
    mem_free(l);
}

static void fault_repair(struct sim_world *w, const struct fault *f)
{
    struct lagging *l = mem_alloc(sizeof(*l));
    *l = (struct lagging){ .fault = *f };
    l->index = any_region(w, &l->fault)->index;
    l->fault.for_us = f->for_us / 4;
    cut_off(w, &l->fault, &w->regions[l->index]);
    struct sim_event *e = sim_at(w, w->now_us + l->fault.for_us + 1000, repair_beside);
    l->fault.for_us = f->for_us;
    e->what = l;
    e->owned = true;
}

/* Who reaches nobody cannot hear what he has lost, and writes on. */
static void fault_loss(struct sim_world *w, struct fault *f)
{
    if (w->plan.repairs) {
        fault_repair(w, f);
        return;
    }
    bool alone = prng_chance(&f->prng, 400000);
    const struct sim_region *r = sim_loss(w, &f->prng, f->for_us);
    if (!r)
        return;
    tell_begin(w, f, r);
    if (alone)
        cut_off(w, f, r);
}

/* --- which, and when --- */

static enum sim_fault choose(const struct sim_plan *plan, struct prng *p)
{
    uint64_t sum = 0;
    for (int i = 0; i < SIM_FAULTS; i++)
        sum += plan->faults[i];
    uint64_t at = prng_below(p, sum);
    enum sim_fault kind = 0;
    for (; at >= plan->faults[kind]; kind++)
        at -= plan->faults[kind];
    return kind;
}

static void cause(struct sim_world *w, struct fault *f)
{
    switch (f->kind) {
    case SIM_FAULT_CUT:
    case SIM_FAULT_STALL:
    case SIM_FAULT_RESET:
    case SIM_FAULT_NARROW:
        fault_of_net(w, f);
        break;
    case SIM_FAULT_PAUSE:
        fault_pause(w, f);
        break;
    case SIM_FAULT_STARVE:
        fault_starve(w, f);
        break;
    case SIM_FAULT_CRASH:
        fault_crash(w, f);
        break;
    case SIM_FAULT_LOOP:
        fault_loop(w, f);
        break;
    case SIM_FAULT_DISK:
        fault_disk(w, f);
        break;
    case SIM_FAULT_CLOCK:
        fault_clock(w, f);
        break;
    case SIM_FAULT_LOSS:
        fault_loss(w, f);
        break;
    case SIM_FAULTS:
        break;
    }
}

static void cause_next(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    if (w->healed)
        return;
    struct fault f = { .number = ++w->fault_count, .prng = prng_split(&w->fault) };
    f.kind = choose(&w->plan, &f.prng);
    f.for_us = 1 + prng_below(&f.prng, w->plan.fault_max_us);
    w->outcome->faults = f.number;
    if (selection_has(&w->only.faults, f.number))
        cause(w, &f);
    sim_at(w, w->now_us + sim_around(&w->fault, w->plan.fault_every_us, 50000), cause_next);
}

/* --- the phases --- */

static void set_first_clock(struct sim_world *w, struct sim_region *r)
{
    int64_t error_us = w->plan.clock_offset_us[r->index];
    if (w->plan.clock_wild_us != 0 && prng_chance(&w->fault, 200000))
        error_us = sim_clock_offset(&w->fault, w->plan.clock_wild_us);
    sim_clock_set(w, r, error_us);
}

void sim_fault_begin(struct sim_world *w)
{
    for (uint32_t a = 0; a < w->plan.regions; a++) {
        for (uint32_t b = 0; b < w->plan.regions; b++)
            w->ways[a][b].parted = w->plan.parted[a][b];
        set_first_clock(w, &w->regions[a]);
    }
    if (w->plan.fault_every_us != 0)
        sim_at(w, w->now_us + w->plan.fault_every_us, cause_next);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Stamps that a wild clock made are waited for: the world stands still until their time has come.
 */
static void sleep_past_wild_stamps(struct sim_world *w)
{
    uint64_t newest_ms = 0;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        const struct hlc *clock = &w->regions[i].node.replica.hlc;
        newest_ms = later(newest_ms, later(clock->ceiling_ms, clock->last >> STAMP_COUNTER_BITS));
    }
    uint64_t until_us = newest_ms * 1000 + SLEPT_MORE_US;
    if (w->plan.clock_wild_us == 0 || newest_ms * 1000 < w->now_us + SLEPT_MORE_US)
        return;
    w->slept_us += until_us - w->now_us;
    w->now_us = until_us;
    sim_tell(w, NULL, "heal", "the world stood still until the time of its newest stamp");
}

/* Clocks are right again, disks mended; a process whose disk failed, or that lives by a wrong time,
 * is restarted. */
static void make_whole(struct sim_world *w, struct sim_region *r)
{
    sim_clock_set(w, r, w->plan.clock_offset_us[r->index]);
    mend(r);
    if (r->up && (r->disk_failed || !sim_clock_is_right(w, r)))
        sim_region_crash(w, r, &w->fault);
    if (!r->up && !sim_region_start(w, r))
        sim_fail(w, "region %u does not start on a mended disk", r->index + 1);
}

void sim_fault_end(struct sim_world *w)
{
    sim_tell(w, NULL, "heal", "all faults end");
    w->healed = true;
    sim_loss_end(w);
    for (uint32_t a = 0; a < w->plan.regions; a++) {
        for (uint32_t b = 0; b < w->plan.regions; b++) {
            w->ways[a][b] = (struct sim_way){ .parted = w->ways[a][b].parted };
            sim_net_release_held(w, a, b);
        }
    }
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++)
        make_whole(w, &w->regions[i]);
    if (!w->failed)
        sleep_past_wild_stamps(w);
}

void sim_fault_join(struct sim_world *w)
{
    sim_tell(w, NULL, "heal", "regions that never met may do so");
    for (uint32_t a = 0; a < w->plan.regions; a++) {
        for (uint32_t b = 0; b < w->plan.regions; b++)
            w->ways[a][b].parted = false;
    }
}
