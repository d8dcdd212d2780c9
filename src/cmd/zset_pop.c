/*
 * zset_pop -- ZPOPMIN, ZPOPMAX, ZMPOP and their forms that wait.
 */
#include "cmd/blocking.h"
#include "cmd/zset_range.h"

/* How a pop is answered. */
struct shape {
    bool key;    /* tells the key, before the members */
    bool nested; /* members are an array of pairs; behind a key, an array of its own */
    bool null;   /* nothing to pop: null, else an empty array */
};

static void reply_popped_header(struct call *call, struct span key, uint64_t count,
                                struct shape shape)
{
    if (!shape.key) {
        reply_array(call->reply, shape.nested ? count : count * 2);
        return;
    }
    reply_array(call->reply, shape.nested ? 2 : count * 2 + 1);
    reply_bulk(call->reply, key);
    if (shape.nested)
        reply_array(call->reply, count);
}

static void reply_nothing(struct call *call, struct shape shape)
{
    if (shape.null)
        reply_null_array(call->reply);
    else
        reply_array(call->reply, 0);
}

/* Pops up to `wanted` members, which are some. */
static void pop(struct call *call, struct span key, const struct part *z, bool max, uint64_t wanted,
                struct shape shape)
{
    uint64_t all = z->order.count, count = wanted < all ? wanted : all;
    struct btree_cursor c;

    reply_popped_header(call, key, count, shape);
    const struct entry *e = btree_seek(&z->order, max ? all - 1 : 0, &c);
    for (uint64_t i = 0; i < count; i++) {
        if (shape.nested)
            reply_array(call->reply, 2);
        reply_bulk(call->reply, entry_name(e));
        reply_score(call->reply, entry_score(e));
        e = max ? btree_prev(&c) : btree_next(&c);
    }
    uint64_t first = max ? all - count : 0;
    zset_take(call, key, z, (struct ranks){ first, first + count });
}

/* --- ZPOPMIN, ZPOPMAX --- */

static void pop_one_key(struct call *call, bool max)
{
    struct shape shape = { .nested = call->argc == 3 && call->reply->protocol >= 3 };
    const struct part *z;
    int64_t count = 1;

    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->argc == 3 && !data_int_within(call, call->argv[2], 0, INT64_MAX,
                                            "ERR value is out of range, must be positive", &count))
        return;
    if (!zset_find(call, call->argv[1], &z))
        return;
    if (z == NULL || count == 0)
        reply_nothing(call, shape);
    else
        pop(call, call->argv[1], z, max, (uint64_t)count, shape);
}

void cmd_zpopmin(struct call *call)
{
    pop_one_key(call, false);
}

void cmd_zpopmax(struct call *call)
{
    pop_one_key(call, true);
}

/* --- of the first key that has members --- */

struct keys {
    const struct span *at;
    size_t count;
};

/* A client that waits is not told that a key has another type by now. */
static bool passed_over(const struct call *call, struct span key)
{
    const struct entry *e = call->retry ? data_live(call, call->db, key) : NULL;

    return e != NULL && object_visible(e) != COMPONENT_ZSET;
}

/* False when an answer, or an error, was given. */
static bool nothing_to_pop(struct call *call, struct keys keys, bool max, uint64_t count,
                           struct shape shape)
{
    for (size_t i = 0; i < keys.count; i++) {
        const struct part *z = NULL;

        if (passed_over(call, keys.at[i]))
            continue;
        if (!zset_find(call, keys.at[i], &z))
            return false;
        if (z != NULL) {
            pop(call, keys.at[i], z, max, count, shape);
            return false;
        }
    }
    return true;
}

static void pop_or_wait(struct call *call, struct keys keys, bool max, uint64_t count,
                        struct shape shape, uint64_t timeout_us)
{
    if (nothing_to_pop(call, keys, max, count, shape) &&
        !call_block(call, keys.at, keys.count, timeout_us, NULL, 0))
        reply_nothing(call, shape);
}

static void wait_for_keys(struct call *call, bool max)
{
    struct keys keys = { call->argv + 1, call->argc - 2 };
    uint64_t timeout_us;

    if (call_timeout(call, call->argc - 1, &timeout_us))
        pop_or_wait(call, keys, max, 1, (struct shape){ .key = true, .null = true }, timeout_us);
}

void cmd_bzpopmin(struct call *call)
{
    wait_for_keys(call, false);
}

void cmd_bzpopmax(struct call *call)
{
    wait_for_keys(call, true);
}

/* --- ZMPOP, BZMPOP --- */

/* COUNT, once, from argv[at] on. */
static bool take_count(struct call *call, size_t at, int64_t *count)
{
    *count = 1;
    if (at == call->argc)
        return true;
    if (!call_is(call, at, "count") || at + 1 == call->argc) {
        call_syntax_error(call);
        return false;
    }
    if (!data_int_within(call, call->argv[at + 1], 1, INT64_MAX,
                         "ERR count should be greater than 0", count))
        return false;
    if (at + 2 < call->argc)
        call_syntax_error(call);
    return at + 2 == call->argc;
}

/* numkeys key … MIN|MAX [COUNT count], from argv[at] on. */
static bool take_keys(struct call *call, size_t at, struct keys *keys, bool *max, int64_t *count)
{
    int64_t numkeys;

    if (!data_int_within(call, call->argv[at], 1, INT64_MAX, "ERR numkeys should be greater than 0",
                         &numkeys))
        return false;
    *keys = (struct keys){ call->argv + at + 1, (size_t)numkeys };
    bool fits = keys->count < call->argc - at - 1;
    size_t where = fits ? at + 1 + keys->count : 0;
    *max = fits && call_is(call, where, "max");
    if (!fits || (!*max && !call_is(call, where, "min"))) {
        call_syntax_error(call);
        return false;
    }
    return take_count(call, where + 1, count);
}

static const struct shape several = { .key = true, .nested = true, .null = true };

void cmd_zmpop(struct call *call)
{
    struct keys keys;
    int64_t count;
    bool max;

    if (take_keys(call, 1, &keys, &max, &count) &&
        nothing_to_pop(call, keys, max, (uint64_t)count, several))
        reply_nothing(call, several);
}

void cmd_bzmpop(struct call *call)
{
    struct keys keys;
    uint64_t timeout_us;
    int64_t count;
    bool max;

    if (take_keys(call, 2, &keys, &max, &count) && call_timeout(call, 1, &timeout_us))
        pop_or_wait(call, keys, max, (uint64_t)count, several, timeout_us);
}
