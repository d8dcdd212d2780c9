/*
 * fence -- which regions may hold a command's keys, and so whether it may run here.
 *
 * A command, and a group, has keys of one fence: their effects are one batch of one stream
 * (policy/origin.h). One that spans two is refused CROSSSLOT; one that would carry what a fence
 * holds into another, FENCED; and so is one whose keys this region may not hold, or the region whose
 * client asks may not have.
 */
#ifndef CMD_FENCE_H
#define CMD_FENCE_H

#include "cmd/call.h"

/* The place of a key's fence. */
uint32_t fence_of_key(const struct server *server, struct span key);

/* Whether who asks may have what a keyspace holds: a client of a member of its fence, or of any region
 * where it lets that (outside: forward). */
bool fence_shows(const struct server *server, const struct session *session,
                 const struct keyspace *k);

/* Replies FENCED, and who holds such keys. */
void fence_refuse(struct call *call, uint32_t fence);

/* Finds call->fence. False when an error was replied. */
bool fence_admits(struct call *call);

/* Whether each key that a pattern of SORT may name, with anything for its star, lies in the fence of the
 * sorted key, is written where that is, and may be shown. False: CROSSSLOT or FENCED was replied. */
bool fence_admits_pattern(struct call *call, struct span sorted, struct span pattern);

/* What is emitted from here on goes to the key's fence; as a group of its own where it is another than that
 * of what was emitted before. Only outside MULTI, and where the key is held here. */
void fence_follow(struct call *call, struct span key);

#endif
