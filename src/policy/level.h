/*
 * level -- how much a write or a read waits for: as values, and as the words that people use.
 *
 *     a write     async | semi-sync | quorum | sync | <n>     n other regions
 *     a read      local | bounded:<ms> | causal | strong
 *
 * `bounded 5s` and `bounded:5s` are understood as well; a number behind a space has to have its unit.
 */
#ifndef POLICY_LEVEL_H
#define POLICY_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"

/* What a writer waits for. */
enum keyspace_acks {
    KEYSPACE_ASYNC,
    KEYSPACE_SEMI_SYNC, /* one other region */
    KEYSPACE_QUORUM,    /* a majority of the regions that hold the data, the writer counted */
    KEYSPACE_SYNC,      /* all of them */
    KEYSPACE_ACK_COUNT, /* `count` other regions */
};

/* What a reader waits for. */
enum keyspace_reads {
    KEYSPACE_READ_LOCAL,
    KEYSPACE_READ_BOUNDED, /* an answer that is at most staleness_ms old */
    KEYSPACE_READ_CAUSAL,  /* what its session has seen */
    KEYSPACE_READ_STRONG,  /* all that was acknowledged before */
};

struct write_level {
    enum keyspace_acks acks;
    uint32_t count; /* with KEYSPACE_ACK_COUNT, else 0 */
};

struct read_level {
    enum keyspace_reads reads;
    uint32_t staleness_ms; /* with KEYSPACE_READ_BOUNDED, else 0 */
};

enum {
    LEVEL_STALENESS_MAX_MS = 3600000, /* an hour; guess: who can wait longer reads locally */
    LEVEL_COUNT_MAX = 254             /* other regions */
};

/* What a level is to be, for errors. */
#define WRITE_LEVEL_WORDS "async, semi-sync, quorum, sync, or a number of other regions"
#define READ_LEVEL_WORDS  "local, bounded:<ms>, causal, strong"

/* False when the text is no level; words in any case. */
bool write_level_parse(struct span text, struct write_level *level);
bool read_level_parse(struct span text, struct read_level *level);

/* Appends the level's word. */
void write_level_put(struct buffer *out, struct write_level level);
void read_level_put(struct buffer *out, struct read_level level);

/* How many other regions must acknowledge, where `holders` regions hold the data, ours counted. */
uint32_t write_level_others(struct write_level level, uint32_t holders);

#endif
