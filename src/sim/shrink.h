/*
 * shrink -- makes a failing history short: as few faults and commands as still fail in the same
 * way.
 *
 * Delta debugging (Zeller and Hildebrandt 2002, only their complements): parts of a list are left
 * out, large ones first, and whatever still fails for a reason of the same kind is kept. Faults
 * come first, for they cost a reader most; then whole clients, commands, and the size of the world.
 * Owner: shrink_init to shrink_release; the lists in `options` are its own.
 */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/sim.h"

enum { SHRINK_RUNS_MAX = 2000 };

/* Runs a world. False when there is no more time: then shrinking ends with what it has. */
typedef bool (*shrink_attempt_fn)(void *context, const struct sim_options *options,
                                  struct sim_outcome *outcome);

struct shrink {
    struct sim_options options; /* the shortest that failed */
    struct sim_outcome outcome; /* its own */
    uint32_t runs;
    shrink_attempt_fn attempt; /* private, as all below */
    void *context;
    uint32_t tries;
    bool over;
};

/* `failed` is the outcome of `options`. */
void shrink_init(struct shrink *s, const struct sim_options *options,
                 const struct sim_outcome *failed, shrink_attempt_fn attempt, void *context);
void shrink_run(struct shrink *s);
void shrink_release(struct shrink *s);

#endif
