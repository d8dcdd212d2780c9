#include "env/kv_memory.h"

#include <stdio.h>

#include "base/btree.h"
#include "base/buffer.h"
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"

/* In versions, and among a writer's changes, where it may say that the key is gone. */
struct pair {
    uint32_t refs;
    bool gone;
    struct span key, value; /* behind it */
};

struct rows {
    struct pair **at; /* [count], ascending */
    size_t count;
};

struct kv_version {
    uint32_t refs;
    uint64_t bytes;
    struct rows tables[KV_TABLES];
};

/* Where seek and next are in a table: at a key, or nowhere. */
struct place {
    bool known;
    struct buffer key;
    size_t row; /* a reader's: what it sees does not change */
};

struct kv_txn {
    struct list link;
    struct kv_memory *k;
    char *detail;
    bool write;
    int error;               /* of a writer: the first one, and its answer to all that follows */
    struct kv_version *sees; /* NULL while it is reset */
    struct btree changes[KV_TABLES];
    struct place places[KV_TABLES];
};

/* --- pairs and versions --- */

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    return span_compare(left->key, right->key);
}

static struct pair *pair_new(struct span key, struct span value, bool gone)
{
    struct pair *p = mem_alloc(sizeof(*p) + key.len + value.len);
    uint8_t *bytes = (uint8_t *)(p + 1);
    memcpy(bytes, key.at, key.len);
    if (value.len > 0)
        memcpy(bytes + key.len, value.at, value.len);
    *p = (struct pair){ 1, gone, span_of(bytes, key.len), span_of(bytes + key.len, value.len) };
    return p;
}

static void pair_drop(struct pair *p)
{
    if (--p->refs == 0)
        mem_free(p);
}

static void version_drop(struct kv_version *v)
{
    if (--v->refs > 0)
        return;
    for (int table = 0; table < KV_TABLES; table++) {
        for (size_t i = 0; i < v->tables[table].count; i++)
            pair_drop(v->tables[table].at[i]);
        mem_free(v->tables[table].at);
    }
    mem_free(v);
}

/* The first row whose key is at or after the given one. */
static size_t lower_bound(const struct rows *rows, struct span key)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (span_compare(rows->at[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* --- what a transaction sees: the version, and its own changes over it --- */

struct merge {
    const struct rows *rows;
    const struct btree *changes;
    size_t row;
    struct pair *change; /* the next one, or NULL */
    struct btree_cursor cursor;
};

static void merge_begin(struct merge *m, const struct kv_txn *t, enum kv_table table,
                        struct span from)
{
    struct pair probe = { .key = from };
    bool found;
    m->rows = &t->sees->tables[table];
    m->changes = &t->changes[table];
    m->row = lower_bound(m->rows, from);
    m->change = NULL;
    if (t->write)
        m->change = btree_seek(m->changes, btree_rank(m->changes, &probe, &found), &m->cursor);
}

static struct pair *merge_next(struct merge *m)
{
    for (;;) {
        struct pair *row = m->row < m->rows->count ? m->rows->at[m->row] : NULL;
        struct pair *change = m->change;
        int order = row && change ? span_compare(change->key, row->key) : row ? 1 : -1;
        if (!row && !change)
            return NULL;
        if (order >= 0)
            m->row++;
        if (order > 0)
            return row;
        m->change = btree_next(&m->cursor);
        if (!change->gone)
            return change;
    }
}

static const struct pair *find(const struct kv_txn *t, enum kv_table table, struct span key)
{
    struct merge m;
    merge_begin(&m, t, table, key);
    const struct pair *p = merge_next(&m);
    return p && span_equal(p->key, key) ? p : NULL;
}

/* --- faults --- */

static const char *const call_names[] = {
    [KV_MEMORY_BEGIN] = "begin",   [KV_MEMORY_RENEW] = "renew", [KV_MEMORY_GET] = "get",
    [KV_MEMORY_PUT] = "put",       [KV_MEMORY_DEL] = "delete",  [KV_MEMORY_SCAN] = "scan",
    [KV_MEMORY_COMMIT] = "commit",
};

static int ask(struct kv_memory *k, enum kv_memory_call call, bool write, char *detail)
{
    int error = k->fault ? k->fault(k->fault_context, call, write) : E_OK;
    if (error != E_OK && detail)
        snprintf(detail, KV_DETAIL_MAX, "memory: %s: %s", call_names[call], error_text(error));
    return error;
}

static int ask_txn(struct kv_txn *t, enum kv_memory_call call)
{
    if (t->error != E_OK)
        return t->error;
    int error = ask(t->k, call, t->write, t->detail);
    if (t->write)
        t->error = error;
    return error;
}

/* --- transactions --- */

static struct kv_memory *self(struct kv *kv)
{
    return container_of(kv, struct kv_memory, kv);
}

static void see_committed(struct kv_txn *t)
{
    t->sees = t->k->committed;
    t->sees->refs++;
}

static int txn_begin(struct kv *kv, bool write, char *detail, struct kv_txn **out)
{
    struct kv_memory *k = self(kv);
    int error = ask(k, KV_MEMORY_BEGIN, write, detail);
    CHECK(!write || !k->writer);
    if (error == E_OK && write && k->broken) {
        if (detail)
            snprintf(detail, KV_DETAIL_MAX, "memory: a commit failed before");
        error = E_IO;
    }
    if (error != E_OK)
        return error;
    struct kv_txn *t = mem_zalloc(sizeof(*t));
    t->k = k;
    t->detail = detail;
    t->write = write;
    see_committed(t);
    for (int table = 0; table < KV_TABLES; table++)
        btree_init(&t->changes[table], compare_pairs);
    list_add_tail(&k->txns, &t->link);
    if (write)
        k->writer = t;
    *out = t;
    return E_OK;
}

static void forget_places(struct kv_txn *t)
{
    for (int table = 0; table < KV_TABLES; table++)
        t->places[table].known = false;
}

static void txn_reset(struct kv_txn *t)
{
    CHECK(!t->write && t->sees);
    version_drop(t->sees);
    t->sees = NULL;
    forget_places(t);
}

static int txn_renew(struct kv_txn *t)
{
    CHECK(!t->write && !t->sees);
    int error = ask_txn(t, KV_MEMORY_RENEW);
    if (error == E_OK)
        see_committed(t);
    return error;
}

static void txn_abort(struct kv_txn *t)
{
    struct btree_cursor c;
    if (t->sees)
        version_drop(t->sees);
    if (t == t->k->writer)
        t->k->writer = NULL;
    for (int table = 0; table < KV_TABLES; table++) {
        for (struct pair *p = btree_seek(&t->changes[table], 0, &c); p; p = btree_next(&c))
            pair_drop(p);
        btree_release(&t->changes[table]);
        buffer_release(&t->places[table].key);
    }
    list_remove(&t->link);
    mem_free(t);
}

static struct kv_version *merge_all(const struct kv_txn *t)
{
    struct kv_version *v = mem_zalloc(sizeof(*v));
    v->refs = 1;
    for (int table = 0; table < KV_TABLES; table++) {
        struct rows *rows = &v->tables[table];
        struct merge m;
        merge_begin(&m, t, (enum kv_table)table, span_of(NULL, 0));
        rows->at = mem_alloc((m.rows->count + m.changes->count) * sizeof(struct pair *));
        for (struct pair *p; (p = merge_next(&m)); rows->at[rows->count++] = p) {
            p->refs++;
            v->bytes += p->key.len + p->value.len;
        }
    }
    return v;
}

static int txn_commit(struct kv_txn *t)
{
    struct kv_memory *k = t->k;
    int error = t->write ? t->error : E_OK;
    if (error == E_OK && t->write) {
        error = ask_txn(t, KV_MEMORY_COMMIT);
        k->broken = k->broken || (error != E_OK && error != E_FULL);
    }
    if (error == E_OK && t->write) {
        struct kv_version *before = k->committed;
        k->committed = merge_all(t);
        version_drop(before);
    }
    txn_abort(t);
    return error;
}

/* --- pairs of a transaction --- */

static int txn_get(struct kv_txn *t, enum kv_table table, struct span key, struct span *value)
{
    CHECK(t->sees && key.len > 0 && key.len <= KV_KEY_MAX);
    int error = ask_txn(t, KV_MEMORY_GET);
    if (error != E_OK)
        return error;
    const struct pair *p = find(t, table, key);
    if (p)
        *value = p->value;
    return p ? E_OK : E_MISSING;
}

static void change(struct kv_txn *t, enum kv_table table, struct pair *p)
{
    struct pair *before = btree_remove(&t->changes[table], p);
    if (before)
        pair_drop(before);
    CHECK(btree_insert(&t->changes[table], p));
}

static int txn_put(struct kv_txn *t, enum kv_table table, struct span key, struct span value)
{
    CHECK(t->write && key.len > 0 && key.len <= KV_KEY_MAX && value.len <= KV_VALUE_MAX);
    int error = ask_txn(t, KV_MEMORY_PUT);
    if (error == E_OK)
        change(t, table, pair_new(key, value, false));
    return error;
}

static int txn_del(struct kv_txn *t, enum kv_table table, struct span key)
{
    CHECK(t->write && key.len > 0 && key.len <= KV_KEY_MAX);
    int error = ask_txn(t, KV_MEMORY_DEL);
    if (error != E_OK)
        return error;
    if (!find(t, table, key))
        return E_MISSING;
    change(t, table, pair_new(key, span_of(NULL, 0), true));
    return E_OK;
}

/* Gives what the merge comes to next, and stays there. */
static int give(struct kv_txn *t, enum kv_table table, const struct pair *p, struct span *key,
                struct span *value)
{
    struct place *place = &t->places[table];
    if (!p)
        return E_MISSING;
    place->known = true;
    buffer_clear(&place->key);
    buffer_put(&place->key, p->key);
    *key = p->key;
    *value = p->value;
    return E_OK;
}

static int txn_seek(struct kv_txn *t, enum kv_table table, struct span from, struct span *key,
                    struct span *value)
{
    struct merge m;
    CHECK(t->sees && from.len <= KV_KEY_MAX);
    int error = ask_txn(t, KV_MEMORY_SCAN);
    if (error != E_OK)
        return error;
    t->places[table].known = false;
    merge_begin(&m, t, table, from);
    t->places[table].row = m.row;
    return give(t, table, merge_next(&m), key, value);
}

/* A reader goes from row to row, as one of a file does, and not by keys. */
static int next_row(struct kv_txn *t, enum kv_table table, struct span *key, struct span *value)
{
    const struct rows *rows = &t->sees->tables[table];
    size_t next = t->places[table].row + 1;
    if (next >= rows->count)
        return E_MISSING;
    t->places[table].row = next;
    return give(t, table, rows->at[next], key, value);
}

static int txn_next(struct kv_txn *t, enum kv_table table, struct span *key, struct span *value)
{
    struct place *place = &t->places[table];
    struct merge m;
    CHECK(t->sees);
    int error = ask_txn(t, KV_MEMORY_SCAN);
    if (error != E_OK)
        return error;
    if (!place->known)
        return E_MISSING;
    if (!t->write)
        return next_row(t, table, key, value);
    merge_begin(&m, t, table, buffer_span(&place->key));
    const struct pair *p = merge_next(&m);
    if (p && span_equal(p->key, buffer_span(&place->key)))
        p = merge_next(&m);
    return give(t, table, p, key, value);
}

static int txn_around(struct kv_txn *t, enum kv_table table, struct span key, struct span *before,
                      struct span *after)
{
    CHECK(t->sees && !t->write && key.len > 0 && key.len <= KV_KEY_MAX);
    const struct rows *rows = &t->sees->tables[table];
    int error = ask_txn(t, KV_MEMORY_SCAN);
    if (error != E_OK)
        return error;
    size_t i = lower_bound(rows, key);
    *before = i > 0 ? rows->at[i - 1]->key : span_of(NULL, 0);
    *after = i < rows->count ? rows->at[i]->key : span_of(NULL, 0);
    return E_OK;
}

/* A version holds what was committed, and nothing else. */
static int rewrite(struct kv *kv, bool (*go_on)(void *context), void *context, char *detail,
                   struct kv_rewritten *done)
{
    struct kv_memory *k = self(kv);
    CHECK(!k->writer);
    int error = ask(k, KV_MEMORY_COMMIT, true, detail);
    if (error == E_OK && !go_on(context))
        error = E_BUSY;
    *done = (struct kv_rewritten){ .bytes = k->committed->bytes };
    for (int table = 0; table < KV_TABLES; table++)
        done->rows += k->committed->tables[table].count;
    return error;
}

static uint64_t store_bytes(struct kv *kv)
{
    return self(kv)->committed->bytes;
}

static uint64_t offset_of(struct kv *kv, const void *at)
{
    (void)kv;
    (void)at;
    return UINT64_MAX; /* there is no file */
}

static const struct kv_ops memory_ops = {
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
    .rewrite = rewrite,
    .bytes = store_bytes,
    .offset = offset_of,
};

/* --- the store --- */

void kv_memory_init(struct kv_memory *k)
{
    *k = (struct kv_memory){ .kv = { .ops = &memory_ops, .name = "checkpoint" } };
    list_init(&k->txns);
    k->committed = mem_zalloc(sizeof(*k->committed));
    k->committed->refs = 1;
}

void kv_memory_copy(struct kv_memory *to, const struct kv_memory *from)
{
    CHECK(list_empty(&to->txns));
    version_drop(to->committed);
    to->committed = from->committed;
    to->committed->refs++;
}

void kv_memory_crash(struct kv_memory *k)
{
    while (!list_empty(&k->txns))
        txn_abort(container_of(k->txns.next, struct kv_txn, link));
    k->broken = false;
}

void kv_memory_release(struct kv_memory *k)
{
    CHECK(list_empty(&k->txns));
    version_drop(k->committed);
    k->committed = NULL;
}

static bool flip(struct span bytes, uint64_t bit)
{
    if (bytes.len == 0)
        return false;
    bit %= bytes.len * 8;
    ((uint8_t *)(uintptr_t)bytes.at)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return true;
}

bool kv_memory_damage(struct kv_memory *k, enum kv_table table, uint64_t index, uint64_t bit)
{
    const struct rows *rows = &k->committed->tables[table];
    return rows->count > 0 && flip(rows->at[index % rows->count]->value, bit);
}

bool kv_memory_damage_key(struct kv_memory *k, enum kv_table table, uint64_t index, uint64_t bit)
{
    const struct rows *rows = &k->committed->tables[table];
    return rows->count > 0 && flip(rows->at[index % rows->count]->key, bit);
}

uint64_t kv_memory_count(const struct kv_memory *k, enum kv_table table)
{
    return k->committed->tables[table].count;
}
