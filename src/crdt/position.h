/*
 * position -- where an element of a list stands: bytes whose order is the list's.
 *
 * A position is a sequence of levels (k, run, u, j), compared level by level, a prefix first. k:
 * signed; run: stamp of the run's first push; u: the pushing op's stamp, negated in a run that grows
 * left; j: index within the command, negated likewise. Positions are unique for ever, runs of
 * different regions never interleave, and pushes at the ends stay at one level. Encoded so that
 * memcmp is the order:
 *
 *     k signed varint 1-9 | run u64 big-endian | u u64 big-endian, sign flipped | j signed varint 1-9
 *
 * A signed varint that keeps the order: -56…55 is one byte 0x80 + v; above, 0xb8 + bytes - 1 and
 * v - 56 big-endian; below, 0x47 - (bytes - 1) and the complement of -57 - v.
 * Source:  after Logoot (Weiss et al. 2009) and LSEQ, with runs named as in Fugue (Weidner et al.
 *          2023); see docs/design/types.md.
 */
#ifndef CRDT_POSITION_H
#define CRDT_POSITION_H

#include "base/buffer.h"
#include "clock/stamp.h"

enum {
    POSITION_BYTES_MAX = 1 << 14,                  /* some 900 levels */
    POSITION_DEEP_BYTES = POSITION_BYTES_MAX - 64, /* no place is made between longer ones */
};

/* The place of one command's elements: everything but the last level's index. */
struct position_place {
    struct buffer parent; /* encoded levels above the last */
    int64_t k;
    stamp_t run, op;
    bool right; /* the run grows right */
};

/* A place strictly between two neighbours (empty span: the end of the list), for elements pushed by
 * the op `op`, growing right (RPUSH, LINSERT AFTER) or left. False when there is none: both are as
 * long as positions may be, or somebody made one that no push would have. Released either way. */
bool position_between(struct position_place *place, struct span before, struct span after,
                      stamp_t op, bool right);

void position_release(struct position_place *place);

/* No position of the place takes more. */
size_t position_bytes_max(const struct position_place *place);

/* Appends the encoded position of the command's element `index`. */
void position_put(struct buffer *out, const struct position_place *place, uint64_t index);

bool position_valid(struct span position);

#endif
