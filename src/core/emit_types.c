/*
 * emit_types -- ops whose payload needs the stamp they are given: positions, ids, generations.
 */
#include "base/check.h"
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

/* The stamp that the next op will bear. */
static stamp_t next_stamp(const struct replica *r)
{
    struct hlc ahead = r->hlc;
    return hlc_tick(&ahead, r->now_ms, r->group_origin);
}

/* The place for an op that comes next; false when there is none beside those that stand there. */
static bool find_place(const struct replica *r, const struct entry *e, uint64_t rank, bool right,
                       struct position_place *place)
{
    struct span before = rank > 0 ? position_at(e, rank - 1) : span_of(NULL, 0);
    return position_between(place, before, position_at(e, rank), next_stamp(r), right);
}

/* How many elements one op should hold. */
static size_t count_fitting(const struct position_place *place, const struct span *values,
                            size_t count)
{
    size_t bytes = 0, fit = 0;
    while (fit < count && bytes < GROUP_MAX_BYTES)
        bytes += position_bytes_max(place) + values[fit++].len;
    return fit;
}

static size_t put_elements(struct replica *r, uint8_t db, struct span key,
                           struct position_place *place, const struct span *values, size_t count)
{
    struct op op = { .kind = OP_PUT, .component = COMPONENT_LIST, .db = db, .key = key };
    struct buffer *position = &r->items;
    size_t fit = count_fitting(place, values, count), start = emit_start(r, &op);
    CHECK(op.stamp == place->op);
    buffer_put_varint(&r->open, fit);
    for (size_t i = 0; i < fit; i++) {
        buffer_clear(position);
        position_put(position, place, i);
        buffer_put_prefixed(&r->open, buffer_span(position));
        buffer_put_prefixed(&r->open, values[i]);
    }
    emit_finish(r, &op, start);
    return fit;
}

/* More than one op holds go on where those before ended, as a group of their own. */
static void put_rest(struct replica *r, uint8_t db, struct span key, uint64_t rank, bool right,
                     const struct span *values, size_t count)
{
    while (count > 0) {
        struct position_place place;
        replica_split_group(r);
        CHECK(find_place(r, database_find(&r->databases[db], key), rank, right, &place));
        size_t done = put_elements(r, db, key, &place, values, count);
        position_release(&place);
        rank += right ? done : 0;
        values += done;
        count -= done;
    }
}

bool emit_list_insert(struct replica *r, uint8_t db, struct span key, uint64_t rank, bool right,
                      const struct span *values, size_t count)
{
    struct position_place place;
    const struct entry *e = database_find(&r->databases[db], key);
    bool expired = e && object_expired(e, replica_hlc_ms(r));
    if (!find_place(r, expired ? NULL : e, rank, right, &place)) {
        position_release(&place);
        return false;
    }
    e = emit_make_way(r, db, key, COMPONENT_LIST);
    if (next_stamp(r) != place.op) { /* that took an op */
        position_release(&place);
        CHECK(find_place(r, e, rank, right, &place));
    }
    size_t done = put_elements(r, db, key, &place, values, count);
    position_release(&place);
    put_rest(r, db, key, right ? rank + done : rank, right, values + done, count - done);
    return true;
}

/* --- streams --- */

/* Above `after`, and of no other region: the millisecond after its own, with the low bits of the
 * stamp, in which the origin is. Where one region writes, the very next. */
static struct stream_id id_after(const struct replica *r, struct stream_id after, stamp_t stamp)
{
    if (replica_writers_of(r, replica_fence_of(r, r->group_origin)) > 1 && after.ms < UINT64_MAX)
        return (struct stream_id){ after.ms + 1, stream_id_of_stamp(stamp).sequence };
    if (++after.sequence == 0)
        after.ms++;
    return after;
}

struct stream_id emit_stream_add(struct replica *r, uint8_t db, struct span key,
                                 struct stream_id after, struct span fields)
{
    emit_make_way(r, db, key, COMPONENT_STREAM);
    struct op op = { .kind = OP_PUT, .component = COMPONENT_STREAM, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    struct stream_id id = stream_id_of_stamp(op.stamp);
    if (stream_id_compare(id, after) <= 0)
        id = id_after(r, after, op.stamp);
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
