/*
 * deployment -- growing, completing and searching the plain values of a configuration.
 *
 * The arrays are short (255 regions, a few keyspaces) and are searched from the front. Lookups on
 * the data path, a keyspace for each key, mostly meet an array of one.
 */
#include "policy/deployment.h"

#include "base/check.h"
#include "base/memory.h"

static const char GLOBAL[] = "global";

static char *copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

/* A zeroed place at the end of *array, which may move. */
static void *add(void **array, size_t *count, size_t item_bytes)
{
    *array = mem_realloc(*array, (*count + 1) * item_bytes);
    void *place = (char *)*array + *count * item_bytes;
    memset(place, 0, item_bytes);
    *count += 1;
    return place;
}

struct region *deployment_add_region(struct deployment *d)
{
    void *array = d->regions;
    struct region *r = add(&array, &d->region_count, sizeof(*r));
    d->regions = array;
    return r;
}

struct fence *deployment_add_fence(struct deployment *d)
{
    void *array = d->fences;
    struct fence *f = add(&array, &d->fence_count, sizeof(*f));
    d->fences = array;
    return f;
}

struct keyspace *deployment_add_keyspace(struct deployment *d)
{
    void *array = d->keyspaces;
    struct keyspace *k = add(&array, &d->keyspace_count, sizeof(*k));
    d->keyspaces = array;
    k->promises.ack_timeout_ms = 1000; /* several times the longest round trip on Earth */
    return k;
}

void deployment_init(struct deployment *d)
{
    *d = (struct deployment){
        .topology = TOPOLOGY_MESH,
        .shards = 1,
        .log = { .fsync = FSYNC_EVERYSEC, .retain_bytes = 16ull << 30 },
        .checkpoint = { .log_bytes = 64ull << 20, .every_ms = 5 * 60 * 1000 },
        .bootstrap_rate_bytes = 64ull << 20, /* half of a gigabit link */
        .max_skew_ms = 500,
        .reads_warn_ms = 1000,
        .limits = {
            .clients = 10000,                   /* these three as in Redis, or near */
            .query_buffer_bytes = 1ull << 30,
            .output_buffer_bytes = 256ull << 20,
        },
    };
    deployment_add_fence(d)->name = copy_text(GLOBAL);
}

static void release_region(struct region *r)
{
    mem_free(r->name);
    mem_free(r->city);
    mem_free(r->timezone);
    for (size_t i = 0; i < r->jurisdiction_count; i++)
        mem_free(r->jurisdictions[i]);
    mem_free(r->jurisdictions);
}

void deployment_release(struct deployment *d)
{
    for (size_t i = 0; i < d->region_count; i++)
        release_region(&d->regions[i]);
    for (size_t i = 0; i < d->fence_count; i++)
        mem_free(d->fences[i].name);
    for (size_t i = 0; i < d->keyspace_count; i++) {
        mem_free(d->keyspaces[i].prefix);
        mem_free(d->keyspaces[i].merge_file);
        mem_free(d->keyspaces[i].directory);
    }
    mem_free(d->name);
    mem_free(d->regions);
    mem_free(d->fences);
    mem_free(d->keyspaces);
    *d = (struct deployment){ 0 };
}

/* By insertion: few items, and equal lengths keep the order of the file. */
static void sort_keyspaces(struct deployment *d)
{
    for (size_t i = 1; i < d->keyspace_count; i++) {
        struct keyspace moving = d->keyspaces[i];
        size_t at = i;
        for (; at > 0 && d->keyspaces[at - 1].prefix_bytes < moving.prefix_bytes; at--)
            d->keyspaces[at] = d->keyspaces[at - 1];
        d->keyspaces[at] = moving;
    }
}

void deployment_finish(struct deployment *d)
{
    CHECK(d->fence_count > 0);
    for (size_t i = 0; i < d->region_count; i++)
        fence_add(&d->fences[0], d->regions[i].id);

    sort_keyspaces(d);
    if (d->keyspace_count == 0 || d->keyspaces[d->keyspace_count - 1].prefix_bytes > 0)
        deployment_add_keyspace(d)->prefix = copy_text("");
    CHECK(d->keyspaces[d->keyspace_count - 1].prefix_bytes == 0);
}

const struct region *deployment_region_named(const struct deployment *d, const char *name)
{
    for (size_t i = 0; i < d->region_count; i++) {
        if (d->regions[i].name && strcmp(d->regions[i].name, name) == 0)
            return &d->regions[i];
    }
    return NULL;
}

const struct region *deployment_region_with_id(const struct deployment *d, uint8_t id)
{
    for (size_t i = 0; i < d->region_count; i++) {
        if (d->regions[i].id == id)
            return &d->regions[i];
    }
    return NULL;
}

const struct keyspace *deployment_keyspace_of(const struct deployment *d, struct span key)
{
    for (size_t i = 0; i < d->keyspace_count; i++) {
        if (keyspace_holds(&d->keyspaces[i], key))
            return &d->keyspaces[i];
    }
    return NULL;
}
