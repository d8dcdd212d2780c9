/*
 * list_search -- LPOS, LREM, LINSERT: commands that look for elements by value.
 */
#include "cmd/list.h"

/* --- walking a list in either direction --- */

struct walk {
    struct btree_cursor cursor;
    const struct entry *element; /* NULL: past the end */
    uint64_t rank;
    bool backward;
};

static void walk_begin(struct walk *w, const struct btree *order, bool backward)
{
    w->backward = backward;
    w->rank = backward ? order->count - 1 : 0;
    w->element = btree_seek(order, w->rank, &w->cursor);
}

static void walk_next(struct walk *w)
{
    w->element = w->backward ? btree_prev(&w->cursor) : btree_next(&w->cursor);
    w->rank += w->backward ? UINT64_MAX : 1;
}

static bool holds(const struct walk *w, struct span value)
{
    char scratch[CELL_SCRATCH_BYTES];

    return span_equal(list_value(w->element, scratch), value);
}

/* --- LPOS --- */

struct search {
    int64_t rank;    /* of the first match wanted, from 1; negative: from the end */
    int64_t count;   /* of matches wanted, 0: all; -1: not given */
    int64_t max_len; /* of elements looked at; 0: all */
};

static bool take_rank(struct call *call, size_t i, struct search *search)
{
    if (!call_int(call, call->argv[i], &search->rank))
        return false;
    if (search->rank == INT64_MIN)
        search->rank = -1; /* so Redis takes it: its negative is itself, and below every match */
    if (search->rank != 0)
        return true;
    reply_error(call->reply, "ERR RANK can't be zero: use 1 to start from the first match, 2 from "
                             "the second ... or use negative to start from the end of the list");
    return false;
}

static bool take_search(struct call *call, struct search *search)
{
    *search = (struct search){ .rank = 1, .count = -1 };
    for (size_t i = 3; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc, fine;

        if (more && call_is(call, i, "RANK")) {
            fine = take_rank(call, i + 1, search);
        } else if (more && call_is(call, i, "COUNT")) {
            fine = data_int_within(call, call->argv[i + 1], 0, INT64_MAX,
                                   "ERR COUNT can't be negative", &search->count);
        } else if (more && call_is(call, i, "MAXLEN")) {
            fine = data_int_within(call, call->argv[i + 1], 0, INT64_MAX,
                                   "ERR MAXLEN can't be negative", &search->max_len);
        } else {
            call_syntax_error(call);
            fine = false;
        }
        if (!fine)
            return false;
    }
    return true;
}

/* Replies the ranks of all matches that are wanted; returns how many. */
static uint64_t reply_matches(struct call *call, const struct btree *order,
                              const struct search *search)
{
    uint64_t wanted = search->count < 0 ? 1 : (uint64_t)search->count;
    uint64_t skip = (uint64_t)(search->rank < 0 ? -search->rank : search->rank) - 1;
    uint64_t looked = 0, found = 0;
    struct walk w;

    for (walk_begin(&w, order, search->rank < 0); w.element != NULL; walk_next(&w)) {
        if (search->max_len > 0 && looked++ == (uint64_t)search->max_len)
            break;
        if (!holds(&w, call->argv[2]))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        reply_int(call->reply, (int64_t)w.rank);
        if (++found == wanted)
            break;
    }
    return found;
}

void cmd_lpos(struct call *call)
{
    const struct btree *order;
    struct search search;

    if (!take_search(call, &search) || !list_find(call, call->argv[1], &order))
        return;
    if (search.count >= 0) {
        size_t place = reply_later(call->reply);
        uint64_t found = order != NULL ? reply_matches(call, order, &search) : 0;

        reply_later_set(call->reply, place, '*', found);
    } else if (order == NULL || reply_matches(call, order, &search) == 0) {
        reply_null(call->reply);
    }
}

/* --- LREM --- */

void cmd_lrem(struct call *call)
{
    struct list_taking taking = { 0 };
    const struct btree *order;
    int64_t count;
    struct walk w;

    if (!call_int(call, call->argv[2], &count) || !list_find(call, call->argv[1], &order))
        return;
    if (order == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    uint64_t most = count == 0 ? UINT64_MAX : count < 0 ? -(uint64_t)count : (uint64_t)count;
    for (walk_begin(&w, order, count < 0); w.element != NULL && taking.count < most;
         walk_next(&w)) {
        if (holds(&w, call->argv[3]))
            list_taking_add(&taking, w.element);
    }
    reply_int(call->reply, (int64_t)taking.count);
    list_taking_emit(&taking, call, call->argv[1]);
}

/* --- LINSERT --- */

void cmd_linsert(struct call *call)
{
    bool after = call_is(call, 2, "AFTER");
    const struct btree *order;
    struct walk w;

    if (!after && !call_is(call, 2, "BEFORE")) {
        call_syntax_error(call);
        return;
    }
    if (!list_find(call, call->argv[1], &order))
        return;
    if (order == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    walk_begin(&w, order, false);
    while (w.element != NULL && !holds(&w, call->argv[3]))
        walk_next(&w);
    if (w.element == NULL)
        reply_int(call->reply, -1);
    else if (list_insert(call, call->argv[1], w.rank + after, after, call->argv + 4, 1))
        reply_int(call->reply, (int64_t)list_count(call, call->argv[1]));
}
