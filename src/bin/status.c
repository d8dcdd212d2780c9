/*
 * status -- shows what a region says of itself.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/bin.h"
#include "bin/options.h"
#include "bin/page.h"
#include "host/endpoint.h"

const char status_help[] =
    "usage: meridian status [--http HOST:PORT] [--json] [--watch]\n"
    "\n"
    "Shows one region: its keys, memory and log, its conflicts if there are any, how far it is\n"
    "loaded or filled from another while it is, and the links to every other region.\n"
    "\n"
    "  --http HOST:PORT  the region's HTTP address; 127.0.0.1:9001, where demo has its first\n"
    "  --json            what the region answers, as it is\n"
    "  --watch           again every second, until Ctrl-C\n";

enum { OPTION_HTTP, OPTION_JSON, OPTION_WATCH };

static const struct option OPTIONS[] = {
    [OPTION_HTTP] = { "--http", true },
    [OPTION_JSON] = { "--json", false },
    [OPTION_WATCH] = { "--watch", false },
    { NULL, false },
};

enum { ANSWER_MS = 3000 };

struct status {
    struct endpoint http;
    bool json, watch;
};

static bool read_options(struct status *s, int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    const char *wrong;

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return true;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("status", "takes no argument such as \"%s\"", o.value);
            return false;
        case OPTION_JSON:
            s->json = true;
            break;
        case OPTION_WATCH:
            s->watch = true;
            break;
        case OPTION_HTTP:
            wrong = endpoint_parse(o.value, &s->http);
            if (wrong == NULL)
                break;
            usage_error("status", "--http: \"%s\" %s", o.value, wrong);
            return false;
        }
    }
}

static void print_memory(const struct page *p)
{
    char a[PAGE_FIGURE_MAX], b[PAGE_FIGURE_MAX], c[PAGE_FIGURE_MAX];

    printf("memory %s (resident %s", page_bytes(p->used_bytes, a), page_bytes(p->rss_bytes, b));
    if (p->limit_bytes > 0)
        printf(" of %s, %s", page_bytes(p->limit_bytes, c), p->policy);
    printf(")");
    if (p->resident_keys < p->keys)
        printf(", %s keys in memory", page_count(p->resident_keys, a));
    if (p->memory_state[0] != '\0' && strcmp(p->memory_state, "ok") != 0)
        printf(", %s", p->memory_state);
}

/* What only sometimes is the case. */
static void print_progress(const struct page *p)
{
    char a[PAGE_FIGURE_MAX], b[PAGE_FIGURE_MAX];

    if (p->loading)
        printf("loading the log: %llu%%\n", (unsigned long long)p->loading_percent);
    if (p->bootstrap.phase[0] != '\0' && strcmp(p->bootstrap.phase, "none") != 0)
        printf("filled from %s: %s, %llu%%, %s keys, %s received\n",
               p->bootstrap.from[0] ? p->bootstrap.from : "another region", p->bootstrap.phase,
               (unsigned long long)p->bootstrap.percent, page_count(p->bootstrap.keys, a),
               page_bytes(p->bootstrap.bytes, b));
    if (p->bootstrap.waits[0] != '\0')
        printf("waits to be filled: %s\n", p->bootstrap.waits);
    for (size_t i = 0; i < p->feeding_count; i++)
        printf("fills %s: %s, %s sent\n", p->feeding[i].region, p->feeding[i].phase,
               page_bytes(p->feeding[i].sent_bytes, a));
    if (p->checkpoint_problem[0] != '\0')
        printf("the last checkpoint failed: %s\n", p->checkpoint_problem);
}

static void print_summary(const struct page *p)
{
    char a[PAGE_FIGURE_MAX], b[PAGE_FIGURE_MAX];

    printf("%s   deployment %s   meridian %s   up %s   writes %s\n", p->region, p->deployment,
           p->version, page_duration(p->uptime_s, a), p->writes);
    printf("keys %s (%s with a deadline)", page_count(p->keys, a), page_count(p->expiring_keys, b));
    printf("   clients %s   commands %s\n", page_count(p->clients, a), page_count(p->commands, b));
    print_memory(p);
    printf("   log %s, %s not yet synced\n", page_bytes(p->log_bytes, a),
           page_bytes(p->log_bytes - p->log_durable_bytes, b));
    if (p->contested_keys > 0 || p->conflicts > 0)
        printf("contested keys %s   conflicts %s (CONFLICT LIST has them)\n",
               page_count(p->contested_keys, a), page_count(p->conflicts, b));
    print_progress(p);
}

static void print_link(const struct page_link *l)
{
    char rtt[PAGE_FIGURE_MAX] = "-", lag[PAGE_FIGURE_MAX], a[PAGE_FIGURE_MAX];

    if (l->rtt_ms > 0)
        snprintf(rtt, sizeof(rtt), "%.1f ms", l->rtt_ms);
    if (l->heard)
        snprintf(lag, sizeof(lag), "%llu ms", (unsigned long long)l->lag_ms);
    else
        snprintf(lag, sizeof(lag), "-");
    printf("%-14s %-6s %10s %10s", l->region, l->state, rtt, lag);
    printf(" %10s", page_bytes(l->received_bytes, a));
    printf(" %10s", page_bytes(l->sent_bytes, a));
    printf(" %10s", page_bytes(l->backlog_bytes, a));
    printf("%s%s\n", l->problem[0] != '\0' ? "  " : "", l->problem);
}

static void print_page(const struct page *p)
{
    print_summary(p);
    if (p->link_count == 0)
        return;
    printf("\n%-14s %-6s %10s %10s %10s %10s %10s\n", "peer", "link", "round trip", "lag",
           "received", "sent", "to send");
    for (size_t i = 0; i < p->link_count; i++)
        print_link(&p->links[i]);
}

static int no_answer(const char *problem)
{
    return command_failed("status", "%s; is a region running there? (--http chooses another)",
                          problem);
}

static int show_json(const struct status *s)
{
    char problem[ASK_PROBLEM_MAX];
    struct buffer body = { 0 };
    int status = ask_http(&s->http, "/status", ANSWER_MS, &body, problem);

    if (status == 200)
        fwrite(body.at, 1, body.len, stdout);
    buffer_release(&body);
    if (status == 0)
        return no_answer(problem);
    return status == 200
               ? EXIT_DONE
               : command_failed("status", "the region answered with HTTP status %d", status);
}

static int show_page(const struct status *s)
{
    char problem[ASK_PROBLEM_MAX];
    struct page page;

    if (!page_fetch(&s->http, ANSWER_MS, &page, problem))
        return no_answer(problem);
    if (s->watch && isatty(STDOUT_FILENO))
        printf("\033[H\033[J"); /* home, and clear what follows */
    print_page(&page);
    page_release(&page);
    return EXIT_DONE;
}

int status_main(int argc, char **argv)
{
    struct status s = { .http = { .host = "127.0.0.1", .port = 9001 } };
    int status;

    if (!read_options(&s, argc, argv))
        return EXIT_USAGE;
    for (;;) {
        status = s.json ? show_json(&s) : show_page(&s);
        fflush(stdout);
        if (!s.watch || status != EXIT_DONE)
            return status;
        sleep(1);
    }
}
