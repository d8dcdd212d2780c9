/* Damage within a leaf of the tree: no row is hidden by it without a word. */
#include <errno.h>

#include "host/kv_lmdb_trial.h"

enum { KEYS = 300, VALUE_BYTES = 150, PAGE = 4096 };

static struct span name_of(int i, char *room)
{
    return span_of(room, (size_t)snprintf(room, 16, "key:%04d", i * 7));
}

static bool fill(void)
{
    static const uint8_t value[VALUE_BYTES];
    struct kv_txn *txn;
    char room[16];
    if (k.kv.ops->begin(&k.kv, true, NULL, &txn) != E_OK)
        return false;
    for (int i = 0; i < KEYS; i++)
        k.kv.ops->put(txn, KV_OBJECTS, name_of(i, room), span_of(value, VALUE_BYTES));
    return k.kv.ops->commit(txn) == E_OK;
}

/* The page where a key stands. */
static uint64_t page_of(int i)
{
    struct kv_txn *txn;
    struct span value;
    char room[16];
    uint64_t offset = 0;
    if (k.kv.ops->begin(&k.kv, false, NULL, &txn) != E_OK)
        return 0;
    if (k.kv.ops->get(txn, KV_OBJECTS, name_of(i, room), &value) == E_OK)
        offset = k.kv.ops->offset(&k.kv, value.at);
    k.kv.ops->abort(txn);
    return offset / PAGE;
}

/* Whether who knows what keys there are would believe it. */
static bool is_name(struct span key)
{
    int number;
    char text[16] = "", room[16];
    if (key.len == 0 || key.len >= sizeof text)
        return key.len == 0;
    memcpy(text, key.at, key.len);
    return sscanf(text, "key:%d", &number) == 1 && number >= 0 && number < KEYS * 7 &&
           span_equal(key, name_of(number / 7, room));
}

/* All rows in order, or an error, or what is no row or not in order. */
static bool walks(struct kv_txn *txn)
{
    struct span key, value, before = { 0 };
    int count = 0, error = k.kv.ops->seek(txn, KV_OBJECTS, before, &key, &value);
    for (; error == E_OK; error = k.kv.ops->next(txn, KV_OBJECTS, &key, &value)) {
        if (!is_name(key) || span_compare(before, key) >= 0)
            return true;
        before = key;
        count++;
    }
    return error == E_CORRUPT || error == E_IO || count == KEYS;
}

/* Each row is there, or it is told: by an error, or by neighbours that are none. */
static bool finds(struct kv_txn *txn)
{
    struct span value, before, after;
    char room[16];
    for (int i = 0; i < KEYS; i++) {
        struct span key = name_of(i, room);
        int error = k.kv.ops->get(txn, KV_OBJECTS, key, &value);
        if (error == E_OK)
            continue;
        if (error == E_MISSING)
            error = k.kv.ops->around(txn, KV_OBJECTS, key, &before, &after);
        bool believed = error == E_OK && is_name(before) && is_name(after) &&
                        span_compare(before, key) < 0 &&
                        (after.len == 0 || span_compare(after, key) > 0);
        if (believed || (error != E_OK && error != E_CORRUPT && error != E_IO))
            return false;
    }
    return true;
}

static bool looks(void)
{
    struct kv_txn *txn;
    if (kv_lmdb_open(&k, path, true, problem) != E_OK)
        return true;
    if (k.kv.ops->begin(&k.kv, false, NULL, &txn) != E_OK)
        return false;
    return walks(txn) && finds(txn);
}

/* In a process of its own: a store may be opened once in each. */
static bool tells(void)
{
    return apart(looks);
}

static bool flip(int fd, off_t at, int bit)
{
    uint8_t byte;
    if (pread(fd, &byte, 1, at) != 1)
        return false;
    byte ^= (uint8_t)(1 << bit);
    return pwrite(fd, &byte, 1, at) == 1;
}

TEST(a_row_is_not_hidden_by_any_bit_of_its_pages_head_and_list)
{
    EXPECT(begin() && fill());
    uint64_t first = page_of(0), inner = page_of(KEYS / 2), last = page_of(KEYS - 1);
    EXPECT(first != 0 && first != inner && inner != last);
    kv_lmdb_close(&k);
    EXPECT(tells());
    int fd = open(in(path, "data.mdb"), O_RDWR);
    uint64_t pages[] = { first, inner, last };
    for (size_t p = 0; p < sizeof pages / sizeof pages[0]; p++) {
        for (off_t i = 0; i < 16 + 2 * 25; i++) {
            for (int bit = 0; bit < 8; bit++) {
                off_t at = (off_t)pages[p] * PAGE + i;
                EXPECT(flip(fd, at, bit));
                if (!tells())
                    test_fail(__FILE__, __LINE__, "page %zu, byte %lld, bit %d", p, (long long)i,
                              bit);
                EXPECT(flip(fd, at, bit));
            }
        }
    }
    EXPECT(tells());
    close(fd);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
