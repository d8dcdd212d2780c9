/*
 * world -- time, faults, and the two phases of a run.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "policy/origin.h"

enum {
    VERIFY_EVERY_US = 30000,
    SETTLE_MAX_US = 60 * 1000 *
                    1000, /* backoffs, timeouts of links, and the longest delays many times over */
    TRAVEL_MAX_US = 10 * SETTLE_MAX_US, /* twelve regions, one after the other, on slow links */
    WRITE_MAX_US = 10 * 1000 * 1000,
    SAVE_MAX_US = 20 * 1000 * 1000, /* a full disk is looked at again after ten */
    RECLAIM_MAX_US = 20 * 1000 * 1000,
    ERASE_MAX_US = 3 * 60 * 1000 * 1000, /* what fails once is tried again after a minute */
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

uint64_t sim_between(struct prng *p, uint64_t low, uint64_t high)
{
    return low + prng_below(p, high - low + 1);
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

struct sim_event *sim_for_visitor(struct sim_world *w, const struct session *session,
                                  uint32_t region, uint64_t delay_us,
                                  void (*run)(struct sim_world *, struct sim_event *))
{
    return session ? sim_for_region(w, &w->regions[region], delay_us, run)
                   : sim_at(w, w->now_us + delay_us, run);
}

static void free_event(struct sim_event *e)
{
    if (e->owned)
        mem_free(e->what);
    mem_free(e);
}

static bool is_dead(const struct sim_world *w, const struct sim_event *e)
{
    return e->epoch != 0 && (!w->regions[e->region].up || w->regions[e->region].epoch != e->epoch);
}

/* Takes the earliest event and runs it, unless its region has gone since; if that sleeps, it waits
 * with it. What was due while the whole world stood still is late. False when there is none. */
bool sim_step(struct sim_world *w)
{
    struct heap_node *top = heap_top(&w->events);
    if (!top) {
        sim_fail(w, "nothing will ever happen again");
        return false;
    }
    struct sim_event *e = container_of(top, struct sim_event, node);
    heap_remove(&w->events, top);
    uint64_t due_us = SIM_START_US + (e->node.key >> 24);
    if (due_us > w->now_us)
        w->now_us = due_us;
    w->event_count++;
    bool dead = is_dead(w, e);
    if (!dead && e->epoch != 0 && sim_region_is_asleep(w, &w->regions[e->region])) {
        heap_put(&w->events, top, key_of(w, w->regions[e->region].asleep_until_us));
        return true;
    }
    if (!dead) {
        e->run(w, e);
        e->owned = false; /* it is the handler's now */
    }
    free_event(e);
    return !w->failed;
}

/* --- life --- */

struct sim_region *sim_region_with_id(const struct sim_world *w, uint8_t id)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (w->regions[i].id == id)
            return &w->regions[i];
    }
    return NULL;
}

struct sim_region *sim_region_named(const struct sim_world *w, const char *name)
{
    uint32_t place = (uint32_t)strtoul(name + 1, NULL, 10);
    CHECK(place >= 1 && place <= w->plan.regions);
    return &w->regions[place - 1];
}

char *sim_text_of(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

struct keyspace *sim_add_keyspace(struct deployment *d, const char *prefix)
{
    struct keyspace *k = deployment_add_keyspace(d);
    k->prefix = sim_text_of(prefix);
    k->prefix_bytes = strlen(prefix);
    return k;
}

/* A fence over some regions, and keyspaces that promise something. */
static void add_promises(const struct sim_world *w, struct deployment *d)
{
    char prefix[12];
    if (w->plan.fence != 0) {
        struct fence *f = deployment_add_fence(d);
        f->name = sim_text_of("some");
        for (uint32_t i = 0; i < w->plan.regions; i++) {
            if (w->plan.fence >> i & 1)
                fence_add(f, w->ids[i]);
        }
    }
    for (uint32_t i = 0; i < POST_KEYSPACES; i++) {
        bool fenced = i == 0 && w->plan.fence != 0;
        snprintf(prefix, sizeof(prefix), "k%u:", i);
        struct keyspace *k = sim_add_keyspace(d, fenced ? SIM_FENCE_PREFIX : prefix);
        k->fence = fenced;
        k->promises.elsewhere = KEYSPACE_REDIRECT;
        k->promises.acks = w->plan.keyspaces[i].acks;
        k->promises.reads = w->plan.keyspaces[i].reads;
        k->promises.ack_timeout_ms = w->plan.keyspaces[i].timeout_ms;
    }
}

/* What is dropped is removed everywhere, as by a client: that is all that the oracle knows of it. What
 * one region alone forgets (evict: local) is outside of the contract, which is about what all have. */
static void add_cache(struct deployment *d, const struct sim_plan *plan)
{
    sim_add_keyspace(d, plan->cache)->evict = KEYSPACE_EVICT_DROP;
    sim_add_keyspace(d, "own:")->evict = KEYSPACE_EVICT_DEMOTE; /* of the readers */
    sim_add_keyspace(d, "sum")->evict = KEYSPACE_EVICT_DEMOTE;  /* of all increments */
    d->memory.policy = (enum memory_policy)plan->memory_policy;
}

void sim_world_configure(struct sim_world *w)
{
    struct deployment *d = mem_alloc(sizeof(*d));
    deployment_init(d);
    mem_free(d->name);
    d->name = sim_text_of("sim");
    d->log.retain_bytes = w->plan.retain_bytes;
    d->checkpoint.log_bytes = w->plan.checkpoint_log_bytes;
    d->checkpoint.every_ms = w->plan.checkpoint_every_ms;
    memcpy(d->closed, w->closed, sizeof(d->closed));
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        char name[12];
        snprintf(name, sizeof(name), "r%u", i + 1);
        struct region *region = deployment_add_region(d);
        region->name = sim_text_of(name);
        region->id = w->ids[i];
    }
    sim_shape_configure(w, d);
    sim_homes_configure(w, d);
    if (w->plan.travellers > 0)
        add_promises(w, d);
    if (w->plan.cache)
        add_cache(d, &w->plan);
    deployment_finish(d);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++)
        w->fence_of[o] = (uint8_t)origin_fence(d, (uint8_t)o);
    CHECK(w->deployment_count < SIM_DEPLOYMENTS_MAX);
    w->deployment = w->deployments[w->deployment_count++] = d;
}

static void make_deployment(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++)
        w->ids[i] = (uint8_t)(i + 1);
    w->next_id = (uint8_t)(w->plan.regions + 1);
    sim_world_configure(w);
}

/* All that there can be, also in a world of fewer regions: it is a part of the larger one. What is
 * done comes from one tree of streams, how long it takes from another. */
static void split_streams(struct sim_world *w, const struct sim_options *options)
{
    struct prng root, noise, unused;
    prng_seed(&root, options->seed);
    prng_split(&root); /* the plan's */
    w->fault = prng_split(&root);
    prng_seed(&noise, prng_next(&root) + options->noise);
    for (uint32_t a = 0; a < SIM_REGIONS_MAX; a++) {
        struct sim_region *r = a < w->plan.regions ? &w->regions[a] : NULL;
        *(r ? &r->prng : &unused) = prng_split(&noise);
        for (uint32_t b = 0; b < SIM_REGIONS_MAX; b++)
            w->net[a][b] = prng_split(&noise);
        for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
            *(r ? &r->clients[i].commands : &unused) = prng_split(&root);
            *(r ? &r->clients[i].pace : &unused) = prng_split(&noise);
        }
    }
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
        w->travellers[i].prng = prng_split(&root);
    w->fenced = prng_split(&root);
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
        w->callers[i].prng = prng_split(&root);
    w->persons.prng = prng_split(&root);
}

void sim_world_init(struct sim_world *w, const struct sim_plan *plan,
                    const struct sim_options *options, struct sim_outcome *outcome)
{
    *w = (struct sim_world){
        .plan = *plan,
        .now_us = SIM_START_US,
        .outcome = outcome,
        .only = options->only,
        .trace = options->trace,
        .details = options->details,
    };
    list_init(&w->conns);
    make_deployment(w);
    w->oracle.fence_of = w->fence_of;
    w->regions = mem_zalloc((plan->regions + 1) * sizeof(w->regions[0]));
    split_streams(w, options);
    for (uint32_t i = 0; i < plan->regions; i++)
        sim_region_init(&w->regions[i], i, i);
    sim_region_init(&w->regions[plan->regions], plan->regions, 0);
}

void sim_world_release(struct sim_world *w)
{
    for (uint32_t i = 0; i <= w->plan.regions; i++)
        sim_region_release(w, &w->regions[i]);
    mem_free(w->regions);
    mem_free(w->reclaims);
    sim_travellers_release(w);
    sim_callers_release(w);
    sim_persons_release(w);
    frame_codec_release(&w->tap_codec);
    oracle_release(&w->oracle);
    for (struct heap_node *top; (top = heap_top(&w->events));) {
        heap_remove(&w->events, top);
        free_event(container_of(top, struct sim_event, node));
    }
    heap_release(&w->events);
    sim_net_release(w);
    for (uint32_t i = 0; i < w->deployment_count; i++) {
        deployment_release(w->deployments[i]);
        mem_free(w->deployments[i]);
    }
}

/* --- phases --- */

static void verify_often(struct sim_world *w, struct sim_event *e)
{
    (void)e;
    sim_verify_always(w);
    sim_travellers_always(w);
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
        if (!sim_step(w))
            return false;
    }
    return false;
}

static void fail_unsettled(struct sim_world *w, const char *when)
{
    struct buffer why = { 0 };
    sim_verify_say_unsettled(w, &why);
    sim_fail(w, "not settled %d s after %s%.*s", SETTLE_MAX_US / 1000000, when, (int)why.len,
             (const char *)why.at);
    buffer_release(&why);
}

static bool all_sent(struct sim_world *w)
{
    return w->sent >= w->plan.steps;
}

static void settle(struct sim_world *w, bool (*done)(struct sim_world *w), const char *after)
{
    if (!w->failed && !run_until(w, done, w->plan.losses ? 2 * SETTLE_MAX_US : SETTLE_MAX_US))
        fail_unsettled(w, after);
}

/* All faults end; then those meet that never did; then every region is written to once more, and travelled
 * to. */
static void heal(struct sim_world *w)
{
    if (w->failed)
        return;
    sim_fault_end(w);
    if (sim_plan_parts(&w->plan)) {
        settle(w, sim_verify_relayed, "all faults ended but that some regions never meet");
        sim_fault_join(w);
    }
    settle(w, sim_verify_settled, "all faults ended");
    sim_reader_once_more(w);
    if (!w->failed && !run_until(w, sim_reader_done, WRITE_MAX_US))
        sim_fail(w, "some region takes no writes %d s after all is well", WRITE_MAX_US / 1000000);
    sim_travellers_once_more(w);
    if (!w->failed && !run_until(w, sim_travellers_done, TRAVEL_MAX_US))
        sim_fail(w, "some traveller has not been everywhere %d s after all is well",
                 TRAVEL_MAX_US / 1000000);
    sim_callers_once_more(w);
    if (!w->failed && !run_until(w, sim_callers_done, TRAVEL_MAX_US))
        sim_fail(w, "some caller is refused something %d s after all is well",
                 TRAVEL_MAX_US / 1000000);
    settle(w, sim_verify_settled, "the last writes");
    if (!w->failed && !run_until(w, sim_persons_done, ERASE_MAX_US))
        sim_persons_fail(w, ERASE_MAX_US / 1000000);
    if (!w->failed)
        sim_persons_judge(w);
    settle(w, sim_verify_settled, "everybody was erased who was to be");
}

/* Everything is known now: what GATHER says is measured by that. */
static void gather_all(struct sim_world *w)
{
    sim_callers_ask_all(w);
    if (!run_until(w, sim_callers_done, TRAVEL_MAX_US) && !w->failed)
        sim_fail(w, "some region is not asked by GATHER %d s after all is well",
                 TRAVEL_MAX_US / 1000000);
}

/* At last everything is put on disk, and looked at there. */
static void save_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_region *r = &w->regions[i];
        sim_turn_begin(w, r);
        r->save_number = checkpoint_ask(&r->node);
        sim_turn_end(w, r);
    }
    if (run_until(w, sim_verify_saved, SAVE_MAX_US))
        sim_verify_cold(w);
    else if (!w->failed)
        sim_fail(w, "some region has no checkpoint %d s after one was asked for",
                 SAVE_MAX_US / 1000000);
}

/* Both phases and all checks; see w->failed. */
static void run_world(struct sim_world *w)
{
    sim_fault_begin(w);
    sim_loss_begin(w);
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++)
        sim_region_start(w, &w->regions[i]);
    sim_travellers_start(w);
    sim_callers_start(w);
    sim_persons_start(w);
    verify_often(w, NULL);
    run_until(w, all_sent, CHAOS_MAX_US);
    heal(w);
    if (!w->failed)
        sim_verify_end(w);
    if (!w->failed)
        gather_all(w);
    if (!w->failed && !run_until(w, sim_verify_reclaimed, RECLAIM_MAX_US))
        sim_fail(w, "%d s later %s", RECLAIM_MAX_US / 1000000, w->left);
    if (!w->failed)
        save_all(w);
    if (!w->failed)
        sim_persons_judge(w);
    if (!w->failed)
        sim_secrets_kept(w);
    if (!w->failed)
        sim_secrets_found(w);
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
    *outcome = (struct sim_outcome){ .regions = plan.regions, .clients = plan.clients };
    sim_world_init(w, &plan, options, outcome);
    run_world(w);
    outcome->held = !w->failed;
    outcome->trace_hash = w->trace_hash;
    outcome->events = w->event_count;
    outcome->commands = w->answered;
    outcome->crashes = w->crashes;
    outcome->simulated_us = w->now_us - SIM_START_US;
    memcpy(outcome->reason, w->reason, sizeof(outcome->reason));
    snprintf(outcome->kind, sizeof(outcome->kind), "%s", w->kind ? w->kind : "");
    sim_world_release(w);
    mem_free(w);
}
