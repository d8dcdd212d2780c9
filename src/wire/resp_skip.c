#include "wire/resp_skip.h"

/* A line and its end; the text after the type goes into *text. */
static bool take_line(struct span *in, uint8_t *type, struct span *text)
{
    const uint8_t *end = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;

    if (end == NULL || end - in->at < 2)
        return false;
    *type = in->at[0];
    *text = span_of(in->at + 1, (size_t)(end - in->at) - 2);
    *in = span_skip(*in, (size_t)(end - in->at) + 1);
    return true;
}

static bool skip_bulk(struct span *in, int64_t len)
{
    if (len < 0)
        return true; /* null */
    if (in->len < (uint64_t)len + 2)
        return false;
    *in = span_skip(*in, (size_t)len + 2);
    return true;
}

/* Takes one element; what is inside it is added to *open. */
static bool take_element(struct span *in, uint64_t *open)
{
    struct span text;
    uint8_t type;
    int64_t n = 0;

    if (!take_line(in, &type, &text))
        return false;
    switch (type) {
    case '$':
    case '=':
    case '!':
        return span_to_int64(text, &n) && skip_bulk(in, n);
    case '*':
    case '~':
    case '>':
        if (!span_to_int64(text, &n))
            return false;
        *open += n > 0 ? (uint64_t)n : 0;
        return true;
    case '%':
        if (!span_to_int64(text, &n) || n < 0)
            return false;
        *open += 2 * (uint64_t)n;
        return true;
    default:
        return true;
    }
}

size_t resp_skip(struct span in)
{
    struct span rest = in;

    for (uint64_t open = 1; open > 0;) {
        open--;
        if (!take_element(&rest, &open))
            return 0;
    }
    return in.len - rest.len;
}
