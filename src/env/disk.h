/*
 * disk -- the files of one region's data directory, as its store sees them.
 *
 * Two implementations: host/ over POSIX, sim/ in memory with faults. Calls block; they belong to
 * the thread that owns the store. Names are flat ("0000000000000000.log"), no directories. Errors
 * are negative E_* codes (base/error.h); `detail` of the disk then names file and cause for people.
 * What was written is durable only after sync of that file; a created, renamed or removed name only
 * after sync_names. A write may be torn by a crash at any byte before its sync.
 */
#ifndef ENV_DISK_H
#define ENV_DISK_H

#include "base/buffer.h"

enum { DISK_NAME_MAX = 64 };

struct disk_file; /* of the implementation */

struct disk {
    const struct disk_ops *ops;
    char detail[256]; /* "0000.log: write at 8192: No space left on device" */
};

struct disk_ops {
    /* Opens for reading and writing; with `create`, makes it when missing. E_MISSING, E_DENIED,
     * E_FULL, E_IO. */
    int (*open)(struct disk *disk, const char *name, bool create, struct disk_file **file);
    void (*close)(struct disk *disk, struct disk_file *file);
    int (*size)(struct disk *disk, struct disk_file *file, uint64_t *bytes);
    /* Reserves space so that writes below `bytes` do not change the file's size; what is not
     * written reads as zeros. */
    int (*allocate)(struct disk *disk, struct disk_file *file, uint64_t bytes);
    int (*truncate)(struct disk *disk, struct disk_file *file, uint64_t bytes);
    /* All of `bytes`, or an error. */
    int (*write)(struct disk *disk, struct disk_file *file, uint64_t offset, struct span bytes);
    /* Up to `want` bytes appended to `out`; fewer only at the end of the file. */
    int (*read)(struct disk *disk, struct disk_file *file, uint64_t offset, size_t want,
                struct buffer *out);
    int (*sync)(struct disk *disk, struct disk_file *file);
    int (*rename)(struct disk *disk, const char *from, const char *to); /* replaces `to` */
    int (*remove)(struct disk *disk, const char *name);
    int (*sync_names)(struct disk *disk);
    /* Calls `each` for every name, in no order. */
    int (*list)(struct disk *disk, void (*each)(void *context, const char *name), void *context);
};

#endif
