#include "merge/order.h"

#include "base/check.h"

/* Whether the value at `left` comes before the one at `right`; both are absolute indices. */
typedef bool (*less_fn)(lua_State *L, int left, int right);

static struct span span_at(lua_State *L, int index)
{
    size_t len;
    const char *text = lua_tolstring(L, index, &len);

    return span_of(text, len);
}

/* The kinds of keys in their order; never converts the value, as lua_next could not go on then. */
static int kind_of_key(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        return 0;
    case LUA_TSTRING:
        return 1;
    case LUA_TBOOLEAN:
        return 2;
    default:
        return luaL_error(L, "a %s among the keys of a table gives them no order",
                          luaL_typename(L, index));
    }
}

static bool key_less(lua_State *L, int left, int right)
{
    int kind = kind_of_key(L, left), other = kind_of_key(L, right);

    if (kind != other)
        return kind < other;
    if (kind == 0)
        return lua_compare(L, left, right, LUA_OPLT);
    if (kind == 1)
        return span_compare(span_at(L, left), span_at(L, right)) < 0;
    return lua_toboolean(L, left) < lua_toboolean(L, right);
}

static bool natural_less(lua_State *L, int left, int right)
{
    return lua_compare(L, left, right, LUA_OPLT);
}

/* Asks the function that is the second argument of table.sort. */
static bool asked_less(lua_State *L, int left, int right)
{
    bool less;

    lua_pushvalue(L, 2);
    lua_pushvalue(L, left);
    lua_pushvalue(L, right);
    lua_call(L, 2, 1);
    less = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return less;
}

static bool element_less(lua_State *L, int list, lua_Integer left, lua_Integer right, less_fn less)
{
    int top = lua_gettop(L);
    bool answer;

    lua_rawgeti(L, list, left);
    lua_rawgeti(L, list, right);
    answer = less(L, top + 1, top + 2);
    lua_settop(L, top);
    return answer;
}

struct run {
    lua_Integer from, middle, end; /* two sorted halves: [from, middle) and [middle, end) */
};

static void merge_halves(lua_State *L, int from, int to, struct run run, less_fn less)
{
    lua_Integer left = run.from, right = run.middle;

    for (lua_Integer at = run.from; at < run.end; at++) {
        bool take_right = left == run.middle ||
                          (right < run.end && element_less(L, from, right, left, less));

        lua_rawgeti(L, from, take_right ? right++ : left++);
        lua_rawseti(L, to, at);
    }
}

static lua_Integer smaller(lua_Integer a, lua_Integer b)
{
    return a < b ? a : b;
}

static void copy_list(lua_State *L, int from, int to, lua_Integer count)
{
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, to, i);
    }
}

/* Sorts the list at the absolute index `list`, which nobody else sees. */
static void sort_list(lua_State *L, int list, lua_Integer count, less_fn less)
{
    int from = list, to;

    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    to = lua_gettop(L);
    for (lua_Integer width = 1; width < count; width *= 2) {
        int other = from;

        sandbox_charge_elements(L, (uint64_t)count);
        for (lua_Integer at = 1; at <= count; at += 2 * width) {
            struct run run = { at, smaller(at + width, count + 1),
                               smaller(at + 2 * width, count + 1) };

            merge_halves(L, from, to, run, less);
        }
        from = to;
        to = other;
    }
    if (from != list)
        copy_list(L, from, list, count);
    lua_pop(L, 1);
}

lua_Integer order_push_keys(lua_State *L, int table)
{
    lua_Integer count = 0;
    int keys;

    table = lua_absindex(L, table);
    sandbox_charge_walk(L);
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);
    keys = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        kind_of_key(L, -1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, keys, ++count);
    }
    sandbox_charge_elements(L, (uint64_t)count);
    sort_list(L, keys, count, key_less);
    CHECK(lua_gettop(L) == keys);
    return count;
}

/* The iterator of pairs: upvalues are the list of keys and the place in it. */
static int pairs_step(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));

    luaL_checktype(L, 1, LUA_TTABLE);
    for (;;) {
        lua_settop(L, 1);
        lua_rawgeti(L, lua_upvalueindex(1), ++at);
        if (lua_isnil(L, 2))
            return 1;
        lua_pushvalue(L, 2);
        lua_rawget(L, 1);
        if (!lua_isnil(L, 3))
            break;
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

int order_pairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    order_push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_step, 2);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

int order_next(lua_State *L)
{
    enum { TABLE = 1, KEY = 2, BEST = 3, CANDIDATE = 4, VALUE = 5 };
    uint64_t count = 0;

    luaL_checktype(L, TABLE, LUA_TTABLE);
    sandbox_charge_walk(L);
    lua_settop(L, BEST);
    lua_pushnil(L);
    lua_replace(L, BEST);
    lua_pushnil(L);
    for (; lua_next(L, TABLE); lua_settop(L, CANDIDATE), count++) {
        kind_of_key(L, CANDIDATE);
        if (!lua_isnil(L, KEY) && !key_less(L, KEY, CANDIDATE))
            continue;
        if (!lua_isnil(L, BEST) && !key_less(L, CANDIDATE, BEST))
            continue;
        lua_pushvalue(L, CANDIDATE);
        lua_replace(L, BEST);
    }
    sandbox_charge_elements(L, count);
    lua_settop(L, BEST);
    if (lua_isnil(L, BEST))
        return 1;
    lua_pushvalue(L, BEST);
    lua_rawget(L, TABLE);
    return 2;
}

int order_sort(lua_State *L)
{
    lua_Integer count;

    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    count = luaL_len(L, 1);
    sandbox_charge_elements(L, 2 * (uint64_t)count);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 1, i);
        lua_rawseti(L, 3, i);
    }
    sort_list(L, 3, count, lua_isnil(L, 2) ? natural_less : asked_less);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 3, i);
        lua_seti(L, 1, i);
    }
    return 0;
}
