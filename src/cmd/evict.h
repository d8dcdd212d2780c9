/*
 * evict -- which keys leave memory when it is short, and what is remembered of their use.
 *
 * A hand goes round over all keys in memory in the order of their hashes, which is random. What it does
 * at a key depends on the keyspace (policy/keyspace.h):
 *
 *     demote   the key has been used since the hand came by last: that is noted down by one. Else it
 *              leaves memory, as soon as the disk has it (crdt/resident.h)
 *     drop     it is a candidate, when the memory policy lets it go. Of SAMPLES candidates the worst is
 *              removed, by an ordinary op of this region: so it goes in every region
 *     local    the same, but a whole value is only forgotten here, without an op, in memory and on disk.
 *              What peers may change in part (collections, counters, hyperloglogs) is demoted instead:
 *              the next change would bring back a part that looks like the whole
 *
 * Source: the hand is a generalized CLOCK (Smith 1978) whose counts end at USES_MAX; sampling is
 * Redis's. bench/eviction compares them with others (docs/performance.md).
 *
 *     entry.heat   2 bits: how often the key was used, at most USES_MAX
 *                  14 bits, unless the policy is an lfu one: when it was used last, in ticks of 1.05 s
 *                  6 + 8 bits, when it is: when the count was halved last, in ticks of 67 s, and a
 *                  logarithmic count of uses as Redis keeps it. 0 in either: not since it is in memory
 *
 * Times wrap around after 4.8 hours (72 minutes): what was not used for half of that counts as just so
 * old when the hand comes by.
 * Limits:    evict_step looks at a bounded number of keys. A large object is freed in one piece.
 */
#ifndef CMD_EVICT_H
#define CMD_EVICT_H

#include "base/prng.h"
#include "crdt/object.h"
#include "policy/deployment.h"

struct server;

enum { EVICT_USES_MAX = 3 };

struct evict {
    struct prng prng;
    bool counts; /* the policy is an lfu one: heat counts uses */
    uint8_t db;  /* where the hand is */
    uint64_t cursor;
    uint64_t looked;     /* keys that it has passed since one left, */
    uint64_t kept_bytes; /* and what those of them take that no policy lets go */
    uint64_t demoted;    /* since the start: keys that left memory and are on disk */
};

void evict_init(struct server *server);

/* The policy has changed. */
void evict_set_policy(struct server *server);

/* The key was used by a command. */
void evict_note(struct server *server, struct entry *e);

/* Seconds since it was used; how often, by Redis's measure (0 .. 255). */
uint64_t evict_idle_s(const struct server *server, const struct entry *e);
uint8_t evict_frequency(const struct server *server, const struct entry *e);

/* Lets keys leave until about so many bytes are freed, looking at no more than `looks` keys (and those
 * of the same bucket). Nothing is dropped without may_write. No command runs, and no group is open.
 * Returns the bytes. */
uint64_t evict_step(struct server *server, uint64_t bytes, uint32_t looks, bool may_write);

/* The hand has gone round so often that every key would have left that may. */
bool evict_is_dry(const struct server *server);

/* What keys in memory take, about, that the memory policy does not let go: by those the hand passed. */
uint64_t evict_kept_bytes(const struct server *server);

/* Keys in memory; that came back from disk since the start. */
uint64_t evict_resident_keys(const struct server *server);
uint64_t evict_fetched_keys(const struct server *server);
uint64_t evict_missed_keys(const struct server *server); /* that were looked for there in vain */

/* Of those that came back, less those that left, about: in bytes. */
int64_t evict_moved_bytes(const struct server *server);

/* "allkeys-lru" …; by enum memory_policy. NULL past the last. */
const char *evict_policy_name(uint64_t policy);

#endif
