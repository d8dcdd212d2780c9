/*
 * prng -- reproducible random numbers (xoshiro256**, Blackman and Vigna 2018; seeded by
 * splitmix64).
 *
 * The only randomness below env/: seeded by the host from the kernel, by the simulator from its
 * seed. Not for secrets. prng_split gives an independent stream, so that a new consumer does not
 * reshuffle what the others draw.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_seed(struct prng *p, uint64_t seed);
struct prng prng_split(struct prng *p);
uint64_t prng_next(struct prng *p);
/* 0 <= x < bound; bound > 0; unbiased */
uint64_t prng_below(struct prng *p, uint64_t bound);
bool prng_chance(struct prng *p, uint32_t ppm); /* true with ppm / 1,000,000 */
bool prng_percent(struct prng *p, uint32_t percent);

#endif
