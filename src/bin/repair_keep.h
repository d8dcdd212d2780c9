/*
 * repair_keep -- tells a region that its checkpoint is good, and that its log goes on there.
 *
 * By a note beside its objects: with a marker of the same instance, which says whose log has lost its
 * end, the region takes nothing from others but what they hold of its own (node/bootstrap_kept.c).
 */
#ifndef BIN_REPAIR_KEEP_H
#define BIN_REPAIR_KEEP_H

#include "bin/files.h"
#include "store/marker.h"

/* Durable on return. Without the marker nothing comes of it. */
bool repair_keep(const char *data, const struct marker *marker, char *problem);

#endif
