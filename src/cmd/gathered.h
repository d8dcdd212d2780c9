/*
 * gathered -- what a GATHER has found, in one region or in several (cmd/gather.h).
 *
 * As it travels between regions, in RESP:
 *     array: keys, numbers, skipped, whether the sum is whole, the whole sum, the sum, min, max, keys of
 *            groups that were left out, then value and count of each group
 */
#ifndef CMD_GATHERED_H
#define CMD_GATHERED_H

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

enum { GATHER_GROUPS_MAX = 10000 };

/* Sums are exact while all numbers are whole and the sum fits 64 bits; else they are doubles, added in
 * the order of arrival. */
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

/* A key's value: as a number, if it is one; as a group's. */
void gathered_add_number(struct gathered *g, struct span text);
void gathered_add_group(struct gathered *g, struct span value, uint64_t count);

/* A part's reply, in RESP; false when it is none: then nothing of it is added. */
void gathered_put(const struct gathered *g, struct reply *reply);
bool gathered_add(struct gathered *g, struct span part);

/* The result as a reply: a number, null where there is none, or a map of groups. */
void gathered_reply(const struct gathered *g, enum gather_kind kind, struct reply *reply);

#endif
