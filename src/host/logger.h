/*
 * logger -- the server's own log: one logfmt line an event on standard error.
 *
 *     ts=2026-11-21T10:00:00.123Z level=info ev=link.up peer=eu-de
 *
 * A line is one write(2), so that lines of several processes on one file do not mix. What is longer
 * than LOGGER_LINE_MAX is cut there.
 * Threads: any.
 */
#ifndef HOST_LOGGER_H
#define HOST_LOGGER_H

enum { LOGGER_LINE_MAX = 2048 };

enum logger_level {
    LOGGER_INFO,
    LOGGER_WARNING,
    LOGGER_ERROR,
};

/* `format` begins with the event: "ev=accept.failed cause=\"%s\"". What is put between its quotes is
 * escaped (base/logfmt.h). */
void logger_line(enum logger_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
