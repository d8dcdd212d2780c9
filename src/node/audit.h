/*
 * audit -- what of each fence went to which region, and what of it came from there: sums, and lines.
 *
 * A flow is one thing on its way between us and one other region, in one direction:
 *
 *     log       batches of one origin                        item: the origin
 *     objects   records of a bootstrap, of one fence         item: the fence's place
 *     commands  run there for a client here, or here         item: the keyspace's place
 *     answers   to such commands                             item: the keyspace's place
 *     parts     answers to a GATHER                          item: the keyspace's place
 *
 * What moves is added to its flow; once a second, and when its link ends, the sums become lines. What
 * leaves (all but commands, which go where the data is) is announced: a BEGINS line is made when a
 * link is about to carry it, and nothing is sent before the owner has that on its disk. So a process
 * that is killed can lose a second's sums, but not that something went somewhere.
 *
 *     BEGINS log o to p from s      SENT log o to p (a, b]      SENT log o to p (b, c]
 *
 * Ranges are those of the batches: each names the op before it. So they join, as long as nothing is
 * sent but the whole stream; only after a BEGINS one may start anywhere.
 * Heartbeats carry no data and are not counted. What has no fence may lie anywhere, and is not either.
 * Cost:      adding to a flow walks the flows in use: one for each of the above, some tens.
 * Memory:    flows and lines, in arrays that grow; nothing is allocated for what goes on.
 * Pure; part of the node. What of the node's work is counted where: node/audited.h.
 */
#ifndef NODE_AUDIT_H
#define NODE_AUDIT_H

#include "clock/vector.h"
#include "wire/resp.h"

enum { AUDIT_LINE_US = 1000 * 1000 }; /* so old sums become lines */

enum audit_event { AUDIT_BEGINS, AUDIT_SENT, AUDIT_TAKEN };

enum audit_what { AUDIT_LOG, AUDIT_OBJECTS, AUDIT_COMMANDS, AUDIT_ANSWERS, AUDIT_PARTS };

/* Which flow. */
struct audit_key {
    enum audit_what what;
    bool taken;   /* by us; else we sent it */
    uint8_t peer; /* the other region's number */
    uint16_t item;
};

struct audit_line {
    enum audit_event event;
    struct audit_key key;
    uint64_t number;  /* of the line, among those of this run: 1, 2, … */
    uint64_t ms;      /* when it was made */
    stamp_t from, to; /* of log: its ops in (from, to]; of BEGINS what the other has, and 0 */
    uint64_t count;   /* batches, objects, commands or answers */
    uint64_t bytes;   /* of their contents, before compression */
    bool again;       /* BEGINS: on a link that has carried it before */
};

struct audit_flow {
    struct audit_key key;
    uint64_t link_id; /* which carried it last */
    uint64_t begun;   /* number of the line that says so; 0: none of this link does */
    bool open;        /* there are sums: */
    stamp_t from, to;
    uint64_t count, bytes;
};

/* Of a frame of batches, by origin: what audited_batch gathered. */
struct audit_frame {
    struct vector from; /* before the first of them */
    uint32_t count[STAMP_ORIGINS], bytes[STAMP_ORIGINS];
};

/* Keyspaces that one command is about, one for each fence: places, each plus one. */
struct audit_set {
    bool part; /* of a GATHER */
    uint16_t keyspaces[16];
};

struct audit {
    bool on;                  /* there are fences, and somebody takes lines */
    bool broken;              /* they cannot be written: nothing more of a fence is sent */
    struct audit_flow *flows; /* [flow_count] */
    size_t flow_count, flow_cap;
    uint64_t due_us;          /* when sums become lines; UINT64_MAX: there are none */
    struct audit_line *lines; /* [line_count] made, of which `line_head` were taken */
    size_t line_head, line_count, line_cap;
    uint64_t made, written; /* numbers of the last lines */
    /* node/audited.c */
    struct resp_parser parser;
    struct audit_set *sets; /* [set_count] that were met, of more than one keyspace */
    size_t set_count, set_cap;
};

void audit_init(struct audit *a, bool on);
void audit_release(struct audit *a);

/* Announces a flow on a link; `from` is what the other has of a log. Returns its line's number. */
uint64_t audit_begin(struct audit *a, struct audit_key key, uint64_t link_id, stamp_t from,
                     uint64_t now_us);

/* Whether it was announced on this link, and that is written. */
bool audit_has_begun(struct audit *a, struct audit_key key, uint64_t link_id);
/* Or is to be written. */
bool audit_is_announced(struct audit *a, struct audit_key key, uint64_t link_id);

/* What moved: `from` and `to` of log, else 0. */
void audit_add(struct audit *a, struct audit_key key, uint64_t link_id,
               const struct audit_flow *moved, uint64_t now_us);

/* Sums become lines: those of a link that ends, those that are due, all. */
void audit_end_link(struct audit *a, uint64_t link_id, uint64_t now_us);
void audit_turn_end(struct audit *a, uint64_t now_us);
void audit_flush(struct audit *a, uint64_t now_us);

/* The owner takes lines, in order, and says up to which number they are on its disk. */
bool audit_next(struct audit *a, struct audit_line *line);
void audit_written(struct audit *a, uint64_t number);

#endif
