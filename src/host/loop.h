/*
 * loop -- one region's server on libuv: the node's world, in one thread.
 *
 * One turn is one round of libuv's loop. The first thing that happens in a round opens the turn
 * (loop_touch reads the clocks, once); everything that the poll found is handed to the node; when
 * the round's events are through, the turn ends, once:
 *
 *     events -> loop_touch, node_* ...            read callbacks, the log thread's answers, timer
 *     end    -> node_turn_end
 *               records, ceiling, cold reads -> log thread: first, so that the disk works meanwhile
 *               a checkpoint's changes       -> checkpointer
 *               objects for a bootstrap      -> exporter
 *               replies and frames           -> sockets
 *               dials, notices, deadline     -> peerconn, logger, one timer
 *
 * Loading:  while the log is replayed, whoever replays it lets the loop have a round now and again
 *           (loop_pump): clients and HTTP are answered as the node then does, peers wait in the
 *           socket's queue. Where memory is short (loop_round) checkpoints are written meanwhile.
 * Overload: a client with more than LOOP_UNSENT_MAX of unsent replies is not read from; nor is any
 *           while, under fsync everysec, the disk is more than LOOP_LOG_LAG_US behind.
 * Stopping: what was taken in is made durable and answered, all connections end, and a last
 *           checkpoint is written, so that the next start has no log to replay.
 * Threads:  one, beside the log thread, the checkpointer and the HTTP thread, which talk to it
 *           through uv_async.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <uv.h>

#include "clock/steady.h"
#include "host/auditor.h"
#include "host/checkpointer.h"
#include "host/exporter.h"
#include "host/figures.h"
#include "host/listener.h"
#include "host/logthread.h"
#include "host/wan.h"
#include "node/node.h"

enum {
    LOOP_READ_BYTES = 256 * 1024, /* of one read: a large value arrives in few of them */
    LOOP_UNSENT_MAX = 1 << 20,
    LOOP_LOG_LAG_US = 1000 * 1000, /* what everysec promises */
    /* descriptors beside the clients': log, peers, HTTP, libuv's own */
    LOOP_SPARE_FILES = 64,
    LOOP_FILES_OVER = 8 << 20, /* by so much kv_lmdb_limit may be passed */
    LOOP_PURGE_US = 3 * 1000,
};

/* Where this region reaches another, instead of where the configuration says. */
struct loop_dial {
    const struct region *region;
    struct endpoint at;
};

struct loop_options {
    struct node *node;
    struct oplog *log; /* opened before loop_start */
    struct ceiling_file *ceiling;
    struct identity *identity;
    struct kv *kv;         /* where checkpoints go, as the node was told; NULL: there are none */
    struct auditfile *audit; /* open; NULL: nothing is audited */
    const struct wan *wan; /* round trips to add; NULL: none */
    const struct loop_dial *dials;
    size_t dial_count;
    int clients_fd, peers_fd; /* from listener_socket; taken; -1: none */
    int http_fd;
    void (*serves)(void *context); /* called once the node serves; NULL: nobody wants to know */
    void *context;
    struct steady clock; /* as the node's time has run so far */
};

struct http;

struct loop {
    uv_loop_t uv;
    struct loop_options options;
    struct node *node;
    struct listener clients, peers;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_timer_t timer;
    uv_async_t news; /* of the threads */
    uv_signal_t terminate, interrupt;
    struct logthread logthread;
    struct exporter exporter;         /* likewise */
    struct auditor auditor;
    struct checkpointer checkpointer; /* started by loop_open when options.kv is there */
    bool checkpointing;
    struct http *http;    /* NULL: no address was given */
    uint8_t *read_buffer; /* [LOOP_READ_BYTES], for every connection */

    bool turn_open;
    bool started; /* the log thread runs, and peers are accepted */
    bool stopping;
    bool restarting; /* `restart` says how: then all is closed without a last checkpoint */
    struct node_restart restart;
    bool serves_told;
    bool again;        /* a link could take more at once */
    uint64_t now_us;   /* of this turn, or the last */
    uint64_t armed_us; /* when the timer rings: UINT64_MAX when it does not */
    uint64_t figures_us;
    struct figures figures;
    uint64_t purged_us; /* the allocator gave back what it could */

    struct list conns;     /* of struct conn */
    struct list peerconns; /* of struct peerconn */

    uint64_t start_lsn, taken_lsn, durable_lsn;
    uint64_t mark_lsn, mark_us; /* where the log ended some time ago, and when */
    bool log_failed;
    bool stalled; /* clients are not read from: the disk is behind */
    bool full;    /* peers are not read from: there is no room for what they send */
};

/* Ready to answer clients; what was opened is taken even when it fails: 0, or a negative UV_ code.
 * The node, the log and the rest stay the caller's. */
int loop_open(struct loop *l, const struct loop_options *options);

/* One round without waiting, while the node loads. False: SIGTERM or SIGINT came. */
bool loop_pump(struct loop *l);

/* The same, but waits for something to happen: for what the checkpointer has written, mostly. */
bool loop_round(struct loop *l);

/* After the log was replayed: 0, or a negative UV_ code. */
int loop_start(struct loop *l);

/* Until SIGTERM or SIGINT, or until the node is to begin again (loop.restarting). */
void loop_run(struct loop *l);

/* After loop_open has succeeded, whatever came then: everything that was taken into the log is
 * synced, all connections are closed, and a last checkpoint is written. */
void loop_close(struct loop *l);

/* Opens the turn if there is none. Call before anything is handed to the node. */
void loop_touch(struct loop *l);

/* After peers were heard: when there is no room for more, what they send waits in the sockets. */
void loop_judge_room(struct loop *l);

#endif
