/*
 * trial -- for tests: a few replicas in one process that exchange the batches they seal.
 *
 * A small language of what clients do (`set(A, "k", "v")`) in front of the emit calls, so that a
 * test reads like the case it is about; `synced()` lets everybody see everything. Time is
 * simulated: every write takes a millisecond. Each region's own batches and heartbeats stand in its
 * stream in order; who reads a stream has a cursor in it.
 */
#ifndef CORE_TRIAL_H
#define CORE_TRIAL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/emit.h"
#include "core/replica.h"
#include "wire/record.h"

enum { TRIAL_REGIONS = 5, TRIAL_START_MS = 1000000, TRIAL_FOR_EVER_MS = 1 << 30 };

enum { A, B, C, D, E };

struct trial_batch {
    size_t len;
    uint8_t bytes[];
};

struct trial_region {
    struct replica replica;
    int64_t skew_ms;
    struct buffer log;           /* every record it ever sealed */
    struct trial_batch **stream; /* [count]: its own batches and heartbeats */
    size_t count;
    size_t cursor[TRIAL_REGIONS]; /* of this region in the streams of the others */
};

static struct trial {
    struct trial_region regions[TRIAL_REGIONS];
    size_t count;
    uint64_t now_ms;
    uint64_t park_max_bytes;
} trial;

/* Origins by region; the last is taken by tests that add a stranger. */
static const uint8_t trial_writers[TRIAL_REGIONS] = { 1, 2, 3, 4, 5 };

static inline void trial_init_replica(struct replica *r, size_t region, size_t count)
{
    struct replica_options options = {
        .region = trial_writers[region],
        .instance = 1,
        .seed = 42 + region,
        .ceiling_ms = TRIAL_START_MS - 1000,
        .max_skew_ms = 500,
        .park_max_bytes = trial.park_max_bytes,
        .writers = trial_writers,
        .writer_count = count,
    };
    replica_init(r, &options);
    hlc_raise_ceiling(&r->hlc, TRIAL_START_MS + TRIAL_FOR_EVER_MS);
}

static inline struct replica *at(size_t region)
{
    struct trial_region *g = &trial.regions[region];
    replica_turn(&g->replica, (uint64_t)((int64_t)trial.now_ms + g->skew_ms));
    return &g->replica;
}

static inline void end_of_world(void);

static inline void world(size_t count)
{
    end_of_world(); /* of a case that failed */
    trial = (struct trial){ .count = count, .now_ms = TRIAL_START_MS, .park_max_bytes = 1 << 20 };
    for (size_t i = 0; i < count; i++)
        trial_init_replica(&trial.regions[i].replica, i, count);
}

static inline void end_of_world(void)
{
    for (size_t i = 0; i < trial.count; i++) {
        struct trial_region *g = &trial.regions[i];
        replica_release(&g->replica);
        buffer_release(&g->log);
        for (size_t k = 0; k < g->count; k++)
            mem_free(g->stream[k]);
        mem_free(g->stream);
    }
    trial.count = 0;
}

/* A case in a world of so many regions. */
#define STORY(count, name)                                                                         \
    static void name##_told(void);                                                                 \
    TEST(name)                                                                                     \
    {                                                                                              \
        world(count);                                                                              \
        name##_told();                                                                             \
        end_of_world();                                                                            \
    }                                                                                              \
    static void name##_told(void)

static inline void later(uint64_t ms)
{
    trial.now_ms += ms;
}

/* --- streams --- */

static inline void publish(struct trial_region *g, struct span batch)
{
    struct trial_batch *b = mem_alloc(sizeof(*b) + batch.len);
    b->len = batch.len;
    memcpy(b->bytes, batch.at, batch.len);
    g->stream = mem_realloc(g->stream, (g->count + 1) * sizeof(struct trial_batch *));
    g->stream[g->count++] = b;
}

/* Seals, and takes what was sealed: own batches go into the stream, all of it into the log, durable
 * at once. */
static inline void seal(size_t region)
{
    struct trial_region *g = &trial.regions[region];
    struct replica *r = &g->replica;
    uint64_t lsn = replica_seal(r);
    struct span in = buffer_span(&r->log_out);
    uint64_t place = lsn - in.len;
    struct record record;
    size_t need;
    while (in.len > 0) {
        CHECK(record_read(in, place, &record, &need) == RECORD_GOOD);
        uint8_t origin;
        stamp_t to;
        CHECK(batch_peek(record.payload, &origin, &to));
        if (origin == r->options.region)
            publish(g, record.payload);
        place += record.bytes;
        in = span_skip(in, record.bytes);
    }
    buffer_put(&g->log, buffer_span(&r->log_out));
    buffer_clear(&r->log_out);
    replica_durable(r, lsn);
}

static inline void heartbeat(size_t region)
{
    struct buffer out = { 0 };
    struct replica *r = at(region);
    seal(region);
    if (replica_heartbeat(r, r->options.region, &out))
        publish(&trial.regions[region], buffer_span(&out));
    buffer_release(&out);
}

static inline struct span batch_of(size_t region, size_t index)
{
    struct trial_batch *b = trial.regions[region].stream[index];
    return span_of(b->bytes, b->len);
}

static inline enum receive_verdict receive(size_t to, struct span batch)
{
    enum receive_verdict verdict = replica_receive(at(to), batch);
    seal(to);
    return verdict;
}

/* Back to the first batch that the region still lacks of a stream. */
static inline void rewind_cursor(size_t to, size_t from)
{
    const struct replica *r = &trial.regions[to].replica;
    size_t *cursor = &trial.regions[to].cursor[from];
    uint8_t origin;
    stamp_t batch_to;
    for (*cursor = 0; *cursor < trial.regions[from].count; (*cursor)++) {
        CHECK(batch_peek(batch_of(from, *cursor), &origin, &batch_to));
        if (batch_to > vector_get(&r->applied, origin))
            break;
    }
}

/* The next batch of one stream; false when it led nowhere, or there is none. */
static inline bool deliver_next(size_t to, size_t from)
{
    size_t *cursor = &trial.regions[to].cursor[from];
    if (to == from || *cursor == trial.regions[from].count)
        return false;
    enum receive_verdict verdict = receive(to, batch_of(from, (*cursor)++));
    if (verdict == RECEIVE_GAP)
        rewind_cursor(to, from);
    uint8_t origin;
    while (replica_take_dropped(&trial.regions[to].replica, &origin))
        rewind_cursor(to, origin - 1u);
    return verdict == RECEIVE_APPLIED || verdict == RECEIVE_DUPLICATE || verdict == RECEIVE_PARKED;
}

/* All of one stream; true when anything of it was applied. */
static inline bool deliver_all(size_t to, size_t from)
{
    const struct replica *r = &trial.regions[to].replica;
    uint8_t origin = trial_writers[from];
    stamp_t before = vector_get(&r->applied, origin);
    rewind_cursor(to, from);
    while (deliver_next(to, from))
        continue;
    return to != from && vector_get(&r->applied, origin) > before;
}

/* Everybody sees everything. */
static inline void synced(void)
{
    later(1);
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t to = 0; to < trial.count; to++) {
            for (size_t from = 0; from < trial.count; from++)
                progress |= deliver_all(to, from);
        }
    }
}

/* --- what clients do --- */

static inline struct replica *begin(size_t region)
{
    later(1);
    struct replica *r = at(region);
    replica_group_begin(r);
    return r;
}

static inline void end(size_t region)
{
    replica_group_end(&trial.regions[region].replica);
    seal(region);
}

/* A write of one command: what stands between is one group. */
#define COMMAND(region, ...)                                                                       \
    do {                                                                                           \
        struct replica *r = begin(region);                                                         \
        __VA_ARGS__;                                                                               \
        end(region);                                                                               \
    } while (0)

static inline void set(size_t region, const char *key, const char *value)
{
    COMMAND(region, emit_string(r, 0, span_str(key), span_str(value), TIME_NONE, 0));
}

static inline void set_ex(size_t region, const char *key, const char *value, uint64_t ms)
{
    COMMAND(region,
            emit_string(r, 0, span_str(key), span_str(value), TIME_DEADLINE, trial.now_ms + ms));
}

/* APPEND, SETRANGE, SETBIT: the whole result, the deadline as it is. */
static inline void rewrite(size_t region, const char *key, const char *value)
{
    COMMAND(region, emit_string(r, 0, span_str(key), span_str(value), TIME_KEEP, 0));
}

static inline void del(size_t region, const char *key)
{
    COMMAND(region, emit_remove(r, 0, span_str(key)));
}

static inline struct amount whole(int64_t by)
{
    return (struct amount){ .i = by };
}

static inline struct amount real(double by)
{
    return (struct amount){ .is_float = true, .f = by };
}

static inline void incr(size_t region, const char *key, int64_t by)
{
    COMMAND(region, emit_bump(r, 0, span_str(key), whole(by)));
}

static inline void incr_float(size_t region, const char *key, double by)
{
    COMMAND(region, emit_bump(r, 0, span_str(key), real(by)));
}

static inline void hincr(size_t region, const char *key, const char *field, int64_t by)
{
    COMMAND(region,
            emit_field_bump(r, 0, COMPONENT_HASH, span_str(key), span_str(field), whole(by)));
}

static inline void put_fields(struct replica *r, enum op_kind kind, enum component c,
                              const char *key, const char *name, const char *value)
{
    struct emit_fields e;
    emit_fields_begin(&e, r, kind, c, 0, span_str(key));
    emit_fields_add(&e, span_str(name), span_str(value));
    emit_fields_end(&e);
}

static inline void hset(size_t region, const char *key, const char *field, const char *value)
{
    COMMAND(region, put_fields(r, OP_PUT, COMPONENT_HASH, key, field, value));
}

static inline void hdel(size_t region, const char *key, const char *field)
{
    COMMAND(region, put_fields(r, OP_TAKE, COMPONENT_HASH, key, field, ""));
}

static inline void sadd(size_t region, const char *key, const char *member)
{
    COMMAND(region, put_fields(r, OP_PUT, COMPONENT_SET, key, member, ""));
}

static inline void srem(size_t region, const char *key, const char *member)
{
    COMMAND(region, put_fields(r, OP_TAKE, COMPONENT_SET, key, member, ""));
}

static inline void expire(size_t region, const char *key, uint64_t ms)
{
    COMMAND(region, emit_deadline(r, 0, span_str(key), trial.now_ms + ms));
}

static inline void persist(size_t region, const char *key)
{
    COMMAND(region, emit_deadline(r, 0, span_str(key), 0));
}

/* --- what readers see, as text: a string's value; "f=v g=w" of a hash; "a b" of a set; "(nil)"
 * --- */

static inline const struct entry *object_at(size_t region, const char *key)
{
    struct replica *r = at(region);
    const struct entry *e = database_find(&r->databases[0], span_str(key));
    return e && !object_expired(e, replica_hlc_ms(r)) && object_visible(e) != COMPONENT_NONE ? e
                                                                                             : NULL;
}

static inline int trial_compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void describe_fields(struct buffer *out, const struct table *fields, bool valued)
{
    char *items[64], scratch[CELL_SCRATCH_BYTES];
    size_t count = 0;
    struct table_iter it;
    table_iter_init(&it, fields);
    for (void **slot; (slot = table_iter_next(&it)) && count < COUNT_OF(items);) {
        struct buffer item = { 0 };
        struct span value;
        buffer_put(&item, entry_name(*slot));
        CHECK(entry_read(*slot, scratch, &value));
        if (valued) {
            buffer_put_u8(&item, '=');
            buffer_put(&item, value);
        }
        buffer_put_u8(&item, 0);
        items[count++] = (char *)item.at;
    }
    qsort(items, count, sizeof(items[0]), trial_compare_text);
    for (size_t i = 0; i < count; i++) {
        buffer_put_text(out, i ? " " : "");
        buffer_put_text(out, items[i]);
        mem_free(items[i]);
    }
}

static inline const char *get(size_t region, const char *key)
{
    static char text[512];
    char scratch[CELL_SCRATCH_BYTES];
    const struct entry *e = object_at(region, key);
    if (!e)
        return "(nil)";
    struct buffer out = { 0 };
    struct span value = { NULL, 0 };
    enum component c = object_visible(e);
    if (c == COMPONENT_STRING) {
        CHECK(object_string(e, scratch, &value));
        buffer_put(&out, value);
    } else {
        describe_fields(&out, object_fields(e, c), c == COMPONENT_HASH);
    }
    snprintf(text, sizeof(text), "%.*s", (int)out.len, (const char *)out.at);
    buffer_release(&out);
    return text;
}

/* Milliseconds from now to the deadline; -1: none; -2: no such key. */
static inline int64_t ttl(size_t region, const char *key)
{
    const struct entry *e = object_at(region, key);
    if (!e)
        return -2;
    uint64_t at_ms = object_deadline_ms(e);
    return at_ms ? (int64_t)(at_ms - trial.now_ms) : -1;
}

static inline bool all_equal(void)
{
    for (size_t i = 1; i < trial.count; i++) {
        if (replica_digest(&trial.regions[i].replica) !=
                replica_digest(&trial.regions[0].replica) ||
            !vector_equal(&trial.regions[i].replica.last_op, &trial.regions[0].replica.last_op))
            return false;
    }
    return true;
}

#define EXPECT_EVERYWHERE(key, value)                                                              \
    do {                                                                                           \
        for (size_t region_ = 0; region_ < trial.count; region_++)                                 \
            EXPECT_TEXT(span_str(get(region_, key)), value);                                       \
        EXPECT(all_equal());                                                                       \
    } while (0)

#endif
