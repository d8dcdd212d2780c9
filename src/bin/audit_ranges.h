/*
 * audit_ranges -- sets of stamps, as ranges (from, to]: what of a stream was sent, or taken.
 */
#ifndef BIN_AUDIT_RANGES_H
#define BIN_AUDIT_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "clock/stamp.h"

struct audit_range {
    stamp_t from, to;
};

struct audit_ranges {
    struct audit_range *at; /* [count], ascending, none touches the next */
    size_t count, cap;
};

void audit_ranges_release(struct audit_ranges *r);
void audit_ranges_add(struct audit_ranges *r, struct audit_range range);

/* The first part of `range` that is not in the set: false when all of it is. */
bool audit_ranges_lacks(const struct audit_ranges *r, struct audit_range range,
                        struct audit_range *part);

#endif
