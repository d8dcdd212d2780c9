/*
 * residency -- who may hold what, by one configuration: in a form that is written down, and compared.
 *
 * The streams of a fence are told by its place (policy/origin.h), and a key lies in the fence of its
 * prefix: so what was written means something else under a configuration in which a fence has moved, or a
 * prefix has gone to another fence. A data directory remembers what it was written with
 * (store/identity.h), and regions compare what they have (node/agreement.h).
 *
 * Prefixes are canonical: only those whose keys would lie in another fence without them, in byte order. Two
 * configurations that put every key into the same fence have the same bytes.
 *
 *     v   number of fences besides the global one, in their order; for each
 *         v name (varint length, bytes)   u32 members: a bit for each number of a region, 1..15
 *     v   bytes of prefixes; of these, for each   u8 fence   u8 length   bytes
 *
 * Limits:    RESIDENCY_PREFIXES_MAX bytes of prefixes; the reader of configurations refuses more.
 */
#ifndef POLICY_RESIDENCY_H
#define POLICY_RESIDENCY_H

#include "base/buffer.h"
#include "policy/origin.h"
#include "policy/prefixes.h"

enum {
    RESIDENCY_PREFIXES_MAX = 32 << 10,
    FENCE_NAME_MAX = REGION_NAME_MAX,
    RESIDENCY_MEMBERS = 0xfffe
};

struct residency_fence {
    char name[FENCE_NAME_MAX + 1];
    uint32_t members;
};

struct residency {
    uint32_t fence_count;                        /* besides the global one */
    struct residency_fence fences[FENCE_PLACES]; /* [fence_count], by place; [0] is not used */
    uint32_t prefix_bytes;
    uint8_t prefixes[RESIDENCY_PREFIXES_MAX];
};

/* False: there are too many prefixes. */
bool residency_of(const struct deployment *d, struct residency *out);

void residency_put(const struct residency *r, struct buffer *out);
/* False: malformed. */
bool residency_take(struct span *in, struct residency *out);

/* The place of a key's fence. Looks at every prefix: for many keys there is the index. */
uint32_t residency_fence_of(const struct residency *r, struct span key);

/* To ask for many keys: by binary search. It borrows the residency. */
struct residency_index {
    struct span *texts;
    uint8_t *fences; /* of each text */
    struct prefixes prefixes;
};

struct residency_place {
    uint32_t fence;
    struct span prefix; /* that says so; "" when none does */
};

void residency_index_init(struct residency_index *x, const struct residency *r);
void residency_index_release(struct residency_index *x);
struct residency_place residency_find(const struct residency_index *x, struct span key);

/* Whether every key lies in a fence of the same place. */
bool residency_same_prefixes(const struct residency *a, const struct residency *b);

/* Of what the fence at that place means: its name, its members with number and name, and which keys it
 * holds. `r` is that of `d`. */
uint64_t residency_digest(const struct residency *r, const struct deployment *d, uint32_t place);

static inline bool residency_is_member(const struct residency_fence *f, uint8_t region_id)
{
    return region_id <= FENCED_REGION_MAX && f->members >> region_id & 1;
}

/* A region from which another can be given all that it may hold; NULL: there is none. */
const struct region *residency_source(const struct deployment *d, const struct region *of);

#endif
