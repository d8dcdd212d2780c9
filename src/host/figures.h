/*
 * figures -- what this process uses: memory and processor time, for INFO, status, and the memory limit.
 *
 * The kernel's figures cost a system call; what the allocator gave to a thread and took from it is two
 * counters in that thread. So where memory is limited the first are read every few milliseconds, and the
 * second every turn: in between, memory grows by no more than what was allocated.
 * Threads: the loop's.
 */
#ifndef HOST_FIGURES_H
#define HOST_FIGURES_H

#include "cmd/server.h"

/* Reading all of them costs some tens of microseconds: a region that is asked often answers with
 * figures this old. */
enum { FIGURES_AGE_US = 100 * 1000 };

struct figures {
    int statm; /* /proc/self/statm; -1: cannot be opened */
    const uint64_t *allocated,
        *freed;                      /* bytes, of this thread; NULL: another allocator is linked */
    uint64_t sampled_us, counted_us; /* statm, and all that is allocated */
    uint64_t held_bytes;             /* allocated less freed, when that was counted */
    bool tuned;
};

void figures_open(struct figures *f);
void figures_close(struct figures *f);

/* Fills in the memory and processor figures of `p`; the rest stays. */
void figures_read(struct figures *f, struct process *p, uint64_t now_us);

/* Only what the memory limit goes by. From the first call on the allocator gives back soon what is not
 * used. */
void figures_sample(struct figures *f, struct process *p, uint64_t now_us);

/* Gives all that is not used back to the kernel, and takes the figures anew. */
void figures_purge(struct figures *f, struct process *p, uint64_t now_us);

#endif
