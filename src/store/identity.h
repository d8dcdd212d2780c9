/*
 * identity -- whose data directory this is, and which run of the region is using it.
 *
 * Two files. "identity": deployment, region, numbering of all regions, shards, and the instance
 * number, which grows by one at every start. "clock": the HLC ceiling, two slots written in turn so
 * that a torn write leaves the other. Both are checked by CRC32C. A damaged identity is an error,
 * never guessed.
 */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "env/disk.h"

enum { IDENTITY_NAME_MAX = 64, IDENTITY_REGIONS_MAX = 255 };

struct identity_region {
    uint8_t id;
    char name[IDENTITY_NAME_MAX];
};

struct identity {
    char deployment[IDENTITY_NAME_MAX];
    uint8_t region;
    uint32_t shards;
    uint32_t region_count;
    struct identity_region regions[IDENTITY_REGIONS_MAX]; /* ascending by id */
    uint64_t instance;                                    /* of this run, after identity_claim */
};

/* Checks the directory against what the configuration says (`want`, its instance ignored), takes
 * the next instance number and makes it durable before returning. A new directory gets instance 1.
 * Regions may be added to the numbering, but none that was written may have another number or be
 * missing. On error writes one line for people to problem[320]. */
int identity_claim(struct disk *disk, const struct identity *want, struct identity *out,
                   char *problem);

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
