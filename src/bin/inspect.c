/*
 * inspect -- shows what is in files: a segment of log, a data directory, a checkpoint, a back-up.
 */
#include "bin/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/memory.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "host/disk_posix.h"
#include "store/marker.h"
#include "store/segment.h"

const char inspect_help[] =
    "usage: meridian inspect PATH [--json] [--keys] [--from LSN]\n"
    "\n"
    "Shows what is in a segment of log, a data directory, a checkpoint or a back-up, also beside a "
    "region\n"
    "that runs. Every checksum is verified on the way: what is damaged is shown with file and "
    "offset, and\n"
    "the exit status is 1.\n"
    "\n"
    "  --json      one JSON object a line\n"
    "  --keys      the records of a checkpoint too\n"
    "  --from LSN  only records of the log from there on\n";

enum { OPTION_JSON, OPTION_KEYS, OPTION_FROM };

static const struct option OPTIONS[] = {
    [OPTION_JSON] = { "--json", false },
    [OPTION_KEYS] = { "--keys", false },
    [OPTION_FROM] = { "--from", true },
    { NULL, false },
};

static bool read_options(struct inspect *x, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            if (x->path != NULL)
                return true;
            usage_error("inspect", "needs a PATH");
            return false;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            if (x->path == NULL) {
                x->path = o.value;
                break;
            }
            usage_error("inspect", "shows one PATH at a time");
            return false;
        case OPTION_JSON:
            x->json = x->lines.json = true;
            break;
        case OPTION_KEYS:
            x->keys = true;
            break;
        case OPTION_FROM:
            if (!options_number(&o, "--from", 0, UINT64_MAX, &x->from_lsn))
                return false;
        }
    }
}

void inspect_damage(struct inspect *x, const char *where, const char *what)
{
    char text[FILES_PROBLEM_MAX];
    snprintf(text, sizeof(text), "%s%s%s", where, where[0] ? ": " : "", what);
    if (x->problem[0] == '\0')
        snprintf(x->problem, sizeof(x->problem), "%s", text);
    lines_begin(&x->lines, "damaged");
    lines_text(&x->lines, "why", text);
    lines_end(&x->lines);
}

/* --- a directory --- */

static bool show_regions(struct inspect *x, const struct identity *id)
{
    bool good = true;
    for (uint32_t i = 0; i < id->region_count && good; i++) {
        lines_begin(&x->lines, "region");
        lines_number(&x->lines, "number", id->regions[i].id);
        lines_text(&x->lines, "name", id->regions[i].name);
        if (id->regions[i].id == id->region)
            lines_flag(&x->lines, "self");
        good = lines_end(&x->lines);
    }
    for (unsigned n = 0; n < STAMP_ORIGINS && good; n++) {
        if (bits_have(id->closed, n) == 0)
            continue;
        lines_begin(&x->lines, "closed");
        lines_number(&x->lines, "number", n);
        good = lines_end(&x->lines);
    }
    return good;
}

static bool show_identity(struct inspect *x, struct disk *disk)
{
    static struct identity id;
    char cause[320];
    int error = identity_read(disk, &id, cause);
    if (error == E_MISSING)
        return true;
    if (error != E_OK) {
        inspect_damage(x, x->path, cause);
        return true;
    }
    lines_begin(&x->lines, "identity");
    lines_text(&x->lines, "deployment", id.deployment);
    lines_number(&x->lines, "number", id.region);
    lines_number(&x->lines, "instance", id.instance);
    if (id.known.amnesiac)
        lines_flag(&x->lines, "amnesiac");
    return lines_end(&x->lines) && show_regions(x, &id);
}

static bool show_marker(struct inspect *x, struct disk *disk)
{
    struct marker m;
    char cause[MARKER_PROBLEM_MAX];
    int error = marker_read(disk, &m, cause);
    if (error == E_MISSING)
        return true;
    if (error != E_OK) {
        inspect_damage(x, x->path, cause);
        return true;
    }
    lines_begin(&x->lines, "bootstrap");
    lines_time(&x->lines, "began", m.began_us / 1000);
    lines_number(&x->lines, "old_log_end_lsn", m.end_lsn);
    lines_vector(&x->lines, "floor", &m.floor);
    lines_vector(&x->lines, "had", &m.had);
    return lines_end(&x->lines);
}

static bool show_checkpoint(struct inspect *x)
{
    char inside[FILES_PATH_MAX], file[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    if (files_join(file, x->path, "data.mdb", problem) && files_exists(file))
        return inspect_checkpoint(x, x->path);
    if (files_join(inside, x->path, "checkpoint", problem) && files_is_directory(inside))
        return inspect_checkpoint(x, inside);
    return true;
}

static void note_segment(void *context, const char *name)
{
    uint64_t start_lsn;
    *(bool *)context |= segment_parse_name(name, &start_lsn);
}

/* Any of what a region, a checkpoint or a back-up's base has. */
static bool is_ours(struct inspect *x, bool has_log)
{
    static const char *const names[] = { "identity", "bootstrap", "data.mdb", "checkpoint" };
    char path[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    bool any = has_log;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        any |= files_join(path, x->path, names[i], problem) && files_exists(path);
    if (!any)
        snprintf(x->problem, sizeof(x->problem),
                 "%s: there is no region, checkpoint, log or back-up in it", x->path);
    return any;
}

static bool show_directory(struct inspect *x)
{
    struct disk_posix disk;
    bool has_log = false;
    if (disk_posix_beside(&disk, x->path, false) != E_OK) {
        inspect_damage(x, "", disk.disk.detail);
        return true;
    }
    disk.disk.ops->list(&disk.disk, note_segment, &has_log);
    bool ours = is_ours(x, has_log);
    bool good = !ours || (show_identity(x, &disk.disk) && show_marker(x, &disk.disk));
    disk_posix_close(&disk);
    if (!ours)
        return true;
    good = good && show_checkpoint(x);
    return good && has_log ? inspect_log(x, x->path, UINT64_MAX, UINT64_MAX) : good;
}

/* --- a segment --- */

/* Of files that are parts of something, name the whole. */
static const char *instead_of(const char *name)
{
    if (strcmp(name, "data.mdb") == 0)
        return "is shown with its directory: name that (DATA/checkpoint, or BACKUP/base-…)";
    if (strcmp(name, "manifest.json") == 0)
        return "is shown with its back-up: name the directory that it is in";
    if (strcmp(name, "identity") == 0 || strcmp(name, "bootstrap") == 0)
        return "is shown with its data directory: name that";
    return "cannot be shown: name a data directory, DATA/checkpoint, a back-up, or a segment of "
           "log, which is called by 16 hex digits and .log";
}

static bool show_file(struct inspect *x)
{
    char directory[FILES_PATH_MAX];
    uint64_t start_lsn;
    const char *slash = strrchr(x->path, '/'), *name = slash == NULL ? x->path : slash + 1;
    if (!segment_parse_name(name, &start_lsn)) {
        snprintf(x->problem, sizeof(x->problem), "%s: %s", x->path, instead_of(name));
        return true;
    }
    snprintf(directory, sizeof(directory), "%.*s", slash == NULL ? 1 : (int)(slash - x->path + 1),
             slash == NULL ? "." : x->path);
    return inspect_log(x, directory, start_lsn, UINT64_MAX);
}

/* --- a back-up --- */

static bool check_sum(struct inspect *x, const char *directory, const struct manifest_base *b)
{
    char file[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    uint64_t bytes;
    uint32_t crc;
    if (!files_join(file, directory, "data.mdb", problem) ||
        !files_sum(file, &bytes, &crc, problem)) {
        inspect_damage(x, "", problem);
        return false;
    }
    if (bytes == b->checkpoint_bytes && crc == b->checkpoint_crc)
        return true;
    inspect_damage(x, file, "damaged: it does not match its checksum in the manifest");
    return false;
}

static bool show_base(struct inspect *x, const struct manifest_base *b)
{
    struct lines *l = &x->lines;
    char directory[FILES_PATH_MAX], problem[FILES_PROBLEM_MAX];
    lines_begin(l, "base");
    lines_text(l, "name", b->name);
    lines_stamp(l, "earliest", b->earliest);
    lines_time(l, "until", b->until_ms);
    lines_stamp(l, "newest", b->end.newest);
    lines_number(l, "keys", b->keys);
    lines_number(l, "checkpoint_bytes", b->checkpoint_bytes);
    lines_number(l, "start_lsn", b->start_lsn);
    lines_number(l, "end_lsn", b->end_lsn);
    lines_vector(l, "last_op", &b->end.last);
    if (!lines_end(l) || !files_join(directory, x->path, b->name, problem))
        return false;
    if (b->has_checkpoint && check_sum(x, directory, b) && !inspect_checkpoint(x, directory))
        return false;
    return inspect_log(x, directory, UINT64_MAX, b->end_lsn);
}

static bool show_backup(struct inspect *x)
{
    static struct manifest m;
    char problem[FILES_PROBLEM_MAX];
    if (manifest_load(x->path, &m, problem) != E_OK) {
        inspect_damage(x, "", problem);
        return true;
    }
    lines_begin(&x->lines, "backup");
    lines_text(&x->lines, "deployment", m.identity.deployment);
    lines_number(&x->lines, "number", m.identity.region);
    lines_number(&x->lines, "bases", m.count);
    bool good = lines_end(&x->lines) && show_regions(x, &m.identity);
    for (size_t i = 0; i < m.count && good; i++)
        good = show_base(x, &m.bases[i]);
    manifest_release(&m);
    return good;
}

/* --- all --- */

static bool show(struct inspect *x)
{
    char manifest[FILES_PATH_MAX];
    if (!files_join(manifest, x->path, "manifest.json", x->problem))
        return true;
    if (!files_exists(x->path)) {
        snprintf(x->problem, sizeof(x->problem), "%s: %s", x->path, strerror(ENOENT));
        return true;
    }
    if (!files_is_directory(x->path))
        return show_file(x);
    return files_exists(manifest) ? show_backup(x) : show_directory(x);
}

int inspect_main(int argc, char **argv)
{
    struct inspect *x = mem_zalloc(sizeof(*x));
    int status = EXIT_USAGE;
    if (read_options(x, argc, argv)) {
        status = EXIT_DONE;
        if (!show(x) || fflush(stdout) != 0)
            status = command_failed("inspect", "standard output: %s", strerror(errno));
        else if (x->problem[0] != '\0')
            status = command_failed("inspect", "%s", x->problem);
    }
    lines_release(&x->lines);
    mem_free(x);
    return status;
}
