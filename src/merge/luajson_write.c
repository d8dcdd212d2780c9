#include "merge/luajson.h"

#include <math.h>

#include "merge/order.h"

struct writer {
    lua_State *L;
    struct buffer *text;
    int depth;
};

static void write_value(struct writer *w, int index);

static void write_string(struct writer *w, int index)
{
    static const char letters[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    struct span text;

    text.at = (const uint8_t *)lua_tolstring(w->L, index, &text.len);
    if (text.len > MERGE_JSON_MAX_BYTES)
        luaL_error(w->L, "json: more than %d bytes", MERGE_JSON_MAX_BYTES);
    if (!luajson_valid_utf8(text))
        luaL_error(w->L, "json: a string that is not UTF-8");
    buffer_put_u8(w->text, '"');
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = text.at[i] > 0 ? strchr(letters, text.at[i]) : NULL;

        if (letter != NULL) {
            buffer_put_u8(w->text, '\\');
            buffer_put_u8(w->text, (uint8_t)escapes[letter - letters]);
        } else if (text.at[i] < ' ') {
            buffer_printf(w->text, "\\u%04x", text.at[i]);
        } else {
            buffer_put_u8(w->text, text.at[i]);
        }
    }
    buffer_put_u8(w->text, '"');
}

/* A double keeps a sign that it is one, so that what was decoded is encoded as it was. */
static void write_number(struct writer *w, int index)
{
    char digits[40];
    size_t len;

    if (lua_isinteger(w->L, index)) {
        len = decimal_of_int64(lua_tointeger(w->L, index), digits);
    } else {
        if (!isfinite(lua_tonumber(w->L, index)))
            luaL_error(w->L, "json: a number that is not finite");
        len = decimal_of_double(lua_tonumber(w->L, index), digits);
        if (memchr(digits, '.', len) == NULL && memchr(digits, 'e', len) == NULL) {
            digits[len++] = '.';
            digits[len++] = '0';
        }
    }
    buffer_put_bytes(w->text, digits, len);
}

/* `keys` is the list of the keys of the table at `index`, in order. */
static void write_object(struct writer *w, int index, int keys, lua_Integer count)
{
    buffer_put_u8(w->text, '{');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1)
            buffer_put_u8(w->text, ',');
        if (lua_rawgeti(w->L, keys, i) != LUA_TSTRING)
            luaL_error(w->L, "json: a table with keys that are neither all names nor 1 to n");
        write_string(w, -1);
        buffer_put_u8(w->text, ':');
        lua_rawget(w->L, index);
        write_value(w, lua_gettop(w->L));
        lua_pop(w->L, 1);
    }
    buffer_put_u8(w->text, '}');
}

static void write_array(struct writer *w, int index, int keys, lua_Integer count)
{
    buffer_put_u8(w->text, '[');
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1)
            buffer_put_u8(w->text, ',');
        lua_rawgeti(w->L, keys, i);
        if (!lua_isinteger(w->L, -1) || lua_tointeger(w->L, -1) != i)
            luaL_error(w->L, "json: an array with keys other than 1 to %I", (LUAI_UACINT)count);
        lua_rawget(w->L, index);
        write_value(w, lua_gettop(w->L));
        lua_pop(w->L, 1);
    }
    buffer_put_u8(w->text, ']');
}

static void write_table(struct writer *w, int index)
{
    lua_Integer count = order_push_keys(w->L, index);
    int keys = lua_gettop(w->L);
    bool is_list = count > 0 && lua_rawgeti(w->L, keys, 1) == LUA_TNUMBER;

    lua_settop(w->L, keys);
    if (is_list || luajson_is_array(w->L, index))
        write_array(w, index, keys, count);
    else
        write_object(w, index, keys, count);
    lua_settop(w->L, keys - 1);
}

/* `index` is absolute. Each value pays for the text that was written before it. */
static void write_value(struct writer *w, int index)
{
    if (++w->depth > MERGE_JSON_DEPTH_MAX)
        luaL_error(w->L, "json: too deep, or a table within itself");
    if (w->text->len > MERGE_JSON_MAX_BYTES)
        luaL_error(w->L, "json: more than %d bytes", MERGE_JSON_MAX_BYTES);
    luaL_checkstack(w->L, 8, NULL);
    sandbox_charge_elements(w->L, 1);
    if (lua_type(w->L, index) == LUA_TBOOLEAN)
        buffer_put_text(w->text, lua_toboolean(w->L, index) ? "true" : "false");
    else if (lua_type(w->L, index) == LUA_TNUMBER)
        write_number(w, index);
    else if (lua_type(w->L, index) == LUA_TSTRING)
        write_string(w, index);
    else if (lua_type(w->L, index) == LUA_TTABLE)
        write_table(w, index);
    else if (luajson_is_null(w->L, index))
        buffer_put_text(w->text, "null");
    else
        luaL_error(w->L, "json: a %s has no form in JSON", luaL_typename(w->L, index));
    w->depth--;
}

int luajson_encode(lua_State *L)
{
    struct writer w = { .L = L, .text = &sandbox_of(L)->text };

    luaL_checkany(L, 1);
    lua_settop(L, 1);
    buffer_clear(w.text);
    write_value(&w, 1);
    sandbox_charge(L, w.text->len);
    lua_pushlstring(L, (const char *)w.text->at, w.text->len);
    return 1;
}
