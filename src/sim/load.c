/*
 * load -- clients: random commands (command.c) on few keys, answers counted.
 *
 * A client sends one command or a few at once, in one piece or two, waits for all answers, thinks,
 * and goes on. The first client of each region only counts, in a database of its own.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "sim/answer.h"
#include "sim/world.h"

enum {
    COUNTER_DB = 2,
    CONNECT_MAX_US = 2000,
};

/* --- sending --- */

static bool counts(const struct sim_client *c)
{
    return c->index == 0;
}

/* Moves the counter; or writes two keys as one group, or reads them: they are never seen apart. */
static void put_count(struct sim_client *c, struct sim_pending *pending)
{
    uint64_t which = prng_below(&c->commands, 10);
    int64_t by = (int64_t)prng_below(&c->commands, 100) - 30;
    if (which < 3) {
        buffer_printf(&c->unsent, "MSET left %u.%u right %u.%u\r\n", c->region + 1, pending->n,
                      c->region + 1, pending->n);
    } else if (which < 5) {
        buffer_put_text(&c->unsent, "MGET left right\r\n");
        pending->pair = true;
    } else {
        buffer_printf(&c->unsent, "%s sum %lld\r\n", by < 0 ? "DECRBY" : "INCRBY", llabs(by));
        pending->counter_by = by;
    }
}

/* By a dice of its own: the command is what it would be without a fence. */
static bool is_for_fence(const struct sim_world *w, const struct sim_client *c, uint32_t n)
{
    struct prng p = w->fenced;
    prng_seed(&p, prng_next(&p) + selection_command(c->region, c->index, n));
    return w->plan.fence != 0 && prng_chance(&p, 300000);
}

/* Draws the client's next command, or a MULTI with what is in it, and lines it up unless it is left
 * out. */
static void add_command(struct sim_world *w, struct sim_client *c)
{
    size_t before = c->unsent.len;
    bool of_clone = c->region == w->plan.regions; /* which says what it likes */
    uint32_t *drawn = of_clone ? &c->drawn : &w->outcome->drawn[c->region][c->index];
    struct sim_pending pending = { .n = ++*drawn };
    uint32_t count = 1;
    w->outcome->steps = ++w->sent;
    w->key_prefix = is_for_fence(w, c, pending.n) ? SIM_FENCE_PREFIX : NULL;
    if (counts(c))
        put_count(c, &pending);
    else
        count = sim_command_make(w, &c->commands, &c->unsent);
    if (!of_clone &&
        !selection_has(&w->only.commands, selection_command(c->region, c->index, pending.n))) {
        c->unsent.len = before;
        return;
    }
    sim_tell_command(w, c, pending.n, span_skip(buffer_span(&c->unsent), before));
    for (; count > 0; count--) {
        CHECK(c->pending_count < COUNT_OF(c->pending));
        pending.more = count > 1;
        c->pending[c->pending_count++] = pending;
    }
}

/* Hands in some of what is to be sent, or all. */
static void send_part(struct sim_world *w, struct sim_client *c, size_t bytes)
{
    struct sim_region *r = &w->regions[c->region];
    struct buffer part = { 0 };
    buffer_put_bytes(&part, c->unsent.at, bytes);
    buffer_consume(&c->unsent, bytes);
    sim_trace(w, "r%u client %u sends %.*s", r->index + 1, c->index, (int)part.len,
              (const char *)part.at);
    sim_turn_begin(w, r);
    node_session_input(&r->node, c->session, buffer_span(&part));
    sim_turn_end(w, r);
    buffer_release(&part);
}

static void connect(struct sim_world *w, struct sim_client *c)
{
    struct sim_region *r = &w->regions[c->region];
    sim_turn_begin(w, r);
    c->session = node_session_open(&r->node, c, "sim", "sim");
    if (!c->session)
        sim_fail(w, "region %u takes no client", r->index + 1);
    sim_turn_end(w, r);
    if (!counts(c) || !c->session)
        return;
    buffer_printf(&c->unsent, "SELECT %d\r\nMGET left right\r\n", COUNTER_DB);
    c->pending[c->pending_count++] = (struct sim_pending){ 0 };
    c->pending[c->pending_count++] = (struct sim_pending){ .pair = true };
}

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_client *c, uint64_t after_us)
{
    if (c->thinking)
        return;
    c->thinking = true;
    sim_for_region(w, &w->regions[c->region], after_us, act)->what = c;
}

/* The next is due some time after this one was due, however long its answer took: so that a command
 * that is left out does not make all others come earlier. */
static void think(struct sim_world *w, struct sim_client *c)
{
    c->due_us += sim_around(&c->pace, w->plan.think_us, 50000);
    act_after(w, c, c->due_us > w->now_us ? c->due_us - w->now_us : 1);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_client *c = e->what;
    c->thinking = false;
    if (c->unsent.len == 0 && c->pending_count == 0) {
        if (w->sent >= w->plan.steps || w->healed)
            return;
        if (!c->session && w->regions[c->region].node.server.loading) {
            think(w, c); /* nothing is served there */
            return;
        }
        if (!c->session)
            connect(w, c);
        uint64_t count = 1 + prng_below(&c->commands, w->plan.pipeline);
        while (count-- > 0)
            add_command(w, c);
    }
    if (!c->session)
        return;
    if (c->unsent.len == 0) {
        think(w, c); /* all were left out */
        return;
    }
    size_t bytes = c->unsent.len;
    if (prng_chance(&c->pace, 100000))
        bytes = 1 + (size_t)prng_below(&c->pace, bytes);
    bool more = bytes < c->unsent.len;
    if (more)
        act_after(w, c, 1 + prng_below(&c->pace, 2000));
    send_part(w, c, bytes);
}

static void start(struct sim_world *w, struct sim_client *c)
{
    if (c->due_us == 0)
        c->due_us = w->now_us;
    act_after(w, c, prng_below(&c->pace, CONNECT_MAX_US));
}

/* Clients come at once: before a region that was restarted has heard of the others. */
void sim_load_start(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.clients; i++)
        start(w, &r->clients[i]);
}

/* --- answers --- */

/* It may have happened or not. */
static void note_lost(struct sim_world *w, const struct sim_pending *p)
{
    if (p->counter_by > 0)
        w->counter_maybe_up += p->counter_by;
    else
        w->counter_maybe_down += p->counter_by;
}

/* The session is gone, and with it the answers. */
static void forget_session(struct sim_world *w, struct sim_client *c)
{
    for (uint32_t k = 0; k < c->pending_count; k++)
        note_lost(w, &c->pending[k]);
    c->pending_count = 0;
    c->session = NULL;
    buffer_clear(&c->answers);
    buffer_clear(&c->unsent);
}

/* An array of two equal halves. */
static bool is_pair(struct span reply)
{
    struct span items = span_skip(reply, strlen("*2\r\n"));
    return reply.at[0] == '*' &&
           span_equal(span_of(items.at, items.len / 2), span_skip(items, items.len / 2));
}

static void fail_half_seen(struct sim_world *w, const struct sim_client *c, struct span reply)
{
    struct buffer text = { 0 };
    sim_put_reply(&text, reply);
    sim_fail(w, "region %u client %u: half of a group is seen: %.*s", c->region + 1, c->index,
             (int)text.len, (const char *)text.at);
    buffer_release(&text);
}

static void take_answer(struct sim_world *w, struct sim_client *c, struct span reply)
{
    if (c->pending_count == 0) {
        sim_fail(w, "region %u client %u: an answer to nothing", c->region + 1, c->index);
        return;
    }
    sim_tell_reply(w, c, &c->pending[0], reply);
    bool unknown = reply.len > 8 && memcmp(reply.at, "-UNKNOWN", 8) == 0;
    if (unknown)
        note_lost(w, &c->pending[0]);
    else if (c->pending[0].pair && reply.at[0] != '-' && !is_pair(reply) &&
             !w->plan.cache && /* which drops one key, and not the other */
             !sim_verify_is_damaged(&w->regions[c->region]))
        fail_half_seen(w, c, reply);
    w->answered++;
    if (reply.at[0] == '-')
        w->errors++;
    else
        w->counter_acknowledged += c->pending[0].counter_by;
    memmove(c->pending, c->pending + 1, --c->pending_count * sizeof(c->pending[0]));
}

static void fail_not_a_reply(struct sim_world *w, const struct sim_client *c)
{
    struct buffer text = { 0 };
    sim_put_reply(&text, buffer_span(&c->answers));
    sim_fail(w, "region %u client %u: not a reply: %.*s", c->region + 1, c->index, (int)text.len,
             (const char *)text.at);
    buffer_release(&text);
}

static void take_answers(struct sim_world *w, struct sim_client *c)
{
    ptrdiff_t len;
    while ((len = answer_length(buffer_span(&c->answers))) > 0) {
        take_answer(w, c, span_of(c->answers.at, (size_t)len));
        buffer_consume(&c->answers, (size_t)len);
    }
    if (len < 0)
        fail_not_a_reply(w, c);
}

void sim_load_answers(struct sim_world *w, struct sim_client *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct span out = node_session_output(c->session);
    buffer_put(&c->answers, out);
    node_session_sent(&r->node, c->session, out.len);
    if (c->by_hand)
        return;
    take_answers(w, c);
    if (c->session->killed || c->session->closing) {
        if (!r->node.log_broken)
            sim_fail(w, "region %u client %u: its session ends", c->region + 1, c->index);
        node_session_close(&r->node, c->session);
        forget_session(w, c);
        think(w, c);
        return;
    }
    if (c->pending_count > 0 || c->unsent.len > 0)
        return;
    /* Every answer is here: each of this session's writes is acknowledged. */
    if (w->plan.fsync == FSYNC_ALWAYS && c->session->last_write > r->acknowledged &&
        stamp_origin(c->session->last_write) == r->id)
        r->acknowledged = c->session->last_write;
    think(w, c);
}

void sim_load_region_down(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        forget_session(w, &r->clients[i]);
        r->clients[i].thinking = false;
    }
    if (w->plan.fsync != FSYNC_ALWAYS)
        w->counter_lost = true;
}

bool sim_load_idle(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        for (uint32_t k = 0; k < SIM_CLIENTS_MAX; k++) {
            if (w->regions[i].clients[k].pending_count > 0)
                return false;
        }
    }
    return true;
}
