/*
 * quiet -- a world without chaos, which goes on only as far as somebody lets it: what cases_test.c
 * plays its cases in.
 *
 * The regions are those of every simulated world, with the delays of a seed, but nothing happens
 * by itself. Whoever moves it sends commands, cuts links, restarts regions, and lets time pass. A
 * failure of the world (world.failed) ends all waiting.
 */
#ifndef SIM_QUIET_H
#define SIM_QUIET_H

#include "sim/world.h"

enum { QUIET_REGIONS = 3 };

struct quiet_options {
    uint64_t seed;
    bool clocks_right;               /* else they are off by as much as clocks may be */
    int64_t clock_us[QUIET_REGIONS]; /* by so much they are off besides; max_skew is a minute */
    bool everysec;                   /* else the seed chooses log.fsync */
};

struct quiet {
    struct sim_world world;
    struct sim_outcome outcome;
    struct sim_client **clients; /* [count] */
    size_t count;
    struct prng prng;
};

/* All regions are up, and linked. There are keyspaces "closed:" and "siblings:". */
void quiet_open(struct quiet *q, const struct quiet_options *options);
void quiet_close(struct quiet *q);

void quiet_run_for(struct quiet *q, uint64_t us);

/* A client connects when it first sends. It lives as long as the world; a crash of its region takes
 * its session and what it was waiting for. */
struct sim_client *quiet_client(struct quiet *q, uint32_t region);
void quiet_send(struct quiet *q, struct sim_client *c, struct span resp);
struct span quiet_reply(const struct sim_client *c); /* the first whole one, or nothing */
struct span quiet_await(struct quiet *q,
                        struct sim_client *c);             /* lets time pass until there is one */
void quiet_taken(struct sim_client *c, struct span reply); /* drops it */
void quiet_hang_up(struct quiet *q, struct sim_client *c);

void quiet_cut(struct quiet *q);    /* every link */
void quiet_heal(struct quiet *q);   /* every link */
void quiet_settle(struct quiet *q); /* until everybody has everything */

void quiet_await_durable(struct quiet *q, uint32_t region); /* all that it has */
void quiet_crash(struct quiet *q,
                 uint32_t region); /* loses its power or is killed, as the seed says */
void quiet_start(struct quiet *q, uint32_t region);

#endif
