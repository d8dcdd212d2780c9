#include "cmd/fence.h"

#include <stdio.h>

#include "cmd/command_keys.h"
#include "cmd/handlers.h"

uint32_t fence_of_key(const struct server *server, struct span key)
{
    const struct keyspace_live *live = server_keyspace(server, key);

    return server->deployment->keyspaces[live - server->keyspaces].fence;
}

static bool is_held_here(const struct server *server, uint32_t fence)
{
    return fence == 0 || server->replica->options.own[fence] != 0;
}

/* Who holds them, so that the client can go there. */
static void refuse_foreign(struct call *call, uint32_t fence)
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
    uint32_t fence = fence_of_key(j->call->server, key);

    if (j->any && fence != j->call->fence) {
        refuse_two(j->call);
        return false;
    }
    if (!is_held_here(j->call->server, fence)) {
        refuse_foreign(j->call, fence);
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
        reply_errorf(call->reply, "CROSSSLOT %s inside MULTI would span all fences",
                     call->command->name);
        return false;
    }
    return !command_has_keys(call->command) || (judge_keys(&j) && judge_transaction(&j));
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
