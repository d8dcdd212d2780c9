#include "cmd/contents.h"

#include "base/memory.h"
#include "cmd/data.h"
#include "crdt/score.h"

/* --- putting --- */

/* An item's own value: a counter's is the number that it stands at. */
static struct span item_value(enum component c, const struct entry *item, char *scratch)
{
    if (c == COMPONENT_ZSET)
        return score_encode(entry_score(item), (uint8_t *)scratch);
    return data_value(item, scratch);
}

static void put_items(struct buffer *out, const struct part *part)
{
    char scratch[CELL_SCRATCH_BYTES];
    struct part_iter it;

    buffer_put_varint(out, part != NULL ? part_count(part) : 0);
    if (part == NULL)
        return;
    enum component c = (enum component)part->component;
    part_iter_init(&it, part);
    for (const struct entry *item; (item = part_iter_next(&it)) != NULL;) {
        if (c != COMPONENT_LIST)
            buffer_put_prefixed(out, entry_name(item));
        if (component_has_values((uint8_t)c))
            buffer_put_prefixed(out, item_value(c, item, scratch));
    }
}

static void put_registers(struct buffer *out, const struct hll *h)
{
    uint8_t maxima[HLL_REGISTERS] = { 0 };
    uint64_t count = 0;

    hll_maxima(h, maxima);
    for (unsigned i = 0; i < HLL_REGISTERS; i++)
        count += maxima[i] != 0;
    buffer_put_varint(out, count);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) {
        if (maxima[i] != 0) {
            buffer_put_varint(out, i);
            buffer_put_u8(out, maxima[i]);
        }
    }
}

void contents_put(struct buffer *out, const struct entry *e)
{
    char scratch[CELL_SCRATCH_BYTES];
    enum component c = object_visible(e);

    buffer_put_u8(out, (uint8_t)c);
    if (c == COMPONENT_STRING)
        buffer_put_prefixed(out, data_string(e, scratch));
    else if (c == COMPONENT_HLL)
        put_registers(out, &object_part(e, c)->hll);
    else
        put_items(out, object_part(e, c));
    if (c == COMPONENT_STREAM)
        put_items(out, object_part(e, COMPONENT_GROUPS));
}

/* --- reading --- */

struct item {
    struct span name, value;
};

static bool take_item(struct span *in, enum component c, struct item *item)
{
    *item = (struct item){ span_of(NULL, 0), span_of(NULL, 0) };
    if (c != COMPONENT_LIST && !span_take_prefixed(in, &item->name))
        return false;
    if (component_has_values((uint8_t)c) && !span_take_prefixed(in, &item->value))
        return false;
    if (c == COMPONENT_ZSET)
        return score_valid(item->value);
    if (c == COMPONENT_STREAM)
        return item->name.len == STREAM_ID_BYTES && stream_fields_valid(item->value);
    return true;
}

static bool take_register(struct span *in, struct hll_register *r)
{
    uint64_t index;

    if (!span_take_varint(in, &index) || index >= HLL_REGISTERS || !span_take_u8(in, &r->value))
        return false;
    r->index = (uint16_t)index;
    return r->value >= 1 && r->value <= HLL_VALUE_MAX;
}

static bool take_items(struct span *in, enum component c, uint64_t *count)
{
    struct item item;

    if (!span_take_varint(in, count))
        return false;
    for (uint64_t i = 0; i < *count; i++) {
        if (!take_item(in, c, &item))
            return false;
    }
    return true;
}

static bool registers_valid(struct span in)
{
    struct hll_register r;
    uint64_t count;

    if (!span_take_varint(&in, &count))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!take_register(&in, &r))
            return false;
    }
    return in.len == 0;
}

bool contents_valid(struct span in)
{
    struct span value;
    uint64_t count, groups = 0;
    uint8_t component;

    if (!span_take_u8(&in, &component) || component >= COMPONENT_COUNT ||
        component == COMPONENT_GROUPS)
        return false;
    if (component == COMPONENT_STRING)
        return span_take_prefixed(&in, &value) && in.len == 0;
    if (component == COMPONENT_HLL)
        return registers_valid(in);
    if (!take_items(&in, (enum component)component, &count))
        return false;
    if (component == COMPONENT_STREAM && !take_items(&in, COMPONENT_GROUPS, &groups))
        return false;
    return count + groups > 0 && in.len == 0;
}

/* --- writing --- */

struct target {
    struct call *call;
    uint8_t db;
    struct span key;
};

static uint64_t must_count(struct span *in)
{
    uint64_t count;

    CHECK(span_take_varint(in, &count));
    return count;
}

static void write_items(const struct target *to, enum component c, struct span *in, bool wanted)
{
    struct emit_fields put;
    struct item item;

    emit_fields_begin(&put, to->call->replica, OP_PUT, c, to->db, to->key);
    for (uint64_t n = must_count(in); n > 0; n--) {
        CHECK(take_item(in, c, &item));
        if (wanted)
            emit_fields_add(&put, item.name, item.value);
    }
    emit_fields_end(&put);
}

/* Positions are unique for ever: a copy's elements get new ones. */
static void write_list(const struct target *to, struct span in)
{
    uint64_t count = must_count(&in);
    struct span *values = mem_alloc(count * sizeof(*values));
    struct item item;

    for (uint64_t i = 0; i < count; i++) {
        CHECK(take_item(&in, COMPONENT_LIST, &item));
        values[i] = item.value;
    }
    CHECK(emit_list_insert(to->call->replica, to->db, to->key, 0, true, values, count));
    mem_free(values);
}

static void write_registers(const struct target *to, struct span in)
{
    uint64_t count = must_count(&in);
    struct hll_register *registers = mem_alloc(count * sizeof(*registers));

    for (uint64_t i = 0; i < count; i++)
        CHECK(take_register(&in, &registers[i]));
    emit_hll(to->call->replica, to->db, to->key, registers, count);
    mem_free(registers);
}

static void write_string(const struct target *to, struct span in, uint64_t deadline_ms)
{
    struct span value;

    CHECK(span_take_prefixed(&in, &value));
    emit_string(to->call->replica, to->db, to->key, value,
                deadline_ms != 0 ? TIME_DEADLINE : TIME_NONE, deadline_ms);
}

void contents_write(struct call *call, uint8_t db, struct span key, struct span in,
                    uint64_t deadline_ms)
{
    struct target to = { call, db, key };
    uint8_t component;

    CHECK(span_take_u8(&in, &component));
    emit_remove(call->replica, db, key);
    if (component == COMPONENT_STRING) {
        write_string(&to, in, deadline_ms);
        return;
    }
    if (component == COMPONENT_LIST)
        write_list(&to, in);
    else if (component == COMPONENT_HLL)
        write_registers(&to, in);
    else
        write_items(&to, (enum component)component, &in, true);
    if (component == COMPONENT_STREAM)
        write_items(&to, COMPONENT_GROUPS, &in, call_has_one_writer(call, key));
    if (deadline_ms != 0)
        emit_deadline(call->replica, db, key, deadline_ms);
}
