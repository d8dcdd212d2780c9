#include "base/btree.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

/*
 * A node other than the root holds 8 to 32 entries. A full one is split in halves, but where
 * entries are appended or prepended in order three quarters stay behind, so that lists and time
 * series fill their leaves well.
 */
enum { NODE_MAX = 32, NODE_MIN = 8 };

struct btree_node {
    int count;
    bool is_leaf;
    struct btree_node *prev, *next; /* of leaves */
    void *items[NODE_MAX]; /* a leaf's items; in an inner node the least item below each child */
};

struct inner {
    struct btree_node node;
    struct btree_node *child[NODE_MAX];
    uint64_t below[NODE_MAX]; /* items below each child */
};

/* ---- one node ---- */

static struct inner *inner_of(struct btree_node *n)
{
    CHECK(!n->is_leaf);
    return (struct inner *)n; /* the node is its first member */
}

static size_t bytes_of(bool is_leaf)
{
    return is_leaf ? sizeof(struct btree_node) : sizeof(struct inner);
}

static struct btree_node *new_node(struct btree *t, bool is_leaf)
{
    struct btree_node *n = mem_zalloc(bytes_of(is_leaf));

    n->is_leaf = is_leaf;
    t->bytes += bytes_of(is_leaf);
    return n;
}

static void free_node(struct btree *t, struct btree_node *n)
{
    t->bytes -= bytes_of(n->is_leaf);
    mem_free(n);
}

static uint64_t items_below(struct btree_node *n)
{
    uint64_t sum = 0;

    if (n->is_leaf)
        return (uint64_t)n->count;
    for (int i = 0; i < n->count; i++)
        sum += inner_of(n)->below[i];
    return sum;
}

/* What the parent notes about a child, after the child changed. */
static void refresh(struct inner *p, int i)
{
    p->node.items[i] = p->child[i]->items[0];
    p->below[i] = items_below(p->child[i]);
}

/* Moves `count` entries from one place to another, in the same node or between two of a kind. */
static void move(struct btree_node *to, int to_index, struct btree_node *from, int from_index,
                 int count)
{
    size_t entries = (size_t)count;

    memmove(&to->items[to_index], &from->items[from_index], entries * sizeof(to->items[0]));
    if (to->is_leaf)
        return;
    memmove(&inner_of(to)->child[to_index], &inner_of(from)->child[from_index],
            entries * sizeof(struct btree_node *));
    memmove(&inner_of(to)->below[to_index], &inner_of(from)->below[from_index],
            entries * sizeof(uint64_t));
}

static void open_gap(struct btree_node *n, int index)
{
    CHECK(n->count < NODE_MAX);
    move(n, index + 1, n, index, n->count - index);
    n->count++;
}

static void close_gap(struct btree_node *n, int index)
{
    n->count--;
    move(n, index, n, index + 1, n->count - index);
}

static void link_after(struct btree_node *left, struct btree_node *right)
{
    right->prev = left;
    right->next = left->next;
    if (left->next != NULL)
        left->next->prev = right;
    left->next = right;
}

static void unlink_leaf(struct btree_node *n)
{
    if (n->prev != NULL)
        n->prev->next = n->next;
    if (n->next != NULL)
        n->next->prev = n->prev;
}

/* Makes room in a full node where an entry is to come at `index`; gives the new right sibling. */
static struct btree_node *split(struct btree *t, struct btree_node *n, int index)
{
    int keep = index == n->count ? NODE_MAX - NODE_MIN : index == 0 ? NODE_MIN : NODE_MAX / 2;
    struct btree_node *right = new_node(t, n->is_leaf);

    move(right, 0, n, keep, n->count - keep);
    right->count = n->count - keep;
    n->count = keep;
    if (n->is_leaf)
        link_after(n, right);
    return right;
}

/* Opens a gap at `index`, splitting when full. *at and *index tell where; gives the new right
 * sibling or NULL. */
static struct btree_node *make_gap(struct btree *t, struct btree_node **at, int *index)
{
    struct btree_node *left = *at, *right = NULL;

    if (left->count == NODE_MAX)
        right = split(t, left, *index);
    if (*index > left->count) {
        *index -= left->count;
        *at = right;
    }
    open_gap(*at, *index);
    return right;
}

/* The first entry >= probe; *found when it is equal. */
static int lower_bound(const struct btree *t, const struct btree_node *n, const void *probe,
                       bool *found)
{
    int low = 0, high = n->count;

    *found = false;
    while (low < high) {
        int middle = (low + high) / 2, order = t->compare(n->items[middle], probe);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The child below which the probe stands, or would. */
static int route(const struct btree *t, const struct btree_node *n, const void *probe)
{
    bool found;
    int index = lower_bound(t, n, probe, &found);

    return found || index == 0 ? index : index - 1;
}

/* ---- the tree ---- */

void btree_init(struct btree *t, btree_compare_fn compare)
{
    *t = (struct btree){ .compare = compare };
}

static void free_below(struct btree *t, struct btree_node *n)
{
    if (!n->is_leaf) {
        for (int i = 0; i < n->count; i++)
            free_below(t, inner_of(n)->child[i]);
    }
    free_node(t, n);
}

void btree_release(struct btree *t)
{
    if (t->root != NULL)
        free_below(t, t->root);
    *t = (struct btree){ 0 };
}

/* Gives the right sibling that `n` got, if it had to be split. */
static struct btree_node *insert_below(struct btree *t, struct btree_node *n, void *item,
                                       bool *inserted)
{
    struct btree_node *split_off, *right;
    int index;

    if (n->is_leaf) {
        bool found;

        index = lower_bound(t, n, item, &found);
        *inserted = !found;
        if (found)
            return NULL;
        right = make_gap(t, &n, &index);
        n->items[index] = item;
        return right;
    }
    index = route(t, n, item);
    split_off = insert_below(t, inner_of(n)->child[index], item, inserted);
    if (!*inserted)
        return NULL;
    refresh(inner_of(n), index);
    if (split_off == NULL)
        return NULL;
    index++;
    right = make_gap(t, &n, &index);
    inner_of(n)->child[index] = split_off;
    refresh(inner_of(n), index);
    return right;
}

static void raise_root(struct btree *t, struct btree_node *right)
{
    struct inner *root = inner_of(new_node(t, false));

    root->node.count = 2;
    root->child[0] = t->root;
    root->child[1] = right;
    refresh(root, 0);
    refresh(root, 1);
    t->root = &root->node;
}

bool btree_insert(struct btree *t, void *item)
{
    struct btree_node *right;
    bool inserted;

    if (t->root == NULL)
        t->root = new_node(t, true);
    right = insert_below(t, t->root, item, &inserted);
    if (right != NULL)
        raise_root(t, right);
    t->count += inserted;
    return inserted;
}

static void merge(struct btree *t, struct inner *p, int left_index)
{
    struct btree_node *left = p->child[left_index], *right = p->child[left_index + 1];

    move(left, left->count, right, 0, right->count);
    left->count += right->count;
    if (right->is_leaf)
        unlink_leaf(right);
    free_node(t, right);
    close_gap(&p->node, left_index + 1);
    refresh(p, left_index);
}

/* Evens out two neighbours. */
static void share(struct inner *p, int left_index)
{
    struct btree_node *left = p->child[left_index], *right = p->child[left_index + 1];
    int moved = (left->count - right->count) / 2;

    if (moved > 0) {
        move(right, moved, right, 0, right->count);
        move(right, 0, left, left->count - moved, moved);
    } else {
        move(left, left->count, right, 0, -moved);
        move(right, 0, right, -moved, right->count + moved);
    }
    left->count -= moved;
    right->count += moved;
    refresh(p, left_index);
    refresh(p, left_index + 1);
}

static void mend_child(struct btree *t, struct inner *p, int index)
{
    int left_index = index > 0 ? index - 1 : 0;

    CHECK(p->node.count >= 2);
    if (p->child[left_index]->count + p->child[left_index + 1]->count <= NODE_MAX)
        merge(t, p, left_index);
    else
        share(p, left_index);
}

static void *remove_below(struct btree *t, struct btree_node *n, const void *probe)
{
    void *item;
    int index;

    if (n->is_leaf) {
        bool found;

        index = lower_bound(t, n, probe, &found);
        if (!found)
            return NULL;
        item = n->items[index];
        close_gap(n, index);
        return item;
    }
    index = route(t, n, probe);
    item = remove_below(t, inner_of(n)->child[index], probe);
    if (item == NULL)
        return NULL;
    refresh(inner_of(n), index);
    if (inner_of(n)->child[index]->count < NODE_MIN)
        mend_child(t, inner_of(n), index);
    return item;
}

/* An inner root of one child gives way to it, an empty leaf to nothing. */
static void lower_root(struct btree *t)
{
    struct btree_node *root = t->root;

    if (root->is_leaf ? root->count > 0 : root->count > 1)
        return;
    t->root = root->is_leaf ? NULL : inner_of(root)->child[0];
    free_node(t, root);
}

void *btree_remove(struct btree *t, const void *probe)
{
    void *item;

    if (t->root == NULL)
        return NULL;
    item = remove_below(t, t->root, probe);
    if (item == NULL)
        return NULL;
    lower_root(t);
    t->count--;
    return item;
}

void *btree_find(const struct btree *t, const void *probe)
{
    struct btree_node *n = t->root;
    bool found;
    int index;

    if (n == NULL)
        return NULL;
    while (!n->is_leaf)
        n = inner_of(n)->child[route(t, n, probe)];
    index = lower_bound(t, n, probe, &found);
    return found ? n->items[index] : NULL;
}

/* ---- ranks and cursors ---- */

uint64_t btree_rank(const struct btree *t, const void *probe, bool *found)
{
    struct btree_node *n = t->root;
    uint64_t rank = 0;

    *found = false;
    if (n == NULL)
        return 0;
    while (!n->is_leaf) {
        int index = route(t, n, probe);

        for (int i = 0; i < index; i++)
            rank += inner_of(n)->below[i];
        n = inner_of(n)->child[index];
    }
    return rank + (uint64_t)lower_bound(t, n, probe, found);
}

void *btree_at(const struct btree *t, uint64_t rank)
{
    struct btree_cursor c;

    return btree_seek(t, rank, &c);
}

static void *item_at(const struct btree_cursor *c)
{
    return c->leaf != NULL && c->index >= 0 && c->index < c->leaf->count ? c->leaf->items[c->index]
                                                                         : NULL;
}

void *btree_seek(const struct btree *t, uint64_t rank, struct btree_cursor *c)
{
    struct btree_node *n = t->root;

    if (rank > t->count)
        rank = t->count;
    while (n != NULL && !n->is_leaf) {
        int index = 0;

        /* The last child takes the rank past the end. */
        while (index < n->count - 1 && rank >= inner_of(n)->below[index])
            rank -= inner_of(n)->below[index++];
        n = inner_of(n)->child[index];
    }
    *c = (struct btree_cursor){ .leaf = n, .index = (int)rank };
    return item_at(c);
}

void *btree_next(struct btree_cursor *c)
{
    if (c->leaf == NULL || c->index == c->leaf->count)
        return NULL;
    c->index++;
    if (c->index == c->leaf->count && c->leaf->next != NULL)
        *c = (struct btree_cursor){ .leaf = c->leaf->next, .index = 0 };
    return item_at(c);
}

void *btree_prev(struct btree_cursor *c)
{
    if (c->leaf == NULL || c->index < 0)
        return NULL;
    c->index--;
    if (c->index < 0 && c->leaf->prev != NULL)
        *c = (struct btree_cursor){ .leaf = c->leaf->prev, .index = c->leaf->prev->count - 1 };
    return item_at(c);
}

size_t btree_bytes(const struct btree *t)
{
    return t->bytes;
}

/* ---- invariants ---- */

struct audit {
    const struct btree *tree;
    struct btree_node *last_leaf;
    size_t bytes;
    int leaf_depth; /* -1 until the first leaf */
};

static void check_leaf(struct audit *a, struct btree_node *n, int depth)
{
    CHECK(a->leaf_depth == -1 || a->leaf_depth == depth);
    CHECK(n->prev == a->last_leaf);
    if (a->last_leaf != NULL) {
        CHECK(a->last_leaf->next == n);
        CHECK(a->tree->compare(a->last_leaf->items[a->last_leaf->count - 1], n->items[0]) < 0);
    }
    a->leaf_depth = depth;
    a->last_leaf = n;
}

static void check_below(struct audit *a, struct btree_node *n, int depth)
{
    CHECK(n->count <= NODE_MAX);
    CHECK(n->count >= (n != a->tree->root ? NODE_MIN : n->is_leaf ? 1 : 2));
    a->bytes += bytes_of(n->is_leaf);
    for (int i = 1; i < n->count; i++)
        CHECK(a->tree->compare(n->items[i - 1], n->items[i]) < 0);
    if (n->is_leaf) {
        check_leaf(a, n, depth);
        return;
    }
    for (int i = 0; i < n->count; i++) {
        check_below(a, inner_of(n)->child[i], depth + 1);
        CHECK(n->items[i] == inner_of(n)->child[i]->items[0]);
        CHECK(inner_of(n)->below[i] == items_below(inner_of(n)->child[i]));
    }
}

void btree_check(const struct btree *t)
{
    struct audit a = { .tree = t, .leaf_depth = -1 };

    if (t->root != NULL)
        check_below(&a, t->root, 0);
    CHECK(t->count == (t->root != NULL ? items_below(t->root) : 0));
    CHECK(a.last_leaf == NULL || a.last_leaf->next == NULL);
    CHECK(a.bytes == t->bytes);
}
