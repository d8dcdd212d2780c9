#include "base/table.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"

/*
 * A bucket is `state` items, packed from slot 0. When an eighth comes, the last slot becomes the
 * pointer to a further bucket and the state CHAINED: six items and a next. A chain is always dense:
 * every bucket but the last is CHAINED, and the last of several holds two items at least. So a
 * chain's shape follows from its number of items alone, and the place of an item in its chain is
 * one number (`position`).
 *
 * LOAD_MAX trades memory for misses: at 5, 10 million keys cost 14-16 bytes each, and about one
 * find in six reads a third line. Between splitting at 5 and merging at 2 nothing thrashes.
 */
enum {
    BUCKET_SLOTS = 7,
    CHAIN_SLOTS = 6,
    CHAINED = 8,
    SEGMENT_BUCKETS = 4096,
    LOAD_MAX = 5,
    LOAD_MIN = 2,
};

struct table_bucket {
    uint8_t state;               /* items here, or CHAINED */
    uint8_t marks[BUCKET_SLOTS]; /* the highest byte of each item's hash */
    void *slots[BUCKET_SLOTS];
};

static_assert(sizeof(struct table_bucket) == 64, "a bucket is one cache line");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "matches() reads a bucket's first eight bytes as a word");

/* Where an item stands; no bucket: nowhere. */
struct place {
    struct table_bucket *bucket;
    uint32_t index;
};

/* ---- buckets and chains ---- */

/* Not zeroed, or all pages of a segment would be faulted in at once: a bucket is empty once its
 * state says so. */
static struct table_bucket *alloc_buckets(size_t count)
{
    return mem_alloc_aligned(sizeof(struct table_bucket), count * sizeof(struct table_bucket));
}

static struct table_bucket *next_of(const struct table_bucket *b)
{
    return b->slots[BUCKET_SLOTS - 1];
}

static uint32_t items_in(const struct table_bucket *b)
{
    return b->state == CHAINED ? CHAIN_SLOTS : b->state;
}

static uint8_t mark_of(uint64_t hash)
{
    return (uint8_t)(hash >> 56);
}

/* The high bit of byte i + 1 is set when item i bears the mark; a bit above a true one may be
 * false. */
static uint64_t matches(const struct table_bucket *b, uint8_t mark)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t in_use = ((UINT64_C(1) << 8 * items_in(b)) - 1) << 8;
    uint64_t word;

    memcpy(&word, b, sizeof(word));
    word ^= ones * mark;
    return (word - ones) & ~word & (ones << 7) & in_use;
}

static struct place chain_find(const struct table *t, struct table_bucket *b, uint8_t mark,
                               struct span key)
{
    for (;; b = next_of(b)) {
        for (uint64_t hits = matches(b, mark); hits != 0; hits &= hits - 1) {
            uint32_t index = (uint32_t)__builtin_ctzll(hits) / 8 - 1;

            if (span_equal(t->key_of(b->slots[index]), key))
                return (struct place){ b, index };
        }
        if (b->state != CHAINED)
            return (struct place){ NULL, 0 };
    }
}

static uint64_t chain_count(const struct table_bucket *b)
{
    uint64_t count = 0;

    for (; b->state == CHAINED; b = next_of(b))
        count += CHAIN_SLOTS;
    return count + b->state;
}

static struct place chain_at(struct table_bucket *b, uint64_t position)
{
    for (; b->state == CHAINED && position >= CHAIN_SLOTS; b = next_of(b))
        position -= CHAIN_SLOTS;
    if (position >= items_in(b))
        return (struct place){ NULL, 0 };
    return (struct place){ b, (uint32_t)position };
}

static struct table_bucket *chain_extend(struct table *t, struct table_bucket *full)
{
    struct table_bucket *next = alloc_buckets(1);

    next->state = 1;
    next->marks[0] = full->marks[BUCKET_SLOTS - 1];
    next->slots[0] = full->slots[BUCKET_SLOTS - 1];
    full->state = CHAINED;
    full->slots[BUCKET_SLOTS - 1] = next;
    t->chained_count++;
    return next;
}

static void **chain_add(struct table *t, struct table_bucket *b, uint8_t mark)
{
    while (b->state == CHAINED)
        b = next_of(b);
    if (b->state == BUCKET_SLOTS)
        b = chain_extend(t, b);
    b->marks[b->state] = mark;
    b->slots[b->state] = NULL;
    return &b->slots[b->state++];
}

static void free_chained(struct table *t, struct table_bucket *b)
{
    mem_free(b);
    t->chained_count--;
}

/* The last item of the chain takes the place of the one that goes. */
static void chain_remove(struct table *t, struct table_bucket *head, struct place gone)
{
    struct table_bucket *before = NULL, *last = head;

    for (; last->state == CHAINED; last = next_of(last))
        before = last;
    last->state--;
    gone.bucket->marks[gone.index] = last->marks[last->state];
    gone.bucket->slots[gone.index] = last->slots[last->state];
    if (before == NULL || last->state > 1)
        return;
    before->state = BUCKET_SLOTS;
    before->marks[BUCKET_SLOTS - 1] = last->marks[0];
    before->slots[BUCKET_SLOTS - 1] = last->slots[0];
    free_chained(t, last);
}

/* ---- linear hashing: which bucket, and one more or one fewer ---- */

/* Of the smallest power of two that holds every bucket. */
static uint32_t mask_of(const struct table *t)
{
    return t->bucket_count <= 1 ? 0 : UINT32_MAX >> __builtin_clz(t->bucket_count - 1);
}

static bool is_power_of_two(uint32_t n)
{
    return (n & (n - 1)) == 0;
}

static struct table_bucket *bucket_at(const struct table *t, uint32_t index)
{
    if (t->bucket_count <= SEGMENT_BUCKETS)
        return t->first + index;
    return t->segments[index / SEGMENT_BUCKETS] + index % SEGMENT_BUCKETS;
}

/* Buckets that were not split yet in this round serve the hashes of their other half too. */
static struct table_bucket *home_of(const struct table *t, uint64_t hash)
{
    uint32_t mask = mask_of(t);
    uint32_t index = (uint32_t)hash & mask;

    return bucket_at(t, index < t->bucket_count ? index : index & mask >> 1);
}

/* The first segment always has room for the power of two that holds its buckets. */
static void resize_first(struct table *t, uint32_t capacity)
{
    struct table_bucket *made = alloc_buckets(capacity);

    if (t->bucket_count > 0)
        memcpy(made, t->first, t->bucket_count * sizeof(*made));
    mem_free(t->first);
    t->first = made;
}

/* Likewise the array of segments. */
static void resize_segments(struct table *t, uint32_t capacity)
{
    t->segments = mem_realloc(t->segments, capacity * sizeof(t->segments[0]));
}

static void add_segment(struct table *t, uint32_t index)
{
    if (index == 1) {
        struct table_bucket *first = t->first;

        t->segments = mem_alloc(2 * sizeof(t->segments[0]));
        t->segments[0] = first;
    } else if (is_power_of_two(index)) {
        resize_segments(t, index * 2);
    }
    t->segments[index] = alloc_buckets(SEGMENT_BUCKETS);
}

static void drop_segment(struct table *t, uint32_t index)
{
    mem_free(t->segments[index]);
    if (index == 1) {
        struct table_bucket *first = t->segments[0];

        mem_free(t->segments);
        t->first = first;
    } else if (is_power_of_two(index)) {
        resize_segments(t, index);
    }
}

static void append_bucket(struct table *t)
{
    uint32_t count = t->bucket_count;

    CHECK(count < UINT32_MAX);
    if (count < SEGMENT_BUCKETS) {
        if (is_power_of_two(count))
            resize_first(t, count == 0 ? 1 : count * 2);
    } else if (count % SEGMENT_BUCKETS == 0) {
        add_segment(t, count / SEGMENT_BUCKETS);
    }
    t->bucket_count = count + 1;
    bucket_at(t, count)->state = 0;
}

static void drop_bucket(struct table *t)
{
    uint32_t count = t->bucket_count - 1;

    if (count >= SEGMENT_BUCKETS && count % SEGMENT_BUCKETS == 0)
        drop_segment(t, count / SEGMENT_BUCKETS);
    t->bucket_count = count;
    if (count < SEGMENT_BUCKETS && is_power_of_two(count))
        resize_first(t, count);
}

/* Takes the chain out of its bucket, the keys of its first items on their way to the cache. */
static struct table_bucket detach(struct table_bucket *b)
{
    struct table_bucket chain = *b;

    for (uint32_t i = 0; i < items_in(&chain); i++)
        __builtin_prefetch(chain.slots[i]);
    b->state = 0;
    return chain;
}

/* Walks a detached chain, freeing what stands behind its first bucket. */
static struct table_bucket *detached_next(struct table *t, const struct table_bucket *first,
                                          struct table_bucket *at)
{
    struct table_bucket *next = at->state == CHAINED ? next_of(at) : NULL;

    if (at != first)
        free_chained(t, at);
    return next;
}

static void split_one(struct table *t)
{
    append_bucket(t);
    uint32_t mask = mask_of(t), made = t->bucket_count - 1;
    struct table_bucket *low = bucket_at(t, made & mask >> 1), *high = bucket_at(t, made);
    struct table_bucket chain = detach(low);

    for (struct table_bucket *b = &chain; b != NULL; b = detached_next(t, &chain, b)) {
        for (uint32_t i = 0; i < items_in(b); i++) {
            uint64_t hash = table_hash(t, t->key_of(b->slots[i]));

            *chain_add(t, ((uint32_t)hash & mask) == made ? high : low, b->marks[i]) = b->slots[i];
        }
    }
}

static void merge_one(struct table *t)
{
    uint32_t last = t->bucket_count - 1;
    struct table_bucket *low = bucket_at(t, last & mask_of(t) >> 1);
    struct table_bucket chain = detach(bucket_at(t, last));

    for (struct table_bucket *b = &chain; b != NULL; b = detached_next(t, &chain, b)) {
        for (uint32_t i = 0; i < items_in(b); i++)
            *chain_add(t, low, b->marks[i]) = b->slots[i];
    }
    drop_bucket(t);
}

/* The two more than LOAD_MAX let one bucket fill up before there are two. */
static void grow(struct table *t)
{
    if (t->bucket_count == 0)
        append_bucket(t);
    else if (t->count >= (uint64_t)LOAD_MAX * t->bucket_count + 2)
        split_one(t);
}

static bool is_sparse(const struct table *t)
{
    return t->bucket_count > 1 && t->count < (uint64_t)LOAD_MIN * t->bucket_count;
}

static void free_buckets(struct table *t)
{
    for (uint32_t i = 0; t->chained_count > 0; i++) {
        struct table_bucket chain = detach(bucket_at(t, i));

        for (struct table_bucket *b = &chain; b != NULL;)
            b = detached_next(t, &chain, b);
    }
    if (t->bucket_count > SEGMENT_BUCKETS) {
        for (uint32_t i = 0; i <= (t->bucket_count - 1) / SEGMENT_BUCKETS; i++)
            mem_free(t->segments[i]);
    }
    mem_free(t->segments);
    t->segments = NULL;
    t->bucket_count = 0;
}

/* ---- the table ---- */

void table_init(struct table *t, table_key_fn key_of, uint64_t seed)
{
    *t = (struct table){ .key_of = key_of, .seed = seed };
}

void table_release(struct table *t)
{
    free_buckets(t);
    *t = (struct table){ 0 };
}

uint64_t table_hash(const struct table *t, struct span key)
{
    return XXH3_64bits_withSeed(key.at, key.len, t->seed);
}

void **table_find(const struct table *t, struct span key)
{
    return t->count == 0 ? NULL : table_find_hashed(t, key, table_hash(t, key));
}

void **table_find_hashed(const struct table *t, struct span key, uint64_t hash)
{
    if (t->count == 0)
        return NULL;
    struct place at = chain_find(t, home_of(t, hash), mark_of(hash), key);

    return at.bucket != NULL ? &at.bucket->slots[at.index] : NULL;
}

uint64_t table_prefetch(const struct table *t, struct span key)
{
    uint64_t hash = table_hash(t, key);

    if (t->count > 0)
        __builtin_prefetch(home_of(t, hash));
    return hash;
}

void table_prefetch_item(const struct table *t, uint64_t hash)
{
    if (t->count == 0)
        return;
    const struct table_bucket *b = home_of(t, hash);

    for (uint64_t hits = matches(b, mark_of(hash)); hits != 0; hits &= hits - 1)
        __builtin_prefetch(b->slots[(uint32_t)__builtin_ctzll(hits) / 8 - 1]);
}

static void **add(struct table *t, uint64_t hash)
{
    grow(t);
    t->count++;
    return chain_add(t, home_of(t, hash), mark_of(hash));
}

void table_insert(struct table *t, void *item)
{
    struct span key = t->key_of(item);

    CHECK_SLOW(table_find(t, key) == NULL);
    *add(t, table_hash(t, key)) = item;
}

void **table_find_or_add(struct table *t, struct span key)
{
    uint64_t hash = table_hash(t, key);
    void **slot = table_find_hashed(t, key, hash);

    return slot != NULL ? slot : add(t, hash);
}

void **table_add_hashed(struct table *t, uint64_t hash)
{
    return add(t, hash);
}

void *table_remove(struct table *t, struct span key)
{
    if (t->count == 0)
        return NULL;
    uint64_t hash = table_hash(t, key);
    struct table_bucket *home = home_of(t, hash);
    struct place at = chain_find(t, home, mark_of(hash), key);
    void *item;

    if (at.bucket == NULL)
        return NULL;
    item = at.bucket->slots[at.index];
    chain_remove(t, home, at);
    t->count--;
    if (t->count == 0)
        free_buckets(t);
    else if (is_sparse(t))
        merge_one(t);
    return item;
}

static void visit_chain(const struct table_bucket *b, table_visit_fn visit, void *context)
{
    for (;; b = next_of(b)) {
        for (uint32_t i = 0; i < items_in(b); i++)
            visit(context, b->slots[i]);
        if (b->state != CHAINED)
            return;
    }
}

static uint64_t reverse_bits(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
    v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0fu) | (v & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(v);
}

/*
 * The cursor counts from the highest bit of the mask downwards, as in Redis (P. Noordhuis): so
 * whatever was visited under one mask is exactly what counts as visited under a wider or narrower
 * one. Masks here are those of the round's beginning: a bucket is visited together with the one
 * that was split from it.
 */
void table_visit_hash(const struct table *t, uint64_t hash, table_visit_fn visit, void *context)
{
    if (t->count == 0)
        return;
    for (const struct table_bucket *b = home_of(t, hash); b != NULL;
         b = b->state == CHAINED ? next_of(b) : NULL) {
        for (uint32_t i = 0; i < items_in(b); i++) {
            if (b->marks[i] == mark_of(hash))
                visit(context, b->slots[i]);
        }
    }
}

uint64_t table_scan(const struct table *t, uint64_t cursor, table_visit_fn visit, void *context)
{
    if (t->count == 0)
        return 0;
    uint32_t begun_with = UINT32_C(1) << (31 - __builtin_clz(t->bucket_count));
    uint64_t mask = begun_with - 1;
    uint32_t index = (uint32_t)(cursor & mask);

    visit_chain(bucket_at(t, index), visit, context);
    if (index < t->bucket_count - begun_with)
        visit_chain(bucket_at(t, index + begun_with), visit, context);
    return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

static void *first_from(const struct table *t, uint32_t index)
{
    while (bucket_at(t, index)->state == 0)
        index = index + 1 < t->bucket_count ? index + 1 : 0;
    return bucket_at(t, index)->slots[0];
}

/*
 * Draws a bucket and a place in it until there is an item there, so that full buckets are drawn
 * more often: uniform but for chains longer than `places`. Gives up where a broken-off iteration
 * left nearly all buckets empty.
 */
void *table_random(const struct table *t, struct prng *prng)
{
    enum { PLACES = 16, TRIES = 128 };

    if (t->count == 0)
        return NULL;
    for (int i = 0; i < TRIES; i++) {
        struct table_bucket *b = bucket_at(t, (uint32_t)prng_below(prng, t->bucket_count));
        uint64_t count = chain_count(b);
        struct place at = chain_at(b, prng_below(prng, count > PLACES ? count : PLACES));

        if (at.bucket != NULL)
            return at.bucket->slots[at.index];
    }
    return first_from(t, (uint32_t)prng_below(prng, t->bucket_count));
}

static uint64_t power_of_two_from(uint64_t n)
{
    return n <= 1 ? n : UINT64_C(1) << (64 - __builtin_clzll(n - 1));
}

size_t table_bytes(const struct table *t)
{
    uint64_t segments = (t->bucket_count + (uint64_t)SEGMENT_BUCKETS - 1) / SEGMENT_BUCKETS;
    uint64_t buckets = segments * SEGMENT_BUCKETS, array = 0;

    if (segments > 1)
        array = power_of_two_from(segments) * sizeof(t->segments[0]);
    else
        buckets = power_of_two_from(t->bucket_count);
    return (buckets + t->chained_count) * sizeof(struct table_bucket) + array;
}

/* ---- iteration ---- */

void table_iter_init(struct table_iter *it, const struct table *t)
{
    *it = (struct table_iter){ .table = t };
}

/* What iterating with removal made sparse costs no more to merge than it did to walk. */
static void finish_removal(struct table_iter *it)
{
    struct table *t = (struct table *)it->table;

    while (is_sparse(t))
        merge_one(t);
    it->removed = false;
    it->bucket = UINT32_MAX;
}

void **table_iter_next(struct table_iter *it)
{
    for (; it->bucket < it->table->bucket_count; it->bucket++, it->position = 0) {
        struct place at = chain_at(bucket_at(it->table, it->bucket), it->position);

        if (at.bucket != NULL) {
            it->position++;
            return &at.bucket->slots[at.index];
        }
    }
    if (it->removed)
        finish_removal(it);
    return NULL;
}

/* The chain's last item moves to the place that becomes free, so that place is the next to give. */
void table_iter_remove(struct table_iter *it)
{
    struct table *t = (struct table *)it->table;
    struct table_bucket *head = bucket_at(t, it->bucket);

    CHECK(it->position > 0);
    it->position--;
    it->removed = true;
    chain_remove(t, head, chain_at(head, it->position));
    t->count--;
    if (t->count == 0)
        free_buckets(t);
}
