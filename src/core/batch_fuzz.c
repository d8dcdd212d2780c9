/*
 * Fuzz: batches of peers. What is decoded and encoded again stays what it is; two replicas that are
 * fed the same say the same and end in the same state, and so does a third that replays the log of
 * the first.
 *
 * The first replica also writes: its batches go to the second, as in a world. Pieces by the upper
 * bits of their control byte:
 *
 *     BATCH   bytes of a batch. REPAIR makes it the next of its stream, so that the ops inside are
 *             looked at: prev, from and check as the replicas have them, its context within theirs
 *     OPS     n x (u8 kind, u8 component, u8 database, key, u16 length, payload): a batch of an
 *             origin, that has seen what the replicas have, or (BLIND) nothing
 *     WRITE   the first replica writes or removes something of a key
 *     TIME    goes on by 2^n milliseconds; heartbeats, reclaim
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/pieces.h"
#include "core/emit.h"
#include "core/replica.h"
#include "wire/record.h"

enum { PIECE_BATCH, PIECE_OPS, PIECE_WRITE, PIECE_TIME }; /* control >> 6 */

enum { REPAIR = 1 << 0, BLIND = 1 << 2 }; /* in control; the origin of OPS is in its low bits */

/* Origins of the replicas, and of the first peer of OPS: 1, 2, 3. */
enum { FIRST = 11, SECOND = 12, PEER = 1, PEERS = 3 };

/* A corpus is made at 1,000,000 ms; what changes a few bits of that still is not ahead of us. */
enum { START_MS = 1 << 24, PARK_MAX_BYTES = 4096, WRITERS = PEERS + 1 };

static const uint8_t writers[WRITERS] = { FIRST, PEER, PEER + 1, PEER + 2 };

static struct replica first, second;
static struct buffer first_log; /* every record it sealed */
static uint64_t now_ms;

/* --- replicas --- */

static void start(struct replica *r, uint8_t region)
{
    replica_init(r, &(struct replica_options){
                        .region = region,
                        .instance = 1,
                        .seed = region,
                        .max_skew_ms = 500,
                        .park_max_bytes = PARK_MAX_BYTES,
                        .writers = writers,
                        .writer_count = WRITERS,
                    });
    hlc_raise_ceiling(&r->hlc, (uint64_t)1 << 42);
    replica_turn(r, now_ms);
}

/* What the first has written goes to the second; what it took from others the second had before. */
static void seal_and_pass(void)
{
    uint64_t lsn = replica_seal(&first);
    struct span log = buffer_span(&first.log_out);
    struct record record;
    size_t need;
    buffer_put(&first_log, log);
    for (uint64_t at = lsn - log.len; log.len > 0; at += record.bytes) {
        uint8_t origin;
        stamp_t to;
        CHECK(record_read(log, at, &record, &need) == RECORD_GOOD);
        CHECK(batch_peek(record.payload, &origin, &to));
        if (origin == FIRST)
            CHECK(replica_receive(&second, record.payload) == RECEIVE_APPLIED);
        log = span_skip(log, record.bytes);
    }
    buffer_clear(&first.log_out);
    replica_durable(&first, lsn);
    lsn = replica_seal(&second);
    buffer_clear(&second.log_out);
    replica_durable(&second, lsn);
}

static void check_equal(const struct replica *a, const struct replica *b)
{
    CHECK(vector_equal(&a->last_op, &b->last_op));
    CHECK(replica_digest(a) == replica_digest(b));
}

static void check_bounds(struct replica *r)
{
    struct replica_event event;
    uint8_t origin;
    CHECK(r->parked_bytes <= PARK_MAX_BYTES);
    CHECK(vector_covers(&r->applied, &r->last_op) && vector_covers(&r->applied, &r->durable));
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        CHECK(list_empty(&r->streams[o].parked) || replica_awaited(r, (uint8_t)o) != 0);
    }
    while (replica_next_event(r, &event) || replica_take_dropped(r, &origin))
        continue;
}

/* What waited for what the first has just written goes on at both alike. */
static void settle(void)
{
    seal_and_pass();
    replica_tick(&first, false);
    replica_tick(&second, false);
    seal_and_pass();
    CHECK(first.parked_count == second.parked_count);
    check_bounds(&first);
    check_bounds(&second);
}

/* --- codecs --- */

static bool same_header(const struct batch *a, const struct batch *b)
{
    return a->origin == b->origin && a->instance == b->instance && a->from == b->from &&
           a->to == b->to && a->prev == b->prev && a->check == b->check &&
           a->op_count == b->op_count && vector_equal(&a->context, &b->context);
}

/* Encodes the ops again, as a sender would. */
static void put_ops(struct buffer *out, const struct batch *b)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    for (stamp_t before = w.stamp; batch_next_op(&w, &op, &hashed); before = op.stamp) {
        size_t place = op_begin(out, before, &op);
        buffer_put(out, op.payload);
        op_end(out, place);
    }
}

/* The bytes that an encoder makes of a batch are good, mean the same, and are made of themselves. */
static void check_codec(struct span bytes)
{
    struct batch b, again;
    struct buffer once = { 0 }, twice = { 0 };
    uint8_t origin;
    stamp_t to;
    if (!batch_take(bytes, &b))
        return;
    CHECK(batch_peek(bytes, &origin, &to) && origin == b.origin && to == b.to);
    bool valid = batch_valid(&b);
    batch_put_header(&once, &b);
    if (valid)
        put_ops(&once, &b);
    else
        buffer_put(&once, b.ops);
    CHECK(batch_take(buffer_span(&once), &again) && same_header(&b, &again));
    CHECK(batch_valid(&again) == valid);
    batch_put_header(&twice, &again);
    if (valid)
        put_ops(&twice, &again);
    else
        buffer_put(&twice, again.ops);
    CHECK(span_equal(buffer_span(&once), buffer_span(&twice)));
    buffer_release(&once);
    buffer_release(&twice);
}

/* --- pieces --- */

static void feed(struct span batch)
{
    uint8_t origin;
    stamp_t to;
    /* of exactly its size, so that a read past its end is seen */
    uint8_t *copy = mem_alloc(batch.len);
    memcpy(copy, batch.at, batch.len);
    batch = span_of(copy, batch.len);
    check_codec(batch);
    if (batch_peek(batch, &origin, &to) && (origin == FIRST || origin == SECOND)) {
        CHECK(replica_receive(origin == FIRST ? &first : &second, batch) == RECEIVE_REFUSED);
    } else {
        enum receive_verdict verdict = replica_receive(&first, batch);
        CHECK(replica_receive(&second, batch) == verdict);
        if (verdict == RECEIVE_APPLIED || verdict == RECEIVE_DUPLICATE)
            CHECK(replica_receive(&first, batch) != RECEIVE_APPLIED);
    }
    mem_free(copy);
}

/* Later by as much as brings it behind what we have of its stream. False: not before the end of
 * time. */
static bool move_behind(struct batch *b, stamp_t last)
{
    uint64_t by = b->from < last ? stamp_time(last) - stamp_time(b->from) : 0;
    if (by > (UINT64_MAX >> STAMP_ORIGIN_BITS) - stamp_time(b->to))
        return false;
    b->prev = last;
    b->from = b->from < last ? last : b->from;
    b->to += by << STAMP_ORIGIN_BITS;
    b->check = first.streams[b->origin].check;
    return true;
}

static void feed_batch(struct span bytes, uint8_t control)
{
    struct batch b;
    struct buffer repaired = { 0 };
    if (!(control & REPAIR) || !batch_take(bytes, &b) ||
        !move_behind(&b, vector_get(&first.last_op, b.origin))) {
        feed(bytes);
        return;
    }
    for (uint32_t o = 0; o < b.context.high; o++) {
        stamp_t have = vector_get(&first.applied, (uint8_t)o);
        if (b.context.at[o] > have)
            b.context.at[o] = have;
    }
    batch_put_header(&repaired, &b);
    buffer_put(&repaired, b.ops);
    feed(buffer_span(&repaired));
    buffer_release(&repaired);
}

static bool take_op(struct span *in, struct op *op)
{
    uint8_t kind, low, high;
    if (!span_take_u8(in, &kind) || !span_take_u8(in, &op->component) ||
        !span_take_u8(in, &op->db) || !span_take_prefixed(in, &op->key) ||
        !span_take_u8(in, &low) || !span_take_u8(in, &high))
        return false;
    size_t len = (size_t)low | (size_t)high << 8;
    op->more = kind & OP_MORE;
    op->kind = (enum op_kind)(kind & (OP_MORE - 1));
    return span_take_bytes(in, len < in->len ? len : in->len, &op->payload);
}

static void feed_ops(struct span in, uint8_t control)
{
    uint8_t origin = (uint8_t)(PEER + (control & 3) % PEERS);
    stamp_t last = vector_get(&first.last_op, origin);
    stamp_t from = vector_get(&first.applied, origin);
    if (from < stamp_make(now_ms - 1, 0, origin))
        from = stamp_make(now_ms - 1, 0, origin);
    struct batch b = {
        .origin = origin,
        .instance = 1,
        .from = from,
        .to = from,
        .prev = last,
        .check = first.streams[origin].check,
    };
    if (!(control & BLIND)) {
        vector_copy(&b.context, &first.last_op);
        if (last != 0)
            b.context.at[origin] = 0;
    }
    struct buffer ops = { 0 }, out = { 0 };
    struct op op;
    while (take_op(&in, &op)) {
        op.more = op.more && in.len > 0;
        op.stamp = b.to + ((stamp_t)1 << STAMP_ORIGIN_BITS);
        size_t place = op_begin(&ops, b.to, &op);
        buffer_put(&ops, op.payload);
        op_end(&ops, place);
        b.to = op.stamp;
        b.op_count++;
    }
    if (b.op_count > 0) {
        batch_put_header(&out, &b);
        buffer_put(&out, buffer_span(&ops));
        feed(buffer_span(&out));
    }
    buffer_release(&ops);
    buffer_release(&out);
}

/* Writes an item of some part, or takes one. */
static void write_item(enum op_kind kind, uint8_t db, struct span key, struct span value)
{
    static const enum component components[] = { COMPONENT_HASH, COMPONENT_SET, COMPONENT_GROUPS };
    uint8_t choice = value.len > 0 ? value.at[0] : 0;
    struct emit_fields e;
    emit_fields_begin(&e, &first, kind, components[choice % COUNT_OF(components)], db, key);
    emit_fields_add(&e, span_of(value.at, value.len > 2 ? 2 : value.len), value);
    emit_fields_end(&e);
}

/* Pushes an element to somewhere in the list: it stands there. */
static void push(uint8_t db, struct span key, struct span value)
{
    const struct entry *e = database_find(&first.databases[db], key);
    const struct part *list = e ? object_part(e, COMPONENT_LIST) : NULL;
    bool visible = list && object_visible(e) == COMPONENT_LIST &&
                   !object_expired(e, replica_hlc_ms(&first));
    uint64_t count = visible ? part_count(list) : 0;
    uint8_t choice = value.len > 0 ? value.at[0] : 0;
    uint64_t rank = (choice >> 1) % (count + 1);
    if (!emit_list_insert(&first, db, key, rank, choice & 1, &value, 1))
        return;
    e = database_find(&first.databases[db], key);
    list = object_part(e, COMPONENT_LIST);
    CHECK(part_count(list) == count + 1);
    char scratch[CELL_SCRATCH_BYTES];
    struct span read;
    CHECK(entry_read(btree_at(&list->order, rank), scratch, &read) && span_equal(read, value));
}

/* The first byte is the key, the rest the value. */
static void write_one(struct span in, uint8_t control)
{
    struct span key = span_of(in.at, in.len > 0), value = span_skip(in, 1);
    uint8_t choice = value.len > 0 ? value.at[0] : 0, db = control >> 4 & 3;
    if (replica_must_wait(&first))
        return;
    replica_group_begin(&first);
    switch (control & 15) {
    case 0:
    case 1:
        emit_remove(&first, db, key);
        break;
    case 2:
        emit_string(&first, db, key, value, TIME_NONE, 0);
        break;
    case 3:
        emit_string(&first, db, key, value, TIME_KEEP, 0);
        break;
    case 4:
        emit_string(&first, db, key, value, TIME_DEADLINE, now_ms + 1000);
        break;
    case 5:
        emit_deadline(&first, db, key, choice == 0 ? 0 : now_ms + choice);
        break;
    case 6:
        emit_bump(&first, db, key, (struct amount){ .i = choice - 100 });
        break;
    case 7:
        emit_field_bump(&first, db, COMPONENT_HASH, key, value, (struct amount){ .i = choice });
        break;
    case 8:
        emit_field_bump(&first, db, COMPONENT_ZSET, key, value,
                        (struct amount){ .is_float = true, .f = choice });
        break;
    case 9:
        write_item(OP_PUT, db, key, value);
        break;
    case 10:
        write_item(OP_TAKE, db, key, value);
        break;
    case 11:
        emit_stream_add(&first, db, key, (struct stream_id){ choice, choice }, span_of("\0", 1));
        break;
    case 12:
        emit_hll(&first, db, key, &(struct hll_register){ choice, 1 }, choice & 1);
        break;
    default:
        push(db, key, value);
        break;
    }
    replica_group_end(&first);
}

static void go_on(uint8_t control)
{
    struct buffer heartbeat = { 0 };
    now_ms += (uint64_t)1 << (control & 31);
    replica_turn(&first, now_ms);
    replica_turn(&second, now_ms);
    settle();
    replica_tick(&first, true);
    settle();
    if (replica_heartbeat(&first, first.options.region, &heartbeat)) {
        check_codec(buffer_span(&heartbeat));
        replica_receive(&second, buffer_span(&heartbeat));
    }
    buffer_release(&heartbeat);
}

static void run_piece(const struct piece *piece)
{
    switch (piece->control >> 6) {
    case PIECE_BATCH:
        feed_batch(piece->bytes, piece->control);
        break;
    case PIECE_OPS:
        feed_ops(piece->bytes, piece->control);
        break;
    case PIECE_WRITE:
        write_one(piece->bytes, piece->control);
        break;
    case PIECE_TIME:
        go_on(piece->control);
        break;
    }
    settle();
}

/* --- at the end --- */

static void check_replay(void)
{
    struct replica third;
    struct span log = buffer_span(&first_log);
    struct record record;
    size_t need;
    start(&third, FIRST);
    for (uint64_t at = 0; log.len > 0; at += record.bytes) {
        CHECK(record_read(log, at, &record, &need) == RECORD_GOOD);
        CHECK(replica_replay(&third, at + record.bytes, record.payload) == 0);
        log = span_skip(log, record.bytes);
    }
    replica_recovered(&third, first_log.len);
    check_equal(&first, &third);
    replica_release(&third);
}

/* Trees are trees, and count the same as tables. */
static void check_parts(const struct entry *e)
{
    struct part *p = e->form == ENTRY_BODY ? e->body->parts : NULL;
    for (; p; p = p->next) {
        CHECK(!part_empty(p) && part_newest(p) > 0);
        if (component_in_order(p->component))
            btree_check(&p->order);
        if (component_in_order(p->component) && component_in_table(p->component))
            CHECK(p->order.count == p->fields.count);
    }
}

/* Every key is removed, as DEL does: nothing is left to see of it. */
static void remove_all(void)
{
    for (uint8_t db = 0; db < OP_DATABASES; db++) {
        const struct table *keys = &first.databases[db].keys;
        struct buffer names = { 0 };
        struct table_iter it;
        table_iter_init(&it, keys);
        for (void **slot; (slot = table_iter_next(&it));) {
            buffer_put_prefixed(&names, entry_name(*slot));
            check_parts(*slot);
        }
        struct span rest = buffer_span(&names), key;
        while (span_take_prefixed(&rest, &key)) {
            replica_group_begin(&first);
            emit_remove(&first, db, key);
            replica_group_end(&first);
            const struct entry *left = database_find(&first.databases[db], key);
            CHECK(!left || object_visible(left) == COMPONENT_NONE);
        }
        CHECK(database_size(&first.databases[db]) == 0);
        buffer_release(&names);
    }
    seal_and_pass();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct piece piece;
    now_ms = START_MS;
    start(&first, FIRST);
    start(&second, SECOND);
    while (pieces_next(&in, &piece))
        run_piece(&piece);
    check_equal(&first, &second);
    check_replay();
    remove_all();
    check_equal(&first, &second);
    replica_release(&first);
    replica_release(&second);
    buffer_release(&first_log);
    return 0;
}
