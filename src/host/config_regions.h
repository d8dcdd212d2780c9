/*
 * config_regions -- the `regions` of a configuration, and the numbers that regions gave up
 * (`closed`): one part of config.c.
 */
#ifndef HOST_CONFIG_REGIONS_H
#define HOST_CONFIG_REGIONS_H

#include "host/schema.h"
#include "policy/deployment.h"

/* A schema_read for the list of regions; `to` is the deployment. */
void config_read_regions(struct schema_reader *r, const struct schema_field *f,
                         const struct yamltree *node, void *to);

/* The same for the list of closed numbers; the regions were read before. */
void config_read_closed(struct schema_reader *r, const struct schema_field *f,
                        const struct yamltree *node, void *to);

/* The region of that name; NULL, and a problem that suggests one, when there is none. */
const struct region *config_find_region(struct schema_reader *r, const struct deployment *d,
                                        int line, const char *name);

#endif
