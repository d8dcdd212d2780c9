/*
 * kv_trial -- for tests: what every implementation of env/kv.h has to do.
 *
 * Each function takes an open store, empties it, and tries one side of the contract; kv_trial_all
 * runs them one after the other. They are used within a TEST and fail as it does. A store that is
 * closed and opened again between kv_trial_leave and kv_trial_found must hold what was left.
 */
#ifndef ENV_KV_TRIAL_H
#define ENV_KV_TRIAL_H

#include "base/error.h"
#include "base/memory.h"
#include "base/prng.h"
#include "base/test.h"
#include "env/kv.h"

enum { KV_TRIAL_KEYS = 40, KV_TRIAL_READERS = 3, KV_TRIAL_BIG = 10 << 20 };

/* What a store holds: the number that each value is made from, 0 for none. */
struct kv_trial_state {
    uint32_t seeds[KV_TABLES][KV_TRIAL_KEYS];
};

/* Keys ascend with their number; every second one is the one before it and a zero byte; the last is
 * as long as keys may be. */
static inline struct span kv_trial_key(unsigned number, uint8_t *room)
{
    size_t len = 1 + (number / 2 * 131) % (KV_KEY_MAX - 1);

    if (number / 2 == KV_TRIAL_KEYS / 2 - 1)
        len = KV_KEY_MAX - 1;
    memset(room, (int)(number % 7 < 2 ? 0xff : 0x00), KV_KEY_MAX);
    room[0] = (uint8_t)(number / 2 * 6);
    if (number % 2 == 1)
        room[len] = 0;
    memset(room + 1, 'k', len - 1);
    return span_of(room, len + number % 2);
}

/* Empty, short, about a page, many pages. The bytes are the caller's to free. */
static inline struct span kv_trial_value(uint32_t seed)
{
    static const uint32_t most[] = { 1, 20, 600, 5000, 5000, 40000 };
    struct prng p;
    size_t len;
    uint8_t *at;

    prng_seed(&p, seed);
    len = (size_t)prng_below(&p, most[prng_below(&p, 6)]);
    at = mem_alloc(len);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(prng_next(&p) >> 56);
    return span_of(at, len);
}

static inline bool kv_trial_is(struct span value, uint32_t seed)
{
    struct span want = kv_trial_value(seed);
    bool same = span_equal(value, want);

    mem_free((void *)(uintptr_t)want.at);
    return same;
}

static inline int kv_trial_put(struct kv *kv, struct kv_txn *txn, enum kv_table table,
                               unsigned number, uint32_t seed)
{
    uint8_t room[KV_KEY_MAX];
    struct span value = kv_trial_value(seed);
    int error = kv->ops->put(txn, table, kv_trial_key(number, room), value);

    mem_free((void *)(uintptr_t)value.at);
    return error;
}

/* The number of the first key from `number` on that the table has. */
static inline unsigned kv_trial_from(const uint32_t *seeds, unsigned number)
{
    while (number < KV_TRIAL_KEYS && seeds[number] == 0)
        number++;
    return number;
}

/* Whether `error`, `key` and `value` are what seek and next answer at `number`. */
static inline bool kv_trial_at(const uint32_t *seeds, unsigned number, int error, struct span key,
                               struct span value)
{
    uint8_t room[KV_KEY_MAX];

    if (number == KV_TRIAL_KEYS)
        return error == E_MISSING;
    return error == E_OK && span_equal(key, kv_trial_key(number, room)) &&
           kv_trial_is(value, seeds[number]);
}

static inline bool kv_trial_table_holds(struct kv *kv, struct kv_txn *txn, enum kv_table table,
                                        const uint32_t *seeds)
{
    struct span key = { 0 }, value = { 0 };
    int error = kv->ops->seek(txn, table, span_of(NULL, 0), &key, &value);

    for (unsigned number = kv_trial_from(seeds, 0);; number = kv_trial_from(seeds, number + 1)) {
        if (!kv_trial_at(seeds, number, error, key, value))
            return false;
        if (number == KV_TRIAL_KEYS)
            return true;
        error = kv->ops->next(txn, table, &key, &value);
    }
}

/* Whether the transaction sees exactly `state`. */
static inline bool kv_trial_holds(struct kv *kv, struct kv_txn *txn,
                                  const struct kv_trial_state *state)
{
    for (int table = 0; table < KV_TABLES; table++)
        if (!kv_trial_table_holds(kv, txn, (enum kv_table)table, state->seeds[table]))
            return false;
    return true;
}

/* The same, to a reader that begins now. */
static inline bool kv_trial_now_holds(struct kv *kv, const struct kv_trial_state *state)
{
    struct kv_txn *txn;
    bool same;

    if (kv->ops->begin(kv, false, NULL, &txn) != E_OK)
        return false;
    same = kv_trial_holds(kv, txn, state);
    kv->ops->abort(txn);
    return same;
}

/* Empties the store; its keys need not be the trial's. */
static inline bool kv_trial_clear(struct kv *kv)
{
    struct kv_txn *txn;
    struct span key, value;
    uint8_t room[KV_KEY_MAX];

    if (kv->ops->begin(kv, true, NULL, &txn) != E_OK)
        return false;
    for (int table = 0; table < KV_TABLES; table++)
        while (kv->ops->seek(txn, (enum kv_table)table, span_of(NULL, 0), &key, &value) == E_OK) {
            memcpy(room, key.at, key.len);
            kv->ops->del(txn, (enum kv_table)table, span_of(room, key.len));
        }
    return kv->ops->commit(txn) == E_OK;
}

static inline void kv_trial_basics(struct kv *kv)
{
    struct kv_trial_state state = { 0 };
    struct kv_txn *txn;
    struct span key, value = { 0 }, before, after;
    uint8_t room[KV_KEY_MAX];

    EXPECT(kv_trial_clear(kv) && kv_trial_now_holds(kv, &state));
    EXPECT_EQ(kv->ops->begin(kv, true, NULL, &txn), E_OK);
    EXPECT_EQ(kv->ops->get(txn, KV_META, span_str("a"), &value), E_MISSING);
    EXPECT_EQ(kv->ops->del(txn, KV_META, span_str("a")), E_MISSING);
    EXPECT_EQ(kv->ops->put(txn, KV_META, span_str("a"), span_str("one")), E_OK);
    EXPECT_EQ(kv->ops->get(txn, KV_META, span_str("a"), &value), E_OK);
    EXPECT_TEXT(value, "one");
    EXPECT_EQ(kv->ops->get(txn, KV_DUE, span_str("a"), &value), E_MISSING);
    EXPECT_EQ(kv->ops->put(txn, KV_META, span_str("a"), span_str("")), E_OK);
    EXPECT_EQ(kv->ops->get(txn, KV_META, span_str("a"), &value), E_OK);
    EXPECT_EQ(value.len, 0);
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_MISSING);
    kv->ops->abort(txn);
    EXPECT(kv_trial_now_holds(kv, &state));

    memset(room, 'x', sizeof room);
    EXPECT_EQ(kv->ops->begin(kv, true, NULL, &txn), E_OK);
    EXPECT_EQ(kv->ops->put(txn, KV_DUE, span_of(room, KV_KEY_MAX), span_str("longest")), E_OK);
    EXPECT_EQ(kv->ops->put(txn, KV_DUE, span_of("\0", 1), span_str("least")), E_OK);
    EXPECT_EQ(kv->ops->commit(txn), E_OK);
    EXPECT_EQ(kv->ops->begin(kv, false, NULL, &txn), E_OK);
    EXPECT_EQ(kv->ops->seek(txn, KV_DUE, span_of(NULL, 0), &key, &value), E_OK);
    EXPECT_SPAN(key, span_of("\0", 1));
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_OK);
    EXPECT_TEXT(value, "longest");
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_MISSING);
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_MISSING);
    EXPECT_EQ(kv->ops->seek(txn, KV_DUE, span_str("y"), &key, &value), E_MISSING);
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_MISSING);
    EXPECT_EQ(kv->ops->seek(txn, KV_DUE, span_of(NULL, 0), &key, &value), E_OK);
    EXPECT_EQ(kv->ops->around(txn, KV_DUE, span_str("y"), &before, &after), E_OK);
    EXPECT_SPAN(before, span_of(room, KV_KEY_MAX));
    EXPECT_EQ(after.len, 0);
    EXPECT_EQ(kv->ops->around(txn, KV_CONTESTED, span_str("y"), &before, &after), E_OK);
    EXPECT(before.len == 0 && after.len == 0);
    EXPECT_EQ(kv->ops->next(txn, KV_DUE, &key, &value), E_OK); /* the walk is where it was */
    EXPECT_TEXT(value, "longest");
    EXPECT(kv->ops->bytes(kv) > 0);
    EXPECT_EQ(kv->ops->commit(txn), E_OK);
}

static inline void kv_trial_big_values(struct kv *kv)
{
    uint8_t *big = mem_alloc(KV_TRIAL_BIG);
    struct kv_txn *txn;
    struct span value = { 0 };

    for (size_t i = 0; i < KV_TRIAL_BIG; i++)
        big[i] = (uint8_t)(i * 2654435761u >> 24);
    EXPECT(kv_trial_clear(kv));
    for (size_t len = KV_TRIAL_BIG; len > 0; len /= 1000) {
        EXPECT_EQ(kv->ops->begin(kv, true, NULL, &txn), E_OK);
        EXPECT_EQ(kv->ops->put(txn, KV_PIECES, span_str("big"), span_of(big, len)), E_OK);
        EXPECT_EQ(kv->ops->put(txn, KV_PIECES, span_str("beside"), span_of(big, 10)), E_OK);
        EXPECT_EQ(kv->ops->commit(txn), E_OK);
        EXPECT_EQ(kv->ops->begin(kv, false, NULL, &txn), E_OK);
        EXPECT_EQ(kv->ops->get(txn, KV_PIECES, span_str("big"), &value), E_OK);
        EXPECT(span_equal(value, span_of(big, len)));
        EXPECT_EQ(kv->ops->get(txn, KV_PIECES, span_str("beside"), &value), E_OK);
        EXPECT_SPAN(value, span_of(big, 10));
        kv->ops->abort(txn);
    }
    mem_free(big);
}

/* A scan goes on after the key that it gave last, whatever is written meanwhile. */
static inline void kv_trial_scan_and_write(struct kv *kv)
{
    struct kv_trial_state state = { 0 };
    uint32_t *seeds = state.seeds[KV_OBJECTS];
    struct kv_txn *txn;
    struct span key, value = { 0 };
    uint8_t room[KV_KEY_MAX];

    EXPECT(kv_trial_clear(kv));
    EXPECT_EQ(kv->ops->begin(kv, true, NULL, &txn), E_OK);
    for (unsigned i = 0; i < KV_TRIAL_KEYS; i += 2) {
        seeds[i] = i + 1;
        EXPECT_EQ(kv_trial_put(kv, txn, KV_OBJECTS, i, i + 1), E_OK);
    }
    EXPECT_EQ(kv->ops->seek(txn, KV_OBJECTS, kv_trial_key(1, room), &key, &value), E_OK);
    for (unsigned i = 2; i < KV_TRIAL_KEYS - 2; i += 2) {
        EXPECT(kv_trial_at(seeds, i, E_OK, key, value));
        seeds[i] = 0;
        EXPECT_EQ(kv->ops->del(txn, KV_OBJECTS, kv_trial_key(i, room)), E_OK);
        if (i % 4 == 0) {
            seeds[i + 1] = 1000 + i; /* stands between the one given and the next */
            EXPECT_EQ(kv_trial_put(kv, txn, KV_OBJECTS, i + 1, 1000 + i), E_OK);
            EXPECT_EQ(kv->ops->next(txn, KV_OBJECTS, &key, &value), E_OK);
            EXPECT(kv_trial_at(seeds, i + 1, E_OK, key, value));
        }
        EXPECT_EQ(kv->ops->next(txn, KV_OBJECTS, &key, &value), E_OK);
    }
    EXPECT(kv_trial_holds(kv, txn, &state));
    EXPECT_EQ(kv->ops->commit(txn), E_OK);
    EXPECT(kv_trial_now_holds(kv, &state));
}

/* A reader sees what was committed when it began or was renewed, and nothing of a writer's. */
static inline void kv_trial_isolation(struct kv *kv)
{
    struct kv_trial_state before = { 0 }, after = { 0 };
    struct kv_txn *reader, *writer;

    EXPECT(kv_trial_clear(kv));
    EXPECT_EQ(kv->ops->begin(kv, false, NULL, &reader), E_OK);
    EXPECT_EQ(kv->ops->begin(kv, true, NULL, &writer), E_OK);
    after.seeds[KV_META][3] = 7;
    EXPECT_EQ(kv_trial_put(kv, writer, KV_META, 3, 7), E_OK);
    EXPECT(kv_trial_holds(kv, writer, &after) && kv_trial_holds(kv, reader, &before));
    EXPECT(kv_trial_now_holds(kv, &before));
    EXPECT_EQ(kv->ops->commit(writer), E_OK);
    EXPECT(kv_trial_holds(kv, reader, &before) && kv_trial_now_holds(kv, &after));
    kv->ops->reset(reader);
    EXPECT_EQ(kv->ops->renew(reader), E_OK);
    EXPECT(kv_trial_holds(kv, reader, &after));
    kv->ops->reset(reader);
    kv->ops->abort(reader);
}

/* A random history: a writer, and readers that begin and end at any time. */
struct kv_trial_world {
    struct kv *kv;
    struct prng random;
    struct kv_txn *writer; /* NULL: none */
    struct kv_trial_state committed, written;
    struct kv_txn *readers[KV_TRIAL_READERS];
    struct kv_trial_state seen[KV_TRIAL_READERS];
};

static inline bool kv_trial_write(struct kv_trial_world *w)
{
    enum kv_table table = (enum kv_table)prng_below(&w->random, KV_TABLES);
    unsigned number = (unsigned)prng_below(&w->random, KV_TRIAL_KEYS);
    uint32_t *seed = &w->written.seeds[table][number], had = *seed;
    uint8_t room[KV_KEY_MAX];
    struct span value;

    if (prng_chance(&w->random, 400000)) {
        *seed = 0;
        return w->kv->ops->del(w->writer, table, kv_trial_key(number, room)) ==
               (had == 0 ? E_MISSING : E_OK);
    }
    *seed = 1 + (uint32_t)prng_below(&w->random, 1000000);
    return kv_trial_put(w->kv, w->writer, table, number, *seed) == E_OK &&
           w->kv->ops->get(w->writer, table, kv_trial_key(number, room), &value) == E_OK &&
           kv_trial_is(value, *seed);
}

/* A few pairs from a random key on. */
static inline bool kv_trial_look(struct kv_trial_world *w, struct kv_txn *txn,
                                 const struct kv_trial_state *state)
{
    enum kv_table table = (enum kv_table)prng_below(&w->random, KV_TABLES);
    unsigned number = (unsigned)prng_below(&w->random, KV_TRIAL_KEYS);
    const uint32_t *seeds = state->seeds[table];
    uint8_t room[KV_KEY_MAX];
    struct span key = { 0 }, value = { 0 };
    int error = w->kv->ops->seek(txn, table, kv_trial_key(number, room), &key, &value);

    for (uint64_t steps = 1 + prng_below(&w->random, 5); steps > 0; steps--) {
        number = kv_trial_from(seeds, number);
        if (!kv_trial_at(seeds, number, error, key, value))
            return false;
        if (number == KV_TRIAL_KEYS)
            break;
        number++;
        error = w->kv->ops->next(txn, table, &key, &value);
    }
    return true;
}

/* The number of the last key before `number` that the table has, plus 1; 0: none. */
static inline unsigned kv_trial_before(const uint32_t *seeds, unsigned number)
{
    while (number > 0 && seeds[number - 1] == 0)
        number--;
    return number;
}

/* A reader, around a random key. */
static inline bool kv_trial_look_around(struct kv_trial_world *w, struct kv_txn *txn,
                                        const struct kv_trial_state *state)
{
    enum kv_table table = (enum kv_table)prng_below(&w->random, KV_TABLES);
    unsigned number = (unsigned)prng_below(&w->random, KV_TRIAL_KEYS);
    unsigned least = kv_trial_before(state->seeds[table], number);
    unsigned most = kv_trial_from(state->seeds[table], number);
    uint8_t room[KV_KEY_MAX];
    struct span before, after;

    if (w->kv->ops->around(txn, table, kv_trial_key(number, room), &before, &after) != E_OK)
        return false;
    if (least == 0 ? before.len != 0 : !span_equal(before, kv_trial_key(least - 1, room)))
        return false;
    return most == KV_TRIAL_KEYS ? after.len == 0 : span_equal(after, kv_trial_key(most, room));
}

static inline bool kv_trial_goes_on(void *context)
{
    bool *goes_on = context;

    return *goes_on;
}

static inline int kv_trial_rewrite(struct kv *kv, bool goes_on, struct kv_rewritten *done)
{
    return kv->ops->rewrite(kv, kv_trial_goes_on, &goes_on, NULL, done);
}

static inline bool kv_trial_step_writer(struct kv_trial_world *w)
{
    uint64_t choice = prng_below(&w->random, 100);
    struct kv_rewritten done;

    if (w->writer == NULL && choice < 3) {
        bool rest = true;
        for (size_t i = 0; i < KV_TRIAL_READERS; i++)
            rest = rest && w->readers[i] == NULL;
        return kv_trial_rewrite(w->kv, rest, &done) == (rest ? E_OK : E_BUSY);
    }
    if (w->writer == NULL) {
        w->written = w->committed;
        return w->kv->ops->begin(w->kv, true, NULL, &w->writer) == E_OK;
    }
    if (choice < 60)
        return kv_trial_write(w);
    if (choice < 90)
        return kv_trial_look(w, w->writer, &w->written);
    struct kv_txn *writer = w->writer;
    w->writer = NULL;
    if (choice < 93) {
        w->kv->ops->abort(writer);
        return true;
    }
    w->committed = w->written;
    return w->kv->ops->commit(writer) == E_OK;
}

static inline bool kv_trial_step_reader(struct kv_trial_world *w)
{
    size_t i = (size_t)prng_below(&w->random, KV_TRIAL_READERS);
    uint64_t choice = prng_below(&w->random, 100);

    if (w->readers[i] == NULL) {
        w->seen[i] = w->committed;
        return w->kv->ops->begin(w->kv, false, NULL, &w->readers[i]) == E_OK;
    }
    if (choice < 40)
        return kv_trial_look(w, w->readers[i], &w->seen[i]);
    if (choice < 60)
        return kv_trial_look_around(w, w->readers[i], &w->seen[i]);
    if (choice < 70)
        return kv_trial_holds(w->kv, w->readers[i], &w->seen[i]);
    if (choice < 90) {
        w->seen[i] = w->committed;
        w->kv->ops->reset(w->readers[i]);
        return w->kv->ops->renew(w->readers[i]) == E_OK;
    }
    w->kv->ops->abort(w->readers[i]);
    w->readers[i] = NULL;
    return true;
}

static inline void kv_trial_history(struct kv *kv, uint64_t seed, unsigned steps)
{
    struct kv_trial_world *w = mem_zalloc(sizeof *w);

    w->kv = kv;
    prng_seed(&w->random, seed);
    EXPECT(kv_trial_clear(kv));
    for (unsigned step = 0; step < steps; step++) {
        if (prng_chance(&w->random, 600000))
            EXPECT(kv_trial_step_writer(w));
        else
            EXPECT(kv_trial_step_reader(w));
    }
    if (w->writer != NULL)
        kv->ops->abort(w->writer);
    for (size_t i = 0; i < KV_TRIAL_READERS; i++)
        if (w->readers[i] != NULL)
            kv->ops->abort(w->readers[i]);
    EXPECT(kv_trial_now_holds(kv, &w->committed));
    mem_free(w);
}

/* Fills the store with what kv_trial_found then asks for. */
static inline bool kv_trial_leave(struct kv *kv, uint32_t seed)
{
    struct kv_txn *txn;

    if (!kv_trial_clear(kv) || kv->ops->begin(kv, true, NULL, &txn) != E_OK)
        return false;
    for (int table = 0; table < KV_TABLES; table++)
        for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
            kv_trial_put(kv, txn, (enum kv_table)table, i, seed + i);
    return kv->ops->commit(txn) == E_OK;
}

static inline bool kv_trial_found(struct kv *kv, uint32_t seed)
{
    struct kv_trial_state state;

    for (int table = 0; table < KV_TABLES; table++)
        for (unsigned i = 0; i < KV_TRIAL_KEYS; i++)
            state.seeds[table][i] = seed + i;
    return kv_trial_now_holds(kv, &state);
}

/* What is written anew is the same, and goes on like it. */
static inline void kv_trial_anew(struct kv *kv)
{
    struct kv_rewritten done;
    struct kv_txn *reader;

    EXPECT(kv_trial_leave(kv, 5));
    EXPECT_EQ(kv->ops->begin(kv, false, NULL, &reader), E_OK);
    kv->ops->reset(reader);
    EXPECT_EQ(kv_trial_rewrite(kv, false, &done), E_BUSY);
    EXPECT(kv_trial_found(kv, 5));
    EXPECT_EQ(kv_trial_rewrite(kv, true, &done), E_OK);
    EXPECT_EQ(done.rows, KV_TABLES * KV_TRIAL_KEYS);
    EXPECT(done.bytes > done.rows);
    EXPECT_EQ(kv->ops->renew(reader), E_OK);
    EXPECT(kv_trial_found(kv, 5));
    EXPECT(kv_trial_leave(kv, 6) && kv_trial_found(kv, 6));
    kv->ops->abort(reader);
    EXPECT(kv_trial_clear(kv));
    EXPECT_EQ(kv_trial_rewrite(kv, true, &done), E_OK);
    EXPECT_EQ(done.rows, 0);
    EXPECT(kv_trial_leave(kv, 7) && kv_trial_found(kv, 7));
}

static inline void kv_trial_all(struct kv *kv)
{
    kv_trial_anew(kv);
    kv_trial_basics(kv);
    kv_trial_big_values(kv);
    kv_trial_scan_and_write(kv);
    kv_trial_isolation(kv);
    kv_trial_history(kv, test_seed(), 4000);
}

#endif
