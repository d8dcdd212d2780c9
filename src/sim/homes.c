/*
 * homes -- keyspaces whose keys one region writes at a time, and one whose writers wait for readers: what
 * a seed's world has of them.
 *
 * Two worlds of three have none. What is drawn here comes last, and changes nothing in them.
 */
#include "base/bits.h"
#include "base/check.h"
#include "sim/world.h"

const char *const sim_call_prefixes[CALL_SPACES] = {
    [CALL_PRIMARY] = "p:",
    [CALL_TAG] = "t:",
    [CALL_HASH] = "h:",
    [CALL_DIRECTORY] = "d:",
};

static struct sim_keyspace some_promise(struct prng *p)
{
    static const enum keyspace_acks ACKS[] = { KEYSPACE_ASYNC, KEYSPACE_ASYNC, KEYSPACE_SEMI_SYNC,
                                               KEYSPACE_QUORUM, KEYSPACE_SYNC };
    static const enum keyspace_reads READS[] = { KEYSPACE_READ_LOCAL, KEYSPACE_READ_LOCAL,
                                                 KEYSPACE_READ_CAUSAL, KEYSPACE_READ_STRONG };
    return (struct sim_keyspace){
        .acks = { ACKS[prng_below(p, COUNT_OF(ACKS))], 0 },
        .reads = { READS[prng_below(p, COUNT_OF(READS))], 0 },
        .timeout_ms = (uint32_t)sim_between(p, 20, prng_percent(p, 50) ? 300 : 2000),
    };
}

/* Somebody falls behind now and then, and others would write on. */
static void look_at_lag(struct sim_plan *plan, struct prng *p, bool fixed_steps)
{
    struct call_plan *c = &plan->calls;
    c->about_lag = true;
    c->callers = SIM_CLIENTS_MAX;
    c->every_us = sim_between(p, 5000, 20000);
    c->max_lag_ms = (uint32_t)sim_between(p, 300, 800);
    plan->clients = 1;
    plan->pipeline = 1;
    plan->think_us = 100000;
    if (!fixed_steps)
        plan->steps = plan->regions * (uint32_t)sim_between(p, 50, 80); /* six seconds and more */
    plan->fault_every_us = sim_between(p, 300000, 1000000);
    plan->fault_max_us = 3000000;
    for (int i = 0; i < SIM_FAULTS; i++)
        plan->faults[i] = plan->faults[i] > 0;
    plan->faults[SIM_FAULT_STALL] = 5;
    plan->faults[SIM_FAULT_CUT] = 5;
}

/* Where a directory is lost, nobody knows what clients must be told; where memory is short, writes wait
 * for it as long as they like. */
void sim_plan_homes(struct sim_plan *plan, struct prng p, bool fixed_steps)
{
    struct call_plan *c = &plan->calls;
    if (!prng_percent(&p, 35) || plan->losses || plan->memory_keys != 0)
        return;
    c->callers = (uint32_t)sim_between(&p, 1, SIM_CLIENTS_MAX);
    c->every_us = sim_between(&p, 1000, 20000) + plan->think_us / 10;
    c->first = (uint32_t)prng_below(&p, plan->regions);
    for (uint32_t i = 0; i < plan->regions; i++)
        c->readers |= (uint32_t)(i != c->first && prng_percent(&p, 20)) << i;
    for (uint32_t i = 0; i < CALL_SPACES; i++) {
        c->redirects[i] = prng_percent(&p, 15);
        c->promises[i] = some_promise(&p);
    }
    c->max_lag_ms = prng_percent(&p, 40) ? 0 : (uint32_t)sim_between(&p, 300, 2000);
    c->refuses = prng_percent(&p, 50);
    if (prng_percent(&p, 25) && plan->regions <= 4 && !sim_plan_has_focus(plan))
        look_at_lag(plan, &p, fixed_steps);
}

void sim_plan_print_homes(const struct sim_plan *plan, FILE *to)
{
    const struct call_plan *c = &plan->calls;
    struct buffer text = { 0 };
    if (c->callers == 0)
        return;
    fprintf(to, "plan: %u callers, every %llu us; r%u is the writer", c->callers,
            (unsigned long long)c->every_us, c->first + 1);
    for (uint32_t i = 0; i < plan->regions; i++) {
        if (c->readers >> i & 1)
            fprintf(to, ", r%u only reads", i + 1);
    }
    for (uint32_t i = 0; i < CALL_SPACES; i++) {
        buffer_printf(&text, "; %s acks ", sim_call_prefixes[i]);
        write_level_put(&text, c->promises[i].acks);
        buffer_put_text(&text, " reads ");
        read_level_put(&text, c->promises[i].reads);
        buffer_printf(&text, " in %u ms%s", c->promises[i].timeout_ms,
                      c->redirects[i] ? ", redirects" : "");
    }
    fprintf(to, "%.*s; max_lag %u ms, then %s%s\n", (int)text.len, (const char *)text.at,
            c->max_lag_ms, c->refuses ? "refuse" : "slow",
            c->about_lag ? ", which is looked at" : "");
    buffer_release(&text);
}

/* --- which region --- */

bool sim_is_home(const struct sim_plan *plan, enum call_space space, uint32_t region)
{
    return space == CALL_PRIMARY ? region == plan->calls.first
                                 : !(plan->calls.readers >> region & 1);
}

uint32_t sim_home_named(const struct sim_plan *plan, uint32_t tag)
{
    uint32_t region = (plan->calls.first + tag) % plan->regions;
    while (!sim_is_home(plan, CALL_TAG, region))
        region = (region + 1) % plan->regions;
    return region;
}

uint32_t sim_call_tag(const struct sim_plan *plan, enum call_space space, uint32_t tag)
{
    uint32_t same = 0;
    while (space == CALL_TAG && sim_home_named(plan, same) != sim_home_named(plan, tag))
        same++;
    return space == CALL_TAG ? same : tag;
}

/* --- the configuration --- */

static void add_space(const struct sim_world *w, struct deployment *d, enum call_space space)
{
    static const enum keyspace_homes HOMES[] = { [CALL_TAG] = KEYSPACE_HOMES_TAG,
                                                 [CALL_HASH] = KEYSPACE_HOMES_HASH,
                                                 [CALL_DIRECTORY] = KEYSPACE_HOMES_DIRECTORY };
    const struct call_plan *c = &w->plan.calls;
    struct keyspace *k = sim_add_keyspace(d, sim_call_prefixes[space]);
    k->promises.acks = c->promises[space].acks;
    k->promises.reads = c->promises[space].reads;
    k->promises.ack_timeout_ms = c->promises[space].timeout_ms;
    k->promises.elsewhere = c->redirects[space] ? KEYSPACE_REDIRECT : KEYSPACE_FORWARD;
    if (space == CALL_PRIMARY) {
        k->mode = KEYSPACE_PRIMARY;
        k->writer = w->ids[c->first];
        return;
    }
    k->mode = KEYSPACE_PARTITIONED;
    k->homes = HOMES[space];
    if (space == CALL_DIRECTORY)
        k->directory = sim_text_of("dir:");
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (c->readers >> i & 1)
            bits_add(k->readers, w->ids[i]);
    }
}

void sim_homes_configure(const struct sim_world *w, struct deployment *d)
{
    const struct call_plan *c = &w->plan.calls;
    if (c->callers == 0)
        return;
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        snprintf(d->regions[i].clients.host, sizeof(d->regions[i].clients.host), "r%u", i + 1);
        d->regions[i].clients.port = 1;
    }
    for (uint32_t i = 0; i < CALL_SPACES; i++)
        add_space(w, d, (enum call_space)i);
    sim_add_keyspace(d, "dir:"); /* no cache holds it */
    struct keyspace *lag = sim_add_keyspace(d, "lag:");
    lag->promises.max_lag_ms = c->max_lag_ms;
    lag->promises.then = c->refuses ? KEYSPACE_REFUSE_WRITES : KEYSPACE_SLOW;
}
