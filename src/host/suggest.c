#include "host/suggest.h"

#include <ctype.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int folded(char c)
{
    return tolower((unsigned char)c);
}

/* Row by row over the table of prefixes; a swap looks two rows back. */
static size_t distance_of(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = folded(a[i - 1]) != folded(b[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + changed);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b_len];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t word_len = strlen(s->word);
    size_t candidate_len = strlen(candidate);
    if (word_len > SUGGEST_WORD_MAX || candidate_len > SUGGEST_WORD_MAX)
        return;

    size_t distance = distance_of(s->word, word_len, candidate, candidate_len);
    size_t near = word_len < 6 ? 1 : word_len / 3;
    if (distance <= near && (!s->best || distance < s->distance)) {
        s->best = candidate;
        s->distance = distance;
    }
}
