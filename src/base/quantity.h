/*
 * quantity -- durations and sizes as people write them, in configurations and commands: 500ms, 5s, 64MB.
 *
 * A whole number and its unit, without which it would be somebody's guess; only 0 is the same in any.
 * What cannot be taken is told in words that end a sentence like "ack_timeout: ...".
 */
#ifndef BASE_QUANTITY_H
#define BASE_QUANTITY_H

#include "base/span.h"

enum { QUANTITY_PROBLEM_MAX = 160 };

/* Units ms, s, m, h; from `low` to `high` milliseconds. */
bool quantity_duration_ms(struct span text, int64_t low, int64_t high, int64_t *ms,
                          char problem[QUANTITY_PROBLEM_MAX]);

/* Units B, KB, MB, GB, powers of 1024; from `low` to `high` bytes. */
bool quantity_size_bytes(struct span text, int64_t low, int64_t high, int64_t *bytes,
                         char problem[QUANTITY_PROBLEM_MAX]);

#endif
