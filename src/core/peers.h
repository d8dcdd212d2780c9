/*
 * peers -- the matrix: what each region is known to have, durably.
 *
 * One row a region: its durable vector, its applied vector, its instance. Rows come over links,
 * from the region itself or passed on; a row of a newer instance replaces, one of the same instance
 * is merged, an older one is ignored. From it: acknowledgements, lag, and the stable vector.
 */
#ifndef CORE_PEERS_H
#define CORE_PEERS_H

#include "clock/vector.h"

struct peers_row {
    uint8_t region;    /* number */
    uint64_t instance; /* 0: never heard of */
    struct vector applied, durable;
    uint64_t heard_us; /* when the row last changed, by our time */
};

struct peers {
    struct peers_row *rows; /* [count]: every region but ourselves */
    size_t count;
};

void peers_init(struct peers *p, const uint8_t *regions, size_t count);
void peers_release(struct peers *p);
struct peers_row *peers_row(struct peers *p, uint8_t region); /* NULL: not a member */

/* True when the row changed. */
bool peers_learn(struct peers *p, uint8_t region, uint64_t instance, const struct vector *applied,
                 const struct vector *durable, uint64_t now_us);

/* How many other regions have the stamp durably. */
uint32_t peers_acknowledged(const struct peers *p, stamp_t stamp);

/* The minimum over all regions (ours given): below it nobody lacks anything. `exempt` says of a place in
 * the matrix that it is not asked for an origin; NULL: all are asked for all. */
typedef bool (*peers_exempt)(const void *context, size_t place, uint8_t origin);
void peers_stable(const struct peers *p, const struct vector *own_durable, struct vector *out,
                  peers_exempt exempt, const void *context);

#endif
