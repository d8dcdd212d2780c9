/*
 * scan -- finds what the source of a merge function may not contain.
 *
 * Two things cannot be taken away by leaving a library out, as they are part of the language: the
 * operator ^ (pow() of the C library is not exact, and differs between machines) and the name
 * _ENV (with it a function could replace its globals). The scan knows comments and strings of
 * Lua 5.4 and no more; whether the source is Lua at all the compiler judges.
 */
#ifndef MERGE_SCAN_H
#define MERGE_SCAN_H

#include "base/span.h"

/* What is refused first, for a message, and its line; NULL when nothing is. */
const char *scan_refused(struct span source, int *line);

#endif
