/*
 * What concurrent writes to lists end in, case by case; that runs never interleave, whatever end or
 * element they grow from; that no position is used twice; and that after any history all regions
 * hold exactly the writes that nobody who had seen them took away.
 */
#include "base/prng.h"
#include "base/test.h"
#include "core/trial.h"
#include "crdt/position.h"

/* --- what clients do --- */

static const struct btree *order_at(size_t region, const char *key)
{
    const struct entry *e = object_at(region, key);
    return e && object_visible(e) == COMPONENT_LIST ? object_order(e, COMPONENT_LIST) : NULL;
}

static uint64_t length(size_t region, const char *key)
{
    const struct btree *order = order_at(region, key);
    return order ? order->count : 0;
}

static struct entry *element_at(size_t region, const char *key, uint64_t rank)
{
    const struct btree *order = order_at(region, key);
    return order ? btree_at(order, rank) : NULL;
}

/* Values separated by spaces, as one command. */
static void insert(size_t region, const char *key, uint64_t rank, bool right, const char *text)
{
    struct span values[64];
    size_t count = 0;
    for (const char *at = text; *at; at += values[count - 1].len, at += *at == ' ') {
        CHECK(count < COUNT_OF(values));
        values[count++] = span_of(at, strcspn(at, " "));
    }
    COMMAND(region, CHECK(emit_list_insert(r, 0, span_str(key), rank, right, values, count)));
}

static void rpush(size_t region, const char *key, const char *values)
{
    insert(region, key, length(region, key), true, values);
}

static void lpush(size_t region, const char *key, const char *values)
{
    insert(region, key, 0, false, values);
}

static void change(size_t region, const char *key, enum op_kind kind, uint64_t rank,
                   const char *value)
{
    struct buffer position = { 0 };
    struct emit_fields e;
    const struct entry *element = element_at(region, key, rank);
    CHECK(element);
    buffer_put(&position, entry_name(element));
    struct replica *r = begin(region);
    emit_fields_begin(&e, r, kind, COMPONENT_LIST, 0, span_str(key));
    emit_fields_add(&e, buffer_span(&position), span_str(value));
    emit_fields_end(&e);
    end(region);
    buffer_release(&position);
}

static void take(size_t region, const char *key, uint64_t rank)
{
    change(region, key, OP_TAKE, rank, "");
}

static void lset(size_t region, const char *key, uint64_t rank, const char *value)
{
    change(region, key, OP_PUT, rank, value);
}

/* LTRIM k 1 0: one op over all that is seen. */
static void take_all(size_t region, const char *key)
{
    struct buffer positions = { 0 };
    struct span position;
    struct emit_fields e;
    for (uint64_t rank = 0; rank < length(region, key); rank++)
        buffer_put_prefixed(&positions, entry_name(element_at(region, key, rank)));
    struct replica *r = begin(region);
    emit_fields_begin(&e, r, OP_TAKE, COMPONENT_LIST, 0, span_str(key));
    for (struct span left = buffer_span(&positions); span_take_prefixed(&left, &position);)
        emit_fields_add(&e, position, span_of(NULL, 0));
    emit_fields_end(&e);
    end(region);
    buffer_release(&positions);
}

/* LMOVE from the left of one list to the right of another: one group. */
static void lmove(size_t region, const char *from, const char *to)
{
    const struct entry *element = element_at(region, from, 0);
    struct buffer position = { 0 }, value = { 0 };
    char scratch[CELL_SCRATCH_BYTES];
    struct span seen;
    struct emit_fields e;
    uint64_t rank = length(region, to);
    CHECK(entry_read(element, scratch, &seen));
    buffer_put(&value, seen);
    buffer_put(&position, entry_name(element));
    seen = buffer_span(&value);
    struct replica *r = begin(region);
    CHECK(emit_list_insert(r, 0, span_str(to), rank, true, &seen, 1));
    emit_fields_begin(&e, r, OP_TAKE, COMPONENT_LIST, 0, span_str(from));
    emit_fields_add(&e, buffer_span(&position), span_of(NULL, 0));
    emit_fields_end(&e);
    end(region);
    buffer_release(&position);
    buffer_release(&value);
}

static const char *elements(size_t region, const char *key)
{
    static char text[512];
    size_t len = 0;
    text[0] = 0;
    for (uint64_t rank = 0; rank < length(region, key); rank++) {
        char scratch[CELL_SCRATCH_BYTES];
        struct span value;
        CHECK(entry_read(element_at(region, key, rank), scratch, &value));
        CHECK(len + value.len + 2 < sizeof(text));
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", rank > 0 ? " " : "",
                                (int)value.len, (const char *)value.at);
    }
    return text;
}

#define EXPECT_ELEMENTS(key, expected)                                                             \
    do {                                                                                           \
        for (size_t region_ = 0; region_ < trial.count; region_++)                                 \
            EXPECT_TEXT(span_str(elements(region_, key)), expected);                               \
        EXPECT(all_equal());                                                                       \
    } while (0)

static stamp_t newest_own(size_t region)
{
    return vector_get(&trial.regions[region].replica.last_op, trial_writers[region]);
}

/* --- case by case --- */

TEST(two_insertions_after_one_element_both_stand_after_it)
{
    world(2);
    rpush(A, "l", "x z");
    synced();
    insert(A, "l", 1, true, "y1");
    insert(B, "l", 1, true, "y2");
    synced();
    bool first = strcmp(elements(A, "l"), "x y1 y2 z") == 0;
    EXPECT_ELEMENTS("l", first ? "x y1 y2 z" : "x y2 y1 z");
    end_of_world();
}

TEST(runs_pushed_at_the_end_stay_together)
{
    world(2);
    rpush(A, "l", "a b c");
    rpush(B, "l", "x y z");
    synced();
    bool first = strcmp(elements(A, "l"), "a b c x y z") == 0;
    EXPECT_ELEMENTS("l", first ? "a b c x y z" : "x y z a b c");
    end_of_world();
}

TEST(runs_of_single_pushes_stay_together_too)
{
    world(2);
    rpush(A, "l", "a");
    rpush(B, "l", "x");
    rpush(A, "l", "b");
    rpush(B, "l", "y");
    synced();
    bool first = strcmp(elements(A, "l"), "a b x y") == 0;
    EXPECT_ELEMENTS("l", first ? "a b x y" : "x y a b");
    end_of_world();
}

TEST(left_pushes_stand_in_reverse)
{
    world(2);
    lpush(A, "l", "a b");
    lpush(A, "l", "c");
    synced();
    EXPECT_ELEMENTS("l", "c b a");
    end_of_world();
}

TEST(a_push_survives_a_concurrent_removal_of_the_list)
{
    world(2);
    rpush(A, "l", "x");
    synced();
    lpush(A, "l", "y");
    del(B, "l");
    synced();
    EXPECT_ELEMENTS("l", "y");
    end_of_world();
}

TEST(two_pops_of_one_element_leave_nothing)
{
    world(2);
    rpush(A, "l", "z");
    synced();
    take(A, "l", 0);
    take(B, "l", 0);
    synced();
    EXPECT_EVERYWHERE("l", "(nil)");
    end_of_world();
}

TEST(a_value_that_is_set_survives_a_concurrent_removal)
{
    world(2);
    rpush(A, "l", "x");
    synced();
    lset(A, "l", 0, "v");
    take(B, "l", 0);
    synced();
    EXPECT_ELEMENTS("l", "v");
    end_of_world();
}

TEST(of_two_values_set_at_one_place_the_larger_stamp_is_seen)
{
    world(2);
    rpush(A, "l", "x y");
    synced();
    lset(A, "l", 1, "a");
    lset(B, "l", 1, "b");
    synced();
    EXPECT_ELEMENTS("l", "x b");
    lset(A, "l", 1, "c");
    synced();
    EXPECT_ELEMENTS("l", "x c");
    end_of_world();
}

TEST(a_trim_removes_what_was_observed)
{
    world(2);
    rpush(A, "l", "a b c");
    synced();
    take_all(A, "l");
    rpush(B, "l", "d");
    insert(B, "l", 1, true, "a2");
    synced();
    EXPECT_ELEMENTS("l", "a2 d");
    end_of_world();
}

TEST(a_move_is_one_group)
{
    world(2);
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
    end_of_world();
}

TEST(a_push_to_an_expired_list_starts_anew)
{
    world(2);
    rpush(A, "l", "old");
    expire(A, "l", 100);
    synced();
    later(200);
    rpush(B, "l", "new");
    synced();
    EXPECT_ELEMENTS("l", "new");
    EXPECT_EQ(ttl(A, "l"), -1);
    end_of_world();
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

static struct table used; /* every position there ever was, as entries */

static void begin_positions(void)
{
    table_init(&used, entry_key_of, 1);
}

static void end_positions(void)
{
    struct table_iter it;
    table_iter_init(&it, &used);
    for (void **slot; (slot = table_iter_next(&it));)
        entry_free(*slot);
    table_release(&used);
}

/* Whether `count` elements from `rank` on stand at new places between their neighbours. Remembers
 * who made them. */
static bool note_new(size_t region, const char *key, uint64_t rank, size_t count)
{
    for (uint64_t i = rank; i < rank + count; i++) {
        const struct entry *element = element_at(region, key, i);
        struct span position = entry_name(element);
        if (table_find(&used, position) || !position_valid(position))
            return false;
        if (i > 0 && span_compare(entry_name(element_at(region, key, i - 1)), position) >= 0)
            return false;
        const struct entry *next = element_at(region, key, i + 1);
        if (next && span_compare(position, entry_name(next)) >= 0)
            return false;
        uint8_t who = (uint8_t)region;
        table_insert(&used, entry_new(position, 1, span_of(&who, 1), false));
    }
    return true;
}

static const char NUMBERS[] = "0 1 2 3 4 5 6 7 8 9";

/* Pushes `count` elements and looks at where they stand. */
static bool push_checked(size_t region, uint64_t rank, bool right, size_t count)
{
    char text[sizeof(NUMBERS)];
    memcpy(text, NUMBERS, 2 * count - 1);
    text[2 * count - 1] = 0;
    insert(region, "l", rank, right, text);
    return note_new(region, "l", rank, count);
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

TEST(queues_stay_one_level_deep)
{
    world(3);
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
    end_of_world();
}

TEST(alternating_pushes_at_both_ends_stay_one_level_deep)
{
    world(2);
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
    end_of_world();
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

TEST(beside_a_place_too_deep_nothing_is_inserted)
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
    COMMAND(A, EXPECT(!emit_list_insert(r, 0, span_str("l"), 0, false, &value, 1)));
    COMMAND(A, EXPECT(!emit_list_insert(r, 0, span_str("l"), 1, true, &value, 1)));
    EXPECT_EQ(newest_own(A), before);
    rpush(A, "l", "b"); /* elsewhere there is room */
    EXPECT_EQ(length(A, "l"), 3);
    end_of_world();
}

/* --- random histories against what clients were told ---
 *
 * A write is over as soon as anybody who has seen it writes to its place, or takes it away. */

struct history_write {
    struct buffer position;
    stamp_t stamp;
    bool over;
};

static struct history {
    struct history_write writes[1200];
    size_t count;
} history;

static void record_over(size_t region, struct span position, stamp_t but)
{
    const struct vector *seen = &trial.regions[region].replica.last_op;
    for (size_t i = 0; i < history.count; i++) {
        struct history_write *w = &history.writes[i];
        if (w->stamp != but && span_equal(buffer_span(&w->position), position) &&
            vector_get(seen, stamp_origin(w->stamp)) >= w->stamp)
            w->over = true;
    }
}

static void record_write(size_t region, struct span position)
{
    CHECK(history.count < COUNT_OF(history.writes));
    struct history_write *w = &history.writes[history.count++];
    *w = (struct history_write){ .stamp = newest_own(region) };
    buffer_put(&w->position, position);
}

static bool history_push(struct prng *p, size_t region)
{
    size_t count = prng_below(p, 3) ? 1 : 3;
    uint64_t rank = 0, before = length(region, "l");
    bool right = prng_below(p, 2);
    if (prng_below(p, 3) == 0)
        rank = prng_below(p, before + 1);
    else if (right)
        rank = before;
    if (!push_checked(region, rank, right, count))
        return false;
    for (uint64_t i = rank; i < rank + count; i++)
        record_write(region, entry_name(element_at(region, "l", i)));
    return true;
}

static void history_change(size_t region, enum op_kind kind, uint64_t rank)
{
    struct buffer position = { 0 };
    buffer_put(&position, entry_name(element_at(region, "l", rank)));
    change(region, "l", kind, rank, "set");
    record_over(region, buffer_span(&position), newest_own(region));
    if (kind == OP_PUT)
        record_write(region, buffer_span(&position));
    buffer_release(&position);
}

static void history_clear(size_t region, bool whole)
{
    for (uint64_t rank = 0; rank < length(region, "l"); rank++)
        record_over(region, entry_name(element_at(region, "l", rank)), 0);
    if (whole)
        del(region, "l");
    else
        take_all(region, "l");
}

static bool history_step(struct prng *p, size_t region)
{
    uint64_t there = length(region, "l");
    switch (prng_below(p, 12)) {
    case 0:
    case 1:
    case 2:
        deliver_next(region, prng_below(p, trial.count));
        return true;
    case 3:
        if (there > 0)
            history_change(region, OP_TAKE, 0);
        return true;
    case 4:
        if (there > 0)
            history_change(region, OP_TAKE, there - 1);
        return true;
    case 5:
        if (there > 0)
            history_change(region, OP_TAKE, prng_below(p, there));
        return true;
    case 6:
        if (there > 0)
            history_change(region, OP_PUT, prng_below(p, there));
        return true;
    case 7:
        if (there > 0 && prng_below(p, 3) == 0)
            history_clear(region, prng_below(p, 2));
        return true;
    default:
        return history_push(p, region);
    }
}

/* Registers of an element; 0 when it is not there. */
static size_t registers_at(size_t region, struct span position)
{
    const struct entry *object = object_at(region, "l");
    const struct part *part = object ? object_part(object, COMPONENT_LIST) : NULL;
    const struct entry *element = part ? part_find(part, position) : NULL;
    if (!element)
        return 0;
    return element->form == ENTRY_INLINE ? 1 : element->cell->reg_count;
}

static bool has_register(size_t region, struct span position, stamp_t stamp)
{
    const struct entry *element = part_find(object_part(object_at(region, "l"), COMPONENT_LIST),
                                            position);
    if (element->form == ENTRY_INLINE)
        return element->stamp == stamp;
    for (size_t i = 0; i < element->cell->reg_count; i++) {
        if (element->cell->regs[i].stamp == stamp)
            return true;
    }
    return false;
}

static bool history_holds(size_t region)
{
    size_t expected = 0, found = 0;
    for (size_t i = 0; i < history.count; i++) {
        const struct history_write *w = &history.writes[i];
        if (w->over)
            continue;
        expected++;
        if (registers_at(region, buffer_span(&w->position)) == 0 ||
            !has_register(region, buffer_span(&w->position), w->stamp))
            return false;
    }
    for (uint64_t rank = 0; rank < length(region, "l"); rank++)
        found += registers_at(region, entry_name(element_at(region, "l", rank)));
    return found == expected;
}

TEST(after_any_history_the_writes_stand_that_nobody_saw_and_took)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int round = 0; round < 150; round++) {
        world(2 + prng_below(&p, 3));
        begin_positions();
        bool fine = true;
        for (uint64_t steps = 20 + prng_below(&p, 200); steps > 0 && fine; steps--)
            fine = history_step(&p, prng_below(&p, trial.count));
        synced();
        for (size_t region = 0; region < trial.count && fine; region++)
            fine = history_holds(region);
        fine = fine && all_equal();
        for (size_t i = 0; i < history.count; i++)
            buffer_release(&history.writes[i].position);
        history.count = 0;
        end_positions();
        end_of_world();
        EXPECT(fine);
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
