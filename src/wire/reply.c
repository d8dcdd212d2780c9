#include "wire/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

enum {
    NUMBER_MAX = 24, /* type byte, 20 digits, "\r\n" */
    LATER_ROOM = 12, /* what most counts need at most; the gap is closed when the count is known */
};

/* Writes `kind`, the number and the line end to `to`, which holds NUMBER_MAX; returns how many
 * bytes. */
static size_t number_line(uint8_t *to, char kind, int64_t number)
{
    to[0] = (uint8_t)kind;
    size_t len = 1;
    if (number >= 0 && number < 10)
        to[len++] = (uint8_t)('0' + number);
    else
        len += decimal_of_int64(number, (char *)to + 1);
    to[len++] = '\r';
    to[len++] = '\n';
    return len;
}

static void put_number(struct reply *r, char kind, int64_t number)
{
    r->out->len += number_line(buffer_room(r->out, NUMBER_MAX), kind, number);
}

static void put_literal(struct reply *r, const char *resp2, const char *resp3)
{
    buffer_put(r->out, span_str(r->protocol >= 3 ? resp3 : resp2));
}

/* `kind`, a length of prefix + s, then both and the line end, in one piece of room. */
static void put_string(struct reply *r, char kind, struct span prefix, struct span s)
{
    size_t len = prefix.len + s.len;
    uint8_t *to = buffer_room(r->out, NUMBER_MAX + len + 2);
    uint8_t *at = to + number_line(to, kind, (int64_t)len);
    if (prefix.len > 0)
        memcpy(at, prefix.at, prefix.len);
    if (s.len > 0)
        memcpy(at + prefix.len, s.at, s.len);
    memcpy(at + len, "\r\n", 2);
    r->out->len += (size_t)(at - to) + len + 2;
}

void reply_ok(struct reply *r)
{
    buffer_put_bytes(r->out, "+OK\r\n", 5);
}

void reply_simple(struct reply *r, const char *text)
{
    buffer_put_u8(r->out, '+');
    buffer_put(r->out, span_str(text));
    buffer_put_bytes(r->out, "\r\n", 2);
}

/* Ends the error line whose text starts at `from`. */
static void finish_error(struct reply *r, size_t from)
{
    for (size_t i = from; i < r->out->len; i++) {
        if (r->out->at[i] == '\r' || r->out->at[i] == '\n')
            r->out->at[i] = ' ';
    }
    buffer_put_bytes(r->out, "\r\n", 2);
    r->errors++;
}

void reply_error(struct reply *r, const char *text)
{
    buffer_put_u8(r->out, '-');
    size_t from = r->out->len;
    buffer_put(r->out, span_str(text));
    finish_error(r, from);
}

void reply_errorf(struct reply *r, const char *format, ...)
{
    buffer_put_u8(r->out, '-');
    size_t from = r->out->len;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    CHECK(len >= 0);
    size_t room = (size_t)len + 1;
    vsnprintf((char *)buffer_room(r->out, room), room, format, again);
    r->out->len += (size_t)len;
    va_end(again);
    va_end(args);
    finish_error(r, from);
}

void reply_int(struct reply *r, int64_t v)
{
    put_number(r, ':', v);
}

void reply_bulk(struct reply *r, struct span s)
{
    put_string(r, '$', span_of(NULL, 0), s);
}

void reply_bulk_text(struct reply *r, const char *text)
{
    reply_bulk(r, span_str(text));
}

void reply_null(struct reply *r)
{
    put_literal(r, "$-1\r\n", "_\r\n");
}

void reply_null_array(struct reply *r)
{
    put_literal(r, "*-1\r\n", "_\r\n");
}

static void put_decimal(struct reply *r, struct span s)
{
    if (r->protocol < 3) {
        reply_bulk(r, s);
        return;
    }
    buffer_put_u8(r->out, ',');
    buffer_put(r->out, s);
    buffer_put_bytes(r->out, "\r\n", 2);
}

void reply_double(struct reply *r, double v)
{
    char text[32];

    put_decimal(r, span_of(text, decimal_of_double(v, text)));
}

void reply_score(struct reply *r, double v)
{
    char text[32];

    put_decimal(r, span_of(text, decimal_of_score(v, text)));
}

void reply_verbatim(struct reply *r, struct span s)
{
    if (r->protocol >= 3)
        put_string(r, '=', span_str("txt:"), s);
    else
        reply_bulk(r, s);
}

/* The header of an aggregate in this protocol: RESP2 knows arrays only. */
static size_t aggregate_line(const struct reply *r, uint8_t *to, char kind, uint64_t n)
{
    if (r->protocol >= 3)
        return number_line(to, kind, (int64_t)n);
    return number_line(to, '*', (int64_t)(kind == '%' ? n * 2 : n));
}

static void put_aggregate(struct reply *r, char kind, uint64_t n)
{
    r->out->len += aggregate_line(r, buffer_room(r->out, NUMBER_MAX), kind, n);
}

void reply_array(struct reply *r, uint64_t n)
{
    put_aggregate(r, '*', n);
}

void reply_map(struct reply *r, uint64_t pairs)
{
    put_aggregate(r, '%', pairs);
}

void reply_set(struct reply *r, uint64_t n)
{
    put_aggregate(r, '~', n);
}

size_t reply_later(struct reply *r)
{
    size_t place = r->out->len;
    buffer_room(r->out, LATER_ROOM);
    r->out->len += LATER_ROOM;
    return place;
}

void reply_later_set(struct reply *r, size_t place, char kind, uint64_t n)
{
    uint8_t line[NUMBER_MAX];
    size_t len = aggregate_line(r, line, kind, n);
    CHECK(kind == '*' || kind == '%' || kind == '~');
    CHECK(place + LATER_ROOM <= r->out->len);

    size_t body = r->out->len - place - LATER_ROOM;
    buffer_room(r->out, NUMBER_MAX);
    memmove(r->out->at + place + len, r->out->at + place + LATER_ROOM, body);
    memcpy(r->out->at + place, line, len);
    r->out->len = place + len + body;
}
