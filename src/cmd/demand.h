/*
 * demand -- what a command asks of the regions: how fresh its answer must be before it may run, and how
 * many regions must have what it wrote before its answer may go.
 *
 * Each key asks by its keyspace, unless the session (SESSION READ, SESSION WRITE) or the command itself
 * (WITH) says another level. Of several keys the strictest rules. A command that reads and writes asks
 * as a write; it waits for the session's token all the same, so that it comes after all that its client
 * has seen. A token that came in the WITH is waited for at every level. Inside MULTI commands ask for
 * nothing: EXEC asks for what they all would.
 */
#ifndef CMD_DEMAND_H
#define CMD_DEMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "policy/level.h"

struct server;
struct session;

enum { STALENESS_ANY = UINT32_MAX };

struct demand {
    uint64_t members[4];   /* a bit for each region that holds a key of it */
    uint64_t writers[4];   /* a bit for each region that may write one */
    uint32_t fences;       /* a bit for each fence that one of its keys is in, by place */
    uint32_t staleness_ms; /* its answer may be so old, STALENESS_ANY: older */
    bool causal;           /* it waits for the session's token, or its own */
    bool strong;           /* and for all that was acknowledged before it, by any writer */
    /* a strong read where its keys are written: what it sees has the keyspace's acknowledgements */
    bool settles;
    bool moves;          /* a plain read of keys: another region's answer is as good */
    uint32_t others;     /* regions that must acknowledge */
    uint32_t max_lag_ms; /* it writes only while no region is further behind; 0: it always does */
    bool refuses;        /* it does not wait long for that */
    uint32_t timeout_ms; /* of either wait */
};

/* Levels instead of the keyspaces'. */
struct levels {
    bool has_read, has_write;
    struct read_level read;
    struct write_level write;
    uint32_t timeout_ms; /* 0: the keyspaces' */
};

/* Whose token says what has been seen before the command. */
enum demand_token {
    DEMAND_NO_TOKEN,
    DEMAND_SESSIONS_TOKEN, /* what the session follows: its writes and causal reads wait for it */
    DEMAND_OWN_TOKEN,      /* of its WITH, which asks for just that: it waits whatever its level */
};

/* Nothing. */
void demand_init(struct demand *d);

/* What the command asks for when it comes now; of a WITH, the command in it is given. */
void demand_of(const struct server *server, const struct session *session, const struct span *argv,
               size_t argc, struct demand *d);

/* The same of one that is no EXEC; the levels rule where the keyspaces else would. */
void demand_of_plain(const struct server *server, const struct levels *levels, uint8_t db,
                     enum demand_token token, const struct span *argv, size_t argc,
                     struct demand *d);

/* The strictest of both. */
void demand_merge(struct demand *d, const struct demand *other);

static inline bool demand_waits_to_read(const struct demand *d)
{
    return d->causal || d->strong || d->staleness_ms != STALENESS_ANY;
}

#endif
