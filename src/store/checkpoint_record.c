#include "store/checkpoint_record.h"

#include <assert.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "store/checkpoint.h"

enum { PLACE_WHOLE, PLACE_HASHED, PLACE_HASH_BYTES = 16, IN_ROWS = 0x80 };

static_assert(8 + PLACE_MAX <= KV_KEY_MAX, "a place fits a store's keys, after a time too");

/* --- keys of rows --- */

static void add_bytes(struct row_key *k, const void *bytes, size_t len)
{
    CHECK(k->len + len <= sizeof(k->bytes));
    if (len > 0)
        memcpy(k->bytes + k->len, bytes, len);
    k->len += len;
}

static void add_u8(struct row_key *k, uint8_t v)
{
    add_bytes(k, &v, 1);
}

static void add_u64(struct row_key *k, uint64_t v)
{
    v = __builtin_bswap64(v);
    add_bytes(k, &v, sizeof(v));
}

static bool take_u64(struct span *in, uint64_t *v)
{
    if (!span_take_u64(in, v))
        return false;
    *v = __builtin_bswap64(*v);
    return true;
}

struct row_key row_key_position(uint8_t db, uint64_t position)
{
    struct row_key k = { .len = 0 };
    add_u8(&k, db);
    add_u64(&k, position);
    return k;
}

struct row_key row_key_place(uint8_t db, uint64_t hash, struct span key)
{
    struct row_key k = row_key_position(db, cold_position(hash));
    add_u8(&k, key.len <= PLACE_KEY_MAX ? PLACE_WHOLE : PLACE_HASHED);
    if (key.len <= PLACE_KEY_MAX) {
        add_bytes(&k, key.at, key.len);
        return k;
    }
    XXH128_canonical_t hashed;
    XXH128_canonicalFromHash(&hashed, XXH3_128bits(key.at, key.len));
    add_bytes(&k, &hashed, PLACE_HASH_BYTES);
    return k;
}

struct row_key row_key_due(uint64_t due_ms, struct span place)
{
    struct row_key k = { .len = 0 };
    add_u64(&k, due_ms);
    add_bytes(&k, place.at, place.len);
    return k;
}

struct row_key row_key_piece(uint64_t image, uint32_t row)
{
    struct row_key k = { .len = 0 };
    add_u64(&k, image);
    row = __builtin_bswap32(row);
    add_bytes(&k, &row, sizeof(row));
    return k;
}

bool place_take(struct span place, uint8_t *db, uint64_t *position, bool *has_key, struct span *key)
{
    uint8_t form;
    if (!span_take_u8(&place, db) || *db >= OP_DATABASES || !take_u64(&place, position) ||
        !span_take_u8(&place, &form) || form > PLACE_HASHED)
        return false;
    *has_key = form == PLACE_WHOLE;
    *key = *has_key ? place : span_of(NULL, 0);
    return *has_key ? place.len <= PLACE_KEY_MAX : place.len == PLACE_HASH_BYTES;
}

bool due_take(struct span row_key, uint64_t *due_ms, struct span *place)
{
    *place = row_key;
    return take_u64(place, due_ms) && place->len > 0 && place->len <= PLACE_MAX;
}

/* --- checksums --- */

static uint32_t sum_of(struct span row_key, struct span content)
{
    return crc32c(crc32c(0, row_key), content);
}

void row_seal(struct buffer *row, size_t from, struct span row_key)
{
    buffer_put_u32(row, sum_of(row_key, span_skip(buffer_span(row), from)));
}

bool row_unseal(struct span *row, struct span row_key)
{
    uint32_t sum;
    if (row->len < sizeof(sum))
        return false;
    struct span content = span_of(row->at, row->len - sizeof(sum));
    struct span end = span_skip(*row, content.len);
    if (!span_take_u32(&end, &sum) || sum != sum_of(row_key, content))
        return false;
    *row = content;
    return true;
}

struct row_sum row_sum(struct span row_key)
{
    uint32_t sum = sum_of(row_key, span_of(NULL, 0));
    return (struct row_sum){ { (uint8_t)sum, (uint8_t)(sum >> 8), (uint8_t)(sum >> 16),
                               (uint8_t)(sum >> 24) } };
}

/* --- records --- */

void checkpoint_record_put(struct buffer *row, struct span place,
                           const struct checkpoint_record *record)
{
    size_t from = row->len;
    buffer_put_u8(row, (uint8_t)(record->flags | (record->image != 0 ? IN_ROWS : 0)));
    buffer_put_varint(row, record->due_ms);
    if (record->key.len > PLACE_KEY_MAX)
        buffer_put_prefixed(row, record->key);
    if (record->image != 0) {
        buffer_put_u64(row, record->image);
        buffer_put_u32(row, record->rows);
    } else {
        buffer_put_prefixed(row, record->piece);
    }
    row_seal(row, from, place);
}

static bool take_object(struct span *in, bool in_rows, struct checkpoint_record *record)
{
    if (!in_rows)
        return span_take_prefixed(in, &record->piece);
    return span_take_u64(in, &record->image) && record->image != 0 &&
           span_take_u32(in, &record->rows) && record->rows > 0;
}

bool checkpoint_record_take(struct span *row, struct span place, struct checkpoint_record *record)
{
    struct span in = *row;
    uint8_t db, flags;
    uint64_t position;
    bool has_key;
    *record = (struct checkpoint_record){ .flags = 0 };
    if (!place_take(place, &db, &position, &has_key, &record->key) || !span_take_u8(&in, &flags) ||
        !span_take_varint(&in, &record->due_ms) ||
        (!has_key && !span_take_prefixed(&in, &record->key)) ||
        !take_object(&in, flags & IN_ROWS, record) || in.len < sizeof(uint32_t))
        return false;
    record->flags = flags & (uint8_t)~IN_ROWS;
    in = span_skip(in, sizeof(uint32_t));
    record->bytes = span_of(row->at, row->len - in.len);
    struct span checked = record->bytes;
    if (!row_unseal(&checked, place))
        return false;
    *row = in;
    return true;
}

/* --- rows of a transaction --- */

int meta_get(const struct kv_ops *ops, struct kv_txn *txn, struct span name, struct span *content)
{
    int error = ops->get(txn, KV_META, name, content);
    if (error != E_OK)
        return error;
    return row_unseal(content, name) ? E_OK : E_CORRUPT;
}

int meta_check_format(const struct kv_ops *ops, struct kv_txn *txn)
{
    struct span content;
    uint32_t version;
    int error = meta_get(ops, txn, span_str("format"), &content);
    if (error != E_OK)
        return error;
    if (!span_take_u32(&content, &version))
        return E_CORRUPT;
    return version == CHECKPOINT_VERSION ? E_OK : E_VERSION;
}

int meta_get_counts(const struct kv_ops *ops, struct kv_txn *txn,
                    struct cold_counts counts[OP_DATABASES])
{
    struct span in;
    memset(counts, 0, OP_DATABASES * sizeof(*counts));
    int error = meta_get(ops, txn, span_str("counts"), &in);
    if (error != E_OK)
        return error == E_MISSING ? E_OK : error;
    for (int db = 0; db < OP_DATABASES; db++) {
        struct cold_counts *c = &counts[db];
        if (!span_take_varint(&in, &c->keys) || !span_take_varint(&in, &c->ghosts) ||
            !span_take_varint(&in, &c->with_deadline) || !span_take_varint(&in, &c->contested))
            return E_CORRUPT;
    }
    return E_OK;
}

/* One row; *ends: its piece ends there. */
static int piece_row_get(const struct kv_ops *ops, struct kv_txn *txn, struct row_key key,
                         struct span *bytes, bool *ends)
{
    uint8_t mark;
    *bytes = span_of(NULL, 0);
    int error = ops->get(txn, KV_PIECES, row_key_span(&key), bytes);
    if (error != E_OK)
        return error == E_MISSING ? E_CORRUPT : error;
    if (!row_unseal(bytes, row_key_span(&key)) || !span_take_u8(bytes, &mark) || mark > 1)
        return E_CORRUPT;
    *ends = mark == 1;
    return E_OK;
}

int piece_get(const struct kv_ops *ops, struct kv_txn *txn, const struct checkpoint_record *record,
              uint32_t *row, struct buffer *joined, struct span *piece)
{
    bool ends = false;
    buffer_clear(joined);
    while (*row < record->rows) {
        int error = piece_row_get(ops, txn, row_key_piece(record->image, *row), piece, &ends);
        if (error != E_OK)
            return error;
        ++*row;
        if (ends && joined->len == 0)
            return E_OK;
        buffer_put(joined, *piece);
        *piece = buffer_span(joined);
        if (ends)
            return E_OK;
    }
    return E_CORRUPT;
}

/* --- problems --- */

enum { SHOWN_MAX = 100 };

/* A key for people: what is not plain text as \x.. */
static void show_text(char *to, struct span bytes)
{
    size_t len = 0;
    to[len++] = '"';
    for (size_t i = 0; i < bytes.len && len < SHOWN_MAX - 10; i++) {
        bool plain = bytes.at[i] >= ' ' && bytes.at[i] < 127 && bytes.at[i] != '"';
        len += (size_t)snprintf(to + len, SHOWN_MAX - len, plain ? "%c" : "\\x%02x", bytes.at[i]);
    }
    snprintf(to + len, SHOWN_MAX - len, "%s", len >= SHOWN_MAX - 10 ? "…\"" : "\"");
}

static void show_bytes(char *to, struct span bytes)
{
    for (size_t i = 0; i < bytes.len && i < SHOWN_MAX / 2 - 1; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes.at[i]);
}

enum { ROW_SHOWN_MAX = SHOWN_MAX + 40 };

/* "objects of database 3, "user:1"". */
static void show_row(char *to, enum kv_table table, struct span row_key)
{
    static const char *const names[KV_TABLES] = {
        [KV_META] = "meta", [KV_OBJECTS] = "objects",     [KV_PIECES] = "pieces",
        [KV_DUE] = "due",   [KV_CONTESTED] = "contested",
    };
    char shown[SHOWN_MAX + 1] = "";
    struct span place = row_key, key;
    uint64_t due_ms, position;
    uint8_t db;
    bool has_key;
    if (table == KV_DUE && !due_take(row_key, &due_ms, &place))
        place = row_key;
    if (table == KV_META) {
        show_text(shown, row_key);
    } else if (table != KV_PIECES && place_take(place, &db, &position, &has_key, &key) && has_key) {
        show_text(shown, key);
        snprintf(to, ROW_SHOWN_MAX, "%s of database %u, %s", names[table], db, shown);
        return;
    } else {
        show_bytes(shown, row_key);
    }
    snprintf(to, ROW_SHOWN_MAX, "%s, %s", names[table], shown);
}

void checkpoint_complain(char *problem, struct kv *kv, enum kv_table table, struct span row_key,
                         const void *at, int error)
{
    char row[ROW_SHOWN_MAX], place[40] = "";
    uint64_t offset = at ? kv->ops->offset(kv, at) : UINT64_MAX;
    show_row(row, table, row_key);
    if (offset != UINT64_MAX)
        snprintf(place, sizeof(place), ", at offset %llu", (unsigned long long)offset);
    snprintf(problem, CHECKPOINT_PROBLEM_MAX, "%s: %s%s: %s", kv->name, row, place,
             error_text(error));
}

void checkpoint_tell(char *problem, const char *detail, enum kv_table table, struct span row_key)
{
    char row[ROW_SHOWN_MAX];
    show_row(row, table, row_key);
    snprintf(problem, CHECKPOINT_PROBLEM_MAX, "%.160s: %s", detail, row);
}
