#include "cmd/demand.h"

#include "cmd/command_keys.h"
#include "cmd/handlers.h"
#include "cmd/with.h"

void demand_init(struct demand *d)
{
    *d = (struct demand){ .staleness_ms = STALENESS_ANY };
}

void demand_merge(struct demand *d, const struct demand *other)
{
    for (int i = 0; i < 4; i++)
        d->members[i] |= other->members[i];
    d->fences |= other->fences;
    if (other->staleness_ms < d->staleness_ms)
        d->staleness_ms = other->staleness_ms;
    d->causal |= other->causal;
    d->strong |= other->strong;
    if (other->others > d->others)
        d->others = other->others;
    if (other->timeout_ms > d->timeout_ms)
        d->timeout_ms = other->timeout_ms;
    if (other->max_lag_ms != 0 && (d->max_lag_ms == 0 || other->max_lag_ms < d->max_lag_ms))
        d->max_lag_ms = other->max_lag_ms;
    d->refuses |= other->refuses;
}

static void ask_for_lag(struct demand *d, const struct keyspace *k)
{
    struct demand one = { .staleness_ms = STALENESS_ANY,
                          .max_lag_ms = k->max_lag_ms,
                          .refuses = k->max_lag_ms != 0 && k->then == KEYSPACE_REFUSE_WRITES };

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

/* One keyspace's part. `live` NULL: no key says, and so only the levels do. */
static void ask(const struct server *server, const struct levels *levels,
                const struct command *command, const struct keyspace_live *live, struct demand *d)
{
    const struct deployment *deployment = server->deployment;
    bool writes = command->flags & CMD_WRITE;
    uint32_t fence = 0, timeout_ms = 0;
    struct read_level read = { KEYSPACE_READ_LOCAL, 0 };
    struct write_level write = { KEYSPACE_ASYNC, 0 };

    if (live != NULL) {
        const struct keyspace *k = &deployment->keyspaces[live - server->keyspaces];

        fence = k->fence;
        if (writes)
            ask_for_lag(d, k);
        timeout_ms = live->ack_timeout_ms;
        read = live->reads;
        write = live->acks;
    }
    if (levels != NULL && levels->has_read)
        read = levels->read;
    if (levels != NULL && levels->has_write)
        write = levels->write;
    if (levels != NULL && levels->timeout_ms != 0)
        timeout_ms = levels->timeout_ms;
    if (timeout_ms > d->timeout_ms)
        d->timeout_ms = timeout_ms;

    const struct fence *f = &deployment->fences[fence];
    uint32_t others = writes ? write_level_others(write, count_members(f)) : 0;

    for (int i = 0; i < 4; i++)
        d->members[i] |= f->members[i];
    d->fences |= 1u << fence;
    if (others > d->others)
        d->others = others;
    if (!writes)
        ask_to_read(d, read);
}

static void ask_for_key(const struct server *server, const struct levels *levels,
                        const struct command *command, struct span key, struct demand *d)
{
    ask(server, levels, command, server_keyspace(server, key), d);
}

/* FLUSHALL and its kind write whatever there is; SCAN and its kind read by the session's level. */
static void ask_without_keys(const struct server *server, const struct levels *levels,
                             const struct command *command, struct demand *d)
{
    const struct keyspace_live *last = &server->keyspaces[server->deployment->keyspace_count - 1];

    if (!(command->flags & CMD_WRITE)) {
        ask(server, levels, command, NULL, d);
        if (d->timeout_ms == 0)
            d->timeout_ms = last->ack_timeout_ms;
        return;
    }
    for (const struct keyspace_live *live = server->keyspaces; live <= last; live++)
        ask(server, levels, command, live, d);
}

static void ask_for_keys(const struct server *server, const struct levels *levels,
                         const struct command *command, const struct span *argv, size_t argc,
                         struct demand *d)
{
    struct key_range range = { 0 };

    if (!command_key_range(command, argv, argc, &range))
        return;
    if (range.before != 0)
        ask_for_key(server, levels, command, argv[range.before], d);
    for (size_t i = range.first; i <= range.last; i += range.step)
        ask_for_key(server, levels, command, argv[i], d);
}

void demand_of_plain(const struct server *server, const struct levels *levels, bool has_token,
                     const struct span *argv, size_t argc, struct demand *d)
{
    const struct command *command = command_resolve(argv, argc);

    demand_init(d);
    if (command == NULL || !(command->flags & (CMD_WRITE | CMD_READONLY)))
        return;
    if (command_has_keys(command))
        ask_for_keys(server, levels, command, argv, argc, d);
    else
        ask_without_keys(server, levels, command, d);
    d->causal = has_token && (d->causal || (command->flags & CMD_WRITE));
}

void demand_of(const struct server *server, const struct session *session, const struct span *argv,
               size_t argc, struct demand *d)
{
    const struct command *command = command_find(argv[0]);
    const struct transaction *t = &session->transaction;
    struct levels levels = session->levels;
    bool has_token = session->token != NULL || session->with.token != NULL;

    demand_init(d);
    with_raise(&levels, &session->with);
    if (command != NULL && command->run == cmd_exec)
        transaction_demand(server, t, &levels, has_token, d);
    else if (!t->open)
        demand_of_plain(server, &levels, has_token, argv, argc, d);
}
