/*
 * disk -- the simulator's disk: env/disk.h in memory, with the faults of real ones.
 *
 * A file has durable bytes, and cached bytes that readers see. Every write, truncation and
 * allocation stands in a list of changes until its file is synced; creations, renames and removals
 * likewise until sync_names.
 * sim_disk_crash decides for each such change by chance, and independently of the others, whether
 * it reached the platter: whole, not at all, or (a write) torn at some byte, of which either side
 * may be what is left. A sync that fails decides the same way, and its changes are gone for later
 * syncs while readers still see them: as on Linux, where a failed fsync marks the pages clean.
 * Owner: the world that made it. Handles that are open at a crash answer E_IO and must still be
 * closed.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/prng.h"
#include "env/disk.h"

enum sim_disk_call {
    SIM_DISK_WRITE,
    SIM_DISK_SYNC,
    SIM_DISK_ALLOCATE,
    SIM_DISK_SYNC_NAMES,
    SIM_DISK_CALLS,
};

struct sim_file;
struct sim_name;

struct sim_disk {
    struct disk disk; /* what the store is given */
    struct prng prng;
    struct sim_name *names; /* as readers see them */
    struct sim_name *durable_names;
    struct sim_name *name_changes; /* oldest first, since the last sync_names */
    uint64_t epoch;                /* crashes so far */
    uint64_t calls;                /* that changed something, since init; for choosing die_at */
    uint64_t die_at; /* from this call on all fail with E_IO, until the crash; 0: no */
    uint64_t fail_in[SIM_DISK_CALLS]; /* the nth of the kind from now fails, once; 0 = none */
    int fail_code[SIM_DISK_CALLS];
};

void sim_disk_init(struct sim_disk *d, uint64_t seed);
void sim_disk_release(struct sim_disk *d); /* after all handles are closed */

/* Gives `to`, which is initialized and empty, the files as readers of `from` see them, all
 * durable. */
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from);

/* Power is lost and comes back. */
void sim_disk_crash(struct sim_disk *d);

/* The nth call of this kind from now (1 = the next) fails with `code`; a failing write may leave a
 * part behind. */
void sim_disk_fail(struct sim_disk *d, enum sim_disk_call call, uint64_t nth, int code);

/* Rot: flips one bit of a file, durable and cached. */
void sim_disk_flip(struct sim_disk *d, const char *name, uint64_t offset, unsigned bit);

/* Sets a file's size, durably: what an outside hand or a bad file system does. */
void sim_disk_cut(struct sim_disk *d, const char *name, uint64_t bytes);

/* Whether the bytes stand anywhere in any file, as readers see it or as it would be after a crash. */
bool sim_disk_has(const struct sim_disk *d, struct span bytes);

/* The bytes of a file as readers see them, borrowed until it changes; empty when there is none. */
struct span sim_disk_bytes(const struct sim_disk *d, const char *name);

#endif
