/*
 * check -- judges a configuration and says everything that is wrong with it.
 */
#include <stdio.h>

#include "bin/bin.h"
#include "host/config.h"
#include "policy/residency.h"

const char check_help[] =
    "usage: meridian check FILE\n"
    "\n"
    "Judges a deployment's configuration. Every problem is one line FILE:LINE: message on standard "
    "error,\n"
    "and the exit status is 1; a good file is summed up in one line, and the exit status is 0. "
    "What "
    "is\n"
    "allowed and may be regretted is a warning on standard error.\n";

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void sum_up(const char *file, const struct deployment *d)
{
    printf("%s: ok: deployment %s, %zu region%s (", file, d->name, d->region_count,
           plural(d->region_count));
    for (size_t i = 0; i < d->region_count; i++)
        printf("%s%s", i > 0 ? ", " : "", d->regions[i].name);
    printf("), %zu keyspace%s\n", d->keyspace_count, plural(d->keyspace_count));
}

/* A bootstrap has one source, which must be a member of all fences of who is given that hold anything. */
static void warn_of_no_source(const char *file, const struct deployment *d)
{
    for (size_t i = 0; i < d->region_count && d->region_count > 1; i++) {
        if (residency_source(d, &d->regions[i]) == NULL)
            fprintf(stderr,
                    "%s: warning: no other region is a member of all fences of %s: once something "
                    "was written there it cannot be bootstrapped, and cannot come back when it was "
                    "away for longer than the logs reach back, or lost its disk: it answers "
                    "LOADING then\n",
                    file, d->regions[i].name);
    }
}

int check_main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '-')
        return usage_error("check", "unknown option %s", argv[1]);
    if (argc != 2)
        return usage_error("check", "needs one FILE");

    struct deployment deployment;
    struct buffer errors = { 0 };
    bool good = config_load(argv[1], &deployment, &errors);
    if (good) {
        sum_up(argv[1], &deployment);
        warn_of_no_source(argv[1], &deployment);
        deployment_release(&deployment);
    } else {
        fwrite(errors.at, 1, errors.len, stderr);
    }
    buffer_release(&errors);
    return good ? EXIT_DONE : EXIT_FAILED;
}
