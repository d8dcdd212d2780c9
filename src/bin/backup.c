/*
 * backup -- copies a region, running or not, into a back-up directory, and then what it adds to it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "bin/backup_base.h"
#include "bin/bin.h"
#include "bin/files.h"
#include "bin/moment.h"
#include "bin/options.h"
#include "bin/progress.h"
#include "host/clocks.h"
#include "store/hold.h"
#include "store/marker.h"

const char backup_help[] =
    "usage: meridian backup --data DIR --to BACKUP [--full] [--follow] [--keep SIZE]\n"
    "\n"
    "Copies a region, while it runs or when it does not, into the directory BACKUP: its objects, "
    "and its\n"
    "log from there on. The next time only what its log has grown by is copied.\n"
    "\n"
    "  --data DIR    the region's data directory, on this machine\n"
    "  --to BACKUP   a directory for this region's back-ups, made when it is missing\n"
    "  --full        copy the objects again, so that the log to replay is short\n"
    "  --keep SIZE   how much log the region keeps for the next run at most; 1GB when left out\n"
    "  --follow      go on copying what is new, every second, until SIGTERM or SIGINT\n"
    "\n"
    "meridian restore gives any moment of it; docs/backup.md says more.\n";

enum { OPTION_DATA, OPTION_TO, OPTION_FULL, OPTION_FOLLOW, OPTION_KEEP };

static const struct option OPTIONS[] = {
    [OPTION_DATA] = { "--data", true },  [OPTION_TO] = { "--to", true },
    [OPTION_FULL] = { "--full", false }, [OPTION_FOLLOW] = { "--follow", false },
    [OPTION_KEEP] = { "--keep", true },  { NULL, false },
};

enum { TRIES = 3, BASES_MAX = 9999, FOLLOW_S = 1, SAVE_MS = 10000, KEEP_BYTES = 1 << 30 };

struct backup {
    const char *data, *to;
    bool full, follow;
    uint64_t keep_bytes;
    struct progress progress;
    struct disk_posix from, lock;
    struct identity identity; /* of the directory now */
    struct manifest manifest;
    uint64_t log_bytes, object_bytes, keys;
    bool based;    /* a base was taken */
    bool compared; /* the newest base's log and the region's, by this process */
    char problem[FILES_PROBLEM_MAX];
};

/* As sizes stand in the configuration. */
static bool read_size(const char *text, uint64_t *bytes)
{
    static const char *const units[] = { "B", "KB", "MB", "GB" };
    char unit[4] = "B";
    unsigned long long number;
    int used = 0;
    if (sscanf(text, "%10llu%n%3s", &number, &used, unit) < 1 || strlen(text + used) > 2)
        return false;
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        *bytes = (uint64_t)number << (10 * i);
        if (strcmp(unit, units[i]) == 0)
            return true;
    }
    return false;
}

static bool read_options(struct backup *b, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    b->keep_bytes = KEEP_BYTES;
    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            if (b->data != NULL && b->to != NULL)
                return true;
            usage_error("backup", "needs --data DIR and --to BACKUP");
            return false;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("backup", "has no place for \"%s\"", o.value);
            return false;
        case OPTION_DATA:
            b->data = o.value;
            break;
        case OPTION_TO:
            b->to = o.value;
            break;
        case OPTION_FULL:
            b->full = true;
            break;
        case OPTION_FOLLOW:
            b->follow = true;
            break;
        case OPTION_KEEP:
            if (read_size(o.value, &b->keep_bytes))
                break;
            usage_error("backup", "--keep: \"%s\" is no size, such as 1GB or 500MB", o.value);
            return false;
        }
    }
}

__attribute__((format(printf, 2, 3))) static bool fail(struct backup *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(b->problem, sizeof(b->problem), format, args);
    va_end(args);
    return false;
}

/* --- whose it is --- */

static const char *region_name(const struct identity *id)
{
    for (uint32_t i = 0; i < id->region_count; i++) {
        if (id->regions[i].id == id->region)
            return id->regions[i].name;
    }
    return "?";
}

static bool read_identity(struct backup *b)
{
    char cause[320];
    int error = identity_read(&b->from.disk, &b->identity, cause);
    if (error == E_MISSING)
        return fail(b, "%s: there is no region in it", b->data);
    return error == E_OK || fail(b, "%s: %s", b->data, cause);
}

/* What is being filled from a peer is no state of its own. */
static bool is_whole(struct backup *b)
{
    struct marker marker;
    char cause[MARKER_PROBLEM_MAX];
    int error = marker_read(&b->from.disk, &marker, cause);
    if (error == E_MISSING)
        return true;
    if (error != E_OK)
        return fail(b, "%s: %s", b->data, cause);
    return fail(b, "%s: the region is being bootstrapped: wait until it serves, or back up another",
                b->data);
}

static bool load_manifest(struct backup *b)
{
    const struct identity *had = &b->manifest.identity;
    int error = manifest_load(b->to, &b->manifest, b->problem);
    if (error != E_OK && error != E_MISSING)
        return false;
    if (error == E_OK && (strcmp(had->deployment, b->identity.deployment) != 0 ||
                          strcmp(region_name(had), region_name(&b->identity)) != 0))
        return fail(b,
                    "%s: holds back-ups of region %s of deployment %s, not of %s of %s: name "
                    "another directory",
                    b->to, region_name(had), had->deployment, region_name(&b->identity),
                    b->identity.deployment);
    b->manifest.identity = b->identity;
    return true;
}

/* --- what is new --- */

static struct manifest_base *newest(struct backup *b)
{
    return b->manifest.count == 0 ? NULL : &b->manifest.bases[b->manifest.count - 1];
}

static enum backup_verdict grow(struct backup *b, struct manifest_base *base, struct disk *to,
                                const struct backup_look *look)
{
    struct backup_log log;
    uint64_t moment_ms = backup_log_moment(b->data);
    const struct copy_start *meet = look->start_known && look->start.lsn >= base->end_lsn
                                        ? &look->start
                                        : NULL;
    if (!backup_log_open(&log, b->data, &b->from.disk, to, base)) {
        fail(b, "%s", log.problem);
        return BACKUP_FAILED;
    }
    enum backup_verdict verdict = b->compared ? BACKUP_GOOD : backup_log_compare(&log);
    b->compared = verdict == BACKUP_GOOD;
    if (verdict == BACKUP_GOOD)
        verdict = backup_log_copy(&log, true, meet);
    if (verdict == BACKUP_GOOD)
        base->until_ms = backup_log_until_ms(base, moment_ms);
    else
        fail(b, "%s", log.problem);
    b->log_bytes += log.bytes;
    backup_log_close(&log);
    return verdict;
}

/* The base's log goes on, when it can. What did not join must be forgotten again. */
static enum backup_verdict extend(struct backup *b, struct manifest_base *base)
{
    static struct backup_look look;
    struct disk_posix to;
    char path[FILES_PATH_MAX];
    if (!backup_look(b->data, &look, b->problem) ||
        !files_join(path, b->to, base->name, b->problem))
        return BACKUP_FAILED;
    if (disk_posix_beside(&to, path, true) != E_OK) {
        fail(b, "%s", to.disk.detail);
        return BACKUP_FAILED;
    }
    enum backup_verdict verdict = grow(b, base, &to.disk, &look);
    disk_posix_close(&to);
    return verdict;
}

/* Asks the region to keep its log from here on. It may be that we may only read: then more often
 * all begins with a new base. */
static void hold(struct backup *b, uint64_t lsn)
{
    const struct hold h = { .lsn = lsn, .most_bytes = b->keep_bytes };
    struct disk_posix disk;
    if (disk_posix_beside(&disk, b->data, true) == E_OK)
        hold_write(&disk.disk, &h);
    disk_posix_close(&disk);
}

/* --- a new base --- */

/* One above all that are there, known to the manifest or not. */
static bool name_base(struct backup *b, struct manifest_base *base)
{
    char path[FILES_PATH_MAX];
    for (unsigned number = BASES_MAX; number > 0; number--) {
        snprintf(base->name, sizeof(base->name), "base-%04u", number);
        if (!files_join(path, b->to, base->name, b->problem))
            return false;
        if (!files_exists(path))
            continue;
        if (number == BASES_MAX)
            return fail(b, "%s: has had %d bases: name another directory", b->to, BASES_MAX);
        snprintf(base->name, sizeof(base->name), "base-%04u", number + 1);
        return true;
    }
    snprintf(base->name, sizeof(base->name), "base-0001");
    return true;
}

static bool take_base(struct backup *b)
{
    enum backup_verdict verdict = BACKUP_PARTS;
    for (int i = 0; i < TRIES && verdict == BACKUP_PARTS; i++) {
        struct manifest_base *base = manifest_add_base(&b->manifest);
        uint64_t log_bytes;
        verdict = name_base(b, base) ? backup_base_take(b->data, &b->from.disk, b->to, base,
                                                        &log_bytes, b->problem)
                                     : BACKUP_FAILED;
        if (verdict != BACKUP_GOOD) {
            manifest_drop_base(&b->manifest);
            continue;
        }
        b->log_bytes += log_bytes;
        b->object_bytes = base->checkpoint_bytes;
        b->keys = base->keys;
        b->based = true;
    }
    return verdict == BACKUP_GOOD && is_whole(b);
}

/* --- all of it --- */

static bool save(struct backup *b)
{
    if (!files_sync_directory(b->to, b->problem) || !manifest_save(b->to, &b->manifest, b->problem))
        return false;
    hold(b, newest(b)->end_lsn);
    return true;
}

static void tell_parts(struct backup *b)
{
    fprintf(stderr, "meridian backup: %s: a new base is taken; the former ones stay as they were\n",
            b->problem);
}

static bool reload(struct backup *b)
{
    manifest_release(&b->manifest);
    return load_manifest(b);
}

/* The newest base's log goes on, or a new base is taken. */
static bool catch_up(struct backup *b)
{
    enum backup_verdict verdict = extend(b, newest(b));
    if (verdict == BACKUP_PARTS) {
        tell_parts(b);
        b->compared = false;
        return reload(b) && take_base(b);
    }
    return verdict == BACKUP_GOOD;
}

/* What was written while a new base was taken goes to the one before as well: its moments reach to
 * where those of the new one begin. */
static bool close_gap(struct backup *b)
{
    if (b->manifest.count < 2)
        return true;
    struct manifest_base *before = newest(b) - 1, kept = *before;
    kept.segments = mem_alloc((before->segment_count + 1) * sizeof(kept.segments[0]));
    memcpy(kept.segments, before->segments, before->segment_count * sizeof(kept.segments[0]));
    enum backup_verdict verdict = extend(b, before);
    if (verdict == BACKUP_PARTS) {
        fprintf(stderr, "meridian backup: %s: moments between %s and %s are missing\n", b->problem,
                before->name, newest(b)->name);
        mem_free(before->segments);
        kept.segment_cap = kept.segment_count + 1;
        *before = kept;
    } else {
        mem_free(kept.segments);
    }
    return verdict != BACKUP_FAILED;
}

static bool run(struct backup *b)
{
    if (!read_identity(b) || !is_whole(b) || !load_manifest(b))
        return false;
    if (newest(b) != NULL && (!catch_up(b) || !save(b)))
        return false;
    if (newest(b) != NULL && (b->based || !b->full))
        return true;
    if (!take_base(b) || !close_gap(b) || !save(b))
        return false;
    /* The new one reaches as far as the one before. */
    return b->manifest.count < 2 || (catch_up(b) && save(b));
}

/* "1234 bytes", "12.3 MB". */
static const char *size_text(uint64_t bytes, char text[32])
{
    if (bytes < 1000000)
        snprintf(text, 32, "%" PRIu64 " bytes", bytes);
    else
        snprintf(text, 32, "%.1f MB", (double)bytes / 1e6);
    return text;
}

static void report(struct backup *b)
{
    const struct manifest_base *base = newest(b);
    char size[32], from[MOMENT_TEXT_MAX], until[MOMENT_TEXT_MAX];
    printf("backup: %s: ", base->name);
    if (b->based)
        printf("%" PRIu64 " keys in %s and ", b->keys, size_text(b->object_bytes, size));
    printf("%s of log in %.1f s; ", size_text(b->log_bytes, size), progress_seconds(&b->progress));
    moment_text(manifest_until(base), until);
    if (base->earliest == 0)
        printf("gives any moment up to %s\n", until);
    else
        printf("gives any moment from %s to %s\n", moment_text(base->earliest, from), until);
}

/* --- going on --- */

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

static void watch_signals(void)
{
    const struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static bool follow_once(struct backup *b, uint64_t *saved_ms)
{
    uint64_t end_lsn = newest(b)->end_lsn, now_ms = clocks_wall_us() / 1000;
    const struct timespec pause = { .tv_sec = FOLLOW_S };
    nanosleep(&pause, NULL);
    if (!is_whole(b)) /* what is being bootstrapped is waited for */
        return true;
    if (!catch_up(b))
        return false;
    if (newest(b)->end_lsn == end_lsn && now_ms - *saved_ms < SAVE_MS)
        return true;
    *saved_ms = now_ms;
    return save(b);
}

static bool follow(struct backup *b)
{
    uint64_t saved_ms = clocks_wall_us() / 1000;
    bool good = true;
    fflush(stdout);
    while (good && !stopping)
        good = follow_once(b, &saved_ms);
    if (good && is_whole(b)) /* up to the signal */
        good = catch_up(b);
    good = good && save(b);
    if (good)
        report(b);
    return good;
}

/* With the region's directory open. */
static int back_up(struct backup *b)
{
    if (files_is_region(b->to))
        return command_failed("backup", "%s: is a region's data directory: name one for back-ups",
                              b->to);
    if (!files_is_region(b->data))
        return command_failed("backup", "%s: there is no region in it: no file \"identity\"",
                              b->data);
    if (disk_posix_open(&b->lock, b->to) != E_OK)
        return command_failed("backup", "%s", b->lock.disk.detail);
    if (b->follow)
        watch_signals();
    bool good = run(b);
    if (good)
        report(b);
    if (good && b->follow)
        good = follow(b);
    manifest_release(&b->manifest);
    disk_posix_close(&b->lock);
    return good ? EXIT_DONE : command_failed("backup", "%s", b->problem);
}

int backup_main(int argc, char **argv)
{
    struct backup *b = mem_zalloc(sizeof(*b));
    int status = EXIT_USAGE;
    b->progress = progress_of("backup");
    if (read_options(b, argc, argv)) {
        if (disk_posix_beside(&b->from, b->data, false) == E_OK)
            status = back_up(b);
        else
            status = command_failed("backup", "%s", b->from.disk.detail);
        disk_posix_close(&b->from);
    }
    mem_free(b);
    return status;
}
