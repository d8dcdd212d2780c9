#include "cmd/home.h"

#include "base/bits.h"
#include "base/memory.h"
#include "crdt/resident.h"

#define NO_HOME "NOWRITER the key has no home: "

/* As Redis Cluster: the first { with a } behind it, and something between. */
struct span home_tag(struct span key)
{
    const uint8_t *open = memchr(key.at, '{', key.len);

    if (key.len == 0 || open == NULL)
        return key;
    struct span rest = span_skip(key, (size_t)(open - key.at) + 1);
    const uint8_t *close = rest.len > 0 ? memchr(rest.at, '}', rest.len) : NULL;

    return close == NULL || close == rest.at ? key : span_of(rest.at, (size_t)(close - rest.at));
}

static bool may_be_home(const struct deployment *d, const struct keyspace *k, uint8_t region)
{
    return fence_holds(&d->fences[k->fence], region) && !bits_have(k->readers, region);
}

#define NO_TAG   NO_HOME "its tag names no region, as in user:{eu-gb}:42"
#define NO_ENTRY NO_HOME "the directory's entry, directory + tag, names no region"

/* `none`: what is wrong when there is no region of that name. */
static struct home named(const struct server *server, const struct keyspace *k, struct span name,
                         const char *none)
{
    const struct deployment *d = server->deployment;

    for (size_t i = 0; i < d->region_count; i++) {
        if (!span_equal(name, span_str(d->regions[i].name)))
            continue;
        if (may_be_home(d, k, d->regions[i].id))
            return (struct home){ .region = d->regions[i].id };
        return (struct home){ .error = NO_HOME "that region only reads this keyspace" };
    }
    return (struct home){ .error = none };
}

/* FNV-1a over the tag, then mixed with each region's number: the same everywhere and for ever. */
static uint64_t weight(struct span tag, uint8_t region)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < tag.len; i++)
        h = (h ^ tag.at[i]) * 0x100000001b3u;
    h ^= (uint64_t)region * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

static struct home hashed(const struct server *server, const struct keyspace *k, struct span tag)
{
    const struct deployment *d = server->deployment;
    struct home home = { .error = NO_HOME "every region only reads this keyspace" };
    uint64_t best = 0;

    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t id = d->regions[i].id;
        uint64_t w = weight(tag, id);

        if (!may_be_home(d, k, id) || (home.error == NULL && w <= best))
            continue;
        home = (struct home){ .region = id };
        best = w;
    }
    return home;
}

static void put_listing(const struct keyspace *k, struct span key, struct buffer *out)
{
    buffer_put_text(out, k->directory);
    buffer_put(out, home_tag(key));
}

bool home_put_listing(const struct server *server, struct span key, struct buffer *out)
{
    const struct keyspace *k = server_declared(server, server_keyspace(server, key));
    bool is_listed = k->mode == KEYSPACE_PARTITIONED && k->homes == KEYSPACE_HOMES_DIRECTORY;

    if (is_listed)
        put_listing(k, key, out);
    return is_listed;
}

static struct home listed(const struct server *server, const struct keyspace *k, uint8_t db,
                          struct span name)
{
    struct buffer key = { 0 };
    struct home home = { .error = NO_HOME "the directory does not list it" };
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;

    put_listing(k, name, &key);

    struct entry *e = database_find(&server->replica->databases[db], buffer_span(&key));

    if (e != NULL && object_visible(e) == COMPONENT_STRING &&
        !object_expired(e, replica_hlc_ms(server->replica)) && object_string(e, scratch, &value))
        home = named(server, k, value, NO_ENTRY);
    home.listed = e != NULL ? object_newest(e, COMPONENT_STRING) : 0;
    buffer_release(&key);
    return home;
}

struct home home_of_key(const struct server *server, uint8_t db, struct span key)
{
    const struct keyspace *k = server_declared(server, server_keyspace(server, key));

    if (k->mode == KEYSPACE_PRIMARY)
        return (struct home){ .region = k->writer };
    if (k->mode != KEYSPACE_PARTITIONED)
        return (struct home){ .region = HOME_EVERYWHERE };
    switch (k->homes) {
    case KEYSPACE_HOMES_TAG:
        return named(server, k, home_tag(key), NO_TAG);
    case KEYSPACE_HOMES_HASH:
        return hashed(server, k, home_tag(key));
    case KEYSPACE_HOMES_DIRECTORY:
        return listed(server, k, db, key);
    }
    return (struct home){ .region = HOME_EVERYWHERE };
}

bool home_may_be(const struct server *server, const struct keyspace *k, struct span name)
{
    return named(server, k, name, NO_TAG).error == NULL;
}
