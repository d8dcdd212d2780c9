/*
 * hlc -- the hybrid logical clock of a replica: makes stamps, never goes back.
 *
 * Time comes in as an argument (milliseconds since 1970 by the replica's own disciplined time, see
 * steady.h). Stamps of every origin of a replica come from one clock and only grow. A ceiling,
 * persisted by the owner before it is used, bounds what may be issued: after a restart the clock
 * starts at the last ceiling, so no stamp is ever issued twice.
 */
#ifndef CLOCK_HLC_H
#define CLOCK_HLC_H

#include <stdbool.h>

#include "clock/stamp.h"

struct hlc {
    uint64_t last;       /* milliseconds << 12 | counter of the newest stamp made or seen */
    uint64_t ceiling_ms; /* stamps must stay below this time; durable */
};

/* Starts at or above the ceiling that the last run persisted (0: none). */
void hlc_init(struct hlc *clock, uint64_t persisted_ceiling_ms);

/* The next stamp of `origin`: greater than everything made or seen, at least now. Does not stop at
 * the ceiling: a group that was begun below it may pass it, for its stamps stand in the log before
 * anybody hears of them. */
stamp_t hlc_tick(struct hlc *clock, uint64_t now_ms, uint8_t origin);

/* Moves the clock to at least the time of a stamp that was received. */
void hlc_see(struct hlc *clock, stamp_t seen);

/* The millisecond that a stamp made now would carry: by this expiry is judged. */
uint64_t hlc_now_ms(const struct hlc *clock, uint64_t now_ms);

/* A heartbeat's stamp: the greatest time that every later hlc_tick(now or later) surpasses; does
 * not move the clock past `now_ms`. */
stamp_t hlc_heartbeat(struct hlc *clock, uint64_t now_ms, uint8_t origin);

/* How far the clock runs ahead of time, in milliseconds; own writes wait above max_skew / 2. */
uint64_t hlc_ahead_ms(const struct hlc *clock, uint64_t now_ms);

/* True when the next stamp at `now_ms` would reach the ceiling: the owner must persist a higher one
 * first. */
bool hlc_needs_ceiling(const struct hlc *clock, uint64_t now_ms);

/* The ceiling that should be persisted next (now + ahead_ms), when the current one is nearer than
 * ahead_ms / 2; 0 when it is still far. Call hlc_raise_ceiling when it is durable. */
uint64_t hlc_next_ceiling(const struct hlc *clock, uint64_t now_ms, uint64_t ahead_ms);
void hlc_raise_ceiling(struct hlc *clock, uint64_t ceiling_ms);

#endif
