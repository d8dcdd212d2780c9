#include "cmd/system.h"

#include "base/check.h"
#include "base/error.h"
#include "core/emit.h"
#include "core/replica.h"

bool system_holds(const struct server *server, const struct keyspace_live *k)
{
    uint32_t fence = server_declared(server, k)->fence;

    return fence == 0 || server->replica->options.own[fence] != 0;
}

const struct table *system_fields(const struct server *server, const struct keyspace_live *k)
{
    const struct database *d = &server->replica->databases[SYSTEM_DATABASE];
    const struct entry *e = database_find(d, span_str(server_declared(server, k)->prefix));

    return e != NULL ? object_fields(e, COMPONENT_HASH) : NULL;
}

bool system_is_read(const struct server *server)
{
    for (size_t i = 0; i < server->deployment->keyspace_count; i++)
        system_fields(server, &server->keyspaces[i]);
    return server->replica->databases[SYSTEM_DATABASE].damage == E_OK;
}

bool system_get(const struct server *server, const struct keyspace_live *k, struct span field,
                char *scratch, struct span *value)
{
    const struct table *fields = system_fields(server, k);
    void **slot = fields != NULL ? table_find(fields, field) : NULL;

    return slot != NULL && entry_read(*slot, scratch, value);
}

static void begin(struct server *server, const struct keyspace_live *k, struct emit_fields *e,
                  enum op_kind kind)
{
    struct replica *r = server->replica;

    CHECK(system_holds(server, k));
    if (r->group_first == 0)
        replica_group_fence(r, server_declared(server, k)->fence);
    CHECK(replica_fence_of(r, r->group_origin) == server_declared(server, k)->fence);
    emit_fields_begin(e, r, kind, COMPONENT_HASH, SYSTEM_DATABASE,
                      span_str(server_declared(server, k)->prefix));
}

void system_put(struct server *server, const struct keyspace_live *k, struct span field,
                struct span value)
{
    struct emit_fields e;

    begin(server, k, &e, OP_PUT);
    emit_fields_add(&e, field, value);
    emit_fields_end(&e);
}

void system_take(struct server *server, const struct keyspace_live *k, struct span field)
{
    struct emit_fields e;
    char scratch[CELL_SCRATCH_BYTES];
    struct span value;

    if (!system_get(server, k, field, scratch, &value))
        return;
    begin(server, k, &e, OP_TAKE);
    emit_fields_add(&e, field, span_of(NULL, 0));
    emit_fields_end(&e);
}
