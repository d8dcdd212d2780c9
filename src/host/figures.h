/*
 * figures -- what this process uses: memory and processor time, for INFO and status.
 */
#ifndef HOST_FIGURES_H
#define HOST_FIGURES_H

#include "cmd/server.h"

/* Reading them costs some tens of microseconds: a region that is asked often answers with
 * figures this old. */
enum { FIGURES_AGE_US = 100 * 1000 };

/* Fills in the memory and processor figures of `p`; the rest stays. */
void figures_read(struct process *p);

#endif
