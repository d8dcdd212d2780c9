/*
 * export_key -- one key on its way out, and what all types do alike.
 *
 * A stream is asked for in stages, each with its own questions: its entries, what it says of itself
 * (XINFO STREAM), its groups, and of each group the consumers and what they have pending.
 */
#ifndef BIN_EXPORT_KEY_H
#define BIN_EXPORT_KEY_H

#include "bin/export_keys.h"

enum kind { KIND_STRING, KIND_LIST, KIND_SET, KIND_HASH, KIND_ZSET, KIND_STREAM, KIND_NONE };

/* What of a stream is asked for. */
enum stage { STAGE_ITEMS, STAGE_FACTS, STAGE_GROUPS, STAGE_CONSUMERS, STAGE_PENDING };

struct export_key {
    struct span name;
    enum kind kind;
    enum stage stage;
    bool done, begun;
    uint64_t deadline_ms; /* 0: none */
    uint64_t from;        /* list: the next element */
    char cursor[NUMBER_TEXT_MAX + 1];
    redisReply *groups; /* of a stream: XINFO GROUPS */
    size_t group;
};

void export_put(struct export_keys *k, const struct span *argv, size_t argc);

/* Before the first command of a key, and after its last. */
void export_begin(struct export_keys *k, struct export_key *key);
void export_finish(struct export_keys *k, struct export_key *key);

bool export_is_array(const redisReply *reply, size_t at_least);
void export_keep_cursor(struct export_key *key, const char *before, const redisReply *cursor);

/* The next question of a stream, and the answer to it; true when the key keeps the answer. */
void export_ask_stream(struct export_keys *k, const struct export_key *key);
bool export_take_stream(struct export_keys *k, struct export_key *key, redisReply *reply);

#endif
