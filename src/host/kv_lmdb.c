#include "host/kv_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "host/kv_guard.h"
#include "host/kv_lmdb_txn.h"

/* Reading ahead is for those who read all of it. */
enum { OPEN_FLAGS = MDB_NOTLS | MDB_NORDAHEAD };

static const size_t map_bytes_most = (size_t)1 << 40, map_bytes_least = (size_t)1 << 30;

static const char *const table_names[KV_TABLES] = {
    [KV_META] = "meta", [KV_OBJECTS] = "objects",     [KV_PIECES] = "pieces",
    [KV_DUE] = "due",   [KV_CONTESTED] = "contested",
};

int kv_lmdb_sync_directory(const struct kv_lmdb *k, const char *path, char *problem)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int cause = fd < 0 || fsync(fd) < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    /* One that may not be read is for its owner to sync. */
    if (cause == 0 || cause == EACCES)
        return E_OK;
    return kv_lmdb_fail(k, problem, "sync the directory", cause);
}

/* LMDB syncs its files but not their names: a crash could take them with all that is in them. */
static int sync_names(struct kv_lmdb *k, char *problem)
{
    char parent[PATH_MAX];
    int error = kv_lmdb_sync_directory(k, k->directory, problem);

    if (error != E_OK ||
        snprintf(parent, sizeof parent, "%s/..", k->directory) >= (int)sizeof parent)
        return error;
    return kv_lmdb_sync_directory(k, parent, problem);
}

/* A false assertion of LMDB is a damaged page. */
static void on_assertion(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    kv_guard_leave(MDB_CORRUPTED);
}

/* 0: it is not there. */
static uint64_t inode_of(const struct kv_lmdb *k, const char *name)
{
    char file[PATH_MAX];
    struct stat status;
    bool fits = snprintf(file, sizeof file, "%s/%s", k->directory, name) < (int)sizeof file;

    return fits && stat(file, &status) == 0 ? status.st_ino : 0;
}

static int try_open(struct kv_lmdb *k, unsigned flags, size_t map_bytes)
{
    int cause = mdb_env_create(&k->env), fd;

    if (cause != 0)
        return cause;
    mdb_env_set_maxdbs(k->env, KV_TABLES);
    mdb_env_set_mapsize(k->env, map_bytes);
    mdb_env_set_assert(k->env, on_assertion);
    cause = mdb_env_open(k->env, k->directory, flags, 0600);
    if (cause == 0 && mdb_env_get_fd(k->env, &fd) == 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* the one that LMDB forgets */
    if (cause == 0)
        return 0;
    mdb_env_close(k->env);
    k->env = NULL;
    return cause;
}

static int open_with_any_map(struct kv_lmdb *k, unsigned flags)
{
    size_t map_bytes = map_bytes_most;
    int cause;

    while ((cause = try_open(k, flags, map_bytes)) == ENOMEM && map_bytes > map_bytes_least)
        map_bytes /= 2;
    return cause;
}

/* Whether nothing was ever committed: there are at most the two meta pages that a file begins with. */
static bool is_new(const char *file)
{
    struct stat status;

    return stat(file, &status) == 0 && status.st_size <= 2 * sysconf(_SC_PAGESIZE);
}

/* LMDB writes the meta pages of a new file without a sync. When the power fails, one may be there
 * and the other torn: it then refuses the file for ever. So such a file is begun anew, and the pages
 * are made durable before anything follows them. */
static int open_to_write(struct kv_lmdb *k, char *problem)
{
    char file[PATH_MAX];
    int cause;

    if (mkdir(k->directory, 0700) < 0 && errno != EEXIST)
        return kv_lmdb_fail(k, problem, "create the directory", errno);
    if (snprintf(file, sizeof file, "%s/data.mdb", k->directory) >= (int)sizeof file)
        return kv_lmdb_fail(k, problem, "open", ENAMETOOLONG);
    cause = open_with_any_map(k, OPEN_FLAGS);
    if (cause == MDB_INVALID && is_new(file) && unlink(file) == 0)
        cause = open_with_any_map(k, OPEN_FLAGS);
    if (cause == 0 && is_new(file))
        cause = mdb_env_sync(k->env, 1);
    return cause == 0 ? E_OK : kv_lmdb_fail(k, problem, "open", cause);
}

static int open_to_read(struct kv_lmdb *k, unsigned flags, char *detail)
{
    int cause = open_with_any_map(k, flags | MDB_RDONLY);

    return cause == 0 ? E_OK : kv_lmdb_fail(k, detail, "open", cause);
}

struct opening {
    struct kv_lmdb *k;
    bool read_only;
};

static int open_tables_now(void *context)
{
    const struct opening *o = context;
    struct kv_lmdb *k = o->k;
    MDB_txn *txn;
    int cause = mdb_txn_begin(k->env, NULL, o->read_only ? MDB_RDONLY : 0, &txn);

    if (cause != 0)
        return cause;
    for (int i = 0; i < KV_TABLES && cause == 0; i++)
        cause = mdb_dbi_open(txn, table_names[i], o->read_only ? 0 : MDB_CREATE, &k->tables[i]);
    if (cause == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return cause;
}

static int open_tables(struct kv_lmdb *k, bool read_only, char *detail)
{
    int cause = kv_guard_call(open_tables_now, &(struct opening){ k, read_only });
    MDB_envinfo info;

    if (cause != 0)
        return kv_lmdb_fail(k, detail, "open its tables", cause);
    k->map = kv_lmdb_find_map(k->env);
    k->map_bytes = mdb_env_info(k->env, &info) == 0 ? info.me_mapsize : 0;
    return E_OK;
}

static void name_file(struct kv_lmdb *k, const char *directory)
{
    const char *slash = strrchr(directory, '/');

    snprintf(k->name, sizeof k->name, "%.60s/data.mdb", slash == NULL ? directory : slash + 1);
}

static void init_locks(struct kv_lmdb *k)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&k->committing, NULL);
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&k->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

int kv_lmdb_open(struct kv_lmdb *k, const char *directory, bool read_only, char *problem)
{
    int error;

    *k = (struct kv_lmdb){ .kv.ops = &kv_lmdb_ops, .read_only = read_only };
    k->kv.name = k->name;
    k->directory = mem_alloc(strlen(directory) + 1);
    strcpy(k->directory, directory);
    init_locks(k);
    list_init(&k->readers);
    name_file(k, directory);
    kv_guard_install();
    if (!read_only)
        kv_lmdb_remove_rewrite(directory);
    k->lock_inode = inode_of(k, "lock.mdb");
    error = read_only ? open_to_read(k, MDB_NOTLS, problem) : open_to_write(k, problem);
    if (error == E_OK)
        mdb_reader_check(k->env, NULL);
    if (error == E_OK)
        error = open_tables(k, read_only, problem);
    if (error == E_OK && !read_only)
        error = sync_names(k, problem);
    if (error != E_OK)
        kv_lmdb_close(k);
    return error;
}

static void close_environment(struct kv_lmdb *k)
{
    if (k->env != NULL)
        mdb_env_close(k->env);
    k->env = NULL;
    k->map = NULL;
}

void kv_lmdb_close(struct kv_lmdb *k)
{
    if (k->directory == NULL)
        return;
    close_environment(k);
    pthread_mutex_destroy(&k->committing);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->changed);
    mem_free(k->directory);
    k->directory = NULL;
}

/* The writer's thread does not come back, once its commit has failed this way. */
static int reopen(struct kv_lmdb *k, char *detail)
{
    int error;

    if (!kv_lmdb_end_readers(k))
        return kv_lmdb_fail(k, detail, "begin", MDB_PANIC);
    close_environment(k);
    error = open_to_read(k, OPEN_FLAGS, detail);
    if (error == E_OK)
        error = open_tables(k, true, detail);
    k->panicked = error != E_OK;
    if (k->panicked)
        close_environment(k);
    return error;
}

int kv_lmdb_reopen(struct kv_lmdb *k, char *detail)
{
    int error = E_OK;

    pthread_mutex_lock(&k->committing); /* it may be on its way out */
    pthread_mutex_lock(&k->lock);
    if (k->panicked)
        error = reopen(k, detail);
    pthread_mutex_unlock(&k->lock);
    pthread_mutex_unlock(&k->committing);
    return error;
}

/* The lock is another one, and the data are not: see Rewrite. */
static bool is_unseen(const struct kv_lmdb *k)
{
    struct stat opened;
    int fd;

    return k->read_only && k->lock_inode != 0 && inode_of(k, "lock.mdb") != k->lock_inode &&
           mdb_env_get_fd(k->env, &fd) == 0 && fstat(fd, &opened) == 0 &&
           inode_of(k, "data.mdb") == opened.st_ino;
}

static int copy_to(struct kv_lmdb *k, int fd, char *problem)
{
    int cause = mdb_env_copyfd2(k->env, fd, MDB_CP_COMPACT);

    if (cause != 0)
        return kv_lmdb_fail(k, problem, "copy", cause);
    return fsync(fd) < 0 ? kv_lmdb_fail(k, problem, "sync the copy", errno) : E_OK;
}

int kv_lmdb_copy(struct kv_lmdb *k, const char *path, char *problem)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error;

    if (fd < 0)
        return kv_lmdb_fail(k, problem, "create the copy", errno);
    error = copy_to(k, fd, problem);
    close(fd); /* its errors were those of the sync */
    if (error == E_OK && is_unseen(k)) {
        snprintf(problem, KV_LMDB_PROBLEM_MAX,
                 "%s: copy: the region crashed just when it put a new file in its place, and may "
                 "have written what was being copied: begin again",
                 k->name);
        error = E_BUSY;
    }
    if (error != E_OK)
        unlink(path);
    return error;
}
