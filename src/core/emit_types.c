/*
 * emit_types -- ops whose payload needs the stamp they are given: positions, ids, generations.
 */
#include "core/emit.h"
#include "core/internal.h"
#include "crdt/position.h"

/* --- lists --- */

static struct span position_at(const struct entry *e, uint64_t rank)
{
    const struct btree *order = e ? object_order(e, COMPONENT_LIST) : NULL;
    const struct entry *element = order ? btree_at(order, rank) : NULL;
    return element ? entry_name(element) : span_of(NULL, 0);
}

static void put_elements(struct replica *r, const struct position_place *place,
                         const struct span *values, size_t count)
{
    struct buffer *position = &r->items;
    buffer_put_varint(&r->open, count);
    for (size_t i = 0; i < count; i++) {
        buffer_clear(position);
        position_put(position, place, i);
        buffer_put_prefixed(&r->open, buffer_span(position));
        buffer_put_prefixed(&r->open, values[i]);
    }
    buffer_clear(position);
}

bool emit_list_insert(struct replica *r, uint8_t db, struct span key, uint64_t rank, bool right,
                      const struct span *values, size_t count)
{
    const struct entry *e = emit_make_way(r, db, key, COMPONENT_LIST);
    struct span before = rank > 0 ? position_at(e, rank - 1) : span_of(NULL, 0);
    struct span after = position_at(e, rank);
    if (before.len > POSITION_DEEP_BYTES || after.len > POSITION_DEEP_BYTES)
        return false;
    struct op op = { .kind = OP_PUT, .component = COMPONENT_LIST, .db = db, .key = key };
    size_t start = emit_start(r, &op);
    struct position_place place;
    position_between(&place, before, after, op.stamp, right);
    put_elements(r, &place, values, count);
    buffer_release(&place.parent);
    emit_finish(r, &op, start);
    return true;
}

/* --- streams --- */

static struct stream_id id_after(struct stream_id id)
{
    if (++id.sequence == 0)
        id.ms++;
    return id;
}

struct stream_id emit_stream_add(struct replica *r, uint8_t db, struct span key,
                                 struct stream_id after, struct span fields)
{
    emit_make_way(r, db, key, COMPONENT_STREAM);
    struct op op = { .kind = OP_PUT, .component = COMPONENT_STREAM, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    struct stream_id id = stream_id_of_stamp(op.stamp);
    if (stream_id_compare(id, after) <= 0)
        id = id_after(after);
    uint8_t name[STREAM_ID_BYTES];
    buffer_put_varint(&r->open, 1);
    buffer_put_prefixed(&r->open, stream_id_encode(id, name));
    buffer_put_prefixed(&r->open, fields);
    emit_finish(r, &op, place);
    return id;
}

/* --- hyperloglogs --- */

void emit_hll(struct replica *r, uint8_t db, struct span key, const struct hll_register *registers,
              size_t count)
{
    const struct entry *e = emit_make_way(r, db, key, COMPONENT_HLL);
    const struct part *part = e ? object_part(e, COMPONENT_HLL) : NULL;
    struct op op = { .kind = OP_PUT, .component = COMPONENT_HLL, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    buffer_put_u64(&r->open, part ? hll_generation(&part->hll) : 0);
    buffer_put_varint(&r->open, count);
    for (size_t i = 0; i < count; i++) {
        buffer_put_varint(&r->open, registers[i].index);
        buffer_put_u8(&r->open, registers[i].value);
    }
    emit_finish(r, &op, place);
}
