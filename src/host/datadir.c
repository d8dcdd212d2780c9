#include "host/datadir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/error.h"

/* mkdir -p; errors show when the directory is opened. */
static void make_parents(const char *path)
{
    char part[4096];

    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0700);
        *slash = '/';
    }
}

/* Regions of the numbering, ascending by id. */
static void describe(const struct deployment *deployment, const struct region *self,
                     struct identity *want)
{
    *want = (struct identity){ .region = self->id, .shards = deployment->shards };
    snprintf(want->deployment, sizeof(want->deployment), "%s", deployment->name);
    for (unsigned id = 1; id <= REGION_ID_MAX; id++) {
        const struct region *r = deployment_region_with_id(deployment, (uint8_t)id);

        if (r == NULL)
            continue;
        want->regions[want->region_count].id = r->id;
        snprintf(want->regions[want->region_count].name, IDENTITY_NAME_MAX, "%s", r->name);
        want->region_count++;
    }
}

bool datadir_open(struct datadir *d, const char *path, const struct deployment *deployment,
                  const struct region *self, char *problem)
{
    static struct identity want; /* 16 KB: not for the stack */
    char cause[320];

    *d = (struct datadir){ 0 };
    make_parents(path);
    if (disk_posix_open(&d->disk, path) != 0) {
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s", d->disk.disk.detail);
        return false;
    }
    describe(deployment, self, &want);
    if (identity_claim(&d->disk.disk, &want, &d->identity, cause) != 0)
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, cause);
    else if (ceiling_open(&d->ceiling, &d->disk.disk, &d->ceiling_ms) != 0)
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, d->disk.disk.detail);
    else
        return true;
    disk_posix_close(&d->disk);
    return false;
}

struct replay {
    struct node *node;
    uint64_t refused_lsn;
    bool refused;
};

static int replay_record(void *context, const struct record *record)
{
    struct replay *r = context;
    int error = node_replay(r->node, record);

    r->refused = error != 0;
    r->refused_lsn = record->lsn;
    return error;
}

bool datadir_replay(struct datadir *d, struct node *n, struct oplog_report *report, char *problem)
{
    struct replay replay = { .node = n };
    struct oplog_options options = {
        .deployment = n->options.deployment->name,
        .region = n->options.self->id,
        .segment_bytes = DATADIR_SEGMENT_BYTES,
    };
    int error = oplog_open(&d->log, &d->disk.disk, &options, replay_record, &replay, report);

    if (error == 0) {
        d->log_open = true;
        node_recovered(n, d->log.end_lsn);
        return true;
    }
    if (replay.refused)
        snprintf(problem, DATADIR_PROBLEM_MAX, "the log's record at LSN %llu cannot be applied: %s",
                 (unsigned long long)replay.refused_lsn, error_text(error));
    else
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s", d->log.problem);
    return false;
}

void datadir_close(struct datadir *d)
{
    if (d->log_open)
        oplog_close(&d->log);
    d->log_open = false;
    ceiling_close(&d->ceiling);
    disk_posix_close(&d->disk);
}
