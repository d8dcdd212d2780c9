#include "core/emit.h"

#include <assert.h>

#include "base/check.h"
#include "base/mutation.h"
#include "core/internal.h"
#include "wire/record.h"

/* A group of GROUP_MAX_BYTES with the headers of its ops fits below this; above it comes at most one
 * op more, of twice GROUP_MAX_BYTES. */
enum {
    OPEN_MAX_BYTES = GROUP_MAX_BYTES + GROUP_MAX_BYTES / 2,
    KEEP_BYTES = 1 << 20, /* of scratch, between commands */
};
static_assert(OPEN_MAX_BYTES + 2 * GROUP_MAX_BYTES + BATCH_HEADER_MAX < RECORD_PAYLOAD_MAX,
              "a record holds whatever batch there can be");

/* The origin under which the group that runs is written. */
static uint8_t self(const struct replica *r)
{
    return r->group_origin;
}

/* --- one op --- */

/* What the batch that opens now has observed: the last op of every other origin. */
static void open_batch(struct replica *r)
{
    r->open_origin = self(r);
    r->open_from = vector_get(&r->applied, self(r));
    r->open_prev = vector_get(&r->last_op, self(r));
    r->open_last = stamp_make(0, 0, self(r)) | (stamp_time(r->open_from) << STAMP_ORIGIN_BITS);
    r->open_check = r->streams[self(r)].check;
    vector_copy(&r->open_context, &r->last_op);
    if (self(r) < r->open_context.high)
        r->open_context.at[self(r)] = 0;
}

void replica_hash_last(struct replica *r)
{
    if (r->unhashed == 0)
        return;
    struct stream *own = &r->streams[r->open_origin];
    own->check = batch_check(own->check, r->unhashed,
                             span_skip(buffer_span(&r->open), r->unhashed_offset));
    r->unhashed = 0;
}

size_t emit_start(struct replica *r, struct op *op)
{
    if (r->open.len >= OPEN_MAX_BYTES) {
        r->group_kept = false; /* no record would hold more */
        replica_split_group(r);
    }
    if (MUTATION(splits_group) && r->group_first != 0)
        replica_split_group(r);
    if (r->open_ops > 0 && r->open_origin != self(r))
        replica_seal(r); /* a batch is of one origin */
    if (r->open_ops == 0)
        open_batch(r);
    op->stamp = hlc_tick(&r->hlc, r->now_ms, self(r));
    if (r->group_first == 0)
        r->group_first = op->stamp;
    else
        op_mark_more(&r->open, r->group_last_offset);
    op->rank = r->group_first;
    replica_hash_last(r);
    r->group_last_offset = r->open.len;
    return op_begin(&r->open, r->open_last, op);
}

void emit_finish(struct replica *r, struct op *op, size_t place)
{
    op_end(&r->open, place);
    /* The key and payload as they stand in the batch: the caller's spans may point into what
     * changes now. */
    op->key = span_of(r->open.at + place - op->key.len, op->key.len);
    op->payload = span_of(r->open.at + place + 4, r->open.len - place - 4);
    CHECK_SLOW(op_valid(op));
    database_apply(&r->databases[op->db], op, &r->open_context);

    size_t offset = r->group_last_offset;
    while (r->open.at[offset] & 0x80)
        offset++;
    r->unhashed_offset = offset + 1;
    r->unhashed = op->stamp;
    r->open_last = r->group_stamp = op->stamp;
    r->open_ops++;
    replica_note_run(r, r->open_origin, r->options.instance);
    vector_set(&r->applied, op->stamp);
    vector_set(&r->last_op, op->stamp);
}

/* Emits these encoded items as one op. */
static void put_items(struct replica *r, struct op *op, struct span items, uint64_t count)
{
    size_t place = emit_start(r, op);
    buffer_put_varint(&r->open, count);
    buffer_put(&r->open, items);
    emit_finish(r, op, place);
}

/* Some counters of a hash or a sorted set, as many as make an op of about GROUP_MAX_BYTES. */
static uint64_t gather_counters(struct replica *r, const struct part *p)
{
    uint64_t count = 0;
    struct part_iter it;
    const struct entry *item;
    buffer_clear(&r->items);
    part_iter_init(&it, p);
    while (r->items.len < GROUP_MAX_BYTES && (item = part_iter_next(&it))) {
        if (!entry_has_tallies(item))
            continue;
        buffer_put_prefixed(&r->items, entry_name(item));
        entry_put_observed(&r->items, item);
        count++;
    }
    return count;
}

/* A part among those of the mask whose tallies are too many for one op, or NULL. */
static const struct part *too_counted(const struct entry *e, uint32_t mask)
{
    const struct part *p = e->form == ENTRY_BODY ? e->body->parts : NULL;
    while (p && (!(mask >> p->component & 1) || part_drop_bytes(p) <= GROUP_MAX_BYTES))
        p = p->next;
    return p;
}

/* A removal names every counter that it resets. Where these are too many for one op, they are taken
 * out piece by piece before. Returns what is left of the object. */
static const struct entry *thin_out(struct replica *r, uint8_t db, const struct entry *e,
                                    uint32_t mask)
{
    struct buffer key = { 0 };
    for (const struct part *p; e && (p = too_counted(e, mask));) {
        buffer_clear(&key);
        buffer_put(&key, entry_name(e));
        struct op op = {
            .kind = OP_TAKE, .component = p->component, .db = db, .key = buffer_span(&key)
        };
        uint64_t count = gather_counters(r, p);
        put_items(r, &op, buffer_span(&r->items), count);
        buffer_clear(&r->items);
        replica_split_group(r);
        e = database_find(&r->databases[db], buffer_span(&key));
    }
    buffer_release(&key);
    return e;
}

static void emit_drop(struct replica *r, uint8_t db, const struct entry *e, uint32_t mask)
{
    e = thin_out(r, db, e, mask);
    if (!e)
        return;
    struct op op = { .kind = OP_DROP, .db = db, .key = entry_name(e) };
    size_t place = emit_start(r, &op);
    object_put_drop(&r->open, e, mask);
    emit_finish(r, &op, place);
}

struct entry *emit_make_way(struct replica *r, uint8_t db, struct span key,
                            enum component component)
{
    struct database *d = &r->databases[db];
    struct entry *e = database_find(d, key);
    if (!e || e->form == ENTRY_INLINE)
        return e;
    uint32_t components = object_components(e);
    uint32_t others = components & ~component_family(component);
    if (components == 0 || object_expired(e, replica_hlc_ms(r)))
        emit_drop(r, db, e, MASK_ALL);
    else if (others)
        emit_drop(r, db, e, others);
    else
        return e;
    return database_find(d, key);
}

/* --- strings --- */

static const struct cell *string_cell(const struct entry *e)
{
    return e && e->form == ENTRY_BODY ? &e->body->string : NULL;
}

static void put_observed(struct buffer *out, const struct cell *c)
{
    if (c)
        cell_put_observed(out, c);
    else
        buffer_put_varint(out, 0);
}

void emit_string(struct replica *r, uint8_t db, struct span key, struct span value,
                 enum time_rule rule, uint64_t deadline_ms)
{
    CHECK(rule != TIME_DEADLINE || deadline_ms > 0);
    struct entry *e = emit_make_way(r, db, key, COMPONENT_STRING);
    struct op op = { .kind = OP_PUT, .component = COMPONENT_STRING, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    buffer_put_u8(&r->open, (uint8_t)rule);
    if (rule == TIME_DEADLINE)
        buffer_put_varint(&r->open, deadline_ms);
    buffer_put_prefixed(&r->open, value);
    put_observed(&r->open, string_cell(e));
    emit_finish(r, &op, place);
}

/* The end of a bump's payload: where the tally stood, and where it stands now. */
static void put_bump(struct replica *r, const struct cell *c, struct amount by, stamp_t latest)
{
    stamp_t previous;
    struct amount before;
    cell_tally_base(c, self(r), by.is_float, latest, &previous, &before);
    buffer_put_u64(&r->open, previous);
    amount_put(&r->open, before);
    amount_put(&r->open, amount_add(before, by));
}

void emit_bump(struct replica *r, uint8_t db, struct span key, struct amount by)
{
    struct entry *e = emit_make_way(r, db, key, COMPONENT_STRING);
    stamp_t latest = vector_get(&r->last_op, self(r));
    struct op op = { .kind = OP_BUMP, .component = COMPONENT_STRING, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    put_bump(r, string_cell(e), by, latest);
    emit_finish(r, &op, place);
}

/* --- fields --- */

static const struct entry *find_field(const struct entry *e, enum component c, struct span field)
{
    const struct part *p = e ? object_part(e, c) : NULL;
    return p ? part_find(p, field) : NULL;
}

void emit_field_bump(struct replica *r, uint8_t db, enum component c, struct span key,
                     struct span field, struct amount by)
{
    struct entry *e = emit_make_way(r, db, key, c);
    const struct entry *f = find_field(e, c, field);
    stamp_t latest = vector_get(&r->last_op, self(r));
    struct op op = { .kind = OP_BUMP, .component = (uint8_t)c, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    buffer_put_prefixed(&r->open, field);
    put_bump(r, f && f->form == ENTRY_CELL ? f->cell : NULL, by, latest);
    emit_finish(r, &op, place);
}

void emit_fields_begin(struct emit_fields *e, struct replica *r, enum op_kind kind,
                       enum component c, uint8_t db, struct span key)
{
    CHECK(kind == OP_PUT || kind == OP_TAKE);
    *e = (struct emit_fields){ .replica = r, .kind = kind, .component = c, .db = db, .key = key };
    buffer_clear(&r->items);
    buffer_clear(&r->cuts);
}

/* Items that are too many for one op are cut into several; here it is noted where. */
static void cut_items(struct emit_fields *e)
{
    struct replica *r = e->replica;
    if (r->items.len - e->cut < GROUP_MAX_BYTES)
        return;
    buffer_put_u64(&r->cuts, r->items.len - e->cut);
    buffer_put_u64(&r->cuts, e->count);
    e->cut = r->items.len;
    e->count = 0;
}

void emit_fields_add(struct emit_fields *e, struct span name, struct span value)
{
    struct buffer *items = &e->replica->items;
    if (!e->opened) {
        e->object = emit_make_way(e->replica, e->db, e->key, e->component);
        buffer_clear(items); /* making way may have used it */
        e->opened = true;
    }
    buffer_put_prefixed(items, name);
    if (e->kind == OP_PUT && component_has_values((uint8_t)e->component))
        buffer_put_prefixed(items, value);
    if (component_counts((uint8_t)e->component))
        entry_put_observed(items, find_field(e->object, e->component, name));
    e->count++;
    cut_items(e);
}

/* What a MULTI takes away besides what its commands say is known only now. */
static bool fits_kept_group(struct emit_fields *e)
{
    struct replica *r = e->replica;
    if (!r->group_kept || replica_group_bytes(r) + r->items.len <= GROUP_MAX_BYTES)
        return true;
    r->group_refused = true;
    return false;
}

static void put_cut_items(struct emit_fields *e)
{
    struct replica *r = e->replica;
    struct span items = buffer_span(&r->items), cuts = buffer_span(&r->cuts);
    struct op op = {
        .kind = e->kind, .component = (uint8_t)e->component, .db = e->db, .key = e->key
    };
    uint64_t bytes, count;
    while (span_take_u64(&cuts, &bytes) && span_take_u64(&cuts, &count)) {
        struct op one = op;
        put_items(r, &one, span_of(items.at, bytes), count);
        items = span_skip(items, bytes);
        replica_split_group(r);
    }
    if (e->count > 0)
        put_items(r, &op, items, e->count);
}

void emit_fields_end(struct emit_fields *e)
{
    struct replica *r = e->replica;
    if (e->opened && fits_kept_group(e))
        put_cut_items(e);
    if (r->items.cap > KEEP_BYTES)
        buffer_release(&r->items);
}

/* --- whole keys --- */

void emit_remove(struct replica *r, uint8_t db, struct span key)
{
    struct entry *e = database_find(&r->databases[db], key);
    if (e)
        emit_drop(r, db, e, MASK_ALL);
}

size_t emit_remove_bytes(const struct entry *e)
{
    enum { OP_BYTES = 48 }; /* of an op beside its key and the counters it names */
    size_t bytes = OP_BYTES + e->name_len;
    for (const struct part *p = e->form == ENTRY_BODY ? e->body->parts : NULL; p; p = p->next)
        bytes += part_drop_bytes(p);
    return bytes;
}

void emit_deadline(struct replica *r, uint8_t db, struct span key, uint64_t deadline_ms)
{
    struct op op = { .kind = OP_DEADLINE, .db = db, .key = key };
    size_t place = emit_start(r, &op);
    buffer_put_varint(&r->open, deadline_ms);
    emit_finish(r, &op, place);
}
