#include "cmd/demand.h"

#include "base/bits.h"
#include "cmd/command_keys.h"
#include "cmd/handlers.h"
#include "cmd/home.h"
#include "cmd/with.h"

void demand_init(struct demand *d)
{
    *d = (struct demand){ .staleness_ms = STALENESS_ANY };
}

void demand_merge(struct demand *d, const struct demand *other)
{
    for (int i = 0; i < 4; i++)
        d->members[i] |= other->members[i];
    for (int i = 0; i < 4; i++)
        d->writers[i] |= other->writers[i];
    d->fences |= other->fences;
    if (other->staleness_ms < d->staleness_ms)
        d->staleness_ms = other->staleness_ms;
    d->causal |= other->causal;
    d->strong |= other->strong;
    d->settles |= other->settles;
    if (other->others > d->others)
        d->others = other->others;
    if (other->timeout_ms > d->timeout_ms)
        d->timeout_ms = other->timeout_ms;
    if (other->max_lag_ms != 0 && (d->max_lag_ms == 0 || other->max_lag_ms < d->max_lag_ms))
        d->max_lag_ms = other->max_lag_ms;
    d->refuses |= other->refuses;
}

static void ask_for_lag(struct demand *d, const struct keyspace_live *k)
{
    struct demand one = { .staleness_ms = STALENESS_ANY,
                          .max_lag_ms = k->promises.max_lag_ms,
                          .refuses = k->promises.max_lag_ms != 0 &&
                                     k->promises.then == KEYSPACE_REFUSE_WRITES };

    demand_merge(d, &one);
}

static uint32_t count_members(const struct fence *fence)
{
    uint32_t count = 0;

    for (int i = 0; i < 4; i++)
        count += (uint32_t)__builtin_popcountll(fence->members[i]);
    return count;
}

static void ask_to_read(struct demand *d, struct read_level level)
{
    switch (level.reads) {
    case KEYSPACE_READ_LOCAL:
        break;
    case KEYSPACE_READ_BOUNDED:
        if (level.staleness_ms < d->staleness_ms)
            d->staleness_ms = level.staleness_ms;
        break;
    case KEYSPACE_READ_STRONG:
        d->strong = true;
        __attribute__((fallthrough)); /* what a session has seen need not have been acknowledged */
    case KEYSPACE_READ_CAUSAL:
        d->causal = true;
        break;
    }
}

/* A command, and what speaks for it. */
struct asking {
    const struct server *server;
    const struct levels *levels; /* of the session, or of a WITH */
    const struct command *command;
    uint8_t db;
};

/* The levels that hold for a keyspace's keys. `live` NULL: no key says, and so only the session does. */
static struct levels levels_for(const struct asking *a, const struct keyspace_live *live)
{
    struct levels of = { .read = { KEYSPACE_READ_LOCAL, 0 }, .write = { KEYSPACE_ASYNC, 0 } };

    if (live != NULL)
        of = (struct levels){ .read = live->promises.reads,
                              .write = live->promises.acks,
                              .timeout_ms = live->promises.ack_timeout_ms };
    if (a->levels->has_read)
        of.read = a->levels->read;
    if (a->levels->has_write)
        of.write = a->levels->write;
    if (a->levels->timeout_ms != 0)
        of.timeout_ms = a->levels->timeout_ms;
    return of;
}

/* `home` HOME_EVERYWHERE: every member may write the key. */
static void ask(const struct asking *a, const struct keyspace_live *live, uint8_t home,
                struct demand *d)
{
    const struct deployment *deployment = a->server->deployment;
    const struct keyspace *k = live != NULL ? server_declared(a->server, live) : NULL;
    uint32_t fence = k != NULL ? k->fence : 0;
    const struct fence *f = &deployment->fences[fence];
    struct levels levels = levels_for(a, live);
    bool writes = a->command->flags & CMD_WRITE;
    bool settles = !writes && home != HOME_EVERYWHERE && levels.read.reads == KEYSPACE_READ_STRONG;
    uint32_t others = writes || settles ? write_level_others(levels.write, count_members(f)) : 0;

    for (int i = 0; i < 4; i++) {
        d->members[i] |= f->members[i];
        d->writers[i] |= home == HOME_EVERYWHERE ? f->members[i] : 0;
    }
    if (home != HOME_EVERYWHERE)
        bits_add(d->writers, home);
    d->fences |= 1u << fence;
    d->settles |= settles;
    d->others = others > d->others ? others : d->others;
    d->timeout_ms = levels.timeout_ms > d->timeout_ms ? levels.timeout_ms : d->timeout_ms;
    if (writes && live != NULL)
        ask_for_lag(d, live);
    if (settles)
        levels.read.reads = KEYSPACE_READ_CAUSAL; /* it runs where the writes are (cmd/route.h) */
    if (!writes)
        ask_to_read(d, levels.read);
}

static void ask_for_key(const struct asking *a, struct span key, struct demand *d)
{
    struct home home = { .region = HOME_EVERYWHERE };

    if (a->server->routed)
        home = home_of_key(a->server, a->db, key);
    ask(a, server_keyspace(a->server, key), home.region, d);
}

/* FLUSHALL and its kind write whatever there is; SCAN and its kind read by the session's level; what an
 * operator writes waits as the session does. */
static void ask_without_keys(const struct asking *a, struct demand *d)
{
    const struct server *server = a->server;
    const struct keyspace_live *last = &server->keyspaces[server->deployment->keyspace_count - 1];

    if (!(a->command->flags & CMD_WRITE) || a->command->flags & CMD_ADMIN) {
        ask(a, NULL, HOME_EVERYWHERE, d);
        if (d->timeout_ms == 0)
            d->timeout_ms = last->promises.ack_timeout_ms;
        return;
    }
    for (const struct keyspace_live *live = server->keyspaces; live <= last; live++)
        ask(a, live, HOME_EVERYWHERE, d);
}

static void ask_for_keys(const struct asking *a, const struct span *argv, size_t argc,
                         struct demand *d)
{
    struct key_range range = { 0 };

    if (!command_key_range(a->command, argv, argc, &range))
        return;
    if (range.before != 0)
        ask_for_key(a, argv[range.before], d);
    for (size_t i = range.first; i <= range.last; i += range.step)
        ask_for_key(a, argv[i], d);
}

/* What a fence keeps from this region no other may answer here. */
static bool is_held(const struct server *server, uint32_t fences)
{
    for (uint32_t fence = 1; fence < server->deployment->fence_count; fence++) {
        if (fences >> fence & 1 && server->replica->options.own[fence] == 0)
            return false;
    }
    return true;
}

void demand_of_plain(const struct server *server, const struct levels *levels, uint8_t db,
                     enum demand_token token, const struct span *argv, size_t argc,
                     struct demand *d)
{
    struct asking a = { server, levels, command_resolve(argv, argc), db };

    demand_init(d);
    if (a.command == NULL || !(a.command->flags & (CMD_WRITE | CMD_READONLY)))
        return;
    if (command_has_keys(a.command))
        ask_for_keys(&a, argv, argc, d);
    else
        ask_without_keys(&a, d);
    d->causal = token == DEMAND_OWN_TOKEN ||
                (token == DEMAND_SESSIONS_TOKEN && (d->causal || a.command->flags & CMD_WRITE));
    d->moves = command_has_keys(a.command) && !(a.command->flags & (CMD_WRITE | CMD_BLOCKING)) &&
               !d->strong && !d->settles && is_held(server, d->fences);
}

void demand_of(const struct server *server, const struct session *session, const struct span *argv,
               size_t argc, struct demand *d)
{
    const struct command *command = command_find(argv[0]);
    const struct transaction *t = &session->transaction;
    struct levels levels = session->levels;
    enum demand_token token = session->with.token != NULL ? DEMAND_OWN_TOKEN
                              : session->token != NULL    ? DEMAND_SESSIONS_TOKEN
                                                          : DEMAND_NO_TOKEN;

    demand_init(d);
    with_raise(&levels, &session->with);
    if (command != NULL && command->run == cmd_exec)
        transaction_demand(server, t, &levels, session->db, token, d);
    else if (!t->open)
        demand_of_plain(server, &levels, session->db, token, argv, argc, d);
}
