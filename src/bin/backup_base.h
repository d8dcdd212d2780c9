/*
 * backup_base -- takes a base: a region's checkpoint, and the log from where it starts.
 *
 * The checkpoint is copied by a child, which also reads the copy back, every record of it.
 * Meanwhile the log is followed, so that what the server drops is here already.
 */
#ifndef BIN_BACKUP_BASE_H
#define BIN_BACKUP_BASE_H

#include "bin/backup_log.h"
#include "host/disk_posix.h"

/* What a look at a region's checkpoint has found. */
struct backup_look {
    bool start_known; /* else there is none, or one that was never completed */
    struct copy_start start;
};

/* False: `problem` (FILES_PROBLEM_MAX) says why. */
bool backup_look(const char *data, struct backup_look *look, char *problem);

/* Takes a base into BACKUP/base->name, a directory that the manifest does not know yet; all but its
 * name is filled in. */
enum backup_verdict backup_base_take(const char *data, struct disk *from, const char *backup,
                                     struct manifest_base *base, uint64_t *log_bytes,
                                     char *problem);

#endif
