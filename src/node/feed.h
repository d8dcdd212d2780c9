/*
 * feed -- our end of a link that a peer dialled: it subscribes, we send batches out of our log.
 *
 * A feed is a cursor in the log and, per wanted origin, the stamp up to which everything was sent.
 * It walks the durable records in their order (what leaves a region is on its disk), in memory or
 * read back from disk, and packs the wanted ones into frames until the link's output is full: a
 * slow peer costs a cursor, no memory. Frames are shared: regions that follow closely stand at the
 * same place and want the same origins, so a frame is built and compressed once. Its key is where
 * it begins and what it was built for; it fits another feed when that one's `sent` would have left
 * nothing of it out. Heartbeats go when nothing else went for FEED_HEARTBEAT_US and everything
 * durable was sent.
 */
#ifndef NODE_FEED_H
#define NODE_FEED_H

#include "core/replica.h"
#include "wire/frame.h"

enum {
    FEED_FRAME_BYTES = 256 << 10, /* content of a frame: enough for zstd's matches */
    FEED_FRAMES = 16,             /* kept: what fills a link's output, and more */
    FEED_READ_BYTES = 512 << 10,  /* asked of the disk at once */
    FEED_HEARTBEAT_US = 100 * 1000,
    FEED_HEARTBEAT_RETRY_US = 10 * 1000, /* none could be made: a write of ours is not durable */
};

struct node;
struct link;

/* A frame as a message, good for every feed that stands where it begins. */
struct feed_frame {
    struct buffer message;
    bool valid;
    uint64_t from_lsn, to_lsn;
    uint64_t origins[4];
    struct vector first, last; /* per origin in it: `to` of its first and of its last batch */
    uint64_t batches, content_bytes;
};

/* What all feeds of a node share. */
struct feed_shared {
    struct buffer content; /* scratch: the batches of the frame being built */
    struct feed_frame frames[FEED_FRAMES];
    uint32_t next; /* the oldest, to be replaced */

    /* of each of our streams, by fence: the newest heartbeat, as a message; empty: none yet */
    struct buffer heartbeat[REPLICA_FENCES];
    stamp_t heartbeat_stamp[REPLICA_FENCES];
    uint64_t heartbeat_us; /* when they were made */
};

void feed_subscribe(struct node *n, struct link *l, struct span body);
void feed_vector(struct node *n, struct link *l, struct span body);
void feed_turn_end(struct node *n, struct link *l);
uint64_t feed_deadline(const struct node *n, const struct link *l);
void feed_release(struct node *n);

#endif
