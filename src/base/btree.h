/*
 * btree -- a counted B+tree: ordered items with their rank.
 *
 * Items are opaque pointers ordered by `compare`; equal items do not coexist. Every inner node
 * counts what stands below it, so rank -> item and item -> rank are O(log n).
 * Iteration in both directions through linked leaves.
 * Memory:    nodes of at most 32 items; owns the nodes, never the items. Inner nodes point to items
 *            too: an item must keep its order while it is in the tree.
 */
#ifndef BASE_BTREE_H
#define BASE_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int (*btree_compare_fn)(const void *a, const void *b);

struct btree_node;

struct btree {
    btree_compare_fn compare;
    struct btree_node *root;
    uint64_t count;
    size_t bytes; /* of all nodes */
};

void btree_init(struct btree *t, btree_compare_fn compare);
void btree_release(struct btree *t);

/* false when an equal item is there */
bool btree_insert(struct btree *t, void *item);
void *btree_remove(struct btree *t, const void *probe); /* the item taken out, or NULL */
void *btree_find(const struct btree *t, const void *probe);

/* Rank of the first item >= probe (== count when there is none); *found says whether it is
 * equal. */
uint64_t btree_rank(const struct btree *t, const void *probe, bool *found);
void *btree_at(const struct btree *t, uint64_t rank); /* NULL past the end */

struct btree_cursor {
    struct btree_node *leaf;
    int index;
};

/* Places the cursor at `rank`; returns that item, or NULL past the end. The tree must not change
 * meanwhile. Past either end the cursor rests there: btree_prev after the last NULL of btree_next
 * gives the last item, and so on. */
void *btree_seek(const struct btree *t, uint64_t rank, struct btree_cursor *c);
void *btree_next(struct btree_cursor *c);
void *btree_prev(struct btree_cursor *c);

size_t btree_bytes(const struct btree *t);

/* Checks every invariant; for tests. */
void btree_check(const struct btree *t);

#endif
