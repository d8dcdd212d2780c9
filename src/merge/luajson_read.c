#include "merge/luajson.h"

/* What reading a byte costs, in steps: some 20 ns, for the values made of it. */
enum { READ_STEPS = 4 };

struct reader {
    lua_State *L;
    struct span text; /* the whole */
    struct span rest;
    int depth;
};

static void read_value(struct reader *r);

static void fail(const struct reader *r, const char *what)
{
    luaL_error(r->L, "json: %s at byte %d", what, (int)(r->text.len - r->rest.len) + 1);
}

static int peek(const struct reader *r)
{
    return r->rest.len > 0 ? r->rest.at[0] : -1;
}

static void skip_blanks(struct reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r')
        r->rest = span_skip(r->rest, 1);
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->rest = span_skip(r->rest, 1);
    return true;
}

static bool take_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if (r->rest.len < len || memcmp(r->rest.at, word, len) != 0)
        return false;
    r->rest = span_skip(r->rest, len);
    return true;
}

static size_t take_digits(struct reader *r)
{
    size_t from = r->rest.len;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->rest = span_skip(r->rest, 1);
    return from - r->rest.len;
}

/* Past a number; says whether it is without fraction and exponent. */
static bool take_number(struct reader *r)
{
    bool whole = true;

    take(r, '-');
    if (!take(r, '0') && take_digits(r) == 0)
        fail(r, "a value is missing");
    if (take(r, '.')) {
        whole = false;
        if (take_digits(r) == 0)
            fail(r, "a digit is missing");
    }
    if (take(r, 'e') || take(r, 'E')) {
        whole = false;
        if (!take(r, '-'))
            take(r, '+');
        if (take_digits(r) == 0)
            fail(r, "a digit is missing");
    }
    return whole;
}

static void read_number(struct reader *r)
{
    struct reader from = *r;
    bool whole = take_number(r);
    struct span text = span_of(from.rest.at, from.rest.len - r->rest.len);
    int64_t integer = 0;
    double real;

    if (whole && (span_to_int64(text, &integer) || span_equal(text, span_str("-0"))))
        lua_pushinteger(r->L, integer);
    else if (!whole && span_to_double(text, &real))
        lua_pushnumber(r->L, real);
    else
        fail(&from, "a number out of range");
}

static uint32_t take_hex4(struct reader *r)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        int c = peek(r);

        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            value = value * 16 + (uint32_t)((c | 0x20) - 'a') + 10;
        else
            fail(r, "four hexadecimal digits are missing");
        r->rest = span_skip(r->rest, 1);
    }
    return value;
}

/* The character of \uXXXX, whose \u is behind: two of them, when the first is half of a pair. */
static uint32_t take_character(struct reader *r)
{
    uint32_t c = take_hex4(r), low;

    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c > 0xdbff || !take_word(r, "\\u"))
        fail(r, "half of a surrogate pair");
    low = take_hex4(r);
    if (low < 0xdc00 || low > 0xdfff)
        fail(r, "half of a surrogate pair");
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static size_t encode_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static void read_escape(struct reader *r, luaL_Buffer *b)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *letter = c > 0 ? strchr(letters, c) : NULL;

    if (take(r, 'u')) {
        char bytes[4];
        size_t len = encode_utf8(take_character(r), bytes);

        luaL_addlstring(b, bytes, len);
        return;
    }
    if (letter == NULL)
        fail(r, "an unknown escape");
    luaL_addchar(b, meanings[letter - letters]);
    r->rest = span_skip(r->rest, 1);
}

/* The bytes up to a quote or backslash, which is left. */
static struct span take_plain(struct reader *r)
{
    struct span plain = r->rest;

    while (peek(r) >= ' ' && peek(r) != '"' && peek(r) != '\\')
        r->rest = span_skip(r->rest, 1);
    if (peek(r) < ' ')
        fail(r, r->rest.len == 0 ? "an unfinished string" : "a control character in a string");
    plain.len -= r->rest.len;
    return plain;
}

/* Pushes the string whose opening quote is behind. */
static void read_string(struct reader *r)
{
    struct reader from = *r;
    struct span plain = take_plain(r);
    luaL_Buffer b;

    if (take(r, '"')) {
        lua_pushlstring(r->L, (const char *)plain.at, plain.len);
    } else {
        luaL_buffinit(r->L, &b);
        for (;;) {
            luaL_addlstring(&b, (const char *)plain.at, plain.len);
            if (take(r, '"'))
                break;
            r->rest = span_skip(r->rest, 1);
            read_escape(r, &b);
            plain = take_plain(r);
        }
        luaL_pushresult(&b);
    }
    if (!luajson_valid_utf8(span_of(from.rest.at, from.rest.len - r->rest.len)))
        fail(&from, "a string that is not UTF-8");
}

static void read_array(struct reader *r)
{
    lua_newtable(r->L);
    luajson_mark_array(r->L);
    skip_blanks(r);
    if (take(r, ']'))
        return;
    for (lua_Integer at = 1;; at++) {
        read_value(r);
        lua_rawseti(r->L, -2, at);
        if (take(r, ']'))
            return;
        if (!take(r, ','))
            fail(r, "a comma or ] is missing");
    }
}

/* Reads a name and pushes it; refuses one that the object on top of the stack has already. */
static void read_name(struct reader *r)
{
    struct reader from;

    skip_blanks(r);
    from = *r;
    if (!take(r, '"'))
        fail(r, "a name is missing");
    read_string(r);
    lua_pushvalue(r->L, -1);
    if (lua_rawget(r->L, -3) != LUA_TNIL)
        fail(&from, "a name for the second time");
    lua_pop(r->L, 1);
    skip_blanks(r);
    if (!take(r, ':'))
        fail(r, "a colon is missing");
}

static void read_object(struct reader *r)
{
    lua_newtable(r->L);
    skip_blanks(r);
    if (take(r, '}'))
        return;
    for (;;) {
        read_name(r);
        read_value(r);
        lua_rawset(r->L, -3);
        if (take(r, '}'))
            return;
        if (!take(r, ','))
            fail(r, "a comma or } is missing");
    }
}

/* Pushes the next value, and takes the blanks on both sides of it. */
static void read_value(struct reader *r)
{
    if (++r->depth > MERGE_JSON_DEPTH_MAX)
        fail(r, "too deep");
    luaL_checkstack(r->L, 8, NULL);
    skip_blanks(r);
    if (take(r, '{'))
        read_object(r);
    else if (take(r, '['))
        read_array(r);
    else if (take(r, '"'))
        read_string(r);
    else if (take_word(r, "null"))
        luajson_push_null(r->L);
    else if (take_word(r, "true"))
        lua_pushboolean(r->L, true);
    else if (take_word(r, "false"))
        lua_pushboolean(r->L, false);
    else
        read_number(r);
    skip_blanks(r);
    r->depth--;
}

int luajson_decode(lua_State *L)
{
    struct reader r = { .L = L };
    const char *text = luaL_checklstring(L, 1, &r.text.len);

    if (r.text.len > MERGE_JSON_MAX_BYTES)
        return luaL_error(L, "json: more than %d bytes", MERGE_JSON_MAX_BYTES);
    sandbox_charge(L, READ_STEPS * r.text.len);
    r.rest = r.text = span_of(text, r.text.len);
    read_value(&r);
    if (r.rest.len > 0)
        fail(&r, "something after the value");
    return 1;
}
