#define _GNU_SOURCE /* strptime, timegm */

#include "bin/moment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/clocks.h"
#include "store/cut.h"

/* A number is seconds up to the year 5138, milliseconds up to there, else a stamp. */
static const uint64_t seconds_end = 100000000000, ms_end = 100000000000000;

static bool parse_number(const char *text, stamp_t *moment)
{
    char *end;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (text[strspn(text, hex ? "0123456789abcdefABCDEFxX" : "0123456789")] != '\0')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, hex ? 16 : 10);
    if (errno != 0 || *end != '\0' || end == text)
        return false;
    if (hex || value >= ms_end)
        *moment = value;
    else
        *moment = cut_moment(value < seconds_end ? value * 1000 : value);
    return value > 0;
}

/* ".123…" at *text, as milliseconds. */
static uint64_t take_fraction(const char **text)
{
    uint64_t ms = 0, digits = 0;
    if (**text != '.')
        return 0;
    for (++*text; **text >= '0' && **text <= '9'; ++*text, digits++)
        ms = digits < 3 ? ms * 10 + (uint64_t)(**text - '0') : ms;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* "Z", "+01:00", or nothing: local time. False: something else. */
static bool take_zone(const char *text, struct tm *time, time_t *seconds)
{
    int hours, minutes, used = 0;
    if (*text == '\0') {
        time->tm_isdst = -1;
        *seconds = mktime(time);
        return true;
    }
    *seconds = timegm(time);
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if ((*text != '+' && *text != '-') ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || text[1 + used] != '\0' ||
        hours > 23 || minutes > 59)
        return false;
    long offset = hours * 3600L + minutes * 60L;
    *seconds += *text == '+' ? -offset : offset;
    return true;
}

static bool parse_time(const char *text, stamp_t *moment)
{
    static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S" };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm time = { 0 };
        time_t seconds;
        const char *rest = strptime(text, forms[i], &time);
        if (rest == NULL)
            continue;
        uint64_t ms = take_fraction(&rest);
        if (!take_zone(rest, &time, &seconds) || seconds <= 0)
            return false;
        *moment = cut_moment((uint64_t)seconds * 1000 + ms);
        return true;
    }
    return false;
}

bool moment_parse(const char *text, stamp_t *moment)
{
    return parse_number(text, moment) || parse_time(text, moment);
}

const char *moment_text(stamp_t moment, char text[MOMENT_TEXT_MAX])
{
    char all[CLOCKS_TEXT_MAX];
    clocks_text(stamp_ms(moment) * 1000, all);
    snprintf(text, MOMENT_TEXT_MAX, "%.*s", MOMENT_TEXT_MAX - 1, all);
    return text;
}
