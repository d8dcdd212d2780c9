#include "host/suggest.h"

#include "base/test.h"

static const char *const WORDS[] = { "regions", "reads", "keyspaces", "fences", "log", "clock" };

static const char *meant(const char *word)
{
    struct suggest s = suggest_for(word);
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        suggest_offer(&s, WORDS[i]);
    return s.best ? s.best : "nothing";
}

TEST(a_slip_of_the_finger_is_understood)
{
    EXPECT_TEXT(span_str(meant("region")), "regions");
    EXPECT_TEXT(span_str(meant("rgeions")), "regions");
    EXPECT_TEXT(span_str(meant("keyspace")), "keyspaces");
    EXPECT_TEXT(span_str(meant("Regions")), "regions");
    EXPECT_TEXT(span_str(meant("read")), "reads");
    EXPECT_TEXT(span_str(meant("lgo")), "log");
}

TEST(another_word_is_not_bent_into_one_of_ours)
{
    EXPECT_TEXT(span_str(meant("shards")), "nothing");
    EXPECT_TEXT(span_str(meant("dog-house")), "nothing");
    EXPECT_TEXT(span_str(meant("")), "nothing");
    EXPECT_TEXT(span_str(meant("regionsregionsregionsregionsregionsregions")), "nothing");
}

TEST(the_nearest_wins)
{
    struct suggest s = suggest_for("clack");
    suggest_offer(&s, "clock");
    suggest_offer(&s, "clack");
    EXPECT_TEXT(span_str(s.best), "clack");
    suggest_offer(&s, "black");
    EXPECT_TEXT(span_str(s.best), "clack");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
