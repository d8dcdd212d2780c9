#include "store/cut.h"

/* Groups up to the moment: their ops, bytes and last stamp. */
struct front {
    uint64_t ops;
    size_t bytes;
    stamp_t last;
};

static struct front find_front(const struct batch *b, stamp_t moment)
{
    struct front front = { .ops = 0 };
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    for (uint64_t ops = 1; batch_next_op(&w, &op, &hashed) && op.stamp <= moment; ops++) {
        if (!op.more)
            front = (struct front){ ops, b->ops.len - w.rest.len, op.stamp };
    }
    return front;
}

enum cut_verdict cut_batch(struct span bytes, stamp_t moment, struct buffer *out)
{
    struct batch b;
    if (!batch_take(bytes, &b) || !batch_valid(&b))
        return CUT_BAD;
    struct front front = find_front(&b, moment);
    if (front.ops == b.op_count)
        return b.op_count > 0 || b.to <= moment ? CUT_ALL : CUT_NONE;
    if (front.ops == 0)
        return CUT_NONE;
    struct span ops = span_of(b.ops.at, front.bytes);
    b.op_count = front.ops;
    b.to = front.last;
    batch_put_header(out, &b);
    buffer_put(out, ops);
    return CUT_SOME;
}
