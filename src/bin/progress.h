/*
 * progress -- what a long command tells on standard error: how far it is, at a terminal, and what was
 * wrong with single keys.
 */
#ifndef BIN_PROGRESS_H
#define BIN_PROGRESS_H

#include <stdbool.h>

#include "base/span.h"

enum { PROGRESS_PROBLEMS_MAX = 10 /* lines; further ones are only counted */ };

struct progress {
    const char *command;
    bool terminal;
    bool shown; /* a line without an end stands there */
    uint64_t shown_us;
    uint64_t began_us;
    uint64_t problems;
};

struct progress progress_of(const char *command);
double progress_seconds(const struct progress *p);

/* Whether it is time to tell something again: a few times a second, at a terminal. */
bool progress_due(struct progress *p);
void progress_tell(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void progress_clear(struct progress *p);

/* A line `meridian COMMAND: key "NAME": ...`. */
void progress_problem(struct progress *p, struct span key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
