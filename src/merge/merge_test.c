/* What a merge function is given, what becomes of its answer, and that no function can do harm. */
#include "merge/merge.h"

#include "base/memory.h"
#include "merge/trial.h"

static const char TOO_MANY_STEPS[] = "error: trial.lua:1: the function takes too many steps";
static const char TOO_MUCH_MEMORY[] = "error: trial.lua: the function takes too much memory";

static struct merge_function *compiled(const char *source)
{
    char problem[256];
    struct merge_function *f = merge_compile("trial.lua", span_str(source), problem,
                                             sizeof(problem));

    if (f == NULL)
        printf("# %s\n", problem);
    CHECK(f != NULL);
    return f;
}

static struct span run_again(struct merge_function *f)
{
    return trial_run(f, trial_versions, COUNT_OF(trial_versions));
}

/* --- Arguments and results --- */

TEST(a_function_gets_the_versions_the_oldest_first)
{
    EXPECT_TEXT(
        trial_body("local out = {} "
                   "for i, v in ipairs(versions) do "
                   "  out[i] = v.value .. ' ' .. v.region .. ' ' .. v.time_ms .. ' ' .. v.stamp "
                   "end "
                   "return table.concat(out, ', ')"),
        "one us 1000 000000003e800001, two eu 1000 000000003e800002, "
        "three jp 2000 000000007d000003");
}

TEST(a_function_gets_the_key_and_the_field_or_nil)
{
    const char
        *source = "return function(versions, key, field) return key .. '/' .. tostring(field) "
                  "end";
    struct merge_function *f = compiled(source);
    struct buffer out = { 0 };
    char problem[64];

    EXPECT_TEXT(run_again(f), "the key/nil");
    EXPECT(merge_run(f, span_str("k"), span_str(""), trial_versions, 1, &out, problem, 64));
    EXPECT(
        merge_run(f, span_of("\0", 1), span_of("\0\xff", 2), trial_versions, 1, &out, problem, 64));
    EXPECT_SPAN(buffer_span(&out), span_of("k/\0/\0\xff", 6));
    buffer_release(&out);
    merge_release(f);
}

TEST(values_pass_byte_by_byte)
{
    uint8_t bytes[256];
    struct merge_version version = { span_of(bytes, sizeof(bytes)), "us", 1, 1 };
    struct merge_function *f = compiled("return function(versions) return versions[1].value end");

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    EXPECT_SPAN(trial_run(f, &version, 1), version.value);
    version.value = span_of(NULL, 0);
    EXPECT_SPAN(trial_run(f, &version, 1), version.value);
    merge_release(f);
}

TEST(strings_and_integers_are_results_and_nothing_else)
{
    EXPECT_TEXT(trial_body("return ''"), "");
    EXPECT_TEXT(trial_body("return math.mininteger"), "-9223372036854775808");
    EXPECT_TEXT(trial_body("return 'first', 'second'"), "first");
    EXPECT_TEXT(trial_body("return"),
                "error: trial.lua: the function must return a string or an integer, not nil");
    EXPECT_TEXT(trial_body("return versions"),
                "error: trial.lua: the function must return a string or an integer, not a table");
    EXPECT_TEXT(trial_body("return 1.0"),
                "error: trial.lua: the function must return a string or an integer, not a float");
    EXPECT_TEXT(trial_body("return true"),
                "error: trial.lua: the function must return a string or an integer, not a boolean");
}

TEST(a_result_is_appended_and_a_failure_appends_nothing)
{
    struct merge_function *f = compiled("return function(versions) "
                                        "if #versions == 2 then error('two') end "
                                        "return #versions end");
    struct buffer out = { 0 };
    char problem[64];

    EXPECT(merge_run(f, span_str("k"), (struct span){ 0 }, trial_versions, 1, &out, problem, 64));
    EXPECT(!merge_run(f, span_str("k"), (struct span){ 0 }, trial_versions, 2, &out, problem, 64));
    EXPECT_TEXT(span_str(problem), "trial.lua:1: two");
    EXPECT(merge_run(f, span_str("k"), (struct span){ 0 }, trial_versions, 3, &out, problem, 64));
    EXPECT_TEXT(buffer_span(&out), "13");
    buffer_release(&out);
    merge_release(f);
}

/* --- Faulty files and faulty functions --- */

TEST(a_faulty_file_is_refused_with_its_line)
{
    struct buffer big = { 0 };

    EXPECT_TEXT(trial_source("return function()\n  return 1 +\nend"),
                "error: trial.lua:3: unexpected symbol near 'end'");
    EXPECT_TEXT(trial_source("return 5"),
                "error: trial.lua: the file must return a function, not a number");
    EXPECT_TEXT(trial_source(""), "error: trial.lua: the file must return a function, not nil");
    EXPECT_TEXT(trial_source("\n\nerror('at once')"), "error: trial.lua:3: at once");
    EXPECT_TEXT(trial_source("while true do end"), TOO_MANY_STEPS);
    EXPECT_TEXT(trial_source("\033Lua is not taken as bytecode"),
                "error: trial.lua: attempt to load a binary chunk (mode is 't')");
    for (int i = 0; i < MERGE_SOURCE_MAX_BYTES; i++)
        buffer_put_u8(&big, ' ');
    buffer_put_bytes(&big, " ", 2);
    EXPECT_TEXT(trial_source((const char *)big.at), "error: trial.lua: longer than 65536 bytes");
    buffer_release(&big);
}

TEST(deeply_nested_source_is_refused)
{
    struct buffer source = { 0 };

    buffer_put_text(&source, "return function() return ");
    for (int i = 0; i < 30000; i++)
        buffer_put_text(&source, "(");
    buffer_put_u8(&source, 0);
    EXPECT(trial_holds(trial_source((const char *)source.at), "C stack overflow"));
    buffer_release(&source);
}

TEST(an_error_is_one_line)
{
    EXPECT(trial_holds(trial_body("return versions[9].value"),
                       "error: trial.lua:1: attempt to index a nil value"));
    EXPECT_TEXT(trial_body("error('a\\nb\\0c')"), "error: trial.lua:1: a b");
    EXPECT_TEXT(trial_body("error(versions)"), "error: trial.lua: the function raised a table");
    EXPECT_TEXT(trial_body("error(2.5)"), "error: trial.lua: the function raised a number");
    EXPECT_TEXT(trial_body("error()"), "error: trial.lua: the function raised a nil");
    EXPECT_TEXT(trial_body("assert(#versions == 4, 'not four')"), "error: trial.lua:1: not four");
}

TEST(an_endless_loop_ends)
{
    EXPECT_TEXT(trial_body("while true do end"), TOO_MANY_STEPS);
    EXPECT_TEXT(trial_body("::again:: goto again"), TOO_MANY_STEPS);
    EXPECT_TEXT(trial_body("for i = 1, math.maxinteger do end"), TOO_MANY_STEPS);
    EXPECT_TEXT(trial_body("local function f() return f() end return f()"), TOO_MANY_STEPS);
    EXPECT_TEXT(trial_body("for _ in function() return 1 end do end"), TOO_MANY_STEPS);
}

TEST(bombs_of_memory_end)
{
    EXPECT_TEXT(trial_body("local t = {} while true do t[#t + 1] = {} end"), TOO_MUCH_MEMORY);
    EXPECT_TEXT(trial_body("local s = 'x' while true do s = s .. s end"), TOO_MUCH_MEMORY);
    EXPECT_TEXT(trial_body("local t = {} while true do t = {t, t, t, t, t, t, t, t} end"),
                TOO_MUCH_MEMORY);
    EXPECT_TEXT(trial_body("return string.rep('x', 1 << 40)"),
                "error: trial.lua:1: the text would become too long");
    EXPECT_TEXT(trial_body("return ('x'):rep(1 << 19):rep(3):rep(1)"),
                "error: trial.lua:1: the text would become too long");
    EXPECT_TEXT(trial_body("return #string.rep('', math.maxinteger)"), "0");
    EXPECT_TEXT(trial_body("return #string.rep('x', 1000000)"), TOO_MUCH_MEMORY);
    EXPECT_TEXT(trial_body("return #string.rep('x', 300000)"), "300000");
}

TEST(deep_recursion_ends)
{
    EXPECT_TEXT(trial_body("local function f() return 1 + f() end return f()"), TOO_MUCH_MEMORY);
    EXPECT(trial_holds(trial_body("local function f() table.sort({1, 2}, f) return true end "
                                  "return f()"),
                       "C stack overflow"));
    EXPECT_TEXT(trial_body("local t = {} for i = 1, 100 do t = {t} end return json.encode(t)"),
                "error: trial.lua:1: json: too deep, or a table within itself");
}

TEST(values_do_not_pile_up_behind_three_dots)
{
    const char *refusal = "error: trial.lua:1: more than 200 values at once";

    EXPECT_TEXT(trial_body("local function more(n, ...) "
                           "  if n == 0 then while true do select('#', ...) end end "
                           "  return more(n - 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...) "
                           "end "
                           "return more(1000)"),
                refusal);
    EXPECT_TEXT(trial_body("local t = {} for i = 1, 201 do t[i] = i end "
                           "return select('#', table.unpack(t))"),
                refusal);
    EXPECT_TEXT(trial_body("return select('#', ('x'):rep(201):byte(1, -1))"),
                "error: trial.lua:1: more than 200 bytes at once");
    EXPECT_TEXT(trial_body("return select('#', table.unpack({}, 1, 200))"), "200");
    EXPECT_TEXT(trial_body("return table.unpack({}, math.mininteger, math.maxinteger)"), refusal);
}

/* What is repeated so often: by the count of instructions alone it would be let through, after
 * seconds or minutes. */
struct heavy {
    const char *before, *repeated;
    int times;
};

static struct span repeat(const struct heavy *heavy, int times)
{
    char body[512];

    snprintf(body, sizeof(body), "%s for _ = 1, %d do %s end return 'done'", heavy->before, times,
             heavy->repeated);
    return trial_body(body);
}

TEST(instructions_pay_for_the_strings_they_may_touch)
{
    static const struct heavy cases[] = {
        { "local s = ('x'):rep(300000) local a, b = s .. 'y', s .. 'y'", "local same = a == b",
          100000 },
        { "local s = ('x'):rep(300000) local a, b = s .. 'y', s .. 'z'", "local less = a < b",
          100000 },
        { "local s = ('x'):rep(100000)", "local t = s .. 'y'", 100000 },
        { "local s = ('x'):rep(300000) local t = {[s .. 'y'] = 1} local k = s .. 'y'",
          "local v = t[k]", 100000 },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        EXPECT_TEXT(repeat(&cases[i], cases[i].times), TOO_MANY_STEPS);
        EXPECT_TEXT(repeat(&cases[i], 1000), "done");
    }
    EXPECT_TEXT(trial_body("local a, b = ('x'):rep(3000) .. 'y', ('x'):rep(3000) .. 'y' "
                           "for i = 1, 100000 do local same = a == b end return 'done'"),
                "done");
}

TEST(functions_of_ours_pay_for_their_work)
{
    static const struct heavy cases[] = {
        { "local t = {} for i = 1, 5000 do t[i] = i end",
          "table.insert(t, 1, 0) table.remove(t, 1)", 300 },
        { "local t = {} for i = 1, 5000 do t[i] = i end", "table.concat(t)", 300 },
        { "local t = {} for i = 1, 500 do t[i] = i end", "table.sort(t)", 200 },
        { "local t = {} for i = 1, 500 do t[i] = i end", "pairs(t)", 1000 },
        { "local t = {} for i = 1, 500 do t[i] = i end", "next(t)", 1000 },
        { "local t = {} for i = 1, 8000 do t['k' .. i] = 1 end "
          "for i = 1, 8000 do t['k' .. i] = nil end",
          "pairs(t) next(t)", 10000 },
        { "local s = '[' .. ('1,'):rep(1000) .. '1]'", "json.decode(s)", 1000 },
        { "local t = {} for i = 1, 500 do t[i] = i end", "json.encode(t)", 1000 },
        { "local s = ('x'):rep(10000)", "s:upper()", 1000 },
        { "local s = ('1'):rep(10000)", "tonumber(s, 7)", 1000 },
        { "", "('%99.99f'):format(1e308)", 10000 },
        { "local x = 1 / 3", "tostring(x)", 20000 },
        { "local s = ('x'):rep(200)", "s:byte(1, -1)", 20000 },
        { "local t = {}", "table.unpack(t, 1, 200)", 20000 },
        { "", "('x'):rep(1000)", 20000 },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        EXPECT_TEXT(repeat(&cases[i], cases[i].times), TOO_MANY_STEPS);
        EXPECT_TEXT(repeat(&cases[i], 10), "done");
    }
    EXPECT_TEXT(trial_body("table.concat({}, '', math.mininteger, math.maxinteger)"),
                TOO_MANY_STEPS);
}

/* Near its limit each allocation could cost a whole collection. */
TEST(a_run_at_its_limit_does_not_collect_for_ever)
{
    EXPECT_TEXT(trial_body("local live = {} "
                           "for i = 1, 7000 do live[i] = {{}} end "
                           "for i = 1, 100000 do local garbage = {} end return 'done'"),
                TOO_MUCH_MEMORY);
    EXPECT_TEXT(trial_body("local live = {} "
                           "for i = 1, 1000 do live[i] = {{}} end "
                           "for i = 1, 100000 do local garbage = {} end return 'done'"),
                "done");
}

TEST(versions_too_large_are_not_merged)
{
    size_t len = MERGE_INPUT_MAX_BYTES - 2 * MERGE_VERSION_BYTES - 4 - 7;
    uint8_t *bytes = mem_alloc(len);
    struct merge_version versions[] = { { { bytes, len }, "us", 1, 1 },
                                        { { bytes, 0 }, "eu", 1, 2 } };
    struct merge_function *f = compiled(
        "return function(versions) return #(versions[1].value .. versions[2].value) end");
    struct span outcome;

    memset(bytes, 'x', len);
    outcome = trial_run(f, versions, 2);
    EXPECT_EQ(outcome.len, 7);
    versions[1].value.len = 1;
    EXPECT_TEXT(trial_run(f, versions, 2),
                "error: trial.lua: versions of 1048577 bytes are more than is merged (1048576)");
    mem_free(bytes);
    merge_release(f);
}

TEST(the_largest_input_can_be_decoded)
{
    size_t len = MERGE_INPUT_MAX_BYTES - MERGE_VERSION_BYTES - 2 - 7;
    uint8_t *bytes = mem_alloc(len);
    struct merge_version version = { { bytes, len }, "us", 1, 1 };
    struct merge_function *f = compiled(
        "return function(versions) return #json.decode(versions[1].value) end");

    for (size_t i = 0; i < len; i++)
        bytes[i] = i % 2 == 0 ? ',' : '1';
    bytes[0] = '[';
    bytes[len - 1] = ']';
    EXPECT_EQ(len % 2, 1);
    EXPECT_TEXT(trial_run(f, &version, 1), "524155");
    mem_free(bytes);
    merge_release(f);
}

/* --- One run knows nothing of another --- */

TEST(globals_are_read_only)
{
    EXPECT_TEXT(trial_body("count = 1 return 1"),
                "error: trial.lua:1: globals are read-only: declare 'count' local");
    EXPECT_TEXT(trial_body("function helper() end return 1"),
                "error: trial.lua:1: globals are read-only: declare 'helper' local");
    EXPECT_TEXT(trial_body("pairs = nil return 1"),
                "error: trial.lua:1: globals are read-only: declare 'pairs' local");
    EXPECT_TEXT(trial_body("math.seen = 1 return 1"),
                "error: trial.lua:1: the library math is read-only");
    EXPECT_TEXT(trial_body("string.rep = nil return 1"),
                "error: trial.lua:1: the library string is read-only");
    EXPECT_TEXT(trial_body("table.insert(json, 1) return 1"),
                "error: trial.lua: the library json is read-only");
    EXPECT_TEXT(trial_body("json.array(string) return 1"),
                "error: trial.lua:1: a library is no array");
    EXPECT_TEXT(trial_body("return count"), "error: trial.lua:1: merge functions have no 'count'");
    EXPECT_TEXT(trial_body("return _ENV"), "error: trial.lua:1: the name _ENV is not offered: "
                                           "globals are read-only");
}

TEST(variables_of_the_file_are_fresh_in_every_run)
{
    struct merge_function *f = compiled("local runs, seen = 0, {}\n"
                                        "return function()\n"
                                        "  runs = runs + 1\n"
                                        "  table.insert(seen, runs)\n"
                                        "  return runs .. #seen\n"
                                        "end");

    for (int i = 0; i < 100; i++)
        EXPECT_TEXT(run_again(f), "11");
    merge_release(f);
}

TEST(a_function_is_usable_after_every_kind_of_failure)
{
    static const char *const faults[] = {
        "while true do end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local function f() return 1 + f() end return f()",
        "error({})",
        "return json.decode('[[[')",
        "return json.encode({{1, {2, print_}}})",
        "table.sort({3, 2, 1}, function() error('within') end)",
        "local t = {} for i = 1, 6000 do t[i] = {{}} end for i = 1, 100 do ('x'):rep(400000) end",
        "local t = {('x'):rep(400000)} table.concat({t[1], t[1], t[1], t[1]})",
    };

    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct buffer source = { 0 };
        struct merge_function *f;

        buffer_printf(&source,
                      "return function(versions) "
                      "if #versions < 3 then %s end return 'well' end",
                      faults[i]);
        buffer_put_u8(&source, 0);
        f = compiled((const char *)source.at);
        for (int times = 0; times < 3; times++) {
            EXPECT(memcmp(trial_run(f, trial_versions, 2).at, "error: ", 7) == 0);
            EXPECT_TEXT(run_again(f), "well");
        }
        merge_release(f);
        buffer_release(&source);
    }
}

static bool holds(struct merge_function *f, int size)
{
    char digits[16];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%d", size);
    struct merge_version version = { span_of(digits, len), "us", 1, 1 };

    return span_equal(trial_run(f, &version, 1), span_str("held"));
}

static bool holds_afresh(const char *source, int size)
{
    struct merge_function *f = compiled(source);
    bool held = holds(f, size);

    merge_release(f);
    return held;
}

/* Whether a run fits into its memory is decided alike to the last element, whatever ran before. */
TEST(limits_do_not_depend_on_earlier_runs)
{
    const char *source = "return function(versions) "
                         "  local t = {} "
                         "  for i = 1, tonumber(versions[1].value) do t[i] = {'text ' .. i} end "
                         "  return 'held' "
                         "end";
    struct merge_function *used = compiled(source);
    int low = 100, high = 20000;

    while (high - low > 1) {
        int middle = (low + high) / 2;

        if (holds_afresh(source, middle))
            low = middle;
        else
            high = middle;
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(holds(used, i * 37) && holds(used, low));
        EXPECT(!holds(used, high) && !holds(used, high + i));
        EXPECT(holds_afresh(source, low) && !holds_afresh(source, high));
    }
    merge_release(used);
}

TEST(release_of_nothing_is_harmless)
{
    merge_release(NULL);
}

TEST(a_run_tells_what_it_took)
{
    struct merge_function *f = compiled("return function(versions, key) "
                                        "while #key == 7 do end return 'done' end");
    struct merge_function *bomb = compiled("return function() local t = {} "
                                           "while true do t[#t + 1] = {} end end");
    struct buffer out = { 0 };
    char problem[64];

    EXPECT_TEXT(run_again(f), TOO_MANY_STEPS);
    EXPECT(merge_steps_taken(f) >= MERGE_STEPS);
    EXPECT(merge_run(f, span_str("k"), (struct span){ 0 }, trial_versions, 1, &out, problem, 64));
    EXPECT(merge_steps_taken(f) >= MERGE_RUN_STEPS && merge_steps_taken(f) < 2 * MERGE_RUN_STEPS);
    EXPECT_TEXT(run_again(bomb), TOO_MUCH_MEMORY);
    EXPECT(merge_steps_taken(bomb) >= MERGE_STEPS_PER_REFUSAL);
    buffer_release(&out);
    merge_release(bomb);
    merge_release(f);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
