#include "cmd/glob.h"

/* Reads one member of a class off the pattern, which is not empty; true when it holds the byte. */
static bool member_matches(struct span *pattern, uint8_t byte)
{
    const uint8_t *at = pattern->at;

    if (pattern->len >= 2 && at[0] == '\\') {
        *pattern = span_skip(*pattern, 2);
        return at[1] == byte;
    }
    if (pattern->len >= 3 && at[1] == '-') {
        uint8_t low = at[0] < at[2] ? at[0] : at[2];
        uint8_t high = at[0] < at[2] ? at[2] : at[0];

        *pattern = span_skip(*pattern, 3);
        return low <= byte && byte <= high;
    }
    *pattern = span_skip(*pattern, 1);
    return at[0] == byte;
}

/* Reads a class off the pattern, which stands behind its '['. */
static bool class_matches(struct span *pattern, uint8_t byte)
{
    bool negated = pattern->len > 0 && pattern->at[0] == '^';
    bool found = false;

    if (negated)
        *pattern = span_skip(*pattern, 1);
    while (pattern->len > 0 && pattern->at[0] != ']')
        found |= member_matches(pattern, byte);
    *pattern = span_skip(*pattern, 1);
    return found != negated;
}

/* Reads one element, not a star, off the pattern, which is not empty; true when it takes the byte.
 */
static bool element_matches(struct span *pattern, uint8_t byte)
{
    uint8_t first = pattern->at[0];

    *pattern = span_skip(*pattern, 1);
    if (first == '?')
        return true;
    if (first == '[')
        return class_matches(pattern, byte);
    if (first == '\\' && pattern->len > 0) {
        first = pattern->at[0];
        *pattern = span_skip(*pattern, 1);
    }
    return first == byte;
}

bool glob_match(struct span pattern, struct span text)
{
    struct span after_star = { 0 }, starred_text = { 0 };
    bool starred = false;

    for (;;) {
        if (pattern.len > 0 && pattern.at[0] == '*') {
            pattern = span_skip(pattern, 1);
            if (pattern.len == 0)
                return true;
            starred = true;
            after_star = pattern;
            starred_text = text;
            continue;
        }
        if (text.len == 0)
            return pattern.len == 0;
        if (pattern.len > 0 && element_matches(&pattern, text.at[0])) {
            text = span_skip(text, 1);
            continue;
        }
        if (!starred)
            return false;
        /* The last star takes one byte more. An earlier one need not: what it could gain, this one
         * can. */
        starred_text = span_skip(starred_text, 1);
        text = starred_text;
        pattern = after_star;
    }
}
