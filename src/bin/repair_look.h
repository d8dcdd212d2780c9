/*
 * repair_look -- what of a data directory is good, and what is not.
 */
#ifndef BIN_REPAIR_LOOK_H
#define BIN_REPAIR_LOOK_H

#include "bin/files.h"
#include "store/examine.h"
#include "store/identity.h"
#include "store/marker.h"

struct repair_look {
    /* problems: "" when it is good, or not there and need not be */
    char identity[FILES_PROBLEM_MAX], clock[FILES_PROBLEM_MAX], marker_problem[FILES_PROBLEM_MAX];
    char checkpoint[FILES_PROBLEM_MAX];
    bool has_marker;
    struct marker marker;
    bool has_checkpoint;     /* files of one */
    bool start_known;        /* and it can be read */
    struct copy_start start; /* where the log is to be replayed from */
    uint64_t reach_lsn; /* its objects have nothing of what follows there; UINT64_MAX: unknown */
    uint64_t records;
    struct examined_log log;
    bool torn;                       /* it ends in something else than a record */
    char missing[FILES_PROBLEM_MAX]; /* log that the checkpoint, or its lack, wants */
};

/* `still`: nobody writes meanwhile. False: it could not be looked at all; `problem` says why. */
bool repair_look(const char *data, struct disk *disk, bool still, struct repair_look *out,
                 char *problem);
void repair_look_release(struct repair_look *l);

/* The checkpoint has nothing that comes after its start: it is good without any log. */
bool repair_look_is_exact(const struct repair_look *l);

/* Log up to here was durable when the checkpoint was made, and is needed beside its objects. */
uint64_t repair_look_wanted_lsn(const struct repair_look *l);

/* The log ends before that, or may have. */
bool repair_look_lacks_end(const struct repair_look *l);

/* Prints a line for each part. */
void repair_look_show(const struct repair_look *l);

/* The first problem of all; NULL: none. */
const char *repair_look_problem(const struct repair_look *l);

#endif
