/*
 * link_info -- what the links of a node look like from outside: LINK, REGION, and their lines in
 * INFO.
 *
 *     LINK LIST    array of maps: region, state (up, down, cut), address, rtt_ms, lag_ms, bytes_in,
 *                  bytes_out, batch_bytes_in, batch_bytes_out, takes, compression, slow_ms, problem;
 *                  what is not known is left out
 *     REGION LIST  array of maps: region, id, self, state, city, lag_ms
 *     REGION SELF  the name of this region
 *     REGION LAG   map of region -> milliseconds; with a name the number alone; null: nothing heard
 *
 * A link is up when both connections stand. The lag of a region is the age of what we have of it:
 * our time minus the stamp, made of writes and heartbeats alike.
 */
#ifndef NODE_LINK_INFO_H
#define NODE_LINK_INFO_H

#include "base/buffer.h"
#include "clock/stamp.h"

struct node;
struct peer;
struct call;

/* The state of a peer's links: "up", "down" or "cut". */
const char *link_info_state(const struct peer *peer);

/* Why it is not up, in words; "" when it is. */
const char *link_info_problem(const struct peer *peer);

/* Bytes of all connections with that region since the start. */
uint64_t link_info_bytes_in(const struct peer *peer);
uint64_t link_info_bytes_out(const struct peer *peer);

/* Of these, the messages with batches of writes. */
uint64_t link_info_batch_bytes_in(const struct peer *peer);
uint64_t link_info_batch_bytes_out(const struct peer *peer);

/* The streams that are taken at a peer, one by one: *o is 0 at first; false at the end. Each has a
 * name: its region's, with ':' and the fence unless it is of the global one. */
enum { LINK_INFO_STREAM_MAX = 140 };
bool link_info_next_taken(const struct node *n, const struct peer *peer, uint32_t *o,
                          char name[LINK_INFO_STREAM_MAX]);

/* False when nothing was ever heard of that region. */
bool link_info_lag_ms(const struct node *n, const struct peer *peer, uint64_t *lag_ms);
bool link_info_rtt_us(const struct node *n, const struct peer *peer, int64_t *offset_us,
                      uint64_t *rtt_us);

/* For struct server_hooks. */
void node_link_command(void *node, struct call *call);
void node_region_command(void *node, struct call *call);
void node_info_replication(void *node, struct buffer *out);

#endif
