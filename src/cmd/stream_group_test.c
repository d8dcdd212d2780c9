/*
 * Consumer groups as clients see them, and as they stand in the object.
 */
#include "cmd/stream_group.h"
#include "cmd/trial.h"

#define NO_GROUP "-NOGROUP No such key 'x' or consumer group 'g'"

#define THREE_ENTRIES                                                                              \
    { "XADD x 1 f a", "\"1-0\"" }, { "XADD x 2 f b", "\"2-0\"" },                                  \
    {                                                                                              \
        "XADD x 3 f c", "\"3-0\""                                                                  \
    }
#define ENTRY_1 "[\"1-0\" [\"f\" \"a\"]]"
#define ENTRY_2 "[\"2-0\" [\"f\" \"b\"]]"
#define ENTRY_3 "[\"3-0\" [\"f\" \"c\"]]"

STEPS(a_group_is_made_and_removed,
      { "XGROUP CREATE x g $",
        "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
        "to use the MKSTREAM option to create an empty stream automatically." },
      { "XGROUP CREATE x g $ MKSTREAM", "OK" }, { "TYPE x", "stream" }, { "XLEN x", "0" },
      { "XGROUP CREATE x g 0", "-BUSYGROUP Consumer Group name already exists" },
      { "XGROUP CREATE x h a", "-ERR Invalid stream ID specified as stream command argument" },
      { "XGROUP DESTROY x g", "1" }, { "XGROUP DESTROY x g", "0" }, { "EXISTS x", "1" },
      { "XGROUP SETID x g 0", "-NOGROUP No such consumer group 'g' for key name 'x'" },
      { "SET s v", "OK" }, { "XGROUP CREATE s g 0", WRONG_TYPE },
      { "XGROUP Create s g 0 x",
        "-ERR unknown subcommand or wrong number of arguments for 'Create'. Try XGROUP HELP." })

STEPS(consumers_share_the_entries, THREE_ENTRIES, { "XGROUP CREATE x g 0", "OK" },
      { "XREADGROUP GROUP g a COUNT 2 STREAMS x >", "[[\"x\" [" ENTRY_1 " " ENTRY_2 "]]]" },
      { "XREADGROUP GROUP g b STREAMS x >", "[[\"x\" [" ENTRY_3 "]]]" },
      { "XREADGROUP GROUP g b STREAMS x >", "nil-array" },
      { "XREADGROUP GROUP g a STREAMS x 1", "[[\"x\" [" ENTRY_2 "]]]" },
      { "XREADGROUP GROUP g c STREAMS x 0", "[[\"x\" []]]" },
      { "XPENDING x g", "[3 \"1-0\" \"3-0\" [[\"a\" \"2\"] [\"b\" \"1\"]]]" }, { "@7", "" },
      { "XPENDING x g - + 9", "[[\"1-0\" \"a\" 7 1] [\"2-0\" \"a\" 7 2] [\"3-0\" \"b\" 7 1]]" },
      { "XPENDING x g (1-0 2 9 a", "[[\"2-0\" \"a\" 7 2]]" }, { "XPENDING x g IDLE 8 - + 9", "[]" },
      { "XACK x g 1 1 2 9", "2" }, { "XPENDING x g", "[1 \"3-0\" \"3-0\" [[\"b\" \"1\"]]]" },
      { "XGROUP DELCONSUMER x g b", "1" }, { "XPENDING x g", "[0 nil nil nil-array]" },
      { "XINFO CONSUMERS x g",
        "[[\"name\" \"a\" \"pending\" 0 \"idle\" 7] [\"name\" \"c\" \"pending\" 0 \"idle\" 7]]" })

STEPS(what_is_not_to_be_acknowledged_is_not_pending, THREE_ENTRIES, { "XGROUP CREATE x g 1", "OK" },
      { "XREADGROUP GROUP g a NOACK STREAMS x >", "[[\"x\" [" ENTRY_2 " " ENTRY_3 "]]]" },
      { "XREADGROUP GROUP g a STREAMS x >", "nil-array" },
      { "XPENDING x g", "[0 nil nil nil-array]" })

STEPS(an_entry_that_was_removed_is_still_pending, THREE_ENTRIES, { "XGROUP CREATE x g 0", "OK" },
      { "XREADGROUP GROUP g a STREAMS x >", "[[\"x\" [" ENTRY_1 " " ENTRY_2 " " ENTRY_3 "]]]" },
      { "XDEL x 2", "1" },
      { "XREADGROUP GROUP g a COUNT 2 STREAMS x 0", "[[\"x\" [" ENTRY_1 " [\"2-0\" nil-array]]]]" },
      { "XAUTOCLAIM x g b 0 - COUNT 2", "[\"3-0\" [" ENTRY_1 "] [\"2-0\"]]" },
      { "XAUTOCLAIM x g b 0 3 JUSTID", "[\"0-0\" [\"3-0\"] []]" },
      { "XPENDING x g - + 9", "[[\"1-0\" \"b\" 0 3] [\"3-0\" \"b\" 0 1]]" },
      { "XAUTOCLAIM x g b 1 0", "[\"0-0\" [] []]" },
      { "XAUTOCLAIM x g b 0 0 COUNT 0", "-ERR COUNT must be > 0" },
      { "XAUTOCLAIM x h b 0 0", "-NOGROUP No such key 'x' or consumer group 'h'" })

STEPS(claims, THREE_ENTRIES, { "XGROUP CREATE x g 0", "OK" },
      { "XREADGROUP GROUP g a COUNT 2 STREAMS x >", "[[\"x\" [" ENTRY_1 " " ENTRY_2 "]]]" },
      { "@10", "" }, { "XCLAIM x g b 11 1", "[]" }, { "XCLAIM x g b 10 1", "[" ENTRY_1 "]" },
      { "XCLAIM x g b 0 3 9", "[]" }, { "XCLAIM x g b 0 3 9 FORCE JUSTID", "[\"3-0\"]" },
      { "XCLAIM x g b 0 2 IDLE 3 RETRYCOUNT 7", "[" ENTRY_2 "]" },
      { "XPENDING x g - + 9", "[[\"1-0\" \"b\" 0 2] [\"2-0\" \"b\" 3 7] [\"3-0\" \"b\" 0 1]]" },
      { "XCLAIM x g c 0 1 1", "[" ENTRY_1 " " ENTRY_1 "]" },
      { "XPENDING x g - 1 9", "[[\"1-0\" \"c\" 0 4]]" }, { "XDEL x 1", "1" },
      { "XCLAIM x g c 0 1 1 LASTID 8", "[]" }, { "XPENDING x g - 1 9", "[]" },
      { "XINFO GROUPS x",
        "[[\"name\" \"g\" \"consumers\" 3 \"pending\" 2 \"last-delivered-id\" \"8-0\" "
        "\"entries-read\" 2 \"lag\" 1]]" },
      { "XCLAIM x g c a 1", "-ERR Invalid min-idle-time argument for XCLAIM" },
      { "XCLAIM x g c 0 1 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'" },
      { "XCLAIM x h c 0 1", "-NOGROUP No such key 'x' or consumer group 'h'" })

STEPS(going_back_delivers_again, THREE_ENTRIES, { "XGROUP CREATE x g 1", "OK" },
      { "XREADGROUP GROUP g a COUNT 1 STREAMS x >", "[[\"x\" [" ENTRY_2 "]]]" },
      { "XREADGROUP GROUP g a STREAMS x 0", "[[\"x\" [" ENTRY_2 "]]]" },
      { "XGROUP SETID x g 0", "OK" },
      { "XREADGROUP GROUP g b STREAMS x >", "[[\"x\" [" ENTRY_1 " " ENTRY_2 " " ENTRY_3 "]]]" },
      { "XPENDING x g", "[3 \"1-0\" \"3-0\" [[\"b\" \"3\"]]]" },
      { "XPENDING x g 2 2 9", "[[\"2-0\" \"b\" 0 1]]" })

STEPS(names_of_groups_and_consumers_do_not_mix, THREE_ENTRIES, { "XGROUP CREATE x a 0", "OK" },
      { "XGROUP CREATE x ab 0", "OK" }, { "XGROUP CREATE x \"\" 0", "OK" },
      { "XREADGROUP GROUP a bc COUNT 1 STREAMS x >", "[[\"x\" [" ENTRY_1 "]]]" },
      { "XREADGROUP GROUP ab c COUNT 2 STREAMS x >", "[[\"x\" [" ENTRY_1 " " ENTRY_2 "]]]" },
      { "XREADGROUP GROUP \"\" \"\" COUNT 1 STREAMS x >", "[[\"x\" [" ENTRY_1 "]]]" },
      { "XPENDING x a", "[1 \"1-0\" \"1-0\" [[\"bc\" \"1\"]]]" },
      { "XPENDING x ab", "[2 \"1-0\" \"2-0\" [[\"c\" \"2\"]]]" },
      { "XPENDING x \"\"", "[1 \"1-0\" \"1-0\" [[\"\" \"1\"]]]" }, { "XGROUP DESTROY x a", "1" },
      { "XPENDING x ab", "[2 \"1-0\" \"2-0\" [[\"c\" \"2\"]]]" },
      { "XPENDING x a", "-NOGROUP No such key 'x' or consumer group 'a'" })

STEPS(removing_the_key_removes_its_groups, THREE_ENTRIES, { "XGROUP CREATE x g 0", "OK" },
      { "DEL x", "1" }, { "XADD x 1 f a", "\"1-0\"" }, { "XPENDING x g", NO_GROUP },
      { "XGROUP CREATE x g 0", "OK" }, { "SET x v", "OK" }, { "DEL x", "1" }, { "EXISTS x", "0" })

STEPS(everything_of_a_stream, { "XADD x 1 f a", "\"1-0\"" }, { "XGROUP CREATE x g 0", "OK" },
      { "XREADGROUP GROUP g a STREAMS x >", "[[\"x\" [" ENTRY_1 "]]]" }, { "!3", "" },
      { "XINFO STREAM x FULL",
        "{\"length\" 1 \"radix-tree-keys\" 1 \"radix-tree-nodes\" 2 \"last-generated-id\" \"1-0\" "
        "\"max-deleted-entry-id\" \"0-0\" \"entries-added\" 1 \"recorded-first-entry-id\" \"1-0\" "
        "\"entries\" [" ENTRY_1 "] \"groups\" [{\"name\" \"g\" \"last-delivered-id\" \"1-0\" "
        "\"entries-read\" 1 \"lag\" 0 \"pel-count\" 1 \"pending\" [[\"1-0\" \"a\" 1000000 1]] "
        "\"consumers\" [{\"name\" \"a\" \"seen-time\" 1000000 \"pel-count\" 1 \"pending\" "
        "[[\"1-0\" 1000000 1]]}]}]}" },
      { "XINFO STREAM x FULL COUNT",
        "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP." })

/* --- what others may have left there --- */

static void put_item(struct span name, struct span value)
{
    struct emit_fields e;

    replica_group_begin(&world.replica);
    emit_fields_begin(&e, &world.replica, OP_PUT, COMPONENT_GROUPS, 0, span_str("x"));
    emit_fields_add(&e, name, value);
    emit_fields_end(&e);
    replica_group_end(&world.replica);
}

static const struct step asked[] = {
    { "XINFO STREAM x FULL", "" },
    { "XINFO GROUPS x", "" },
    { "XINFO CONSUMERS x g", "" },
    { "XPENDING x g", "" },
    { "XPENDING x g - + 100", "" },
    { "XPENDING x g - + 100 c", "" },
    { "XREADGROUP GROUP g c STREAMS x 0", "" },
    { "XREADGROUP GROUP g c COUNT 2 STREAMS x >", "" },
    { "XCLAIM x g d 0 1 2 3 FORCE", "" },
    { "XAUTOCLAIM x g e 0 -", "" },
    { "XACK x g 1 2", "" },
    { "XADD x 9-* f v", "" },
    { "XTRIM x MAXLEN 5", "" },
    { "XGROUP DELCONSUMER x g c", "" },
    { "XGROUP SETID x g 0", "" },
    { "XGROUP CREATE x g 0", "" },
    { "XGROUP CREATECONSUMER x g c", "" },
    { "XSETID x 18446744073709551615-5", "" },
    { "XGROUP DESTROY x g", "" },
    { "DEL x", "" },
};

static bool contains(struct span text, const char *part)
{
    size_t len = strlen(part);

    for (size_t at = 0; at + len <= text.len; at++) {
        if (memcmp(text.at + at, part, len) == 0)
            return true;
    }
    return false;
}

/* Whole replies, whatever stands there. */
static void ask_everything(void)
{
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        execute(asked[i].line);
        struct span text = reply_text(false);
        EXPECT(text.len > 0 && !contains(text, "and more"));
    }
}

static void put_random_item(struct prng *p)
{
    static const char *const beginnings[] = { "s",    "g",       "gg", "c\1g", "c\1gc",
                                              "p\1g", "h\1g\1c", "p",  "h\1g", "" };
    uint8_t bytes[48];
    struct buffer name = { 0 };
    size_t len = prng_below(p, sizeof(bytes));

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(prng_below(p, 3) ? prng_below(p, 4) : prng_next(p));
    buffer_put_text(&name, beginnings[prng_below(p, COUNT_OF(beginnings))]);
    buffer_put_bytes(&name, bytes, prng_below(p, 2) ? 16 : prng_below(p, 20));
    put_item(buffer_span(&name), span_of(bytes, len));
    buffer_release(&name);
}

TEST(whatever_stands_there_is_read_or_left_alone)
{
    struct prng p;

    prng_seed(&p, test_seed());
    for (int round = 0; round < 200; round++) {
        open_world();
        execute("XADD x 1 f v");
        if (prng_below(&p, 2)) {
            execute("XGROUP CREATE x g 0");
            execute("XREADGROUP GROUP g c COUNT 1 STREAMS x >");
        }
        for (int i = 0; i < 30; i++)
            put_random_item(&p);
        ask_everything();
        close_world();
    }
}

TEST(metadata_in_another_form_is_none)
{
    open_world();
    execute("XADD x 5 f v");
    put_item(span_str("s"), span_str("short"));
    EXPECT_REPLY("XADD x 6 f v", "\"6-0\"");
    execute("XDEL x 5");
    execute("XINFO STREAM x");
    struct span text = reply_text(false);
    EXPECT(contains(text, "\"entries-added\" 2"));
    close_world();
}

/* --- what is pending is held, once --- */

static void expect_held_once(void)
{
    struct call call = {
        .server = &world.server,
        .session = &world.session,
        .replica = &world.replica,
        .command = command_find(span_str("xack")),
        .reply = &world.session.reply,
        .now_ms = replica_hlc_ms(&world.replica),
    };
    static const char *const groups[] = { "g", "h" };
    struct stream_view v;

    CHECK(stream_find(&call, span_str("x"), &v));
    for (size_t i = 0; i < COUNT_OF(groups); i++) {
        struct span group = span_str(groups[i]), consumer;
        struct group_items all, held;
        struct stream_pending p;
        uint64_t seen_ms, count = 0;

        group_items_consumers(&all, &v, group);
        while (group_next_consumer(&all, &consumer, &seen_ms)) {
            uint64_t mine = 0;
            group_items_held(&held, &v, group, consumer, STREAM_ID_MIN);
            while (group_next_pending(&held, &p))
                mine++;
            group_items_release(&held);
            EXPECT_EQ(mine, group_count_held(&v, group, consumer));
            count += mine;
        }
        group_items_release(&all);
        EXPECT_EQ(count, group_count_pending(&v, group));
    }
}

static void random_line(struct prng *p, char *line, size_t size)
{
    int id = (int)prng_below(p, 40), other = (int)prng_below(p, 40);
    char group = prng_below(p, 4) ? 'g' : 'h', consumer = (char)('a' + prng_below(p, 3));

    switch (prng_below(p, 10)) {
    case 0:
        snprintf(line, size, "XADD x %d-* f v", id);
        return;
    case 1:
        snprintf(line, size, "XDEL x %d %d", id, other);
        return;
    case 2:
        snprintf(line, size, "XACK x %c %d %d %d", group, id, other, id);
        return;
    case 3:
        snprintf(line, size, "XCLAIM x %c %c 0 %d %d %d FORCE", group, consumer, id, other, id);
        return;
    case 4:
        snprintf(line, size, "XAUTOCLAIM x %c %c 0 %d COUNT 3", group, consumer, id);
        return;
    case 5:
        snprintf(line, size, "XREADGROUP GROUP %c %c STREAMS x %d", group, consumer, id);
        return;
    case 6:
        snprintf(line, size, prng_below(p, 3) ? "XGROUP SETID x %c %d" : "XGROUP CREATE x %c %d",
                 group, id);
        return;
    case 7:
        snprintf(line, size,
                 prng_below(p, 4)   ? "XREADGROUP GROUP %c %c STREAMS x >"
                 : prng_below(p, 2) ? "XGROUP DELCONSUMER x %c %c"
                                    : "XGROUP DESTROY x %c",
                 group, consumer);
        return;
    default:
        snprintf(line, size, "XREADGROUP GROUP %c %c COUNT 3 STREAMS x >", group, consumer);
        return;
    }
}

TEST(an_entry_that_is_claimed_again_and_again_is_not_replied_without_end)
{
    struct buffer line = { 0 };

    open_world();
    execute("XGROUP CREATE x g 0 MKSTREAM");
    buffer_put_text(&line, "XADD x 1 f ");
    for (int i = 0; i < 16384; i++)
        buffer_put_u8(&line, 'x');
    buffer_put_u8(&line, 0);
    execute((const char *)line.at);
    execute("XREADGROUP GROUP g a STREAMS x >");
    world.server.settings.output_buffer_bytes = 1 << 16;
    buffer_clear(&line);
    buffer_put_text(&line, "XCLAIM x g b 0");
    for (int i = 0; i < 300; i++)
        buffer_put_text(&line, " 1-0");
    buffer_put_u8(&line, 0);
    execute((const char *)line.at);
    EXPECT(world.session.killed && world.session.output.len < 1 << 17);
    buffer_release(&line);
    close_world();
}

TEST(what_is_pending_is_held_once_whatever_was_done)
{
    struct prng p;
    char line[96];

    prng_seed(&p, test_seed());
    for (int round = 0; round < 20; round++) {
        open_world();
        for (int i = 1; i < 40; i += 2) {
            snprintf(line, sizeof(line), "XADD x %d f v", i);
            execute(line);
        }
        execute("XGROUP CREATE x g 0");
        execute("XGROUP CREATE x h 0");
        for (int i = 0; i < 300; i++) {
            random_line(&p, line, sizeof(line));
            execute(line);
            expect_held_once();
        }
        close_world();
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
