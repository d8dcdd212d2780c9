/*
 * shape -- along which links writes flow in a seed's world.
 *
 * Half of the worlds are a mesh, those of two regions among them. What is drawn here comes after everything
 * else, and changes nothing in them.
 */
#include "base/check.h"
#include "sim/world.h"

static const char *const NAMES[] = {
    [TOPOLOGY_MESH] = "mesh",   [TOPOLOGY_RING] = "ring",           [TOPOLOGY_STAR] = "star",
    [TOPOLOGY_CHAIN] = "chain", [TOPOLOGY_HIERARCHY] = "hierarchy", [TOPOLOGY_AUTO] = "auto",
};

/* Each has a parent among those before it, or none; the first never has one. */
static void draw_parents(struct sim_plan *plan, struct prng *p)
{
    for (uint32_t i = 1; i < plan->regions; i++)
        plan->parent[i] = prng_percent(p, 30) ? 0 : 1 + (uint32_t)prng_below(p, i);
}

void sim_plan_shape(struct sim_plan *plan, struct prng p)
{
    static const enum topology OTHERS[] = { TOPOLOGY_RING, TOPOLOGY_STAR, TOPOLOGY_CHAIN,
                                            TOPOLOGY_HIERARCHY, TOPOLOGY_AUTO };
    bool mesh = prng_percent(&p, 30);
    enum topology other = OTHERS[prng_below(&p, COUNT_OF(OTHERS))];
    if (mesh || plan->regions < 3)
        return;
    plan->topology = other;
    if (other == TOPOLOGY_STAR)
        plan->centre = (uint32_t)prng_below(&p, plan->regions + 1);
    if (other == TOPOLOGY_HIERARCHY)
        draw_parents(plan, &p);
}

void sim_plan_print_shape(const struct sim_plan *plan, FILE *to)
{
    fprintf(to, "plan: %s", NAMES[plan->topology]);
    if (plan->centre != 0)
        fprintf(to, " around r%u", plan->centre);
    for (uint32_t i = 0; i < plan->regions; i++) {
        if (plan->parent[i] != 0)
            fprintf(to, ", r%u below r%u", i + 1, plan->parent[i]);
    }
    fprintf(to, "\n");
}

void sim_shape_configure(const struct sim_world *w, struct deployment *d)
{
    d->topology = w->plan.topology;
    if (w->plan.centre != 0)
        d->centre = w->ids[w->plan.centre - 1];
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        if (w->plan.parent[i] != 0)
            d->regions[i].parent = w->ids[w->plan.parent[i] - 1];
    }
}
