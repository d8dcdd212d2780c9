/*
 * replica -- one region's copy of one shard: log, vector, objects. The heart of the program.
 *
 * A machine without I/O. Time, bytes and entropy come in as arguments; log records and released
 * waits go out as data:
 *
 *     emit (emit.h)     a command's effects   -> ops in the open batch, applied
 *     replica_seal      now                   -> the open batch as a record in `log_out`, its LSN
 *     replica_durable   lsn                   -> the durable vector moves
 *     replica_receive   a batch of a peer     -> applied, parked, or refused
 *     replica_tick      now                   -> reclaim, parked batches whose time has come
 *
 * Invariants: applied[o] covers every op of o that the objects hold and nothing above it; last_op
 * <= applied; durable <= applied; every op applied here stands in this replica's log in the order
 * applied; each op is applied once.
 * Memory:     parked batches at most park_max_bytes; what does not fit is dropped and asked for
 *             again.
 * Threads:    one owner.
 * See docs/design/core.md.
 */
#ifndef CORE_REPLICA_H
#define CORE_REPLICA_H

#include "base/bits.h"
#include "base/list.h"
#include "clock/hlc.h"
#include "core/copier.h"
#include "crdt/object.h"
#include "wire/batch.h"

enum { REPLICA_FENCES = 16 }; /* policy/origin.h */

struct replica_options {
    uint8_t region; /* our region's number; also our origin for what every region may hold */
    /* Our origins for what only some may hold, by fence; [0] is not used; 0: we may not hold that */
    uint8_t own[REPLICA_FENCES];
    /* [STAMP_ORIGINS] the fence of each origin; borrowed; NULL: there are no fences */
    const uint8_t *fence_of;
    uint64_t foreign[4]; /* bitmap of origins that we may not hold */
    uint64_t instance;
    uint64_t seed;       /* entropy: of hash tables and of random choices */
    uint64_t table_seed; /* of the tables of keys, as the checkpoint was stored; 0: any */
    uint64_t ceiling_ms; /* persisted by the last run */
    uint64_t max_skew_ms;
    uint64_t park_max_bytes;
    /* [writer_count] origins that somebody writes and that we may hold, ours among them; borrowed */
    const uint8_t *writers;
    size_t writer_count;
    uint64_t closed[4]; /* bitmap of origins that nobody writes any more */
};

/* What this replica knows of one origin's stream. */
struct stream {
    uint64_t instance;                           /* of the newest op's batch */
    struct takeover takeovers[STREAM_TAKEOVERS]; /* the newest first */
    uint32_t check;                              /* running checksum after last_op */
    bool forked;        /* a batch disagreed: nothing more is taken from it */
    bool ahead;         /* EVENT_AHEAD was raised for what waits now */
    struct list parked; /* of struct parked, ascending */
};

/* Things a host should tell people about; read and cleared by replica_next_event. */
enum replica_event_kind {
    EVENT_NONE,
    EVENT_FORK, /* origin: its stream disagrees with what we hold */
    /* origin: a batch is more than max_skew ahead of our time and waits */
    EVENT_AHEAD,
    EVENT_AMNESIA, /* a batch of our own origin above our log came back */
};

struct replica_event {
    enum replica_event_kind kind;
    uint8_t origin;
    stamp_t stamp;
};

/* What an origin's entry of `applied` became at an LSN that is not durable yet. A vector each would be 2 KB:
 * of a second of turns, tens of megabytes. */
struct snapshot {
    uint64_t lsn;
    stamp_t stamp;
};

struct replica {
    struct replica_options options;
    struct hlc hlc;
    struct prng prng;
    struct database databases[OP_DATABASES];
    struct heap reclaim;
    struct copier copier;

    struct vector applied; /* everything up to here is applied, heartbeats included */
    /* stamp of the last op applied of each origin: what contexts are made of */
    struct vector last_op;
    struct vector durable; /* as applied, but on our disk */
    /* Bitmap, by the owner: origins of which nothing comes for now. Batches of other fences than theirs do
     * not wait for what they have seen of them. */
    uint64_t apart[4];
    struct stream streams[STAMP_ORIGINS];

    /* the open batch, of one of our origins */
    uint64_t own[4]; /* bitmap of them */
    uint8_t open_origin;
    struct buffer open; /* room for the header, then encoded ops */
    uint32_t open_ops;
    stamp_t open_from, open_prev, open_last;
    uint32_t open_check; /* the stream's checksum where the batch begins */
    struct vector open_context;

    /* the group that runs now */
    uint8_t group_origin;
    stamp_t group_first;      /* 0: no op yet */
    stamp_t group_stamp;      /* of its newest op, whatever it was split into */
    size_t group_last_offset; /* of its last op in `open` */
    size_t group_start;       /* where it begins in `open` */
    bool group_kept;          /* it is not to be split */
    bool group_refused;       /* and so something was not emitted: whoever sees it clears it */
    /* that op's hashed bytes: they count once it is known whether the group goes on */
    size_t unhashed_offset;
    stamp_t unhashed; /* its stamp; 0: none */

    /* the log */
    struct buffer log_out; /* sealed records not yet taken by the owner */
    uint64_t log_end;      /* LSN after the last sealed record */
    uint64_t log_durable;
    struct snapshot *snapshots; /* ring, by LSN */
    size_t snapshot_head, snapshot_count, snapshot_cap;
    uint64_t snapshot_lsn;         /* of the newest */
    struct vector snapshot_vector; /* as all of them, and those before, make it */

    uint64_t parked_bytes, parked_count;
    /* by origin: what a batch waits for that found no room; 0: none, or it has come */
    stamp_t dropped[STAMP_ORIGINS];
    bool asked_again[STAMP_ORIGINS]; /* replica_take_dropped has said so */
    bool amnesiac;
    bool tail_unknown; /* its log was damaged: others may hold writes of ours that it has not */
    /* A bootstrap brings our own origin back: its batches are taken like any other's. */
    bool takes_own;

    struct replica_event events[16];
    uint32_t event_count;

    struct buffer payload; /* scratch of the op being built */
    struct buffer items;   /* scratch of emit_fields, */
    struct buffer cuts;    /* and where they are cut: lengths and counts */
    uint64_t now_ms;       /* of the running turn */
    uint64_t reclaimed;    /* keys removed because their time had come */
};

void replica_init(struct replica *r, const struct replica_options *options);
void replica_release(struct replica *r);

/* --- recovery: what the checkpoint says, if there is one; then hand in every record of the log from
 * its start on, in order; then replica_recovered --- */

/* From now on keys live on disk too. `start` NULL: there is nothing there yet. */
void replica_install(struct replica *r, const struct cold *cold, const struct copy_start *start,
                     const struct cold_counts counts[OP_DATABASES]);
int replica_replay(struct replica *r, uint64_t end_lsn, struct span batch); /* E_FORMAT */
void replica_recovered(struct replica *r, uint64_t end_lsn);

/* --- commands --- */

/* Starts a turn: time for everything until the next call. It may go back where the owner learns that
 * its clock was wrong; stamps never do. */
void replica_turn(struct replica *r, uint64_t now_ms);

/* The time by which expiry is judged. */
static inline uint64_t replica_hlc_ms(const struct replica *r)
{
    return hlc_now_ms(&r->hlc, r->now_ms);
}

/* Ends the group in the middle of a command that is too large for one: what follows is another.
 * Nothing when the group is kept whole. */
void replica_split_group(struct replica *r);

/* From here on the group that runs is one whatever it holds (MULTI); who emits into it sees to it
 * that it stays within GROUP_MAX_BYTES (emit.h). */
void replica_keep_group(struct replica *r);

/* What the group that runs has written so far. */
static inline size_t replica_group_bytes(const struct replica *r)
{
    return r->open.len - r->group_start;
}

/* Brackets one command (or one MULTI): its ops are a group. group_end returns the stamp of its last
 * op, 0 when none. */
void replica_group_begin(struct replica *r);

/* What follows in this group is written to that fence, of which we are a member: one fence a group, said
 * before its first op. Without it: to fence 0, which every region holds. */
void replica_group_fence(struct replica *r, uint32_t fence);
stamp_t replica_group_end(struct replica *r);

static inline bool replica_owns(const struct replica *r, uint8_t origin)
{
    return bits_have(r->own, origin);
}

/* Whether we may hold the ops of an origin. */
static inline bool replica_may_hold(const struct replica *r, uint8_t origin)
{
    return !bits_have(r->options.foreign, origin);
}

static inline uint32_t replica_fence_of(const struct replica *r, uint8_t origin)
{
    return r->options.fence_of != NULL ? r->options.fence_of[origin] : 0;
}

/* Whether an op that a run of its region wrote is known not to be in its stream, all of which is here up to
 * the op's stamp and beyond: a crash took it before it was on the disk. Never true of one that is here;
 * false also where it is not known any more (more runs have written since). */
bool replica_has_lost(const struct replica *r, stamp_t op, uint64_t instance);

/* How many regions write to a fence. */
size_t replica_writers_of(const struct replica *r, uint32_t fence);

/* NULL when own writes may be made, else why not ("AMNESIA …"). */
const char *replica_write_refusal(const struct replica *r);

/* True while own writes must wait a moment: the HLC is more than max_skew / 2 ahead of time, or at
 * its ceiling. */
bool replica_must_wait(const struct replica *r);

/* Closes the open batch into log_out. Returns the LSN that must be durable before anything of it
 * may be shown outside. */
uint64_t replica_seal(struct replica *r);

/* Everything below lsn is on disk. */
void replica_durable(struct replica *r, uint64_t lsn);

/* --- replication --- */

enum receive_verdict {
    RECEIVE_APPLIED,
    RECEIVE_DUPLICATE, /* all of it was applied before */
    RECEIVE_PARKED,    /* waits for its context, its predecessor, or its time */
    RECEIVE_DROPPED,   /* would wait, but there is no room: ask again from the vector */
    RECEIVE_GAP,       /* does not follow what we have: ask again from the vector */
    RECEIVE_REFUSED,   /* malformed, of a forked stream, or of our own origin without takes_own */
};

/* One batch as it came (borrowed). A heartbeat is a batch without ops. */
enum receive_verdict replica_receive(struct replica *r, struct span batch);

/* Everything up to here of an origin is applied, or parked in order: from where to subscribe. */
stamp_t replica_known(const struct replica *r, uint8_t origin);

/* The newest batch of it that waits; 0: none does. */
stamp_t replica_newest_parked(const struct replica *r, uint8_t origin);

/* What the first batch of an origin that had to wait is waiting for: a stamp that must be applied
 * first (of another origin, or of its own), or our own time. 0: nothing waits. */
stamp_t replica_awaited(const struct replica *r, uint8_t origin);

/* A heartbeat of one of our origins, as a batch, appended to out; false when there is something of it
 * not yet durable (the batch itself will say so), or the ceiling forbids. */
bool replica_heartbeat(struct replica *r, uint8_t origin, struct buffer *out);

/* What we have durably of another's stream, as a heartbeat of it, appended to out, for who has been
 * sent all of the stream that is in our durable log. False while an op of it is not durable: its
 * batch will say so. */
bool replica_pass_heartbeat(const struct replica *r, uint8_t origin, struct buffer *out);

/* True once for every origin of which something was dropped for lack of room, when there is room
 * again or what it waited for has come (all that is parked may wait for it): subscribe anew. */
bool replica_take_dropped(struct replica *r, uint8_t *origin);

/* Parked batches whose time has come; with may_write also the reclaim of expired keys. */
void replica_tick(struct replica *r, bool may_write);

bool replica_next_event(struct replica *r, struct replica_event *event);

/* 64-bit digest of all databases: equal vectors => equal digests. */
uint64_t replica_digest(const struct replica *r);

#endif
