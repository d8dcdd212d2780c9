/* The checkpoint as a store: against a plain list of records, with faults, rot and restarts. */
#include "store/checkpoint.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "env/kv_memory.h"
#include "store/checkpoint_record.h"

static struct kv_memory memory;
static struct checkpoint checkpoint;
static struct checkpoint_found found;
static struct checkpoint_writer writer;
static struct buffer changes, notes, start;

static void begin(void)
{
    kv_memory_init(&memory);
    checkpoint_writer_init(&writer, &memory.kv);
    CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
}

static void end(void)
{
    checkpoint_close(&checkpoint);
    checkpoint_writer_release(&writer);
    kv_memory_release(&memory);
    buffer_release(&changes);
    buffer_release(&notes);
    buffer_release(&start);
}

static int reopen(void)
{
    checkpoint_close(&checkpoint);
    return checkpoint_open(&checkpoint, &memory.kv, &found);
}

/* --- changes --- */

static uint64_t hash_of(struct span key)
{
    struct table t;
    table_init(&t, NULL, 99);
    return table_hash(&t, key);
}

static void change(enum change_kind kind, uint8_t db, struct span key, struct change more)
{
    more.kind = kind;
    more.db = db;
    more.key = key;
    if (more.hash == 0)
        more.hash = hash_of(key);
    change_put(&changes, &more);
}

static void put(const char *key, const char *piece, uint8_t flags, uint64_t due_ms)
{
    change(CHANGE_PUT, 0, span_str(key),
           (struct change){ .flags = flags, .due_ms = due_ms, .piece = span_str(piece) });
}

static void piece(const char *key, uint64_t number, const char *bytes)
{
    change(CHANGE_PIECE, 0, span_str(key),
           (struct change){ .number = number, .piece = span_str(bytes) });
}

static void done(const char *key)
{
    change(CHANGE_DONE, 0, span_str(key), (struct change){ .flags = 0 });
}

static void gone(const char *key)
{
    change(CHANGE_GONE, 0, span_str(key), (struct change){ .flags = 0 });
}

static void put_start(uint64_t lsn)
{
    struct copy_start s = { .lsn = lsn, .table_seed = 99 };
    buffer_clear(&start);
    copy_start_put(&start, &s);
}

/* One transaction of all that was said since the last. */
static int write_all(void)
{
    int error = checkpoint_write(&writer, &(struct checkpoint_write){
                                              .changes = buffer_span(&changes),
                                              .notes = buffer_span(&notes),
                                              .start = buffer_span(&start),
                                          });
    buffer_clear(&changes);
    buffer_clear(&notes);
    buffer_clear(&start);
    checkpoint_refresh(&checkpoint);
    return error;
}

/* --- reading --- */

static struct buffer taken; /* of the last object: its pieces, each followed by "|" */
static uint8_t taken_flags;

static bool take_piece(void *context, struct span bytes)
{
    (void)context;
    buffer_put(&taken, bytes);
    buffer_put_u8(&taken, '|');
    return true;
}

static int read_key(uint8_t db, uint64_t hash, struct span key)
{
    buffer_clear(&taken);
    taken_flags = 0;
    return checkpoint.cold.ops->read(checkpoint.cold.store, db, hash, key, &taken_flags,
                                     take_piece, NULL);
}

static const char *object(const char *key)
{
    static char text[256];
    int error = read_key(0, hash_of(span_str(key)), span_str(key));
    if (error == E_MISSING)
        return "(nil)";
    if (error != E_OK)
        return checkpoint.problem;
    snprintf(text, sizeof(text), "%.*s", (int)taken.len, (char *)taken.at);
    buffer_release(&taken);
    return text;
}

#define EXPECT_OBJECT(key, text) EXPECT_TEXT(span_str(object(key)), text)

static char heads[512];
static int heads_wanted;

static bool take_head(void *context, const struct cold_head *head)
{
    (void)context;
    size_t len = strlen(heads);
    snprintf(heads + len, sizeof(heads) - len, "%s%.*s:%u:%llu", len ? " " : "", (int)head->key.len,
             (const char *)head->key.at, head->flags, (unsigned long long)head->due_ms);
    return --heads_wanted != 0;
}

static const char *due(uint64_t from_ms, uint64_t to_ms, int most)
{
    heads[0] = '\0';
    heads_wanted = most;
    int error = checkpoint.cold.ops->due(checkpoint.cold.store, from_ms, to_ms, take_head, NULL);
    return error == E_OK ? heads : checkpoint.problem;
}

static const char *contested(uint8_t db)
{
    heads[0] = '\0';
    heads_wanted = 0;
    int error = checkpoint.cold.ops->contested(checkpoint.cold.store, db, take_head, NULL);
    return error == E_OK ? heads : checkpoint.problem;
}

#define EXPECT_HEADS(text, expected) EXPECT_TEXT(span_str(text), expected)

/* --- objects --- */

TEST(a_record_is_read_as_it_was_written)
{
    begin();
    EXPECT(found.empty && !found.start_known);
    put("k", "one", 0, 0);
    put("", "of the empty key", COLD_GHOST, 7);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "one|");
    EXPECT_OBJECT("", "of the empty key|");
    EXPECT_OBJECT("other", "(nil)");
    EXPECT_EQ(read_key(1, hash_of(span_str("k")), span_str("k")), E_MISSING);
    put("k", "", COLD_DEADLINE, 9);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "|");
    EXPECT_EQ(taken_flags, COLD_DEADLINE);
    gone("k");
    gone("never was");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "(nil)");
    end();
}

TEST(a_reader_sees_what_was_committed_when_it_was_refreshed)
{
    begin();
    put("k", "one", 0, 0);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "one|");
    put("k", "two", 0, 0);
    EXPECT_EQ(checkpoint_write(&writer,
                               &(struct checkpoint_write){ .changes = buffer_span(&changes) }),
              E_OK);
    EXPECT_OBJECT("k", "one|");
    checkpoint_refresh(&checkpoint);
    EXPECT_OBJECT("k", "two|");
    end();
}

TEST(counts_start_and_notes_are_found_again)
{
    struct buffer note = { 0 };
    begin();
    put("a", "1", COLD_DEADLINE | COLD_CONTESTED, 50);
    put("b", "2", COLD_GHOST, 60);
    change(CHANGE_PUT, 3, span_str("c"), (struct change){ .piece = span_str("3") });
    buffer_put_u8(&notes, 'm');
    buffer_put_prefixed(&notes, span_str("remember"));
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(!found.start_known && !found.empty);
    put("a", "1", 0, 0);
    put_start(1234);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT(found.start_known && found.start.lsn == 1234 && found.start.table_seed == 99);
    EXPECT_EQ(found.counts[0].keys, 2);
    EXPECT_EQ(found.counts[0].ghosts, 1);
    EXPECT_EQ(found.counts[0].with_deadline, 0);
    EXPECT_EQ(found.counts[0].contested, 0);
    EXPECT_EQ(found.counts[3].keys, 1);
    EXPECT_EQ(checkpoint_note(&checkpoint, 'm', &note), E_OK);
    EXPECT_TEXT(buffer_span(&note), "remember");
    EXPECT_EQ(checkpoint_note(&checkpoint, 'x', &note), E_MISSING);
    buffer_put_u8(&notes, 'm');
    buffer_put_u8(&notes, 0);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(checkpoint_note(&checkpoint, 'm', &note), E_MISSING);
    buffer_release(&note);
    end();
}

TEST(what_is_due_comes_earliest_first_and_what_is_contested_of_its_database)
{
    begin();
    put("late", "", COLD_DEADLINE, 300);
    put("early", "", COLD_DEADLINE, 100);
    put("middle", "", COLD_GHOST, 256);
    put("never", "", COLD_CONTESTED, 0);
    change(CHANGE_PUT, 1, span_str("there"), (struct change){ .flags = COLD_CONTESTED });
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_HEADS(due(0, UINT64_MAX, 0), "early:2:100 middle:1:256 late:2:300");
    EXPECT_HEADS(due(101, 299, 0), "middle:1:256");
    EXPECT_HEADS(due(0, 1000, 2), "early:2:100 middle:1:256");
    EXPECT_HEADS(due(0, 99, 0), "");
    EXPECT_HEADS(contested(0), "never:4:0");
    EXPECT_HEADS(contested(1), "there:4:0");
    EXPECT_HEADS(contested(2), "");
    put("early", "", COLD_DEADLINE, 400);
    gone("middle");
    put("never", "", 0, 0);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_HEADS(due(0, UINT64_MAX, 0), "late:2:300 early:2:400");
    EXPECT_HEADS(contested(0), "");
    EXPECT_EQ(kv_memory_count(&memory, KV_DUE), 2);
    EXPECT_EQ(kv_memory_count(&memory, KV_CONTESTED), 1);
    end();
}

/* --- objects in pieces --- */

TEST(an_image_in_pieces_replaces_what_was_there_with_its_end)
{
    begin();
    put("k", "old", 0, 0);
    piece("k", 0, "a");
    piece("k", 1, "b");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "old|");
    piece("k", 2, "c");
    done("k");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "a|b|c|");
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 3);
    piece("k", 0, "new");
    done("k");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "new|");
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 1);
    gone("k");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 0);
    EXPECT_EQ(kv_memory_count(&memory, KV_OBJECTS), 0);
    end();
}

TEST(an_image_that_is_not_finished_goes_with_the_next_change)
{
    begin();
    piece("k", 0, "a");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 1);
    piece("other", 0, "x");
    done("other");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "(nil)");
    EXPECT_OBJECT("other", "x|");
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 1);
    piece("k", 0, "a");
    EXPECT_EQ(write_all(), E_OK);
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 1);
    end();
}

TEST(another_writer_goes_on_with_an_image)
{
    begin();
    piece("k", 0, "a");
    EXPECT_EQ(write_all(), E_OK);
    checkpoint_writer_release(&writer);
    kv_memory_crash(&memory);
    checkpoint.reader = NULL;
    EXPECT_EQ(reopen(), E_OK);
    checkpoint_writer_init(&writer, &memory.kv);
    piece("k", 1, "b");
    done("k");
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_OBJECT("k", "a|b|");
    end();
}

TEST(large_pieces_are_cut_into_rows_and_joined_again)
{
    static const size_t sizes[] = { PIECE_INLINE_MAX, PIECE_INLINE_MAX + 1, PIECE_ROW_BYTES,
                                    2 * PIECE_ROW_BYTES + 3 };
    begin();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint8_t *bytes = mem_alloc(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            bytes[k] = (uint8_t)(k * 2654435761u >> 24);
        struct span whole = span_of(bytes, sizes[i]), key = span_str("k");
        change(CHANGE_PUT, 0, key, (struct change){ .piece = whole });
        change(CHANGE_PIECE, 0, span_str("p"), (struct change){ .piece = whole });
        change(CHANGE_DONE, 0, span_str("p"), (struct change){ .flags = 0 });
        EXPECT_EQ(write_all(), E_OK);
        for (int twice = 0; twice < 2; twice++, key = span_str("p")) {
            EXPECT_EQ(read_key(0, hash_of(key), key), E_OK);
            EXPECT_EQ(taken.len, sizes[i] + 1);
            EXPECT(memcmp(taken.at, bytes, sizes[i]) == 0);
        }
        mem_free(bytes);
    }
    buffer_release(&taken);
    end();
}

/* --- long keys --- */

enum { LONG = 300 };

/* Two keys of one XXH3-128: where the low halves of a lane are those of the secret nothing is multiplied,
 * and lanes of two stripes are only added up, in any order. */
static struct span colliding(int which, uint8_t *room)
{
    static const uint8_t secret[2][4] = { { 0xb8, 0xfe, 0x6c, 0x39 }, { 0x7c, 0x01, 0x81, 0x2c } };
    memset(room, 'x', LONG);
    for (int stripe = 0; stripe < 2; stripe++) {
        memcpy(room + 64 * stripe, secret[stripe], 4);
        memset(room + 64 * stripe + 4, stripe == which ? 'A' : 'B', 4);
    }
    return span_of(room, LONG);
}

static const char *object_at(uint64_t hash, struct span key)
{
    static char text[64];
    int error = read_key(0, hash, key);
    snprintf(text, sizeof(text), "%.*s", (int)taken.len, (char *)taken.at);
    buffer_release(&taken);
    return error == E_OK ? text : error == E_MISSING ? "(nil)" : checkpoint.problem;
}

TEST(long_keys_of_one_place_stand_beside_each_other)
{
    uint8_t room[2][LONG];
    struct span a = colliding(0, room[0]), b = colliding(1, room[1]);
    struct row_key place = row_key_place(0, 77, a), other = row_key_place(0, 77, b);
    begin();
    EXPECT(!span_equal(a, b));
    EXPECT_SPAN(row_key_span(&place), row_key_span(&other));
    change(CHANGE_PUT, 0, a,
           (struct change){ .hash = 77, .flags = 6, .due_ms = 5, .piece = span_str("A") });
    change(CHANGE_PIECE, 0, b, (struct change){ .hash = 77, .piece = span_str("B") });
    change(CHANGE_DONE, 0, b, (struct change){ .hash = 77, .flags = 6, .due_ms = 5 });
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_EQ(kv_memory_count(&memory, KV_OBJECTS), 1);
    EXPECT_EQ(kv_memory_count(&memory, KV_DUE), 1);
    EXPECT_TEXT(span_str(object_at(77, a)), "A|");
    EXPECT_TEXT(span_str(object_at(77, b)), "B|");
    due(0, 9, 0);
    EXPECT_EQ(heads_wanted, -2);
    change(CHANGE_PUT, 0, a, (struct change){ .hash = 77, .piece = span_str("again") });
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_TEXT(span_str(object_at(77, a)), "again|");
    EXPECT_EQ(kv_memory_count(&memory, KV_DUE), 1);
    EXPECT_EQ(kv_memory_count(&memory, KV_CONTESTED), 1);
    change(CHANGE_GONE, 0, b, (struct change){ .hash = 77 });
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_TEXT(span_str(object_at(77, a)), "again|");
    EXPECT_TEXT(span_str(object_at(77, b)), "(nil)");
    EXPECT_EQ(kv_memory_count(&memory, KV_DUE), 0);
    EXPECT_EQ(kv_memory_count(&memory, KV_CONTESTED), 0);
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 0);
    EXPECT_EQ(reopen(), E_OK);
    EXPECT_EQ(found.counts[0].keys, 1);
    end();
}

TEST(a_key_may_be_as_long_as_a_command_takes)
{
    enum { LEN = 64 << 20 };
    uint8_t *room = mem_zalloc(LEN + 1);
    struct span longest = span_of(room, LEN), longer = span_of(room, LEN + 1);
    begin();
    change(CHANGE_PUT, 0, longest, (struct change){ .hash = 1, .piece = span_str("v") });
    EXPECT_EQ(write_all(), E_OK);
    EXPECT_TEXT(span_str(object_at(1, longest)), "v|");
    change(CHANGE_PUT, 0, longer, (struct change){ .hash = 2, .piece = span_str("v") });
    EXPECT_EQ(write_all(), E_FORMAT);
    mem_free(room);
    end();
}

/* --- what is refused --- */

TEST(malformed_changes_write_nothing)
{
    begin();
    put("k", "one", 0, 0);
    EXPECT_EQ(write_all(), E_OK);
    put("k", "two", 0, 0);
    piece("p", 1, "not the first");
    EXPECT_EQ(write_all(), E_FORMAT);
    EXPECT(strstr(writer.problem, "malformed"));
    put("k", "two", 0, 0);
    done("p");
    EXPECT_EQ(write_all(), E_FORMAT);
    piece("p", 0, "first");
    piece("q", 1, "of another");
    EXPECT_EQ(write_all(), E_FORMAT);
    put("k", "two", 0x40, 0);
    EXPECT_EQ(write_all(), E_FORMAT);
    put("k", "two", 0, 0);
    changes.len--;
    EXPECT_EQ(write_all(), E_FORMAT);
    put("k", "two", 0, 0);
    buffer_put_text(&start, "no start");
    EXPECT_EQ(write_all(), E_FORMAT);
    put("k", "two", 0, 0);
    buffer_put_text(&notes, "m\377");
    EXPECT_EQ(write_all(), E_FORMAT);
    EXPECT_OBJECT("k", "one|");
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 0);
    end();
}

TEST(a_newer_format_is_refused)
{
    struct buffer row = { 0 };
    struct kv_txn *txn;
    begin();
    buffer_put_u32(&row, CHECKPOINT_VERSION + 1);
    row_seal(&row, 0, span_str("format"));
    CHECK(memory.kv.ops->begin(&memory.kv, true, &txn) == E_OK);
    CHECK(memory.kv.ops->put(txn, KV_META, span_str("format"), buffer_span(&row)) == E_OK);
    CHECK(memory.kv.ops->commit(txn) == E_OK);
    EXPECT_EQ(reopen(), E_VERSION);
    EXPECT_TEXT(span_str(checkpoint.problem),
                "checkpoint: meta, \"format\": written by a newer version");
    put("k", "one", 0, 0);
    EXPECT_EQ(write_all(), E_VERSION);
    buffer_release(&row);
    end();
}

static int countdown;

static int fail_at(void *context, enum kv_memory_call call, bool write)
{
    (void)context;
    (void)call;
    return write && countdown-- == 0 ? E_FULL : E_OK;
}

TEST(whatever_call_fails_nothing_of_the_transaction_stays)
{
    int error = E_FULL;
    begin();
    put("k", "old", COLD_DEADLINE, 5);
    piece("p", 0, "old");
    done("p");
    piece("q", 0, "unfinished");
    EXPECT_EQ(write_all(), E_OK);
    memory.fault = fail_at;
    for (int calls = 0; error != E_OK; calls++) {
        countdown = calls;
        put("k", "new", COLD_CONTESTED, 6);
        piece("p", 0, "new");
        done("p");
        put_start(8);
        error = write_all();
        if (error == E_OK)
            break;
        EXPECT_EQ(error, E_FULL);
        EXPECT(strstr(writer.problem, "no space left"));
        EXPECT(calls < 100);
        EXPECT_OBJECT("k", "old|");
        EXPECT_OBJECT("p", "old|");
        EXPECT_HEADS(due(0, 99, 0), "k:2:5");
        EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 2);
    }
    EXPECT_EQ(countdown, 0); /* the last one came to so many calls */
    EXPECT_OBJECT("k", "new|");
    EXPECT_OBJECT("p", "new|");
    EXPECT_EQ(kv_memory_count(&memory, KV_PIECES), 1);
    end();
}

/* --- rot --- */

/* Everything that can be asked is asked; what is answered is as it was, or is refused. False: a wrong
 * answer. */
static bool answers_are_true(void)
{
    int errors = 0;
    static const char *const want[][2] = { { "k", "value|" }, { "p", "one|two|" } };
    if (reopen() != E_OK) {
        checkpoint.reader = NULL;
        return strlen(checkpoint.problem) > 0;
    }
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        int error = read_key(0, hash_of(span_str(want[i][0])), span_str(want[i][0]));
        errors += error == E_CORRUPT;
        if (error != E_CORRUPT && !span_equal(buffer_span(&taken), span_str(want[i][1])))
            return false;
    }
    const char *is_due = due(0, UINT64_MAX, 0);
    if (is_due != checkpoint.problem && strcmp(is_due, "k:6:70") != 0)
        return false;
    const char *is_contested = contested(0);
    return is_contested == checkpoint.problem || strcmp(is_contested, "k:6:70") == 0;
}

TEST(every_bit_that_rots_is_found)
{
    begin();
    put("k", "value", COLD_DEADLINE | COLD_CONTESTED, 70);
    piece("p", 0, "one");
    piece("p", 1, "two");
    done("p");
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    for (int table = 0; table < KV_TABLES; table++) {
        for (uint64_t row = 0; row < kv_memory_count(&memory, (enum kv_table)table); row++) {
            for (uint64_t bit = 0; bit < 8 * 50; bit++) {
                if (!kv_memory_damage(&memory, (enum kv_table)table, row, bit))
                    break;
                EXPECT(answers_are_true());
                put("k", "value", 6, 70); /* must not crash either */
                countdown = 3;
                memory.fault = fail_at;
                (void)write_all();
                memory.fault = NULL;
                kv_memory_damage(&memory, (enum kv_table)table, row, bit);
            }
        }
    }
    EXPECT_EQ(reopen(), E_OK);
    EXPECT_OBJECT("k", "value|");
    buffer_release(&taken);
    kv_memory_damage(&memory, KV_OBJECTS, 0, 3);
    kv_memory_damage(&memory, KV_OBJECTS, 1, 3);
    EXPECT_OBJECT("k", "checkpoint: objects of database 0, \"k\": damaged: the checksum does not "
                       "match");
    end();
}

/* --- clearing --- */

TEST(clearing_goes_in_parts_and_what_is_believed_goes_first)
{
    bool all = false;
    unsigned calls = 0;
    begin();
    for (int i = 0; i < 12000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        put(key, "v", COLD_DEADLINE, 1 + (uint64_t)i);
    }
    put_start(5);
    EXPECT_EQ(write_all(), E_OK);
    for (; !all; calls++) {
        EXPECT_EQ(checkpoint_clear(&writer, &all), E_OK);
        EXPECT_EQ(reopen(), E_OK);
        EXPECT(!found.start_known && found.counts[0].keys == 0);
    }
    EXPECT(calls == 3 && found.empty);
    for (int table = 0; table < KV_TABLES; table++)
        EXPECT_EQ(kv_memory_count(&memory, (enum kv_table)table), 0);
    end();
}

/* --- random changes, beside a plain list --- */

enum { MODEL_KEYS = 60, MODEL_DATABASES = 2 };

static struct model_record {
    bool there;
    uint8_t flags;
    uint64_t due_ms;
    char text[40];
} model[MODEL_DATABASES][MODEL_KEYS];

static struct prng prng;

static struct span model_key(unsigned number)
{
    static uint8_t room[400];
    size_t len = number % 5 == 0 ? 250 + number : 1 + number % 7;
    memset(room, (int)('A' + number), sizeof(room));
    return span_of(room, len);
}

static void change_randomly(void)
{
    uint8_t db = (uint8_t)prng_below(&prng, MODEL_DATABASES);
    unsigned number = (unsigned)prng_below(&prng, MODEL_KEYS);
    struct model_record *m = &model[db][number];
    struct span key = model_key(number);
    if (prng_chance(&prng, 300000)) {
        change(CHANGE_GONE, db, key, (struct change){ .flags = 0 });
        m->there = false;
        return;
    }
    *m = (struct model_record){ true, (uint8_t)prng_below(&prng, 8),
                                prng_below(&prng, 2) * prng_below(&prng, 500), "" };
    unsigned pieces = (unsigned)prng_below(&prng, 4);
    struct change c = { .flags = m->flags, .due_ms = m->due_ms };
    for (unsigned i = 0; i < pieces; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u-%u", number, (unsigned)prng_below(&prng, 100));
        c.number = i;
        c.piece = span_str(text);
        snprintf(m->text + strlen(m->text), sizeof(m->text) - strlen(m->text), "%s|", text);
        change(CHANGE_PIECE, db, key, c);
    }
    if (pieces == 0)
        snprintf(m->text, sizeof(m->text), "|");
    change(pieces > 0 ? CHANGE_DONE : CHANGE_PUT, db, key, c);
}

struct tally_of_heads {
    uint64_t count, last, first_position, last_position;
    bool good;
};

static bool check_head(void *context, const struct cold_head *head)
{
    struct tally_of_heads *t = context;
    uint64_t position = cold_position(hash_of(head->key));
    const struct model_record *m = &model[head->db][head->key.at[0] - 'A'];
    t->good &= m->there && m->flags == head->flags && m->due_ms == head->due_ms &&
               position >= t->first_position && position <= t->last_position;
    t->count++;
    return true;
}

static bool model_agrees(void)
{
    uint64_t all_due = 0, from_ms = prng_below(&prng, 500), to_ms = prng_below(&prng, 500);
    const struct cold_ops *ops = checkpoint.cold.ops;
    struct tally_of_heads t = { .good = true, .last_position = UINT64_MAX };
    bool good = reopen() == E_OK;
    for (uint8_t db = 0; db < MODEL_DATABASES; db++) {
        struct cold_counts c = { 0 };
        uint64_t within = 0, first = prng_next(&prng), last = first | prng_next(&prng);
        for (unsigned i = 0; i < MODEL_KEYS; i++) {
            const struct model_record *m = &model[db][i];
            struct span key = model_key(i);
            int error = read_key(db, hash_of(key), key);
            uint64_t position = cold_position(hash_of(key));
            good &= error == (m->there ? E_OK : E_MISSING) &&
                    (!m->there || (taken_flags == m->flags &&
                                   span_equal(buffer_span(&taken), span_str(m->text))));
            c.keys += m->there;
            c.ghosts += m->there && m->flags & COLD_GHOST;
            c.with_deadline += m->there && m->flags & COLD_DEADLINE;
            c.contested += m->there && m->flags & COLD_CONTESTED;
            all_due += m->there && m->due_ms != 0 && m->due_ms >= from_ms && m->due_ms <= to_ms;
            within += m->there && position >= first && position <= last;
        }
        good &= memcmp(&c, &found.counts[db], sizeof(c)) == 0;
        t = (struct tally_of_heads){ 0, 0, first, last, t.good };
        good &= ops->scan(&checkpoint, db, first, last, check_head, &t) == E_OK &&
                t.count == within;
        t = (struct tally_of_heads){ 0, 0, 0, UINT64_MAX, t.good };
        good &= ops->contested(&checkpoint, db, check_head, &t) == E_OK && t.count == c.contested;
    }
    t.count = 0;
    good &= ops->due(&checkpoint, from_ms, to_ms, check_head, &t) == E_OK && t.count == all_due;
    buffer_release(&taken);
    return good && t.good;
}

TEST(random_changes_leave_what_a_plain_list_has)
{
    begin();
    prng_seed(&prng, test_seed());
    memset(model, 0, sizeof(model));
    for (int round = 0; round < 200; round++) {
        for (uint64_t n = prng_below(&prng, 30); n > 0; n--)
            change_randomly();
        EXPECT_EQ(write_all(), E_OK);
        EXPECT(model_agrees());
    }
    end();
}

/* --- exports --- */

/* Takes all of the checkpoint in small steps into another store, writing on meanwhile; both end up the
 * same, since the other one is given what was written then, as a log would. */
static bool export_into(struct checkpoint_writer *other, size_t max_bytes, bool meanwhile)
{
    struct buffer cursor = { 0 }, out = { 0 }, later = { 0 };
    bool at_end = false, good = true;
    while (!at_end && good) {
        size_t before = out.len;
        good = checkpoint_export(&checkpoint, &cursor, max_bytes, &out, &at_end) == E_OK &&
               (at_end || out.len - before >= max_bytes) && out.len - before < max_bytes + 1000;
        if (prng_chance(&prng, 500000) || at_end) {
            good &= checkpoint_write(other, &(struct checkpoint_write){
                                                .changes = buffer_span(&out) }) == E_OK;
            buffer_clear(&out);
        }
        if (meanwhile && prng_chance(&prng, 300000)) {
            change_randomly();
            buffer_put(&later, buffer_span(&changes));
            good &= write_all() == E_OK;
        }
        if (prng_chance(&prng, 100000))
            good &= reopen() == E_OK;
    }
    good &= checkpoint_write(other, &(struct checkpoint_write){
                                        .changes = buffer_span(&later) }) == E_OK;
    buffer_release(&cursor);
    buffer_release(&out);
    buffer_release(&later);
    return good;
}

TEST(an_export_in_steps_is_the_whole_checkpoint)
{
    begin();
    prng_seed(&prng, test_seed());
    memset(model, 0, sizeof(model));
    for (int round = 0; round < 60; round++) {
        struct kv_memory other_memory;
        struct checkpoint_writer other;
        for (int n = 0; n < 40; n++)
            change_randomly();
        EXPECT_EQ(write_all(), E_OK);
        kv_memory_init(&other_memory);
        checkpoint_writer_init(&other, &other_memory.kv);
        EXPECT(export_into(&other, 1 + prng_below(&prng, 300), round % 2 == 1));
        EXPECT(model_agrees());
        checkpoint_close(&checkpoint);
        struct kv_memory mine = memory;
        memory = other_memory; /* and now the same of the other one */
        list_init(&memory.txns);
        EXPECT_EQ(checkpoint_open(&checkpoint, &memory.kv, &found), E_OK);
        EXPECT(model_agrees());
        checkpoint_close(&checkpoint);
        kv_memory_release(&memory);
        checkpoint_writer_release(&other);
        memory = mine;
        list_init(&memory.txns);
        EXPECT_EQ(checkpoint_open(&checkpoint, &memory.kv, &found), E_OK);
    }
    end();
}

TEST(an_export_of_long_keys_of_one_place_has_all_of_them)
{
    uint8_t room[2][LONG];
    struct span a = colliding(0, room[0]), b = colliding(1, room[1]);
    begin();
    for (uint64_t i = 0; i < 3; i++)
        change(CHANGE_PIECE, 0, a,
               (struct change){ .hash = 7, .number = i, .piece = span_str("a") });
    change(CHANGE_DONE, 0, a, (struct change){ .hash = 7 });
    for (uint64_t i = 0; i < 3; i++)
        change(CHANGE_PIECE, 0, b,
               (struct change){ .hash = 7, .number = i, .piece = span_str("b") });
    change(CHANGE_DONE, 0, b, (struct change){ .hash = 7 });
    EXPECT_EQ(write_all(), E_OK);
    struct buffer cursor = { 0 }, out = { 0 };
    bool at_end = false;
    for (int calls = 0; !at_end; calls++) {
        EXPECT(calls < 10);
        EXPECT_EQ(checkpoint_export(&checkpoint, &cursor, 1, &out, &at_end), E_OK);
    }
    struct span in = buffer_span(&out);
    struct change c;
    char order[16] = "";
    while (change_take(&in, &c)) {
        bool is_a = span_equal(c.key, a);
        EXPECT(is_a || span_equal(c.key, b));
        EXPECT_EQ(c.hash, 7);
        strcat(order, c.kind == CHANGE_DONE ? "." : is_a ? "a" : "b");
    }
    EXPECT_TEXT(span_str(order), "aaa.bbb.");
    buffer_clear(&cursor);
    buffer_put_text(&cursor, "\377 no cursor");
    EXPECT_EQ(checkpoint_export(&checkpoint, &cursor, 1, &out, &at_end), E_FORMAT);
    buffer_release(&cursor);
    buffer_release(&out);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
