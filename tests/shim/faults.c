#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

enum { FAULTS_MAX = 16, CONTROL_BYTES_MAX = 4096 };

enum fault_kind { FULL, SPACE, FAIL, DELAY };

struct fault {
    enum fault_kind kind;
    enum faults_operation operation;
    uint64_t number; /* bytes left, operations to go, milliseconds */
    bool once;
    int error;
    char pattern[256];
};

static const char *control;
static struct stat seen;
static struct fault faults[FAULTS_MAX];
static size_t fault_count;

void faults_open(const char *name)
{
    control = name;
}

static const char *const operation_names[] = {
    [FAULTS_WRITE] = "write",   [FAULTS_READ] = "read",     [FAULTS_SYNC] = "sync",
    [FAULTS_CREATE] = "create", [FAULTS_RENAME] = "rename",
};

static enum faults_operation operation_named(const char *name)
{
    for (size_t i = 0; i < sizeof operation_names / sizeof operation_names[0]; i++) {
        if (strcmp(operation_names[i], name) == 0)
            return (enum faults_operation)i;
    }
    shim_die("POWER_FAULTS names an unknown operation");
}

static int error_named(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {
        { "EIO", EIO },     { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },
        { "EROFS", EROFS }, { "EACCES", EACCES },
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].error;
    }
    shim_die("POWER_FAULTS names an unknown error");
}

static void read_line(const char *line)
{
    struct fault fault = { 0 };
    char operation[16], when[8], error[16];
    unsigned long long number;
    if (sscanf(line, "full %llu %255s", &number, fault.pattern) == 2)
        fault.kind = FULL;
    else if (sscanf(line, "space %llu %255s", &number, fault.pattern) == 2)
        fault.kind = SPACE;
    else if (sscanf(line, "delay %15s %llu %255s", operation, &number, fault.pattern) == 3) {
        fault.kind = DELAY;
        fault.operation = operation_named(operation);
    } else if (sscanf(line, "fail %15s %llu %7s %15s %255s", operation, &number, when, error,
                      fault.pattern) == 5) {
        fault.kind = FAIL;
        fault.operation = operation_named(operation);
        fault.once = strcmp(when, "once") == 0;
        fault.error = error_named(error);
    } else
        shim_die("POWER_FAULTS has a line that is not understood");
    fault.number = number;
    if (fault_count == FAULTS_MAX)
        shim_die("POWER_FAULTS has too many lines");
    faults[fault_count++] = fault;
}

static void read_control(void)
{
    char text[CONTROL_BYTES_MAX];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    long len = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text - 1);
    if (fd >= 0)
        syscall(SYS_close, fd);
    text[len > 0 ? len : 0] = '\0';
    fault_count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] != '\0')
            read_line(line);
    }
}

/* The tests replace the file by a rename: its inode tells, or its absence. */
static void refresh(void)
{
    struct stat now = { 0 };
    if (control == NULL)
        return;
    if (stat(control, &now) < 0)
        now = (struct stat){ 0 };
    if (now.st_ino == seen.st_ino && now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    seen = now;
    read_control();
}

/* A disk with so much room left: what fits is written. */
static int fill(struct fault *fault, size_t *bytes, uint64_t cost)
{
    if (cost <= fault->number) {
        fault->number -= cost;
        return 0;
    }
    uint64_t missing = cost - fault->number;
    fault->number = 0;
    if (missing >= *bytes)
        return ENOSPC;
    *bytes -= (size_t)missing;
    return 0;
}

static int count_down(struct fault *fault)
{
    if (fault->number > 1) {
        fault->number--;
        return 0;
    }
    bool now = fault->number == 1;
    if (fault->once)
        fault->number = 0;
    return now ? fault->error : 0;
}

int faults_judge(enum faults_operation operation, const char *path, size_t *bytes, uint64_t growth,
                 unsigned *delay_ms)
{
    int error = 0;
    *delay_ms = 0;
    refresh();
    for (struct fault *f = faults; error == 0 && f < faults + fault_count; f++) {
        if (fnmatch(f->pattern, path, 0) != 0)
            continue;
        if (f->kind == FULL && operation == FAULTS_WRITE)
            error = fill(f, bytes, *bytes);
        else if (f->kind == SPACE && operation == FAULTS_WRITE)
            error = fill(f, bytes, growth);
        else if (f->kind <= SPACE && operation == FAULTS_CREATE && f->number == 0)
            error = ENOSPC;
        else if (f->kind == FAIL && f->operation == operation)
            error = count_down(f);
        else if (f->kind == DELAY && f->operation == operation)
            *delay_ms = (unsigned)f->number;
    }
    return error;
}
