/*
 * quiet -- a world that is moved by hand.
 */
#include "sim/quiet.h"

#include "base/check.h"
#include "base/memory.h"
#include "sim/answer.h"

enum {
    PATIENCE_US = 60 * 1000 * 1000,
    LINKED_US = 2 * 1000 * 1000,
    SKEW_MAX_MS = 60 * 1000, /* host/config.c: half of it is what clocks may be off */
    CUT = 1,                 /* the number of the one fault there is */
    /* Nobody is bootstrapped: a restart by itself would take clients' sessions. */
    RETAIN_BYTES = 1 << 30,
};

/* --- the world --- */

static uint64_t between(struct prng *p, uint64_t low, uint64_t high)
{
    return low + prng_below(p, high - low + 1);
}

static void plan_delays(struct sim_plan *plan, struct prng *p)
{
    static const uint64_t LONGEST_US[] = { 300, 20000, 80000 };
    uint64_t longest_us = LONGEST_US[prng_below(p, COUNT_OF(LONGEST_US))];
    for (uint32_t a = 0; a < plan->regions; a++) {
        for (uint32_t b = 0; b <= a; b++)
            plan->delay_us[a][b] = plan->delay_us[b][a] = between(p, longest_us / 10, longest_us);
    }
    plan->jitter = prng_chance(p, 500000) ? 0 : 500000;
    plan->tail = prng_chance(p, 500000) ? 0 : 100000;
    plan->piece_bytes = prng_chance(p, 500000) ? 1 << 16 : 1000;
    plan->window_bytes = 1 << 18;
}

/* The disk is quick: a thousand commands, one after the other, are a few seconds. */
static void plan_disk(struct sim_plan *plan, struct prng *p, bool everysec)
{
    plan->fsync = everysec || prng_chance(p, 500000) ? FSYNC_EVERYSEC : FSYNC_ALWAYS;
    plan->write_us = between(p, 5, 50);
    plan->sync_us = between(p, 200, 1000);
    plan->segment_bytes = prng_chance(p, 500000) ? 1 << 20 : 20000;
    plan->park_max_bytes = 1 << 20;
    plan->linger = prng_chance(p, 500000) ? 0 : 200000;
}

static void plan_clocks(struct sim_plan *plan, struct prng *p, const struct quiet_options *o)
{
    plan->clock_range_us = o->clocks_right ? 0 : 50000;
    for (uint32_t i = 0; i < plan->regions; i++) {
        plan->clock_offset_us[i] = sim_clock_offset(p, plan->clock_range_us) + o->clock_us[i];
        if (o->clock_us[i] != 0)
            plan->clock_wild_us = INT64_MAX; /* notices of clocks are in order */
    }
}

static void add_keyspaces(struct deployment *d)
{
    static const struct {
        const char *prefix;
        enum keyspace_streams streams;
        enum keyspace_conflict conflict;
    } KEYSPACES[] = {
        { "closed:", KEYSPACE_STREAMS_CLOSED, KEYSPACE_LWW },
        { "siblings:", KEYSPACE_STREAMS_LATEST, KEYSPACE_SIBLINGS },
    };
    for (size_t i = 0; i < COUNT_OF(KEYSPACES); i++) {
        struct keyspace *k = deployment_add_keyspace(d);
        size_t bytes = strlen(KEYSPACES[i].prefix);
        k->prefix = memcpy(mem_alloc(bytes + 1), KEYSPACES[i].prefix, bytes + 1);
        k->prefix_bytes = bytes;
        k->promises.streams = KEYSPACES[i].streams;
        k->promises.conflict = KEYSPACES[i].conflict;
    }
    deployment_finish(d);
}

/* As far as a configuration may. */
static void allow_for_clocks(struct deployment *d, const struct quiet_options *o)
{
    for (uint32_t i = 0; i < QUIET_REGIONS; i++) {
        if (o->clock_us[i] != 0)
            d->max_skew_ms = SKEW_MAX_MS;
    }
}

void quiet_open(struct quiet *q, const struct quiet_options *options)
{
    struct sim_options with = { .seed = options->seed };
    struct sim_plan plan = { .regions = QUIET_REGIONS };
    struct sim_world *w = &q->world;
    *q = (struct quiet){ 0 };
    prng_seed(&q->prng, options->seed);
    plan_delays(&plan, &q->prng);
    plan_disk(&plan, &q->prng, options->everysec);
    plan_clocks(&plan, &q->prng, options);
    sim_plan_store(&plan, prng_split(&q->prng));
    plan.retain_bytes = RETAIN_BYTES;
    plan.memory_keys = 0; /* nothing waits for memory, */
    plan.cache = NULL;    /* and nothing is dropped */
    sim_world_init(w, &plan, &with, &q->outcome);
    add_keyspaces(w->deployment);
    allow_for_clocks(w->deployment, options);
    for (uint32_t i = 0; i < QUIET_REGIONS; i++)
        sim_clock_set(w, &w->regions[i], plan.clock_offset_us[i]);
    for (uint32_t i = 0; i < QUIET_REGIONS; i++)
        sim_region_start(w, &w->regions[i]);
    quiet_run_for(q, LINKED_US);
}

void quiet_close(struct quiet *q)
{
    sim_world_release(&q->world);
    for (size_t i = 0; i < q->count; i++) {
        buffer_release(&q->clients[i]->answers);
        mem_free(q->clients[i]);
    }
    mem_free(q->clients);
}

/* --- time --- */

void quiet_run_for(struct quiet *q, uint64_t us)
{
    uint64_t end_us = q->world.now_us + us;
    while (q->world.now_us < end_us && sim_step(&q->world))
        continue;
}

static bool is_durable(const struct sim_region *r)
{
    return r->node.replica.log_durable == r->node.replica.log_end;
}

void quiet_await_durable(struct quiet *q, uint32_t region)
{
    const struct sim_region *r = &q->world.regions[region];
    uint64_t end_us = q->world.now_us + PATIENCE_US;
    while (!is_durable(r) && q->world.now_us < end_us && sim_step(&q->world))
        continue;
    if (!is_durable(r))
        sim_fail(&q->world, "region %u does not become durable", region + 1);
}

void quiet_settle(struct quiet *q)
{
    struct sim_world *w = &q->world;
    uint64_t end_us = w->now_us + PATIENCE_US;
    while (!sim_verify_settled(w) && w->now_us < end_us && sim_step(w))
        continue;
    if (!w->failed && !sim_verify_settled(w)) {
        struct buffer why = { 0 };
        sim_verify_say_unsettled(w, &why);
        sim_fail(w, "not settled%.*s", (int)why.len, (const char *)why.at);
        buffer_release(&why);
    }
    sim_verify_always(w);
}

/* --- clients --- */

struct sim_client *quiet_client(struct quiet *q, uint32_t region)
{
    struct sim_client *c = mem_zalloc(sizeof(*c));
    c->region = region;
    c->by_hand = true;
    q->clients = mem_realloc(q->clients, (q->count + 1) * sizeof(q->clients[0]));
    q->clients[q->count++] = c;
    return c;
}

void quiet_send(struct quiet *q, struct sim_client *c, struct span resp)
{
    struct sim_region *r = &q->world.regions[c->region];
    CHECK(r->up);
    sim_turn_begin(&q->world, r);
    if (!c->session)
        c->session = node_session_open(&r->node, c, "sim", "sim");
    node_session_input(&r->node, c->session, resp);
    sim_turn_end(&q->world, r);
}

struct span quiet_reply(const struct sim_client *c)
{
    ptrdiff_t len = answer_length(buffer_span(&c->answers));
    CHECK(len >= 0);
    return span_of(c->answers.at, (size_t)len);
}

struct span quiet_await(struct quiet *q, struct sim_client *c)
{
    struct sim_region *r = &q->world.regions[c->region];
    uint64_t end_us = q->world.now_us + PATIENCE_US;
    while (quiet_reply(c).len == 0 && q->world.now_us < end_us && sim_step(&q->world))
        continue;
    if (quiet_reply(c).len == 0)
        sim_fail(&q->world, "region %u does not answer", c->region + 1);
    else if (q->world.plan.fsync == FSYNC_ALWAYS && c->session->last_write > r->acknowledged)
        r->acknowledged = c->session->last_write;
    return quiet_reply(c);
}

void quiet_taken(struct sim_client *c, struct span reply)
{
    buffer_consume(&c->answers, reply.len);
}

static void forget_session(struct sim_client *c)
{
    c->session = NULL;
    buffer_clear(&c->answers);
}

void quiet_hang_up(struct quiet *q, struct sim_client *c)
{
    struct sim_region *r = &q->world.regions[c->region];
    if (!c->session)
        return;
    sim_turn_begin(&q->world, r);
    node_session_close(&r->node, c->session);
    sim_turn_end(&q->world, r);
    forget_session(c);
}

/* --- what goes wrong --- */

static void set_all_ways(struct quiet *q, uint32_t broken)
{
    for (uint32_t a = 0; a < QUIET_REGIONS; a++) {
        for (uint32_t b = 0; b < QUIET_REGIONS; b++)
            q->world.ways[a][b].broken = broken;
    }
}

void quiet_cut(struct quiet *q)
{
    set_all_ways(q, CUT);
    for (uint32_t a = 0; a < QUIET_REGIONS; a++) {
        for (uint32_t b = 0; b < QUIET_REGIONS; b++)
            sim_net_reset(&q->world, a, b);
    }
}

void quiet_heal(struct quiet *q)
{
    set_all_ways(q, 0);
}

void quiet_crash(struct quiet *q, uint32_t region)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->clients[i]->region == region)
            forget_session(q->clients[i]);
    }
    sim_region_crash(&q->world, &q->world.regions[region], &q->prng);
}

void quiet_start(struct quiet *q, uint32_t region)
{
    if (!sim_region_start(&q->world, &q->world.regions[region]))
        sim_fail(&q->world, "region %u does not start", region + 1);
}
