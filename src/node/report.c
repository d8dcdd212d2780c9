#include "node/report.h"

#include <inttypes.h>

#include "base/bits.h"
#include "node/link_info.h"
#include "node/node.h"
#include "node/report_conflicts.h"
#include "node/report_promises.h"
#include "policy/origin.h"

static uint64_t key_count(const struct node *n)
{
    uint64_t keys = 0;
    for (int i = 0; i < USER_DATABASES; i++)
        keys += database_size(&n->replica.databases[i]);
    return keys;
}

static uint64_t deadline_count(const struct node *n)
{
    uint64_t keys = 0;
    for (int i = 0; i < USER_DATABASES; i++)
        keys += database_with_deadline(&n->replica.databases[i]);
    return keys;
}

double node_loaded_percent(const struct node *n)
{
    if (n->loading_total_bytes == 0)
        return 0;
    return 100.0 * (double)n->loading_done_bytes / (double)n->loading_total_bytes;
}

static uint64_t uptime_s(const struct node *n)
{
    return n->start_us == 0 ? 0 : (n->now_us - n->start_us) / 1000000;
}

const char *node_memory_refusal(const struct node *n)
{
    return n->server.out_of_memory ? "memory: the limit is reached and nothing can leave, commands "
                                     "that may need more are refused"
                                   : NULL;
}

static const char *serving(const struct node *n)
{
    if (n->loading)
        return n->loading_text;
    if (n->server.refusal)
        return n->server.refusal;
    const char *why = replica_write_refusal(&n->replica);
    return why ? why : node_memory_refusal(n);
}

/* --- JSON --- */

void report_json_string(struct buffer *out, const char *text)
{
    buffer_put_u8(out, '"');
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_printf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            buffer_printf(out, "\\u%04x", (unsigned)*c);
        else
            buffer_put_u8(out, (uint8_t)*c);
    }
    buffer_put_u8(out, '"');
}

static void member(struct buffer *out, const char *name, const char *text)
{
    report_json_string(out, name);
    buffer_put_u8(out, ':');
    report_json_string(out, text);
    buffer_put_u8(out, ',');
}

static void number(struct buffer *out, const char *name, uint64_t value)
{
    report_json_string(out, name);
    buffer_printf(out, ":%" PRIu64 ",", value);
}

/* Ends an object or array: the comma after its last member goes. */
static void end(struct buffer *out, const char *bracket)
{
    if (out->at[out->len - 1] == ',')
        out->len--;
    buffer_put_text(out, bracket);
}

static void json_regions(struct buffer *out, const struct node *n)
{
    const struct deployment *d = n->options.deployment;
    buffer_put_text(out, "\"regions\":[");
    for (size_t i = 0; i < d->region_count; i++) {
        const struct region *region = &d->regions[i];
        buffer_put_u8(out, '{');
        member(out, "name", region->name);
        number(out, "id", region->id);
        member(out, "city", region->city ? region->city : "");
        if (region->located)
            buffer_printf(out, "\"location\":[%.2f,%.2f],", region->latitude, region->longitude);
        end(out, "},");
    }
    end(out, "],");
}

static void json_lag(struct buffer *out, const struct node *n, const struct peer *p)
{
    uint64_t lag_ms;
    if (link_info_lag_ms(n, p, &lag_ms))
        number(out, "lag_ms", lag_ms);
    else
        buffer_put_text(out, "\"lag_ms\":null,"); /* nothing was ever heard of it */
}

static void json_takes(struct buffer *out, const struct node *n, const struct peer *p)
{
    char name[LINK_INFO_STREAM_MAX];
    buffer_put_text(out, "\"takes\":[");
    for (uint32_t o = 0; link_info_next_taken(n, p, &o, name);) {
        report_json_string(out, name);
        buffer_put_u8(out, ',');
    }
    end(out, "],");
}

static void json_link(struct buffer *out, const struct node *n, const struct peer *p)
{
    int64_t offset_us;
    uint64_t rtt_us;
    const char *problem = link_info_problem(p);
    buffer_put_u8(out, '{');
    member(out, "region", p->region->name);
    member(out, "state", link_info_state(p));
    if (link_info_rtt_us(n, p, &offset_us, &rtt_us))
        buffer_printf(out, "\"rtt_ms\":%.2f,\"offset_ms\":%.2f,", (double)rtt_us / 1000,
                      (double)offset_us / 1000);
    json_lag(out, n, p);
    number(out, "received_bytes", link_info_bytes_in(p));
    number(out, "sent_bytes", link_info_bytes_out(p));
    number(out, "received_batch_bytes", link_info_batch_bytes_in(p));
    number(out, "sent_batch_bytes", link_info_batch_bytes_out(p));
    json_takes(out, n, p);
    if (p->feed && p->feed->subscribed)
        number(out, "backlog_bytes", n->replica.log_end - p->feed->cursor);
    if (problem[0])
        member(out, "problem", problem);
    end(out, "},");
}

static void json_links(struct buffer *out, const struct node *n)
{
    buffer_put_text(out, "\"links\":[");
    for (size_t i = 0; i < n->peer_count; i++)
        json_link(out, n, &n->peers[i]);
    end(out, "],");
}

static const char *peer_name(const struct node *n, uint8_t peer)
{
    return peer == TAKE_NOWHERE ? "" : n->peers[peer].region->name;
}

/* At whom every other region's writes are taken; those of fences stand in links. */
static void json_routes(struct buffer *out, const struct node *n)
{
    buffer_put_text(out, "\"routes\":[");
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct region *owner = n->peers[i].region;
        const struct take *t = &n->topology.takes[owner->id];
        buffer_put_u8(out, '{');
        member(out, "region", owner->name);
        member(out, "at", peer_name(n, t->upstream));
        member(out, "relay", peer_name(n, t->relay));
        number(out, "links", t->links);
        if (t->down)
            buffer_put_text(out, "\"down\":true,");
        if (t->round_trip_us != ROUND_TRIP_UNKNOWN)
            buffer_printf(out, "\"rtt_ms\":%.2f,", (double)t->round_trip_us / 1000);
        end(out, "},");
    }
    end(out, "],");
}

static void json_topology(struct buffer *out, const struct node *n)
{
    static const char *const names[] = {
        [TOPOLOGY_MESH] = "mesh",   [TOPOLOGY_RING] = "ring",           [TOPOLOGY_STAR] = "star",
        [TOPOLOGY_CHAIN] = "chain", [TOPOLOGY_HIERARCHY] = "hierarchy", [TOPOLOGY_AUTO] = "auto",
    };
    buffer_put_text(out, "\"topology\":{");
    member(out, "kind", names[n->options.deployment->topology]);
    number(out, "plans", n->topology.plans);
    json_routes(out, n);
    end(out, "},");
}

/* Stamps as text: they are above what a double can hold. */
static void json_stamp(struct buffer *out, const char *name, stamp_t stamp)
{
    report_json_string(out, name);
    buffer_printf(out, ":\"%" PRIu64 "\",", stamp);
}

static void json_origin(struct buffer *out, const struct node *n, const struct region *region)
{
    buffer_put_u8(out, '{');
    member(out, "region", region->name);
    json_stamp(out, "last_op", vector_get(&n->replica.last_op, region->id));
    json_stamp(out, "applied", vector_get(&n->replica.applied, region->id));
    json_stamp(out, "durable", vector_get(&n->replica.durable, region->id));
    if (region == n->options.self)
        number(out, "lag_ms", 0);
    for (size_t i = 0; i < n->peer_count; i++) {
        if (n->peers[i].region == region)
            json_lag(out, n, &n->peers[i]);
    }
    end(out, "},");
}

static void json_origins(struct buffer *out, const struct node *n)
{
    const struct deployment *d = n->options.deployment;
    buffer_put_text(out, "\"origins\":[");
    for (size_t i = 0; i < d->region_count; i++)
        json_origin(out, n, &d->regions[i]);
    end(out, "],");
}

/* Of numbers without a region: whether all have come to the same place is seen here. */
static void json_closed(struct buffer *out, const struct node *n)
{
    buffer_put_text(out, "\"closed\":[");
    for (uint32_t o = 0; bits_next(n->closed, STAMP_ORIGINS, &o); o++) {
        uint32_t fence = n->fence_of[o];
        buffer_put_u8(out, '{');
        number(out, "number", origin_region(n->options.deployment, (uint8_t)o));
        if (fence != 0)
            member(out, "fence", n->options.deployment->fences[fence].name);
        json_stamp(out, "last_op", vector_get(&n->replica.last_op, (uint8_t)o));
        json_stamp(out, "durable", vector_get(&n->replica.durable, (uint8_t)o));
        end(out, "},");
    }
    end(out, "],");
}

static void json_conflicts(struct buffer *out, const struct keyspace_live *k)
{
    member(out, "conflict", keyspace_conflict_words[k->promises.conflict]);
    number(out, "conflicts", report_conflicts_of(k));
    number(out, "merge_failures", k->merge_failures);
}

static void json_policy(struct buffer *out, const struct node *n, const struct keyspace *k)
{
    const struct deployment *d = n->options.deployment;
    const struct region *writer = deployment_region_with_id(d, k->writer);
    const char *writers = k->fence == 0 ? "every region" : "every member of the fence";
    if (k->mode == KEYSPACE_PARTITIONED)
        writers = "each key's home";
    else if (k->mode == KEYSPACE_PRIMARY && writer != NULL)
        writers = writer->name;
    member(out, "mode", keyspace_mode_words[k->mode]);
    member(out, "writers", writers);
    member(out, "fence", d->fences[k->fence].name);
}

static void json_keyspaces(struct buffer *out, const struct node *n)
{
    const struct deployment *d = n->options.deployment;
    buffer_put_text(out, "\"keyspaces\":[");
    for (size_t i = 0; i < d->keyspace_count; i++) {
        buffer_put_u8(out, '{');
        member(out, "prefix", d->keyspaces[i].prefix);
        json_policy(out, n, &d->keyspaces[i]);
        json_conflicts(out, &n->server.keyspaces[i]);
        end(out, "},");
    }
    end(out, "],");
}

static void json_checkpoint(struct buffer *out, const struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    char text[SCRUB_TEXT_MAX];
    buffer_put_text(out, "\"checkpoint\":{");
    member(out, "state", c->problem[0] ? "failed" : c->running ? "running" : "idle");
    member(out, "problem", c->problem);
    number(out, "completed", c->completed);
    number(out, "age_seconds", (n->now_us - c->completed_us) / 1000000);
    number(out, "start_lsn", c->start_lsn);
    number(out, "objects", c->objects);
    number(out, "bytes", c->bytes);
    number(out, "took_ms", c->took_us / 1000);
    number(out, "changed_keys", copier_dirty(&n->replica));
    number(out, "scrubs_asked", n->scrub.asked);
    number(out, "scrubs_done", n->scrub.done);
    member(out, "scrub_waits_for", scrub_waits_for(n, text));
    end(out, "},");
}

static void json_feeding(struct buffer *out, const struct node *n)
{
    buffer_put_text(out, "\"feeding\":[");
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct source *s = &n->peers[i].source;
        if (s->phase == SOURCE_NONE)
            continue;
        buffer_put_u8(out, '{');
        member(out, "region", n->peers[i].region->name);
        member(out, "phase", s->phase == SOURCE_IMAGE ? "objects" : "log");
        number(out, "sent_bytes", s->message_bytes);
        number(out, "log_held_from", s->lsn);
        number(out, "seconds", (n->now_us - s->began_us) / 1000000);
        end(out, "},");
    }
    end(out, "],");
}

/* Of a bootstrap of this region, and of those that it feeds. */
static void json_bootstrap(struct buffer *out, const struct node *n)
{
    const struct bootstrap *b = &n->bootstrap;
    buffer_put_text(out, "\"bootstrap\":{");
    member(out, "phase", bootstrap_phase_name(n));
    if (b->phase != BOOTSTRAP_NONE) {
        member(out, "from", bootstrap_source_name(n));
        number(out, "percent", bootstrap_percent(n));
        number(out, "keys", b->note.keys);
        number(out, "bytes", b->note.bytes);
        number(out, "seconds", bootstrap_seconds(n));
    }
    if (b->waits != NULL)
        member(out, "waits", b->waits);
    json_feeding(out, n);
    end(out, "},");
}

static void json_loading(struct buffer *out, const struct node *n)
{
    buffer_put_text(out, "\"loading\":{");
    number(out, "done_bytes", n->loading_done_bytes);
    number(out, "total_bytes", n->loading_total_bytes);
    number(out, "percent", (uint64_t)node_loaded_percent(n));
    end(out, "},");
}

static void json_memory(struct buffer *out, const struct node *n)
{
    const struct server *server = &n->server;
    buffer_put_text(out, "\"memory\":{");
    number(out, "used_bytes", server->process.memory_used_bytes);
    number(out, "rss_bytes", server->process.memory_rss_bytes);
    number(out, "file_bytes", server->process.memory_file_bytes);
    number(out, "limit_bytes", server->settings.max_memory_bytes);
    member(out, "policy", evict_policy_name(server->settings.memory_policy));
    member(out, "state", memory_state(n));
    number(out, "resident_keys", evict_resident_keys(server));
    number(out, "demoted_keys", server->evict.demoted);
    number(out, "cold_reads", evict_fetched_keys(server));
    number(out, "cold_misses", evict_missed_keys(server));
    number(out, "evicted_keys", server->statistics.evicted_keys);
    number(out, "parked_bytes", n->replica.parked_bytes);
    end(out, "},");
}

void node_status_json(struct node *n, struct buffer *out)
{
    const struct replica *r = &n->replica;
    const char *refusal = serving(n);
    buffer_put_u8(out, '{');
    member(out, "deployment", n->options.deployment->name);
    member(out, "region", n->options.self->name);
    member(out, "version", n->server.process.version ? n->server.process.version : "");
    number(out, "instance", n->options.instance);
    number(out, "uptime_seconds", uptime_s(n));
    member(out, "writes", refusal ? refusal : "ok");
    if (n->loading)
        json_loading(out, n);
    number(out, "keys", key_count(n));
    number(out, "keys_with_deadline", deadline_count(n));
    number(out, "contested_keys", report_contested_keys(n));
    number(out, "clients", n->server.session_count);
    number(out, "commands", n->server.statistics.commands);
    json_memory(out, n);
    buffer_put_text(out, "\"log\":{");
    number(out, "end_bytes", r->log_end);
    number(out, "durable_bytes", r->log_durable);
    number(out, "start_bytes", n->log_start);
    end(out, "},");
    json_checkpoint(out, n);
    json_bootstrap(out, n);
    json_regions(out, n);
    json_topology(out, n);
    json_links(out, n);
    json_origins(out, n);
    json_closed(out, n);
    json_keyspaces(out, n);
    end(out, "}\n");
}

/* --- Prometheus --- */

static void metric(struct buffer *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
                  value);
}

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void metrics_of_batches(struct buffer *out, const struct node *n)
{
    char name[LINK_INFO_STREAM_MAX];
    family(out, "meridian_link_received_batch_bytes_total", "counter",
           "Of the bytes read from a peer, writes.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++)
        buffer_printf(out, "meridian_link_received_batch_bytes_total{peer=\"%s\"} %" PRIu64 "\n",
                      p->region->name, link_info_batch_bytes_in(p));
    family(out, "meridian_link_sent_batch_bytes_total", "counter",
           "Of the bytes sent to a peer, writes.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++)
        buffer_printf(out, "meridian_link_sent_batch_bytes_total{peer=\"%s\"} %" PRIu64 "\n",
                      p->region->name, link_info_batch_bytes_out(p));
    family(out, "meridian_link_takes", "gauge", "1: this stream of writes is taken at that peer.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        for (uint32_t o = 0; link_info_next_taken(n, p, &o, name);)
            buffer_printf(out, "meridian_link_takes{peer=\"%s\",stream=\"%s\"} 1\n",
                          p->region->name, name);
    }
    metric(out, "meridian_topology_plans_total", "counter",
           "Plans that took some stream elsewhere than the one before.", n->topology.plans);
}

static void metrics_of_links(struct buffer *out, const struct node *n)
{
    uint64_t lag_ms, rtt_us;
    int64_t offset_us;
    family(out, "meridian_replication_lag_seconds", "gauge",
           "Our time minus the time up to which an origin is applied; none: never heard of it.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        if (link_info_lag_ms(n, p, &lag_ms))
            buffer_printf(out, "meridian_replication_lag_seconds{origin=\"%s\"} %.3f\n",
                          p->region->name, (double)lag_ms / 1000);
    }
    family(out, "meridian_link_up", "gauge", "1 when a peer is connected in both directions.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++)
        buffer_printf(out, "meridian_link_up{peer=\"%s\"} %d\n", p->region->name,
                      strcmp(link_info_state(p), "up") == 0);
    family(out, "meridian_link_rtt_seconds", "gauge", "Smallest of the recent round trips.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        if (link_info_rtt_us(n, p, &offset_us, &rtt_us))
            buffer_printf(out, "meridian_link_rtt_seconds{peer=\"%s\"} %.6f\n", p->region->name,
                          (double)rtt_us / 1e6);
    }
    family(out, "meridian_clock_offset_seconds", "gauge", "A peer's time minus ours.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        if (link_info_rtt_us(n, p, &offset_us, &rtt_us))
            buffer_printf(out, "meridian_clock_offset_seconds{peer=\"%s\"} %.6f\n", p->region->name,
                          (double)offset_us / 1e6);
    }
    family(out, "meridian_link_backlog_bytes", "gauge", "Log that a connected peer was not sent.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++) {
        if (p->feed && p->feed->subscribed)
            buffer_printf(out, "meridian_link_backlog_bytes{peer=\"%s\"} %" PRIu64 "\n",
                          p->region->name, n->replica.log_end - p->feed->cursor);
    }
    family(out, "meridian_link_received_bytes_total", "counter", "Bytes read from a peer.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++)
        buffer_printf(out, "meridian_link_received_bytes_total{peer=\"%s\"} %" PRIu64 "\n",
                      p->region->name, link_info_bytes_in(p));
    family(out, "meridian_link_sent_bytes_total", "counter", "Bytes sent to a peer.");
    for (const struct peer *p = n->peers; p < n->peers + n->peer_count; p++)
        buffer_printf(out, "meridian_link_sent_bytes_total{peer=\"%s\"} %" PRIu64 "\n",
                      p->region->name, link_info_bytes_out(p));
    metrics_of_batches(out, n);
}

void node_metrics(struct node *n, struct buffer *out)
{
    const struct replica *r = &n->replica;
    const struct statistics *s = &n->server.statistics;
    metric(out, "meridian_uptime_seconds", "gauge", "Since this process began to serve.",
           uptime_s(n));
    metric(out, "meridian_writes_allowed", "gauge", "0 while own writes are refused.",
           serving(n) == NULL);
    metric(out, "meridian_loading", "gauge", "1 while the log is replayed after a start.",
           n->loading);
    metric(out, "meridian_keys", "gauge", "Keys in all databases.", key_count(n));
    metric(out, "meridian_keys_with_deadline", "gauge", "Keys that expire.", deadline_count(n));
    metric(out, "meridian_clients", "gauge", "Connected clients.", n->server.session_count);
    metric(out, "meridian_clients_blocked", "gauge", "Clients that wait for keys.",
           n->server.blocking.count);
    metric(out, "meridian_connections_total", "counter", "Client connections accepted.",
           s->connections);
    metric(out, "meridian_rejected_connections_total", "counter",
           "Client connections over limits.clients.", s->rejected_connections);
    metric(out, "meridian_commands_total", "counter", "Commands run.", s->commands);
    report_promise_metrics(out, n);
    metric(out, "meridian_expired_keys_total", "counter", "Expired keys reclaimed by this region.",
           r->reclaimed);
    metric(out, "meridian_client_input_bytes_total", "counter", "Bytes read from clients.",
           s->input_bytes);
    metric(out, "meridian_client_output_bytes_total", "counter", "Bytes sent to clients.",
           s->output_bytes);
    metric(out, "meridian_memory_used_bytes", "gauge", "Allocated memory.",
           n->server.process.memory_used_bytes);
    metric(out, "meridian_memory_rss_bytes", "gauge", "Resident memory.",
           n->server.process.memory_rss_bytes);
    metric(out, "meridian_memory_file_bytes", "gauge", "Of it, pages of files.",
           n->server.process.memory_file_bytes);
    metric(out, "meridian_memory_limit_bytes", "gauge", "What the process may use; 0: no limit.",
           n->server.settings.max_memory_bytes);
    metric(out, "meridian_memory_writes_wait", "gauge",
           "1 while writes wait for memory, 2: refused.",
           n->server.out_of_memory ? 2 : memory_must_wait(n));
    metric(out, "meridian_keys_resident", "gauge", "Keys in memory.",
           evict_resident_keys(&n->server));
    metric(out, "meridian_keys_demoted_total", "counter", "Keys that left memory for disk.",
           n->server.evict.demoted);
    metric(out, "meridian_cold_reads_total", "counter", "Keys that came back from disk.",
           evict_fetched_keys(&n->server));
    metric(out, "meridian_cold_misses_total", "counter",
           "Looks at the disk for keys that were nowhere.", evict_missed_keys(&n->server));
    metric(out, "meridian_keyspace_hits_total", "counter", "Keys that reads found.",
           s->keyspace_hits);
    metric(out, "meridian_keyspace_misses_total", "counter", "Keys that reads did not find.",
           s->keyspace_misses);
    metric(out, "meridian_keys_evicted_total", "counter", "Keys of caches that were dropped.",
           s->evicted_keys);
    metric(out, "meridian_parked_bytes", "gauge",
           "Batches of peers that wait for what they depend on.", r->parked_bytes);
    metric(out, "meridian_log_end_bytes", "gauge", "LSN of the end of the log.", r->log_end);
    metric(out, "meridian_log_durable_bytes", "gauge", "LSN up to which the log is durable.",
           r->log_durable);
    metric(out, "meridian_log_start_bytes", "gauge", "LSN from which on the log is kept.",
           n->log_start);
    metric(out, "meridian_checkpoints_total", "counter", "Checkpoints completed since the start.",
           n->checkpoint.completed);
    metric(out, "meridian_checkpoint_failed", "gauge", "1 when the last checkpoint failed.",
           n->checkpoint.problem[0] != '\0');
    metric(out, "meridian_checkpoint_age_seconds", "gauge", "Since the last complete checkpoint.",
           (n->now_us - n->checkpoint.completed_us) / 1000000);
    metric(out, "meridian_checkpoint_changed_keys", "gauge",
           "Keys changed since the last checkpoint began.", copier_dirty(r));
    metric(out, "meridian_scrubs_pending", "gauge",
           "Scrubs that were asked for and are not done: removed bytes may still be on disk.",
           n->scrub.asked - n->scrub.done);
    metric(out, "meridian_bootstrap_phase", "gauge",
           "Of this region: 0 none, 1 leaving, 2 objects, 3 log, 4 own log, 5 tidying.",
           n->bootstrap.phase);
    metric(out, "meridian_bootstrap_percent", "gauge", "Of that phase.", bootstrap_percent(n));
    metric(out, "meridian_bootstrap_received_bytes", "gauge", "Objects taken in this bootstrap.",
           n->bootstrap.note.bytes);
    metric(out, "meridian_bootstrap_sent_bytes_total", "counter",
           "Objects sent to regions that are bootstrapped from this one.", n->source.sent_bytes);
    report_conflict_metrics(out, n);
    metrics_of_links(out, n);
}

/* --- INFO and WAIT --- */

void node_info_persistence(void *node, struct buffer *out)
{
    const struct node *n = node;
    if (n->loading)
        buffer_printf(out,
                      "loading_total_bytes:%" PRIu64 "\r\nloading_loaded_bytes:%" PRIu64
                      "\r\nloading_loaded_perc:%.2f\r\n",
                      n->loading_total_bytes, n->loading_done_bytes, node_loaded_percent(n));
    buffer_printf(out,
                  "log_end_lsn:%" PRIu64 "\r\nlog_durable_lsn:%" PRIu64 "\r\nlog_status:%s\r\n",
                  n->replica.log_end, n->replica.log_durable, n->log_broken ? "failed" : "ok");
    const struct node_checkpoint *c = &n->checkpoint;
    buffer_printf(out,
                  "log_start_lsn:%" PRIu64 "\r\nrdb_changes_since_last_save:%" PRIu64
                  "\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_save_time:%" PRIu64
                  "\r\nrdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%" PRIu64 "\r\n",
                  n->log_start, copier_dirty(&n->replica), c->running, c->completed_us / 1000000,
                  c->problem[0] ? "err" : "ok", c->took_us / 1000000);
}

uint32_t node_regions_with(void *node, stamp_t stamp)
{
    const struct node *n = node;
    return peers_acknowledged(&n->matrix, stamp);
}
