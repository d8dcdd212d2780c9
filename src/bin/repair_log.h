/*
 * repair_log -- puts damaged segments of a log aside, and what is good of them back.
 *
 *     DATA/repaired.new/     is being made: segments that replace others, a marker, the plan
 *     DATA/repaired/         is whole, and to be put in place:
 *       bootstrap            the marker, first: from here on the region starts by a bootstrap
 *       plan                 which old segments go to DATA/damaged-TIME, and whether the checkpoint does;
 *                            gone when they have
 *       *.log                then come in their places
 *
 * An interrupted repair is finished by the next, and no region starts before that (host/datadir.h).
 * Nothing is thrown away.
 */
#ifndef BIN_REPAIR_LOG_H
#define BIN_REPAIR_LOG_H

#include "bin/files.h"
#include "store/examine.h"
#include "store/marker.h"
#include "store/oplog.h"

struct repair_log {
    const char *data;
    struct disk *disk;          /* data, taken */
    char aside[FILES_PATH_MAX]; /* DATA/damaged-TIME: made when something goes there */
    char problem[FILES_PROBLEM_MAX];
};

/* Old segments that begin in [from_lsn, to_lsn) go. The log's good records in [keep_lsn, until_lsn)
 * are written anew, one after the other from keep_lsn on: none when that is empty. */
struct repair_plan {
    uint64_t from_lsn, to_lsn, keep_lsn, until_lsn;
    bool checkpoint_aside; /* the checkpoint goes too */
    uint64_t end_lsn;      /* of what was written */
};

/* Makes DATA/repaired; a `marker` unless NULL, whose end_lsn becomes the log's. */
bool repair_log_prepare(struct repair_log *r, const struct oplog_options *options,
                        const struct examined_log *log, struct repair_plan *plan,
                        struct marker *marker);

/* Puts it in place, as far as it is not. *any: there was something to do. */
bool repair_log_finish(struct repair_log *r, bool *any);

/* Moves a file or directory of the data directory aside, durably. */
bool repair_log_put_aside(struct repair_log *r, const char *name);

#endif
