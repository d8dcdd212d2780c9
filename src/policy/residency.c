#include "policy/residency.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

/* --- prefixes --- */

struct entry {
    uint8_t fence;
    struct span prefix;
};

static bool next_entry(struct span *in, struct entry *e)
{
    uint8_t len;
    return in->len > 0 && span_take_u8(in, &e->fence) && span_take_u8(in, &len) &&
           span_take_bytes(in, len, &e->prefix);
}

static struct span prefixes_of(const struct residency *r)
{
    return span_of(r->prefixes, r->prefix_bytes);
}

static bool begins(struct span prefix, struct span key)
{
    return prefix.len <= key.len && (prefix.len == 0 || memcmp(prefix.at, key.at, prefix.len) == 0);
}

/* In byte order a prefix stands before all that it begins: so the last that begins the key is the longest. */
uint32_t residency_fence_of(const struct residency *r, struct span key)
{
    struct span in = prefixes_of(r);
    struct entry e;
    uint32_t found = 0;
    while (next_entry(&in, &e)) {
        if (begins(e.prefix, key))
            found = e.fence;
    }
    return found;
}

bool residency_same_prefixes(const struct residency *a, const struct residency *b)
{
    return span_equal(prefixes_of(a), prefixes_of(b));
}

/* --- many keys --- */

/* What no prefix begins is global: as if "" said so. */
void residency_index_init(struct residency_index *x, const struct residency *r)
{
    struct span in = prefixes_of(r);
    struct entry e;
    size_t count = 1;
    while (next_entry(&in, &e))
        count++;
    *x = (struct residency_index){ .texts = mem_zalloc(count * sizeof(x->texts[0])),
                                   .fences = mem_zalloc(count) };
    count = 1;
    for (in = prefixes_of(r); next_entry(&in, &e);) {
        size_t at = e.prefix.len == 0 ? 0 : count++;
        x->texts[at] = e.prefix;
        x->fences[at] = e.fence;
    }
    prefixes_init(&x->prefixes, x->texts, count);
}

void residency_index_release(struct residency_index *x)
{
    prefixes_release(&x->prefixes);
    mem_free(x->texts);
    mem_free(x->fences);
}

struct residency_place residency_find(const struct residency_index *x, struct span key)
{
    size_t at = prefixes_find(&x->prefixes, key);
    return (struct residency_place){ x->fences[at], x->texts[at] };
}

/* --- a configuration's prefixes --- */

static int compare(const void *a, const void *b)
{
    const struct keyspace *x = *(const struct keyspace *const *)a;
    const struct keyspace *y = *(const struct keyspace *const *)b;
    size_t len = x->prefix_bytes < y->prefix_bytes ? x->prefix_bytes : y->prefix_bytes;
    int order = len > 0 ? memcmp(x->prefix, y->prefix, len) : 0;
    return order != 0 ? order
                      : (x->prefix_bytes > y->prefix_bytes) - (x->prefix_bytes < y->prefix_bytes);
}

static bool add_prefix(struct residency *r, const struct keyspace *k)
{
    struct span prefix = span_of(k->prefix, k->prefix_bytes);
    if (residency_fence_of(r, prefix) == k->fence)
        return true; /* its keys lie there without it */
    if (prefix.len + 2 > RESIDENCY_PREFIXES_MAX - r->prefix_bytes)
        return false;
    CHECK(prefix.len <= KEYSPACE_PREFIX_MAX && k->fence < FENCE_PLACES);
    r->prefixes[r->prefix_bytes++] = (uint8_t)k->fence;
    r->prefixes[r->prefix_bytes++] = (uint8_t)prefix.len;
    if (prefix.len > 0)
        memcpy(r->prefixes + r->prefix_bytes, prefix.at, prefix.len);
    r->prefix_bytes += (uint32_t)prefix.len;
    return true;
}

static bool add_prefixes(struct residency *r, const struct deployment *d)
{
    const struct keyspace **sorted = mem_alloc(d->keyspace_count * sizeof(*sorted));
    bool good = true;
    for (size_t i = 0; i < d->keyspace_count; i++)
        sorted[i] = &d->keyspaces[i];
    qsort(sorted, d->keyspace_count, sizeof(*sorted), compare);
    for (size_t i = 0; i < d->keyspace_count && good; i++)
        good = add_prefix(r, sorted[i]);
    mem_free(sorted);
    return good;
}

/* --- a configuration --- */

static uint32_t members_of(const struct fence *f)
{
    return (uint32_t)f->members[0] & RESIDENCY_MEMBERS;
}

bool residency_of(const struct deployment *d, struct residency *out)
{
    *out = (struct residency){ .fence_count = (uint32_t)d->fence_count - 1 };
    CHECK(d->fence_count >= 1 && d->fence_count <= FENCE_PLACES);
    for (uint32_t place = 1; place < d->fence_count; place++) {
        CHECK(strlen(d->fences[place].name) <= FENCE_NAME_MAX);
        strcpy(out->fences[place].name, d->fences[place].name);
        out->fences[place].members = members_of(&d->fences[place]);
    }
    return d->keyspace_count == 0 || add_prefixes(out, d);
}

static uint64_t mix(uint64_t digest, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        digest = (digest ^ bytes.at[i]) * 0x100000001b3; /* FNV-1a */
    return (digest ^ bytes.len) * 0x100000001b3;
}

/* The bytes of prefixes that put keys into the fence, and of those directly below that take some out. */
static uint64_t mix_prefixes(uint64_t digest, const struct residency *r, uint32_t place)
{
    struct span in = prefixes_of(r);
    struct entry e;
    while (next_entry(&in, &e)) {
        struct span shorter = e.prefix;
        uint32_t above = 0;
        if (shorter.len > 0) {
            shorter.len--;
            above = residency_fence_of(r, shorter);
        }
        if (e.fence == place || above == place)
            digest = mix(mix(digest, span_of(&e.fence, 1)), e.prefix);
    }
    return digest;
}

uint64_t residency_digest(const struct residency *r, const struct deployment *d, uint32_t place)
{
    uint64_t digest = 0xcbf29ce484222325;
    CHECK(place >= 1 && place <= r->fence_count);
    digest = mix(digest, span_str(r->fences[place].name));
    for (uint8_t id = 1; id <= FENCED_REGION_MAX; id++) {
        const struct region *region = deployment_region_with_id(d, id);
        if (region == NULL || !(r->fences[place].members >> id & 1))
            continue;
        digest = mix(mix(digest, span_of(&id, 1)), span_str(region->name));
    }
    return mix_prefixes(digest, r, place);
}

static bool holds_all_of(const struct deployment *d, const struct region *r,
                         const struct region *of)
{
    for (size_t i = 0; i < d->fence_count; i++) {
        if (fence_holds(&d->fences[i], of->id) && !fence_holds(&d->fences[i], r->id))
            return false;
    }
    return true;
}

const struct region *residency_source(const struct deployment *d, const struct region *of)
{
    for (size_t i = 0; i < d->region_count; i++) {
        if (&d->regions[i] != of && holds_all_of(d, &d->regions[i], of))
            return &d->regions[i];
    }
    return NULL;
}

/* --- bytes --- */

void residency_put(const struct residency *r, struct buffer *out)
{
    buffer_put_varint(out, r->fence_count);
    for (uint32_t place = 1; place <= r->fence_count; place++) {
        buffer_put_prefixed(out, span_str(r->fences[place].name));
        buffer_put_u32(out, r->fences[place].members);
    }
    buffer_put_prefixed(out, prefixes_of(r));
}

static bool take_fence(struct span *in, struct residency_fence *f)
{
    struct span name;
    if (!span_take_prefixed(in, &name) || name.len == 0 || name.len > FENCE_NAME_MAX ||
        memchr(name.at, '\0', name.len) != NULL || !span_take_u32(in, &f->members) ||
        (f->members & ~(uint32_t)RESIDENCY_MEMBERS) != 0)
        return false;
    memcpy(f->name, name.at, name.len);
    return true;
}

static bool take_prefixes(struct span *in, struct residency *out)
{
    struct span all;
    struct entry e;
    if (!span_take_prefixed(in, &all) || all.len > RESIDENCY_PREFIXES_MAX)
        return false;
    out->prefix_bytes = (uint32_t)all.len;
    if (all.len > 0)
        memcpy(out->prefixes, all.at, all.len);
    while (next_entry(&all, &e)) {
        if (e.fence > out->fence_count)
            return false;
    }
    return all.len == 0;
}

bool residency_take(struct span *in, struct residency *out)
{
    uint64_t count;
    *out = (struct residency){ 0 };
    if (!span_take_varint(in, &count) || count >= FENCE_PLACES)
        return false;
    out->fence_count = (uint32_t)count;
    for (uint32_t place = 1; place <= count; place++) {
        if (!take_fence(in, &out->fences[place]))
            return false;
    }
    return take_prefixes(in, out);
}
