#include "policy/round_trips.h"

#include <string.h>

#include "base/check.h"
#include "base/memory.h"

void round_trips_init(struct round_trips *t, size_t count)
{
    CHECK(count <= REGION_ID_MAX);
    t->told_us = mem_zalloc(count * count * sizeof(*t->told_us));
    t->count = count;
}

void round_trips_release(struct round_trips *t)
{
    mem_free(t->told_us);
    *t = (struct round_trips){ 0 };
}

static uint32_t *cell(const struct round_trips *t, size_t from, size_t to)
{
    CHECK(from < t->count && to < t->count);
    return &t->told_us[from * t->count + to];
}

static bool set(uint32_t *told, uint32_t us)
{
    bool changed = *told != us;
    *told = us;
    return changed;
}

/* Whether a measurement says no more than what was told. */
static bool is_jitter(uint32_t told_us, uint32_t us)
{
    uint32_t apart = told_us > us ? told_us - us : us - told_us;
    if (told_us == ROUND_TRIP_UNKNOWN || told_us == ROUND_TRIP_DOWN)
        return false;
    return apart <= ROUND_TRIP_JITTER_MIN_US || apart <= told_us / ROUND_TRIP_JITTER_DIVISOR;
}

bool round_trips_measure(struct round_trips *t, size_t from, size_t to, uint64_t us)
{
    uint32_t *told = cell(t, from, to);
    CHECK(from != to);
    if (us == ROUND_TRIP_UNKNOWN)
        us = 1; /* within one tick of the clock */
    if (us >= ROUND_TRIP_DOWN)
        us = ROUND_TRIP_DOWN - 1;
    return !is_jitter(*told, (uint32_t)us) && set(told, (uint32_t)us);
}

bool round_trips_lose(struct round_trips *t, size_t from, size_t to)
{
    CHECK(from != to);
    return set(cell(t, from, to), ROUND_TRIP_DOWN);
}

bool round_trips_hear(struct round_trips *t, size_t from, const uint32_t *row)
{
    uint32_t *told = cell(t, from, 0);
    size_t bytes = t->count * sizeof(*row);
    bool changed = memcmp(told, row, bytes) != 0;
    memmove(told, row, bytes);
    return changed;
}

const uint32_t *round_trips_row(const struct round_trips *t, size_t from)
{
    return cell(t, from, 0);
}

uint32_t round_trips_between(const struct round_trips *t, size_t a, size_t b)
{
    if (t == NULL)
        return ROUND_TRIP_UNKNOWN;
    uint32_t there = *cell(t, a, b), back = *cell(t, b, a);
    if (there == ROUND_TRIP_DOWN || back == ROUND_TRIP_DOWN)
        return ROUND_TRIP_DOWN;
    if (there == ROUND_TRIP_UNKNOWN || back == ROUND_TRIP_UNKNOWN)
        return there | back;
    return (uint32_t)(((uint64_t)there + back) / 2);
}

uint64_t round_trips_cost(const struct round_trips *t, size_t a, size_t b)
{
    uint32_t us = round_trips_between(t, a, b);
    uint64_t down = us == ROUND_TRIP_DOWN;
    return down << 56 | 1ull << 48 | (us == ROUND_TRIP_UNKNOWN ? UINT32_MAX : us);
}
