/*
 * moment -- points in time as people write them.
 *
 *     2026-11-21T10:00:00Z, …+01:00, also .123         RFC 3339
 *     2026-11-21 10:00:00, also with T, no zone        local time
 *     1795255200, 1795255200123                        seconds, milliseconds since 1970
 *     0x19f…, 1882449…                                 a stamp (clock/stamp.h)
 */
#ifndef BIN_MOMENT_H
#define BIN_MOMENT_H

#include <stdbool.h>

#include "clock/stamp.h"

enum { MOMENT_TEXT_MAX = 32 };

/* A time means all of its millisecond. */
bool moment_parse(const char *text, stamp_t *moment);

/* RFC 3339, in UTC. */
const char *moment_text(stamp_t moment, char text[MOMENT_TEXT_MAX]);

#endif
