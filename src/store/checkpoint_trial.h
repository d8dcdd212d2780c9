/*
 * checkpoint_trial -- for tests: one checkpoint over a store in memory; what is said is written by
 * write_all.
 */
#ifndef STORE_CHECKPOINT_TRIAL_H
#define STORE_CHECKPOINT_TRIAL_H

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/test.h"
#include "env/kv_memory.h"
#include "store/checkpoint.h"
#include "store/checkpoint_record.h"

static struct kv_memory memory;
static struct checkpoint checkpoint;
static struct checkpoint_found found;
static struct checkpoint_writer writer;
static struct buffer changes, notes, start;

static inline void begin(void)
{
    kv_memory_init(&memory);
    checkpoint_writer_init(&writer, &memory.kv);
    CHECK(checkpoint_open(&checkpoint, &memory.kv, &found) == E_OK);
}

static inline void end(void)
{
    checkpoint_close(&checkpoint);
    checkpoint_writer_release(&writer);
    kv_memory_release(&memory);
    buffer_release(&changes);
    buffer_release(&notes);
    buffer_release(&start);
}

static inline int reopen(void)
{
    checkpoint_close(&checkpoint);
    return checkpoint_open(&checkpoint, &memory.kv, &found);
}

/* --- changes --- */

static inline uint64_t hash_of(struct span key)
{
    struct table t;
    table_init(&t, NULL, 99);
    return table_hash(&t, key);
}

static inline void change(enum change_kind kind, uint8_t db, struct span key, struct change more)
{
    more.kind = kind;
    more.db = db;
    more.key = key;
    if (more.hash == 0)
        more.hash = hash_of(key);
    change_put(&changes, &more);
}

static inline void put(const char *key, const char *piece, uint8_t flags, uint64_t due_ms)
{
    change(CHANGE_PUT, 0, span_str(key),
           (struct change){ .flags = flags, .due_ms = due_ms, .piece = span_str(piece) });
}

static inline void piece(const char *key, uint64_t number, const char *bytes)
{
    change(CHANGE_PIECE, 0, span_str(key),
           (struct change){ .number = number, .piece = span_str(bytes) });
}

static inline void done(const char *key)
{
    change(CHANGE_DONE, 0, span_str(key), (struct change){ .flags = 0 });
}

static inline void gone(const char *key)
{
    change(CHANGE_GONE, 0, span_str(key), (struct change){ .flags = 0 });
}

static inline void put_start(uint64_t lsn)
{
    struct copy_start s = { .lsn = lsn, .table_seed = 99 };
    buffer_clear(&start);
    copy_start_put(&start, &s);
}

/* One transaction of all that was said since the last. */
static inline int write_all(void)
{
    int error = checkpoint_write(&writer, &(struct checkpoint_write){
                                              .changes = buffer_span(&changes),
                                              .notes = buffer_span(&notes),
                                              .start = buffer_span(&start),
                                          });
    buffer_clear(&changes);
    buffer_clear(&notes);
    buffer_clear(&start);
    checkpoint_refresh(&checkpoint);
    return error;
}

/* --- reading --- */

static struct buffer taken; /* of the last object: its pieces, each followed by "|" */
static uint8_t taken_flags;

static inline bool take_piece(void *context, struct span bytes)
{
    (void)context;
    buffer_put(&taken, bytes);
    buffer_put_u8(&taken, '|');
    return true;
}

static inline int read_key(uint8_t db, uint64_t hash, struct span key)
{
    buffer_clear(&taken);
    taken_flags = 0;
    return checkpoint.cold.ops->read(checkpoint.cold.store, db, hash, key, &taken_flags, take_piece,
                                     NULL);
}

static inline const char *object(const char *key)
{
    static char text[256];
    int error = read_key(0, hash_of(span_str(key)), span_str(key));
    if (error == E_MISSING)
        return "(nil)";
    if (error != E_OK)
        return checkpoint.problem;
    snprintf(text, sizeof(text), "%.*s", (int)taken.len, (char *)taken.at);
    buffer_release(&taken);
    return text;
}

#define EXPECT_OBJECT(key, text) EXPECT_TEXT(span_str(object(key)), text)

static char heads[512];
static int heads_wanted;

static inline bool take_head(void *context, const struct cold_head *head)
{
    (void)context;
    size_t len = strlen(heads);
    snprintf(heads + len, sizeof(heads) - len, "%s%.*s:%u:%llu", len ? " " : "", (int)head->key.len,
             (const char *)head->key.at, head->flags, (unsigned long long)head->due_ms);
    return --heads_wanted != 0;
}

static inline const char *due(uint64_t from_ms, uint64_t to_ms, int most)
{
    heads[0] = '\0';
    heads_wanted = most;
    struct cold_due from = { .ms = from_ms };
    int error = checkpoint.cold.ops->due(checkpoint.cold.store, &from, to_ms, take_head, NULL);
    return error == E_OK ? heads : checkpoint.problem;
}

static inline const char *contested(uint8_t db)
{
    heads[0] = '\0';
    heads_wanted = 0;
    int error = checkpoint.cold.ops->contested(checkpoint.cold.store, db, take_head, NULL);
    return error == E_OK ? heads : checkpoint.problem;
}

#define EXPECT_HEADS(text, expected) EXPECT_TEXT(span_str(text), expected)

/* --- long keys --- */

enum { LONG = 300 };

/* Two keys of one XXH3-128: where the low halves of a lane are those of the secret nothing is
 * multiplied, and lanes of two stripes are only added up, in any order. */
static inline struct span colliding(int which, uint8_t *room)
{
    static const uint8_t secret[2][4] = { { 0xb8, 0xfe, 0x6c, 0x39 }, { 0x7c, 0x01, 0x81, 0x2c } };
    memset(room, 'x', LONG);
    for (int stripe = 0; stripe < 2; stripe++) {
        memcpy(room + 64 * stripe, secret[stripe], 4);
        memset(room + 64 * stripe + 4, stripe == which ? 'A' : 'B', 4);
    }
    return span_of(room, LONG);
}

#endif
