/*
 * zset_range -- parts of a sorted set that stand in one piece: by rank, by score, by name.
 *
 * Whatever they are given by, ranges are ranks in the end: what is counted, told, taken away or
 * skipped by a LIMIT needs no look at the members themselves.
 */
#ifndef CMD_ZSET_RANGE_H
#define CMD_ZSET_RANGE_H

#include "cmd/zset.h"

/* Ranks [first, end), lowest score first. */
struct ranks {
    uint64_t first, end; /* first <= end */
};

static inline uint64_t ranks_count(struct ranks r)
{
    return r.end - r.first;
}

struct score_range {
    double min, max;
    bool min_open, max_open; /* the bound itself is not in it */
};

/* Where a range by name begins or ends: at a name, or beyond all of them. */
struct name_bound {
    enum { NAME_LEAST, NAME_IS, NAME_GREATEST } kind;
    struct span name;
    bool open;
};

struct name_range {
    struct name_bound min, max;
};

/* Ranges as clients write them: "(1.5" "+inf", "[a" "+", 0 -1. Each replies its error and returns
 * false for anything else. */
bool score_range_take(struct call *call, struct span min, struct span max, struct score_range *r);
bool name_range_take(struct call *call, struct span min, struct span max, struct name_range *r);

struct index_range {
    int64_t start, stop; /* inclusive; from the end when negative */
};
bool index_range_take(struct call *call, struct span start, struct span stop,
                      struct index_range *r);

struct ranks ranks_by_index(const struct part *z, const struct index_range *r);
struct ranks ranks_by_score(const struct part *z, const struct score_range *r);

/* All members are taken to have the score of the first. What a range by name means where they have
 * not is left open by Redis too, except that "-" and "+" are the ends. */
struct ranks ranks_by_name(const struct part *z, const struct name_range *r);

/* Takes the members of these ranks away: an emit. */
void zset_take(struct call *call, struct span key, const struct part *z, struct ranks r);

#endif
