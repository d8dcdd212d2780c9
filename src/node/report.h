/*
 * report -- a node described for people and machines: GET /status, GET /metrics, parts of INFO.
 *
 * The JSON of /status and the metric names are documented in docs/operating.md. Lag of an origin is
 * our time minus the time up to which its stream is applied here, in milliseconds; heartbeats keep
 * it small on an idle link.
 */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include "base/buffer.h"
#include "clock/stamp.h"

struct node;

void node_info_persistence(void *node, struct buffer *out);

/* How much of the log is replayed at least, while node.loading. */
double node_loaded_percent(const struct node *n);

/* Why commands that may need memory are refused; NULL: they are not. */
const char *node_memory_refusal(const struct node *n);

/* How many other regions have everything up to an own stamp on their disks. */
uint32_t node_regions_with(void *node, stamp_t stamp);

/* Appends `text` as a JSON string, quotes included. */
void report_json_string(struct buffer *out, const char *text);

#endif
