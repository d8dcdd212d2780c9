/*
 * Positions against a plain model: levels as numbers, compared as numbers, encoded here once more
 * from the table in position.h.
 */
#include "crdt/position.h"

#include "base/check.h"
#include "base/prng.h"
#include "base/test.h"

enum { LEVELS_MAX = 40 };

static const int64_t FAR = (int64_t)1 << 40; /* beyond every element of a command */

struct level {
    int64_t k;
    stamp_t run;
    int64_t u, j;
};

struct position {
    struct level at[LEVELS_MAX];
    size_t count;
};

/* --- the model's order and encoding --- */

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_levels(const struct level *a, const struct level *b)
{
    int order = compare_int(a->k, b->k);
    if (order == 0)
        order = compare_int((int64_t)a->run, (int64_t)b->run);
    if (order == 0)
        order = compare_int(a->u, b->u);
    return order ? order : compare_int(a->j, b->j);
}

static int compare(const struct position *a, const struct position *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = compare_levels(&a->at[i], &b->at[i]);
        if (order)
            return order;
    }
    return compare_int((int64_t)a->count, (int64_t)b->count);
}

static void put_bytes(struct buffer *out, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buffer_put_u8(out, (uint8_t)(v >> (8 * i)));
}

static int width(uint64_t v)
{
    int bytes = 1;
    while (v > 255) {
        v >>= 8;
        bytes++;
    }
    return bytes;
}

static void put_number(struct buffer *out, int64_t v)
{
    if (v >= -56 && v <= 55) {
        buffer_put_u8(out, (uint8_t)(0x80 + v));
    } else if (v > 0) {
        uint64_t rest = (uint64_t)v - 56;
        buffer_put_u8(out, (uint8_t)(0xb8 + width(rest) - 1));
        put_bytes(out, rest, width(rest));
    } else {
        uint64_t rest = (uint64_t)(-57 - v);
        buffer_put_u8(out, (uint8_t)(0x47 - (width(rest) - 1)));
        put_bytes(out, ~rest, width(rest));
    }
}

static void put_model(struct buffer *out, const struct position *p)
{
    for (size_t i = 0; i < p->count; i++) {
        put_number(out, p->at[i].k);
        put_bytes(out, p->at[i].run, 8);
        put_bytes(out, (uint64_t)p->at[i].u ^ (uint64_t)1 << 63, 8);
        put_number(out, p->at[i].j);
    }
}

static bool take_bytes(struct span *in, int bytes, uint64_t *v)
{
    struct span s;
    if (!span_take_bytes(in, (size_t)bytes, &s))
        return false;
    *v = 0;
    for (int i = 0; i < bytes; i++)
        *v = *v * 256 + s.at[i];
    return true;
}

static bool take_number(struct span *in, int64_t *v)
{
    uint8_t lead;
    uint64_t rest;
    if (!span_take_u8(in, &lead))
        return false;
    *v = (int64_t)lead - 0x80;
    if (*v >= -56 && *v <= 55)
        return true;
    int bytes = *v > 0 ? lead - 0xb8 + 1 : 0x47 - lead + 1;
    if (bytes > 8 || !take_bytes(in, bytes, &rest))
        return false;
    if (*v < 0)
        rest = ~rest & (bytes == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * bytes)) - 1);
    if (rest >= (uint64_t)1 << 62)
        return false;
    *v = *v > 0 ? (int64_t)rest + 56 : -57 - (int64_t)rest;
    return true;
}

static bool take_model(struct span in, struct position *p)
{
    for (p->count = 0; in.len > 0; p->count++) {
        uint64_t run, u;
        struct level *l = &p->at[p->count];
        if (p->count == LEVELS_MAX || !take_number(&in, &l->k) || !take_bytes(&in, 8, &run) ||
            !take_bytes(&in, 8, &u) || !take_number(&in, &l->j))
            return false;
        l->run = run;
        l->u = (int64_t)(u ^ (uint64_t)1 << 63);
    }
    return p->count > 0;
}

static struct buffer encoded(const struct position *p)
{
    struct buffer out = { 0 };
    put_model(&out, p);
    return out;
}

/* By position_put, level by level. */
static struct buffer put_by_place(const struct position *p)
{
    struct position_place place = { 0 };
    struct buffer out = { 0 };
    for (size_t i = 0; i < p->count; i++) {
        const struct level *l = &p->at[i];
        buffer_clear(&place.parent);
        buffer_put(&place.parent, buffer_span(&out));
        buffer_clear(&out);
        place.k = l->k;
        place.run = l->run;
        place.right = l->u > 0;
        place.op = (stamp_t)(place.right ? l->u : -l->u);
        position_put(&out, &place, (uint64_t)(place.right ? l->j : -l->j));
    }
    position_release(&place);
    return out;
}

/* --- random ones --- */

static int64_t any_k(struct prng *p)
{
    static const int64_t edges[] = { 0, 55, 56, 311, 312, 65847, -56, -57, -312, -313, -65848 };
    int64_t k = prng_below(p, 2) ? edges[prng_below(p, COUNT_OF(edges))]
                                 : (int64_t)(prng_next(p) >> (4 + prng_below(p, 60)));
    k += (int64_t)prng_below(p, 3) - 1;
    return prng_below(p, 2) ? k : -k;
}

static struct level any_level(struct prng *p)
{
    struct level l = { any_k(p) % ((int64_t)1 << 59), stamp_make(1 + prng_below(p, 4), 0, 1), 0,
                       0 };
    bool right = prng_below(p, 2);
    l.u = (int64_t)stamp_make(1 + prng_below(p, 4), (uint32_t)prng_below(p, 3), 1);
    l.j = (int64_t)(prng_next(p) >> (24 + prng_below(p, 40)));
    if (!right) {
        l.u = -l.u;
        l.j = -l.j;
    }
    return l;
}

static struct position any_position(struct prng *p)
{
    struct position made = { .count = 1 + prng_below(p, 4) };
    for (size_t i = 0; i < made.count; i++)
        made.at[i] = any_level(p);
    return made;
}

/* Mostly the same as another one, so that later levels decide. */
static struct position neighbour(struct prng *p, const struct position *of)
{
    struct position made = *of;
    size_t at = prng_below(p, made.count);
    made.at[at] = any_level(p);
    if (prng_below(p, 2)) {
        made.at[at] = of->at[at];
        made.at[at].k += (int64_t)prng_below(p, 3) - 1;
    }
    if (prng_below(p, 4) == 0)
        made.count = at + 1;
    return made;
}

TEST(the_order_of_bytes_is_the_order_of_levels)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 20000; i++) {
        struct position a = any_position(&p), b = neighbour(&p, &a);
        struct buffer a_bytes = put_by_place(&a), b_bytes = put_by_place(&b);
        int order = span_compare(buffer_span(&a_bytes), buffer_span(&b_bytes));
        bool valid = position_valid(buffer_span(&a_bytes)) && position_valid(buffer_span(&b_bytes));
        buffer_release(&a_bytes);
        buffer_release(&b_bytes);
        EXPECT(valid);
        EXPECT_EQ((order > 0) - (order < 0), compare(&a, &b));
    }
}

TEST(bytes_are_as_the_table_says)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 5000; i++) {
        struct position a = any_position(&p), back;
        struct buffer made = put_by_place(&a), model = encoded(&a);
        bool same = span_equal(buffer_span(&made), buffer_span(&model));
        bool read = take_model(buffer_span(&made), &back) && compare(&a, &back) == 0;
        buffer_release(&made);
        buffer_release(&model);
        EXPECT(same);
        EXPECT(read);
    }
}

TEST(a_position_at_the_end_of_a_short_list_takes_18_bytes)
{
    struct position_place place;
    struct buffer out = { 0 };
    CHECK(position_between(&place, span_of(NULL, 0), span_of(NULL, 0), stamp_make(1, 0, 1), true));
    position_put(&out, &place, 0);
    EXPECT_EQ(out.len, 18);
    position_release(&place);
    buffer_release(&out);
}

/* --- what is refused --- */

/* Valid is what the model reads and would write likewise, with sensible numbers. */
static bool valid_by_model(struct span bytes)
{
    struct position p;
    if (!take_model(bytes, &p))
        return false;
    struct buffer again = encoded(&p);
    bool valid = span_equal(buffer_span(&again), bytes);
    buffer_release(&again);
    for (size_t i = 0; i < p.count; i++) {
        const struct level *l = &p.at[i];
        valid = valid && l->u != 0 && l->u != INT64_MIN && l->k > -((int64_t)1 << 60) &&
                l->k < (int64_t)1 << 60 && l->j <= ((int64_t)1 << 60) + 56 &&
                l->j >= -((int64_t)1 << 60) - 57;
    }
    return valid;
}

static void damage(struct prng *p, struct buffer *b)
{
    switch (prng_below(p, 4)) {
    case 0:
        b->len = prng_below(p, b->len + 1);
        break;
    case 1:
        buffer_put_u8(b, (uint8_t)prng_next(p));
        break;
    case 2:
        b->at[prng_below(p, b->len)] ^= (uint8_t)(1u << prng_below(p, 8));
        break;
    default:
        b->at[prng_below(p, b->len)] = (uint8_t)prng_next(p);
        break;
    }
}

TEST(damaged_positions_are_refused_unless_they_are_others)
{
    struct prng p;
    uint64_t refused = 0;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 50000; i++) {
        struct position a = any_position(&p);
        struct buffer b = encoded(&a);
        for (uint64_t times = 1 + prng_below(&p, 3); times > 0 && b.len > 0; times--)
            damage(&p, &b);
        bool valid = position_valid(buffer_span(&b));
        bool expected = valid_by_model(buffer_span(&b));
        refused += !valid;
        buffer_release(&b);
        EXPECT_EQ(valid, expected);
    }
    EXPECT(refused > 1000);
}

TEST(random_bytes_are_judged_as_by_the_model)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[80];
        size_t len = prng_below(&p, sizeof(bytes));
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)prng_next(&p);
        struct span s = span_of(bytes, len);
        EXPECT_EQ(position_valid(s), valid_by_model(s));
    }
    EXPECT(!position_valid(span_of(NULL, 0)));
}

TEST(too_long_a_position_is_refused)
{
    struct position a = { .count = 1 };
    struct buffer b = { 0 };
    a.at[0] = (struct level){ 0, 1, 1, 0 };
    while (b.len + 18 <= POSITION_BYTES_MAX)
        put_model(&b, &a);
    EXPECT(position_valid(buffer_span(&b)));
    put_model(&b, &a);
    EXPECT(!position_valid(buffer_span(&b)));
    buffer_release(&b);
}

/* --- a place between two neighbours --- */

static struct position extended(const struct position *parent, size_t levels, struct level l)
{
    struct position made = *parent;
    CHECK(levels < LEVELS_MAX);
    made.count = levels;
    made.at[made.count++] = l;
    return made;
}

/* Whether a run named so fits between: all its elements, however many. */
static bool fits(const struct position *parent, size_t levels, struct level l,
                 const struct position *before, const struct position *after)
{
    struct position low, high;
    l.j = -FAR;
    low = extended(parent, levels, l);
    l.j = FAR;
    high = extended(parent, levels, l);
    return (!before || compare(before, &low) < 0) && (!after || compare(&high, after) < 0);
}

static bool is_prefix(const struct position *a, const struct position *of)
{
    for (size_t i = 0; i < a->count; i++) {
        if (i == of->count || compare_levels(&a->at[i], &of->at[i]) != 0)
            return false;
    }
    return of->count > a->count;
}

/* The rules, tried in their order: go on with one's own run (at an end only at one level); an end;
 * beside a neighbour; below. */
static struct position place_by_model(const struct position *before, const struct position *after,
                                      stamp_t op, bool right)
{
    const struct position *near = right ? before : after, nowhere = { 0 };
    struct level l = { 0, op, right ? (int64_t)op : -(int64_t)op, 0 };
    if (near) {
        const struct level *last = &near->at[near->count - 1];
        struct level mine = { last->k, last->run, l.u, 0 };
        bool deep_end = (!before || !after) && near->count > 1;
        if (stamp_origin(last->run) == stamp_origin(op) && (last->u > 0) == right && !deep_end &&
            fits(near, near->count - 1, mine, before, after))
            return extended(near, near->count - 1, mine);
    }
    if (!before || !after) {
        l.k = before ? before->at[0].k + 1 : after ? after->at[0].k - 1 : 0;
        return extended(&nowhere, 0, l);
    }
    l.k = before->at[before->count - 1].k + 1;
    if (fits(before, before->count - 1, l, before, after))
        return extended(before, before->count - 1, l);
    l.k = after->at[after->count - 1].k - 1;
    if (fits(after, after->count - 1, l, before, after))
        return extended(after, after->count - 1, l);
    l.k = is_prefix(before, after) ? after->at[before->count].k - 1 : 0;
    return extended(before, before->count, l);
}

TEST(beside_what_no_push_would_make_there_is_no_place_at_the_end)
{
    struct position far = { .count = 1 };
    struct buffer bytes = { 0 };
    struct position_place place;
    far.at[0] = (struct level){ ((int64_t)1 << 60) - 1, 7, 7, 0 };
    put_model(&bytes, &far);
    EXPECT(position_valid(buffer_span(&bytes)));
    EXPECT(!position_between(&place, buffer_span(&bytes), span_of(NULL, 0), stamp_make(9, 0, 1),
                             true));
    position_release(&place);
    EXPECT(position_between(&place, span_of(NULL, 0), buffer_span(&bytes), stamp_make(9, 0, 1),
                            false));
    position_release(&place);
    buffer_release(&bytes);
}

enum { LIST_MAX = 400 };

static struct position list[LIST_MAX];
static size_t list_count;

static void insert_at(size_t rank, const struct position *p)
{
    memmove(&list[rank + 1], &list[rank], (list_count - rank) * sizeof(list[0]));
    list[rank] = *p;
    list_count++;
}

/* Inserts one command's elements there; false when anything differs from the model. */
static bool insert(size_t rank, stamp_t op, bool right, size_t count)
{
    const struct position *before = rank > 0 ? &list[rank - 1] : NULL;
    const struct position *after = rank < list_count ? &list[rank] : NULL;
    struct buffer before_bytes = { 0 }, after_bytes = { 0 };
    struct position_place place;
    if (before)
        put_model(&before_bytes, before);
    if (after)
        put_model(&after_bytes, after);
    CHECK(
        position_between(&place, buffer_span(&before_bytes), buffer_span(&after_bytes), op, right));
    struct position expected = place_by_model(before, after, op, right);
    bool fine = fits(&expected, expected.count - 1, expected.at[expected.count - 1], before, after);
    for (size_t i = 0; i < count && fine; i++) {
        struct buffer made = { 0 };
        expected.at[expected.count - 1].j = right ? (int64_t)i : -(int64_t)i;
        position_put(&made, &place, i);
        struct buffer model = encoded(&expected);
        fine = span_equal(buffer_span(&made), buffer_span(&model));
        buffer_release(&made);
        buffer_release(&model);
        insert_at(right ? rank + i : rank, &expected);
    }
    position_release(&place);
    buffer_release(&before_bytes);
    buffer_release(&after_bytes);
    return fine;
}

static bool in_order(void)
{
    for (size_t i = 1; i < list_count; i++) {
        if (compare(&list[i - 1], &list[i]) >= 0)
            return false;
    }
    return true;
}

TEST(places_are_where_the_rules_say_and_strictly_between)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int round = 0; round < 400; round++) {
        uint64_t time = 1;
        list_count = 0;
        for (int i = 0; i < 60; i++) {
            uint8_t origin = (uint8_t)(1 + prng_below(&p, 3));
            size_t rank = prng_below(&p, list_count + 1), count = prng_below(&p, 3) ? 1 : 3;
            time += prng_below(&p, 3) + 1;
            if (prng_below(&p, 3) == 0)
                rank = prng_below(&p, 2) ? 0 : list_count;
            EXPECT(insert(rank, stamp_make(time, 0, origin), prng_below(&p, 2), count));
            /* a removed neighbour is none */
            if (prng_below(&p, 4) == 0 && list_count > 1) {
                size_t gone = prng_below(&p, list_count);
                list_count--;
                memmove(&list[gone], &list[gone + 1], (list_count - gone) * sizeof(list[0]));
            }
        }
        EXPECT(in_order());
    }
}

TEST(insertions_in_the_middle_go_deeper_only_where_they_must)
{
    uint64_t time = 1;
    list_count = 0;
    for (size_t i = 0; i < 100; i++)
        EXPECT(insert(i, stamp_make(time++, 0, 1), true, 1)); /* one run */
    EXPECT(insert(50, stamp_make(time++, 0, 1), true, 1));    /* between two of its elements */
    EXPECT_EQ(list[50].count, 2);
    EXPECT(insert(51, stamp_make(time++, 0, 1), true, 1)); /* after that one */
    EXPECT_EQ(list[51].count, 2);
    EXPECT(insert(51, stamp_make(time++, 0, 2), true, 1)); /* by another, between those two */
    EXPECT_EQ(list[51].count, 3);
    EXPECT(in_order());
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
