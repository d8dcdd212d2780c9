/* Random changes beside a plain list of records, and exports, which make the same checkpoint
 * elsewhere. */
#include "base/prng.h"
#include "store/checkpoint_trial.h"

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
    struct cold_due from = { .ms = from_ms };
    good &= ops->due(&checkpoint, &from, to_ms, check_head, &t) == E_OK && t.count == all_due;
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

/* Takes all of the checkpoint in small steps into another store, writing on meanwhile; both end up
 * the same, since the other one is given what was written then, as a log would. */
static bool export_into(struct checkpoint_writer *other, size_t max_bytes, bool meanwhile)
{
    struct buffer cursor = { 0 }, out = { 0 }, later = { 0 };
    bool at_end = false, good = true;
    while (!at_end && good) {
        size_t before = out.len;
        good = checkpoint_export(&checkpoint, &cursor, max_bytes, &out, &at_end) == E_OK &&
               (at_end || out.len - before >= max_bytes) && out.len - before < max_bytes + 1000;
        if (prng_chance(&prng, 500000) || at_end) {
            good &= checkpoint_write(
                        other, &(struct checkpoint_write){ .changes = buffer_span(&out) }) == E_OK;
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
    good &= checkpoint_write(other, &(struct checkpoint_write){ .changes = buffer_span(&later) }) ==
            E_OK;
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

TEST(a_cursor_can_be_told_without_the_key_it_stands_at)
{
    begin();
    struct span a = span_str("first"), b = span_str("second"), key;
    change(CHANGE_PUT, 0, a, (struct change){ .hash = 7, .piece = span_str("x") });
    change(CHANGE_PUT, 0, b, (struct change){ .hash = 9, .piece = span_str("y") });
    EXPECT_EQ(write_all(), E_OK);
    struct buffer cursor = { 0 }, unnamed = { 0 }, out = { 0 }, again = { 0 };
    bool at_end = false;
    EXPECT(!checkpoint_cursor_key(buffer_span(&cursor), &key)); /* from the first */
    while (!at_end) {
        EXPECT_EQ(checkpoint_export(&checkpoint, &cursor, 1, &out, &at_end), E_OK);
        EXPECT(checkpoint_cursor_key(buffer_span(&cursor), &key));
        bool is_a = span_equal(key, a);
        EXPECT(is_a || span_equal(key, b));
        checkpoint_cursor_unnamed(buffer_span(&cursor), &unnamed);
        EXPECT(!checkpoint_cursor_key(buffer_span(&unnamed), &key));
        bool end = false;
        struct change c;
        buffer_clear(&again);
        EXPECT_EQ(checkpoint_export(&checkpoint, &unnamed, 1, &again, &end), E_OK);
        struct span in = buffer_span(&again);
        EXPECT(change_take(&in, &c) && span_equal(c.key, is_a ? a : b));
    }
    buffer_release(&cursor);
    buffer_release(&unnamed);
    buffer_release(&out);
    buffer_release(&again);
    end();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
