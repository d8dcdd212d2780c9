#include "cmd/server.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "cmd/blocking.h"
#include "cmd/stream_wake.h"
#include "core/replica.h"
#include "merge/merge.h"

static void index_prefixes(struct server *server)
{
    const struct deployment *d = server->deployment;

    server->prefix_texts = mem_alloc(d->keyspace_count * sizeof(struct span));
    for (size_t i = 0; i < d->keyspace_count; i++)
        server->prefix_texts[i] = span_of((const uint8_t *)d->keyspaces[i].prefix,
                                          d->keyspaces[i].prefix_bytes);
    prefixes_init(&server->prefixes, server->prefix_texts, d->keyspace_count);
}

void server_init(struct server *server, struct replica *replica,
                 const struct deployment *deployment)
{
    *server = (struct server){
        .replica = replica,
        .deployment = deployment,
        .settings = {
            .max_clients = 10000,                       /* as Redis */
            .query_buffer_bytes = (uint64_t)1 << 30,    /* as Redis */
            /* what Redis gives a replica; it has no limit for others */
            .output_buffer_bytes = (uint64_t)256 << 20,
            .fsync = FSYNC_EVERYSEC,
            .max_memory_bytes = deployment->memory.limit_bytes,
            .memory_policy = deployment->memory.policy,
        },
        .figures = mem_zalloc(command_count() * sizeof(struct command_figures)),
    };
    list_init(&server->sessions);
    list_init(&server->blocking.ready);
    list_init(&server->blocking.ended);
    list_init(&server->blocking.moved);
    touch_init(&server->touch, &server->watch, replica->databases[0].keys.seed);
    evict_init(server);
    server->keyspaces = mem_zalloc(deployment->keyspace_count * sizeof(*server->keyspaces));
    for (size_t i = 0; i < deployment->keyspace_count; i++)
        server->keyspaces[i].promises = deployment->keyspaces[i].promises;
    index_prefixes(server);
    server_judge_keyspaces(server);
}

void server_listen(struct server *server)
{
    server->watch.context = server;
    server->watch.conflict = conflict_log_note;
    for (int db = 0; db < OP_DATABASES; db++)
        server->replica->databases[db].watch = &server->watch;
}

struct keyspace_live *server_keyspace(const struct server *server, struct span key)
{
    return &server->keyspaces[prefixes_find(&server->prefixes, key)];
}

void server_judge_keyspaces(struct server *server)
{
    server->plain = true;
    server->fenced = server->routed = false;
    for (size_t i = 0; i < server->deployment->keyspace_count; i++) {
        const struct keyspace_live *k = &server->keyspaces[i];

        if (k->promises.acks.acks != KEYSPACE_ASYNC ||
            k->promises.reads.reads != KEYSPACE_READ_LOCAL)
            server->plain = false;
        const struct keyspace *told = &server->deployment->keyspaces[i];

        if (k->promises.max_lag_ms != 0)
            server->plain = false;
        if (told->fence != 0)
            server->fenced = true;
        if (told->mode != KEYSPACE_ACTIVE_ACTIVE || told->outside != KEYSPACE_REFUSE)
            server->routed = true;
    }
}

const struct keyspace *server_declared(const struct server *server, const struct keyspace_live *k)
{
    return &server->deployment->keyspaces[k - server->keyspaces];
}

const char *server_prefix(const struct server *server, const struct keyspace_live *k)
{
    return server_declared(server, k)->prefix;
}

const char *server_region_of(const struct server *server, stamp_t stamp)
{
    const struct region *region = deployment_region_with_id(server->deployment,
                                                            stamp_origin(stamp));
    return region != NULL ? region->name : "unknown";
}

/* --- merge functions --- */

bool server_load_merge(struct server *server, struct keyspace_live *k, const char *file,
                       char *problem, size_t problem_size)
{
    struct buffer source = { 0 };
    struct merge_function *merge = NULL;
    const char *unread = server->hooks != NULL
                             ? server->hooks->merge_source(server->node, file, &source)
                             : "there are no files here";

    if (unread != NULL)
        snprintf(problem, problem_size, "%s: %s", file, unread);
    else
        merge = merge_compile(file, buffer_span(&source), problem, problem_size);
    buffer_release(&source);
    if (merge == NULL)
        return false;
    size_t bytes = strlen(file) + 1;
    char *name = memcpy(mem_alloc(bytes), file, bytes); /* `file` may be the one that goes */
    mem_free(k->merge_file);
    merge_release(k->merge);
    k->merge_file = name;
    k->merge = merge;
    return true;
}

void server_drop_merge(struct keyspace_live *k)
{
    mem_free(k->merge_file);
    merge_release(k->merge);
    mem_free(k->merge_failed);
    k->merge_file = k->merge_failed = NULL;
    k->merge = NULL;
}

bool server_load_merges(struct server *server, char *problem, size_t problem_size)
{
    for (size_t i = 0; i < server->deployment->keyspace_count; i++) {
        const char *file = server->deployment->keyspaces[i].merge_file;

        if (file != NULL &&
            !server_load_merge(server, &server->keyspaces[i], file, problem, problem_size))
            return false;
    }
    return true;
}

void server_release(struct server *server)
{
    stream_wake_release(server);
    CHECK(server->blocking.count == 0);
    heap_release(&server->blocking.deadlines);
    touch_release(&server->touch);
    conflict_log_release(&server->conflicts);
    for (size_t i = 0; server->keyspaces && i < server->deployment->keyspace_count; i++)
        server_drop_merge(&server->keyspaces[i]);
    mem_free(server->keyspaces);
    mem_free(server->prefix_texts);
    prefixes_release(&server->prefixes);
    mem_free(server->figures);
    *server = (struct server){ 0 };
}

void server_open_session(struct server *server, struct session *session)
{
    *session = (struct session){
        .id = ++server->next_session_id,
        .created_ms = server->now_us / 1000,
        .active_ms = server->now_us / 1000,
        .reply = { .out = &session->output, .protocol = 2 },
    };
    resp_init(&session->parser);
    list_add_tail(&server->sessions, &session->link);
    server->session_count++;
    server->statistics.connections++;
}

void server_close_session(struct server *server, struct session *session)
{
    blocking_forget(server, session);
    list_remove(&session->link);
    server->session_count--;
    transaction_discard(server, &session->transaction);
    session_forget(session);
    mem_free(session->elsewhere);
    session_forget_gather(session);
    with_release(&session->with);
    mem_free(session->name);
    mem_free(session->library_name);
    mem_free(session->library_version);
    resp_release(&session->parser);
    buffer_release(&session->input);
    buffer_release(&session->output);
    *session = (struct session){ 0 };
}

void server_count_error(struct server *server, const struct buffer *out, size_t start)
{
    struct span line = span_skip(buffer_span(out), start);
    size_t len = 0;

    server->statistics.errors++;
    if (line.len == 0 || line.at[0] != '-')
        return; /* inside an aggregate: counted, but not by its word */
    line = span_skip(line, 1);
    while (len < line.len && len < ERROR_WORD_MAX - 1 && line.at[len] > ' ')
        len++;
    for (size_t i = 0; i < ERROR_WORDS; i++) {
        struct error_count *e = &server->error_counts[i];

        if (e->count == 0) {
            memcpy(e->word, line.at, len);
            e->word[len] = 0;
        }
        if (span_equal(span_of(line.at, len), span_str(e->word))) {
            e->count++;
            return;
        }
    }
}

void server_reset_statistics(struct server *server)
{
    server->statistics = (struct statistics){ .reclaimed_before = server->replica->reclaimed };
    memset(server->figures, 0, command_count() * sizeof(struct command_figures));
    memset(server->error_counts, 0, sizeof(server->error_counts));
}
