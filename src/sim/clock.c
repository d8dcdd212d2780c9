/*
 * clock -- the clocks of a region's machine, and the time that its process makes of them.
 *
 * As host/clocks.c and host/loop.c: a monotonic clock, which also runs while the machine sleeps, a
 * wall clock, which is set now and then, and clock/steady.h over both, which begins with the
 * process. Both clocks share the machine's drift.
 */
#include "sim/world.h"

enum { BOOT_US = 1000000 }; /* no machine has just been started */

/* What a process's time may be off by and still be called right: the offset of a right wall clock,
 * and what drift and slewing make of it in a run. Two such are well within max_skew. */
enum { RIGHT_MAX_US = 125000 };

static uint64_t monotonic_us(const struct sim_world *w, const struct sim_region *r)
{
    uint64_t since_us = w->now_us - SIM_START_US;
    int64_t awake_us = (int64_t)(since_us - w->slept_us);
    return BOOT_US + since_us + (uint64_t)(awake_us * w->plan.clock_drift_ppm[r->index] / 1000000);
}

static uint64_t wall_us(const struct sim_world *w, const struct sim_region *r)
{
    return monotonic_us(w, r) + (uint64_t)r->clock.wall_offset_us;
}

void sim_clock_set(struct sim_world *w, struct sim_region *r, int64_t error_us)
{
    r->clock.wall_offset_us = (int64_t)(w->now_us - monotonic_us(w, r)) + error_us;
}

void sim_clock_start(struct sim_world *w, struct sim_region *r)
{
    steady_init(&r->clock.steady, monotonic_us(w, r), wall_us(w, r));
}

uint64_t sim_clock_now_us(struct sim_world *w, struct sim_region *r)
{
    return steady_now_us(&r->clock.steady, monotonic_us(w, r), wall_us(w, r));
}

int64_t sim_clock_error_us(struct sim_world *w, struct sim_region *r)
{
    return (int64_t)(sim_clock_now_us(w, r) - w->now_us);
}

bool sim_clock_is_right(struct sim_world *w, struct sim_region *r)
{
    int64_t error_us = sim_clock_error_us(w, r);
    return error_us <= RIGHT_MAX_US && error_us >= -RIGHT_MAX_US;
}
