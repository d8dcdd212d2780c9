#include "host/kv_lmdb_page.h"

#include <lmdb.h>
#include <string.h>

#include "host/kv_lmdb_txn.h"

enum {
    PAGE_BYTES = 4096, /* another one is not looked through */
    HEADER_BYTES = 16,
    ROW_HEAD_BYTES = 8,
    LEAF = 2,
    VALUE_ELSEWHERE = 1,
};

struct page {
    const uint8_t *at;
    unsigned count, rows_begin;
};

static unsigned u16_at(const uint8_t *at)
{
    return (unsigned)at[0] | (unsigned)at[1] << 8;
}

static bool is_known(void)
{
    int major, minor, patch;

    mdb_version(&major, &minor, &patch);
    return major == 0 && minor == 9 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

uint64_t kv_lmdb_page_of(const struct kv_lmdb *k, const void *key)
{
    uint64_t offset = kv_lmdb_offset(k, key);

    return offset == UINT64_MAX ? 0 : offset / PAGE_BYTES;
}

static bool open_page(struct page *p, const struct kv_lmdb *k, uint64_t number)
{
    uint64_t its;

    p->at = k->map + number * PAGE_BYTES;
    memcpy(&its, p->at, sizeof its);
    unsigned list_end = u16_at(p->at + 12);
    p->rows_begin = u16_at(p->at + 14);
    p->count = (list_end - HEADER_BYTES) / 2;
    return its == number && u16_at(p->at + 10) == LEAF && list_end > HEADER_BYTES &&
           list_end % 2 == 0 && list_end <= p->rows_begin && p->rows_begin <= PAGE_BYTES;
}

/* The key of a row, and what the row takes; 0: it is not in the page. */
static unsigned row_at(const struct page *p, unsigned i, struct span *key)
{
    unsigned at = u16_at(p->at + HEADER_BYTES + 2 * i);
    uint64_t bytes, value_len;

    if (at < p->rows_begin || at > PAGE_BYTES - ROW_HEAD_BYTES)
        return 0;
    const uint8_t *row = p->at + at;
    *key = span_of(row + ROW_HEAD_BYTES, u16_at(row + 6));
    value_len = u16_at(row) | (uint64_t)u16_at(row + 2) << 16;
    bytes = ROW_HEAD_BYTES + key->len +
            (u16_at(row + 4) & VALUE_ELSEWHERE ? sizeof(uint64_t) : value_len);
    return key->len > 0 && bytes <= PAGE_BYTES - at ? (unsigned)(bytes + bytes % 2) : 0;
}

/* Rows [from, to) are there and ascend; *bytes is what they take. */
static bool ascends(const struct page *p, unsigned from, unsigned to, unsigned *bytes)
{
    struct span before = { 0 }, key;

    *bytes = 0;
    for (unsigned i = from; i < to; i++) {
        unsigned takes = row_at(p, i, &key);

        if (takes == 0 || (i > from && span_compare(before, key) >= 0))
            return false;
        *bytes += takes;
        before = key;
    }
    return true;
}

bool kv_lmdb_page_adds_up(const struct kv_lmdb *k, uint64_t number)
{
    struct page p;
    unsigned bytes;

    if (number == 0 || !is_known())
        return true;
    return open_page(&p, k, number) && ascends(&p, 0, p.count, &bytes) &&
           bytes == PAGE_BYTES - p.rows_begin;
}

/* Which row of the page has this key; count: none. */
static unsigned find_row(const struct page *p, const void *key)
{
    unsigned at = (unsigned)((const uint8_t *)key - p->at) - ROW_HEAD_BYTES, i = 0;

    while (i < p->count && u16_at(p->at + HEADER_BYTES + 2 * i) != at)
        i++;
    return i;
}

/* Two keys of one page: nothing is between them there, and the next ones to both sides are in order: in
 * the place of one, there may be a row of elsewhere. */
static bool are_neighbours(const struct kv_lmdb *k, uint64_t number, const uint8_t *before,
                           const uint8_t *after)
{
    struct page p;
    unsigned bytes;

    if (number == 0 || !is_known())
        return true;
    if (!open_page(&p, k, number))
        return false;
    unsigned i = find_row(&p, before);
    return i + 1 < p.count && i + 1 == find_row(&p, after) &&
           ascends(&p, i > 0 ? i - 1 : 0, i + 3 < p.count ? i + 3 : p.count, &bytes);
}

/* --- around a key --- */

/* *key is empty when there is none. */
static int step(MDB_cursor *cursor, MDB_cursor_op how, struct span from, struct span *key)
{
    MDB_val at = { .mv_size = from.len, .mv_data = (void *)(uintptr_t)from.at }, value;
    int cause = mdb_cursor_get(cursor, &at, &value, how);

    *key = cause == 0 ? span_of(at.mv_data, at.mv_size) : span_of(NULL, 0);
    if (cause == 0 && (key->len == 0 || key->len > KV_KEY_MAX))
        return MDB_CORRUPTED;
    return cause == MDB_NOTFOUND ? 0 : cause;
}

/* Whether a key is found again from the root, where it was seen, and beside it the other one, or none.
 * A branch may lead to a leaf that belongs elsewhere, and a leaf to a row. */
static int find_again(const struct kv_lmdb *k, MDB_cursor *cursor, struct span key,
                      MDB_cursor_op how, struct span other)
{
    struct span found;
    int cause = mdb_cursor_renew(mdb_cursor_txn(cursor), cursor);

    if (cause == 0)
        cause = step(cursor, MDB_SET_RANGE, key, &found);
    if (cause == 0 && found.at != key.at)
        return MDB_CORRUPTED;
    if (cause == 0)
        cause = step(cursor, how, key, &found);
    if (cause != 0)
        return cause;
    return found.at == other.at && kv_lmdb_page_adds_up(k, kv_lmdb_page_of(k, key.at))
               ? 0
               : MDB_CORRUPTED;
}

int kv_lmdb_look_around(const struct kv_lmdb *k, MDB_cursor *cursor, struct span key,
                        struct span *before, struct span *after)
{
    int cause = step(cursor, MDB_SET_RANGE, key, after);

    if (cause == 0)
        cause = step(cursor, after->len > 0 ? MDB_PREV : MDB_LAST, key, before);
    if (cause != 0)
        return cause;
    uint64_t page = kv_lmdb_page_of(k, before->at);
    if (page == kv_lmdb_page_of(k, after->at))
        return are_neighbours(k, page, before->at, after->at) ? 0 : MDB_CORRUPTED;
    if (before->len > 0)
        cause = find_again(k, cursor, *before, MDB_NEXT, *after);
    if (cause == 0 && after->len > 0)
        cause = find_again(k, cursor, *after, MDB_PREV, *before);
    return cause;
}
