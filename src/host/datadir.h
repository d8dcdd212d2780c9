/*
 * datadir -- a region's data directory, from the lock to the last record.
 *
 *     datadir_open       locks it, checks whose it is, takes the next instance number, reads the
 *                        clock's ceiling, opens the checkpoint
 *     datadir_replay     gives the checkpoint to a node made with those, opens the log, and hands it
 *                        every record from the checkpoint's start on, while the loop answers clients
 *     datadir_close      after the threads have ended; the node is released before
 *
 * Errors are one line for people, in `problem`, which holds DATADIR_PROBLEM_MAX.
 */
#ifndef HOST_DATADIR_H
#define HOST_DATADIR_H

#include "host/disk_posix.h"
#include "host/kv_lmdb.h"
#include "host/loop.h"
#include "node/node.h"
#include "store/identity.h"
#include "store/oplog.h"

enum {
    DATADIR_PROBLEM_MAX = 800,
    DATADIR_SEGMENT_BYTES = 64 << 20,    /* a new one every second or so at the highest rates */
    DATADIR_SEGMENT_MIN_BYTES = 1 << 20, /* a quarter of log.retain, within these */
    DATADIR_PUMP_US = 5000,              /* of replaying, then the loop has a round */
    DATADIR_TELL_US = 1000 * 1000,       /* between two lines that say how far the replay is */
};

/* In the data directory: what a repair is about to put in place. Where it is, one was interrupted
 * (bin/repair_log.h), and a start would see parts of two states. */
#define DATADIR_REPAIRED "repaired"

struct datadir {
    struct disk_posix disk;
    struct identity identity; /* with this run's instance */
    struct ceiling_file ceiling;
    struct oplog log;
    uint64_t ceiling_ms;
    struct kv_lmdb kv; /* DATA/checkpoint */
    struct checkpoint checkpoint;
    struct checkpoint_found found;
    bool marked; /* a bootstrap is under way (node/bootstrap.h): */
    struct marker marker;
    enum bootstrap_phase phase;
    bool log_open;
    bool damaged; /* what could not be opened, and meridian repair may mend it */
};

/* Whose directory it would be: without instance, run, and what is known. */
void datadir_describe(const struct deployment *deployment, const struct region *self,
                      struct identity *want);

/* Makes missing directories, also those above. `run` is random, and not 0. False: nothing is left
 * open. */
bool datadir_open(struct datadir *d, const char *path, const struct deployment *deployment,
                  const struct region *self, uint64_t run, char *problem);
/* False also when the loop is to stop. */
bool datadir_replay(struct datadir *d, struct node *n, struct loop *l, struct oplog_report *report,
                    char *problem);
/* After the node was released: what is to be done before all is opened anew. False: it cannot be; then
 * opening it anew finds things as they were. */
bool datadir_mark(struct datadir *d, const struct node_restart *restart, char *problem);
void datadir_close(struct datadir *d);

#endif
