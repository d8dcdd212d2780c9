#include "cmd/fence.h"

#include <stdio.h>

#include "cmd/command_keys.h"
#include "cmd/handlers.h"
#include "cmd/home.h"

uint32_t fence_of_key(const struct server *server, struct span key)
{
    return server_declared(server, server_keyspace(server, key))->fence;
}

bool fence_shows(const struct server *server, const struct session *session,
                 const struct keyspace *k)
{
    uint8_t own = server->replica->options.region;
    uint8_t asks = session != NULL && session->region != 0 ? session->region : own;

    return k->fence == 0 || k->outside == KEYSPACE_THROUGH ||
           fence_holds(&server->deployment->fences[k->fence], asks);
}

static bool is_held_here(const struct server *server, uint32_t fence)
{
    return fence == 0 || server->replica->options.own[fence] != 0;
}

/* Who holds them, so that the client can go there. */
void fence_refuse(struct call *call, uint32_t fence)
{
    const struct deployment *d = call->server->deployment;
    char names[200] = "";
    size_t len = 0;

    for (size_t i = 0; i < d->region_count && len < sizeof(names); i++) {
        if (fence_holds(&d->fences[fence], d->regions[i].id))
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? ", " : "",
                                    d->regions[i].name);
    }
    reply_errorf(call->reply, "FENCED this region may not hold that key: fence %s is %s",
                 d->fences[fence].name, names);
}

/* The keys of one command that come from there and go here: a result would leave its source's fence. */
static bool carries(const struct command *command)
{
    static const char words[] = "copy rename renamenx lmove rpoplpush blmove brpoplpush smove sort "
                                "georadius georadiusbymember geosearchstore zrangestore "
                                "sdiffstore sinterstore sunionstore zdiffstore zinterstore "
                                "zunionstore bitop pfmerge";

    return command_listed(words, command->name);
}

static void refuse_two(struct call *call)
{
    if (carries(call->command))
        reply_error(call->reply, "FENCED the result would leave the fence of its source");
    else
        reply_error(call->reply, "CROSSSLOT Keys in request lie in different fences");
}

struct judge {
    struct call *call;
    bool any;
};

static bool judge_key(struct judge *j, struct span key)
{
    const struct server *server = j->call->server;
    const struct keyspace *k = server_declared(server, server_keyspace(server, key));
    uint32_t fence = k->fence;

    if (j->any && fence != j->call->fence) {
        refuse_two(j->call);
        return false;
    }
    if (!is_held_here(server, fence) || !fence_shows(server, j->call->session, k)) {
        fence_refuse(j->call, fence);
        return false;
    }
    j->any = true;
    j->call->fence = fence;
    return true;
}

static bool judge_keys(struct judge *j)
{
    const struct call *call = j->call;
    struct key_range range = { 0 };

    if (!command_key_range(call->command, call->argv, call->argc, &range))
        return true;
    if (range.before != 0 && !judge_key(j, call->argv[range.before]))
        return false;
    for (size_t i = range.first; i <= range.last; i += range.step) {
        if (!judge_key(j, call->argv[i]))
            return false;
    }
    return true;
}

/* What MULTI gathers is one group, and of one fence. */
static bool judge_transaction(struct judge *j)
{
    struct call *call = j->call;
    struct transaction *t = &call->session->transaction;

    if (!t->open || call->nested || !j->any)
        return true;
    if (t->fenced && t->fence != call->fence) {
        refuse_two(call);
        return false;
    }
    t->fenced = true;
    t->fence = call->fence;
    return true;
}

/* FLUSHALL writes to all fences at once; what an operator writes goes where it has to by itself. */
static void refuse_without_keys(struct call *call)
{
    if (call->command->flags & CMD_ADMIN)
        reply_errorf(call->reply, "ERR '%s' is not for MULTI where there are fences",
                     call->command->name);
    else
        reply_errorf(call->reply, "CROSSSLOT %s inside MULTI would span all fences",
                     call->command->name);
}

bool fence_admits(struct call *call)
{
    struct judge j = { .call = call };

    if (!call->server->fenced)
        return true;
    if (call->command->run == cmd_exec) {
        call->fence = call->session->transaction.fence;
        return true;
    }
    if (call->session->transaction.open && !call->nested && (call->command->flags & CMD_WRITE) &&
        !command_has_keys(call->command)) {
        refuse_without_keys(call);
        return false;
    }
    return !command_has_keys(call->command) || (judge_keys(&j) && judge_transaction(&j));
}

/* --- patterns --- */

/* Keys that begin with `fixed`, of keyspace b, beside a key of keyspace a. */
static bool lie_together(const struct keyspace *a, struct span key, const struct keyspace *b,
                         struct span fixed)
{
    struct span tag = home_tag(fixed);

    if (a->fence != b->fence || a->mode != b->mode)
        return false;
    if (a->mode == KEYSPACE_PRIMARY)
        return a->writer == b->writer;
    if (a->mode == KEYSPACE_PARTITIONED) /* a whole tag stands before the star */
        return a == b && tag.len < fixed.len && span_equal(tag, home_tag(key));
    return true;
}

bool fence_admits_pattern(struct call *call, struct span sorted, struct span pattern)
{
    const struct server *server = call->server;
    const struct deployment *d = server->deployment;
    const uint8_t *star = pattern.len > 0 ? memchr(pattern.at, '*', pattern.len) : NULL;
    struct span fixed = span_of(pattern.at, star != NULL ? (size_t)(star - pattern.at) : 0);

    if ((!server->fenced && !server->routed) || star == NULL)
        return true;
    const struct keyspace *own = server_declared(server, server_keyspace(server, sorted));
    const struct keyspace *base = server_declared(server, server_keyspace(server, fixed));

    for (size_t i = 0; i < d->keyspace_count; i++) {
        const struct keyspace *k = &d->keyspaces[i];
        struct span prefix = span_of(k->prefix, k->prefix_bytes);
        bool longer = prefix.len > fixed.len && span_equal(span_of(prefix.at, fixed.len), fixed);

        if (k != base && !longer)
            continue;
        if (!fence_shows(server, call->session, k)) {
            fence_refuse(call, k->fence);
            return false;
        }
        if (lie_together(own, sorted, k, longer ? prefix : fixed))
            continue;
        reply_error(call->reply, "CROSSSLOT BY or GET of SORT names keys of another fence or home");
        return false;
    }
    return true;
}

void fence_follow(struct call *call, struct span key)
{
    uint32_t fence;

    if (!call->server->fenced)
        return;
    fence = fence_of_key(call->server, key);
    if (fence == call->fence)
        return;
    replica_split_group(call->replica);
    replica_group_fence(call->replica, fence);
    call->fence = fence;
}
