/*
 * health -- what this region may do now: write, speak for its time, take batches.
 *
 * A clock an hour off must be known before the first write, heartbeat or ceiling, not after it: so for
 * up to a second after a start a region only compares clocks. While SKEWED it refuses own writes and
 * lives by the median's time; own writes resume when the clock agrees again. A region whose log
 * failed, or is far behind, takes no batches: what it cannot write down it would have to keep.
 *
 * A cold object that the disk does not give is refused to whoever needs it, and writes to it with it: an
 * own one is not made, a peer's goes to the log and not to the object, which is then lost for this run
 * (crdt/resident.h). All else goes on, but no further checkpoint that would let that log go. One that
 * is given and is damaged says that others may be too: no writes are taken any more.
 */
#ifndef NODE_HEALTH_H
#define NODE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* At a turn's start, and every sweep: judges the clock and sets server.refusal. */
void health_begin(struct node *n);
void health_judge(struct node *n);

/* After commands, batches, ticks: has a read of the checkpoint failed? */
void health_look_for_damage(struct node *n);

/* The replica's time, in milliseconds: our own, or the median's while SKEWED. */
uint64_t health_time_ms(const struct node *n);

/* May make heartbeats and ceilings. */
bool health_speaks(const struct node *n);

/* True while batches of peers can be taken; else intakes are closed, and none is dialled. */
bool health_takes_batches(const struct node *n);

/* False while the owner should read nothing from links: memory, or the log's disk, must come after. */
bool health_has_room_for_batches(const struct node *n);

#endif
