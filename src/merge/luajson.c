#include "merge/luajson.h"

/* Only their addresses count: one is json.null, the other names the mark in the registry. */
static char null_value, array_mark;

void luajson_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, &null_value);
}

bool luajson_is_null(lua_State *L, int index)
{
    return lua_touserdata(L, index) == &null_value;
}

void luajson_mark_array(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mark);
    lua_setmetatable(L, -2);
}

bool luajson_is_array(lua_State *L, int index)
{
    bool same;

    if (!lua_getmetatable(L, index))
        return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mark);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* array([list]): marks the list, or a new one, and gives it back. */
static int make_array(lua_State *L)
{
    if (lua_isnone(L, 1))
        lua_newtable(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (!luajson_is_array(L, 1) && lua_getmetatable(L, 1))
        return luaL_error(L, "a library is no array");
    luajson_mark_array(L);
    return 1;
}

void luajson_push_library(lua_State *L)
{
    static const luaL_Reg own[] = { { "array", make_array },
                                    { "decode", luajson_decode },
                                    { "encode", luajson_encode },
                                    { NULL, NULL } };

    luaL_newlib(L, own);
    luajson_push_null(L);
    lua_setfield(L, -2, "null");
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_mark);
}

/* The length of the UTF-8 sequence at the front, 0 when there is none; see table 3-7 of the Unicode
 * standard for the bounds of the second byte. */
static size_t sequence_bytes(struct span text)
{
    uint8_t first = text.at[0], low = 0x80, high = 0xbf;
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (len == 1)
        return 1;
    if (first < 0xc2 || first > 0xf4 || text.len < len)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    if (first == 0xed)
        high = 0x9f;
    if (first == 0xf0)
        low = 0x90;
    if (first == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
        if (text.at[i] < low || text.at[i] > high)
            return 0;
    }
    return len;
}

bool luajson_valid_utf8(struct span text)
{
    while (text.len > 0) {
        size_t len = sequence_bytes(text);

        if (len == 0)
            return false;
        text = span_skip(text, len);
    }
    return true;
}
