/*
 * list_trial -- for tests: what clients do with lists, in the language of trial.h, and whether what
 * they push stands at new places.
 */
#ifndef CORE_LIST_TRIAL_H
#define CORE_LIST_TRIAL_H

#include "base/prng.h"
#include "core/trial.h"
#include "crdt/position.h"

/* --- what clients do --- */

static inline const struct btree *order_at(size_t region, const char *key)
{
    const struct entry *e = object_at(region, key);
    return e && object_visible(e) == COMPONENT_LIST ? object_order(e, COMPONENT_LIST) : NULL;
}

static inline uint64_t length(size_t region, const char *key)
{
    const struct btree *order = order_at(region, key);
    return order ? order->count : 0;
}

static inline struct entry *element_at(size_t region, const char *key, uint64_t rank)
{
    const struct btree *order = order_at(region, key);
    return order ? btree_at(order, rank) : NULL;
}

/* Values separated by spaces, as one command. */
static inline void insert(size_t region, const char *key, uint64_t rank, bool right,
                          const char *text)
{
    struct span values[64];
    size_t count = 0;
    for (const char *at = text; *at; at += values[count - 1].len, at += *at == ' ') {
        CHECK(count < COUNT_OF(values));
        values[count++] = span_of(at, strcspn(at, " "));
    }
    COMMAND(region, CHECK(emit_list_insert(r, 0, span_str(key), rank, right, values, count)));
}

static inline void rpush(size_t region, const char *key, const char *values)
{
    insert(region, key, length(region, key), true, values);
}

static inline void lpush(size_t region, const char *key, const char *values)
{
    insert(region, key, 0, false, values);
}

static inline void change(size_t region, const char *key, enum op_kind kind, uint64_t rank,
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

static inline void take(size_t region, const char *key, uint64_t rank)
{
    change(region, key, OP_TAKE, rank, "");
}

static inline void lset(size_t region, const char *key, uint64_t rank, const char *value)
{
    change(region, key, OP_PUT, rank, value);
}

/* LTRIM k 1 0: one op over all that is seen. */
static inline void take_all(size_t region, const char *key)
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
static inline void lmove(size_t region, const char *from, const char *to)
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

static inline const char *elements(size_t region, const char *key)
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

static inline stamp_t newest_own(size_t region)
{
    return vector_get(&trial.regions[region].replica.last_op, trial_writers[region]);
}

/* --- positions, and who made them --- */

static struct table used; /* every position there ever was, as entries */

static inline void begin_positions(void)
{
    table_init(&used, entry_key_of, 1);
}

static inline void end_positions(void)
{
    struct table_iter it;
    table_iter_init(&it, &used);
    for (void **slot; (slot = table_iter_next(&it));)
        entry_free(*slot);
    table_release(&used);
}

/* Whether `count` elements from `rank` on stand at new places between their neighbours. Remembers
 * who made them. */
static inline bool note_new(size_t region, const char *key, uint64_t rank, size_t count)
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
static inline bool push_checked(size_t region, uint64_t rank, bool right, size_t count)
{
    char text[sizeof(NUMBERS)];
    memcpy(text, NUMBERS, 2 * count - 1);
    text[2 * count - 1] = 0;
    insert(region, "l", rank, right, text);
    return note_new(region, "l", rank, count);
}

#endif
