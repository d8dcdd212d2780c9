#include "host/clocks.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_us(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clocks_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clocks_boottime_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

uint64_t clocks_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

void clocks_text(uint64_t wall_us, char text[CLOCKS_TEXT_MAX])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    size_t len;

    gmtime_r(&seconds, &utc);
    len = strftime(text, CLOCKS_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, CLOCKS_TEXT_MAX - len, ".%03uZ", (unsigned)(wall_us / 1000 % 1000));
}
