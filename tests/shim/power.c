/*
 * power -- a library to preload (LD_PRELOAD) that remembers what a failure of the power could undo.
 *
 * It stands between a program and the kernel for the files below one directory. Everything is done
 * as asked, but syncs only pretend: nothing here depends on the real disk. What is not synced can be
 * undone by means of the journal (journal.h); power.py does it, after the program was killed: each
 * unsynced write, size and name is then lost, kept or torn, as POSIX allows.
 *
 *     POWER_DIR      the directory; it exists
 *     POWER_JOURNAL  a directory for the journal, on the same file system and not below the other
 *     POWER_FAULTS   a file that asks for disk faults (faults.h); optional
 *     POWER_SYNC_US  how long a sync takes at most, at random; by default 1000
 *
 * A sync that failed leaves its file's data as clean as Linux does: in sight, and never written by a
 * later sync unless it is written again.
 * What is not understood ends the program with a message: a shared map to write through, a truncation
 * by path, a rename across the border would go past the journal. Not seen at all are files written by
 * streams of stdio, whose calls stay within the C library.
 * Threads: every operation on a file that is ours is under one lock, but for the time of a sync.
 */
#undef _FILE_OFFSET_BITS /* both the plain names and those with 64 are defined here */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "files.h"
#include "journal.h"

static bool active; /* in this process; set before main */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned sync_us = 1000;
static unsigned random_state; /* under the lock */

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("POWER_SYNC_US");
    if (text != NULL)
        sync_us = (unsigned)strtoul(text, NULL, 10);
    random_state = (unsigned)getpid();
    faults_open(getenv("POWER_FAULTS"));
    active = files_open(getenv("POWER_DIR"), getenv("POWER_JOURNAL"));
}

static void pause_us(uint64_t us)
{
    struct timespec time = { (time_t)(us / 1000000), (long)(us % 1000000 * 1000) };
    if (us > 0)
        nanosleep(&time, NULL);
}

static int failed(int error)
{
    errno = error;
    return -1;
}

/* Asks for a fault of an operation on no bytes; with the lock, which is let go for a delay. */
static int judge(enum faults_operation operation, const char *path)
{
    size_t bytes = 0;
    unsigned delay_ms;
    int error = faults_judge(operation, path, &bytes, 0, &delay_ms);
    if (delay_ms > 0) {
        pthread_mutex_unlock(&lock);
        pause_us(delay_ms * 1000ULL);
        pthread_mutex_lock(&lock);
    }
    return error;
}

/* --- sizes and contents --- */

static uint64_t size_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        shim_die("a file has no size");
    return (uint64_t)status.st_size;
}

/* Writes down that the file is about to have another size, with what it loses. */
static void note_size(const struct file *file, uint64_t old_size, uint64_t new_size)
{
    const struct journal_change change = {
        .file = file->inode,
        .offset = new_size,
        .length = new_size < old_size ? old_size - new_size : 0,
        .old_size = old_size,
        .new_size = new_size,
        .reader = file->reader,
    };
    journal_change(JOURNAL_RESIZE, &change);
}

static int resize(struct descriptor *d, int fd, uint64_t new_size)
{
    note_size(d->file, size_of(fd), new_size);
    return (int)syscall(SYS_ftruncate, fd, new_size);
}

static int allocate(struct descriptor *d, int fd, int mode, uint64_t offset, uint64_t length)
{
    uint64_t old_size = size_of(fd), new_size = offset + length;
    uint64_t growth = new_size > old_size ? new_size - old_size : 0;
    size_t bytes = growth;
    unsigned delay_ms;
    if (mode != 0)
        shim_die("fallocate with a mode");
    int error = faults_judge(FAULTS_WRITE, d->file->path, &bytes, growth, &delay_ms);
    if (error != 0 || bytes < growth)
        return failed(error != 0 ? error : ENOSPC);
    if (growth > 0)
        note_size(d->file, old_size, new_size);
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

static size_t total_of(const struct iovec *parts, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return total;
}

/* Writes the first `bytes`, which are all, or end within the parts because the disk is full. */
static ssize_t put(int fd, const struct iovec *parts, int count, size_t bytes, uint64_t offset)
{
    ssize_t sum = 0;
    for (int i = 0; i < count && bytes > 0; i++) {
        size_t want = parts[i].iov_len < bytes ? parts[i].iov_len : bytes;
        ssize_t done = syscall(SYS_pwrite64, fd, parts[i].iov_base, want, offset + (uint64_t)sum);
        if (done < 0)
            return sum > 0 ? sum : done;
        sum += done;
        bytes -= want;
        if ((size_t)done < want)
            break;
    }
    return sum;
}

static ssize_t write_at(struct descriptor *d, int fd, const struct iovec *parts, int count,
                        uint64_t offset)
{
    size_t bytes = total_of(parts, count);
    uint64_t old_size = size_of(fd), stop = offset + bytes;
    unsigned delay_ms;
    int error = faults_judge(FAULTS_WRITE, d->file->path, &bytes,
                             stop > old_size ? stop - old_size : 0, &delay_ms);
    if (error != 0)
        return failed(error);
    const struct journal_change change = {
        .file = d->file->inode,
        .offset = offset,
        .length = bytes,
        .old_size = old_size,
        .reader = d->file->reader,
    };
    uint64_t place = journal_change(JOURNAL_WRITE, &change);
    ssize_t done = put(fd, parts, count, bytes, offset);
    if (d->through && done > 0)
        journal_mark(JOURNAL_WRITTEN_THROUGH, d->file->inode, place);
    return done;
}

/* At the descriptor's own place, which moves on. */
static ssize_t write_on(struct descriptor *d, int fd, const struct iovec *parts, int count)
{
    off_t offset = d->appends ? (off_t)size_of(fd) : lseek(fd, 0, SEEK_CUR);
    ssize_t done = write_at(d, fd, parts, count, (uint64_t)offset);
    if (done > 0)
        lseek(fd, offset + done, SEEK_SET);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    struct descriptor *d = NULL;
    ssize_t done;
    if (!active || !files_might_be(fd))
        return syscall(SYS_write, fd, bytes, count);
    pthread_mutex_lock(&lock);
    d = files_of(fd);
    const struct iovec part = { (void *)bytes, count };
    done = d != NULL ? write_on(d, fd, &part, 1) : syscall(SYS_write, fd, bytes, count);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct descriptor *d;
    ssize_t done;
    if (!active || !files_might_be(fd))
        return syscall(SYS_writev, fd, parts, count);
    pthread_mutex_lock(&lock);
    d = files_of(fd);
    done = d != NULL ? write_on(d, fd, parts, count) : syscall(SYS_writev, fd, parts, count);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    struct descriptor *d;
    ssize_t done;
    if (!active || !files_might_be(fd))
        return syscall(SYS_pwritev, fd, parts, count, offset, 0);
    pthread_mutex_lock(&lock);
    d = files_of(fd);
    done = d != NULL ? write_at(d, fd, parts, count, (uint64_t)offset)
                     : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    const struct iovec part = { (void *)bytes, count };
    if (!active || !files_might_be(fd))
        return syscall(SYS_pwrite64, fd, bytes, count, offset);
    return pwritev(fd, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    return pwrite(fd, bytes, count, offset);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
    if (active && files_might_be(fd)) {
        pthread_mutex_lock(&lock);
        struct descriptor *d = files_of(fd);
        int error = d != NULL ? judge(FAULTS_READ, d->file->path) : 0;
        pthread_mutex_unlock(&lock);
        if (error != 0)
            return failed(error);
    }
    return syscall(SYS_pread64, fd, bytes, count, offset);
}

ssize_t pread64(int fd, void *bytes, size_t count, off64_t offset)
{
    return pread(fd, bytes, count, offset);
}

int ftruncate(int fd, off_t bytes)
{
    if (!active || !files_might_be(fd))
        return (int)syscall(SYS_ftruncate, fd, bytes);
    pthread_mutex_lock(&lock);
    struct descriptor *d = files_of(fd);
    int done = d != NULL ? resize(d, fd, (uint64_t)bytes) : (int)syscall(SYS_ftruncate, fd, bytes);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off64_t bytes)
{
    return ftruncate(fd, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (!active || !files_might_be(fd))
        return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
    pthread_mutex_lock(&lock);
    struct descriptor *d = files_of(fd);
    int done = d != NULL ? allocate(d, fd, mode, (uint64_t)offset, (uint64_t)bytes)
                         : (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
    pthread_mutex_unlock(&lock);
    return done;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    return fallocate(fd, mode, offset, bytes);
}

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
    return fallocate(fd, 0, offset, bytes) < 0 ? errno : 0;
}

int posix_fallocate64(int fd, off64_t offset, off64_t bytes)
{
    return posix_fallocate(fd, offset, bytes);
}

/* --- syncs --- */

/* What was written before the call is covered, what others write meanwhile is not. */
static int sync_descriptor(int fd)
{
    pthread_mutex_lock(&lock);
    struct descriptor *d = files_of(fd);
    if (d == NULL) {
        pthread_mutex_unlock(&lock);
        return 0;
    }
    uint64_t covers = journal_place(), inode = d->file->inode;
    uint64_t took_us = sync_us > 0 ? (unsigned)rand_r(&random_state) % sync_us : 0;
    int error = judge(FAULTS_SYNC, d->file->path);
    pthread_mutex_unlock(&lock);
    pause_us(took_us);
    pthread_mutex_lock(&lock);
    journal_mark(error != 0 ? JOURNAL_SYNC_FAILED : JOURNAL_SYNCED, inode, covers);
    pthread_mutex_unlock(&lock);
    return error != 0 ? failed(error) : 0;
}

int fsync(int fd)
{
    if (!active || !files_might_be(fd))
        return (int)syscall(SYS_fsync, fd);
    return sync_descriptor(fd);
}

int fdatasync(int fd)
{
    if (!active || !files_might_be(fd))
        return (int)syscall(SYS_fdatasync, fd);
    return sync_descriptor(fd);
}

/* --- names --- */

static int create(struct place *place, int directory, const char *path, int flags, mode_t mode)
{
    bool is_new = files_keep(place) == 0;
    int error = is_new && (flags & O_CREAT) != 0 ? judge(FAULTS_CREATE, place->path) : 0;
    if (error != 0)
        return failed(error);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        shim_die("a file without a name");
    int fd = (int)syscall(SYS_openat, directory, path, flags & ~O_TRUNC, mode);
    if (fd < 0)
        return fd;
    struct file *file = files_track(fd, place->path, flags);
    if (file == NULL || file->is_directory)
        return fd;
    if (is_new) {
        const struct journal_name name = { place->directory, 0, file->inode, place->name };
        journal_names(&name, 1);
    } else if ((flags & O_TRUNC) != 0) {
        resize(files_of(fd), fd, 0);
    }
    return fd;
}

static int open_path(int directory, const char *path, int flags, mode_t mode)
{
    struct place place;
    struct stat status;
    int fd;
    if (!active || (flags & O_PATH) != 0)
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool is_name = files_place(directory, path, &place) && strcmp(place.name, "") != 0 &&
                   strcmp(place.name, ".") != 0 && strcmp(place.name, "..") != 0;
    if (is_name)
        fd = create(&place, directory, path, flags, mode);
    else
        fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && !is_name) {
        files_forget(fd);
        if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
            files_track_directory(fd);
    }
    files_leave(&place);
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_after(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE
               ? (mode_t)va_arg(arguments, int)
               : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_after(flags, arguments);
    va_end(arguments);
    return open_path(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_after(flags, arguments);
    va_end(arguments);
    return open_path(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_after(flags, arguments);
    va_end(arguments);
    return open_path(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_after(flags, arguments);
    va_end(arguments);
    return open_path(directory, path, flags, mode);
}

/* What fortified programs call instead. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open_path(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_path(AT_FDCWD, path, flags, 0);
}

int __openat_2(int directory, const char *path, int flags)
{
    return open_path(directory, path, flags, 0);
}

int __openat64_2(int directory, const char *path, int flags)
{
    return open_path(directory, path, flags, 0);
}

int creat(const char *path, mode_t mode)
{
    return open_path(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

static int rename_places(struct place *from, struct place *to)
{
    uint64_t moved = files_keep(from);
    const struct journal_name names[] = {
        { from->directory, moved, 0, from->name },
        { to->directory, files_keep(to), moved, to->name },
    };
    int error = judge(FAULTS_RENAME, to->path);
    if (error != 0)
        return failed(error);
    if (moved != 0)
        journal_names(names, 2);
    int done = (int)syscall(SYS_renameat2, from->parent, from->name, to->parent, to->name, 0);
    if (done == 0)
        files_moved(moved, to->path);
    return done;
}

int renameat(int old_directory, const char *old_path, int new_directory, const char *new_path)
{
    struct place from, to;
    int done;
    if (!active)
        return (int)syscall(SYS_renameat2, old_directory, old_path, new_directory, new_path, 0);
    pthread_mutex_lock(&lock);
    bool leaves = files_place(old_directory, old_path, &from);
    bool arrives = files_place(new_directory, new_path, &to);
    if (leaves != arrives)
        shim_die("a rename into or out of POWER_DIR");
    done = leaves
               ? rename_places(&from, &to)
               : (int)syscall(SYS_renameat2, old_directory, old_path, new_directory, new_path, 0);
    files_leave(&from);
    files_leave(&to);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *old_path, const char *new_path)
{
    return renameat(AT_FDCWD, old_path, AT_FDCWD, new_path);
}

int unlinkat(int directory, const char *path, int flags)
{
    struct place place;
    if (!active)
        return (int)syscall(SYS_unlinkat, directory, path, flags);
    pthread_mutex_lock(&lock);
    if (files_place(directory, path, &place)) {
        const struct journal_name name = { place.directory, files_keep(&place), 0, place.name };
        if (name.before != 0)
            journal_names(&name, 1);
    }
    int done = (int)syscall(SYS_unlinkat, directory, path, flags);
    files_leave(&place);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    struct place place;
    if (!active)
        return (int)syscall(SYS_mkdirat, directory, path, mode);
    pthread_mutex_lock(&lock);
    bool ours = files_place(directory, path, &place);
    int done = (int)syscall(SYS_mkdirat, directory, path, mode);
    if (done == 0 && ours) {
        const struct journal_name name = { place.directory, 0, files_keep(&place), place.name };
        journal_names(&name, 1);
    }
    files_leave(&place);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* --- descriptors --- */

int close(int fd)
{
    if (active && files_might_be(fd)) {
        pthread_mutex_lock(&lock);
        files_forget(fd);
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, fd);
}

static int copied(int from, int to)
{
    if (active && to >= 0 && (files_might_be(from) || files_might_be(to))) {
        pthread_mutex_lock(&lock);
        files_copy(from, to);
        pthread_mutex_unlock(&lock);
    }
    return to;
}

int dup(int fd)
{
    return copied(fd, (int)syscall(SYS_dup, fd));
}

int dup3(int fd, int to, int flags)
{
    return copied(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

int dup2(int fd, int to)
{
    return fd == to ? to : dup3(fd, to, 0);
}

/* --- what would go past the journal --- */

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (active && fd >= 0 && (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0) {
        pthread_mutex_lock(&lock);
        if (files_of(fd) != NULL)
            shim_die("a file is mapped for writing");
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t bytes, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, bytes, protection, flags, fd, offset);
}

int truncate(const char *path, off_t bytes)
{
    struct place place;
    if (active && files_place(AT_FDCWD, path, &place))
        shim_die("a truncation by path");
    return (int)syscall(SYS_truncate, path, bytes);
}
