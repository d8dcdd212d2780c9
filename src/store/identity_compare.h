/*
 * identity_compare -- a data directory against a configuration: whether it may be used with that, and what
 * of it goes on. The rules are those of identity_claim (store/identity.h).
 */
#ifndef STORE_IDENTITY_COMPARE_H
#define STORE_IDENTITY_COMPARE_H

#include "store/identity.h"

/* E_OK, or E_FOREIGN with one line for people in problem[320]: regions, fences, shards. */
int identity_compare(const struct identity *had, const struct identity *want, char *problem);
/* Only the fences. */
int identity_compare_fences(const struct identity *had, const struct identity *want, char *problem);

/* The next instance, with what stays of what was known: nothing of numbers that were given up, ours among
 * them. `had` is all zeros for a new directory. */
void identity_inherit(struct identity *out, const struct identity *had);
/* Only the prefixes, and which fences were joined since; out->instance is that of the run. */
void identity_inherit_fences(struct identity *out, const struct identity *had);

#endif
