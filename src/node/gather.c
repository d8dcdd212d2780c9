#include "node/gather.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "node/client.h"
#include "node/link_info.h"
#include "node/node.h"
#include "wire/resp_skip.h"

/* --- asking --- */

static uint32_t distance_us(const void *context, uint8_t region)
{
    const struct node *n = context;

    if (region == n->options.self->id)
        return 0;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];
        int64_t offset_us;
        uint64_t rtt_us;

        if (p->region->id != region || p->intake == NULL || !p->intake->ready)
            continue;
        if (link_info_rtt_us(n, p, &offset_us, &rtt_us) && rtt_us < UINT32_MAX - 1)
            return (uint32_t)rtt_us + 1;
        return UINT32_MAX - 1;
    }
    return UINT32_MAX;
}

static uint64_t fences_of(const struct gather_plan *plan, uint8_t region)
{
    uint64_t fences = (uint64_t)plan->outside << 32;

    for (size_t i = 0; i < COUNT_OF(plan->of_fence); i++)
        fences |= (uint64_t)(plan->of_fence[i] == region) << i;
    return fences;
}

static void begin_part(struct node *n, struct gather *g, struct gather_part *part,
                       const struct gather_question *q, uint8_t db, uint64_t fences)
{
    struct session *s = client_open(n, NULL, "gather", n->options.self->name);
    struct buffer bytes = { 0 };

    if (s == NULL) {
        part->failed = true;
        return;
    }
    part->agent = client_of(s);
    part->agent->gather = g;
    part->agent->sent_to = part->region;
    s->last_write = g->asker->session.last_write;
    for (uint32_t i = 0; i < g->asker->session.elsewhere_count; i++)
        session_wrote_elsewhere(s, g->asker->session.elsewhere[i].stamp,
                                g->asker->session.elsewhere[i].run);
    g->open++;
    gather_question_put(&bytes, q, db, fences);
    client_input(n, s, buffer_span(&bytes));
    buffer_release(&bytes);
}

static bool has(const uint64_t regions[4], uint8_t id)
{
    return bits_have(regions, id);
}

void gather_begin(void *node, struct session *s, const struct gather_question *q)
{
    struct node *n = node;
    const struct deployment *d = n->options.deployment;
    struct gather *g = mem_zalloc(sizeof(*g) + d->region_count * sizeof(g->parts[0]));
    struct gather_plan plan;

    gather_plan(&n->server, q->prefix, distance_us, n, &plan);
    g->asker = client_of(s);
    CHECK(g->asker->gather == NULL);
    g->kind = q->kind;
    g->began_us = n->now_us;
    gathered_init(&g->found, n->replica.databases[0].keys.seed);
    list_add_tail(&n->gathers, &g->link);
    g->asker->gather = g;
    s->waiting = s->gathering = true;
    s->wait_deadline_us = n->now_us + (uint64_t)q->timeout_ms * 1000;
    for (size_t i = 0; i < d->region_count; i++) {
        uint8_t id = d->regions[i].id;

        if (has(plan.regions, id))
            g->parts[g->count++] = (struct gather_part){ .region = id };
    }
    for (size_t i = 0; i < g->count; i++)
        begin_part(n, g, &g->parts[i], q, s->db, fences_of(&plan, g->parts[i].region));
}

/* --- telling --- */

static const char *name_of(const struct node *n, uint8_t region)
{
    return deployment_region_with_id(n->options.deployment, region)->name;
}

static void tell(struct node *n, struct gather *g)
{
    struct session *s = &g->asker->session;
    struct reply *reply = &s->reply;
    size_t failed = 0;

    for (size_t i = 0; i < g->count; i++)
        failed += g->parts[i].failed;
    reply_map(reply, 5);
    reply_bulk_text(reply, "result");
    gathered_reply(&g->found, g->kind, reply);
    reply_bulk_text(reply, "regions");
    reply_array(reply, g->count - failed);
    for (size_t i = 0; i < g->count; i++) {
        if (g->parts[i].failed)
            continue;
        reply_array(reply, 3);
        reply_bulk_text(reply, name_of(n, g->parts[i].region));
        reply_int(reply, (int64_t)g->parts[i].keys);
        reply_int(reply, (int64_t)((g->parts[i].took_us + 500) / 1000));
    }
    reply_bulk_text(reply, "unreachable");
    reply_array(reply, failed);
    for (size_t i = 0; i < g->count; i++) {
        if (g->parts[i].failed)
            reply_bulk_text(reply, name_of(n, g->parts[i].region));
    }
    reply_bulk_text(reply, "skipped");
    reply_int(reply, (int64_t)g->found.skipped);
    reply_bulk_text(reply, "left_out");
    reply_int(reply, (int64_t)g->found.left_out);
}

static void end_part(struct node *n, struct gather *g, struct gather_part *part)
{
    struct client *agent = part->agent;

    part->agent = NULL;
    part->took_us = n->now_us - g->began_us;
    g->open--;
    agent->gather = NULL;
    client_close(n, &agent->session);
}

static void finish(struct node *n, struct gather *g)
{
    struct client *c = g->asker;

    for (size_t i = 0; i < g->count; i++) {
        if (g->parts[i].agent == NULL)
            continue;
        g->parts[i].failed = true;
        end_part(n, g, &g->parts[i]);
    }
    if (c != NULL) {
        c->gather = NULL;
        c->session.waiting = c->session.gathering = false;
        promise_end(c); /* its next command may come before it is looked at again */
        if (!c->session.wait_silent)
            tell(n, g);
        c->session.wait_silent = false;
        client_mark_dirty(n, c);
        client_wait(n, c);
        n->resume = true;
    }
    list_remove(&g->link);
    gathered_release(&g->found);
    mem_free(g);
}

/* The first reply is that of SELECT. */
static void take_answer(struct node *n, struct gather *g, struct gather_part *part)
{
    struct span out = client_output(&part->agent->session);
    size_t first = resp_skip(out), second = first > 0 ? resp_skip(span_skip(out, first)) : 0;
    uint64_t before = g->found.keys;

    if (second == 0 && !part->agent->session.killed)
        return;
    part->failed = (second == 0 || !gathered_add(&g->found, span_of(out.at + first, second))) &&
                   !MUTATION(hides_unreachable);
    part->keys = g->found.keys - before;
    end_part(n, g, part);
}

/* CLIENT UNBLOCK may bring it nearer; when nobody waits it is over. */
static uint64_t deadline_us(const struct gather *g)
{
    return g->asker != NULL ? g->asker->session.wait_deadline_us : g->began_us;
}

void gather_turn_end(struct node *n)
{
    list_each(&n->gathers, it)
    {
        struct gather *g = container_of(it, struct gather, link);

        for (size_t i = 0; i < g->count; i++) {
            if (g->parts[i].agent != NULL)
                take_answer(n, g, &g->parts[i]);
        }
        if (g->open == 0 || n->now_us >= deadline_us(g))
            finish(n, g);
    }
}

void gather_release(struct node *n)
{
    list_each(&n->gathers, it)
    {
        finish(n, container_of(it, struct gather, link));
    }
}

uint64_t gather_deadline_us(const struct node *n)
{
    uint64_t due_us = UINT64_MAX;

    list_each(&n->gathers, it)
    {
        const struct gather *g = container_of(it, struct gather, link);
        due_us = deadline_us(g) < due_us ? deadline_us(g) : due_us;
    }
    return due_us;
}

void gather_forget(struct node *n, struct client *c)
{
    struct gather *g = c->gather;

    if (g == NULL)
        return;
    c->gather = NULL;
    if (g->asker == c)
        g->asker = NULL;
    for (size_t i = 0; i < g->count; i++) {
        if (g->parts[i].agent != c)
            continue;
        g->parts[i].agent = NULL; /* it is being closed */
        g->parts[i].failed = true;
        g->open--;
    }
    (void)n;
}

void gather_leave(void *node, struct session *s)
{
    gather_forget(node, client_of(s));
}
