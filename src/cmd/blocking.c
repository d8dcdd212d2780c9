#include "cmd/blocking.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "cmd/route.h"

static const uint64_t FOREVER_US = UINT64_C(1) << 62; /* longer timeouts are as long as this */

enum ending { END_NOT, END_TIMEOUT, END_ERROR }; /* by CLIENT UNBLOCK */

/* Who waits at one key for the same: lists, sorted sets, streams or deliveries of streams. Stands
 * as long as anybody does. */
struct line {
    struct touch_waiter waiter;
    struct touch_waiter home;      /* at what a directory says of the key, if one does */
    bool moved;                    /* it has said something else since they were tried */
    struct list ready;             /* in server.blocking.ready: touched, not yet tried again */
    struct list keys;              /* of struct blocked_key, in the order in which they came */
    const struct command *command; /* one of theirs */
};

/* One key of a wait. */
struct blocked_key {
    struct list link; /* in line->keys */
    struct line *line;
    struct blocked *blocked;
};

/* A session's wait, in one allocation: keys, arguments and their bytes stand behind it. */
struct blocked {
    struct server *server;
    struct session *session;
    const struct command *command;
    struct heap_node deadline; /* in server.blocking.deadlines, unless it is for ever */
    struct list ended;         /* in server.blocking.ended */
    struct list moved;         /* in server.blocking.moved */
    enum ending ending;
    uint8_t db;
    const struct blocked_key *served; /* for which the retry runs */
    size_t asked;                     /* the key that blocking_retry_key was asked for last */
    struct span *argv;                /* [argc], the first `before` of them of the WITH around it */
    size_t argc, before;
    size_t timeout_at;
    bool timeout_in_ms;
    size_t key_count;
    struct blocked_key keys[];
};

/* --- beginning to wait --- */

static void note_touched(struct touch_waiter *w)
{
    struct line *line = container_of(w, struct line, waiter);
    const struct blocked_key *first = container_of(line->keys.next, struct blocked_key, link);

    if (!list_linked(&line->ready))
        list_add_tail(&first->blocked->server->blocking.ready, &line->ready);
}

static void note_home(struct touch_waiter *w)
{
    struct line *line = container_of(w, struct line, home);

    line->moved = true;
    note_touched(&line->waiter);
}

static bool waits_for_the_same(const struct command *a, const struct command *b)
{
    return strcmp(a->group, b->group) == 0 && ((a->flags ^ b->flags) & CMD_WRITE) == 0;
}

static struct line *find_line(struct server *server, uint8_t db, struct span key,
                              const struct command *command)
{
    void **slot = table_find(&server->touch.keys[db], key);

    if (slot == NULL)
        return NULL;
    list_each(&((struct touch_key *)*slot)->waiters, it)
    {
        struct touch_waiter *w = container_of(it, struct touch_waiter, link);
        struct line *line = container_of(w, struct line, waiter);

        if (w->touched == note_touched && waits_for_the_same(line->command, command))
            return line;
    }
    return NULL;
}

static struct line *new_line(const struct blocked *b, struct span name)
{
    struct line *line = mem_zalloc(sizeof(*line));
    struct buffer listing = { 0 };

    line->command = b->command;
    line->waiter.touched = note_touched;
    line->home.touched = note_home;
    list_init(&line->keys);
    touch_wait(&b->server->touch, b->db, name, &line->waiter);
    if (home_put_listing(b->server, name, &listing))
        touch_wait(&b->server->touch, b->db, buffer_span(&listing), &line->home);
    buffer_release(&listing);
    return line;
}

static void join_line(struct blocked_key *key, struct span name)
{
    const struct blocked *b = key->blocked;
    struct line *line = find_line(b->server, b->db, name, b->command);

    if (line == NULL)
        line = new_line(b, name);
    key->line = line;
    list_add_tail(&line->keys, &key->link);
}

static void leave_line(struct blocked_key *key)
{
    struct server *server = key->blocked->server;
    struct line *line = key->line;

    if (server->blocking.next == &key->link)
        server->blocking.next = key->link.next;
    list_remove(&key->link);
    if (!list_empty(&line->keys))
        return;
    if (server->blocking.next == &line->keys)
        server->blocking.next = NULL;
    list_remove(&line->ready);
    touch_end(&server->touch, &line->waiter);
    touch_end(&server->touch, &line->home);
    mem_free(line);
}

static size_t bytes_of(const struct span *argv, size_t argc)
{
    size_t bytes = 0;
    for (size_t i = 0; i < argc; i++)
        bytes += argv[i].len;
    return bytes;
}

/* Appends arguments, and their bytes at `at`; returns where these end. */
static uint8_t *copy_arguments(struct blocked *b, uint8_t *at, const struct span *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++) {
        if (argv[i].len > 0)
            memcpy(at, argv[i].at, argv[i].len);
        b->argv[b->argc++] = span_of(at, argv[i].len);
        at += argv[i].len;
    }
    return at;
}

static struct blocked *new_blocked(const struct call *call, const struct span *argv, size_t argc,
                                   size_t key_count)
{
    size_t keys_bytes = key_count * sizeof(struct blocked_key);
    const struct span *with = call->argv - call->before;
    struct blocked *b = mem_zalloc(sizeof(*b) + keys_bytes + (call->before + argc) * sizeof(*argv) +
                                   bytes_of(with, call->before) + bytes_of(argv, argc));

    b->key_count = key_count;
    b->asked = key_count - 1;
    b->argv = (struct span *)((char *)b->keys + keys_bytes);
    b->before = call->before;
    uint8_t *at = (uint8_t *)(b->argv + call->before + argc);
    at = copy_arguments(b, at, with, call->before);
    copy_arguments(b, at, argv, argc);
    b->timeout_at = call->before + call->timeout_at;
    b->timeout_in_ms = call->timeout_in_ms;
    return b;
}

static void wait_for_keys(struct blocked *b, const struct span *keys)
{
    for (size_t i = 0; i < b->key_count; i++) {
        b->keys[i].blocked = b;
        join_line(&b->keys[i], keys[i]);
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
    struct blocked *b = argv != NULL ? new_blocked(call, argv, argc, count)
                                     : new_blocked(call, call->argv, call->argc, count);
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

bool call_timeout(struct call *call, size_t at, uint64_t *timeout_us)
{
    double seconds;

    call->timeout_at = at;
    if (!span_to_double(call->argv[at], &seconds))
        return refuse_timeout(call, "not a float or out of range");
    double ms = ceil(seconds * 1000);
    bool fits = ms >= 0 && ms < 0x1p63; /* what does not is negative: Redis converts it so */
    return timeout_of_ms(call, fits ? (int64_t)ms : -1, timeout_us);
}

bool call_timeout_ms(struct call *call, size_t at, uint64_t *timeout_us)
{
    int64_t ms;

    call->timeout_at = at;
    call->timeout_in_ms = true;
    if (!span_to_int64(call->argv[at], &ms))
        return refuse_timeout(call, "not an integer or out of range");
    return timeout_of_ms(call, ms, timeout_us);
}

/* --- the end of a wait --- */

void blocking_forget(struct server *server, struct session *s)
{
    struct blocked *b = s->blocked;

    if (b == NULL)
        return;
    for (size_t i = 0; i < b->key_count; i++)
        leave_line(&b->keys[i]);
    list_remove(&b->ended);
    list_remove(&b->moved);
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

static bool unblock_waiting(struct server *server, struct session *s, bool with_error)
{
    bool timed = s->wait_checkpoint == 0 && s->wait_scrub == 0;

    if (with_error && s->gathering)
        server->hooks->gather_leave(server->node, s);
    if (with_error)
        command_wait_refuse(s);
    else if (timed)
        s->wait_deadline_us = server->now_us;
    return with_error || timed;
}

bool blocking_unblock(struct server *server, struct session *s, bool with_error)
{
    struct blocked *b = s->blocked;

    if (s->waiting)
        return unblock_waiting(server, s, with_error);
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

/* --- homes that move --- */

/* Judged as a command that comes; true: it is not to be tried here. */
static bool has_moved(struct blocked *b)
{
    const struct server *server = b->server;

    if (!server->routed || MUTATION(waits_at_old_homes))
        return false;
    struct route route = route_of(server, b->session, b->argv + b->before, b->argc - b->before);
    bool moved = route.error != NULL || route.region != server->replica->options.region;

    if (moved && !list_linked(&b->moved))
        list_add_tail(&b->server->blocking.moved, &b->moved);
    return moved;
}

/* Not zero, which would be for ever. */
static void put_timeout_left(const struct blocked *b, struct reply *out)
{
    uint64_t now_us = b->server->now_us, due_us = b->deadline.key;
    unsigned long long left_ms = due_us > now_us ? (due_us - now_us + 999) / 1000 : 1;
    char text[40];

    if (b->timeout_in_ms)
        snprintf(text, sizeof(text), "%llu", left_ms);
    else
        snprintf(text, sizeof(text), "%llu.%03llu", left_ms / 1000, left_ms % 1000);
    reply_bulk_text(out, text);
}

struct session *blocking_take_moved(struct server *server, struct buffer *command)
{
    if (!blocking_has_moved(server))
        return NULL;
    const struct blocked *b = container_of(server->blocking.moved.next, struct blocked, moved);
    struct session *s = b->session;
    struct reply out = { .out = command, .protocol = 2 };
    bool is_timed = b->deadline.index != 0;

    reply_array(&out, b->argc);
    for (size_t i = 0; i < b->argc; i++) {
        if (i == b->timeout_at && is_timed)
            put_timeout_left(b, &out);
        else
            reply_bulk(&out, b->argv[i]);
    }
    if (s->wait_silent && s->reply_mode == REPLY_ON)
        s->reply_mode = REPLY_SKIP; /* as it was when the command came */
    blocking_forget(server, s);
    return s;
}

/* --- trying again --- */

/* False when there was nothing for it. */
static bool try_again(const struct blocked_key *key, blocking_answered_fn answered, void *context)
{
    struct blocked *b = key->blocked;
    struct session *s = b->session;
    size_t start = s->output.len;

    if (s->killed || s->closing)
        return true; /* what it took would be lost */
    b->served = key;
    command_retry(b->server, s, b->command, b->db, b->argv + b->before, b->argc - b->before);
    b->served = NULL;
    if (s->output.len == start)
        return false;
    end_wait(b, start, answered, context);
    return true;
}

/* Where one finds no list or sorted set, nobody does; streams have other entries for everyone. All are
 * judged when the key's home may have moved. */
static void serve_line(struct blocking *all, struct line *line, blocking_answered_fn answered,
                       void *context)
{
    bool alike = strcmp(line->command->group, "stream") != 0, moved = line->moved, empty = false;

    line->moved = false;
    all->next = line->keys.next;
    while (all->next != NULL && all->next != &line->keys && (moved || !empty)) {
        const struct blocked_key *key = container_of(all->next, struct blocked_key, link);

        all->next = key->link.next;
        if (!has_moved(key->blocked) && !empty)
            empty = !try_again(key, answered, context) && alike;
    }
    all->next = NULL;
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
        struct line *line = container_of(all->ready.next, struct line, ready);

        list_remove(&line->ready);
        if (!writes && line->command->flags & CMD_WRITE)
            list_add_tail(&later, &line->ready);
        else
            serve_line(all, line, answered, context);
    }
    move_all(&all->ready, &later);
}

static struct span key_of(const struct blocked_key *key)
{
    return touch_waiter_key(&key->line->waiter);
}

enum retry_key blocking_retry_key(const struct call *call, struct span key)
{
    struct blocked *b = call->session->blocked;

    CHECK(call->retry && b != NULL && b->served != NULL);
    if (span_equal(key, key_of(b->served)))
        return RETRY_SERVED;
    for (size_t i = 0; i < b->key_count; i++) {
        b->asked = b->asked + 1 < b->key_count ? b->asked + 1 : 0; /* they are asked in turn */
        if (span_equal(key, key_of(&b->keys[b->asked])))
            return RETRY_HIDDEN;
    }
    return RETRY_OTHER;
}
