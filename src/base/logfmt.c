#include "base/logfmt.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* Stands for a quote of the format while the values, with quotes of their own, are printed. Where a
 * value has the very byte, it becomes one. */
enum { MARK = 1 };

static const char cut_end[] = "…";

struct line {
    char *to;
    size_t len, size;
    bool quoted; /* within a value in quotes */
};

/* Room for the end of a value that is cut, and for the 0, is always kept. */
static bool put(struct line *l, const char *bytes, size_t len)
{
    if (l->len + len + sizeof(cut_end) + 1 > l->size)
        return false;
    memcpy(l->to + l->len, bytes, len);
    l->len += len;
    return true;
}

static bool put_char(struct line *l, char c)
{
    const char escaped[2] = { '\\', c };

    if (c == MARK) {
        bool fits = put(l, "\"", 1);
        l->quoted ^= fits;
        return fits;
    }
    if ((unsigned char)c < ' ')
        return put(l, " ", 1);
    if (l->quoted && (c == '"' || c == '\\'))
        return put(l, escaped, 2);
    return put(l, &c, 1);
}

/* Bytes of a character that was cut in its middle go: those that go on, then the one that begins. */
static void cut(struct line *l)
{
    while (l->len > 0 && ((unsigned char)l->to[l->len - 1] & 0xc0) == 0x80)
        l->len--;
    if (l->len > 0 && ((unsigned char)l->to[l->len - 1] & 0xc0) == 0xc0)
        l->len--;
    memcpy(l->to + l->len, cut_end, sizeof(cut_end) - 1);
    l->len += sizeof(cut_end) - 1;
    if (l->quoted)
        l->to[l->len++] = '"';
}

/* `format` with marks for its quotes. True when it has any. */
static bool mark(const char *format, char *to, size_t size)
{
    size_t len = strlen(format);
    bool any = false;

    CHECK(len < size);
    for (size_t i = 0; i <= len; i++) {
        to[i] = format[i];
        if (format[i] == '"') {
            to[i] = MARK;
            any = true;
        }
    }
    return any;
}

size_t logfmt_print(char *to, size_t size, const char *format, va_list arguments)
{
    char marked[LOGFMT_LINE_MAX], text[LOGFMT_LINE_MAX];
    struct line line = { .to = to, .size = size };
    bool whole = true;

    CHECK(size > sizeof(cut_end) + 1);
    CHECK(size <= LOGFMT_LINE_MAX);
    bool any = mark(format, marked, sizeof(marked));
    int len = vsnprintf(text, sizeof(text), any ? marked : format, arguments);
    for (const char *at = text; *at != '\0' && whole; at++)
        whole = put_char(&line, *at);
    if (!whole || len >= (int)sizeof(text))
        cut(&line);
    line.to[line.len] = '\0';
    return line.len;
}
