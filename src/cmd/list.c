/*
 * list -- pushing, popping, and what is done by rank.
 */
#include "cmd/list.h"

#include "base/memory.h"

/* --- shared --- */

bool list_find(struct call *call, struct span key, const struct btree **order)
{
    struct entry *e;

    if (!call_find(call, key, COMPONENT_LIST, &e))
        return false;
    *order = e != NULL ? object_order(e, COMPONENT_LIST) : NULL;
    return true;
}

uint64_t list_count(const struct call *call, struct span key)
{
    const struct entry *e = data_live(call, call->db, key);
    const struct btree *order = e != NULL ? object_order(e, COMPONENT_LIST) : NULL;

    return order != NULL ? order->count : 0;
}

/* A rank as clients give it, negative from the end: false when it is not within `count`. */
static bool take_rank(int64_t index, uint64_t count, uint64_t *rank)
{
    *rank = index < 0 ? count + (uint64_t)index : (uint64_t)index; /* wraps below the first */
    return *rank < count;
}

bool list_side(struct call *call, size_t index, bool *right)
{
    *right = call_is(call, index, "RIGHT");
    if (*right || call_is(call, index, "LEFT"))
        return true;
    call_syntax_error(call);
    return false;
}

bool list_insert(struct call *call, struct span key, uint64_t rank, bool right,
                 const struct span *values, size_t count)
{
    if (emit_list_insert(call->replica, call->db, key, rank, right, values, count))
        return true;
    reply_error(call->reply, "ERR no room between these elements of the list: write it anew");
    return false;
}

void list_taking_add(struct list_taking *taking, const struct entry *element)
{
    buffer_put_prefixed(&taking->positions, entry_name(element));
    taking->count++;
}

void list_taking_emit(struct list_taking *taking, struct call *call, struct span key)
{
    struct span left = buffer_span(&taking->positions), position;
    struct emit_fields take;

    emit_fields_begin(&take, call->replica, OP_TAKE, COMPONENT_LIST, call->db, key);
    while (span_take_prefixed(&left, &position))
        emit_fields_add(&take, position, span_of(NULL, 0));
    emit_fields_end(&take);
    buffer_release(&taking->positions);
    *taking = (struct list_taking){ 0 };
}

static void reply_element(struct call *call, const struct entry *element)
{
    char scratch[CELL_SCRATCH_BYTES];

    reply_bulk(call->reply, list_value(element, scratch));
}

/* --- pushing --- */

static void push(struct call *call, bool right, bool only_if_there)
{
    struct span key = call->argv[1];
    const struct btree *order;

    if (!list_find(call, key, &order))
        return;
    uint64_t count = order != NULL ? order->count : 0;
    if (only_if_there && count == 0)
        reply_int(call->reply, 0);
    else if (list_insert(call, key, right ? count : 0, right, call->argv + 2, call->argc - 2))
        reply_int(call->reply, (int64_t)list_count(call, key));
}

void cmd_lpush(struct call *call)
{
    push(call, false, false);
}

void cmd_rpush(struct call *call)
{
    push(call, true, false);
}

void cmd_lpushx(struct call *call)
{
    push(call, false, true);
}

void cmd_rpushx(struct call *call)
{
    push(call, true, true);
}

/* --- popping --- */

void list_pop(struct call *call, struct span key, const struct btree *order, bool right,
              uint64_t count, bool bare)
{
    struct list_taking taking = { 0 };
    struct btree_cursor cursor;
    const struct entry *element = btree_seek(order, right ? order->count - 1 : 0, &cursor);

    CHECK(count <= order->count);
    if (!bare || count != 1)
        reply_array(call->reply, count);
    for (uint64_t i = 0; i < count; i++) {
        reply_element(call, element);
        list_taking_add(&taking, element);
        element = right ? btree_prev(&cursor) : btree_next(&cursor);
    }
    list_taking_emit(&taking, call, key);
}

static void pop_many(struct call *call, bool right)
{
    const struct btree *order;
    int64_t count;

    if (!data_int_within(call, call->argv[2], 0, INT64_MAX,
                         "ERR value is out of range, must be positive", &count) ||
        !list_find(call, call->argv[1], &order))
        return;
    if (order == NULL)
        reply_null_array(call->reply);
    else if (count == 0)
        reply_array(call->reply, 0);
    else
        list_pop(call, call->argv[1], order, right,
                 (uint64_t)count < order->count ? (uint64_t)count : order->count, false);
}

static void pop(struct call *call, bool right)
{
    const struct btree *order;

    if (call->argc > 3) {
        data_wrong_arity(call);
        return;
    }
    if (call->argc == 3) {
        pop_many(call, right);
        return;
    }
    if (!list_find(call, call->argv[1], &order))
        return;
    if (order == NULL)
        reply_null(call->reply);
    else
        list_pop(call, call->argv[1], order, right, 1, true);
}

void cmd_lpop(struct call *call)
{
    pop(call, false);
}

void cmd_rpop(struct call *call)
{
    pop(call, true);
}

/* --- by rank --- */

void cmd_llen(struct call *call)
{
    const struct btree *order;

    if (list_find(call, call->argv[1], &order))
        reply_int(call->reply, order != NULL ? (int64_t)order->count : 0);
}

void cmd_lindex(struct call *call)
{
    const struct btree *order;
    int64_t index;
    uint64_t rank;

    if (!list_find(call, call->argv[1], &order))
        return;
    if (order == NULL)
        reply_null(call->reply);
    else if (!call_int(call, call->argv[2], &index))
        return;
    else if (!take_rank(index, order->count, &rank))
        reply_null(call->reply);
    else
        reply_element(call, btree_at(order, rank));
}

/* argv[2] and argv[3], and what they mean in a list: the ranks [from, to). */
struct range {
    int64_t first, last;
    uint64_t from, to;
};

static bool take_range(struct call *call, struct range *range)
{
    return call_int(call, call->argv[2], &range->first) &&
           call_int(call, call->argv[3], &range->last);
}

static void clamp_range(struct range *range, uint64_t count)
{
    int64_t n = (int64_t)count;
    int64_t first = range->first < 0 ? range->first + n : range->first;
    int64_t last = range->last < 0 ? range->last + n : range->last;

    first = first < 0 ? 0 : first;
    last = last >= n ? n - 1 : last;
    range->from = first > last ? count : (uint64_t)first;
    range->to = first > last ? count : (uint64_t)last + 1;
}

void cmd_lrange(struct call *call)
{
    const struct btree *order;
    struct range range;
    struct btree_cursor cursor;

    if (!take_range(call, &range) || !list_find(call, call->argv[1], &order))
        return;
    clamp_range(&range, order != NULL ? order->count : 0);
    reply_array(call->reply, range.to - range.from);
    if (range.from == range.to)
        return;
    const struct entry *element = btree_seek(order, range.from, &cursor);
    for (uint64_t rank = range.from; rank < range.to; rank++) {
        reply_element(call, element);
        element = btree_next(&cursor);
    }
}

static void gather(struct list_taking *taking, const struct btree *order, uint64_t from,
                   uint64_t to)
{
    struct btree_cursor cursor;
    const struct entry *element = btree_seek(order, from, &cursor);

    for (uint64_t rank = from; rank < to; rank++) {
        list_taking_add(taking, element);
        element = btree_next(&cursor);
    }
}

void cmd_ltrim(struct call *call)
{
    struct list_taking taking = { 0 };
    const struct btree *order;
    struct range keep;

    if (!take_range(call, &keep) || !list_find(call, call->argv[1], &order))
        return;
    if (order != NULL) {
        clamp_range(&keep, order->count);
        gather(&taking, order, 0, keep.from);
        gather(&taking, order, keep.to, order->count);
        list_taking_emit(&taking, call, call->argv[1]);
    }
    reply_ok(call->reply);
}

static void put_element(struct call *call, struct span key, const struct entry *element,
                        struct span value)
{
    struct buffer position = { 0 };
    struct emit_fields put;

    buffer_put(&position, entry_name(element));
    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_LIST, call->db, key);
    emit_fields_add(&put, buffer_span(&position), value);
    emit_fields_end(&put);
    buffer_release(&position);
}

void cmd_lset(struct call *call)
{
    const struct btree *order;
    int64_t index;
    uint64_t rank;

    if (!list_find(call, call->argv[1], &order))
        return;
    if (order == NULL) {
        reply_error(call->reply, "ERR no such key");
    } else if (!call_int(call, call->argv[2], &index)) {
        return;
    } else if (!take_rank(index, order->count, &rank)) {
        reply_error(call->reply, "ERR index out of range");
    } else {
        put_element(call, call->argv[1], btree_at(order, rank), call->argv[3]);
        reply_ok(call->reply);
    }
}
