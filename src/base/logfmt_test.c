#include "base/logfmt.h"

#include <string.h>

#include "base/check.h"
#include "base/test.h"

static char line[LOGFMT_LINE_MAX];

__attribute__((format(printf, 2, 3))) static const char *print(size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t len = logfmt_print(line, size, format, arguments);
    va_end(arguments);
    CHECK(len == strlen(line) && len < size);
    return line;
}

#define PRINTED(expected, ...) EXPECT(strcmp(print(sizeof(line), __VA_ARGS__), expected) == 0)

TEST(quotes_of_a_value_are_escaped_and_those_of_the_format_are_not)
{
    PRINTED("ev=x why=\"a \\\"b\\\" c\" n=7", "ev=x why=\"%s\" n=%d", "a \"b\" c", 7);
    PRINTED("ev=x why=\"C:\\\\temp\" what=\"\"", "ev=x why=\"%s\" what=\"\"", "C:\\temp");
    PRINTED("why=\"50% \\\" level=error ev=fork\"", "why=\"%s\"", "50% \" level=error ev=fork");
}

TEST(a_value_begins_no_line)
{
    PRINTED("ev=x why=\"a b c d\"", "ev=x why=\"%s\"", "a\nb\rc\td");
    PRINTED("ev=x peer=a b", "ev=x peer=%s", "a\nb");
}

TEST(a_line_made_elsewhere_is_taken_as_it_is)
{
    PRINTED("ev=conflict was=\"a \\\"b\\\"\"", "%s", "ev=conflict was=\"a \\\"b\\\"\"");
}

TEST(a_line_that_is_too_long_ends_with_an_ellipsis_within_its_quotes)
{
    EXPECT(strcmp(print(20, "why=\"%s\"", "0123456789012345"), "why=\"0123456789…\"") == 0);
    EXPECT(strcmp(print(20, "why=\"%s\"", "012345678é9"), "why=\"012345678…\"") == 0);
    EXPECT(strcmp(print(20, "why=%s", "0123456789012345"), "why=01234567890…") == 0);
    for (size_t size = 8; size < 60; size++) { /* whatever is cut, quotes are closed */
        print(size, "ev=x a=\"%s\" b=\"%s\" c=%d", "o\"o\"o", "\\\\\"éé", 12345);
        size_t quotes = 0;
        for (size_t i = 0; line[i] != '\0'; i++) {
            if (line[i] == '\\')
                i++;
            else
                quotes += line[i] == '"';
        }
        EXPECT(quotes % 2 == 0);
    }
}

TEST(a_text_longer_than_any_line_is_cut)
{
    char long_text[3 * LOGFMT_LINE_MAX];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    print(sizeof(line), "ev=x why=\"%s\" n=1", long_text);
    EXPECT(strcmp(line + strlen(line) - 5, "x…\"") == 0);
    memset(long_text, '"', sizeof(long_text) - 1);
    print(1000, "ev=x why=\"%s\" n=1", long_text);
    EXPECT(strlen(line) < 1000 && strcmp(line + strlen(line) - 5, "\"…\"") == 0);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
