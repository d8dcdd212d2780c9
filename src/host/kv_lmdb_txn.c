#include "host/kv_lmdb_txn.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "host/kv_guard.h"
#include "host/kv_lmdb_page.h"

enum { PAGE_BYTES = 4096, GATE_MS = 5 };

/* Where seek and next are in a table. */
struct place {
    MDB_cursor *cursor; /* NULL: to be found again at the key */
    uint64_t page;      /* the last one that was looked through */
    size_t key_len;     /* 0: nowhere */
    uint8_t key[KV_KEY_MAX];
};

struct kv_txn {
    struct list link; /* of a reader */
    struct kv_lmdb *k;
    MDB_txn *txn; /* NULL: a reader of an environment that was closed */
    char *detail;
    bool write;
    bool sees; /* a reader, and not reset; it changes with the lock */
    int error; /* of a writer: the first one, and its answer to all that follows */
    struct place places[KV_TABLES];
    MDB_cursor *probes[KV_TABLES]; /* for around */
};

static struct kv_lmdb *self(struct kv *kv)
{
    return container_of(kv, struct kv_lmdb, kv);
}

/* A write that the disk had room for only in part is EIO to LMDB. */
static int true_cause(struct kv_lmdb *k, int cause)
{
    struct statvfs room;
    int fd;

    if (cause == EIO && mdb_env_get_fd(k->env, &fd) == 0 && fstatvfs(fd, &room) == 0 &&
        room.f_bavail < 64)
        return ENOSPC;
    return cause;
}

/* A writer is useless from here on; a reader may look elsewhere. */
static int spoil(struct kv_txn *t, const char *action, int cause)
{
    struct kv_lmdb *k = t->k;

    if (!t->write)
        return kv_lmdb_fail(k, t->detail, action, cause);
    t->error = kv_lmdb_fail(k, t->detail, action, true_cause(k, cause));
    return t->error;
}

/* One call of LMDB that looks at pages, with all that any of them takes. */
struct call {
    enum {
        CALL_BEGIN,
        CALL_RENEW,
        CALL_GET,
        CALL_PUT,
        CALL_DEL,
        CALL_CURSOR,
        CALL_AROUND,
        CALL_COMMIT
    } kind;
    MDB_env *env;
    unsigned flags; /* of begin and put; the operation of a cursor */
    MDB_txn *txn;
    MDB_dbi table;
    MDB_cursor *cursor;
    MDB_val key, value;
    const struct kv_lmdb *k; /* of around */
    struct span around, before, after;
};

/* Reads a byte of every page, so that one that the disk has lost shows here. */
static void touch(const MDB_val *value)
{
    const volatile uint8_t *at = value->mv_data;

    for (size_t offset = 0; offset < value->mv_size; offset += PAGE_BYTES)
        (void)at[offset];
    if (value->mv_size > 0)
        (void)at[value->mv_size - 1];
}

static int perform(void *context)
{
    struct call *c = context;
    int cause = EINVAL;

    switch (c->kind) {
    case CALL_BEGIN:
        return mdb_txn_begin(c->env, NULL, c->flags, &c->txn);
    case CALL_RENEW:
        return mdb_txn_renew(c->txn);
    case CALL_GET:
        cause = mdb_get(c->txn, c->table, &c->key, &c->value);
        break;
    case CALL_PUT:
        return mdb_put(c->txn, c->table, &c->key, &c->value, c->flags);
    case CALL_DEL:
        return mdb_del(c->txn, c->table, &c->key, NULL);
    case CALL_CURSOR:
        cause = mdb_cursor_get(c->cursor, &c->key, &c->value, (MDB_cursor_op)c->flags);
        break;
    case CALL_AROUND:
        return kv_lmdb_look_around(c->k, c->cursor, c->around, &c->before, &c->after);
    case CALL_COMMIT:
        return mdb_txn_commit(c->txn);
    }
    if (cause == 0)
        touch(&c->value);
    return cause;
}

static int guarded(struct kv_lmdb *k, struct call *c)
{
    int cause = kv_guard_call(perform, c);

    kv_lmdb_count(k, cause == 0 ? c->value.mv_size : 0);
    return cause;
}

static MDB_val val_of(struct span s)
{
    return (MDB_val){ .mv_size = s.len, .mv_data = (void *)(uintptr_t)s.at };
}

static struct span span_of_val(MDB_val v)
{
    return span_of(v.mv_data, v.mv_size);
}

static struct call call_on(struct kv_txn *t, enum kv_table table, struct span key)
{
    CHECK(table < KV_TABLES);
    return (struct call){ .txn = t->txn, .table = t->k->tables[table], .key = val_of(key) };
}

static void close_cursor(struct kv_txn *t, enum kv_table table)
{
    if (t->places[table].cursor != NULL)
        mdb_cursor_close(t->places[table].cursor);
    t->places[table].cursor = NULL;
}

static void forget_places(struct kv_txn *t)
{
    for (int table = 0; table < KV_TABLES; table++) {
        close_cursor(t, (enum kv_table)table);
        t->places[table].key_len = 0;
        t->places[table].page = 0;
        if (t->probes[table] != NULL)
            mdb_cursor_close(t->probes[table]);
        t->probes[table] = NULL;
    }
}

static int begin_writer(struct kv_txn *t)
{
    struct kv_lmdb *k = t->k;

    CHECK(!k->read_only);
    if (k->broken) {
        if (t->detail != NULL)
            snprintf(t->detail, KV_DETAIL_MAX,
                     "%s: nothing is written any more since a commit failed", k->name);
        return E_IO;
    }
    struct call c = { .kind = CALL_BEGIN, .env = k->env };
    mdb_reader_check(k->env, NULL);
    int cause = kv_guard_call(perform, &c);
    t->txn = c.txn;
    return cause == 0 ? E_OK : kv_lmdb_fail(k, t->detail, "begin", cause);
}

void kv_lmdb_wait(struct kv_lmdb *k, unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&k->changed, &k->lock, &until);
}

/* What was opened stays as it is while a reader sees. */
static void set_sees(struct kv_txn *t, bool sees)
{
    struct kv_lmdb *k = t->k;

    pthread_mutex_lock(&k->lock);
    for (int i = 0; sees && k->exchanging && i < GATE_MS; i++)
        kv_lmdb_wait(k, 1);
    t->sees = sees;
    if (!sees)
        pthread_cond_broadcast(&k->changed);
    pthread_mutex_unlock(&k->lock);
}

/* A reader sees what is committed: its txn anew, or a new one when it went with its environment.
 * *refused: LMDB lets nobody, which is told only when the store cannot be opened anew either. */
static int see(struct kv_txn *t, bool *refused)
{
    struct kv_lmdb *k = t->k;
    int cause = MDB_PANIC, error;

    set_sees(t, true);
    struct call c = { .env = k->env, .flags = MDB_RDONLY, .txn = t->txn };
    c.kind = t->txn == NULL ? CALL_BEGIN : CALL_RENEW;
    if (k->env != NULL)
        cause = kv_guard_call(perform, &c);
    *refused = cause == MDB_PANIC;
    if (cause == 0) {
        t->txn = c.txn;
        return E_OK;
    }
    error = kv_lmdb_fail(k, *refused ? NULL : t->detail, "begin", cause);
    set_sees(t, false);
    return error;
}

static int begin_reader(struct kv_txn *t)
{
    bool refused;
    int error = see(t, &refused);

    if (!refused)
        return error;
    error = kv_lmdb_reopen(t->k, t->detail);
    return error == E_OK ? see(t, &refused) : error;
}

bool kv_lmdb_end_readers(struct kv_lmdb *k)
{
    list_each(&k->readers, it)
    {
        if (container_of(it, struct kv_txn, link)->sees)
            return false;
    }
    list_each(&k->readers, it)
    {
        struct kv_txn *t = container_of(it, struct kv_txn, link);

        if (t->txn != NULL)
            mdb_txn_abort(t->txn);
        t->txn = NULL;
    }
    return true;
}

static void add_reader(struct kv_txn *t)
{
    pthread_mutex_lock(&t->k->lock);
    list_add_tail(&t->k->readers, &t->link);
    pthread_mutex_unlock(&t->k->lock);
}

static void remove_reader(struct kv_txn *t)
{
    pthread_mutex_lock(&t->k->lock);
    if (t->txn != NULL)
        mdb_txn_abort(t->txn);
    list_remove(&t->link);
    pthread_cond_broadcast(&t->k->changed);
    pthread_mutex_unlock(&t->k->lock);
}

static void txn_abort(struct kv_txn *t)
{
    forget_places(t);
    if (!t->write)
        remove_reader(t);
    else if (t->txn != NULL)
        mdb_txn_abort(t->txn);
    mem_free(t);
}

static int txn_begin(struct kv *kv, bool write, char *detail, struct kv_txn **out)
{
    struct kv_txn *t = mem_zalloc(sizeof *t);
    int error;

    *t = (struct kv_txn){ .k = self(kv), .write = write, .detail = detail };
    if (!write)
        add_reader(t);
    error = write ? begin_writer(t) : begin_reader(t);
    if (error == E_OK)
        *out = t;
    else
        txn_abort(t);
    return error;
}

/* LMDB lets nobody go on when its meta page could not be written. It says so only by refusing. */
static bool has_panicked(struct kv_lmdb *k)
{
    struct call c = { .kind = CALL_BEGIN, .env = k->env, .flags = MDB_RDONLY };
    int cause = kv_guard_call(perform, &c);

    if (cause == 0)
        mdb_txn_abort(c.txn);
    return cause == MDB_PANIC;
}

/* When it is left in the middle, LMDB's mutex of writers stays taken: nobody asks for it again. */
static int commit(struct kv_txn *t)
{
    struct call c = { .kind = CALL_COMMIT, .txn = t->txn };
    struct kv_lmdb *k = t->k;
    int cause, error = E_OK;

    pthread_mutex_lock(&k->committing);
    cause = kv_guard_call(perform, &c);
    if (cause != 0) {
        error = spoil(t, "commit", cause);
        k->panicked = has_panicked(k);
        k->broken = k->panicked || error != E_FULL;
    }
    pthread_mutex_unlock(&k->committing);
    return error;
}

static int txn_commit(struct kv_txn *t)
{
    int error = t->error;

    if (error != E_OK || !t->write) {
        txn_abort(t);
        return error;
    }
    forget_places(t);
    error = commit(t);
    mem_free(t);
    return error;
}

static void txn_reset(struct kv_txn *t)
{
    CHECK(!t->write && t->sees);
    forget_places(t);
    mdb_txn_reset(t->txn);
    set_sees(t, false);
}

static int txn_renew(struct kv_txn *t)
{
    CHECK(!t->write && !t->sees);
    return begin_reader(t);
}

/* What a call on a table comes to; absence spoils nothing. */
static int outcome(struct kv_txn *t, const char *action, int cause)
{
    if (cause == 0)
        return E_OK;
    return cause == MDB_NOTFOUND ? E_MISSING : spoil(t, action, cause);
}

static int txn_get(struct kv_txn *t, enum kv_table table, struct span key, struct span *value)
{
    struct call c = call_on(t, table, key);
    int error;

    CHECK(key.len > 0 && key.len <= KV_KEY_MAX);
    if (t->error != E_OK)
        return t->error;
    c.kind = CALL_GET;
    error = outcome(t, "get", guarded(t->k, &c));
    *value = span_of_val(c.value);
    return error;
}

static int change(struct kv_txn *t, enum kv_table table, const char *action, struct call *c)
{
    CHECK(t->write && c->key.mv_size > 0 && c->key.mv_size <= KV_KEY_MAX);
    if (t->error != E_OK)
        return t->error;
    close_cursor(t, table);
    return outcome(t, action, guarded(t->k, c));
}

static int txn_put(struct kv_txn *t, enum kv_table table, struct span key, struct span value)
{
    struct call c = call_on(t, table, key);

    CHECK(value.len <= KV_VALUE_MAX);
    c.kind = CALL_PUT;
    c.value = val_of(value);
    return change(t, table, "put", &c);
}

int kv_lmdb_append(struct kv_txn *t, enum kv_table table, struct span key, struct span value)
{
    struct call c = call_on(t, table, key);

    c.kind = CALL_PUT;
    c.flags = MDB_APPEND;
    c.value = val_of(value);
    return change(t, table, "append", &c);
}

static int txn_del(struct kv_txn *t, enum kv_table table, struct span key)
{
    struct call c = call_on(t, table, key);

    c.kind = CALL_DEL;
    return change(t, table, "delete", &c);
}

/* Every page that a reader walks through is looked at, once. */
static bool looks_sound(const struct kv_lmdb *k, struct place *p, const void *key)
{
    uint64_t page = kv_lmdb_page_of(k, key);

    if (page == p->page)
        return true;
    p->page = page;
    return kv_lmdb_page_adds_up(k, page);
}

/* Moves the table's cursor, and remembers where it is. */
static int move(struct kv_txn *t, enum kv_table table, MDB_cursor_op how, struct span *key,
                struct span *value)
{
    struct place *p = &t->places[table];
    struct call c = call_on(t, table, *key);
    int error;

    c.kind = CALL_CURSOR;
    c.cursor = p->cursor;
    c.flags = how;
    error = outcome(t, "scan", guarded(t->k, &c));
    if (error != E_OK && error != E_MISSING)
        close_cursor(t, table); /* it may stand anywhere */
    if (error != E_OK)
        return error;
    if (c.key.mv_size == 0 || c.key.mv_size > KV_KEY_MAX)
        return spoil(t, "scan", MDB_CORRUPTED);
    if (!t->write && !looks_sound(t->k, p, c.key.mv_data))
        return spoil(t, "scan", MDB_CORRUPTED);
    p->key_len = c.key.mv_size;
    memcpy(p->key, c.key.mv_data, p->key_len);
    *key = span_of_val(c.key);
    *value = span_of_val(c.value);
    return E_OK;
}

static int open_cursor(struct kv_txn *t, enum kv_table table)
{
    struct place *p = &t->places[table];
    int cause = p->cursor != NULL ? 0 : mdb_cursor_open(t->txn, t->k->tables[table], &p->cursor);

    return cause == 0 ? E_OK : spoil(t, "scan", cause);
}

static int txn_seek(struct kv_txn *t, enum kv_table table, struct span from, struct span *key,
                    struct span *value)
{
    int error = t->error;

    CHECK(table < KV_TABLES && from.len <= KV_KEY_MAX);
    t->places[table].key_len = 0;
    if (error == E_OK)
        error = open_cursor(t, table);
    if (error != E_OK)
        return error;
    *key = from;
    return move(t, table, from.len == 0 ? MDB_FIRST : MDB_SET_RANGE, key, value);
}

static int txn_next(struct kv_txn *t, enum kv_table table, struct span *key, struct span *value)
{
    struct place *p = &t->places[table];
    uint8_t last[KV_KEY_MAX];
    struct span from;
    int error;

    CHECK(table < KV_TABLES);
    if (t->error != E_OK)
        return t->error;
    if (p->key_len == 0)
        return E_MISSING;
    if (p->cursor != NULL)
        return move(t, table, MDB_NEXT, key, value);
    memcpy(last, p->key, p->key_len);
    from = span_of(last, p->key_len);
    error = txn_seek(t, table, from, key, value);
    return error == E_OK && span_equal(*key, from) ? move(t, table, MDB_NEXT, key, value) : error;
}

static int txn_around(struct kv_txn *t, enum kv_table table, struct span key, struct span *before,
                      struct span *after)
{
    struct call c = { .kind = CALL_AROUND, .k = t->k, .around = key };
    int cause = 0;

    CHECK(t->sees && table < KV_TABLES && key.len > 0 && key.len <= KV_KEY_MAX);
    if (t->probes[table] == NULL)
        cause = mdb_cursor_open(t->txn, t->k->tables[table], &t->probes[table]);
    if (cause != 0)
        return spoil(t, "look around", cause);
    c.cursor = t->probes[table];
    cause = guarded(t->k, &c);
    if (cause != 0) {
        mdb_cursor_close(c.cursor); /* it may stand anywhere */
        t->probes[table] = NULL;
        return spoil(t, "look around", cause);
    }
    *before = c.before;
    *after = c.after;
    return E_OK;
}

struct counting {
    struct kv_txn *t;
    enum kv_table table;
    MDB_stat stat;
};

static int count_rows(void *context)
{
    struct counting *c = context;

    return mdb_stat(c->t->txn, c->t->k->tables[c->table], &c->stat);
}

int kv_lmdb_rows(struct kv_txn *t, enum kv_table table, uint64_t *rows)
{
    struct counting c = { .t = t, .table = table };
    int cause = kv_guard_call(count_rows, &c);

    *rows = c.stat.ms_entries;
    return cause == 0 ? E_OK : spoil(t, "count", cause);
}

struct size {
    MDB_env *env;
    MDB_envinfo info;
    MDB_stat stat;
};

static int read_size(void *context)
{
    struct size *s = context;
    int cause = mdb_env_info(s->env, &s->info);

    return cause == 0 ? mdb_env_stat(s->env, &s->stat) : cause;
}

static uint64_t store_bytes(struct kv *kv)
{
    struct kv_lmdb *k = self(kv);
    struct size s;
    uint64_t bytes = 0;

    pthread_mutex_lock(&k->lock);
    s.env = k->env;
    if (s.env != NULL && kv_guard_call(read_size, &s) == 0)
        bytes = ((uint64_t)s.info.me_last_pgno + 1) * s.stat.ms_psize;
    pthread_mutex_unlock(&k->lock);
    return bytes;
}

static uint64_t store_offset(struct kv *kv, const void *at)
{
    return kv_lmdb_offset(self(kv), at);
}

const struct kv_ops kv_lmdb_ops = {
    .begin = txn_begin,
    .commit = txn_commit,
    .abort = txn_abort,
    .reset = txn_reset,
    .renew = txn_renew,
    .get = txn_get,
    .put = txn_put,
    .del = txn_del,
    .seek = txn_seek,
    .next = txn_next,
    .around = txn_around,
    .rewrite = kv_lmdb_rewrite,
    .bytes = store_bytes,
    .offset = store_offset,
};
