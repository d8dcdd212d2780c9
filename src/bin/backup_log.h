/*
 * backup_log -- brings a base's log up to what a region's log is now.
 *
 * Record bytes are copied as they are. What is new has to join what is there: the same bytes where
 * the two meet, every stream without a hole, and the history that the region's checkpoint knows. A
 * region whose log was lost, or that was bootstrapped, needs a new base.
 */
#ifndef BIN_BACKUP_LOG_H
#define BIN_BACKUP_LOG_H

#include "bin/manifest.h"
#include "store/logwalk.h"

enum backup_verdict {
    BACKUP_GOOD,
    BACKUP_PARTS,  /* it does not join, or what comes next was dropped; `problem` says why */
    BACKUP_FAILED, /* an error of a disk, or damage; `problem` */
};

struct backup_log {
    const char *data; /* for messages: the region's directory */
    struct disk *to;
    struct manifest_base *base;
    struct logwalk walk;
    struct disk_file *file; /* of the base's last segment; NULL: not open */
    struct buffer pending;  /* records that are not written yet */
    uint64_t bytes;         /* of records, copied */
    char problem[FILES_PROBLEM_MAX];
};

/* The base's log is to go on at base->end_lsn. */
bool backup_log_open(struct backup_log *l, const char *data, struct disk *from, struct disk *to,
                     struct manifest_base *base);
void backup_log_close(struct backup_log *l);

/* Whether the region's log has the bytes where the base's ends. */
enum backup_verdict backup_log_compare(struct backup_log *l);

/* Copies all there is, and syncs it; base->end_lsn and its segments say so. `follow`: and base->end
 * goes along; `meet`, unless NULL, is the start of the region's checkpoint. */
enum backup_verdict backup_log_copy(struct backup_log *l, bool follow,
                                    const struct copy_start *meet);

/* How far the base reaches when it is brought up to the log's end now: to this moment when the
 * region runs; 0: to what stands there last. Then, once it was: what to call that. */
uint64_t backup_log_moment(const char *data);
uint64_t backup_log_until_ms(const struct manifest_base *base, uint64_t moment_ms);

/* Reads the base's log back from its start, as it stands in the back-up, into base->end. */
bool backup_log_verify(struct backup_log *l, const struct copy_start *start);

#endif
