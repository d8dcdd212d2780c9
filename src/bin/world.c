#define _GNU_SOURCE /* nftw */
#include "bin/world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "bin/bin.h"
#include "host/clocks.h"
#include "host/config.h"
#include "host/wan.h"

extern const unsigned char wan_builtin_csv[];
extern const size_t wan_builtin_csv_bytes;

enum { PEERS_ABOVE = 1000, HTTP_ABOVE = 2000, STOP_MS = 5000 };

/* --- files --- */

static bool fail(const char *what, const char *path)
{
    command_failed("demo", "cannot %s %s: %s", what, path, strerror(errno));
    return false;
}

/* DIR/NAME followed by `suffix`; paths that are too long fail where they are used. */
static const char *path_in(const struct world *w, const char *name, const char *suffix,
                           char path[WORLD_PATH_MAX])
{
    int len = snprintf(path, WORLD_PATH_MAX, "%.3000s/%.500s%.20s", w->dir, name, suffix);

    (void)len;
    return path;
}

bool world_open(struct world *w, const char *dir)
{
    const char *base = getenv("TMPDIR");

    *w = (struct world){ .temporary = dir == NULL };
    if (dir != NULL) {
        snprintf(w->dir, sizeof(w->dir), "%.3000s", dir);
        return mkdir(w->dir, 0700) == 0 || errno == EEXIST || fail("make the directory", w->dir);
    }
    snprintf(w->dir, sizeof(w->dir), "%.3000s/meridian-demo-XXXXXX",
             base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(w->dir) != NULL)
        return true;
    w->temporary = false;
    return fail("make a directory like", w->dir);
}

static bool write_file(const char *path, struct span bytes)
{
    FILE *file = fopen(path, "we");
    bool good;

    if (file == NULL)
        return fail("write", path);
    good = fwrite(bytes.at, 1, bytes.len, file) == bytes.len;
    good = fclose(file) == 0 && good;
    return good || fail("write", path);
}

static void put_region(struct buffer *out, const struct wan_place *place, unsigned port)
{
    buffer_printf(out,
                  "  - name: %s\n    city: %s\n    location: [%.2f, %.2f]\n    timezone: %s\n"
                  "    clients: 127.0.0.1:%u\n    peers: 127.0.0.1:%u\n    http: 127.0.0.1:%u\n",
                  place->name, place->city, place->latitude, place->longitude, place->timezone,
                  port, port + PEERS_ABOVE, port + HTTP_ABOVE);
}

bool world_invent(struct world *w, size_t count, uint16_t port)
{
    struct buffer text = { 0 };
    struct wan matrix;
    bool good;

    wan_builtin(&matrix);
    buffer_put_text(&text, "# Written by meridian demo.\ndeployment: demo\nregions:\n");
    for (size_t i = 0; i < count; i++)
        put_region(&text, wan_place_named(&matrix, wan_demo_order[i]), port + (unsigned)i);
    good = write_file(path_in(w, "world", ".yaml", w->config_file), buffer_span(&text));
    wan_release(&matrix);
    buffer_release(&text);
    return good;
}

static struct endpoint here(unsigned port)
{
    return (struct endpoint){ .host = "127.0.0.1", .port = (uint16_t)port };
}

void world_place(struct deployment *d, uint16_t port)
{
    for (size_t i = 0; i < d->region_count; i++) {
        d->regions[i].clients = here(port + (unsigned)i);
        d->regions[i].peers = here(port + (unsigned)i + PEERS_ABOVE);
        d->regions[i].http = here(port + (unsigned)i + HTTP_ABOVE);
    }
}

bool world_load(struct world *w, const char *config_file, bool wan, uint16_t port)
{
    struct buffer errors = { 0 };
    char path[WORLD_PATH_MAX];
    bool good;

    if (config_file != NULL)
        snprintf(w->config_file, sizeof(w->config_file), "%.4000s", config_file);
    good = config_load(w->config_file, &w->deployment, &errors);
    if (errors.len > 0)
        fwrite(errors.at, 1, errors.len, stderr);
    buffer_release(&errors);
    if (!good)
        return false;
    w->port = port;
    if (port != 0)
        world_place(&w->deployment, port);
    w->count = w->deployment.region_count;
    w->regions = mem_zalloc(w->count * sizeof(*w->regions));
    for (size_t i = 0; i < w->count; i++)
        w->regions[i].region = &w->deployment.regions[i];
    w->wan = wan;
    return !wan || write_file(path_in(w, "wan", ".csv", path),
                              span_of(wan_builtin_csv, wan_builtin_csv_bytes));
}

/* --- children --- */

/* In the child: becomes the region. */
static _Noreturn void become(const struct world *w, const struct world_region *r, pid_t parent,
                             int log)
{
    char data[WORLD_PATH_MAX], wan[WORLD_PATH_MAX], port[8];
    const char *argv[] = { "meridian",     "serve",    "--config",
                           w->config_file, "--region", r->region->name,
                           "--data",       data,       "--faults",
                           NULL,           NULL,       NULL,
                           NULL,           NULL };
    size_t argc = 9;
    int nothing = open("/dev/null", O_RDONLY);

    path_in(w, r->region->name, "", data);
    if (w->wan) {
        argv[argc++] = "--wan";
        argv[argc++] = path_in(w, "wan", ".csv", wan);
    }
    if (w->port != 0) {
        snprintf(port, sizeof(port), "%u", w->port);
        argv[argc++] = "--ports-from";
        argv[argc++] = port;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_FAILED); /* the parent died before the kernel knew */
    dup2(nothing, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    dprintf(log, "cannot run /proc/self/exe: %s\n", strerror(errno));
    _exit(EXIT_FAILED);
}

static bool start_region(const struct world *w, struct world_region *r)
{
    char path[WORLD_PATH_MAX];
    pid_t parent = getpid();
    int log = open(path_in(w, r->region->name, ".log", path),
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (log < 0)
        return fail("write", path);
    r->log_start = lseek(log, 0, SEEK_END);
    r->pid = fork();
    if (r->pid == 0)
        become(w, r, parent, log);
    close(log);
    if (r->pid > 0)
        return true;
    r->pid = 0;
    return fail("start a process for", r->region->name);
}

bool world_start(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (!start_region(w, &w->regions[i]))
            return false;
    return true;
}

/* The log from `from` on, or its end when that is long; `text` holds `size`, and gets a zero. */
static void read_log(const struct world *w, const struct world_region *r, off_t from, char *text,
                     size_t size)
{
    char path[WORLD_PATH_MAX];
    int log = open(path_in(w, r->region->name, ".log", path), O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;

    if (log >= 0) {
        off_t end = lseek(log, 0, SEEK_END);

        if (end - from >= (off_t)size)
            from = end - (off_t)size + 1;
        got = pread(log, text, size - 1, from);
        close(log);
    }
    text[got > 0 ? got : 0] = '\0';
}

static bool says_ready(const struct world *w, const struct world_region *r)
{
    char text[16384];

    read_log(w, r, r->log_start, text, sizeof(text));
    return strncmp(text, "ready ", 6) == 0 || strstr(text, "\nready ") != NULL;
}

struct world_region *world_next_ready(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct world_region *r = &w->regions[i];

        if (r->pid == 0 || r->ready || !says_ready(w, r))
            continue;
        r->ready = true;
        return r;
    }
    return NULL;
}

struct world_region *world_next_ended(struct world *w, int *wait_status)
{
    for (size_t i = 0; i < w->count; i++) {
        struct world_region *r = &w->regions[i];

        if (r->pid == 0 || waitpid(r->pid, wait_status, WNOHANG) != r->pid)
            continue;
        r->pid = 0;
        r->ready = false;
        return r;
    }
    return NULL;
}

void world_last_line(const struct world *w, const struct world_region *r, char line[WORLD_LINE_MAX])
{
    char text[2048];
    size_t end;
    const char *start;

    read_log(w, r, r->log_start, text, sizeof(text));
    end = strlen(text);
    while (end > 0 && text[end - 1] == '\n')
        text[--end] = '\0';
    start = strrchr(text, '\n');
    snprintf(line, WORLD_LINE_MAX, "%.500s", start != NULL ? start + 1 : text);
}

static size_t running(struct world *w)
{
    size_t count = 0;
    int status;

    while (world_next_ended(w, &status) != NULL)
        continue;
    for (size_t i = 0; i < w->count; i++)
        count += w->regions[i].pid != 0;
    return count;
}

static void signal_all(const struct world *w, int number)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->regions[i].pid != 0)
            kill(w->regions[i].pid, number);
}

void world_stop(struct world *w)
{
    uint64_t until_us = clocks_monotonic_us() + STOP_MS * 1000;

    signal_all(w, SIGTERM);
    while (running(w) > 0) {
        if (clocks_monotonic_us() > until_us)
            signal_all(w, SIGKILL);
        usleep(20 * 1000);
    }
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

void world_close(struct world *w)
{
    if (w->temporary)
        nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    mem_free(w->regions);
    deployment_release(&w->deployment);
    *w = (struct world){ 0 };
}
