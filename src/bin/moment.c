#define _GNU_SOURCE /* strptime, timegm */

#include "bin/moment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/clocks.h"
#include "store/cut.h"

/* As CONFLICT VERSIONS prints one; in decimal, stamps of this century have 19 digits. */
enum { STAMP_DIGITS = 16 };

/* Another number is seconds up to the year 5138, milliseconds up to there, else a stamp. */
static const uint64_t seconds_end = 100000000000, ms_end = 100000000000000;

static bool parse_number(const char *text, stamp_t *moment)
{
    char *end;
    bool prefixed = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    bool hex = prefixed || strlen(text) == STAMP_DIGITS;
    if (prefixed)
        text += 2;
    if (text[strspn(text, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
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

/* strptime is generous: with spaces, with one digit, with more years than there are. */
static bool has_form(const char *text, const char *form)
{
    for (; *form != '\0'; text++, form++) {
        bool digit = *text >= '0' && *text <= '9';
        if (*form == 'd' ? !digit : *text == '\0' || (*form != '?' && *text != *form))
            return false;
    }
    return true;
}

/* ".123…" at *text, as milliseconds; a point alone stays where it is. */
static uint64_t take_fraction(const char **text)
{
    uint64_t ms = 0, digits = 0;
    if (!has_form(*text, ".d"))
        return 0;
    for (++*text; **text >= '0' && **text <= '9'; ++*text, digits++)
        ms = digits < 3 ? ms * 10 + (uint64_t)(**text - '0') : ms;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* A day that its month has, hours to 23, seconds to 59: what is not there would become another time. */
static bool is_real(const struct tm *time)
{
    struct tm same = *time;
    timegm(&same);
    return same.tm_mday == time->tm_mday && same.tm_mon == time->tm_mon &&
           same.tm_hour == time->tm_hour && same.tm_min == time->tm_min &&
           same.tm_sec == time->tm_sec;
}

/* An hour that the clock leaves out in spring is none. */
static bool take_local(const struct tm *time, time_t *seconds)
{
    struct tm same = *time;
    same.tm_isdst = -1;
    *seconds = mktime(&same);
    return same.tm_hour == time->tm_hour && same.tm_min == time->tm_min;
}

/* "Z", "+01:00", or nothing: local time. False: something else. */
static bool take_zone(const char *text, struct tm *time, time_t *seconds)
{
    int hours, minutes;
    if (*text == '\0')
        return take_local(time, seconds);
    *seconds = timegm(time);
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if ((*text != '+' && *text != '-') || strlen(text) != 6 || !has_form(text + 1, "dd:dd") ||
        sscanf(text + 1, "%2d:%2d", &hours, &minutes) != 2 || hours > 23 || minutes > 59)
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
        if (!has_form(text, "dddd-dd-dd?dd:dd:dd") || !is_real(&time))
            return false;
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
