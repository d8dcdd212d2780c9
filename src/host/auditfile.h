/*
 * auditfile -- DATA/audit.log: lines of the audit (node/audit.h), each bound to all before it.
 *
 * One JSON object a line, in the order in which things were announced or summed up:
 *
 *     {"n":1,"ms":…,"ev":"start","format":1,"deployment":"shop","region":"eu-de","run":7,"prev":"…","h":"…"}
 *     {"n":2,"ms":…,"ev":"begins","what":"log","peer":"eu-es","fence":"gdpr","origin":17,"writer":"eu-de",
 *                                                                     "from":"0x…","h":"…"}
 *     {"n":3,"ms":…,"ev":"sent","what":"log", … "from":"0x…","to":"0x…","count":3,"bytes":412,"h":"…"}
 *     {"n":4,"ms":…,"ev":"taken","what":"answers","peer":"eu-es","fence":"gdpr","keyspace":"eu:", … }
 *     {"n":5,"ms":…,"ev":"stop","h":"…"}
 *
 *     n      counts on, over starts and over files
 *     h      XXH3-128 of the h before it (`prev`; zeros for the first ever), as 16 bytes, and of all
 *            bytes of the file between the end of that line and `,"h"`
 *     torn   of a start: bytes of an incomplete line that a crash left in front of it; they stay
 *     lost   of a start: lines that DATA/audit.head knows of and the file has not
 *
 * So a line that is edited or taken out is found, and DATA/audit.head, which bears n and h of the last
 * line, finds that the end was cut off. That is for accidents and careless hands: whoever can write
 * the files, and means to, can compute all of it anew.
 * Order:   lines are on the disk (fdatasync) before audit.head says so, and before the node hears it.
 * Errors:  a write that failed goes on where it stopped when it is tried again; a sync that failed is
 *          final, for nobody knows what is on the disk then.
 * Threads: one at a time; auditfile_write may be another than the rest. Blocking.
 */
#ifndef HOST_AUDITFILE_H
#define HOST_AUDITFILE_H

#include "base/buffer.h"
#include "node/audit.h"
#include "policy/deployment.h"

enum {
    AUDITFILE_FORMAT = 1,
    AUDITFILE_HASH_BYTES = 16,
    AUDITFILE_HASH_TEXT = 2 * AUDITFILE_HASH_BYTES,
    AUDITFILE_PROBLEM_MAX = 400,
    AUDITFILE_LINE_MAX = 16 << 10, /* a prefix is 255 bytes, a name 63 */
};

#define AUDITFILE_NAME      "audit.log"
#define AUDITFILE_HEAD_NAME "audit.head"

/* Where a chain stands: after this line. */
struct auditfile_link {
    uint64_t number;
    uint8_t hash[AUDITFILE_HASH_BYTES];
};

struct auditfile {
    const struct deployment *deployment; /* borrowed */
    int file, head;
    char path[4096];
    struct auditfile_link last; /* of what was added */
    struct buffer line;         /* begins with what the next hash is of besides it */
    struct buffer bytes;        /* added; `done` of them are in the file */
    size_t done;
    bool unsynced;       /* a sync failed: final */
    uint64_t torn, lost; /* as found */
    char problem[AUDITFILE_PROBLEM_MAX];
};

/* Makes what is missing, and adds the line of a start. False: `problem` says why; nothing is open. */
bool auditfile_open(struct auditfile *f, const char *directory, const struct deployment *deployment,
                    const struct region *self, uint64_t run, uint64_t now_ms);
void auditfile_add(struct auditfile *f, const struct audit_line *line);
bool auditfile_is_pending(const struct auditfile *f);
/* Everything that was added. False: `problem` says why. */
bool auditfile_write(struct auditfile *f);
/* Adds the line of a clean stop, and writes; false likewise, but all is closed. */
bool auditfile_close(struct auditfile *f, uint64_t now_ms);

/* --- for who reads one --- */

/* The hash of `bytes`, which follow a line with this hash. */
void auditfile_hash(uint8_t hash[AUDITFILE_HASH_BYTES], struct span bytes);
void auditfile_hash_text(const uint8_t hash[AUDITFILE_HASH_BYTES],
                         char text[AUDITFILE_HASH_TEXT + 1]);
/* A line without its end: its n and h, and what its h is of. False: it is none. */
bool auditfile_take_line(struct span line, struct auditfile_link *link, struct span *hashed);
/* What audit.head says: false when it says nothing. */
bool auditfile_take_head(struct span text, struct auditfile_link *link);

#endif
