/*
 * sim -- runs a simulated world from its seed (sim/world.h) and says whether it held.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/selection.h"

enum {
    SIM_REGIONS_MAX = 12,
    SIM_CLIENTS_MAX = 4, /* of one region */
    SIM_ROWS_MAX = SIM_REGIONS_MAX + 2,
};

struct sim_options {
    uint64_t seed;
    uint32_t regions, steps, clients; /* 0: the seed's choice */
    uint32_t noise;                   /* not 0: other delays of network, disks and clients */
    struct selection only;            /* what happens of all that the seed would do (borrowed) */
    FILE *trace;                      /* what happens, for people; NULL: nothing is printed */
    bool details;                     /* the trace says everything: bytes, connections, syncs */
};

struct sim_outcome {
    bool held;
    char reason[600];
    char kind[120];      /* of the reason, without what differs from world to world */
    uint64_t trace_hash; /* of every event: the same seed gives the same */
    uint64_t events, commands, crashes, simulated_us;

    /* How far it came: what a selection can choose from. */
    uint32_t regions, clients, steps, faults;
    /* commands of each client, and steps of each traveller and caller, who stand behind the last region */
    uint32_t drawn[SIM_ROWS_MAX][SIM_CLIENTS_MAX];
};

void sim_run(const struct sim_options *options, struct sim_outcome *outcome);

#endif
