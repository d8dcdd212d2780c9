/*
 * world -- the regions of a demo as child processes: their files, their start, their end.
 *
 *     DIR/world.yaml      the configuration, unless one was given
 *     DIR/wan.csv         the round trips, from the matrix that is compiled in
 *     DIR/REGION/         the region's data
 *     DIR/REGION.log      its standard error
 *
 * Every region is this program again (/proc/self/exe), in a process group of its own, so that
 * Ctrl-C reaches only the parent, which then stops them; one whose parent dies gets SIGTERM from
 * the kernel.
 */
#ifndef BIN_WORLD_H
#define BIN_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/deployment.h"

enum {
    WORLD_PATH_MAX = 4096,
    WORLD_LINE_MAX = 512,
    WORLD_PORT_MAX = 65535 - 2000 - REGION_ID_MAX, /* of the first region's clients */
};

struct world_region {
    const struct region *region;
    pid_t pid; /* 0: ended */
    bool ready;
    off_t log_start; /* of REGION.log when it was started */
};

struct world {
    char dir[WORLD_PATH_MAX];
    bool temporary; /* removed at the end */
    char config_file[WORLD_PATH_MAX];
    bool wan;
    uint16_t port; /* of the first region's clients; 0: as configured */
    struct deployment deployment;
    struct world_region *regions; /* [count] */
    size_t count;
};

/* The directory, or a new temporary one when `dir` is NULL. What returns false has said why, by one
 * line on standard error. */
bool world_open(struct world *w, const char *dir);

/* Writes the configuration of the first `count` demo regions with client ports from `port` on. */
bool world_invent(struct world *w, size_t count, uint16_t port);

/* Reads the configuration (world_invent's, or the user's), and writes the matrix. With a port the user's
 * regions are placed on this machine. */
bool world_load(struct world *w, const char *config_file, bool wan, uint16_t port);

/* Clients' ports count up from this one; other regions reach a region 1000 above, HTTP is 2000 above. */
void world_place(struct deployment *d, uint16_t port);

bool world_start(struct world *w);

/* The next region that became ready, or ended, since the last call; NULL when there is none. */
struct world_region *world_next_ready(struct world *w);
struct world_region *world_next_ended(struct world *w, int *wait_status);

/* The last line of the region's log, without its line end. */
void world_last_line(const struct world *w, const struct world_region *r,
                     char line[WORLD_LINE_MAX]);

/* SIGTERM for all, SIGKILL for those that are left after five seconds. */
void world_stop(struct world *w);

/* After world_stop: forgets all, and removes a temporary directory. */
void world_close(struct world *w);

#endif
