/*
 * answer -- replies in RESP2, and whether they fit.
 */
#include "sim/answer.h"

enum { ITEMS_MAX = 64 }; /* of an array that is compared in any order */

/* --- replies --- */

ptrdiff_t answer_length(struct span in)
{
    const uint8_t *end = in.len > 0 ? memchr(in.at, '\n', in.len) : NULL;
    if (!end)
        return 0;
    ptrdiff_t line = end - in.at + 1;
    int64_t number;
    bool counted = in.at[0] == '$' || in.at[0] == '*';
    if (in.at[0] == '+' || in.at[0] == '-')
        return line;
    if (line < 4 || !span_to_int64(span_of(in.at + 1, (size_t)line - 3), &number))
        return -1;
    if (!counted)
        return in.at[0] == ':' ? line : -1;
    if (in.at[0] == '$')
        return number < 0 ? line : (ptrdiff_t)in.len >= line + number + 2 ? line + number + 2 : 0;
    for (; number > 0; number--) {
        ptrdiff_t item = answer_length(span_skip(in, (size_t)line));
        if (item <= 0)
            return item;
        line += item;
    }
    return line;
}

/* Without its kind and end. */
static struct span first_line(struct span reply)
{
    const uint8_t *end = memchr(reply.at, '\r', reply.len);
    return span_of(reply.at + 1, (size_t)(end - reply.at - 1));
}

bool answer_text(struct span reply, struct span *text)
{
    struct span line = first_line(reply);
    if (reply.at[0] == '+' || reply.at[0] == ':') {
        *text = line;
        return true;
    }
    if (reply.at[0] != '$' || line.at[0] == '-')
        return false;
    *text = span_skip(reply, line.len + 3);
    text->len -= 2;
    return true;
}

int64_t answer_open(struct span *reply)
{
    const uint8_t *end = memchr(reply->at, '\n', reply->len);
    int64_t count = -1;
    if (reply->at[0] != '*' || end == NULL ||
        !span_to_int64(span_of(reply->at + 1, (size_t)(end - reply->at) - 2), &count))
        return -1;
    *reply = span_skip(*reply, (size_t)(end - reply->at) + 1);
    return count;
}

struct span answer_next(struct span *items)
{
    struct span item = span_of(items->at, (size_t)answer_length(*items));
    *items = span_skip(*items, item.len);
    return item;
}

bool answer_begins(struct span text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && memcmp(text.at, word, len) == 0;
}

static bool is_nil(struct span reply)
{
    return (reply.at[0] == '$' || reply.at[0] == '*') && reply.at[1] == '-';
}

/* The items of an array, one after the other. */
struct items {
    struct span rest;
    int64_t left;
};

static bool items_begin(struct items *items, struct span reply)
{
    struct span line = first_line(reply);
    items->rest = span_skip(reply, line.len + 3);
    return reply.at[0] == '*' && span_to_int64(line, &items->left) && items->left >= 0;
}

static bool items_next(struct items *items, struct span *item)
{
    if (items->left == 0)
        return false;
    items->left--;
    *item = span_of(items->rest.at, (size_t)answer_length(items->rest));
    items->rest = span_skip(items->rest, item->len);
    return true;
}

/* --- texts --- */

static bool is_text(struct span s, const char *text)
{
    return span_equal(s, span_str(text));
}

static void skip_blanks(struct span *in)
{
    while (in->len > 0 && in->at[0] == ' ')
        *in = span_skip(*in, 1);
}

bool answer_next_word(struct span *text, struct span *word)
{
    skip_blanks(text);
    size_t len = 0;
    while (len < text->len && text->at[len] != ' ')
        len++;
    *word = span_of(text->at, len);
    *text = span_skip(*text, len);
    return len > 0;
}

size_t answer_find(struct span text, struct span what)
{
    for (size_t i = 0; i + what.len <= text.len; i++) {
        const uint8_t *first = memchr(text.at + i, what.at[0], text.len - what.len + 1 - i);
        if (first == NULL)
            break;
        i = (size_t)(first - text.at);
        if (span_equal(span_of(first, what.len), what))
            return i;
    }
    return text.len;
}

bool answer_next_choice(struct span *text, struct span *choice)
{
    static const char BETWEEN[] = " | ";
    size_t len = answer_find(*text, span_str(BETWEEN));
    *choice = span_of(text->at, len);
    *text = span_skip(*text, len + strlen(BETWEEN));
    return len > 0;
}

static bool is_bracket(uint8_t c)
{
    return c == '[' || c == ']' || c == '{' || c == '}';
}

/* The next value: a word, or all between brackets, with them. False where there is none, as before a
 * closing bracket. */
static bool next_value(struct span *in, struct span *value)
{
    size_t len = 0, depth = 0;
    skip_blanks(in);
    if (in->len == 0 || in->at[0] == ']' || in->at[0] == '}')
        return false;
    if (!is_bracket(in->at[0])) {
        while (len < in->len && in->at[len] != ' ' && !is_bracket(in->at[len]))
            len++;
    } else {
        do {
            uint8_t c = in->at[len++];
            depth += c == '[' || c == '{';
            depth -= c == ']' || c == '}';
        } while (depth > 0 && len < in->len);
    }
    *value = span_of(in->at, len);
    *in = span_skip(*in, len);
    return true;
}

void answer_resolve(struct buffer *out, struct span word, const struct answer_names *names)
{
    struct span rest = span_skip(word, 1);
    if (word.at[0] == '@') {
        buffer_put(out, names->prefix);
        buffer_put(out, rest);
    } else if (word.at[0] == '$' && is_text(rest, "late")) {
        buffer_put(out, names->late);
    } else if (word.at[0] == '$' && rest.len > 0 && span_equal(rest, names->name)) {
        buffer_put(out, names->value);
    } else {
        buffer_put(out, word);
    }
}

/* --- fitting --- */

static bool fits_value(struct span reply, struct span value, const struct answer_names *names);

static bool fits_text(struct span reply, struct span word, const struct answer_names *names)
{
    struct buffer want = { 0 };
    struct span text;
    double a, b;
    if (is_text(word, "(nil)"))
        return is_nil(reply);
    if (!answer_text(reply, &text))
        return false;
    answer_resolve(&want, word, names);
    bool fits = span_equal(text, buffer_span(&want));
    if (memchr(word.at, '.', word.len) && span_to_double(buffer_span(&want), &a) &&
        span_to_double(text, &b))
        fits = !(a < b) && !(a > b);
    buffer_release(&want);
    return fits;
}

static bool fits_in_order(struct span reply, struct span values, const struct answer_names *names)
{
    struct items items;
    struct span item, value;
    if (!items_begin(&items, reply))
        return false;
    while (next_value(&values, &value)) {
        if (!items_next(&items, &item) || !fits_value(item, value, names))
            return false;
    }
    return items.left == 0;
}

/* name=value against two items. */
static bool fits_pair(const struct span pair[2], struct span value,
                      const struct answer_names *names)
{
    const uint8_t *equals = memchr(value.at, '=', value.len);
    size_t name_len = equals ? (size_t)(equals - value.at) : value.len;
    return equals && fits_text(pair[0], span_of(value.at, name_len), names) &&
           fits_value(pair[1], span_skip(value, name_len + 1), names);
}

/* No value of a case is so vague that the first item that fits it could be wrong. */
static bool fits_in_any_order(struct span reply, struct span values,
                              const struct answer_names *names)
{
    struct span found[ITEMS_MAX], value, rest = values;
    struct items items;
    size_t count = 0;
    bool begun = items_begin(&items, reply);
    if (!begun || items.left > ITEMS_MAX)
        return false;
    while (items_next(&items, &found[count]))
        count++;
    bool pairs = next_value(&rest, &value) && memchr(value.at, '=', value.len);
    size_t step = pairs ? 2 : 1;
    while (next_value(&values, &value)) {
        size_t i = 0;
        if (is_text(value, "..."))
            return true;
        while (i + step <= count &&
               !(pairs ? fits_pair(&found[i], value, names) : fits_value(found[i], value, names)))
            i += step;
        if (i + step > count)
            return false;
        count -= step;
        memmove(&found[i], &found[i + step], (count - i) * sizeof(found[0]));
    }
    return count == 0;
}

static bool fits_value(struct span reply, struct span value, const struct answer_names *names)
{
    if (is_text(value, "*"))
        return true;
    if (value.at[0] == '[')
        return fits_in_order(reply, span_skip(value, 1), names);
    if (value.at[0] == '{')
        return fits_in_any_order(reply, span_skip(value, 1), names);
    return fits_text(reply, value, names);
}

static bool fits_near(struct span reply, struct span number)
{
    struct span text;
    int64_t near, is;
    return answer_text(reply, &text) && span_to_int64(text, &is) && span_to_int64(number, &near) &&
           is <= near && is >= near - 60;
}

bool answer_fits(struct span reply, struct span choice, const struct answer_names *names)
{
    struct span rest = choice, word;
    answer_next_word(&rest, &word);
    if (is_text(word, "waiting"))
        return reply.len == 0;
    if (reply.len == 0)
        return false;
    rest = span_skip(rest, 1);
    if (is_text(word, "error"))
        return reply.at[0] == '-' && answer_find(reply, rest) < reply.len;
    if (is_text(word, "near"))
        return fits_near(reply, rest);
    return fits_value(reply, choice, names);
}
