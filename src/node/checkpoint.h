/*
 * checkpoint -- when objects are copied to disk, and when log may go.
 *
 * The copier (core/copier.h) copies in slices at the end of turns; what it gives is handed to the owner
 * as soon as the log is durable past it (log before data), one write at a time:
 *
 *     node_next_write     changes to write in one transaction  -> node_written(error)
 *     node_next_drop      log that nobody needs any more       -> node_log_starts(lsn)
 *
 * A checkpoint begins when the log has grown by checkpoint.log since the last one, every
 * checkpoint.every if anything was written, for SAVE and BGSAVE, when memory needs clean keys, and before
 * a clean stop. One that fails for a full disk is tried again after RETRY_US; any other failure is final
 * until a restart: writes and reads go on, the log grows, and status says so.
 *
 * Log goes when the checkpoint covers it and every region is known to have it durably. Past log.retain
 * it goes all the same, as far as a majority of the regions holds all that is gone then: who lacks it is
 * bootstrapped (node/bootstrap.h). The rest stays, and own writes are refused at log.retain.
 *
 * Notes kept with a checkpoint: 'm', the marks of the log's index (node/tail.h); 'r', a u64: no object
 * on disk has anything of the log from this LSN on. While it is the start itself the objects are exact
 * without any log.
 * Pure; part of the node.
 */
#ifndef NODE_CHECKPOINT_H
#define NODE_CHECKPOINT_H

#include "store/checkpoint.h"

struct node;

enum { CHECKPOINT_NOTE_MARKS = 'm', CHECKPOINT_NOTE_REACH = 'r' };

struct node_checkpoint {
    struct checkpoint *store; /* NULL: there is none */

    /* the one that runs */
    bool running;
    bool all_copied;              /* `ready` is the last of it */
    bool is_ready, is_out;        /* changes that wait for the log; that are being written */
    struct buffer ready, written; /* changes */
    uint32_t ready_slices;        /* of the copier's */
    uint64_t ready_lsn;           /* must be durable before they are written */
    bool last_out;                /* what is being written ends it */
    struct buffer start, notes;   /* and goes with these */
    struct buffer reach;          /* the note that goes with all that is written before */
    uint64_t began_us;
    uint64_t log_end; /* where the log ended when it began */

    /* which are wanted */
    uint64_t asked;     /* a checkpoint that begins after this many have begun is wanted */
    uint64_t begun;     /* so many */
    uint64_t completed; /* the number of the newest complete one */
    uint64_t failed;    /* the number of the newest that failed */
    uint64_t retry_us;  /* not before; after a failure */
    bool broken;        /* no further ones in this run */
    char problem[CHECKPOINT_PROBLEM_MAX]; /* of the last failure; "" once one is complete */

    /* figures */
    uint64_t start_lsn; /* of the newest complete one: replay starts here */
    bool newest_known;
    struct copy_start newest; /* all of its start, for bootstraps from here */
    uint64_t completed_us, took_us, objects, bytes;

    /* the log's other end */
    uint64_t drop_asked; /* LSN */
    uint64_t dropped_us;
    bool log_full; /* over log.retain, and nothing may go: own writes are refused */
    /* log from here on is held for a bootstrap that we feed; UINT64_MAX: none */
    uint64_t pinned_lsn;
};

void checkpoint_begin_turns(struct node *n);
void checkpoint_node_release(struct node *n);

/* At a turn's end, after everything was sealed. */
void checkpoint_turn_end(struct node *n);
/* Something is to be copied at once: the next turn is due now. */
bool checkpoint_is_busy(const struct node *n);

/* The objects are not to be believed any more (node/health.h): nothing more is copied in this run. */
void checkpoint_break(struct node *n, const char *why);

/* One that begins from now on is wanted; its number. */
uint64_t checkpoint_ask(struct node *n);

/* Below this the peer durably holds all of our log that it may hold. */
uint64_t checkpoint_held_by(const struct node *n, size_t place);

#endif
