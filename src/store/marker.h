/*
 * marker -- the file that says: this region is being bootstrapped.
 *
 * It is durable before anything is given up for the bootstrap, and goes when all is back: so
 * whoever finds it goes on with the bootstrap (node/bootstrap.h), whatever was interrupted. It
 * keeps what the checkpoint that is being replaced cannot: how far the old log goes, what it does
 * not reach back to, and what the region had.
 *
 *     8   magic "MRDNBST1"
 *     4   format version (1)
 *     8   instance      8   began_us      8   end LSN
 *     v   floor         v   had           (clock/vector.h)
 *     1   tail_of
 *     4   CRC32C of all before
 *
 * Replaced as a whole, like the identity. Damaged: an error, never guessed.
 */
#ifndef STORE_MARKER_H
#define STORE_MARKER_H

#include "clock/vector.h"
#include "env/disk.h"

enum { MARKER_PROBLEM_MAX = 320 };

struct marker {
    uint64_t
        instance; /* of the run that wrote it: what was made for another marker is not for this */
    uint64_t began_us;   /* since 1970 */
    uint64_t end_lsn;    /* of the old log, all of it durable */
    struct vector floor; /* last ops before what the old log still has */
    struct vector had;   /* last ops at its end */
    /* Number under which this region may have written more than the old log has, for that was
     * damaged; 0: none. */
    uint8_t tail_of;
};

/* E_OK, E_MISSING (no file: not an error), or an error with one line in
 * problem[MARKER_PROBLEM_MAX]. */
int marker_read(struct disk *disk, struct marker *m, char *problem);

/* Durable on return. */
int marker_write(struct disk *disk, const struct marker *m, char *problem);
int marker_remove(struct disk *disk, char *problem); /* also when there is none */

#endif
