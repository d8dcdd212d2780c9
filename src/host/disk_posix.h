/*
 * disk_posix -- env/disk.h over a directory of a POSIX file system.
 *
 * The directory is locked while it is open, by flock on its file "lock", which holds the process id
 * of the owner; the kernel lets go of the lock when the process ends in any way.
 * Files are created 0600, a missing directory 0700 (its parent must exist).
 * Threads: one owner, as env/disk.h says.
 */
#ifndef HOST_DISK_POSIX_H
#define HOST_DISK_POSIX_H

#include "env/disk.h"

struct disk_posix {
    struct disk disk; /* what the store is given */
    int directory;    /* -1 when closed */
    int lock;
    bool reading; /* files are opened for reading only */
};

/* Opens the directory `path`, created when missing. E_BUSY when another process has it, E_DENIED,
 * E_FULL, E_IO, or E_FORMAT when it is no directory; disk.detail is then the line for people. */
int disk_posix_open(struct disk_posix *d, const char *path);

/* Opens a directory that is there without taking it, beside whoever has: for reading what is in it;
 * or, with `write`, for who has taken the one above it. */
int disk_posix_beside(struct disk_posix *d, const char *path, bool write);

/* Whether a process has the directory; also true when that cannot be seen. */
bool disk_posix_is_taken(const char *path);

void disk_posix_close(struct disk_posix *d); /* after all files are closed */

#endif
