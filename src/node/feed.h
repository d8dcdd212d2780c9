/*
 * feed -- our end of a link that a peer dialled: it subscribes, we send batches out of our log.
 *
 * A feed is a cursor in the log and, per wanted origin, the stamp up to which everything was sent.
 * It walks the durable records in their order (what leaves a region is on its disk), in memory or
 * read back from disk, and packs the wanted ones into frames until the link's output is full: a
 * slow peer costs a cursor, no memory. Frames are shared: regions that follow closely stand at the
 * same place and want the same origins, so a frame is built and compressed once. Its key is where
 * it begins and what it was built for; it fits another feed when that one's `sent` would have left
 * nothing of it out.
 *
 * Heartbeats. Those of our own streams go every FEED_HEARTBEAT_US, when everything durable was sent:
 * a link that is busy with one stream says nothing of another. Those of others' streams are passed
 * on as they come, gathered for FEED_PASS_US: of a stream that is taken here a peer is told what we
 * have of it durably, once
 *
 *     every record of our durable log was looked at for this link, so that every op of the stream up
 *     to there was sent on it, or was there;
 *     no op of it waits for our disk.
 *
 * So such a heartbeat claims what ours do: these were all up to here. It bears the last op's stamp
 * and checksum, as every batch does: who lacks that op (parked it, dropped it) does not take the
 * heartbeat either, and what is parked here, or comes after a gap, is above our own vector. Of a
 * stream without an owner only ops are told, and nobody is told of its own.
 */
#ifndef NODE_FEED_H
#define NODE_FEED_H

#include "core/replica.h"
#include "node/audit.h"
#include "wire/frame.h"

enum {
    FEED_FRAME_BYTES = 256 << 10, /* content of a frame: enough for zstd's matches */
    FEED_FRAMES = 16,             /* kept: what fills a link's output, and more */
    FEED_READ_BYTES = 512 << 10,  /* asked of the disk at once */
    FEED_HEARTBEAT_US = 100 * 1000,
    FEED_PASS_US = 20 * 1000, /* a hop of a chain adds at most so much to what is heard idly */
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
    struct audit_frame audit;
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
