#include "cmd/random_pick.h"

#include "base/check.h"

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
