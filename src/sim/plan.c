/*
 * plan -- what the world of a seed is like: every part may be off, usual, or extreme.
 */
#include "sim/world.h"

enum {
    CLOCK_RANGE_MAX_US = 100000, /* either way: within what max_skew allows */
    WILD_RANGE_US = 30000,       /* of the right clocks where others are wild and followed slowly */
    QUIET_THINK_US = 50000,
    READ_SLOWLY_US = 100000,
    WINDOW_MIN_BYTES = 2000,
    MANY_REGIONS = 4, /* worlds of more are shorter */
};

/* Most worlds are small: more are seen, and most faults need only two or three regions. */
static uint32_t choose_regions(struct prng *p)
{
    static const uint8_t CHOICES[] = { 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6 };
    uint32_t many = (uint32_t)sim_between(p, 6, SIM_REGIONS_MAX);
    return prng_percent(p, 4) ? many : CHOICES[prng_below(p, sizeof(CHOICES))];
}

int64_t sim_clock_offset(struct prng *p, int64_t range_us)
{
    if (prng_percent(p, 30))
        return prng_percent(p, 50) ? range_us : -range_us;
    return (int64_t)prng_below(p, (uint64_t)(2 * range_us + 1)) - range_us;
}

/* Within what is allowed: half of max_skew from the others' median. */
static void plan_clocks(struct sim_plan *plan, struct prng *p)
{
    bool drifts = prng_percent(p, 50);
    for (uint32_t i = 0; i < SIM_REGIONS_MAX; i++) {
        plan->clock_offset_us[i] = sim_clock_offset(p, plan->clock_range_us);
        plan->clock_drift_ppm[i] = drifts ? (int32_t)prng_below(p, 401) - 200 : 0;
    }
}

static void plan_delays(struct sim_plan *plan, struct prng *p, uint64_t longest_us)
{
    for (uint32_t a = 0; a < SIM_REGIONS_MAX; a++) {
        for (uint32_t b = 0; b <= a; b++) {
            uint64_t delay_us = sim_between(p, longest_us / 10 + 1, longest_us);
            plan->delay_us[a][b] = plan->delay_us[b][a] = delay_us;
        }
    }
}

static void plan_network(struct sim_plan *plan, struct prng *p)
{
    plan_delays(plan, p, prng_percent(p, 20) ? 300 : prng_percent(p, 60) ? 20000 : 150000);
    plan->jitter = prng_percent(p, 30) ? 0 : 500000;
    plan->tail = prng_percent(p, 40) ? 0 : prng_percent(p, 70) ? 10000 : 200000;
    plan->window_bytes = prng_percent(p, 80) ? 1 << 18 : WINDOW_MIN_BYTES;
    plan->piece_bytes = prng_percent(p, 70) ? 1 << 16 : prng_percent(p, 50) ? 1000 : 40;
}

static void plan_disk(struct sim_plan *plan, struct prng *p)
{
    plan->fsync = prng_percent(p, 60)   ? FSYNC_ALWAYS
                  : prng_percent(p, 70) ? FSYNC_EVERYSEC
                                        : FSYNC_NO;
    plan->write_us = sim_between(p, 5, 200);
    plan->sync_us = prng_percent(p, 70) ? sim_between(p, 200, 3000) : sim_between(p, 3000, 40000);
    plan->disk_tail = prng_percent(p, 50) ? 0 : 30000;
    plan->segment_bytes = prng_percent(p, 60) ? 1 << 20 : sim_between(p, 2000, 20000);
    plan->linger = prng_percent(p, 40) ? 0 : prng_percent(p, 50) ? 100000 : 700000;
    plan->park_max_bytes = prng_percent(p, 60) ? 1 << 20 : sim_between(p, 500, 4000);
}

/* Checkpoints after every few records or hardly ever; in some worlds nearly every key is cold
 * nearly always, in others large objects are copied in pieces of an item or two. */
void sim_plan_store(struct sim_plan *plan, struct prng p)
{
    static const uint64_t NEVER = 1ull << 40;
    bool often_begun = prng_percent(&p, 65);
    plan->checkpoint_log_bytes = often_begun
                                     ? sim_between(&p, 100, prng_percent(&p, 60) ? 2000 : 20000)
                                     : NEVER;
    plan->checkpoint_every_ms = prng_percent(&p, 50) ? 5 * 60 * 1000
                                                     : (uint32_t)sim_between(&p, 5, 300);
    plan->retain_bytes = plan->bootstraps ? sim_between(&p, 500, 8000)
                         : prng_percent(&p, 90) || sim_plan_parts(plan)
                             ? NEVER
                             : sim_between(&p, 2000, 50000);
    if (plan->bootstraps || plan->copies)
        plan->checkpoint_log_bytes = sim_between(&p, 200, 2000);
    plan->export_bytes = prng_percent(&p, 50) ? 0 : (uint32_t)sim_between(&p, 1, 300);
    plan->step_bytes = prng_percent(&p, 40) ? 0 : (uint32_t)sim_between(&p, 1, 2000);
    plan->copied_bytes = prng_percent(&p, 40) ? 0 : (uint32_t)sim_between(&p, 10, 100);
    plan->store_us = prng_percent(&p, 60) ? sim_between(&p, 100, 5000)
                                          : sim_between(&p, 5000, 60000);
    if (plan->copies)
        plan->store_us = sim_between(&p, 5000, 40000);
    plan->evict = prng_percent(&p, 30) ? 0 : prng_percent(&p, 50) ? 700000 : 20000;
    plan->evict_most = prng_percent(&p, 50) ? 1 : 40;
    plan->memory_keys = prng_percent(&p, 60)
                            ? 0
                            : (uint32_t)sim_between(&p, 1, prng_percent(&p, 85) ? 5 : 40);
    plan->memory_policy = (uint32_t)sim_between(&p, MEMORY_ALLKEYS_LRU,
                                                prng_percent(&p, 70) ? MEMORY_ALLKEYS_RANDOM
                                                                     : MEMORY_VOLATILE_RANDOM);
    plan->cache = plan->memory_keys == 0 || prng_percent(&p, 20) ? NULL
                  : prng_percent(&p, 40)                         ? "x"
                                                                 : "";
    plan->replay_stops = prng_percent(&p, 50) ? 0 : prng_percent(&p, 50) ? 300000 : 20000;
}

static void plan_faults(struct sim_plan *plan, struct prng *p)
{
    uint32_t sum = 0;
    plan->fault_every_us = prng_percent(p, 10)   ? 0
                           : prng_percent(p, 70) ? sim_between(p, 100000, 500000)
                                                 : sim_between(p, 20000, 100000);
    for (int i = 0; i < SIM_FAULT_LOSS; i++) {
        plan->faults[i] = prng_percent(p, 60)   ? 0
                          : prng_percent(p, 85) ? (uint32_t)sim_between(p, 1, 5)
                                                : 30;
        sum += plan->faults[i];
    }
    if (sum == 0)
        plan->fault_every_us = 0;
    plan->fault_max_us = prng_percent(p, 85)   ? sim_between(p, 20000, 1000000)
                         : prng_percent(p, 75) ? 6500000 /* past the timeout of links */
                                               : 15000000;
    plan->narrow_bytes_s = prng_percent(p, 50) ? sim_between(p, 2000, 10000)
                                               : sim_between(p, 10000, 200000);
    plan->store_faults = 300000;
    plan->reader_us = prng_percent(p, 40)   ? 0
                      : prng_percent(p, 50) ? sim_between(p, 2000, 20000)
                                            : 100000;
}

static void part(struct sim_plan *plan, uint32_t a, uint32_t b, bool parted)
{
    plan->parted[a][b] = plan->parted[b][a] = parted;
}

/* Two regions of which neither sees the other, or as few connections as join all: a tree, and some
 * of the others. */
static void plan_parted(struct sim_plan *plan, struct prng p)
{
    if (plan->regions < 3 || plan->losses || plan->bootstraps || !prng_percent(&p, 20))
        return;
    if (prng_percent(&p, 40)) {
        uint32_t a = (uint32_t)prng_below(&p, plan->regions);
        part(plan, a, (a + 1 + (uint32_t)prng_below(&p, plan->regions - 1)) % plan->regions, true);
        return;
    }
    uint32_t more = prng_percent(&p, 50) ? 0 : 30;
    for (uint32_t a = 0; a < plan->regions; a++) {
        for (uint32_t b = 0; b < a; b++)
            part(plan, a, b, !prng_percent(&p, more));
    }
    for (uint32_t a = 1; a < plan->regions; a++)
        part(plan, a, (uint32_t)prng_below(&p, a), false);
}

bool sim_plan_parts(const struct sim_plan *plan)
{
    for (uint32_t a = 0; a < plan->regions; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (plan->parted[a][b])
                return true;
        }
    }
    return false;
}

static void plan_load(struct sim_plan *plan, struct prng *p)
{
    plan->clients = (uint32_t)sim_between(p, 1, SIM_CLIENTS_MAX);
    plan->keys = (uint32_t)sim_between(p, 1, 4);
    plan->fields = (uint32_t)sim_between(p, 1, 4);
    plan->mixed = prng_percent(p, 40) ? 0 : prng_percent(p, 30) ? 50000 : 600000;
    plan->pipeline = prng_percent(p, 60) ? 1 : (uint32_t)sim_between(p, 2, 20);
    plan->think_us = prng_percent(p, 40)   ? 500
                     : prng_percent(p, 70) ? sim_between(p, 2000, 40000)
                                           : sim_between(p, QUIET_THINK_US, 8 * QUIET_THINK_US);
    plan->ttl_max_ms = prng_percent(p, 50) ? 300 : 2000;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < SIM_FAMILIES; i++) {
        plan->families[i] = prng_percent(p, 30)   ? 0
                            : prng_percent(p, 80) ? (uint32_t)sim_between(p, 1, 5)
                                                  : 30;
        sum += plan->families[i];
    }
    if (sum == 0)
        plan->families[0] = 1;
}

/* --- worlds that look at one thing ---
 *
 * Some defects show only where several rare things meet. These families of worlds make them meet:
 * how often is measured by scripts/mutations. */

/* Little is written, so that heartbeats say most of what is heard, and machines come back soon with
 * a clock that is behind. */
static void focus_on_restarts(struct sim_plan *plan, struct prng *p)
{
    plan->regions = 2;
    plan->steps = (uint32_t)sim_between(p, 50, 300);
    plan->pipeline = 1;
    plan->think_us = sim_between(p, QUIET_THINK_US, 8 * QUIET_THINK_US);
    plan->clock_range_us = CLOCK_RANGE_MAX_US;
    if (prng_percent(p, 70))
        plan_delays(plan, p, 300);
    plan->fault_every_us = 150000;
    plan->fault_max_us = prng_percent(p, 70) ? 30000 : 1000000;
    memset(plan->faults, 0, sizeof(plan->faults));
    plan->faults[SIM_FAULT_CRASH] = 1;
}

/* Much is on its way to slow disks when power is lost. */
static void focus_on_power(struct sim_plan *plan, struct prng *p)
{
    plan->clients = prng_percent(p, 50) ? 1 : plan->clients;
    plan->think_us = sim_between(p, 200, 2000);
    plan->sync_us = sim_between(p, 3000, 40000);
    plan->linger = prng_percent(p, 50) ? 0 : 700000;
    plan->fault_every_us = sim_between(p, 20000, 60000);
    plan->fault_max_us = 30000;
    memset(plan->faults, 0, sizeof(plan->faults));
    plan->faults[SIM_FAULT_CUT] = plan->faults[SIM_FAULT_STALL] = prng_percent(p, 70) ? 0 : 1;
    plan->faults[SIM_FAULT_DISK] = prng_percent(p, 50) ? 0 : 1;
    plan->faults[SIM_FAULT_CRASH] = 2;
}

/* Everybody sets and lifts the deadlines of a key or two, and hears of the others' late. */
static void focus_on_times(struct sim_plan *plan, struct prng *p)
{
    plan->keys = (uint32_t)sim_between(p, 1, 2);
    plan->clients = (uint32_t)sim_between(p, 2, SIM_CLIENTS_MAX);
    plan->mixed = prng_percent(p, 50) ? 0 : 600000;
    plan->think_us = sim_between(p, 2000, 20000);
    plan->ttl_max_ms = prng_percent(p, 50) ? 100 : 2000;
    for (uint32_t i = 0; i < SIM_FAMILIES; i++)
        plan->families[i] = prng_percent(p, 70) ? 0 : 1;
    plan->families[SIM_FAMILY_TIMES] = 10;
}

/* Clocks that are seconds or hours off, and little else in half of these worlds. It lasts, so that
 * clocks are compared and the verdict can be seen. */
static void focus_on_clocks(struct sim_plan *plan, struct prng *p)
{
    plan->clock_range_us = WILD_RANGE_US;
    plan->clock_wild_us = (int64_t)(prng_percent(p, 30)
                                        ? sim_between(p, 400, 800) /* about max_skew */
                                    : prng_percent(p, 30) ? sim_between(p, 1000, 20000)
                                                          : sim_between(p, 1000, 7200000)) *
                          1000;
    plan->steps = (uint32_t)sim_between(p, 100, 600);
    plan->think_us = sim_between(p, QUIET_THINK_US, 8 * QUIET_THINK_US);
    plan->fault_every_us = sim_between(p, 300000, 1500000);
    plan->fault_max_us = sim_between(p, 100000, 2000000);
    bool alone = prng_percent(p, 50);
    for (int i = 0; i < SIM_FAULTS; i++)
        plan->faults[i] = alone ? 0 : plan->faults[i] > 0;
    plan->faults[SIM_FAULT_CLOCK] = 6;
}

/* Keys that come and go while they are copied, to a disk that is full now and then. */
static void focus_on_copies(struct sim_plan *plan, struct prng *p)
{
    plan->keys = (uint32_t)sim_between(p, 1, 3);
    plan->mixed = 0;
    plan->clients = (uint32_t)sim_between(p, 2, SIM_CLIENTS_MAX);
    plan->think_us = sim_between(p, 500, 5000);
    for (uint32_t i = 0; i < SIM_FAMILIES; i++)
        plan->families[i] = plan->families[i] > 0;
    plan->families[0] = plan->families[SIM_FAMILY_KEYS] = 8;
    plan->fault_every_us = sim_between(p, 20000, 100000);
    plan->fault_max_us = sim_between(p, 5000, 100000);
    memset(plan->faults, 0, sizeof(plan->faults));
    plan->faults[SIM_FAULT_CRASH] = prng_percent(p, 50) ? 0 : 1;
    plan->faults[SIM_FAULT_DISK] = 2;
    plan->store_faults = 900000;
    plan->steps = (uint32_t)sim_between(p, 500, 2500);
    plan->copies = true;
}

/* Regions that are away for longer than their log is kept elsewhere. All meet: else two groups may
 * each drop what the other lacks, through regions that reach both. */
static void focus_on_bootstraps(struct sim_plan *plan, struct prng *p)
{
    plan->regions = (uint32_t)sim_between(p, 3, prng_percent(p, 85) ? 3 : 5);
    plan->steps = (uint32_t)sim_between(p, 600, 2000);
    plan->clients = (uint32_t)sim_between(p, 2, SIM_CLIENTS_MAX);
    plan->pipeline = 1;
    plan->think_us = sim_between(p, 40000, 200000);
    plan->segment_bytes = sim_between(p, 500, 3000);
    plan->fault_every_us = sim_between(p, 500000, 4000000);
    plan->fault_max_us = sim_between(p, 5000000, 15000000);
    for (int i = 0; i < SIM_FAULT_LOSS; i++)
        plan->faults[i] = prng_percent(p, 80) ? 0 : 1;
    plan->faults[SIM_FAULT_CUT] = 4;
    plan->faults[SIM_FAULT_CRASH] = prng_percent(p, 30) ? 0 : 2;
    plan->faults[SIM_FAULT_LOOP] = prng_percent(p, 60) ? 0 : 1;
    plan->bootstraps = true;
}

/* Directories are lost, put back and cloned while little else happens, or much. */
static void focus_on_losses(struct sim_plan *plan, struct prng *p)
{
    plan->regions = (uint32_t)sim_between(p, 2, prng_percent(p, 70) ? 3 : 5);
    plan->steps = (uint32_t)sim_between(p, 200, 1200);
    plan->pipeline = 1;
    plan->think_us = sim_between(p, 5000, 100000);
    plan->fault_every_us = sim_between(p, 200000, 1500000);
    plan->fault_max_us = sim_between(p, 100000, 3000000);
    bool alone = prng_percent(p, 40);
    for (int i = 0; i < SIM_FAULTS; i++)
        plan->faults[i] = alone ? 0 : plan->faults[i] > 0;
    plan->faults[SIM_FAULT_CUT] = prng_percent(p, 50) ? 0 : 2;
    plan->faults[SIM_FAULT_CLOCK] = plan->faults[SIM_FAULT_DISK] = 0;
    plan->faults[SIM_FAULT_LOSS] = 4;
    plan->losses = true;
    if (prng_percent(p, 60))
        return;
    plan->repairs = true;
    plan->regions = (uint32_t)sim_between(p, 3, 4);
    plan->steps = (uint32_t)sim_between(p, 600, 1800);
    plan->think_us = sim_between(p, 20000, 150000);
    plan->fault_max_us = sim_between(p, 4000000, 12000000);
    plan->fault_every_us = sim_between(p, 2000000, 6000000);
}

static void choose_focus(struct sim_plan *plan, struct prng *p)
{
    uint64_t which = prng_below(p, 100);
    if (which < 17)
        focus_on_restarts(plan, p);
    else if (which < 30)
        focus_on_power(plan, p);
    else if (which < 42)
        focus_on_times(plan, p);
    else if (which < 50)
        focus_on_clocks(plan, p);
    else if (which < 58)
        focus_on_copies(plan, p);
    else if (which < 66)
        focus_on_bootstraps(plan, p);
    else if (which < 73)
        focus_on_losses(plan, p);
}

void sim_plan_make(struct sim_plan *plan, struct prng *p, uint32_t regions, uint32_t steps)
{
    *plan = (struct sim_plan){ 0 };
    plan->regions = choose_regions(p);
    plan->steps = (uint32_t)sim_between(p, 20, prng_percent(p, 80) ? 1500 : 5000);
    plan->clock_range_us = prng_percent(p, 30)   ? 0
                           : prng_percent(p, 50) ? 5000
                                                 : CLOCK_RANGE_MAX_US;
    plan_network(plan, p);
    plan_disk(plan, p);
    plan_faults(plan, p);
    plan_load(plan, p);
    if (plan->think_us >= QUIET_THINK_US)
        plan->steps = 20 + plan->steps / 20;
    choose_focus(plan, p);
    bool slowly = plan->window_bytes <= WINDOW_MIN_BYTES || plan->think_us >= QUIET_THINK_US;
    if (slowly && plan->reader_us != 0)
        plan->reader_us = READ_SLOWLY_US; /* else they write more than such links ever carry */
    if (regions != 0)
        plan->regions = regions;
    if (plan->regions > MANY_REGIONS)
        plan->steps = 20 + plan->steps * MANY_REGIONS / (plan->regions * plan->regions);
    if (steps != 0)
        plan->steps = steps;
    plan_parted(plan, prng_split(p));
    plan_clocks(plan, p);
    sim_plan_store(plan, prng_split(p));
    sim_plan_promises(plan, prng_split(p), steps != 0, regions != 0);
    sim_plan_shape(plan, prng_split(p));
    sim_plan_homes(plan, prng_split(p), steps != 0);
    sim_plan_persons(plan, prng_split(p));
}

static const char *fsync_name(enum fsync_policy rule)
{
    return rule == FSYNC_ALWAYS ? "always" : rule == FSYNC_EVERYSEC ? "everysec" : "no";
}

static void print_faults(const struct sim_plan *plan, FILE *to)
{
    fprintf(to, "plan: a fault about every %llu us (0: none), up to %llu us:",
            (unsigned long long)plan->fault_every_us, (unsigned long long)plan->fault_max_us);
    for (int i = 0; i < SIM_FAULTS; i++)
        fprintf(to, " %s %u", sim_fault_names[i], plan->faults[i]);
    fprintf(to,
            "\nplan: narrow ways %llu bytes/s, wild clocks up to %lld us (0: none), readers every "
            "%llu us (0: none)\n",
            (unsigned long long)plan->narrow_bytes_s, (long long)plan->clock_wild_us,
            (unsigned long long)plan->reader_us);
    for (uint32_t a = 0; a < plan->regions; a++) {
        for (uint32_t b = 0; b < a; b++) {
            if (plan->parted[a][b])
                fprintf(to, "plan: regions %u and %u never meet in the chaos\n", b + 1, a + 1);
        }
    }
}

void sim_plan_print(const struct sim_plan *plan, FILE *to)
{
    fprintf(to,
            "plan: %u regions, %u commands of %u clients each, %u keys, %u fields, mixed %u ppm, "
            "pipeline %u\n",
            plan->regions, plan->steps, plan->clients, plan->keys, plan->fields, plan->mixed,
            plan->pipeline);
    fprintf(to, "plan: think %llu us, ttl up to %llu ms, families",
            (unsigned long long)plan->think_us, (unsigned long long)plan->ttl_max_ms);
    for (uint32_t i = 0; i < SIM_FAMILIES; i++)
        fprintf(to, " %s %u", sim_family_names[i], plan->families[i]);
    fprintf(to,
            "\nplan: fsync %s, write %llu us, sync %llu us, tail %u ppm, segments %llu, parked at "
            "most %llu bytes\n",
            fsync_name(plan->fsync), (unsigned long long)plan->write_us,
            (unsigned long long)plan->sync_us, plan->disk_tail,
            (unsigned long long)plan->segment_bytes, (unsigned long long)plan->park_max_bytes);
    fprintf(to, "plan: jitter %u ppm, tail %u ppm, window %u bytes, pieces %u bytes\n",
            plan->jitter, plan->tail, plan->window_bytes, plan->piece_bytes);
    fprintf(to,
            "plan: a checkpoint after %llu bytes or %u ms, in steps of %u bytes and pieces of %u, "
            "written in %llu us; log.retain %llu; %u ppm: keys leave, %u at most\n",
            (unsigned long long)plan->checkpoint_log_bytes, plan->checkpoint_every_ms,
            plan->step_bytes, plan->copied_bytes, (unsigned long long)plan->store_us,
            (unsigned long long)plan->retain_bytes, plan->evict, plan->evict_most);
    if (plan->memory_keys > 0)
        fprintf(to, "plan: %u keys have room in memory, %s, caches %s%s\n", plan->memory_keys,
                evict_policy_name(plan->memory_policy), plan->cache ? "under " : "none",
                !plan->cache     ? ""
                : plan->cache[0] ? plan->cache
                                 : "everything");
    fprintf(to, "plan: a replay is held up, %u ppm\n", plan->replay_stops);
    print_faults(plan, to);
    sim_plan_print_promises(plan, to);
    sim_plan_print_shape(plan, to);
    sim_plan_print_homes(plan, to);
    sim_plan_print_persons(plan, to);
    for (uint32_t i = 0; i < plan->regions; i++)
        fprintf(to, "plan: region %u clock %+lld us %+d ppm, delay to 0 %llu us\n", i + 1,
                (long long)plan->clock_offset_us[i], plan->clock_drift_ppm[i],
                (unsigned long long)plan->delay_us[i][0]);
}
