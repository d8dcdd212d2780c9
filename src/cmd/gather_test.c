/* GATHER's parts: what a region is asked, and what it looks at. */
#include "cmd/gather.h"

#include "cmd/trial.h"

TEST(a_part_with_a_wrong_number_of_words_is_a_syntax_error)
{
    open_world();
    EXPECT_REPLY("GATHER PART count", SYNTAX);
    EXPECT_REPLY("GATHER PART count n:", SYNTAX);
    EXPECT_REPLY("GATHER PART count n: \"\" 1 2", SYNTAX);
    close_world();
}

TEST(a_question_is_read_as_it_was_put)
{
    const struct gather_question q = { .kind = GATHER_SUM, .prefix = span_str("n:") };
    struct resp_parser *parser = &world.session.parser;
    struct buffer text = { 0 };
    size_t used = 0;

    open_world();
    EXPECT_REPLY("SELECT 3", "OK");
    EXPECT_REPLY("MSET n:1 7 n:2 5 m:1 4 n:3 x", "OK");
    EXPECT_REPLY("SELECT 0", "OK");
    gather_question_put(&text, &q, 3, 1);
    for (int i = 0; i < 2; i++) {
        CHECK(resp_parse(parser, span_skip(buffer_span(&text), used)) == RESP_COMMAND);
        used += parser->consumed;
        buffer_clear(&world.session.output);
        command_run(&world.server, &world.session, parser->argv, parser->argc);
    }
    EXPECT_EQ(used, text.len);
    buffer_release(&text);
    EXPECT_TEXT(reply_text(false), "[3 2 1 1 12 \"12\" \"5\" \"7\" 0]");
    close_world();
}

TEST(a_part_is_of_strings_or_of_a_field_of_hashes)
{
    open_world();
    EXPECT_REPLY("MSET n:1 7 n:2 x", "OK");
    EXPECT_REPLY("HSET n:3 town Ulm price 2.5", "2");
    EXPECT_REPLY("GATHER PART count n: \"\" 1", "[3 0 0 1 0 \"0\" \"inf\" \"-inf\" 0]");
    EXPECT_REPLY("GATHER PART max n: price 1", "[3 1 2 0 0 \"2.5\" \"2.5\" \"2.5\" 0]");
    EXPECT_REPLY("GATHER PART group n: town 1", "[3 0 2 1 0 \"0\" \"inf\" \"-inf\" 0 \"Ulm\" 1]");
    EXPECT_REPLY("GATHER PART count n: \"\" 0", "[0 0 0 1 0 \"0\" \"inf\" \"-inf\" 0]");
    close_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
