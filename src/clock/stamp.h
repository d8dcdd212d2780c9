/*
 * stamp -- the version of everything.
 *
 *     | 44 bits: milliseconds since 1970 | 12 bits: counter | 8 bits: origin |
 *
 * One integer is the version, the dot, the last-writer-wins order, the dependency and the age of a
 * write. Compare as integers. 0 is "never": before every stamp of every origin.
 * Source:  hybrid logical clocks (Kulkarni et al. 2014), packed.
 */
#ifndef CLOCK_STAMP_H
#define CLOCK_STAMP_H

#include <stdint.h>

typedef uint64_t stamp_t;

enum {
    STAMP_ORIGIN_BITS = 8,
    STAMP_COUNTER_BITS = 12,
    STAMP_ORIGINS = 256,
    STAMP_COUNTER_MAX = (1 << STAMP_COUNTER_BITS) - 1,
};

static inline stamp_t stamp_make(uint64_t ms, uint32_t counter, uint8_t origin)
{
    return (ms << (STAMP_COUNTER_BITS + STAMP_ORIGIN_BITS)) |
           ((uint64_t)counter << STAMP_ORIGIN_BITS) | origin;
}

static inline uint8_t stamp_origin(stamp_t s)
{
    return (uint8_t)s;
}

static inline uint64_t stamp_ms(stamp_t s)
{
    return s >> (STAMP_COUNTER_BITS + STAMP_ORIGIN_BITS);
}

static inline uint32_t stamp_counter(stamp_t s)
{
    return (uint32_t)(s >> STAMP_ORIGIN_BITS) & STAMP_COUNTER_MAX;
}

/* Milliseconds and counter without the origin: one step per possible stamp of an origin. */
static inline uint64_t stamp_time(stamp_t s)
{
    return s >> STAMP_ORIGIN_BITS;
}

#endif
