#include "base/heap.h"

#include "base/prng.h"
#include "base/test.h"

TEST(empty_heap_has_no_top)
{
    struct heap h = { 0 };
    struct heap_node node = { 0 };

    EXPECT(heap_top(&h) == NULL);
    heap_remove(&h, &node);
    heap_release(&h);
    heap_release(&h);
}

TEST(release_lets_the_nodes_go)
{
    struct heap h = { 0 };
    struct heap_node node = { 0 };

    heap_put(&h, &node, 5);
    EXPECT(heap_top(&h) == &node);
    heap_release(&h);
    EXPECT_EQ(node.index, 0);
    heap_put(&h, &node, 6);
    EXPECT_EQ(heap_top(&h)->key, 6);
    heap_release(&h);
}

TEST(keys_come_out_in_order)
{
    struct heap h = { 0 };
    struct heap_node nodes[500] = { 0 };
    struct prng prng;
    uint64_t last = 0;

    prng_seed(&prng, test_seed());
    for (int i = 0; i < 500; i++)
        heap_put(&h, &nodes[i], prng_below(&prng, 200));
    for (int i = 0; i < 500; i++) {
        struct heap_node *top = heap_top(&h);

        EXPECT(top->key >= last);
        last = top->key;
        heap_remove(&h, top);
        EXPECT_EQ(top->index, 0);
    }
    EXPECT(heap_top(&h) == NULL);
    heap_release(&h);
}

static uint64_t smallest(const struct heap_node *nodes, int count)
{
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < count; i++) {
        if (nodes[i].index != 0 && nodes[i].key < least)
            least = nodes[i].key;
    }
    return least;
}

/* No parent after its child, and every node knows its place. */
static bool in_order(const struct heap *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->nodes[i]->index != i + 1 || (i > 0 && h->nodes[(i - 1) / 2]->key > h->nodes[i]->key))
            return false;
    }
    return true;
}

TEST(random_puts_moves_and_removals_agree_with_a_plain_search)
{
    enum { COUNT = 60 };
    struct heap h = { 0 };
    struct heap_node nodes[COUNT] = { 0 };
    struct prng prng;

    prng_seed(&prng, test_seed());
    for (int step = 0; step < 50000; step++) {
        struct heap_node *node = &nodes[prng_below(&prng, COUNT)];
        uint64_t least;

        if (prng_chance(&prng, 550000))
            heap_put(&h, node, prng_below(&prng, 100));
        else
            heap_remove(&h, node);
        EXPECT(in_order(&h));
        least = smallest(nodes, COUNT);
        if (h.count == 0)
            EXPECT(heap_top(&h) == NULL && least == UINT64_MAX);
        else
            EXPECT_EQ(heap_top(&h)->key, least);
    }
    heap_release(&h);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
