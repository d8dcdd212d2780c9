/* All keys, random keys, and what is due or contested, wherever they are: beside a plain list. */
#include "crdt/resident_trial.h"

static unsigned visited[KEYS];

static void note_visit(void *context, const struct scanned *s)
{
    bool *good = context;
    unsigned number = number_of(s->key);
    visited[number]++;
    *good &= (s->entry != NULL) == is_resident(0, number);
}

/* Keys that are there, `present`, or ever were since, `ever`. */
static bool present[KEYS], stayed[KEYS], ever[KEYS];

static void change_randomly(void)
{
    unsigned number = (unsigned)prng_below(&prng, KEYS);
    switch (prng_below(&prng, 6)) {
    case 0:
        set(number, "v");
        present[number] = ever[number] = true;
        break;
    case 1:
        del(number);
        present[number] = stayed[number] = false;
        break;
    case 2:
        if (prng_below(&prng, 20) == 0)
            copy_all(0);
        break;
    case 3:
        database_find(&databases[0], name_of(number));
        break;
    default:
        evict(0, number);
    }
}

TEST(a_scan_visits_every_key_that_stays_wherever_it_moves)
{
    begin();
    memset(present, 0, sizeof(present));
    for (int round = 0; round < 40; round++) {
        uint64_t cursor = 0;
        bool good = true;
        unsigned steps = 0;
        for (uint64_t n = prng_below(&prng, 2000); n > 0; n--)
            change_randomly();
        if (round % 10 == 9) { /* a small table again */
            for (unsigned i = 0; i < KEYS; i++) {
                if (prng_below(&prng, 20) != 0) {
                    del(i);
                    present[i] = false;
                }
            }
        }
        memcpy(stayed, present, sizeof(present));
        memcpy(ever, present, sizeof(present));
        memset(visited, 0, sizeof(visited));
        do {
            cursor = resident_scan(&databases[0], cursor, note_visit, &good);
            for (uint64_t n = prng_below(&prng, 40); n > 0; n--)
                change_randomly();
            EXPECT(++steps < 10000);
        } while (cursor != 0);
        EXPECT(good);
        for (unsigned i = 0; i < KEYS; i++) {
            EXPECT(!stayed[i] || visited[i] > 0);
            EXPECT(ever[i] || visited[i] == 0);
        }
    }
    EXPECT_EQ(databases[0].damage, E_OK);
    end();
}

TEST(a_scan_of_keys_at_rest_visits_each_once)
{
    begin();
    for (unsigned i = 0; i < KEYS; i++)
        set(i, "v");
    copy_all(0);
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % 3 != 0)
            EXPECT(evict(0, i));
    }
    uint64_t cursor = 0;
    bool good = true;
    memset(visited, 0, sizeof(visited));
    do
        cursor = resident_scan(&databases[0], cursor, note_visit, &good);
    while (cursor != 0);
    EXPECT(good);
    for (unsigned i = 0; i < KEYS; i++)
        EXPECT_EQ(visited[i], 1);
    end();
}

TEST(every_key_is_drawn_at_random_in_memory_or_not)
{
    enum { FEW = 20, DRAWS = 4000 };
    unsigned drawn[FEW] = { 0 };
    begin();
    EXPECT(!resident_random(&databases[0], &prng));
    for (unsigned i = 0; i < FEW; i++)
        set(i, "v");
    copy_all(0);
    for (unsigned i = 0; i < DRAWS; i++) {
        for (unsigned k = 0; k < FEW; k += 2)
            evict(0, k);
        const struct entry *e = resident_random(&databases[0], &prng);
        EXPECT(e != NULL);
        drawn[number_of(entry_name(e))]++;
    }
    unsigned cold_draws = 0;
    for (unsigned i = 0; i < FEW; i++) {
        EXPECT(drawn[i] > 0);
        cold_draws += i % 2 == 0 ? drawn[i] : 0;
    }
    EXPECT(cold_draws > DRAWS / 3 && cold_draws < DRAWS * 2 / 3);
    end();
}

static void count_object(void *context, const struct entry *e)
{
    ++*(unsigned *)context;
    visited[number_of(entry_name(e))]++;
}

TEST(cold_objects_can_be_looked_at_without_being_kept)
{
    unsigned count = 0;
    begin();
    for (unsigned i = 0; i < 30; i++)
        set(i, "v");
    copy_all(0);
    for (unsigned i = 0; i < 20; i++)
        EXPECT(evict(0, i));
    evict(0, 20);
    del(20);
    memset(visited, 0, sizeof(visited));
    resident_each_cold(&databases[0], count_object, &count);
    EXPECT_EQ(count, 20);
    EXPECT_EQ(databases[0].colds.keys, 20);
    end();
}

/* --- what is due, what is contested --- */

static unsigned resident_of(uint8_t db, unsigned from, unsigned to)
{
    unsigned count = 0;
    for (unsigned i = from; i < to; i++)
        count += is_resident(db, i);
    return count;
}

TEST(what_is_due_is_fetched_a_little_at_a_time_also_of_one_moment)
{
    begin();
    for (unsigned i = 0; i < 100; i++)
        write_by(i % 2, i, SELF, "v", i < 80 ? 5000 : 7000);
    for (uint8_t db = 0; db < 2; db++) {
        copy_all(db);
        for (unsigned i = 0; i < 100; i++)
            evict(db, i);
    }
    EXPECT(!resident_fetch_due(databases, 5000, 10));
    EXPECT_EQ(resident_of(0, 0, 100) + resident_of(1, 0, 100), 0);
    unsigned calls = 1;
    for (; resident_fetch_due(databases, 5001, 10); calls++)
        EXPECT(resident_of(0, 0, 100) + resident_of(1, 0, 100) == 10 * calls);
    EXPECT_EQ(calls, 8);
    EXPECT_EQ(resident_of(0, 0, 80) + resident_of(1, 0, 80), 80);
    EXPECT_EQ(resident_of(0, 80, 100) + resident_of(1, 80, 100), 0);
    EXPECT(evict(0, 2) && evict(1, 3)); /* they leave again: so they are fetched again */
    while (resident_fetch_due(databases, 5001, 10))
        continue;
    EXPECT(is_resident(0, 2) && is_resident(1, 3));
    while (resident_fetch_due(databases, 8000, 10))
        continue;
    EXPECT_EQ(resident_of(0, 80, 100) + resident_of(1, 80, 100), 20);
    end();
}

TEST(what_is_in_memory_already_is_passed_in_bounded_steps)
{
    unsigned calls = 1;
    begin();
    for (unsigned i = 0; i < KEYS; i++)
        write_by(0, i, SELF, "v", 5000);
    copy_all(0);
    unsigned last = 0;
    for (unsigned i = 0; i < KEYS; i++)
        last = position_of(i) > position_of(last) ? i : last;
    EXPECT(evict(0, last));
    for (; resident_fetch_due(databases, 6000, 5); calls++)
        EXPECT(calls < KEYS);
    EXPECT(is_resident(0, last));
    EXPECT_EQ(calls, KEYS / 20);
    end();
}

TEST(contested_objects_of_a_prefix_are_fetched)
{
    begin();
    for (unsigned i = 0; i < 30; i++) {
        write_by(0, i, SELF, "a", 0);
        if (i % 2 == 0)
            write_by(0, i, 2, "b", 0);
    }
    copy_all(0);
    for (unsigned i = 0; i < 30; i++)
        EXPECT(evict(0, i));
    EXPECT_EQ(database_contested(&databases[0]), 15);
    resident_fetch_contested(&databases[0], span_str("key:1"), 3);
    EXPECT_EQ(resident_of(0, 0, 30), 3);
    resident_fetch_contested(&databases[0], span_str("key:1"), 100);
    EXPECT_EQ(resident_of(0, 0, 30), 5); /* 10, 12 … 18 */
    resident_fetch_contested(&databases[0], span_of(NULL, 0), 100);
    EXPECT_EQ(resident_of(0, 0, 30), 15);
    EXPECT_EQ(database_contested(&databases[0]), 15);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
