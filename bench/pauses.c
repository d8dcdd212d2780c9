/*
 * pauses -- does the hash table pause? Inserts 10 million items of 16-byte keys, each insert timed,
 * then finds random ones.
 *
 *     pauses [items]
 *
 * Prints the pauses, the memory and the rates. Not a test: on a busy machine most pauses are the
 * machine's, so it first measures those alone. Linked with jemalloc, as the server is: with glibc's
 * malloc the inserts that allocate a segment were seen to take 1 to 4 ms at this size.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/table.h"

struct item {
    uint64_t key[2];
};

/* Nanoseconds of an insert, by powers of two in eighths: bucket 8 * log2 + the next three bits. */
enum { HISTOGRAM_BUCKETS = 64 * 8, PAUSE_NS = 1000000 };

struct result {
    uint64_t histogram[HISTOGRAM_BUCKETS];
    uint64_t total_ns, longest_ns, over_1ms;
};

static struct span key_of(const void *item)
{
    return span_of(((const struct item *)item)->key, sizeof(((const struct item *)item)->key));
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t bucket_of(uint64_t ns)
{
    uint32_t log = ns < 8 ? 3 : 63 - (uint32_t)__builtin_clzll(ns);

    return log * 8 + (uint32_t)(ns >> (log - 3) & 7);
}

static uint64_t percentile_ns(const struct result *r, uint64_t count, double part)
{
    uint64_t seen = 0, wanted = (uint64_t)((double)count * part);
    uint32_t b = 0;

    while (b < HISTOGRAM_BUCKETS - 1 && (seen += r->histogram[b]) <= wanted)
        b++;
    return (UINT64_C(8) + b % 8) << (b / 8 - 3);
}

static void note(struct result *r, uint64_t ns)
{
    r->histogram[bucket_of(ns)]++;
    r->total_ns += ns;
    r->over_1ms += ns > PAUSE_NS;
    if (ns > r->longest_ns)
        r->longest_ns = ns;
}

static void print_result(const char *what, const struct result *r, uint64_t count)
{
    printf("%-8s %.2f million/s, p50 %" PRIu64 " ns, p99.99 %" PRIu64
           " ns, longest %.1f us, %" PRIu64 " over 1 ms in %.1f s\n",
           what, (double)count * 1e3 / (double)r->total_ns, percentile_ns(r, count, 0.5),
           percentile_ns(r, count, 0.9999), (double)r->longest_ns / 1e3, r->over_1ms,
           (double)r->total_ns / 1e9);
}

static void insert_all(struct table *t, struct item *items, uint64_t count)
{
    struct result r = { 0 };

    for (uint64_t i = 0; i < count; i++) {
        uint64_t start = now_ns();

        table_insert(t, &items[i]);
        note(&r, now_ns() - start);
    }
    print_result("insert", &r, count);
}

/* The same loop around work that cannot pause, for about as long: what remains is the machine. */
static void measure_machine(const struct table *t, const struct item *items, uint64_t count)
{
    struct result r = { 0 };
    uint64_t sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t start = now_ns();

        for (int j = 0; j < 100; j++)
            sum += table_hash(t, key_of(&items[i])) >> (j & 7);
        note(&r, now_ns() - start);
    }
    CHECK(sum != 0);
    print_result("machine", &r, count);
}

static void find_random(const struct table *t, const struct item *items, uint64_t count,
                        struct prng *prng)
{
    enum { FINDS = 5000000 };
    uint64_t *order = mem_alloc(FINDS * sizeof(*order)), start;

    for (int i = 0; i < FINDS; i++)
        order[i] = prng_below(prng, count);
    start = now_ns();
    for (int i = 0; i < FINDS; i++) {
        struct item probe = items[order[i]];

        CHECK(table_find(t, key_of(&probe)) != NULL);
    }
    printf("%-8s %.2f million/s\n", "find", FINDS * 1e3 / (double)(now_ns() - start));
    mem_free(order);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    struct item *items = mem_zalloc((size_t)count * sizeof(*items));
    struct table t;
    struct prng prng;

    prng_seed(&prng, 1);
    for (uint64_t i = 0; i < count; i++) {
        items[i].key[0] = i;
        items[i].key[1] = prng_next(&prng);
    }
    table_init(&t, key_of, prng_next(&prng));
    measure_machine(&t, items, count);
    insert_all(&t, items, count);
    printf("%-8s %.2f bytes per key\n", "memory", (double)table_bytes(&t) / (double)count);
    find_random(&t, items, count, &prng);
    table_release(&t);
    mem_free(items);
    return 0;
}
