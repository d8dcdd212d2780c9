/*
 * audit -- checks from all regions' audits that nothing left its fence.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "bin/audit_judge.h"
#include "bin/bin.h"
#include "bin/files.h"
#include "bin/options.h"
#include "host/config.h"

const char audit_help[] =
    "usage: meridian audit --config FILE DATA-or-FILE...\n"
    "\n"
    "Checks from the audits of all regions (DATA/audit.log) that nothing that a fence holds left "
    "it:\n"
    "that no line is missing or was changed, that every line agrees with the configuration, and "
    "that\n"
    "whatever a region took another says it sent.\n"
    "\n"
    "  --config FILE   the deployment's configuration\n"
    "  DATA-or-FILE    a region's data directory, or its audit.log; several of one region are one\n"
    "                  after the other\n"
    "\n"
    "What was found is a line FILE:LINE: message on standard error, and the exit status is 1. "
    "What\n"
    "cannot be known (a process was killed and its last second is missing, a region's file was "
    "not\n"
    "given) is told as that, with exit status 0.\n";

enum { OPTION_CONFIG };

static const struct option OPTIONS[] = {
    [OPTION_CONFIG] = { "--config", true },
    { NULL, false },
};

/* One file of a region. */
struct given {
    char path[FILES_PATH_MAX];
    const struct region *region;
    uint64_t first;             /* n of its first line */
    uint64_t line;              /* its last */
    struct auditfile_link head; /* of the audit.head beside it: number 0: there is none */
    struct auditfile_link begins, ends;
};

struct audit_command {
    const char *config_file;
    struct deployment deployment;
    struct given *given; /* [count] */
    size_t count;
    struct audit_judge judge;
};

/* --- which files --- */

/* Read before the file: a region that runs may write both meanwhile. */
static void read_head(struct given *g)
{
    char path[FILES_PATH_MAX + 16], text[128];
    size_t len = strlen(g->path), name = strlen(AUDITFILE_NAME);
    FILE *file = NULL;

    if (len < name || strcmp(g->path + len - name, AUDITFILE_NAME) != 0)
        return;
    snprintf(path, sizeof(path), "%.*s%s", (int)(len - name), g->path, AUDITFILE_HEAD_NAME);
    file = fopen(path, "rbe");
    if (file == NULL)
        return;
    if (!auditfile_take_head(span_of(text, fread(text, 1, sizeof(text), file)), &g->head))
        g->head = (struct auditfile_link){ 0 };
    fclose(file);
}

/* Whose it is, by its first line. */
static int look(struct audit_command *a, const char *name, struct given *g)
{
    struct audit_reader r;
    struct audit_fields f;
    char problem[FILES_PROBLEM_MAX];
    int status = EXIT_DONE;

    if (!files_is_directory(name))
        snprintf(g->path, sizeof(g->path), "%s", name);
    else if (!files_join(g->path, name, AUDITFILE_NAME, problem))
        return command_failed("audit", "%s", problem);
    read_head(g);
    if (!audit_reader_open(&r, g->path))
        return command_failed("audit", "%s: %s", g->path, strerror(errno));
    if (audit_reader_next(&r, &f) != AUDIT_READ_LINE || f.kind != AUDIT_IS_START)
        status = command_failed("audit", "%s: it does not begin as an audit does", g->path);
    else
        g->region = deployment_region_named(&a->deployment, f.region);
    if (status == EXIT_DONE && g->region == NULL)
        status = command_failed("audit", "%s: it is of region %s, which is not in %s", g->path,
                                f.region, a->config_file);
    g->first = r.first;
    g->begins = r.begins;
    audit_reader_close(&r);
    return status;
}

static int by_region(const void *a, const void *b)
{
    const struct given *x = a, *y = b;

    if (x->region != y->region)
        return x->region < y->region ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* --- the rounds --- */

static int read_file(struct audit_command *a, struct given *g, bool compares)
{
    struct audit_judge *j = &a->judge;
    struct audit_reader r;
    struct audit_fields f;
    enum audit_reading got;

    if (!audit_reader_open(&r, g->path))
        return command_failed("audit", "%s: %s", g->path, strerror(errno));
    while ((got = audit_reader_next(&r, &f)) == AUDIT_READ_LINE) {
        if (r.problem[0] != '\0' && !compares)
            audit_finding(j, g->path, r.line, "%s", r.problem);
        (compares ? audit_compare_line : audit_judge_line)(j, g->region, g->path, r.line, &f);
    }
    if (r.problem[0] != '\0' && !compares)
        audit_gap(j, g->path, r.line, "%s", r.problem);
    g->line = r.line;
    g->ends = r.last;
    audit_reader_close(&r);
    return got == AUDIT_READ_FAILED ? command_failed("audit", "%s: %s", g->path, strerror(errno))
                                    : EXIT_DONE;
}

static void judge_head(struct audit_command *a, const struct given *g)
{
    bool same = memcmp(g->head.hash, g->ends.hash, sizeof(g->ends.hash)) == 0;

    if (g->head.number > g->ends.number)
        audit_finding(&a->judge, g->path, g->line,
                      "it ends with number %" PRIu64 ", and " AUDITFILE_HEAD_NAME
                      " knows of %" PRIu64 ": its end was cut off",
                      g->ends.number, g->head.number);
    else if (g->head.number == g->ends.number && !same)
        audit_finding(&a->judge, g->path, g->line,
                      "its last line is not the one that " AUDITFILE_HEAD_NAME " knows of");
}

/* Two files of one region. */
static void judge_next(struct audit_command *a, const struct given *g, const struct given *next)
{
    bool joins = next->begins.number == g->ends.number &&
                 memcmp(next->begins.hash, g->ends.hash, sizeof(g->ends.hash)) == 0;

    if (joins)
        return;
    if (next->begins.number > g->ends.number)
        audit_gap(&a->judge, next->path, 1,
                  "lines %" PRIu64 " to %" PRIu64
                  " of %s: they stand in a file that is not given, or were cut off %s",
                  g->ends.number + 1, next->begins.number, g->region->name, g->path);
    else
        audit_finding(&a->judge, next->path, 1, "it does not follow %s", g->path);
}

static int first_round(struct audit_command *a)
{
    for (size_t i = 0; i < a->count; i++) {
        struct given *g = &a->given[i];
        bool last = i + 1 == a->count || g[1].region != g->region;

        if (read_file(a, g, false) != EXIT_DONE)
            return EXIT_FAILED;
        judge_head(a, g);
        if (last)
            audit_judge_end(&a->judge, g->region, g->path, g->line);
        else
            judge_next(a, g, &g[1]);
    }
    return EXIT_DONE;
}

static int second_round(struct audit_command *a)
{
    for (size_t i = 0; i < a->count; i++) {
        if (read_file(a, &a->given[i], true) != EXIT_DONE)
            return EXIT_FAILED;
    }
    audit_compare(&a->judge);
    return EXIT_DONE;
}

/* --- the summary --- */

static const char *name_of(const struct audit_command *a, uint8_t id)
{
    return deployment_region_with_id(&a->deployment, id)->name;
}

static void print_sent(const struct audit_command *a, uint32_t fence)
{
    static const char *const WHATS[] = { "batches of writes", "objects", "commands", "answers",
                                         "parts of GATHER" };
    uint64_t counts[COUNT_OF(WHATS)] = { 0 }, bytes[COUNT_OF(WHATS)] = { 0 };

    for (size_t i = 0; i < a->judge.count; i++) {
        const struct audit_tally *t = &a->judge.tallies[i];

        if (t->fence != fence || t->key.taken)
            continue;
        counts[t->key.what] += t->count;
        bytes[t->key.what] += t->bytes;
    }
    printf("  sent");
    for (size_t i = 0; i < COUNT_OF(WHATS); i++)
        printf("%s %" PRIu64 " %s (%" PRIu64 " bytes)", i > 0 ? "," : "", counts[i], WHATS[i],
               bytes[i]);
    printf("\n");
}

static void print_outside(const struct audit_command *a, uint32_t fence)
{
    const struct deployment *d = &a->deployment;

    for (size_t i = 0; i < a->judge.count; i++) {
        const struct audit_tally *t = &a->judge.tallies[i];
        bool answer = t->key.what == AUDIT_ANSWERS || t->key.what == AUDIT_PARTS;

        if (t->fence == fence && answer && !t->key.taken && t->count > 0 &&
            !fence_holds(&d->fences[fence], t->key.peer))
            printf("  outside: %s gave %s %" PRIu64 " %s (%" PRIu64
                   " bytes) from keyspace \"%s\"\n",
                   name_of(a, t->self), name_of(a, t->key.peer), t->count,
                   t->key.what == AUDIT_PARTS ? "parts of GATHER" : "answers", t->bytes,
                   d->keyspaces[t->key.item].prefix);
    }
}

static void print_fence(const struct audit_command *a, uint32_t fence)
{
    const struct deployment *d = &a->deployment;
    bool any = false;

    printf("fence %s:", d->fences[fence].name);
    for (size_t i = 0; i < d->region_count; i++) {
        if (!fence_holds(&d->fences[fence], d->regions[i].id))
            continue;
        printf("%s %s", any ? "," : "", d->regions[i].name);
        any = true;
    }
    printf("\n");
    print_sent(a, fence);
    print_outside(a, fence);
}

static int sum_up(struct audit_command *a)
{
    struct audit_judge *j = &a->judge;
    const struct deployment *d = &a->deployment;

    for (uint32_t fence = 1; fence < d->fence_count; fence++)
        print_fence(a, fence);
    for (size_t i = 0; i < d->region_count; i++) {
        if (j->books[d->regions[i].id].given)
            continue;
        printf("not known: what %s sent and took: its audit is not given\n", d->regions[i].name);
        j->gaps++;
    }
    printf("%s: %" PRIu64 " lines, %" PRIu64 " finding%s, %" PRIu64 " gap%s\n",
           j->findings == 0 ? "clean" : "NOT CLEAN", j->lines, j->findings,
           j->findings == 1 ? "" : "s", j->gaps, j->gaps == 1 ? "" : "s");
    return j->findings == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* --- the command --- */

static bool read_options(struct audit_command *a, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            if (a->config_file != NULL && a->count > 0)
                return true;
            usage_error("audit", "needs --config FILE and at least one DATA-or-FILE");
            return false;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            snprintf(a->given[a->count++].path, FILES_PATH_MAX, "%s", o.value);
            break;
        case OPTION_CONFIG:
            a->config_file = o.value;
            break;
        }
    }
}

static int run(struct audit_command *a)
{
    char name[FILES_PATH_MAX];
    int status = EXIT_DONE;

    for (size_t i = 0; i < a->count && status == EXIT_DONE; i++) {
        snprintf(name, sizeof(name), "%s", a->given[i].path);
        status = look(a, name, &a->given[i]);
    }
    if (status != EXIT_DONE)
        return status;
    qsort(a->given, a->count, sizeof(*a->given), by_region);
    audit_judge_init(&a->judge, &a->deployment);
    status = first_round(a);
    if (status == EXIT_DONE)
        status = second_round(a);
    if (status == EXIT_DONE)
        status = sum_up(a);
    audit_judge_release(&a->judge);
    return status;
}

int audit_main(int argc, char **argv)
{
    struct audit_command *a = mem_zalloc(sizeof(*a));
    struct buffer errors = { 0 };
    int status = EXIT_USAGE;

    a->given = mem_zalloc((size_t)argc * sizeof(*a->given));
    if (!read_options(a, argc, argv))
        goto out;
    status = EXIT_FAILED;
    if (config_load(a->config_file, &a->deployment, &errors)) {
        status = run(a);
        deployment_release(&a->deployment);
    } else {
        fwrite(errors.at, 1, errors.len, stderr);
    }
out:
    buffer_release(&errors);
    mem_free(a->given);
    mem_free(a);
    return status;
}
