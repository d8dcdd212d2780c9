#include "base/btree.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"

struct item {
    uint64_t key;
};

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->key, y = ((const struct item *)b)->key;

    return (x > y) - (x < y);
}

/* The model: the same items in a sorted array. */
struct model {
    struct item **items;
    size_t count;
};

static size_t model_rank(const struct model *m, uint64_t key)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (m->items[middle]->key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool model_has(const struct model *m, uint64_t key)
{
    size_t rank = model_rank(m, key);

    return rank < m->count && m->items[rank]->key == key;
}

static void model_insert(struct model *m, struct item *item)
{
    size_t rank = model_rank(m, item->key);

    memmove(&m->items[rank + 1], &m->items[rank], (m->count - rank) * sizeof(*m->items));
    m->items[rank] = item;
    m->count++;
}

static struct item *model_remove(struct model *m, uint64_t key)
{
    size_t rank = model_rank(m, key);
    struct item *item = m->items[rank];

    m->count--;
    memmove(&m->items[rank], &m->items[rank + 1], (m->count - rank) * sizeof(*m->items));
    return item;
}

/* Places at which the tree and the model differ, walking both ways from `start`. */
static size_t differences(const struct btree *t, const struct model *m, uint64_t start)
{
    struct btree_cursor c;
    size_t wrong = t->count != m->count;
    void *item = btree_seek(t, start, &c);

    for (uint64_t i = start; i <= m->count; i++, item = btree_next(&c))
        wrong += item != (i < m->count ? m->items[i] : NULL);
    item = btree_seek(t, start, &c);
    for (uint64_t i = start;; i--, item = btree_prev(&c)) {
        wrong += item != (i < m->count ? m->items[i] : NULL);
        if (i == 0)
            break;
    }
    return wrong + (btree_prev(&c) != NULL);
}

TEST(empty_tree_answers_nothing)
{
    struct btree t;
    struct btree_cursor c;
    struct item probe = { 5 };
    bool found = true;

    btree_init(&t, by_key);
    btree_check(&t);
    EXPECT(btree_find(&t, &probe) == NULL);
    EXPECT(btree_remove(&t, &probe) == NULL);
    EXPECT(btree_at(&t, 0) == NULL);
    EXPECT_EQ(btree_rank(&t, &probe, &found), 0);
    EXPECT(!found);
    EXPECT(btree_seek(&t, 0, &c) == NULL && btree_next(&c) == NULL && btree_prev(&c) == NULL);
    EXPECT_EQ(btree_bytes(&t), 0);
    btree_release(&t);
    btree_release(&t);
}

TEST(an_equal_item_is_refused)
{
    struct btree t;
    struct item a = { 5 }, b = { 5 };

    btree_init(&t, by_key);
    EXPECT(btree_insert(&t, &a));
    EXPECT(!btree_insert(&t, &b));
    EXPECT_EQ(t.count, 1);
    EXPECT(btree_find(&t, &b) == &a);
    EXPECT(btree_remove(&t, &b) == &a);
    EXPECT_EQ(btree_bytes(&t), 0);
    btree_release(&t);
}

TEST(cursor_rests_past_either_end)
{
    struct btree t;
    struct btree_cursor c;
    struct item items[100];

    btree_init(&t, by_key);
    for (uint64_t i = 0; i < 100; i++) {
        items[i].key = i;
        btree_insert(&t, &items[i]);
    }
    EXPECT(btree_seek(&t, 99, &c) == &items[99]);
    EXPECT(btree_next(&c) == NULL && btree_next(&c) == NULL);
    EXPECT(btree_prev(&c) == &items[99]);
    EXPECT(btree_seek(&t, UINT64_MAX, &c) == NULL);
    EXPECT(btree_prev(&c) == &items[99]);
    EXPECT(btree_seek(&t, 0, &c) == &items[0]);
    EXPECT(btree_prev(&c) == NULL && btree_prev(&c) == NULL);
    EXPECT(btree_next(&c) == &items[0]);
    btree_release(&t);
}

/* Appending, prepending and removing in order: the paths that splitting treats apart. */
TEST(ordered_inserts_fill_the_leaves_and_ordered_removals_empty_them)
{
    enum { COUNT = 20000 };
    struct btree t;
    struct item *items = mem_zalloc(COUNT * sizeof(*items));

    for (uint64_t i = 0; i < COUNT; i++)
        items[i].key = i;
    for (int way = 0; way < 4; way++) {
        bool up = (way & 1) != 0, remove_up = (way & 2) != 0;

        btree_init(&t, by_key);
        for (int i = 0; i < COUNT; i++)
            EXPECT(btree_insert(&t, &items[up ? i : COUNT - 1 - i]));
        btree_check(&t);
        EXPECT(btree_bytes(&t) < COUNT * 15);
        for (int i = 0; i < COUNT; i++) {
            struct item *item = &items[remove_up ? i : COUNT - 1 - i];

            EXPECT(btree_at(&t, remove_up ? 0 : t.count - 1) == item);
            EXPECT(btree_remove(&t, item) == item);
            if (i % 500 == 0)
                btree_check(&t);
        }
        EXPECT_EQ(btree_bytes(&t), 0);
    }
    free(items);
}

TEST(random_changes_agree_with_a_sorted_array)
{
    enum { UNIVERSE = 6000, STEPS = 60000 };
    struct btree t;
    struct prng prng;
    struct item *pool = mem_zalloc(UNIVERSE * sizeof(*pool));
    struct model m = { mem_alloc(UNIVERSE * sizeof(struct item *)), 0 };

    prng_seed(&prng, test_seed());
    btree_init(&t, by_key);
    for (uint64_t i = 0; i < UNIVERSE; i++)
        pool[i].key = i;
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &pool[prng_below(&prng, UNIVERSE)];
        bool has = model_has(&m, item->key), found;

        if (prng_chance(&prng, step / 15000 % 2 == 0 ? 800000 : 150000)) {
            EXPECT(btree_insert(&t, item) == !has);
            if (!has)
                model_insert(&m, item);
        } else {
            EXPECT(btree_remove(&t, item) == (has ? item : NULL));
            if (has)
                model_remove(&m, item->key);
        }
        item = &pool[prng_below(&prng, UNIVERSE)];
        has = model_has(&m, item->key);
        EXPECT(btree_find(&t, item) == (has ? item : NULL));
        EXPECT_EQ(btree_rank(&t, item, &found), model_rank(&m, item->key));
        EXPECT_EQ(found, has);
        if (step % 400 == 0) {
            btree_check(&t);
            EXPECT_EQ(differences(&t, &m, prng_below(&prng, m.count + 1)), 0);
        }
    }
    while (m.count > 0) {
        struct item *item = model_remove(&m, m.items[prng_below(&prng, m.count)]->key);

        EXPECT(btree_remove(&t, item) == item);
        if (m.count % 100 == 0)
            btree_check(&t);
    }
    EXPECT_EQ(btree_bytes(&t), 0);
    free(m.items);
    free(pool);
}

TEST(ranks_lead_to_items_and_back)
{
    enum { COUNT = 10000 };
    struct btree t;
    struct prng prng;
    struct item *items = mem_zalloc(COUNT * sizeof(*items));
    bool found;

    prng_seed(&prng, test_seed());
    btree_init(&t, by_key);
    for (int i = 0; i < COUNT; i++) {
        items[i].key = prng_next(&prng) | 1;
        btree_insert(&t, &items[i]);
    }
    for (uint64_t rank = 0; rank < t.count; rank++) {
        struct item *item = btree_at(&t, rank), below = { item->key - 1 },
                    above = { item->key + 1 };

        EXPECT_EQ(btree_rank(&t, item, &found), rank);
        EXPECT(found);
        EXPECT_EQ(btree_rank(&t, &below, &found), rank);
        EXPECT(!found);
        if (item->key != UINT64_MAX) {
            EXPECT_EQ(btree_rank(&t, &above, &found), rank + 1);
            EXPECT(!found);
        }
    }
    EXPECT(btree_at(&t, t.count) == NULL);
    btree_release(&t);
    free(items);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
