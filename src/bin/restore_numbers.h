/*
 * restore_numbers -- under which numbers a back-up may come back.
 *
 * A number stands in the stamps of all that was written under it. Who goes on writing under it must
 * know all of that; a back-up does not. So a restored region gets a number that the back-up has
 * never seen, and the numbers that nobody has any more are closed. Only regions' numbers are spoken of:
 * those of their streams of fences (policy/origin.h) follow from them.
 */
#ifndef BIN_RESTORE_NUMBERS_H
#define BIN_RESTORE_NUMBERS_H

#include "bin/manifest.h"
#include "policy/deployment.h"

/* False: `problem` (FILES_PROBLEM_MAX) says what to change in the configuration, and which numbers
 * are free. */
bool restore_numbers_fit(const struct manifest *m, const char *config_file,
                         const struct deployment *d, const struct region *self, char *problem);

#endif
