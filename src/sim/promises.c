/*
 * promises -- what the keyspaces of a seed's world promise, and who travels through it to see that kept.
 *
 * Half of the worlds have nobody who travels. What is drawn here comes last, and changes nothing in them.
 */
#include "base/check.h"
#include "sim/world.h"

/* --- keyspaces --- */

static struct write_level some_acks(struct prng *p)
{
    static const enum keyspace_acks ACKS[] = { KEYSPACE_ASYNC,  KEYSPACE_ASYNC,  KEYSPACE_SEMI_SYNC,
                                               KEYSPACE_QUORUM, KEYSPACE_QUORUM, KEYSPACE_SYNC };
    return (struct write_level){ ACKS[prng_below(p, COUNT_OF(ACKS))], 0 };
}

static struct read_level some_reads(struct prng *p)
{
    static const enum keyspace_reads READS[] = { KEYSPACE_READ_LOCAL,   KEYSPACE_READ_LOCAL,
                                                 KEYSPACE_READ_BOUNDED, KEYSPACE_READ_CAUSAL,
                                                 KEYSPACE_READ_CAUSAL,  KEYSPACE_READ_STRONG };
    enum keyspace_reads reads = READS[prng_below(p, COUNT_OF(READS))];
    uint32_t ms = (uint32_t)sim_between(p, 100, 1500);
    return (struct read_level){ reads, reads == KEYSPACE_READ_BOUNDED ? ms : 0 };
}

/* --- worlds that look at this --- */

/* Somewhat slower than others, so that there is time for things to be old; what is between regions is cut,
 * held up or lost, and little else happens. */
static void focus(struct sim_plan *plan, struct prng *p, bool fixed)
{
    if (!fixed)
        plan->steps = (uint32_t)sim_between(p, 60, 400);
    plan->pipeline = 1;
    plan->think_us = sim_between(p, 5000, 100000);
    plan->fault_every_us = sim_between(p, 50000, 500000);
    plan->fault_max_us = prng_percent(p, 70) ? sim_between(p, 100000, 2000000) : 6500000;
    for (int i = 0; i < SIM_FAULTS; i++)
        plan->faults[i] = prng_percent(p, 70) ? 0 : plan->faults[i] > 0;
    plan->faults[SIM_FAULT_CUT] = 3;
    plan->faults[SIM_FAULT_STALL] = prng_percent(p, 30) ? 0 : 3;
    plan->faults[SIM_FAULT_CRASH] = prng_percent(p, 50) ? 0 : 2;
    plan->faults[SIM_FAULT_CLOCK] = plan->faults[SIM_FAULT_LOSS] = 0;
    plan->travel_us = sim_between(p, 1000, 20000);
}

/* A photo goes from the first region to the others, and a comment on it from the second to the third, which
 * the first reaches late. */
static void slow_one_link(struct sim_plan *plan, struct prng *p)
{
    for (uint32_t a = 0; a < plan->regions; a++) {
        for (uint32_t b = 0; b < plan->regions; b++)
            plan->delay_us[a][b] = sim_between(p, 300, 3000);
    }
    plan->tail = 0;
    plan->window_bytes = 1 << 18;
    plan->delay_us[0][2] = plan->delay_us[2][0] = sim_between(p, 50000, 300000);
}

/* Two regions at least, and not all: who is outside must be let in nothing. */
static uint32_t some_members(const struct sim_plan *plan, struct prng *p)
{
    uint32_t first = (uint32_t)prng_below(p, plan->regions), members = 1u << first;
    uint32_t count = (uint32_t)sim_between(p, 2, plan->regions - 1);
    for (uint32_t i = 1; i < count; i++)
        members |= 1u << (first + i) % plan->regions;
    return members;
}

bool sim_plan_has_focus(const struct sim_plan *plan)
{
    return plan->losses || plan->bootstraps || plan->copies || plan->clock_wild_us != 0;
}

void sim_plan_promises(struct sim_plan *plan, struct prng p, bool fixed_steps, bool fixed_regions)
{
    bool alone = !sim_plan_has_focus(plan) && prng_percent(&p, 30);
    if ((!alone && !prng_percent(&p, plan->bootstraps ? 80 : 25)) ||
        plan->memory_keys != 0) /* a write may wait for memory as long as it likes */
        return;
    plan->travellers = (uint32_t)sim_between(&p, 2, SIM_CLIENTS_MAX);
    plan->travel_us = sim_between(&p, 500, 10000);
    for (uint32_t i = 0; i < POST_KEYSPACES; i++) {
        plan->keyspaces[i].acks = some_acks(&p);
        plan->keyspaces[i].reads = some_reads(&p);
        plan->keyspaces[i].timeout_ms = (uint32_t)sim_between(&p, 20,
                                                              prng_percent(&p, 50) ? 300 : 2000);
    }
    if (alone)
        focus(plan, &p, fixed_steps);
    if (alone && !fixed_regions && plan->regions < 3 && prng_percent(&p, 70))
        plan->regions = (uint32_t)sim_between(&p, 3, 5);
    if (plan->regions >= 3 && prng_percent(&p, 30))
        slow_one_link(plan, &p);
    bool fenced = prng_percent(&p, plan->bootstraps ? 90 : 60);
    if (fenced && plan->regions >= 3 && !plan->losses && !sim_plan_parts(plan))
        plan->fence = some_members(plan, &p);
    if (plan->fence != 0 && prng_percent(&p, 60)) /* so that other members answer */
        plan->keyspaces[0].reads = (struct read_level){ KEYSPACE_READ_BOUNDED, 100 };
    plan->audit_us = prng_percent(&p, 70) ? plan->sync_us : sim_between(&p, 20000, 300000);
    plan->audit_fails = prng_percent(&p, 60) ? 0 : prng_percent(&p, 50) ? 50000 : 400000;
}

void sim_plan_print_promises(const struct sim_plan *plan, FILE *to)
{
    struct buffer text = { 0 };
    if (plan->travellers == 0)
        return;
    fprintf(to, "plan: %u travellers, every %llu us", plan->travellers,
            (unsigned long long)plan->travel_us);
    for (uint32_t i = 0; i < POST_KEYSPACES; i++) {
        buffer_printf(&text, "; k%u: acks ", i);
        write_level_put(&text, plan->keyspaces[i].acks);
        buffer_put_text(&text, " reads ");
        read_level_put(&text, plan->keyspaces[i].reads);
        buffer_printf(&text, " in %u ms", plan->keyspaces[i].timeout_ms);
    }
    fprintf(to, "%.*s; fence", (int)text.len, (const char *)text.at);
    for (uint32_t i = 0; i < plan->regions; i++) {
        if (plan->fence >> i & 1)
            fprintf(to, " r%u", i + 1);
    }
    fprintf(to, "; its audit is written in %llu us, or not, %u ppm\n",
            (unsigned long long)plan->audit_us, plan->audit_fails);
    buffer_release(&text);
}
