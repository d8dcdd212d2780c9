/*
 * effects -- how the oracle's two halves know an op's effects: what lasts (oracle.c), and whether a
 * replica holds it (oracle_compare.c).
 */
#ifndef SIM_EFFECTS_H
#define SIM_EFFECTS_H

#include "sim/oracle.h"

struct oracle_op {
    struct op op;                 /* spans into the logs */
    stamp_t seen[ORACLE_ORIGINS]; /* of every origin, its own up to itself */
};

enum effect_kind {
    EFFECT_VALUE,
    EFFECT_INCREMENT,
    EFFECT_TIME,
    EFFECT_GENERATION, /* opened, with the first maxima */
    EFFECT_MAXIMA,     /* added to one that was seen */
};

struct oracle_effect {
    const struct oracle_op *by;
    enum effect_kind kind;
    struct span field; /* the item's name */
    struct span value; /* of maxima: the registers, encoded */
    stamp_t generation;
    struct amount amount;
    uint64_t at_ms; /* EFFECT_TIME; 0: none */
    bool lasts;
};

/* Whether the writer of `by` had seen `other`. */
static inline bool oracle_saw(const struct oracle_op *by, const struct oracle_op *other)
{
    stamp_t stamp = other->op.stamp;
    return stamp <= by->seen[stamp_origin(stamp)];
}

/* Whether the positions that a push or a write to a list names are its own to make, or were seen. */
bool oracle_positions_good(const struct oracle_op *by);

/* "r2 674+2 on key s0", and "on key 2/left" in database 2, as the trace has them. */
enum { ORACLE_TEXT_BYTES = 120 };
const char *oracle_op_text(const struct op *op, char text[ORACLE_TEXT_BYTES]);

/* Ops of one key compare equal. */
int oracle_compare_keys(const struct op *a, const struct op *b);

#endif
