#include "merge/library.h"

#include <lualib.h>
#include <string.h>

#include "base/check.h"
#include "merge/luajson.h"
#include "merge/order.h"

/* Of constant cost, or paid for by what they allocate. */
static const char *const base_kept[] = { "assert", "error", "ipairs", "select", "type", NULL };
static const char *const math_kept[] = { "abs",  "ceil",       "floor", "fmod",       "huge",
                                         "max",  "maxinteger", "min",   "mininteger", "sqrt",
                                         "type", "tointeger",  "ult",   NULL };
static const char *const string_kept[] = { "char", "len", "sub", NULL };
static const char *const table_kept[] = { "pack", NULL };

/* What else is paid for: so many bytes of text that are looked at one by one cost a step; to write a
 * float takes as long as so many, and with a format, which may ask for hundreds of digits, so
 * many. Measured. */
enum { TEXT_BYTES = 4, FLOAT_STEPS = 100, FORMAT_STEPS = 500 };

/* Calls Lua's own function, upvalue 1, with the arguments as they are. */
static int call_own(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static bool has_text(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
        return true;
    default:
        return false;
    }
}

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    if (!has_text(L, 1))
        return luaL_error(L, "a %s has no text", luaL_typename(L, 1));
    if (lua_type(L, 1) == LUA_TNUMBER && !lua_isinteger(L, 1))
        sandbox_charge(L, FLOAT_STEPS);
    luaL_tolstring(L, 1, NULL);
    return 1;
}

static int base_tonumber(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TSTRING)
        sandbox_charge(L, lua_rawlen(L, 1) / TEXT_BYTES);
    return call_own(L);
}

/* string.lower, reverse and upper. */
static int string_turn(lua_State *L)
{
    size_t len;

    luaL_checklstring(L, 1, &len);
    sandbox_charge(L, len / TEXT_BYTES);
    return call_own(L);
}

/* Where a position counted from either end is in a string of `len` bytes: 0 is before it. */
static lua_Integer position(lua_Integer given, size_t len)
{
    if (given >= 0)
        return given;
    return given < -(lua_Integer)len ? 0 : (lua_Integer)len + given + 1;
}

static int string_byte(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer given = luaL_optinteger(L, 2, 1);
    lua_Integer from = position(given, len);
    lua_Integer to = position(luaL_optinteger(L, 3, from), len);

    from = from < 1 ? 1 : from;
    to = to > (lua_Integer)len ? (lua_Integer)len : to;
    if (from > to)
        return 0;
    if (to - from >= MERGE_VALUES_MAX)
        return luaL_error(L, "more than %d bytes at once", MERGE_VALUES_MAX);
    sandbox_charge(L, (uint64_t)(to - from));
    luaL_checkstack(L, MERGE_VALUES_MAX, NULL);
    for (lua_Integer at = from; at <= to; at++)
        lua_pushinteger(L, (unsigned char)text[at - 1]);
    return (int)(to - from + 1);
}

/* Lua's own repeats an empty text as often as it is told, which is for ever. */
static int string_rep(lua_State *L)
{
    size_t len, between_len;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer times = luaL_checkinteger(L, 2);
    const char *between = luaL_optlstring(L, 3, "", &between_len);
    luaL_Buffer b;

    if (times <= 0 || len + between_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((uint64_t)times > sandbox_of(L)->used_max / (len + between_len))
        return luaL_error(L, "the text would become too long");
    sandbox_charge(L, (uint64_t)times);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= times; i++) {
        luaL_addlstring(&b, text, len);
        if (i < times)
            luaL_addlstring(&b, between, between_len);
    }
    luaL_pushresult(&b);
    return 1;
}

/* Past one conversion of a format, whose % is behind; checks the argument that it takes. */
static const char *check_conversion(lua_State *L, const char *at, int *argument)
{
    const char *from = at;

    at += strspn(at, "-+ #0");
    at += strspn(at, "0123456789");
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    if (*at == '%' && at == from)
        return at + 1;
    ++*argument;
    sandbox_charge(L, FORMAT_STEPS);
    if (*at != 0 && strchr("cdioxX", *at) != NULL)
        luaL_checkinteger(L, *argument);
    else if (*at != 0 && strchr("eEfgG", *at) != NULL)
        luaL_checknumber(L, *argument);
    else if (*at != 's')
        luaL_error(L, "a conversion that string.format does not offer: %%%s", from);
    else if (lua_gettop(L) < *argument || !has_text(L, *argument))
        luaL_error(L, "bad argument #%d to 'format' (a %s has no text)", *argument,
                   luaL_typename(L, *argument));
    return at + 1;
}

/* Lua's own, once its conversions were judged: %p, %q and the %s of a table show
 * addresses, %a differs between C libraries. */
static int string_format(lua_State *L)
{
    size_t len;
    const char *format = luaL_checklstring(L, 1, &len);
    int argument = 1;

    if (strlen(format) != len)
        return luaL_error(L, "a format must not contain zeros");
    for (const char *at = strchr(format, '%'); at != NULL; at = strchr(at, '%'))
        at = check_conversion(L, at + 1, &argument);
    return call_own(L);
}

static int table_insert(lua_State *L)
{
    lua_Integer end, at;

    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_gettop(L) != 2 && lua_gettop(L) != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    end = at = luaL_len(L, 1) + 1;
    if (lua_gettop(L) == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
        sandbox_charge_elements(L, (uint64_t)(end - at));
    }
    for (lua_Integer to = end; to > at; to--) {
        lua_geti(L, 1, to - 1);
        lua_seti(L, 1, to);
    }
    lua_seti(L, 1, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    lua_Integer end, at;

    luaL_checktype(L, 1, LUA_TTABLE);
    end = luaL_len(L, 1);
    at = luaL_optinteger(L, 2, end);
    if (at != end) {
        luaL_argcheck(L, at >= 1 && at <= end + 1, 2, "position out of bounds");
        sandbox_charge_elements(L, (uint64_t)(end - at + 1));
    }
    lua_geti(L, 1, at);
    for (; at < end; at++) {
        lua_geti(L, 1, at + 1);
        lua_seti(L, 1, at);
    }
    lua_pushnil(L);
    lua_seti(L, 1, at);
    return 1;
}

static int table_concat(lua_State *L)
{
    size_t between_len;
    const char *between = luaL_optlstring(L, 2, "", &between_len);
    lua_Integer from = luaL_optinteger(L, 3, 1), to;
    luaL_Buffer b;

    luaL_checktype(L, 1, LUA_TTABLE);
    to = luaL_opt(L, luaL_checkinteger, 4, luaL_len(L, 1));
    if (from <= to)
        sandbox_charge_elements(L, (uint64_t)to - (uint64_t)from);
    luaL_buffinit(L, &b);
    for (lua_Integer at = from; at <= to; at++) {
        lua_geti(L, 1, at);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "element %I is a %s, which 'concat' cannot add", (LUAI_UACINT)at,
                              luaL_typename(L, -1));
        luaL_addvalue(&b);
        if (at == to)
            break;
        luaL_addlstring(&b, between, between_len);
    }
    luaL_pushresult(&b);
    return 1;
}

static int table_unpack(lua_State *L)
{
    lua_Integer from = luaL_optinteger(L, 2, 1), to;

    luaL_checktype(L, 1, LUA_TTABLE);
    to = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
    if (from > to)
        return 0;
    if ((uint64_t)to - (uint64_t)from >= MERGE_VALUES_MAX)
        return luaL_error(L, "more than %d values at once", MERGE_VALUES_MAX);
    sandbox_charge_elements(L, (uint64_t)(to - from));
    luaL_checkstack(L, MERGE_VALUES_MAX, NULL);
    for (lua_Integer at = from; at < to; at++)
        lua_geti(L, 1, at);
    lua_geti(L, 1, to);
    return (int)(to - from + 1);
}

static int refuse_write(lua_State *L)
{
    const char *library = lua_tostring(L, lua_upvalueindex(1));

    if (*library != 0)
        return luaL_error(L, "the library %s is read-only", library);
    return luaL_error(L, "globals are read-only: declare '%s' local",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

static int refuse_unknown(lua_State *L)
{
    const char *library = lua_tostring(L, lua_upvalueindex(1));

    return luaL_error(L, "merge functions have no '%s%s%s'", library, *library != 0 ? "." : "",
                      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?");
}

static void set_closure(lua_State *L, const char *library, lua_CFunction function, const char *name)
{
    lua_pushstring(L, library);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

/* Puts in place of the table on top an empty one through which it is read and cannot be written;
 * what is not in it is an error, not nil. */
static void seal(lua_State *L, const char *library)
{
    lua_newtable(L);
    set_closure(L, library, refuse_unknown, "__index");
    lua_setmetatable(L, -2);
    lua_newtable(L);
    lua_newtable(L);
    lua_rotate(L, -3, -1);
    lua_setfield(L, -2, "__index");
    set_closure(L, library, refuse_write, "__newindex");
    lua_setmetatable(L, -2);
}

/* Pushes a new table with the `kept` functions of one of Lua's libraries, which stays below it. */
static void push_kept(lua_State *L, const char *library, lua_CFunction open,
                      const char *const *kept)
{
    luaL_requiref(L, library, open, 0);
    lua_newtable(L);
    for (; *kept != NULL; kept++) {
        lua_getfield(L, -2, *kept);
        CHECK(!lua_isnil(L, -1));
        lua_setfield(L, -2, *kept);
    }
}

/* Puts `function` around Lua's own, taken from the library below the table on top. */
static void wrap(lua_State *L, lua_CFunction function, const char *name)
{
    lua_getfield(L, -2, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

/* Puts the library on top, without the one it was taken from, among the globals at `globals`. */
static void add_library(lua_State *L, int globals, const char *name)
{
    seal(L, name);
    lua_setfield(L, globals, name);
    lua_pop(L, 1);
}

static void add_string_library(lua_State *L, int globals)
{
    static const luaL_Reg own[] = { { "byte", string_byte },
                                    { "rep", string_rep },
                                    { NULL, NULL } };

    push_kept(L, LUA_STRLIBNAME, luaopen_string, string_kept);
    luaL_setfuncs(L, own, 0);
    wrap(L, string_format, "format");
    wrap(L, string_turn, "lower");
    wrap(L, string_turn, "reverse");
    wrap(L, string_turn, "upper");

    /* Lua's own metatable of strings also adds texts as if they were numbers. */
    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    add_library(L, globals, LUA_STRLIBNAME);
}

static void add_table_library(lua_State *L, int globals)
{
    static const luaL_Reg own[] = { { "concat", table_concat }, { "insert", table_insert },
                                    { "remove", table_remove }, { "sort", order_sort },
                                    { "unpack", table_unpack }, { NULL, NULL } };

    push_kept(L, LUA_TABLIBNAME, luaopen_table, table_kept);
    luaL_setfuncs(L, own, 0);
    add_library(L, globals, LUA_TABLIBNAME);
}

void library_push_globals(lua_State *L)
{
    static const luaL_Reg own[] = { { "next", order_next },
                                    { "pairs", order_pairs },
                                    { "tostring", base_tostring },
                                    { NULL, NULL } };
    int globals;

    luaL_checkstack(L, 16, NULL);
    push_kept(L, LUA_GNAME, luaopen_base, base_kept);
    wrap(L, base_tonumber, "tonumber");
    lua_remove(L, -2);
    globals = lua_gettop(L);
    luaL_setfuncs(L, own, 0);
    add_string_library(L, globals);
    add_table_library(L, globals);
    push_kept(L, LUA_MATHLIBNAME, luaopen_math, math_kept);
    add_library(L, globals, LUA_MATHLIBNAME);
    luajson_push_library(L);
    seal(L, "json");
    lua_setfield(L, globals, "json");
    seal(L, "");

    /* The libraries as Lua made them go. */
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}
