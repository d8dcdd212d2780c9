/*
 * bootstrap_source -- the end that gives: our newest checkpoint's objects, then our log from where
 * it starts.
 *
 *     BOOTSTRAP ->  is there a checkpoint, is all here that the asker has dropped from its log (it
 *                   comes with the objects, or with the log after them), and is the log still here
 *                   from where it wants it? else DECLINED
 *                   START: where it starts; from now on log is held from there (pinned_lsn of
 *                   node_checkpoint)
 *                   IMAGE ...: records as they are committed when they are read, by the owner
 *                   (node_next_export); never more than `credit` bytes beyond what WRITTEN says, nor
 *                   faster than bootstrap.rate, that of all bootstraps together
 *                   END: our last ops after the last object was read, once they are durable
 *     SUBSCRIBE to all origins: the feed does it; log is held from where it stands
 *     SUBSCRIBE otherwise: it is done
 *
 * Records are read while checkpoints go on: each is as some later one left it, and the log from the
 * start on makes all of them exact. A link that is lost may come back within SOURCE_KEEP_US, and go
 * on.
 * Pure; part of the node.
 */
#ifndef NODE_BOOTSTRAP_SOURCE_H
#define NODE_BOOTSTRAP_SOURCE_H

#include "base/buffer.h"
#include "clock/vector.h"

struct node;
struct link;
struct peer;

enum {
    SOURCE_MESSAGE_BYTES = 256 << 10,
    SOURCE_KEEP_US = 10 * 60 * 1000 * 1000, /* log is held so long for a link that was lost */
};

enum source_phase { SOURCE_NONE, SOURCE_IMAGE, SOURCE_LOG };

/* What one peer is given. */
struct source {
    enum source_phase phase;
    uint64_t link_id; /* over which */
    uint64_t lost_us; /* since when that is gone; 0: it stands */
    uint64_t lsn;     /* log is held from here on */
    uint64_t began_us;
    struct buffer cursor;
    uint64_t credit, sent, written; /* bytes of contents */
    uint64_t message_bytes;         /* of all messages with objects */
    bool all_read; /* every object was sent; END is due when target_lsn is durable */
    bool target_known, end_sent;
    struct vector target;
    uint64_t target_lsn;
};

/* What they share: one read at a time, and the rate. */
struct source_shared {
    struct peer *reading; /* for whom the owner reads; NULL: for nobody */
    uint64_t reading_link_id;
    uint64_t next_us;      /* no message before */
    size_t last;           /* index of the peer that was read for last */
    uint64_t sent_bytes;   /* of messages with objects, since the start */
    struct buffer content; /* scratch */
};

void source_release(struct node *n);
void source_bootstrap(struct node *n, struct link *l, struct span body);
void source_written(struct node *n, struct link *l, struct span body);
void source_subscribed(struct node *n, struct link *l, const uint64_t origins[4]);

/* Of a feed, after everything was sealed. */
void source_turn_end(struct node *n, struct link *l);
uint64_t source_deadline(const struct node *n, const struct link *l);
/* Once a turn: how far the log is held. */
void source_hold_log(struct node *n);

#endif
