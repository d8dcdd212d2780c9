/*
 * forward -- commands of our clients that run in another region (there: node/remote.h).
 *
 *     client -> route (cmd/route.h) -> FORWARD ... the other region: a session of its own for our client
 *            <- held until our replica has what the command wrote <- ANSWER
 *
 * A client's commands run in their order: those for one region follow each other without waiting;
 * what is to run here, or elsewhere, waits for their answers. A reply goes out when the local
 * replica has caught up with what the command wrote: a client reads its own writes. A transaction
 * is gathered here and sent whole; a WATCH of keys that are written elsewhere runs there, and the
 * EXEC after it too. When the session there is lost with its link, so is the watch: EXEC then runs
 * nothing. A client has a session in one other region at a time: it is forgotten before the next begins.
 *
 * A read that this region cannot answer as fresh as it is to be goes the same way (node/elsewhere.h); it
 * needs nothing to come here.
 *
 * A session that follows a token has, with any answer, seen what the other region had: behind the
 * command goes a SESSION TOKEN, and the answer waits until the session follows that.
 *
 * A command is sent once. When its answer is lost (the link broke, or it did not come in time) it
 * may have happened, and the error is UNKNOWN; one that could not be sent is refused: NOWRITER.
 *
 * Where it arrives, the key's home may just have moved on (a directory): then it is sent on, at
 * most FORWARD_HOPS times. Each sender says which word of the directory it goes by, and the
 * receiver waits until it has that: so it knows at least as much, and a command is never sent back
 * to one that knows less.
 */
#ifndef NODE_FORWARD_H
#define NODE_FORWARD_H

#include "base/fifo.h"
#include "base/list.h"
#include "base/span.h"
#include "clock/vector.h"
#include "cmd/demand.h"

enum {
    FORWARD_HOPS = 8,
    FORWARD_FLIGHT_MAX = 1024,          /* commands of one client on their way */
    FORWARD_TAKEN_MAX = 1 << 16,        /* commands of another region's client that wait here */
    FORWARD_BYTES_MAX = 256 << 20,      /* of a command or transaction, or an answer */
    FORWARD_SLACK_US = 2 * 1000 * 1000, /* besides what the keyspace waits for acknowledgements */
};

struct node;
struct client;
struct link;
struct peer;

/* So long an answer waits for its write to come here, and a read that asks for nothing else. */
enum { FORWARD_SETTLE_MS = 1000 };

/* A command that is on its way. */
struct forwarded {
    uint64_t number;
    uint64_t deadline_us;
    bool writes;
    bool silent;    /* CLIENT REPLY: the answer is not wanted */
    bool moved;     /* a read that could be answered here, later */
    bool seen;      /* the next is a SESSION TOKEN: this answer waits for that one */
    bool token;     /* it is that */
    uint32_t about; /* of a fence (node/audited.h) */
};

/* What a client has elsewhere. */
struct forward {
    struct list link;  /* in node.forwarding, while something is on its way */
    struct peer *peer; /* where its session is, then it is in node.away; NULL: nowhere */
    uint64_t link_id;  /* over which link */
    uint8_t db;        /* what that session was told last */
    int protocol;
    struct levels levels; /* and these */
    bool follows;         /* it follows a token */
    bool ended;           /* it was ended there: the next command begins another */
    bool watches;         /* keys are watched there */
    uint64_t numbers;
    struct fifo flight; /* of struct forwarded */
    struct buffer kept; /* the answer that waits for a token; empty: none does */
    stamp_t kept_stamp; /* what has to come here before that is told; 0: nothing */
};

enum forward_verdict {
    FORWARD_HERE, /* run it */
    FORWARD_GONE, /* it is on its way, or was answered: the next */
    FORWARD_WAIT, /* it has to wait for those before it */
};

void forward_init(struct node *n);
void forward_release(struct node *n); /* no client is left */

/* The command at the front of the session, which has been parsed and judged (node/promise.h begin). */
enum forward_verdict forward_judge(struct node *n, struct client *c, const struct span *argv,
                                   size_t argc);

/* A read that waits here goes to another region (node/elsewhere.h), to be answered within what is left of its
 * time. False: those before it have to be answered first, or there is no room on the way. */
bool forward_read(struct node *n, struct client *c, const struct span *argv, size_t argc);

/* The member of a fence that a client's commands for it go to; 0: none is reached. */
uint8_t forward_member_for(struct node *n, const struct session *s, uint32_t fence);

/* Whether commands can be sent there. */
bool forward_reaches(const struct peer *p);

/* Whether a client that waits may be looked at again. */
bool forward_may_resume(const struct client *c);

/* Of a client that ends. */
void forward_forget(struct node *n, struct client *c);

/* A link is gone, and with it what was on its way over it. */
void forward_link_closed(struct node *n, struct link *l);

/* What took too long. */
void forward_turn_end(struct node *n);
uint64_t forward_deadline_us(const struct node *n);

void forward_take_answer(struct node *n, struct link *l, struct span body);

/* A session there was ended, and what comes there is refused until it is forgotten. */
void forward_hear_of_end(struct node *n, const struct link *l, uint64_t session);

/* --- for its own files --- */

/* The session that a client has elsewhere is forgotten there; it is given one, as it is when it is new. */
void forward_leave(struct node *n, struct client *c);
void forward_open(struct node *n, struct client *c, struct peer *p, const struct link *l);

/* Sends a command over the link of the open session; or what MULTI gathered, and its EXEC as it came (which
 * may stand in a WITH). False: it is too large, and nothing was sent. */
bool forward_send(struct node *n, struct client *c, struct link *l, const struct span *argv,
                  size_t argc, struct forwarded one);
bool forward_send_command(struct node *n, struct client *c, struct link *l, const struct span *argv,
                          size_t argc);
bool forward_send_transaction(struct node *n, struct client *c, struct link *l,
                              const struct span *argv, size_t argc);

/* The oldest that is on its way; there is one. */
struct forwarded *forward_first(const struct client *c);

#endif
