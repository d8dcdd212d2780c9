/*
 * keyspace -- a key prefix and what its keys are promised.
 *
 * The enums name every promise of the product; which of them this version keeps is for the reader
 * of the configuration to say (host/config.c), which refuses the others.
 */
#ifndef POLICY_KEYSPACE_H
#define POLICY_KEYSPACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "policy/level.h"

enum {
    KEYSPACE_PREFIX_MAX = 255
}; /* bytes; guess: longer prefixes are whole keys, not keyspaces */

/* Who may append. */
enum keyspace_mode {
    KEYSPACE_ACTIVE_ACTIVE,
    KEYSPACE_PRIMARY,
    KEYSPACE_FOLLOW_THE_SUN,
    KEYSPACE_PARTITIONED,
    KEYSPACE_CONSENSUS,
};

/* What readers see of concurrent values. */
enum keyspace_conflict {
    KEYSPACE_LWW,
    KEYSPACE_SIBLINGS,
    KEYSPACE_MERGE,
};

/* What readers see of a stream: an entry of another region may arrive late, with a smaller id than
 * one that was read. */
enum keyspace_streams {
    KEYSPACE_STREAMS_LATEST, /* all that is here */
    KEYSPACE_STREAMS_CLOSED, /* only ids below the time that every writer has passed */
};

/* What becomes of keys that nobody uses when memory is short. */
enum keyspace_evict {
    KEYSPACE_EVICT_DEMOTE, /* they leave memory, and come back from disk when they are used */
    KEYSPACE_EVICT_DROP,   /* a cache: they are removed in every region */
    KEYSPACE_EVICT_LOCAL,  /* a cache of this region's own: they are dropped here only */
};

/* What a region that may not write does with a write. */
enum keyspace_elsewhere {
    KEYSPACE_FORWARD,
    KEYSPACE_REDIRECT,
};

/* What a region does with commands for keys that it may not hold. */
enum keyspace_outside {
    KEYSPACE_REFUSE,  /* FENCED */
    KEYSPACE_THROUGH, /* a region that holds them answers; nothing of it is kept here */
};

/* What happens to writes when a region is further behind than max_lag. */
enum keyspace_then {
    KEYSPACE_SLOW,
    KEYSPACE_REFUSE_WRITES,
};

/* Where a partitioned keyspace has a key's home. */
enum keyspace_homes {
    KEYSPACE_HOMES_TAG,       /* the key's tag names the region: user:{eu-gb}:42 */
    KEYSPACE_HOMES_HASH,      /* the hash of the key's tag, or of the key, chooses */
    KEYSPACE_HOMES_DIRECTORY, /* the key directory + tag names it, as a string */
};

/* The words of the configuration, of commands and of reports, by the value. */
extern const char *const keyspace_mode_words[5];
extern const char *const keyspace_conflict_words[3];
extern const char *const keyspace_streams_words[2];
extern const char *const keyspace_evict_words[3];
extern const char *const keyspace_elsewhere_words[2];
extern const char *const keyspace_then_words[2];
extern const char *const keyspace_outside_words[2];
extern const char *const keyspace_homes_words[3];

/* What may be changed while regions run (KEYSPACE SET), but for the merge function. */
struct keyspace_promises {
    enum keyspace_conflict conflict;
    enum keyspace_streams streams;
    struct write_level acks;
    struct read_level reads;
    uint32_t ack_timeout_ms; /* so long acknowledgements, and what a read needs, are waited for */
    uint32_t max_lag_ms;     /* so far behind our writes the others may be; 0: as far as they are */
    enum keyspace_then then;
    enum keyspace_elsewhere elsewhere;
};

bool keyspace_promises_equal(const struct keyspace_promises *a, const struct keyspace_promises *b);

struct keyspace {
    char *prefix; /* "" holds every key that no longer prefix holds */
    size_t prefix_bytes;
    enum keyspace_mode mode;
    struct keyspace_promises promises;
    char *merge_file; /* with KEYSPACE_MERGE, else NULL */
    enum keyspace_outside outside;
    uint8_t writer;            /* with KEYSPACE_PRIMARY: the region's number */
    enum keyspace_homes homes; /* with KEYSPACE_PARTITIONED */
    char *directory;     /* with KEYSPACE_HOMES_DIRECTORY: the prefix of its keys; else NULL */
    uint64_t readers[4]; /* members of the fence that are no key's home: copies to read from */
    enum keyspace_evict evict;
    uint32_t fence; /* index into the deployment's fences; 0 is global */
};

/* Whether the keyspace's prefix begins `key`. */
static inline bool keyspace_holds(const struct keyspace *k, struct span key)
{
    return key.len >= k->prefix_bytes &&
           span_equal(span_of(key.at, k->prefix_bytes), span_str(k->prefix));
}

#endif
