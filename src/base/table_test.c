#include "base/table.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/test.h"

struct item {
    uint64_t key;
    bool present; /* the model */
    bool steady;  /* present throughout the scan under test */
    uint32_t visits;
};

static struct span key_of(const void *item)
{
    return span_of(&((const struct item *)item)->key, sizeof(uint64_t));
}

static struct span key_span(const uint64_t *key)
{
    return span_of(key, sizeof(*key));
}

static struct item *make_items(size_t count)
{
    struct item *items = mem_zalloc(count * sizeof(*items));

    for (size_t i = 0; i < count; i++)
        items[i].key = i;
    return items;
}

static void put(struct table *t, struct item *item)
{
    table_insert(t, item);
    item->present = true;
}

static bool take(struct table *t, struct item *item)
{
    item->present = false;
    return table_remove(t, key_of(item)) == item;
}

static struct item *find(const struct table *t, const struct item *item)
{
    void **slot = table_find(t, key_of(item));

    return slot != NULL ? *slot : NULL;
}

/* How many of the items the table does not report as the model has them. */
static size_t disagreements(const struct table *t, const struct item *items, size_t count)
{
    size_t wrong = 0, present = 0;

    for (size_t i = 0; i < count; i++) {
        wrong += find(t, &items[i]) != (items[i].present ? &items[i] : NULL);
        present += items[i].present;
    }
    return wrong + (present != t->count);
}

static void count_visit(void *context, void *item)
{
    (void)context;
    ((struct item *)item)->visits++;
}

static void scan_all(const struct table *t)
{
    uint64_t cursor = 0;

    do {
        cursor = table_scan(t, cursor, count_visit, NULL);
    } while (cursor != 0);
}

TEST(empty_table_owns_nothing_and_finds_nothing)
{
    struct table t;
    struct prng prng;
    struct table_iter it;
    struct item item = { .key = 1 };

    prng_seed(&prng, 1);
    table_init(&t, key_of, 7);
    EXPECT_EQ(table_bytes(&t), 0);
    EXPECT(find(&t, &item) == NULL);
    EXPECT(table_remove(&t, key_of(&item)) == NULL);
    EXPECT(table_random(&t, &prng) == NULL);
    EXPECT_EQ(table_scan(&t, 0, count_visit, NULL), 0);
    table_iter_init(&it, &t);
    EXPECT(table_iter_next(&it) == NULL);
    table_release(&t);
    table_release(&t);
}

TEST(seven_items_are_one_bucket_and_removing_all_gives_all_back)
{
    struct table t;
    struct item *items = make_items(8);

    table_init(&t, key_of, 7);
    for (int i = 0; i < 7; i++) {
        put(&t, &items[i]);
        EXPECT_EQ(table_bytes(&t), 64);
    }
    put(&t, &items[7]);
    EXPECT(table_bytes(&t) > 64);
    for (int i = 0; i < 8; i++)
        EXPECT(take(&t, &items[i]));
    EXPECT_EQ(table_bytes(&t), 0);
    EXPECT_EQ(t.count, 0);
    free(items);
}

TEST(keys_of_any_length_are_told_apart)
{
    struct table t;
    struct item a = { .key = 5 }, b = { .key = 5 };

    table_init(&t, key_of, 0);
    put(&t, &a);
    EXPECT(table_find(&t, span_of(&a.key, 7)) == NULL);
    EXPECT(table_find(&t, span_of(NULL, 0)) == NULL);
    EXPECT(find(&t, &b) == &a);
    table_release(&t);
}

TEST(slot_may_be_replaced_by_an_item_of_the_same_key)
{
    struct table t;
    struct item a = { .key = 5 }, b = { .key = 5 };

    table_init(&t, key_of, 0);
    put(&t, &a);
    *table_find(&t, key_of(&a)) = &b;
    EXPECT(find(&t, &a) == &b);
    EXPECT(table_remove(&t, key_of(&a)) == &b);
    table_release(&t);
}

TEST(find_or_add_gives_an_empty_slot_once)
{
    enum { COUNT = 5000 };
    struct table t;
    struct item *items = make_items(COUNT);

    table_init(&t, key_of, 3);
    for (int i = 0; i < COUNT; i++) {
        void **slot = table_find_or_add(&t, key_of(&items[i]));

        EXPECT(*slot == NULL);
        EXPECT_EQ(t.count, i + 1);
        *slot = &items[i];
        items[i].present = true;
        EXPECT(*table_find_or_add(&t, key_of(&items[i])) == &items[i]);
        EXPECT_EQ(t.count, i + 1);
    }
    EXPECT_EQ(disagreements(&t, items, COUNT), 0);
    table_release(&t);
    free(items);
}

/* Phases of growing and shrinking, across the borders of segments. */
TEST(random_inserts_and_removals_agree_with_a_plain_model)
{
    enum { COUNT = 60000, ROUNDS = 8 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, prng_next(&prng));
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t insert_ppm = round % 2 == 0 ? 900000 : 80000;
        uint64_t universe = round < 4 ? COUNT : 300;

        for (int step = 0; step < COUNT; step++) {
            struct item *item = &items[prng_below(&prng, universe)];
            bool insert = prng_chance(&prng, insert_ppm), was_present = item->present;

            if (insert && !was_present)
                put(&t, item);
            else if (!insert)
                EXPECT_EQ(take(&t, item), was_present);
        }
        EXPECT_EQ(disagreements(&t, items, COUNT), 0);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (items[i].present)
            EXPECT(take(&t, &items[i]));
    }
    EXPECT_EQ(table_bytes(&t), 0);
    free(items);
}

TEST(memory_stays_near_what_is_needed_while_growing_and_shrinking)
{
    enum { COUNT = 200000 };
    struct table t;
    struct item *items = make_items(COUNT);

    table_init(&t, key_of, 11);
    for (int i = 0; i < COUNT; i++)
        put(&t, &items[i]);
    EXPECT(table_bytes(&t) < COUNT * 18);
    for (int i = 1000; i < COUNT; i++)
        EXPECT(take(&t, &items[i]));
    EXPECT(table_bytes(&t) < 1000 * 70);
    EXPECT_EQ(disagreements(&t, items, COUNT), 0);
    table_release(&t);
    free(items);
}

/* Keys chosen so that all fall into one bucket, however the table is split. */
TEST(long_chains_keep_every_item)
{
    enum { COUNT = 200 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);
    uint64_t candidate = 0;

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, 99);
    for (int i = 0; i < COUNT; i++) {
        while ((table_hash(&t, key_span(&candidate)) & 0x3ff) != 0x155)
            candidate++;
        items[i].key = candidate++;
    }
    for (int step = 0; step < 20000; step++) {
        struct item *item = &items[prng_below(&prng, COUNT)];

        if (item->present)
            EXPECT(take(&t, item));
        else
            put(&t, item);
        if (step % 100 == 0)
            EXPECT_EQ(disagreements(&t, items, COUNT), 0);
    }
    table_release(&t);
    free(items);
}

TEST(scan_of_a_still_table_visits_each_item_once)
{
    enum { COUNT = 30000 };
    struct table t;
    struct item *items = make_items(COUNT);

    table_init(&t, key_of, 5);
    for (int i = 0; i < COUNT; i++) {
        put(&t, &items[i]);
        if (i > 100 && i % 1777 != 0 && i != COUNT - 1)
            continue;
        for (int j = 0; j <= i; j++)
            items[j].visits = 0;
        scan_all(&t);
        for (int j = 0; j <= i; j++)
            EXPECT_EQ(items[j].visits, 1);
    }
    table_release(&t);
    free(items);
}

TEST(scan_takes_any_cursor_that_a_client_sends)
{
    enum { COUNT = 1000 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, 5);
    for (int i = 0; i < COUNT; i++)
        put(&t, &items[i]);
    for (int i = 0; i < 1000; i++)
        table_scan(&t, prng_next(&prng), count_visit, NULL);
    table_scan(&t, UINT64_MAX, count_visit, NULL);
    table_release(&t);
    free(items);
}

static void churn(struct table *t, struct prng *prng, struct item *items, size_t count,
                  uint32_t insert_ppm)
{
    struct item *item = &items[prng_below(prng, count)];

    if (item->steady)
        return;
    if (prng_chance(prng, insert_ppm)) {
        if (!item->present)
            put(t, item);
    } else if (item->present) {
        CHECK(take(t, item));
    }
}

TEST(scan_visits_what_stayed_however_the_table_grew_or_shrank)
{
    enum { COUNT = 30000, SCANS = 60 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, prng_next(&prng));
    for (int i = 0; i < SCANS; i++) {
        uint32_t insert_ppm = (uint32_t)prng_below(&prng, 1000001);
        uint64_t changes_per_step = prng_below(&prng, 40);
        uint64_t cursor = 0;

        for (size_t j = 0; j < COUNT; j++) {
            items[j].visits = 0;
            items[j].steady = items[j].present && prng_chance(&prng, 300000);
        }
        do {
            cursor = table_scan(&t, cursor, count_visit, NULL);
            for (uint64_t j = 0; j < changes_per_step; j++)
                churn(&t, &prng, items, COUNT, insert_ppm);
        } while (cursor != 0);
        for (size_t j = 0; j < COUNT; j++)
            EXPECT(!items[j].steady || items[j].visits > 0);
    }
    table_release(&t);
    free(items);
}

TEST(iteration_gives_each_item_once_and_removes_the_chosen)
{
    enum { COUNT = 40000, ROUNDS = 6 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, prng_next(&prng));
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t remove_ppm = (uint32_t)prng_below(&prng, 1000001);
        uint64_t expected, seen = 0;
        struct table_iter it;

        for (int i = 0; i < COUNT; i++) {
            items[i].visits = 0;
            if (!items[i].present && prng_chance(&prng, 700000))
                put(&t, &items[i]);
        }
        expected = t.count;
        table_iter_init(&it, &t);
        for (void **slot; (slot = table_iter_next(&it)) != NULL; seen++) {
            struct item *item = *slot;

            EXPECT(item->present);
            EXPECT_EQ(++item->visits, 1);
            if (!prng_chance(&prng, remove_ppm))
                continue;
            table_iter_remove(&it);
            item->present = false;
        }
        EXPECT(table_iter_next(&it) == NULL);
        EXPECT_EQ(seen, expected);
        EXPECT_EQ(disagreements(&t, items, COUNT), 0);
    }
    table_release(&t);
    free(items);
}

TEST(iteration_that_removes_all_gives_the_memory_back)
{
    enum { COUNT = 30000 };
    struct table t;
    struct table_iter it;
    struct item *items = make_items(COUNT);

    table_init(&t, key_of, 4);
    for (int i = 0; i < COUNT; i++)
        put(&t, &items[i]);
    table_iter_init(&it, &t);
    while (table_iter_next(&it) != NULL) {
        if (t.count > 1)
            table_iter_remove(&it);
    }
    EXPECT_EQ(t.count, 1);
    EXPECT_EQ(table_bytes(&t), 64);
    table_iter_init(&it, &t);
    EXPECT(table_iter_next(&it) != NULL);
    table_iter_remove(&it);
    EXPECT(table_iter_next(&it) == NULL);
    EXPECT_EQ(table_bytes(&t), 0);
    free(items);
}

/* With 200 draws an item on average, none is drawn less than 100 or more than 320 times but once in
 * a billion runs. */
TEST(random_items_are_drawn_about_equally)
{
    enum { COUNT = 500 };
    struct table t;
    struct prng prng;
    struct item *items = make_items(COUNT);

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, prng_next(&prng));
    for (int i = 0; i < COUNT; i++)
        put(&t, &items[i]);
    for (int i = 0; i < COUNT * 200; i++)
        ((struct item *)table_random(&t, &prng))->visits++;
    for (int i = 0; i < COUNT; i++)
        EXPECT(items[i].visits > 100 && items[i].visits < 320);
    table_release(&t);
    free(items);
}

TEST(random_item_is_found_among_empty_buckets)
{
    enum { COUNT = 50000 };
    struct table t;
    struct prng prng;
    struct table_iter it;
    struct item *items = make_items(COUNT), *last = NULL;

    prng_seed(&prng, test_seed());
    table_init(&t, key_of, 8);
    for (int i = 0; i < COUNT; i++)
        put(&t, &items[i]);
    table_iter_init(&it, &t);
    while (t.count > 1) { /* left before its end: the buckets stay */
        last = *table_iter_next(&it);
        table_iter_remove(&it);
    }
    EXPECT(last != table_random(&t, &prng));
    last = table_random(&t, &prng);
    EXPECT(last != NULL && find(&t, last) == last);
    table_release(&t);
    free(items);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
