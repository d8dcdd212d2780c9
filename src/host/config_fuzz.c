/*
 * Fuzz: the configuration. Every text is a deployment that keeps its promises, or is refused by
 * lines that name the file; it is so each time it is read.
 */
#include "base/check.h"
#include "host/config.h"
#include "policy/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char file[] = "world.yaml";

static void check_regions(const struct deployment *d)
{
    CHECK(d->name && d->region_count > 0 && !deployment_closes(d, 0));
    for (size_t i = 0; i < d->region_count; i++) {
        const struct region *r = &d->regions[i];
        CHECK(r->id != 0 && fence_holds(&d->fences[0], r->id));
        CHECK(deployment_region_named(d, r->name) == r);
        CHECK(deployment_region_with_id(d, r->id) == r);
        CHECK(!deployment_closes(d, r->id));
    }
}

static void check_keyspaces(const struct deployment *d)
{
    CHECK(d->keyspace_count > 0 && d->keyspaces[d->keyspace_count - 1].prefix_bytes == 0);
    for (size_t i = 0; i < d->keyspace_count; i++) {
        const struct keyspace *k = &d->keyspaces[i];
        CHECK(k->fence < d->fence_count);
        CHECK(i == 0 || d->keyspaces[i - 1].prefix_bytes >= k->prefix_bytes);
        CHECK(deployment_keyspace_of(d, span_of(k->prefix, k->prefix_bytes)) == k);
    }
}

/* What a region takes elsewhere it takes within the fence, and everybody is reached. */
static void check_topology(const struct deployment *d)
{
    struct buffer why = { 0 };
    CHECK(d->centre == 0 ||
          (d->topology == TOPOLOGY_STAR && deployment_region_with_id(d, d->centre)));
    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t parent = d->regions[i].parent;
        CHECK(parent == 0 ||
              (d->topology == TOPOLOGY_HIERARCHY && deployment_region_with_id(d, parent)));
    }
    for (uint32_t fence = 0; fence < d->fence_count; fence++)
        CHECK(routes_check(d, fence, NULL, &why) && why.len == 0);
}

/* Each line names the file, and says something. */
static void check_errors(struct span errors)
{
    size_t name = sizeof file - 1;
    CHECK(errors.len > 0 && errors.at[errors.len - 1] == '\n');
    while (errors.len > 0) {
        const uint8_t *end = memchr(errors.at, '\n', errors.len);
        size_t line = (size_t)(end - errors.at);
        CHECK(line > name + 2 && memcmp(errors.at, file, name) == 0 && errors.at[name] == ':');
        errors = span_skip(errors, line + 1);
    }
}

static bool parse(struct span text, struct buffer *errors)
{
    struct deployment d;
    bool good = config_parse(file, text, &d, errors);
    if (good) {
        CHECK(errors->len == 0);
        check_regions(&d);
        check_topology(&d);
        check_keyspaces(&d);
    } else {
        CHECK(d.name == NULL && d.region_count == 0 && d.fence_count == 0 && d.keyspace_count == 0);
        check_errors(buffer_span(errors));
    }
    deployment_release(&d);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct buffer once = { 0 }, again = { 0 };
    struct span text = span_of(bytes, len);
    if (len > CONFIG_MAX_BYTES)
        return 0;
    bool good = parse(text, &once);
    CHECK(parse(text, &again) == good);
    CHECK(span_equal(buffer_span(&once), buffer_span(&again)));
    buffer_release(&once);
    buffer_release(&again);
    return 0;
}
