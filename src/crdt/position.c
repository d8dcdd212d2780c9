#include "crdt/position.h"

#include "base/check.h"
#include "base/mutation.h"

enum {
    LEVEL_BYTES_MAX = 9 + 8 + 8 + 9,
    SMALL_MAX = 55, /* in one byte */
    SMALL_MIN = -56,
};

/* Farther than any command's elements reach, so that there is room for all of them. */
static const int64_t INDEX_FAR = (int64_t)1 << 40;
/* Sequences of pushes at one end move k by one: what is farther was not made by a push. */
static const int64_t K_MAX = (int64_t)1 << 60;

struct level {
    int64_t k;
    stamp_t run;
    int64_t u;
    int64_t j;
};

/* --- encoding --- */

static uint8_t *put_big_endian(uint8_t *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--)
        *at++ = (uint8_t)(v >> (8 * (i - 1)));
    return at;
}

static unsigned bytes_of(uint64_t v)
{
    unsigned bytes = 1;
    while (bytes < 8 && v >> (8 * bytes) != 0)
        bytes++;
    return bytes;
}

static uint8_t *put_signed(uint8_t *at, int64_t v)
{
    if (v >= SMALL_MIN && v <= SMALL_MAX) {
        *at++ = (uint8_t)(0x80 + v);
        return at;
    }
    uint64_t rest = v > 0 ? (uint64_t)(v - SMALL_MAX - 1) : (uint64_t)(SMALL_MIN - 1 - v);
    unsigned bytes = bytes_of(rest);
    *at++ = (uint8_t)(v > 0 ? 0xb8 + (bytes - 1) : 0x47 - (bytes - 1));
    return put_big_endian(at, v > 0 ? rest : ~rest, bytes);
}

static void put_level(struct buffer *out, const struct level *l)
{
    uint8_t *start = buffer_room(out, LEVEL_BYTES_MAX), *at = put_signed(start, l->k);
    at = put_big_endian(at, l->run, 8);
    at = put_big_endian(at, (uint64_t)l->u ^ (1ull << 63), 8);
    at = put_signed(at, l->j);
    out->len += (size_t)(at - start);
}

/* --- decoding --- */

static bool take_big_endian(struct span *in, unsigned bytes, uint64_t *v)
{
    struct span s;
    if (!span_take_bytes(in, bytes, &s))
        return false;
    *v = 0;
    for (unsigned i = 0; i < bytes; i++)
        *v = *v << 8 | s.at[i];
    return true;
}

static bool take_signed(struct span *in, int64_t *v)
{
    uint8_t lead;
    uint64_t rest;
    if (!span_take_u8(in, &lead))
        return false;
    if (lead >= 0x80 + SMALL_MIN && lead <= 0x80 + SMALL_MAX) {
        *v = (int64_t)lead - 0x80;
        return true;
    }
    bool positive = lead >= 0x80;
    unsigned bytes = positive ? lead - 0xb8u + 1 : 0x47u - lead + 1;
    if (bytes > 8 || !take_big_endian(in, bytes, &rest))
        return false;
    if (!positive)
        rest = bytes == 8 ? ~rest : ~rest & ((1ull << (8 * bytes)) - 1);
    if (rest > (uint64_t)K_MAX || bytes_of(rest) != bytes)
        return false;
    *v = positive ? (int64_t)rest + SMALL_MAX + 1 : SMALL_MIN - 1 - (int64_t)rest;
    return true;
}

static bool take_level(struct span *in, struct level *l)
{
    uint64_t u;
    if (!take_signed(in, &l->k) || !take_big_endian(in, 8, &l->run) ||
        !take_big_endian(in, 8, &u) || !take_signed(in, &l->j))
        return false;
    l->u = (int64_t)(u ^ (1ull << 63));
    return l->k > -K_MAX && l->k < K_MAX && l->u != 0 && l->u != INT64_MIN;
}

bool position_valid(struct span p)
{
    struct level l;
    if (p.len == 0 || p.len > POSITION_BYTES_MAX)
        return false;
    while (p.len > 0) {
        if (!take_level(&p, &l))
            return false;
    }
    return true;
}

/* The level at the front of what is left of a position that is in a list. */
static struct level level_at(struct span p)
{
    struct level l;
    CHECK(take_level(&p, &l));
    return l;
}

/* Splits off the last level; *parent is what stands before it. */
static struct level last_level(struct span p, struct span *parent)
{
    struct span rest = p;
    struct level l = { 0 };
    *parent = span_of(p.at, 0);
    while (rest.len > 0) {
        parent->len = (size_t)(rest.at - p.at);
        CHECK(take_level(&rest, &l));
    }
    return l;
}

/* --- a place between two neighbours --- */

struct neighbours {
    struct span before, after; /* empty: the end */
};

static int64_t direction(const struct position_place *place)
{
    return place->right ? (int64_t)place->op : -(int64_t)place->op;
}

/* How the place's element of this index compares to a neighbour. */
static int compare_to(struct position_place *place, int64_t index, struct span neighbour)
{
    size_t len = place->parent.len;
    put_level(&place->parent, &(struct level){ place->k, place->run, direction(place), index });
    int order = span_compare(buffer_span(&place->parent), neighbour);
    place->parent.len = len;
    return order;
}

/* Whether all that `place` could name is strictly between the neighbours. */
static bool fits(struct position_place *place, const struct neighbours *n)
{
    return (n->before.len == 0 || compare_to(place, -INDEX_FAR, n->before) > 0) &&
           (n->after.len == 0 || compare_to(place, INDEX_FAR, n->after) < 0);
}

static bool try(struct position_place *place, const struct neighbours *n, struct span parent,
                int64_t k, stamp_t run)
{
    if (k <= -K_MAX || k >= K_MAX)
        return false;
    buffer_clear(&place->parent);
    buffer_put(&place->parent, parent);
    place->k = k;
    place->run = run;
    return fits(place, n);
}

static bool is_end(const struct neighbours *n)
{
    return n->before.len == 0 || n->after.len == 0;
}

/* (1) The run of the neighbour that one pushes away from goes on, if it is one's own and grows this
 * way; at an end, if it is one level deep. */
static bool go_on(struct position_place *place, const struct neighbours *n)
{
    struct span near = place->right ? n->before : n->after, parent;
    if (near.len == 0)
        return false;
    struct level l = last_level(near, &parent);
    bool own = stamp_origin(l.run) == stamp_origin(place->op) || MUTATION(joins_runs);
    return own && (l.u > 0) == place->right && (parent.len == 0 || !is_end(n)) &&
           try(place, n, parent, l.k, l.run);
}

/* (2) At an end: one level beyond what stands there. */
static bool at_an_end(struct position_place *place, const struct neighbours *n)
{
    struct span top = span_of(NULL, 0);
    if (!is_end(n))
        return false;
    int64_t k = n->before.len > 0  ? level_at(n->before).k + 1
                : n->after.len > 0 ? level_at(n->after).k - 1
                                   : 0;
    return try(place, n, top, k, place->op);
}

/* (3) Beside a neighbour. */
static bool beside(struct position_place *place, const struct neighbours *n)
{
    struct span parent;
    struct level l = last_level(n->before, &parent);
    if (try(place, n, parent, l.k + 1, place->op))
        return true;
    l = last_level(n->after, &parent);
    return try(place, n, parent, l.k - 1, place->op);
}

/* (4) Below the left neighbour. */
static bool below(struct position_place *place, const struct neighbours *n)
{
    bool is_prefix = n->after.len > n->before.len &&
                     span_equal(span_of(n->after.at, n->before.len), n->before);
    int64_t k = is_prefix ? level_at(span_skip(n->after, n->before.len)).k - 1 : 0;
    return try(place, n, n->before, k, place->op);
}

static bool is_deep(const struct neighbours *n)
{
    return n->before.len > POSITION_DEEP_BYTES || n->after.len > POSITION_DEEP_BYTES;
}

bool position_between(struct position_place *place, struct span before, struct span after,
                      stamp_t op, bool right)
{
    struct neighbours n = { before, after };
    *place = (struct position_place){ .op = op, .right = right };
    if (go_on(place, &n) || at_an_end(place, &n))
        return true;
    return !is_end(&n) && !is_deep(&n) && (beside(place, &n) || below(place, &n));
}

void position_release(struct position_place *place)
{
    buffer_release(&place->parent);
}

size_t position_bytes_max(const struct position_place *place)
{
    return place->parent.len + LEVEL_BYTES_MAX;
}

void position_put(struct buffer *out, const struct position_place *place, uint64_t index)
{
    int64_t j = place->right ? (int64_t)index : -(int64_t)index;
    buffer_put(out, buffer_span(&place->parent));
    put_level(out, &(struct level){ place->k, place->run, direction(place), j });
}
