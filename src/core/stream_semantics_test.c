/*
 * What concurrent writes of streams end in, case by case, as in semantics_test.c.
 */
#include "base/test.h"
#include "core/trial.h"

/* --- what clients do --- */

static struct stream_id xadd_after(size_t region, const char *key, const char *value,
                                   struct stream_id after)
{
    struct buffer fields = { 0 };
    struct replica *r = begin(region);
    buffer_put_varint(&fields, 1);
    buffer_put_prefixed(&fields, span_str("f"));
    buffer_put_prefixed(&fields, span_str(value));
    struct stream_id id = emit_stream_add(r, 0, span_str(key), after, buffer_span(&fields));
    end(region);
    buffer_release(&fields);
    return id;
}

static struct stream_id xadd(size_t region, const char *key, const char *value)
{
    return xadd_after(region, key, value, (struct stream_id){ 0 });
}

static void xdel(size_t region, const char *key, struct stream_id id)
{
    uint8_t name[STREAM_ID_BYTES];
    struct replica *r = begin(region);
    struct emit_fields e;
    emit_fields_begin(&e, r, OP_TAKE, COMPONENT_STREAM, 0, span_str(key));
    emit_fields_add(&e, stream_id_encode(id, name), span_of(NULL, 0));
    emit_fields_end(&e);
    end(region);
}

/* What a region that writes alone keeps beside the entries. */
static void put_group_item(size_t region, const char *key, const char *name, const char *value)
{
    COMMAND(region, put_fields(r, OP_PUT, COMPONENT_GROUPS, key, name, value));
}

/* --- what readers see: "a b" in the order of the ids --- */

static const char *entries(size_t region, const char *key)
{
    static char text[512];
    struct btree_cursor c;
    const struct entry *object = object_at(region, key);
    if (!object || object_visible(object) != COMPONENT_STREAM)
        return object ? "(another type)" : "(nil)";
    const struct btree *order = object_order(object, COMPONENT_STREAM);
    size_t len = 0;
    text[0] = 0;
    for (const struct entry *e = order ? btree_seek(order, 0, &c) : NULL; e; e = btree_next(&c)) {
        struct span value;
        CHECK(entry_read(e, NULL, &value));
        stream_fields_count(&value);
        stream_fields_next(&value);
        struct span v = stream_fields_next(&value);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", len ? " " : "",
                                (int)v.len, (const char *)v.at);
    }
    return text;
}

#define EXPECT_ENTRIES(key, expected)                                                              \
    do {                                                                                           \
        for (size_t region_ = 0; region_ < trial.count; region_++)                                 \
            EXPECT_TEXT(span_str(entries(region_, key)), expected);                                \
        EXPECT(all_equal());                                                                       \
    } while (0)

/* --- entries --- */

STORY(3, concurrent_entries_all_stay_in_one_order)
{
    xadd(A, "x", "a");
    xadd(B, "x", "b");
    xadd(C, "x", "c");
    xadd(A, "x", "d");
    synced();
    EXPECT_ENTRIES("x", "a b c d");
}

STORY(2, entries_of_one_millisecond_have_ids_of_their_own)
{
    trial.regions[A].skew_ms = 1; /* A writes first, at the time of B's */
    struct stream_id a = xadd(A, "x", "a"), b = xadd(B, "x", "b");
    EXPECT_EQ(a.ms, b.ms);
    EXPECT_EQ(a.sequence & 0xff, 1);
    EXPECT_EQ(b.sequence & 0xff, 2);
    synced();
    EXPECT_ENTRIES("x", "a b");
}

STORY(2, an_entry_comes_after_all_that_its_writer_had_seen)
{
    trial.regions[B].skew_ms = -900;
    struct stream_id a = xadd(A, "x", "a");
    later(450);
    synced();
    struct stream_id b = xadd(B, "x", "b");
    EXPECT(stream_id_compare(a, b) < 0);
    synced();
    EXPECT_ENTRIES("x", "a b");
}

STORY(1, an_id_after_a_greater_one_is_the_next)
{
    const struct stream_id far = { UINT64_C(1) << 50, UINT64_MAX };
    struct stream_id id = xadd_after(A, "x", "a", far);
    EXPECT_EQ(id.ms, far.ms + 1);
    EXPECT_EQ(id.sequence, 0);
}

STORY(2, an_entry_that_comes_late_stands_before_what_was_read)
{
    xadd(B, "x", "late");
    xadd(A, "x", "early");
    EXPECT_TEXT(span_str(entries(A, "x")), "early");
    synced();
    EXPECT_ENTRIES("x", "late early");
}

STORY(2, a_removal_of_the_key_takes_what_it_saw)
{
    xadd(A, "x", "base");
    synced();
    del(A, "x");
    xadd(B, "x", "b");
    synced();
    EXPECT_ENTRIES("x", "b");
    del(B, "x");
    synced();
    EXPECT_ENTRIES("x", "(nil)");
    EXPECT_EQ(trial.regions[A].replica.databases[0].keys.count, 0);
}

STORY(2, an_entry_that_both_remove_is_removed_and_the_empty_stream_with_it)
{
    struct stream_id a = xadd(A, "x", "a");
    synced();
    xdel(A, "x", a);
    xdel(B, "x", a);
    synced();
    EXPECT_ENTRIES("x", "(nil)");
}

STORY(2, a_trim_removes_what_was_there_and_spares_what_comes)
{
    struct stream_id a = xadd(A, "x", "a");
    synced();
    xdel(A, "x", a); /* XTRIM x MAXLEN 0 */
    xadd(B, "x", "b");
    synced();
    EXPECT_ENTRIES("x", "b");
}

STORY(2, a_copy_of_an_entry_that_was_removed_elsewhere_is_there)
{
    struct stream_id a = xadd(A, "x", "a");
    synced();
    xdel(B, "x", a);
    xadd_after(A, "x", "b", a);
    synced();
    EXPECT_ENTRIES("x", "b");
}

/* --- other types under the key, deadlines, groups --- */

STORY(2, a_stream_beside_a_string_is_hidden_by_the_larger_stamp)
{
    xadd(A, "x", "a");
    set(B, "x", "v");
    synced();
    EXPECT_TEXT(span_str(entries(A, "x")), "(another type)");
    EXPECT_EVERYWHERE("x", "v");
    xadd(A, "x", "b"); /* has observed the string */
    synced();
    EXPECT_ENTRIES("x", "a b");
}

STORY(2, an_expired_stream_is_removed_before_it_is_written)
{
    xadd(A, "x", "a");
    expire(A, "x", 100);
    synced();
    later(101);
    EXPECT_TEXT(span_str(entries(B, "x")), "(nil)");
    xadd(B, "x", "b");
    synced();
    EXPECT_ENTRIES("x", "b");
}

STORY(2, groups_alone_are_an_empty_stream)
{
    put_group_item(A, "x", "s", "");
    synced();
    EXPECT_ENTRIES("x", "");
    struct stream_id a = xadd(A, "x", "a");
    xdel(A, "x", a);
    synced();
    EXPECT_ENTRIES("x", "");
}

STORY(2, groups_go_with_their_stream)
{
    xadd(A, "x", "a");
    put_group_item(A, "x", "gname", "");
    synced();
    del(A, "x");
    synced();
    EXPECT_ENTRIES("x", "(nil)");
    put_group_item(A, "x", "gname", "");
    xadd(A, "x", "a");
    set(A, "x", "v");
    synced();
    EXPECT_EVERYWHERE("x", "v");
    EXPECT_EQ(object_at(B, "x")->form, ENTRY_INLINE);
}

STORY(2, a_write_to_the_stream_spares_its_groups)
{
    put_group_item(A, "x", "gname", "");
    synced();
    xadd(A, "x", "a");
    synced();
    EXPECT_ENTRIES("x", "a");
    EXPECT_EQ(object_order(object_at(B, "x"), COMPONENT_GROUPS)->count, 1);
}

/* --- random histories --- */

enum { HISTORY_REGIONS = 3, HISTORY_STEPS = 400 };

static void random_step(struct prng *p)
{
    size_t region = prng_below(p, HISTORY_REGIONS);
    const struct entry *e = object_at(region, "x");
    const struct btree *order = e ? object_order(e, COMPONENT_STREAM) : NULL;
    uint64_t what = prng_below(p, 20);
    if (what < 10)
        xadd(region, "x", "v");
    else if (what < 14 && order)
        xdel(region, "x",
             stream_id_decode(entry_name(btree_at(order, prng_below(p, order->count)))));
    else if (what == 14)
        del(region, "x");
    else if (what == 15)
        set(region, "x", "v");
    else
        deliver_all(region, prng_below(p, HISTORY_REGIONS));
}

TEST(random_histories_of_a_stream_converge)
{
    struct prng p;
    prng_seed(&p, test_seed());
    world(HISTORY_REGIONS);
    for (int i = 0; i < HISTORY_STEPS; i++)
        random_step(&p);
    synced();
    EXPECT(all_equal());
    const struct entry *e = object_at(A, "x");
    if (e && object_order(e, COMPONENT_STREAM))
        btree_check(object_order(e, COMPONENT_STREAM));
    end_of_world();
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
