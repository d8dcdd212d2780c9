#include "base/quantity.h"

#include "base/test.h"

static char problem[QUANTITY_PROBLEM_MAX];

static bool is_ms(const char *text, int64_t want)
{
    int64_t ms = -1;

    return quantity_duration_ms(span_str(text), 1, 3600000, &ms, problem) && ms == want;
}

static bool is_told(const char *text, const char *what)
{
    int64_t ms;

    return !quantity_duration_ms(span_str(text), 1, 3600000, &ms, problem) &&
           strcmp(problem, what) == 0;
}

TEST(durations_have_a_unit_and_a_range)
{
    EXPECT(is_ms("1ms", 1) && is_ms("5s", 5000) && is_ms("2m", 120000) && is_ms("1h", 3600000));
    EXPECT(is_told("2", "\"2\" has no unit; a duration ends in ms, s, m or h"));
    EXPECT(is_told("2sec", "\"sec\" is not a unit; a duration ends in ms, s, m or h"));
    EXPECT(is_told("soon", "expected a duration such as 500ms, got \"soon\""));
    EXPECT(is_told("", "expected a duration such as 500ms, got \"\""));
    EXPECT(is_told("0", "0 is out of range 1ms..1h"));
    EXPECT(is_told("61m", "61m is out of range 1ms..1h"));
    EXPECT(is_told("99999999999999h", "99999999999999h is out of range 1ms..1h"));
}

TEST(sizes_are_powers_of_1024)
{
    int64_t bytes;

    EXPECT(quantity_size_bytes(span_str("64MB"), 0, INT64_MAX, &bytes, problem));
    EXPECT_EQ(bytes, 64 << 20);
    EXPECT(quantity_size_bytes(span_str("0"), 0, INT64_MAX, &bytes, problem));
    EXPECT(!quantity_size_bytes(span_str("64"), 0, INT64_MAX, &bytes, problem));
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
