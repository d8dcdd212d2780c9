/*
 * What concurrent writes end in, case by case. `A: x; B: y; synced` means that neither had seen the
 * other's.
 */
#include "base/test.h"
#include "core/trial.h"

/* --- strings and counters --- */

STORY(3, of_two_concurrent_writes_the_larger_stamp_is_seen)
{
    set(A, "k", "a");
    set(B, "k", "b");
    synced();
    EXPECT_EVERYWHERE("k", "b");
    EXPECT_EQ(object_at(C, "k")->body->string.reg_count, 2); /* a is a sibling */
    set(C, "k", "c");
    synced();
    EXPECT_EVERYWHERE("k", "c");
    EXPECT_EQ(object_at(A, "k")->form, ENTRY_INLINE);
}

STORY(2, what_was_observed_loses_whatever_the_clocks_say)
{
    trial.regions[B].skew_ms = -900;
    set(A, "k", "c");
    later(450);
    synced();
    set(B, "k", "d");
    synced();
    EXPECT_EVERYWHERE("k", "d");
}

STORY(2, equal_times_are_decided_by_the_origin)
{
    trial.regions[A].skew_ms = 1; /* A writes first, at the time of B's */
    set(A, "k", "a");
    set(B, "k", "b");
    EXPECT_EQ(stamp_time(trial.regions[A].replica.last_op.at[1]),
              stamp_time(trial.regions[B].replica.last_op.at[2]));
    synced();
    EXPECT_EVERYWHERE("k", "b");
}

STORY(2, of_two_rewrites_of_one_value_one_wins_whole)
{
    set(A, "k", "base");
    synced();
    rewrite(A, "k", "base+a");
    rewrite(B, "k", "base+b");
    synced();
    EXPECT_EVERYWHERE("k", "base+b");
}

STORY(2, concurrent_increments_add_up)
{
    incr(A, "c", 7);
    incr(B, "c", 3);
    synced();
    EXPECT_EVERYWHERE("c", "10");
    incr(A, "c", -3);
    incr(B, "c", 6);
    synced();
    EXPECT_EVERYWHERE("c", "13");
}

STORY(2, an_increment_survives_a_concurrent_write)
{
    incr(A, "c", 7);
    synced();
    set(A, "c", "100");
    incr(B, "c", 5);
    synced();
    EXPECT_EVERYWHERE("c", "105");
}

STORY(2, an_increment_survives_a_concurrent_removal)
{
    incr(A, "c", 7);
    synced();
    del(A, "c");
    incr(B, "c", 3);
    synced();
    EXPECT_EVERYWHERE("c", "3");
}

STORY(3, two_removals_and_a_decrement_leave_the_decrement)
{
    set(A, "c", "7");
    synced();
    del(A, "c");
    del(B, "c");
    incr(C, "c", -2);
    synced();
    EXPECT_EVERYWHERE("c", "-2");
}

STORY(2, an_increment_of_what_is_no_number_stays_hidden)
{
    set(A, "c", "abc");
    incr(B, "c", 5);
    synced();
    EXPECT_EVERYWHERE("c", "abc");
    set(B, "c", "1"); /* has observed the increment */
    synced();
    EXPECT_EVERYWHERE("c", "1");
}

STORY(2, a_sum_beyond_64_bits_reads_as_the_limit_and_does_not_wrap)
{
    incr(A, "c", INT64_MAX);
    incr(B, "c", INT64_MAX);
    synced();
    EXPECT_EVERYWHERE("c", "9223372036854775807");
    incr(A, "c", -INT64_MAX);
    synced();
    EXPECT_EVERYWHERE("c", "9223372036854775807");
    incr(B, "c", -7);
    synced();
    EXPECT_EVERYWHERE("c", "9223372036854775800");
}

STORY(3, floating_and_whole_increments_add_up)
{
    incr_float(A, "c", 0.5);
    incr(B, "c", 3);
    incr_float(C, "c", 0.25);
    synced();
    EXPECT_EVERYWHERE("c", "3.75");
}

STORY(2, a_write_survives_a_concurrent_removal_of_either_stamp)
{
    set(A, "k", "v");
    synced();
    set(B, "k", "w");
    del(A, "k"); /* the larger stamp */
    synced();
    EXPECT_EVERYWHERE("k", "w");
    del(A, "k");
    set(B, "k", "x");
    synced();
    EXPECT_EVERYWHERE("k", "x");
}

STORY(3, of_two_concurrent_groups_one_wins_all_its_keys)
{
    begin(A);
    emit_string(at(A), 0, span_str("x"), span_str("1"), TIME_NONE, 0);
    begin(B);
    emit_string(at(B), 0, span_str("y"), span_str("2"), TIME_NONE, 0);
    later(1);
    emit_string(at(B), 0, span_str("x"), span_str("2"), TIME_NONE, 0);
    end(B);
    later(1);
    emit_string(at(A), 0, span_str("y"), span_str("1"), TIME_NONE,
                0); /* the largest stamp of all, of the older group */
    end(A);
    deliver_next(C, A);
    EXPECT_TEXT(span_str(get(C, "x")), "1");
    EXPECT_TEXT(span_str(get(C, "y")), "1");
    synced();
    EXPECT_EVERYWHERE("x", "2");
    EXPECT_EVERYWHERE("y", "2");
}

STORY(2, a_write_and_its_increment_against_a_larger_write)
{
    set(A, "c", "10");
    incr(A, "c", 1);
    set(B, "c", "20");
    synced();
    EXPECT_EVERYWHERE("c", "21");
}

STORY(2, writing_the_value_that_is_there_is_an_effect_too)
{
    set(A, "k", "v");
    hset(A, "h", "f", "v");
    synced();
    set(A, "k", "v");
    hset(A, "h", "f", "v");
    del(B, "k");
    del(B, "h");
    synced();
    EXPECT_EVERYWHERE("k", "v");
    EXPECT_EVERYWHERE("h", "f=v");
}

/* --- sets and hashes --- */

STORY(2, concurrent_additions_unite)
{
    sadd(A, "s", "a");
    sadd(B, "s", "b");
    synced();
    EXPECT_EVERYWHERE("s", "a b");
    srem(A, "s", "a");
    srem(A, "s", "c");
    sadd(B, "s", "c");
    synced();
    EXPECT_EVERYWHERE("s", "b c");
}

STORY(2, an_addition_survives_a_concurrent_removal_of_the_key)
{
    sadd(A, "s", "e1");
    synced();
    sadd(A, "s", "e2");
    del(B, "s");
    synced();
    EXPECT_EVERYWHERE("s", "e2");
}

STORY(2, adding_a_member_that_is_there_beats_a_concurrent_removal)
{
    sadd(A, "s", "e");
    synced();
    sadd(B, "s", "e");
    srem(A, "s", "e");
    synced();
    EXPECT_EVERYWHERE("s", "e");
}

STORY(2, two_removals_of_the_last_member_leave_nothing)
{
    sadd(A, "s", "a");
    synced();
    srem(A, "s", "a");
    srem(B, "s", "a");
    synced();
    EXPECT_EVERYWHERE("s", "(nil)");
    EXPECT_EQ(trial.regions[A].replica.databases[0].keys.count, 0);
}

STORY(2, fields_are_written_apart)
{
    hset(A, "h", "f1", "a");
    hset(B, "h", "f2", "b");
    synced();
    EXPECT_EVERYWHERE("h", "f1=a f2=b");
    hset(B, "h", "f1", "v2");
    hdel(A, "h", "f1");
    synced();
    EXPECT_EVERYWHERE("h", "f1=v2 f2=b");
}

STORY(2, a_fields_increment_survives_a_concurrent_write)
{
    hset(A, "h", "f", "1");
    synced();
    hset(A, "h", "f", "10");
    hincr(B, "h", "f", 2);
    synced();
    EXPECT_EVERYWHERE("h", "f=12");
    del(A, "h");
    hincr(B, "h", "f", 5);
    synced();
    EXPECT_EVERYWHERE("h", "f=5");
    hdel(B, "h", "f");
    synced();
    EXPECT_EVERYWHERE("h", "(nil)");
}

STORY(2, one_command_may_name_a_field_twice)
{
    struct emit_fields e;
    for (int twice = 0; twice < 2; twice++) {
        begin(A);
        emit_fields_begin(&e, at(A), OP_PUT, COMPONENT_HASH, 0, span_str("h"));
        emit_fields_add(&e, span_str("f"), span_str("first"));
        emit_fields_add(&e, span_str("f"), span_str("last"));
        emit_fields_end(&e);
        emit_fields_begin(&e, at(A), OP_PUT, COMPONENT_SET, 0, span_str("s"));
        emit_fields_add(&e, span_str("m"), span_str(""));
        emit_fields_add(&e, span_str("m"), span_str(""));
        emit_fields_end(&e);
        end(A);
    }
    synced();
    EXPECT_EVERYWHERE("h", "f=last");
    void **slot = table_find(object_fields(object_at(B, "h"), COMPONENT_HASH), span_str("f"));
    /* one register, not two of one stamp */
    EXPECT_EQ(((struct entry *)*slot)->form, ENTRY_INLINE);
    slot = table_find(object_fields(object_at(B, "s"), COMPONENT_SET), span_str("m"));
    EXPECT_EQ(((struct entry *)*slot)->form, ENTRY_INLINE);
}

/* --- the rest --- */

STORY(2, two_types_under_one_key_are_both_kept_and_the_newer_is_seen)
{
    set(A, "k", "v");
    sadd(B, "k", "m");
    synced();
    EXPECT_EVERYWHERE("k", "m");
    EXPECT_EQ(object_components(object_at(A, "k")), 1 << COMPONENT_STRING | 1 << COMPONENT_SET);
    del(A, "k");
    synced();
    EXPECT_EVERYWHERE("k", "(nil)");
    EXPECT_EQ(trial.regions[B].replica.databases[0].keys.count, 0);
}

STORY(2, a_write_to_the_visible_type_drops_the_hidden_one)
{
    set(A, "k", "v");
    sadd(B, "k", "m");
    synced();
    srem(B, "k", "m");
    synced();
    EXPECT_EVERYWHERE("k", "(nil)");
}

/* What RENAME does: the value under the new name, and the old name removed. */
static void rename_key(size_t region, const char *from, const char *to)
{
    char value[64];
    snprintf(value, sizeof(value), "%s", get(region, from));
    COMMAND(region, emit_remove(r, 0, span_str(to));
            emit_string(r, 0, span_str(to), span_str(value), TIME_NONE, 0);
            emit_remove(r, 0, span_str(from)));
}

STORY(2, a_rename_and_a_concurrent_write)
{
    set(A, "a", "old");
    synced();
    rename_key(A, "a", "b");
    set(B, "a", "v");
    synced();
    EXPECT_EVERYWHERE("b", "old");
    EXPECT_EVERYWHERE("a", "v");
}

STORY(2, two_concurrent_renames_leave_both_names)
{
    set(A, "a", "v");
    synced();
    rename_key(A, "a", "b");
    rename_key(B, "a", "c");
    synced();
    EXPECT_EVERYWHERE("a", "(nil)");
    EXPECT_EVERYWHERE("b", "v");
    EXPECT_EVERYWHERE("c", "v");
}

STORY(2, a_removal_of_all_keys_spares_what_it_has_not_seen)
{
    set(A, "k", "old");
    set(A, "j", "old");
    synced();
    COMMAND(A, emit_remove(r, 0, span_str("k")); emit_remove(r, 0, span_str("j")));
    set(B, "k", "v");
    synced();
    EXPECT_EVERYWHERE("k", "v");
    EXPECT_EVERYWHERE("j", "(nil)");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
