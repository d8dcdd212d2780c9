#include "bin/lines.h"

#include <stdio.h>

#include "host/clocks.h"

const char *lines_stamp_text(stamp_t stamp, char text[LINES_STAMP_MAX])
{
    snprintf(text, LINES_STAMP_MAX, stamp == 0 ? "0" : "0x%llx", (unsigned long long)stamp);
    return text;
}

void lines_release(struct lines *l)
{
    buffer_release(&l->line);
}

/* --- values --- */

static size_t utf8_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Strict but for what only surrogates and the last planes could break: those are refused too. */
static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.len;) {
        size_t len = utf8_length(s.at[i]);
        if (len == 0 || len > s.len - i)
            return false;
        for (size_t k = 1; k < len; k++) {
            if ((s.at[i + k] & 0xc0) != 0x80)
                return false;
        }
        if ((s.at[i] == 0xe0 && s.at[i + 1] < 0xa0) || (s.at[i] == 0xed && s.at[i + 1] >= 0xa0) ||
            (s.at[i] == 0xf0 && s.at[i + 1] < 0x90) || (s.at[i] == 0xf4 && s.at[i + 1] >= 0x90))
            return false;
        i += len;
    }
    return true;
}

static void put_quoted(struct lines *l, struct span s)
{
    bool text = is_text(s);
    buffer_put_u8(&l->line, '"');
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        if (c == '"' || c == '\\')
            buffer_printf(&l->line, "\\%c", c);
        else if (c >= ' ' && c != 0x7f && (c < 0x80 || text))
            buffer_put_u8(&l->line, c);
        else
            buffer_printf(&l->line, l->json ? "\\u%04x" : "\\x%02x", c);
    }
    buffer_put_u8(&l->line, '"');
}

static void put_hex(struct lines *l, struct span s)
{
    buffer_put_u8(&l->line, '"');
    for (size_t i = 0; i < s.len; i++)
        buffer_printf(&l->line, "%02x", s.at[i]);
    buffer_put_u8(&l->line, '"');
}

/* --- fields --- */

static void put_name(struct lines *l, const char *name, const char *more)
{
    if (l->json)
        buffer_printf(&l->line, ",\"%s%s\":", name, more);
    else
        buffer_printf(&l->line, " %s=", name);
}

void lines_begin(struct lines *l, const char *what)
{
    buffer_clear(&l->line);
    buffer_printf(&l->line, l->json ? "{\"what\":\"%s\"" : "%s", what);
}

void lines_text(struct lines *l, const char *name, const char *text)
{
    bool bare = !l->json && text[0] != '\0' && strpbrk(text, " \"=") == NULL;
    put_name(l, name, "");
    if (bare)
        buffer_put_text(&l->line, text);
    else
        put_quoted(l, span_str(text));
}

void lines_bytes(struct lines *l, const char *name, struct span bytes)
{
    bool hex = l->json && !is_text(bytes);
    put_name(l, name, hex ? "_hex" : "");
    if (hex)
        put_hex(l, bytes);
    else
        put_quoted(l, bytes);
}

void lines_number(struct lines *l, const char *name, uint64_t number)
{
    put_name(l, name, "");
    buffer_printf(&l->line, "%llu", (unsigned long long)number);
}

void lines_stamp(struct lines *l, const char *name, stamp_t stamp)
{
    char text[LINES_STAMP_MAX];
    lines_text(l, name, lines_stamp_text(stamp, text));
}

void lines_vector(struct lines *l, const char *name, const struct vector *v)
{
    char text[LINES_STAMP_MAX];
    const char *between = "";
    put_name(l, name, "");
    buffer_put_text(&l->line, l->json ? "{" : "");
    for (uint32_t o = 0; o < v->high; o++) {
        if (v->at[o] == 0)
            continue;
        buffer_printf(&l->line, l->json ? "%s\"%u\":\"%s\"" : "%s%u:%s", between, o,
                      lines_stamp_text(v->at[o], text));
        between = ",";
    }
    buffer_put_text(&l->line, l->json ? "}" : between[0] ? "" : "-");
}

void lines_time(struct lines *l, const char *name, uint64_t ms)
{
    char text[CLOCKS_TEXT_MAX];
    clocks_text(ms * 1000, text);
    lines_text(l, name, text);
}

void lines_flag(struct lines *l, const char *name)
{
    if (l->json) {
        put_name(l, name, "");
        buffer_put_text(&l->line, "true");
    } else {
        buffer_printf(&l->line, " %s", name);
    }
}

bool lines_end(struct lines *l)
{
    buffer_put_text(&l->line, l->json ? "}\n" : "\n");
    return fwrite(l->line.at, 1, l->line.len, stdout) == l->line.len;
}
