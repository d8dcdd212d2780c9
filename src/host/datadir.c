#include "host/datadir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "host/clocks.h"
#include "host/datadir_fences.h"
#include "host/logger.h"
#include "node/checkpoint.h"
#include "node/report.h"

enum { FILES_LEAST_BYTES = 24 << 20 }; /* half of it the program */

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

void datadir_describe(const struct deployment *deployment, const struct region *self,
                      struct identity *want)
{
    *want = (struct identity){ .region = self->id, .shards = deployment->shards };
    snprintf(want->deployment, sizeof(want->deployment), "%s", deployment->name);
    memcpy(want->closed, deployment->closed, sizeof(want->closed));
    for (unsigned id = 1; id <= REGION_ID_MAX; id++) {
        const struct region *r = deployment_region_with_id(deployment, (uint8_t)id);

        if (r == NULL)
            continue;
        want->regions[want->region_count].id = r->id;
        snprintf(want->regions[want->region_count].name, IDENTITY_NAME_MAX, "%s", r->name);
        want->region_count++;
    }
    CHECK(residency_of(deployment, &want->residency)); /* host/config.c sees to it */
}

/* Of what may be in memory, files may be a quarter: the checkpoint, and the program itself. */
static void limit_files(struct datadir *d, uint64_t memory_limit_bytes)
{
    uint64_t share = memory_limit_bytes / 4;

    kv_lmdb_limit(&d->kv, share < FILES_LEAST_BYTES && share > 0 ? FILES_LEAST_BYTES : share);
}

/* Records of a first checkpoint that was never completed: their places hang on a table's seed that
 * nobody knows any more, and the log has all that is in them. Those of a bootstrap are not that. */
static bool is_abandoned(struct datadir *d)
{
    struct buffer note = { 0 };
    bool none = checkpoint_note(&d->checkpoint, BOOTSTRAP_NOTE, &note) == E_MISSING;

    buffer_release(&note);
    return none && !d->found.start_known && !d->found.empty;
}

static bool begin_anew(struct datadir *d)
{
    struct checkpoint_writer writer;
    bool done = false;
    int error = 0;

    checkpoint_close(&d->checkpoint);
    checkpoint_writer_init(&writer, &d->kv.kv);
    while (error == 0 && !done)
        error = checkpoint_clear(&writer, &done);
    if (error != 0)
        snprintf(d->checkpoint.problem, sizeof(d->checkpoint.problem), "%s", writer.problem);
    checkpoint_writer_release(&writer);
    return error == 0 && checkpoint_open(&d->checkpoint, &d->kv.kv, &d->found) == 0;
}

/* What a bootstrap replaces goes whole: its disk space may be wanted for what comes. */
static bool remove_files(struct datadir *d, const char *directory)
{
    static const char *const FILES[] = { "data.mdb", "lock.mdb" };
    char path[4200], cause[KV_LMDB_PROBLEM_MAX];

    checkpoint_close(&d->checkpoint);
    kv_lmdb_close(&d->kv);
    for (size_t i = 0; i < COUNT_OF(FILES); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, FILES[i]);
        unlink(path);
    }
    if (kv_lmdb_open(&d->kv, directory, false, cause) == 0)
        return checkpoint_open(&d->checkpoint, &d->kv.kv, &d->found) == 0;
    snprintf(d->checkpoint.problem, sizeof(d->checkpoint.problem), "%.300s", cause);
    return false;
}

/* What is there belongs to this bootstrap, or it goes. */
static bool judge_phase(struct datadir *d, const char *directory)
{
    d->phase = bootstrap_phase_of(&d->checkpoint, &d->found, &d->marker);
    if (d->phase != BOOTSTRAP_NONE)
        return true;
    d->phase = BOOTSTRAP_IMAGE;
    return remove_files(d, directory);
}

/* Of another version: LMDB's own pages have no checksum, so it may be damage as well. */
static bool is_damage(int error)
{
    return error == E_CORRUPT || error == E_VERSION;
}

/* DATA/checkpoint. */
static bool open_checkpoint(struct datadir *d, const char *path, char *problem)
{
    char directory[4096], cause[KV_LMDB_PROBLEM_MAX];

    if (snprintf(directory, sizeof(directory), "%s/checkpoint", path) >= (int)sizeof(directory)) {
        snprintf(problem, DATADIR_PROBLEM_MAX, "the name of the data directory is too long");
        return false;
    }
    int error = kv_lmdb_open(&d->kv, directory, false, cause);
    if (error != 0) {
        d->damaged = is_damage(error);
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, cause);
        return false;
    }
    error = checkpoint_open(&d->checkpoint, &d->kv.kv, &d->found);
    if (error == 0 && (d->marked ? judge_phase(d, directory) : !is_abandoned(d) || begin_anew(d)))
        return true;
    d->damaged = is_damage(error);
    snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, d->checkpoint.problem);
    kv_lmdb_close(&d->kv);
    return false;
}

static bool read_marker(struct datadir *d, char *problem)
{
    int error = marker_read(&d->disk.disk, &d->marker, problem);

    d->marked = error == E_OK;
    return error == E_OK || error == E_MISSING;
}

static bool is_half_repaired(struct datadir *d, const char *path, char *problem)
{
    char repaired[4096];

    if (snprintf(repaired, sizeof(repaired), "%s/" DATADIR_REPAIRED, path) >=
            (int)sizeof(repaired) ||
        access(repaired, F_OK) != 0)
        return false;
    d->damaged = true;
    snprintf(problem, DATADIR_PROBLEM_MAX,
             "%s: a repair was interrupted, and is to be finished by another one", path);
    return true;
}

bool datadir_open(struct datadir *d, const char *path, const struct deployment *deployment,
                  const struct region *self, uint64_t run, char *problem)
{
    static struct identity want; /* 50 KB: not for the stack */
    char cause[320];

    *d = (struct datadir){ 0 };
    make_parents(path);
    if (disk_posix_open(&d->disk, path) != 0) {
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s", d->disk.disk.detail);
        return false;
    }
    if (is_half_repaired(d, path, problem)) {
        disk_posix_close(&d->disk);
        return false;
    }
    datadir_describe(deployment, self, &want);
    want.run = run;
    if (identity_claim(&d->disk.disk, &want, &d->identity, cause) != 0)
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, cause);
    else if (!read_marker(d, cause))
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, cause);
    else if (ceiling_open(&d->ceiling, &d->disk.disk, &d->ceiling_ms) != 0)
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s: %s", path, d->disk.disk.detail);
    else if (open_checkpoint(d, path, problem)) {
        limit_files(d, deployment->memory.limit_bytes);
        return true;
    } else
        ceiling_close(&d->ceiling);
    disk_posix_close(&d->disk);
    return false;
}

static uint64_t segment_bytes(const struct deployment *deployment)
{
    uint64_t share = deployment->log.retain_bytes / 4;

    if (share < DATADIR_SEGMENT_MIN_BYTES)
        return DATADIR_SEGMENT_MIN_BYTES;
    return share < DATADIR_SEGMENT_BYTES ? share : DATADIR_SEGMENT_BYTES;
}

struct replay {
    struct node *node;
    struct loop *loop;
    const struct oplog_report *report;
    uint64_t pumped_us, told_us;
    uint64_t refused_lsn;
    bool refused;
};

static void tell_progress(struct replay *r, uint64_t now_us)
{
    uint64_t done = r->report->bytes, total = r->report->total_bytes;

    node_loading(r->node, done, total);
    if (now_us - r->told_us < DATADIR_TELL_US)
        return;
    r->told_us = now_us;
    logger_line(LOGGER_INFO, "ev=loading percent=%d done_bytes=%llu total_bytes=%llu",
                (int)node_loaded_percent(r->node), (unsigned long long)done,
                (unsigned long long)total);
}

/* False when the server is to stop. */
static bool pump(void *context)
{
    struct replay *r = context;
    uint64_t now_us = clocks_monotonic_us();
    bool go_on;

    if (now_us - r->pumped_us < DATADIR_PUMP_US)
        return true;
    tell_progress(r, now_us);
    go_on = loop_pump(r->loop);
    r->pumped_us = clocks_monotonic_us();
    return go_on;
}

/* What was replayed is written down, and leaves. */
static bool wait_for_memory(struct replay *r)
{
    while (node_replay_waits(r->node)) {
        if (!loop_round(r->loop))
            return false;
        tell_progress(r, clocks_monotonic_us());
    }
    return true;
}

static int replay_record(void *context, const struct record *record)
{
    struct replay *r = context;
    int error;

    if (!pump(r) || !wait_for_memory(r))
        return E_BUSY;
    error = node_replay(r->node, record);
    r->refused = error != 0;
    r->refused_lsn = record->lsn;
    return error;
}

/* Log goes to disk before what it did to objects: a log that ends before that lost its end. */
static bool log_covers_objects(struct datadir *d)
{
    struct buffer note = { 0 };
    uint64_t reach = 0;
    if (d->found.start_known && !d->marked &&
        checkpoint_note(&d->checkpoint, CHECKPOINT_NOTE_REACH, &note) == E_OK) {
        struct span in = buffer_span(&note);
        if (!span_take_u64(&in, &reach))
            reach = 0;
    }
    buffer_release(&note);
    return reach <= d->log.end_lsn;
}

bool datadir_replay(struct datadir *d, struct node *n, struct loop *l, struct oplog_report *report,
                    char *problem)
{
    struct replay replay = {
        .node = n,
        .loop = l,
        .report = report,
        .told_us = clocks_monotonic_us(),
    };
    struct oplog_options options = {
        .deployment = n->options.deployment->name,
        .region = n->options.self->id,
        .segment_bytes = segment_bytes(n->options.deployment),
        .replay_from = d->found.start_known ? d->found.start.lsn : 0,
    };
    options.durable_first = n->server.settings.max_memory_bytes != 0;
    n->replay_durable = options.durable_first;
    memcpy(options.regions, d->identity.closed, sizeof(options.regions));
    if (d->phase == BOOTSTRAP_IMAGE)
        options.replay_from = d->marker.end_lsn;
    int error = node_install(n, &d->checkpoint, &d->found);

    if (error != 0) {
        d->damaged = is_damage(error);
        snprintf(problem, DATADIR_PROBLEM_MAX, "the checkpoint cannot be used: %s",
                 error_text(error));
        return false;
    }
    *report = (struct oplog_report){ 0 };
    if (!pump(&replay))
        return false;
    error = oplog_open(&d->log, &d->disk.disk, &options, replay_record, &replay, report);
    d->log_open = error == 0;
    if (error == 0 && d->marked && d->log.end_lsn == d->marker.end_lsn)
        error = oplog_roll(&d->log); /* the old log goes in whole segments */
    if (error == 0 && !log_covers_objects(d)) {
        error = E_CORRUPT;
        snprintf(d->log.problem, sizeof(d->log.problem),
                 "the log ends at LSN %llu, before what the checkpoint holds: its end is lost",
                 (unsigned long long)d->log.end_lsn);
    }
    if (error == 0) {
        if (!datadir_adopt_prefixes(d, n, pump, &replay, problem))
            return false;
        node_recovered(n, d->log.end_lsn);
        node_log_starts(n, oplog_start_lsn(&d->log));
        return true;
    }
    if (replay.refused)
        snprintf(problem, DATADIR_PROBLEM_MAX, "the log's record at LSN %llu cannot be applied: %s",
                 (unsigned long long)replay.refused_lsn, error_text(error));
    else
        snprintf(problem, DATADIR_PROBLEM_MAX, "%s", d->log.problem);
    d->damaged = error == E_CORRUPT && !replay.refused;
    return false;
}

bool datadir_mark(struct datadir *d, const struct node_restart *restart, char *problem)
{
    char cause[MARKER_PROBLEM_MAX];

    if (!restart->mark || marker_write(&d->disk.disk, &restart->marker, cause) == E_OK)
        return true;
    snprintf(problem, DATADIR_PROBLEM_MAX, "%s", cause);
    return false;
}

void datadir_close(struct datadir *d)
{
    if (d->log_open)
        oplog_close(&d->log);
    d->log_open = false;
    checkpoint_close(&d->checkpoint);
    kv_lmdb_close(&d->kv);
    ceiling_close(&d->ceiling);
    disk_posix_close(&d->disk);
}
