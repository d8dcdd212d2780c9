#include "cmd/transaction.h"

#include "base/check.h"
#include "base/memory.h"
#include "cmd/command_keys.h"
#include "cmd/data.h"
#include "cmd/home.h"

/* --- WATCH --- */

/* A key that a session watches. `touched` may be set in the middle of a group, so what became of the
 * key is looked at only when EXEC asks. */
struct watched {
    struct touch_waiter waiter;
    struct watched *next; /* of the same session */
    const struct transaction *owner;
    bool expired;    /* when it was watched: there, but over or a leftover */
    uint8_t touched; /* how often; stays at its maximum */
};

static void note_touch(struct touch_waiter *waiter)
{
    struct watched *w = container_of(waiter, struct watched, waiter);

    if (w->touched < UINT8_MAX)
        w->touched++;
}

static bool readable(const struct entry *e, uint64_t now_ms)
{
    return e != NULL && object_visible(e) != COMPONENT_NONE && !object_expired(e, now_ms);
}

static bool is_changed(const struct server *server, const struct watched *w)
{
    const struct touch_key *key = w->waiter.key;
    const struct entry *e = database_find(&server->replica->databases[key->db],
                                          touch_waiter_key(&w->waiter));
    uint64_t now_ms = replica_hlc_ms(server->replica);

    /* Once may have been its reclaim. */
    if (w->expired)
        return w->touched > 1 || readable(e, now_ms);
    return w->touched > 0 || (e != NULL && object_expired(e, now_ms));
}

bool transaction_is_stale(const struct server *server, const struct transaction *t)
{
    for (const struct watched *w = t->watched; w != NULL; w = w->next) {
        if (is_changed(server, w))
            return true;
    }
    return t->unsure;
}

bool transaction_watches_here(const struct server *server, const struct transaction *t)
{
    for (const struct watched *w = t->watched; w != NULL; w = w->next) {
        struct home home = home_of_key(server, w->waiter.key->db, touch_waiter_key(&w->waiter));

        if (home.error == NULL &&
            (home.region == HOME_EVERYWHERE || home.region == server->replica->options.region))
            return true;
    }
    return false;
}

static size_t watched_bytes(const struct watched *w)
{
    return sizeof(*w) + w->waiter.key->len;
}

/* Looks among those who watch the same key, for they are fewer than the keys of a session. */
static bool is_watched_twice(const struct watched *w)
{
    list_each(&w->waiter.key->waiters, it)
    {
        const struct touch_waiter *other = container_of(it, struct touch_waiter, link);

        if (other == &w->waiter || other->touched != note_touch)
            continue;
        if (container_of(other, struct watched, waiter)->owner == w->owner)
            return true;
    }
    return false;
}

static void watch_key(struct call *call, struct span key)
{
    struct transaction *t = &call->session->transaction;
    const struct entry *e = database_find(&call->replica->databases[call->db], key);
    struct watched *w = mem_zalloc(sizeof(*w));

    w->waiter.touched = note_touch;
    w->owner = t;
    w->expired = e != NULL && !readable(e, call->now_ms);
    touch_wait(&call->server->touch, call->db, key, &w->waiter);
    if (is_watched_twice(w)) {
        touch_end(&call->server->touch, &w->waiter);
        mem_free(w);
        return;
    }
    w->next = t->watched;
    t->watched = w;
    t->watched_bytes += watched_bytes(w);
}

static void unwatch_all(struct server *server, struct transaction *t)
{
    for (struct watched *w = t->watched, *next; w != NULL; w = next) {
        next = w->next;
        touch_end(&server->touch, &w->waiter);
        mem_free(w);
    }
    t->watched = NULL;
    t->watched_bytes = 0;
    t->unsure = false;
}

void cmd_watch(struct call *call)
{
    if (call->session->transaction.open) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 1; i < call->argc; i++)
        watch_key(call, call->argv[i]);
    reply_ok(call->reply);
}

void cmd_unwatch(struct call *call)
{
    unwatch_all(call->server, &call->session->transaction);
    reply_ok(call->reply);
}

/* --- queueing --- */

bool transaction_takes(const struct call *call)
{
    static const command_fn at_once[] = { cmd_discard, cmd_exec,  cmd_multi, cmd_quit,
                                          cmd_reset,   cmd_watch, cmd_with };

    if (!call->session->transaction.open || call->nested)
        return false;
    for (size_t i = 0; i < COUNT_OF(at_once); i++) {
        if (call->command->run == at_once[i])
            return false;
    }
    return true;
}

static void clear_queue(struct transaction *t)
{
    buffer_release(&t->queue);
    t->count = t->write_bytes = 0;
    t->writes = t->fenced = t->loose = false;
    t->fence = 0;
    t->region = 0;
}

/* What will not run needs no room. */
static void refuse(struct transaction *t)
{
    clear_queue(t);
    t->refused = true;
}

void transaction_spoil(struct transaction *t)
{
    refuse(t);
}

static bool count_write(struct call *call)
{
    struct transaction *t = &call->session->transaction;
    size_t bytes = t->write_bytes;

    if (!(call->command->flags & CMD_WRITE))
        return true;
    for (size_t i = 0; i < call->argc; i++)
        bytes += call->argv[i].len;
    if (!call_fits_group(call, bytes))
        return false;
    t->writes = true;
    t->write_bytes = bytes;
    return true;
}

void transaction_queue(struct call *call)
{
    struct transaction *t = &call->session->transaction;

    if (!t->refused && !count_write(call)) {
        refuse(t);
        return;
    }
    if (!t->refused) {
        buffer_put_varint(&t->queue, call->argc);
        for (size_t i = 0; i < call->argc; i++)
            buffer_put_prefixed(&t->queue, call->argv[i]);
        t->count++;
    }
    reply_simple(call->reply, "QUEUED");
}

/* Redis tells the error's code word here, unless it is the usual one. */
static void say_discarded(struct call *call, size_t start)
{
    static const char usual[] = "-ERR ";
    struct buffer *out = call->reply->out;
    struct buffer why = { 0 };

    CHECK(out->len > start + sizeof(usual) && out->at[start] == '-');
    bool skipped = memcmp(out->at + start, usual, strlen(usual)) == 0;
    buffer_put(&why, span_skip(buffer_span(out), start + (skipped ? strlen(usual) : 1)));
    why.at[why.len - 2] = 0; /* the line's end */
    out->len = start;
    call->reply->errors--;
    reply_errorf(call->reply, "EXECABORT Transaction discarded because of: %s", (char *)why.at);
    buffer_release(&why);
}

void transaction_refuse(struct call *call, size_t start)
{
    struct transaction *t = &call->session->transaction;

    if (call->command != NULL && call->command->run == cmd_exec) {
        say_discarded(call, start);
        transaction_discard(call->server, t);
    } else if (t->open) {
        refuse(t);
    }
}

void transaction_discard(struct server *server, struct transaction *t)
{
    unwatch_all(server, t);
    clear_queue(t);
    t->open = t->refused = false;
}

/* --- what a group can hold --- */

/* True when the command leaves all types of a key but its own alone, and of that one what it does not
 * name. Only hashes and sorted sets hold what a removal has to name one by one. */
static bool spares(const struct call *call, const struct entry *e)
{
    const struct command *command = call->command;
    size_t len = strlen(command->name);
    uint32_t own = 0;

    if (strcmp(command->group, "hash") == 0)
        own = 1 << COMPONENT_HASH;
    else if (strcmp(command->group, "sorted-set") == 0)
        own = 1 << COMPONENT_ZSET;
    if (len > 5 && strcmp(command->name + len - 5, "store") == 0)
        own = 0;
    return (object_components(e) & ~own) == 0 && !object_expired(e, call->now_ms);
}

static size_t removed_bytes(const struct call *call, struct span key)
{
    const struct entry *e = database_find(&call->replica->databases[call->db], key);

    return e == NULL || spares(call, e) ? 0 : emit_remove_bytes(e);
}

bool transaction_fits(struct call *call)
{
    struct key_range range = { 0 };
    size_t bytes = 0;

    if (!(call->command->flags & CMD_WRITE) || !command_has_keys(call->command) ||
        !command_key_range(call->command, call->argv, call->argc, &range))
        return true;
    if (range.before != 0)
        bytes += removed_bytes(call, call->argv[range.before]);
    for (size_t i = range.first; i <= range.last; i += range.step)
        bytes += removed_bytes(call, call->argv[i]);
    return call_fits_group(call, bytes);
}

/* --- MULTI, DISCARD, EXEC --- */

void cmd_multi(struct call *call)
{
    struct transaction *t = &call->session->transaction;

    if (t->open) {
        reply_error(call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    t->open = true;
    reply_ok(call->reply);
}

void cmd_discard(struct call *call)
{
    if (!call->session->transaction.open) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_discard(call->server, &call->session->transaction);
    reply_ok(call->reply);
}

struct queued {
    struct span *argv; /* [cap] */
    size_t argc, cap;
};

static bool take_queued(struct span *queue, struct queued *q)
{
    uint64_t argc;

    if (queue->len == 0)
        return false;
    CHECK(span_take_varint(queue, &argc));
    q->argc = (size_t)argc;
    if (q->cap < q->argc) {
        q->cap = q->argc;
        q->argv = mem_realloc(q->argv, q->cap * sizeof(*q->argv));
    }
    for (size_t i = 0; i < q->argc; i++)
        CHECK(span_take_prefixed(queue, &q->argv[i]));
    return true;
}

uint64_t transaction_put(const struct transaction *t,
                         void (*put)(struct buffer *out, const struct span *argv, size_t argc),
                         struct buffer *out)
{
    struct span queue = buffer_span(&t->queue);
    struct queued q = { 0 };
    uint64_t count = 0;

    for (; take_queued(&queue, &q); count++)
        put(out, q.argv, q.argc);
    mem_free(q.argv);
    return count;
}

void transaction_demand(const struct server *server, const struct transaction *t,
                        const struct levels *levels, uint8_t db, enum demand_token token,
                        struct demand *d)
{
    struct span queue = buffer_span(&t->queue);
    struct queued q = { 0 };

    while (take_queued(&queue, &q)) {
        struct demand one;

        demand_of_plain(server, levels, db, token, q.argv, q.argc, &one);
        demand_merge(d, &one);
    }
    mem_free(q.argv);
}

void transaction_each(const struct transaction *t, transaction_visit_fn visit, void *context)
{
    struct span queue = buffer_span(&t->queue);
    struct queued q = { 0 };

    while (take_queued(&queue, &q))
        visit(context, q.argv, q.argc);
    mem_free(q.argv);
}

/* One reply for each, whatever CLIENT REPLY made of it. A client that cannot be sent so much is cut
 * off, but its group is run to the end. */
static void run_all(struct call *call, struct span queue)
{
    struct buffer *out = call->reply->out;
    size_t start = out->len;
    struct queued q = { 0 };

    while (take_queued(&queue, &q)) {
        size_t before = out->len;

        command_run_nested(call, q.argv, q.argc);
        if (out->len == before)
            reply_null(call->reply);
        if (data_reply_too_long(call))
            out->len = start;
    }
    mem_free(q.argv);
}

void cmd_exec(struct call *call)
{
    struct transaction *t = &call->session->transaction;

    if (!t->open) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    if (t->refused) {
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
        transaction_discard(call->server, t);
        return;
    }
    if (transaction_is_stale(call->server, t)) {
        reply_null_array(call->reply);
        transaction_discard(call->server, t);
        return;
    }
    struct buffer queue = t->queue;

    t->queue = (struct buffer){ 0 };
    reply_array(call->reply, t->count);
    transaction_discard(call->server, t);
    replica_keep_group(call->replica);
    run_all(call, buffer_span(&queue));
    buffer_release(&queue);
}
