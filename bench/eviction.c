/*
 * eviction -- who should leave memory? Hit rates of policies over workloads.
 *
 *     eviction [percent of the keys that fit: 10]
 *
 * KEYS keys, ACCESSES of them by Zipf's law with three exponents:
 *
 *     zipf     as it is
 *     scans    a fifth of all accesses walk through all keys in turn; these do not count as hits or misses
 *     moving   every so often the hottest keys become others: all are replaced sixty times
 *     jump     half-way all of them are others at once
 *
 * The server's keys have an order of their own, that of their hashes, which is random; here a key's number
 * stands for its hash. "clock" is a hand that goes round in this order: it needs nothing but a few bits
 * of each key. The lists of the exact ones would cost sixteen bytes a key, S3-FIFO's ghosts some more.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

enum { KEYS = 400000, ACCESSES = 4000000, GUIDES = 1 << 16, NOBODY = -1 };

struct policy {
    const char *name;
    void (*enter)(uint32_t key);
    void (*use)(uint32_t key);
    uint32_t (*leave)(void); /* who goes; it is told no more */
    uint32_t argument;       /* samples, or the most that is counted */
};

struct queue {
    int32_t head, tail;
    uint32_t count;
};

static struct prng prng;
static const struct policy *policy;
static uint32_t capacity, count, resident[KEYS]; /* [count] */
static int32_t place[KEYS];                      /* in resident, or NOBODY */
static uint64_t accesses, ghosts_made;

/* what policies keep of keys */
static uint8_t uses[KEYS], tick[KEYS];
static uint64_t last_use[KEYS], ghost[KEYS];
static int32_t before[KEYS], behind[KEYS];
static struct queue queues[2];
static int32_t hand;

static uint32_t below(uint32_t bound)
{
    return (uint32_t)((prng_next(&prng) >> 32) * bound >> 32);
}

/* --- who is in memory --- */

static bool is_resident(uint32_t key)
{
    return place[key] != NOBODY;
}

static void take_out(uint32_t key)
{
    int32_t at = place[key];
    resident[at] = resident[--count];
    place[resident[at]] = at;
    place[key] = NOBODY;
}

static void access_key(uint32_t key)
{
    accesses++;
    if (is_resident(key)) {
        policy->use(key);
        return;
    }
    if (count == capacity)
        take_out(policy->leave());
    place[key] = (int32_t)count;
    resident[count++] = key;
    policy->enter(key);
}

/* --- random, and sampled --- */

static void ignore(uint32_t key)
{
    (void)key;
}

static uint32_t leave_random(void)
{
    return resident[below(count)];
}

static void note_use(uint32_t key)
{
    last_use[key] = accesses;
}

static uint32_t leave_sampled_lru(void)
{
    uint32_t oldest = leave_random();
    for (uint32_t i = 1; i < policy->argument; i++) {
        uint32_t other = leave_random();
        oldest = last_use[other] < last_use[oldest] ? other : oldest;
    }
    return oldest;
}

/* Redis's: a logarithmic count that falls by one in a tick, here after two accesses for each that fits. */
static uint8_t frequency(uint32_t key)
{
    uint8_t age = (uint8_t)(accesses / (2 * capacity) - tick[key]);
    return uses[key] > age ? (uint8_t)(uses[key] - age) : 0;
}

static void set_frequency(uint32_t key, uint8_t f)
{
    uses[key] = f;
    tick[key] = (uint8_t)(accesses / (2 * capacity));
}

static void enter_lfu(uint32_t key)
{
    set_frequency(key, 5);
}

static void count_use(uint32_t key)
{
    uint8_t f = frequency(key);
    uint32_t over = f > 5 ? f - 5u : 0;
    set_frequency(key, f < UINT8_MAX && below(over * 10 + 1) == 0 ? (uint8_t)(f + 1) : f);
}

static uint32_t leave_sampled_lfu(void)
{
    uint32_t rarest = leave_random();
    for (uint32_t i = 1; i < policy->argument; i++) {
        uint32_t other = leave_random();
        rarest = frequency(other) < frequency(rarest) ? other : rarest;
    }
    return rarest;
}

/* --- a hand that goes round --- */

static void enter_clock(uint32_t key)
{
    uses[key] = 0;
}

static void use_clock(uint32_t key)
{
    uses[key] += uses[key] < policy->argument;
}

static uint32_t leave_clock(void)
{
    for (;;) {
        hand = (hand + 1) % KEYS;
        if (!is_resident((uint32_t)hand))
            continue;
        if (uses[hand] == 0)
            return (uint32_t)hand;
        uses[hand]--;
    }
}

/* --- lists: exact LRU, SIEVE (Zhang et al. 2024), S3-FIFO (Yang et al. 2023) --- */

static void push(struct queue *q, uint32_t key)
{
    behind[key] = q->head;
    before[key] = NOBODY;
    if (q->head != NOBODY)
        before[q->head] = (int32_t)key;
    else
        q->tail = (int32_t)key;
    q->head = (int32_t)key;
    q->count++;
}

static void unlink_key(struct queue *q, uint32_t key)
{
    *(before[key] != NOBODY ? &behind[before[key]] : &q->head) = behind[key];
    *(behind[key] != NOBODY ? &before[behind[key]] : &q->tail) = before[key];
    q->count--;
}

static uint32_t pop(struct queue *q)
{
    uint32_t key = (uint32_t)q->tail;
    unlink_key(q, key);
    return key;
}

static void enter_list(uint32_t key)
{
    uses[key] = 0;
    push(&queues[0], key);
}

static void use_lru(uint32_t key)
{
    unlink_key(&queues[0], key);
    push(&queues[0], key);
}

static uint32_t leave_lru(void)
{
    return pop(&queues[0]);
}

static uint32_t leave_sieve(void)
{
    int32_t at = hand != NOBODY ? hand : queues[0].tail;
    while (uses[at] > 0) {
        uses[at] = 0;
        at = before[at] != NOBODY ? before[at] : queues[0].tail;
    }
    hand = before[at];
    unlink_key(&queues[0], (uint32_t)at);
    return (uint32_t)at;
}

/* queues[0] is the small one, of a tenth; who comes back soon after leaving it goes to the main one. */
static void enter_s3(uint32_t key)
{
    bool known = ghost[key] != 0 && ghosts_made - ghost[key] < capacity;
    uses[key] = 0;
    push(&queues[known], key);
}

static uint32_t leave_s3(void)
{
    for (;;) {
        bool small = queues[0].count > capacity / 10 || queues[1].count == 0;
        uint32_t key = pop(&queues[small ? 0 : 1]);
        if (small && uses[key] <= 1) {
            ghost[key] = ++ghosts_made;
            return key;
        }
        if (!small && uses[key] == 0)
            return key;
        uses[key] = small ? 0 : (uint8_t)(uses[key] - 1);
        push(&queues[1], key);
    }
}

/* --- workloads --- */

static double chance[KEYS]; /* of a rank up to this one */
static uint32_t guide[GUIDES], key_of_rank[KEYS];

static void prepare(double exponent)
{
    double sum = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        chance[i] = sum += pow(i + 1, -exponent);
    for (uint32_t i = 0; i < KEYS; i++)
        chance[i] /= sum;
    for (uint32_t g = 0; g < GUIDES; g++) {
        while (chance[rank] < (double)g / GUIDES)
            rank++;
        guide[g] = rank;
    }
}

static uint32_t zipf(void)
{
    double u = (double)(prng_next(&prng) >> 11) * 0x1p-53;
    uint32_t rank = guide[(uint32_t)(u * GUIDES)];
    while (chance[rank] < u)
        rank++;
    return rank;
}

static void start(void)
{
    prng_seed(&prng, 7);
    count = 0;
    accesses = ghosts_made = 0;
    hand = policy->leave == leave_sieve ? NOBODY : 0;
    queues[0] = queues[1] = (struct queue){ NOBODY, NOBODY, 0 };
    memset(place, 0xff, sizeof(place));
    memset(uses, 0, sizeof(uses));
    memset(ghost, 0, sizeof(ghost));
    for (uint32_t i = 0; i < KEYS; i++)
        key_of_rank[i] = i;
    for (uint32_t i = KEYS - 1; i > 0; i--) {
        uint32_t k = below(i + 1), key = key_of_rank[i];
        key_of_rank[i] = key_of_rank[k];
        key_of_rank[k] = key;
    }
}

enum workload { ZIPF, SCANS, MOVING, JUMP, WORKLOADS };

static uint32_t shift_at(enum workload w, uint64_t i)
{
    if (w == MOVING)
        return (uint32_t)(i / (ACCESSES / 60)) * (KEYS / 200) % KEYS;
    return w == JUMP && i >= ACCESSES / 2 ? KEYS / 2 : 0;
}

/* Percent of the accesses that found their key, after the first sixth. */
static double hit_rate(enum workload w)
{
    uint64_t hits = 0, counted = 0;
    uint32_t scan = 0;
    start();
    for (uint64_t i = 0; i < ACCESSES; i++) {
        bool scans = w == SCANS && i / 20000 % 5 == 4;
        uint32_t key = scans ? scan++ % KEYS : key_of_rank[(zipf() + shift_at(w, i)) % KEYS];
        if (!scans && i > ACCESSES / 6) {
            counted++;
            hits += is_resident(key);
        }
        access_key(key);
    }
    return 100.0 * (double)hits / (double)counted;
}

int main(int argc, char **argv)
{
    static const struct policy policies[] = {
        { "random", ignore, ignore, leave_random, 0 },
        { "LRU, 5 samples", note_use, note_use, leave_sampled_lru, 5 },
        { "LRU, 8 samples", note_use, note_use, leave_sampled_lru, 8 },
        { "LRU, exact", enter_list, use_lru, leave_lru, 0 },
        { "LFU of Redis, 5 samples", enter_lfu, count_use, leave_sampled_lfu, 5 },
        { "LFU of Redis, 8 samples", enter_lfu, count_use, leave_sampled_lfu, 8 },
        { "clock, counts to 1", enter_clock, use_clock, leave_clock, 1 },
        { "clock, counts to 3", enter_clock, use_clock, leave_clock, 3 },
        { "clock, counts to 7", enter_clock, use_clock, leave_clock, 7 },
        { "SIEVE, exact", enter_list, use_clock, leave_sieve, 1 },
        { "S3-FIFO, exact", enter_s3, use_clock, leave_s3, 3 },
    };
    enum { POLICIES = sizeof(policies) / sizeof(policies[0]) };
    static const double exponents[] = { 0.8, 0.99, 1.2 };
    static const char *const names[] = { "zipf", "scans", "moving", "jump" };
    static double rates[POLICIES][WORKLOADS][3];

    capacity = KEYS / 100 * (uint32_t)(argc > 1 ? atoi(argv[1]) : 10);
    for (int e = 0; e < 3; e++) {
        prepare(exponents[e]);
        for (int p = 0; p < POLICIES; p++) {
            policy = &policies[p];
            for (int w = 0; w < WORKLOADS; w++)
                rates[p][w][e] = hit_rate((enum workload)w);
        }
    }
    printf("%-26s", "percent found in memory");
    for (int w = 0; w < WORKLOADS; w++)
        printf(" %-7s%5.2f%6.2f%6.2f", names[w], exponents[0], exponents[1], exponents[2]);
    printf("   mean\n");
    for (int p = 0; p < POLICIES; p++) {
        double sum = 0;
        printf("%-26s", policies[p].name);
        for (int w = 0; w < WORKLOADS; w++) {
            printf("        ");
            for (int e = 0; e < 3; e++) {
                printf("%5.1f%s", rates[p][w][e], e < 2 ? " " : "");
                sum += rates[p][w][e];
            }
        }
        printf("   %5.1f\n", sum / 12);
    }
    return 0;
}
