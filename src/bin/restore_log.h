/*
 * restore_log -- a base's log up to a moment, as the log of a new data directory.
 *
 * It begins where the base's checkpoint starts, under the same LSN: from there on it is replayed.
 * What is left out, or cut (store/cut.h), moves what follows to smaller places.
 */
#ifndef BIN_RESTORE_LOG_H
#define BIN_RESTORE_LOG_H

#include "bin/manifest.h"
#include "store/oplog.h"

struct restore_log {
    const char *from_name; /* for messages: the base's directory */
    struct disk *from, *to;
    const struct manifest_base *base;
    stamp_t moment;
    /* figures */
    uint64_t read, kept, cut; /* records */
    stamp_t newest;           /* write that is kept; 0: the log has none */
};

/* Writes all of it, durably. False: `problem` (FILES_PROBLEM_MAX). */
bool restore_log_write(struct restore_log *r, const struct oplog_options *options, char *problem);

#endif
