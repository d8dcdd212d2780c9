#include "wire/batch.h"

#include "base/prng.h"
#include "base/test.h"

enum { ORIGIN = 9 };

static struct buffer out, ops;

/* Appends `count` ops to `ops`, one a millisecond from after `from_ms` on; group_of ops form each
 * group. */
static void put_ops(uint64_t from_ms, uint64_t count, uint64_t group_of)
{
    for (uint64_t i = 0; i < count; i++) {
        struct op op = { .stamp = stamp_make(from_ms + i + 1, 0, ORIGIN),
                         .kind = OP_DEADLINE,
                         .key = span_str("k") };
        op.more = (i + 1) % group_of != 0;
        size_t place = op_begin(&ops, stamp_make(from_ms + i, 0, ORIGIN), &op);
        buffer_put_varint(&ops, i);
        op_end(&ops, place);
    }
}

static struct batch some_batch(uint64_t count, uint64_t group_of)
{
    buffer_clear(&ops);
    put_ops(1000, count, group_of);
    struct batch b = {
        .origin = ORIGIN,
        .instance = 300,
        .from = stamp_make(1000, 0, ORIGIN),
        .prev = stamp_make(700, 3, ORIGIN),
        .to = stamp_make(1000 + count, 0, ORIGIN),
        .check = 0xdeadbeef,
        .op_count = count,
    };
    vector_set(&b.context, stamp_make(5, 6, 1));
    /* ahead of the batch: another clock's */
    vector_set(&b.context, stamp_make(2000000, 6, 255));
    return b;
}

static struct span encode(const struct batch *b)
{
    buffer_clear(&out);
    batch_put_header(&out, b);
    buffer_put(&out, buffer_span(&ops));
    return buffer_span(&out);
}

TEST(a_batch_reads_back_as_it_was_written)
{
    struct batch b = some_batch(4, 2), read;
    struct span bytes = encode(&b);
    EXPECT(batch_take(bytes, &read));
    EXPECT_EQ(read.origin, ORIGIN);
    EXPECT_EQ(read.instance, 300);
    EXPECT_EQ(read.from, b.from);
    EXPECT_EQ(read.prev, b.prev);
    EXPECT_EQ(read.to, b.to);
    EXPECT_EQ(read.check, 0xdeadbeef);
    EXPECT(vector_equal(&read.context, &b.context));
    EXPECT(batch_valid(&read));
    uint8_t origin;
    stamp_t to;
    EXPECT(batch_peek(bytes, &origin, &to));
    EXPECT_EQ(origin, ORIGIN);
    EXPECT_EQ(to, b.to);
}

TEST(ops_of_a_group_bear_the_rank_of_its_first)
{
    struct batch b = some_batch(5, 1), read;
    for (uint64_t i = 0; i < 3; i++)
        op_mark_more(&ops, i * (ops.len / 5)); /* the first four are one group */
    EXPECT(batch_take(encode(&b), &read));
    struct batch_walk w = batch_walk(&read);
    struct op op;
    struct span hashed;
    static const uint64_t RANKS[] = { 1001, 1001, 1001, 1001, 1005 };
    for (uint64_t i = 0; i < 5; i++) {
        EXPECT(batch_next_op(&w, &op, &hashed));
        EXPECT_EQ(stamp_ms(op.stamp), 1001 + i);
        EXPECT_EQ(stamp_ms(op.rank), RANKS[i]);
    }
    EXPECT(!batch_next_op(&w, &op, &hashed));
}

TEST(a_stream_may_begin_at_never)
{
    struct batch b = some_batch(1, 1), read;
    b.from = b.prev = 0;
    buffer_clear(&ops);
    struct op op = { .stamp = b.to, .kind = OP_DEADLINE };
    size_t place = op_begin(&ops, ORIGIN, &op);
    buffer_put_varint(&ops, 0);
    op_end(&ops, place);
    EXPECT(batch_take(encode(&b), &read));
    EXPECT_EQ(read.from, 0);
    EXPECT_EQ(read.prev, 0);
    EXPECT(batch_valid(&read));
    struct batch_walk w = batch_walk(&read);
    struct span hashed;
    EXPECT(batch_next_op(&w, &op, &hashed));
    EXPECT_EQ(op.stamp, b.to);
}

TEST(every_truncation_is_refused)
{
    struct batch b = some_batch(3, 3), read;
    struct span bytes = encode(&b);
    for (size_t len = 0; len < bytes.len; len++)
        EXPECT(!batch_take(span_of(bytes.at, len), &read) || !batch_valid(&read));
    buffer_put_u8(&out, 1);
    EXPECT(!batch_take(buffer_span(&out), &read) || !batch_valid(&read));
}

TEST(a_batch_that_contradicts_itself_is_refused)
{
    struct batch read, b = some_batch(3, 2); /* the last group goes on */
    EXPECT(batch_take(encode(&b), &read));
    EXPECT(!batch_valid(&read));
    b = some_batch(3, 1);
    b.to = stamp_make(1002, 0, ORIGIN); /* an op above it */
    EXPECT(batch_take(encode(&b), &read));
    EXPECT(!batch_valid(&read));
    b = some_batch(3, 1);
    b.op_count = 2;
    EXPECT(batch_take(encode(&b), &read));
    EXPECT(!batch_valid(&read));
    b = some_batch(3, 1);
    b.prev = b.to; /* later than from */
    EXPECT(!batch_take(encode(&b), &read));
    b = some_batch(3, 1);
    vector_set(&b.context, stamp_make(5, 0, ORIGIN)); /* of its own origin */
    EXPECT(!batch_take(encode(&b), &read));
    b = some_batch(0, 1);
    EXPECT(batch_take(encode(&b), &read)); /* a heartbeat */
    EXPECT(batch_valid(&read));
}

TEST(the_checksum_tells_streams_apart)
{
    stamp_t s = stamp_make(1, 2, 3);
    uint32_t check = batch_check(1, s, span_str("op"));
    EXPECT(check != batch_check(2, s, span_str("op")));
    EXPECT(check != batch_check(1, s + 256, span_str("op")));
    EXPECT(check != batch_check(1, s, span_str("oq")));
    EXPECT_EQ(check, batch_check(1, s, span_str("op")));
}

TEST(damaged_batches_are_judged_without_harm)
{
    struct prng p;
    prng_seed(&p, test_seed());
    struct batch b = some_batch(6, 3), read;
    encode(&b);
    for (int i = 0; i < 100000; i++) {
        size_t place = prng_below(&p, out.len);
        uint8_t was = out.at[place];
        out.at[place] = (uint8_t)prng_next(&p);
        if (batch_take(buffer_span(&out), &read))
            batch_valid(&read);
        if (prng_below(&p, 4))
            out.at[place] = was;
        if (i % 100 == 0)
            encode(&b);
    }
}

int main(int argc, char **argv)
{
    int status = test_main(argc, argv);
    buffer_release(&out);
    buffer_release(&ops);
    return status;
}
