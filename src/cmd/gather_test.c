/* GATHER's parts: what a region finds, how it travels, and how it is merged. */
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

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
