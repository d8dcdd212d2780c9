/*
 * suggest -- the word that somebody meant: the nearest of those offered, if it is near enough.
 *
 * Distance: insertions, deletions, substitutions and swaps of neighbours (optimal string alignment,
 * after Damerau 1964), ASCII case ignored. Near enough is a third of the word's length, at least 1.
 * Words longer than SUGGEST_WORD_MAX are never near anything.
 */
#ifndef HOST_SUGGEST_H
#define HOST_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_WORD_MAX = 40 };

struct suggest {
    const char *word; /* borrowed, as is `best` */
    const char
        *best; /* the nearest so far, the first offered among equals; NULL when none is near */
    size_t distance; /* of `best` */
};

static inline struct suggest suggest_for(const char *word)
{
    return (struct suggest){ .word = word };
}

void suggest_offer(struct suggest *s, const char *candidate);

#endif
