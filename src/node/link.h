/*
 * link -- one connection to a peer region: framing, HELLO, pings; then either a feed or an intake.
 *
 * Each region dials every other. The connection that a region dials is its intake: it subscribes
 * there to the peer's streams and gets batches, and sends back its vector. On the accepting side
 * the same connection is a feed. Messages are specified in wire/message.h. What is malformed, of
 * another deployment, or hostile closes the link with one clear line in both logs.
 *
 *     dialler                      acceptor
 *     HELLO            ->
 *                      <-          HELLO, or REFUSED and the end
 *     SUBSCRIBE        ->          (node/intake.h)
 *                      <-          BATCHES ... (node/feed.h)
 *     VECTOR, PING ... ->
 *                      <-          PONG ...
 *
 * Flow:    a feed stops filling `output` at LINK_OUTPUT_MAX: a slow peer is fed from the log later,
 *          it never grows our memory. Nothing else is put there above it either. A link takes
 *          messages of at most MESSAGE_MAX bytes, before HELLO of MESSAGE_HELLO_MAX.
 * Closing: `close` asks the host to send what stands in `output` (the REFUSED) as far as the socket
 *          takes it at once, then to close, then to call node_link_closed. From the moment it is
 *          set the link is no longer its peer's.
 */
#ifndef NODE_LINK_H
#define NODE_LINK_H

#include "base/buffer.h"
#include "base/list.h"
#include "clock/vector.h"

enum {
    LINK_OUTPUT_MAX = 1 << 20,         /* a feed fills up to here */
    LINK_TIMEOUT_US = 5 * 1000 * 1000, /* nothing heard for so long: the link is dead */
    LINK_PING_US = 1000 * 1000,
    LINK_QUICK_PING_US = 100 * 1000, /* the first few: a clock is judged soon */
    LINK_QUICK_PINGS = 4,
    LINK_REDIAL_US = 100 * 1000, /* after the first failure; doubled by each further one */
    LINK_REDIAL_MAX_US = 2 * 1000 * 1000,
};

struct node;
struct peer;

struct link {
    struct list link;  /* in node.links */
    struct list dirty; /* in node.dirty_links */
    uint64_t id;       /* never reused */
    void *host;        /* the host's connection */
    struct peer *peer; /* known after HELLO, for an intake from the start */
    uint64_t instance; /* of the peer, from its HELLO */
    bool doubted;      /* the peer lost log, by what its HELLO said: its own origin is not taken */
    bool is_intake;
    bool ready; /* HELLO was exchanged */
    bool close; /* close it; `why` says why */
    char why[200];
    char address[64];
    struct buffer later; /* came while there was no room for it (node/health.h) */
    struct buffer input; /* bytes of an incomplete message */
    struct buffer output;
    uint64_t opened_us, heard_us, ping_at_us;
    uint32_t pings; /* sent */
    uint64_t bytes_in, bytes_out, batches_in, batches_out;
    uint64_t batch_bytes; /* of the messages with batches that have ops: in or out, by role */
    /* Of a feed, by origin: our newest write whose acknowledgement the peer was asked for. */
    struct vector wanted;
    uint64_t frames_out, raw_bytes_out, frame_bytes_out;

    /* Audit (node/audited.h): nothing of a fence goes before this line of it is written; streams were
     * taken out because it cannot be. */
    uint64_t audit_line;
    bool audit_paused;

    /* Feed: what the peer wants of us. Intake: what we want of it. */
    uint64_t origins[4]; /* bitmap of wanted origins */

    /* feed */
    uint64_t cursor; /* LSN of the next record to look at */
    bool subscribed;
    struct vector sent;      /* per wanted origin: all up to here was sent, or was there */
    bool reading;            /* waits for node_read_done */
    bool read_wanted;        /* ... and the host does not know of it yet */
    uint64_t heartbeat_sent; /* stamp */
    uint64_t heartbeat_us;   /* when the next is due */
    uint64_t pass_us;        /* not before: heartbeats of others are passed on */

    struct vector told; /* last ops of the peer's HELLO */

    /* intake */
    struct vector floor; /* up to there, of the origins in `behind` */
    /* Bitmap of wanted origins of which the peer has dropped log that we lack. */
    uint64_t behind[4];
    uint64_t asked[4];  /* bitmap of those in the last SUBSCRIBE of which nothing was lost since */
    uint64_t paused[4]; /* bitmap of wanted origins that are not subscribed to now */
    uint64_t round_trips_told; /* version of the newest row told (node/topology.h) */
    stamp_t awaited;        /* what a batch of it waits for and is not asked for here; 0: nothing */
    uint64_t awaited_us;    /* since when */
    bool resubscribe;       /* send SUBSCRIBE anew at the next turn's end */
    uint64_t subscribed_us; /* when SUBSCRIBE was last sent */
    struct vector vector_sent; /* the durable vector last told */
    uint64_t vector_us;        /* when */
    uint64_t applied_us;       /* when the last batch came */
};

/* A new connection: to `peer` that was dialled (its HELLO goes at once), or an accepted one
 * (NULL). */
struct link *link_open(struct node *n, struct peer *peer, void *host, const char *address);

/* The connection is gone, whoever closed it: frees the link and plans the next dial. */
void link_closed(struct node *n, struct link *l, const char *why);

void link_input(struct node *n, struct link *l, struct span bytes);
/* Takes what came while there was no room, as far as there is some now. */
void link_go_on(struct node *n, struct link *l);
void link_sent(struct node *n, struct link *l, size_t bytes);

/* Once a turn, after everything was sealed: sends what is due, fills a feed, notices a dead
 * peer. */
void link_turn_end(struct node *n, struct link *l);
uint64_t link_next_deadline(const struct node *n, const struct link *l);

/* Dialling. next_dial gives each peer that is due once; then link_open or link_dial_failed must
 * follow. */
bool link_next_dial(struct node *n, struct peer **peer);
void link_dial_failed(struct node *n, struct peer *peer, const char *why);
/* When the next dial is due; UINT64_MAX: none. */
uint64_t link_dial_deadline(const struct node *n);

/* --- for the files of links: intake, feed, faults --- */

/* Ends a link with a line in our log; link_refuse tells the peer too. Harmless when it is closing
 * already. */
void link_close(struct node *n, struct link *l, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void link_refuse(struct node *n, struct link *l, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells the owner that there is something to do for this link. */
void link_dirty(struct node *n, struct link *l);

static inline bool link_has_room(const struct link *l)
{
    return l->output.len < LINK_OUTPUT_MAX;
}

#endif
