/*
 * ledger_end -- what must have come of all that callers asked: by the ops that there are.
 *
 * Every op on a key with a home was made by its home: of a directory's keys, by the one that it named last.
 * A counter is what clients were told, and at most what may have happened.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "policy/origin.h"
#include "sim/answer.h"
#include "sim/effects.h"
#include "sim/told.h"

int64_t sim_calls_sum(const struct sim_world *w, enum call_space space, bool keys)
{
    int64_t sum = 0;
    struct buffer key = { 0 };
    for (uint32_t i = 0; i < CALL_TAGS; i++) {
        if (sim_call_tag(&w->plan, space, i) != i)
            continue;
        buffer_clear(&key);
        sim_call_put_key(&key, w, space, i, "n");
        int64_t count = oracle_sum(&w->oracle, CALL_DB, buffer_span(&key));
        sum += keys ? count > 0 : count;
    }
    buffer_release(&key);
    return sum;
}

static bool is_of(const struct sim_world *w, const struct op *op, enum call_space space,
                  uint32_t tag, bool *entry)
{
    struct buffer text = { 0 };
    sim_call_put_key(&text, w, space, tag, "");
    size_t prefix = strlen(sim_call_prefixes[space]);
    struct span braced = span_skip(buffer_span(&text), prefix);
    bool own = op->db == CALL_DB && answer_begins(op->key, sim_call_prefixes[space]) &&
               answer_find(op->key, braced) < op->key.len;
    *entry = op->db == CALL_DB && space == CALL_DIRECTORY && answer_begins(op->key, "dir:") &&
             span_equal(span_skip(op->key, 4), span_of(braced.at + 1, braced.len - 2));
    buffer_release(&text);
    return own || *entry;
}

/* A directory's word is a string, written plainly: crdt/op.h. */
static uint32_t named_by(const struct sim_world *w, const struct op *op)
{
    struct span p = op->payload, name;
    uint32_t region = UINT32_MAX;
    uint8_t rule;
    CHECK(span_take_u8(&p, &rule) && rule == TIME_NONE && span_take_prefixed(&p, &name));
    if (!sim_named_region(w, name, &region))
        return UINT32_MAX;
    return region;
}

static int by_stamp(const void *a, const void *b)
{
    const struct oracle_op *x = *(const struct oracle_op *const *)a,
                           *y = *(const struct oracle_op *const *)b;
    return (x->op.stamp > y->op.stamp) - (x->op.stamp < y->op.stamp);
}

/* Every op was made by the region that wrote the key then; of a directory's keys, that its newest word
 * named, which whoever made it had seen. */
static void judge_writers(struct sim_world *w, enum call_space space, uint32_t tag)
{
    const struct oracle *o = &w->oracle;
    const struct oracle_op **ops = mem_alloc((o->op_count + 1) * sizeof(*ops)), *word = NULL;
    size_t count = 0;
    uint32_t home = space == CALL_PRIMARY ? w->plan.calls.first
                    : space == CALL_TAG   ? sim_home_named(&w->plan, tag)
                                          : UINT32_MAX;
    char text[ORACLE_TEXT_BYTES];
    bool entry;
    for (size_t i = 0; i < o->op_count; i++) {
        if (is_of(w, &o->ops[i].op, space, tag, &entry))
            ops[count++] = &o->ops[i];
    }
    qsort(ops, count, sizeof(*ops), by_stamp);
    for (size_t i = 0; i < count && !w->failed; i++) {
        const struct op *op = &ops[i]->op;
        const struct sim_region *r = sim_region_with_id(
            w, origin_region(w->deployment, stamp_origin(op->stamp)));
        is_of(w, op, space, tag, &entry);
        if (space == CALL_HASH && home == UINT32_MAX && r)
            home = r->place;
        if (r && home != UINT32_MAX && r->place != home)
            sim_fail(w, "%s: written by region %u, when region %u writes it",
                     oracle_op_text(op, text), r->place + 1, home + 1);
        else if (word && !oracle_saw(ops[i], word))
            sim_fail(w, "%s: written without having seen that its home has moved",
                     oracle_op_text(op, text));
        if (entry) {
            word = ops[i];
            home = named_by(w, op);
        }
    }
    mem_free(ops);
}

static void judge_counter(struct sim_world *w, enum call_space space, uint32_t tag)
{
    const struct call_key *key = &w->calls.keys[space][tag];
    struct buffer name = { 0 };
    int64_t acked = key->acked, most = acked + key->maybe;
    for (int both = 0; both < 2; both++) {
        buffer_clear(&name);
        sim_call_put_key(&name, w, space, tag, both ? "m" : "n");
        int64_t sum = oracle_sum(&w->oracle, CALL_DB, buffer_span(&name));
        if (sum > most || (sum < acked && sim_calls_are_kept(w)))
            sim_fail(w, "%.*s is %lld, the increments that clients were told of make %lld to %lld",
                     (int)name.len, (const char *)name.at, (long long)sum, (long long)acked,
                     (long long)most);
        acked = key->both_acked;
        most = acked + key->both_maybe;
    }
    buffer_release(&name);
}

void sim_calls_end(struct sim_world *w)
{
    for (uint32_t i = 0; i < CALL_SPACES && w->plan.calls.callers > 0; i++) {
        for (uint32_t k = 0; k < CALL_TAGS && !w->failed; k++) {
            if (sim_call_tag(&w->plan, (enum call_space)i, k) != k)
                continue;
            judge_writers(w, (enum call_space)i, k);
            judge_counter(w, (enum call_space)i, k);
        }
    }
}
