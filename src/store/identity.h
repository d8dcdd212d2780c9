/*
 * identity -- whose data directory this is, and which run of the region is using it.
 *
 * Two files. "identity": deployment, region, numbering of all regions, the numbers that regions
 * gave up, fences and which prefixes lie in them, shards, the instance number, which grows by one
 * at every start, the random number of that run, and what was learned of other runs. "clock": the
 * HLC ceiling, two slots written in turn so that a torn write leaves the other. Both are checked by
 * CRC32C. A damaged identity is an error, never guessed.
 *
 * An instance with two run numbers is two processes over copies of one directory: a clone. Whoever
 * remembers the first knows it when it meets the second, so what was met is remembered here.
 */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "env/disk.h"
#include "policy/residency.h"

enum { IDENTITY_NAME_MAX = 64, IDENTITY_REGIONS_MAX = 255 };

struct identity_region {
    uint8_t id;
    char name[IDENTITY_NAME_MAX];
};

struct identity_run {
    uint64_t instance; /* 0: none */
    uint64_t run;      /* its random number; 0: not known */
};

enum { IDENTITY_JOINS_ALL = 1 }; /* the place of the global fence */

/* What a run has learned and later ones must know. */
struct identity_known {
    bool amnesiac; /* others hold log of this region that it has not: it writes no more */
    struct identity_run latest[256]; /* by number: the latest run of that region that was met */
    /* By place: fences of which this region became a member with data of its own, and whose objects it
     * has not taken from another member yet. IDENTITY_JOINS_ALL: it began with nothing, and nobody has
     * filled it yet (node/newcomer.h). */
    uint32_t joining;
    uint64_t joined_instance; /* of the run that became a member, or began with nothing, last */
};

struct identity {
    char deployment[IDENTITY_NAME_MAX];
    uint8_t region;
    uint32_t shards;
    uint32_t region_count;
    struct identity_region regions[IDENTITY_REGIONS_MAX]; /* ascending by id */
    uint64_t closed[4]; /* a bit for each number that was given up, ever */
    struct residency residency;
    uint64_t instance; /* of this run, after identity_claim */
    uint64_t run;      /* random, not 0: given by the caller at each start */
    struct identity_known known;
};

/* Checks the directory against what the configuration says (`want`, its instance and what it knows
 * ignored), takes the next instance number and makes it durable before returning. A new directory
 * gets instance 1. Regions may be added to the numbering, but one that was written may have another
 * number, or be missing, only when `want` closes the number that it had; and a number that was
 * closed is never that of a region again. Under another number the region is not amnesiac any more.
 * Fences keep their places; new ones may follow. A member stays one until its number is closed: who
 * leaves a fence begins anew. A region that becomes a member of one that was there before has to take
 * what it holds (known.joining). Prefixes are not judged here: where they differ, `out` has those of the
 * directory, until the caller has found no key that would change its fence, and stores the others.
 * On error writes one line for people to problem[320]. */
int identity_claim(struct disk *disk, const struct identity *want, struct identity *out,
                   char *problem);

/* A directory that was just claimed gets what another wrote, a back-up's: as if it had been that one. */
int identity_adopt(struct disk *disk, struct identity *claimed, const struct identity *had,
                   char *problem);

/* What the directory says, without claiming it; E_MISSING when it says nothing. On error writes one line
 * for people to problem[320]. */
int identity_read(struct disk *disk, struct identity *out, char *problem);

/* Makes what `id` knows now durable: an identity that was claimed from this directory. */
int identity_store(struct disk *disk, const struct identity *id, char *problem);

struct ceiling_file {
    struct disk *disk;
    struct disk_file *file;
    uint32_t next_slot;
};

/* Opens (creates) the ceiling file; *ceiling_ms is the highest that was ever made durable, 0 when
 * none. */
int ceiling_open(struct ceiling_file *c, struct disk *disk, uint64_t *ceiling_ms);
int ceiling_write(struct ceiling_file *c, uint64_t ceiling_ms); /* durable on return */
void ceiling_close(struct ceiling_file *c);

#endif
