/*
 * sim -- runs simulated worlds, each made from its seed, says which do not hold, and makes the
 * history of the first one short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mutation.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "sim/attempt.h"
#include "sim/shrink.h"

const char sim_help[] =
    "usage: meridian sim [--seed N] [--runs N] [--regions N] [--steps N] [--clients N]\n"
    "                    [--noise N] [--commands LIST] [--faults LIST] [--trace] [--details]\n"
    "                    [--jobs N] [--keep-going] [--no-shrink] [--regress FILE]\n"
    "\n"
    "Runs worlds of regions in one process each, on simulated clocks, disks and networks with\n"
    "faults, and checks that they keep what they promise. A world is made from its seed alone: a\n"
    "seed that fails does so again. The first that fails ends the run; its history is made as\n"
    "short as still fails, and printed. Exit status 1 when any failed.\n"
    "\n"
    "  --seed N         the first seed (default 1)\n"
    "  --runs N         how many seeds, one after the other (default 1)\n"
    "  --regions N      2 to 12 regions; by default the seed's choice\n"
    "  --steps N        commands drawn before the faults end; by default the seed's choice\n"
    "  --clients N      1 to 4 clients of each region; by default the seed's choice\n"
    "  --noise N        the same commands and faults, with other delays (default 0)\n"
    "  --commands LIST  of all commands only these are sent: 1.2:7,1.2:9-12 is the 7th and the\n"
    "                   9th to 12th of client 2 of region 1; none\n"
    "  --faults LIST    of all faults only these happen: 2,5-6; none\n"
    "  --trace          print what the world is like and what happens in it\n"
    "  --details        with --trace: every byte, sync and connection, too\n"
    "  --jobs N         processes at once (default 1)\n"
    "  --keep-going     go on with other seeds when one has failed\n"
    "  --no-shrink      leave the history of a failing seed as it is\n"
    "  --regress FILE   run the worlds that FILE lists: options as above, a world a line\n";

enum {
    OPTION_SEED,
    OPTION_RUNS,
    OPTION_REGIONS,
    OPTION_STEPS,
    OPTION_CLIENTS,
    OPTION_NOISE,
    OPTION_COMMANDS,
    OPTION_FAULTS,
    OPTION_TRACE,
    OPTION_DETAILS,
    OPTION_JOBS,
    OPTION_KEEP_GOING,
    OPTION_NO_SHRINK,
    OPTION_REGRESS,
    OPTION_MUTATION,
};

static const struct option OPTIONS[] = {
    [OPTION_SEED] = { "--seed", true },
    [OPTION_RUNS] = { "--runs", true },
    [OPTION_REGIONS] = { "--regions", true },
    [OPTION_STEPS] = { "--steps", true },
    [OPTION_CLIENTS] = { "--clients", true },
    [OPTION_NOISE] = { "--noise", true },
    [OPTION_COMMANDS] = { "--commands", true },
    [OPTION_FAULTS] = { "--faults", true },
    [OPTION_TRACE] = { "--trace", false },
    [OPTION_DETAILS] = { "--details", false },
    [OPTION_JOBS] = { "--jobs", true },
    [OPTION_KEEP_GOING] = { "--keep-going", false },
    [OPTION_NO_SHRINK] = { "--no-shrink", false },
    [OPTION_REGRESS] = { "--regress", true },
    [OPTION_MUTATION] = { MUTATION_OPTION, true }, /* in the program that has any */
    { NULL, false },
};

enum { JOBS_MAX = 64, RERUN_EVERY = 50, SHRINK_MAX_S = 60, LINE_MAX_BYTES = 8192 };

enum { TRACED_MAX = 150 }; /* commands: more are no short history, and are not printed */

struct request {
    struct sim_options world;
    uint64_t runs, jobs;
    bool keep_going, no_shrink;
    const char *regress;
};

/* Of one process, shared with its parent. */
struct tally {
    uint64_t done, failed, events, commands, crashes, simulated_us;
    uint64_t failed_seed; /* the first */
    bool fails_again;     /* that one: its history can be made short */
    bool over;            /* no further seeds, please */
};

/* --- options --- */

static bool take_number(const struct options *o, const char *name, uint64_t low, uint64_t high,
                        uint32_t *out)
{
    uint64_t value;
    if (!options_number(o, name, low, high, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool take_list(const struct options *o, const char *name, struct selection_list *list,
                      bool (*take)(struct span text, struct selection_list *list))
{
    selection_release(list);
    if (take(span_str(o->value), list))
        return true;
    usage_error("sim", "%s takes a list in ascending order, not \"%s\"", name, o->value);
    return false;
}

static bool take_option(struct request *r, const struct options *o, int which)
{
    struct sim_options *world = &r->world;
    switch (which) {
    case OPTION_SEED:
        return options_number(o, "--seed", 0, UINT64_MAX / 2, &world->seed);
    case OPTION_RUNS:
        return options_number(o, "--runs", 1, UINT32_MAX, &r->runs);
    case OPTION_REGIONS:
        return take_number(o, "--regions", 2, SIM_REGIONS_MAX, &world->regions);
    case OPTION_STEPS:
        return take_number(o, "--steps", 1, 1000000, &world->steps);
    case OPTION_CLIENTS:
        return take_number(o, "--clients", 1, SIM_CLIENTS_MAX, &world->clients);
    case OPTION_NOISE:
        return take_number(o, "--noise", 0, UINT32_MAX, &world->noise);
    case OPTION_COMMANDS:
        return take_list(o, "--commands", &world->only.commands, selection_take_commands);
    case OPTION_FAULTS:
        return take_list(o, "--faults", &world->only.faults, selection_take_faults);
    case OPTION_TRACE:
        world->trace = stdout;
        return true;
    case OPTION_DETAILS:
        return world->details = true;
    case OPTION_JOBS:
        return options_number(o, "--jobs", 1, JOBS_MAX, &r->jobs);
    case OPTION_KEEP_GOING:
        return r->keep_going = true;
    case OPTION_NO_SHRINK:
        return r->no_shrink = true;
    case OPTION_REGRESS:
        r->regress = o->value;
        return true;
    case OPTION_MUTATION:
        return mutation_choose(o->value);
    case OPTIONS_ARGUMENT:
        usage_error("sim", "takes no argument such as \"%s\"", o->value);
        return false;
    default:
        return false;
    }
}

static bool read_options(struct request *r, int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    int which = options_next(&o, OPTIONS);
    for (; which != OPTIONS_END; which = options_next(&o, OPTIONS)) {
        if (!take_option(r, &o, which))
            return false;
    }
    return true;
}

static void release_request(struct request *r)
{
    selection_release(&r->world.only.commands);
    selection_release(&r->world.only.faults);
}

/* The options that make this very world. */
static void say_again(const struct sim_options *world)
{
    struct buffer lists = { 0 };
    printf("    again with: meridian sim --seed %llu", (unsigned long long)world->seed);
    if (world->regions != 0)
        printf(" --regions %u", world->regions);
    if (world->steps != 0)
        printf(" --steps %u", world->steps);
    if (world->clients != 0)
        printf(" --clients %u", world->clients);
    if (world->noise != 0)
        printf(" --noise %u", world->noise);
    if (world->only.commands.chosen) {
        buffer_put_text(&lists, " --commands ");
        selection_put_commands(&lists, &world->only.commands);
    }
    if (world->only.faults.chosen) {
        buffer_put_text(&lists, " --faults ");
        selection_put_faults(&lists, &world->only.faults);
    }
    printf("%.*s --trace\n", (int)lists.len, (const char *)lists.at);
    fflush(stdout);
    buffer_release(&lists);
}

/* --- one world --- */

/* Some seeds are run twice: they must do the same to the last byte. */
static bool reruns_equal(const struct sim_options *world, const struct sim_outcome *first)
{
    struct sim_outcome again;
    if (world->seed % RERUN_EVERY != 0 || world->trace)
        return true;
    sim_attempt(world, &again);
    return again.trace_hash == first->trace_hash && again.events == first->events;
}

static void note_failure(struct tally *t, uint64_t seed, bool fails_again)
{
    if (t->failed++ > 0)
        return;
    t->failed_seed = seed;
    t->fails_again = fails_again;
}

static void run_world(const struct sim_options *world, struct tally *t)
{
    struct sim_outcome outcome;
    sim_attempt(world, &outcome);
    bool equal = !outcome.held || reruns_equal(world, &outcome);
    t->done++;
    t->events += outcome.events;
    t->commands += outcome.commands;
    t->crashes += outcome.crashes;
    t->simulated_us += outcome.simulated_us;
    if (outcome.held && equal)
        return;
    note_failure(t, world->seed, equal);
    printf("seed %llu failed: %s\n", (unsigned long long)world->seed,
           equal ? outcome.reason : "it does not rerun bit for bit");
    say_again(world);
}

/* --- a shorter history --- */

struct patience {
    time_t end;
};

static bool attempt_in_time(void *context, const struct sim_options *options,
                            struct sim_outcome *outcome)
{
    const struct patience *patience = context;
    sim_attempt(options, outcome);
    return time(NULL) < patience->end;
}

static void print_short(const struct shrink *s)
{
    struct sim_options last = s->options;
    struct sim_outcome outcome;
    printf("\nin %u runs made as short as still fails: %zu command%s, %zu fault%s\n\n", s->runs,
           last.only.commands.count, last.only.commands.count == 1 ? "" : "s",
           last.only.faults.count, last.only.faults.count == 1 ? "" : "s");
    if (last.only.commands.count <= TRACED_MAX)
        last.trace = stdout;
    sim_attempt(&last, &outcome);
    if (outcome.trace_hash != s->outcome.trace_hash || outcome.events != s->outcome.events)
        printf("it did not rerun bit for bit\n");
    if (strncmp(outcome.kind, "died", 4) == 0)
        printf("%s\n", outcome.reason);
    printf("\n");
    say_again(&last);
}

static void make_short(const struct sim_options *world)
{
    struct patience patience = { time(NULL) + SHRINK_MAX_S };
    struct sim_options options = *world;
    struct sim_outcome failed;
    struct shrink s;
    options.trace = NULL;
    sim_attempt(&options, &failed);
    if (failed.held)
        return;
    shrink_init(&s, &options, &failed, attempt_in_time, &patience);
    shrink_run(&s);
    print_short(&s);
    shrink_release(&s);
}

/* --- many --- */

static void run_share(const struct request *r, uint64_t job, struct tally *tallies)
{
    for (uint64_t i = job; i < r->runs && !tallies[0].over; i += r->jobs) {
        struct sim_options world = r->world;
        world.seed += i;
        run_world(&world, &tallies[job]);
        if (tallies[job].failed > 0 && !r->keep_going)
            tallies[0].over = true;
    }
}

static bool run_jobs(const struct request *r, struct tally *tallies)
{
    pid_t pids[JOBS_MAX];
    uint64_t started = 0;
    fflush(NULL);
    for (; started < r->jobs; started++) {
        pids[started] = fork();
        if (pids[started] < 0)
            break;
        if (pids[started] == 0) {
            run_share(r, started, tallies);
            fflush(stdout);
            _exit(0);
        }
    }
    for (uint64_t i = 0; i < started; i++)
        waitpid(pids[i], NULL, 0);
    return started == r->jobs;
}

static struct tally sum_up(const struct tally *tallies, uint64_t count)
{
    struct tally all = { 0 };
    for (uint64_t i = 0; i < count; i++) {
        const struct tally *t = &tallies[i];
        all.done += t->done;
        all.events += t->events;
        all.commands += t->commands;
        all.crashes += t->crashes;
        all.simulated_us += t->simulated_us;
        if (t->failed > 0 && (all.failed == 0 || t->failed_seed < all.failed_seed)) {
            all.failed_seed = t->failed_seed;
            all.fails_again = t->fails_again;
        }
        all.failed += t->failed;
    }
    return all;
}

static int conclude(const struct tally *all)
{
    printf("%llu run%s, %llu failed; %llu commands, %llu crashes, %llu events in %.1f simulated "
           "seconds\n",
           (unsigned long long)all->done, all->done == 1 ? "" : "s",
           (unsigned long long)all->failed, (unsigned long long)all->commands,
           (unsigned long long)all->crashes, (unsigned long long)all->events,
           (double)all->simulated_us / 1e6);
    return all->failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_seeds(struct request *r)
{
    if (r->jobs > r->runs)
        r->jobs = r->runs;
    struct tally *tallies = mmap(NULL, r->jobs * sizeof(*tallies), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED)
        return command_failed("sim", "no memory to share with its processes");
    bool started = run_jobs(r, tallies);
    struct tally all = sum_up(tallies, r->jobs);
    munmap(tallies, r->jobs * sizeof(*tallies));
    if (!started)
        return command_failed("sim", "cannot start %llu processes", (unsigned long long)r->jobs);
    if (all.fails_again && !r->no_shrink && !r->world.trace) {
        struct sim_options world = r->world;
        world.seed = all.failed_seed;
        make_short(&world);
    }
    return conclude(&all);
}

/* --- worlds that a file lists --- */

enum { WORDS_MAX = 32 };

static int split_words(char *line, char *words[WORDS_MAX])
{
    static char command[] = "sim";
    int count = 1;
    words[0] = command;
    for (char *word = strtok(line, " \t\n"); word && count < WORDS_MAX;
         word = strtok(NULL, " \t\n"))
        words[count++] = word;
    return count;
}

/* False when the line is none. */
static bool run_line(const struct request *r, char *line, struct tally *t)
{
    char *words[WORDS_MAX];
    struct request listed = { .world.seed = 1, .runs = 1, .jobs = 1 };
    line[strcspn(line, "#\n")] = 0;
    int count = split_words(line, words);
    bool good = read_options(&listed, count, words);
    if (good && count > 1) {
        uint64_t failed_before = t->failed;
        listed.world.trace = r->world.trace;
        run_world(&listed.world, t);
        if (t->failed > failed_before && failed_before == 0 && t->fails_again && !r->no_shrink)
            make_short(&listed.world);
    }
    release_request(&listed);
    return good;
}

static int run_listed(const struct request *r)
{
    char line[LINE_MAX_BYTES];
    struct tally all = { 0 };
    bool good = true;
    FILE *file = fopen(r->regress, "r");
    if (!file)
        return command_failed("sim", "%s cannot be read", r->regress);
    for (int number = 1; good && fgets(line, sizeof(line), file); number++) {
        good = run_line(r, line, &all);
        if (!good)
            fprintf(stderr, "meridian sim: %s:%d is no world\n", r->regress, number);
    }
    fclose(file);
    return good ? conclude(&all) : EXIT_USAGE;
}

int sim_main(int argc, char **argv)
{
    struct request r = { .world.seed = 1, .runs = 1, .jobs = 1 };
    int status = EXIT_USAGE;
    if (read_options(&r, argc, argv))
        status = r.regress ? run_listed(&r) : run_seeds(&r);
    release_request(&r);
    return status;
}
