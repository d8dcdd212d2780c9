/*
 * heap -- a binary min-heap of nodes that know their place.
 *
 * The node is embedded in what is ordered; `key` is the order. A node that is not in a heap has
 * index 0.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    size_t index; /* place + 1; 0 = in no heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
};

void heap_release(struct heap *h); /* frees no nodes */
/* adds, or moves to its new key */
void heap_put(struct heap *h, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *h, struct heap_node *node); /* harmless when it is in no heap */
struct heap_node *heap_top(const struct heap *h);         /* the smallest key, or NULL */

#endif
