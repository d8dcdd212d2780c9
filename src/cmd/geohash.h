/*
 * geohash -- places as 52-bit numbers whose order keeps neighbours together.
 *
 * 26 bits of longitude and 26 of latitude, interleaved, over the part of the world that Mercator's
 * projection shows. Scores, distances and cells are Redis's, so that the same places have the same
 * scores.
 * Source:    Niemeyer's geohash (2008); distances by the haversine formula on a sphere.
 */
#ifndef CMD_GEOHASH_H
#define CMD_GEOHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GEOHASH_STEPS = 26,
    GEOHASH_RANGES_MAX = 16, /* nine cells, and those of the world's edge beyond them */
    GEOHASH_TEXT_CHARS = 11,
};

#define GEOHASH_LONGITUDE_MAX 180.0
#define GEOHASH_LATITUDE_MAX  85.05112878

struct place {
    double longitude, latitude; /* degrees */
};

/* A cell's edges. */
struct geohash_area {
    double west, east, south, north;
};

/* What is looked for around a centre, metres: a circle, or with a negative radius a box. */
struct geohash_shape {
    struct place centre;
    double radius_m;
    double width_m, height_m;
};

/* Scores in [from, to). */
struct geohash_range {
    uint64_t from, to;
};

bool geohash_place_valid(struct place p);
uint64_t geohash_encode(struct place p);
struct place geohash_decode(uint64_t bits); /* the cell's centre */
void geohash_text(struct place p, char text[GEOHASH_TEXT_CHARS + 1]);
double geohash_distance_m(struct place a, struct place b);

/* Whether a place is in the shape, and how far from its centre. */
bool geohash_in_shape(const struct geohash_shape *shape, struct place p, double *distance_m);

/* The ranges of scores that hold everything in the shape, the centre's first; returns how many. */
size_t geohash_cover(const struct geohash_shape *shape,
                     struct geohash_range ranges[GEOHASH_RANGES_MAX]);

#endif
