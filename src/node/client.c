#include "node/client.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "cmd/blocking.h"
#include "cmd/save.h"
#include "node/gather.h"
#include "node/node.h"
#include "node/promise.h"
#include "node/remote.h"

enum {
    /* sent output is moved away when it is this much and half of all, or all */
    COMPACT_BYTES = 1 << 20,
    BACKLOG_BYTES = 1 << 20, /* of unread replies: further commands of that client wait */
    KEEP_BYTES = 64 << 10,   /* buffers of an idle session are cut back to this */
};

void client_mark_dirty(struct node *n, struct client *c)
{
    if (c->remote != NULL)
        remote_mark_due(n, c->remote);
    else if (c->sent_to != 0)
        ; /* it is looked at in every turn (node/gather.h) */
    else if (!list_linked(&c->dirty))
        list_add_tail(&n->dirty_sessions, &c->dirty);
}

struct session *client_open(struct node *n, void *host, const char *address,
                            const char *local_address)
{
    struct server *server = &n->server;
    if (server->session_count >= server->settings.max_clients) {
        server->statistics.rejected_connections++;
        return NULL;
    }
    struct client *c = mem_zalloc(sizeof(*c));
    struct session *s = &c->session;
    server_open_session(server, s);
    s->host = host;
    snprintf(s->address, sizeof(s->address), "%s", address);
    snprintf(s->local_address, sizeof(s->local_address), "%s", local_address);
    return s;
}

void client_close(struct node *n, struct session *s)
{
    struct client *c = client_of(s);
    list_remove(&c->dirty);
    list_remove(&c->held);
    list_remove(&c->waiting);
    list_remove(&c->wrote);
    gather_forget(n, c);
    forward_forget(n, c);
    server_close_session(&n->server, s);
    hold_forget(n, c);
    mem_free(c->holds);
    mem_free(c);
}

/* --- input --- */

static void kill_session(struct node *n, struct session *s, const char *why)
{
    s->killed = true;
    node_notice(n, NOTICE_WARNING, "ev=client.killed client=%s why=\"%s\"", s->address, why);
}

void client_wait(struct node *n, struct client *c)
{
    if (!list_linked(&c->waiting))
        list_add_tail(&n->waiting, &c->waiting);
}

/* Or goes on with what removes a great many keys: that they are gone is remembered until the next
 * checkpoint. */
static bool needs_memory(const struct session *s, const struct span *argv, size_t argc)
{
    return s->unfinished || command_needs_memory(s, argv, argc);
}

/* The command that was parsed waits for the clock, the log's disk, or memory. */
static bool must_stall(struct node *n, const struct session *s)
{
    const struct span *argv = s->parser.argv + s->with.command_at;
    size_t argc = s->parser.argc - s->with.command_at;

    return (node_must_wait(n) && command_writes(s, argv, argc)) ||
           (memory_must_wait(n) && needs_memory(s, argv, argc));
}

/* Its answer begins at `start`. */
static void finish_command(struct node *n, struct client *c, size_t start)
{
    struct session *s = &c->session;

    s->wrote |= c->wrote_before;
    if (s->wrote || s->with.on || s->demand.settles)
        hold_reply(n, c, start);
    s->wrote = c->wrote_before = false;
    promise_end(c);
}

/* --- clients that wait for keys --- */

/* Its further commands run at the turn's end. */
static void answered(void *context, struct session *s, size_t start)
{
    struct node *n = context;
    struct client *c = client_of(s);
    finish_command(n, c, start);
    s->active_ms = n->now_us / 1000;
    client_wait(n, c);
    n->resume = true;
}

void client_serve(struct node *n)
{
    if (!blocking_pending(&n->server))
        return;
    blocking_serve(&n->server, !node_must_wait(n), answered, n);
    n->resume |= blocking_has_moved(&n->server);
}

/* Commands that waited for keys which another region writes by now stand in front of what their clients sent
 * behind them, as if they came now. Not while commands run: these are spans into such input. */
static void take_back_moved(struct node *n)
{
    struct buffer input = { 0 };
    struct session *s;

    while ((s = blocking_take_moved(&n->server, &input)) != NULL) {
        promise_end(client_of(s));
        buffer_put(&input, buffer_span(&s->input));
        buffer_release(&s->input);
        s->input = input;
        input = (struct buffer){ 0 };
        client_wait(n, client_of(s));
    }
}

void client_expire(struct node *n)
{
    blocking_expire(&n->server, n->now_us, answered, n);
}

/* --- running commands --- */

static size_t backlog(const struct client *c)
{
    return c->session.output.len - c->sent + c->hold_bytes;
}

/* The next command of `in` is parsed; false: it is not complete, or never will be. */
static bool parse(struct node *n, struct session *s, struct span in)
{
    size_t start = s->output.len;

    switch (resp_parse(&s->parser, in)) {
    case RESP_COMMAND:
        return true;
    case RESP_MORE:
        return false;
    case RESP_BAD:
        reply_errorf(&s->reply, "ERR %s", s->parser.error);
        server_count_error(&n->server, &s->output, start);
        s->closing = true;
        return false;
    }
    return false;
}

/* Whether there is room for another answer, and for what the command may bring in from disk. */
static bool admit(struct node *n, struct client *c)
{
    if (backlog(c) > BACKLOG_BYTES)
        c->full = true;
    else if (memory_turn_is_spent(n))
        c->stalled = n->resume = true;
    else
        return true;
    return false;
}

enum judgement {
    JUDGE_RUN,
    JUDGE_NEXT, /* it is on its way to another region, or was answered */
    JUDGE_STOP, /* it has to wait: it is parsed again when its time has come */
};

static enum judgement judge(struct node *n, struct client *c, const struct span *argv, size_t argc)
{
    struct session *s = &c->session;

    promise_begin(n, c, argv, argc); /* plain ones ask for nothing of what follows */
    enum forward_verdict way = forward_judge(n, c, argv, argc);
    if (way != FORWARD_HERE)
        return way == FORWARD_GONE ? JUDGE_NEXT : JUDGE_STOP;
    size_t start = s->output.len;
    switch (promise_judge(n, c)) {
    case PROMISE_RUN:
        return must_stall(n, s) ? JUDGE_STOP : JUDGE_RUN;
    case PROMISE_WAIT:
        return JUDGE_STOP;
    case PROMISE_AWAY:
        return forward_read(n, c, argv, argc) ? JUDGE_NEXT : JUDGE_STOP;
    case PROMISE_OVER:
        command_silence(s, start);
        return JUDGE_NEXT;
    }
    return JUDGE_STOP;
}

/* False: it goes on in the next turn. */
static bool run(struct node *n, struct client *c, const struct span *argv, size_t argc)
{
    struct session *s = &c->session;
    size_t start = s->output.len;

    command_run(&n->server, s, argv, argc);
    c->wrote_before |= s->unfinished && s->wrote;
    if (!s->unfinished && !session_waits(s))
        finish_command(n, c, start);
    client_serve(n);
    memory_keep_pace(n);
    if (s->unfinished)
        c->stalled = n->resume = true;
    return !s->unfinished;
}

/* The command that was parsed; false: it stays at the front. */
static bool take_command(struct node *n, struct client *c)
{
    const struct resp_parser *p = &c->session.parser;

    if (p->argc == 0)
        return true;
    if (!admit(n, c))
        return false;
    switch (judge(n, c, p->argv, p->argc)) {
    case JUDGE_RUN:
        return run(n, c, p->argv, p->argc);
    case JUDGE_NEXT:
        promise_end(c);
        return true;
    case JUDGE_STOP:
        c->stalled = true;
        return false;
    }
    return false;
}

/* Runs the complete commands at the front of `in`; returns how many bytes they were. */
static size_t run_commands(struct node *n, struct client *c, struct span in)
{
    struct session *s = &c->session;
    size_t used = 0;

    while (used < in.len && !s->closing && !s->killed && !session_waits(s)) {
        if (!parse(n, s, span_skip(in, used)) || !take_command(n, c))
            break;
        used += s->parser.consumed;
    }
    if (s->waiting || c->stalled || c->full)
        client_wait(n, c);
    return used;
}

static void check_limits(struct node *n, struct session *s)
{
    uint64_t most = memory_share(n, n->server.settings.query_buffer_bytes, 8);
    if (s->input.len + transaction_bytes(&s->transaction) > most)
        kill_session(n, s,
                     most < n->server.settings.query_buffer_bytes
                         ? "its query buffer is over an eighth of memory.limit"
                         : "its query buffer is over limits.query_buffer");
    else if (s->output.len - client_of(s)->sent > n->server.settings.output_buffer_bytes)
        kill_session(n, s, "it does not read its replies: over limits.output_buffer");
}

static void after_commands(struct node *n, struct client *c)
{
    struct session *s = &c->session;
    check_limits(n, s);
    if (s->killed || s->closing || client_output(s).len > 0)
        client_mark_dirty(n, c);
}

/* What stands in the session's own buffer, as far as it can go. */
static void run_buffered(struct node *n, struct client *c)
{
    struct buffer *input = &c->session.input;
    buffer_consume(input, run_commands(n, c, buffer_span(input)));
    if (input->len == 0 && input->cap > KEEP_BYTES)
        buffer_release(input);
}

void client_input(struct node *n, struct session *s, struct span bytes)
{
    struct client *c = client_of(s);
    n->server.statistics.input_bytes += bytes.len;
    s->active_ms = n->now_us / 1000;
    if (s->closing || s->killed)
        return;
    if (s->input.len > 0) {
        buffer_put(&s->input, bytes);
        if (s->input.len >= s->parser.need || c->session.parser.need == 0)
            run_buffered(n, c);
    } else {
        size_t used = run_commands(n, c, bytes);
        buffer_put(&s->input, span_skip(bytes, used));
    }
    after_commands(n, c);
}

/* --- output --- */

struct span client_output(const struct session *s)
{
    const struct client *c = (const struct client *)s;
    uint64_t end = s->output.len;
    if (c->hold_count > 0)
        end = c->holds[0].start - c->sent_total;
    return span_of(s->output.at + c->sent, end - c->sent);
}

void client_sent(struct node *n, struct session *s, size_t bytes)
{
    struct client *c = client_of(s);
    CHECK(c->sent + bytes <= s->output.len);
    n->server.statistics.output_bytes += bytes;
    c->sent += bytes;
    if (c->sent == s->output.len || (c->sent >= COMPACT_BYTES && c->sent >= s->output.len / 2)) {
        buffer_consume(&s->output, c->sent);
        c->sent_total += c->sent;
        c->sent = 0;
    }
    if (c->full && backlog(c) <= BACKLOG_BYTES / 2)
        n->resume = true;
    if (s->output.len == 0 && s->output.cap > KEEP_BYTES)
        buffer_release(&s->output);
}

struct session *client_next_dirty(struct node *n)
{
    if (list_empty(&n->dirty_sessions))
        return NULL;
    struct client *c = container_of(n->dirty_sessions.next, struct client, dirty);
    list_remove(&c->dirty);
    return &c->session;
}

/* --- waiting --- */

/* A SAVE ends with its checkpoint, or a later one. */
static bool end_save(const struct node *n, struct session *s)
{
    const struct node_checkpoint *c = &n->checkpoint;
    bool saved = c->completed >= s->wait_checkpoint;
    bool failed = c->failed >= s->wait_checkpoint || n->log_broken;
    if (saved || failed)
        command_save_end(s, saved ? NULL : n->log_broken ? "the log failed" : c->problem);
    return saved || failed;
}

/* When it fails it is tried again: only what ends all of them ends it. */
static bool end_scrub(const struct node *n, struct session *s)
{
    const char *refusal = scrub_refusal(n);
    bool done = scrub_done(n, s->wait_scrub);
    if (done || refusal != NULL)
        command_scrub_end(s, done ? NULL : refusal);
    return done || refusal != NULL;
}

static bool wait_is_over(const struct node *n, const struct session *s, uint32_t have)
{
    return have >= s->wait_regions ||
           (s->wait_deadline_us != 0 && n->now_us >= s->wait_deadline_us);
}

static bool end_wait(struct node *n, struct session *s)
{
    if (s->wait_checkpoint != 0)
        return end_save(n, s);
    if (s->wait_scrub != 0)
        return end_scrub(n, s);
    if (s->following)
        return promise_end_follow(n, client_of(s));
    if (s->gathering)
        return false;
    uint32_t have = peers_acknowledged(&n->matrix, s->last_write);
    bool over = wait_is_over(n, s, have);
    if (over)
        command_wait_end(s, have);
    return over;
}

static bool may_resume(struct node *n, struct client *c)
{
    if (c->session.waiting && !end_wait(n, &c->session))
        return false;
    if (!c->stalled)
        promise_end(c);
    return !(c->stalled && node_must_wait(n)) && promise_may_resume(n, c) &&
           forward_may_resume(c) && !(c->full && backlog(c) > BACKLOG_BYTES / 2);
}

void client_resume_waiting(struct node *n)
{
    take_back_moved(n);
    const struct list *last = n->waiting.prev; /* who is put back has had its turn */
    bool through = false;
    n->resume = false;
    list_each(&n->waiting, it)
    {
        struct client *c = container_of(it, struct client, waiting);
        if (through)
            break;
        through = it == last;
        if (!may_resume(n, c))
            continue;
        c->stalled = c->full = false;
        list_remove(&c->waiting);
        run_buffered(n, c); /* may put it back, at the end */
        after_commands(n, c);
    }
}

void client_sweep(struct node *n)
{
    uint64_t idle_ms = n->server.settings.timeout_s * 1000;
    list_each(&n->server.sessions, it)
    {
        struct session *s = container_of(it, struct session, link);
        bool connected = client_of(s)->remote == NULL && client_of(s)->sent_to == 0;
        bool waits = session_waits(s) || client_of(s)->forward.flight.count > 0;

        if (idle_ms > 0 && connected && !waits && s->active_ms + idle_ms < n->now_us / 1000)
            s->killed = true;
        if (s->killed)
            client_mark_dirty(n, client_of(s));
    }
}
