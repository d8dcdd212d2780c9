#include "bin/audit_ranges.h"

#include <string.h>

#include "base/memory.h"

void audit_ranges_release(struct audit_ranges *r)
{
    mem_free(r->at);
    *r = (struct audit_ranges){ 0 };
}

/* The first that ends at `from` or behind it: mostly the last. */
static size_t find(const struct audit_ranges *r, stamp_t from)
{
    size_t i = r->count;

    while (i > 0 && r->at[i - 1].to >= from)
        i--;
    return i;
}

void audit_ranges_add(struct audit_ranges *r, struct audit_range range)
{
    size_t first = find(r, range.from), end = first;

    if (range.to <= range.from)
        return;
    for (; end < r->count && r->at[end].from <= range.to; end++) {
        range.from = r->at[end].from < range.from ? r->at[end].from : range.from;
        range.to = r->at[end].to > range.to ? r->at[end].to : range.to;
    }
    if (r->count == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 4;
        r->at = mem_realloc(r->at, r->cap * sizeof(*r->at));
    }
    memmove(r->at + first + 1, r->at + end, (r->count - end) * sizeof(*r->at));
    r->at[first] = range;
    r->count = r->count - (end - first) + 1;
}

bool audit_ranges_lacks(const struct audit_ranges *r, struct audit_range range,
                        struct audit_range *part)
{
    *part = range;
    for (size_t i = find(r, range.from); i < r->count && part->from < part->to; i++) {
        if (r->at[i].from > part->from) {
            part->to = r->at[i].from < part->to ? r->at[i].from : part->to;
            return true;
        }
        part->from = r->at[i].to > part->from ? r->at[i].to : part->from;
    }
    return part->from < part->to;
}
