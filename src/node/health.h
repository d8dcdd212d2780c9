/*
 * health -- what this region may do now: write, speak for its time, take batches.
 *
 * A clock an hour off must be known before the first write, heartbeat or ceiling, not after it: so for
 * up to a second after a start a region only compares clocks. While SKEWED it refuses own writes and
 * lives by the median's time; own writes resume when the clock agrees again. A region whose log
 * failed, or is far behind, takes no batches: what it cannot write down it would have to keep.
 */
#ifndef NODE_HEALTH_H
#define NODE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* At a turn's start, and every sweep: judges the clock and sets server.refusal. */
void health_begin(struct node *n);
void health_judge(struct node *n);

/* After commands, batches, copies: has a read of the checkpoint failed? */
void health_look_for_damage(struct node *n);

/* The replica's time, in milliseconds: our own, or the median's while SKEWED. */
uint64_t health_time_ms(const struct node *n);

/* May make heartbeats and ceilings. */
bool health_speaks(const struct node *n);

/* True while batches of peers can be taken; else intakes are closed, and none is dialled. */
bool health_takes_batches(const struct node *n);

#endif
