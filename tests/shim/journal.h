/*
 * journal -- what it takes to undo everything that is not yet synced.
 *
 * An append-only file JOURNAL/journal of records, native byte order, back to back:
 *
 *     u32 bytes      of the whole record, body included
 *     u32 kind
 *     u64 file       inode number: of a file, or of a directory
 *     u64 offset     WRITE, RESIZE: where the range begins whose old contents follow
 *                    SYNCED, SYNC_FAILED: records of this file before that place are meant
 *                    WRITTEN_THROUGH: the place of the one record that is meant
 *     u64 length     of that range
 *     u64 old_size   of the file
 *     u64 new_size   of the file, RESIZE only
 *     body           WRITE, RESIZE: pieces {u64 offset, u64 length, bytes}; between them, zeros
 *                    NAMES: entries {u64 directory, u64 old inode, u64 new inode, u64 length, name};
 *                    an inode of 0 is no entry
 *
 * Killed at any instruction, it stays true. WRITE, RESIZE and NAMES stand before what they describe
 * is done: one that was not done is undone without effect. A new name is written down when it is
 * there, as its inode is not known before: one that is not written down counts as durable, which it
 * may be. SYNCED, too, is written afterwards: nobody has been told, so that it may count as not
 * done. A record that was cut short is cut away when the journal is next opened.
 * Threads: the caller holds the shim's lock. Errors end the process.
 */
#ifndef SHIM_JOURNAL_H
#define SHIM_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

enum journal_kind {
    JOURNAL_WRITE = 1,
    JOURNAL_RESIZE,
    JOURNAL_SYNCED,
    JOURNAL_WRITTEN_THROUGH,
    JOURNAL_SYNC_FAILED,
    JOURNAL_NAMES,
};

struct journal_change {
    uint64_t file, offset, length, old_size, new_size;
    int reader; /* a descriptor to read the old contents by */
};

struct journal_name {
    uint64_t directory, before, after;
    const char *name;
};

/* In a directory that exists. */
void journal_open(int directory);

/* Where the next record goes. */
uint64_t journal_place(void);

/* WRITE or RESIZE, with the old contents of its range; returns the place of the record. */
uint64_t journal_change(enum journal_kind kind, const struct journal_change *change);

/* SYNCED, WRITTEN_THROUGH or SYNC_FAILED. */
void journal_mark(enum journal_kind kind, uint64_t file, uint64_t place);

/* One operation on names: they change together. */
void journal_names(const struct journal_name *names, size_t count);

#endif
