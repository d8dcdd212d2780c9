/* Batches cut at a moment: what is kept is a batch, all of the groups up to there, and nothing
 * else. */
#include "store/cut.h"

#include "base/prng.h"
#include "base/test.h"

enum { OPS_MAX = 30 };

struct made {
    struct buffer bytes;
    stamp_t stamps[OPS_MAX];
    bool ends[OPS_MAX]; /* its group */
    uint64_t count;
};

static void make(struct made *m, struct prng *prng)
{
    struct batch b = { .origin = (uint8_t)(1 + prng_below(prng, 5)), .instance = 3, .check = 77 };
    struct buffer ops = { 0 };
    uint64_t ms = 100 + prng_below(prng, 100);
    b.from = prng_below(prng, 3) ? stamp_make(ms, 0, b.origin) : 0;
    b.prev = b.from;
    vector_set(&b.context, stamp_make(90, 3, (uint8_t)(b.origin + 1)));
    stamp_t before = (stamp_time(b.from) << STAMP_ORIGIN_BITS) | b.origin;
    m->count = 1 + prng_below(prng, OPS_MAX);
    for (uint64_t i = 0; i < m->count; i++) {
        ms += prng_below(prng, 3);
        m->stamps[i] = stamp_make(ms, (uint32_t)i + 1, b.origin);
        m->ends[i] = i + 1 == m->count || prng_below(prng, 3) > 0;
        struct op op = {
            .stamp = m->stamps[i], .kind = OP_DEADLINE, .more = !m->ends[i], .key = span_str("key")
        };
        size_t place = op_begin(&ops, before, &op);
        buffer_put_u8(&ops, 0);
        op_end(&ops, place);
        before = op.stamp;
    }
    b.to = before + (prng_below(prng, 2) << STAMP_ORIGIN_BITS);
    b.op_count = m->count;
    buffer_clear(&m->bytes);
    batch_put_header(&m->bytes, &b);
    buffer_put(&m->bytes, buffer_span(&ops));
    buffer_release(&ops);
}

static uint64_t model(const struct made *m, stamp_t moment)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < m->count && m->stamps[i] <= moment; i++)
        kept = m->ends[i] ? i + 1 : kept;
    return kept;
}

TEST(what_is_kept_is_the_whole_groups_up_to_the_moment)
{
    struct prng prng;
    struct made m = { .count = 0 };
    struct buffer out = { 0 };
    prng_seed(&prng, test_seed());
    for (int round = 0; round < 3000; round++) {
        struct batch whole, part;
        make(&m, &prng);
        EXPECT(batch_take(buffer_span(&m.bytes), &whole) && batch_valid(&whole));
        stamp_t moment = stamp_make(90 + prng_below(&prng, 250), (uint32_t)prng_below(&prng, 40),
                                    (uint8_t)prng_below(&prng, 8));
        uint64_t kept = model(&m, moment);
        buffer_clear(&out);
        enum cut_verdict verdict = cut_batch(buffer_span(&m.bytes), moment, &out);
        EXPECT_EQ(verdict, kept == m.count ? CUT_ALL : kept == 0 ? CUT_NONE : CUT_SOME);
        if (verdict != CUT_SOME) {
            EXPECT_EQ(out.len, 0);
            continue;
        }
        EXPECT(batch_take(buffer_span(&out), &part) && batch_valid(&part));
        EXPECT_EQ(part.op_count, kept);
        EXPECT_EQ(part.to, m.stamps[kept - 1]);
        EXPECT_EQ(part.from, whole.from);
        EXPECT_EQ(part.prev, whole.prev);
        EXPECT_EQ(part.check, whole.check);
        EXPECT_EQ(part.instance, whole.instance);
        EXPECT(vector_equal(&part.context, &whole.context));
        EXPECT_SPAN(part.ops, span_of(whole.ops.at, part.ops.len));
    }
    buffer_release(&m.bytes);
    buffer_release(&out);
}

TEST(a_millisecond_is_all_of_it)
{
    EXPECT(stamp_make(5, 0, 1) <= cut_moment(5));
    EXPECT(stamp_make(5, STAMP_COUNTER_MAX, 255) <= cut_moment(5));
    EXPECT(stamp_make(6, 0, 0) > cut_moment(5));
}

TEST(what_is_no_batch_is_refused)
{
    struct buffer out = { 0 };
    EXPECT_EQ(cut_batch(span_str("nothing of the kind"), cut_moment(5), &out), CUT_BAD);
    EXPECT_EQ(out.len, 0);
}

int main(int argc, char **argv)
{
    return test_main(argc, argv);
}
