#include "crdt/cell.h"

#include <stdio.h>

#include "base/test.h"

static struct buffer out;
static struct vector context;

static stamp_t stamp(uint64_t ms, uint8_t origin)
{
    return stamp_make(ms, 0, origin);
}

/* A writer at `s` that has seen `seen` (0: nothing) of its origin. */
static struct observer observer(stamp_t s, stamp_t seen)
{
    vector_clear(&context);
    if (seen)
        vector_set(&context, seen);
    return (struct observer){ s, &context };
}

static struct amount whole(int64_t i)
{
    return (struct amount){ .i = i };
}

static struct amount real(double f)
{
    return (struct amount){ .is_float = true, .f = f };
}

static struct write write_of(stamp_t rank, const char *value)
{
    return (struct write){ rank, span_str(value), false };
}

/* The entries of a list that names one tally. */
static struct span observed_one(stamp_t last, struct amount sum)
{
    buffer_clear(&out);
    observed_put(&out, &(struct observed){ stamp_origin(last), last, sum });
    return buffer_span(&out);
}

static const char *read_entry(const struct entry *e)
{
    static char text[64];
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;
    if (!entry_read(e, scratch, &value))
        return "(empty)";
    snprintf(text, sizeof(text), "%.*s", (int)value.len, (const char *)value.at);
    return text;
}

#define EXPECT_READS(e, text) EXPECT_TEXT(span_str(read_entry(e)), text)

static void put(struct entry **e, struct observer by, const char *value, struct span observed)
{
    struct write w = write_of(by.stamp, value);
    entry_put(e, &by, &w, observed);
}

TEST(one_register_stays_inline_whatever_its_size)
{
    struct entry *e = entry_new(span_str("name"), stamp(1, 1), span_str("value"), false);
    static const char *const VALUES[] = { "", "x", "a longer value than before", "short" };
    for (uint64_t i = 0; i < 4; i++) {
        put(&e, observer(stamp(2 + i, 1), 0), VALUES[i], span_of(NULL, 0));
        EXPECT_EQ(e->form, ENTRY_INLINE);
        EXPECT_READS(e, VALUES[i]);
        EXPECT_TEXT(entry_name(e), "name");
        EXPECT_EQ(e->stamp, stamp(2 + i, 1));
    }
    entry_free(e);
}

TEST(concurrent_registers_are_kept_in_stamp_order_until_observed)
{
    struct entry *e = entry_new(span_str("n"), stamp(5, 1), span_str("five"), false);
    put(&e, observer(stamp(7, 2), 0), "seven", span_of(NULL, 0));
    put(&e, observer(stamp(6, 3), 0), "six", span_of(NULL, 0));
    EXPECT_EQ(e->form, ENTRY_CELL);
    EXPECT_EQ(e->cell->reg_count, 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(stamp_ms(e->cell->regs[i].stamp), 5 + i);
    EXPECT_READS(e, "seven");
    struct observer by = observer(stamp(9, 4), stamp(7, 2));
    EXPECT(!entry_take(&e, &by, span_of(NULL, 0)));
    EXPECT_READS(e, "six"); /* the remover had seen the winner only */
    vector_set(&context, stamp(5, 1));
    EXPECT(!entry_take(&e, &by, span_of(NULL, 0)));
    EXPECT_EQ(e->form, ENTRY_INLINE); /* narrow again */
    EXPECT_READS(e, "six");
    struct observer all = observer(stamp(11, 1), stamp(6, 3));
    EXPECT(entry_take(&e, &all, span_of(NULL, 0)));
    entry_free(e);
}

TEST(a_writer_has_seen_all_of_its_own_origin)
{
    struct entry *e = entry_new(span_str("n"), stamp(5, 1), span_str("old"), false);
    struct observer own = observer(stamp(6, 1), 0), other = observer(stamp(6, 2), 0);
    EXPECT(!entry_take(&e, &other, span_of(NULL, 0)));
    EXPECT(entry_take(&e, &own, span_of(NULL, 0)));
    entry_free(e);
}

TEST(tallies_add_to_the_visible_number)
{
    struct entry *e = entry_new(span_str("n"), stamp(5, 1), span_str("10"), false);
    entry_bump(&e, stamp(6, 2), 0, whole(0), whole(7));
    entry_bump(&e, stamp(7, 3), stamp(4, 3), whole(100), whole(98));
    EXPECT_READS(e, "15");
    entry_bump(&e, stamp(8, 3), stamp(7, 3), whole(98), whole(99));
    EXPECT_READS(e, "16");
    EXPECT_EQ(e->cell->tally_count, 2);
    entry_bump(&e, stamp(9, 3), 0, real(0), real(0.5));
    EXPECT_EQ(e->cell->tally_count, 3); /* whole and floating parts of one origin stay apart */
    EXPECT_READS(e, "16.5");
    entry_free(e);
}

TEST(a_reset_takes_what_its_writer_saw_and_no_more)
{
    struct entry *e = entry_new_wide(span_str("n"));
    entry_bump(&e, stamp(5, 1), 0, whole(0), whole(10));
    entry_bump(&e, stamp(8, 1), stamp(5, 1), whole(10), whole(13));
    put(&e, observer(stamp(9, 2), 0), "100", observed_one(stamp(5, 1), whole(10)));
    EXPECT_READS(e, "103");
    put(&e, observer(stamp(10, 2), 0), "7", observed_one(stamp(8, 1), whole(13)));
    EXPECT_READS(e, "7");
    EXPECT_EQ(e->form, ENTRY_INLINE); /* its base reached its last: the tally is gone */
    entry_free(e);
}

TEST(a_reset_older_than_the_base_passes_by)
{
    struct entry *e = entry_new_wide(span_str("n"));
    entry_bump(&e, stamp(8, 1), stamp(6, 1), whole(0), whole(-4));
    struct observer by = observer(stamp(9, 2), 0);
    EXPECT(!entry_take(&e, &by, observed_one(stamp(6, 1), whole(50))));
    EXPECT_READS(e, "-4");
    EXPECT(!entry_take(&e, &by, observed_one(stamp(3, 1), whole(50))));
    EXPECT_READS(e, "-4");
    /* of an origin that has none here */
    EXPECT(!entry_take(&e, &by, observed_one(stamp(9, 3), whole(50))));
    EXPECT_READS(e, "-4");
    EXPECT(entry_take(&e, &by, observed_one(stamp(8, 1), whole(-4))));
    entry_free(e);
}

TEST(an_increment_goes_on_from_its_tally)
{
    struct entry *e = entry_new_wide(span_str("n"));
    stamp_t previous;
    struct amount before;
    cell_tally_base(NULL, 1, false, stamp(4, 1), &previous, &before);
    EXPECT_EQ(previous, stamp(4, 1));
    EXPECT_EQ((int64_t)before.i, 0);
    entry_bump(&e, stamp(5, 1), previous, before, whole(10));
    cell_tally_base(e->cell, 1, false, stamp(5, 1), &previous, &before);
    EXPECT_EQ(previous, stamp(5, 1));
    EXPECT_EQ((int64_t)before.i, 10);
    cell_tally_base(e->cell, 1, true, stamp(5, 1), &previous, &before);
    EXPECT(before.is_float && before.f == 0);
    entry_free(e);
}

TEST(what_a_write_observes_is_every_tally)
{
    struct entry *e = entry_new_wide(span_str("n"));
    entry_bump(&e, stamp(5, 2), 0, whole(0), whole(10));
    entry_bump(&e, stamp(6, 1), 0, real(0), real(1.5));
    entry_bump(&e, stamp(7, 1), 0, whole(0), whole(-2));
    buffer_clear(&out);
    entry_put_observed(&out, e);
    struct span in = buffer_span(&out), entries;
    uint64_t count;
    EXPECT(observed_list_take(&in, &entries, &count));
    EXPECT_EQ(count, 3);
    struct observed o;
    EXPECT(observed_take(&entries, &o) && o.last == stamp(7, 1) && !o.sum.is_float);
    EXPECT(observed_take(&entries, &o) && o.last == stamp(6, 1) && o.sum.is_float);
    EXPECT(observed_take(&entries, &o) && o.last == stamp(5, 2));
    entry_free(e);
}

TEST(increments_on_text_are_hidden_and_large_sums_stop_at_the_limits)
{
    struct entry *e = entry_new(span_str("n"), stamp(5, 1), span_str("text"), false);
    entry_bump(&e, stamp(6, 2), 0, whole(0), whole(7));
    EXPECT_READS(e, "text");
    entry_free(e);
    e = entry_new(span_str("n"), stamp(5, 1), span_str("-9223372036854775808"), false);
    entry_bump(&e, stamp(6, 2), 0, whole(0), whole(-1));
    EXPECT_READS(e, "-9223372036854775808");
    entry_bump(&e, stamp(7, 2), stamp(6, 2), whole(-1), whole(0));
    EXPECT_READS(e, "-9223372036854775808");
    entry_bump(&e, stamp(8, 2), stamp(7, 2), whole(0), whole(8));
    EXPECT_READS(e, "-9223372036854775800");
    entry_free(e);
    e = entry_new(span_str("n"), stamp(5, 1), span_str("1.5"), false);
    entry_bump(&e, stamp(6, 2), 0, whole(0), whole(7));
    EXPECT_READS(e, "8.5");
    entry_free(e);
}

int main(int argc, char **argv)
{
    int status = test_main(argc, argv);
    buffer_release(&out);
    return status;
}
