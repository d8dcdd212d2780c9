/*
 * demo -- a whole world on one machine: every region a process, with the real distances between
 * them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "bin/page.h"
#include "bin/world.h"
#include "host/clocks.h"
#include "host/endpoint.h"
#include "host/wan.h"

const char demo_help[] =
    "usage: meridian demo [--regions N | --config FILE] [--port 7001] [--data DIR] [--no-wan]\n"
    "\n"
    "Runs every region of a world as a process of this machine, until Ctrl-C.\n"
    "\n"
    "  --regions N    how many regions the world has, 1 to 10; by default 3\n"
    "  --config FILE  the regions of this configuration instead\n"
    "  --port PORT    of the first region's clients; further regions count up, and other regions "
    "reach\n"
    "                 a region 1000 above its port, HTTP 2000 above; by default 7001, or the\n"
    "                 addresses of the configuration\n"
    "  --data DIR     keep the regions' data and logs there; by default they are removed at the "
    "end\n"
    "  --no-wan       without the distances: every region as near as this machine is to itself\n";

enum { OPTION_REGIONS, OPTION_CONFIG, OPTION_PORT, OPTION_DATA, OPTION_NO_WAN };

static const struct option OPTIONS[] = {
    [OPTION_REGIONS] = { "--regions", true }, [OPTION_CONFIG] = { "--config", true },
    [OPTION_PORT] = { "--port", true },       [OPTION_DATA] = { "--data", true },
    [OPTION_NO_WAN] = { "--no-wan", false },  { NULL, false },
};

enum {
    LOOK_MS = 50,    /* after children and signals */
    ANSWER_MS = 500, /* of a region that is asked for its status */
    TABLE_MS = 1000,
    LINE_MS = 10 * 1000, /* between lines, when nobody looks at a terminal */
};

struct demo {
    uint64_t regions, port;
    const char *config_file, *data_dir;
    bool no_wan, regions_given, port_given;

    struct world world;
    bool terminal;
    size_t lines;       /* of the table that stands on the terminal */
    uint64_t *commands; /* [world.count] at the last look: for rates */
    uint64_t looked_us;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

/* --- options --- */

static bool take_option(struct demo *d, const struct options *o, int option)
{
    switch (option) {
    case OPTION_REGIONS:
        d->regions_given = true;
        return options_number(o, "--regions", 1, WAN_DEMO_PLACES, &d->regions);
    case OPTION_PORT:
        d->port_given = true;
        return options_number(o, "--port", 1, WORLD_PORT_MAX, &d->port);
    case OPTION_CONFIG:
        d->config_file = o->value;
        return true;
    case OPTION_DATA:
        d->data_dir = o->value;
        return true;
    case OPTION_NO_WAN:
        d->no_wan = true;
        return true;
    default:
        usage_error("demo", "takes no argument such as \"%s\"", o->value);
        return false;
    }
}

static bool read_options(struct demo *d, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        int option = options_next(&o, OPTIONS);

        if (option == OPTIONS_WRONG)
            return false;
        if (option == OPTIONS_END)
            break;
        if (!take_option(d, &o, option))
            return false;
    }
    if (d->config_file == NULL || !d->regions_given)
        return true;
    usage_error("demo", "--config brings its own regions: no --regions with it");
    return false;
}

/* --- what people see --- */

static void say_ready(const struct world_region *r)
{
    char http[ENDPOINT_TEXT_MAX];

    printf("%-10s %-16s redis-cli -p %-6u", r->region->name, r->region->city,
           r->region->clients.port);
    if (r->region->http.port != 0)
        printf(" http://%s/status", endpoint_text(&r->region->http, http));
    printf("\n");
    fflush(stdout);
}

static void say_hints(const struct demo *d)
{
    const struct world *w = &d->world;
    unsigned first = w->regions[0].region->clients.port;

    printf("\ntry   redis-cli -p %u SET greeting hello", first);
    if (w->count > 1) {
        printf("      then   redis-cli -p %u GET greeting\n", w->regions[1].region->clients.port);
        printf("      meridian link cut %s %s", w->regions[0].region->name,
               w->regions[1].region->name);
        if (first != 7001)
            printf(" --port %u", first);
        printf("      write on both sides, then heal");
    }
    printf("\ndata  %s%s      Ctrl-C stops all\n\n", w->dir,
           w->temporary ? " (removed at the end)" : "");
    fflush(stdout);
}

/* The worst of a region's links: how many are up, and the highest lag among them. */
static void sum_links(const struct page *p, size_t *up, uint64_t *lag_ms)
{
    *up = 0;
    *lag_ms = 0;
    for (size_t i = 0; i < p->link_count; i++) {
        *up += strcmp(p->links[i].state, "up") == 0;
        if (p->links[i].lag_ms > *lag_ms)
            *lag_ms = p->links[i].lag_ms;
    }
}

static void print_row(const struct world_region *r, const struct page *p, uint64_t rate)
{
    char keys[PAGE_FIGURE_MAX], commands[PAGE_FIGURE_MAX], memory[PAGE_FIGURE_MAX];
    size_t up;
    uint64_t lag_ms;

    sum_links(p, &up, &lag_ms);
    printf("%-10s %10s %12s %10s   %zu of %-4zu %8llu ms   %s", r->region->name,
           page_count(p->keys, keys), page_count(rate, commands), page_bytes(p->used_bytes, memory),
           up, p->link_count, (unsigned long long)lag_ms,
           strcmp(p->writes, "ok") == 0 ? "" : p->writes);
}

static void print_region(struct demo *d, size_t index, uint64_t passed_us)
{
    const struct world_region *r = &d->world.regions[index];
    char problem[ASK_PROBLEM_MAX];
    struct page page;

    if (r->pid == 0)
        printf("%-10s stopped", r->region->name);
    else if (r->region->http.port == 0)
        printf("%-10s has no HTTP address", r->region->name);
    else if (!page_fetch(&r->region->http, ANSWER_MS, &page, problem))
        printf("%-10s does not answer: %s", r->region->name, problem);
    else {
        uint64_t more = page.commands > d->commands[index] ? page.commands - d->commands[index] : 0;

        print_row(r, &page, passed_us > 0 ? more * 1000000 / passed_us : 0);
        d->commands[index] = page.commands;
        page_release(&page);
    }
    printf("\033[K\n"); /* clears what the last table left of the line */
}

static void print_table(struct demo *d)
{
    uint64_t now_us = clocks_monotonic_us();

    if (d->lines > 0)
        printf("\033[%zuA", d->lines); /* up, over the last table */
    printf("%-10s %10s %12s %10s   %-9s %11s\033[K\n", "region", "keys", "commands/s", "memory",
           "links up", "worst lag");
    for (size_t i = 0; i < d->world.count; i++)
        print_region(d, i, d->looked_us > 0 ? now_us - d->looked_us : 0);
    d->looked_us = now_us;
    d->lines = d->world.count + 1;
    fflush(stdout);
}

/* The same for a file or a pipe: "us-east 12 keys, 2/2 links, lag 47 ms; eu-de …". */
static void print_line(const struct demo *d)
{
    char problem[ASK_PROBLEM_MAX];

    for (size_t i = 0; i < d->world.count; i++) {
        const struct world_region *r = &d->world.regions[i];
        struct page page;
        uint64_t lag_ms;
        size_t up;

        printf("%s%s ", i > 0 ? "; " : "", r->region->name);
        if (r->pid == 0 || !page_fetch(&r->region->http, ANSWER_MS, &page, problem)) {
            printf("%s", r->pid == 0 ? "stopped" : "does not answer");
            continue;
        }
        sum_links(&page, &up, &lag_ms);
        printf("%llu keys, %zu/%zu links, lag %llu ms", (unsigned long long)page.keys, up,
               page.link_count, (unsigned long long)lag_ms);
        page_release(&page);
    }
    printf("\n");
    fflush(stdout);
}

static void say_ended(struct demo *d, const struct world_region *r, int wait_status)
{
    char line[WORLD_LINE_MAX];

    world_last_line(&d->world, r, line);
    if (WIFSIGNALED(wait_status))
        printf("%s was ended by signal %d (%s)", r->region->name, WTERMSIG(wait_status),
               strsignal(WTERMSIG(wait_status)));
    else
        printf("%s ended with status %d", r->region->name, WEXITSTATUS(wait_status));
    printf("; its last line: %s%s\n", line[0] != '\0' ? line : "(none)",
           d->terminal ? "\033[K" : "");
    d->lines = 0; /* the next table stands below */
    fflush(stdout);
}

/* --- the course of things --- */

/* Until every region is ready; false when one ended before, or the user wants no more. */
static bool wait_for_ready(struct demo *d)
{
    const struct world_region *r;
    char line[WORLD_LINE_MAX];
    size_t ready = 0;
    int status;

    while (ready < d->world.count && !stop_asked) {
        while ((r = world_next_ready(&d->world)) != NULL) {
            say_ready(r);
            ready++;
        }
        r = world_next_ended(&d->world, &status);
        if (r != NULL) {
            world_last_line(&d->world, r, line);
            command_failed("demo", "%s did not start: %s", r->region->name, line);
            return false;
        }
        usleep(LOOK_MS * 1000);
    }
    return true;
}

static bool any_runs(const struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->regions[i].pid != 0)
            return true;
    return false;
}

/* Shows the world until Ctrl-C; false when every region has ended by itself. */
static bool watch(struct demo *d)
{
    uint64_t next_us = clocks_monotonic_us() + (d->terminal ? 0 : LINE_MS * 1000);
    const struct world_region *r;
    int status;

    while (!stop_asked) {
        while ((r = world_next_ended(&d->world, &status)) != NULL)
            say_ended(d, r, status);
        if (!any_runs(&d->world))
            return false;
        if (clocks_monotonic_us() >= next_us) {
            if (d->terminal)
                print_table(d);
            else
                print_line(d);
            next_us = clocks_monotonic_us() + (uint64_t)(d->terminal ? TABLE_MS : LINE_MS) * 1000;
        }
        usleep(LOOK_MS * 1000);
    }
    return true;
}

static bool prepare(struct demo *d)
{
    struct world *w = &d->world;

    if (d->config_file == NULL && !world_invent(w, (size_t)d->regions, (uint16_t)d->port))
        return false;
    return world_load(w, d->config_file, !d->no_wan,
                      d->config_file != NULL && d->port_given ? (uint16_t)d->port : 0);
}

static int run(struct demo *d)
{
    int status = EXIT_FAILED;

    d->commands = mem_zalloc(d->world.count * sizeof(*d->commands));
    if (world_start(&d->world) && wait_for_ready(d)) {
        if (!stop_asked)
            say_hints(d);
        if (watch(d))
            status = EXIT_DONE;
        else {
            d->world.temporary = false; /* somebody will want to know why */
            command_failed("demo", "every region has ended; their logs are in %s", d->world.dir);
        }
    }
    if (status == EXIT_DONE)
        printf("\nstopping\n");
    fflush(stdout);
    world_stop(&d->world);
    mem_free(d->commands);
    return status;
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int demo_main(int argc, char **argv)
{
    struct demo d = { .regions = 3, .port = 7001, .terminal = isatty(STDOUT_FILENO) };
    int status = EXIT_FAILED;

    if (!read_options(&d, argc, argv))
        return EXIT_USAGE;
    catch_signals();
    if (!world_open(&d.world, d.data_dir))
        return EXIT_FAILED;
    if (prepare(&d))
        status = run(&d);
    world_close(&d.world);
    return status;
}
