#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "host/kv_guard.h"
#include "host/kv_lmdb_txn.h"

enum { PAGE_BYTES = 4096 };

static int code_of(int cause)
{
    switch (cause) {
    case MDB_NOTFOUND:
    case ENOENT:
        return E_MISSING;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return E_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL: /* a tree too deep to be one */
    case MDB_BAD_TXN:     /* it met damage before */
    case MDB_PAGE_FULL:
        return E_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return E_VERSION;
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case ENOMEM: /* of address space: memory itself does not run out this way */
        return E_LIMIT;
    case EACCES:
    case EPERM:
    case EROFS:
        return E_DENIED;
    case EBUSY:
    case EAGAIN:
        return E_BUSY;
    default:
        return E_IO;
    }
}

/* LMDB's own words for what it does not recognise say neither what it may be nor what to do. */
static const char *text_of(int cause)
{
    switch (cause) {
    case MDB_VERSION_MISMATCH:
        return "MDB_VERSION_MISMATCH: written by another version of LMDB, or damaged: start the "
               "meridian that wrote it";
    case MDB_INVALID:
        return "MDB_INVALID: no file of LMDB's, or one of a machine of another architecture, or "
               "damaged";
    default:
        return mdb_strerror(cause);
    }
}

uint64_t kv_lmdb_offset(const struct kv_lmdb *k, const void *at)
{
    uint64_t distance = (uint64_t)(uintptr_t)at - (uint64_t)(uintptr_t)k->map;

    return k->map != NULL && distance < k->map_bytes ? distance : UINT64_MAX;
}

static bool file_ends_before(const struct kv_lmdb *k, uint64_t offset)
{
    struct stat status;
    int fd;

    return mdb_env_get_fd(k->env, &fd) == 0 && fstat(fd, &status) == 0 &&
           offset >= (uint64_t)status.st_size;
}

int kv_lmdb_fail(const struct kv_lmdb *k, char *detail, const char *action, int cause)
{
    const void *fault = kv_guard_take_fault();
    uint64_t offset = fault == NULL ? UINT64_MAX : kv_lmdb_offset(k, fault);
    char place[40] = "";

    if (offset != UINT64_MAX) {
        offset -= offset % PAGE_BYTES;
        snprintf(place, sizeof place, " (at offset %llu)", (unsigned long long)offset);
        cause = file_ends_before(k, offset) ? MDB_PAGE_NOTFOUND : cause;
    }
    if (cause == EFAULT)
        cause = MDB_CORRUPTED;
    if (detail != NULL)
        snprintf(detail, KV_DETAIL_MAX, "%s: %s: %s%s", k->name, action, text_of(cause), place);
    return code_of(cause);
}
