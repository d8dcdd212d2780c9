/*
 * attempt -- runs a simulated world in a process of its own, so that a failed CHECK, a crash, or a
 * loop without end is an outcome like any other: the caller lives on.
 *
 * What the process wrote to standard error last becomes the reason. The outcome's counts are kept
 * up while it runs, so they are good whatever became of it.
 */
#ifndef SIM_ATTEMPT_H
#define SIM_ATTEMPT_H

#include "sim/sim.h"

/* Computing time after which a world is taken to hang: the largest need a second or two, some tens
 * under the sanitizers. */
enum { ATTEMPT_CPU_S = 100 };

void sim_attempt(const struct sim_options *options, struct sim_outcome *outcome);

#endif
