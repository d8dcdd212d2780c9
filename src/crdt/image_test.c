/*
 * Images by hand, from the table in image.h: what loads, what it is then, and what is refused.
 * Whether a copy in pieces of an object that changes is right, with the log behind it, is
 * core/copy_test.c.
 */
#include "crdt/image.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/test.h"
#include "crdt/score.h"

static struct heap reclaim;
static struct database database;
static struct buffer image, text;
static struct entry *object;

static void begin(void)
{
    database_init(&database, 0, 1, 7, &reclaim);
    buffer_clear(&image);
    object = NULL;
}

static void end(void)
{
    if (object)
        object_free(object);
    object = NULL;
    database_release(&database);
    heap_release(&reclaim);
    buffer_release(&image);
    buffer_release(&text);
}

static stamp_t at_ms(uint64_t ms, uint8_t origin)
{
    return stamp_make(ms, 0, origin);
}

/* --- a piece as the table says --- */

static void head(unsigned deadlines)
{
    buffer_clear(&image);
    buffer_put_u8(&image, 1);
    buffer_put_varint(&image, deadlines);
    for (unsigned i = 0; i < deadlines; i++) {
        buffer_put_u64(&image, at_ms(10 + i, 1));
        buffer_put_varint(&image, 1000 + i);
    }
}

static void cell(unsigned regs, bool tallies)
{
    buffer_put_varint(&image, regs * 2 + tallies);
}

static void reg(stamp_t stamp, bool none, struct span value)
{
    buffer_put_u64(&image, stamp);
    buffer_put_varint(&image, value.len * 2 + none);
    buffer_put(&image, value);
}

static void tally(stamp_t last, stamp_t base, int64_t sum, bool is_float)
{
    struct amount nothing = { .is_float = is_float }, amount = nothing;
    if (is_float)
        amount.f = (double)sum;
    else
        amount.i = sum;
    buffer_put_u64(&image, last);
    buffer_put_u64(&image, base);
    amount_put(&image, amount);
    amount_put(&image, nothing);
}

static void item(enum component c, struct span name, struct span value)
{
    buffer_put_u8(&image, (uint8_t)c);
    buffer_put_prefixed(&image, name);
    cell(1, false);
    reg(at_ms(50, 2), false, value);
}

static void field(const char *name)
{
    item(COMPONENT_HASH, span_str(name), span_str("v"));
}

static bool loads(void)
{
    if (object)
        object_free(object);
    object = image_load(&database, span_str("k"), buffer_span(&image));
    return object != NULL;
}

static bool adds(void)
{
    return image_add(&database, &object, buffer_span(&image));
}

static bool says(const char *line)
{
    for (size_t i = 0; i + strlen(line) <= text.len; i++) {
        if (memcmp(text.at + i, line, strlen(line)) == 0)
            return true;
    }
    return false;
}

static struct span described(void)
{
    buffer_clear(&text);
    object_describe(&text, object);
    return buffer_span(&text);
}

/* --- what loads --- */

TEST(a_plain_string_is_inline_again)
{
    begin();
    head(0);
    cell(1, false);
    reg(at_ms(5, 1), true, span_str("value"));
    EXPECT(loads());
    EXPECT_EQ(object->form, ENTRY_INLINE);
    EXPECT_TEXT(described(), "s 500001:1:value\n");
    end();
}

TEST(every_kind_of_part_is_as_it_was)
{
    uint8_t score[SCORE_BYTES];
    begin();
    head(2);
    cell(2, true);
    reg(at_ms(5, 1), false, span_str("one"));
    reg(at_ms(6, 2), true, span_str("two"));
    buffer_put_varint(&image, 2);
    tally(at_ms(9, 1), at_ms(4, 1), 12, false);
    tally(at_ms(9, 2), 0, 3, true);
    field("f");
    item(COMPONENT_SET, span_str("m"), span_of(NULL, 0));
    item(COMPONENT_ZSET, span_str("z"), score_encode(1.5, score));
    buffer_put_u8(&image, COMPONENT_HLL);
    buffer_put_u64(&image, at_ms(1, 1));
    buffer_put_u64(&image, at_ms(2, 1));
    buffer_put_varint(&image, 1);
    buffer_put_varint(&image, 7);
    buffer_put_u8(&image, 3);
    EXPECT(loads());
    EXPECT(described().len > 0);
    EXPECT(says("s 500001:0:one\ns 600002:1:two\ns +1 900001/"));
    EXPECT(says("h f 3200002:0:v\n"));
    EXPECT(says("m m 3200002:0:\n"));
    EXPECT(says("g 100001 200001 7:3\n"));
    EXPECT(says("d a00001:1000\nd b00001:1001\n"));
    end();
}

TEST(a_later_piece_knows_an_item_better)
{
    begin();
    head(0);
    cell(0, false);
    field("f");
    EXPECT(loads());
    head(0);
    cell(0, false);
    buffer_put_u8(&image, COMPONENT_HASH);
    buffer_put_prefixed(&image, span_str("f"));
    cell(1, false);
    reg(at_ms(60, 2), false, span_str("w"));
    field("g");
    EXPECT(adds());
    EXPECT_TEXT(described(), "h f 3c00002:0:w\nh g 3200002:0:v\n");
    end();
}

/* --- pieces of every size --- */

static void fill(unsigned items)
{
    char name[16];
    head(1);
    cell(1, false);
    reg(at_ms(5, 1), false, span_str("hidden"));
    for (unsigned i = 0; i < items; i++) {
        uint8_t score[SCORE_BYTES];
        snprintf(name, sizeof(name), "%u", i);
        item(COMPONENT_HASH, span_str(name), span_str("v"));
        item(COMPONENT_ZSET, span_str(name), score_encode(i % 5, score));
        item(COMPONENT_GROUPS, span_str(name), span_str("v"));
    }
}

static bool same_in_pieces_of(size_t max_bytes)
{
    struct image_cursor cursor = { 0 };
    struct buffer piece = { 0 }, once = { 0 }, again = { 0 };
    struct entry *copy = NULL;
    bool last = false, good = true;
    while (good && !last) {
        buffer_clear(&piece);
        last = image_put_piece(&piece, object, &cursor, max_bytes);
        if (copy)
            good = image_add(&database, &copy, buffer_span(&piece));
        else
            good = (copy = image_load(&database, span_str("k"), buffer_span(&piece))) != NULL;
        good &= last || piece.len >= max_bytes;
    }
    object_describe(&once, object);
    if (copy) {
        object_describe(&again, copy);
        object_free(copy);
    }
    good &= span_equal(buffer_span(&once), buffer_span(&again));
    image_cursor_release(&cursor);
    buffer_release(&piece);
    buffer_release(&once);
    buffer_release(&again);
    return good;
}

TEST(pieces_of_any_size_make_the_same_object)
{
    begin();
    fill(60);
    EXPECT(loads());
    for (size_t max_bytes = 1; max_bytes < 5000; max_bytes += 1 + max_bytes / 7)
        EXPECT(same_in_pieces_of(max_bytes));
    end();
}

/* Replaying an increment that a tally is past already takes it back, but not its base. */
TEST(a_tally_that_went_back_behind_its_base_is_kept)
{
    begin();
    head(0);
    cell(0, true);
    buffer_put_varint(&image, 1);
    tally(at_ms(5, 1), at_ms(6, 1), 1, false);
    EXPECT(loads());
    EXPECT_EQ(object->body->string.tallies[0].last, at_ms(5, 1));
    EXPECT_EQ(object->body->string.tallies[0].base_last, at_ms(6, 1));
    end();
}

/* --- what is refused --- */

TEST(no_truncation_is_taken_for_more_than_the_items_before_it)
{
    begin();
    fill(3);
    for (size_t len = 0; len < image.len; len++) {
        uint8_t *copy = mem_alloc(len); /* of its size: a read past its end is seen */
        if (len > 0)
            memcpy(copy, image.at, len);
        object = image_load(&database, span_str("k"), span_of(copy, len));
        if (object) {
            EXPECT(described().len > 0);
            object_free(object);
            object = NULL;
        }
        mem_free(copy);
    }
    end();
}

#define EXPECT_REFUSED(...)                                                                        \
    do {                                                                                           \
        head(0);                                                                                   \
        __VA_ARGS__;                                                                               \
        EXPECT(!loads());                                                                          \
    } while (0)

TEST(malformed_strings_are_refused)
{
    begin();
    EXPECT(!loads());
    EXPECT_REFUSED(image.at[0] = 2, cell(0, false));
    EXPECT_REFUSED(cell(1, false), reg(0, false, span_str("no stamp")));
    EXPECT_REFUSED(cell(1, false), reg(at_ms(5, 0), false, span_str("no origin")));
    EXPECT_REFUSED(cell(1, false), reg(at_ms(5, 1), false, span_str("v")), image.len--);
    EXPECT_REFUSED(cell(2, false), reg(at_ms(5, 1), false, span_str("v")),
                   reg(at_ms(5, 1), false, span_str("the same stamp")));
    EXPECT_REFUSED(cell(100000, false));
    EXPECT_REFUSED(cell(0, true), buffer_put_varint(&image, 1), tally(0, 0, 1, false));
    EXPECT_REFUSED(cell(0, true), buffer_put_varint(&image, 2), tally(at_ms(5, 1), 0, 1, false),
                   tally(at_ms(6, 1), 0, 1, false));
    EXPECT_REFUSED(cell(0, true), buffer_put_varint(&image, 100000));
    end();
}

TEST(malformed_deadlines_are_refused)
{
    begin();
    head(2);
    memset(image.at + 2, 0xff, 8); /* the first is newer than the second */
    cell(0, false);
    EXPECT(!loads());
    head(1);
    memset(image.at + 2, 0, 8);
    cell(0, false);
    EXPECT(!loads());
    buffer_clear(&image);
    buffer_put_u8(&image, 1);
    buffer_put_varint(&image, 60000);
    EXPECT(!loads());
    end();
}

TEST(malformed_items_are_refused)
{
    begin();
    EXPECT_REFUSED(cell(0, false), item(COMPONENT_STRING, span_str("no item"), span_str("v")));
    EXPECT_REFUSED(cell(0, false), item(COMPONENT_COUNT, span_str("no component"), span_str("v")));
    EXPECT_REFUSED(cell(0, false), item(COMPONENT_LIST, span_str("no position"), span_str("v")));
    EXPECT_REFUSED(cell(0, false), item(COMPONENT_ZSET, span_str("m"), span_str("no score")),
                   image.len--);
    EXPECT_REFUSED(cell(0, false), item(COMPONENT_STREAM, span_str("no id"), span_str("v")));
    EXPECT_REFUSED(cell(0, false), buffer_put_u8(&image, COMPONENT_HASH),
                   buffer_put_prefixed(&image, span_str("an empty cell")), cell(0, false));
    EXPECT_REFUSED(cell(0, false), buffer_put_u8(&image, COMPONENT_SET),
                   buffer_put_prefixed(&image, span_str("counts")), cell(0, true),
                   buffer_put_varint(&image, 1), tally(at_ms(5, 1), 0, 1, false));
    EXPECT_REFUSED(cell(0, false), buffer_put_u8(&image, COMPONENT_ZSET),
                   buffer_put_prefixed(&image, span_str("whole")), cell(0, true),
                   buffer_put_varint(&image, 1), tally(at_ms(5, 1), 0, 1, false));
    EXPECT_REFUSED(cell(0, false), buffer_put_u8(&image, COMPONENT_HLL), buffer_put_u64(&image, 0),
                   buffer_put_u64(&image, 0), buffer_put_varint(&image, 0));
    end();
}

TEST(a_second_first_piece_is_refused)
{
    begin();
    head(0);
    cell(0, false);
    field("f");
    EXPECT(loads());
    head(1);
    cell(0, false);
    field("g");
    EXPECT(!adds());
    head(0);
    cell(1, false);
    reg(at_ms(5, 1), true, span_str("value"));
    EXPECT(!adds());
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
