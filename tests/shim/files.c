#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "journal.h"

enum { DESCRIPTORS = 1 << 16 };

static char root[PATH_MAX];
static size_t root_len;
static dev_t device;
static int inodes = -1; /* JOURNAL/inodes */
static struct file *files;
static struct descriptor descriptors[DESCRIPTORS];

void shim_die(const char *why)
{
    char line[256];
    int len = snprintf(line, sizeof line, "power shim: %s (errno %d)\n", why, errno);
    syscall(SYS_write, STDERR_FILENO, line, len);
    abort();
}

static int open_raw(int directory, const char *path, int flags)
{
    return (int)syscall(SYS_openat, directory, path, flags | O_CLOEXEC, 0);
}

bool files_open(const char *directory, const char *journal)
{
    struct stat status;
    if (directory == NULL || journal == NULL)
        return false;
    if (realpath(directory, root) == NULL || stat(root, &status) < 0)
        shim_die("POWER_DIR must exist");
    root_len = strlen(root);
    device = status.st_dev;
    mkdir(journal, 0700);
    int fd = open_raw(AT_FDCWD, journal, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        shim_die("POWER_JOURNAL cannot be opened");
    mkdirat(fd, "inodes", 0700);
    inodes = open_raw(fd, "inodes", O_RDONLY | O_DIRECTORY);
    if (inodes < 0)
        shim_die("POWER_JOURNAL/inodes cannot be opened");
    journal_open(fd);
    syscall(SYS_close, fd);
    return true;
}

/* The path of an open descriptor below $POWER_DIR, or NULL when it is elsewhere. */
static const char *path_of(int fd, char path[PATH_MAX])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    if (len < (ssize_t)root_len)
        return NULL;
    path[len] = '\0';
    if (memcmp(path, root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != '\0'))
        return NULL;
    return path[root_len] == '/' ? path + root_len + 1 : path + root_len;
}

bool files_place(int directory, const char *path, struct place *place)
{
    char parent[PATH_MAX] = ".", below[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    struct stat status;
    place->parent = -1;
    if (strlen(path) >= sizeof parent || strlen(name) > NAME_MAX)
        return false;
    if (slash != NULL)
        snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open_raw(directory, parent, O_PATH | O_DIRECTORY);
    const char *found = fd < 0 ? NULL : path_of(fd, below);
    if (found == NULL || strcmp(name, "lock.mdb") == 0 || fstat(fd, &status) < 0) {
        if (fd >= 0)
            syscall(SYS_close, fd);
        return false;
    }
    place->parent = fd;
    place->directory = status.st_ino;
    strcpy(place->name, name);
    snprintf(place->path, sizeof place->path, "%s%s%s", found, found[0] == '\0' ? "" : "/", name);
    return true;
}

void files_leave(struct place *place)
{
    if (place->parent >= 0)
        syscall(SYS_close, place->parent);
    place->parent = -1;
}

static void keep(int directory, const char *name, int flags, uint64_t inode)
{
    char own[24];
    snprintf(own, sizeof own, "%llu", (unsigned long long)inode);
    if (linkat(directory, name, inodes, own, flags) < 0 && errno != EEXIST)
        shim_die("a file cannot be kept: is POWER_JOURNAL on another file system?");
}

uint64_t files_keep(const struct place *place)
{
    struct stat status;
    if (fstatat(place->parent, place->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISDIR(status.st_mode))
        keep(place->parent, place->name, 0, status.st_ino);
    return status.st_ino;
}

static struct file *find(uint64_t inode)
{
    struct file *file = files;
    while (file != NULL && file->inode != inode)
        file = file->next;
    return file;
}

static struct file *add(const struct stat *status, int fd)
{
    char name[32];
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL)
        shim_die("no memory for a file");
    file->inode = status->st_ino;
    file->is_directory = S_ISDIR(status->st_mode);
    file->reader = -1;
    file->next = files;
    files = file;
    if (file->is_directory)
        return file;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    keep(AT_FDCWD, name, AT_SYMLINK_FOLLOW, file->inode);
    snprintf(name, sizeof name, "%llu", (unsigned long long)file->inode);
    file->reader = open_raw(inodes, name, O_RDONLY);
    if (file->reader < 0)
        shim_die("a file cannot be read");
    return file;
}

struct file *files_track(int fd, const char *path, int flags)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return NULL;
    if (fd >= DESCRIPTORS)
        shim_die("too many descriptors");
    struct file *file = find(status.st_ino);
    if (file == NULL)
        file = add(&status, fd);
    snprintf(file->path, sizeof file->path, "%s", path);
    descriptors[fd] = (struct descriptor){
        .file = file,
        .through = (flags & O_DSYNC) != 0,
        .appends = (flags & O_APPEND) != 0,
    };
    return file;
}

void files_track_directory(int fd)
{
    char path[PATH_MAX];
    const char *below = path_of(fd, path);
    if (below != NULL)
        files_track(fd, below, 0);
}

bool files_might_be(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS &&
           __atomic_load_n(&descriptors[fd].file, __ATOMIC_RELAXED) != NULL;
}

struct descriptor *files_of(int fd)
{
    struct stat status;
    if (!files_might_be(fd))
        return NULL;
    struct descriptor *d = &descriptors[fd];
    if (fstat(fd, &status) == 0 && status.st_ino == d->file->inode && status.st_dev == device)
        return d;
    files_forget(fd);
    return NULL;
}

void files_copy(int from, int to)
{
    struct descriptor *d = files_of(from);
    if (to >= DESCRIPTORS && d != NULL)
        shim_die("too many descriptors");
    if (to >= 0 && to < DESCRIPTORS)
        descriptors[to] = d == NULL ? (struct descriptor){ 0 } : *d;
}

void files_forget(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        descriptors[fd] = (struct descriptor){ 0 };
}

void files_moved(uint64_t inode, const char *path)
{
    struct file *file = find(inode);
    if (file != NULL)
        snprintf(file->path, sizeof file->path, "%s", path);
}
