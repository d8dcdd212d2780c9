/*
 * datadir -- a region's data directory, from the lock to the last record.
 *
 *     datadir_open       locks it, checks whose it is, takes the next instance number, reads the
 *                        clock's ceiling
 *     datadir_replay     opens the log and hands every record to a node made with those two
 *     datadir_close      after the log thread has ended
 *
 * Errors are one line for people, in `problem`, which holds DATADIR_PROBLEM_MAX.
 */
#ifndef HOST_DATADIR_H
#define HOST_DATADIR_H

#include "host/disk_posix.h"
#include "node/node.h"
#include "store/identity.h"
#include "store/oplog.h"

enum {
    DATADIR_PROBLEM_MAX = 400,
    DATADIR_SEGMENT_BYTES = 64 << 20, /* a new one every second or so at the highest rates */
};

struct datadir {
    struct disk_posix disk;
    struct identity identity; /* with this run's instance */
    struct ceiling_file ceiling;
    struct oplog log;
    uint64_t ceiling_ms;
    bool log_open;
};

/* Makes missing directories, also those above. False: nothing is left open. */
bool datadir_open(struct datadir *d, const char *path, const struct deployment *deployment,
                  const struct region *self, char *problem);
bool datadir_replay(struct datadir *d, struct node *n, struct oplog_report *report, char *problem);
void datadir_close(struct datadir *d);

#endif
