/*
 * deployment -- the whole configuration as plain values: regions, fences, keyspaces and limits.
 *
 * One is made from the YAML file (host/config.h) or built by hand (tests, the simulator) and then
 * only read. Invariants of one that the configuration gave: at least one region; ids and names are
 * unique; fences[0] is `global` and holds every region; keyspaces stand longest prefix first and
 * the last has the prefix "", so that every key has one.
 * Memory:    owns everything that it points to; deployment_release frees it and leaves zeroes.
 */
#ifndef POLICY_DEPLOYMENT_H
#define POLICY_DEPLOYMENT_H

#include "base/bits.h"
#include "policy/keyspace.h"
#include "policy/region.h"

/* Who takes writes at whom: policy/graph.h. */
enum topology {
    TOPOLOGY_MESH,
    TOPOLOGY_RING,
    TOPOLOGY_STAR,
    TOPOLOGY_CHAIN,
    TOPOLOGY_HIERARCHY,
    TOPOLOGY_AUTO,
};

/* When clients are answered; what leaves a region is on its disk under every one of them. */
enum fsync_policy {
    FSYNC_ALWAYS,
    FSYNC_EVERYSEC,
    FSYNC_NO,
};

/* The regions that may hold some data. */
struct fence {
    char *name;
    uint64_t members[4]; /* a bit for each region id */
};

struct log_policy {
    enum fsync_policy fsync;
    uint64_t retain_bytes;
};

/* What leaves memory when `limit_bytes` is reached, of keyspaces that are caches (keyspace.h). The
 * names and meanings are those of Redis's maxmemory-policy. */
enum memory_policy {
    MEMORY_NOEVICTION,
    MEMORY_ALLKEYS_LRU,
    MEMORY_ALLKEYS_LFU,
    MEMORY_ALLKEYS_RANDOM,
    MEMORY_VOLATILE_LRU,
    MEMORY_VOLATILE_LFU,
    MEMORY_VOLATILE_TTL,
    MEMORY_VOLATILE_RANDOM,
};

/* The least that a process works with: 10 MB are taken by an empty one, 22 MB are for pages of files and
 * for bursts (node/memory.h), and of the rest some must be left for keys. */
enum { MEMORY_LIMIT_MIN_BYTES = 48 << 20 };

struct memory_limit {
    uint64_t limit_bytes; /* of the whole process; 0: none */
    enum memory_policy policy;
};

/* When a checkpoint is begun: after so much log, or so much time, since the last. */
struct checkpoint_policy {
    uint64_t log_bytes;
    uint32_t every_ms;
};

struct limits {
    uint32_t clients;
    uint64_t query_buffer_bytes;
    uint64_t output_buffer_bytes;
};

struct deployment {
    char *name;
    struct region *regions; /* [region_count], in the order of the file */
    size_t region_count;
    enum topology topology;
    uint8_t centre;       /* with TOPOLOGY_STAR: the id of a region; 0: the cheapest */
    struct fence *fences; /* [fence_count], global first */
    size_t fence_count;
    struct keyspace *keyspaces; /* [keyspace_count], longest prefix first */
    size_t keyspace_count;
    uint32_t shards;
    struct log_policy log;
    struct checkpoint_policy checkpoint;
    struct memory_limit memory;
    uint64_t bootstrap_rate_bytes; /* a second */
    /* A bit for each number that a region has given up (`closed`): origins without an owner. Never
     * that of a region, never given to another. */
    uint64_t closed[4];
    uint32_t max_skew_ms;
    uint32_t reads_warn_ms; /* answers older than this bear a warning */
    struct limits limits;
};

/* What a file that leaves everything out means; no regions, fences or keyspaces yet. */
void deployment_init(struct deployment *d);
void deployment_release(struct deployment *d);

/* An empty place at the end of the array (zeroed; a keyspace has its defaults). Places given before
 * move. */
struct region *deployment_add_region(struct deployment *d);
struct fence *deployment_add_fence(struct deployment *d);
struct keyspace *deployment_add_keyspace(struct deployment *d);

/* Completes one whose regions and keyspaces were all added: fills the global fence, adds the
 * keyspace "" if it is missing, and sorts the keyspaces, longest prefix first. */
void deployment_finish(struct deployment *d);

/* NULL when there is none. */
const struct region *deployment_region_named(const struct deployment *d, const char *name);
const struct region *deployment_region_with_id(const struct deployment *d, uint8_t id);

/* The keyspace with the longest prefix that begins `key`; never NULL once finished. */
const struct keyspace *deployment_keyspace_of(const struct deployment *d, struct span key);

static inline bool fence_holds(const struct fence *f, uint8_t region_id)
{
    return bits_have(f->members, region_id);
}

static inline bool deployment_closes(const struct deployment *d, uint8_t origin)
{
    return bits_have(d->closed, origin);
}

static inline void deployment_close(struct deployment *d, uint8_t origin)
{
    bits_add(d->closed, origin);
}

static inline void fence_add(struct fence *f, uint8_t region_id)
{
    bits_add(f->members, region_id);
}

#endif
