/*
 * view -- what readers see of concurrent values: the keyspace's `conflict`.
 *
 *     lww        the value with the largest stamp
 *     siblings   all values, as an array in stamp order, where there are several; else the one
 *     merge      what the keyspace's function makes of them; the lww view when it fails
 *
 * Only what answers whole values asks here: GET MGET GETEX GETDEL GETSET, SET with GET, HGET HMGET
 * HGETALL HVALS. What computes on a value (APPEND, INCR, STRLEN, SORT…) takes the lww view, and so do
 * all other types and HSCAN and HRANDFIELD, whose replies have a place for one value only.
 * Increments count on top of whichever value is shown, where that is a number.
 * Costs nothing where there is one value. The functions of one command have a budget together
 * (docs/merge.md): what is left when it is used up is seen by lww.
 */
#ifndef CMD_VIEW_H
#define CMD_VIEW_H

#include "cmd/call.h"

/* Replies the value of a string that is there, or of a hash's field. */
void view_reply_string(struct call *call, const struct entry *object);
void view_reply_field(struct call *call, struct span key, const struct entry *field);

#endif
