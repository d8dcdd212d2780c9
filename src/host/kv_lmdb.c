#include "host/kv_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "host/kv_guard.h"
#include "host/kv_lmdb_txn.h"

static const size_t map_bytes_most = (size_t)1 << 40, map_bytes_least = (size_t)1 << 30;

static const char *const table_names[KV_TABLES] = {
    [KV_META] = "meta", [KV_OBJECTS] = "objects",     [KV_PIECES] = "pieces",
    [KV_DUE] = "due",   [KV_CONTESTED] = "contested",
};

static int fail(struct kv_lmdb *k, const char *action, int cause)
{
    return kv_lmdb_fail(k, k->kv.detail, action, cause);
}

static int sync_directory(struct kv_lmdb *k, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int cause = fd < 0 || fsync(fd) < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    /* One that may not be read is for its owner to sync. */
    return cause == 0 || cause == EACCES ? E_OK : fail(k, "sync the directory", cause);
}

/* LMDB syncs its files but not their names: a crash could take them with all that is in them. */
static int sync_names(struct kv_lmdb *k, const char *directory)
{
    char parent[PATH_MAX];
    int error = sync_directory(k, directory);

    if (error != E_OK || snprintf(parent, sizeof parent, "%s/..", directory) >= (int)sizeof parent)
        return error;
    return sync_directory(k, parent);
}

/* A false assertion of LMDB is a damaged page. */
static void on_assertion(MDB_env *env, const char *text)
{
    (void)env;
    (void)text;
    kv_guard_leave(MDB_CORRUPTED);
}

static int try_open(struct kv_lmdb *k, const char *directory, size_t map_bytes)
{
    /* Reading ahead is for those who read all of it. */
    unsigned flags = MDB_NOTLS | (k->read_only ? MDB_RDONLY : MDB_NORDAHEAD);
    int cause = mdb_env_create(&k->env), fd;

    if (cause != 0)
        return cause;
    mdb_env_set_maxdbs(k->env, KV_TABLES);
    mdb_env_set_mapsize(k->env, map_bytes);
    mdb_env_set_assert(k->env, on_assertion);
    cause = mdb_env_open(k->env, directory, flags, 0600);
    if (cause == 0 && mdb_env_get_fd(k->env, &fd) == 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* the one that LMDB forgets */
    if (cause == 0)
        return 0;
    mdb_env_close(k->env);
    k->env = NULL;
    return cause;
}

static int open_environment(struct kv_lmdb *k, const char *directory)
{
    size_t map_bytes = map_bytes_most;
    int cause;

    if (!k->read_only && mkdir(directory, 0700) < 0 && errno != EEXIST)
        return fail(k, "create the directory", errno);
    while ((cause = try_open(k, directory, map_bytes)) == ENOMEM && map_bytes > map_bytes_least)
        map_bytes /= 2;
    return cause == 0 ? E_OK : fail(k, "open", cause);
}

static int open_tables_now(void *context)
{
    struct kv_lmdb *k = context;
    MDB_txn *txn;
    int cause = mdb_txn_begin(k->env, NULL, k->read_only ? MDB_RDONLY : 0, &txn);

    if (cause != 0)
        return cause;
    for (int i = 0; i < KV_TABLES && cause == 0; i++)
        cause = mdb_dbi_open(txn, table_names[i], k->read_only ? 0 : MDB_CREATE, &k->tables[i]);
    if (cause == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return cause;
}

static int open_tables(struct kv_lmdb *k)
{
    int cause = kv_guard_call(open_tables_now, k);

    return cause == 0 ? E_OK : fail(k, "open its tables", cause);
}

static void name_file(struct kv_lmdb *k, const char *directory)
{
    const char *slash = strrchr(directory, '/');

    snprintf(k->name, sizeof k->name, "%.60s/data.mdb", slash == NULL ? directory : slash + 1);
}

int kv_lmdb_open(struct kv_lmdb *k, const char *directory, bool read_only, char *problem)
{
    int error;

    *k = (struct kv_lmdb){ .kv.ops = &kv_lmdb_ops, .read_only = read_only };
    name_file(k, directory);
    kv_guard_install();
    error = open_environment(k, directory);
    if (error == E_OK)
        mdb_reader_check(k->env, NULL);
    if (error == E_OK)
        error = open_tables(k);
    if (error == E_OK && !read_only)
        error = sync_names(k, directory);
    if (error == E_OK) {
        k->map = kv_lmdb_find_map(k->env);
        return E_OK;
    }
    snprintf(problem, KV_LMDB_PROBLEM_MAX, "%s", k->kv.detail);
    kv_lmdb_close(k);
    return error;
}

void kv_lmdb_close(struct kv_lmdb *k)
{
    if (k->env != NULL)
        mdb_env_close(k->env);
    k->env = NULL;
    k->map = NULL;
}

static int copy_to(struct kv_lmdb *k, int fd)
{
    int cause = mdb_env_copyfd2(k->env, fd, MDB_CP_COMPACT);

    if (cause != 0)
        return fail(k, "copy", cause);
    return fsync(fd) < 0 ? fail(k, "sync the copy", errno) : E_OK;
}

int kv_lmdb_copy(struct kv_lmdb *k, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error;

    if (fd < 0)
        return fail(k, "create the copy", errno);
    error = copy_to(k, fd);
    close(fd); /* its errors were those of the sync */
    if (error != E_OK)
        unlink(path);
    return error;
}
