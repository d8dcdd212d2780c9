#include "node/remote.h"

#include "base/check.h"
#include "base/memory.h"
#include "node/audited.h"
#include "node/client.h"
#include "node/forward.h"
#include "node/node.h"
#include "wire/message.h"
#include "wire/resp_skip.h"

static struct span key_of(const void *remote)
{
    const struct remote *r = remote;

    return span_of((const uint8_t *)&r->key, sizeof(r->key));
}

void remote_init(struct node *n)
{
    list_init(&n->remotes);
    list_init(&n->remotes_due);
    table_init(&n->remotes_by_key, key_of, n->options.seed);
}

static struct remote *remote_with(const struct node *n, const struct link *l, uint64_t session)
{
    struct remote_key key = { .link_id = l->id, .session = session };
    void **slot = table_find(&n->remotes_by_key, span_of((const uint8_t *)&key, sizeof(key)));

    return slot != NULL ? *slot : NULL;
}

static struct remote_command *first_of(const struct remote *r)
{
    return fifo_at(&r->commands, sizeof(struct remote_command), 0);
}

static struct remote *open_remote(struct node *n, struct link *l, uint64_t session)
{
    struct session *s = client_open(n, NULL, l->address, l->peer->region->name);
    if (s == NULL)
        return NULL;
    struct remote *r = mem_zalloc(sizeof(*r));
    *r = (struct remote){ .client = client_of(s),
                          .from = l,
                          .key = { .link_id = l->id, .session = session } };
    r->client->remote = r;
    s->region = l->peer->region->id;
    list_add_tail(&n->remotes, &r->link);
    table_insert(&n->remotes_by_key, r);
    return r;
}

/* Its session here, if it still has one. */
static void end_session(struct node *n, struct remote *r)
{
    struct client *c = r->client;

    list_remove(&r->due);
    r->client = NULL;
    if (c == NULL)
        return;
    c->remote = NULL;
    client_close(n, &c->session);
}

static void close_remote(struct node *n, struct remote *r)
{
    list_remove(&r->link);
    table_remove(&n->remotes_by_key, key_of(r));
    end_session(n, r);
    fifo_release(&r->commands);
    mem_free(r);
}

static void put_answer(struct node *n, const struct remote *r, uint64_t number, struct span reply)
{
    const struct session *s = &r->client->session;
    bool own = replica_owns(&n->replica, stamp_origin(s->last_write));
    struct message_answer m = {
        .session = r->key.session,
        .number = number,
        .stamp = s->last_write,
        .instance = own ? n->options.instance : session_run_of(s, s->last_write),
        .reply = reply,
    };

    message_put_answer(&r->from->output, &m);
    link_dirty(n, r->from);
}

/* There is no session for it here. */
static void refuse_remote(struct node *n, struct link *l, const struct message_forward *m,
                          const char *error)
{
    struct message_answer answer = {
        .session = m->session,
        .number = m->number,
        .reply = span_str(error),
    };

    message_put_answer(&l->output, &answer);
    link_dirty(n, l);
}

void remote_mark_due(struct node *n, struct remote *r)
{
    if (!list_linked(&r->due))
        list_add_tail(&n->remotes_due, &r->due);
}

void remote_take(struct node *n, struct link *l, struct span body)
{
    struct message_forward m;
    if (!message_take_forward(body, &m)) {
        link_refuse(n, l, "a malformed FORWARD");
        return;
    }
    struct remote *r = remote_with(n, l, m.session);
    if (r == NULL)
        r = open_remote(n, l, m.session);
    if (r == NULL || r->client == NULL) {
        refuse_remote(n, l, &m,
                      r == NULL ? "-NOWRITER too many clients are connected there\r\n"
                                : "-NOWRITER the session there was ended: try again\r\n");
        return;
    }
    if (r->commands.count == FORWARD_TAKEN_MAX) {
        link_refuse(n, l, "more than %u commands of one client", (unsigned)FORWARD_TAKEN_MAX);
        return;
    }
    uint32_t about = audited_commands(n, l, true, m.commands);
    struct remote_command *last = fifo_push(&r->commands, sizeof(*last));
    *last = (struct remote_command){ m.number, m.before, about };
    r->hops = m.hops;
    if (m.after != 0 && replica_may_hold(&n->replica, stamp_origin(m.after)))
        vector_raise(&r->after, m.after);
    n->forwards_taken++;
    client_input(n, &r->client->session, m.commands);
    remote_mark_due(n, r);
}

void remote_take_forget(struct node *n, struct link *l, struct span body)
{
    uint64_t session;
    if (!message_take_forget(body, &session)) {
        link_refuse(n, l, "a malformed FORGET");
        return;
    }
    if (l->is_intake) {
        forward_hear_of_end(n, l, session);
        return;
    }
    struct remote *r = remote_with(n, l, session);
    if (r != NULL)
        close_remote(n, r);
}

static void take_reply(struct node *n, struct remote *r, struct span reply)
{
    struct remote_command *first = first_of(r);

    if (first->before > 0) {
        first->before--;
        return;
    }
    static const char text[] =
        "-ERR the answer is too large to be sent from the region that writes "
        "the keys\r\n";
    put_answer(n, r, first->number, reply.len <= FORWARD_BYTES_MAX ? reply : span_str(text));
    audited_answer(n, r->from, false, first->about, reply.len);
    fifo_pop(&r->commands);
}

/* Its whole replies become answers. */
static void see_off(struct node *n, struct remote *r)
{
    struct session *s = &r->client->session;
    size_t bytes;

    while (r->commands.count > 0 && (bytes = resp_skip(client_output(s))) > 0) {
        if (!link_has_room(r->from))
            return; /* it stays due; when its own output is full, its commands wait */
        if (!audited_may_answer(n, r->from, first_of(r)->about))
            break;
        take_reply(n, r, span_of(client_output(s).at, bytes));
        client_sent(n, s, bytes);
    }
    list_remove(&r->due);
    if (!s->killed && !s->closing)
        return;
    static const char text[] =
        "-UNKNOWN the session there was ended: the command may have happened\r\n";
    for (; r->commands.count > 0; fifo_pop(&r->commands))
        put_answer(n, r, first_of(r)->number, span_str(text));
    end_session(n, r); /* a new one would not know what this one was told */
    message_put_forget(&r->from->output, r->key.session);
    link_dirty(n, r->from);
}

void remote_turn_end(struct node *n)
{
    list_each(&n->remotes_due, it)
    {
        see_off(n, container_of(it, struct remote, due));
    }
}

void remote_release(struct node *n)
{
    while (!list_empty(&n->remotes))
        close_remote(n, container_of(n->remotes.next, struct remote, link));
    table_release(&n->remotes_by_key);
}

void remote_link_closed(struct node *n, const struct link *l)
{
    list_each(&n->remotes, it)
    {
        struct remote *r = container_of(it, struct remote, link);
        if (r->from == l)
            close_remote(n, r);
    }
}
