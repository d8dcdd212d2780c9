/*
 * copies -- does copying for a checkpoint pause? Fills a replica with keys and one large hash, then
 * times every slice of a copy of all of them, as turns take them, and of putting away what was removed.
 *
 *     copies [keys] [fields]
 *
 * Times are of processor time, so that a busy machine does not count. Not a test.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "core/emit.h"
#include "core/replica.h"

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int nothing_there(void *store, uint8_t db, uint64_t hash, struct span key, uint8_t *flags,
                         cold_piece_fn take, void *context)
{
    (void)store, (void)db, (void)hash, (void)key, (void)flags, (void)take, (void)context;
    return E_MISSING;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

struct times {
    uint64_t *ns;
    size_t count, cap;
};

static void note(struct times *t, uint64_t ns)
{
    if (t->count == t->cap)
        t->ns = mem_realloc(t->ns, (t->cap = t->cap ? 2 * t->cap : 1024) * sizeof(*t->ns));
    t->ns[t->count++] = ns;
}

static void print(const char *what, struct times *t)
{
    uint64_t total = 0, over = 0;

    for (size_t i = 0; i < t->count; i++) {
        total += t->ns[i];
        over += t->ns[i] > 1000000;
    }
    qsort(t->ns, t->count, sizeof(*t->ns), compare);
    printf("%-9s %zu slices, %.2f s in all, p50 %.0f us, p99.9 %.0f us, longest %.0f us, %" PRIu64
           " over 1 ms\n",
           what, t->count, (double)total / 1e9, (double)t->ns[t->count / 2] / 1e3,
           (double)t->ns[t->count * 999 / 1000] / 1e3, (double)t->ns[t->count - 1] / 1e3, over);
    t->count = 0;
}

static void write_all(struct replica *r, uint64_t keys, uint64_t fields)
{
    char key[32], value[100] = "";

    for (uint64_t i = 0; i < keys; i++) {
        size_t len = (size_t)snprintf(key, sizeof(key), "key:%012" PRIu64, i);

        replica_group_begin(r);
        emit_string(r, 0, span_of(key, len), span_of(value, sizeof(value)), TIME_NONE, 0);
        replica_group_end(r);
        if (i % 1000 == 0) {
            replica_seal(r);
            buffer_clear(&r->log_out);
            replica_turn(r, r->now_ms + 1);
        }
    }
    for (uint64_t i = 0; i < fields; i += 1000) {
        struct emit_fields e;

        replica_group_begin(r);
        emit_fields_begin(&e, r, OP_PUT, COMPONENT_HASH, 0, span_str("large"));
        for (uint64_t f = i; f < i + 1000; f++)
            emit_fields_add(&e, span_of(&f, sizeof(f)), span_of(value, 20));
        emit_fields_end(&e);
        replica_group_end(r);
        replica_seal(r);
        buffer_clear(&r->log_out);
        replica_turn(r, r->now_ms + 1);
    }
}

int main(int argc, char **argv)
{
    static const struct cold_ops ops = { .read = nothing_there };
    static const struct cold cold = { .ops = &ops };
    static const struct cold_counts none[OP_DATABASES];
    static const uint8_t writers[] = { 1 };
    uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
    uint64_t fields = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    struct replica *r = mem_zalloc(sizeof(*r));
    struct buffer changes = { 0 };
    struct times steps = { 0 };
    uint64_t lsn, start, bytes = 0;
    bool more = true;

    replica_init(r, &(struct replica_options){ .region = 1,
                                               .instance = 1,
                                               .seed = 1,
                                               .ceiling_ms = 1,
                                               .max_skew_ms = 500,
                                               .writers = writers,
                                               .writer_count = 1 });
    replica_install(r, &cold, NULL, none);
    replica_turn(r, 1000000);
    write_all(r, keys, fields);
    replica_seal(r);
    start = now_ns();
    if (!copier_begin(r))
        return 1;
    note(&steps, now_ns() - start);
    while (more) {
        start = now_ns();
        more = copier_step(r, &changes, &lsn);
        note(&steps, now_ns() - start);
        bytes += changes.len;
        buffer_clear(&changes);
    }
    print("copy", &steps);
    printf("%-9s %.1f MB\n", "copied", (double)bytes / 1e6);
    copier_committed(r);
    return 0;
}
