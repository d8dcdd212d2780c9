#define _GNU_SOURCE
#include "policy/prefixes.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

static int compare(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool begins(struct span prefix, struct span key)
{
    return prefix.len <= key.len && (prefix.len == 0 || memcmp(prefix.at, key.at, prefix.len) == 0);
}

static int compare_places(const void *a, const void *b, void *context)
{
    const struct span *texts = context;

    return compare(texts[*(const uint16_t *)a], texts[*(const uint16_t *)b]);
}

static struct span text_at(const struct prefixes *p, size_t place)
{
    return p->texts[p->order[place]];
}

/* What begins a text stands before it, and is begun with by all between: so it is the one before, or one of
 * that one's own. */
static uint16_t parent_of(const struct prefixes *p, size_t place)
{
    uint16_t at = (uint16_t)(place - 1);

    while (!begins(text_at(p, at), text_at(p, place)))
        at = p->parent[at];
    return at;
}

void prefixes_init(struct prefixes *p, const struct span *texts, size_t count)
{
    CHECK(count > 0 && count <= PREFIXES_MAX);
    *p = (struct prefixes){ .texts = texts, .count = count };
    p->order = mem_alloc(count * sizeof(p->order[0]));
    p->parent = mem_alloc(count * sizeof(p->parent[0]));
    for (size_t i = 0; i < count; i++)
        p->order[i] = (uint16_t)i;
    qsort_r(p->order, count, sizeof(p->order[0]), compare_places, (void *)texts);
    CHECK(text_at(p, 0).len == 0);
    p->parent[0] = 0;
    for (size_t i = 1; i < count; i++)
        p->parent[i] = parent_of(p, i);
    for (size_t byte = 0, i = 1; byte <= 256; byte++) {
        while (i < count && text_at(p, i).at[0] < byte)
            i++;
        p->first[byte] = (uint16_t)i;
    }
}

void prefixes_release(struct prefixes *p)
{
    mem_free(p->order);
    mem_free(p->parent);
    *p = (struct prefixes){ 0 };
}

size_t prefixes_find(const struct prefixes *p, struct span key)
{
    if (key.len == 0)
        return p->order[0];

    size_t low = p->first[key.at[0]], high = p->first[key.at[0] + 1];

    if (low == high)
        return p->order[0];
    size_t bound = low;
    while (low < high) { /* the first that is above the key */
        size_t middle = low + (high - low) / 2;

        if (compare(text_at(p, middle), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == bound)
        return p->order[0];
    size_t at = low - 1;
    while (!begins(text_at(p, at), key))
        at = p->parent[at];
    return p->order[at];
}
