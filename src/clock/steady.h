/*
 * steady -- a replica's own time: the monotonic clock plus an offset that is slewed, never stepped.
 *
 * The host hands in the monotonic and the wall clock; steady follows the wall clock by at most 500
 * parts per million of the time that passed, the rate at which Linux slews its own. A step of the
 * wall clock is so followed slowly, never in a jump; how much is still to follow stands in
 * behind_us, for the host to report. Pure: both clocks are arguments.
 */
#ifndef CLOCK_STEADY_H
#define CLOCK_STEADY_H

#include <stdint.h>

struct steady {
    int64_t offset_us;     /* steady = monotonic + offset */
    uint64_t last_mono_us; /* up to here passed time was turned into slewing */
    int64_t behind_us;     /* wall minus steady, when last read: what is still to be slewed */
};

void steady_init(struct steady *s, uint64_t mono_us, uint64_t wall_us);

/* The time in microseconds since 1970; never goes back while the monotonic clock does not. */
uint64_t steady_now_us(struct steady *s, uint64_t mono_us, uint64_t wall_us);

#endif
