#include "cmd/blocking.h"

#include <math.h>

#include "base/check.h"
#include "base/memory.h"

static const uint64_t FOREVER_US = UINT64_C(1) << 62; /* longer timeouts are as long as this */

enum ending { END_NOT, END_TIMEOUT, END_ERROR }; /* by CLIENT UNBLOCK */

/* One key of a wait. */
struct blocked_key {
    struct touch_waiter waiter;
    struct list ready; /* in server.blocking.ready: touched, not yet tried again */
    struct blocked *blocked;
};

/* A session's wait, in one allocation: keys, arguments and their bytes stand behind it. */
struct blocked {
    struct server *server;
    struct session *session;
    const struct command *command;
    struct heap_node deadline; /* in server.blocking.deadlines, unless it is for ever */
    struct list ended;         /* in server.blocking.ended */
    enum ending ending;
    uint8_t db;
    const struct blocked_key *served; /* for which the retry runs */
    struct span *argv;
    size_t argc;
    size_t key_count;
    struct blocked_key keys[];
};

/* --- beginning to wait --- */

static void note_touched(struct touch_waiter *w)
{
    struct blocked_key *key = container_of(w, struct blocked_key, waiter);

    if (!list_linked(&key->ready))
        list_add_tail(&key->blocked->server->blocking.ready, &key->ready);
}

static size_t bytes_of(const struct span *argv, size_t argc)
{
    size_t bytes = 0;
    for (size_t i = 0; i < argc; i++)
        bytes += argv[i].len;
    return bytes;
}

static struct blocked *new_blocked(const struct span *argv, size_t argc, size_t key_count)
{
    size_t keys_bytes = key_count * sizeof(struct blocked_key);
    struct blocked *b = mem_zalloc(sizeof(*b) + keys_bytes + argc * sizeof(*argv) +
                                   bytes_of(argv, argc));

    b->key_count = key_count;
    b->argv = (struct span *)((char *)b->keys + keys_bytes);
    b->argc = argc;
    uint8_t *at = (uint8_t *)(b->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len > 0)
            memcpy(at, argv[i].at, argv[i].len);
        b->argv[i] = span_of(at, argv[i].len);
        at += argv[i].len;
    }
    return b;
}

static void wait_for_keys(struct blocked *b, const struct span *keys)
{
    for (size_t i = 0; i < b->key_count; i++) {
        b->keys[i].blocked = b;
        b->keys[i].waiter.touched = note_touched;
        touch_wait(&b->server->touch, b->db, keys[i], &b->keys[i].waiter);
    }
}

bool call_block(struct call *call, const struct span *keys, size_t count, uint64_t timeout_us,
                const struct span *argv, size_t argc)
{
    struct server *server = call->server;

    if (call->retry)
        return true; /* it has its place */
    if (call->nested)
        return false;
    CHECK(call->session->blocked == NULL);
    struct blocked *b = argv != NULL ? new_blocked(argv, argc, count)
                                     : new_blocked(call->argv, call->argc, count);
    b->server = server;
    b->session = call->session;
    b->command = call->command;
    b->db = call->db;
    wait_for_keys(b, keys);
    if (timeout_us > 0)
        heap_put(&server->blocking.deadlines, &b->deadline, server->now_us + timeout_us);
    call->session->blocked = b;
    server->blocking.count++;
    return true;
}

/* --- timeouts as arguments --- */

static bool refuse_timeout(struct call *call, const char *why)
{
    reply_errorf(call->reply, "ERR timeout is %s", why);
    return false;
}

static bool timeout_of_ms(struct call *call, int64_t ms, uint64_t *timeout_us)
{
    if (ms < 0)
        return refuse_timeout(call, "negative");
    *timeout_us = (uint64_t)ms < FOREVER_US / 1000 ? (uint64_t)ms * 1000 : FOREVER_US;
    return true;
}

bool call_timeout(struct call *call, struct span s, uint64_t *timeout_us)
{
    double seconds;

    if (!span_to_double(s, &seconds))
        return refuse_timeout(call, "not a float or out of range");
    double ms = ceil(seconds * 1000);
    bool fits = ms >= 0 && ms < 0x1p63; /* what does not is negative: Redis converts it so */
    return timeout_of_ms(call, fits ? (int64_t)ms : -1, timeout_us);
}

bool call_timeout_ms(struct call *call, struct span s, uint64_t *timeout_us)
{
    int64_t ms;

    if (!span_to_int64(s, &ms))
        return refuse_timeout(call, "not an integer or out of range");
    return timeout_of_ms(call, ms, timeout_us);
}

/* --- the end of a wait --- */

void blocking_forget(struct server *server, struct session *s)
{
    struct blocked *b = s->blocked;

    if (b == NULL)
        return;
    for (size_t i = 0; i < b->key_count; i++) {
        list_remove(&b->keys[i].ready);
        touch_end(&server->touch, &b->keys[i].waiter);
    }
    list_remove(&b->ended);
    heap_remove(&server->blocking.deadlines, &b->deadline);
    mem_free(b);
    s->blocked = NULL;
    s->wait_silent = false;
    server->blocking.count--;
}

static void end_wait(struct blocked *b, size_t start, blocking_answered_fn answered, void *context)
{
    struct session *s = b->session;

    if (s->wait_silent)
        s->output.len = start;
    blocking_forget(b->server, s);
    answered(context, s, start);
}

static void answer_timeout(struct blocked *b, blocking_answered_fn answered, void *context)
{
    size_t start = b->session->output.len;
    struct reply *reply = &b->session->reply;

    b->session->wrote = false;
    if (b->ending == END_ERROR)
        reply_error(reply, UNBLOCKED_ERROR);
    else
        reply_null_array(reply);
    end_wait(b, start, answered, context);
}

bool blocking_unblock(struct server *server, struct session *s, bool with_error)
{
    struct blocked *b = s->blocked;

    if (s->waiting) {
        if (with_error)
            command_wait_refuse(s);
        else
            s->wait_deadline_us = server->now_us;
        return true;
    }
    if (b == NULL || b->ending != END_NOT)
        return false;
    b->ending = with_error ? END_ERROR : END_TIMEOUT;
    list_add_tail(&server->blocking.ended, &b->ended);
    return true;
}

void blocking_expire(struct server *server, uint64_t now_us, blocking_answered_fn answered,
                     void *context)
{
    while (blocking_deadline_us(server) <= now_us)
        answer_timeout(
            container_of(heap_top(&server->blocking.deadlines), struct blocked, deadline), answered,
            context);
}

uint64_t blocking_deadline_us(const struct server *server)
{
    const struct heap_node *top = heap_top(&server->blocking.deadlines);

    return top != NULL ? top->key : UINT64_MAX;
}

/* --- trying again --- */

static void try_again(const struct blocked_key *key, blocking_answered_fn answered, void *context)
{
    struct blocked *b = key->blocked;
    struct session *s = b->session;
    size_t start = s->output.len;

    if (s->killed || s->closing)
        return; /* what it took would be lost */
    b->served = key;
    command_retry(b->server, s, b->command, b->db, b->argv, b->argc);
    b->served = NULL;
    if (s->output.len != start)
        end_wait(b, start, answered, context);
}

static void move_all(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *first = from->next;

        list_remove(first);
        list_add_tail(to, first);
    }
}

void blocking_serve(struct server *server, bool writes, blocking_answered_fn answered,
                    void *context)
{
    struct blocking *all = &server->blocking;
    struct list later;

    list_init(&later);
    while (!list_empty(&all->ended))
        answer_timeout(container_of(all->ended.next, struct blocked, ended), answered, context);
    while (!list_empty(&all->ready)) {
        struct blocked_key *key = container_of(all->ready.next, struct blocked_key, ready);

        list_remove(&key->ready);
        if (!writes && key->blocked->command->flags & CMD_WRITE)
            list_add_tail(&later, &key->ready);
        else
            try_again(key, answered, context);
    }
    move_all(&all->ready, &later);
}

enum retry_key blocking_retry_key(const struct call *call, struct span key)
{
    const struct blocked *b = call->session->blocked;

    CHECK(call->retry && b != NULL && b->served != NULL);
    if (span_equal(key, touch_waiter_key(&b->served->waiter)))
        return RETRY_SERVED;
    for (size_t i = 0; i < b->key_count; i++) {
        if (span_equal(key, touch_waiter_key(&b->keys[i].waiter)))
            return RETRY_HIDDEN;
    }
    return RETRY_OTHER;
}
