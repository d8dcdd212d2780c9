/*
 * logfmt -- lines of the log: key=value key="a value with \"quotes\"".
 *
 * A format has the quotes that begin and end values; what is put between them is escaped, so that
 * nothing that a peer, a file or a client says can end a value or begin a line. A format without
 * quotes is taken as it is: the line was made elsewhere.
 * Limits: a line that is longer than its room is cut, and a value that is cut ends with …".
 */
#ifndef BASE_LOGFMT_H
#define BASE_LOGFMT_H

#include <stdarg.h>
#include <stddef.h>

enum { LOGFMT_LINE_MAX = 2048 };

/* Prints into to[size], which ends with a 0; `size` is at most LOGFMT_LINE_MAX. Returns the length. */
size_t logfmt_print(char *to, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
