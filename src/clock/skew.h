/*
 * skew -- is this region's clock one to be trusted with writes?
 *
 * Every link measures its peer's offset with four timestamps (NTP, RFC 5905 section 8; error at
 * most half the round trip); skew keeps the best recent measurement of each peer and judges this
 * region against the median of itself (0) and its peers. Pure: measurements and time are arguments.
 */
#ifndef CLOCK_SKEW_H
#define CLOCK_SKEW_H

#include <stdbool.h>
#include <stdint.h>

enum { SKEW_PEERS_MAX = 255, SKEW_SAMPLES = 8 };

struct skew_sample {
    int64_t offset_us; /* peer's time minus ours */
    uint64_t rtt_us;
    uint64_t at_us; /* our time of the measurement */
};

struct skew {
    struct skew_peer {
        struct skew_sample samples[SKEW_SAMPLES];
        uint32_t next, count;
    } peers[SKEW_PEERS_MAX];
    uint64_t limit_us; /* max_skew / 2 */
};

void skew_init(struct skew *s, uint64_t limit_us);

/* t0: we sent; t1: the peer received; t2: it answered; t3: we received. t0, t3 by our time, t1, t2
 * by the peer's. */
/* Times that cannot be (an answer before its question) are ignored: they come from a peer. */
void skew_measure(struct skew *s, uint32_t peer, uint64_t t0_us, uint64_t t1_us, uint64_t t2_us,
                  uint64_t t3_us);

/* A peer whose link is down no longer counts. */
void skew_forget(struct skew *s, uint32_t peer);

/* Of the sample with the least round trip. False when nothing is known of that peer. */
bool skew_peer_offset(const struct skew *s, uint32_t peer, int64_t *offset_us, uint64_t *rtt_us);

/* The median offset of ourselves (0) and all measured peers: what to add to our time to get theirs.
 * Of an even number it is the mean of the middle two. */
int64_t skew_median_us(const struct skew *s);

/* True when the median is further than the limit even if every measurement erred in our favour.
 * Where the regions are split evenly neither half can tell who is wrong, and both are off: so with
 * one peer each side is off when the two differ by more than twice the limit, the median being the
 * mean of both. False without peers. */
bool skew_is_off(const struct skew *s);

#endif
