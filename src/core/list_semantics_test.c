/*
 * What concurrent writes to lists end in, case by case; that runs never interleave, whatever end or
 * element they grow from; and that no position is used twice.
 */
#include "base/test.h"
#include "core/list_trial.h"

/* --- case by case --- */

STORY(2, two_insertions_after_one_element_both_stand_after_it)
{
    rpush(A, "l", "x z");
    synced();
    insert(A, "l", 1, true, "y1");
    insert(B, "l", 1, true, "y2");
    synced();
    bool first = strcmp(elements(A, "l"), "x y1 y2 z") == 0;
    EXPECT_ELEMENTS("l", first ? "x y1 y2 z" : "x y2 y1 z");
}

STORY(2, runs_pushed_at_the_end_stay_together)
{
    rpush(A, "l", "a b c");
    rpush(B, "l", "x y z");
    synced();
    bool first = strcmp(elements(A, "l"), "a b c x y z") == 0;
    EXPECT_ELEMENTS("l", first ? "a b c x y z" : "x y z a b c");
}

STORY(2, runs_of_single_pushes_stay_together_too)
{
    rpush(A, "l", "a");
    rpush(B, "l", "x");
    rpush(A, "l", "b");
    rpush(B, "l", "y");
    synced();
    bool first = strcmp(elements(A, "l"), "a b x y") == 0;
    EXPECT_ELEMENTS("l", first ? "a b x y" : "x y a b");
}

STORY(2, left_pushes_stand_in_reverse)
{
    lpush(A, "l", "a b");
    lpush(A, "l", "c");
    synced();
    EXPECT_ELEMENTS("l", "c b a");
}

STORY(2, a_push_survives_a_concurrent_removal_of_the_list)
{
    rpush(A, "l", "x");
    synced();
    lpush(A, "l", "y");
    del(B, "l");
    synced();
    EXPECT_ELEMENTS("l", "y");
}

STORY(2, two_pops_of_one_element_leave_nothing)
{
    rpush(A, "l", "z");
    synced();
    take(A, "l", 0);
    take(B, "l", 0);
    synced();
    EXPECT_EVERYWHERE("l", "(nil)");
}

STORY(2, a_value_that_is_set_survives_a_concurrent_removal)
{
    rpush(A, "l", "x");
    synced();
    lset(A, "l", 0, "v");
    take(B, "l", 0);
    synced();
    EXPECT_ELEMENTS("l", "v");
}

STORY(2, of_two_values_set_at_one_place_the_larger_stamp_is_seen)
{
    rpush(A, "l", "x y");
    synced();
    lset(A, "l", 1, "a");
    lset(B, "l", 1, "b");
    synced();
    EXPECT_ELEMENTS("l", "x b");
    lset(A, "l", 1, "c");
    synced();
    EXPECT_ELEMENTS("l", "x c");
}

STORY(2, a_trim_removes_what_was_observed)
{
    rpush(A, "l", "a b c");
    synced();
    take_all(A, "l");
    rpush(B, "l", "d");
    insert(B, "l", 1, true, "a2");
    synced();
    EXPECT_ELEMENTS("l", "a2 d");
}

STORY(2, a_move_is_one_group)
{
    rpush(A, "from", "x y");
    synced();
    lmove(A, "from", "to");
    lmove(B, "from", "to");
    synced();
    EXPECT_ELEMENTS("from", "y");
    EXPECT_ELEMENTS("to", "x x");
    lmove(A, "to", "to");
    synced();
    EXPECT_ELEMENTS("to", "x x");
    EXPECT_EQ(trial.regions[A].count, 3); /* a batch for each command */
}

STORY(2, a_push_to_an_expired_list_starts_anew)
{
    rpush(A, "l", "old");
    expire(A, "l", 100);
    synced();
    later(200);
    rpush(B, "l", "new");
    synced();
    EXPECT_ELEMENTS("l", "new");
    EXPECT_EQ(ttl(A, "l"), -1);
}

/* --- positions, as they are used --- */

static uint64_t levels_of(const struct entry *element)
{
    struct span left = entry_name(element);
    uint64_t levels = 0;
    for (; left.len > 0; levels++) {
        /* k and j lead with how long they are; see the table in crdt/position.h */
        for (int number = 0; number < 2; number++) {
            uint8_t lead = left.at[0];
            size_t more = lead >= 0xb8 ? lead - 0xb8u + 1 : lead < 0x48 ? 0x48u - lead : 0;
            left = span_skip(left, 1 + more + (number == 0 ? 16 : 0));
        }
    }
    return levels;
}

enum run_mode { RUN_RIGHT, RUN_LEFT, RUN_AFTER, RUN_BEFORE, RUN_MODES };

static bool rank_of(size_t region, struct span position, uint64_t *rank)
{
    for (*rank = 0; *rank < length(region, "l"); (*rank)++) {
        if (span_equal(entry_name(element_at(region, "l", *rank)), position))
            return true;
    }
    return false;
}

/* Several commands of one region, each going on where the last one stopped. */
static bool push_run(struct prng *p, size_t region, enum run_mode mode, struct span pivot)
{
    struct buffer last = { 0 };
    bool fine = true;
    buffer_put(&last, pivot);
    for (uint64_t commands = 1 + prng_below(p, 6); commands > 0 && fine; commands--) {
        size_t count = mode <= RUN_LEFT && prng_below(p, 2) ? 3 : 1;
        uint64_t rank = mode == RUN_RIGHT ? length(region, "l") : 0;
        if (mode == RUN_AFTER || mode == RUN_BEFORE)
            CHECK(rank_of(region, buffer_span(&last), &rank));
        rank += mode == RUN_AFTER;
        fine = push_checked(region, rank, mode == RUN_RIGHT || mode == RUN_AFTER, count);
        buffer_clear(&last);
        buffer_put(&last, entry_name(element_at(region, "l", rank)));
    }
    buffer_release(&last);
    return fine;
}

/* How many times the author changes along the list, over the elements that are not in `old`;
 * UINT64_MAX when one at an end is deeper than it needs to be. */
static uint64_t blocks(const struct table *old, bool at_ends)
{
    uint64_t count = 0;
    int before = -1;
    for (uint64_t rank = 0; rank < length(A, "l"); rank++) {
        const struct entry *element = element_at(A, "l", rank);
        if (table_find(old, entry_name(element)))
            continue;
        const struct entry *known = *(void **)table_find(&used, entry_name(element));
        int who = entry_inline_value(known).at[0];
        count += who != before;
        before = who;
        if (at_ends && levels_of(element) != 1)
            return UINT64_MAX;
    }
    return count;
}

static void note_all(struct table *names)
{
    for (uint64_t rank = 0; rank < length(A, "l"); rank++)
        table_insert(names,
                     entry_new(entry_name(element_at(A, "l", rank)), 1, span_of(NULL, 0), false));
}

static void free_all(struct table *names)
{
    struct table_iter it;
    table_iter_init(&it, names);
    for (void **slot; (slot = table_iter_next(&it));)
        entry_free(*slot);
    table_release(names);
}

/* Everybody pushes unseen by the others, at one end or beside one element. */
static bool runs_stay_together(struct prng *p)
{
    enum run_mode mode = (enum run_mode)prng_below(p, RUN_MODES);
    struct buffer pivot = { 0 };
    struct table old;
    table_init(&old, entry_key_of, 1);
    note_all(&old);
    if (length(A, "l") == 0)
        mode = RUN_RIGHT;
    else
        buffer_put(&pivot, entry_name(element_at(A, "l", prng_below(p, length(A, "l")))));
    bool fine = true;
    for (size_t region = 0; region < trial.count && fine; region++)
        fine = push_run(p, region, mode, buffer_span(&pivot));
    synced();
    fine = fine && all_equal() && blocks(&old, mode <= RUN_LEFT) == trial.count;
    buffer_release(&pivot);
    free_all(&old);
    return fine;
}

TEST(runs_of_several_regions_never_interleave)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int round = 0; round < 250; round++) {
        world(2 + prng_below(&p, 2));
        begin_positions();
        bool fine = true;
        for (uint64_t base = prng_below(&p, 6); base > 0 && fine; base--)
            fine = push_checked(A, prng_below(&p, length(A, "l") + 1), prng_below(&p, 2), 1);
        synced();
        for (int times = 0; times < 3 && fine; times++)
            fine = runs_stay_together(&p);
        end_positions();
        end_of_world();
        EXPECT(fine);
    }
}

STORY(3, queues_stay_one_level_deep)
{
    struct prng p;
    prng_seed(&p, test_seed());
    uint64_t deepest = 0, longest = 0;
    for (int i = 0; i < 3000; i++) {
        size_t region = prng_below(&p, trial.count);
        rpush(region, "l", "job");
        const struct entry *last = element_at(region, "l", length(region, "l") - 1);
        deepest = levels_of(last) > deepest ? levels_of(last) : deepest;
        longest = last->name_len > longest ? last->name_len : longest;
        if (prng_below(&p, 3) == 0)
            take(region, "l", 0);
        if (prng_below(&p, 20) == 0)
            synced();
    }
    EXPECT_EQ(deepest, 1);
    EXPECT(longest <= 22);
}

STORY(2, alternating_pushes_at_both_ends_stay_one_level_deep)
{
    for (int i = 0; i < 400; i++) {
        rpush((size_t)i % 2, "l", "r");
        lpush((size_t)i % 2, "l", "l");
        if (i % 10 == 0)
            synced();
    }
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(length(A, "l"), 800);
    for (uint64_t rank = 0; rank < 800; rank++) {
        EXPECT_EQ(levels_of(element_at(A, "l", rank)), 1);
        EXPECT(element_at(A, "l", rank)->name_len <= 22);
    }
}

/* A command each, some hundred of them in a batch. */
static void push_many(size_t region, bool right, int count)
{
    struct span value = span_str("eight by");
    for (int i = 0; i < count; i++) {
        struct replica *r = begin(region);
        CHECK(emit_list_insert(r, 0, span_str("l"), right ? (uint64_t)i : 0, right, &value, 1));
        replica_group_end(r);
        if (i % 500 == 499)
            seal(region);
    }
}

TEST(a_hundred_thousand_pushes_on_one_side_and_as_many_on_the_other_stay_small)
{
    enum { PUSHES = 100 * 1000 };
    uint64_t total = 0, longest = 0;
    world(2);
    push_many(A, true, PUSHES);
    synced();
    push_many(B, false, PUSHES);
    synced();
    EXPECT(all_equal());
    struct btree_cursor c;
    for (const struct entry *e = btree_seek(order_at(A, "l"), 0, &c); e; e = btree_next(&c)) {
        total += e->name_len;
        longest = e->name_len > longest ? e->name_len : longest;
    }
    EXPECT_EQ(length(A, "l"), 2 * PUSHES);
    printf("# bytes an element of 8: %.1f of position, %.1f in all\n", (double)total / (2 * PUSHES),
           (double)object_bytes(object_at(A, "l")) / (2 * PUSHES));
    EXPECT(longest <= 18);
    EXPECT(object_bytes(object_at(A, "l")) < UINT64_C(2) * PUSHES * 64);
    end_of_world();
}

/* As deep as a position may be. */
static void put_deep_position(struct buffer *out)
{
    struct position_place place = { .run = stamp_make(1, 0, 1), .op = stamp_make(1, 0, 1) };
    while (out->len <= POSITION_DEEP_BYTES) {
        position_put(out, &place, 0);
        buffer_clear(&place.parent);
        buffer_put(&place.parent, buffer_span(out));
        if (out->len <= POSITION_DEEP_BYTES)
            buffer_clear(out);
    }
    buffer_release(&place.parent);
}

TEST(between_places_too_deep_nothing_is_inserted)
{
    struct buffer deep = { 0 };
    struct span value = span_str("x");
    struct emit_fields e;
    world(1);
    rpush(A, "l", "a");
    put_deep_position(&deep);
    EXPECT(position_valid(buffer_span(&deep)));
    COMMAND(A, emit_fields_begin(&e, r, OP_PUT, COMPONENT_LIST, 0, span_str("l"));
            emit_fields_add(&e, buffer_span(&deep), value); emit_fields_end(&e));
    buffer_release(&deep);
    EXPECT_EQ(length(A, "l"), 2);
    EXPECT_EQ(element_at(A, "l", 0)->name_len > POSITION_DEEP_BYTES, 1);
    stamp_t before = newest_own(A);
    COMMAND(A, EXPECT(!emit_list_insert(r, 0, span_str("l"), 1, true, &value, 1)));
    EXPECT_EQ(newest_own(A), before);
    /* at the ends there is room, on one level */
    COMMAND(A, EXPECT(emit_list_insert(r, 0, span_str("l"), 0, false, &value, 1)));
    rpush(A, "l", "b");
    EXPECT_EQ(length(A, "l"), 4);
    EXPECT(element_at(A, "l", 0)->name_len <= 18);
    end_of_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
