/*
 * round_trips -- how long messages take between regions: what each region tells of its own links.
 *
 * Regions stand in the matrix by their place, the index in the deployment's list. A region measures
 * its own links and tells its row to the others; the plans (policy/graph.h) are functions of the
 * told matrix and of nothing else, so that regions that have heard the same rows plan the same. A
 * plan that remembered the one before would not have that: two regions that heard the rows in
 * different orders could keep different trees for good, and wait for each other. So what keeps a
 * jitter from rebuilding a tree stands here, before the telling: a told round trip stays until the
 * measured one differs by more than a tenth, and by more than 2 ms, which a busy loop adds. A link
 * that is lost, or comes up, is told at once.
 *
 * Limits:    255 regions; a matrix of them has 260 KB.
 * Memory:    a matrix owns its numbers; round_trips_release frees them and leaves zeroes.
 * Pure.
 */
#ifndef POLICY_ROUND_TRIPS_H
#define POLICY_ROUND_TRIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/region.h"

#define ROUND_TRIP_UNKNOWN 0u         /* not measured yet; the link may well be up */
#define ROUND_TRIP_DOWN    UINT32_MAX /* no answer comes */

enum {
    ROUND_TRIP_JITTER_DIVISOR = 10,  /* a change by less than a tenth, */
    ROUND_TRIP_JITTER_MIN_US = 2000, /* or by less than this, is not told; guess */
};

struct round_trips {
    uint32_t *told_us; /* [count * count]: what the row's region tells of the column's */
    size_t count;
};

/* Nothing is known yet; count <= REGION_ID_MAX. */
void round_trips_init(struct round_trips *t, size_t count);
void round_trips_release(struct round_trips *t);

/* Our own row, at `from`: a smoothed measurement, or the loss of the link. True when the row
 * changed: it is to be told, and the plans are to be made again. */
bool round_trips_measure(struct round_trips *t, size_t from, size_t to, uint64_t us);
bool round_trips_lose(struct round_trips *t, size_t from, size_t to);

/* Another region's row [count], as it told it; of two rows the caller knows the later. True when it
 * changed. */
bool round_trips_hear(struct round_trips *t, size_t from, const uint32_t *row);
const uint32_t *round_trips_row(const struct round_trips *t, size_t from);

/* Between two regions, in either order, whoever told it: down when either says so, the mean when
 * both measured it, ROUND_TRIP_UNKNOWN when neither did. Of a NULL matrix everything is unknown. */
uint32_t round_trips_between(const struct round_trips *t, size_t a, size_t b);

/*
 * What a link adds to the cost of a way that takes it. Costs of ways are sums, and compare as
 * integers:
 *
 *     | 8 bits: links that are down | 8 bits: links | 48 bits: microseconds |
 *
 * so a cheap way avoids links that are down, then is short, then is fast. A link without a
 * measurement counts as slower than any. Ways have at most 254 links: nothing carries over.
 */
uint64_t round_trips_cost(const struct round_trips *t, size_t a, size_t b);

static inline uint8_t round_trips_cost_down(uint64_t cost)
{
    return (uint8_t)(cost >> 56);
}

static inline uint8_t round_trips_cost_links(uint64_t cost)
{
    return (uint8_t)(cost >> 48);
}

/* ROUND_TRIP_UNKNOWN where some link has no measurement. */
static inline uint32_t round_trips_cost_us(uint64_t cost)
{
    uint64_t us = cost & ((1ull << 48) - 1);
    return us < UINT32_MAX ? (uint32_t)us : ROUND_TRIP_UNKNOWN;
}

#endif
