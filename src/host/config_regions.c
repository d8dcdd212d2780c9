/*
 * config_regions -- where regions lie and are reached, and that no two are mistaken for each other.
 */
#include "host/config_regions.h"

#include <math.h>

#include "base/check.h"
#include "base/memory.h"
#include "host/config_topology.h"
#include "host/endpoint.h"
#include "host/suggest.h"

static void read_endpoint(struct schema_reader *r, const struct schema_field *f,
                          const struct yamltree *node, void *to)
{
    (void)f;
    if (!schema_is(r, node, YAMLTREE_TEXT, "HOST:PORT"))
        return;
    const char *problem = endpoint_parse(node->text, to);
    if (problem)
        schema_problem(r, node->line, "\"%s\" %s", node->text, problem);
}

static bool read_degrees(struct schema_reader *r, const struct yamltree *node, const char *what,
                         double limit, double *degrees)
{
    if (!schema_is(r, node, YAMLTREE_TEXT, "degrees"))
        return false;
    if (!span_to_double(span_str(node->text), degrees) || !isfinite(*degrees)) {
        schema_problem(r, node->line, "expected degrees, got \"%s\"", node->text);
        return false;
    }
    if (fabs(*degrees) > limit) {
        schema_problem(r, node->line, "%s %s is out of range -%g..%g", what, node->text, limit,
                       limit);
        return false;
    }
    return true;
}

static void read_location(struct schema_reader *r, const struct schema_field *f,
                          const struct yamltree *node, void *to)
{
    (void)f;
    struct region *region = to;
    if (!schema_is(r, node, YAMLTREE_LIST, "[latitude, longitude]"))
        return;
    const struct yamltree *latitude = node->first;
    const struct yamltree *longitude = latitude ? latitude->next : NULL;
    if (!longitude || longitude->next) {
        schema_problem(r, node->line, "expected [latitude, longitude]");
        return;
    }
    bool north = read_degrees(r, latitude, "latitude", 90, &region->latitude);
    bool east = read_degrees(r, longitude, "longitude", 180, &region->longitude);
    region->located = north && east;
}

/* Whether the name is in the time zone database is for the host to find out when it is used; here
 * it must look like one. */
static void read_timezone(struct schema_reader *r, const struct schema_field *f,
                          const struct yamltree *node, void *to)
{
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/";
    if (node->kind == YAMLTREE_TEXT && strspn(node->text, LETTERS) != strlen(node->text))
        schema_problem(r, node->line,
                       "\"%s\" is not the name of a time zone, such as Europe/Berlin", node->text);
    else
        schema_read_text(r, f, node, to);
}

static void read_jurisdictions(struct schema_reader *r, const struct schema_field *f,
                               const struct yamltree *node, void *to)
{
    struct region *region = to;
    if (!schema_is(r, node, YAMLTREE_LIST, "a list of names"))
        return;
    for (const struct yamltree *item = node->first; item; item = item->next) {
        char *name = NULL;
        schema_read_name(r, f, item, &name);
        if (!name)
            continue;
        region->jurisdictions = mem_realloc(region->jurisdictions,
                                            (region->jurisdiction_count + 1) * sizeof(char *));
        region->jurisdictions[region->jurisdiction_count++] = name;
    }
}

static void read_id(struct schema_reader *r, const struct schema_field *f,
                    const struct yamltree *node, void *to)
{
    uint32_t id = 0;
    schema_read_u32(r, f, node, &id);
    *(uint8_t *)to = (uint8_t)id;
}

static const struct schema_field REGION[] = {
    { .name = "name",
      .read = schema_read_name,
      .offset = offsetof(struct region, name),
      .required = true },
    { .name = "id",
      .read = read_id,
      .offset = offsetof(struct region, id),
      .low = 1,
      .high = REGION_ID_MAX },
    { .name = "city", .read = schema_read_text, .offset = offsetof(struct region, city) },
    { .name = "location", .read = read_location },
    { .name = "timezone", .read = read_timezone, .offset = offsetof(struct region, timezone) },
    { .name = "jurisdiction", .read = read_jurisdictions },
    { .name = "parent", .read = config_judge_parent },
    { .name = "clients",
      .read = read_endpoint,
      .offset = offsetof(struct region, clients),
      .required = true },
    { .name = "peers", .read = read_endpoint, .offset = offsetof(struct region, peers) },
    { .name = "http", .read = read_endpoint, .offset = offsetof(struct region, http) },
    { .name = NULL },
};

/* What regions may not share */

static int line_of(const struct yamltree *region, const char *field)
{
    const struct yamltree *child = yamltree_find(region, field);
    return child ? child->line : region->line;
}

static void check_identity(struct schema_reader *r, const struct deployment *d,
                           const struct yamltree *node, const struct region *region)
{
    if (region->name && deployment_region_named(d, region->name) != region)
        schema_problem(r, line_of(node, "name"), "there is already a region named \"%s\"",
                       region->name);

    const struct region *owner = region->id > 0 ? deployment_region_with_id(d, region->id) : region;
    const char *owner_name = owner->name ? owner->name : "an earlier region";
    if (owner != region && yamltree_find(node, "id"))
        schema_problem(r, line_of(node, "id"), "id %d is already that of %s", region->id,
                       owner_name);
    else if (owner != region)
        schema_problem(r, node->line,
                       "id %d, its place in the list, is already that of %s; give it another id",
                       region->id, owner_name);
}

static const char *const ENDPOINT_NAMES[] = { "clients", "peers", "http" };

static const struct endpoint *endpoint_at(const struct region *region, size_t i)
{
    const struct endpoint *const endpoints[] = { &region->clients, &region->peers, &region->http };
    return endpoints[i];
}

/* Regions whose peers dial one host share its machine, a demo world for example, and so its ports.
 */
static bool on_one_machine(const struct region *a, const struct region *b)
{
    bool dialled = a->peers.port > 0 && !endpoint_is_wildcard(&a->peers);
    return a == b || (dialled && strcmp(a->peers.host, b->peers.host) == 0);
}

static void check_addresses(struct schema_reader *r, const struct yamltree *node,
                            const struct region *region, const struct region *earlier)
{
    bool same_machine = on_one_machine(region, earlier);
    for (size_t mine = 0; mine < COUNT_OF(ENDPOINT_NAMES); mine++) {
        for (size_t theirs = 0; theirs < (region == earlier ? mine : COUNT_OF(ENDPOINT_NAMES));
             theirs++) {
            const struct endpoint *address = endpoint_at(region, mine);
            if (!endpoint_clash(address, endpoint_at(earlier, theirs), same_machine))
                continue;
            char text[ENDPOINT_TEXT_MAX];
            schema_problem(r, line_of(node, ENDPOINT_NAMES[mine]),
                           "%s %s is already the %s address of %s", ENDPOINT_NAMES[mine],
                           endpoint_text(address, text), ENDPOINT_NAMES[theirs],
                           region == earlier ? "this region"
                           : earlier->name   ? earlier->name
                                             : "an earlier region");
        }
    }
}

static void read_region(struct schema_reader *r, const struct yamltree *node, struct deployment *d)
{
    struct region *region = deployment_add_region(d);
    schema_read_fields(r, REGION, node, region);
    if (!region->city)
        region->city = schema_copy("");
    if (!region->timezone)
        region->timezone = schema_copy("UTC");
    if (node->kind != YAMLTREE_MAP)
        return;
    if (!yamltree_find(node, "id") && d->region_count <= REGION_ID_MAX)
        region->id = (uint8_t)d->region_count;
    check_identity(r, d, node, region);
    for (const struct region *earlier = d->regions; earlier <= region; earlier++)
        check_addresses(r, node, region, earlier);
}

static void check_peers(struct schema_reader *r, const struct yamltree *list)
{
    int i = 0;
    for (const struct yamltree *item = list->first; item; item = item->next) {
        size_t outer = schema_enter(r, "[%d]", i++);
        if (item->kind == YAMLTREE_MAP && !yamltree_find(item, "peers"))
            schema_problem(
                r, item->line,
                "missing required field \"peers\": the address that the other regions dial");
        schema_leave(r, outer);
    }
}

void config_read_regions(struct schema_reader *r, const struct schema_field *f,
                         const struct yamltree *node, void *to)
{
    (void)f;
    struct deployment *d = to;
    if (!schema_is(r, node, YAMLTREE_LIST, "a list of regions"))
        return;
    int i = 0;
    for (const struct yamltree *item = node->first; item; item = item->next) {
        size_t outer = schema_enter(r, "[%d]", i++);
        read_region(r, item, d);
        schema_leave(r, outer);
    }
    if (d->region_count == 0)
        schema_problem(r, node->line, "a deployment needs at least one region");
    if (d->region_count > REGION_ID_MAX)
        schema_problem(r, node->line, "%zu regions are too many (at most %d)", d->region_count,
                       REGION_ID_MAX);
    if (d->region_count > 1)
        check_peers(r, node);
}

/* A number that a region gave up is in stamps for ever: nobody may have it again. */
static void read_closed_number(struct schema_reader *r, const struct yamltree *item,
                               struct deployment *d)
{
    int64_t number;
    if (!schema_is(r, item, YAMLTREE_TEXT, "the number of a region that was given up") ||
        !schema_whole(r, item->line, item->text, 1, REGION_ID_MAX, &number))
        return;
    const struct region *owner = deployment_region_with_id(d, (uint8_t)number);
    if (owner)
        schema_problem(r, item->line,
                       "%s is the id of %s: a number that was given up is never used again; give "
                       "that region another id",
                       item->text, owner->name ? owner->name : "a region");
    else if (deployment_closes(d, (uint8_t)number))
        schema_problem(r, item->line, "%s is listed twice", item->text);
    else
        deployment_close(d, (uint8_t)number);
}

void config_read_closed(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to)
{
    (void)f;
    if (!schema_is(r, node, YAMLTREE_LIST, "a list of numbers"))
        return;
    for (const struct yamltree *item = node->first; item; item = item->next)
        read_closed_number(r, item, to);
}

const struct region *config_find_region(struct schema_reader *r, const struct deployment *d,
                                        int line, const char *name)
{
    const struct region *region = deployment_region_named(d, name);
    if (region)
        return region;
    struct suggest meant = suggest_for(name);
    for (size_t i = 0; i < d->region_count; i++) {
        if (d->regions[i].name)
            suggest_offer(&meant, d->regions[i].name);
    }
    if (meant.best)
        schema_problem(r, line, "there is no region \"%s\"; did you mean \"%s\"?", name,
                       meant.best);
    else
        schema_problem(r, line, "there is no region \"%s\"", name);
    return NULL;
}
