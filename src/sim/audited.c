/*
 * audited -- the audit of fences (node/audit.h), as its owner writes it, and what is looked at on the way.
 *
 * Stands where host/auditor.c stands: one write at a time, and one that failed is tried again later. No line
 * names a region outside of its fence, nothing was sent that was not announced before, and ranges join. And
 * where bytes leave a region, what they have of the fence was announced on that connection, by a line that
 * was on the disk already: whether it was, nothing of the node is asked.
 */
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "sim/world.h"
#include "wire/batch.h"

enum { RETRY_US = 1000 * 1000 }; /* as host/auditor.h */

/* The newest BEGINS line of something that is on the disk. */
struct announced {
    struct audit_key key;
    uint64_t number;
};

/* Of a run: up to where each region was sent each origin. */
struct sim_audited {
    stamp_t sent[REGION_ID_MAX + 1][STAMP_ORIGINS];
    bool begun[REGION_ID_MAX + 1][STAMP_ORIGINS];   /* once */
    bool renewed[REGION_ID_MAX + 1][STAMP_ORIGINS]; /* since the last range: any may follow */
    struct audit_line *taken;                       /* [taken_count] of the node, and not written */
    size_t taken_count, taken_cap;
    bool busy;
    uint64_t retry_us; /* no write before */
    struct announced *announced;
    size_t announced_count;
};

void sim_audited_start(struct sim_world *w, struct sim_region *r)
{
    sim_audited_release(r);
    if (w->plan.fence != 0)
        r->audited = mem_zalloc(sizeof(*r->audited));
}

void sim_audited_release(struct sim_region *r)
{
    if (r->audited) {
        mem_free(r->audited->taken);
        mem_free(r->audited->announced);
    }
    mem_free(r->audited);
    r->audited = NULL;
}

/* --- lines --- */

/* What lies in a fence may go out only as answers, and there are none for regions outside. */
static void judge_fence(struct sim_world *w, const struct sim_region *r,
                        const struct audit_line *line)
{
    const struct deployment *d = w->deployment;
    uint32_t fence = line->key.what == AUDIT_LOG       ? w->fence_of[line->key.item]
                     : line->key.what == AUDIT_OBJECTS ? line->key.item
                                                       : d->keyspaces[line->key.item].fence;
    uint8_t to = line->key.taken ? r->id : line->key.peer;
    if (fence == 0 || !fence_holds(&d->fences[fence], to))
        sim_fail(w, "the audit of region %u has something of fence %u that went to region %u",
                 r->index + 1, fence, to);
}

static void judge_range(struct sim_world *w, struct sim_region *r, const struct audit_line *line)
{
    struct sim_audited *a = r->audited;
    uint8_t to = line->key.peer, origin = (uint8_t)line->key.item;
    if (line->event == AUDIT_BEGINS) {
        a->begun[to][origin] = a->renewed[to][origin] = true;
        return;
    }
    if (!a->begun[to][origin])
        sim_fail(w, "region %u sent region %u origin %u and had not announced it", r->index + 1, to,
                 origin);
    else if (!a->renewed[to][origin] && line->from > a->sent[to][origin])
        sim_fail(w,
                 "the audit of region %u: region %u was sent origin %u up to %llx, then from %llx",
                 r->index + 1, to, origin, (unsigned long long)a->sent[to][origin],
                 (unsigned long long)line->from);
    a->renewed[to][origin] = false;
    a->sent[to][origin] = line->to;
}

static void judge(struct sim_world *w, struct sim_region *r, const struct audit_line *line)
{
    judge_fence(w, r, line);
    if (line->key.what == AUDIT_LOG && !line->key.taken)
        judge_range(w, r, line);
}

/* --- writing them --- */

static bool is_same(const struct audit_key *a, const struct audit_key *b)
{
    return a->what == b->what && a->taken == b->taken && a->peer == b->peer && a->item == b->item;
}

static void announce(struct sim_audited *a, const struct audit_line *line)
{
    size_t at = 0;
    if (line->event != AUDIT_BEGINS)
        return;
    while (at < a->announced_count && !is_same(&a->announced[at].key, &line->key))
        at++;
    if (at == a->announced_count)
        a->announced = mem_realloc(a->announced, ++a->announced_count * sizeof(*a->announced));
    a->announced[at] = (struct announced){ line->key, line->number };
}

static void tell_written(struct sim_region *r)
{
    struct sim_audited *a = r->audited;
    for (size_t i = 0; i < a->taken_count; i++)
        announce(a, &a->taken[i]);
    node_audit_written(&r->node, a->taken[a->taken_count - 1].number);
    a->taken_count = 0;
}

static void written(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct sim_audited *a = r->audited;
    bool fails = prng_chance(&r->prng, w->plan.audit_fails) && !w->healed;
    a->busy = false;
    sim_turn_begin(w, r);
    if (fails) {
        sim_tell(w, r, "audit", "cannot be written");
        a->retry_us = w->now_us + RETRY_US;
        node_audit_failed(&r->node, "no room");
    } else {
        tell_written(r);
    }
    sim_turn_end(w, r);
}

static void take(struct sim_audited *a, const struct audit_line *line)
{
    if (a->taken_count == a->taken_cap) {
        a->taken_cap = a->taken_cap ? 2 * a->taken_cap : 16;
        a->taken = mem_realloc(a->taken, a->taken_cap * sizeof(*a->taken));
    }
    a->taken[a->taken_count++] = *line;
}

void sim_audited_turn(struct sim_world *w, struct sim_region *r)
{
    struct sim_audited *a = r->audited;
    struct audit_line line;
    if (!a || a->busy)
        return;
    while (!w->failed && node_next_audit(&r->node, &line)) {
        judge(w, r, &line);
        take(a, &line);
    }
    if (a->taken_count == 0 || w->now_us < a->retry_us)
        return;
    a->busy = true;
    sim_for_region(w, r, sim_around(&r->prng, w->plan.audit_us, w->plan.disk_tail), written);
}

/* --- what leaves --- */

/* By a line that was made since the connection is there. Which item it is, matters for logs alone: all
 * else is of one fence and one keyspace. */
static bool is_announced(const struct sim_world *w, const struct sim_conn *c, uint32_t end,
                         enum audit_what what, uint16_t item)
{
    const struct sim_audited *a = w->regions[c->region[end]].audited;
    uint8_t to = w->regions[c->region[1 - end]].id;
    for (size_t i = 0; i < a->announced_count; i++) {
        const struct audit_key *key = &a->announced[i].key;
        if (key->what == what && !key->taken && key->peer == to &&
            (what != AUDIT_LOG || key->item == item) && a->announced[i].number > c->audit_made[end])
            return true;
    }
    return false;
}

/* Heartbeats carry nothing. */
static bool are_announced(const struct sim_world *w, const struct sim_conn *c, uint32_t end,
                          struct span content)
{
    struct span batch;
    struct batch b;
    uint8_t origin;
    stamp_t stamp;
    while (frame_next_batch(&content, &batch)) {
        if (batch_peek(batch, &origin, &stamp) && w->fence_of[origin] != 0 &&
            batch_take(batch, &b) && b.op_count > 0 && !is_announced(w, c, end, AUDIT_LOG, origin))
            return false;
    }
    return true;
}

static void note_asked(struct sim_conn *c, uint32_t from, struct span body)
{
    struct message_forward m;
    if (!message_take_forward(body, &m) || !sim_secrets_in(m.commands))
        return;
    c->asked = mem_realloc(c->asked, (c->asked_count + 1) * sizeof(*c->asked));
    c->asked[c->asked_count++] = (struct sim_asked){ from, m.session, m.number };
}

/* It answers a command with keys of the fence. An error has nothing of them. */
static bool answers_asked(struct sim_conn *c, uint32_t from, struct span body)
{
    struct message_answer m;
    if (!message_take_answer(body, &m))
        return false;
    for (size_t i = 0; i < c->asked_count; i++) {
        const struct sim_asked *a = &c->asked[i];
        if (a->from == from || a->session != m.session || a->number != m.number)
            continue;
        c->asked[i] = c->asked[--c->asked_count];
        return m.reply.len > 0 && m.reply.at[0] != '-';
    }
    return false;
}

void sim_audited_pass(struct sim_world *w, struct sim_conn *c, uint32_t from,
                      enum message_type type, struct span content)
{
    bool good = true;
    if (type == MESSAGE_FORWARD)
        note_asked(c, from, content);
    else if (type == MESSAGE_BATCHES)
        good = are_announced(w, c, from, content);
    else if (type == MESSAGE_IMAGE && sim_secrets_in(content))
        good = is_announced(w, c, from, AUDIT_OBJECTS, 0);
    else if (type == MESSAGE_ANSWER && (answers_asked(c, from, content) || sim_secrets_in(content)))
        good = is_announced(w, c, from, AUDIT_ANSWERS, 0) ||
               is_announced(w, c, from, AUDIT_PARTS, 0);
    if (!good)
        sim_fail(w,
                 "region %u sends region %u what its audit does not have on disk, in a message of "
                 "type %d",
                 c->region[from] + 1, c->region[1 - from] + 1, (int)type);
}
