/*
 * gather -- GATHER: counts, sums and groups over the keys of a prefix, in all regions that hold them.
 *
 *     GATHER count|sum|min|max|avg|group PREFIX [FIELD field] [TIMEOUT ms]
 *
 * Numbers are the values of strings, or of one field of hashes. Each region looks at its own keys and tells
 * only the result; the region that was asked merges them (node/gather.h). A key that several regions hold is
 * looked at in one of them: its home, where its keyspace has one; else a member of its fence.
 * A part, as it travels between regions:
 *     GATHER PART kind PREFIX field fences     field "": the value itself; fences: a bit for each whose
 *                                              keys this region is to look at, by place; from bit 32 on
 *                                              one for each that the asker is no member of: of these,
 *                                              only keyspaces with outside: forward are looked at
 *     -> array: keys, numbers, skipped, whether the sum is whole, the whole sum, the sum, min, max, keys
 *        of groups that were left out, then value and count of each group
 */
#ifndef CMD_GATHER_H
#define CMD_GATHER_H

#include "base/buffer.h"
#include "base/table.h"
#include "wire/reply.h"

enum gather_kind {
    GATHER_COUNT,
    GATHER_SUM,
    GATHER_MIN,
    GATHER_MAX,
    GATHER_AVG,
    GATHER_GROUP,
    GATHER_KINDS
};

enum { GATHER_GROUPS_MAX = 10000, GATHER_TIMEOUT_MS = 10000 };

/* What was found, in one region or in several. Sums are exact while all numbers are whole and the sum fits 64
 * bits; else they are doubles, added in the order of arrival. */
struct gathered {
    uint64_t keys, numbers;
    uint64_t skipped; /* keys with something else than a number, or of another type */
    bool whole;
    int64_t sum;
    double real_sum, min, max;
    struct table groups; /* of struct gather_group, by value */
    uint64_t left_out;   /* keys of groups that found no place among GATHER_GROUPS_MAX */
};

void gathered_init(struct gathered *g, uint64_t seed);
void gathered_release(struct gathered *g);

/* A part's reply, in RESP; false when it is none: then nothing of it is added. */
void gathered_put(const struct gathered *g, struct reply *reply);
bool gathered_add(struct gathered *g, struct span part);

/* The result as a reply: a number, null where there is none, or a map of groups. */
void gathered_reply(const struct gathered *g, enum gather_kind kind, struct reply *reply);

struct call;
struct server;

/* GATHER as its client asked for it. */
struct gather_question {
    enum gather_kind kind;
    struct span prefix, field; /* field.at NULL: the value itself */
    uint32_t timeout_ms;
};

/* The regions to ask, as a bitmap, and for each fence the one that looks at what all its members may write;
 * `reaches` says how near a region is (0: it is ourselves; UINT32_MAX: not reached). */
struct gather_plan {
    uint64_t regions[4];
    uint8_t of_fence[32]; /* region by fence; 0: none is needed */
    uint32_t outside;     /* a bit for each fence that we are no member of */
};
void gather_plan(const struct server *server, struct span prefix,
                 uint32_t (*distance)(const void *context, uint8_t region), const void *context,
                 struct gather_plan *plan);

/* Whether a part with that prefix and these fences, run by a region, looks into a keyspace, by place. */
bool gather_looks_into(const struct server *server, uint8_t region, size_t keyspace,
                       struct span prefix, uint64_t fences);

#endif
