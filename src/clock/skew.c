#include "clock/skew.h"

#include <stddef.h>

#include "base/check.h"

/* Microseconds since 1970 stay below this for 70,000 years; above, sums of two would overflow. */
#define TIME_MAX_US (UINT64_C(1) << 61)

void skew_init(struct skew *s, uint64_t limit_us)
{
    *s = (struct skew){ .limit_us = limit_us };
}

static bool is_possible(uint64_t t0_us, uint64_t t1_us, uint64_t t2_us, uint64_t t3_us)
{
    if (t0_us > t3_us || t1_us > t2_us || t2_us > TIME_MAX_US || t3_us > TIME_MAX_US)
        return false;
    return t2_us - t1_us <= t3_us - t0_us;
}

void skew_measure(struct skew *s, uint32_t peer, uint64_t t0_us, uint64_t t1_us, uint64_t t2_us,
                  uint64_t t3_us)
{
    CHECK(peer < SKEW_PEERS_MAX);
    struct skew_peer *p = &s->peers[peer];

    if (!is_possible(t0_us, t1_us, t2_us, t3_us))
        return;
    p->samples[p->next] = (struct skew_sample){
        .offset_us = ((int64_t)(t1_us - t0_us) + (int64_t)(t2_us - t3_us)) / 2,
        .rtt_us = (t3_us - t0_us) - (t2_us - t1_us),
        .at_us = t3_us,
    };
    p->next = (p->next + 1) % SKEW_SAMPLES;
    if (p->count < SKEW_SAMPLES)
        p->count++;
}

void skew_forget(struct skew *s, uint32_t peer)
{
    CHECK(peer < SKEW_PEERS_MAX);
    s->peers[peer] = (struct skew_peer){ 0 };
}

/* The shorter the round trip, the smaller the error; of equal ones the newest. */
static const struct skew_sample *best_sample(const struct skew *s, uint32_t peer)
{
    const struct skew_sample *best = NULL;

    for (uint32_t i = 0; i < s->peers[peer].count; i++) {
        const struct skew_sample *one = &s->peers[peer].samples[i];

        if (best == NULL || one->rtt_us < best->rtt_us ||
            (one->rtt_us == best->rtt_us && one->at_us > best->at_us))
            best = one;
    }
    return best;
}

bool skew_peer_offset(const struct skew *s, uint32_t peer, int64_t *offset_us, uint64_t *rtt_us)
{
    CHECK(peer < SKEW_PEERS_MAX);
    const struct skew_sample *best = best_sample(s, peer);

    if (best == NULL)
        return false;
    *offset_us = best->offset_us;
    *rtt_us = best->rtt_us;
    return true;
}

static void insert_sorted(int64_t *values, uint32_t count, int64_t value)
{
    for (; count > 0 && values[count - 1] > value; count--)
        values[count] = values[count - 1];
    values[count] = value;
}

/*
 * The median when each peer's true offset is its measured one plus `error_sign` times the most it
 * can be wrong by (half the round trip). Medians keep order, so -1 and +1 bound the true median.
 */
static int64_t median(const struct skew *s, int error_sign)
{
    int64_t values[SKEW_PEERS_MAX + 1] = { 0 }; /* the first is ourselves */
    uint32_t count = 1;

    for (uint32_t peer = 0; peer < SKEW_PEERS_MAX; peer++) {
        const struct skew_sample *best = best_sample(s, peer);

        if (best != NULL)
            insert_sorted(values, count++,
                          best->offset_us + error_sign * (int64_t)((best->rtt_us + 1) / 2));
    }
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

int64_t skew_median_us(const struct skew *s)
{
    return median(s, 0);
}

bool skew_is_off(const struct skew *s)
{
    return median(s, -1) > (int64_t)s->limit_us || median(s, 1) < -(int64_t)s->limit_us;
}
