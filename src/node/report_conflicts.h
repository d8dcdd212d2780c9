/*
 * report_conflicts -- what concurrent writes left behind, in GET /status and GET /metrics.
 */
#ifndef NODE_REPORT_CONFLICTS_H
#define NODE_REPORT_CONFLICTS_H

#include "base/buffer.h"

struct keyspace_live;
struct node;

/* Keys in which concurrent values, or types, stand side by side. */
uint64_t report_contested_keys(const struct node *n);

/* All conflicts of a keyspace since the start. */
uint64_t report_conflicts_of(const struct keyspace_live *k);

/* Appends the metrics: meridian_conflicts_total and the like. */
void report_conflict_metrics(struct buffer *out, const struct node *n);

#endif
