/* What the source may not contain is found where it is code, and only there. */
#include "merge/scan.h"

#include "base/check.h"
#include "base/test.h"

static int line_of(const char *source)
{
    int line = 0;

    return scan_refused(span_str(source), &line) != NULL ? line : 0;
}

TEST(the_power_operator_is_found_in_code)
{
    EXPECT_EQ(line_of("return 2^3"), 1);
    EXPECT_EQ(line_of("local x = 1\n\nreturn x\n^ 2"), 4);
    EXPECT_EQ(line_of("s = 'a' .. x^2"), 1);
    EXPECT_EQ(line_of("t[x[1]]^2"), 1);
    EXPECT_EQ(line_of("-- x\rreturn 2^3"), 1);
    EXPECT_EQ(line_of("--[ not long\n2^3"), 2);
    EXPECT_EQ(line_of("--[[ a ]] 2^3"), 1);
    EXPECT_EQ(line_of("[==[ ]] ]=] ]==] ^"), 1);
    EXPECT_EQ(line_of("'\\'' ^"), 1);
    EXPECT_EQ(line_of("'\\\\' ^"), 1);
    EXPECT_EQ(line_of("\"a\\\r\nb\" .. x^2 .. \"c\""), 2);
    EXPECT_EQ(line_of("\"a\\z  \n\t b\" .. x^2 .. \"c\""), 2);
    EXPECT_EQ(line_of("'unfinished\n2^3"), 2);
}

TEST(comments_and_strings_may_hold_anything)
{
    EXPECT_EQ(line_of("return 'x^2' .. \"^\" .. [[ ^ _ENV ]] .. [=[ ]] ^ ]=]"), 0);
    EXPECT_EQ(line_of("-- 2^3 _ENV\nreturn 1 --[[ ^\n ^ ]] --[==[ ^ ]] ^ ]==]"), 0);
    EXPECT_EQ(line_of("'a\\z \r\n ^' .. '\\\n^' .. '\\'^'"), 0);
    EXPECT_EQ(line_of("return a[b[1]] | 3 ~ 5"), 0);
    EXPECT_EQ(line_of("[[ unfinished ^"), 0);
    EXPECT_EQ(line_of("'unfinished ^ \\"), 0);
    EXPECT_EQ(line_of("--"), 0);
    EXPECT_EQ(line_of(""), 0);
}

TEST(the_name_of_the_globals_is_found_as_a_name)
{
    EXPECT_EQ(line_of("local _ENV = {}"), 1);
    EXPECT_EQ(line_of("local\n_ENV\n<const> = {}"), 2);
    EXPECT_EQ(line_of("x._ENV = 1"), 1);
    EXPECT_EQ(line_of("local MY_ENV, _ENVY, _env = 1"), 0);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
