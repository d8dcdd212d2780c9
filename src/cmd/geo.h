/*
 * geo -- what the geography commands share.
 */
#ifndef CMD_GEO_H
#define CMD_GEO_H

#include "cmd/data.h"
#include "cmd/geohash.h"

/* The place that a score stands for. */
struct place geo_place_of(double score);

/* Longitude and latitude at argv[index]; replies the error and returns false when they are none. */
bool geo_take_place(struct call *call, size_t index, struct place *place);
/* How many metres the unit is; likewise. */
bool geo_take_unit(struct call *call, struct span s, double *metres);

/* The member's score; false when it is not there. `members` may be NULL. */
bool geo_score(const struct table *members, struct span name, double *score);

void geo_reply_place(struct reply *r, struct place place);
void geo_reply_distance(struct reply *r, double distance);

#endif
