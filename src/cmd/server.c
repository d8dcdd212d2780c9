#include "cmd/server.h"

#include "base/memory.h"
#include "cmd/call.h"
#include "core/replica.h"

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
        },
        .figures = mem_zalloc(command_count() * sizeof(struct command_figures)),
    };
    list_init(&server->sessions);
    server->keyspaces = mem_zalloc(deployment->keyspace_count * sizeof(*server->keyspaces));
    for (size_t i = 0; i < deployment->keyspace_count; i++) {
        server->keyspaces[i].conflict = deployment->keyspaces[i].conflict;
        server->keyspaces[i].streams = deployment->keyspaces[i].streams;
    }
}

void server_listen(struct server *server)
{
    server->watch.context = server;
    for (int db = 0; db < OP_DATABASES; db++)
        server->replica->databases[db].watch = &server->watch;
}

struct keyspace_live *server_keyspace(const struct server *server, struct span key)
{
    const struct keyspace *k = deployment_keyspace_of(server->deployment, key);
    return &server->keyspaces[k - server->deployment->keyspaces];
}

void server_release(struct server *server)
{
    mem_free(server->keyspaces);
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
    list_remove(&session->link);
    server->session_count--;
    mem_free(session->name);
    mem_free(session->library_name);
    mem_free(session->library_version);
    resp_release(&session->parser);
    buffer_release(&session->input);
    buffer_release(&session->output);
    *session = (struct session){ 0 };
}

void server_reset_statistics(struct server *server)
{
    server->statistics = (struct statistics){ .reclaimed_before = server->replica->reclaimed };
    memset(server->figures, 0, command_count() * sizeof(struct command_figures));
    memset(server->error_counts, 0, sizeof(server->error_counts));
}
