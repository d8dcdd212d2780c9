#include "bin/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "host/clocks.h"

enum { PERIOD_US = 200 * 1000, NAME_MAX_BYTES = 80 };

struct progress progress_of(const char *command)
{
    return (struct progress){
        .command = command,
        .terminal = isatty(STDERR_FILENO),
        .began_us = clocks_monotonic_us(),
    };
}

double progress_seconds(const struct progress *p)
{
    return (double)(clocks_monotonic_us() - p->began_us) / 1e6;
}

bool progress_due(struct progress *p)
{
    uint64_t now_us;

    if (!p->terminal)
        return false;
    now_us = clocks_monotonic_us();
    if (now_us - p->shown_us < PERIOD_US)
        return false;
    p->shown_us = now_us;
    return true;
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

void progress_tell(struct progress *p, const char *format, ...)
{
    va_list args;

    progress_clear(p);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fflush(stderr);
    p->shown = true;
}

/* A name from a file may be anything: what a terminal would not show stands there in hexadecimal. */
static void print_name(struct span name)
{
    for (size_t i = 0; i < name.len && i < NAME_MAX_BYTES; i++) {
        uint8_t c = name.at[i];

        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
            fputc(c, stderr);
        else
            fprintf(stderr, "\\x%02x", c);
    }
    if (name.len > NAME_MAX_BYTES)
        fputs("...", stderr);
}

void progress_problem(struct progress *p, struct span key, const char *format, ...)
{
    va_list args;

    if (++p->problems > PROGRESS_PROBLEMS_MAX)
        return;
    progress_clear(p);
    fprintf(stderr, "meridian %s: key \"", p->command);
    print_name(key);
    fputs("\": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (p->problems == PROGRESS_PROBLEMS_MAX)
        fprintf(stderr, "meridian %s: further keys are not named\n", p->command);
}
