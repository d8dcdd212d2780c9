/*
 * manifest -- what a back-up directory holds.
 *
 *     BACKUP/manifest.json      names all that counts; replaced as a whole, when that is durable
 *     BACKUP/base-0001/         data.mdb: a region's checkpoint, compacted (none: it had none yet)
 *                               *.log: the log from where that starts, as far as it was followed
 *     BACKUP/base-0002/ …       later bases; a base that is removed takes its moments with it
 *
 * Objects of a base may hold anything up to `earliest`, and its log shows all up to `until`: it
 * gives every moment in between. Log files may have more bytes than the manifest says: what an
 * interrupted run has added.
 */
#ifndef BIN_MANIFEST_H
#define BIN_MANIFEST_H

#include "bin/files.h"
#include "store/chain.h"
#include "store/identity.h"

enum { MANIFEST_BASE_NAME_MAX = 16 };

struct manifest_segment {
    uint64_t start_lsn, end_lsn; /* of its records */
    uint32_t crc;                /* of the file up to there */
};

struct manifest_base {
    char name[MANIFEST_BASE_NAME_MAX];
    bool has_checkpoint;
    uint64_t checkpoint_bytes, keys;
    uint32_t checkpoint_crc;
    uint64_t start_lsn, end_lsn; /* of the log that counts */
    stamp_t earliest;            /* 0: any moment; there are no objects */
    uint64_t until_ms;
    struct chain end; /* where its log ends */
    struct manifest_segment *segments;
    size_t segment_count, segment_cap;
};

struct manifest {
    struct identity identity; /* of the region, when it was last backed up; runs are not known */
    struct manifest_base *bases;
    size_t count, cap;
};

/* E_OK; E_MISSING: there is none; else an error in problem[FILES_PROBLEM_MAX]. Bases whose
 * directories are gone are left out. */
int manifest_load(const char *backup, struct manifest *m, char *problem);
bool manifest_save(const char *backup, const struct manifest *m, char *problem); /* durable */
void manifest_release(struct manifest *m);

struct manifest_base *manifest_add_base(struct manifest *m);
void manifest_drop_base(struct manifest *m); /* the last one */
struct manifest_segment *manifest_add_segment(struct manifest_base *b);

/* Numbers that stand in stamps of this back-up, or may: nobody may have them again. */
void manifest_numbers(const struct manifest *m, uint64_t numbers[4]);

/* The last moment that a base gives. */
stamp_t manifest_until(const struct manifest_base *b);

#endif
