/*
 * node -- one region's server without I/O: sessions, links, replica and log tail, one turn at a
 * time.
 *
 * The owner (host/ over libuv, or sim/) hands in what happened and takes out what is to be done:
 *
 *     node_turn          now                     starts a turn; every call below belongs to the last one
 *     node_session_*     a client's bytes        -> replies, as far as node_session_output gives them
 *     node_link_*        a peer's bytes          -> bytes in link->output
 *     node_turn_end                              seals what was written; fills outputs; says what is wanted:
 *        node_take_log       records to append and sync, then -> node_durable(lsn)
 *        node_want_ceiling   a clock ceiling to persist, then -> node_ceiling_durable(ms)
 *        node_want_known     what was learned of runs, to be persisted soon
 *        node_next_dial      a peer to dial, then -> node_link_open, or node_dial_failed
 *        node_next_read      log to read back from disk, then -> node_read_done
 *        node_next_dirty_session / node_next_dirty_link      who has output to send or wants to be closed
 *        node_next_notice    a line for the server's log
 *        node_next_audit     a line for the audit of fences, then -> node_audit_written(number)
 *        node_next_write     changes for the checkpoint, then -> node_written
 *        node_next_drop      log that may go, then -> node_log_starts
 *        node_next_roll      the log goes on in a new segment, then -> node_rolled
 *        node_next_rewrite   the checkpoint's file is to be written anew, then -> node_rewritten
 *        node_next_export    records to read back for a bootstrap, then -> node_exported
 *        node_next_own_read, node_next_restart, node_next_unmark      in a bootstrap: node/bootstrap.h
 *        node_next_deadline  when the next turn is due at the latest
 *
 * Threads: one owner. Pure: no clock, no I/O, no randomness but the seed.
 * See docs/design/node.md.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "clock/skew.h"
#include "cmd/server.h"
#include "core/peers.h"
#include "core/replica.h"
#include "node/agreement.h"
#include "node/audit.h"
#include "node/bootstrap.h"
#include "node/bootstrap_source.h"
#include "node/checkpoint.h"
#include "node/erase.h"
#include "node/feed.h"
#include "node/link.h"
#include "node/memory.h"
#include "node/newcomer.h"
#include "node/promise.h"
#include "node/scrub.h"
#include "node/tail.h"
#include "node/topology.h"
#include "policy/deployment.h"
#include "store/identity.h"
#include "wire/record.h"

enum { CEILING_AHEAD_MAX_MS = 20000 }; /* for a disk that takes 5 s to sync */

struct node_options {
    const struct deployment *deployment; /* borrowed for the node's life */
    const struct region *self;
    uint64_t instance;
    uint64_t run;                       /* this run's random number */
    const struct identity_known *known; /* by earlier runs; copied; NULL: nothing */
    uint64_t seed;
    uint64_t ceiling_ms;
    uint64_t table_seed; /* of the checkpoint that node_install is given; 0: there is none */
    const struct marker *marker; /* this region is being bootstrapped; copied; NULL: it is not */
    bool faults;
    bool audits; /* the owner takes lines of the audit, if there are fences */
    enum fsync_policy fsync;
    /* Appends the source of a merge function. NULL, or why it cannot be had, as a sentence. Called
     * with `host`; NULL: there are no files. */
    const char *(*merge_source)(void *host, const char *file, struct buffer *source);
    void *host;
};

enum notice_level { NOTICE_INFO, NOTICE_WARNING, NOTICE_ERROR };

enum { NOTICE_TEXT_MAX = 1024 };

struct notice {
    enum notice_level level;
    char text[NOTICE_TEXT_MAX]; /* logfmt without time: ev=link.up peer=eu-de … */
};

/* A peer region: everything about the other end, in both directions. */
struct peer {
    const struct region *region;
    uint64_t origins[4];          /* its streams, of those that we may hold (policy/origin.h) */
    uint64_t foreign[4];          /* streams that it may not hold */
    uint64_t barred[4];           /* and those on whose fence it and we do not agree */
    uint32_t apart;               /* by place: such fences (node/agreement.h) */
    char differs[240];            /* the first of them; "" when there are none */
    struct link *intake;          /* dialled by us: we subscribe, it sends. NULL: not connected */
    struct link *feed;            /* dialled by it: it subscribes, we send */
    uint64_t bytes_in, bytes_out; /* of connections that have ended */
    uint64_t batch_bytes_in, batch_bytes_out; /* likewise: writes alone */
    uint64_t down_us; /* when the last intake that was ready ended; 0: none has */
    bool dialing;
    uint64_t dial_at_us;        /* next try */
    uint32_t failures;          /* dials failed in a row: the backoff */
    bool cut;                   /* LINK CUT: nothing goes, nothing is accepted */
    bool compared;              /* node/runs.h */
    bool healing;               /* LINK HEAL: our next HELLO asks the peer to end its cut too */
    uint32_t slow_ms;           /* LINK SLOW: added to each direction by the host */
    char problem[160];          /* why it is not connected; "" when it is */
    struct source source;       /* when it is bootstrapped from us */
    struct barrier barrier;     /* strong reads */
    uint64_t declined_until_us; /* it is no source for us before */
};

struct node {
    struct node_options options;
    struct server server;
    struct replica replica;
    struct tail tail;
    struct peers matrix;
    struct node_topology topology;
    struct skew skew;
    struct peer *peers; /* every other region, in the deployment's order */
    size_t peer_count;
    struct list links; /* of struct link: all connections, also those without HELLO yet */
    struct list dirty_sessions, dirty_links;
    struct list waiting;         /* sessions whose commands wait */
    bool resume;                 /* one of them can go on now */
    struct list held;            /* sessions with replies that wait for durability */
    struct list wrote;           /* sessions with replies that wait for the log of this turn */
    bool holds_applied;          /* one of them waits for what another region wrote */
    uint64_t hold_due_us;        /* one of those replies is due by time alone */
    struct vector acks_wanted;   /* by origin: our newest write that waits for acknowledgements */
    struct vector wanted;        /* by origin: what its region waits for us to acknowledge */
    struct list forwarding;      /* sessions with commands on their way to other regions */
    struct table away;           /* clients that have a session in another region, by session.id */
    uint64_t forward_due_us;     /* one of those is due by time alone */
    struct list gathers;         /* struct gather: asked for, not answered yet */
    struct list remotes;         /* sessions for clients of other regions: struct remote */
    struct table remotes_by_key; /* the same */
    struct list remotes_due;     /* those of them that may have answers */
    uint64_t forwards_sent, forwards_taken;
    uint64_t acks_waited;             /* answers that had to wait for acknowledgements */
    uint64_t lag_slowed, lag_refused; /* writes that waited for, or gave way to, who is behind */
    uint64_t barrier_wanted;          /* the newest number that a command waits for */
    uint8_t writers[STAMP_ORIGINS];   /* origins of all writers that we may hold */
    size_t writer_count;
    uint8_t fence_of[STAMP_ORIGINS]; /* each origin's fence */
    uint64_t closed[4];              /* bitmap of origins without an owner (node/closed.h) */
    struct identity_known known;     /* node/runs.h */
    bool known_changed;              /* since node_want_known was asked */
    bool matrix_changed;             /* a peer's vector moved: waits are looked at */
    uint64_t now_us;
    uint64_t tick_at_us, sweep_at_us;
    uint64_t start_us;  /* the first turn */
    uint64_t log_taken; /* LSN handed to the owner for writing */
    uint64_t log_start; /* LSN from which on it is kept */
    struct node_checkpoint checkpoint;
    struct node_scrub scrub;
    struct node_erase erase;
    struct bootstrap bootstrap;
    struct source_shared source; /* of bootstraps from us */
    struct node_memory memory;
    struct newcomer newcomer;
    struct agreement agreement;
    struct audit audit; /* node/audited.h */
    uint64_t ceiling_asked_ms;
    uint64_t ceiling_since_us; /* one is on its way to the disk since then; 0: none is */
    uint64_t slow_told_us;     /* that the disk is slow */
    uint64_t ceiling_took_us;  /* the last ones to get there; the slowest counts, and fades */
    bool log_broken;
    bool damaged; /* the checkpoint is */
    bool lost;    /* ops that are in the log could not be applied to objects that cannot be read */
    uint64_t unreadable_us; /* when that was told */
    /* The log is being replayed: nothing is served but LOADING, and how far it is. */
    bool loading;
    uint64_t loading_done_bytes, loading_total_bytes; /* total: at most */
    char loading_text[80];
    bool replay_durable; /* what is replayed was found to be on the disk: set by the owner */
    bool was_skewed;
    /* compared with every peer that could be reached, since the start */
    bool clock_judged;
    struct notice notices[64];
    uint32_t notice_head, notice_count;
    struct feed_shared feed; /* node/feed.h */
    struct frame_codec codec;
    uint64_t link_count; /* links ever opened: their ids */
    char refused[200];   /* why an accepted link was refused last: told once */
    char refusal[400];
};

void node_init(struct node *n, const struct node_options *options);
void node_release(struct node *n);

/* Recovery: the checkpoint, if objects are kept on disk; then every record of the log from its start
 * on, in order; then where the log begins and ends. */
int node_install(struct node *n, struct checkpoint *store, const struct checkpoint_found *found);
int node_replay(struct node *n, const struct record *record);
/* Memory is short: before the next record turns are due, in which what was changed is written down. Only
 * where the owner knows that all of the log is durable (replay_durable). */
bool node_replay_waits(const struct node *n);
/* An owner that serves meanwhile says before the first record, then now and again, how far it is. */
void node_loading(struct node *n, uint64_t done_bytes, uint64_t total_bytes);
void node_recovered(struct node *n, uint64_t end_lsn);

/* True while commands must wait a moment: the clock was not yet compared with the peers', or runs
 * ahead of time. */
bool node_must_wait(struct node *n);

void node_turn(struct node *n, uint64_t now_us);
void node_turn_end(struct node *n);
uint64_t node_next_deadline(const struct node *n); /* microseconds, as now */

/* Clients. Open returns NULL when limits.clients is reached: write NODE_TOO_MANY_CLIENTS and
 * close. */
#define NODE_TOO_MANY_CLIENTS "-ERR max number of clients reached\r\n"
struct session *node_session_open(struct node *n, void *host, const char *address,
                                  const char *local_address);
void node_session_input(struct node *n, struct session *s, struct span bytes);
/* the connection is gone: frees it */
void node_session_close(struct node *n, struct session *s);
/* what may go now; good until the next input or turn end */
struct span node_session_output(const struct session *s);
void node_session_sent(struct node *n, struct session *s, size_t bytes);
/* has sendable bytes, or is killed/closing */
struct session *node_next_dirty_session(struct node *n);

/* Peers. `peer` is the one dialled, or NULL for an accepted connection. */
struct link *node_link_open(struct node *n, struct peer *peer, void *host, const char *address);
void node_link_input(struct node *n, struct link *l, struct span bytes);
void node_link_closed(struct node *n, struct link *l, const char *why); /* frees it */
/* taken from the front of l->output */
void node_link_sent(struct node *n, struct link *l, size_t bytes);
struct link *node_next_dirty_link(struct node *n);
bool node_next_dial(struct node *n, struct peer **peer);
void node_dial_failed(struct node *n, struct peer *peer, const char *why);

/* The log. The span stays in place until node_durable covers it. False when there is nothing
 * new. */
bool node_take_log(struct node *n, struct span *records, uint64_t *end_lsn);
void node_durable(struct node *n, uint64_t lsn);
bool node_owes_peers(const struct node *n); /* some of it is our own: peers get it once durable */
/* no more writes are taken; reads go on */
void node_log_failed(struct node *n, const char *why);
/* A transaction for the checkpoint: its spans stay good until node_written, which must follow. */
bool node_next_write(struct node *n, struct checkpoint_write *job);
void node_written(struct node *n, int error, const char *why);
/* True once: after the records that were taken so far (all there are) the log goes on in a new segment;
 * node_rolled must follow. `why` it does not, as there is no room; NULL: it does. */
bool node_next_roll(struct node *n);
void node_rolled(struct node *n, const char *why);
/* True once: all that is in the checkpoint's store is to be written anew (env/kv.h), while no transaction is
 * out; node_rewritten must follow. E_BUSY: it was given up for the stop. */
bool node_next_rewrite(struct node *n);
void node_rewritten(struct node *n, int error, const char *why,
                    const struct kv_rewritten *rewritten);
/* Log below this LSN may be removed, whole segments of it; node_log_starts tells what was. */
bool node_next_drop(struct node *n, uint64_t *lsn);
void node_log_starts(struct node *n, uint64_t lsn);
/* Records for a region that is bootstrapped from us, read as checkpoint_export does: the cursor stays good
 * until node_exported, which must follow with where it came to. */
bool node_next_export(struct node *n, struct span *cursor, size_t *max_bytes);
void node_exported(struct node *n, int error, struct span cursor, struct span changes, bool all,
                   const char *why);
/* True once: stop, and begin again as node/bootstrap.h says. */
bool node_next_restart(struct node *n, struct node_restart *restart);
bool node_next_unmark(struct node *n);
void node_unmarked(struct node *n);
uint64_t node_want_ceiling(struct node *n); /* 0: none; asked once */
void node_ceiling_durable(struct node *n, uint64_t ceiling_ms);
/* What must be kept for later runs (identity_store), good until the next turn; NULL: nothing new.
 * Nothing waits for it. */
const struct identity_known *node_want_known(struct node *n);
bool node_next_read(struct node *n, struct link **link, uint64_t *lsn, uint64_t *limit_lsn,
                    size_t *want);
/* `records` are whole records from that LSN on (borrowed); empty with `why` when it failed. A link
 * that closed meanwhile must not be passed: the host matches by link->id. */
void node_read_done(struct node *n, struct link *l, uint64_t lsn, struct span records,
                    const char *why);

/* As node_next_read and node_read_done, of the log that this region had before it was bootstrapped. */
bool node_next_own_read(struct node *n, uint64_t *lsn, uint64_t *limit_lsn, size_t *want);
void node_own_read_done(struct node *n, uint64_t lsn, struct span records, const char *why);

/* The audit: every line, in its order. Nothing of a fence is sent before the line that announces it is
 * written; when writing failed that is tried again, and nothing of a fence is sent meanwhile. Before
 * the end a flush makes lines of all that has not become any yet. */
bool node_next_audit(struct node *n, struct audit_line *line);
void node_audit_written(struct node *n, uint64_t number); /* all lines up to that */
void node_audit_failed(struct node *n, const char *why);
void node_audit_flush(struct node *n);

bool node_next_notice(struct node *n, struct notice *notice);
/* A line for the log; when too many wait to be taken, further ones are dropped. */
void node_notice(struct node *n, enum notice_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Who writes an origin; NULL: a region that is not in the configuration. */
const struct region *node_writer_of(const struct node *n, uint8_t origin);

/* LINK CUT, HEAL, SLOW between us and another region. */
void node_cut(struct node *n, struct peer *peer, bool cut);
struct peer *node_peer(struct node *n, struct span name);          /* NULL: unknown, or ourselves */
struct peer *node_peer_with(const struct node *n, uint8_t region); /* by its number; likewise */

/* The link on which a peer can be asked for anything; NULL: there is none, or no peer. */
static inline struct link *node_ready_intake(const struct peer *p)
{
    return p != NULL && p->intake != NULL && p->intake->ready && !p->intake->close ? p->intake
                                                                                   : NULL;
}

/* GET /status: this region as a JSON object, appended. */
void node_status_json(struct node *n, struct buffer *out);
/* GET /metrics: Prometheus text, appended. */
void node_metrics(struct node *n, struct buffer *out);

#endif
