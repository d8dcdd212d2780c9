#include "cmd/route.h"

#include <string.h>

#include "base/mutation.h"
#include "cmd/command_keys.h"
#include "cmd/fence.h"
#include "cmd/handlers.h"
#include "core/replica.h"

uint16_t route_slot(struct span key)
{
    struct span tag = home_tag(key);
    uint32_t crc = 0;

    for (size_t i = 0; i < tag.len; i++) {
        crc ^= (uint32_t)tag.at[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return crc & 0x3fff;
}

/* What the keys met so far ask for. */
struct routing {
    const struct server *server;
    const struct session *session;
    const struct levels *levels; /* of the session, or the WITH */
    uint8_t db;
    bool writes;
    bool any;
    struct route route;
};

static bool is_strong(const struct routing *r, const struct keyspace_live *live)
{
    enum keyspace_reads reads = r->levels->has_read ? r->levels->read.reads
                                                    : live->promises.reads.reads;

    return reads == KEYSPACE_READ_STRONG;
}

#define NO_MEMBER_WRITES  "NOWRITER no region that may hold that key is reached"
#define NO_MEMBER_ANSWERS "STALE no region that may hold that key is reached"

static struct route route_key(const struct routing *r, struct span key)
{
    const struct server *server = r->server;
    const struct keyspace_live *live = server_keyspace(server, key);
    const struct keyspace *k = server_declared(server, live);
    struct route route = { .region = server->replica->options.region, .key = key };
    bool held = k->fence == 0 || server->replica->options.own[k->fence] != 0;
    bool single = home_is_single(k);

    if (!fence_shows(server, r->session, k)) {
        route.refused = true;
        return route;
    }
    if (single && (r->writes || !held || is_strong(r, live)) && !MUTATION(writes_anywhere)) {
        struct home home = home_of_key(server, r->db, key);

        route.region = home.region;
        route.error = home.error;
        route.listed = home.listed;
        route.bound = true;
    } else if (!held) {
        route.region = server->hooks->member_for(server->node, r->session, k->fence);
        route.error = route.region == 0 ? (r->writes ? NO_MEMBER_WRITES : NO_MEMBER_ANSWERS) : NULL;
        route.unreached = route.region == 0 ? k->fence : 0;
        route.bound = true;
    }
    route.through = !held;
    route.loose = r->writes && !route.bound;
    route.redirects = live->promises.elsewhere == KEYSPACE_REDIRECT;
    return route;
}

#define TWO_WRITERS "CROSSSLOT Keys in request are written by different regions"

static void take_key(struct routing *r, struct span key)
{
    struct route one = route_key(r, key);

    if (r->route.error != NULL || r->route.refused)
        return;
    if (one.refused) {
        r->route = one; /* whatever the others ask for */
        return;
    }
    if (r->any && one.error == NULL && one.bound && r->route.bound && one.region != r->route.region)
        one.error = TWO_WRITERS;
    if (r->any && one.error == NULL && one.bound != r->route.bound && r->writes)
        one.error = TWO_WRITERS;
    if (!r->any || one.bound || one.error != NULL)
        r->route = one;
    r->any = true;
}

static void take_keys(struct routing *r, const struct command *command, const struct span *argv,
                      size_t argc)
{
    struct key_range range = { 0 };

    /* what is watched is written where the EXEC will be */
    r->writes = command->flags & CMD_WRITE || command->run == cmd_watch;
    if (MUTATION(moves_from_anywhere) && strcmp(command->name, "keyspace|move") == 0)
        return;
    if (!command_has_keys(command) || !command_key_range(command, argv, argc, &range))
        return;
    if (range.before != 0)
        take_key(r, argv[range.before]);
    for (size_t i = range.first; i <= range.last; i += range.step)
        take_key(r, argv[i]);
}

const char *route_gather(struct transaction *t, const struct route *route)
{
    if (route->error != NULL)
        return route->error;
    if ((route->bound && (t->loose || (t->region != 0 && t->region != route->region))) ||
        (route->loose && t->region != 0))
        return TWO_WRITERS;
    t->loose |= route->loose;
    if (route->bound)
        t->region = route->region;
    return NULL;
}

/* What is queued, judged once more. */
struct regathering {
    struct routing routing;   /* as it is before each command */
    struct transaction found; /* only where all of it must run */
    struct route route;
};

static void gather_again(void *context, const struct span *argv, size_t argc)
{
    struct regathering *g = context;
    struct routing r = g->routing;
    const struct command *command = command_resolve(argv, argc);
    stamp_t listed = g->route.listed;

    if (command == NULL || g->route.error != NULL)
        return;
    take_keys(&r, command, argv, argc);
    if (r.route.bound)
        g->route = r.route;
    g->route.listed = r.route.listed > listed ? r.route.listed : listed;
    g->route.error = route_gather(&g->found, &r.route);
}

/* A home may have moved since a command was queued. */
static struct route route_queued(const struct routing *routing, const struct transaction *t)
{
    struct regathering g = { .routing = *routing, .route = routing->route };

    transaction_each(t, gather_again, &g);
    return g.route;
}

struct route route_of(const struct server *server, const struct session *session,
                      const struct span *argv, size_t argc)
{
    const struct transaction *t = &session->transaction;
    const struct command *command = command_resolve(argv, argc);
    struct levels levels = session->levels;
    struct routing r = { .server = server,
                         .session = session,
                         .levels = &levels,
                         .db = session->db,
                         .route = { .region = server->replica->options.region } };

    with_raise(&levels, &session->with);
    if (command == NULL)
        return r.route;
    if (command->run == cmd_exec && t->open)
        return t->region != 0 ? route_queued(&r, t) : r.route;
    take_keys(&r, command, argv, argc);
    return r.route;
}
