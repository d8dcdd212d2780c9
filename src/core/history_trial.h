/*
 * history_trial -- for tests: random commands of every type, in the language of trial.h, and what a
 * region's log makes of a replica.
 */
#ifndef CORE_HISTORY_TRIAL_H
#define CORE_HISTORY_TRIAL_H

#include "base/prng.h"
#include "core/trial.h"
#include "crdt/score.h"

enum { KEYS = 14, DATABASES = 2 };

static struct prng prng; /* seeded by the test */

static inline bool chance(unsigned percent)
{
    return prng_below(&prng, 100) < percent;
}

/* --- what clients do --- */

static inline struct span key_of(unsigned number)
{
    static uint8_t room[1000];
    static const size_t lengths[] = { 0, 300, 255, 1000 }; /* then short ones */
    memset(room, 'a' + (int)number, sizeof(room));
    return span_of(room, number < COUNT_OF(lengths) ? lengths[number] : number);
}

static inline struct span text_of(char letter, uint64_t range)
{
    static char room[4][24];
    static unsigned turn;
    char *text = room[turn++ % 4];
    snprintf(text, sizeof(room[0]), "%c%llu", letter, (unsigned long long)prng_below(&prng, range));
    return span_str(text);
}

/* A few items, or many: what is copied in pieces. */
static inline void random_items(struct replica *r, uint8_t db, struct span key, enum component c,
                                enum op_kind kind)
{
    struct emit_fields e;
    uint64_t n = chance(20) ? 40 : 1 + prng_below(&prng, 3);
    emit_fields_begin(&e, r, kind, c, db, key);
    for (uint64_t i = 0; i < n; i++) {
        uint8_t bytes[SCORE_BYTES];
        struct span value = c == COMPONENT_ZSET ? score_encode((double)prng_below(&prng, 9), bytes)
                                                : text_of('v', 5);
        emit_fields_add(&e, text_of('f', 50), value);
    }
    emit_fields_end(&e);
}

static inline void random_push(struct replica *r, uint8_t db, struct span key)
{
    const struct entry *e = database_find(&r->databases[db], key);
    const struct btree *order = e ? object_order(e, COMPONENT_LIST) : NULL;
    bool visible = order && object_visible(e) == COMPONENT_LIST &&
                   !object_expired(e, replica_hlc_ms(r));
    uint64_t count = visible ? order->count : 0;
    struct span values[4];
    for (size_t i = 0; i < COUNT_OF(values); i++)
        values[i] = text_of('e', 9);
    (void)emit_list_insert(r, db, key, prng_below(&prng, count + 1), chance(50), values,
                           1 + prng_below(&prng, 4));
}

static inline void random_pop(struct replica *r, uint8_t db, struct span key)
{
    const struct entry *e = database_find(&r->databases[db], key);
    const struct btree *order = e ? object_order(e, COMPONENT_LIST) : NULL;
    struct emit_fields f;
    struct buffer name = { 0 };
    if (!order || order->count == 0)
        return;
    buffer_put(&name, entry_name(btree_at(order, prng_below(&prng, order->count))));
    emit_fields_begin(&f, r, OP_TAKE, COMPONENT_LIST, db, key);
    emit_fields_add(&f, buffer_span(&name), span_of(NULL, 0));
    emit_fields_end(&f);
    buffer_release(&name);
}

static inline void random_number(struct replica *r, uint8_t db, struct span key)
{
    struct amount by = chance(50) ? whole((int64_t)prng_below(&prng, 9) - 4) : real(0.5);
    switch (prng_below(&prng, 4)) {
    case 0:
        emit_field_bump(r, db, COMPONENT_HASH, key, text_of('f', 4), by);
        return;
    case 1:
        emit_field_bump(r, db, COMPONENT_ZSET, key, text_of('f', 4), real(1));
        return;
    default:
        emit_bump(r, db, key, by);
    }
}

static inline void random_string(struct replica *r, uint8_t db, struct span key)
{
    switch (prng_below(&prng, 3)) {
    case 0:
        emit_string(r, db, key, text_of('s', 9), TIME_NONE, 0);
        return;
    case 1:
        emit_string(r, db, key, text_of('s', 9), TIME_KEEP, 0);
        return;
    default:
        emit_string(r, db, key, text_of('s', 9), TIME_DEADLINE,
                    trial.now_ms + 1 + prng_below(&prng, 200));
    }
}

static inline void random_write(struct replica *r, uint8_t db, struct span key)
{
    static const enum component components[] = { COMPONENT_HASH, COMPONENT_SET, COMPONENT_ZSET };
    enum component c = components[prng_below(&prng, 3)];
    static const uint8_t fields[] = { 1, 1, 'f', 1, 'v' };
    struct hll_register raised = { (uint16_t)prng_below(&prng, 40), 3 };
    switch (prng_below(&prng, 14)) {
    case 0:
    case 1:
        emit_remove(r, db, key);
        return;
    case 2:
    case 3:
        random_string(r, db, key);
        return;
    case 4:
        emit_deadline(r, db, key, chance(30) ? 0 : trial.now_ms + prng_below(&prng, 200) + 1);
        return;
    case 5:
        random_number(r, db, key);
        return;
    case 6:
        random_push(r, db, key);
        return;
    case 7:
        random_pop(r, db, key);
        return;
    case 8:
        emit_stream_add(r, db, key, (struct stream_id){ 0 }, span_of(fields, sizeof(fields)));
        return;
    case 9:
        emit_hll(r, db, key, &raised, chance(80));
        return;
    case 10:
    case 11:
        random_items(r, db, key, c, OP_TAKE);
        return;
    default:
        random_items(r, db, key, c, OP_PUT);
    }
}

static inline void random_command(size_t region)
{
    unsigned writes = chance(20) ? 3 : 1;
    struct replica *r = begin(region);
    if (replica_must_wait(r) || replica_write_refusal(r))
        writes = 0;
    for (; writes > 0; writes--)
        random_write(r, (uint8_t)prng_below(&prng, DATABASES),
                     key_of((unsigned)prng_below(&prng, KEYS)));
    end(region);
}

/* --- replicas that are made of A's log --- */

static inline void start_replica(struct replica *r, size_t region, size_t count,
                                 uint64_t table_seed)
{
    static uint64_t instance = 1;
    replica_init(r, &(struct replica_options){
                        .region = trial_writers[region],
                        .instance = instance++,
                        .seed = prng_next(&prng),
                        .table_seed = table_seed,
                        .ceiling_ms = TRIAL_START_MS - 1000,
                        .max_skew_ms = 500,
                        .park_max_bytes = 1 << 20,
                        .writers = trial_writers,
                        .writer_count = count,
                    });
    hlc_raise_ceiling(&r->hlc, TRIAL_START_MS + TRIAL_FOR_EVER_MS);
    replica_turn(r, trial.now_ms);
}

/* The end of the record that begins there. */
static inline uint64_t record_end(uint64_t lsn)
{
    struct record record;
    size_t need;
    struct span log = span_skip(buffer_span(&trial.regions[A].log), lsn);
    CHECK(record_read(log, lsn, &record, &need) == RECORD_GOOD);
    return lsn + record.bytes;
}

static inline void replay_log(struct replica *r, uint64_t from, uint64_t to)
{
    struct span log = buffer_span(&trial.regions[A].log);
    struct record record;
    size_t need;
    for (uint64_t at = from; at < to; at += record.bytes) {
        CHECK(record_read(span_skip(log, at), at, &record, &need) == RECORD_GOOD);
        CHECK(replica_replay(r, at + record.bytes, record.payload) == 0);
    }
}

/* What a copy that begins now would start from. */
static inline struct copy_start start_here(const struct replica *r)
{
    struct copy_start s = { .lsn = r->log_end, .table_seed = r->databases[0].keys.seed };
    vector_copy(&s.applied, &r->applied);
    vector_copy(&s.last_op, &r->last_op);
    for (uint32_t o = 0; o < STAMP_ORIGINS; o++) {
        s.instance[o] = r->streams[o].instance;
        s.check[o] = r->streams[o].check;
        memcpy(s.takeovers[o], r->streams[o].takeovers, sizeof(s.takeovers[o]));
    }
    return s;
}

#endif
