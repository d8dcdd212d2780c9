/* What merge functions may use: it does what it says, the same in every region, or is not there. */
#include "merge/library.h"

#include "merge/trial.h"

/* Runs the body in a hundred fresh states, each with its own seed of the hash, and gives what they
 * agree on. */
static struct span agreed(const char *body)
{
    struct buffer first = { 0 };
    static char text[1024];

    for (int i = 0; i < 100; i++) {
        struct span outcome = trial_body(body);

        if (i == 0)
            buffer_put(&first, outcome);
        if (!span_equal(outcome, buffer_span(&first))) {
            buffer_release(&first);
            return span_str("two states disagree");
        }
    }
    snprintf(text, sizeof(text), "%.*s", (int)first.len, (const char *)first.at);
    buffer_release(&first);
    return span_str(text);
}

TEST(what_reaches_out_of_the_sandbox_is_not_there)
{
    static const char *const names[] = {
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "require",
        "package",
        "io",
        "os",
        "debug",
        "coroutine",
        "pcall",
        "xpcall",
        "rawset",
        "rawget",
        "setmetatable",
        "getmetatable",
        "print",
        "warn",
        "_G",
        "_VERSION",
        "utf8",
        "string.find",
        "string.dump",
        "string.match",
        "math.random",
        "math.randomseed",
        "math.exp",
        "math.log",
        "math.sin",
        "string.gsub",
        "string.gmatch",
        "string.pack",
        "string.unpack",
        "table.move",
        "collectgarbage",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char body[80], expected[80];

        snprintf(body, sizeof(body), "return %s", names[i]);
        snprintf(expected, sizeof(expected), "error: trial.lua:1: merge functions have no '%s'",
                 names[i]);
        EXPECT_TEXT(trial_body(body), expected);
    }
    EXPECT_TEXT(trial_body("return ('a'):match('a')"),
                "error: trial.lua:1: merge functions have no 'string.match'");
    EXPECT_TEXT(trial_body("return ('').__index"),
                "error: trial.lua:1: merge functions have no 'string.__index'");
}

TEST(a_pattern_bomb_has_no_pattern)
{
    EXPECT_TEXT(trial_body("return (('a'):rep(28)):find(('a?'):rep(28) .. ('a'):rep(28))"),
                "error: trial.lua:1: merge functions have no 'string.find'");
}

TEST(keys_come_in_one_order)
{
    EXPECT_TEXT(agreed("local t = {} "
                       "for i = 1, 40 do t['key' .. i * 7919 % 41] = i end "
                       "local out = {} "
                       "for k in pairs(t) do out[#out + 1] = k:sub(4) end "
                       "return table.concat(out, ' ')"),
                "1 10 11 12 13 14 15 16 17 18 19 2 20 21 22 23 24 25 26 27 28 29 3 30 31 32 33 34 "
                "35 36 37 38 39 4 40 5 6 7 8 9");
    EXPECT_TEXT(agreed("local t = {[true] = 1, [false] = 1, b = 1, a = 1, ['a\\0'] = 1, [''] = 1, "
                       "           [3] = 1, [-1] = 1, [2.5] = 1, B = 1, ['\\xc3\\xa4'] = 1, "
                       "           [math.mininteger] = 1, [-1 / 0] = 1, [1e300] = 1} "
                       "local out = {} "
                       "for k in pairs(t) do "
                       "  out[#out + 1] = type(k) == 'string' and #k .. k:sub(1, 1) or tostring(k) "
                       "end "
                       "return table.concat(out, ' ')"),
                "-inf -9223372036854775808 -1 2.5 3 1e+300 0 1B 1a 2a 1b 2\xc3 false true");
    EXPECT_TEXT(agreed("local t, out, k = {z = 1, y = 2, 10, 20}, {} "
                       "repeat k = next(t, k) out[#out + 1] = tostring(k) until k == nil "
                       "return table.concat(out, ' ')"),
                "1 2 y z nil");
    EXPECT_TEXT(agreed("local out = {} for k, v in next, {b = 1, a = 2} do "
                       "  out[#out + 1] = k .. v end return table.concat(out, ' ')"),
                "a2 b1");
    EXPECT_TEXT(trial_body("return tostring(next({}))"), "nil");
}

TEST(keys_without_an_order_are_an_error)
{
    EXPECT_TEXT(trial_body("for k in pairs({[{}] = 1}) do end"),
                "error: trial.lua:1: a table among the keys of a table gives them no order");
    EXPECT_TEXT(trial_body("for k in pairs({1, [pairs] = 1}) do end"),
                "error: trial.lua:1: a function among the keys of a table gives them no order");
    EXPECT_TEXT(trial_body("return next({[json.null] = 1})"),
                "error: trial.lua:1: a userdata among the keys of a table gives them no order");
}

TEST(a_table_may_change_under_pairs)
{
    EXPECT_TEXT(agreed("local t, out = {a = 1, b = 2, c = 3, d = 4}, {} "
                       "for k, v in pairs(t) do "
                       "  t[k], t.c, t['new' .. k] = nil, nil, 5 "
                       "  out[#out + 1] = k .. v "
                       "end "
                       "for k, v in pairs(t) do out[#out + 1] = k .. v end "
                       "return table.concat(out, ' ')"),
                "a1 b2 d4 newa5 newb5 newd5");
}

TEST(sorting_is_stable)
{
    EXPECT_TEXT(agreed("local t = {} "
                       "for i = 1, 300 do t[i] = {i * 7 % 3, i} end "
                       "table.sort(t, function(a, b) return a[1] < b[1] end) "
                       "for i = 2, #t do "
                       "  local a, b = t[i - 1], t[i] "
                       "  assert(a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])) "
                       "end "
                       "return t[1][2] .. ' ' .. t[300][2]"),
                "3 299");
    EXPECT_TEXT(trial_body("local t = {3, -1, 2.5, 10} table.sort(t) return table.concat(t, ' ')"),
                "-1 2.5 3 10");
    EXPECT_TEXT(trial_body("local t = {'b', 'a\\0b', 'B', '', 'a', '\\xff', 'ab'} table.sort(t) "
                           "for i = 1, #t do t[i] = t[i]:byte(-1) or 0 end "
                           "return table.concat(t, ' ')"),
                "0 66 97 98 98 98 255");
    EXPECT_TEXT(trial_body("local t = {} table.sort(t) return #t"), "0");
}

TEST(sorting_agrees_with_a_plain_search)
{
    EXPECT_TEXT(agreed("local x = 1 "
                       "for n = 0, 40 do "
                       "  local t, count = {}, {} "
                       "  for i = 1, n do x = x * 1103515245 + 12345 & 0x7fffffff t[i] = x % 10 "
                       "    count[t[i]] = (count[t[i]] or 0) + 1 end "
                       "  table.sort(t) "
                       "  for i = 1, n do assert(i == 1 or t[i - 1] <= t[i]) "
                       "    count[t[i]] = count[t[i]] - 1 end "
                       "  for _, left in pairs(count) do assert(left == 0) end "
                       "  assert(#t == n) "
                       "end return 'sorted'"),
                "sorted");
}

TEST(a_comparison_that_lies_gives_one_result_or_an_error)
{
    EXPECT_TEXT(agreed("local t = {} for i = 1, 500 do t[i] = i end "
                       "table.sort(t, function() return true end) "
                       "return t[1] .. ' ' .. t[2] .. ' ' .. t[500]"),
                "500 499 1");
    EXPECT_TEXT(agreed("local t, turn = {}, 0 for i = 1, 200 do t[i] = i end "
                       "table.sort(t, function() turn = turn + 1 t[turn] = nil "
                       "  return turn % 3 == 0 end) "
                       "return #t .. ' ' .. turn"),
                "200 1142");
    EXPECT_TEXT(trial_body("local t = {} for i = 1, 100 do t[i] = i end "
                           "table.sort(t, function() while true do end end)"),
                "error: trial.lua:1: the function takes too many steps");
    EXPECT_TEXT(trial_body("table.sort({3, 2, 1}, function() error('stop') end)"),
                "error: trial.lua:1: stop");
    EXPECT_TEXT(trial_body("table.sort({1, 'a'})"),
                "error: trial.lua: attempt to compare string with number");
    EXPECT_TEXT(trial_body("table.sort({{}, {}})"),
                "error: trial.lua: attempt to compare two table values");
}

TEST(addresses_have_no_text)
{
    EXPECT_TEXT(trial_body("return tostring({})"), "error: trial.lua:1: a table has no text");
    EXPECT_TEXT(trial_body("return tostring(pairs)"), "error: trial.lua:1: a function has no text");
    EXPECT_TEXT(trial_body("return tostring(json.null)"),
                "error: trial.lua:1: a userdata has no text");
    EXPECT_TEXT(trial_body("return string.format('%s', {})"),
                "error: trial.lua:1: bad argument #2 to 'format' (a table has no text)");
    EXPECT_TEXT(trial_body("return string.format('%p', {})"),
                "error: trial.lua:1: a conversion that string.format does not offer: %p");
    EXPECT_TEXT(trial_body("return string.format('%a', 0.5)"),
                "error: trial.lua:1: a conversion that string.format does not offer: %a");
    EXPECT_TEXT(trial_body("return string.format('%5.1q', 'x')"),
                "error: trial.lua:1: a conversion that string.format does not offer: %5.1q");
    EXPECT_TEXT(trial_body("return string.format('%')"),
                "error: trial.lua:1: a conversion that string.format does not offer: %");
    EXPECT_TEXT(trial_body("return string.format('%s')"),
                "error: trial.lua:1: bad argument #2 to 'format' (a no value has no text)");
    EXPECT_TEXT(trial_body("return '' .. {}"),
                "error: trial.lua:1: attempt to concatenate a table value");
}

TEST(formats_are_lua_s_own)
{
    EXPECT_TEXT(trial_body("return string.format('%5d|%-5s|%05.1f|%x|%%|%s %s|%c', 42, 'ab', 2.25, "
                           "255, nil, true, 65)"),
                "   42|ab   |002.2|ff|%|nil true|A");
    EXPECT_TEXT(trial_body("return ('%d'):format('x')"),
                "error: trial.lua:1: bad argument #1 to 'format' (number expected, got string)");
    EXPECT_TEXT(trial_body("return ('%1234d'):format(1)"),
                "error: trial.lua: invalid conversion specification: '%1234d'");
    EXPECT_TEXT(
        trial_body("return tostring(1e15) .. ' ' .. tostring(0.1) .. ' ' .. 2 ^ 1"),
        "error: trial.lua:1: the operator ^ is not offered: powers differ between machines");
    EXPECT_TEXT(trial_body("return tostring(1e15) .. ' ' .. tostring(-0.1) .. ' ' .. 1 / 3"),
                "1e+15 -0.1 0.33333333333333");
}

TEST(a_result_that_is_no_number_ends_the_run)
{
    const char *refusal = "error: trial.lua: a calculation has no number as its result, like 0/0";

    EXPECT_TEXT(trial_body("return '' .. 0 / 0"), refusal);
    EXPECT_TEXT(trial_body("local inf = 1 / 0 return #('' .. inf - inf)"), refusal);
    EXPECT_TEXT(trial_body("return tostring(math.sqrt(-1))"), refusal);
    EXPECT_TEXT(trial_body("return tostring(5.0 % 0)"), refusal);
    EXPECT_TEXT(trial_body("return tostring(math.fmod(1, 0.0))"), refusal);
    EXPECT_TEXT(trial_body("return tostring(1e308 * 10) .. ' ' .. tostring(5 // 0.0) .. ' ' .. "
                           "tostring(-5 % math.huge)"),
                "inf inf inf");
    EXPECT_TEXT(trial_body("return 1 // 0"), "error: trial.lua:1: attempt to divide by zero");
}

TEST(text_and_numbers_do_not_mix_unasked)
{
    EXPECT_TEXT(
        trial_body("return '10' + 1"),
        "error: trial.lua:1: attempt to perform arithmetic on a string value (constant '10')");
    EXPECT_TEXT(trial_body("return string.upper(nil)"),
                "error: trial.lua:1: bad argument #1 to 'upper' (string expected, got nil)");
    EXPECT_TEXT(trial_body("return tonumber('10') + tonumber('ff', 16)"), "265");
    EXPECT_TEXT(trial_body("return tostring(tonumber('nan'))"), "nil");
    EXPECT_TEXT(trial_body("return 'a' < 'B' and 'folded' or 'by bytes'"), "by bytes");
}

TEST(lists_behave_as_in_lua)
{
    EXPECT_TEXT(trial_body("local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) "
                           "table.insert(t, 3, 1.5) "
                           "return table.concat(t, ' ') .. ' ' .. table.remove(t) .. "
                           "table.remove(t, 1) .. ' ' .. table.concat(t, ' ', 2, 3)"),
                "0 1 1.5 2 3 4 40 1.5 2");
    EXPECT_TEXT(trial_body("local t = {} return tostring(table.remove(t)) .. #t"), "nil0");
    EXPECT_TEXT(trial_body("table.insert({1}, 3, 1)"),
                "error: trial.lua:1: bad argument #2 to 'insert' (position out of bounds)");
    EXPECT_TEXT(trial_body("table.remove({1}, 7)"),
                "error: trial.lua:1: bad argument #2 to 'remove' (position out of bounds)");
    EXPECT_TEXT(trial_body("table.insert({}, math.mininteger, 1)"),
                "error: trial.lua:1: bad argument #2 to 'insert' (position out of bounds)");
    EXPECT_TEXT(trial_body("table.remove({1, 2}, math.maxinteger)"),
                "error: trial.lua:1: bad argument #2 to 'remove' (position out of bounds)");
    EXPECT_TEXT(trial_body("return table.concat({1, {}, 3})"),
                "error: trial.lua:1: element 2 is a table, which 'concat' cannot add");
    EXPECT_TEXT(
        trial_body("local a, b, c = table.unpack({1, 2, 3}, 2) return a .. b .. tostring(c)"),
        "23nil");
    EXPECT_TEXT(trial_body("local t = table.pack(1, nil, 3) return t.n .. select(-1, 7, 8)"), "38");
    EXPECT_TEXT(trial_body("return table.concat({}, 'x', math.maxinteger, math.mininteger)"), "");
}

TEST(strings_behave_as_in_lua)
{
    EXPECT_TEXT(trial_body("local s = 'Hello' return s:upper() .. s:lower() .. s:reverse() .. "
                           "s:sub(2, -2) .. #s .. s:rep(2, '-') .. string.char(33, 63)"),
                "HELLOhelloolleHell5Hello-Hello!?");
    EXPECT_TEXT(trial_body("local s = 'abc' return s:byte() .. ' ' .. s:byte(-1) .. ' ' .. "
                           "select('#', s:byte(4)) .. select('#', s:byte(0)) .. "
                           "select('#', s:byte(-10, 10)) .. select('#', s:byte(3, 1)) .. "
                           "select('#', s:byte(math.mininteger, math.maxinteger))"),
                "97 99 00303");
    EXPECT_TEXT(trial_body("return ('x'):rep(0) .. ('x'):rep(-5) .. ('ab'):rep(1, ', ')"), "ab");
    EXPECT_TEXT(trial_body("return ('x'):rep(math.maxinteger, 'y')"),
                "error: trial.lua:1: the text would become too long");
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
