#include "host/config_topology.h"

#include "host/config_regions.h"

static const struct schema_choice TOPOLOGIES[] = {
    { .word = "mesh", .value = TOPOLOGY_MESH },
    { .word = "ring", .value = TOPOLOGY_RING },
    { .word = "star", .value = TOPOLOGY_STAR },
    { .word = "chain", .value = TOPOLOGY_CHAIN },
    { .word = "hierarchy", .value = TOPOLOGY_HIERARCHY },
    { .word = "auto", .value = TOPOLOGY_AUTO },
    { .word = NULL },
};

static void read_centre(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    (void)f;
    struct deployment *d = to;
    const struct region *region = NULL;
    if (schema_is(r, node, YAMLTREE_TEXT, "the name of a region"))
        region = config_find_region(r, d, node->line, node->text);
    if (region)
        d->centre = region->id;
}

static const struct schema_field TOPOLOGY[] = {
    { .name = "kind",
      .read = schema_read_choice,
      .offset = offsetof(struct deployment, topology),
      .required = true,
      .choices = TOPOLOGIES },
    { .name = "centre", .read = read_centre },
    { .name = NULL },
};

/* Whether the topology is a known one: what goes with it is judged only then. */
static bool is_settled(const struct yamltree *topology)
{
    const struct yamltree *word = topology;
    if (topology && topology->kind == YAMLTREE_MAP)
        word = yamltree_find(topology, "kind");
    for (const struct schema_choice *c = TOPOLOGIES; word && word->text && c->word; c++) {
        if (strcmp(c->word, word->text) == 0)
            return true;
    }
    return topology == NULL;
}

void config_read_topology(struct schema_reader *r, const struct schema_field *f,
                          const struct yamltree *node, void *to)
{
    struct deployment *d = to;
    if (node->kind != YAMLTREE_MAP) {
        struct schema_field word = *f;
        word.choices = TOPOLOGIES;
        schema_read_choice(r, &word, node, &d->topology);
        return;
    }
    schema_read_fields(r, TOPOLOGY, node, d);
    const struct yamltree *centre = yamltree_find(node, "centre");
    if (centre && is_settled(node) && d->topology != TOPOLOGY_STAR) {
        size_t outer = schema_enter(r, ".centre");
        schema_problem(r, centre->line, "a centre is only used with kind: star");
        schema_leave(r, outer);
    }
}

/* Parents */

void config_judge_parent(struct schema_reader *r, const struct schema_field *f,
                         const struct yamltree *node, void *to)
{
    (void)f;
    (void)to;
    if (schema_is(r, node, YAMLTREE_TEXT, "the name of a region") && node->text[0] == '\0')
        schema_problem(r, node->line, "expected the name of a region, got nothing");
}

static const struct region *parent_of(const struct deployment *d, const struct region *region)
{
    return region->parent > 0 ? deployment_region_with_id(d, region->parent) : NULL;
}

/* Whether who goes up from a region comes back to it. */
static bool goes_round(const struct deployment *d, const struct region *region)
{
    const struct region *up = parent_of(d, region);
    for (size_t steps = 0; up && up != region && steps < d->region_count; steps++)
        up = parent_of(d, up);
    return up == region;
}

typedef void (*parent_step)(struct schema_reader *r, const struct yamltree *parent,
                            struct deployment *d, struct region *region);

static void refuse_parent(struct schema_reader *r, const struct yamltree *parent,
                          struct deployment *d, struct region *region)
{
    (void)d;
    (void)region;
    schema_problem(r, parent->line, "a parent is only used with topology: hierarchy");
}

static void find_parent(struct schema_reader *r, const struct yamltree *parent,
                        struct deployment *d, struct region *region)
{
    const struct region *found = config_find_region(r, d, parent->line, parent->text);
    if (found)
        region->parent = found->id;
}

/* A circle is told of each region on it, so that it can be seen whole. */
static void refuse_circle(struct schema_reader *r, const struct yamltree *parent,
                          struct deployment *d, struct region *region)
{
    if (!goes_round(d, region))
        return;
    if (parent_of(d, region) == region)
        schema_problem(r, parent->line, "a region cannot be its own parent");
    else
        schema_problem(r, parent->line, "%s stands below this region itself", parent->text);
}

static void each_parent(struct schema_reader *r, const struct yamltree *regions,
                        struct deployment *d, parent_step step)
{
    size_t place = 0;
    for (const struct yamltree *item = regions->first; item; item = item->next, place++) {
        const struct yamltree *parent = item->kind == YAMLTREE_MAP ? yamltree_find(item, "parent")
                                                                   : NULL;
        if (!parent || parent->kind != YAMLTREE_TEXT || parent->text[0] == '\0')
            continue;
        size_t outer = schema_enter(r, "regions[%zu].parent", place);
        step(r, parent, d, &d->regions[place]);
        schema_leave(r, outer);
    }
}

void config_read_parents(struct schema_reader *r, const struct yamltree *file, struct deployment *d)
{
    const struct yamltree *regions = file->kind == YAMLTREE_MAP ? yamltree_find(file, "regions")
                                                                : NULL;
    if (!regions || regions->kind != YAMLTREE_LIST)
        return;
    each_parent(r, regions, d, find_parent);
    if (d->topology == TOPOLOGY_HIERARCHY)
        each_parent(r, regions, d, refuse_circle);
    else if (is_settled(yamltree_find(file, "topology")))
        each_parent(r, regions, d, refuse_parent);
}
