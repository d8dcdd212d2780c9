#define _GNU_SOURCE /* fallocate */

#include "host/disk_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"

struct disk_file {
    int fd;
    char name[DISK_NAME_MAX];
};

static const char lock_name[] = "lock";

static struct disk_posix *self(struct disk *disk)
{
    return container_of(disk, struct disk_posix, disk);
}

static int code_of(int cause)
{
    switch (cause) {
    case ENOENT:
        return E_MISSING;
    case EACCES:
    case EPERM:
    case EROFS:
        return E_DENIED;
    case ENOSPC:
    case EDQUOT:
        return E_FULL;
    default:
        return E_IO;
    }
}

/* "NAME: ACTION: cause"; the code of `cause`, an errno. */
static int fail(struct disk *disk, const char *name, const char *action, int cause)
{
    snprintf(disk->detail, sizeof disk->detail, "%s: %s: %s", name, action, strerror(cause));
    return code_of(cause);
}

static int fail_at(struct disk *disk, const char *name, const char *action, uint64_t offset,
                   int cause)
{
    char text[48];
    snprintf(text, sizeof text, "%s at %llu", action, (unsigned long long)offset);
    return fail(disk, name, text, cause);
}

static int posix_open(struct disk *disk, const char *name, bool create, struct disk_file **out)
{
    size_t name_len = strlen(name);
    CHECK(name_len > 0 && name_len < DISK_NAME_MAX && strchr(name, '/') == NULL);
    int flags = self(disk)->reading ? O_RDONLY : O_RDWR | (create ? O_CREAT : 0);
    int fd = openat(self(disk)->directory, name, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(disk, name, create ? "create" : "open", errno);
    struct disk_file *file = mem_zalloc(sizeof *file);
    file->fd = fd;
    memcpy(file->name, name, name_len);
    *out = file;
    return E_OK;
}

static void posix_close(struct disk *disk, struct disk_file *file)
{
    (void)disk;
    close(file->fd); /* its errors were those of a sync, which the store has asked for */
    mem_free(file);
}

static int posix_size(struct disk *disk, struct disk_file *file, uint64_t *bytes)
{
    struct stat status;
    if (fstat(file->fd, &status) < 0)
        return fail(disk, file->name, "size", errno);
    *bytes = (uint64_t)status.st_size;
    return E_OK;
}

static int posix_truncate(struct disk *disk, struct disk_file *file, uint64_t bytes)
{
    int done;
    do
        done = ftruncate(file->fd, (off_t)bytes);
    while (done < 0 && errno == EINTR);
    return done < 0 ? fail_at(disk, file->name, "truncate", bytes, errno) : E_OK;
}

/* fallocate rather than posix_fallocate: where the file system cannot reserve, the latter would
 * write every block, and a file with a hole does as well. */
static int posix_allocate(struct disk *disk, struct disk_file *file, uint64_t bytes)
{
    int done;
    do
        done = fallocate(file->fd, 0, 0, (off_t)bytes);
    while (done < 0 && errno == EINTR);
    if (done == 0)
        return E_OK;
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_at(disk, file->name, "allocate", bytes, errno);
    uint64_t size;
    int err = posix_size(disk, file, &size);
    return err == E_OK && size < bytes ? posix_truncate(disk, file, bytes) : err;
}

static int posix_write(struct disk *disk, struct disk_file *file, uint64_t offset,
                       struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t done = pwrite(file->fd, bytes.at, bytes.len, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return fail_at(disk, file->name, "write", offset, done < 0 ? errno : EIO);
        offset += (uint64_t)done;
        bytes = span_skip(bytes, (size_t)done);
    }
    return E_OK;
}

static int posix_read(struct disk *disk, struct disk_file *file, uint64_t offset, size_t want,
                      struct buffer *out)
{
    uint8_t *to = buffer_room(out, want);
    size_t have = 0;
    while (have < want) {
        ssize_t done = pread(file->fd, to + have, want - have, (off_t)(offset + have));
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_at(disk, file->name, "read", offset + have, errno);
        if (done == 0)
            break;
        have += (size_t)done;
    }
    out->len += have;
    return E_OK;
}

/* A sync is not tried again, whatever it says: the kernel reports an error once. */
static int posix_sync(struct disk *disk, struct disk_file *file)
{
    return fdatasync(file->fd) < 0 ? fail(disk, file->name, "sync", errno) : E_OK;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    int directory = self(disk)->directory;
    return renameat(directory, from, directory, to) < 0 ? fail(disk, from, "rename", errno) : E_OK;
}

static int posix_remove(struct disk *disk, const char *name)
{
    return unlinkat(self(disk)->directory, name, 0) < 0 ? fail(disk, name, "remove", errno) : E_OK;
}

static int posix_sync_names(struct disk *disk)
{
    return fsync(self(disk)->directory) < 0 ? fail(disk, "data directory", "sync", errno) : E_OK;
}

static bool is_listed(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, lock_name) != 0;
}

static int posix_list(struct disk *disk, void (*each)(void *context, const char *name),
                      void *context)
{
    int fd = openat(self(disk)->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(disk, "data directory", "list", errno);
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        int cause = errno;
        close(fd);
        return fail(disk, "data directory", "list", cause);
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL; errno = 0) {
        if (is_listed(entry->d_name))
            each(context, entry->d_name);
    }
    int cause = errno;
    closedir(entries);
    return cause != 0 ? fail(disk, "data directory", "list", cause) : E_OK;
}

static const struct disk_ops posix_ops = {
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .write = posix_write,
    .read = posix_read,
    .sync = posix_sync,
    .rename = posix_rename,
    .remove = posix_remove,
    .sync_names = posix_sync_names,
    .list = posix_list,
};

/* The directory's own name is made durable too, or a crash could take all that is in it. */
static int open_directory(struct disk_posix *d, const char *path)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return fail(&d->disk, path, "create the data directory", errno);
    d->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->directory < 0 && errno == ENOTDIR) {
        snprintf(d->disk.detail, sizeof d->disk.detail,
                 "%s: not a directory: name another place for the data", path);
        return E_FORMAT;
    }
    if (d->directory < 0)
        return fail(&d->disk, path, "open the data directory", errno);
    if (!made)
        return E_OK;
    int parent = openat(d->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = parent < 0 ? -1 : fsync(parent);
    int cause = errno;
    if (parent >= 0)
        close(parent);
    /* A parent that may not be read cannot be synced by us: whoever owns it sees to it. */
    return synced < 0 && cause != EACCES ? fail(&d->disk, path, "sync the parent directory", cause)
                                         : E_OK;
}

static int refuse_busy(struct disk_posix *d, const char *path)
{
    char owner[24] = "";
    ssize_t len = pread(d->lock, owner, sizeof owner - 1, 0);
    owner[len > 0 ? strspn(owner, "0123456789") : 0] = '\0';
    snprintf(d->disk.detail, sizeof d->disk.detail,
             "%s: in use by process %s: stop that one, or name another data directory", path,
             owner[0] == '\0' ? "(unknown)" : owner);
    return E_BUSY;
}

static int take_lock(struct disk_posix *d, const char *path)
{
    char owner[24];
    d->lock = openat(d->directory, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return fail(&d->disk, path, "create its lock file", errno);
    int done;
    do
        done = flock(d->lock, LOCK_EX | LOCK_NB);
    while (done < 0 && errno == EINTR);
    if (done < 0 && errno == EWOULDBLOCK)
        return refuse_busy(d, path);
    if (done < 0)
        return fail(&d->disk, path, "lock", errno);
    int len = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(d->lock, 0) < 0 || pwrite(d->lock, owner, (size_t)len, 0) < 0)
        return fail(&d->disk, path, "write its lock file", errno);
    return E_OK;
}

int disk_posix_open(struct disk_posix *d, const char *path)
{
    *d = (struct disk_posix){ .disk.ops = &posix_ops, .directory = -1, .lock = -1 };
    int err = open_directory(d, path);
    if (err == E_OK)
        err = take_lock(d, path);
    if (err)
        disk_posix_close(d);
    return err;
}

int disk_posix_beside(struct disk_posix *d, const char *path, bool write)
{
    *d = (struct disk_posix){ .disk.ops = &posix_ops, .lock = -1, .reading = !write };
    d->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return d->directory < 0 ? fail(&d->disk, path, "open the directory", errno) : E_OK;
}

/* A lock that is let go of at once: only who opens the directory in this very moment is refused. */
bool disk_posix_is_taken(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return true;
    int lock = openat(directory, lock_name, O_RDONLY | O_CLOEXEC);
    bool taken = lock < 0 ? errno != ENOENT : flock(lock, LOCK_SH | LOCK_NB) < 0;
    if (lock >= 0)
        close(lock);
    close(directory);
    return taken;
}

void disk_posix_close(struct disk_posix *d)
{
    if (d->lock >= 0)
        close(d->lock);
    if (d->directory >= 0)
        close(d->directory);
    d->lock = d->directory = -1;
}
