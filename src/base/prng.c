#include "base/prng.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* splitmix64 (Steele, Lea and Flood 2014), which the authors of xoshiro recommend for seeding. */
void prng_seed(struct prng *p, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        p->s[i] = z ^ z >> 31;
    }
}

struct prng prng_split(struct prng *p)
{
    struct prng made;

    prng_seed(&made, prng_next(p));
    return made;
}

uint64_t prng_next(struct prng *p)
{
    uint64_t *s = p->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* By multiplication, rejecting the few that would favour some results (Lemire 2019). */
uint64_t prng_below(struct prng *p, uint64_t bound)
{
    CHECK(bound > 0);
    uint64_t unfair = (0 - bound) % bound; /* 2^64 mod bound */
    unsigned __int128 product;

    do {
        product = (unsigned __int128)prng_next(p) * bound;
    } while ((uint64_t)product < unfair);
    return (uint64_t)(product >> 64);
}

bool prng_chance(struct prng *p, uint32_t ppm)
{
    return prng_below(p, 1000000) < ppm;
}

bool prng_percent(struct prng *p, uint32_t percent)
{
    return prng_below(p, 100) < percent;
}
