#include "cmd/random_pick.h"

#include "base/check.h"
#include "base/memory.h"

/* Drawing and throwing away what was drawn before is cheap until a third is wanted. */
enum { SPARSE_FACTOR = 3 };

/* One pass, each item taken with the chance that is left (Knuth, TAOCP 2, 3.4.2, algorithm S). */
static void pick_by_pass(const struct table *t, struct prng *prng, uint64_t count,
                         const struct entry **out)
{
    uint64_t left = t->count, taken = 0;
    struct table_iter it;

    table_iter_init(&it, t);
    while (taken < count) {
        void **slot = table_iter_next(&it);

        CHECK(slot != NULL);
        if (prng_below(prng, left--) < count - taken)
            out[taken++] = *slot;
    }
}

static void pick_by_draws(const struct table *t, struct prng *prng, uint64_t count,
                          const struct entry **out)
{
    uint64_t taken = 0;
    struct table drawn;

    table_init(&drawn, t->key_of, t->seed);
    while (taken < count) {
        struct entry *e = table_random(t, prng);
        void **slot = table_find_or_add(&drawn, entry_name(e));

        if (*slot != NULL)
            continue;
        *slot = e;
        out[taken++] = e;
    }
    table_release(&drawn);
}

void random_pick(const struct table *t, struct prng *prng, uint64_t count, const struct entry **out)
{
    CHECK(count <= t->count);
    if (count >= t->count / SPARSE_FACTOR)
        pick_by_pass(t, prng, count, out);
    else
        pick_by_draws(t, prng, count, out);
}

/* --- commands --- */

/* With both RESP2 has one flat array, RESP3 an array of pairs. */
static void reply_header(struct call *call, uint64_t count, bool both)
{
    reply_array(call->reply, both && call->reply->protocol < 3 ? count * 2 : count);
}

static void reply_with_repeats(struct call *call, const struct table *t, uint64_t count, bool both,
                               random_pick_reply reply)
{
    reply_header(call, count, both);
    for (uint64_t i = 0; i < count && !data_reply_too_long(call); i++)
        reply(call, table_random(t, &call->replica->prng), both);
}

static void reply_different(struct call *call, const struct table *t, uint64_t count, bool both,
                            random_pick_reply reply)
{
    if (count > t->count)
        count = t->count;
    const struct entry **picked = mem_alloc(count * sizeof(*picked));
    random_pick(t, &call->replica->prng, count, picked);
    reply_header(call, count, both);
    for (uint64_t i = 0; i < count; i++)
        reply(call, picked[i], both);
    mem_free(picked);
}

/* False when the error was replied. */
static bool take_count(struct call *call, const char *both_word, int64_t *count, bool *both)
{
    *both = call->argc == 4 && call_is(call, 3, both_word);
    if (!data_int_within(call, call->argv[2], -INT64_MAX, INT64_MAX, NULL, count))
        return false;
    if (call->argc > 3 && !*both) {
        call_syntax_error(call);
        return false;
    }
    if (*both && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2)) {
        reply_error(call->reply, "ERR value is out of range");
        return false;
    }
    return true;
}

void random_pick_command(struct call *call, enum component component, const char *both_word,
                         random_pick_reply reply)
{
    const struct table *t;
    bool one = call->argc == 2, both = false;
    int64_t count = 1;

    if ((!one && !take_count(call, both_word, &count, &both)) ||
        !data_find_fields(call, call->argv[1], component, &t))
        return;
    if (one && t == NULL)
        reply_null(call->reply);
    else if (one)
        reply(call, table_random(t, &call->replica->prng), false);
    else if (t == NULL || count == 0)
        reply_array(call->reply, 0);
    else if (count < 0)
        reply_with_repeats(call, t, (uint64_t)-count, both, reply);
    else
        reply_different(call, t, (uint64_t)count, both, reply);
}
