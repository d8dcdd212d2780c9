/*
 * kv_memory -- env/kv.h in memory, for tests and for the simulator: nothing but a sorted map, whose
 * transactions behave as the contract says, and whose faults are chosen by who holds it.
 *
 * What is committed is a version, an array of pairs for each table that never changes; readers hold
 * the one that was there when they began. A writer collects its changes beside it, and commit
 * merges both into the next version: costly for millions of pairs, and not meant for them.
 * Threads:  one.
 */
#ifndef ENV_KV_MEMORY_H
#define ENV_KV_MEMORY_H

#include "base/list.h"
#include "env/kv.h"

enum kv_memory_call {
    KV_MEMORY_BEGIN,
    KV_MEMORY_RENEW,
    KV_MEMORY_GET,
    KV_MEMORY_PUT,
    KV_MEMORY_DEL,
    KV_MEMORY_SCAN,
    KV_MEMORY_COMMIT,
};

struct kv_version;

struct kv_memory {
    struct kv kv;
    struct kv_version *committed;
    struct kv_txn *writer; /* NULL: none */
    struct list txns;      /* that are open */
    bool broken;           /* a commit failed */
    /* Asked before every call: E_OK, or the error that it is to give instead. NULL: no faults. */
    int (*fault)(void *context, enum kv_memory_call call, bool write);
    void *fault_context;
};

void kv_memory_init(struct kv_memory *k);
void kv_memory_release(struct kv_memory *k);

/* `to`, which is initialized and empty, holds what is committed in `from`; they share it until they
 * commit, and rot together. */
void kv_memory_copy(struct kv_memory *to, const struct kv_memory *from);

/* The process ends and begins again: all transactions are gone, and what was not committed. */
void kv_memory_crash(struct kv_memory *k);

/* Rot: one bit of a committed value changes, of the row at `index` (modulo how many there are).
 * False when there is no such bit. */
bool kv_memory_damage(struct kv_memory *k, enum kv_table table, uint64_t index, uint64_t bit);
/* The same of a key, which stays where it is: what looks for it by its order is led astray. */
bool kv_memory_damage_key(struct kv_memory *k, enum kv_table table, uint64_t index, uint64_t bit);

uint64_t kv_memory_count(const struct kv_memory *k, enum kv_table table); /* committed rows */

#endif
