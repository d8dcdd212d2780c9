/*
 * files -- the files and directories below $POWER_DIR, and which descriptors are open on them.
 *
 * A file is known by its inode, and has a second name JOURNAL/inodes/NUMBER from when it is first
 * seen: so it is still there when its last name in the directory is gone, should that come back.
 * A descriptor that was closed behind our back is noticed when it is next used, by its inode.
 * Files named lock.mdb, which LMDB maps for writing and which are worth nothing after a start, are
 * not ours.
 * Threads: the caller holds the shim's lock, but for files_might_be.
 */
#ifndef SHIM_FILES_H
#define SHIM_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct file {
    struct file *next;
    uint64_t inode;
    bool is_directory;
    int reader;          /* -1 for a directory */
    char path[PATH_MAX]; /* below $POWER_DIR, as last seen; "" is $POWER_DIR itself */
};

struct descriptor {
    struct file *file; /* NULL: not ours */
    bool through;      /* O_DSYNC: a write is durable when it returns */
    bool appends;
};

/* Where a path leads: a name in a directory. */
struct place {
    int parent; /* its directory, or -1: the path leads nowhere, or not below $POWER_DIR */
    uint64_t directory;
    char name[NAME_MAX + 1];
    char path[2 * PATH_MAX]; /* below $POWER_DIR */
};

/* Prints why, and ends the process: the test must not go on as if it had seen all. */
__attribute__((noreturn)) void shim_die(const char *why);

/* False when there is nothing to do in this process. */
bool files_open(const char *directory, const char *journal);

/* Opens place->parent; false when the place is not below $POWER_DIR. */
bool files_place(int directory, const char *path, struct place *place);
void files_leave(struct place *place);

/* The inode of what is at a place, 0 for nothing; a file is kept from now on. */
uint64_t files_keep(const struct place *place);

/* The descriptor is open on something below $POWER_DIR: the file, or NULL when it is not ours. */
struct file *files_track(int fd, const char *path, int flags);

/* A directory that is $POWER_DIR or below it. */
void files_track_directory(int fd);

bool files_might_be(int fd);         /* without the lock: false is certain */
struct descriptor *files_of(int fd); /* NULL: not ours */
void files_copy(int from, int to);
void files_forget(int fd);
void files_moved(uint64_t inode, const char *path);

#endif
