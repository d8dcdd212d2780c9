/* The checkpoint as a store: objects, indexes, faults, rot and restarts. */
#include "base/memory.h"
#include "store/checkpoint_trial.h"

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
    EXPECT_EQ(
        checkpoint_write(&writer, &(struct checkpoint_write){ .changes = buffer_span(&changes) }),
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
    CHECK(memory.kv.ops->begin(&memory.kv, true, NULL, &txn) == E_OK);
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

TEST(counts_of_all_databases_or_none)
{
    struct buffer row = { 0 };
    struct kv_txn *txn;
    begin();
    put("k", "one", 0, 0);
    EXPECT_EQ(write_all(), E_OK);
    for (int i = 0; i < USER_DATABASES * 4; i++)
        buffer_put_varint(&row, 0);
    row_seal(&row, 0, span_str("counts"));
    CHECK(memory.kv.ops->begin(&memory.kv, true, NULL, &txn) == E_OK);
    CHECK(memory.kv.ops->put(txn, KV_META, span_str("counts"), buffer_span(&row)) == E_OK);
    CHECK(memory.kv.ops->commit(txn) == E_OK);
    EXPECT_EQ(reopen(), E_CORRUPT);
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

/* Everything that can be asked is asked; what is answered is as it was, or is refused. False: a
 * wrong answer. */
static bool answers_are_true(void)
{
    static const char *const want[][2] = { { "k", "value|" }, { "p", "one|two|" } };
    if (reopen() != E_OK) {
        checkpoint.reader = NULL;
        return strlen(checkpoint.problem) > 0;
    }
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        int error = read_key(0, hash_of(span_str(want[i][0])), span_str(want[i][0]));
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

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
