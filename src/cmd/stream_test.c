/*
 * Streams as clients see them where one region writes: entries, ranges, trimming, waiting. The
 * consumer groups are in stream_group_test.c, several writers in stream_closed_test.c; all of it is
 * compared with Redis in tests/differential/streams.py.
 */
#include "cmd/waiter_trial.h"

#define BAD_ID "-ERR Invalid stream ID specified as stream command argument"
#define SMALL  "-ERR The ID specified in XADD is equal or smaller than the target stream top item"
#define BELOW  "-ERR The ID specified in XSETID is smaller than the target stream top item"

STEPS(entries_have_ids_of_their_own, { "XADD x * f v", "\"1000000-1\"" },
      { "XADD x * f v", "\"1000000-257\"" }, { "@1", "" }, { "XADD x * f v", "\"1000001-1\"" },
      { "XLEN x", "3" }, { "TYPE x", "stream" }, { "XLEN none", "0" },
      { "XADD x NOMKSTREAM * f v", "\"1000001-257\"" }, { "XADD none NOMKSTREAM * f v", "nil" },
      { "EXISTS none", "0" }, { "SET s v", "OK" }, { "XADD s * f v", WRONG_TYPE },
      { "XLEN s", WRONG_TYPE })

STEPS(ids_can_be_given, { "XADD x 5-3 f v", "\"5-3\"" }, { "XADD x 5-3 f v", SMALL },
      { "XADD x 5 f v", SMALL }, { "XADD x 5-* f v", "\"5-4\"" }, { "XADD x 6-* f v", "\"6-0\"" },
      { "XADD x 7 f v", "\"7-0\"" }, { "XADD new 0-* f v", "\"0-1\"" },
      { "XADD x 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0" },
      { "XADD x a f v", BAD_ID }, { "XADD x 1-a f v", BAD_ID }, { "XADD x - f v", BAD_ID },
      { "XADD x 18446744073709551616 f v", BAD_ID },
      { "XADD x 8 f", "-ERR wrong number of arguments for 'xadd' command" },
      { "XADD x 18446744073709551615-18446744073709551615 f v",
        "\"18446744073709551615-18446744073709551615\"" },
      { "XADD x * f v",
        "-ERR The stream has exhausted the last possible ID, unable to add more items" })

STEPS(an_own_id_is_above_a_greater_one_that_was_given, { "XADD x 2000000-7 f v", "\"2000000-7\"" },
      { "XADD x * f v", "\"2000000-8\"" },
      { "XADD x 2000000-18446744073709551615 f v", "\"2000000-18446744073709551615\"" },
      { "XADD x * f v", "\"2000001-0\"" }, { "XADD x 2000001-* f v", "\"2000001-1\"" })

STEPS(ranges, { "XADD x 1-1 a 1", "\"1-1\"" }, { "XADD x 1-2 b 2 c 3", "\"1-2\"" },
      { "XADD x 2-0 d 4", "\"2-0\"" },
      { "XRANGE x - +",
        "[[\"1-1\" [\"a\" \"1\"]] [\"1-2\" [\"b\" \"2\" \"c\" \"3\"]] [\"2-0\" [\"d\" \"4\"]]]" },
      { "XREVRANGE x + - COUNT 1", "[[\"2-0\" [\"d\" \"4\"]]]" },
      { "XRANGE x 1 1 COUNT 1", "[[\"1-1\" [\"a\" \"1\"]]]" },
      { "XRANGE x (1-1 (2", "[[\"1-2\" [\"b\" \"2\" \"c\" \"3\"]] [\"2-0\" [\"d\" \"4\"]]]" },
      { "XRANGE x (1-1 (2-0", "[[\"1-2\" [\"b\" \"2\" \"c\" \"3\"]]]" },
      { "XREVRANGE x (2-0 (1-1", "[[\"1-2\" [\"b\" \"2\" \"c\" \"3\"]]]" },
      { "XRANGE x 3 +", "[]" }, { "XRANGE x 2 1", "[]" }, { "XRANGE none - +", "[]" },
      { "XRANGE x - + COUNT 0", "nil-array" }, { "XRANGE x - + COUNT", SYNTAX },
      { "XRANGE x - (-", BAD_ID }, { "XRANGE x - (0-0", "-ERR invalid end ID for the interval" },
      { "XRANGE x (18446744073709551615-18446744073709551615 +",
        "-ERR invalid start ID for the interval" })

STEPS(trimming, { "XADD x 1 f v", "\"1-0\"" }, { "XADD x 2 f v", "\"2-0\"" },
      { "XADD x 3 f v", "\"3-0\"" }, { "XADD x MAXLEN 3 4 f v", "\"4-0\"" }, { "XLEN x", "3" },
      { "XTRIM x MINID 3", "1" }, { "XTRIM x MAXLEN ~ 1", "0" }, { "XTRIM x MAXLEN = 1", "1" },
      { "XADD x MINID 9 5 f v", "\"5-0\"" }, { "XLEN x", "0" }, { "EXISTS x", "1" }, { "@1", "" },
      { "XADD x * f v", "\"1000001-1\"" }, { "XTRIM x MAXLEN ~ 0", "1" },
      { "XTRIM x MAXLEN ~ 0 LIMIT 5", "0" }, { "XTRIM none MAXLEN 0", "0" },
      { "XTRIM x MAXLEN -1", "-ERR The MAXLEN argument must be >= 0." },
      { "XTRIM x MAXLEN 1 LIMIT 1",
        "-ERR syntax error, LIMIT cannot be used without the special ~ option" },
      { "XTRIM x MAXLEN 1 MINID 1",
        "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible" },
      { "XTRIM x LIMIT 1 1", SYNTAX },
      { "XTRIM x", "-ERR wrong number of arguments for 'xtrim' command" })

STEPS(removing_entries, { "XADD x 1 f v", "\"1-0\"" }, { "XADD x 2 f v", "\"2-0\"" },
      { "XDEL x 1-0 1-0 7", "1" }, { "XDEL x 1 y", BAD_ID }, { "XDEL none 1", "0" },
      { "XDEL x 2-0", "1" }, { "EXISTS x", "1" }, { "XADD x 2 f v", SMALL },
      { "XADD x 3 f v", "\"3-0\"" })

STEPS(the_state_of_a_stream, { "XADD x 1 f v", "\"1-0\"" }, { "XADD x 3 f v", "\"3-0\"" },
      { "XDEL x 1", "1" }, { "XADD x 5 f v", "\"5-0\"" },
      { "XINFO STREAM x",
        "[\"length\" 2 \"radix-tree-keys\" 1 \"radix-tree-nodes\" 2 \"last-generated-id\" \"5-0\" "
        "\"max-deleted-entry-id\" \"1-0\" \"entries-added\" 3 \"recorded-first-entry-id\" \"3-0\" "
        "\"groups\" 0 \"first-entry\" [\"3-0\" [\"f\" \"v\"]] \"last-entry\" [\"5-0\" [\"f\" "
        "\"v\"]]]" },
      { "XSETID x 4", BELOW }, { "XSETID x 9-9", "OK" }, { "XADD x 9-9 f v", SMALL },
      { "XSETID x 9-9 ENTRIESADDED 1",
        "-ERR The entries_added specified in XSETID is smaller than the target stream length" },
      { "XSETID x 10 ENTRIESADDED 40 MAXDELETEDID 7-7", "OK" }, { "XADD x 11 f v", "\"11-0\"" },
      { "XTRIM x MAXLEN 0", "3" }, { "!3", "" },
      { "XINFO STREAM x",
        "{\"length\" 0 \"radix-tree-keys\" 0 \"radix-tree-nodes\" 1 \"last-generated-id\" \"11-0\" "
        "\"max-deleted-entry-id\" \"7-7\" \"entries-added\" 41 \"recorded-first-entry-id\" \"0-0\" "
        "\"groups\" 0 \"first-entry\" nil \"last-entry\" nil}" },
      { "XSETID none 1", "-ERR no such key" }, { "XINFO STREAM none", "-ERR no such key" })

STEPS(a_copied_stream_has_its_state, { "XADD x 1 f v", "\"1-0\"" }, { "XDEL x 1", "1" },
      { "COPY x y", "1" }, { "RENAME x z", "OK" }, { "XADD y 1 f v", SMALL },
      { "XADD z 1 f v", SMALL }, { "DEL y", "1" }, { "XADD y 1 f v", "\"1-0\"" })

STEPS(reading, { "XADD x 1 f v", "\"1-0\"" }, { "XADD x 2 f w", "\"2-0\"" },
      { "XADD y 3 g u", "\"3-0\"" },
      { "XREAD COUNT 1 STREAMS x y 0 0",
        "[[\"x\" [[\"1-0\" [\"f\" \"v\"]]]] [\"y\" [[\"3-0\" [\"g\" \"u\"]]]]]" },
      { "XREAD STREAMS x y 2 2-9", "[[\"y\" [[\"3-0\" [\"g\" \"u\"]]]]]" },
      { "XREAD STREAMS x y $ $", "nil-array" }, { "XREAD STREAMS none 0", "nil-array" },
      { "!3", "" }, { "XREAD STREAMS x 1", "{\"x\" [[\"2-0\" [\"f\" \"w\"]]]}" }, { "!2", "" },
      { "XREAD STREAMS x", "-ERR wrong number of arguments for 'xread' command" },
      { "XREAD STREAMS x y 0",
        "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
        "specified." },
      { "XREAD COUNT a STREAMS x 0", NOT_INTEGER },
      { "XREAD BLOCK -1 STREAMS x 0", "-ERR timeout is negative" }, { "XREAD STREAMS x a", BAD_ID },
      { "SET s v", "OK" }, { "XREAD STREAMS s 0", WRONG_TYPE })

/* --- trimming by hundreds --- */

TEST(about_a_length_is_kept_by_hundreds)
{
    char line[64];
    open_world();
    for (int i = 1; i <= 350; i++) {
        snprintf(line, sizeof(line), "XADD x %d f v", i);
        execute(line);
    }
    EXPECT_REPLY("XTRIM x MAXLEN ~ 101", "200");
    EXPECT_REPLY("XTRIM x MAXLEN ~ 51", "0");
    EXPECT_REPLY("XTRIM x MINID ~ 350 LIMIT 99", "0");
    EXPECT_REPLY("XTRIM x MINID ~ 350 LIMIT 100", "100");
    EXPECT_REPLY("XLEN x", "50");
    close_world();
}

/* More than one piece of a removal. */
TEST(a_long_stream_is_trimmed_at_once)
{
    open_world();
    for (int i = 0; i < 10000; i++)
        execute("XADD x * f v");
    EXPECT_REPLY("XTRIM x MAXLEN 3", "9997");
    EXPECT_REPLY("XLEN x", "3");
    execute("XADD x MAXLEN 0 * f v");
    EXPECT_REPLY("XLEN x", "0");
    close_world();
}

/* --- waiting --- */

TEST(a_reader_waits_for_what_comes_after_the_last_entry_then)
{
    open_clients();
    execute("XADD x 5 f v");
    ask(0, "XREAD BLOCK 0 STREAMS y x $ $");
    EXPECT_WAITS(0);
    run_line("SET y v");
    EXPECT_WAITS(0);
    run_line("DEL x");
    run_line("XADD x 4 f v");
    EXPECT_WAITS(0);
    run_line("XADD x 6 f w");
    EXPECT_ANSWER(0, "[[\"x\" [[\"6-0\" [\"f\" \"w\"]]]]]");
    close_clients();
}

TEST(what_is_there_is_not_waited_for)
{
    open_clients();
    execute("XADD x 5 f v");
    ask(0, "XREAD BLOCK 0 STREAMS x 4");
    EXPECT_ANSWER(0, "[[\"x\" [[\"5-0\" [\"f\" \"v\"]]]]]");
    ask(0, "XREAD BLOCK 20 STREAMS x $");
    EXPECT_WAITS(0);
    pass(20);
    EXPECT_ANSWER(0, "nil-array");
    close_clients();
}

TEST(a_consumer_that_waits_is_told_when_its_group_goes)
{
    static const char *const ends[][2] = {
        { "DEL x", "-UNBLOCKED the stream key no longer exists" },
        { "SET x v", "-UNBLOCKED the stream key no longer exists" },
        { "XGROUP DESTROY x g",
          "-NOGROUP the consumer group this client was blocked on no longer exists" },
        { "XADD x 5 f v", "[[\"x\" [[\"5-0\" [\"f\" \"v\"]]]]]" },
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        open_clients();
        execute("XGROUP CREATE x g $ MKSTREAM");
        execute("XGROUP CREATE y g $ MKSTREAM");
        ask(0, "XREADGROUP GROUP g c BLOCK 0 STREAMS y x > >");
        EXPECT_WAITS(0);
        run_line("XGROUP CREATECONSUMER x g other");
        EXPECT_WAITS(0);
        run_line(ends[i][0]);
        EXPECT_ANSWER(0, ends[i][1]);
        close_clients();
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
