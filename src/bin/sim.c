/*
 * sim -- runs simulated worlds, each made from its seed, and says which do not hold.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "sim/sim.h"

const char sim_help[] =
    "usage: meridian sim [--seed N] [--runs N] [--regions N] [--steps N] [--trace] [--jobs N]\n"
    "\n"
    "Runs worlds of regions in one process each, on simulated clocks, disks and networks with\n"
    "faults, and checks that they keep what they promise. A world is made from its seed alone: a\n"
    "seed that fails does so again. Exit status 1 when any failed.\n"
    "\n"
    "  --seed N      the first seed (default 1)\n"
    "  --runs N      how many seeds, one after the other (default 1)\n"
    "  --regions N   2 to 6 regions; by default the seed's choice\n"
    "  --steps N     commands sent before the faults end; by default the seed's choice\n"
    "  --trace       print what the world is like and a line for every event\n"
    "  --jobs N      processes at once (default 1)\n";

enum {
    OPTION_SEED,
    OPTION_RUNS,
    OPTION_REGIONS,
    OPTION_STEPS,
    OPTION_TRACE,
    OPTION_JOBS,
};

static const struct option OPTIONS[] = {
    [OPTION_SEED] = { "--seed", true },
    [OPTION_RUNS] = { "--runs", true },
    [OPTION_REGIONS] = { "--regions", true },
    [OPTION_STEPS] = { "--steps", true },
    [OPTION_TRACE] = { "--trace", false },
    [OPTION_JOBS] = { "--jobs", true },
    { NULL, false },
};

enum { JOBS_MAX = 64, RERUN_EVERY = 50 };

struct request {
    uint64_t seed, runs, regions, steps, jobs;
    bool trace;
};

/* Shared with the parent, which reads it also when the process has died. */
struct tally {
    uint64_t seed; /* being run */
    uint64_t done, failed, events, commands, crashes, simulated_us;
};

static bool read_options(struct request *r, int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    bool good = true;

    while (good) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return true;
        case OPTIONS_ARGUMENT:
            usage_error("sim", "takes no argument such as \"%s\"", o.value);
            return false;
        case OPTION_SEED:
            good = options_number(&o, "--seed", 0, UINT64_MAX / 2, &r->seed);
            break;
        case OPTION_RUNS:
            good = options_number(&o, "--runs", 1, UINT32_MAX, &r->runs);
            break;
        case OPTION_REGIONS:
            good = options_number(&o, "--regions", 2, SIM_REGIONS_MAX, &r->regions);
            break;
        case OPTION_STEPS:
            good = options_number(&o, "--steps", 1, 1000000, &r->steps);
            break;
        case OPTION_TRACE:
            r->trace = true;
            break;
        case OPTION_JOBS:
            good = options_number(&o, "--jobs", 1, JOBS_MAX, &r->jobs);
            break;
        default:
            return false;
        }
    }
    return false;
}

static void say_rerun(const struct request *r, uint64_t seed)
{
    printf("    again with: meridian sim --seed %llu", (unsigned long long)seed);
    if (r->regions != 0)
        printf(" --regions %llu", (unsigned long long)r->regions);
    if (r->steps != 0)
        printf(" --steps %llu", (unsigned long long)r->steps);
    printf(" --trace\n");
    fflush(stdout);
}

static struct sim_outcome run_seed(const struct request *r, uint64_t seed)
{
    struct sim_options options = {
        .seed = seed,
        .regions = (uint32_t)r->regions,
        .steps = (uint32_t)r->steps,
        .trace = r->trace ? stdout : NULL,
    };
    struct sim_outcome outcome;

    sim_run(&options, &outcome);
    return outcome;
}

/* Some seeds are run twice: they must do the same to the last byte. */
static bool reruns_equal(const struct request *r, uint64_t seed, const struct sim_outcome *first)
{
    struct sim_outcome again;

    if (seed % RERUN_EVERY != 0 || r->trace)
        return true;
    again = run_seed(r, seed);
    return again.trace_hash == first->trace_hash && again.events == first->events;
}

static void run_one(const struct request *r, uint64_t seed, struct tally *t)
{
    struct sim_outcome outcome;
    bool equal;

    t->seed = seed;
    outcome = run_seed(r, seed);
    equal = reruns_equal(r, seed, &outcome);
    t->done++;
    t->events += outcome.events;
    t->commands += outcome.commands;
    t->crashes += outcome.crashes;
    t->simulated_us += outcome.simulated_us;
    if (outcome.held && equal)
        return;
    t->failed++;
    printf("seed %llu failed: %s\n", (unsigned long long)seed,
           outcome.held ? "it does not rerun bit for bit" : outcome.reason);
    say_rerun(r, seed);
}

static void run_share(const struct request *r, uint64_t job, struct tally *t)
{
    for (uint64_t i = job; i < r->runs; i += r->jobs)
        run_one(r, r->seed + i, t);
}

/* --- processes, so that a failed CHECK is told with its seed --- */

static void wait_for(const struct request *r, pid_t pid, struct tally *t)
{
    int status;

    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    t->failed++;
    printf("seed %llu failed: the process died, its last words stand above\n",
           (unsigned long long)t->seed);
    say_rerun(r, t->seed);
}

static bool run_jobs(const struct request *r, struct tally *tallies)
{
    pid_t pids[JOBS_MAX];
    uint64_t started = 0;

    for (; started < r->jobs; started++) {
        pids[started] = fork();
        if (pids[started] < 0)
            break;
        if (pids[started] == 0) {
            run_share(r, started, &tallies[started]);
            fflush(stdout);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < started; i++)
        wait_for(r, pids[i], &tallies[i]);
    return started == r->jobs;
}

static int sum_up(const struct request *r, const struct tally *tallies)
{
    struct tally all = { 0 };

    for (uint64_t i = 0; i < r->jobs; i++) {
        all.done += tallies[i].done;
        all.failed += tallies[i].failed;
        all.events += tallies[i].events;
        all.commands += tallies[i].commands;
        all.crashes += tallies[i].crashes;
        all.simulated_us += tallies[i].simulated_us;
    }
    printf("%llu run%s, %llu failed; %llu commands, %llu crashes, %llu events in %.1f simulated "
           "seconds\n",
           (unsigned long long)all.done, all.done == 1 ? "" : "s", (unsigned long long)all.failed,
           (unsigned long long)all.commands, (unsigned long long)all.crashes,
           (unsigned long long)all.events, (double)all.simulated_us / 1e6);
    return all.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

int sim_main(int argc, char **argv)
{
    struct request r = { .seed = 1, .runs = 1, .jobs = 1 };
    struct tally *tallies;
    int status;

    if (!read_options(&r, argc, argv))
        return EXIT_USAGE;
    if (r.jobs > r.runs)
        r.jobs = r.runs;
    tallies = mmap(NULL, r.jobs * sizeof(*tallies), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED)
        return command_failed("sim", "no memory to share with its processes");
    fflush(stdout);
    status = run_jobs(&r, tallies)
                 ? sum_up(&r, tallies)
                 : command_failed("sim", "cannot start %llu processes", (unsigned long long)r.jobs);
    munmap(tallies, r.jobs * sizeof(*tallies));
    return status;
}
