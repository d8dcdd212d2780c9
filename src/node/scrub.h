/*
 * scrub -- what was removed from objects vanishes from this region's disk.
 *
 * A removed value still stands in the log that wrote it, in the checkpoint's free pages, and in gaps of
 * its others. A scrub is a round of what its owner does on request:
 *
 *     ROLL         the log goes on in a new segment: all that was removed stands before it: node_next_roll
 *     CHECKPOINT   one that begins after that is complete: what was removed is in no record any more
 *     REWRITE      the checkpoint's file is written anew, of its records alone: node_next_rewrite
 *     and          the log before the new segment goes, as log always does: once every region has it
 *                  durably, or past log.retain; this may take as long as a region is away, and other
 *                  rounds begin meanwhile
 *
 * A round covers what was asked for before it began. A rewrite or a checkpoint that fails is tried again.
 * Nothing of it outlives the run: who still needs a scrub after a restart asks again. During a bootstrap no
 * round begins.
 * Removed is: no file of the data directory has the bytes. Out of reach are blocks that the file system
 * has freed, files that somebody else has made of these (back-ups, exports, damaged-* of a repair), and
 * the server's own messages.
 * Pure; part of the node.
 */
#ifndef NODE_SCRUB_H
#define NODE_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

#include "store/checkpoint.h"

struct node;

enum { SCRUB_TEXT_MAX = 400 };

enum scrub_phase { SCRUB_IDLE, SCRUB_ROLL, SCRUB_CHECKPOINT, SCRUB_REWRITE };

struct scrub_round {
    uint64_t number; /* of the newest that it covers; 0: none */
    uint64_t lsn;    /* from here on the log has nothing of what was removed */
};

struct node_scrub {
    uint64_t asked, done; /* numbers */
    enum scrub_phase phase;
    struct scrub_round round;             /* that runs */
    uint64_t checkpoint;                  /* its */
    bool is_out;                          /* the roll, or the rewrite, is under way */
    uint64_t began_us;                    /* the rewrite */
    uint64_t retry_us;                    /* none of them before */
    char problem[CHECKPOINT_PROBLEM_MAX]; /* why the last of them failed; "": it did not */
    /* Rounds that wait for nothing but the log: the oldest, and the newest after it, which covers all
     * between. */
    struct scrub_round oldest, newest;
    uint64_t drop_us; /* when the log is asked for again */
};

/* All that is removed from objects by now is to vanish from disk: the scrub's number. */
uint64_t scrub_ask(struct node *n);
bool scrub_done(const struct node *n, uint64_t number);

/* What the oldest that is not done waits for, for people: "checkpoint", "log: eu-de does not have it yet",
 * "rewrite: …"; "": nothing. */
const char *scrub_waits_for(const struct node *n, char text[SCRUB_TEXT_MAX]);
/* Why there will be none in this run; NULL: there will. */
const char *scrub_refusal(const struct node *n);

/* At a turn's end, after everything was sealed and before the checkpoint's. */
void scrub_turn_end(struct node *n);

#endif
