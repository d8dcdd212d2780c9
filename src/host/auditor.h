/*
 * auditor -- writes the node's lines of the audit while the loop goes on.
 *
 * One write at a time, in libuv's pool: it ends when the lines are on the disk, and then the node hears
 * of it. One that failed is tried again every AUDITOR_RETRY_US.
 * Threads: the loop's.
 */
#ifndef HOST_AUDITOR_H
#define HOST_AUDITOR_H

#include <uv.h>

#include "host/auditfile.h"

enum { AUDITOR_RETRY_US = 1000 * 1000 };

struct loop;

struct auditor {
    struct auditfile *file; /* NULL: there is nothing to audit */
    uv_work_t work;
    struct loop *loop;
    bool busy, written;
    uint64_t number;   /* the last line that was added */
    uint64_t retry_us; /* not before */
};

/* After a turn: takes its lines. */
void auditor_take(struct loop *l);

/* When nothing is sent any more: everything is written, as far as it can be. */
void auditor_finish(struct loop *l);

#endif
