/* Every type side by side: convergence of random histories, hyperloglogs, what is contested. */
#include "base/test.h"
#include "core/zset_trial.h"

/* --- a little more language --- */

static void pfadd(size_t region, const char *key, uint16_t index, uint8_t value)
{
    COMMAND(region, emit_hll(r, 0, span_str(key), &(struct hll_register){ index, value }, 1));
}

static void push(size_t region, const char *key, uint64_t rank, bool right, const char *value)
{
    struct span s = span_str(value);
    COMMAND(region, emit_list_insert(r, 0, span_str(key), rank, right, &s, 1));
}

static void xadd(size_t region, const char *key)
{
    static const uint8_t fields[] = { 1, 1, 'f', 1, 'v' };
    COMMAND(region, emit_stream_add(r, 0, span_str(key), (struct stream_id){ 0 },
                                    span_of(fields, sizeof(fields))));
}

static const struct part *part_at(size_t region, const char *key, enum component c)
{
    const struct entry *e = database_find(&at(region)->databases[0], span_str(key));
    return e ? object_part(e, c) : NULL;
}

/* The register of the hyperloglog that readers see. */
static int maximum(size_t region, const char *key, uint16_t index)
{
    const struct part *p = part_at(region, key, COMPONENT_HLL);
    uint8_t registers[HLL_REGISTERS] = { 0 };
    if (!p)
        return -1;
    hll_maxima(&p->hll, registers);
    return registers[index];
}

/* --- hyperloglogs --- */

STORY(3, hyperloglogs_of_two_regions_are_their_union)
{
    pfadd(A, "k", 1, 5);
    pfadd(B, "k", 1, 7);
    pfadd(B, "k", 2, 3);
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(maximum(C, "k", 1), 7);
    EXPECT_EQ(maximum(C, "k", 2), 3);
}

STORY(2, a_removal_takes_what_is_added_meanwhile_to_what_it_saw)
{
    pfadd(A, "k", 1, 5);
    synced();
    del(A, "k");
    pfadd(B, "k", 2, 9);
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(maximum(A, "k", 2), -1);
}

STORY(2, a_hyperloglog_opened_meanwhile_survives_a_removal)
{
    pfadd(A, "k", 1, 5);
    del(A, "k");
    pfadd(B, "k", 2, 9);
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(maximum(A, "k", 1), 0);
    EXPECT_EQ(maximum(A, "k", 2), 9);
}

STORY(2, many_registers_become_dense_and_stay_equal)
{
    for (uint16_t i = 0; i < HLL_SPARSE_MAX + 100; i++)
        pfadd(i % 2 ? A : B, "k", (uint16_t)(i * 13 % HLL_REGISTERS), (uint8_t)(1 + i % 40));
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(maximum(A, "k", 13), 2);
    EXPECT(part_at(A, "k", COMPONENT_HLL)->hll.count == 2);
}

/* --- what stands side by side --- */

static struct conflict last;
static char last_values[2][32], last_item[32];
static unsigned conflicts;

static void note(void *context, const struct conflict *c)
{
    (void)context;
    last = *c;
    conflicts++;
    snprintf(last_item, sizeof(last_item), "%.*s", (int)c->item.len, (const char *)c->item.at);
    for (int i = 0; i < 2; i++)
        snprintf(last_values[i], sizeof(last_values[i]), "%.*s", (int)c->value[i].len,
                 (const char *)c->value[i].at);
}

static const struct database_watch watch = { .conflict = note };

static void watch_region(size_t region)
{
    conflicts = 0;
    trial.regions[region].replica.databases[0].watch = &watch;
}

static uint64_t contested(size_t region)
{
    return trial.regions[region].replica.databases[0].contested_count;
}

STORY(2, concurrent_values_are_told_with_both_and_contested_until_written_over)
{
    watch_region(A);
    set(A, "k", "a");
    set(B, "k", "b");
    synced();
    EXPECT_EQ(conflicts, 1);
    EXPECT_TEXT(span_str(last_values[0]), "b");
    EXPECT_TEXT(span_str(last_values[1]), "a");
    EXPECT_EQ(contested(A), 1);
    EXPECT_EQ(contested(B), 1);
    set(B, "k", "c");
    synced();
    EXPECT_EQ(contested(A), 0);
    EXPECT_EQ(contested(B), 0);
    EXPECT_EQ(conflicts, 1);
}

STORY(2, equal_values_and_members_are_no_conflict)
{
    watch_region(A);
    set(A, "k", "same");
    set(B, "k", "same");
    sadd(A, "s", "m");
    sadd(B, "s", "m");
    synced();
    EXPECT_EQ(conflicts, 0);
    EXPECT_EQ(contested(A), 0);
}

STORY(2, a_conflict_of_a_field_names_it)
{
    watch_region(A);
    hset(A, "h", "f", "1");
    hset(B, "h", "f", "2");
    synced();
    EXPECT_EQ(conflicts, 1);
    EXPECT_TEXT(span_str(last_item), "f");
    EXPECT_EQ(last.component, COMPONENT_HASH);
    hdel(A, "h", "f");
    synced();
    EXPECT_EQ(contested(A), 0);
    EXPECT_EQ(contested(B), 0);
}

STORY(2, two_types_under_one_key_are_a_conflict)
{
    watch_region(A);
    set(A, "k", "v");
    sadd(B, "k", "m");
    synced();
    EXPECT_EQ(conflicts, 1);
    EXPECT_EQ(last.component, COMPONENT_SET);
    EXPECT_EQ(last.against, COMPONENT_STRING);
    EXPECT_TEXT(span_str(last_values[1]), "v");
    EXPECT_EQ(contested(B), 1);
    EXPECT_EVERYWHERE("k", "m");
    srem(B, "k", "m");
    synced();
    EXPECT_EQ(contested(A), 0);
    EXPECT_EVERYWHERE("k", "(nil)");
}

/* --- more than one op holds --- */

static void put_big_fields(size_t region, const char *key, enum op_kind kind, size_t count)
{
    static uint8_t megabyte[1 << 20];
    struct replica *r = begin(region);
    struct emit_fields e;
    emit_fields_begin(&e, r, kind, COMPONENT_HASH, 0, span_str(key));
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%zu", i);
        emit_fields_add(&e, span_str(name), span_of(megabyte, sizeof(megabyte)));
    }
    emit_fields_end(&e);
    end(region);
}

static uint64_t item_count(size_t region, const char *key, enum component c)
{
    const struct part *p = part_at(region, key, c);
    return p ? part_count(p) : 0;
}

STORY(1, a_write_of_more_than_one_op_holds_is_several)
{
    put_big_fields(A, "h", OP_PUT, 150);
    EXPECT_EQ(item_count(A, "h", COMPONENT_HASH), 150);
}

TEST(a_push_of_more_than_one_op_holds_goes_on_where_it_was)
{
    enum { COUNT = 150, BYTES = 1 << 20 };
    static uint8_t megabyte[BYTES];
    struct span values[COUNT];
    world(1);
    for (size_t i = 0; i < COUNT; i++)
        values[i] = span_of(megabyte, BYTES - i);
    COMMAND(A, EXPECT(emit_list_insert(r, 0, span_str("l"), 0, true, values, COUNT)));
    COMMAND(A, EXPECT(emit_list_insert(r, 0, span_str("m"), 0, false, values, COUNT)));
    for (size_t i = 0; i < COUNT; i++) {
        const struct btree *right = &part_at(A, "l", COMPONENT_LIST)->order;
        const struct btree *left = &part_at(A, "m", COMPONENT_LIST)->order;
        EXPECT_EQ(((struct entry *)btree_at(right, i))->value_len, BYTES - i);
        EXPECT_EQ(((struct entry *)btree_at(left, COUNT - 1 - i))->value_len, BYTES - i);
    }
    end_of_world();
}

TEST(what_does_not_fit_into_a_kept_group_is_not_taken)
{
    enum { COUNT = 70000, NAME_BYTES = 1000 };
    char name[NAME_BYTES + 1];
    struct emit_fields e;
    world(1);
    struct replica *r = begin(A);
    replica_keep_group(r);
    memset(name, 'n', NAME_BYTES);
    name[NAME_BYTES] = 0;
    emit_string(r, 0, span_str("a"), span_str("1"), TIME_NONE, 0);
    emit_fields_begin(&e, r, OP_TAKE, COMPONENT_SET, 0, span_str("s"));
    for (size_t i = 0; i < COUNT; i++)
        emit_fields_add(&e, span_str(name), span_of(NULL, 0));
    emit_fields_end(&e);
    EXPECT(r->group_refused);
    r->group_refused = false;
    emit_string(r, 0, span_str("b"), span_str("1"), TIME_NONE, 0);
    EXPECT_EQ(r->open_ops, 2);
    end(A);
    end_of_world();
}

TEST(making_way_for_a_write_leaves_the_visible_type_alone)
{
    enum { FIELDS = 60000, PREFIX = 1200 }; /* whose counters are too many for one op */
    char name[PREFIX + 16];
    world(2);
    set(A, "k", "hidden");
    memset(name, 'f', sizeof(name));
    struct replica *r = begin(B);
    for (int i = 0; i < FIELDS; i++) {
        int len = snprintf(name + PREFIX, 16, "%d", i);
        emit_field_bump(r, 0, COMPONENT_HASH, span_str("k"), span_of(name, PREFIX + (size_t)len),
                        whole(1));
    }
    end(B);
    synced();
    EXPECT(part_drop_bytes(part_at(A, "k", COMPONENT_HASH)) > GROUP_MAX_BYTES);
    hset(A, "k", "one", "more");
    EXPECT_EQ(item_count(A, "k", COMPONENT_HASH), FIELDS + 1);
    EXPECT(!(object_components(object_at(A, "k")) & 1 << COMPONENT_STRING));
    end_of_world();
}

TEST(two_writers_past_a_far_id_make_two_entries)
{
    static const uint8_t fields[] = { 1, 1, 'f', 1, 'v' };
    struct stream_id far = { UINT64_C(1) << 50, 7 };
    world(2);
    for (size_t region = A; region <= B; region++)
        COMMAND(region, emit_stream_add(r, 0, span_str("x"), far, span_of(fields, sizeof(fields))));
    synced();
    EXPECT(all_equal());
    EXPECT_EQ(item_count(A, "x", COMPONENT_STREAM), 2);
    end_of_world();
}

/* --- random histories --- */

static const char *const KEYS[] = { "k1", "k2" };
static const char *const NAMES[] = { "f1", "f2", "f3" };

static const char *one_of(struct prng *p, const char *const *list, size_t count)
{
    return list[prng_below(p, count)];
}

static void change_items(size_t region, const char *key, enum component c, enum op_kind kind,
                         struct prng *p)
{
    const struct part *part = part_at(region, key, c);
    uint64_t count = part ? part_count(part) : 0;
    struct part_iter it;
    struct replica *r = begin(region);
    struct emit_fields e;
    part = count ? object_part(database_find(&r->databases[0], span_str(key)), c) : NULL;
    emit_fields_begin(&e, r, kind, c, 0, span_str(key));
    if (part) {
        part_iter_init(&it, part);
        struct entry *item = part_iter_next(&it);
        for (uint64_t skip = prng_below(p, count); skip > 0; skip--)
            item = part_iter_next(&it);
        struct buffer name = { 0 };
        buffer_put(&name, entry_name(item));
        emit_fields_add(&e, buffer_span(&name), span_str("set"));
        buffer_release(&name);
    }
    emit_fields_end(&e);
    end(region);
}

static void act(struct prng *p, size_t region)
{
    const char *key = one_of(p, KEYS, COUNT_OF(KEYS)), *name = one_of(p, NAMES, COUNT_OF(NAMES));
    char value[8];
    snprintf(value, sizeof(value), "%u", (unsigned)prng_below(p, 4));
    double score = (double)prng_below(p, 6) - 2;
    switch (prng_below(p, 17)) {
    case 0:
        set(region, key, value);
        break;
    case 1:
        incr(region, key, 3);
        break;
    case 2:
        hset(region, key, name, value);
        break;
    case 3:
        hincr(region, key, name, 2);
        break;
    case 4:
        hdel(region, key, name);
        break;
    case 5:
        sadd(region, key, name);
        break;
    case 6:
        srem(region, key, name);
        break;
    case 7:
        zadd(region, key, score, name);
        break;
    case 8:
        zincrby(region, key, score, name);
        break;
    case 9:
        change_items(region, key, COMPONENT_ZSET, OP_TAKE, p);
        break;
    case 10:
        push(region, key, 0, false, value);
        break;
    case 11:
        push(region, key, 0, true, value);
        break;
    case 12:
        change_items(region, key, COMPONENT_LIST, OP_PUT, p);
        break;
    case 13:
        change_items(region, key, COMPONENT_LIST, OP_TAKE, p);
        break;
    case 14:
        xadd(region, key);
        break;
    case 15:
        pfadd(region, key, (uint16_t)prng_below(p, 5), (uint8_t)(1 + prng_below(p, 9)));
        break;
    default:
        del(region, key);
        break;
    }
}

/* What the part says of itself is so. */
static bool consistent(struct part *p)
{
    uint32_t found = 0;
    stamp_t newest = 0;
    struct part_iter it;
    part_iter_init(&it, p);
    for (const struct entry *e; (e = part_iter_next(&it));) {
        stamp_t s = e->form == ENTRY_CELL ? cell_newest(e->cell) : e->stamp;
        found += e->form == ENTRY_CELL && cell_contested(e->cell);
        newest = s > newest ? s : newest;
    }
    if (p->component != COMPONENT_HLL && part_newest(p) != newest)
        return false;
    if (component_in_order(p->component)) {
        btree_check(&p->order);
        if (p->component == COMPONENT_ZSET && p->order.count != p->fields.count)
            return false;
    }
    return found == p->contested && !part_empty(p);
}

static bool all_consistent(size_t region)
{
    const struct database *d = &trial.regions[region].replica.databases[0];
    struct table_iter it;
    uint64_t listed = 0;
    table_iter_init(&it, &d->keys);
    for (void **slot; (slot = table_iter_next(&it));) {
        const struct entry *e = *slot;
        listed += object_contested(e);
        for (struct part *p = e->form == ENTRY_BODY ? e->body->parts : NULL; p; p = p->next) {
            if (!consistent(p))
                return false;
        }
    }
    return listed == d->contested_count;
}

TEST(random_histories_of_all_types_converge_and_stay_consistent)
{
    struct prng p;
    prng_seed(&p, test_seed());
    for (int round = 0; round < 150; round++) {
        size_t count = 2 + prng_below(&p, 2);
        world(count);
        for (int step = 0; step < 80; step++) {
            size_t region = prng_below(&p, count);
            if (prng_below(&p, 3) == 0)
                deliver_next(region, prng_below(&p, count));
            else
                act(&p, region);
        }
        for (size_t i = 0; i < count; i++)
            EXPECT(all_consistent(i));
        synced();
        for (size_t i = 0; i < count; i++)
            EXPECT(all_consistent(i));
        EXPECT(all_equal());
        end_of_world();
    }
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
