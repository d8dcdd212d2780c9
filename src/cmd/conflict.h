/*
 * conflict -- what the files of CONFLICT share: versions found, and told.
 */
#ifndef CMD_CONFLICT_H
#define CMD_CONFLICT_H

#include "cmd/data.h"

/* Three pairs: region, time and stamp. */
void conflict_put_origin(struct call *call, stamp_t stamp);

/* The item of a key's visible component that argv[3] names: a field, a member, an index; NULL when it
 * is not there, or *error says why there are none. */
const struct entry *conflict_find_item(struct call *call, const struct entry *object,
                                       const char **error);

void conflict_versions(struct call *call);

#endif
