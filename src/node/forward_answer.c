/*
 * forward_answer -- what comes back of commands that run in another region, and what becomes of those whose
 * answers do not.
 */
#include "base/check.h"
#include "base/memory.h"
#include "node/audited.h"
#include "node/client.h"
#include "node/forward.h"
#include "node/node.h"
#include "wire/message.h"
#include "wire/resp_skip.h"

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
    if (c == NULL || c->forward.flight.count == 0 || forward_first(c)->number != m.number)
        return; /* nobody waits for it any more */
    struct forwarded first = *forward_first(c);
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
    const struct forwarded *first = forward_first(c);
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

    while (c->forward.flight.count > 0 && n->now_us >= forward_first(c)->deadline_us) {
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
        if (c->forward.flight.count > 0 && forward_first(c)->deadline_us < n->forward_due_us)
            n->forward_due_us = forward_first(c)->deadline_us;
    }
}

uint64_t forward_deadline_us(const struct node *n)
{
    return n->forward_due_us;
}

void forward_forget(struct node *n, struct client *c)
{
    struct forward *f = &c->forward;

    forward_leave(n, c);
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
        forward_leave(n, c);
        wake(n, c);
    }
}
