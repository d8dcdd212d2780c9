#include "node/tail.h"

#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

enum { KEEP_BYTES = 3 << 20 };

static const uint64_t all_origins[4] = { ~0ull, ~0ull, ~0ull, ~0ull };

/* The log as one plain array, and the places where something was appended. */
struct model {
    uint8_t *bytes;
    size_t len, cap;
};

static void model_append(struct model *m, const uint8_t *bytes, size_t len)
{
    if (m->cap - m->len < len) {
        m->cap = (m->cap + len) * 2;
        m->bytes = mem_realloc(m->bytes, m->cap);
    }
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static size_t random_len(struct prng *rng)
{
    if (prng_chance(rng, 10000))
        return 1 + (size_t)prng_below(rng, 3 << 20);
    return 1 + (size_t)prng_below(rng, prng_chance(rng, 200000) ? 200000 : 4000);
}

TEST(what_was_appended_is_read_back_until_it_is_trimmed)
{
    struct prng rng;
    struct tail t;
    struct model m = { 0 };
    uint8_t *piece = mem_alloc(4 << 20);
    uint64_t start = 12345, durable = start;
    prng_seed(&rng, test_seed());
    tail_init(&t, KEEP_BYTES);
    tail_start(&t, start);
    for (int step = 0; step < 3000; step++) {
        size_t len = random_len(&rng);
        memset(piece, (int)prng_next(&rng), len);
        tail_append(&t, span_of(piece, len));
        model_append(&m, piece, len);
        EXPECT_EQ(t.end_lsn, start + m.len);
        if (prng_chance(&rng, 300000)) {
            durable += prng_below(&rng, t.end_lsn - durable + 1);
            tail_trim(&t, durable);
        }
        uint64_t limit = start + prng_below(&rng, m.len + 1);
        uint64_t lsn = start + prng_below(&rng, m.len);
        struct span got;
        bool in_memory = lsn >= t.pages[0].start_lsn && lsn < limit;
        EXPECT_EQ(tail_read(&t, lsn, limit, &got), in_memory);
        if (in_memory) {
            EXPECT(got.len > 0 && lsn + got.len <= limit);
            EXPECT(memcmp(got.at, m.bytes + (lsn - start), got.len) == 0);
        }
    }
    mem_free(piece);
    mem_free(m.bytes);
    tail_release(&t);
}

TEST(runs_joined_give_the_whole_log_and_appends_stay_in_one_piece)
{
    struct prng rng;
    struct tail t;
    struct model m = { 0 };
    uint8_t *piece = mem_alloc(4 << 20);
    prng_seed(&rng, test_seed());
    tail_init(&t, 1 << 30);
    for (int step = 0; step < 500; step++) {
        size_t len = random_len(&rng);
        uint64_t at = t.end_lsn;
        struct span got;
        memset(piece, step, len);
        tail_append(&t, span_of(piece, len));
        model_append(&m, piece, len);
        EXPECT(tail_read(&t, at, t.end_lsn, &got));
        EXPECT_EQ(got.len, len);
    }
    struct span run;
    uint64_t lsn = 0;
    while (tail_read(&t, lsn, t.end_lsn, &run)) {
        EXPECT(memcmp(run.at, m.bytes + lsn, run.len) == 0);
        lsn += run.len;
    }
    EXPECT_EQ(lsn, m.len);
    mem_free(piece);
    mem_free(m.bytes);
    tail_release(&t);
}

TEST(bytes_do_not_move_while_they_are_not_durable)
{
    struct tail t;
    struct span first, again;
    uint8_t *piece = mem_zalloc(1 << 20);
    tail_init(&t, KEEP_BYTES);
    tail_append(&t, span_str("first"));
    EXPECT(tail_read(&t, 0, 5, &first));
    for (int i = 0; i < 50; i++) {
        tail_append(&t, span_of(piece, 1 << 20));
        tail_trim(&t, 0);
    }
    EXPECT(tail_read(&t, 0, 5, &again));
    EXPECT(first.at == again.at);
    EXPECT_TEXT(again, "first");
    mem_free(piece);
    tail_release(&t);
}

TEST(memory_is_bounded_once_durable)
{
    struct tail t;
    struct span got;
    uint8_t *piece = mem_zalloc(1 << 20);
    tail_init(&t, KEEP_BYTES);
    for (int i = 0; i < 50; i++) {
        tail_append(&t, span_of(piece, 700000));
        tail_trim(&t, t.end_lsn);
        EXPECT(t.end_lsn - t.pages[0].start_lsn <= KEEP_BYTES + (1 << 20));
        EXPECT(tail_read(&t, t.end_lsn - 700000, t.end_lsn, &got));
    }
    EXPECT(!tail_read(&t, 0, t.end_lsn, &got));
    mem_free(piece);
    tail_release(&t);
}

TEST(nothing_is_read_from_beyond_the_end)
{
    struct tail t;
    struct span got;
    tail_init(&t, KEEP_BYTES);
    EXPECT(!tail_read(&t, 0, 10, &got));
    tail_start(&t, 100);
    EXPECT(!tail_read(&t, 50, 200, &got));
    tail_append(&t, span_str("abc"));
    EXPECT(!tail_read(&t, 99, 200, &got));
    EXPECT(!tail_read(&t, 103, 200, &got));
    EXPECT(!tail_read(&t, 101, 101, &got));
    EXPECT(tail_read(&t, 101, 1000, &got));
    EXPECT_TEXT(got, "bc");
    tail_release(&t);
}

/* Records of random origins with growing stamps; from every start given, everything wanted and not
 * yet had must follow. */
TEST(a_start_misses_nothing_and_is_the_latest_mark_that_does_not)
{
    enum { RECORDS = 4000, ORIGINS = 4 };
    struct prng rng;
    struct tail t;
    struct vector last = { 0 };
    static uint64_t lsns[RECORDS];
    static stamp_t stamps[RECORDS];
    uint8_t *piece = mem_zalloc(20000);
    prng_seed(&rng, test_seed());
    tail_init(&t, KEEP_BYTES);
    for (int i = 0; i < RECORDS; i++) {
        tail_mark(&t, t.end_lsn, &last);
        lsns[i] = t.end_lsn;
        stamps[i] = stamp_make((uint64_t)i + 1, 0, (uint8_t)prng_below(&rng, ORIGINS));
        vector_raise(&last, stamps[i]);
        tail_append(&t, span_of(piece, 1 + (size_t)prng_below(&rng, 20000)));
        tail_trim(&t, t.end_lsn);
    }
    EXPECT(t.mark_count > 20);
    for (int round = 0; round < 2000; round++) {
        struct vector have = { 0 };
        uint64_t origins[4] = { prng_below(&rng, 1 << ORIGINS), 0, 0, 0 };
        uint64_t least = t.end_lsn;
        for (uint8_t o = 0; o < ORIGINS; o++)
            vector_raise(&have, stamp_make(1 + prng_below(&rng, RECORDS), 0, o));
        uint64_t start = tail_start_for(&t, &have, origins);
        for (int i = RECORDS - 1; i >= 0; i--) {
            uint8_t o = stamp_origin(stamps[i]);
            if ((origins[0] >> o & 1) && stamps[i] > vector_get(&have, o))
                least = lsns[i];
        }
        EXPECT(start <= least);
        EXPECT(least - start < (1 << 20) + 20000);
    }
    mem_free(piece);
    tail_release(&t);
}

TEST(an_empty_log_starts_at_its_beginning)
{
    struct tail t;
    struct vector have = { 0 };
    tail_init(&t, KEEP_BYTES);
    EXPECT_EQ(tail_start_for(&t, &have, all_origins), 0);
    vector_set(&have, stamp_make(10, 0, 3));
    EXPECT_EQ(tail_start_for(&t, &have, all_origins), 0);
    tail_release(&t);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
