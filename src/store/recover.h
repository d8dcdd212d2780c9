/*
 * recover -- reads a log after a start, hands its records on, and decides where it ends
 * (store/oplog.h has the rules).
 */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "store/oplog.h"

/* Fills in log->segments and log->end_lsn from the files, cutting a torn tail. log->durable_lsn is
 * then what is known to have been promised, at most end_lsn. log->tail is open when the last
 * segment has records; a last segment without any is left out of the list: it is to be made again.
 * On error log->problem says why. */
int recover_log(struct oplog *log, oplog_replay_fn replay, void *context,
                struct oplog_report *report);

/* Judges the header of the segment that starts at `start_lsn`, from the file's first bytes. */
int recover_check_header(struct oplog *log, uint64_t start_lsn, struct span bytes);

#endif
