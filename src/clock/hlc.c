#include "clock/hlc.h"

#include "base/mutation.h"

/* The first time (milliseconds and counter) of a millisecond. */
static uint64_t start_of(uint64_t ms)
{
    return ms << STAMP_COUNTER_BITS;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The time that the next stamp carries: the counter runs over into the millisecond when full. */
static uint64_t next_time(const struct hlc *clock, uint64_t now_ms)
{
    return max_of(clock->last + 1, start_of(now_ms));
}

void hlc_init(struct hlc *clock, uint64_t persisted_ceiling_ms)
{
    clock->ceiling_ms = persisted_ceiling_ms;
    if (MUTATION(reuses_stamps))
        persisted_ceiling_ms = 0;
    clock->last = persisted_ceiling_ms == 0 ? 0 : start_of(persisted_ceiling_ms) - 1;
}

stamp_t hlc_tick(struct hlc *clock, uint64_t now_ms, uint8_t origin)
{
    clock->last = next_time(clock, now_ms);
    return clock->last << STAMP_ORIGIN_BITS | origin;
}

void hlc_see(struct hlc *clock, stamp_t seen)
{
    clock->last = max_of(clock->last, stamp_time(seen));
}

uint64_t hlc_now_ms(const struct hlc *clock, uint64_t now_ms)
{
    return next_time(clock, now_ms) >> STAMP_COUNTER_BITS;
}

/*
 * Everything before this millisecond is over, and so is every stamp already made; the clock is held
 * to that. Not above the ceiling: the next run may issue from there on. Own stamps are all below
 * it.
 */
stamp_t hlc_heartbeat(struct hlc *clock, uint64_t now_ms, uint8_t origin)
{
    uint64_t limit = start_of(clock->ceiling_ms);

    if (limit == 0)
        return 0;
    if (now_ms > 0)
        clock->last = max_of(clock->last, start_of(now_ms) - 1);
    if (MUTATION(promises_too_much))
        return max_of(clock->last, start_of(now_ms + 10)) << STAMP_ORIGIN_BITS | origin;
    return (clock->last < limit ? clock->last : limit - 1) << STAMP_ORIGIN_BITS | origin;
}

uint64_t hlc_ahead_ms(const struct hlc *clock, uint64_t now_ms)
{
    return hlc_now_ms(clock, now_ms) - now_ms;
}

bool hlc_needs_ceiling(const struct hlc *clock, uint64_t now_ms)
{
    return hlc_now_ms(clock, now_ms) >= clock->ceiling_ms;
}

/* While the clock runs ahead of time there is less room below now + ahead_ms: half of what there is
 * counts. */
uint64_t hlc_next_ceiling(const struct hlc *clock, uint64_t now_ms, uint64_t ahead_ms)
{
    uint64_t at_ms = hlc_now_ms(clock, now_ms);
    uint64_t target_ms = now_ms + ahead_ms;

    if (target_ms <= at_ms || target_ms <= clock->ceiling_ms)
        return 0;
    if (clock->ceiling_ms >= at_ms + (target_ms - at_ms + 1) / 2)
        return 0;
    return target_ms;
}

void hlc_raise_ceiling(struct hlc *clock, uint64_t ceiling_ms)
{
    clock->ceiling_ms = max_of(clock->ceiling_ms, ceiling_ms);
}
