#include "wire/resp.h"

#include <stdio.h>

#include "base/memory.h"

/*
 * The common case is a whole command, or a pipeline of them, in one read: then parse_arguments runs
 * straight through, counts are read by short_count, and argv points into the input at once. Only
 * when the input ends inside a command are the places of the arguments kept as offsets (the bytes
 * may move before the next call), each once: a command in a thousand pieces costs what it costs in
 * one.
 *
 * The two bytes after a count or an argument are skipped unread, as Redis does: a client whose
 * line ends are wrong gets the same answers from both.
 */

enum {
    LINE_MAX_BYTES = 64 * 1024, /* PROTO_INLINE_MAX_SIZE of Redis */
    ARGS_MAX = 1024 * 1024,
    BULK_MAX_BYTES = 64 * 1024 * 1024,
    ARGS_MAX_BEFORE_AUTH = 10,
    BULK_MAX_BEFORE_AUTH = 16384,
    ARGV_FIRST = 16,
    ARGV_KEPT = 256, /* more than this is freed after the command, as is the text below */
    TEXT_KEPT_BYTES = 4096,
};

void resp_init(struct resp_parser *p)
{
    *p = (struct resp_parser){ .bulk_len = -1 };
}

void resp_release(struct resp_parser *p)
{
    mem_free(p->argv);
    mem_free(p->offsets);
    buffer_release(&p->inline_text);
    resp_init(p);
}

static enum resp_status bad(struct resp_parser *p, const char *error)
{
    p->error = error;
    return RESP_BAD;
}

static enum resp_status more(struct resp_parser *p, size_t need)
{
    p->need = need;
    return RESP_MORE;
}

/* The command ends at `consumed`; the next call starts a new one. */
static enum resp_status done(struct resp_parser *p, size_t consumed)
{
    p->consumed = consumed;
    p->position = 0;
    p->args_wanted = 0;
    return RESP_COMMAND;
}

/* Looks for `mark` in the line at `position`; *place counts from there. False: not there yet. */
static bool find_line_end(struct resp_parser *p, struct span in, uint8_t mark, size_t *place)
{
    struct span rest = span_skip(in, p->position + p->searched);
    const uint8_t *found = rest.len == 0 ? NULL : memchr(rest.at, mark, rest.len);
    if (found == NULL) {
        p->searched += rest.len;
        return false;
    }
    *place = (size_t)(found - in.at) - p->position;
    p->searched = *place;
    return true;
}

/* Reads a plain count of at most nine digits that is followed by '\r' and one byte more, and
 * returns the place after both; NULL when it is anything else, which read_count then judges. */
static inline const uint8_t *short_count(const uint8_t *at, const uint8_t *end, int64_t *count)
{
    const uint8_t *c = at;
    uint32_t value = 0;
    for (; c < end && (uint8_t)(*c - '0') < 10; c++) {
        if (c - at == 9)
            return NULL;
        value = value * 10 + (uint32_t)(*c - '0');
    }
    if (c == at || end - c < 2 || *c != '\r' || (*at == '0' && c - at > 1))
        return NULL;
    *count = value;
    return c + 2;
}

/* A count line at `position` in any form. *line is its text without the type byte; RESP_COMMAND: it
 * is whole. */
static enum resp_status read_line(struct resp_parser *p, struct span in, const char *too_big,
                                  struct span *line)
{
    size_t end;
    if (!find_line_end(p, in, '\r', &end)) {
        if (in.len - p->position > LINE_MAX_BYTES)
            return bad(p, too_big);
        return more(p, in.len + 1);
    }
    if (p->position + end + 2 > in.len)
        return more(p, p->position + end + 2);
    *line = end == 0 ? span_of(in.at + p->position, 0) : span_of(in.at + p->position + 1, end - 1);
    p->searched = 0;
    return RESP_COMMAND;
}

static enum resp_status read_args_wanted(struct resp_parser *p, struct span in)
{
    const uint8_t *next = short_count(in.at + 1, in.at + in.len, &p->args_wanted);
    if (next == NULL) {
        struct span line;
        enum resp_status status = read_line(p, in, "Protocol error: too big mbulk count string",
                                            &line);
        if (status != RESP_COMMAND)
            return status;
        if (!span_to_int64(line, &p->args_wanted))
            return bad(p, "Protocol error: invalid multibulk length");
        next = line.at + line.len + 2;
    }
    if (p->args_wanted > ARGS_MAX)
        return bad(p, "Protocol error: invalid multibulk length");
    if (p->args_wanted > ARGS_MAX_BEFORE_AUTH && p->password_stage)
        return bad(p, "Protocol error: unauthenticated multibulk length");
    p->position = (size_t)(next - in.at);
    p->searched = 0;
    return RESP_COMMAND;
}

static enum resp_status unexpected(struct resp_parser *p, uint8_t got)
{
    /* What would end the error line early is shown as a space, as in Redis. */
    int shown = got == '\r' || got == '\n' || got == '\0' ? ' ' : got;
    snprintf(p->error_text, sizeof p->error_text, "Protocol error: expected '$', got '%c'", shown);
    return bad(p, p->error_text);
}

static enum resp_status read_bulk_len(struct resp_parser *p, struct span in)
{
    int64_t len = 0;
    const uint8_t *at = in.at + p->position;
    const uint8_t *next = p->position < in.len && *at == '$'
                              ? short_count(at + 1, in.at + in.len, &len)
                              : NULL;
    if (next == NULL) {
        struct span line;
        enum resp_status status = read_line(p, in, "Protocol error: too big bulk count string",
                                            &line);
        if (status != RESP_COMMAND)
            return status;
        if (*at != '$')
            return unexpected(p, *at);
        if (!span_to_int64(line, &len))
            return bad(p, "Protocol error: invalid bulk length");
        next = line.at + line.len + 2;
    }
    if (len < 0 || len > BULK_MAX_BYTES)
        return bad(p, "Protocol error: invalid bulk length");
    if (len > BULK_MAX_BEFORE_AUTH && p->password_stage)
        return bad(p, "Protocol error: unauthenticated bulk length");
    p->bulk_len = len;
    p->position = (size_t)(next - in.at);
    p->searched = 0;
    return RESP_COMMAND;
}

/* One argument more. Grows with the arguments that came, not with the number announced. */
static inline void add_argument(struct resp_parser *p, const uint8_t *at, size_t len)
{
    if (p->argc == p->argv_cap) {
        p->argv_cap = p->argv_cap == 0 ? ARGV_FIRST : p->argv_cap * 2;
        p->argv = mem_realloc(p->argv, p->argv_cap * sizeof p->argv[0]);
    }
    p->argv[p->argc++] = span_of(at, len);
}

/* Notes where the arguments of this call stand, as the bytes may be elsewhere at the next. */
static enum resp_status keep_places(struct resp_parser *p, struct span in, enum resp_status status)
{
    if (p->offsets_cap < p->argc) {
        p->offsets_cap = p->argv_cap;
        p->offsets = mem_realloc(p->offsets, p->offsets_cap * sizeof p->offsets[0]);
    }
    for (; p->placed < p->argc; p->placed++)
        p->offsets[p->placed] = (size_t)(p->argv[p->placed].at - in.at);
    return status;
}

static enum resp_status parse_arguments(struct resp_parser *p, struct span in)
{
    while ((int64_t)p->argc < p->args_wanted) {
        if (p->bulk_len < 0) {
            enum resp_status status = read_bulk_len(p, in);
            if (status != RESP_COMMAND)
                return keep_places(p, in, status);
        }
        size_t len = (size_t)p->bulk_len;
        if (in.len - p->position < len + 2)
            return keep_places(p, in, more(p, p->position + len + 2));
        add_argument(p, in.at + p->position, len);
        p->position += len + 2;
        p->bulk_len = -1;
    }
    for (size_t i = 0; i < p->placed; i++)
        p->argv[i].at = in.at + p->offsets[i];
    return done(p, p->position);
}

/* Inline commands: the quoting rules of Redis's sdssplitargs. */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* Takes one byte, or the escape sequence that stands for it, from inside double quotes. */
static uint8_t take_quoted_byte(struct span *in)
{
    const uint8_t *at = in->at;
    size_t used = 1;
    uint8_t byte = at[0];
    if (byte == '\\' && in->len >= 4 && at[1] == 'x' && hex_digit(at[2]) >= 0 &&
        hex_digit(at[3]) >= 0) {
        used = 4;
        byte = (uint8_t)(hex_digit(at[2]) << 4 | hex_digit(at[3]));
    } else if (byte == '\\' && in->len >= 2) {
        used = 2;
        byte = escaped(at[1]);
    }
    *in = span_skip(*in, used);
    return byte;
}

/* The rest of a quoted part up to its closing quote, after which only a blank or the end may
 * stand. */
static bool take_quoted(struct span *in, uint8_t quote, struct buffer *out)
{
    while (in->len > 0 && in->at[0] != quote) {
        if (quote == '"') {
            buffer_put_u8(out, take_quoted_byte(in));
            continue;
        }
        if (in->at[0] == '\\' && in->len >= 2 && in->at[1] == '\'')
            *in = span_skip(*in, 1);
        buffer_put_u8(out, in->at[0]);
        *in = span_skip(*in, 1);
    }
    if (in->len == 0)
        return false;
    *in = span_skip(*in, 1);
    return in->len == 0 || is_blank(in->at[0]);
}

static bool take_word(struct span *in, struct buffer *out)
{
    while (in->len > 0) {
        uint8_t c = in->at[0];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            break;
        *in = span_skip(*in, 1);
        if (c == '"' || c == '\'')
            return take_quoted(in, c, out);
        buffer_put_u8(out, c);
    }
    return true;
}

static enum resp_status parse_inline(struct resp_parser *p, struct span in)
{
    size_t end;
    bool found = find_line_end(p, in, '\n', &end);
    if ((found ? end : in.len) > LINE_MAX_BYTES)
        return bad(p, "Protocol error: too big inline request");
    if (!found)
        return more(p, in.len + 1);
    p->searched = 0;
    struct span line = span_of(in.at, end);
    if (end > 0 && in.at[end - 1] == '\r')
        line.len--;

    /* Unquoting never makes text longer: with this room the arguments do not move while they are
     * added. */
    buffer_clear(&p->inline_text);
    buffer_room(&p->inline_text, line.len + 1);
    for (;;) {
        while (line.len > 0 && is_blank(line.at[0]))
            line = span_skip(line, 1);
        if (line.len == 0)
            return done(p, end + 1);
        size_t start = p->inline_text.len;
        if (!take_word(&line, &p->inline_text))
            return bad(p, "Protocol error: unbalanced quotes in request");
        add_argument(p, p->inline_text.at + start, p->inline_text.len - start);
    }
}

/* Gives back what one unusually large command left behind, so that an idle connection stays
 * small. */
static void shrink(struct resp_parser *p)
{
    if (p->argv_cap > ARGV_KEPT) {
        mem_free(p->argv);
        mem_free(p->offsets);
        p->argv = NULL;
        p->offsets = NULL;
        p->argv_cap = p->offsets_cap = 0;
    }
    if (p->inline_text.cap > TEXT_KEPT_BYTES)
        buffer_release(&p->inline_text);
}

enum resp_status resp_parse(struct resp_parser *p, struct span in)
{
    if (p->position == 0) {
        p->argc = 0;
        p->placed = 0;
        p->bulk_len = -1;
        shrink(p);
        if (in.len == 0)
            return more(p, 1);
        if (in.at[0] != '*')
            return parse_inline(p, in);
        enum resp_status status = read_args_wanted(p, in);
        if (status != RESP_COMMAND)
            return status;
        if (p->args_wanted <= 0)
            return done(p, p->position);
    }
    return parse_arguments(p, in);
}

/* --- writing --- */

static void put_line(struct buffer *out, char kind, size_t number)
{
    char digits[24];

    buffer_put_u8(out, (uint8_t)kind);
    buffer_put(out, span_of(digits, decimal_of_int64((int64_t)number, digits)));
    buffer_put_text(out, "\r\n");
}

void resp_put_header(struct buffer *out, size_t argc)
{
    put_line(out, '*', argc);
}

void resp_put_argument(struct buffer *out, struct span argument)
{
    put_line(out, '$', argument.len);
    buffer_put(out, argument);
    buffer_put_text(out, "\r\n");
}

void resp_put_command(struct buffer *out, const struct span *argv, size_t argc)
{
    resp_put_header(out, argc);
    for (size_t i = 0; i < argc; i++)
        resp_put_argument(out, argv[i]);
}
