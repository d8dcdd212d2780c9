/*
 * hold -- replies that may not go yet: until what they tell of is durable here, and until as many other
 * regions as it asks for have acknowledged it.
 *
 * A session's output goes in order, so a held reply holds all behind it; its writes are made all
 * the same, and wait together. An acknowledgement is a region's durable vector that has passed the
 * write's stamp (core/peers.h). Acknowledgements that do not come in time make the reply an error
 * that names who did and who did not: NOACKS; the write stands.
 * Limits:    a hold has 40 bytes, one with acknowledgements 110 more and 4 for each other region, and the
 *            token of its WITH as text. All of that counts as unread output (client.hold_bytes): above
 *            what a client may leave unread its further commands wait.
 */
#ifndef NODE_HOLD_H
#define NODE_HOLD_H

#include <stddef.h>

#include "clock/stamp.h"

struct node;
struct client;

struct hold_acks;

struct hold {
    uint64_t start;         /* bytes of output since the session began */
    uint64_t lsn;           /* durable up to here; HOLD_OPEN: not sealed yet */
    stamp_t applied;        /* what must be here; 0: nothing */
    uint64_t applied_us;    /* or then */
    struct hold_acks *acks; /* owned; NULL: nobody else need have it */
};

/* The command that began its reply at `start` of the session's output has written, or came in a WITH and
 * is answered: what its demand (cmd/demand.h) asks for is waited for. */
void hold_reply(struct node *n, struct client *c, size_t start);

/* The reply at `start` tells of a write of another region: it goes when that is here, or, where it does not
 * come, FORWARD_SETTLE_MS later (node/forward.h). */
void hold_until_applied(struct node *n, struct client *c, size_t start, stamp_t stamp);

/* At a turn's end, after the seal: what was written in it waits for `lsn`. */
void hold_seal(struct node *n, uint64_t lsn);

/* Lets go what need not wait any more: after the log became durable, a peer told its vector, or time
 * passed. */
void hold_release(struct node *n);

/* The log failed: what is held will never be durable. One error instead of it, and the session ends. */
void hold_fail(struct node *n);

/* Of a session that ends. */
void hold_forget(const struct node *n, struct client *c);

/* When hold_release has something to do by time alone; UINT64_MAX: never. */
uint64_t hold_deadline_us(const struct node *n);

#endif
