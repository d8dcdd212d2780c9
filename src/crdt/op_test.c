#include "crdt/op.h"

#include "base/prng.h"
#include "base/test.h"

static struct buffer out;

static stamp_t stamp_at(uint64_t ms)
{
    return stamp_make(ms, 0, 7);
}

/* Appends an op with this payload. */
static void put_op(stamp_t before, struct op op, struct span payload)
{
    size_t place = op_begin(&out, before, &op);
    buffer_put(&out, payload);
    op_end(&out, place);
}

TEST(an_op_reads_back_as_it_was_written)
{
    buffer_clear(&out);
    struct op op = { .stamp = stamp_at(1005),
                     .kind = OP_TAKE,
                     .component = COMPONENT_HASH,
                     .db = 15,
                     .key = span_str("key") };
    put_op(stamp_at(1000), op, span_str("payload"));
    op_mark_more(&out, 0);
    struct span in = buffer_span(&out), hashed;
    struct op read;
    EXPECT(op_take(&in, stamp_at(1000), &read, &hashed));
    EXPECT_EQ(in.len, 0);
    EXPECT_EQ(read.stamp, op.stamp);
    EXPECT_EQ(read.kind, OP_TAKE);
    EXPECT_EQ(read.component, COMPONENT_HASH);
    EXPECT_EQ(read.db, 15);
    EXPECT(read.more);
    EXPECT_TEXT(read.key, "key");
    EXPECT_TEXT(read.payload, "payload");
    EXPECT_EQ(hashed.at + hashed.len - out.at, out.len);
}

TEST(every_truncation_of_an_op_is_refused)
{
    buffer_clear(&out);
    struct op op = { .stamp = stamp_at(900000), .kind = OP_PUT, .key = span_str("a key") }, read;
    put_op(stamp_at(1), op, span_str("something"));
    struct span hashed;
    for (size_t len = 0; len < out.len; len++) {
        struct span in = span_of(out.at, len);
        EXPECT(!op_take(&in, stamp_at(1), &read, &hashed));
        EXPECT_EQ(in.len, len);
    }
}

TEST(ops_out_of_range_are_refused)
{
    static const struct {
        uint8_t kind, component, db;
    } WRONG[] = {
        { 0, 0, 0 },        { OP_KIND_END, 0, 0 },       { OP_PUT, COMPONENT_COUNT, 0 },
        { OP_PUT, 255, 0 }, { OP_PUT, 0, OP_DATABASES },
    };
    struct op read;
    struct span hashed;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        buffer_clear(&out);
        buffer_put_varint(&out, 1);
        buffer_put_u8(&out, WRONG[i].kind);
        buffer_put_u8(&out, WRONG[i].component);
        buffer_put_u8(&out, WRONG[i].db);
        buffer_put_prefixed(&out, span_str("k"));
        buffer_put_u32(&out, 0);
        struct span in = buffer_span(&out);
        EXPECT(!op_take(&in, stamp_at(1), &read, &hashed));
    }
    buffer_clear(&out);
    put_op(stamp_at(5), (struct op){ .stamp = stamp_at(5), .kind = OP_PUT },
           span_str("")); /* no step forward */
    struct span in = buffer_span(&out);
    EXPECT(!op_take(&in, stamp_at(5), &read, &hashed));
    buffer_clear(&out);
    put_op(0, (struct op){ .stamp = UINT64_MAX, .kind = OP_PUT },
           span_str("")); /* beyond all stamps */
    in = buffer_span(&out);
    EXPECT(!op_take(&in, stamp_at(5), &read, &hashed));
}

/* --- amounts --- */

static bool same_after_coding(struct amount a)
{
    buffer_clear(&out);
    amount_put(&out, a);
    struct span in = buffer_span(&out);
    struct amount read;
    if (!amount_take(&in, &read) || in.len != 0 || read.is_float != a.is_float)
        return false;
    for (size_t len = 0; len < out.len; len++) {
        struct amount none;
        in = span_of(out.at, len);
        if (amount_take(&in, &none))
            return false;
    }
    return a.is_float ? memcmp(&read.f, &a.f, sizeof(a.f)) == 0 : read.i == a.i;
}

TEST(amounts_read_back_and_their_truncations_are_refused)
{
    for (unsigned bit = 0; bit < 109; bit++) {
        int128_t v = (int128_t)1 << bit;
        EXPECT(same_after_coding((struct amount){ .i = v }));
        EXPECT(same_after_coding((struct amount){ .i = -v }));
        EXPECT(same_after_coding((struct amount){ .i = v - 1 }));
    }
    EXPECT(same_after_coding((struct amount){ .is_float = true, .f = -0.1 }));
    EXPECT(same_after_coding((struct amount){ .is_float = true, .f = 1e308 }));
}

static bool float_taken(double f)
{
    buffer_clear(&out);
    amount_put(&out, (struct amount){ .is_float = true, .f = f });
    struct span in = buffer_span(&out);
    struct amount read;
    return amount_take(&in, &read);
}

TEST(amounts_that_cannot_be_added_are_refused)
{
    EXPECT(!float_taken(__builtin_inf()));
    EXPECT(!float_taken(__builtin_nan("")));
    buffer_clear(&out);
    /* sums of such ones would overflow */
    amount_put(&out, (struct amount){ .i = (int128_t)1 << 120 });
    struct span in = buffer_span(&out);
    struct amount read;
    EXPECT(!amount_take(&in, &read));
}

/* --- payloads --- */

static struct op op_of(enum op_kind kind, enum component component)
{
    return (struct op){ .stamp = stamp_at(1000),
                        .kind = kind,
                        .component = (uint8_t)component,
                        .payload = buffer_span(&out) };
}

static void put_observed_list(void)
{
    buffer_put_varint(&out, 2);
    observed_put(&out, &(struct observed){ 3, stamp_make(5, 0, 3), { .i = -12345678 } });
    observed_put(&out,
                 &(struct observed){ 4, stamp_make(6, 0, 4), { .is_float = true, .f = 2.5 } });
}

/* True when the payload is valid, and neither any truncation of it nor a byte more. */
static bool valid_only_whole(enum op_kind kind, enum component component)
{
    struct op op = op_of(kind, component);
    if (!op_valid(&op))
        return false;
    for (size_t len = 0; len < out.len; len++) {
        op.payload = span_of(out.at, len);
        if (op_valid(&op))
            return false;
    }
    buffer_put_u8(&out, 0);
    op.payload = buffer_span(&out);
    return !op_valid(&op);
}

TEST(payloads_are_valid_only_whole)
{
    buffer_clear(&out);
    buffer_put_u8(&out, TIME_DEADLINE);
    buffer_put_varint(&out, 123456);
    buffer_put_prefixed(&out, span_str("value"));
    put_observed_list();
    EXPECT(valid_only_whole(OP_PUT, COMPONENT_STRING));

    buffer_clear(&out);
    buffer_put_varint(&out, 2);
    for (int i = 0; i < 2; i++) {
        buffer_put_prefixed(&out, span_str("field"));
        buffer_put_prefixed(&out, span_str("value"));
        put_observed_list();
    }
    EXPECT(valid_only_whole(OP_PUT, COMPONENT_HASH));

    buffer_clear(&out);
    buffer_put_varint(&out, 2);
    buffer_put_prefixed(&out, span_str("a"));
    buffer_put_prefixed(&out, span_str(""));
    EXPECT(valid_only_whole(OP_TAKE, COMPONENT_SET));

    buffer_clear(&out);
    buffer_put_prefixed(&out, span_str("field"));
    buffer_put_u64(&out, stamp_at(900));
    amount_put(&out, (struct amount){ .i = 5 });
    amount_put(&out, (struct amount){ .i = 7000 });
    EXPECT(valid_only_whole(OP_BUMP, COMPONENT_HASH));

    buffer_clear(&out);
    buffer_put_varint(&out, 1u << 20);
    EXPECT(valid_only_whole(OP_DEADLINE, COMPONENT_STRING));

    buffer_clear(&out);
    buffer_put_varint(&out, MASK_ALL);
    buffer_put_varint(&out, 1);
    buffer_put_u8(&out, COMPONENT_HASH);
    buffer_put_prefixed(&out, span_str("field"));
    put_observed_list();
    EXPECT(valid_only_whole(OP_DROP, COMPONENT_STRING));
}

static bool bump_is_valid(stamp_t previous, struct amount before, struct amount after,
                          enum component c)
{
    buffer_clear(&out);
    if (c != COMPONENT_STRING)
        buffer_put_prefixed(&out, span_str("f"));
    buffer_put_u64(&out, previous);
    amount_put(&out, before);
    amount_put(&out, after);
    struct op op = op_of(OP_BUMP, c);
    return op_valid(&op);
}

TEST(payloads_that_make_no_sense_are_refused)
{
    struct amount one = { .i = 1 }, real = { .is_float = true, .f = 1 };
    EXPECT(bump_is_valid(0, one, one, COMPONENT_STRING));
    /* not before itself */
    EXPECT(!bump_is_valid(stamp_at(1000), one, one, COMPONENT_STRING));
    /* of another origin */
    EXPECT(!bump_is_valid(stamp_make(900, 0, 8), one, one, COMPONENT_STRING));
    EXPECT(!bump_is_valid(stamp_at(900), one, real, COMPONENT_STRING));
    EXPECT(!bump_is_valid(stamp_at(900), one, one, COMPONENT_SET));

    buffer_clear(&out);
    buffer_put_varint(&out, 1);
    buffer_put_prefixed(&out, span_str("f"));
    buffer_put_varint(&out, 1);
    /* a stamp of another origin */
    observed_put(&out, &(struct observed){ 3, stamp_make(5, 0, 4), { .i = 1 } });
    struct op op = op_of(OP_TAKE, COMPONENT_HASH);
    EXPECT(!op_valid(&op));
    op.component = COMPONENT_STRING;
    EXPECT(!op_valid(&op));

    static const uint8_t no_mask[] = { 0, 0 };
    op = (struct op){ .kind = OP_DROP, .payload = span_of(no_mask, 2) };
    EXPECT(!op_valid(&op));
    static const uint8_t deadline_zero[] = { TIME_DEADLINE, 0, 0, 0 };
    op = (struct op){ .kind = OP_PUT, .payload = span_of(deadline_zero, 4) };
    EXPECT(!op_valid(&op));
}

TEST(random_bytes_are_judged_without_harm)
{
    struct prng p;
    prng_seed(&p, test_seed());
    uint8_t bytes[40];
    for (int i = 0; i < 200000; i++) {
        size_t len = prng_below(&p, sizeof(bytes));
        for (size_t k = 0; k < len; k++)
            bytes[k] = (uint8_t)(prng_below(&p, 3) ? prng_below(&p, 4) : prng_next(&p));
        struct op op = { .stamp = stamp_at(1000),
                         .kind = (enum op_kind)(1 + prng_below(&p, OP_KIND_END - 1)),
                         .component = (uint8_t)prng_below(&p, COMPONENT_COUNT),
                         .payload = span_of(bytes, len) };
        op_valid(&op);
        struct span in = span_of(bytes, len), hashed;
        op_take(&in, stamp_at(1), &op, &hashed);
    }
}

int main(int argc, char **argv)
{
    int status = test_main(argc, argv);
    buffer_release(&out);
    return status;
}
