/*
 * examine -- looks at every byte of a checkpoint and of a log, and says what is damaged.
 *
 * Of a checkpoint: every record, every piece of every object, whether it decodes, and whether the
 * indexes lead to what they promise. It ends at the first damage: c->problem says what. Of a log:
 * every record, what it holds, whether every stream is whole; it goes on after damage.
 * Nothing is changed. Beside a server that writes, counts are not to be compared: each look sees
 * what is committed then.
 */
#ifndef STORE_EXAMINE_H
#define STORE_EXAMINE_H

#include "store/chain.h"
#include "store/checkpoint.h"
#include "store/logwalk.h"

/* --- a checkpoint --- */

struct examined_object {
    uint8_t db;
    struct span key;
    enum component type; /* what readers see; COMPONENT_NONE: only deadlines */
    uint8_t flags;       /* crdt/cold.h */
    uint64_t due_ms;
    uint64_t pieces, bytes; /* of its image */
};

typedef void (*examine_object_fn)(void *context, const struct examined_object *object);

struct examined_checkpoint {
    struct cold_counts counts[OP_DATABASES];
    uint64_t objects, bytes;
    uint64_t timed, due; /* records that have a time to be reclaimed; of those the index knows */
};

/* E_OK, E_CORRUPT, errors of the store. `each` may be NULL. */
int examine_checkpoint(struct checkpoint *c, examine_object_fn each, void *context,
                       struct examined_checkpoint *out);

/* Whether what was counted is what the checkpoint says; else c->problem says what is not. */
bool examine_counts(struct checkpoint *c, const struct checkpoint_found *found,
                    const struct examined_checkpoint *counted);

/* --- a log --- */

/* Good records that follow each other. */
struct examined_run {
    uint64_t from_lsn, to_lsn;
    char problem[LOGWALK_PROBLEM_MAX]; /* of the damage that ends it; "": the log's end */
};

struct examined_log {
    uint64_t begin_lsn; /* of the first segment, readable or not */
    bool none;          /* there is no segment at all */
    struct examined_run
        *runs; /* ascending; the first begins where the log does, the last may be empty */
    size_t count, cap;
    uint64_t records, torn_bytes;
    struct vector before; /* the op before the first one, of the origins of the first run */
    struct vector last;   /* of the ops that it has */
    stamp_t newest;
};

/* E_OK also when damage was found; an error of the disk is in problem[LOGWALK_PROBLEM_MAX]. */
int examine_log(struct disk *disk, struct examined_log *out, char *problem);
void examined_log_release(struct examined_log *log);

static inline bool examined_log_is_good(const struct examined_log *log)
{
    return log->count == 1;
}

/* No record is lost where only headers of segments are damaged. */
bool examined_log_lacks_headers_only(const struct examined_log *log);

/* Nobody can say how far it went: no good record follows the damage at its end. */
static inline bool examined_log_is_cut(const struct examined_log *log)
{
    const struct examined_run *last = &log->runs[log->count - 1];
    return log->count > 1 && last->from_lsn == last->to_lsn;
}

/* The run that reaches the end; from_lsn == to_lsn: none does. */
static inline const struct examined_run *examined_log_last(const struct examined_log *log)
{
    return &log->runs[log->count - 1];
}

#endif
