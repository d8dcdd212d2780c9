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
 *     region.c   node, log and turns of one region     clock.c    its clocks
 *     store.c    its checkpoint, what leaves memory    loss.c     disks that are lost, clones
 *     world.c    time, the phases                      fault.c    what goes wrong, and its end
 *     load.c     clients and their commands            reader.c   clients that know what they must read
 *     verify.c   what must hold, at any time           watch.c    clocks, bounds: region by region
 *     trace.c    what happens, told                    oracle.c   the declared contract
 *     traveller.c  clients that carry tokens    judge.c    what they must be answered
 *     promises.c what is promised here, to whom
 *     shape.c    who takes writes at whom      homes.c    keyspaces whose keys one region writes
 *     caller.c   clients of those               ledger.c   what they must be answered
 *     lag.c      what max_lag keeps           ledger_end.c  what must have come of it
 *     post.c     what they write                secret.c   what a fence holds, looked for outside
 *     persons.c  what is written of somebody who is erased then
 *     quiet.c    a world that is moved by hand        audited.c  the audit of fences
 *
 * See docs/design/simulator.md.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "base/heap.h"
#include "clock/steady.h"
#include "env/kv_memory.h"
#include "node/node.h"
#include "sim/caller.h"
#include "sim/disk.h"
#include "sim/oracle.h"
#include "sim/post.h"
#include "sim/sim.h"
#include "store/identity.h"
#include "store/oplog.h"
#include "wire/frame.h"

enum {
    SIM_FAMILIES = 14, /* of commands: command.c */
    SIM_FAMILY_TIMES = 4,
    SIM_FAMILY_KEYS = 5,
    SIM_LINE_BYTES = 512,
    SIM_DEPLOYMENTS_MAX = 16,
    SIM_PLACES_MAX = SIM_REGIONS_MAX + 1, /* of processes: one may be a clone */
};

/* Keys that only some regions may hold begin so, and what travellers write to them is such a text. */
#define SIM_FENCE_PREFIX "fence!:"
#define SIM_SECRET       "FENCED-"

static const uint64_t SIM_START_US = 1700000000000000;

/* What may go wrong while there is chaos: fault.c. */
enum sim_fault {
    SIM_FAULT_CUT, /* connections are reset and none can be made: both ways, or those of one dialler */
    SIM_FAULT_STALL,  /* bytes wait: both ways, or one */
    SIM_FAULT_RESET,  /* connections are reset, and can be made again at once */
    SIM_FAULT_NARROW, /* some thousand bytes a second: both ways, or one */
    SIM_FAULT_PAUSE,  /* a process gets no processor for some time */
    SIM_FAULT_STARVE, /* ... gets it for a moment now and then */
    SIM_FAULT_CRASH,  /* one region, or several at once, lose power or are killed */
    SIM_FAULT_LOOP,   /* one region crashes again and again, also while it recovers */
    SIM_FAULT_DISK,  /* a write or a sync fails: no writes there until a restart on a mended disk */
    SIM_FAULT_CLOCK, /* a wall clock is set */
    SIM_FAULT_LOSS,  /* a disk is lost, or put back as it was earlier; or a clone of it runs */
    SIM_FAULTS,
};

/* What the seed decides once, before the world begins. Chances are in parts per million. */
struct sim_plan {
    uint32_t regions;
    uint32_t steps; /* commands sent before the world is healed */
    enum fsync_policy fsync;
    uint64_t segment_bytes, park_max_bytes;
    uint32_t linger; /* chance that a turn waits for more before it ends */

    /* Right clocks are off by so much at most; wild ones (0: none) up to this far. */
    int64_t clock_range_us, clock_wild_us;
    int64_t clock_offset_us[SIM_REGIONS_MAX]; /* of the wall clock when the world begins */
    int32_t clock_drift_ppm[SIM_REGIONS_MAX];

    uint64_t delay_us[SIM_REGIONS_MAX][SIM_REGIONS_MAX]; /* one way */
    uint32_t jitter, tail; /* chances of a delay up to twice, and up to 20 times as long */
    uint32_t window_bytes; /* in flight, one way */
    uint32_t piece_bytes;  /* longest piece that arrives at once */

    uint64_t write_us, sync_us; /* typical times of the disk */
    uint32_t disk_tail;         /* chance of one 20 times as long */

    bool copies, bootstraps; /* the world is about them */
    uint64_t checkpoint_log_bytes, retain_bytes;
    uint32_t checkpoint_every_ms;
    uint32_t step_bytes, copied_bytes; /* of the copier: a step, a piece; 0: its own */
    uint64_t store_us;                 /* typical time of a transaction */
    uint32_t export_bytes;             /* of objects at once, for another; 0: as it likes */
    bool losses;                       /* the world is about disks that are lost */
    bool repairs;                      /* and each loss is of a log's end, which is repaired */
    uint32_t evict;                    /* chance that keys leave memory after a turn, */
    uint32_t evict_most;               /* up to so many of each database */
    uint32_t memory_keys;              /* so many have room in memory; 0: there is no limit */
    uint32_t memory_policy;            /* of keyspaces that are caches: */
    const char *cache;                 /* the prefix of one; NULL: there is none */
    uint32_t replay_stops;             /* chance that a replay is held up after a record */

    uint64_t fault_every_us;     /* 0: none */
    uint32_t faults[SIM_FAULTS]; /* weights of the kinds */
    uint64_t fault_max_us;       /* how long one lasts */
    uint32_t store_faults;       /* chance that of a disk the checkpoint's part fails */
    uint64_t narrow_bytes_s;     /* of narrow ways */
    /* Never connected before all faults end; whoever else there is joins them. */
    bool parted[SIM_REGIONS_MAX][SIM_REGIONS_MAX];
    uint64_t reader_us; /* how often a reader looks; 0: there are none */

    uint32_t travellers; /* clients that go from region to region; 0: none, */
    uint64_t travel_us;  /* how often each does something */
    struct sim_keyspace keyspaces[POST_KEYSPACES]; /* "k1:" is the second */
    uint32_t
        fence; /* regions that may hold keys of SIM_FENCE_PREFIX, by place, as bits; 0: no fence */
    uint64_t audit_us;    /* typical time of a write of its audit */
    uint32_t audit_fails; /* chance that one fails */

    enum topology topology;
    uint32_t centre;                  /* of a star, counted from 1; 0: the cheapest */
    uint32_t parent[SIM_REGIONS_MAX]; /* in a hierarchy, counted from 1; 0: none */
    struct call_plan calls;
    uint64_t person_us; /* how often something of persons is said; 0: there are none */

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
    bool more;          /* it is not the last of those that were drawn as this one */
    bool pair;          /* its answer is two equal values */
    int64_t counter_by; /* what its answer will mean for the counter */
};

struct sim_client {
    uint32_t region, index;
    struct session *session;         /* NULL: not connected */
    struct buffer answers;           /* bytes not yet a whole reply */
    struct sim_pending pending[256]; /* sent and not answered, in order */
    uint32_t pending_count;
    struct buffer unsent;       /* the rest of what is being sent */
    uint32_t drawn;             /* commands, of a clone's client */
    bool thinking;              /* an event will make it send */
    bool by_hand;               /* somebody else sends, and takes the answers: quiet.c */
    uint64_t due_us;            /* when it was to send what it sent last */
    struct prng commands, pace; /* what it sends; when, and in which pieces */
};

/* What the trace has said of a region's log and of what it parks. */
struct sim_told {
    uint64_t lsn;
    stamp_t known[ORACLE_ORIGINS], dropped[ORACLE_ORIGINS]; /* by origin */
};

/* clock.c. Both clocks run with the region's drift; the wall clock is set now and then. */
struct sim_clock {
    int64_t wall_offset_us; /* wall minus monotonic */
    struct steady steady;   /* the running process's time, as the server makes it of both */
};

/* A client of a region that alone writes its key, and knows what it must read: reader.c. */
struct sim_reader {
    uint32_t region;
    struct session *session; /* NULL: not connected */
    struct buffer answers;
    uint32_t asked;                 /* the other region whose key is read in this round */
    uint32_t awaited;               /* answers of this round */
    uint64_t written;               /* the newest value that was sent */
    uint64_t acknowledged;          /* the newest that the region must have */
    uint64_t seen[SIM_REGIONS_MAX]; /* of each region's key, in this session or before */
    bool failed;                    /* the write of this round was refused, or nobody knows */
    bool last;                      /* it has to write once more, when all faults have ended */
    struct prng prng;
};

enum sim_ask_kind { ASK_POST, ASK_READ, ASK_LEVEL, ASK_TOKEN, ASK_FOLLOW };

/* What a traveller has asked, and what it may expect. */
struct sim_ask {
    enum sim_ask_kind kind;
    bool with;       /* the answer tells what it was worth */
    bool with_token; /* it carries its token */
    bool must;       /* all is well: nothing may be late, or refused */
    uint32_t keyspaces[2], boards[2], board_count;
    uint32_t post;
    uint32_t others; /* regions that must acknowledge */
    bool causal, strong;
    uint32_t staleness_ms;
    uint32_t timeout_ms;
    struct levels session;      /* ASK_LEVEL: what it will have then */
    uint64_t sent_us, began_us; /* when it was sent; since when nothing excuses a wait */
    stamp_t last_write;         /* of the session, before */
};

/* A client that goes from region to region, and carries in its token what it has seen: traveller.c. */
struct sim_traveller {
    uint32_t index;
    uint32_t region;         /* where it is, or was */
    struct session *session; /* NULL: nowhere */
    struct buffer answers;
    bool selecting; /* the first answer in a session is that of SELECT */
    bool asking;
    struct sim_ask ask;
    struct buffer token;   /* text; empty: it has none */
    struct post_set held;  /* what the token is sure to name */
    struct post_set here;  /* what this session is sure to see where it is */
    bool follows;          /* the session has the token, */
    struct post_set named; /* and that named these */
    struct levels levels;  /* of the session */
    uint32_t drawn;        /* steps */
    uint64_t due;          /* the number of the event that makes it act */
    uint32_t visits;       /* still to be made, when all faults have ended */
    uint32_t visit_step;
    struct prng prng;
};

/* A word that was written of a person. */
struct sim_word {
    uint32_t person;
    bool may_stay; /* its region may have heard before that he is erased */
};

/* Who writes of persons in one region. */
struct sim_person_writer {
    uint32_t region;
    struct session *session; /* NULL: not connected */
    struct buffer answers;
    bool asking, erases;
    uint32_t person; /* whom it erases */
    uint32_t word;   /* the number of what it writes; 0: nothing */
};

/* persons.c */
struct sim_persons {
    struct sim_person_writer writers[SIM_REGIONS_MAX];
    struct sim_word *words; /* [word_count], numbered from 1 */
    uint32_t word_count;
    uint32_t erased; /* the first so many were to be, */
    uint32_t told;   /* and these are, as somebody was told: as bits */
    struct prng prng;
};

/* What verify.c has seen of a run of a region: watch.c. */
struct sim_watch {
    bool right;        /* its clock was right all the time */
    bool bootstrapped; /* it was being, */
    bool amnesiac;     /* it knew that others hold log that it has not, or that they may, */
    bool skewed;       /* it was SKEWED when the last turn ended */
    bool led;          /* it was SKEWED once, and lived by the others' time */
    stamp_t said;      /* its own applied stamp then */
    uint64_t log_most; /* how far its log may go since the disk has failed; 0: it has not */
    uint64_t start_us;
    uint64_t known_us; /* since then it knows how far off its clock is; 0: it may not */
    bool joined; /* all the time since it could reach everybody, and their clocks were right */
    struct vector applied;
};

/* store.c. The kv stays when the process goes, as the disk does. */
struct sim_store {
    struct kv_memory kv;
    struct checkpoint checkpoint, exporter;
    struct checkpoint_writer writer;
    bool is_open;
    bool writing, dropping;      /* a transaction, a removal of log is on its way */
    struct checkpoint_write job; /* what is being written */
    int error;                   /* what came of it */
    bool marked;                 /* a bootstrap is on, as its disk says: */
    struct marker marker;
    enum bootstrap_phase phase; /* in which it was opened */
    bool exporting;
    struct buffer cursor;    /* of what is being read for another's */
    bool leapt;              /* it was bootstrapped: its log is not all that it has */
    struct buffer dropped;   /* the log from its beginning that is not on disk any more; or is */
    bool looked_at;          /* by verify.c: nothing fails */
    bool fail_write, failed; /* calls of writers fail, or those of readers; have, in this run */
    uint32_t fail_in;
    int fail_code; /* E_OK: nothing fails */
    struct prng prng;
};

/* A data directory as it was at some moment; of a process that was killed then. loss.c. */
struct sim_copy {
    bool there;
    struct sim_disk disk;
    struct kv_memory kv;
    struct buffer dropped;
    bool leapt;
    uint64_t durable_lsn, instance;
};

struct sim_region {
    uint32_t index;
    uint32_t place; /* the region that it is: index, but of a clone */
    uint8_t id;     /* its number in stamps: index + 1, until it loses it */
    bool up;
    uint32_t epoch; /* of this run; grows with every start */
    uint64_t instance;
    struct identity identity; /* of this run */
    struct node node;
    struct sim_disk disk;
    struct oplog log;
    struct sim_store store;
    struct ceiling_file ceiling;
    bool writing;             /* a sync is on its way, or a roll, */
    bool rolls;               /* which comes after that */
    bool ceiling_busy;        /* a ceiling is being written, */
    uint64_t ceiling_next_ms; /* and this one after it; 0: none */
    uint64_t armed_us;        /* a turn is planned for then; 0: none */
    bool lingering;           /* the turn is open, its end is planned: more may come into it */
    bool disk_bad;            /* it was made to fail, and is not mended yet */
    bool disk_failed;         /* it has done so in this run, which may not know yet */
    bool log_broken;          /* ... and nothing is written any more */
    uint64_t asleep_until_us; /* its process does not run; what comes waits */
    struct sim_clock clock;
    struct sim_reader reader;
    struct sim_watch watch;
    struct sim_copy copy;        /* of its directory, for later */
    bool lost;                   /* its directory was, and the world is not whole again */
    bool was_lost;               /* once */
    struct vector durable;       /* when its last run ended */
    uint64_t save_number;        /* of the checkpoint that it was asked for at the end */
    uint64_t durable_lsn;        /* so much of its log was told to be */
    struct prng prng;            /* how long its disk and its turns take */
    struct sim_told told;        /* trace.c */
    struct sim_audited *audited; /* audited.c */
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

/* A command with keys of the fence that was sent to the other end, and not answered yet. */
struct sim_asked {
    uint32_t from; /* which end */
    uint64_t session, number;
};

/* [0] dialled, [1] accepted. */
struct sim_conn {
    struct list link;
    uint64_t id;
    uint32_t region[2];
    struct link *end[2];     /* NULL: not open yet, or gone */
    bool opening;            /* not accepted yet: what comes waits */
    bool lost[2];            /* that machine lost its power: it says so when something comes */
    struct sim_pipe pipe[2]; /* from that end */
    struct list held[2];     /* pieces that wait for the end of a stall or sleep, from that end */
    struct buffer tapped[2]; /* of a message that is not all sent, from that end: secret.c */
    uint64_t audit_made[2];  /* lines that the end had made when it was opened: audited.c */
    struct sim_asked *asked; /* [asked_count] */
    size_t asked_count;
};

/* What is wrong with one way between two regions; each by the number of its fault, whose end heals
 * it. 0: nothing. */
struct sim_way {
    uint32_t stalled; /* bytes wait */
    uint32_t broken;  /* connections that the sender dials are reset, and none can be made */
    uint32_t narrow;  /* few bytes a second */
    bool parted;      /* as broken, until all faults end */
};

struct sim_world {
    struct sim_plan plan;
    struct deployment *deployment; /* the newest configuration; */
    struct deployment
        *deployments[SIM_DEPLOYMENTS_MAX]; /* [deployment_count] all there ever were */
    uint32_t deployment_count;
    struct sim_region *regions;   /* [plan.regions + 1]: the last is for a clone */
    uint8_t ids[SIM_REGIONS_MAX]; /* of the regions, in the newest configuration, */
    uint64_t closed[4];           /* which closes these; */
    uint8_t next_id;              /* and this one was never given */
    uint64_t given_up[4];         /* numbers whose owner lost his disk, or had a clone */
    /* There were two histories of one number. A context names both by stamps alone, so what had
     * seen the one was taken where the other is: regions must be equal, but nobody declares to
     * what. */
    bool two_histories;
    struct vector must_stay; /* ops that some region held when another lost its disk */
    uint64_t lost_us;        /* when one did for last; 0: all is whole again */
    struct heap events;
    uint64_t now_us;
    uint64_t slept_us; /* of it, while the whole world stood still */
    uint64_t event_count, tie;
    struct list conns;
    uint64_t conn_count;
    uint8_t fence_of[STAMP_ORIGINS]; /* each origin's */
    struct frame_codec tap_codec;    /* secret.c */
    struct prng fenced;              /* which commands are for the fence's keys */
    const char *key_prefix;          /* of the command that is being made */
    struct sim_traveller travellers[SIM_CLIENTS_MAX];
    struct posts posts;
    struct sim_caller callers[SIM_CLIENTS_MAX];
    struct calls calls;
    struct sim_persons persons;
    bool history_lost;    /* a directory was: what travellers must see nobody knows any more */
    struct oracle oracle; /* what was written by disks that are lost; at the end, by all */
    struct oracle_reclaim *reclaims;
    size_t reclaim_count;
    struct sim_way ways[SIM_PLACES_MAX][SIM_PLACES_MAX]; /* from, to */
    uint32_t fault_count;
    struct prng net[SIM_PLACES_MAX][SIM_PLACES_MAX]; /* from, to */
    struct prng fault;                               /* when; each has its own beside */
    struct sim_outcome *outcome;                     /* borrowed */
    struct selection only;                           /* borrowed */

    bool healed;   /* the second phase */
    uint32_t sent; /* commands */
    uint64_t answered, errors, crashes, reads;
    uint64_t runs;                /* starts of processes */
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
    char left[160]; /* what keeps the world from its end */
    bool failed;
    char reason[600];
    const char *kind; /* of the reason: its format */
};

/* --- world.c --- */

void sim_world_init(struct sim_world *w, const struct sim_plan *plan,
                    const struct sim_options *options,
                    struct sim_outcome *outcome); /* its counts are kept up all the time */
void sim_world_release(struct sim_world *w);
bool sim_step(struct sim_world *w); /* the next event; false when the world has failed */

/* By the number in stamps; NULL: nobody has it any more. */
struct sim_region *sim_region_with_id(const struct sim_world *w, uint8_t id);
void sim_world_configure(struct sim_world *w); /* a new configuration of w->ids and w->closed */
char *sim_text_of(const char *text);           /* gives */
struct keyspace *sim_add_keyspace(struct deployment *d, const char *prefix);
/* By its place: "r1" is the first. */
struct sim_region *sim_region_named(const struct sim_world *w, const char *name);

struct sim_event *sim_at(struct sim_world *w, uint64_t when_us,
                         void (*run)(struct sim_world *, struct sim_event *));
struct sim_event *sim_for_region(struct sim_world *w, struct sim_region *r, uint64_t delay_us,
                                 void (*run)(struct sim_world *, struct sim_event *));

/* While who comes and goes is in a region (`session`), he acts as its processes let him; else by himself. */
struct sim_event *sim_for_visitor(struct sim_world *w, const struct session *session,
                                  uint32_t region, uint64_t delay_us,
                                  void (*run)(struct sim_world *, struct sim_event *));

/* The first failure counts; the world stops at it. */
void sim_fail(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A time around `typical`: half to one and a half of it, or with chance `tail` up to 20 times as
 * long. */
uint64_t sim_around(struct prng *p, uint64_t typical_us, uint32_t tail);

uint64_t sim_between(struct prng *p, uint64_t low, uint64_t high); /* both may be */

/* --- trace.c --- */

/* What somebody who looks for a defect wants to know: a line of time, region (NULL: of the whole
 * world), who or what, and the rest as formatted. Printed when there is a trace. */
void sim_tell(struct sim_world *w, const struct sim_region *r, const char *who, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* Everything else: printed with details only. All lines are hashed, for the same seed must give the
 * same. */
void sim_trace(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A command (or several, as of a MULTI) as it is sent; and a reply to it. */
void sim_tell_command(struct sim_world *w, const struct sim_client *c, uint32_t n,
                      struct span resp);
void sim_tell_reply(struct sim_world *w, const struct sim_client *c, const struct sim_pending *to,
                    struct span resp);

/* Replies and stamps as all lines show them, for whoever says why a world has failed. */
void sim_put_reply(struct buffer *out, struct span resp);
enum { SIM_STAMP_BYTES = 40 };
const char *sim_stamp_text(stamp_t s, char text[SIM_STAMP_BYTES]); /* without its origin */

/* An answer to a traveller or a caller: `who` asked. */
void sim_tell_answer(struct sim_world *w, const struct sim_region *r, const char *who,
                     struct span reply);

void sim_tell_end(struct sim_world *w); /* nothing comes any more */

void sim_tell_log(struct sim_world *w, struct sim_region *r); /* what a turn sealed and applied */
void sim_tell_parked(struct sim_world *w, struct sim_region *r); /* what had to wait */

/* --- plan.c --- */

void sim_plan_make(struct sim_plan *plan, struct prng *p, uint32_t regions,
                   uint32_t steps); /* 0: the seed's choice */
void sim_plan_store(struct sim_plan *plan, struct prng p);
/* promises.c: travellers, keyspaces with levels, a fence; what is fixed is not its to say. */
bool sim_plan_has_focus(const struct sim_plan *plan); /* the world looks at something else */
void sim_plan_promises(struct sim_plan *plan, struct prng p, bool fixed_steps, bool fixed_regions);
void sim_plan_print_promises(const struct sim_plan *plan, FILE *to);
int64_t sim_clock_offset(struct prng *p, int64_t range_us);
bool sim_plan_parts(const struct sim_plan *plan); /* some two regions never meet in the chaos */
extern const char *const sim_fault_names[SIM_FAULTS];
void sim_plan_print(const struct sim_plan *plan, FILE *to);

/* --- shape.c --- */

/* `p` is no other's: what is drawn here changes nothing else. */
void sim_plan_shape(struct sim_plan *plan, struct prng p);
void sim_plan_print_shape(const struct sim_plan *plan, FILE *to);
void sim_shape_configure(const struct sim_world *w, struct deployment *d); /* regions are added */

/* --- homes.c --- */

void sim_plan_homes(struct sim_plan *plan, struct prng p, bool fixed_steps);
void sim_plan_print_homes(const struct sim_plan *plan, FILE *to);
void sim_homes_configure(const struct sim_world *w, struct deployment *d); /* regions are added */
/* The region that a tag of the keyspace CALL_TAG names. */
uint32_t sim_home_named(const struct sim_plan *plan, uint32_t tag);
/* Of the tags that name the same region the first: their keys are the same. */
uint32_t sim_call_tag(const struct sim_plan *plan, enum call_space space, uint32_t tag);
bool sim_is_home(const struct sim_plan *plan, enum call_space space, uint32_t region);

/* --- caller.c --- */

void sim_callers_start(struct sim_world *w);
void sim_caller_answers(struct sim_world *w, struct sim_caller *c);
void sim_callers_region_down(struct sim_world *w, struct sim_region *r);
bool sim_callers_idle(const struct sim_world *w);
/* They go to all regions, or some of many, and are refused nothing for long; then once more, when everything
 * was compared, and ask what GATHER says. */
void sim_callers_once_more(struct sim_world *w);
void sim_callers_ask_all(struct sim_world *w);
bool sim_callers_done(struct sim_world *w);
void sim_callers_release(struct sim_world *w);
void sim_call_put_key(struct buffer *out, const struct sim_world *w, enum call_space space,
                      uint32_t tag, const char *key); /* "h:n{a}" */
extern const char *const sim_call_prefixes[CALL_SPACES];
static inline bool sim_is_caller(const struct sim_world *w, const void *host)
{
    return (const char *)host >= (const char *)w->callers &&
           (const char *)host < (const char *)(w->callers + SIM_CLIENTS_MAX);
}

/* --- ledger.c --- */

/* What the caller asked is answered by this whole reply. */
void sim_call_judge(struct sim_world *w, struct sim_caller *c, struct span reply);
void sim_call_lost(struct sim_world *w, struct sim_caller *c); /* nobody will answer any more */
bool sim_calls_are_kept(const struct sim_world *w); /* nothing that a client was told is lost */

/* --- ledger_end.c --- */

void sim_calls_end(struct sim_world *w); /* the oracle has judged */
/* What all counters of a keyspace come to; `keys`: how many there are. */
int64_t sim_calls_sum(const struct sim_world *w, enum call_space space, bool keys);

/* --- persons.c --- */

void sim_plan_persons(struct sim_plan *plan, struct prng p);
void sim_plan_print_persons(const struct sim_plan *plan, FILE *to);
void sim_persons_start(struct sim_world *w);
void sim_person_answers(struct sim_world *w, struct sim_person_writer *c);
void sim_persons_region_down(struct sim_world *w, struct sim_region *r); /* it is there still */
bool sim_persons_done(struct sim_world *w); /* every region has finished all erasures */
void sim_persons_fail(struct sim_world *w,
                      int seconds);          /* they have not: says what is waited for */
void sim_persons_judge(struct sim_world *w); /* then */
void sim_persons_release(struct sim_world *w);
static inline bool sim_is_person_writer(const struct sim_world *w, const void *host)
{
    return (const char *)host >= (const char *)w->persons.writers &&
           (const char *)host < (const char *)(w->persons.writers + SIM_REGIONS_MAX);
}

/* --- lag.c --- */

void sim_lag_turn(struct sim_world *w, struct sim_region *r); /* ended; answers not taken yet */

/* --- region.c --- */

void sim_region_init(struct sim_region *r, uint32_t index, uint32_t place);
void sim_region_release(struct sim_world *w, struct sim_region *r);
/* False when its disk did not let it: then it is as after a crash while it recovered. */
bool sim_region_start(struct sim_world *w, struct sim_region *r);
/* It loses its power or is killed; `p` is the fault's own stream. */
void sim_region_crash(struct sim_world *w, struct sim_region *r, struct prng *p);
void sim_region_crash_by(struct sim_world *w, struct sim_region *r, bool power, struct prng *p);
/* Its process ends, and begins again. */
void sim_region_restart(struct sim_world *w, struct sim_region *r);
void sim_region_start_after(struct sim_world *w, struct sim_region *r, uint64_t after_us);
/* A call of its disk that must not fail did. */
void sim_region_disk_failed(struct sim_world *w, struct sim_region *r, const char *problem);
/* Its process gets no processor until then: what is for it waits. Never shorter than before. */
void sim_region_sleep(struct sim_world *w, struct sim_region *r, uint64_t until_us);
bool sim_region_is_asleep(const struct sim_world *w, const struct sim_region *r);
bool sim_region_serves(const struct sim_region *r); /* its clients; when it is awake */

/* Every input to a node stands between these two. The turn ends at once, or a little later with
 * whatever comes until then. */
void sim_turn_begin(struct sim_world *w, struct sim_region *r);
void sim_turn_end(struct sim_world *w, struct sim_region *r);

/* --- store.c --- */

void sim_store_init(struct sim_region *r);
void sim_store_release(struct sim_region *r);
int sim_store_open(struct sim_region *r, struct checkpoint_found *found);
void sim_store_forget(struct sim_region *r); /* nothing that was written down is there any more */
void sim_store_close(struct sim_region *r);  /* the process is gone */
void sim_store_turn_end(struct sim_world *w, struct sim_region *r);
/* Appends all records that its log ever had, from LSN 0 on. It is up. */
void sim_store_read_log(struct sim_world *w, struct sim_region *r, struct buffer *out);
/* Random keys leave memory that may: so many are tried in each database. */
void sim_store_evict(struct sim_region *r, struct prng *p, uint32_t most);
void sim_store_replay_turn_end(struct sim_world *w, struct sim_region *r);
/* The nth call from now (of a writer that changes something, or of a reader), and all after it,
 * fail; E_OK: nothing does. */
void sim_store_fail(struct sim_region *r, bool write, uint32_t nth, int code);

/* --- clock.c --- */

void sim_clock_start(struct sim_world *w, struct sim_region *r);      /* of its process */
uint64_t sim_clock_now_us(struct sim_world *w, struct sim_region *r); /* the process's time */
/* So far the process's time is from the right one. */
int64_t sim_clock_error_us(struct sim_world *w, struct sim_region *r);
/* Sets the wall clock: so far from the right time. */
void sim_clock_set(struct sim_world *w, struct sim_region *r, int64_t error_us);
bool sim_clock_is_right(struct sim_world *w, struct sim_region *r);

/* --- fault.c --- */

void sim_fault_begin(struct sim_world *w); /* the chaos */
void sim_fault_end(struct sim_world *w);   /* all but what parts regions: they are up, and whole */
void sim_fault_join(struct sim_world *w);  /* those that never met */

/* --- loss.c --- */

/* A directory is lost, put back, or cloned: of this region; NULL when that may not be now. */
struct sim_region *sim_loss(struct sim_world *w, struct prng *p, uint64_t for_us);
void sim_loss_begin(
    struct sim_world *w); /* copies are taken, and somebody looks after regions that were lost */
void sim_loss_end(struct sim_world *w);           /* all faults do: a clone goes */
bool sim_loss_is_over(const struct sim_world *w); /* everything is whole again */
void sim_loss_release(struct sim_region *r);

/* --- repair.c --- */

/* The end of its log is damaged, and repaired. It is down then; it was not being bootstrapped. */
void sim_repair(struct sim_world *w, struct sim_region *r, struct prng *p);

/* --- net.c --- */

void sim_net_dial(struct sim_world *w, struct sim_region *r, struct peer *peer);
void sim_net_flush(struct sim_world *w, struct link *l);
/* After its links are gone. Who is connected to it is told at once, or (lost power) when it is up
 * again and something comes. */
void sim_net_region_down(struct sim_world *w, struct sim_region *r, bool power);
void sim_net_region_awake(struct sim_world *w, struct sim_region *r);
/* The connections that `from` has dialled to `to` are reset. */
void sim_net_reset(struct sim_world *w, uint32_t from, uint32_t to);
/* What a way held goes on, after its faults were taken away. */
void sim_net_release_held(struct sim_world *w, uint32_t from, uint32_t to);
void sim_net_release(struct sim_world *w);

/* --- command.c --- */

extern const char *const sim_family_names[SIM_FAMILIES];
/* Appends the commands of a random template; returns how many. */
uint32_t sim_command_make(struct sim_world *w, struct prng *p, struct buffer *out);

/* --- load.c --- */

void sim_load_start(struct sim_world *w, struct sim_region *r);       /* its clients connect */
void sim_load_region_down(struct sim_world *w, struct sim_region *r); /* their sessions are gone */
void sim_load_answers(struct sim_world *w,
                      struct sim_client *c);   /* output that may go; or the end of the session */
bool sim_load_idle(const struct sim_world *w); /* every command was answered */

/* --- reader.c --- */

void sim_reader_start(struct sim_world *w, struct sim_region *r);
void sim_reader_region_down(struct sim_world *w, struct sim_region *r);
void sim_reader_answers(struct sim_world *w, struct sim_reader *reader);
void sim_reader_once_more(struct sim_world *w); /* each writes: all faults have ended */
bool sim_reader_done(struct sim_world *w);      /* each was answered OK */

/* --- traveller.c --- */

void sim_travellers_start(struct sim_world *w);
void sim_travellers_turn(struct sim_world *w,
                         struct sim_region *r); /* ended; answers not taken yet */
void sim_traveller_answers(struct sim_world *w, struct sim_traveller *t);
void sim_travellers_region_down(struct sim_world *w, struct sim_region *r);
void sim_travellers_always(struct sim_world *w); /* at intervals: nobody waits too long */
bool sim_travellers_idle(const struct sim_world *w);
/* Each goes round all regions: all faults have ended, so nothing is late or refused. */
void sim_travellers_once_more(struct sim_world *w);
bool sim_travellers_done(struct sim_world *w);
void sim_travellers_release(struct sim_world *w);
static inline bool sim_is_traveller(const struct sim_world *w, const void *host)
{
    return (const char *)host >= (const char *)w->travellers &&
           (const char *)host < (const char *)(w->travellers + SIM_CLIENTS_MAX);
}

/* --- judge.c --- */

/* What the traveller asked is answered by this whole reply: fails the world where it must not be, and
 * learns what it says. */
void sim_judge(struct sim_world *w, struct sim_traveller *t, struct span reply);
/* Of what a token names, that which comes before what its traveller does where it is. */
void sim_add_named(const struct sim_world *w, const struct sim_traveller *t,
                   const struct post_set *named, struct post_set *into);
/* Whether a region may hold keys of this keyspace. */
bool sim_holds(const struct sim_world *w, const struct sim_region *r, uint32_t keyspace);

/* --- secret.c --- */

/* Whether a region, up or not, may hold what an origin writes. */
bool sim_may_hold(const struct sim_world *w, const struct sim_region *r, uint8_t origin);
/* Where a region has the bytes: in its checkpoint, on its disk; NULL: nowhere. */
const char *sim_word_stands(struct sim_region *r, struct span word);

void sim_secrets_kept(struct sim_world *w);  /* from everybody outside */
void sim_secrets_found(struct sim_world *w); /* by the same search, within */
/* Whether they have a word of what a fence holds. */
bool sim_secrets_in(struct span bytes);
/* Bytes that go, from that end. */
void sim_tap(struct sim_world *w, struct sim_conn *c, uint32_t from, struct span bytes);

/* --- audited.c --- */

void sim_audited_start(struct sim_world *w, struct sim_region *r);
void sim_audited_turn(struct sim_world *w, struct sim_region *r); /* ended */
/* A message goes to a member of the fence; `content`: of its frame, or its body. */
void sim_audited_pass(struct sim_world *w, struct sim_conn *c, uint32_t from,
                      enum message_type type, struct span content);
void sim_audited_release(struct sim_region *r);

/* --- watch.c --- */

void sim_watch_start(struct sim_world *w, struct sim_region *r);   /* recovered, no turn yet */
void sim_watch_turn(struct sim_world *w, struct sim_region *r);    /* ended */
void sim_watch_always(struct sim_world *w, struct sim_region *r);  /* at intervals */
void sim_watch_dropped(struct sim_world *w, struct sim_region *r); /* its log starts later now */

/* --- verify.c --- */

bool sim_verify_is_damaged(const struct sim_region *r); /* it could not apply what it has */

void sim_verify_always(struct sim_world *w); /* at intervals */
void sim_verify_recovered(struct sim_world *w, struct sim_region *r);
void sim_verify_bootstrapped(struct sim_world *w, struct sim_region *r);
bool sim_verify_settled(struct sim_world *w); /* everybody has everything, and nobody waits */
/* Everybody has everything. *log_bytes: of all logs; while that stays so, nothing was written. */
bool sim_verify_alike(const struct sim_world *w, uint64_t *log_bytes);
/* Nobody waits, and everybody has what is made where he has a connection to. */
bool sim_verify_relayed(struct sim_world *w);
void sim_verify_say_unsettled(const struct sim_world *w,
                              struct buffer *out); /* who lacks what, for people */
void sim_verify_end(struct sim_world *w);          /* when settled */
bool sim_verify_reclaimed(struct sim_world *w);    /* no key is left whose time had come */
bool sim_verify_saved(struct sim_world *w); /* the checkpoints that were asked for are complete */
void sim_verify_cold(struct sim_world *w);  /* nothing is lost when all keys leave memory */

#endif
