/*
 * logger -- the server's own log: one logfmt line an event on standard error.
 *
 *     ts=2026-11-21T10:00:00.123Z level=info ev=link.up peer=eu-de
 *
 * A line is one write(2), so that lines of several processes on one file do not mix. What is longer
 * than
 * LOGGER_LINE_MAX is cut there. Threads: any; the loop's thread is the only one that does.
 */
#ifndef HOST_LOGGER_H
#define HOST_LOGGER_H

#include <stddef.h>
#include <stdint.h>

enum { LOGGER_LINE_MAX = 1024 };

enum logger_level {
    LOGGER_INFO,
    LOGGER_WARNING,
    LOGGER_ERROR,
};

/* `format` begins with the event: "ev=listen.failed address=%s". A line break in it becomes a
 * space. */
void logger_line(enum logger_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A value for a line: quoted, with quotes and line breaks inside made harmless. Returns `to`. */
const char *logger_quote(const char *text, char *to, size_t to_bytes);

#endif
