/*
 * problems -- what is wrong with a file, all of it, each with its line.
 *
 * Readers add what they find in whatever order; it is printed in the order of the file, one
 * `FILE:LINE: message` a line. A problem of the file as a whole has line 0 and goes without one.
 * Memory:    owns the texts; zeroed memory is an empty list, and problems_release leaves it so.
 */
#ifndef HOST_PROBLEMS_H
#define HOST_PROBLEMS_H

#include <stdarg.h>

#include "base/buffer.h"

struct problem {
    int line;
    char *text;
};

struct problems {
    struct problem *at; /* [count], in the order found */
    size_t count;
};

void problems_add(struct problems *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends them to `out`, by line; those of one line in the order found. */
void problems_print(struct problems *p, const char *file, struct buffer *out);
void problems_release(struct problems *p);

#endif
