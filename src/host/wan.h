/*
 * wan -- measured round trips between places of the world, from a CSV matrix.
 *
 * Lines that begin with # are comments. The first other line names the columns: region, city,
 * latitude, longitude, timezone, then one region each; every further line is a region and its round
 * trips in milliseconds, an empty cell where nothing was measured. Cells are not quoted. The rows
 * and the columns may come in different orders; a region may have no column, but not a column
 * without a row.
 * Memory:    a wan owns its texts and numbers; wan_release frees them and leaves zeroes.
 */
#ifndef HOST_WAN_H
#define HOST_WAN_H

#include <stdbool.h>

#include "base/buffer.h"

enum {
    WAN_PLACES_MAX = 1024,
    WAN_MAX_BYTES = 16 << 20, /* a full matrix of that many places */
};

struct wan_place {
    char *name;
    char *city;
    char *timezone;
    double latitude;  /* degrees north */
    double longitude; /* degrees east */
};

struct wan {
    struct wan_place *places; /* [count], in the order of the file */
    size_t count;
    double *ms; /* [count * count], from row to column; -1 where unknown */
};

/* True, and *out is given; or false, *out is empty, and `errors` has grown by a line `FILE:LINE:
 * message` for each problem. */
bool wan_load(const char *path, struct wan *out, struct buffer *errors);
bool wan_parse(const char *file, struct span text, struct wan *out, struct buffer *errors);

/* The matrix of data/wan.csv, which is compiled in. */
void wan_builtin(struct wan *out);
void wan_release(struct wan *w);

/* NULL when the matrix has no such place. */
const struct wan_place *wan_place_named(const struct wan *w, const char *name);

/* The round trip between two places in either order: the mean of both directions where they differ,
 * the one that is known where only one is, -1 when neither is. */
double wan_round_trip_ms(const struct wan *w, const char *a, const char *b);

/* Places of the built-in matrix in the order in which a demo world takes them: far apart first. */
enum { WAN_DEMO_PLACES = 10 };
extern const char *const wan_demo_order[WAN_DEMO_PLACES];

#endif
