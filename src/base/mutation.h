/*
 * mutation -- deliberate defects, for the test of the tests: would the simulator find them?
 *
 * `MUTATION(name)` is true when the defect of that name was chosen on the command line of the
 * program that tests/meson.build makes for this (MERIDIAN_MUTATIONS). Everywhere else it is the
 * constant false, and nothing is left of it. The defects are listed in mutation.def.
 */
#ifndef BASE_MUTATION_H
#define BASE_MUTATION_H

#include <stdbool.h>

#ifdef MERIDIAN_MUTATIONS

enum mutation {
    MUTATION_NONE,
#define MUTATION_ROW(name, what) MUTATION_##name,
#include "base/mutation.def"
#undef MUTATION_ROW
};

extern enum mutation mutation_chosen; /* set once, before anything runs */

#define MUTATION(name)  (mutation_chosen == MUTATION_##name)
#define MUTATION_OPTION "--mutation"

/* False, and it was said, when there is none of that name. */
bool mutation_choose(const char *name);

#else

#define MUTATION(name)  false
#define MUTATION_OPTION NULL /* the end of a table of options */

static inline bool mutation_choose(const char *name)
{
    (void)name;
    return false;
}

#endif

#endif
