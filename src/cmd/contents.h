/*
 * contents -- what readers see of an object, as bytes: what COPY, RENAME, MOVE, DUMP and RESTORE
 * carry.
 *
 * Counters are folded into their values, siblings and hidden types stay behind.
 *
 *     type      u8 component, then
 *     STRING    varint length, bytes
 *     HASH      varint n, n x (field, value)       each with its length before it
 *     SET       varint n, n x member
 *     ZSET      varint n, n x (member, score of eight bytes)
 *     LIST      varint n, n x element, from left to right
 *     HLL       varint n, n x (varint index, u8 value)
 *     STREAM    varint n, n x (id of 16 bytes, fields); then its groups: varint m, m x (name, value)
 */
#ifndef CMD_CONTENTS_H
#define CMD_CONTENTS_H

#include "cmd/call.h"

/* Appends the contents of an object that is there. */
void contents_put(struct buffer *out, const struct entry *e);

/* Whether all of it has the form above: a client may have sent anything. */
bool contents_valid(struct span contents);

/* Writes valid contents to a key, over whatever is there, in the group that runs; deadline_ms 0:
 * none. Groups of a stream only where one region writes. */
void contents_write(struct call *call, uint8_t db, struct span key, struct span contents,
                    uint64_t deadline_ms);

#endif
