/*
 * prefixes -- the longest of many prefixes that begins a key, by binary search.
 *
 * Prefixes stand in byte order, so the greatest that is not above the key either begins it, or one
 * of the shorter prefixes that it begins with itself does: those are linked. The first byte of the
 * key bounds the search.
 * Cost: about log2 of the prefixes that begin with the key's first byte, and the nesting.
 * Memory: 8 bytes a prefix and 514; the texts are borrowed.
 */
#ifndef POLICY_PREFIXES_H
#define POLICY_PREFIXES_H

#include "base/span.h"

enum { PREFIXES_MAX = 65535 };

struct prefixes {
    const struct span *texts; /* [count], borrowed, in any order, none twice, one of them empty */
    uint16_t *order;          /* their places, in byte order */
    uint16_t
        *parent; /* by place in `order`: the longest other that begins it, as a place in `order` */
    uint16_t first[257]; /* where texts with this first byte begin in `order` */
    size_t count;
};

void prefixes_init(struct prefixes *p, const struct span *texts, size_t count);
void prefixes_release(struct prefixes *p);

/* The place in `texts` of the longest that begins the key. */
size_t prefixes_find(const struct prefixes *p, struct span key);

#endif
