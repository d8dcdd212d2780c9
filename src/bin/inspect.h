/*
 * inspect -- what its parts share: how things are shown, and what was found to be bad.
 */
#ifndef BIN_INSPECT_H
#define BIN_INSPECT_H

#include "bin/files.h"
#include "bin/lines.h"
#include "bin/manifest.h"

struct inspect {
    const char *path;
    bool json, keys;
    uint64_t from_lsn;
    struct lines lines;
    char problem[FILES_PROBLEM_MAX]; /* the first; "": none */
};

/* Notes what is bad, and shows it as a line "damaged". */
void inspect_damage(struct inspect *x, const char *where, const char *what);

/* All of these are false when it is no use to go on: standard output is gone. */

/* The log of a directory; or, of one segment of it only, that which starts at `only`, unless
 * UINT64_MAX. `until`: only up to there; UINT64_MAX: to its end. */
bool inspect_log(struct inspect *x, const char *directory, uint64_t only, uint64_t until);

/* The directory that holds data.mdb. */
bool inspect_checkpoint(struct inspect *x, const char *directory);

#endif
