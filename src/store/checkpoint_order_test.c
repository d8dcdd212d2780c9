#include "store/checkpoint_order.h"

#include "store/checkpoint_trial.h"

enum { KEYS = 36, DATABASES = 3, LONG_NAME = PLACE_KEY_MAX + 40 };

/* What stands there: keys of several databases, some of them long; and as many that are not there. */
struct name {
    uint8_t db;
    size_t len;
    char bytes[LONG_NAME];
};
static struct name names[KEYS], absent[KEYS];

static struct span name_of(const struct name *n)
{
    return span_of(n->bytes, n->len);
}

static struct name make_name(const char *kind, int i)
{
    struct name n = { .db = (uint8_t)(i % DATABASES * 2) };
    memset(n.bytes, '.', sizeof(n.bytes));
    n.len = (size_t)snprintf(n.bytes, sizeof(n.bytes), "%s:%d", kind, i);
    if (i % 9 == 8)
        n.len = LONG_NAME - (size_t)i;
    return n;
}

static void fill(void)
{
    for (int i = 0; i < KEYS; i++) {
        uint8_t flags = (uint8_t)((i % 5 == 0 ? COLD_CONTESTED : 0) |
                                  (i % 4 == 0 ? COLD_DEADLINE : 0));
        names[i] = make_name("key", i);
        absent[i] = make_name("none", i);
        change(CHANGE_PUT, names[i].db, name_of(&names[i]),
               (struct change){ .flags = flags,
                                .due_ms = i % 4 == 0 ? 1000 + (uint64_t)i % 3 : 0,
                                .piece = name_of(&names[i]) });
    }
    piece("key:0", 0, "key:");
    piece("key:0", 1, "0");
    done("key:0");
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
}

/* Heads of a walk, by a sum that the same heads in the same order make again. */
struct heads {
    uint64_t sum;
    unsigned count;
};

static bool add_head(void *context, const struct cold_head *head)
{
    struct heads *h = context;
    struct table t;
    table_init(&t, NULL, h->sum + head->due_ms + head->flags + head->db);
    h->sum = table_hash(&t, head->key);
    h->count++;
    return true;
}

/* The walks that are tried, by number; false: there is none of that number. */
static bool walk_of(unsigned number, int *error, struct heads *h)
{
    enum { CELLS = 8 };
    const struct cold_ops *ops = checkpoint.cold.ops;
    void *store = checkpoint.cold.store;
    uint64_t cell = UINT64_MAX / CELLS + 1;
    *h = (struct heads){ 0 };
    if (number < DATABASES * CELLS) {
        uint64_t first = number % CELLS * cell;
        *error = ops->scan(store, (uint8_t)(number / CELLS * 2), first, first + (cell - 1),
                           add_head, h);
        return true;
    }
    number -= DATABASES * CELLS;
    if (number < DATABASES) {
        *error = ops->scan(store, (uint8_t)(number * 2), 0, UINT64_MAX, add_head, h);
        return true;
    }
    number -= DATABASES;
    if (number < DATABASES) {
        *error = ops->contested(store, (uint8_t)(number * 2), add_head, h);
        return true;
    }
    number -= DATABASES;
    struct cold_due from = { .ms = 999 + number };
    *error = ops->due(store, &from, 1000 + number, add_head, h);
    return number < 4;
}

static bool walks_are_true(const struct heads *want)
{
    struct heads h;
    int error;
    for (unsigned i = 0; walk_of(i, &error, &h); i++) {
        if (error != E_CORRUPT && (error != E_OK || h.sum != want[i].sum))
            return false;
    }
    return true;
}

static bool reads_are_true(void)
{
    for (int i = 0; i < KEYS; i++) {
        struct span key = name_of(&names[i]), none = name_of(&absent[i]);
        int error = read_key(names[i].db, hash_of(key), key);
        if (error != E_CORRUPT && (error != E_OK || (i > 0 && taken.len != key.len + 1)))
            return false;
        error = read_key(absent[i].db, hash_of(none), none);
        if (error != E_MISSING && error != E_CORRUPT)
            return false;
    }
    return true;
}

/* All records, in steps. */
static int export_all(struct buffer *all)
{
    struct buffer cursor = { 0 };
    bool is_end = false;
    int error = E_OK;
    buffer_clear(all);
    while (error == E_OK && !is_end)
        error = checkpoint_export(&checkpoint, &cursor, 200, all, &is_end);
    buffer_release(&cursor);
    return error;
}

static bool export_is_true(struct span want)
{
    struct buffer all = { 0 };
    int error = export_all(&all);
    bool good = error == E_CORRUPT || (error == E_OK && span_equal(buffer_span(&all), want));
    buffer_release(&all);
    return good;
}

static bool answers_are_true(const struct heads *want, struct span exported)
{
    if (reopen() == E_OK)
        return reads_are_true() && walks_are_true(want) && export_is_true(exported);
    checkpoint.reader = NULL;
    return strlen(checkpoint.problem) > 0;
}

TEST(a_row_is_not_hidden_by_any_bit_of_its_key_that_rots)
{
    struct heads want[64];
    struct buffer exported = { 0 };
    unsigned walks = 0, heads_count = 0;
    int error;
    begin();
    fill();
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(reads_are_true());
    for (; walk_of(walks, &error, &want[walks]); walks++) {
        EXPECT_EQ(error, E_OK);
        heads_count += want[walks].count;
    }
    EXPECT(heads_count > 2 * KEYS);
    EXPECT_EQ(export_all(&exported), E_OK);
    EXPECT(answers_are_true(want, buffer_span(&exported)));
    for (int t = 0; t < KV_TABLES; t++) {
        enum kv_table table = (enum kv_table)t;
        for (uint64_t row = 0; row < kv_memory_count(&memory, table); row++) {
            for (uint64_t bit = 0; bit < (8 + PLACE_HEAD_BYTES + 10) * 8; bit++) {
                kv_memory_damage_key(&memory, table, row, bit);
                if (!answers_are_true(want, buffer_span(&exported)))
                    test_fail(__FILE__, __LINE__, "table %d, row %llu, bit %llu", t,
                              (unsigned long long)row, (unsigned long long)bit);
                kv_memory_damage_key(&memory, table, row, bit);
            }
        }
    }
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(reads_are_true());
    buffer_release(&exported);
    buffer_release(&taken);
    end();
}

TEST(who_finds_nothing_beside_a_damaged_row_is_told_of_that_row)
{
    begin();
    put("k", "value", 0, 0);
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("none", "(nil)");
    kv_memory_damage_key(&memory, KV_OBJECTS, 0, (PLACE_HEAD_BYTES + 0) * 8 + 1);
    EXPECT_OBJECT("k", "checkpoint: objects of database 0, \"i\": damaged: the checksum does not "
                       "match");
    end();
}

static unsigned gets;

static int count_gets(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    gets += call == KV_MEMORY_GET && !write;
    return E_OK;
}

/* Else a write of a new key would read two others, however large they are. */
TEST(who_finds_nothing_reads_no_objects_of_others)
{
    char key[16];
    begin();
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, "v", 0, 0);
    }
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("none", "(nil)"); /* learns the seed */
    memory.fault = count_gets;
    gets = 0;
    for (int i = 1000; i < 2000; i++) {
        snprintf(key, sizeof(key), "%d", i);
        EXPECT_OBJECT(key, "(nil)");
    }
    EXPECT(gets <= 1000 + 10); /* the table's ends are looked at */
    memory.fault = NULL;
    end();
}

TEST(a_table_is_not_empty_when_there_are_keys_to_be)
{
    begin();
    EXPECT_OBJECT("k", "(nil)");
    put("k", "value", 0, 0);
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    struct kv_txn *txn;
    struct row_key place = row_key_place(0, hash_of(span_str("k")), span_str("k"));
    EXPECT_EQ(memory.kv.ops->begin(&memory.kv, true, NULL, &txn), E_OK);
    EXPECT_EQ(memory.kv.ops->del(txn, KV_OBJECTS, row_key_span(&place)), E_OK);
    EXPECT_EQ(memory.kv.ops->commit(txn), E_OK);
    checkpoint_refresh(&checkpoint);
    EXPECT_EQ(read_key(0, hash_of(span_str("k")), span_str("k")), E_CORRUPT);
    EXPECT_EQ(reopen(), E_CORRUPT);
    checkpoint.reader = NULL;
    buffer_release(&taken);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
