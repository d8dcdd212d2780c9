/*
 * bits -- a set of small numbers, a bit for each in words of 64: origins, regions, places.
 *
 * The caller knows how many words there are, and asks for no number beyond.
 */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bits_have(const uint64_t *words, size_t number)
{
    return words[number / 64] >> (number % 64) & 1;
}

static inline void bits_add(uint64_t *words, size_t number)
{
    words[number / 64] |= UINT64_C(1) << (number % 64);
}

static inline void bits_remove(uint64_t *words, size_t number)
{
    words[number / 64] &= ~(UINT64_C(1) << (number % 64));
}

/* The first number at or above *number, and below `end`; false: there is none. */
static inline bool bits_next(const uint64_t *words, uint32_t end, uint32_t *number)
{
    while (*number < end && !bits_have(words, *number))
        *number += words[*number / 64] >> (*number % 64) == 0 ? 64 - *number % 64 : 1;
    return *number < end;
}

#endif
