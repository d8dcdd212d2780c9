/*
 * caller -- clients of keyspaces whose keys one region writes: primary, and partitioned by tag, hash or
 * directory; and of one whose writers wait for readers (max_lag).
 *
 * They go from region to region, as travellers do, and use few keys, each under all of these keyspaces and
 * a few tags: a counter `n`; a second one, `m`, that only transactions move, together with the first; a
 * register `s` whose every write returns what was there; locks `l0`, `l1` ... that are taken once and never
 * given back; a queue `q` for which they wait. Such keys have one order, at their home, so what clients are
 * told says whether a command ran once, twice or never: ledger.c. A fence holds none of it.
 */
#ifndef SIM_CALLER_H
#define SIM_CALLER_H

#include "base/bits.h"
#include "base/buffer.h"
#include "base/prng.h"
#include "clock/stamp.h"
#include "policy/level.h"

enum call_space { CALL_PRIMARY, CALL_TAG, CALL_HASH, CALL_DIRECTORY, CALL_SPACES };

enum {
    CALL_DB = 5,
    CALL_TAGS = 3,
    CALL_COUNT_MAX = 4096, /* what a counter may come to; registers' values of a world */
    CALL_LOCKS_MAX = 64,
};

/* What the keys of a prefix are promised. */
struct sim_keyspace {
    struct write_level acks;
    struct read_level reads;
    uint32_t timeout_ms;
};

/* Of the world's plan. */
struct call_plan {
    uint32_t callers; /* 0: none of all this is there */
    uint64_t every_us;
    uint32_t first;   /* the primary's writer, and where homes are listed first */
    uint32_t readers; /* regions that are nobody's home, by place, as bits */
    bool redirects[CALL_SPACES];
    struct sim_keyspace promises[CALL_SPACES];
    uint32_t max_lag_ms;
    bool refuses;
    bool about_lag; /* the world looks at that */
};

struct call_bits {
    uint64_t words[CALL_COUNT_MAX / 64];
};

/* What is known of the keys of one tag in one keyspace. */
struct call_key {
    bool listed; /* the directory has it, as far as is known */
    uint32_t sent, acked,
        maybe; /* increments of n; those whose answer was lost may have happened */
    uint32_t both_acked, both_maybe; /* of them those with one of m */
    int64_t told;                    /* the greatest count that a client was told */
    uint32_t home;                   /* that somebody was told, counted from 1; 0: nobody yet */
    bool began;                      /* somebody was told that the register had no value before */
    uint32_t lock, tries;            /* that is fought for now; so often */
    uint8_t asked[CALL_LOCKS_MAX];   /* for each, by how many */
    bool won[CALL_LOCKS_MAX];
    struct call_bits counts; /* that clients were told */
};

struct lag_write {
    uint32_t region;
    stamp_t stamp;
    uint64_t written_us;
};

struct calls {
    struct call_key keys[CALL_SPACES][CALL_TAGS];
    uint32_t numbers;       /* values of registers and queues that were given */
    struct call_bits taken; /* those that a later write has returned, or that were popped */
    struct lag_write *lag;  /* [lag_count], as they were made */
    size_t lag_count;
};

enum call_kind {
    CALL_SELECT,
    CALL_LIST,   /* a key's first home */
    CALL_COUNT,  /* INCR n */
    CALL_BOTH,   /* n and m, in a transaction */
    CALL_SWAP,   /* SET s ... GET */
    CALL_LOCK,   /* SET l ... NX */
    CALL_READ,   /* GET n */
    CALL_MOVE,   /* KEYSPACE MOVE */
    CALL_PUSH,   /* RPUSH q */
    CALL_POP,    /* BLPOP q */
    CALL_SUM,    /* GATHER sum of all n */
    CALL_NUMBER, /* GATHER count of all n */
    CALL_LAG,
    CALL_TOKEN,
    CALL_FOLLOW,
};

struct call {
    enum call_kind kind;
    enum call_space space;
    uint32_t tag, number; /* of a lock, a register's value, or the region that a home moves to */
    bool with, strong;
    bool must;               /* all is well */
    bool wrote;              /* CALL_LAG: its write was seen */
    struct write_level acks; /* with `with` */
    uint32_t timeout_ms;
    uint64_t sent_us;
    int64_t told;        /* as the key's, when it was sent; CALL_SUM: of all tags */
    uint32_t down;       /* regions that were not up then, by place, as bits, */
    uint32_t epochs[16]; /* and their runs */
    stamp_t last_write;  /* of the session, before */
    uint64_t log_bytes;  /* of all regions then */
};

struct session;

struct sim_caller {
    uint32_t index;
    uint32_t region;         /* where it is, or was */
    struct session *session; /* NULL: nowhere */
    struct buffer answers;
    bool asking, well; /* the last was answered as it should */
    uint32_t skip;     /* replies before the one that is waited for */
    struct call call;
    bool counted;               /* the last was an increment: of this key */
    enum call_space last_space; /* which is read then, perhaps */
    uint32_t last_tag;
    uint32_t next_region; /* where a redirect has sent it, counted from 1; 0: nowhere */
    struct buffer token;  /* text; empty: it has none */
    bool follows;         /* it is to follow that first */
    int64_t held[CALL_SPACES][CALL_TAGS]; /* counts that the token is sure to name, */
    int64_t seen[CALL_SPACES][CALL_TAGS]; /* and that this session is sure to see where it is */
    uint32_t drawn;                       /* steps */
    uint64_t due;                         /* the number of the event that makes it act */
    uint32_t visits;                      /* still to be made, when all faults have ended */
    uint32_t step;                        /* of a visit */
    bool asks_all;                        /* everything was compared: GATHER must be right */
    struct prng prng;
};

static inline bool call_bits_has(const struct call_bits *b, uint32_t bit)
{
    return bits_have(b->words, bit);
}

static inline void call_bits_add(struct call_bits *b, uint32_t bit)
{
    bits_add(b->words, bit);
}

#endif
