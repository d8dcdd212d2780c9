/*
 * config_topology -- the `topology` of a configuration and the `parent`s of its regions: one part
 * of config.c.
 *
 *     topology: ring                              a word, or with what belongs to it:
 *     topology: { kind: star, centre: eu-de }
 */
#ifndef HOST_CONFIG_TOPOLOGY_H
#define HOST_CONFIG_TOPOLOGY_H

#include "host/schema.h"
#include "policy/deployment.h"

/* A schema_read for the topology; `to` is the deployment, whose regions were read before. */
void config_read_topology(struct schema_reader *r, const struct schema_field *f,
                          const struct yamltree *node, void *to);

/* A schema_read for a region's parent: only that it is a name, because the region that it means may
 * stand further down. */
void config_judge_parent(struct schema_reader *r, const struct schema_field *f,
                         const struct yamltree *node, void *to);

/* Finds the regions' parents, when all else of the file was read. */
void config_read_parents(struct schema_reader *r, const struct yamltree *file,
                         struct deployment *d);

#endif
