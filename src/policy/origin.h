/*
 * origin -- the streams of writes: one for each region and each fence that it is a member of.
 *
 * What may only lie in some regions travels in streams of its own, which only those regions take: so a
 * stream is complete for whoever has it, and to send some of it elsewhere is not a mistake that could be
 * made. The number of a stream, the origin of its stamps, follows from its region's number and its fence's
 * place in the configuration:
 *
 *     fence 0 (global)    the region's number
 *     fence 1..15         the region's number + 16 x the place of the fence
 *
 * Limits:    at most FENCE_PLACES - 1 fences besides the global one; only regions with numbers up to
 *            FENCED_REGION_MAX may be members of one; no region's number may be that of another's stream.
 *            A fence keeps its place for ever (store/identity.h refuses a file in which it has moved).
 */
#ifndef POLICY_ORIGIN_H
#define POLICY_ORIGIN_H

#include "policy/deployment.h"

enum { FENCE_PLACES = 16, FENCED_REGION_MAX = 15 };

/* The region whose stream this would be, by its number alone, of one of so many fences (the global one
 * counted); 0: nobody's, so it can only be a region's own number. */
uint8_t origin_inner_of(uint8_t origin, size_t fence_count);

/* The origin of what a region writes to a fence; 0: it is no member. */
uint8_t origin_of(const struct deployment *d, uint8_t region_id, uint32_t fence);

/* The fence of an origin; 0 for one that stands nowhere. Closing a region's number closes those of its
 * streams; where both are closed the origin is a stream: what a fence holds must not get out by a list. */
uint32_t origin_fence(const struct deployment *d, uint8_t origin);

/* The number of the region that writes it, be it still there or not. */
uint8_t origin_region(const struct deployment *d, uint8_t origin);

/* Origins that a region may not hold, as a bitmap: those of fences that it is no member of. */
void origin_foreign(const struct deployment *d, uint8_t region_id, uint64_t foreign[4]);

/* Origins that somebody writes and that a region may hold; returns how many. */
size_t origin_writers(const struct deployment *d, uint8_t region_id, uint8_t writers[256]);

#endif
