/*
 * message -- what regions say to each other over a link.
 *
 *     u32 length of what follows the checksum (1 .. MESSAGE_MAX)
 *     u32 CRC32C of it
 *     u8  type
 *     body, by type:
 *
 *     1 HELLO      u32 protocol version, then for version 3:
 *                  u8 role   u8 region number   u8 the receiver's number   u64 instance   u64 run
 *                  u64 known instance   u64 known run      (of the receiver; 0: none)
 *                  u8 flags: 1 the sender holds another history of the receiver's origin
 *                            2 a REFUSED follows
 *                  deployment   region name      (varint length, bytes)
 *                  varint number of fences besides the global one, in their order; for each
 *                      name (varint length, bytes)   u32 members   u64 digest  (policy/residency.h)
 *                  vector applied   vector of last ops      (clock/vector.h)
 *     2 REFUSED    text: one line of at most MESSAGE_TEXT_MAX bytes
 *     3 SUBSCRIBE  varint n, n x (u8 origin, u64 stamp that the sender has of it, 0: nothing,
 *                  u8 1: it was asked for on this link and all came: go on from what was sent)
 *     4 BATCHES    wire/frame.h
 *     5 VECTOR     varint n, n x (u8 region, u64 instance, vector applied, vector durable)
 *     6 PING       u64 t0
 *     7 PONG       u64 t0   u64 t1   u64 t2     (microseconds since 1970: clock/skew.h)
 *     8 FAULT      u8 verb   u8 region a   u8 region b   u32 ms
 *
 *     of a bootstrap (node/bootstrap.h); an LSN is the source's:
 *     9 BEHIND     vector floor
 *    10 BOOTSTRAP  u8 resumes   u64 lsn   varint credit   vector floor   cursor (varint length, bytes)
 *    11 DECLINED   text, as in REFUSED
 *    12 START      varint keys   start (core/copier.h; nothing when it resumes; varint length, bytes)
 *    13 IMAGE      wire/frame.h; content: cursor after (varint length, bytes), changes (core/copier.h)
 *    14 WRITTEN    u64 bytes of contents
 *    15 END        vector of last ops
 *
 *     of what clients wait for (node/promise.h, node/hold.h):
 *    16 BARRIER    u64 number
 *    17 PASSED     u64 number   vector of last ops, of the sender's own origins
 *    18 WANTED     u64 stamp    of the sender: it waits for this to be acknowledged
 *
 *     of commands that run in another region (node/forward.h):
 *    19 FORWARD    u64 session   u64 number   u8 hops   u64 after   varint before
 *                  commands (varint length, bytes)
 *    20 ANSWER     u64 session   u64 number   u64 stamp   reply (varint length, bytes)
 *    21 FORGET     u64 session    it has ended: its client's, or the one that was had for it
 *
 *     of who takes writes at whom (node/topology.h); a region's own links, as it measures them:
 *    22 ROUND_TRIPS   varint n, n x (u8 region, u64 instance, u64 sequence, varint m,
 *                     m x (u8 region, u32 microseconds, above 0; ascending))
 *
 * Integers are little-endian. Nothing may follow a body. A body of an unknown version of HELLO is
 * not looked at. Every decoder takes hostile bytes: it checks lengths and ranges, and refuses.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "clock/vector.h"

enum {
    MESSAGE_VERSION = 3,
    MESSAGE_HEADER_BYTES = 8,
    MESSAGE_MAX = (256 << 20) + (64 << 10), /* any record of a log fits, with what frames it */
    MESSAGE_HELLO_MAX = 16 << 10, /* more than two vectors, two names and all fences need */
    MESSAGE_NAME_MAX = 255,
    MESSAGE_FENCES_MAX = 15,
    MESSAGE_TEXT_MAX = 200,
    MESSAGE_CURSOR_MAX = 1 << 10, /* of store/checkpoint.h: a place, and where in it */
};

enum message_type {
    MESSAGE_HELLO = 1,
    MESSAGE_REFUSED,
    MESSAGE_SUBSCRIBE,
    MESSAGE_BATCHES,
    MESSAGE_VECTOR,
    MESSAGE_PING,
    MESSAGE_PONG,
    MESSAGE_FAULT,
    MESSAGE_BEHIND,
    MESSAGE_BOOTSTRAP,
    MESSAGE_DECLINED,
    MESSAGE_START,
    MESSAGE_IMAGE,
    MESSAGE_WRITTEN,
    MESSAGE_END,
    MESSAGE_BARRIER,
    MESSAGE_PASSED,
    MESSAGE_WANTED,
    MESSAGE_FORWARD,
    MESSAGE_ANSWER,
    MESSAGE_FORGET,
    MESSAGE_ROUND_TRIPS,
    MESSAGE_TYPE_END,
};

enum message_verdict {
    MESSAGE_GOOD,
    MESSAGE_SHORT, /* *need says how many bytes it has in all, as far as known */
    MESSAGE_BAD,   /* wrong length, checksum or type */
};

struct message {
    enum message_type type;
    struct span body; /* borrows from what was read */
    size_t bytes;     /* header included */
};

/* Judges the message at the front of `in`; one longer than max_bytes is bad. */
enum message_verdict message_read(struct span in, size_t max_bytes, struct message *out,
                                  size_t *need);

/* Frames a message: begin, append the body, end with the place that begin gave. */
size_t message_begin(struct buffer *out, enum message_type type);
void message_end(struct buffer *out, size_t place);

/* What the sender of a HELLO will be on this link. */
enum message_role {
    ROLE_INTAKE = 1,
    ROLE_FEED,
    ROLE_INTAKE_HEALING, /* an intake that asks to end a LINK CUT first */
};

/* A fence of the sender's configuration. */
struct message_fence {
    struct span name;
    uint32_t members; /* a bit for each number of a region */
    uint64_t digest;  /* of all that it means; equal where the configurations agree on it */
};

struct message_hello {
    uint32_t version; /* when it is not MESSAGE_VERSION, nothing else is set */
    enum message_role role;
    uint8_t region;
    uint64_t instance, run;             /* of the sender */
    uint8_t receiver;                   /* the number under which the sender knows the receiver */
    uint64_t known_instance, known_run; /* the latest of the receiver that the sender has met */
    bool forked;  /* the receiver's stream disagrees with what the sender holds of it */
    bool refuses; /* a REFUSED follows: this only tells what the sender knows of the receiver */
    struct span deployment, region_name;
    uint32_t fence_count;
    struct message_fence fences[MESSAGE_FENCES_MAX];
    struct vector applied, last_op;
};

struct message_subscribe {
    uint64_t origins[4]; /* bitmap */
    uint64_t goes_on[4]; /* of these */
    struct vector have;
};

struct message_row {
    uint8_t region;
    uint64_t instance;
    struct vector applied, durable;
};

struct message_pong {
    uint64_t t0_us, t1_us, t2_us;
};

enum fault_verb { FAULT_CUT = 1, FAULT_HEAL, FAULT_SLOW };

struct message_fault {
    enum fault_verb verb;
    uint8_t a, b;
    uint32_t ms;
};

/* Log that the feed keeps no longer was asked for: of these origins, up to these ops. */
struct message_behind {
    struct vector floor;
};

/* Asks for the source's objects, from a cursor on. */
struct message_bootstrap {
    bool resumes;        /* what a bootstrap from here began with is known: */
    uint64_t lsn;        /* log is wanted from here on */
    uint64_t credit;     /* bytes of contents that may be on the way */
    struct vector floor; /* what the sender has dropped log of: the source must have it all */
    struct span cursor;  /* empty: from the first object */
};

struct message_start {
    uint64_t keys; /* about how many there are in all */
    struct span start;
};

/* What the sender had written when it took a BARRIER of that number. */
struct message_passed {
    uint64_t number;
    struct vector last_op;
};

/* A command of a client elsewhere, to be run as its session would (node/forward.h). */
struct message_forward {
    uint64_t session; /* the sender's number for it */
    uint64_t number;  /* of the command, to be told with the answer */
    uint8_t hops;     /* how often it was sent on before */
    stamp_t after; /* what says that the receiver is to run it; 0: nothing but the configuration */
    uint64_t before; /* so many replies come before the one that is wanted: of what prepares it */
    struct span commands; /* in RESP */
};

/* What it answered. The reply is in RESP. */
struct message_answer {
    uint64_t session, number;
    stamp_t stamp;     /* the session's last write there; 0: none */
    uint64_t instance; /* the run that made it */
    struct span reply; /* one, whole */
};

/* How long messages take between a region and the others: policy/round_trips.h. */
struct message_round_trips {
    uint8_t region;
    uint64_t instance, sequence;
    uint32_t us[STAMP_ORIGINS]; /* by the number of the other region; 0: not known */
};

/* Each appends one whole message. The decoders take a body. */
void message_put_hello(struct buffer *out, const struct message_hello *m);
bool message_take_hello(struct span body, struct message_hello *m);

/* Text is cut off at MESSAGE_TEXT_MAX; what is not printable becomes '?' when it is taken. */
void message_put_refused(struct buffer *out, const char *text);
bool message_take_refused(struct span body, char text[MESSAGE_TEXT_MAX + 1]);

void message_put_subscribe(struct buffer *out, const struct message_subscribe *m);
bool message_take_subscribe(struct span body, struct message_subscribe *m);

void message_put_ping(struct buffer *out, uint64_t t0_us);
bool message_take_ping(struct span body, uint64_t *t0_us);

void message_put_pong(struct buffer *out, const struct message_pong *m);
bool message_take_pong(struct span body, struct message_pong *m);

void message_put_fault(struct buffer *out, const struct message_fault *m);
bool message_take_fault(struct span body, struct message_fault *m);

void message_put_behind(struct buffer *out, const struct message_behind *m);
bool message_take_behind(struct span body, struct message_behind *m);

void message_put_bootstrap(struct buffer *out, const struct message_bootstrap *m);
bool message_take_bootstrap(struct span body, struct message_bootstrap *m);

void message_put_declined(struct buffer *out, const char *text);
bool message_take_declined(struct span body, char text[MESSAGE_TEXT_MAX + 1]);

void message_put_start(struct buffer *out, const struct message_start *m);
bool message_take_start(struct span body, struct message_start *m);

void message_put_written(struct buffer *out, uint64_t bytes);
bool message_take_written(struct span body, uint64_t *bytes);

void message_put_end(struct buffer *out, const struct vector *last_op);
bool message_take_end(struct span body, struct vector *last_op);

void message_put_barrier(struct buffer *out, uint64_t number);
bool message_take_barrier(struct span body, uint64_t *number);

void message_put_passed(struct buffer *out, const struct message_passed *m);
bool message_take_passed(struct span body, struct message_passed *m);

void message_put_wanted(struct buffer *out, stamp_t stamp);
bool message_take_wanted(struct span body, stamp_t *stamp);

void message_put_forward(struct buffer *out, const struct message_forward *m);
bool message_take_forward(struct span body, struct message_forward *m);

void message_put_answer(struct buffer *out, const struct message_answer *m);
bool message_take_answer(struct span body, struct message_answer *m);

void message_put_forget(struct buffer *out, uint64_t session);
bool message_take_forget(struct span body, uint64_t *session);

/* VECTOR: message_begin, the number of rows, the rows, message_end. Taken: the number, then row by
 * row; message_take_rows checks all of it beforehand, so that the walk cannot fail half-way. */
void message_put_row(struct buffer *out, uint8_t region, uint64_t instance,
                     const struct vector *applied, const struct vector *durable);
bool message_take_rows(struct span body, struct span *rows);
bool message_next_row(struct span *rows, struct message_row *row); /* false at the end */

/* ROUND_TRIPS: likewise. */
void message_put_round_trips(struct buffer *out, const struct message_round_trips *row);
bool message_take_round_trips(struct span body, struct span *rows);
bool message_next_round_trips(struct span *rows, struct message_round_trips *row);

#endif
