#include "node/forward.h"

#include <stdio.h>

#include "base/mutation.h"
#include "cmd/command_keys.h"
#include "cmd/handlers.h"
#include "cmd/route.h"
#include "node/audited.h"
#include "node/client.h"
#include "node/elsewhere.h"
#include "node/link_info.h"
#include "node/node.h"
#include "node/remote.h"

/* --- refusing --- */

static bool is_exec(const struct session *s, const struct span *argv, size_t argc)
{
    const struct command *command = command_resolve(argv, argc);

    return command != NULL && command->run == cmd_exec && s->transaction.open;
}

/* It is not run: nothing is watched any more, here or there. */
static void end_transaction(struct node *n, struct client *c)
{
    if (c->forward.watches)
        forward_leave(n, c);
    transaction_discard(&n->server, &c->session.transaction);
}

static void refuse(struct node *n, struct client *c, const char *error)
{
    struct session *s = &c->session;
    size_t start = s->output.len;

    reply_error(&s->reply, error);
    server_count_error(&n->server, &s->output, start);
    if (is_exec(s, s->parser.argv + s->with.command_at, s->parser.argc - s->with.command_at))
        end_transaction(n, c);
    else if (s->transaction.open)
        transaction_spoil(&s->transaction);
    command_silence(s, start);
}

/* The answers of those before it come first. */
static enum forward_verdict refuse_in_order(struct node *n, struct client *c, const char *error)
{
    if (c->forward.flight.count > 0)
        return FORWARD_WAIT;
    refuse(n, c, error);
    return FORWARD_GONE;
}

static enum forward_verdict gone(struct node *n, struct client *c, bool sent)
{
    static const char too_large[] = "ERR the command is too large to be sent to the region that "
                                    "writes its keys";

    return sent ? FORWARD_GONE : refuse_in_order(n, c, too_large);
}

/* --- judging --- */

/* The one that has a session for it, else the nearest. */
uint8_t forward_member_for(struct node *n, const struct session *s, uint32_t fence)
{
    const struct fence *f = &n->options.deployment->fences[fence];
    const struct peer *own = client_of((struct session *)s)->forward.peer, *best = NULL;
    uint64_t best_us = UINT64_MAX;

    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        uint64_t us = UINT64_MAX - 1; /* not known */
        int64_t offset_us;

        if (!fence_holds(f, p->region->id) || !forward_reaches(p))
            continue;
        if (p == own)
            return p->region->id;
        link_info_rtt_us(n, p, &offset_us, &us);
        if (us >= best_us)
            continue;
        best = p;
        best_us = us;
    }
    return best != NULL ? best->region->id : 0;
}

static void redirect(struct node *n, struct client *c, const struct route *route)
{
    const struct region *region = deployment_region_with_id(n->options.deployment, route->region);
    char text[400];

    snprintf(text, sizeof(text), "MOVED %u %s:%u", route_slot(route->key), region->clients.host,
             region->clients.port);
    refuse(n, c, text);
}

enum { SINCE_MAX = 40 };

/* How long ago that was; what was never there is missing since we serve. */
static void put_since(const struct node *n, uint64_t then_us, char text[SINCE_MAX])
{
    uint64_t ms = (n->now_us - (then_us > n->start_us ? then_us : n->start_us)) / 1000;

    if (ms < 10000)
        snprintf(text, SINCE_MAX, "since %llu ms", (unsigned long long)ms);
    else
        snprintf(text, SINCE_MAX, "since %llu s", (unsigned long long)ms / 1000);
}

static void refuse_unreached(struct node *n, struct client *c, const struct peer *p, uint8_t region)
{
    const struct region *known = deployment_region_with_id(n->options.deployment, region);
    char text[400], since[SINCE_MAX];

    put_since(n, p != NULL ? p->down_us : 0, since);
    snprintf(text, sizeof(text), "NOWRITER %s writes that key, and is not reached %s%s%s",
             known != NULL ? known->name : "a region that is not in the configuration", since,
             p != NULL && p->problem[0] != 0 ? ": " : "", p != NULL ? p->problem : "");
    refuse(n, c, text);
}

/* What it says of a fence without a member that is reached, with since when. */
static enum forward_verdict refuse_fence(struct node *n, struct client *c,
                                         const struct route *route)
{
    const struct fence *f = &n->options.deployment->fences[route->unreached];
    uint64_t then_us = 0;
    char text[400], since[SINCE_MAX];

    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];

        if (fence_holds(f, p->region->id) && p->down_us > then_us)
            then_us = p->down_us;
    }
    put_since(n, then_us, since);
    snprintf(text, sizeof(text), "%s (fence %s) %s", route->error, f->name, since);
    return refuse_in_order(n, c, text);
}

/* Those before it must have been answered, when it is not to follow them. */
static bool must_wait_for(const struct client *c, const struct peer *p, const struct link *l)
{
    const struct forward *f = &c->forward;

    if (f->flight.count == 0)
        return false;
    return f->peer != p || l == NULL || f->link_id != l->id || f->ended ||
           f->flight.count >= FORWARD_FLIGHT_MAX;
}

/* What was watched here has changed, or its home has moved away since: nobody compares it there. */
static bool has_lost_watch(const struct node *n, const struct transaction *t)
{
    return t->watched != NULL || transaction_is_stale(&n->server, t);
}

static enum forward_verdict send_away(struct node *n, struct client *c, const struct route *route,
                                      const struct span *argv, size_t argc)
{
    struct session *s = &c->session;
    struct peer *p = node_peer_with(n, route->region);
    struct link *l = node_ready_intake(p);
    size_t at = s->with.command_at;

    if (must_wait_for(c, p, l) || (l != NULL && !link_has_room(l)))
        return FORWARD_WAIT;
    if (l == NULL) {
        refuse_unreached(n, c, p, route->region);
        return FORWARD_GONE;
    }
    const char *refusal = audited_refusal(n, route->key,
                                          s->transaction.open && s->transaction.fence != 0);
    if (refusal != NULL)
        return refuse_in_order(n, c, refusal);
    if (c->remote != NULL && c->remote->hops >= FORWARD_HOPS)
        return refuse_in_order(n, c,
                               "NOWRITER the key's home moves from region to region: try again");
    forward_open(n, c, p, l);
    c->listed = route->listed;
    if (route->through && n->fence_of[stamp_origin(s->last_write)] != 0)
        c->listed = s->last_write; /* which another member may have taken */
    if (c->gather != NULL)         /* a part: it comes after what its client has written */
        c->listed = s->last_write;
    if (is_exec(s, argv + at, argc - at) && has_lost_watch(n, &s->transaction)) {
        size_t start = s->output.len;

        reply_null_array(&s->reply);
        command_silence(s, start);
        end_transaction(n, c);
        return FORWARD_GONE;
    }
    if (is_exec(s, argv + at, argc - at))
        return gone(n, c, forward_send_transaction(n, c, l, argv, argc));
    c->forward.watches |= command_find(argv[at])->run == cmd_watch;
    return gone(n, c, forward_send_command(n, c, l, argv, argc));
}

bool forward_read(struct node *n, struct client *c, const struct span *argv, size_t argc)
{
    struct peer *p = elsewhere_find(n, c);
    struct link *l = node_ready_intake(p);

    if (l == NULL || must_wait_for(c, p, l) || !link_has_room(l))
        return false;
    forward_open(n, c, p, l);
    c->listed = 0;
    return forward_send(
        n, c, l, argv, argc,
        (struct forwarded){ .deadline_us = promise_deadline_us(n, c), .moved = true });
}

static bool ends_watch(const struct client *c, const struct command *command)
{
    bool queues = c->session.transaction.open;

    return command->run == cmd_reset || command->run == (queues ? cmd_discard : cmd_unwatch);
}

/* Where keys are watched elsewhere, what goes by them goes there too, and what ends that is told there. */
static void follow_watch(struct node *n, struct client *c, const struct span *argv, size_t argc,
                         struct route *route)
{
    struct forward *f = &c->forward;
    const struct command *command = command_resolve(argv, argc);

    if (!f->watches || command == NULL)
        return;
    if (command->run == cmd_exec && c->session.transaction.refused) {
        if (f->flight.count == 0)
            forward_leave(n, c); /* EXEC runs nothing, and says so here */
        return;
    }
    bool reads = command_has_keys(command) && !c->session.transaction.open;
    if ((command->run == cmd_exec || reads) && !route->bound) {
        route->region = f->peer->region->id;
        route->bound = true;
    }
    if (ends_watch(c, command) && f->flight.count == 0)
        forward_leave(n, c); /* else it waits, and comes again */
}

/* What is watched in one region is not compared while a group runs in another. An error, or NULL. */
static const char *divided(const struct node *n, const struct client *c, uint8_t region, bool exec)
{
    uint8_t self = n->options.self->id;

    if (c->forward.watches && c->forward.peer->region->id != region && (exec || region != self))
        return "CROSSSLOT Keys are watched that are written in another region";
    if (exec && region != self && transaction_watches_here(&n->server, &c->session.transaction))
        return "CROSSSLOT Keys are watched that are written here, and what is queued is not";
    return NULL;
}

/* A write whose answer it has had, and which is not here yet; 0: there is none. */
static stamp_t lacking(const struct node *n, const struct session *s)
{
    for (uint32_t i = 0; i < s->elsewhere_count && !MUTATION(answers_unapplied); i++) {
        stamp_t stamp = s->elsewhere[i].stamp;
        uint8_t origin = stamp_origin(stamp);

        if (replica_may_hold(&n->replica, origin) &&
            vector_get(&n->replica.applied, origin) < stamp)
            return stamp;
    }
    return 0;
}

/* Reads come after what the session has written elsewhere, or are told that they cannot. */
static enum forward_verdict follow_own_write(struct node *n, struct client *c,
                                             const struct command *command)
{
    const struct session *s = &c->session;
    uint32_t timeout_ms = s->demand.timeout_ms > 0 ? s->demand.timeout_ms : FORWARD_SETTLE_MS;
    char text[300];

    stamp_t stamp = lacking(n, s);
    if (stamp == 0)
        return FORWARD_HERE;
    if (n->now_us - c->judged_us < (uint64_t)timeout_ms * 1000)
        return FORWARD_WAIT;
    if (command == NULL || !command_has_keys(command))
        return FORWARD_HERE;
    snprintf(text, sizeof(text),
             "STALE what this session has written in %s has not come here: waited %u ms",
             server_region_of(&n->server, stamp), timeout_ms);
    return refuse_in_order(n, c, text);
}

/* Who sent it here went by a word of a directory that has not come. */
static bool knows_less(const struct node *n, const struct client *c)
{
    return c->remote != NULL && !vector_covers(&n->replica.applied, &c->remote->after);
}

enum forward_verdict forward_judge(struct node *n, struct client *c, const struct span *argv,
                                   size_t argc)
{
    struct session *s = &c->session;
    size_t at = s->with.command_at;

    if (!n->server.routed && c->forward.flight.count == 0 && c->sent_to == 0)
        return FORWARD_HERE;
    if (knows_less(n, c))
        return FORWARD_WAIT;

    struct route route = route_of(&n->server, s, argv + at, argc - at);
    if (c->sent_to != 0 && command_find(argv[0])->run == cmd_gather)
        route.region = c->sent_to;
    bool gathers = s->transaction.open && !is_exec(s, argv + at, argc - at);

    if (gathers && !s->transaction.refused)
        route.error = route_gather(&s->transaction, &route);
    if (route.error != NULL)
        return route.unreached != 0 ? refuse_fence(n, c, &route)
                                    : refuse_in_order(n, c, route.error);
    const struct command *command = command_find(argv[at]); /* NULL: it is refused when it runs */

    if (gathers && (command == NULL || !ends_watch(c, command)))
        return FORWARD_HERE;
    follow_watch(n, c, argv + at, argc - at, &route);
    const char *error = divided(n, c, route.region, is_exec(s, argv + at, argc - at));
    if (error != NULL)
        return refuse_in_order(n, c, error);
    if (route.region == n->options.self->id)
        return c->forward.flight.count > 0 ? FORWARD_WAIT : follow_own_write(n, c, command);
    if (route.redirects && c->remote == NULL && c->forward.flight.count > 0)
        return FORWARD_WAIT;
    if (route.redirects && c->remote == NULL) {
        redirect(n, c, &route);
        return FORWARD_GONE;
    }
    return send_away(n, c, &route, argv, argc);
}

bool forward_may_resume(const struct client *c)
{
    return c->forward.flight.count == 0 || c->forward.flight.count < FORWARD_FLIGHT_MAX / 2;
}
