/*
 * runs -- which run of each region was met last, and whether this one may still write.
 *
 * A data directory counts its runs (the instance), and every run has a random number beside. A
 * HELLO tells both, and what its sender knows of the other end. So one learns of oneself:
 *
 *     a later instance is known               the directory was restored from an old copy
 *     this instance, with another number      it was cloned, or restored from the copy before
 *     ops of ours past our log are there      it was restored, or lost its log
 *     our stream disagrees with what is there it was cloned or restored, and wrote since
 *
 * Each of these is amnesia: what is written under our number from now on could contradict what
 * others hold. Own writes end for good, which the directory remembers; reads and all else go on.
 * A region whose log was damaged (store/marker.h, tail_of) may be amnesiac without anybody having
 * said so yet. It makes no own write and no heartbeat before every other region has told what it
 * holds of it; after that it is amnesiac, or as good as any.
 * And of a peer: an instance with two numbers is a clone, and the one that comes later is refused.
 */
#ifndef NODE_RUNS_H
#define NODE_RUNS_H

#include "store/identity.h"

struct node;
struct peer;

/* Takes what earlier runs knew. After the replica's init. */
void runs_init(struct node *n);

/* A run of a region was heard of; its number is 0 where others told of it. */
void runs_meet(struct node *n, uint8_t region, uint64_t instance, uint64_t run);

/* The latest that we have heard of: from itself, from others, or in its stream. */
struct identity_run runs_latest(const struct node *n, uint8_t region);

/* Whether it was met before as another process. */
bool runs_is_clone(const struct node *n, uint8_t region, uint64_t instance, uint64_t run);

/* What the peer holds of our own writes was compared with what we have. */
void runs_compared(struct node *n, struct peer *peer);

/* Ends own writes for good; `what` was learned from that peer ("unknown" when nobody can tell). */
void runs_lose(struct node *n, const char *peer, const char *what);

#endif
