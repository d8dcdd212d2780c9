/*
 * bootstrap -- a region that lacks what no log holds any more takes another's objects, and then
 * brings back what it alone had.
 *
 *     NONE     a peer says BEHIND, and nobody else has that log either
 *     LEAVING  takes nothing more in; once its log is durable: -> a marker (store/marker.h), a restart
 *     IMAGE    the objects of one peer's checkpoint, the source's, in the order of their places,
 *              written down as they come; only the log that follows makes them good: -> a restart
 *     CATCHUP  the source's log of all origins, from where its checkpoint starts, until all is here
 *              that the source had when the last object left it
 *     OWN      its own old log, every origin: what the source had is a duplicate, the rest is logged
 *              anew
 *     TIDY     it serves; the old log goes, then the marker: -> NONE
 *
 * From LEAVING to OWN clients are answered LOADING, no peer is fed, and nothing of its own is
 * written. A crash at any moment goes on where the marker and note 'b' of the checkpoint say: the
 * note is written with what it describes, and bears the marker's run; with another marker it is
 * void, and all of the checkpoint with it. Without the source for BOOTSTRAP_LOST_US, and with
 * another peer in reach, all begins anew with that one: a new marker, over the same old log and
 * what was added to it since. The source must hold all that the old log has lost (its floor): so
 * nothing is lost that anybody here was told.
 *
 * The owner, besides what node.h says:
 *
 *     opening              marker_read; bootstrap_phase_of; NONE: the checkpoint's files go first.
 *                          IMAGE: the log is not replayed (replay_from the marker's end). A log that
 *                          ends where the marker says goes on in a new segment (oplog_roll)
 *     node_next_restart    -> marker_write, when it says so; close all, open all
 *     node_next_own_read   the old log, back from disk -> node_own_read_done
 *     node_next_unmark     -> marker_remove, then node_unmarked
 *
 * Pure; part of the node. bootstrap_source.h is the other end; docs/design/bootstrap.md says why it
 * loses nothing.
 */
#ifndef NODE_BOOTSTRAP_H
#define NODE_BOOTSTRAP_H

#include "store/checkpoint.h"
#include "store/marker.h"

struct node;
struct link;
struct peer;

enum {
    BOOTSTRAP_NOTE = 'b',                /* its name among the notes of the checkpoint */
    BOOTSTRAP_PATIENCE_US = 1000 * 1000, /* so long a peer's log may take to be found elsewhere */
    BOOTSTRAP_CHOOSE_US = 1000 * 1000,   /* so long after the start the nearest source may appear */
    BOOTSTRAP_DECLINED_US = 5 * 1000 * 1000, /* then a peer is asked again */
    BOOTSTRAP_TELL_US = 30 * 1000 * 1000,    /* why it waits is told again */
    BOOTSTRAP_LOST_US = 30 * 1000 * 1000,
    BOOTSTRAP_CREDIT_BYTES = 8 << 20, /* of contents on the way, or not yet written */
};

enum bootstrap_phase {
    BOOTSTRAP_NONE,
    BOOTSTRAP_LEAVING,
    BOOTSTRAP_IMAGE,
    BOOTSTRAP_CATCHUP,
    BOOTSTRAP_OWN,
    BOOTSTRAP_TIDY,
};

/* What note 'b' says; kept in memory as well. */
struct bootstrap_note {
    enum bootstrap_phase phase; /* IMAGE or CATCHUP */
    uint64_t instance;          /* of the marker */
    uint8_t source; /* number of the region; 0: none was chosen, or is needed (bootstrap_kept.c) */
    uint64_t keys_total, keys, bytes; /* contents that came so far */
    /* IMAGE */
    struct buffer start;  /* what the source began with: copy_start_put; empty: nothing yet */
    struct buffer cursor; /* all up to here is written */
    /* CATCHUP */
    struct vector began,
        target; /* last ops: of the source's start, and when its last object left it */
};

struct bootstrap {
    enum bootstrap_phase phase;
    struct marker marker;
    struct checkpoint *store;
    struct bootstrap_note note;
    char text[320]; /* what clients are answered */
    uint32_t told_percent;
    uint64_t phase_began_us;

    /* who is asked */
    uint64_t behind_us; /* since when something is lacking that nobody's log has; 0: nothing is */
    uint64_t choose_us; /* a source is chosen now, whoever is not there yet */
    uint64_t lost_us;   /* since when the source is not reached; 0: it is */
    const char *waits;  /* why nobody is asked; NULL: somebody is, or nothing is needed */
    uint64_t waits_us;  /* when that was told */
    uint64_t link_id;   /* over which it was asked; 0: it was not */
    bool started;       /* and it has begun */

    /* IMAGE: what came, and what is being written */
    struct buffer incoming, incoming_cursor;
    uint64_t incoming_keys, incoming_bytes; /* bytes: of contents */
    uint64_t taken_bytes, written_bytes;    /* of this link */
    bool ended;                             /* nothing more comes */
    bool is_out, again; /* being written; to be written again, after a full disk */
    uint64_t retry_us;
    struct buffer written, written_cursor, written_start, notes;
    uint64_t out_keys, out_bytes, out_link_id;
    bool last_out;
    bool broken; /* what was taken cannot be written */

    /* CATCHUP without a source: own writes that peers told of, and how far they are back */
    struct vector own_told, own_seen; /* of our streams */
    uint64_t own_seen_us;             /* when one of them moved last */

    /* OWN */
    uint64_t log_starts; /* LSN from which on the log is on disk */
    uint64_t own_lsn;    /* read up to here */
    bool own_reading, own_asked;
    uint64_t own_retry_us;
    uint64_t own_applied; /* batches that nobody else had, or not this way */
    bool awaits_members;  /* it is through, and does not serve (bootstrap_fence.c) */
    bool own_through;     /* all of it is applied, */
    uint64_t own_end;     /* and durable when the log is, up to here */
    uint64_t skipped[4];  /* bitmap of origins of which something did not fit */

    bool restart, restarting; /* to be asked for; was */
    bool mark;                /* with a new marker */
    bool unmark, unmarking;   /* the marker is to go; is going */
    bool drop_note;           /* with the next checkpoint */
};

/* What the owner is to do before it opens everything anew. */
struct node_restart {
    bool mark; /* write this one first */
    struct marker marker;
};

/* What is to become of a checkpoint beside a marker: IMAGE or CATCHUP go on; NONE: its files are
 * to be removed. */
enum bootstrap_phase bootstrap_phase_of(struct checkpoint *store,
                                        const struct checkpoint_found *found,
                                        const struct marker *marker);

void bootstrap_init(struct node *n);
void bootstrap_release(struct node *n);
/* Takes the checkpoint. True: it is not one yet, and not the replica's. */
bool bootstrap_install(struct node *n, struct checkpoint *store, int *error);
void bootstrap_recovered(struct node *n);
uint64_t bootstrap_log_starts(struct node *n, uint64_t lsn); /* where it does for others */

/* Nothing is served. */
bool bootstrap_is_on(const struct node *n);
/* Nothing is taken in. */
bool bootstrap_is_frozen(const struct node *n);

void bootstrap_behind(struct node *n, struct link *l, struct span body);
void bootstrap_declined(struct node *n, struct link *l, struct span body);
void bootstrap_start(struct node *n, struct link *l, struct span body);
void bootstrap_image(struct node *n, struct link *l, struct span body);
void bootstrap_end(struct node *n, struct link *l, struct span body);

/* What a peer has, by its HELLO. */
void bootstrap_hears(struct node *n, const struct vector *last_op);

/* After everything was sealed. */
void bootstrap_turn_end(struct node *n);

/* --- for node/checkpoint.c --- */
bool bootstrap_next_write(struct node *n, struct checkpoint_write *job);
bool bootstrap_written(struct node *n, int error, const char *why); /* false: not ours */
bool bootstrap_next_drop(const struct node *n, uint64_t *lsn);
void bootstrap_put_notes(struct node *n, struct buffer *notes);

/* --- for reports --- */
const char *bootstrap_phase_name(const struct node *n);
const char *bootstrap_source_name(const struct node *n); /* "" */
uint32_t bootstrap_percent(const struct node *n);        /* of the phase */
uint64_t bootstrap_seconds(const struct node *n);        /* since it began */

/* --- for its own files --- */
void bootstrap_image_turn(struct node *n);
void bootstrap_image_release(struct bootstrap *b);
void bootstrap_await_fence(struct node *n);
bool bootstrap_is_kept(const struct node *n); /* its objects are good, and nothing is taken over */
void bootstrap_kept_turn(struct node *n);
void bootstrap_kept_behind(struct node *n, const struct vector *floor);
void bootstrap_own_turn(struct node *n);
/* What is missing may be with any peer. True: all are reached. */
bool bootstrap_ask_everybody(struct node *n);
void bootstrap_consider(struct node *n);
void bootstrap_choose(struct node *n);
void bootstrap_anew(struct node *n, const char *why); /* with whoever is in reach */
void bootstrap_enter(struct node *n, enum bootstrap_phase phase);
void bootstrap_leave(struct node *n, const struct marker *marker);
int bootstrap_note_load(struct checkpoint *store, struct bootstrap_note *note); /* E_MISSING */
void bootstrap_note_put(struct buffer *notes, const struct bootstrap_note *note);
void bootstrap_note_release(struct bootstrap_note *note);
struct peer *bootstrap_source(struct node *n);      /* NULL: none was chosen */
struct link *bootstrap_source_link(struct node *n); /* ready; NULL: it is not reached */
bool bootstrap_reaches_source(struct node *n);      /* else all may have to begin anew */

/* --- bootstrap_fence.c --- */

/* Whether a peer may hold all that we may. */
bool bootstrap_holds_all(const struct node *n, const struct peer *p);
/* Whether one that may not is a source all the same: nobody in reach has anything of fences of ours that
 * it is no member of; `all_reached`: and all their other members are in reach. */
bool bootstrap_stands_in(const struct node *n, const struct peer *source, bool all_reached);
/* What is written to such fences comes from their members. */
void bootstrap_ask_members(struct node *n);
/* Whether what these told of, since the objects came, is here. */
bool bootstrap_members_met(struct node *n);

#endif
