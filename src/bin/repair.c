/*
 * repair -- brings a region whose files are damaged back: from what is good of them, and from a
 * peer.
 *
 *     only headers of segments                these are written anew
 *     damage before the checkpoint's start    that log goes aside; nothing else needs it here
 *     the checkpoint, and all log is there    it goes aside; the next start replays everything
 *     the log ends before the start of a      all log goes aside, and goes on at the start
 *       checkpoint that is good without it
 *     anything else                           the good log stays, a marker is written: the next
 *                                             start takes the objects from a peer, then its own
 *                                             log's rest
 *
 * Where the log's end may be lost, the marker says so: then no own write is made before every other
 * region has told what it holds of this one (node/runs.h).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/memory.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "bin/repair_keep.h"
#include "bin/repair_log.h"
#include "bin/repair_look.h"
#include "bin/repair_remedy.h"
#include "host/clocks.h"
#include "host/config.h"
#include "host/datadir.h"

const char repair_help[] =
    "usage: meridian repair --data DIR --check\n"
    "       meridian repair --data DIR --config FILE --region NAME\n"
    "\n"
    "For a region that does not start, or takes no more writes, because its files are damaged. "
    "Puts "
    "them\n"
    "aside, into DIR/damaged-TIME, keeps what is good, and has the region take the rest from "
    "another one\n"
    "when it is started next. The region has to be stopped.\n"
    "\n"
    "  --data DIR     the region's data directory\n"
    "  --check        only look, at every byte, and say what is damaged; also beside a region that "
    "runs\n"
    "  --config FILE  the deployment's configuration\n"
    "  --region NAME  which of its regions this is\n"
    "\n"
    "docs/backup.md says more.\n";

enum { OPTION_DATA, OPTION_CHECK, OPTION_CONFIG, OPTION_REGION };

static const struct option OPTIONS[] = {
    [OPTION_DATA] = { "--data", true },
    [OPTION_CHECK] = { "--check", false },
    [OPTION_CONFIG] = { "--config", true },
    [OPTION_REGION] = { "--region", true },
    { NULL, false },
};

struct repair {
    const char *data, *config_file, *region_name;
    bool check;
    struct deployment deployment;
    const struct region *self;
    struct disk_posix disk;
    struct identity identity; /* claimed */
    struct repair_look look;
    struct repair_log log;
    bool finished_another; /* that was interrupted */
    bool headers_mended;
    char problem[FILES_PROBLEM_MAX];
};

static bool options_fit(const struct repair *r)
{
    if (r->data == NULL)
        usage_error("repair", "needs --data DIR");
    else if (!r->check && (r->config_file == NULL || r->region_name == NULL))
        usage_error("repair", "needs --config FILE and --region NAME, or --check");
    else
        return true;
    return false;
}

static bool read_options(struct repair *r, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return options_fit(r);
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("repair", "has no place for \"%s\"", o.value);
            return false;
        case OPTION_DATA:
            r->data = o.value;
            break;
        case OPTION_CHECK:
            r->check = true;
            break;
        case OPTION_CONFIG:
            r->config_file = o.value;
            break;
        case OPTION_REGION:
            r->region_name = o.value;
        }
    }
}

__attribute__((format(printf, 2, 3))) static bool fail(struct repair *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->problem, sizeof(r->problem), format, args);
    va_end(args);
    return false;
}

/* Of the parts' own: what their contexts say already. */
static bool pass_on(struct repair *r, bool good)
{
    return good || fail(r, "%s: %s", r->data, r->log.problem);
}

/* --- looking only --- */

static bool open_to_look(struct repair *r, bool *still)
{
    int error = files_is_directory(r->data) ? disk_posix_open(&r->disk, r->data) : E_MISSING;
    *still = error == E_OK;
    if (error == E_BUSY || error == E_DENIED || error == E_MISSING)
        error = disk_posix_beside(&r->disk, r->data, false);
    return error == E_OK || fail(r, "%s", r->disk.disk.detail);
}

/* Nothing is made in a directory that is none of ours. */
static bool is_region(struct repair *r)
{
    return !files_is_directory(r->data) || files_is_region(r->data) ||
           fail(r, "%s: no region's data directory: there is no file \"identity\" in it", r->data);
}

static bool check(struct repair *r)
{
    bool still;
    if (!is_region(r) || !open_to_look(r, &still))
        return false;
    bool good = repair_look(r->data, &r->disk.disk, still, &r->look, r->problem);
    if (good) {
        const char *first = repair_look_problem(&r->look);
        repair_look_show(&r->look);
        good = first == NULL || fail(r, "%s: %s", r->data, first);
    }
    disk_posix_close(&r->disk);
    return good;
}

/* --- what is to be done --- */

static bool is_alone(const struct repair *r)
{
    return r->deployment.region_count == 1;
}

static struct oplog_options log_options(const struct repair *r)
{
    return (struct oplog_options){
        .deployment = r->deployment.name,
        .region = r->self->id,
        .segment_bytes = DATADIR_SEGMENT_BYTES,
    };
}

/* Where the segment begins that holds an LSN, and the one after it. */
struct around {
    uint64_t lsn, start_lsn, next_lsn;
};

static void note_segment(void *context, const char *name)
{
    struct around *a = context;
    uint64_t start_lsn;
    if (!segment_parse_name(name, &start_lsn))
        return;
    if (start_lsn <= a->lsn && start_lsn > a->start_lsn)
        a->start_lsn = start_lsn;
    if (start_lsn > a->lsn && start_lsn < a->next_lsn)
        a->next_lsn = start_lsn;
}

static bool find_segment(struct repair *r, uint64_t lsn, struct around *a)
{
    *a = (struct around){ lsn, 0, UINT64_MAX };
    struct disk *disk = &r->disk.disk;
    return disk->ops->list(disk, note_segment, a) == E_OK || fail(r, "%s", disk->detail);
}

static bool finish_log(struct repair *r)
{
    bool any;
    return pass_on(r, repair_log_finish(&r->log, &any));
}

/* The old log from there on goes, and its good records are written anew. */
static struct repair_plan all_from(uint64_t lsn)
{
    return (struct repair_plan){
        .from_lsn = lsn, .to_lsn = UINT64_MAX, .keep_lsn = lsn, .until_lsn = UINT64_MAX
    };
}

/* --- headers --- */

/* From the first of these segments on all is written anew, to the same places. */
static bool mend_headers(struct repair *r)
{
    struct around a;
    const struct oplog_options options = log_options(r);
    if (!find_segment(r, r->look.log.runs[0].to_lsn, &a))
        return false;
    struct repair_plan plan = all_from(a.start_lsn);
    if (!pass_on(r, repair_log_prepare(&r->log, &options, &r->look.log, &plan, NULL)) ||
        !finish_log(r))
        return false;
    printf("put aside: segments of the log from LSN %" PRIu64
           " on, in %s; all of their records are "
           "good, and were written anew\n",
           a.start_lsn, r->log.aside);
    r->headers_mended = true;
    return true;
}

/* --- log before the checkpoint --- */

static bool drop_front(struct repair *r)
{
    struct around a;
    const struct examined_log *log = &r->look.log;
    uint64_t keep_lsn = examined_log_last(log)->from_lsn;
    const struct oplog_options options = log_options(r);
    if (!find_segment(r, keep_lsn, &a))
        return false;
    /* In the midst of a segment, or the segment's header is the damage. */
    bool anew = a.start_lsn < keep_lsn || log->runs[log->count - 2].to_lsn == keep_lsn;
    struct repair_plan plan = { .to_lsn = anew ? keep_lsn + 1 : keep_lsn,
                                .keep_lsn = keep_lsn,
                                .until_lsn = anew ? a.next_lsn : keep_lsn };
    if (!pass_on(r, repair_log_prepare(&r->log, &options, log, &plan, NULL)) || !finish_log(r))
        return false;
    printf("put aside: the log before LSN %" PRIu64 ", in %s; the checkpoint has what it said\n"
           "The region can be started. A region that still lacked some of that log takes its "
           "objects anew.\n",
           keep_lsn, r->log.aside);
    return true;
}

/* --- all log is there --- */

static bool replay_all(struct repair *r)
{
    if (!pass_on(r, repair_log_put_aside(&r->log, "checkpoint")))
        return false;
    printf("put aside: the checkpoint, in %s\n"
           "The region can be started. It replays all of its log, which is good from its "
           "beginning.\n",
           r->log.aside);
    return true;
}

/* --- from a peer --- */

/* Ours, or nobody's: only we may have had them. */
static bool is_ours_alone(const struct repair *r, uint32_t origin)
{
    return deployment_region_with_id(&r->deployment, (uint8_t)origin) == NULL ||
           origin == r->self->id;
}

/* What the source has to have, and what is to be back in the end. */
static void make_marker(struct repair *r, struct marker *m)
{
    const struct repair_look *l = &r->look;
    *m = (struct marker){ .instance = r->identity.instance, .began_us = clocks_wall_us() };
    if (l->has_marker) {
        vector_copy(&m->floor, &l->marker.floor);
        vector_copy(&m->had, &l->marker.had);
    }
    vector_merge(&m->floor, &l->log.before);
    vector_merge(&m->had, &l->log.last);
    for (uint32_t o = 0; l->start_known && o < l->start.last_op.high; o++) {
        stamp_t last = l->start.last_op.at[o];
        if (last == 0)
            continue;
        /* Of an origin that the log has nothing of, all came before it. */
        if (vector_get(&l->log.last, (uint8_t)o) == 0 && !is_ours_alone(r, o))
            vector_raise(&m->floor, last);
        if (!is_ours_alone(r, o))
            vector_raise(&m->had, last);
    }
    m->end_lsn = examined_log_last(&l->log)->to_lsn;
    if (repair_end_is_lost(&r->look))
        m->tail_of = r->self->id;
    else if (l->has_marker)
        m->tail_of = l->marker.tail_of;
}

static bool claim(struct repair *r)
{
    static struct identity want;
    char cause[320];
    datadir_describe(&r->deployment, r->self, &want);
    if (getrandom(&want.run, sizeof(want.run), 0) != sizeof(want.run))
        want.run = clocks_wall_us();
    want.run |= 1;
    return identity_claim(&r->disk.disk, &want, &r->identity, cause) == E_OK ||
           fail(r, "%s: %s", r->data, cause);
}

/* From the first damaged segment on the good records are written anew: LSNs have no gaps. */
static bool make_plan(struct repair *r, const struct marker *m, struct repair_plan *plan)
{
    struct around a;
    if (repair_log_is_clean(&r->look)) {
        *plan = all_from(UINT64_MAX);
        plan->keep_lsn = plan->until_lsn = m->end_lsn;
        return true;
    }
    if (!find_segment(r, r->look.log.runs[0].to_lsn, &a))
        return false;
    *plan = all_from(a.start_lsn);
    return true;
}

/* The marker comes with the rest, or not: who found it alone would throw the checkpoint away. */
static bool put_marker(struct repair *r, struct marker *m, bool checkpoint_aside)
{
    struct repair_plan plan;
    const struct oplog_options options = log_options(r);
    if (!make_plan(r, m, &plan))
        return false;
    plan.checkpoint_aside = checkpoint_aside;
    return pass_on(r, repair_log_prepare(&r->log, &options, &r->look.log, &plan, m)) &&
           finish_log(r);
}

static void tell_bootstrap(struct repair *r, bool checkpoint_aside)
{
    bool log_aside = !repair_log_is_clean(&r->look);
    if (log_aside || checkpoint_aside)
        printf("put aside: %s, in %s\n",
               !log_aside         ? "the checkpoint"
               : checkpoint_aside ? "the checkpoint and segments of the log"
                                  : "segments of the log",
               r->log.aside);
    if (repair_checkpoint_holds_more(&r->look))
        printf("That checkpoint holds writes that no log has any more: those that no other region "
               "has are lost.\n");
    printf(
        "The region can be started: it takes all objects from another region, then what is good of "
        "its own log.\n");
    if (repair_end_is_lost(&r->look))
        printf(
            "Writes of this region that stood in the damaged part, and that no other region had, "
            "are lost.\nIt takes no writes (AMNESIA) before it has met every other region: one may "
            "hold later ones of it.\nIf one does, or its own later ones do not fit without the "
            "lost "
            "ones, it needs a new number (docs/operating.md).\n");
}

static bool bootstrap(struct repair *r)
{
    struct marker marker;
    bool checkpoint_aside = r->look.checkpoint[0] != '\0' || repair_checkpoint_holds_more(&r->look);
    if (is_alone(r))
        return fail(r,
                    "%s: %s; %s is the only region of its deployment, so nobody has its objects: "
                    "restore a back-up (meridian help restore)",
                    r->data, repair_look_problem(&r->look), r->self->name);
    if (!claim(r))
        return false;
    make_marker(r, &marker);
    if (!put_marker(r, &marker, checkpoint_aside))
        return false;
    tell_bootstrap(r, checkpoint_aside);
    return true;
}

/* --- the checkpoint is all there is --- */

static void tell_kept(const struct repair *r)
{
    if (!r->look.log.none)
        printf("put aside: all of the log, in %s\n", r->log.aside);
    printf(
        "The region can be started: the checkpoint is good, and the log goes on where it stands, "
        "at LSN %" PRIu64 ".\n",
        r->look.start.lsn);
    if (is_alone(r))
        printf("Writes that came after the checkpoint, if there were any, are lost.\n");
    else
        printf(
            "Later writes of this region that no other region had, if there were any, are lost.\n"
            "It takes no writes (AMNESIA) before it has met every other region. If one holds later "
            "ones\nthat do not come back, it needs a new number (docs/operating.md).\n");
}

static bool keep(struct repair *r)
{
    struct marker marker = { .began_us = clocks_wall_us(), .tail_of = r->self->id };
    const struct oplog_options options = log_options(r);
    uint64_t start_lsn = r->look.start.lsn;
    struct repair_plan plan = all_from(start_lsn);
    plan.from_lsn = 0;
    if (!claim(r))
        return false;
    marker.instance = r->identity.instance;
    vector_copy(&marker.floor, &r->look.start.last_op);
    vector_copy(&marker.had, &r->look.start.last_op);
    if ((!is_alone(r) && !repair_keep(r->data, &marker, r->problem)) ||
        !pass_on(r, repair_log_prepare(&r->log, &options, &r->look.log, &plan,
                                       is_alone(r) ? NULL : &marker)) ||
        !finish_log(r))
        return false;
    tell_kept(r);
    return true;
}

/* --- all of it --- */

static bool apply(struct repair *r)
{
    switch (repair_choose(&r->look, is_alone(r))) {
    case REMEDY_NONE:
        printf("%s\n", r->headers_mended || r->finished_another ? "The region can be started."
                                                                : "nothing is damaged");
        return true;
    case REMEDY_DROP_FRONT:
        return drop_front(r);
    case REMEDY_REPLAY:
        return replay_all(r);
    case REMEDY_KEEP:
        return keep(r);
    case REMEDY_BOOTSTRAP:
        return bootstrap(r);
    }
    return true;
}

/* Nobody else can say what these say. */
static bool small_files_are_good(struct repair *r)
{
    const char *const small[] = { r->look.identity, r->look.clock, r->look.marker_problem };
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        if (small[i][0] != '\0')
            return fail(r, "%s: %s", r->data, small[i]);
    }
    return true;
}

static void name_aside(struct repair *r)
{
    char time[CLOCKS_TEXT_MAX];
    clocks_text(clocks_wall_us(), time);
    r->log = (struct repair_log){ .data = r->data, .disk = &r->disk.disk };
    snprintf(r->log.aside, sizeof(r->log.aside), "%s/damaged-%s", r->data, time);
}

static bool look(struct repair *r)
{
    bool torn = r->look.torn; /* it is not, once it was written anew */
    repair_look_release(&r->look);
    bool good = repair_look(r->data, &r->disk.disk, true, &r->look, r->problem);
    r->look.torn |= torn;
    return good;
}

static bool finish_another(struct repair *r)
{
    name_aside(r);
    if (!pass_on(r, repair_log_finish(&r->log, &r->finished_another)))
        return false;
    if (r->finished_another)
        printf("finished: a repair that was interrupted; what it puts aside is in %s/damaged-*\n",
               r->data);
    return true;
}

/* With the directory taken. */
static bool mend(struct repair *r)
{
    if (!finish_another(r) || !look(r))
        return false;
    repair_look_show(&r->look);
    if (!small_files_are_good(r))
        return false;
    if (examined_log_lacks_headers_only(&r->look.log) && (!mend_headers(r) || !look(r)))
        return false;
    return apply(r);
}

static bool load_config(struct repair *r)
{
    struct buffer errors = { 0 };
    if (!config_load(r->config_file, &r->deployment, &errors)) {
        while (errors.len > 0 && errors.at[errors.len - 1] == '\n')
            errors.len--;
        fail(r, "%.*s", (int)errors.len, (const char *)errors.at);
        buffer_release(&errors);
        return false;
    }
    r->self = deployment_region_named(&r->deployment, r->region_name);
    return r->self != NULL || fail(r, "%s has no region \"%s\"", r->config_file, r->region_name);
}

static bool repair(struct repair *r)
{
    if (!load_config(r))
        return false;
    if (!files_is_directory(r->data))
        return fail(r, "%s: is no directory", r->data);
    if (!is_region(r))
        return false;
    if (disk_posix_open(&r->disk, r->data) != E_OK)
        return fail(r, "%s", r->disk.disk.detail);
    bool good = mend(r);
    disk_posix_close(&r->disk);
    return good;
}

int repair_main(int argc, char **argv)
{
    struct repair *r = mem_zalloc(sizeof(*r));
    int status = EXIT_USAGE;
    if (read_options(r, argc, argv)) {
        bool good = r->check ? check(r) : repair(r);
        status = good ? EXIT_DONE : command_failed("repair", "%s", r->problem);
    }
    repair_look_release(&r->look);
    deployment_release(&r->deployment);
    mem_free(r);
    return status;
}
