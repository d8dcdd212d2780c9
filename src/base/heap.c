#include "base/heap.h"

#include "base/check.h"
#include "base/memory.h"

enum { HEAP_MIN_NODES = 16 };

/* Places count from 1, so that the parent of i is i / 2 and 0 means "in no heap". */
static void place(struct heap *h, size_t index, struct heap_node *node)
{
    h->nodes[index - 1] = node;
    node->index = index;
}

static struct heap_node *node_at(const struct heap *h, size_t index)
{
    return h->nodes[index - 1];
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t index = node->index;

    while (index > 1 && node_at(h, index / 2)->key > node->key) {
        place(h, index, node_at(h, index / 2));
        index /= 2;
    }
    place(h, index, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t index = node->index;

    for (;;) {
        size_t child = index * 2;

        if (child > h->count)
            break;
        if (child < h->count && node_at(h, child + 1)->key < node_at(h, child)->key)
            child++;
        if (node_at(h, child)->key >= node->key)
            break;
        place(h, index, node_at(h, child));
        index = child;
    }
    place(h, index, node);
}

static void append(struct heap *h, struct heap_node *node)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? HEAP_MIN_NODES : h->cap * 2;
        h->nodes = mem_realloc(h->nodes, h->cap * sizeof(*h->nodes));
    }
    h->count++;
    place(h, h->count, node);
}

void heap_release(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->nodes[i]->index = 0;
    mem_free(h->nodes);
    *h = (struct heap){ 0 };
}

void heap_put(struct heap *h, struct heap_node *node, uint64_t key)
{
    if (node->index == 0)
        append(h, node);
    CHECK(node->index <= h->count && node_at(h, node->index) == node);
    node->key = key;
    sift_up(h, node);
    sift_down(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t index = node->index;
    struct heap_node *last;

    if (index == 0)
        return;
    CHECK(index <= h->count && node_at(h, index) == node);
    last = node_at(h, h->count);
    h->count--;
    node->index = 0;
    if (last == node)
        return;
    place(h, index, last);
    sift_up(h, last);
    sift_down(h, last);
}

struct heap_node *heap_top(const struct heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}
