/*
 * kv_lmdb_rewrite -- all that is committed written into a new file, which takes the old one's place.
 *
 * LMDB leaves what was removed where it was: in pages that are free, and in gaps of pages that are not; its
 * own copies copy pages. Here rows are copied, and LMDB zeroes what it does not fill of a new page.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/check.h"
#include "base/error.h"
#include "host/kv_lmdb_txn.h"

enum {
    BATCH_BYTES = 4 << 20, /* of a transaction */
    LOOK_MS = 20,
    LOOKS_PATIENT = 10,
};

static const char subdirectory[] = "next";

struct rewriting {
    struct kv_lmdb *from, to;
    struct kv_txn *reader, *writer; /* of each; NULL: none now */
    uint64_t batch_bytes;
    bool (*go_on)(void *context);
    void *context;
    char *detail;
    struct kv_rewritten *done;
};

static bool join(char path[PATH_MAX], const char *above, const char *name)
{
    return snprintf(path, PATH_MAX, "%s/%s", above, name) < PATH_MAX;
}

static void remove_file(const char *directory, const char *name)
{
    char path[PATH_MAX];

    if (join(path, directory, name))
        unlink(path);
}

void kv_lmdb_remove_rewrite(const char *directory)
{
    char path[PATH_MAX];

    if (!join(path, directory, subdirectory))
        return;
    remove_file(path, "data.mdb");
    remove_file(path, "lock.mdb");
    rmdir(path);
}

/* --- the rows --- */

static int give_up(struct rewriting *w)
{
    snprintf(w->detail, KV_DETAIL_MAX, "%s: the rewrite was given up", w->from->name);
    return E_BUSY;
}

static int damaged(struct rewriting *w, const char *what)
{
    snprintf(w->detail, KV_DETAIL_MAX, "%s: rewrite: %s: damaged", w->from->name, what);
    return E_CORRUPT;
}

static int commit(struct rewriting *w)
{
    struct kv_txn *writer = w->writer;

    w->writer = NULL;
    w->batch_bytes = 0;
    return writer == NULL ? E_OK : kv_lmdb_ops.commit(writer);
}

static int append(struct rewriting *w, enum kv_table table, struct span key, struct span value)
{
    int error = E_OK;

    if (w->writer == NULL)
        error = kv_lmdb_ops.begin(&w->to.kv, true, w->detail, &w->writer);
    if (error == E_OK)
        error = kv_lmdb_append(w->writer, table, key, value);
    if (error != E_OK)
        return error;
    w->done->rows++;
    w->done->bytes += key.len + value.len;
    w->batch_bytes += key.len + value.len;
    if (w->batch_bytes < BATCH_BYTES)
        return E_OK;
    return w->go_on(w->context) ? commit(w) : give_up(w);
}

/* A page that is damaged may lead past others: what the walk came by must ascend, and be as many as the
 * table says. */
static int copy_table(struct rewriting *w, enum kv_table table)
{
    struct span key, value, before = { 0 };
    uint64_t rows = 0, expected;
    int error = kv_lmdb_rows(w->reader, table, &expected);

    if (error != E_OK)
        return error;
    error = kv_lmdb_ops.seek(w->reader, table, before, &key, &value);
    while (error == E_OK) {
        if (rows > 0 && span_compare(key, before) <= 0)
            return damaged(w, "rows out of order");
        error = append(w, table, key, value);
        if (error != E_OK)
            return error;
        rows++;
        before = key;
        error = kv_lmdb_ops.next(w->reader, table, &key, &value);
    }
    if (error != E_MISSING)
        return error;
    return rows == expected ? E_OK : damaged(w, "rows are missing");
}

static int copy_tables(struct rewriting *w)
{
    int error = kv_lmdb_ops.begin(&w->from->kv, false, w->detail, &w->reader);

    for (int table = 0; table < KV_TABLES && error == E_OK; table++)
        error = copy_table(w, (enum kv_table)table);
    if (error == E_OK)
        error = commit(w);
    if (w->writer != NULL)
        kv_lmdb_ops.abort(w->writer);
    if (w->reader != NULL)
        kv_lmdb_ops.abort(w->reader);
    w->writer = w->reader = NULL;
    return error;
}

/* --- the exchange --- */

/* With the lock, which is free in between. After a while those who come are held up a little, so that a
 * moment without any does come. */
static int wait_for_readers(struct rewriting *w)
{
    struct kv_lmdb *k = w->from;
    bool goes_on = true;

    for (int looks = 0; goes_on && !kv_lmdb_end_readers(k); looks++) {
        k->exchanging = looks >= LOOKS_PATIENT;
        kv_lmdb_wait(k, LOOK_MS);
        pthread_mutex_unlock(&k->lock);
        goes_on = w->go_on(w->context);
        pthread_mutex_lock(&k->lock);
    }
    return goes_on ? E_OK : give_up(w);
}

static int rename_file(struct rewriting *w, const char *name)
{
    char old[PATH_MAX], new[PATH_MAX];

    if (!join(old, w->from->directory, name) || !join(new, w->to.directory, name))
        return kv_lmdb_fail(w->from, w->detail, "rename", ENAMETOOLONG);
    return rename(new, old) == 0 ? E_OK : kv_lmdb_fail(w->from, w->detail, "rename", errno);
}

/* When the second one fails nobody is to write the old data, whose lock file is gone: another process
 * would not be seen to read them. */
static int rename_files(struct rewriting *w)
{
    int error = rename_file(w, "lock.mdb");

    if (error != E_OK)
        return error;
    error = rename_file(w, "data.mdb");
    w->from->broken = error != E_OK;
    return error;
}

/* What was opened, but for its name and place. */
static void exchange(struct kv_lmdb *a, struct kv_lmdb *b)
{
    struct kv_lmdb before = *a;

    a->env = b->env;
    a->map = b->map;
    a->map_bytes = b->map_bytes;
    memcpy(a->tables, b->tables, sizeof(a->tables));
    b->env = before.env;
}

static int take_place(struct rewriting *w)
{
    struct kv_lmdb *k = w->from;
    int error;

    pthread_mutex_lock(&k->lock);
    error = wait_for_readers(w);
    if (error == E_OK)
        error = rename_files(w);
    if (error == E_OK)
        exchange(k, &w->to);
    k->exchanging = false;
    pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
    if (error != E_OK)
        return error;
    /* A crash may still bring back the old file: nothing may be committed that it would not have. */
    error = kv_lmdb_sync_directory(k, k->directory, w->detail);
    k->broken = error != E_OK;
    return error;
}

static int open_next(struct rewriting *w)
{
    char path[PATH_MAX];

    kv_lmdb_remove_rewrite(w->from->directory);
    if (!join(path, w->from->directory, subdirectory))
        return kv_lmdb_fail(w->from, w->detail, "rewrite", ENAMETOOLONG);
    return kv_lmdb_open(&w->to, path, false, w->detail);
}

int kv_lmdb_rewrite(struct kv *kv, bool (*go_on)(void *context), void *context, char *detail,
                    struct kv_rewritten *done)
{
    char unread[KV_LMDB_PROBLEM_MAX];
    struct rewriting w = {
        .from = container_of(kv, struct kv_lmdb, kv),
        .go_on = go_on,
        .context = context,
        .detail = detail != NULL ? detail : unread,
        .done = done,
    };
    int error;

    CHECK(!w.from->read_only);
    *done = (struct kv_rewritten){ 0 };
    if (w.from->broken) {
        snprintf(w.detail, KV_DETAIL_MAX, "%s: nothing is written any more since a commit failed",
                 w.from->name);
        return E_IO;
    }
    error = open_next(&w);
    if (error == E_OK) {
        error = copy_tables(&w);
        if (error == E_OK && !go_on(context))
            error = give_up(&w);
        if (error == E_OK)
            error = take_place(&w);
        kv_lmdb_close(&w.to); /* the old one, if it was replaced */
    }
    kv_lmdb_remove_rewrite(w.from->directory);
    return error;
}
