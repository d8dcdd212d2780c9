#include "base/bits.h"
#include "sim/effects.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "sim/world.h"
#include "wire/record.h"

void oracle_init(struct oracle *o)
{
    *o = (struct oracle){ 0 };
}

void oracle_release(struct oracle *o)
{
    for (size_t i = 0; i < o->batch_count; i++)
        mem_free(o->batches[i].bytes);
    mem_free(o->batches);
    mem_free(o->known);
    mem_free(o->ops);
    mem_free(o->effects);
    *o = (struct oracle){ 0 };
}

/* --- what is wrong, for people --- */

static const char *fail(struct oracle *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *fail(struct oracle *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->problem, sizeof(o->problem), format, args);
    va_end(args);
    return o->problem;
}

const char *oracle_op_text(const struct op *op, char text[ORACLE_TEXT_BYTES])
{
    char stamp[SIM_STAMP_BYTES], db[8] = "";
    if (op->db != 0)
        snprintf(db, sizeof(db), "%u/", op->db);
    snprintf(text, ORACLE_TEXT_BYTES, "r%u %s on key %s%.*s", stamp_origin(op->stamp),
             sim_stamp_text(op->stamp, stamp), db, (int)op->key.len, (const char *)op->key.at);
    return text;
}

/* --- reading the histories --- */

static void add_op(struct oracle *o, const struct op *op, const struct vector *context)
{
    if ((o->op_count & (o->op_count - 1)) == 0)
        o->ops = mem_realloc(o->ops, (o->op_count ? 2 * o->op_count : 1) * sizeof(*o->ops));
    struct oracle_op *added = &o->ops[o->op_count++];
    *added = (struct oracle_op){ .op = *op };
    for (uint8_t i = 0; i < ORACLE_ORIGINS; i++)
        added->seen[i] = vector_get(context, i);
    added->seen[stamp_origin(op->stamp)] = op->stamp - 1;
}

static bool add_batch(struct oracle *o, const struct batch *b)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    stamp_t last = b->prev;
    char text[ORACLE_TEXT_BYTES], z[SIM_STAMP_BYTES];
    while (batch_next_op(&w, &op, &hashed)) {
        if (op.stamp <= last) {
            fail(o, "%s comes after %s", oracle_op_text(&op, text), sim_stamp_text(last, z));
            return false;
        }
        last = op.stamp;
        add_op(o, &op, &b->context);
        if (!oracle_positions_good(&o->ops[o->op_count - 1])) {
            fail(o, "%s names positions that it could not make", oracle_op_text(&op, text));
            return false;
        }
    }
    return true;
}

/* --- what stands in the logs --- */

/* Where the batch of this hash is named, or may be. */
static uint32_t *place_of(const struct oracle *o, uint64_t hash)
{
    size_t at = (size_t)hash & (o->known_size - 1);
    while (o->known[at] != 0 && o->batches[o->known[at] - 1].hash != hash)
        at = (at + 1) & (o->known_size - 1);
    return &o->known[at];
}

static void grow(struct oracle *o)
{
    if (o->known_size > 2 * o->batch_count)
        return;
    mem_free(o->known);
    o->known_size = o->known_size ? 2 * o->known_size : 256;
    o->known = mem_zalloc(o->known_size * sizeof(*o->known));
    for (size_t i = 0; i < o->batch_count; i++)
        *place_of(o, o->batches[i].hash) = (uint32_t)i + 1;
    o->batches = mem_realloc(o->batches, o->known_size * sizeof(*o->batches));
}

static void keep(struct oracle *o, struct span bytes, uint64_t hash, const struct batch *b)
{
    struct batch_walk w = batch_walk(b);
    struct op op;
    struct span hashed;
    struct oracle_batch kept = {
        .hash = hash,
        .bytes = memcpy(mem_alloc(bytes.len), bytes.at, bytes.len),
        .len = bytes.len,
        .origin = b->origin,
        .last = b->prev,
        .check = b->check,
    };
    while (batch_next_op(&w, &op, &hashed)) {
        kept.last = op.stamp;
        kept.check = batch_check(kept.check, op.stamp, hashed);
    }
    *place_of(o, hash) = (uint32_t)o->batch_count + 1;
    o->batches[o->batch_count++] = kept;
    o->in_order = false;
}

/* The next record's batch; false at the end, or with a problem. */
static bool next_batch(struct oracle *o, struct span *in, uint64_t *lsn, struct span *bytes,
                       struct batch *b)
{
    struct record record;
    size_t need;
    if (in->len == 0)
        return false;
    if (record_read(*in, *lsn, &record, &need) != RECORD_GOOD || !batch_take(record.payload, b) ||
        b->origin >= ORACLE_ORIGINS) {
        fail(o, "no batch at %llu", (unsigned long long)*lsn);
        return false;
    }
    *bytes = record.payload;
    *lsn += record.bytes;
    *in = span_skip(*in, record.bytes);
    return true;
}

bool oracle_add_log(struct oracle *o, struct span records)
{
    struct batch b;
    struct span bytes;
    uint64_t lsn = 0;
    while (next_batch(o, &records, &lsn, &bytes, &b)) {
        uint64_t hash = XXH3_64bits(bytes.at, bytes.len);
        grow(o);
        if (*place_of(o, hash) == 0)
            keep(o, bytes, hash, &b);
    }
    return records.len == 0;
}

/* --- which of it counts --- */

static int by_end(const void *a, const void *b)
{
    const struct oracle_batch *x = a, *y = b;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    return x->check < y->check ? -1 : x->check > y->check;
}

static struct oracle_batch *batch_ending(struct oracle *o, stamp_t last, uint32_t check)
{
    struct oracle_batch key = { .last = last, .check = check };
    return o->batch_count == 0 ? NULL
                               : bsearch(&key, o->batches, o->batch_count, sizeof(key), by_end);
}

/* From its last op back to its first. */
static bool trace_origin(struct oracle *o, uint8_t origin, stamp_t last, uint32_t check)
{
    char text[SIM_STAMP_BYTES];
    size_t count = 0;
    while (last != 0) {
        struct oracle_batch *found = batch_ending(o, last, check);
        struct batch b;
        if (!found || found->counts) {
            fail(o, "no log has what r%u wrote up to %s", origin, sim_stamp_text(last, text));
            return false;
        }
        CHECK(batch_take(span_of(found->bytes, found->len), &b));
        found->counts = true;
        found->place = count++; /* counted from the end */
        if (!add_batch(o, &b))
            return false;
        last = b.prev;
        check = b.check;
    }
    o->counts[origin] = count;
    return true;
}

static void put_in_order(struct oracle *o)
{
    if (o->in_order || o->batch_count == 0)
        return;
    qsort(o->batches, o->batch_count, sizeof(*o->batches), by_end);
    memset(o->known, 0, o->known_size * sizeof(*o->known));
    for (size_t i = 0; i < o->batch_count; i++)
        *place_of(o, o->batches[i].hash) = (uint32_t)i + 1;
    o->in_order = true;
}

bool oracle_is_past(struct oracle *o, stamp_t last, uint32_t check, stamp_t of, uint32_t of_check)
{
    put_in_order(o);
    while (of > last) {
        const struct oracle_batch *found = batch_ending(o, of, of_check);
        struct batch b;
        if (!found)
            return false;
        CHECK(batch_take(span_of(found->bytes, found->len), &b));
        of = b.prev;
        of_check = b.check;
    }
    return of == last && of_check == check;
}

bool oracle_trace(struct oracle *o, const struct vector *last_ops, const struct stream *streams)
{
    put_in_order(o);
    for (uint8_t origin = 0; origin < ORACLE_ORIGINS; origin++) {
        if (!trace_origin(o, origin, vector_get(last_ops, origin), streams[origin].check))
            return false;
    }
    return true;
}

const char *oracle_check_log(struct oracle *o, struct span records, bool whole,
                             const uint64_t foreign[4])
{
    size_t next[ORACLE_ORIGINS] = { 0 };
    char text[SIM_STAMP_BYTES];
    struct batch b;
    struct span bytes;
    uint64_t lsn = 0;
    o->problem[0] = 0;
    while (next_batch(o, &records, &lsn, &bytes, &b)) {
        uint32_t known = *place_of(o, XXH3_64bits(bytes.at, bytes.len));
        const struct oracle_batch *batch = known ? &o->batches[known - 1] : NULL;
        if (whole && (!batch || !batch->counts))
            return fail(o, "r%u up to %s is in no history that counts", b.origin,
                        sim_stamp_text(b.to, text));
        if (!whole)
            continue;
        size_t place = o->counts[b.origin] - 1 - batch->place;
        if (place != next[b.origin])
            return fail(o, "r%u up to %s comes out of order", b.origin, sim_stamp_text(b.to, text));
        next[b.origin] = place + 1;
    }
    for (uint8_t origin = 0; whole && origin < ORACLE_ORIGINS && o->problem[0] == 0; origin++) {
        bool holds = !bits_have(foreign, origin);
        if (next[origin] != (holds ? o->counts[origin] : 0))
            return fail(o, "%zu batches of r%u, should be %zu", next[origin], origin,
                        holds ? o->counts[origin] : 0);
    }
    return o->problem[0] ? o->problem : NULL;
}

/* --- effects --- */

static struct oracle_effect *add_effect(struct oracle *o, const struct oracle_op *by,
                                        enum effect_kind kind)
{
    if ((o->effect_count & (o->effect_count - 1)) == 0)
        o->effects = mem_realloc(o->effects,
                                 (o->effect_count ? 2 * o->effect_count : 1) * sizeof(*o->effects));
    struct oracle_effect *e = &o->effects[o->effect_count++];
    *e = (struct oracle_effect){ .by = by, .kind = kind, .lasts = true };
    return e;
}

static void add_string(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload;
    uint8_t rule;
    uint64_t at_ms = 0;
    CHECK(span_take_u8(&p, &rule));
    if (rule == TIME_DEADLINE)
        CHECK(span_take_varint(&p, &at_ms));
    CHECK(span_take_prefixed(&p, &add_effect(o, by, EFFECT_VALUE)->value));
    if (rule != TIME_KEEP)
        add_effect(o, by, EFFECT_TIME)->at_ms = at_ms;
}

/* One item of a list of them. */
static void take_item(const struct op *op, struct span *p, struct span *name, struct span *value)
{
    struct span observed;
    uint64_t count;
    *value = span_of(NULL, 0);
    CHECK(span_take_prefixed(p, name));
    if (op->kind == OP_PUT && op->component != COMPONENT_SET)
        CHECK(span_take_prefixed(p, value));
    if (op->component == COMPONENT_HASH || op->component == COMPONENT_ZSET)
        CHECK(observed_list_take(p, &observed, &count));
}

/* A command may name a field twice: the last counts. */
static void add_fields(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload, name, value;
    size_t first = o->effect_count;
    uint64_t n;
    CHECK(span_take_varint(&p, &n));
    while (n-- > 0) {
        take_item(&by->op, &p, &name, &value);
        for (size_t i = first; i < o->effect_count; i++) {
            if (span_equal(o->effects[i].field, name))
                o->effects[i].lasts = false;
        }
        struct oracle_effect *e = add_effect(o, by, EFFECT_VALUE);
        e->field = name;
        e->value = value;
    }
}

static void add_maxima(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload;
    stamp_t generation;
    CHECK(span_take_u64(&p, &generation));
    struct oracle_effect *e = add_effect(o, by, generation ? EFFECT_MAXIMA : EFFECT_GENERATION);
    e->generation = generation ? generation : by->op.rank;
    e->value = p;
}

static void add_increment(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload, field = { NULL, 0 };
    stamp_t previous;
    struct amount before, after;
    if (by->op.component != COMPONENT_STRING)
        CHECK(span_take_prefixed(&p, &field));
    CHECK(span_take_u64(&p, &previous) && amount_take(&p, &before) && amount_take(&p, &after));
    struct oracle_effect *e = add_effect(o, by, EFFECT_INCREMENT);
    e->field = field;
    e->amount = amount_subtract(after, before);
}

static void add_effects(struct oracle *o, const struct oracle_op *by)
{
    struct span p = by->op.payload;
    switch (by->op.kind) {
    case OP_PUT:
        if (by->op.component == COMPONENT_STRING)
            add_string(o, by);
        else if (by->op.component == COMPONENT_HLL)
            add_maxima(o, by);
        else
            add_fields(o, by);
        break;
    case OP_BUMP:
        add_increment(o, by);
        break;
    case OP_DEADLINE:
        CHECK(span_take_varint(&p, &add_effect(o, by, EFFECT_TIME)->at_ms));
        break;
    case OP_TAKE:
    case OP_DROP:
    case OP_KIND_END:
        break;
    }
}

/* --- which effects last --- */

static bool names_field(const struct op *op, struct span field)
{
    struct span p = op->payload, name, value;
    uint64_t n;
    CHECK(span_take_varint(&p, &n));
    while (n-- > 0) {
        take_item(op, &p, &name, &value);
        if (span_equal(name, field))
            return true;
    }
    return false;
}

/* Whether ops of this kind speak of the effect's place at all. */
static bool wipes(const struct op *op, const struct oracle_effect *e)
{
    uint64_t mask;
    struct span p = op->payload;
    switch (op->kind) {
    case OP_PUT:
    case OP_TAKE:
        if (e->kind == EFFECT_TIME)
            return op->component == COMPONENT_STRING && p.at[0] != TIME_KEEP;
        if (op->component == COMPONENT_HLL)
            return false; /* a maximum takes nothing away */
        return e->by->op.component == op->component &&
               (op->component == COMPONENT_STRING || names_field(op, e->field));
    case OP_DEADLINE:
        return e->kind == EFFECT_TIME;
    case OP_DROP:
        CHECK(span_take_varint(&p, &mask));
        return mask &
               (e->kind == EFFECT_TIME ? (uint64_t)MASK_DEADLINES : 1ull << e->by->op.component);
    case OP_BUMP:
    case OP_KIND_END:
        break;
    }
    return false;
}

int oracle_compare_keys(const struct op *a, const struct op *b)
{
    return a->db != b->db ? a->db - b->db : span_compare(a->key, b->key);
}

static int by_key(const void *a, const void *b)
{
    const struct oracle_op *x = a, *y = b;
    int order = oracle_compare_keys(&x->op, &y->op);
    return order != 0 ? order : x->op.stamp < y->op.stamp ? -1 : 1;
}

/* The ops of the key that begins at `from`. */
static size_t end_of_key(const struct oracle *o, size_t from)
{
    size_t end = from;
    while (end < o->op_count && oracle_compare_keys(&o->ops[end].op, &o->ops[from].op) == 0)
        end++;
    return end;
}

/* Maxima last with the generation that their writer saw. */
static bool generation_lasts(const struct oracle *o, size_t first, const struct oracle_effect *e)
{
    for (size_t i = first; i < o->effect_count; i++) {
        const struct oracle_effect *g = &o->effects[i];
        if (g->kind == EFFECT_GENERATION && g->generation == e->generation && g->lasts &&
            oracle_saw(e->by, g->by))
            return true;
    }
    return false;
}

static void judge_key(struct oracle *o, size_t from, size_t end)
{
    size_t first = o->effect_count;
    bool any = false;
    for (size_t i = from; i < end; i++)
        add_effects(o, &o->ops[i]);
    for (size_t i = first; i < o->effect_count; i++) {
        struct oracle_effect *e = &o->effects[i];
        for (size_t k = from; k < end && e->lasts; k++)
            e->lasts = !oracle_saw(&o->ops[k], e->by) || !wipes(&o->ops[k].op, e);
    }
    for (size_t i = first; i < o->effect_count; i++) {
        struct oracle_effect *e = &o->effects[i];
        if (e->kind == EFFECT_MAXIMA)
            e->lasts = generation_lasts(o, first, e);
        any |= e->lasts;
    }
    o->key_count += any;
}

void oracle_judge(struct oracle *o)
{
    qsort(o->ops, o->op_count, sizeof(*o->ops), by_key);
    for (size_t from = 0, end; from < o->op_count; from = end) {
        end = end_of_key(o, from);
        judge_key(o, from, end);
    }
    size_t kept = 0;
    for (size_t i = 0; i < o->effect_count; i++) {
        if (o->effects[i].lasts)
            o->effects[kept++] = o->effects[i];
    }
    o->effect_count = kept;
}

/* --- reclaim --- */

/* What was over for the writer of `w` on its key, in milliseconds: 0 when nothing was. */
static uint64_t deadline_seen_by(struct oracle *o, const struct oracle_op *w)
{
    uint64_t longest = 0;
    bool none = false;
    o->effect_count = 0;
    for (size_t i = 0; i < o->op_count; i++) {
        const struct oracle_op *by = &o->ops[i];
        if (oracle_saw(w, by) && oracle_compare_keys(&by->op, &w->op) == 0)
            add_effects(o, by);
    }
    for (size_t i = 0; i < o->effect_count; i++) {
        struct oracle_effect *e = &o->effects[i];
        for (size_t k = 0; k < o->op_count && e->lasts; k++) {
            const struct oracle_op *by = &o->ops[k];
            bool seen = oracle_saw(w, by) && oracle_compare_keys(&by->op, &w->op) == 0;
            e->lasts = !seen || !oracle_saw(by, e->by) || !wipes(&by->op, e);
        }
        if (!e->lasts || e->kind != EFFECT_TIME)
            continue;
        none |= e->at_ms == 0;
        longest = e->at_ms > longest ? e->at_ms : longest;
    }
    o->effect_count = 0;
    return none || longest >= stamp_ms(w->op.stamp) ? 0 : longest;
}

static bool is_reclaim(const struct oracle_op *w, const struct oracle_reclaim *ranges, size_t count)
{
    stamp_t s = w->op.stamp;
    if (w->op.kind != OP_DROP || w->op.rank != s || w->op.more)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (stamp_origin(s) == stamp_origin(ranges[i].up_to) && s > ranges[i].after &&
            s <= ranges[i].up_to)
            return true;
    }
    return false;
}

/* Who writes to one fence is not heard by whoever reclaims in another. */
static bool is_of_fence(const struct oracle *o, stamp_t a, stamp_t b)
{
    return o->fence_of == NULL || o->fence_of[stamp_origin(a)] == o->fence_of[stamp_origin(b)];
}

const char *oracle_check_reclaims(struct oracle *o, const struct oracle_reclaim *reclaims,
                                  size_t count)
{
    char text[ORACLE_TEXT_BYTES], unseen[ORACLE_TEXT_BYTES];
    for (size_t i = 0; i < o->op_count; i++) {
        const struct oracle_op *w = &o->ops[i];
        uint64_t at_ms = is_reclaim(w, reclaims, count) ? deadline_seen_by(o, w) : 0;
        for (size_t k = 0; k < o->op_count && at_ms != 0; k++) {
            stamp_t other = o->ops[k].op.stamp;
            if (!is_of_fence(o, other, w->op.stamp) || stamp_ms(other) > at_ms ||
                other <= w->seen[stamp_origin(other)] || other == w->op.stamp)
                continue;
            return fail(o, "%s reclaims what was over at %lld, and has not seen %s",
                        oracle_op_text(&w->op, text), (long long)(at_ms - SIM_START_US / 1000),
                        oracle_op_text(&o->ops[k].op, unseen));
        }
    }
    return NULL;
}

int64_t oracle_sum(const struct oracle *o, uint8_t db, struct span key)
{
    int128_t sum = 0;
    for (size_t i = 0; i < o->effect_count; i++) {
        const struct oracle_effect *e = &o->effects[i];
        if (e->kind == EFFECT_INCREMENT && e->by->op.db == db && span_equal(e->by->op.key, key))
            sum += e->amount.i;
    }
    return (int64_t)sum;
}
