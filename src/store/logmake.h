/*
 * logmake -- writes batches as a new log, which may begin at any LSN: where a checkpoint starts.
 *
 *     logmake_begin -> logmake_put, again and again -> logmake_end
 *
 * For restoring and repairing: in a directory that holds no log yet.
 * Threads: one owner. Blocking, through env/disk.h.
 */
#ifndef STORE_LOGMAKE_H
#define STORE_LOGMAKE_H

#include "store/oplog.h"

struct logmake {
    struct oplog log;
    struct buffer out; /* records that are not written yet */
    char problem[320];
};

/* options->replay_from is where it begins. After an error only logmake_end. */
int logmake_begin(struct logmake *m, struct disk *disk, const struct oplog_options *options);
int logmake_put(struct logmake *m, struct span batch);

/* Writes and syncs all of it, but for after an error; *end_lsn: where the log ends. Closes it. */
int logmake_end(struct logmake *m, uint64_t *end_lsn);

#endif
