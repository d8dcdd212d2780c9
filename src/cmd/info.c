/* INFO: sections of "name:value" lines, by Redis's names as far as they mean something here. */
#include <inttypes.h>

#include "base/check.h"
#include "cmd/handlers.h"

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void put_u64(struct buffer *out, const char *name, uint64_t value)
{
    buffer_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

/* "1.38M", as people read it. */
static void put_human(struct buffer *out, const char *name, uint64_t bytes)
{
    static const char units[] = "KMGT";
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        buffer_printf(out, "%s:%" PRIu64 "B\r\n", name, bytes);
        return;
    }
    while (value >= 1024 && units[unit + 1] != 0) {
        value /= 1024;
        unit++;
    }
    buffer_printf(out, "%s:%.2f%c\r\n", name, value, units[unit]);
}

static void put_seconds(struct buffer *out, const char *name, uint64_t us)
{
    buffer_printf(out, "%s:%" PRIu64 ".%06" PRIu64 "\r\n", name, us / 1000000, us % 1000000);
}

/* --- sections --- */

static void server_section(struct server *server, struct buffer *out)
{
    const struct process *process = &server->process;
    uint64_t now_ms = server->now_us / 1000;
    uint64_t uptime_s = now_ms > process->start_ms ? (now_ms - process->start_ms) / 1000 : 0;

    buffer_printf(out, "redis_version:" REDIS_VERSION "\r\nredis_mode:standalone\r\n");
    buffer_printf(out, "meridian_version:%s\r\n", or_empty(process->version));
    buffer_printf(out, "deployment:%s\r\nregion:%s\r\n", or_empty(server->deployment->name),
                  or_empty(server->region));
    buffer_printf(out, "arch_bits:%zu\r\nprocess_id:%d\r\n", sizeof(void *) * 8, process->pid);
    buffer_printf(out, "run_id:%040" PRIx64 "\r\n", server->replica->options.instance);
    buffer_printf(out, "tcp_port:%d\r\n", process->client_port);
    put_u64(out, "server_time_usec", server->now_us);
    put_u64(out, "uptime_in_seconds", uptime_s);
    put_u64(out, "uptime_in_days", uptime_s / (24 * 3600));
    buffer_printf(out, "config_file:%s\r\nio_threads_active:0\r\n", or_empty(process->config_file));
}

static void clients_section(struct server *server, struct buffer *out)
{
    uint64_t waiting = 0, input = 0, output = 0;

    list_each(&server->sessions, it)
    {
        const struct session *s = container_of(it, struct session, link);

        waiting += session_waits(s);
        input = s->input.len > input ? s->input.len : input;
        output = s->output.len > output ? s->output.len : output;
    }
    put_u64(out, "connected_clients", server->session_count);
    put_u64(out, "maxclients", server->settings.max_clients);
    put_u64(out, "client_recent_max_input_buffer", input);
    put_u64(out, "client_recent_max_output_buffer", output);
    put_u64(out, "blocked_clients", waiting);
}

static uint64_t cold_keys(const struct server *server)
{
    uint64_t keys = 0;

    for (size_t i = 0; i < OP_DATABASES; i++)
        keys += server->replica->databases[i].colds.keys;
    return keys;
}

static void memory_section(struct server *server, struct buffer *out)
{
    const struct process *process = &server->process;
    double used = (double)process->memory_used_bytes;

    put_u64(out, "used_memory", process->memory_used_bytes);
    put_human(out, "used_memory_human", process->memory_used_bytes);
    put_u64(out, "used_memory_rss", process->memory_rss_bytes);
    put_human(out, "used_memory_rss_human", process->memory_rss_bytes);
    put_u64(out, "maxmemory", server->settings.max_memory_bytes);
    put_human(out, "maxmemory_human", server->settings.max_memory_bytes);
    buffer_printf(out, "maxmemory_policy:%s\r\n",
                  evict_policy_name(server->settings.memory_policy));
    put_u64(out, "maxmemory_reached", server->out_of_memory); /* writes are refused */
    put_u64(out, "keys_in_memory", evict_resident_keys(server));
    put_u64(out, "keys_on_disk_only", cold_keys(server));
    put_u64(out, "mapped_file_bytes", process->memory_file_bytes);
    if (used > 0)
        buffer_printf(out, "mem_fragmentation_ratio:%.2f\r\n",
                      (double)process->memory_rss_bytes / used);
    put_u64(out, "parked_bytes", server->replica->parked_bytes);
    put_u64(out, "parked_batches", server->replica->parked_count);
}

/* The log is Redis's append-only file, as far as clients care. */
static void persistence_section(struct server *server, struct buffer *out)
{
    put_u64(out, "loading", server->loading != NULL);
    put_u64(out, "aof_enabled", 1);
    put_u64(out, "log_end", server->replica->log_end);
    put_u64(out, "log_durable", server->replica->log_durable);
    if (server->hooks != NULL)
        server->hooks->info_persistence(server->node, out);
}

static void stats_section(struct server *server, struct buffer *out)
{
    const struct statistics *s = &server->statistics;

    put_u64(out, "total_connections_received", s->connections);
    put_u64(out, "total_commands_processed", s->commands);
    put_u64(out, "total_net_input_bytes", s->input_bytes);
    put_u64(out, "total_net_output_bytes", s->output_bytes);
    put_u64(out, "rejected_connections", s->rejected_connections);
    put_u64(out, "expired_keys", server->replica->reclaimed - s->reclaimed_before);
    put_u64(out, "evicted_keys", s->evicted_keys);
    put_u64(out, "demoted_keys", server->evict.demoted);
    put_u64(out, "fetched_keys", evict_fetched_keys(server));
    put_u64(out, "keyspace_hits", s->keyspace_hits);
    put_u64(out, "keyspace_misses", s->keyspace_misses);
    put_u64(out, "total_error_replies", s->errors);
}

/* To a Redis client every region is a master: it may be written to. */
static void replication_section(struct server *server, struct buffer *out)
{
    buffer_printf(out, "role:master\r\n");
    if (server->hooks != NULL)
        server->hooks->info_replication(server->node, out);
}

static void cpu_section(struct server *server, struct buffer *out)
{
    put_seconds(out, "used_cpu_sys", server->process.cpu_system_us);
    put_seconds(out, "used_cpu_user", server->process.cpu_user_us);
}

static void commandstats_section(struct server *server, struct buffer *out)
{
    for (size_t i = 0; i < command_count(); i++) {
        const struct command_figures *f = &server->figures[i];

        if (f->calls == 0 && f->rejected == 0)
            continue;
        buffer_printf(out,
                      "cmdstat_%s:calls=%" PRIu64 ",rejected_calls=%" PRIu64
                      ",failed_calls=%" PRIu64 "\r\n",
                      command_at(i)->name, f->calls, f->rejected, f->failed);
    }
}

static void errorstats_section(struct server *server, struct buffer *out)
{
    for (size_t i = 0; i < ERROR_WORDS && server->error_counts[i].count > 0; i++) {
        const struct error_count *e = &server->error_counts[i];

        buffer_printf(out, "errorstat_%s:count=%" PRIu64 "\r\n", e->word, e->count);
    }
}

static void cluster_section(struct server *server, struct buffer *out)
{
    (void)server;
    put_u64(out, "cluster_enabled", 0);
}

static void conflicts_section(struct server *server, struct buffer *out)
{
    uint64_t contested = 0;

    for (size_t i = 0; i < OP_DATABASES; i++)
        contested += database_contested(&server->replica->databases[i]);
    put_u64(out, "contested_keys", contested);
    for (size_t i = 0; i < server->deployment->keyspace_count; i++) {
        const struct keyspace_live *k = &server->keyspaces[i];

        buffer_printf(out, "keyspace%zu:prefix=%s", i, server->deployment->keyspaces[i].prefix);
        for (int c = 0; c < COMPONENT_COUNT; c++) {
            if (k->conflicts[c] > 0)
                buffer_printf(out, ",%s=%" PRIu64, conflict_type_name((enum component)c),
                              k->conflicts[c]);
        }
        buffer_printf(out, ",merge_failures=%" PRIu64 "\r\n", k->merge_failures);
    }
}

static void keyspace_section(struct server *server, struct buffer *out)
{
    for (size_t i = 0; i < USER_DATABASES; i++) {
        const struct database *d = &server->replica->databases[i];

        if (database_size(d) > 0)
            buffer_printf(out, "db%zu:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n", i,
                          database_size(d), database_with_deadline(d));
    }
}

static const struct section {
    const char *name; /* its heading; asked for in any case */
    bool by_default;
    void (*put)(struct server *server, struct buffer *out);
} sections[] = {
    { "Server", true, server_section },
    { "Clients", true, clients_section },
    { "Memory", true, memory_section },
    { "Persistence", true, persistence_section },
    { "Stats", true, stats_section },
    { "Replication", true, replication_section },
    { "CPU", true, cpu_section },
    { "Commandstats", false, commandstats_section },
    { "Errorstats", true, errorstats_section },
    { "Cluster", true, cluster_section },
    { "Conflicts", true, conflicts_section },
    { "Keyspace", true, keyspace_section },
};

static bool asked_for(const struct call *call, const struct section *section)
{
    bool asked = call->argc == 1 && section->by_default;

    for (size_t i = 1; i < call->argc && !asked; i++) {
        asked = call_is(call, i, section->name) || call_is(call, i, "all") ||
                call_is(call, i, "everything") ||
                (section->by_default && call_is(call, i, "default"));
    }
    return asked;
}

void cmd_info(struct call *call)
{
    struct buffer text = { 0 };

    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        if (!asked_for(call, &sections[i]))
            continue;
        buffer_printf(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "", sections[i].name);
        sections[i].put(call->server, &text);
    }
    reply_verbatim(call->reply, buffer_span(&text));
    buffer_release(&text);
}
