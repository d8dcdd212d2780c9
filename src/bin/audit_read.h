/*
 * audit_read -- reads an audit.log (host/auditfile.h) line by line, and checks that each follows the
 * one before.
 *
 * What is wrong with the chain is told once for each place, and the reading goes on behind it with
 * what the next good line says of itself.
 */
#ifndef BIN_AUDIT_READ_H
#define BIN_AUDIT_READ_H

#include <jansson.h>
#include <stdio.h>

#include "host/auditfile.h"
#include "policy/region.h"

enum audit_kind { AUDIT_IS_START, AUDIT_IS_BEGINS, AUDIT_IS_SENT, AUDIT_IS_TAKEN, AUDIT_IS_STOP };

/* A line as it stands there; texts are good until the next. What it has not is "" or 0. */
struct audit_fields {
    enum audit_kind kind;
    uint64_t number, ms;
    const char *deployment, *region, *peer, *fence, *what, *keyspace;
    uint64_t run, origin, count, bytes, torn, lost;
    stamp_t from, to;
    const char *problem; /* the line is none that a server writes; else NULL */
};

struct audit_reader {
    const char *path; /* of the file; borrowed */
    FILE *file;
    uint64_t line; /* the number of the last line read */
    struct auditfile_link last;
    uint64_t first;               /* n of the first line */
    struct auditfile_link begins; /* what the first line follows, as it says itself */
    struct buffer text; /* since the last good line: lines that are none, then the newest */
    char *input;        /* of getline */
    size_t input_cap;
    json_t *json;
    char problem[300]; /* of the chain, in front of the line just read; "" when there is none */
};

enum audit_reading { AUDIT_READ_LINE, AUDIT_READ_END, AUDIT_READ_FAILED };

bool audit_reader_open(struct audit_reader *r, const char *path);
/* With AUDIT_READ_LINE *f is set, and r->problem may be; with AUDIT_READ_END r->problem may be: of
 * what stands behind the last line. */
enum audit_reading audit_reader_next(struct audit_reader *r, struct audit_fields *f);
void audit_reader_close(struct audit_reader *r);

#endif
