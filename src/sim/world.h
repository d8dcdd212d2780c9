/*
 * world -- a whole deployment in one thread: regions that run the server's own node, on simulated
 * clocks, disks and networks, with random clients.
 *
 * One heap of timed events drives everything: the earliest is taken, the world's time set to it,
 * and it is run. Events of one time run in the order in which they were made. Every choice comes
 * from the seed, through streams of random numbers: one for each client, each fault, each way of
 * the network, each region, and the plan, so that what is left out of one (selection.h) does not
 * reshuffle the others. A run has two phases: chaos, with faults and clients; then all faults end
 * and the world must settle.
 *
 *     plan.c     what this seed's world is like        net.c      connections: delays, pieces, cuts
 *     region.c   node, disk and clock of one region    load.c     clients and their commands
 *     world.c    time, faults, the phases              verify.c   what must hold
 *     trace.c    what happens, told                    oracle.c   the declared contract
 *
 * See docs/design/simulator.md.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "base/heap.h"
#include "node/node.h"
#include "sim/disk.h"
#include "sim/oracle.h"
#include "sim/sim.h"
#include "store/identity.h"
#include "store/oplog.h"

enum {
    SIM_FAMILIES = 8, /* of commands: load.c */
    SIM_LINE_BYTES = 512,
};

static const uint64_t SIM_START_US = 1700000000000000;

/* What the seed decides once, before the world begins. Chances are in parts per million. */
struct sim_plan {
    uint32_t regions;
    uint32_t steps; /* commands sent before the world is healed */
    enum fsync_policy fsync;
    uint64_t segment_bytes, park_max_bytes;
    uint32_t linger; /* chance that a turn waits for more before it ends */

    int64_t clock_range_us;
    int64_t clock_offset_us[SIM_REGIONS_MAX];
    int32_t clock_drift_ppm[SIM_REGIONS_MAX];

    uint64_t delay_us[SIM_REGIONS_MAX][SIM_REGIONS_MAX]; /* one way */
    uint32_t jitter, tail; /* chances of a delay up to twice, and up to 20 times as long */
    uint32_t window_bytes; /* in flight, one way */
    uint32_t piece_bytes;  /* longest piece that arrives at once */

    uint64_t write_us, sync_us; /* typical times of the disk */
    uint32_t disk_tail;         /* chance of one 20 times as long */

    uint64_t fault_every_us;    /* 0: none */
    uint32_t cut, stall, crash; /* weights of the kinds of fault */
    uint64_t fault_max_us;      /* how long one lasts */

    uint32_t clients; /* of each region */
    uint32_t keys, fields;
    uint32_t mixed;    /* chance that a command takes a key of any type */
    uint32_t pipeline; /* most commands sent at once */
    uint64_t think_us;
    uint64_t ttl_max_ms;
    uint32_t families[SIM_FAMILIES]; /* weights */
};

struct sim_world;

struct sim_event {
    struct heap_node node;
    void (*run)(struct sim_world *w, struct sim_event *e);
    uint32_t region; /* with an epoch: the event dies with that run of the region */
    uint32_t epoch;  /* 0: it never does */
    void *what;
    bool owned; /* `what` is freed with an event that is never run */
    uint64_t number;
};

/* A command on its way. */
struct sim_pending {
    uint32_t n;         /* of this client's commands; 0: none of them */
    int64_t counter_by; /* what its answer will mean for the counter */
};

struct sim_client {
    uint32_t region, index;
    struct session *session;        /* NULL: not connected */
    struct buffer answers;          /* bytes not yet a whole reply */
    struct sim_pending pending[64]; /* sent and not answered, in order */
    uint32_t pending_count;
    struct buffer unsent;       /* the rest of what is being sent */
    bool thinking;              /* an event will make it send */
    uint32_t drawn;             /* commands so far, also those that were left out */
    struct prng commands, pace; /* what it sends; when, and in which pieces */
};

/* What the trace has said of a region's log and of what it parks. */
struct sim_told {
    uint64_t lsn;
    stamp_t known[SIM_REGIONS_MAX + 1], dropped[SIM_REGIONS_MAX + 1]; /* by origin */
};

struct sim_region {
    uint32_t index;
    bool up;
    uint32_t epoch; /* of this run; grows with every start */
    uint64_t instance;
    struct node node;
    struct sim_disk disk;
    struct oplog log;
    struct ceiling_file ceiling;
    bool writing;             /* a sync is on its way */
    bool ceiling_busy;        /* a ceiling is being written, */
    uint64_t ceiling_next_ms; /* and this one after it; 0: none */
    uint64_t armed_us;        /* a turn is planned for then; 0: none */
    bool lingering;           /* the turn is open, its end is planned: more may come into it */
    struct prng prng;         /* how long its disk and its turns take */
    struct sim_told told;     /* trace.c */
    struct sim_client clients[SIM_CLIENTS_MAX];
    /* With fsync always: the newest own write that a client was told of. */
    stamp_t acknowledged;
};

/* One direction of a connection. */
struct sim_pipe {
    uint64_t last_us; /* the newest arrival planned: order is kept */
    uint64_t in_flight;
    bool ended; /* the sender has closed: nothing comes after what is in flight */
};

/* [0] dialled, [1] accepted. */
struct sim_conn {
    struct list link;
    uint64_t id;
    uint32_t region[2];
    struct link *end[2];     /* NULL: not open yet, or gone */
    struct sim_pipe pipe[2]; /* from that end */
    struct list held[2];     /* pieces that wait for the end of a stall, from that end */
};

struct sim_cut {
    bool stalled;    /* bytes wait */
    bool broken;     /* connections are reset, and none can be made */
    uint32_t number; /* of the fault that did it: only its own end heals it */
};

struct sim_world {
    struct sim_plan plan;
    struct deployment deployment;
    struct sim_region *regions; /* [plan.regions] */
    struct heap events;
    uint64_t now_us;
    uint64_t event_count, tie;
    struct list conns;
    uint64_t conn_count;
    struct oracle_reclaim *reclaims;
    size_t reclaim_count;
    struct sim_cut cuts[SIM_REGIONS_MAX][SIM_REGIONS_MAX]; /* from, to */
    uint32_t fault_count;
    struct prng net[SIM_REGIONS_MAX][SIM_REGIONS_MAX]; /* from, to */
    struct prng fault;                                 /* when; each has its own beside */
    struct selection only;                             /* borrowed */

    bool healed;   /* the second phase */
    uint32_t sent; /* commands */
    uint64_t answered, errors, crashes, reads;
    int64_t counter_acknowledged; /* what the clients of the counter were told */
    int64_t counter_maybe_up,
        counter_maybe_down; /* increments whose answer was lost: they may have happened */
    bool counter_lost;      /* acknowledged writes may have been lost: the sum says nothing */

    FILE *trace; /* NULL: only hashed */
    bool details;
    char held[SIM_LINE_BYTES]; /* a command that may be answered at once: its line waits */
    const struct sim_client *held_client;
    uint32_t held_n;
    uint64_t trace_hash;
    bool failed;
    char reason[600];
    const char *kind; /* of the reason: its format */
};

/* --- world.c --- */

void sim_world_init(struct sim_world *w, const struct sim_plan *plan,
                    const struct sim_options *options);
void sim_world_release(struct sim_world *w);
void sim_world_run(struct sim_world *w); /* both phases and all checks; see w->failed */

struct sim_event *sim_at(struct sim_world *w, uint64_t when_us,
                         void (*run)(struct sim_world *, struct sim_event *));
struct sim_event *sim_for_region(struct sim_world *w, struct sim_region *r, uint64_t delay_us,
                                 void (*run)(struct sim_world *, struct sim_event *));

/* The first failure counts; the world stops at it. */
void sim_fail(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A time around `typical`: half to one and a half of it, or with chance `tail` up to 20 times as
 * long. */
uint64_t sim_around(struct prng *p, uint64_t typical_us, uint32_t tail);

/* --- trace.c --- */

/* What somebody who looks for a defect wants to know: a line of time, region (NULL: of the whole
 * world), who or what, and the rest as formatted. Printed when there is a trace. */
void sim_tell(struct sim_world *w, const struct sim_region *r, const char *who, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* Everything else: printed with details only. All lines are hashed, for the same seed must give the
 * same. */
void sim_trace(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A command, as it is sent; and its reply. */
void sim_tell_command(struct sim_world *w, const struct sim_client *c, uint32_t n,
                      struct span resp);
void sim_tell_reply(struct sim_world *w, const struct sim_client *c, uint32_t n, struct span resp);

void sim_tell_end(struct sim_world *w); /* nothing comes any more */

void sim_tell_log(struct sim_world *w, struct sim_region *r); /* what a turn sealed and applied */
void sim_tell_parked(struct sim_world *w, struct sim_region *r); /* what had to wait */

/* --- plan.c --- */

void sim_plan_make(struct sim_plan *plan, struct prng *p, uint32_t regions,
                   uint32_t steps); /* 0: the seed's choice */
int64_t sim_clock_offset(struct prng *p, int64_t range_us);
void sim_plan_print(const struct sim_plan *plan, FILE *to);

/* --- region.c --- */

void sim_region_init(struct sim_region *r, uint32_t index);
void sim_region_release(struct sim_world *w, struct sim_region *r);
bool sim_region_start(struct sim_world *w, struct sim_region *r);
void sim_region_crash(struct sim_world *w, struct sim_region *r,
                      struct prng *p); /* the fault's own stream */
uint64_t sim_region_clock_us(const struct sim_world *w, const struct sim_region *r);

/* Every input to a node stands between these two. The turn ends at once, or a little later with
 * whatever comes until then. */
void sim_turn_begin(struct sim_world *w, struct sim_region *r);
void sim_turn_end(struct sim_world *w, struct sim_region *r);

/* --- net.c --- */

void sim_net_dial(struct sim_world *w, struct sim_region *r, struct peer *peer);
void sim_net_flush(struct sim_world *w, struct link *l);
void sim_net_region_down(struct sim_world *w, struct sim_region *r); /* after its links are gone */
void sim_net_cut(struct sim_world *w, uint32_t from, uint32_t to, bool stall, uint32_t number);
void sim_net_heal(struct sim_world *w, uint32_t from, uint32_t to,
                  uint32_t number); /* number 0: whatever fault */
void sim_net_release(struct sim_world *w);

/* --- load.c --- */

extern const char *const sim_family_names[SIM_FAMILIES];
void sim_load_start(struct sim_world *w, struct sim_region *r);       /* its clients connect */
void sim_load_region_down(struct sim_world *w, struct sim_region *r); /* their sessions are gone */
void sim_load_answers(struct sim_world *w,
                      struct sim_client *c);   /* output that may go; or the end of the session */
bool sim_load_idle(const struct sim_world *w); /* every command was answered */

/* --- verify.c --- */

void sim_verify_always(struct sim_world *w); /* at intervals */
void sim_verify_recovered(struct sim_world *w, struct sim_region *r);
bool sim_verify_settled(struct sim_world *w); /* everybody has everything, and nobody waits */
void sim_verify_say_unsettled(const struct sim_world *w,
                              struct buffer *out); /* who lacks what, for people */
void sim_verify_end(struct sim_world *w);          /* when settled */
bool sim_verify_reclaimed(struct sim_world *w);    /* no key is left whose time had come */

#endif
