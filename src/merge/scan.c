#include "merge/scan.h"

struct scanner {
    struct span rest;
    int line;
};

static int peek(const struct scanner *s, size_t ahead)
{
    return ahead < s->rest.len ? s->rest.at[ahead] : -1;
}

static bool is_newline(int c)
{
    return c == '\n' || c == '\r';
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

static void skip(struct scanner *s, size_t bytes)
{
    for (; bytes > 0 && s->rest.len > 0; bytes--) {
        s->line += s->rest.at[0] == '\n';
        s->rest = span_skip(s->rest, 1);
    }
}

/* The level of the long bracket "[==[" that begins here, or -1. */
static int long_bracket(const struct scanner *s, size_t from, char bracket)
{
    size_t at = from + 1;

    if (peek(s, from) != bracket)
        return -1;
    while (peek(s, at) == '=')
        at++;
    return peek(s, at) == bracket ? (int)(at - from - 1) : -1;
}

static void skip_long(struct scanner *s, int level)
{
    skip(s, (size_t)level + 2);
    while (s->rest.len > 0 && long_bracket(s, 0, ']') != level)
        skip(s, 1);
    skip(s, (size_t)level + 2);
}

static void skip_comment(struct scanner *s)
{
    int level = long_bracket(s, 2, '[');

    skip(s, 2);
    if (level >= 0) {
        skip_long(s, level);
        return;
    }
    while (s->rest.len > 0 && !is_newline(peek(s, 0)))
        skip(s, 1);
}

/* Past a backslash and what it escapes: a byte, a newline of one byte or two, or after z the blanks
 * that follow. */
static void skip_escape(struct scanner *s)
{
    int c = peek(s, 1);
    bool pair = is_newline(c) && is_newline(peek(s, 2)) && c != peek(s, 2);

    skip(s, pair ? 3 : 2);
    while (c == 'z' && s->rest.len > 0 && (is_newline(peek(s, 0)) || is_blank(peek(s, 0))))
        skip(s, 1);
}

/* An unfinished string ends with its line, as it does for the compiler, which then refuses it. */
static void skip_quoted(struct scanner *s)
{
    int quote = peek(s, 0);

    skip(s, 1);
    while (s->rest.len > 0 && peek(s, 0) != quote && !is_newline(peek(s, 0))) {
        if (peek(s, 0) == '\\')
            skip_escape(s);
        else
            skip(s, 1);
    }
    if (peek(s, 0) == quote)
        skip(s, 1);
}

static bool is_name_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct span take_name(struct scanner *s)
{
    struct span name = s->rest;
    size_t len = 0;

    while (is_name_byte(peek(s, len)))
        len++;
    skip(s, len);
    name.len = len;
    return name;
}

const char *scan_refused(struct span source, int *line)
{
    struct scanner s = { source, 1 };

    while (s.rest.len > 0) {
        int c = peek(&s, 0);

        *line = s.line;
        if (c == '^')
            return "the operator ^ is not offered: powers differ between machines";
        if (c == '-' && peek(&s, 1) == '-')
            skip_comment(&s);
        else if (c == '"' || c == '\'')
            skip_quoted(&s);
        else if (long_bracket(&s, 0, '[') >= 0)
            skip_long(&s, long_bracket(&s, 0, '['));
        else if (!is_name_byte(c))
            skip(&s, 1);
        else if (span_equal(take_name(&s), span_str("_ENV")))
            return "the name _ENV is not offered: globals are read-only";
    }
    return NULL;
}
