/*
 * hold -- log that a region keeps for its next back-up.
 *
 * The file "hold" of a data directory is written by meridian backup and read by the region whenever
 * it is about to drop log:
 *
 *     8   LSN: what stands there and after it is wanted
 *     8   bytes: of log, from there on, at most; beyond that the hold is void
 *     4   CRC32C of these
 *
 * It is a wish: replaced as a whole, but never synced; damaged or missing, nothing is held. Nor is
 * anything while the region is being bootstrapped (store/marker.h): its old log has to go.
 */
#ifndef STORE_HOLD_H
#define STORE_HOLD_H

#include "env/disk.h"

struct hold {
    uint64_t lsn, most_bytes;
};

int hold_write(struct disk *disk, const struct hold *h);

/* Below this log may be dropped: at most drop_lsn, of a log that ends at end_lsn. */
uint64_t hold_limit(struct disk *disk, uint64_t drop_lsn, uint64_t end_lsn);

#endif
