/*
 * serve -- runs one region.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "bin/bin.h"
#include "bin/options.h"
#include "bin/world.h"
#include "host/clocks.h"
#include "host/config.h"
#include "host/datadir.h"
#include "host/endpoint.h"
#include "host/logger.h"
#include "host/loop.h"
#include "host/mergefile.h"

const char serve_help[] =
    "usage: meridian serve --config FILE --region NAME [--data DIR] [--dial REGION=HOST:PORT]...\n"
    "                      [--wan FILE.csv] [--faults] [--ports-from PORT]\n"
    "\n"
    "Runs one region of a deployment until SIGTERM or SIGINT.\n"
    "\n"
    "  --config FILE             the deployment's configuration, the same in every region\n"
    "  --region NAME             which of its regions this is\n"
    "  --data DIR                where its log is; by default ./meridian-data/NAME\n"
    "  --dial REGION=HOST:PORT   reach that region there, not where the configuration says\n"
    "  --wan FILE.csv            add the round trips of this matrix to the links with other "
    "regions\n"
    "  --faults                  allow LINK CUT, HEAL and SLOW\n"
    "  --ports-from PORT         all regions are on this machine, on the ports that meridian demo "
    "counts\n"
    "                            from this one on, not where the configuration says\n"
    "\n"
    "A line that begins with \"ready\" on standard error says that it serves, and where. Before,\n"
    "while it replays its log, clients are answered LOADING.\n";

enum {
    OPTION_CONFIG,
    OPTION_REGION,
    OPTION_DATA,
    OPTION_DIAL,
    OPTION_WAN,
    OPTION_FAULTS,
    OPTION_PORTS,
};

static const struct option OPTIONS[] = {
    [OPTION_CONFIG] = { "--config", true },    [OPTION_REGION] = { "--region", true },
    [OPTION_DATA] = { "--data", true },        [OPTION_DIAL] = { "--dial", true },
    [OPTION_WAN] = { "--wan", true },          [OPTION_FAULTS] = { "--faults", false },
    [OPTION_PORTS] = { "--ports-from", true }, { NULL, false },
};

enum { DIALS_MAX = 255 };

struct serve {
    const char *config_file, *region_name, *data_dir, *wan_file;
    const char *dial_texts[DIALS_MAX];
    size_t dial_count;
    uint64_t port; /* of the first region's clients; 0: as configured */
    bool faults;

    struct deployment deployment;
    const struct region *self;
    struct wan wan;
    struct loop_dial dials[DIALS_MAX];
    char default_data[REGION_NAME_MAX + 32];
    int clients_fd, peers_fd, http_fd;
    struct datadir datadir;
    struct auditfile audit; /* of a deployment with fences */
    struct node node;
    struct loop loop;
};

/* --- what the command line says --- */

static bool take_dial(struct serve *s, const char *text)
{
    if (strchr(text, '=') == NULL) {
        usage_error("serve", "--dial must be REGION=HOST:PORT, not \"%s\"", text);
        return false;
    }
    if (s->dial_count == DIALS_MAX) {
        usage_error("serve", "more than %d --dial", DIALS_MAX);
        return false;
    }
    s->dial_texts[s->dial_count++] = text;
    return true;
}

static bool read_options(struct serve *s, int argc, char **argv)
{
    struct options o = options_of(argc, argv);

    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return true;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("serve", "takes no argument such as \"%s\"", o.value);
            return false;
        case OPTION_CONFIG:
            s->config_file = o.value;
            break;
        case OPTION_REGION:
            s->region_name = o.value;
            break;
        case OPTION_DATA:
            s->data_dir = o.value;
            break;
        case OPTION_WAN:
            s->wan_file = o.value;
            break;
        case OPTION_FAULTS:
            s->faults = true;
            break;
        case OPTION_DIAL:
            if (!take_dial(s, o.value))
                return false;
            break;
        case OPTION_PORTS:
            if (!options_number(&o, "--ports-from", 1, WORLD_PORT_MAX, &s->port))
                return false;
        }
    }
}

/* --- what the files say --- */

static int print_errors(struct buffer *errors)
{
    fwrite(errors->at, 1, errors->len, stderr);
    buffer_release(errors);
    return EXIT_FAILED;
}

static int unknown_region(const struct serve *s, const char *name)
{
    struct buffer names = { 0 };
    int status;

    for (size_t i = 0; i < s->deployment.region_count; i++)
        buffer_printf(&names, "%s%s", i > 0 ? ", " : "", s->deployment.regions[i].name);
    status = command_failed("serve", "%s has no region \"%s\"; it has %.*s", s->config_file, name,
                            (int)names.len, (const char *)names.at);
    buffer_release(&names);
    return status;
}

static int read_dial(struct serve *s, size_t index)
{
    const char *text = s->dial_texts[index], *equals = strchr(text, '=');
    struct loop_dial *dial = &s->dials[index];
    char name[REGION_NAME_MAX + 1];
    const char *wrong;

    snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    dial->region = deployment_region_named(&s->deployment, name);
    if (dial->region == NULL)
        return unknown_region(s, name);
    if (dial->region == s->self)
        return usage_error("serve", "--dial: %s is this region itself", name);
    wrong = endpoint_parse(equals + 1, &dial->at);
    if (wrong != NULL)
        return usage_error("serve", "--dial: \"%s\" %s", equals + 1, wrong);
    return EXIT_DONE;
}

static int read_files(struct serve *s)
{
    struct buffer errors = { 0 };
    int status = EXIT_DONE;

    if (!config_load(s->config_file, &s->deployment, &errors))
        return print_errors(&errors);
    if (s->port != 0)
        world_place(&s->deployment, (uint16_t)s->port);
    s->self = deployment_region_named(&s->deployment, s->region_name);
    if (s->self == NULL)
        return unknown_region(s, s->region_name);
    if (s->wan_file != NULL && !wan_load(s->wan_file, &s->wan, &errors))
        return print_errors(&errors);
    for (size_t i = 0; i < s->dial_count && status == EXIT_DONE; i++)
        status = read_dial(s, i);
    return status;
}

/* --- starting --- */

static bool open_socket(const struct endpoint *at, int *fd)
{
    char problem[320];

    *fd = -1;
    if (at->port == 0)
        return true;
    *fd = listener_socket(at, problem);
    if (*fd >= 0)
        return true;
    command_failed("serve", "%s", problem);
    return false;
}

static void close_sockets(struct serve *s)
{
    int *fds[] = { &s->clients_fd, &s->peers_fd, &s->http_fd };

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* For a loop, which takes it: when a bootstrap opens all anew, the ports are still ours, and who
 * connects meanwhile waits. */
static int copy_of(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static bool open_sockets(struct serve *s)
{
    s->clients_fd = s->peers_fd = s->http_fd = -1;
    if (open_socket(&s->self->clients, &s->clients_fd) &&
        open_socket(&s->self->peers, &s->peers_fd) && open_socket(&s->self->http, &s->http_fd))
        return true;
    close_sockets(s);
    return false;
}

static uint64_t entropy(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = clocks_wall_us() ^ (uint64_t)getpid() << 40;
    return seed;
}

static const char *merge_source(void *host, const char *file, struct buffer *source)
{
    return mergefile_read(((const struct serve *)host)->config_file, file, source);
}

static void make_node(struct serve *s)
{
    struct node_options options = {
        .deployment = &s->deployment,
        .self = s->self,
        .instance = s->datadir.identity.instance,
        .run = s->datadir.identity.run,
        .known = &s->datadir.identity.known,
        .seed = entropy(),
        .ceiling_ms = s->datadir.ceiling_ms,
        .table_seed = s->datadir.found.start_known ? s->datadir.found.start.table_seed : 0,
        .marker = s->datadir.marked ? &s->datadir.marker : NULL,
        .faults = s->faults,
        .audits = true,
        .fsync = s->deployment.log.fsync,
        .merge_source = merge_source,
        .host = s,
    };
    struct process *p = &s->node.server.process;

    node_init(&s->node, &options);
    p->version = MERIDIAN_VERSION;
    p->config_file = s->config_file;
    p->data_dir = s->data_dir;
    p->pid = (int)getpid();
    p->client_port = s->self->clients.port;
    p->start_ms = clocks_wall_us() / 1000;
}

static void report_recovery(const struct oplog_report *report, uint64_t took_us)
{
    if (report->cut_bytes > 0)
        logger_line(LOGGER_WARNING, "ev=log.tail_cut place=\"%s\" bytes=%llu", report->cut_place,
                    (unsigned long long)report->cut_bytes);
    logger_line(LOGGER_INFO, "ev=log.recovered records=%llu bytes=%llu ms=%llu",
                (unsigned long long)report->records, (unsigned long long)report->bytes,
                (unsigned long long)(took_us / 1000));
}

static bool load_merges(struct serve *s)
{
    char problem[512];

    if (server_load_merges(&s->node.server, problem, sizeof(problem)))
        return true;
    command_failed("serve", "%s", problem);
    return false;
}

/* A start that failed, with what to do about it when it is known. */
static int start_failed(const struct serve *s, const char *where, const char *problem)
{
    if (!s->datadir.damaged)
        return command_failed("serve", "%s%s", where, problem);
    return command_failed("serve",
                          "%s%s; see what can be saved: meridian repair --data %s --check, then "
                          "meridian repair --data %s --config %s --region %s",
                          where, problem, s->data_dir, s->data_dir, s->config_file, s->self->name);
}

static bool recover(struct serve *s)
{
    uint64_t began_us = clocks_monotonic_us();
    struct oplog_report report = { 0 };
    char problem[DATADIR_PROBLEM_MAX], where[PATH_MAX];

    if (!datadir_replay(&s->datadir, &s->node, &s->loop, &report, problem)) {
        snprintf(where, sizeof(where), "%s: ", s->data_dir);
        if (!s->loop.stopping)
            start_failed(s, where, problem);
        return false;
    }
    report_recovery(&report, clocks_monotonic_us() - began_us);
    return true;
}

static void say_ready(void *context)
{
    const struct serve *s = context;
    const struct region *self = s->self;
    char line[3 * ENDPOINT_TEXT_MAX + REGION_NAME_MAX + 64], text[ENDPOINT_TEXT_MAX];
    size_t len = (size_t)snprintf(line, sizeof(line), "ready region=%s clients=%s", self->name,
                                  endpoint_text(&self->clients, text));

    if (self->peers.port != 0)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " peers=%s",
                                endpoint_text(&self->peers, text));
    if (self->http.port != 0)
        len += (size_t)snprintf(line + len, sizeof(line) - len, " http=%s",
                                endpoint_text(&self->http, text));
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        logger_line(LOGGER_INFO, "ev=ready");
}

/* What fences hold is: node/audit.h. */
static bool is_audited(const struct serve *s)
{
    return s->deployment.fence_count > 1;
}

static bool open_loop(struct serve *s)
{
    struct loop_options options = {
        .node = &s->node,
        .log = &s->datadir.log,
        .ceiling = &s->datadir.ceiling,
        .identity = &s->datadir.identity,
        .kv = &s->datadir.kv.kv,
        .audit = is_audited(s) ? &s->audit : NULL,
        .wan = s->wan_file != NULL ? &s->wan : NULL,
        .dials = s->dials,
        .dial_count = s->dial_count,
        .clients_fd = copy_of(s->clients_fd),
        .peers_fd = copy_of(s->peers_fd),
        .http_fd = copy_of(s->http_fd),
        .serves = say_ready,
        .context = s,
    };
    int error;

    steady_init(&options.clock, clocks_boottime_us(), clocks_wall_us());
    error = loop_open(&s->loop, &options);
    if (error != 0)
        command_failed("serve", "cannot start: %s", uv_strerror(error));
    return error == 0;
}

/* With the loop open. */
static int run_loop(struct serve *s)
{
    int error;

    if (!recover(s))
        return s->loop.stopping ? EXIT_DONE : EXIT_FAILED;
    error = loop_start(&s->loop);
    if (error != 0)
        return command_failed("serve", "cannot start: %s", uv_strerror(error));
    loop_run(&s->loop);
    if (s->node.log_broken && s->node.replica.log_durable < s->node.replica.log_end)
        return command_failed(
            "serve",
            "stopped, but the log failed before: %llu bytes of it are not on "
            "the disk, and what clients wrote last may be lost",
            (unsigned long long)(s->node.replica.log_end - s->node.replica.log_durable));
    return EXIT_DONE;
}

/* With the directory open. */
static int run_node(struct serve *s)
{
    int status = EXIT_FAILED;

    make_node(s);
    if (load_merges(s) && open_loop(s)) {
        status = run_loop(s);
        if (!s->loop.restarting)
            close_sockets(s);
        loop_close(&s->loop);
    }
    node_release(&s->node);
    return status;
}

/* With the directory open. */
static int run_audited(struct serve *s)
{
    int status;

    if (!is_audited(s))
        return run_node(s);
    if (!auditfile_open(&s->audit, s->data_dir, &s->deployment, s->self,
                        s->datadir.identity.instance, clocks_wall_us() / 1000))
        return start_failed(s, "", s->audit.problem);
    if (s->audit.lost > 0)
        logger_line(LOGGER_WARNING, "ev=audit.lost lines=%llu file=\"%s\"",
                    (unsigned long long)s->audit.lost, s->audit.path);
    status = run_node(s);
    if (!auditfile_close(&s->audit, clocks_wall_us() / 1000))
        logger_line(LOGGER_ERROR, "ev=audit.failed why=\"%s\" what=\"its last lines are lost\"",
                    s->audit.problem);
    return status;
}

/* *again: a bootstrap wants all of it opened anew. */
static int run_once(struct serve *s, bool *again)
{
    char problem[DATADIR_PROBLEM_MAX];
    int status;

    *again = false;
    if (!datadir_open(&s->datadir, s->data_dir, &s->deployment, s->self, entropy() | 1, problem))
        return start_failed(s, "", problem);
    status = run_audited(s);
    *again = status == EXIT_DONE && s->loop.restarting;
    if (*again && !datadir_mark(&s->datadir, &s->loop.restart, problem))
        logger_line(LOGGER_ERROR, "ev=bootstrap.failed why=\"%s\"", problem);
    datadir_close(&s->datadir);
    return status;
}

static int run(struct serve *s)
{
    bool again = true;
    int status = EXIT_DONE;

    if (s->data_dir == NULL) {
        snprintf(s->default_data, sizeof(s->default_data), "meridian-data/%s", s->self->name);
        s->data_dir = s->default_data;
    }
    if (!open_sockets(s))
        return EXIT_FAILED;
    while (again)
        status = run_once(s, &again);
    close_sockets(s);
    return status;
}

int serve_main(int argc, char **argv)
{
    struct serve *s = mem_zalloc(sizeof(*s));
    int status = EXIT_USAGE;

    if (!read_options(s, argc, argv))
        goto out;
    if (s->config_file == NULL || s->region_name == NULL) {
        usage_error("serve", "needs --config FILE and --region NAME");
        goto out;
    }
    status = read_files(s);
    if (status == EXIT_DONE)
        status = run(s);
    wan_release(&s->wan);
    deployment_release(&s->deployment);
out:
    mem_free(s);
    return status;
}
