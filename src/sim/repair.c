/*
 * repair -- a log whose end is damaged, and repaired as meridian repair does.
 *
 * The good records are written anew, without those that stood in the damaged part, and a marker has
 * the region bootstrapped. What was in that part others may have: the region must not write before
 * it knows (node/runs.h).
 */
#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"
#include "store/logmake.h"
#include "store/logwalk.h"

enum { SEGMENTS_MAX = 4096, DAMAGED_MAX = 40 };

struct mending {
    struct buffer log;            /* all its records */
    uint32_t count;               /* of records */
    uint64_t from_lsn;            /* of the first */
    uint32_t hole_from, hole_end; /* of those that are damaged, by number */
    uint64_t names[SEGMENTS_MAX]; /* of segments */
    size_t name_count;
};

static void release(struct mending *m)
{
    buffer_release(&m->log);
    mem_free(m);
}

/* --- what is there --- */

static void read_log(struct sim_world *w, struct sim_region *r, struct mending *m)
{
    struct logwalk walk;
    struct record record;
    if (logwalk_open(&walk, &r->disk.disk) != 0)
        sim_fail(w, "region %u: %s", r->place + 1, walk.problem);
    m->from_lsn = logwalk_begin(&walk);
    logwalk_seek(&walk, m->from_lsn);
    while (!w->failed && logwalk_next(&walk, &record) == LOGWALK_RECORD) {
        m->count++;
        buffer_put_prefixed(&m->log, record.payload);
    }
    logwalk_close(&walk);
}

/* Some of the last records, often the very last of them. */
static void choose_hole(struct mending *m, struct prng *p)
{
    uint32_t last = (uint32_t)prng_below(p, 1 + (m->count < DAMAGED_MAX ? m->count : DAMAGED_MAX));
    m->hole_from = m->count - last;
    m->hole_end = m->count;
    if (prng_chance(p, 300000))
        m->hole_end = m->hole_from + (uint32_t)prng_below(p, last + 1);
}

/* --- what is written in its place --- */

static void note_name(void *context, const char *name)
{
    struct mending *m = context;
    uint64_t start_lsn;
    if (segment_parse_name(name, &start_lsn) && m->name_count < SEGMENTS_MAX)
        m->names[m->name_count++] = start_lsn;
}

static void remove_log(struct sim_region *r, struct mending *m)
{
    struct disk *disk = &r->disk.disk;
    char name[SEGMENT_NAME_BYTES];
    CHECK(disk->ops->list(disk, note_name, m) == 0);
    for (size_t i = 0; i < m->name_count; i++) {
        segment_name(m->names[i], name);
        CHECK(disk->ops->remove(disk, name) == 0);
    }
    CHECK(disk->ops->sync_names(disk) == 0);
}

static void note_batch(struct span payload, struct marker *marker)
{
    struct batch b;
    CHECK(batch_take(payload, &b));
    if (b.op_count > 0)
        vector_raise(&marker->had, b.to);
}

static void write_log(struct sim_world *w, struct sim_region *r, struct mending *m,
                      struct marker *marker)
{
    struct logmake made;
    struct span in = buffer_span(&m->log), payload;
    struct oplog_options options = {
        .deployment = w->deployment->name,
        .region = r->id,
        .segment_bytes = w->plan.segment_bytes,
        .replay_from = m->from_lsn,
    };
    int error = logmake_begin(&made, &r->disk.disk, &options);
    for (uint32_t i = 0; error == 0 && span_take_prefixed(&in, &payload); i++) {
        if (i >= m->hole_from && i < m->hole_end)
            continue;
        note_batch(payload, marker);
        error = logmake_put(&made, payload);
    }
    int ended = logmake_end(&made, &marker->end_lsn);
    if (error != 0 || ended != 0)
        sim_fail(w, "region %u: its log is not repaired: %s", r->place + 1, made.problem);
}

/* --- all of it --- */

void sim_repair(struct sim_world *w, struct sim_region *r, struct prng *p)
{
    char problem[MARKER_PROBLEM_MAX];
    struct marker marker = { .instance = r->instance, .began_us = w->now_us, .tail_of = r->id };
    struct mending *m = mem_zalloc(sizeof(*m));
    tail_floor(&r->node.tail, &marker.floor);
    sim_region_crash_by(w, r, false, p);
    read_log(w, r, m);
    choose_hole(m, p);
    remove_log(r, m);
    write_log(w, r, m, &marker);
    if (r->store.dropped.len > m->from_lsn)
        r->store.dropped.len = m->from_lsn;
    if (!w->failed && marker_write(&r->disk.disk, &marker, problem) != 0)
        sim_fail(w, "region %u: %s", r->place + 1, problem);
    sim_tell(w, r, "repair", "%u of its %u records are lost, %u stand behind them",
             m->hole_end - m->hole_from, m->count, m->count - m->hole_end);
    r->durable_lsn = marker.end_lsn;
    vector_copy(&r->durable, &marker.had);
    release(m);
}
