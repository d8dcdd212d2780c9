/*
 * restore -- a new data directory from a back-up, as the region was at a moment.
 *
 * All is made in NEWDIR.restoring, which gets its name when it is whole.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/memory.h"
#include "bin/bin.h"
#include "bin/lines.h"
#include "bin/moment.h"
#include "bin/options.h"
#include "bin/progress.h"
#include "bin/restore_log.h"
#include "bin/restore_numbers.h"
#include "host/clocks.h"
#include "host/config.h"
#include "host/datadir.h"

const char restore_help[] =
    "usage: meridian restore --from BACKUP --list\n"
    "       meridian restore --from BACKUP --data NEWDIR --config FILE --region NAME [--to "
    "MOMENT]\n"
    "\n"
    "Makes a data directory of a back-up, as the region was at a moment; meridian serve then "
    "starts "
    "it.\n"
    "\n"
    "  --from BACKUP    what meridian backup has written to\n"
    "  --list           which moments it gives\n"
    "  --data NEWDIR    a directory that is not there yet, or empty\n"
    "  --config FILE    the configuration of the deployment that it is for: the region has to have "
    "a\n"
    "                   number there that the back-up has never seen\n"
    "  --region NAME    which of its regions\n"
    "  --to MOMENT      2026-11-21T10:00:00Z, \"2026-11-21 10:00:00\" (local time), seconds or\n"
    "                   milliseconds since 1970, or a stamp as CONFLICT VERSIONS shows it; the "
    "last\n"
    "                   moment there is when left out\n"
    "\n"
    "docs/backup.md says more.\n";

enum { OPTION_FROM, OPTION_LIST, OPTION_DATA, OPTION_CONFIG, OPTION_REGION, OPTION_TO };

static const struct option OPTIONS[] = {
    [OPTION_FROM] = { "--from", true },
    [OPTION_LIST] = { "--list", false },
    [OPTION_DATA] = { "--data", true },
    [OPTION_CONFIG] = { "--config", true },
    [OPTION_REGION] = { "--region", true },
    [OPTION_TO] = { "--to", true },
    { NULL, false },
};

struct restore {
    const char *from, *data, *config_file, *region_name, *to;
    bool list;
    stamp_t moment; /* UINT64_MAX: the last there is */
    struct progress progress;
    struct manifest manifest;
    struct deployment deployment;
    const struct region *self;
    const struct manifest_base *base;
    char base_path[FILES_PATH_MAX], data_path[FILES_PATH_MAX], making[FILES_PATH_MAX];
    struct restore_log log;
    char problem[FILES_PROBLEM_MAX];
};

static bool options_fit(const struct restore *r)
{
    if (r->from == NULL)
        usage_error("restore", "needs --from BACKUP");
    else if (!r->list && (r->data == NULL || r->config_file == NULL || r->region_name == NULL))
        usage_error("restore", "needs --data NEWDIR, --config FILE and --region NAME, or --list");
    else
        return true;
    return false;
}

static bool read_options(struct restore *r, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    r->moment = UINT64_MAX;
    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return options_fit(r);
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("restore", "has no place for \"%s\"", o.value);
            return false;
        case OPTION_FROM:
            r->from = o.value;
            break;
        case OPTION_LIST:
            r->list = true;
            break;
        case OPTION_DATA:
            r->data = o.value;
            break;
        case OPTION_CONFIG:
            r->config_file = o.value;
            break;
        case OPTION_REGION:
            r->region_name = o.value;
            break;
        case OPTION_TO:
            r->to = o.value;
            if (moment_parse(o.value, &r->moment))
                break;
            usage_error("restore",
                        "--to: \"%s\" is no time, such as 2026-11-21T10:00:00Z, and no stamp",
                        o.value);
            return false;
        }
    }
}

__attribute__((format(printf, 2, 3))) static bool fail(struct restore *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->problem, sizeof(r->problem), format, args);
    va_end(args);
    return false;
}

/* --- which moments there are --- */

static bool load_manifest(struct restore *r)
{
    int error = manifest_load(r->from, &r->manifest, r->problem);
    if (error == E_MISSING)
        return fail(r, "%s: is no back-up: there is no manifest.json in it", r->from);
    if (error == E_OK && r->manifest.count == 0)
        return fail(r, "%s: has no bases any more", r->from);
    return error == E_OK;
}

static void list_base(const struct manifest_base *b)
{
    char from[MOMENT_TEXT_MAX], until[MOMENT_TEXT_MAX], newest[MOMENT_TEXT_MAX];
    printf("%s: from %s to %s", b->name,
           b->earliest == 0 ? "the beginning" : moment_text(b->earliest, from),
           moment_text(manifest_until(b), until));
    if (b->end.newest != 0)
        printf("; last write %s", moment_text(b->end.newest, newest));
    printf("; %" PRIu64 " bytes of objects, %" PRIu64 " bytes of log\n", b->checkpoint_bytes,
           b->end_lsn - b->start_lsn);
}

static bool list(struct restore *r)
{
    printf("deployment %s, regions", r->manifest.identity.deployment);
    for (uint32_t i = 0; i < r->manifest.identity.region_count; i++)
        printf("%s %s (number %u)", i > 0 ? "," : "", r->manifest.identity.regions[i].name,
               r->manifest.identity.regions[i].id);
    printf(", of number %u\n", r->manifest.identity.region);
    for (size_t i = 0; i < r->manifest.count; i++)
        list_base(&r->manifest.bases[i]);
    return true;
}

/* The newest base that holds nothing later: the shortest log to replay. */
static bool choose_base(struct restore *r)
{
    char text[MOMENT_TEXT_MAX];
    const struct manifest_base *before = NULL, *after = NULL;
    for (size_t i = 0; i < r->manifest.count; i++) {
        const struct manifest_base *b = &r->manifest.bases[i];
        if (b->earliest > r->moment)
            after = after == NULL ? b : after;
        else if (r->moment != UINT64_MAX && manifest_until(b) < r->moment)
            before = b;
        else
            r->base = b;
    }
    if (r->base != NULL)
        return true;
    if (before == NULL)
        return fail(r, "%s: the oldest moment that it can give is %s (0x%" PRIx64 ")", r->from,
                    moment_text(after->earliest, text), after->earliest);
    moment_text(manifest_until(before), text);
    if (after == NULL)
        return fail(r, "%s: the newest moment that it can give is %s", r->from, text);
    return fail(r, "%s: it has nothing between %s and 0x%" PRIx64, r->from, text, after->earliest);
}

/* --- whose it becomes --- */

static bool load_config(struct restore *r)
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

/* --- making it --- */

static bool name_places(struct restore *r)
{
    size_t len = strlen(r->data);
    while (len > 1 && r->data[len - 1] == '/')
        len--;
    if (snprintf(r->data_path, sizeof(r->data_path), "%.*s", (int)len, r->data) >=
            FILES_PATH_MAX - 16 ||
        snprintf(r->making, sizeof(r->making), "%.*s.restoring", (int)len, r->data) >=
            FILES_PATH_MAX - 16)
        return fail(r, "the name of the data directory is too long");
    if (files_exists(r->data_path) && !files_is_empty(r->data_path))
        return fail(r, "%s: there is something in it: name a new directory", r->data_path);
    if (files_exists(r->making))
        return fail(r, "%s: an interrupted restore has left it: remove it", r->making);
    return files_join(r->base_path, r->from, r->base->name, r->problem);
}

static bool copy_checkpoint(struct restore *r)
{
    char from[FILES_PATH_MAX], directory[FILES_PATH_MAX], to[FILES_PATH_MAX];
    uint64_t bytes;
    uint32_t crc;
    if (!r->base->has_checkpoint)
        return true;
    if (!files_join(from, r->base_path, "data.mdb", r->problem) ||
        !files_join(directory, r->making, "checkpoint", r->problem) ||
        !files_join(to, directory, "data.mdb", r->problem) ||
        !files_make_directory(directory, r->problem) ||
        !files_copy(from, to, &bytes, &crc, r->problem))
        return false;
    if (bytes != r->base->checkpoint_bytes || crc != r->base->checkpoint_crc)
        return fail(r, "%s: damaged: it does not match its checksum; use another base or back-up",
                    from);
    return files_sync_directory(directory, r->problem);
}

static bool claim(struct restore *r, struct disk *disk, struct identity *claimed)
{
    static struct identity want;
    char cause[320];
    datadir_describe(&r->deployment, r->self, &want);
    if (getrandom(&want.run, sizeof(want.run), 0) != sizeof(want.run))
        want.run = clocks_wall_us();
    want.run |= 1;
    return (identity_claim(disk, &want, claimed, cause) == E_OK &&
            identity_adopt(disk, claimed, &r->manifest.identity, cause) == E_OK) ||
           fail(r, "%s: %s", r->making, cause);
}

static bool write_log(struct restore *r, struct disk *to)
{
    struct disk_posix from;
    const struct oplog_options options = {
        .deployment = r->deployment.name,
        .region = r->self->id,
        .segment_bytes = DATADIR_SEGMENT_BYTES,
        .replay_from = r->base->start_lsn,
    };
    if (disk_posix_beside(&from, r->base_path, false) != E_OK)
        return fail(r, "%s", from.disk.detail);
    r->log = (struct restore_log){
        .from_name = r->base_path,
        .from = &from.disk,
        .to = to,
        .base = r->base,
        .moment = r->moment,
    };
    bool good = restore_log_write(&r->log, &options, r->problem);
    disk_posix_close(&from);
    return good;
}

/* What was made is of no use; the problem stays as it is. */
static void clean_up(struct restore *r)
{
    char directory[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    if (files_join(directory, r->making, "checkpoint", problem))
        files_remove_directory(directory, problem);
    files_remove_directory(r->making, problem);
}

static bool make(struct restore *r)
{
    static struct identity claimed;
    struct disk_posix to;
    if (disk_posix_open(&to, r->making) != E_OK)
        return fail(r, "%s", to.disk.detail);
    bool good = copy_checkpoint(r) && claim(r, &to.disk, &claimed) && write_log(r, &to.disk) &&
                files_sync_directory(r->making, r->problem) &&
                files_rename(r->making, r->data_path, r->problem) &&
                files_sync_parent(r->data_path, r->problem);
    disk_posix_close(&to);
    if (!good)
        clean_up(r);
    return good;
}

/* What a back-up of this region is without: there it can fill others only while nobody has anything. */
static void warn_of_fence(const struct restore *r, const struct fence *f)
{
    const char *between = "";
    printf(
        "warning: %s is no member of fence %s: nothing of what that held is restored, and its "
        "members "
        "take what there is from %s only when all are there and nothing was written to it: start "
        "all of ",
        r->self->name, f->name, r->self->name);
    for (size_t i = 0; i < r->deployment.region_count; i++) {
        if (!fence_holds(f, r->deployment.regions[i].id))
            continue;
        printf("%s%s", between, r->deployment.regions[i].name);
        between = ", ";
    }
    printf("; they answer LOADING until then\n");
}

static void report_others(const struct restore *r)
{
    const struct deployment *d = &r->deployment;
    if (d->region_count == 1)
        return;
    printf("the other regions of deployment %s: start them with empty directories; they take all "
           "from this "
           "one\n",
           d->name);
    for (size_t i = 1; i < d->fence_count; i++) {
        if (!fence_holds(&d->fences[i], r->self->id))
            warn_of_fence(r, &d->fences[i]);
    }
}

static void report(struct restore *r)
{
    char text[MOMENT_TEXT_MAX];
    stamp_t newest = r->log.newest > r->base->earliest ? r->log.newest : r->base->earliest;
    printf("restored %s in %.1f s: %" PRIu64 " keys of %s and %" PRIu64 " of %" PRIu64
           " batches of its log",
           r->data_path, progress_seconds(&r->progress), r->base->keys, r->base->name, r->log.kept,
           r->log.read);
    if (newest != 0)
        printf("; nothing in it is later than %s (0x%" PRIx64 ")", moment_text(newest, text),
               newest);
    printf("\nstart it: meridian serve --config %s --region %s --data %s\n", r->config_file,
           r->self->name, r->data_path);
    if (strcmp(r->deployment.name, r->manifest.identity.deployment) != 0)
        report_others(r);
    else if (r->deployment.region_count > 1)
        printf("what the other regions of deployment %s hold comes back from them, also what is "
               "later\n",
               r->deployment.name);
}

static bool restore(struct restore *r)
{
    if (!load_config(r) || !choose_base(r) ||
        !restore_numbers_fit(&r->manifest, r->config_file, &r->deployment, r->self, r->problem) ||
        !name_places(r) || !make(r))
        return false;
    report(r);
    return true;
}

int restore_main(int argc, char **argv)
{
    struct restore *r = mem_zalloc(sizeof(*r));
    int status = EXIT_USAGE;
    r->progress = progress_of("restore");
    if (read_options(r, argc, argv)) {
        bool good = load_manifest(r) && (r->list ? list(r) : restore(r));
        status = good ? EXIT_DONE : command_failed("restore", "%s", r->problem);
    }
    manifest_release(&r->manifest);
    deployment_release(&r->deployment);
    mem_free(r);
    return status;
}
