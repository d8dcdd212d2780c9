#include "cmd/evict.h"

#include <assert.h>

#include "base/check.h"
#include "cmd/fence.h"
#include "cmd/server.h"
#include "core/emit.h"
#include "core/replica.h"
#include "crdt/resident.h"

enum {
    SAMPLES = 8,     /* guess between Redis's default 5 and its 10, which is as good as exact */
    BUCKET_MAX = 64, /* of one bucket's keys; chains are never so long with a seeded hash */

    USES_BITS = 2,
    TICK_SHIFT = 20, /* microseconds to ticks of the last use */
    TICK_MASK = (1 << 14) - 1,
    MINUTE_SHIFT = 26, /* to ticks in which counts are worth less */
    MINUTE_MASK = (1 << 6) - 1,
    COUNT_SHIFT = USES_BITS + 6,
    COUNT_INITIAL = 5, /* this and the factor are Redis's defaults */
    COUNT_FACTOR = 10,
    COUNT_MAX = UINT8_MAX,
};

static_assert(EVICT_USES_MAX == (1 << USES_BITS) - 1, "uses fill their bits");

/* --- policies --- */

const char *evict_policy_name(uint64_t policy)
{
    static const char *const names[] = {
        [MEMORY_NOEVICTION] = "noeviction",     [MEMORY_ALLKEYS_LRU] = "allkeys-lru",
        [MEMORY_ALLKEYS_LFU] = "allkeys-lfu",   [MEMORY_ALLKEYS_RANDOM] = "allkeys-random",
        [MEMORY_VOLATILE_LRU] = "volatile-lru", [MEMORY_VOLATILE_LFU] = "volatile-lfu",
        [MEMORY_VOLATILE_TTL] = "volatile-ttl", [MEMORY_VOLATILE_RANDOM] = "volatile-random",
    };
    return policy < COUNT_OF(names) ? names[policy] : NULL;
}

static enum memory_policy policy_of(const struct server *server)
{
    return (enum memory_policy)server->settings.memory_policy;
}

void evict_init(struct server *server)
{
    prng_seed(&server->evict.prng, server->replica->options.seed);
    evict_set_policy(server);
}

void evict_set_policy(struct server *server)
{
    enum memory_policy p = policy_of(server);

    server->evict.counts = p == MEMORY_ALLKEYS_LFU || p == MEMORY_VOLATILE_LFU;
}

/* --- heat --- */

static uint16_t uses_of(const struct entry *e)
{
    return e->heat & EVICT_USES_MAX;
}

/* The time is never written as 0, which says that there is none. */
static uint16_t tick_of(uint64_t us)
{
    uint16_t tick = (uint16_t)(us >> TICK_SHIFT & TICK_MASK);
    return tick != 0 ? tick : 1;
}

static uint16_t minute_of(const struct server *server)
{
    return (uint16_t)(server->now_us >> MINUTE_SHIFT & MINUTE_MASK);
}

/* When it was written last, or later. */
static stamp_t newest(const struct entry *e)
{
    if (e->form == ENTRY_INLINE)
        return e->stamp;
    stamp_t stamp = cell_newest(&e->body->string);
    for (const struct part *p = e->body->parts; p; p = p->next)
        stamp = p->newest > stamp ? p->newest : stamp;
    return stamp;
}

/* What was not used since it is in memory tells by its stamps when it was written. */
static uint16_t idle_ticks(const struct server *server, const struct entry *e)
{
    uint16_t now = tick_of(server->now_us), then = e->heat >> USES_BITS;

    if (then != 0)
        return (uint16_t)(now - then) & TICK_MASK;
    uint64_t written_us = stamp_ms(newest(e)) * 1000; /* may be ahead of our time */
    uint64_t ticks = server->now_us > written_us ? (server->now_us - written_us) >> TICK_SHIFT : 0;
    return (uint16_t)(ticks < TICK_MASK ? ticks : TICK_MASK);
}

uint8_t evict_frequency(const struct server *server, const struct entry *e)
{
    uint16_t count = e->heat >> COUNT_SHIFT, then = e->heat >> USES_BITS & MINUTE_MASK;
    uint16_t age = (uint16_t)(minute_of(server) - then) & MINUTE_MASK;

    if (count == 0)
        return COUNT_INITIAL;
    return (uint8_t)(count > age ? count - age : 1);
}

uint64_t evict_idle_s(const struct server *server, const struct entry *e)
{
    return ((uint64_t)idle_ticks(server, e) << TICK_SHIFT) / 1000000;
}

static void set_frequency(const struct server *server, struct entry *e, uint8_t count)
{
    e->heat = (uint16_t)(uses_of(e) | minute_of(server) << USES_BITS | count << COUNT_SHIFT);
}

static void set_tick(struct entry *e, uint16_t tick)
{
    e->heat = (uint16_t)(uses_of(e) | tick << USES_BITS);
}

/* One more use counts with a chance that falls as the count grows. */
static uint8_t counted(struct prng *prng, uint8_t count)
{
    uint64_t over = count > COUNT_INITIAL ? count - COUNT_INITIAL : 0;

    if (count == COUNT_MAX || prng_below(prng, over * COUNT_FACTOR + 1) != 0)
        return count;
    return (uint8_t)(count + 1);
}

void evict_note(struct server *server, struct entry *e)
{
    if (server->evict.counts)
        set_frequency(server, e, counted(&server->evict.prng, evict_frequency(server, e)));
    else
        set_tick(e, tick_of(server->now_us));
    if (uses_of(e) < EVICT_USES_MAX)
        e->heat++;
}

/* What is in memory for long keeps its age although times wrap around. */
static void settle_age(const struct server *server, struct entry *e)
{
    uint16_t idle = idle_ticks(server, e);

    if (server->evict.counts) {
        set_frequency(server, e, evict_frequency(server, e));
        return;
    }
    if (idle > TICK_MASK / 2)
        idle = TICK_MASK / 2;
    set_tick(e, tick_of(server->now_us - ((uint64_t)idle << TICK_SHIFT)));
}

/* --- what becomes of a key --- */

enum fate { FATE_STAYS, FATE_IS_DEMOTED, FATE_IS_DROPPED, FATE_IS_FORGOTTEN };

/* No write of a peer changes a part of it. */
static bool is_whole_value(const struct entry *e)
{
    return e->form == ENTRY_INLINE || (e->body->parts == NULL && e->body->string.tally_count == 0);
}

static bool policy_lets_go(enum memory_policy policy, const struct entry *e)
{
    switch (policy) {
    case MEMORY_NOEVICTION:
        return false;
    case MEMORY_ALLKEYS_LRU:
    case MEMORY_ALLKEYS_LFU:
    case MEMORY_ALLKEYS_RANDOM:
        return true;
    case MEMORY_VOLATILE_LRU:
    case MEMORY_VOLATILE_LFU:
    case MEMORY_VOLATILE_TTL:
    case MEMORY_VOLATILE_RANDOM:
        return e->form == ENTRY_BODY && object_deadline_ms(e) != 0;
    }
    return false;
}

/* What is absent for readers anyway is no cache's: it waits on disk for its reclaim. */
static enum fate fate_of(const struct server *server, const struct entry *e)
{
    const struct keyspace *k = deployment_keyspace_of(server->deployment, entry_name(e));

    if (k->evict == KEYSPACE_EVICT_DEMOTE || object_visible(e) == COMPONENT_NONE ||
        (k->evict == KEYSPACE_EVICT_LOCAL && !is_whole_value(e)))
        return FATE_IS_DEMOTED;
    if (!policy_lets_go(policy_of(server), e))
        return FATE_STAYS;
    return k->evict == KEYSPACE_EVICT_DROP ? FATE_IS_DROPPED : FATE_IS_FORGOTTEN;
}

/* The smallest goes first. */
static uint64_t worth_of(struct server *server, const struct entry *e)
{
    switch (policy_of(server)) {
    case MEMORY_ALLKEYS_LRU:
    case MEMORY_VOLATILE_LRU:
        /* within a tick, that may be all of memory, who was used more often stays */
        return (uint64_t)(TICK_MASK - idle_ticks(server, e)) << USES_BITS | uses_of(e);
    case MEMORY_ALLKEYS_LFU:
    case MEMORY_VOLATILE_LFU:
        return evict_frequency(server, e);
    case MEMORY_VOLATILE_TTL:
        return object_deadline_ms(e);
    case MEMORY_ALLKEYS_RANDOM:
    case MEMORY_VOLATILE_RANDOM:
        return prng_next(&server->evict.prng);
    case MEMORY_NOEVICTION:
        break;
    }
    return 0;
}

/* --- a step of the hand --- */

struct candidate {
    struct entry *entry;
    enum fate fate;
    uint64_t worth;
};

struct step {
    struct server *server;
    struct database *database;
    bool may_write;
    uint64_t freed_bytes;
    uint32_t looks;
    struct candidate worst; /* of `samples`; all of one database */
    uint32_t samples;
    struct entry *bucket[BUCKET_MAX];
    uint32_t count;
};

static void left(struct step *s, const struct entry *e)
{
    s->freed_bytes += resident_bytes(e);
    s->server->evict.looked = s->server->evict.kept_bytes = 0;
}

static void demote(struct step *s, struct entry *e)
{
    if (uses_of(e) > 0) {
        e->heat--;
        return;
    }
    if (s->database->cold == NULL || !resident_may_leave(s->database, e))
        return;
    left(s, e);
    s->server->evict.demoted++;
    resident_evict(s->database, e);
}

static void drop_worst(struct step *s)
{
    struct replica *r = s->server->replica;
    struct entry *e = s->worst.entry;

    s->samples = 0;
    left(s, e);
    s->server->statistics.evicted_keys++;
    if (s->worst.fate == FATE_IS_FORGOTTEN) {
        resident_forget(s->database, e);
        return;
    }
    replica_group_begin(r);
    replica_group_fence(r, s->server->fenced ? fence_of_key(s->server, entry_name(e)) : 0);
    emit_remove(r, s->database->number, entry_name(e));
    replica_group_end(r);
}

static void consider(struct step *s, struct entry *e, enum fate fate)
{
    struct candidate c = { e, fate, worth_of(s->server, e) };

    if (fate == FATE_IS_DROPPED && !s->may_write)
        return;
    settle_age(s->server, e);
    if (s->samples == 0 || c.worth < s->worst.worth)
        s->worst = c;
    if (++s->samples == SAMPLES)
        drop_worst(s);
}

static void judge(struct step *s, struct entry *e)
{
    enum fate fate = fate_of(s->server, e);

    s->looks++;
    s->server->evict.looked++;
    if (fate == FATE_IS_DEMOTED)
        demote(s, e);
    else if (fate == FATE_STAYS)
        s->server->evict.kept_bytes += resident_bytes(e);
    else
        consider(s, e, fate);
}

static void gather(void *context, void *item)
{
    struct step *s = context;

    if (s->count < BUCKET_MAX)
        s->bucket[s->count++] = item;
}

/* Candidates of a database that are fewer than SAMPLES are all there are. */
static void next_database(struct step *s)
{
    struct evict *evict = &s->server->evict;

    if (s->samples > 0)
        drop_worst(s);
    evict->db = (uint8_t)((evict->db + 1) % USER_DATABASES);
}

static void next_bucket(struct step *s)
{
    struct evict *evict = &s->server->evict;

    s->database = &s->server->replica->databases[evict->db];
    s->count = 0;
    evict->cursor = table_scan(&s->database->keys, evict->cursor, gather, s);
    for (uint32_t i = 0; i < s->count; i++)
        judge(s, s->bucket[i]);
    if (evict->cursor == 0)
        next_database(s);
}

uint64_t evict_step(struct server *server, uint64_t bytes, uint32_t looks, bool may_write)
{
    struct step s = { .server = server, .may_write = may_write };

    /* an empty bucket, or database, is a look too */
    for (uint32_t i = 0; i < looks && s.looks < looks && s.freed_bytes < bytes; i++)
        next_bucket(&s);
    if (s.samples > 0 && s.freed_bytes == 0)
        drop_worst(&s);
    return s.freed_bytes;
}

/* --- figures --- */

uint64_t evict_resident_keys(const struct server *server)
{
    uint64_t keys = 0;

    for (int i = 0; i < USER_DATABASES; i++)
        keys += server->replica->databases[i].keys.count;
    return keys;
}

uint64_t evict_fetched_keys(const struct server *server)
{
    uint64_t keys = 0;

    for (int i = 0; i < USER_DATABASES; i++)
        keys += server->replica->databases[i].fetched;
    return keys;
}

uint64_t evict_missed_keys(const struct server *server)
{
    uint64_t keys = 0;

    for (int i = 0; i < USER_DATABASES; i++)
        keys += server->replica->databases[i].missed;
    return keys;
}

int64_t evict_moved_bytes(const struct server *server)
{
    int64_t bytes = 0;

    for (int i = 0; i < USER_DATABASES; i++)
        bytes += server->replica->databases[i].moved_bytes;
    return bytes;
}

bool evict_is_dry(const struct server *server)
{
    return server->evict.looked >= (EVICT_USES_MAX + 1) * evict_resident_keys(server);
}

uint64_t evict_kept_bytes(const struct server *server)
{
    const struct evict *e = &server->evict;

    return e->looked == 0 ? 0 : e->kept_bytes / e->looked * evict_resident_keys(server);
}
