/*
 * kv_lmdb_trial -- for tests: a store in a directory of its own, and commits that fail.
 */
#ifndef HOST_KV_LMDB_TRIAL_H
#define HOST_KV_LMDB_TRIAL_H

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/test.h"
#include "host/kv_lmdb.h"

static char root[64]; /* a new, empty directory */
static char path[96]; /* root/checkpoint, not there yet */
static char problem[KV_LMDB_PROBLEM_MAX], detail[KV_DETAIL_MAX];
static struct kv_lmdb k;

static inline bool begin(void)
{
    snprintf(root, sizeof root, "/tmp/meridian_kv_XXXXXX");
    bool made = mkdtemp(root) != NULL;
    snprintf(path, sizeof path, "%s/checkpoint", root);
    return made && kv_lmdb_open(&k, path, false, problem) == E_OK;
}

/* "DIRECTORY/NAME", until the next call. */
static inline const char *in(const char *directory, const char *name)
{
    static char text[160];
    snprintf(text, sizeof text, "%s/%s", directory, name);
    return text;
}

static inline void end(void)
{
    kv_lmdb_close(&k);
    unlink(in(path, "data.mdb"));
    unlink(in(path, "lock.mdb"));
    rmdir(path);
    rmdir(root);
}

/* In a process of its own; true when `run` is. */
static inline bool apart(bool (*run)(void))
{
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(run() ? 0 : 1);
    return waitpid(child, &status, 0) == child && status == 0;
}

static uint8_t large[1 << 20];

/* Commits a value that makes the file longer. */
static inline int commit_big(void)
{
    struct kv_txn *txn;
    int error = k.kv.ops->begin(&k.kv, true, detail, &txn);
    if (error != E_OK)
        return error;
    error = k.kv.ops->put(txn, KV_PIECES, span_str("big"), span_of(large, sizeof large));
    if (error != E_OK) {
        k.kv.ops->abort(txn);
        return error;
    }
    return k.kv.ops->commit(txn);
}

/* The descriptor that LMDB writes meta pages with: the other one of the file. */
static inline int meta_descriptor(void)
{
    char link[32], target[160];
    int usual, found = -1;
    if (mdb_env_get_fd(k.env, &usual) != 0)
        return -1;
    for (int fd = 3; fd < 64; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, target, sizeof target - 1);
        target[len > 0 ? len : 0] = '\0';
        if (fd != usual && strcmp(target, in(path, "data.mdb")) == 0)
            found = fd;
    }
    return found;
}

/* A commit fails with its last write, of the page that names the new tree. */
static inline int fail_to_commit(void)
{
    int fd = meta_descriptor(), none = open("/dev/null", O_RDONLY), error = E_OK;
    if (fd >= 0 && dup2(none, fd) == fd)
        error = commit_big();
    close(none);
    return error;
}

#endif
