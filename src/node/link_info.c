#include "node/link_info.h"

#include <stdio.h>

#include "cmd/call.h"
#include "node/faults.h"
#include "node/node.h"
#include "policy/origin.h"

/* --- figures --- */

static bool is_up(const struct link *l)
{
    return l != NULL && l->ready;
}

const char *link_info_state(const struct peer *peer)
{
    if (peer->cut)
        return "cut";
    return is_up(peer->intake) && is_up(peer->feed) ? "up" : "down";
}

bool link_info_lag_ms(const struct node *n, const struct peer *peer, uint64_t *lag_ms)
{
    stamp_t heard = vector_get(&n->replica.applied, peer->region->id);
    uint64_t now_ms = n->now_us / 1000;
    if (heard == 0)
        return false;
    *lag_ms = stamp_ms(heard) < now_ms ? now_ms - stamp_ms(heard) : 0;
    return true;
}

bool link_info_rtt_us(const struct node *n, const struct peer *peer, int64_t *offset_us,
                      uint64_t *rtt_us)
{
    return skew_peer_offset(&n->skew, (uint32_t)(peer - n->peers), offset_us, rtt_us);
}

uint64_t link_info_bytes_in(const struct peer *peer)
{
    return peer->bytes_in + (peer->intake ? peer->intake->bytes_in : 0) +
           (peer->feed ? peer->feed->bytes_in : 0);
}

uint64_t link_info_bytes_out(const struct peer *peer)
{
    return peer->bytes_out + (peer->intake ? peer->intake->bytes_out : 0) +
           (peer->feed ? peer->feed->bytes_out : 0);
}

uint64_t link_info_batch_bytes_in(const struct peer *peer)
{
    return peer->batch_bytes_in + (peer->intake ? peer->intake->batch_bytes : 0);
}

uint64_t link_info_batch_bytes_out(const struct peer *peer)
{
    return peer->batch_bytes_out + (peer->feed ? peer->feed->batch_bytes : 0);
}

bool link_info_next_taken(const struct node *n, const struct peer *peer, uint32_t *o,
                          char name[LINK_INFO_STREAM_MAX])
{
    const struct link *l = peer->intake;
    uint64_t taken[4];
    if (!is_up(l))
        return false;
    for (int i = 0; i < 4; i++)
        taken[i] = l->origins[i] & ~l->paused[i];
    if (!bits_next(taken, STAMP_ORIGINS, o))
        return false;
    const struct region *owner = node_writer_of(n, (uint8_t)*o);
    uint32_t fence = n->fence_of[*o];
    if (owner == NULL)
        snprintf(name, LINK_INFO_STREAM_MAX, "%u%s%s",
                 origin_region(n->options.deployment, (uint8_t)*o), fence != 0 ? ":" : "",
                 fence != 0 ? n->options.deployment->fences[fence].name : "");
    else
        snprintf(name, LINK_INFO_STREAM_MAX, "%s%s%s", owner->name, fence != 0 ? ":" : "",
                 fence != 0 ? n->options.deployment->fences[fence].name : "");
    ++*o;
    return true;
}

const char *link_info_problem(const struct peer *peer)
{
    if (peer->cut)
        return "cut by LINK CUT";
    if (peer->problem[0] != '\0' && !is_up(peer->intake))
        return peer->problem;
    if (!is_up(peer->intake))
        return "not connected yet";
    return is_up(peer->feed) ? peer->differs : "the peer has not dialled this region";
}

/* --- LINK LIST --- */

static void put_text(struct reply *r, const char *name, const char *value)
{
    reply_bulk_text(r, name);
    reply_bulk_text(r, value);
}

static void put_int(struct reply *r, const char *name, uint64_t value)
{
    reply_bulk_text(r, name);
    reply_int(r, (int64_t)value);
}

static void put_double(struct reply *r, const char *name, double value)
{
    reply_bulk_text(r, name);
    reply_double(r, value);
}

static double tenths(uint64_t us)
{
    return (double)((us + 50) / 100) / 10; /* milliseconds with one digit */
}

static double hundredths(double ratio)
{
    return (double)(uint64_t)(ratio * 100 + 0.5) / 100;
}

static void put_takes(const struct node *n, struct reply *r, const struct peer *peer)
{
    char name[LINK_INFO_STREAM_MAX];
    uint64_t count = 0;
    reply_bulk_text(r, "takes");
    size_t place = reply_later(r);
    for (uint32_t o = 0; link_info_next_taken(n, peer, &o, name); count++)
        reply_bulk_text(r, name);
    reply_later_set(r, place, '*', count);
}

static void put_link(const struct node *n, struct reply *r, const struct peer *peer)
{
    uint64_t pairs = 8, rtt_us, lag_ms;
    int64_t offset_us;
    size_t place = reply_later(r);
    put_text(r, "region", peer->region->name);
    put_text(r, "state", link_info_state(peer));
    put_int(r, "bytes_in", link_info_bytes_in(peer));
    put_int(r, "bytes_out", link_info_bytes_out(peer));
    put_int(r, "batch_bytes_in", link_info_batch_bytes_in(peer));
    put_int(r, "batch_bytes_out", link_info_batch_bytes_out(peer));
    put_takes(n, r, peer);
    put_int(r, "slow_ms", peer->slow_ms);
    if (peer->intake != NULL && ++pairs)
        put_text(r, "address", peer->intake->address);
    if (link_info_rtt_us(n, peer, &offset_us, &rtt_us) && ++pairs)
        put_double(r, "rtt_ms", tenths(rtt_us));
    if (link_info_lag_ms(n, peer, &lag_ms) && ++pairs)
        put_int(r, "lag_ms", lag_ms);
    if (peer->feed != NULL && peer->feed->frame_bytes_out > 0 && ++pairs)
        put_double(
            r, "compression",
            hundredths((double)peer->feed->raw_bytes_out / (double)peer->feed->frame_bytes_out));
    if (link_info_problem(peer)[0] != '\0' && ++pairs)
        put_text(r, "problem", link_info_problem(peer));
    reply_later_set(r, place, '%', pairs);
}

void node_link_command(void *node, struct call *call)
{
    struct node *n = node;
    if (!call_is(call, 1, "LIST")) {
        faults_command(n, call);
        return;
    }
    reply_array(call->reply, n->peer_count);
    for (size_t i = 0; i < n->peer_count; i++)
        put_link(n, call->reply, &n->peers[i]);
}

/* --- REGION --- */

static void put_region(const struct node *n, struct reply *r, const struct region *region)
{
    const struct peer *peer = node_peer_with(n, region->id);
    uint64_t pairs = 4, lag_ms;
    size_t place = reply_later(r);
    put_text(r, "region", region->name);
    put_int(r, "id", region->id);
    put_text(r, "self", peer == NULL ? "yes" : "no");
    put_text(r, "state", peer == NULL ? "up" : link_info_state(peer));
    if (region->city != NULL && region->city[0] != '\0' && ++pairs)
        put_text(r, "city", region->city);
    if (peer != NULL && link_info_lag_ms(n, peer, &lag_ms) && ++pairs)
        put_int(r, "lag_ms", lag_ms);
    reply_later_set(r, place, '%', pairs);
}

static void region_list(const struct node *n, struct reply *r)
{
    const struct deployment *d = n->options.deployment;
    reply_array(r, d->region_count);
    for (size_t i = 0; i < d->region_count; i++)
        put_region(n, r, &d->regions[i]);
}

static void put_lag(const struct node *n, struct reply *r, const struct peer *peer)
{
    uint64_t lag_ms;
    if (link_info_lag_ms(n, peer, &lag_ms))
        reply_int(r, (int64_t)lag_ms);
    else
        reply_null(r);
}

static void region_lag_of(struct node *n, struct call *call, struct span name)
{
    const struct peer *peer = node_peer(n, name);
    if (peer != NULL)
        put_lag(n, call->reply, peer);
    else if (span_equal(name, span_str(n->options.self->name)))
        reply_int(call->reply, 0);
    else
        reply_errorf(call->reply, "ERR no region named '%.*s'", name.len > 63 ? 63 : (int)name.len,
                     (const char *)name.at);
}

static void region_lag(const struct node *n, struct reply *r)
{
    reply_map(r, n->peer_count);
    for (size_t i = 0; i < n->peer_count; i++) {
        reply_bulk_text(r, n->peers[i].region->name);
        put_lag(n, r, &n->peers[i]);
    }
}

void node_region_command(void *node, struct call *call)
{
    struct node *n = node;
    if (call_is(call, 1, "LIST"))
        region_list(n, call->reply);
    else if (call_is(call, 1, "SELF"))
        reply_bulk_text(call->reply, n->options.self->name);
    else if (call->argc == 3)
        region_lag_of(n, call, call->argv[2]);
    else
        region_lag(n, call->reply);
}

/* --- INFO --- */

static void put_peer_line(const struct node *n, struct buffer *out, size_t index)
{
    const struct peer *peer = &n->peers[index];
    uint64_t lag_ms, rtt_us;
    int64_t offset_us;
    buffer_printf(out, "peer%zu:region=%s,intake=%s,feed=%s", index, peer->region->name,
                  peer->cut             ? "cut"
                  : is_up(peer->intake) ? "up"
                                        : "down",
                  peer->cut           ? "cut"
                  : is_up(peer->feed) ? "up"
                                      : "down");
    if (link_info_lag_ms(n, peer, &lag_ms))
        buffer_printf(out, ",lag_ms=%llu", (unsigned long long)lag_ms);
    if (link_info_rtt_us(n, peer, &offset_us, &rtt_us))
        buffer_printf(out, ",rtt_ms=%.1f,offset_ms=%.1f", (double)rtt_us / 1000,
                      (double)offset_us / 1000);
    buffer_printf(out, "\r\n");
}

void node_info_replication(void *node, struct buffer *out)
{
    const struct node *n = node;
    buffer_printf(
        out, "region:%s\r\nregion_id:%u\r\nrun:%llu\r\nconnected_peers:", n->options.self->name,
        n->options.self->id, (unsigned long long)n->options.instance);
    size_t up = 0;
    for (size_t i = 0; i < n->peer_count; i++)
        up += is_up(n->peers[i].intake) && is_up(n->peers[i].feed);
    buffer_printf(out, "%zu\r\n", up);
    for (size_t i = 0; i < n->peer_count; i++)
        put_peer_line(n, out, i);
}
