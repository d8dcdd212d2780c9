#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/kv_lmdb_txn.h"

/* The kernel maps what it has of the 64 KB around a page that is asked for, whatever madvise was
 * told, and a call on a store of a million keys asks for two new ones. To map that much takes 4 us,
 * to let go of it 3 us: with these sizes a call does not stop for more than a millisecond or so. */
enum {
    CALL_BYTES = 2 * 64 << 10,
    CHECK_BYTES = 8 << 20,
    SLACK_BYTES = 16 << 20,
    SLICE_BYTES = 8 << 20,
    SLICES = 256, /* of a large store, of which little is mapped: each is then this part of it */
};

/* LMDB does not tell: it is the map of its file. */
uint8_t *kv_lmdb_find_map(struct MDB_env *env)
{
    char link[32], path[PATH_MAX], line[PATH_MAX + 128];
    unsigned long long start = 0, found = 0;
    int fd, offset;

    if (mdb_env_get_fd(env, &fd) != 0)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    FILE *maps = fopen("/proc/self/maps", "re");
    if (len > 0 && maps != NULL) {
        path[len] = '\0';
        while (found == 0 && fgets(line, sizeof line, maps) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            if (sscanf(line, "%llx-%*x %*s %*s %*s %*s %n", &start, &offset) == 1 &&
                strcmp(line + offset, path) == 0)
                found = start;
        }
    }
    if (maps != NULL)
        fclose(maps);
    return (uint8_t *)(uintptr_t)found;
}

/* Bytes of mapped files that are in this process's memory; 0 when that is not known. */
static uint64_t resident_bytes(void)
{
    char text[128];
    unsigned long long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "%*u %*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Lets go of one slice; how much of the file it was. */
static uint64_t drop_slice(struct kv_lmdb *k, uint64_t used)
{
    uint64_t slice = used / SLICES / SLICE_BYTES * SLICE_BYTES + SLICE_BYTES;
    uint64_t at = atomic_fetch_add(&k->trim_at, slice);

    if (at >= used) {
        atomic_store(&k->trim_at, slice);
        at = 0;
    }
    if (slice > used - at)
        slice = used - at;
    madvise(k->map + at, slice, MADV_DONTNEED);
    return slice;
}

void kv_lmdb_trim(struct kv_lmdb *k, uint64_t max_bytes)
{
    uint64_t slack = max_bytes / 4 < SLACK_BYTES ? max_bytes / 4 : SLACK_BYTES;
    uint64_t used = k->kv.ops->bytes(&k->kv), done = 0;

    if (k->map == NULL || resident_bytes() <= max_bytes)
        return;
    while (done < used && resident_bytes() > max_bytes - slack)
        done += drop_slice(k, used);
}

void kv_lmdb_limit(struct kv_lmdb *k, uint64_t max_bytes)
{
    atomic_store(&k->resident_max_bytes, max_bytes);
}

void kv_lmdb_count(struct kv_lmdb *k, size_t bytes)
{
    uint64_t max_bytes = atomic_load_explicit(&k->resident_max_bytes, memory_order_relaxed);

    if (max_bytes == 0)
        return;
    bytes += CALL_BYTES;
    if (atomic_fetch_add(&k->unchecked_bytes, bytes) + bytes < CHECK_BYTES)
        return;
    atomic_store(&k->unchecked_bytes, 0);
    kv_lmdb_trim(k, max_bytes);
}
