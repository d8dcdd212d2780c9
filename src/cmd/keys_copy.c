/*
 * keys_copy -- RENAME, COPY and MOVE: what is visible of one key, written anew under another name.
 *
 * A copy is of new writes: tallies are folded into the values, siblings and hidden types stay
 * behind.
 */
#include "base/memory.h"
#include "cmd/data.h"
#include "crdt/score.h"

struct place {
    uint8_t db;
    struct span key;
};

static void write_string(struct call *call, const struct entry *from, struct place to,
                         uint64_t deadline_ms)
{
    char scratch[CELL_SCRATCH_BYTES];
    enum time_rule rule = deadline_ms != 0 ? TIME_DEADLINE : TIME_NONE;

    emit_string(call->replica, to.db, to.key, data_string(from, scratch), rule, deadline_ms);
}

/* Items of their own value or of none: a counter's is the number that it stands at. */
static struct span item_value(enum component c, const struct entry *item, char *scratch)
{
    if (c == COMPONENT_ZSET)
        return score_encode(entry_score(item), (uint8_t *)scratch);
    return component_has_values((uint8_t)c) ? data_value(item, scratch) : span_of(NULL, 0);
}

static void write_items(struct call *call, const struct entry *from, enum component c,
                        struct place to)
{
    const struct part *part = object_part(from, c);
    struct emit_fields put;
    struct part_iter it;

    if (part == NULL)
        return;
    emit_fields_begin(&put, call->replica, OP_PUT, c, to.db, to.key);
    part_iter_init(&it, part);
    for (const struct entry *item; (item = part_iter_next(&it)) != NULL;) {
        char scratch[CELL_SCRATCH_BYTES];

        emit_fields_add(&put, entry_name(item), item_value(c, item, scratch));
    }
    emit_fields_end(&put);
}

/* Positions are unique for ever: a copy's elements get new ones. */
static void write_list(struct call *call, const struct entry *from, struct place to)
{
    const struct btree *order = object_order(from, COMPONENT_LIST);
    struct span *values = mem_alloc(order->count * sizeof(*values));
    struct btree_cursor c;
    size_t count = 0;

    for (const struct entry *e = btree_seek(order, 0, &c); e != NULL; e = btree_next(&c))
        values[count++] = data_value(e, NULL);
    CHECK(emit_list_insert(call->replica, to.db, to.key, 0, true, values, count));
    mem_free(values);
}

static void write_hll(struct call *call, const struct entry *from, struct place to)
{
    struct hll_register registers[HLL_REGISTERS];
    uint8_t maxima[HLL_REGISTERS] = { 0 };
    size_t count = 0;

    hll_maxima(&object_part(from, COMPONENT_HLL)->hll, maxima);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (maxima[i] != 0)
            registers[count++] = (struct hll_register){ (uint16_t)i, maxima[i] };
    }
    emit_hll(call->replica, to.db, to.key, registers, count);
}

static void write_contents(struct call *call, const struct entry *from, enum component c,
                           struct place to)
{
    if (c == COMPONENT_LIST)
        write_list(call, from, to);
    else if (c == COMPONENT_HLL)
        write_hll(call, from, to);
    else
        write_items(call, from, c, to);
    if (c == COMPONENT_STREAM)
        write_items(call, from, COMPONENT_GROUPS, to);
}

/* `from` is another key than `to`: it stays where it is while `to` is written. */
static void write_copy(struct call *call, const struct entry *from, struct place to)
{
    uint64_t deadline_ms = object_deadline_ms(from);
    enum component c = object_visible(from);

    emit_remove(call->replica, to.db, to.key);
    if (c == COMPONENT_STRING) {
        write_string(call, from, to, deadline_ms);
        return;
    }
    write_contents(call, from, c, to);
    if (deadline_ms != 0)
        emit_deadline(call->replica, to.db, to.key, deadline_ms);
}

/* --- RENAME --- */

static void rename_key(struct call *call, bool only_new)
{
    struct span from = call->argv[1];
    struct place to = { call->db, call->argv[2] };
    struct entry *e;

    if (!call_find(call, from, COMPONENT_NONE, &e))
        return;
    if (e == NULL) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    if (!call_fits_group(call, object_bytes(e)))
        return;
    bool same = span_equal(from, to.key);
    bool refused = only_new && (same || data_live(call, to.db, to.key) != NULL);
    if (!same && !refused) {
        write_copy(call, e, to);
        emit_remove(call->replica, call->db, from);
    }
    if (only_new)
        reply_int(call->reply, !refused);
    else
        reply_ok(call->reply);
}

void cmd_rename(struct call *call)
{
    rename_key(call, false);
}

void cmd_renamenx(struct call *call)
{
    rename_key(call, true);
}

/* --- COPY, MOVE --- */

static bool take_copy_options(struct call *call, uint8_t *db, bool *replace)
{
    for (size_t i = 3; i < call->argc; i++) {
        if (call_is(call, i, "replace")) {
            *replace = true;
        } else if (call_is(call, i, "db") && i + 1 < call->argc) {
            if (!data_database(call, call->argv[++i], db))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void same_object(struct call *call)
{
    reply_error(call->reply, "ERR source and destination objects are the same");
}

void cmd_copy(struct call *call)
{
    struct place to = { call->db, call->argv[2] };
    bool replace = false;
    struct entry *e;

    if (!take_copy_options(call, &to.db, &replace))
        return;
    if (to.db == call->db && span_equal(call->argv[1], to.key)) {
        same_object(call);
        return;
    }
    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e) ||
        (e && !call_fits_group(call, object_bytes(e))))
        return;
    bool copied = e != NULL && (replace || data_live(call, to.db, to.key) == NULL);
    if (copied)
        write_copy(call, e, to);
    reply_int(call->reply, copied);
}

void cmd_move(struct call *call)
{
    struct place to = { call->db, call->argv[1] };
    struct entry *e;

    if (!data_database(call, call->argv[2], &to.db))
        return;
    if (to.db == call->db) {
        same_object(call);
        return;
    }
    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e) ||
        (e && !call_fits_group(call, object_bytes(e))))
        return;
    bool moved = e != NULL && data_live(call, to.db, to.key) == NULL;
    if (moved) {
        write_copy(call, e, to);
        emit_remove(call->replica, call->db, call->argv[1]);
    }
    reply_int(call->reply, moved);
}
