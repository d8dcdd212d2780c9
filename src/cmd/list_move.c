/*
 * list_move -- LMOVE, LMPOP, RPOPLPUSH and the blocking commands: BLPOP, BRPOP, BLMPOP, BLMOVE,
 * BRPOPLPUSH. A retry (cmd/blocking.h) runs the same code.
 */
#include "cmd/blocking.h"
#include "cmd/list.h"

/* --- popping from the first of several lists --- */

struct popping {
    const struct span *keys;
    size_t key_count;
    bool right;
    bool many; /* LMPOP's reply: the key and an array */
    uint64_t count;
};

/* False when none of the lists has anything, and nothing was replied. */
static bool pop_first(struct call *call, const struct popping *p)
{
    for (size_t i = 0; i < p->key_count; i++) {
        const struct btree *order;

        if (!list_find(call, p->keys[i], &order))
            return true;
        if (order == NULL)
            continue;
        reply_array(call->reply, 2);
        reply_bulk(call->reply, p->keys[i]);
        list_pop(call, p->keys[i], order, p->right,
                 p->count < order->count ? p->count : order->count, !p->many);
        return true;
    }
    return false;
}

static void pop_or_wait(struct call *call, const struct popping *p, uint64_t timeout_us)
{
    if (!pop_first(call, p) && !call_block(call, p->keys, p->key_count, timeout_us, NULL, 0))
        reply_null_array(call->reply);
}

static void pop_from_keys(struct call *call, bool right)
{
    struct popping p = { call->argv + 1, call->argc - 2, right, false, 1 };
    uint64_t timeout_us;

    if (call_timeout(call, call->argc - 1, &timeout_us))
        pop_or_wait(call, &p, timeout_us);
}

void cmd_blpop(struct call *call)
{
    pop_from_keys(call, false);
}

void cmd_brpop(struct call *call)
{
    pop_from_keys(call, true);
}

/* numkeys key… LEFT|RIGHT [COUNT count] from argv[at] on. */
static bool take_popping(struct call *call, size_t at, struct popping *p)
{
    int64_t keys, count = 1;

    if (!data_int_within(call, call->argv[at], 1, INT64_MAX, "ERR numkeys should be greater than 0",
                         &keys))
        return false;
    if ((uint64_t)keys >= call->argc - at - 1) {
        call_syntax_error(call);
        return false;
    }
    size_t side = at + 1 + (size_t)keys;
    if (!list_side(call, side, &p->right))
        return false;
    if (call->argc > side + 1) {
        if (!call_is(call, side + 1, "COUNT") || call->argc < side + 3) {
            call_syntax_error(call);
            return false;
        }
        if (!data_int_within(call, call->argv[side + 2], 1, INT64_MAX,
                             "ERR count should be greater than 0", &count))
            return false;
        if (call->argc > side + 3) {
            call_syntax_error(call);
            return false;
        }
    }
    p->keys = call->argv + at + 1;
    p->key_count = (size_t)keys;
    p->many = true;
    p->count = (uint64_t)count;
    return true;
}

void cmd_lmpop(struct call *call)
{
    struct popping p;

    if (take_popping(call, 1, &p) && !pop_first(call, &p))
        reply_null_array(call->reply);
}

void cmd_blmpop(struct call *call)
{
    struct popping p;
    uint64_t timeout_us;

    if (take_popping(call, 2, &p) && call_timeout(call, 1, &timeout_us))
        pop_or_wait(call, &p, timeout_us);
}

/* --- moving --- */

/* Puts the element down first: so a list that is its own target never comes to its end, and nothing
 * is lost where there is no room. */
static void move_element(struct call *call, const struct entry *element, bool to_right)
{
    struct span target = call->argv[2];
    struct list_taking taking = { 0 };
    struct buffer value = { 0 };
    char scratch[CELL_SCRATCH_BYTES];

    buffer_put(&value, list_value(element, scratch));
    list_taking_add(&taking, element);
    struct span moved = buffer_span(&value);
    uint64_t rank = to_right ? list_count(call, target) : 0;
    if (call_fits_group(call, moved.len) && list_insert(call, target, rank, to_right, &moved, 1)) {
        list_taking_emit(&taking, call, call->argv[1]);
        reply_bulk(call->reply, moved);
    }
    buffer_release(&taking.positions);
    buffer_release(&value);
}

/* From argv[1] to argv[2]. False when there is nothing to move, and nothing was replied. */
static bool move(struct call *call, bool from_right, bool to_right)
{
    const struct btree *order, *target;

    if (!list_find(call, call->argv[1], &order))
        return true;
    if (order == NULL)
        return false;
    const struct entry *element = btree_at(order, from_right ? order->count - 1 : 0);
    if (list_find(call, call->argv[2], &target))
        move_element(call, element, to_right);
    return true;
}

static void move_or_null(struct call *call, bool from_right, bool to_right)
{
    if (!move(call, from_right, to_right))
        reply_null(call->reply);
}

static void move_or_wait(struct call *call, bool from_right, bool to_right)
{
    uint64_t timeout_us;

    if (!call_timeout(call, call->argc - 1, &timeout_us))
        return;
    if (!move(call, from_right, to_right) &&
        !call_block(call, call->argv + 1, 1, timeout_us, NULL, 0))
        reply_null(call->reply);
}

void cmd_lmove(struct call *call)
{
    bool from_right, to_right;

    if (list_side(call, 3, &from_right) && list_side(call, 4, &to_right))
        move_or_null(call, from_right, to_right);
}

void cmd_rpoplpush(struct call *call)
{
    move_or_null(call, true, false);
}

void cmd_blmove(struct call *call)
{
    bool from_right, to_right;

    if (list_side(call, 3, &from_right) && list_side(call, 4, &to_right))
        move_or_wait(call, from_right, to_right);
}

void cmd_brpoplpush(struct call *call)
{
    move_or_wait(call, true, false);
}
