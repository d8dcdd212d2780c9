#include "sim/answer.h"

#include "base/test.h"

static const struct answer_names NAMES = {
    .prefix = { (const uint8_t *)"case1:", 6 },
    .late = { (const uint8_t *)"500", 3 },
    .name = { (const uint8_t *)"id", 2 },
    .value = { (const uint8_t *)"1-0", 3 },
};

static bool fits(const char *reply, const char *choice)
{
    return answer_fits(span_str(reply), span_str(choice), &NAMES);
}

TEST(texts_fit_whatever_the_kind_of_reply)
{
    EXPECT(fits("$1\r\na\r\n", "a"));
    EXPECT(fits("+OK\r\n", "OK"));
    EXPECT(fits(":-7\r\n", "-7"));
    EXPECT(!fits(":-7\r\n", "7"));
    EXPECT(!fits("$2\r\nab\r\n", "a"));
    EXPECT(!fits("-a\r\n", "a"));
    EXPECT(!fits("*1\r\n:7\r\n", "7"));
}

TEST(names_stand_for_what_they_name)
{
    EXPECT(fits("$7\r\ncase1:k\r\n", "@k"));
    EXPECT(!fits("$7\r\ncase2:k\r\n", "@k"));
    EXPECT(fits("$3\r\n1-0\r\n", "$id"));
    EXPECT(fits("$3\r\n500\r\n", "$late"));
    EXPECT(fits("$3\r\n$no\r\n", "$no"));
}

TEST(a_number_with_a_point_is_compared_as_a_number)
{
    EXPECT(fits("$18\r\n3.1000000000000001\r\n", "3.1"));
    EXPECT(!fits("$18\r\n3.1000000000000005\r\n", "3.1"));
    EXPECT(!fits("$3\r\n7.0\r\n", "7"));
    EXPECT(!fits("$1\r\na\r\n", "3.1"));
}

TEST(nothing_is_nil_or_waiting)
{
    EXPECT(fits("$-1\r\n", "(nil)"));
    EXPECT(fits("*-1\r\n", "(nil)"));
    EXPECT(!fits("$0\r\n\r\n", "(nil)"));
    EXPECT(!fits("*0\r\n", "(nil)"));
    EXPECT(!fits("$-1\r\n", "a"));
    EXPECT(fits("", "waiting"));
    EXPECT(!fits("", "*"));
    EXPECT(!fits("+OK\r\n", "waiting"));
}

TEST(arrays_fit_in_order)
{
    const char *reply = "*2\r\n$1\r\na\r\n*2\r\n:1\r\n$1\r\nb\r\n";
    EXPECT(fits(reply, "[a [1 b]]"));
    EXPECT(fits(reply, "[a *]"));
    EXPECT(!fits(reply, "[a]"));
    EXPECT(!fits(reply, "[[1 b] a]"));
    EXPECT(!fits(reply, "[a [1 b] c]"));
    EXPECT(!fits(reply, "[a [b 1]]"));
    EXPECT(fits("*0\r\n", "[]"));
    EXPECT(!fits("*-1\r\n", "[]"));
    EXPECT(!fits("$1\r\na\r\n", "[a]"));
}

TEST(sets_fit_in_any_order)
{
    const char *reply = "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n";
    EXPECT(fits(reply, "{b a a}"));
    EXPECT(!fits(reply, "{a b}"));
    EXPECT(!fits(reply, "{a b b}"));
    EXPECT(!fits(reply, "{a a b c}"));
    EXPECT(fits(reply, "{b ...}"));
    EXPECT(!fits(reply, "{c ...}"));
}

TEST(pairs_fit_in_any_order)
{
    const char *reply = "*4\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\ng\r\n:1\r\n";
    EXPECT(fits(reply, "{g=1 f=g}"));
    EXPECT(fits(reply, "{f=g ...}"));
    EXPECT(!fits(reply, "{f=g}"));
    EXPECT(!fits(reply, "{f=1 g=g}"));
    EXPECT(fits("*1\r\n*2\r\n$1\r\nf\r\n:1\r\n", "[{f=1}]"));
}

TEST(errors_and_times)
{
    EXPECT(fits("-ERR no such key\r\n", "error such key"));
    EXPECT(!fits("-ERR no such key\r\n", "error wrong"));
    EXPECT(!fits("$8\r\nsuch key\r\n", "error such key"));
    EXPECT(fits(":1000\r\n", "near 1000"));
    EXPECT(fits(":940\r\n", "near 1000"));
    EXPECT(!fits(":939\r\n", "near 1000"));
    EXPECT(!fits(":1001\r\n", "near 1000"));
}

TEST(choices_are_taken_apart)
{
    struct span text = span_str("[a b] | (nil)"), choice;
    EXPECT(answer_next_choice(&text, &choice));
    EXPECT_TEXT(choice, "[a b]");
    EXPECT(answer_next_choice(&text, &choice));
    EXPECT_TEXT(choice, "(nil)");
    EXPECT(!answer_next_choice(&text, &choice));
}

TEST(a_reply_is_whole_or_not)
{
    const char *reply = "*2\r\n$1\r\na\r\n:7\r\n";
    EXPECT_EQ(answer_length(span_str(reply)), strlen(reply));
    for (size_t len = 0; len < strlen(reply); len++)
        EXPECT_EQ(answer_length(span_of(reply, len)), 0);
    EXPECT_EQ(answer_length(span_str("what\r\n")), -1);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
