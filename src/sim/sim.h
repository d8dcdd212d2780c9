/*
 * sim -- runs a simulated world from its seed (sim/world.h) and says whether it held.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SIM_REGIONS_MAX = 6 };

struct sim_options {
    uint64_t seed;
    uint32_t regions, steps; /* 0: the seed's choice */
    FILE *trace;             /* a line for every event; NULL: none */
};

struct sim_outcome {
    bool held;
    char reason[600];
    uint64_t trace_hash; /* of every event: the same seed gives the same */
    uint64_t events, commands, crashes, simulated_us;
};

void sim_run(const struct sim_options *options, struct sim_outcome *outcome);

#endif
