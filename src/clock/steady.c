#include "clock/steady.h"

/* 500 parts per million: one microsecond in this many. */
enum { SLEW_INTERVAL_US = 2000 };

void steady_init(struct steady *s, uint64_t mono_us, uint64_t wall_us)
{
    *s = (struct steady){ .offset_us = (int64_t)(wall_us - mono_us), .last_mono_us = mono_us };
}

static int64_t clamp(int64_t v, int64_t limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

/*
 * Passed time earns slewing, a microsecond per interval; what is left of an interval counts for the
 * next call, so that calls in quick succession slew too. With nothing to follow nothing is saved
 * up.
 */
static void slew(struct steady *s, uint64_t mono_us, int64_t wanted_us)
{
    int64_t earned_us;

    if (mono_us <= s->last_mono_us)
        return;
    earned_us = (int64_t)((mono_us - s->last_mono_us) / SLEW_INTERVAL_US);
    s->offset_us += clamp(wanted_us, earned_us);
    if (clamp(wanted_us, earned_us) == wanted_us)
        s->last_mono_us = mono_us;
    else
        s->last_mono_us += (uint64_t)earned_us * SLEW_INTERVAL_US;
}

static int64_t behind(const struct steady *s, uint64_t mono_us, uint64_t wall_us)
{
    return (int64_t)(wall_us - mono_us) - s->offset_us;
}

uint64_t steady_now_us(struct steady *s, uint64_t mono_us, uint64_t wall_us)
{
    slew(s, mono_us, behind(s, mono_us, wall_us));
    s->behind_us = behind(s, mono_us, wall_us);
    return mono_us + (uint64_t)s->offset_us;
}
