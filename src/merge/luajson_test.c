/* The json table of merge functions: what is read and written, and what is refused. */
#include "merge/luajson.h"

#include "base/prng.h"
#include "merge/trial.h"

static struct merge_function *compiled(const char *source)
{
    char problem[256];

    return merge_compile("trial.lua", span_str(source), problem, sizeof(problem));
}

/* Decodes and encodes the text. */
static struct span round_trip(struct span text)
{
    struct merge_version version = { text, "us", 1, 1 };
    struct merge_function *f = compiled("return function(versions) "
                                        "return json.encode(json.decode(versions[1].value)) end");
    struct span outcome = trial_run(f, &version, 1);

    merge_release(f);
    return outcome;
}

static struct span round_trip_of(const char *text)
{
    return round_trip(span_str(text));
}

TEST(what_is_written_canonically_comes_back_as_it_was)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9007199254740993",
        "0.1",
        "12.5",
        "1.0",
        "-0.0",
        "1e+300",
        "4.94065645841247e-324",
        "1.7976931348623157e+308",
        "\"\"",
        "\"text\"",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u0000/\"",
        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
        "[]",
        "{}",
        "[[],{},[[]]]",
        "{\"\":1,\"A\":[1,null,2.5],\"a\":{\"b\":{}},\"\xc3\xa4\":\"\"}",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        EXPECT_TEXT(round_trip_of(texts[i]), texts[i]);
}

TEST(other_forms_become_the_canonical_one)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        { " { \"b\" : 1 , \"a\" :\t[ ]\r\n} ", "{\"a\":[],\"b\":1}" },
        { "-0", "0" },
        { "1E2", "100.0" },
        { "1e-2", "0.01" },
        { "0.10", "0.1" },
        { "123456789012345678.0", "1.2345678901234568e+17" },
        { "\"\\u00e4\\u20ac\\ud83d\\ude00\\/\"", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80/\"" },
        { "{\"10\":1,\"9\":2}", "{\"10\":1,\"9\":2}" },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        EXPECT_TEXT(round_trip_of(cases[i].from), cases[i].to);
}

TEST(what_is_not_json_is_refused_with_its_place)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        { "", "a value is missing at byte 1" },
        { "  ", "a value is missing at byte 3" },
        { "[1,]", "a value is missing at byte 4" },
        { "[1 2]", "a comma or ] is missing at byte 4" },
        { "[1", "a comma or ] is missing at byte 3" },
        { "{\"a\":1,}", "a name is missing at byte 8" },
        { "{a:1}", "a name is missing at byte 2" },
        { "{\"a\" 1}", "a colon is missing at byte 6" },
        { "{\"a\":1", "a comma or } is missing at byte 7" },
        { "{\"a\":1,\"b\":2,\"a\":null}", "a name for the second time at byte 14" },
        { "{\"a\":null,\"\\u0061\":1}", "a name for the second time at byte 11" },
        { "1 1", "something after the value at byte 3" },
        { "01", "something after the value at byte 2" },
        { "+1", "a value is missing at byte 1" },
        { ".5", "a value is missing at byte 1" },
        { "1.", "a digit is missing at byte 3" },
        { "1e", "a digit is missing at byte 3" },
        { "-", "a value is missing at byte 2" },
        { "9223372036854775808", "a number out of range at byte 1" },
        { "[1e999]", "a number out of range at byte 2" },
        { "1e-999", "a number out of range at byte 1" },
        { "NaN", "a value is missing at byte 1" },
        { "nul", "a value is missing at byte 1" },
        { "'a'", "a value is missing at byte 1" },
        { "\"a", "an unfinished string at byte 3" },
        { "\"a\nb\"", "a control character in a string at byte 3" },
        { "\"\\x41\"", "an unknown escape at byte 3" },
        { "\"\\", "an unknown escape at byte 3" },
        { "\"\\u12\"", "four hexadecimal digits are missing at byte 6" },
        { "\"\\ud800\"", "half of a surrogate pair at byte 8" },
        { "\"\\ud800\\u0041\"", "half of a surrogate pair at byte 14" },
        { "\"\\udc00\"", "half of a surrogate pair at byte 8" },
        { "\"\xff\"", "a string that is not UTF-8 at byte 2" },
        { "\"\xc0\x80\"", "a string that is not UTF-8 at byte 2" },
        { "\"\xed\xa0\x80\"", "a string that is not UTF-8 at byte 2" },
        { "\"\xf4\x90\x80\x80\"", "a string that is not UTF-8 at byte 2" },
        { "\"\xe2\x82\"", "a string that is not UTF-8 at byte 2" },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char expected[160];

        snprintf(expected, sizeof(expected), "error: trial.lua:1: json: %s", cases[i].what);
        EXPECT_TEXT(round_trip_of(cases[i].text), expected);
    }
}

TEST(nesting_has_a_limit)
{
    char text[2 * MERGE_JSON_DEPTH_MAX + 3] = { 0 };

    memset(text, '[', MERGE_JSON_DEPTH_MAX);
    memset(text + MERGE_JSON_DEPTH_MAX, ']', MERGE_JSON_DEPTH_MAX);
    EXPECT_TEXT(round_trip_of(text), text);
    memset(text, '[', MERGE_JSON_DEPTH_MAX + 1);
    memset(text + MERGE_JSON_DEPTH_MAX + 1, ']', MERGE_JSON_DEPTH_MAX + 1);
    EXPECT_TEXT(round_trip_of(text), "error: trial.lua:1: json: too deep at byte 65");
    EXPECT_TEXT(trial_body("local t = {} t.t = t return json.encode(t)"),
                "error: trial.lua:1: json: too deep, or a table within itself");
}

TEST(decoded_values_are_lua_s)
{
    EXPECT_TEXT(trial_body("local t = json.decode('{\"a\":[1,2.0,null],\"b\":true}') "
                           "return #t.a .. math.type(t.a[1]) .. math.type(t.a[2]) .. "
                           "tostring(t.a[3] == json.null) .. tostring(t.b) .. tostring(t.c)"),
                "3integerfloattruetruenil");
    EXPECT_TEXT(trial_body("return json.decode(versions)"),
                "error: trial.lua:1: bad argument #1 to 'decode' (string expected, got table)");
}

TEST(tables_are_told_apart)
{
    EXPECT_TEXT(trial_body("return json.encode({}) .. json.encode(json.array()) .. "
                           "json.encode(json.array({})) .. json.encode({1, 2}) .. "
                           "json.encode({b = 1, a = {json.null}})"),
                "{}[][][1,2]{\"a\":[null],\"b\":1}");
    EXPECT_TEXT(trial_body("local t = json.decode('[1]') table.remove(t) return json.encode(t)"),
                "[]");
    EXPECT_TEXT(trial_body("return json.encode({1, nil, 3})"),
                "error: trial.lua:1: json: an array with keys other than 1 to 2");
    EXPECT_TEXT(trial_body("return json.encode({1, a = 2})"),
                "error: trial.lua:1: json: an array with keys other than 1 to 2");
    EXPECT_TEXT(trial_body("return json.encode({[1] = 1, [1.5] = 1, [3] = 1})"),
                "error: trial.lua:1: json: an array with keys other than 1 to 3");
    EXPECT_TEXT(
        trial_body("return json.encode({a = 1, [true] = 2})"),
        "error: trial.lua:1: json: a table with keys that are neither all names nor 1 to n");
    EXPECT_TEXT(trial_body("local t = json.array() t.a = 1 return json.encode(t)"),
                "error: trial.lua:1: json: an array with keys other than 1 to 1");
}

TEST(what_has_no_form_is_refused)
{
    EXPECT_TEXT(trial_body("return json.encode(nil)"),
                "error: trial.lua:1: json: a nil has no form in JSON");
    EXPECT_TEXT(trial_body("return json.encode({pairs})"),
                "error: trial.lua:1: json: a function has no form in JSON");
    EXPECT_TEXT(trial_body("return json.encode(1 / 0)"),
                "error: trial.lua:1: json: a number that is not finite");
    EXPECT_TEXT(trial_body("return json.encode('\\xff')"),
                "error: trial.lua:1: json: a string that is not UTF-8");
    EXPECT_TEXT(trial_body("return json.encode({['\\xff'] = 1})"),
                "error: trial.lua:1: json: a string that is not UTF-8");
}

TEST(a_table_used_many_times_over_does_not_explode)
{
    EXPECT_TEXT(trial_body("local t = 'leaf' for i = 1, 60 do t = {t, t} end "
                           "return json.encode(t)"),
                "error: trial.lua:1: the function takes too many steps");
    EXPECT_TEXT(trial_body("local s = ('x'):rep(100000) "
                           "return json.encode({s, s, s, s, s, s, s, s, s, s, s, s})"),
                "error: trial.lua:1: json: more than 1048576 bytes");
}

/* Whatever is read is written so that it reads the same; nothing else is taken. */
TEST(damaged_texts_are_refused_or_have_one_canonical_form)
{
    static const char whole[] =
        "{\"a\":[1,-2.5e3,true,null,\"\\u00e4\\n\\ud83d\\ude00\"],\"b\":{\"c\":\"\xc3\xa4\"}}";
    static const char bytes[] = "{}[]\",:\\u0189-+.eE \n\xc3\xa4tfn";
    struct prng random;

    prng_seed(&random, test_seed());
    for (int i = 0; i < 2000; i++) {
        char text[sizeof(whole)], first[256];
        struct span outcome;

        memcpy(text, whole, sizeof(whole));
        for (uint64_t changes = 1 + prng_below(&random, 3); changes > 0; changes--)
            text[prng_below(&random, sizeof(whole) - 1)] =
                bytes[prng_below(&random, sizeof(bytes))];
        outcome = round_trip(span_of(text, prng_below(&random, 4) == 0
                                               ? prng_below(&random, sizeof(whole))
                                               : sizeof(whole) - 1));
        EXPECT(outcome.len < sizeof(first));
        memcpy(first, outcome.at, outcome.len);
        if (memcmp(first, "error: ", 7) != 0)
            EXPECT_SPAN(round_trip(span_of(first, outcome.len)), span_of(first, outcome.len));
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
