/*
 * hll -- hyperloglog: generations of maxima.
 *
 * A maximum has no effects to tell apart, so it is removed as one: maxima belong to a generation,
 * which is named by the stamp of the write that found none. A later write names the generation that
 * it adds to, the newest it saw; where that is gone, a removal took it, and the write with it. Readers
 * see the maximum over all generations.
 * Memory:    a generation of up to HLL_SPARSE_MAX registers is four bytes each; above, one byte for
 *            each of the HLL_REGISTERS.
 * Source:    Flajolet et al. 2007; the registers are Redis's (14 bits of index).
 */
#ifndef CRDT_HLL_H
#define CRDT_HLL_H

#include "crdt/op.h"

enum { HLL_REGISTERS = 1 << 14, HLL_VALUE_MAX = 64 - 14 + 1, HLL_SPARSE_MAX = 1024 };

struct generation {
    stamp_t name;     /* rank of the write that opened it */
    stamp_t newest;   /* rank of the newest write to it */
    uint32_t *sparse; /* [count] index << 8 | value, ascending; NULL once dense */
    uint8_t *dense;   /* [HLL_REGISTERS] */
    uint32_t count;
};

struct hll {
    struct generation *generations; /* ascending by name */
    uint32_t count;
};

bool hll_put_valid(struct span payload);

/* A valid payload: u64 generation (0: opens its own, named by its rank), varint n, n x (varint
 * index, u8 value). */
void hll_put(struct hll *h, stamp_t rank, struct span payload);
/* One generation as bytes (image.h says how), and from them; false when malformed. */
void hll_put_generation(struct buffer *out, const struct generation *g);
bool hll_take_generation(struct hll *h, struct span *in);
void hll_drop(struct hll *h, const struct observer *by);
void hll_release(struct hll *h);

stamp_t hll_newest(const struct hll *h);     /* of all writes; 0 when empty */
stamp_t hll_generation(const struct hll *h); /* the one that a write here adds to; 0 when empty */
/* Raises out[HLL_REGISTERS] to the maxima. */
void hll_maxima(const struct hll *h, uint8_t *out);
size_t hll_bytes(const struct hll *h);

#endif
