/*
 * kv_lmdb -- env/kv.h over LMDB, in a directory of its own with data.mdb and lock.mdb.
 *
 * Copy on write and a synced commit: a crash at any moment leaves the last committed state, and
 * opening repairs nothing. The map is as large as the address space allows (1 TiB, less where that
 * is refused), because it cannot grow under readers; the file is as large as its pages.
 *
 * What LMDB 0.9.24 wants of its users:
 *     small transactions   Every page that one changes (one or two for each random key, and all of
 *                          a large value) is memory until the commit, kept for the next one, and
 *                          sorted in by moving its neighbours. Past 512 MB pages are spilled, which
 *                          leaks (ITS#9155) and races (ITS#9564). So: commit every few megabytes.
 *     short readers        Pages that a reader may see are not used again, and the file never
 *                          shrinks: reset readers when they rest. Those of processes that died are
 *                          cleared when a writer begins.
 *     one opening          A process opens a directory once, and nothing else opens lock.mdb: to
 *                          close any descriptor of it would drop all locks that the process has on
 *                          it, and the next process would take the store for unused.
 *     one thread           A write transaction ends in the thread that began it: it holds a mutex.
 * Cursors are closed when their table is written to, and then found again by key: half of LMDB's
 * change log is about moving them along.
 *
 * Errors:  E_FULL from put or commit: no room; later transactions may succeed, since all that this
 *          one wrote was free space. After any other failed commit the store writes no more. When
 *          it was the meta page that could not be written, LMDB refuses readers too: the first one
 *          that begins after that opens the store anew, read-only (E_IO while another one sees).
 *          A page that the disk cannot give arrives as SIGBUS: the call that meets it says E_IO, or
 *          E_CORRUPT when the file ends before it. After E_CORRUPT a reader may say so of all else,
 *          until it is renewed. Values are touched before they are given out,
 *          so that this holds for them too, but for a page that leaves memory before it is used and
 *          is lost on disk just then.
 * Memory:  pages that were read stay mapped, and count as the process's own. With kv_lmdb_limit,
 *          calls that read let go of others, going round the file. Those stay in the kernel's
 *          cache: reading one again is a minor fault. A random get of 1000000 keys in 0.9 GiB, all
 *          cached, took 1.6 us of processor without a limit, 16 us with one of 64 MB.
 * Rewrite: into the directory "next" in the store's own, with a lock.mdb of its own: a lock file knows the
 *          readers of one data file. Both are renamed over the old ones, the lock first: so whoever opens
 *          the store meanwhile, data first as readers do, has the old data with either lock, or the new
 *          with the new. Another process that still reads the old file (a back-up) is not disturbed, and
 *          keeps its blocks on the disk until it ends: nobody writes it any more. But after a crash between
 *          the two renames the old data go on with the new lock, which does not know who opened them
 *          before, and pages that such a reader sees may be written. Who copies them is told (E_BUSY),
 *          unless one more rewrite was completed meanwhile; who only reads finds rows whose checksums or
 *          order are wrong, or that are newer than others.
 * Threads: as in env/kv.h; open and close alone. What was opened is replaced by a reader, when LMDB
 *          refuses it, and by the writer, when it has written it anew; it stays as it is while any reader
 *          sees, and while the writer may write.
 *          These use it without a lock, all others with `lock`: a reader takes it for a moment when
 *          it renews, resets and trims, and not to read. A commit holds `committing`, and not
 *          `lock`: nobody waits for it but a reader that LMDB refuses. Order: committing, lock.
 */
#ifndef HOST_KV_LMDB_H
#define HOST_KV_LMDB_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "env/kv.h"

enum { KV_LMDB_PROBLEM_MAX = 320 };

struct kv_lmdb {
    struct kv kv;    /* what the store is given */
    char name[80];   /* "checkpoint/data.mdb" */
    char *directory; /* to open it again */
    bool read_only;
    uint64_t lock_inode; /* of lock.mdb when it was about to be opened; 0: there was none */
    bool broken;         /* the writer's: a commit failed, nothing is written any more */

    pthread_mutex_t committing; /* held during a commit */
    bool panicked;              /* with it: a commit failed so that LMDB refuses readers */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* with it: a reader sees no more, or */
    bool exchanging;        /* with it: the writer waits for that; who would see waits a moment */
    struct list readers;    /* with it: those that were begun, and which of them see */
    /* what was opened: see Threads */
    struct MDB_env *env; /* NULL when closed */
    unsigned tables[KV_TABLES];
    uint8_t *map; /* NULL: not found, and then never trimmed */
    uint64_t map_bytes;

    _Atomic uint64_t resident_max_bytes, unchecked_bytes, trim_at;
};

/* Opens the directory, created (0700) when missing; its parent must exist. `read_only` works beside
 * a process that writes, and creates nothing. On an error `problem` (KV_LMDB_PROBLEM_MAX) is a line
 * for people: E_MISSING, E_DENIED, E_FULL, E_IO, E_CORRUPT (not LMDB's), E_VERSION, E_LIMIT (no
 * address space). */
int kv_lmdb_open(struct kv_lmdb *k, const char *directory, bool read_only, char *problem);
void kv_lmdb_close(struct kv_lmdb *k); /* after all transactions */

/* From now on keeps what is resident of mapped files, the program's own (some megabytes) among
 * them, near max_bytes: 8 MiB above at most, but for what one large value, a commit or a copy
 * reads. 0: no limit. Any thread. */
void kv_lmdb_limit(struct kv_lmdb *k, uint64_t max_bytes);

/* The same, once and now: by one that sees or writes, or when nobody does. Readers in other threads
 * are not held up. */
void kv_lmdb_trim(struct kv_lmdb *k, uint64_t max_bytes);

/* Writes a compacted copy of what is committed now to the new file `path` (0600) and syncs it; put
 * into a directory as data.mdb it is a store. It is a reader for as long as it takes, and no other
 * may be refused meanwhile. E_BUSY: the writer may not have known of this reader (Rewrite); another copy,
 * after the store was opened anew, is good. On an error the file is gone again, and `problem` says why. */
int kv_lmdb_copy(struct kv_lmdb *k, const char *path, char *problem);

#endif
