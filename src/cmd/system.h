/*
 * system -- what regions tell each other about a keyspace beside its data: settings changed while it runs,
 * and erasures.
 *
 * One hash for each keyspace, with the keyspace's prefix for a name, in a database that no client can
 * select: replicated, kept and copied to new regions like any other object, and within the keyspace's
 * fence, since its name lies there. Commands that work on all databases leave it alone.
 *
 *     set:<field>     a value of KEYSPACE SET (cmd/keyspace_setting.h)
 *     erase:…         cmd/erasure.h
 *
 * What is written is seen at once; `changed` of the database says that something came, ours or another
 * region's.
 */
#ifndef CMD_SYSTEM_H
#define CMD_SYSTEM_H

#include "cmd/server.h"

/* Its fields; NULL: it has none, or this region may not hold the keyspace. Good until the next op. */
const struct table *system_fields(const struct server *server, const struct keyspace_live *k);

/* Whether the disk gives all of it that is not in memory: else it would look as if nothing had been set. */
bool system_is_read(const struct server *server);

/* False when there is no such field. `scratch` has CELL_SCRATCH_BYTES. */
bool system_get(const struct server *server, const struct keyspace_live *k, struct span field,
                char *scratch, struct span *value);

/* Within the group that runs, whose fence it sets: before the group's first op, or among others of the same
 * keyspace. Only where the keyspace is held. */
void system_put(struct server *server, const struct keyspace_live *k, struct span field,
                struct span value);
void system_take(struct server *server, const struct keyspace_live *k, struct span field);

/* Whether this region may hold the keyspace. */
bool system_holds(const struct server *server, const struct keyspace_live *k);

#endif
