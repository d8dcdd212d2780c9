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
 *     -> cmd/gathered.h
 */
#ifndef CMD_GATHER_H
#define CMD_GATHER_H

#include "cmd/gathered.h"

enum { GATHER_TIMEOUT_MS = 10000 };

struct call;
struct server;

/* GATHER as its client asked for it. */
struct gather_question {
    enum gather_kind kind;
    struct span prefix, field; /* field.at NULL: the value itself */
    uint32_t timeout_ms;
};

/* As what a region is asked: SELECT, and GATHER PART. */
void gather_question_put(struct buffer *out, const struct gather_question *q, uint8_t db,
                         uint64_t fences);

/* The regions to ask, as a bitmap, and for each fence the one that looks at what all its members may write;
 * `distance` says how near a region is (0: it is ourselves; UINT32_MAX: not reached). */
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
