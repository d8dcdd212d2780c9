/*
 * conflict_log -- what concurrent writes overruled: counted, and a sample of it kept to look at.
 *
 * The databases call here (server_listen) whenever a write comes to stand beside another that it had
 * not seen. All are counted by keyspace and type. Of each keyspace at most CONFLICT_LOG_PER_SECOND a
 * second are kept in a ring, with both values, and told as a line of the server's log; a kept one says
 * how many before it were not. Failures of merge functions are told likewise.
 * Memory:    CONFLICT_LOG_MAX records; texts are cut at CONFLICT_TEXT_MAX bytes.
 */
#ifndef CMD_CONFLICT_LOG_H
#define CMD_CONFLICT_LOG_H

#include "crdt/object.h"

struct server;
struct keyspace_live;

enum { CONFLICT_LOG_MAX = 128, CONFLICT_LOG_PER_SECOND = 5, CONFLICT_TEXT_MAX = 256 };

/* So many a second. */
struct sampling {
    uint64_t second;
    uint32_t admitted; /* in it */
};

/* A text of which only the beginning may be here. */
struct cut_text {
    struct span text;
    size_t bytes; /* of the whole */
};

struct conflict_side {
    enum component type;
    stamp_t stamp;
    struct cut_text value; /* empty where the type is a collection and no item is in question */
};

struct conflict_record {
    uint64_t seen_ms;
    uint64_t skipped; /* of its keyspace, since the one kept before it */
    const struct keyspace_live *keyspace;
    uint8_t db;
    struct cut_text key, item;     /* item empty: none, or an element of a list */
    struct conflict_side sides[2]; /* older, newer by their stamps */
    uint8_t bytes[];               /* what the texts point into */
};

struct conflict_log {
    struct conflict_record *ring[CONFLICT_LOG_MAX]; /* owned */
    uint64_t count;                                 /* kept ever; the newest is at count - 1 */
};

void conflict_log_release(struct conflict_log *log);

/* The record `index` places before the newest, or NULL. */
const struct conflict_record *conflict_log_at(const struct conflict_log *log, uint64_t index);

/* The databases' hook; the context is the server. */
void conflict_log_note(void *server, const struct conflict *c);

/* KEYSPACE SET changed what readers see. */
void conflict_log_setting(const struct server *server, const struct keyspace_live *k,
                          struct span field, struct span value);

/* A merge function failed on a key: counted, and told once a second. */
void conflict_log_failure(struct server *server, struct keyspace_live *k, struct span key,
                          const char *problem);

/* "string", "hash" …; unlike TYPE's, each component has its own. */
const char *conflict_type_name(enum component c);

#endif
