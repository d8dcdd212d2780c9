/*
 * promise -- what a command waits for before it runs: what its session has seen, an answer that is
 * fresh enough, or all that was acknowledged anywhere.
 *
 *     causal     this region's vector covers the session's token
 *     bounded    the oldest of what is known of every writer is at most so old
 *     strong     a barrier: each writer has said how far it is after the command came, and it is here.
 *                Nothing that was acknowledged before is missed; which of two unseen writes wins is the
 *                stamps' choice.
 *
 * And a write of a keyspace with max_lag, while others are behind: from half of that on it waits,
 * the longer the further they are; above, it is refused where the keyspace says so. So what readers
 * were promised is kept by those who write.
 *
 * A command that waits stands at the front of its session; what comes behind it waits too. After half
 * of its time, or at once when the region that is waited for is not linked with us, a read may be
 * answered by another region that has what it asks for (node/elsewhere.h). When its time is over it
 * is not run, and answered STALE, with the region that is waited for. What it has waited so counts:
 * a write has so much less time for its acknowledgements.
 *
 * Barriers are numbered. One at a time is on its way to a peer, for all commands that came before
 * it was sent; the next leaves when it is answered.
 */
#ifndef NODE_PROMISE_H
#define NODE_PROMISE_H

#include "base/span.h"
#include "core/replica.h"

struct node;
struct client;
struct link;
struct peer;
struct region;

enum { BARRIER_ANSWERS = 16 }; /* guess: older ones are as good, only later */

/* What a peer has said of barriers. */
struct barrier_answer {
    uint64_t number;
    stamp_t last[REPLICA_FENCES]; /* the peer's last write then, to each fence; 0: none */
};

struct barrier {
    uint64_t asked, answered; /* numbers; asked > answered: one is on its way */
    struct barrier_answer answers[BARRIER_ANSWERS];
    uint32_t next;
};

enum promise_verdict { PROMISE_RUN, PROMISE_WAIT, PROMISE_AWAY, PROMISE_OVER };

/* The command at the front of the session has been parsed, maybe not for the first time: what does it ask
 * for? */
void promise_begin(struct node *n, struct client *c, const struct span *argv, size_t argc);

/* May it run? AWAY: not yet, and another region could answer it. OVER: it has been answered, and is not to
 * be run. */
enum promise_verdict promise_judge(struct node *n, struct client *c);

/* When the command's time is over, counted from now on. */
uint64_t promise_deadline_us(const struct node *n, const struct client *c);

/* It was answered: nothing of what it asked for is asked of the next. */
void promise_end(struct client *c);

/* True when a session that waits may be looked at again. */
bool promise_may_resume(struct node *n, struct client *c);

/* A FOLLOW that is met, or over, is answered. */
bool promise_end_follow(struct node *n, struct client *c);

/* How old what is known of a stream is, when it is known up to there; UINT32_MAX: nothing is known. */
uint32_t promise_age_ms(const struct node *n, stamp_t known);

/* How old the oldest is of what we know of those who may write what is asked for: writes of that age may be
 * missing. UINT32_MAX: nothing was heard of one. */
struct demand;
uint32_t promise_staleness_ms(const struct node *n, const struct demand *d);

/* How far behind our writes to some fences the region is that is furthest behind; `who` NULL: none is. */
uint32_t promise_lag_ms(const struct node *n, uint32_t fences, const struct region **who);

/* Messages. */
void promise_take_barrier(struct node *n, struct link *l, struct span body);
void promise_take_passed(struct node *n, struct link *l, struct span body);
void promise_take_wanted(struct node *n, struct link *l, struct span body);
void promise_turn_end(struct node *n, struct link *l);
void promise_link_ready(struct peer *peer);

#endif
