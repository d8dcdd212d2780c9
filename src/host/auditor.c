#include "host/auditor.h"

#include "base/check.h"
#include "host/loop.h"

static void on_work(uv_work_t *work)
{
    struct auditor *a = container_of(work, struct auditor, work);

    a->written = auditfile_write(a->file);
}

static void tell(struct loop *l)
{
    struct auditor *a = &l->auditor;

    if (a->written) {
        node_audit_written(l->node, a->number);
        return;
    }
    a->retry_us = l->now_us + AUDITOR_RETRY_US;
    node_audit_failed(l->node, a->file->problem);
}

static void on_done(uv_work_t *work, int status)
{
    struct auditor *a = container_of(work, struct auditor, work);

    (void)status; /* it is never cancelled */
    a->busy = false;
    loop_touch(a->loop);
    tell(a->loop);
}

static void add_lines(struct loop *l)
{
    struct auditor *a = &l->auditor;
    struct audit_line line;

    while (node_next_audit(l->node, &line)) {
        auditfile_add(a->file, &line);
        a->number = line.number;
    }
}

void auditor_take(struct loop *l)
{
    struct auditor *a = &l->auditor;

    if (a->file == NULL || a->busy)
        return;
    add_lines(l);
    if (!auditfile_is_pending(a->file) || l->now_us < a->retry_us)
        return;
    a->loop = l;
    a->busy = uv_queue_work(&l->uv, &a->work, on_work, on_done) == 0;
}

void auditor_finish(struct loop *l)
{
    struct auditor *a = &l->auditor;

    if (a->file == NULL)
        return;
    while (a->busy)
        uv_run(&l->uv, UV_RUN_ONCE);
    loop_touch(l);
    node_audit_flush(l->node);
    add_lines(l);
    a->written = auditfile_write(a->file);
    tell(l);
    a->file = NULL;
}
