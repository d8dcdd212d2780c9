#include "store/chain.h"

static void see(struct chain *c, stamp_t stamp)
{
    if (stamp > c->newest)
        c->newest = stamp;
}

void chain_begin(struct chain *c, const struct copy_start *start)
{
    *c = (struct chain){ .newest = 0 };
    if (start == NULL)
        return;
    vector_copy(&c->last, &start->last_op);
    memcpy(c->check, start->check, sizeof(c->check));
    /* Heartbeats too: objects may have expired by them. */
    for (uint32_t o = 0; o < start->applied.high; o++)
        see(c, start->applied.at[o]);
}

/* The checksum after the batch; *joins: it agrees with what was seen. */
static uint32_t walk(const struct chain *c, const struct batch *b, stamp_t *last, bool *joins)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    stamp_t had = vector_get(&c->last, b->origin);
    uint32_t check = b->check;
    *last = had;
    *joins = b->prev == had && check == c->check[b->origin];
    while (batch_next_op(&w, &op, &hashed)) {
        check = batch_check(check, op.stamp, hashed);
        if (op.stamp == had)
            *joins = check == c->check[b->origin];
        if (op.stamp > had)
            *last = op.stamp;
    }
    return check;
}

bool chain_follow(struct chain *c, struct span bytes)
{
    struct batch b;
    stamp_t last;
    bool joins;
    if (!batch_take(bytes, &b) || !batch_valid(&b))
        return false;
    if (b.op_count == 0)
        return true;
    uint32_t check = walk(c, &b, &last, &joins);
    if (!joins || last == vector_get(&c->last, b.origin))
        return joins;
    vector_set(&c->last, last);
    c->check[b.origin] = check;
    see(c, b.to);
    return true;
}

bool chain_meets(const struct chain *c, const struct copy_start *start)
{
    if (!vector_equal(&c->last, &start->last_op))
        return false;
    for (uint32_t o = 0; o < c->last.high; o++) {
        if (c->last.at[o] != 0 && c->check[o] != start->check[o])
            return false;
    }
    return true;
}
