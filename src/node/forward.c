#include "node/forward.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
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
#include "wire/message.h"
#include "wire/resp_skip.h"

/* --- a command as bytes --- */

static void put_command(struct buffer *out, const struct span *argv, size_t argc)
{
    buffer_printf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        buffer_printf(out, "$%zu\r\n", argv[i].len);
        buffer_put(out, argv[i]);
        buffer_put_text(out, "\r\n");
    }
}

/* One of words and numbers. */
static void put_words(struct buffer *out, const char *a, const char *b, struct span c)
{
    struct span argv[3] = { span_str(a), span_str(b), c };

    put_command(out, argv, c.at != NULL ? 3 : 2);
}

/* The session there follows the token from now on; the command that comes next waits for it. */
static void put_follow(struct buffer *out, struct span token)
{
    struct span argv[4] = { span_str("SESSION"), span_str("FOLLOW"), token, span_str("0") };

    put_command(out, argv, 4);
}

static bool same_levels(const struct levels *a, const struct levels *b)
{
    bool read = a->has_read == b->has_read &&
                (!a->has_read ||
                 (a->read.reads == b->read.reads && a->read.staleness_ms == b->read.staleness_ms));
    bool write = a->has_write == b->has_write &&
                 (!a->has_write ||
                  (a->write.acks == b->write.acks && a->write.count == b->write.count));

    return read && write;
}

/* What the session there has to be told first: as many commands as are returned. */
static uint64_t put_session(const struct client *c, struct buffer *out)
{
    const struct session *s = &c->session;
    const struct forward *f = &c->forward;
    bool leveled = same_levels(&f->levels, &s->levels) && (!f->follows || s->token != NULL);
    struct buffer word = { 0 };
    uint64_t count = 0;

    if (f->protocol != s->reply.protocol) {
        put_words(out, "HELLO", s->reply.protocol == 3 ? "3" : "2", (struct span){ 0 });
        count++;
    }
    if (f->db != s->db) {
        buffer_printf(&word, "%u", s->db);
        buffer_put_u8(&word, 0);
        put_words(out, "SELECT", (char *)word.at, (struct span){ 0 });
        count++;
    }
    if (!leveled) {
        put_words(out, "SESSION", "RESET", (struct span){ 0 });
        count++;
    }
    if (!leveled && s->levels.has_read) {
        buffer_clear(&word);
        read_level_put(&word, s->levels.read);
        put_words(out, "SESSION", "READ", buffer_span(&word));
        count++;
    }
    if (!leveled && s->levels.has_write) {
        buffer_clear(&word);
        write_level_put(&word, s->levels.write);
        put_words(out, "SESSION", "WRITE", buffer_span(&word));
        count++;
    }
    buffer_release(&word);
    return count;
}

/* It has been told. */
static void know_session(struct client *c, bool follows)
{
    struct forward *f = &c->forward;

    f->protocol = c->session.reply.protocol;
    f->db = c->session.db;
    f->levels = c->session.levels;
    f->follows = follows || (f->follows && c->session.token != NULL);
}

/* What the client has seen must be there before it writes, or reads causally: it follows a token. */
static uint64_t put_token(struct node *n, const struct session *s, struct buffer *out)
{
    struct buffer token = { 0 };

    if (s->token == NULL && !s->demand.causal)
        return 0;
    session_token_put(&n->server, s, &token);
    put_follow(out, buffer_span(&token));
    buffer_release(&token);
    return 1;
}

/* --- sending --- */

static struct link *way_to(const struct peer *p)
{
    return p != NULL && p->intake != NULL && p->intake->ready && !p->intake->close ? p->intake
                                                                                   : NULL;
}

bool forward_reaches(const struct peer *p)
{
    return way_to(p) != NULL;
}

static struct span session_id_of(const void *client)
{
    const struct client *c = client;

    return span_of((const uint8_t *)&c->session.id, sizeof(c->session.id));
}

void forward_init(struct node *n)
{
    list_init(&n->forwarding);
    table_init(&n->away, session_id_of, n->options.seed);
    n->forward_due_us = UINT64_MAX;
}

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

/* The session that it has elsewhere is not needed any more, or gone with its link. */
static void leave_session(struct node *n, struct client *c)
{
    struct forward *f = &c->forward;
    struct link *l = way_to(f->peer);

    if (l != NULL && l->id == f->link_id) {
        message_put_forget(&l->output, c->session.id);
        link_dirty(n, l);
    }
    c->session.transaction.unsure |= f->watches;
    if (f->peer != NULL)
        table_remove(&n->away, session_id_of(c));
    f->peer = NULL;
    f->watches = f->ended = false;
}

/* A session there, as it is when it is new. */
static void open_session(struct node *n, struct client *c, struct peer *p, const struct link *l)
{
    struct forward *f = &c->forward;

    if (f->peer == p && f->link_id == l->id && !f->ended)
        return;
    leave_session(n, c);
    f->peer = p;
    table_insert(&n->away, c);
    f->link_id = l->id;
    f->db = 0;
    f->protocol = 2;
    f->levels = (struct levels){ 0 };
    f->follows = false;
}

static struct forwarded *first_of(const struct client *c)
{
    return fifo_at(&c->forward.flight, sizeof(struct forwarded), 0);
}

static void push_flight(struct node *n, struct client *c, struct forwarded one)
{
    struct forward *f = &c->forward;

    *(struct forwarded *)fifo_push(&f->flight, sizeof(one)) = one;
    if (!list_linked(&f->link))
        list_add_tail(&n->forwarding, &f->link);
    if (one.deadline_us < n->forward_due_us)
        n->forward_due_us = one.deadline_us;
}

static uint64_t deadline_of(const struct node *n, const struct client *c,
                            const struct command *command)
{
    uint64_t timeout_us = (uint64_t)c->session.demand.timeout_ms * 1000;

    if ((command != NULL && command->flags & CMD_BLOCKING) || c->sent_to != 0)
        return UINT64_MAX; /* it says itself how long it waits */
    return n->now_us + timeout_us + FORWARD_SLACK_US;
}

/* Whether the reply is wanted, as if the command had run here. */
static bool is_silent(struct session *s)
{
    bool silent = s->reply_mode != REPLY_ON;

    if (s->reply_mode == REPLY_SKIP)
        s->reply_mode = REPLY_ON;
    return silent;
}

static void send_commands(struct node *n, struct client *c, struct link *l, struct span commands,
                          uint64_t before, struct forwarded one)
{
    struct message_forward m = {
        .session = c->session.id,
        .number = ++c->forward.numbers,
        .hops = c->remote != NULL ? (uint8_t)(c->remote->hops + 1) : 0,
        .after = c->listed,
        .before = before,
        .commands = commands,
    };

    message_put_forward(&l->output, &m);
    if (MUTATION(sends_twice))
        message_put_forward(&l->output, &m);
    link_dirty(n, l);
    one.number = m.number;
    one.about = audited_commands(n, l, false, commands);
    push_flight(n, c, one);
    n->forwards_sent++;
}

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
        leave_session(n, c);
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

#define TOO_LARGE "ERR the command is too large to be sent to the region that writes its keys"

/* --- sending commands --- */

/* Sends the bytes; whoever follows a token is then to have seen what the other region has. */
static void send_and_ask(struct node *n, struct client *c, struct link *l, struct buffer *bytes,
                         uint64_t before, struct forwarded one)
{
    one.seen = c->session.token != NULL;
    send_commands(n, c, l, buffer_span(bytes), before, one);
    if (one.seen) {
        buffer_clear(bytes);
        put_words(bytes, "SESSION", "TOKEN", (struct span){ 0 });
        send_commands(n, c, l, buffer_span(bytes), 0,
                      (struct forwarded){ .deadline_us = one.deadline_us, .token = true });
    }
    buffer_release(bytes);
}

static enum forward_verdict send_one(struct node *n, struct client *c, struct link *l,
                                     const struct span *argv, size_t argc, struct forwarded one)
{
    struct buffer bytes = { 0 };
    uint64_t before = put_session(c, &bytes), tokens = put_token(n, &c->session, &bytes);

    put_command(&bytes, argv, argc);
    if (bytes.len > FORWARD_BYTES_MAX) {
        buffer_release(&bytes);
        return refuse_in_order(n, c, TOO_LARGE);
    }
    know_session(c, tokens > 0);
    one.silent = one.silent || is_silent(&c->session);
    send_and_ask(n, c, l, &bytes, before + tokens, one);
    return FORWARD_GONE;
}

static enum forward_verdict send_command(struct node *n, struct client *c, struct link *l,
                                         const struct span *argv, size_t argc)
{
    size_t at = c->session.with.command_at;
    const struct command *command = command_resolve(argv + at, argc - at);

    return send_one(
        n, c, l, argv, argc,
        (struct forwarded){ .deadline_us = deadline_of(n, c, command),
                            .writes = command == NULL || !(command->flags & CMD_READONLY) });
}

/* The whole transaction, and its EXEC as it came (which may stand in a WITH). */
static enum forward_verdict send_transaction(struct node *n, struct client *c, struct link *l,
                                             const struct span *argv, size_t argc)
{
    struct transaction *t = &c->session.transaction;
    struct buffer bytes = { 0 };
    struct span multi = span_str("MULTI");
    uint64_t before = put_session(c, &bytes), tokens = put_token(n, &c->session, &bytes);

    put_command(&bytes, &multi, 1);
    before += tokens + 1 + transaction_put(t, put_command, &bytes);
    put_command(&bytes, argv, argc);
    if (bytes.len > FORWARD_BYTES_MAX) {
        buffer_release(&bytes);
        return refuse_in_order(n, c, TOO_LARGE);
    }
    know_session(c, tokens > 0);
    send_and_ask(n, c, l, &bytes, before,
                 (struct forwarded){ .deadline_us = deadline_of(n, c, NULL),
                                     .writes = t->writes,
                                     .silent = is_silent(&c->session) });
    transaction_discard(&n->server, t);
    c->forward.watches = false;
    return FORWARD_GONE;
}

/* --- judging --- */

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
    struct link *l = way_to(p);
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
    open_session(n, c, p, l);
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
        return send_transaction(n, c, l, argv, argc);
    c->forward.watches |= command_find(argv[at])->run == cmd_watch;
    return send_command(n, c, l, argv, argc);
}

bool forward_read(struct node *n, struct client *c, const struct span *argv, size_t argc)
{
    struct peer *p = elsewhere_find(n, c);
    struct link *l = way_to(p);

    if (l == NULL || must_wait_for(c, p, l) || !link_has_room(l))
        return false;
    open_session(n, c, p, l);
    c->listed = 0;
    return send_one(n, c, l, argv, argc,
                    (struct forwarded){ .deadline_us = promise_deadline_us(n, c),
                                        .moved = true }) == FORWARD_GONE;
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
            leave_session(n, c); /* EXEC runs nothing, and says so here */
        return;
    }
    bool reads = command_has_keys(command) && !c->session.transaction.open;
    if ((command->run == cmd_exec || reads) && !route->bound) {
        route->region = f->peer->region->id;
        route->bound = true;
    }
    if (ends_watch(c, command) && f->flight.count == 0)
        leave_session(n, c); /* else it waits, and comes again */
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

/* --- answers --- */

static void forget_first(struct client *c)
{
    struct forward *f = &c->forward;

    fifo_pop(&f->flight);
    if (f->flight.count == 0)
        list_remove(&f->link);
}

static void wake(struct node *n, struct client *c)
{
    client_mark_dirty(n, c);
    if (c->session.input.len > 0) {
        client_wait(n, c);
        n->resume = true;
    }
}

/* Whose session over this link has that number; NULL: nobody's any more. */
static struct client *client_with(const struct node *n, const struct link *l, uint64_t session)
{
    void **slot = table_find(&n->away, span_of((const uint8_t *)&session, sizeof(session)));
    struct client *c = slot != NULL ? *slot : NULL;

    return c != NULL && c->forward.link_id == l->id ? c : NULL;
}

/* The text of a bulk string; empty: it is none. */
static struct span bulk_of(struct span reply)
{
    const uint8_t *end = reply.len > 0 ? memchr(reply.at, '\n', reply.len) : NULL;

    if (end == NULL || reply.at[0] != '$' || reply.at + reply.len - end < 3)
        return span_of("", 0);
    return span_of(end + 1, (size_t)(reply.at + reply.len - end) - 3);
}

/* What the other region had when it answered the read before. An answer that is not wanted, or is an error,
 * has shown nothing of it. */
static void take_seen(struct node *n, struct client *c, struct span reply)
{
    struct session *s = &c->session;
    struct buffer *kept = &c->forward.kept;
    struct token *t = mem_alloc(sizeof(*t));
    struct span text = bulk_of(reply);

    if (kept->len == 0)
        ;
    else if (s->token != NULL && token_take(text, t, n->options.deployment->name)) {
        token_merge(s->token, t);
        s->token_timed = false;
        size_t start = s->output.len;
        buffer_put(&s->output, buffer_span(kept));
        if (c->forward.kept_stamp != 0)
            hold_until_applied(n, c, start, c->forward.kept_stamp);
    } else {
        size_t start = s->output.len;
        reply_error(&s->reply, "STALE the command was answered elsewhere, and what else is there "
                               "is not known");
        server_count_error(&n->server, &s->output, start);
    }
    buffer_release(kept);
    mem_free(t);
}

/* The answer of a command; the first that was on its way. */
static void take_reply_of(struct node *n, struct client *c, const struct forwarded *first,
                          const struct message_answer *m)
{
    struct session *s = &c->session;
    size_t start = s->output.len;

    if (m->stamp != 0 && first->writes) {
        s->last_write = m->stamp;
        if (!replica_owns(&n->replica, stamp_origin(m->stamp)))
            session_wrote_elsewhere(s, m->stamp, m->instance);
    }
    if (first->silent)
        return;
    if (first->seen && m->reply.at[0] != '-') {
        buffer_put(&c->forward.kept, m->reply);
        c->forward.kept_stamp = first->moved ? 0 : m->stamp;
        return;
    }
    buffer_put(&s->output, m->reply);
    if (m->stamp != 0 && !first->moved)
        hold_until_applied(n, c, start, m->stamp);
}

void forward_take_answer(struct node *n, struct link *l, struct span body)
{
    struct message_answer m;
    if (!message_take_answer(body, &m) || resp_skip(m.reply) != m.reply.len) {
        link_refuse(n, l, "a malformed ANSWER");
        return;
    }
    struct client *c = client_with(n, l, m.session);
    if (c == NULL || c->forward.flight.count == 0 || first_of(c)->number != m.number)
        return; /* nobody waits for it any more */
    struct forwarded first = *first_of(c);
    forget_first(c);
    audited_answer(n, l, true, first.about, m.reply.len);
    if (first.token)
        take_seen(n, c, m.reply);
    else
        take_reply_of(n, c, &first, &m);
    wake(n, c);
}

static void fail_first(struct node *n, struct client *c, const char *what)
{
    const struct forwarded *first = first_of(c);
    const char *name = c->forward.peer->region->name;
    bool told = first->token ? c->forward.kept.len > 0 : !first->silent;
    size_t start = c->session.output.len;

    if (told && first->token)
        reply_errorf(
            &c->session.reply,
            "STALE the command was answered by %s, and what else is there is not known: %s", name,
            what);
    else if (told && first->writes)
        reply_errorf(&c->session.reply,
                     "UNKNOWN the command was sent to %s, and %s: it may have happened", name,
                     what);
    else if (told)
        reply_errorf(&c->session.reply, "STALE the read was sent to %s, and %s", name, what);
    if (told)
        server_count_error(&n->server, &c->session.output, start);
    buffer_release(&c->forward.kept);
    forget_first(c);
}

static void expire(struct node *n, struct client *c)
{
    bool any = false;

    while (c->forward.flight.count > 0 && n->now_us >= first_of(c)->deadline_us) {
        fail_first(n, c, "no answer has come in time");
        any = true;
    }
    if (any)
        wake(n, c);
}

static void expire_all(struct node *n)
{
    if (n->now_us < n->forward_due_us)
        return;
    n->forward_due_us = UINT64_MAX;
    list_each(&n->forwarding, it)
    {
        struct client *c = container_of(it, struct client, forward.link);
        expire(n, c);
        if (c->forward.flight.count > 0 && first_of(c)->deadline_us < n->forward_due_us)
            n->forward_due_us = first_of(c)->deadline_us;
    }
}

uint64_t forward_deadline_us(const struct node *n)
{
    return n->forward_due_us;
}

void forward_forget(struct node *n, struct client *c)
{
    struct forward *f = &c->forward;

    leave_session(n, c);
    list_remove(&f->link);
    fifo_release(&f->flight);
    buffer_release(&f->kept);
    *f = (struct forward){ 0 };
}

/* --- what ends --- */

void forward_hear_of_end(struct node *n, const struct link *l, uint64_t session)
{
    struct client *c = client_with(n, l, session);

    if (c != NULL)
        c->forward.ended = true;
}

void forward_release(struct node *n)
{
    table_release(&n->away);
}

void forward_turn_end(struct node *n)
{
    expire_all(n);
}

void forward_link_closed(struct node *n, struct link *l)
{
    list_each(&n->forwarding, it)
    {
        struct client *c = container_of(it, struct client, forward.link);
        if (c->forward.link_id != l->id)
            continue;
        while (c->forward.flight.count > 0)
            fail_first(n, c, "the link to it was lost");
        leave_session(n, c);
        wake(n, c);
    }
}
