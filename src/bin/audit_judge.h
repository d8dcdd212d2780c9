/*
 * audit_judge -- what the lines of all regions' audits say, held against the configuration and against
 * each other.
 *
 * Of each line: both regions are members of its fence; or it is a command that goes to one; or an
 * answer of one, in a keyspace with outside: forward. What a region sent of a stream joins, from line
 * to line, but where it was announced anew.
 * Of all: whatever a region took, the other says that it sent.
 *
 * Finding   contradicts one of that.
 * Gap       cannot be known: a process ended without its last lines, a file was not given. Neither
 *           good nor bad; what went where was announced before it went, so a gap never hides a region.
 *
 * Lines are judged in two rounds over the files, the second for what needs all of the first: so memory
 * is needed for streams and gaps, not for lines.
 */
#ifndef BIN_AUDIT_JUDGE_H
#define BIN_AUDIT_JUDGE_H

#include "bin/audit_ranges.h"
#include "bin/audit_read.h"
#include "policy/deployment.h"

/* What one region sent another, or took from it: as node/audit.h has it. */
struct audit_tally {
    uint8_t self; /* whose file says so */
    struct audit_key key;
    uint32_t fence;
    uint64_t count, bytes;
    struct audit_ranges ranges;  /* of log */
    struct audit_ranges unknown; /* of log that we sent: may have been, too */
    bool began, renewed;         /* in this run; since the last range */
    stamp_t last;                /* to which it was sent */
    stamp_t sent;                /* the end of the last range */
    const char *path;            /* borrowed: of the last line that counts to it */
    uint64_t line;
};

/* Of a region. */
struct audit_book {
    bool given;
    bool any_unknown;       /* lines are missing: sums may be too small */
    stamp_t unknown_before; /* an earlier file was not given: as far as its stamps may reach */
    bool open;              /* its last run has not stopped */
    uint64_t run;
};

struct audit_judge {
    const struct deployment *deployment;
    struct audit_tally *tallies; /* [count] */
    size_t count, cap;
    struct audit_book books[REGION_ID_MAX + 1];
    uint64_t lines, findings, gaps;
    FILE *gaps_to; /* where gaps are told; findings go to standard error */
};

void audit_judge_init(struct audit_judge *j, const struct deployment *d);
void audit_judge_release(struct audit_judge *j);

void audit_finding(struct audit_judge *j, const char *path, uint64_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void audit_gap(struct audit_judge *j, const char *path, uint64_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The first round. */
void audit_judge_line(struct audit_judge *j, const struct region *self, const char *path,
                      uint64_t line, const struct audit_fields *f);
/* The region's last file has been read. */
void audit_judge_end(struct audit_judge *j, const struct region *self, const char *path,
                     uint64_t line);

/* The second. */
void audit_compare_line(struct audit_judge *j, const struct region *self, const char *path,
                        uint64_t line, const struct audit_fields *f);
void audit_compare(struct audit_judge *j);

#endif
