/*
 * told -- what the answer of a WITH tells beside the reply.
 */
#ifndef SIM_TOLD_H
#define SIM_TOLD_H

#include "sim/world.h"

struct told {
    struct span reply, token; /* borrowed; token: empty where it was not told */
    uint32_t region;          /* where it ran; UINT32_MAX: that was not told */
    uint32_t ack_count;       /* who acknowledged it, */
    uint32_t named_count;     /* those of them that are known by name, */
    uint32_t acked;           /* by place, as bits */
    stamp_t stamp;
};

/* Sets all that the answer has; the rest stays. */
void told_take(const struct sim_world *w, struct span answer, struct told *told);

/* "r2"; false when there is none of that name. */
bool sim_named_region(const struct sim_world *w, struct span name, uint32_t *region);

#endif
