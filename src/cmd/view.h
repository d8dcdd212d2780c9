/*
 * view -- what readers see of concurrent values: the keyspace's `conflict`.
 *
 *     lww        the value with the largest stamp
 *     siblings   all values, as an array in stamp order, where there are several; else the one
 *     merge      what the keyspace's function makes of them; the lww view when it fails
 *
 * Only reads of whole values ask here (GET, MGET, HGET, HMGET, HGETALL, HVALS and the like): what
 * computes on a value (APPEND, INCR, STRLEN, SORT…) takes the lww view, and so do all other types.
 * Costs nothing where there is one value.
 */
#ifndef CMD_VIEW_H
#define CMD_VIEW_H

#include "cmd/call.h"

/* Replies the value of a string that is there, or of a hash's field. */
void view_reply_string(struct call *call, const struct entry *object);
void view_reply_field(struct call *call, const struct entry *object, const struct entry *field);

#endif
