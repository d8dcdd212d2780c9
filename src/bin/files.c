#include "bin/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/memory.h"

enum { PIECE_BYTES = 1 << 20 };

static bool fail(char *problem, const char *path, const char *action)
{
    int cause = errno;
    snprintf(problem, FILES_PROBLEM_MAX, "%s: %s: %s", path, action, strerror(cause));
    return false;
}

bool files_join(char path[FILES_PATH_MAX], const char *above, const char *name, char *problem)
{
    if (snprintf(path, FILES_PATH_MAX, "%s/%s", above, name) < FILES_PATH_MAX)
        return true;
    snprintf(problem, FILES_PROBLEM_MAX, "%.200s…: the name is too long", above);
    return false;
}

bool files_is_region(const char *directory)
{
    char path[4096];
    return snprintf(path, sizeof(path), "%s/identity", directory) < (int)sizeof(path) &&
           access(path, F_OK) == 0;
}

bool files_is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool files_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* Calls `each` for every entry until it says no. */
static bool each_entry(const char *path, bool (*each)(void *context, const char *name),
                       void *context)
{
    DIR *entries = opendir(path);
    bool good = entries != NULL;
    for (struct dirent *e; good && (e = readdir(entries)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            good = each(context, e->d_name);
    }
    int cause = errno;
    if (entries != NULL)
        closedir(entries);
    errno = cause;
    return good;
}

static bool refuse_entry(void *context, const char *name)
{
    (void)context;
    (void)name;
    return false;
}

bool files_is_empty(const char *path)
{
    return each_entry(path, refuse_entry, NULL);
}

bool files_sync_directory(const char *path, char *problem)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    errno = cause;
    return good || fail(problem, path, "sync the directory");
}

bool files_sync_parent(const char *path, char *problem)
{
    char parent[FILES_PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return files_sync_directory(".", problem);
    slash[slash == parent] = '\0';
    return files_sync_directory(parent, problem);
}

bool files_make_directory(const char *path, char *problem)
{
    if (mkdir(path, 0700) == 0)
        return files_sync_parent(path, problem);
    return (errno == EEXIST && files_is_directory(path)) ||
           fail(problem, path, "make the directory");
}

bool files_remove(const char *path, char *problem)
{
    return unlink(path) == 0 || errno == ENOENT || fail(problem, path, "remove");
}

struct removing {
    const char *directory;
    char *problem;
};

static bool remove_entry(void *context, const char *name)
{
    struct removing *r = context;
    char path[FILES_PATH_MAX];
    return files_join(path, r->directory, name, r->problem) && files_remove(path, r->problem);
}

bool files_remove_directory(const char *path, char *problem)
{
    struct removing r = { path, problem };
    problem[0] = '\0';
    if (!files_exists(path))
        return true;
    if (!each_entry(path, remove_entry, &r))
        return problem[0] != '\0' ? false : fail(problem, path, "list");
    return rmdir(path) == 0 || fail(problem, path, "remove the directory");
}

bool files_rename(const char *from, const char *to, char *problem)
{
    return rename(from, to) == 0 || fail(problem, from, "rename");
}

/* --- contents --- */

static bool write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        len -= (size_t)done;
    }
    return true;
}

/* From where `from` stands to its end; `to` -1: nowhere. */
static bool pour(int from, int to, uint64_t *bytes, uint32_t *crc, bool *reading)
{
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    bool good = true;
    *bytes = 0;
    *crc = 0;
    for (;;) {
        ssize_t got = read(from, piece, PIECE_BYTES);
        *reading = got < 0;
        if (got < 0 && errno == EINTR)
            continue;
        good = got >= 0 && (to < 0 || write_all(to, piece, (size_t)got));
        if (!good || got == 0)
            break;
        *crc = crc32c(*crc, span_of(piece, (size_t)got));
        *bytes += (uint64_t)got;
    }
    int cause = errno;
    mem_free(piece);
    errno = cause;
    return good;
}

bool files_sum(const char *path, uint64_t *bytes, uint32_t *crc, char *problem)
{
    bool reading;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(problem, path, "open");
    bool good = pour(fd, -1, bytes, crc, &reading) || fail(problem, path, "read");
    close(fd);
    return good;
}

bool files_copy(const char *from, const char *to, uint64_t *bytes, uint32_t *crc, char *problem)
{
    bool reading = true;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return fail(problem, from, "open");
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = out >= 0 ? pour(in, out, bytes, crc, &reading) ||
                               fail(problem, reading ? from : to, reading ? "read" : "write")
                         : fail(problem, to, "create");
    if (good && fsync(out) < 0)
        good = fail(problem, to, "sync");
    if (out >= 0)
        close(out);
    close(in);
    return good;
}
