#include "store/marker.h"

#include "base/error.h"
#include "base/prng.h"
#include "base/test.h"
#include "sim/disk.h"

static char problem[MARKER_PROBLEM_MAX];

static struct marker random_marker(struct prng *rng)
{
    struct marker m = { .instance = prng_next(rng),
                        .began_us = prng_next(rng),
                        .end_lsn = prng_next(rng),
                        .tail_of = (uint8_t)prng_below(rng, 256) };
    for (uint64_t n = prng_below(rng, 5); n > 0; n--) {
        vector_raise(&m.floor, prng_next(rng) | 1ull << 40);
        vector_raise(&m.had, prng_next(rng) | 1ull << 40);
    }
    return m;
}

static bool same(const struct marker *a, const struct marker *b)
{
    return a->instance == b->instance && a->began_us == b->began_us && a->end_lsn == b->end_lsn &&
           vector_equal(&a->floor, &b->floor) && vector_equal(&a->had, &b->had) &&
           a->tail_of == b->tail_of;
}

TEST(a_marker_is_there_until_it_is_removed)
{
    struct sim_disk d;
    struct prng rng;
    struct marker m, got;
    prng_seed(&rng, test_seed());
    sim_disk_init(&d, 1);
    EXPECT_EQ(marker_read(&d.disk, &got, problem), E_MISSING);
    for (int round = 0; round < 50; round++) {
        m = random_marker(&rng);
        EXPECT_EQ(marker_write(&d.disk, &m, problem), E_OK);
        sim_disk_crash(&d);
        EXPECT_EQ(marker_read(&d.disk, &got, problem), E_OK);
        EXPECT(same(&m, &got));
    }
    EXPECT_EQ(marker_remove(&d.disk, problem), E_OK);
    EXPECT_EQ(marker_remove(&d.disk, problem), E_OK);
    sim_disk_crash(&d);
    EXPECT_EQ(marker_read(&d.disk, &got, problem), E_MISSING);
    sim_disk_release(&d);
}

/* After a crash in the midst of writing one there is the old one, or the new one, whole. */
TEST(a_crash_leaves_the_old_marker_or_the_new_one)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 300; round++) {
        struct sim_disk d;
        struct marker old = random_marker(&rng), new = random_marker(&rng), got;
        sim_disk_init(&d, prng_next(&rng));
        EXPECT_EQ(marker_write(&d.disk, &old, problem), E_OK);
        d.die_at = 1 + prng_below(&rng, 8);
        bool written = marker_write(&d.disk, &new, problem) == E_OK;
        sim_disk_crash(&d);
        d.die_at = 0;
        EXPECT_EQ(marker_read(&d.disk, &got, problem), E_OK);
        EXPECT(same(&new, &got) || (!written && same(&old, &got)));
        sim_disk_release(&d);
    }
}

TEST(a_damaged_marker_is_an_error)
{
    struct prng rng;
    prng_seed(&rng, test_seed());
    for (int round = 0; round < 300; round++) {
        struct sim_disk d;
        struct disk_file *file;
        struct buffer bytes = { 0 };
        struct marker m = random_marker(&rng);
        sim_disk_init(&d, 1);
        EXPECT_EQ(marker_write(&d.disk, &m, problem), E_OK);
        EXPECT_EQ(d.disk.ops->open(&d.disk, "bootstrap", false, &file), E_OK);
        EXPECT_EQ(d.disk.ops->read(&d.disk, file, 0, 1 << 16, &bytes), E_OK);
        size_t at = (size_t)prng_below(&rng, bytes.len);
        bytes.at[at] ^= (uint8_t)(1 << prng_below(&rng, 8));
        EXPECT_EQ(d.disk.ops->write(&d.disk, file, 0, buffer_span(&bytes)), E_OK);
        if (prng_chance(&rng, 300000))
            EXPECT_EQ(d.disk.ops->truncate(&d.disk, file, at), E_OK);
        d.disk.ops->close(&d.disk, file);
        EXPECT_EQ(marker_read(&d.disk, &m, problem), E_CORRUPT);
        EXPECT(strstr(problem, "damaged") != NULL);
        buffer_release(&bytes);
        sim_disk_release(&d);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
