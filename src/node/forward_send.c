/*
 * forward_send -- commands on their way to another region, and what the session there is told before them.
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "cmd/command_keys.h"
#include "node/audited.h"
#include "node/client.h"
#include "node/forward.h"
#include "node/node.h"
#include "node/remote.h"
#include "wire/message.h"
#include "wire/resp.h"

/* --- a command as bytes --- */

/* One of words and numbers. */
static void put_words(struct buffer *out, const char *a, const char *b, struct span c)
{
    struct span argv[3] = { span_str(a), span_str(b), c };

    resp_put_command(out, argv, c.at != NULL ? 3 : 2);
}

/* The session there follows the token from now on; the command that comes next waits for it. */
static void put_follow(struct buffer *out, struct span token)
{
    struct span argv[4] = { span_str("SESSION"), span_str("FOLLOW"), token, span_str("0") };

    resp_put_command(out, argv, 4);
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

/* --- the session there --- */

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

void forward_release(struct node *n)
{
    table_release(&n->away);
}

bool forward_reaches(const struct peer *p)
{
    return node_ready_intake(p) != NULL;
}

/* The session that it has elsewhere is not needed any more, or gone with its link. */
void forward_leave(struct node *n, struct client *c)
{
    struct forward *f = &c->forward;
    struct link *l = node_ready_intake(f->peer);

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
void forward_open(struct node *n, struct client *c, struct peer *p, const struct link *l)
{
    struct forward *f = &c->forward;

    if (f->peer == p && f->link_id == l->id && !f->ended)
        return;
    forward_leave(n, c);
    f->peer = p;
    table_insert(&n->away, c);
    f->link_id = l->id;
    f->db = 0;
    f->protocol = 2;
    f->levels = (struct levels){ 0 };
    f->follows = false;
}

/* --- sending --- */

struct forwarded *forward_first(const struct client *c)
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

bool forward_send(struct node *n, struct client *c, struct link *l, const struct span *argv,
                  size_t argc, struct forwarded one)
{
    struct buffer bytes = { 0 };
    uint64_t before = put_session(c, &bytes), tokens = put_token(n, &c->session, &bytes);

    resp_put_command(&bytes, argv, argc);
    if (bytes.len > FORWARD_BYTES_MAX) {
        buffer_release(&bytes);
        return false;
    }
    know_session(c, tokens > 0);
    one.silent = one.silent || is_silent(&c->session);
    send_and_ask(n, c, l, &bytes, before + tokens, one);
    return true;
}

bool forward_send_command(struct node *n, struct client *c, struct link *l, const struct span *argv,
                          size_t argc)
{
    size_t at = c->session.with.command_at;
    const struct command *command = command_resolve(argv + at, argc - at);

    return forward_send(
        n, c, l, argv, argc,
        (struct forwarded){ .deadline_us = deadline_of(n, c, command),
                            .writes = command == NULL || !(command->flags & CMD_READONLY) });
}

bool forward_send_transaction(struct node *n, struct client *c, struct link *l,
                              const struct span *argv, size_t argc)
{
    struct transaction *t = &c->session.transaction;
    struct buffer bytes = { 0 };
    struct span multi = span_str("MULTI");
    uint64_t before = put_session(c, &bytes), tokens = put_token(n, &c->session, &bytes);

    resp_put_command(&bytes, &multi, 1);
    before += tokens + 1 + transaction_put(t, resp_put_command, &bytes);
    resp_put_command(&bytes, argv, argc);
    if (bytes.len > FORWARD_BYTES_MAX) {
        buffer_release(&bytes);
        return false;
    }
    know_session(c, tokens > 0);
    send_and_ask(n, c, l, &bytes, before,
                 (struct forwarded){ .deadline_us = deadline_of(n, c, NULL),
                                     .writes = t->writes,
                                     .silent = is_silent(&c->session) });
    transaction_discard(&n->server, t);
    c->forward.watches = false;
    return true;
}
