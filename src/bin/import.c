/*
 * import -- moves the data of other stores in.
 *
 * The file is read twice: once to its end, so that nothing is written from a file that is damaged, and
 * then key by key.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/bin.h"
#include "bin/import_keys.h"
#include "bin/import_region.h"
#include "bin/options.h"
#include "host/clocks.h"
#include "host/endpoint.h"

const char import_help[] =
    "usage: meridian import rdb FILE [--to HOST:PORT | --print] [--keep | --replace]\n"
    "                                [--prefix PREFIX] [--streams new-ids]\n"
    "\n"
    "Writes every key of a dump file of Redis (dump.rdb, up to version 7.2) into a running region. "
    "The\n"
    "file is checked to its end before anything is written. A key that is there already is left as "
    "it\n"
    "is and named, and the exit status is 1. Keys whose time is over are left out.\n"
    "\n"
    "  --to HOST:PORT     a client port of the region; 127.0.0.1:7001, where demo has its first\n"
    "  --print            write the commands to standard output instead, for redis-cli --pipe\n"
    "  --keep             that keys are there already is fine\n"
    "  --replace          replace keys that are there already\n"
    "  --prefix PREFIX    put this before the name of every key\n"
    "  --streams new-ids  give stream entries new ids and leave consumer groups out: what a\n"
    "                     keyspace with several writing regions needs\n"
    "\n"
    "docs/moving.md says more. A password is taken from REDISCLI_AUTH.\n";

enum {
    OPTION_TO,
    OPTION_PRINT,
    OPTION_KEEP,
    OPTION_REPLACE,
    OPTION_PREFIX,
    OPTION_STREAMS,
};

static const struct option OPTIONS[] = {
    [OPTION_TO] = { "--to", true },
    [OPTION_PRINT] = { "--print", false },
    [OPTION_KEEP] = { "--keep", false },
    [OPTION_REPLACE] = { "--replace", false },
    [OPTION_PREFIX] = { "--prefix", true },
    [OPTION_STREAMS] = { "--streams", true },
    { NULL, false },
};

/* What a region takes as one argument (wire/resp.h). */
enum { ARGUMENT_BYTES_MAX = 64 << 20, DEFAULT_PORT = 7001 };

struct import {
    const char *source, *path; /* "rdb", FILE */
    struct endpoint to;
    bool print, keep, replace;
    struct span file;
    struct rdb rdb;
    struct progress progress;
    struct commands commands;
    struct import_keys keys;
    struct import_region region;
    uint64_t db, db_max;
    uint64_t now_ms;
    bool expired_key, rejected_key;       /* the one that is being read */
    uint64_t written[RDB_TYPES];          /* when printing */
    uint64_t expired, modules, libraries; /* left out */
};

/* --- arguments --- */

static bool take_argument(struct import *i, const char *text)
{
    if (i->source == NULL)
        i->source = text;
    else if (i->path == NULL)
        i->path = text;
    else {
        usage_error("import", "has no place for \"%s\"", text);
        return false;
    }
    return true;
}

static bool take_option(struct import *i, int option, const char *value)
{
    const char *wrong;

    switch (option) {
    case OPTION_TO:
        wrong = endpoint_parse(value, &i->to);
        if (wrong != NULL)
            usage_error("import", "--to: \"%s\" %s", value, wrong);
        return wrong == NULL;
    case OPTION_PRINT:
        return i->print = true;
    case OPTION_KEEP:
        return i->keep = true;
    case OPTION_REPLACE:
        return i->replace = i->keys.replace = true;
    case OPTION_PREFIX:
        i->keys.prefix = span_str(value);
        return true;
    default:
        i->keys.new_ids = strcmp(value, "new-ids") == 0;
        if (!i->keys.new_ids)
            usage_error("import", "--streams takes new-ids, not \"%s\"", value);
        return i->keys.new_ids;
    }
}

static bool is_well_formed(const struct import *i)
{
    if (i->source == NULL || i->path == NULL)
        usage_error("import", "needs what it is and a FILE: import rdb FILE");
    else if (strcmp(i->source, "rdb") != 0)
        usage_error("import", "knows only rdb files, not \"%s\"", i->source);
    else if (i->print && (i->keep || i->to.port != 0))
        usage_error("import", "--print asks no region: without --to and --keep");
    else if (i->keep && i->replace)
        usage_error("import", "--keep and --replace are opposites");
    else
        return true;
    return false;
}

static bool read_options(struct import *i, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        int option = options_next(&o, OPTIONS);

        if (option == OPTIONS_WRONG)
            return false;
        if (option == OPTIONS_END)
            break;
        if (!(option == OPTIONS_ARGUMENT ? take_argument(i, o.value)
                                         : take_option(i, option, o.value)))
            return false;
    }
    if (!is_well_formed(i))
        return false;
    if (i->to.port == 0) {
        snprintf(i->to.host, sizeof(i->to.host), "127.0.0.1");
        i->to.port = DEFAULT_PORT;
    }
    return true;
}

/* --- the file --- */

/* Mapped, so that a file of any size is read in place. */
static bool open_file(struct import *i)
{
    int fd = open(i->path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    void *at = NULL;
    bool good = fd >= 0 && fstat(fd, &stat) == 0;

    if (good && !S_ISREG(stat.st_mode)) {
        errno = EINVAL;
        good = false;
    }
    if (good && stat.st_size > 0) {
        at = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        good = at != MAP_FAILED;
    }
    if (!good)
        command_failed("import", "%s: %s", i->path,
                       errno == EINVAL ? "is not a file" : strerror(errno));
    else
        i->file = span_of(at, (size_t)stat.st_size);
    if (good && at != NULL)
        madvise(at, i->file.len, MADV_SEQUENTIAL);
    if (fd >= 0)
        close(fd);
    return good;
}

static bool say_damage(struct import *i)
{
    progress_clear(&i->progress);
    command_failed("import", "%s: at byte %zu: %s", i->path, i->rdb.problem_at, i->rdb.problem);
    return false;
}

static unsigned percent(const struct import *i)
{
    return (unsigned)(i->rdb.at * 100 / (i->file.len + 1));
}

/* Reads all of it and writes nothing. */
static bool check_file(struct import *i)
{
    struct rdb_event e = { .kind = RDB_AUX };

    rdb_init(&i->rdb, i->file);
    while (e.kind != RDB_FINISHED) {
        if (!rdb_next(&i->rdb, &e))
            return say_damage(i);
        if (e.kind == RDB_KEY && e.db > i->db_max)
            i->db_max = e.db;
        if (progress_due(&i->progress))
            progress_tell(&i->progress, "checking %s: %u%%", i->path, percent(i));
    }
    rdb_release(&i->rdb);
    return true;
}

/* --- keys --- */

static bool write_out(struct import *i)
{
    struct buffer *out = &i->commands.out;
    bool good = fwrite(out->at, 1, out->len, stdout) == out->len;

    if (!good)
        command_failed("import", "standard output: %s", strerror(errno));
    buffer_clear(out);
    return good;
}

static bool region_failed(struct import *i)
{
    uint64_t written = 0;

    progress_clear(&i->progress);
    for (size_t t = 0; t < RDB_TYPES; t++)
        written += i->region.written[t];
    command_failed("import", "%s; %" PRIu64 " keys were written (--keep goes on from there)",
                   i->region.remote.problem, written);
    return false;
}

static bool choose_db(struct import *i, uint64_t db)
{
    char text[NUMBER_TEXT_MAX];

    if (i->db == db)
        return true;
    i->db = db;
    if (!i->print)
        return import_region_select(&i->region, db) || region_failed(i);
    commands_put(&i->commands, (struct span[]){ span_str("SELECT"), commands_number(db, text) }, 2);
    return true;
}

static bool begin_key(struct import *i, const struct rdb_event *e)
{
    i->rejected_key = false;
    i->expired_key = e->expires_ms != 0 && e->expires_ms <= i->now_ms;
    if (i->expired_key) {
        i->expired++;
        return true;
    }
    if (!choose_db(i, e->db))
        return false;
    if (!i->print) {
        struct buffer name = { 0 };
        buffer_put(&name, i->keys.prefix);
        buffer_put(&name, e->name);
        import_region_key(&i->region, buffer_span(&name), e->type);
        buffer_release(&name);
    } else {
        i->written[e->type]++;
    }
    import_keys_take(&i->keys, e);
    return true;
}

static bool is_too_long(const struct rdb_event *e)
{
    bool longer = e->name.len > ARGUMENT_BYTES_MAX || e->value.len > ARGUMENT_BYTES_MAX;

    for (size_t n = 0; n < e->field_count; n++)
        longer = longer || e->fields[n].len > ARGUMENT_BYTES_MAX;
    return longer;
}

/* Something of a key that is not left out. */
static bool go_on(struct import *i, const struct rdb_event *e)
{
    bool ends = e->kind == RDB_KEY_END;

    if (!i->print && is_too_long(e)) {
        import_region_reject(&i->region, "has a value above 64 MB, which no region takes");
        i->rejected_key = true;
    }
    if (!i->rejected_key || ends)
        import_keys_take(&i->keys, e);
    if (i->print)
        return i->commands.out.len < IMPORT_BATCH_BYTES || write_out(i);
    return import_region_step(&i->region, ends) || region_failed(i);
}

static bool take_event(struct import *i, const struct rdb_event *e)
{
    switch (e->kind) {
    case RDB_AUX:
    case RDB_FINISHED:
        return true;
    case RDB_LIBRARY:
        i->libraries++;
        return true;
    case RDB_MODULE:
        i->modules++;
        progress_problem(&i->progress, e->name, "is of the module %.*s, which alone can read it",
                         (int)e->value.len, (const char *)e->value.at);
        return true;
    case RDB_KEY:
        return begin_key(i, e);
    case RDB_ITEM:
    case RDB_ENTRY:
    case RDB_STREAM:
    case RDB_GROUP:
    case RDB_CONSUMER:
    case RDB_PENDING:
    case RDB_KEY_END:
        break;
    }
    return i->expired_key || go_on(i, e);
}

static bool write_keys(struct import *i)
{
    struct rdb_event e = { .kind = RDB_AUX };

    rdb_init(&i->rdb, i->file);
    while (e.kind != RDB_FINISHED) {
        if (!rdb_next(&i->rdb, &e))
            return say_damage(i);
        if (!take_event(i, &e))
            return false;
        if (progress_due(&i->progress))
            progress_tell(&i->progress, "writing %s: %u%%", i->path, percent(i));
    }
    if (!i->print)
        return import_region_finish(&i->region) || region_failed(i);
    return write_out(i) &&
           (fflush(stdout) == 0 ||
            (command_failed("import", "standard output: %s", strerror(errno)), false));
}

/* --- the end --- */

static void tell_count(FILE *to, uint64_t count, const char *what)
{
    if (count > 0)
        fprintf(to, "; %" PRIu64 " %s", count, what);
}

static void sum_up(struct import *i)
{
    uint64_t *written = i->print ? i->written : i->region.written;
    FILE *to = i->print ? stderr : stdout;
    const char *between = " (";
    uint64_t all = 0;

    progress_clear(&i->progress);
    if (i->print) /* counted as they began */
        written[RDB_STREAM_KEY] -= i->keys.streams_lost;
    for (size_t t = 0; t < RDB_TYPES; t++)
        all += written[t];
    fprintf(to, "%s %" PRIu64 " keys", i->print ? "printed" : "imported", all);
    for (size_t t = 0; t < RDB_TYPES; t++) {
        if (written[t] > 0) {
            fprintf(to, "%s%s %" PRIu64, between, rdb_type_name((enum rdb_type)t), written[t]);
            between = ", ";
        }
    }
    fprintf(to, "%s from %zu bytes in %.1f s", all > 0 ? ")" : "", i->file.len,
            progress_seconds(&i->progress));
    tell_count(to, i->expired, "expired, left out");
    tell_count(to, i->region.there, "there already, left as they are");
    tell_count(to, i->region.failed, "refused by the region");
    tell_count(to, i->modules, "of modules, left out");
    tell_count(to, i->libraries, "libraries of functions, left out");
    tell_count(to, i->keys.streams_lost, "streams without entries, left out");
    tell_count(to, i->keys.groups_lost, "consumer groups, left out");
    tell_count(to, i->region.unclaimed, "pending entries that were deleted, left out");
    fputc('\n', to);
}

/* Whether the region has as many databases as the file needs. */
static bool has_databases(struct import *i)
{
    return (import_region_select(&i->region, i->db_max) && import_region_select(&i->region, 0)) ||
           region_failed(i);
}

static bool run(struct import *i)
{
    enum present present = i->replace ? PRESENT_REPLACE : i->keep ? PRESENT_KEEP : PRESENT_REFUSE;

    if (!open_file(i))
        return false;
    if (!i->print && !import_region_open(&i->region, &i->to, present, &i->commands, &i->progress)) {
        command_failed("import", "%s; is a region running there? (--to chooses another)",
                       i->region.remote.problem);
        return false;
    }
    if (!check_file(i) || (!i->print && !has_databases(i)) || !write_keys(i))
        return false;
    sum_up(i);
    return i->progress.problems == 0;
}

int import_main(int argc, char **argv)
{
    struct import i = { .progress = progress_of("import"), .now_ms = clocks_wall_us() / 1000 };

    if (!read_options(&i, argc, argv))
        return EXIT_USAGE;
    i.keys.commands = &i.commands;
    bool good = run(&i);
    rdb_release(&i.rdb);
    import_keys_release(&i.keys);
    import_region_close(&i.region);
    commands_release(&i.commands);
    if (i.file.at != NULL)
        munmap((void *)(uintptr_t)i.file.at, i.file.len);
    return good ? EXIT_DONE : EXIT_FAILED;
}
