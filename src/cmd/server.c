#include "cmd/server.h"

#include "base/memory.h"
#include "cmd/call.h"

void server_init(struct server *server, struct replica *replica)
{
    *server = (struct server){
        .replica = replica,
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
}

void server_release(struct server *server)
{
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
