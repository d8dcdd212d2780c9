/*
 * judge -- what a traveller may be answered.
 *
 * A read shows all that its level promises: what the session has seen where it is; what its token names,
 * if it waits for that; all that was written longer ago than it allows; all that anybody was told. And
 * whatever it shows, it shows with its past. A write that some regions were to acknowledge is on their
 * disks. What is refused is refused for a reason.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "sim/answer.h"
#include "sim/told.h"
#include "sim/world.h"

enum { TEXT_MAX = 160 };

bool sim_holds(const struct sim_world *w, const struct sim_region *r, uint32_t keyspace)
{
    return keyspace != 0 || w->plan.fence == 0 || (w->plan.fence >> r->place & 1);
}

static struct sim_region *region_of(struct sim_world *w, const struct sim_traveller *t)
{
    return &w->regions[t->region];
}

/* --- regions that are named --- */

/* A region that is said to have acknowledged a post has it on disk. */
static void judge_name(struct sim_world *w, const struct sim_traveller *t, uint32_t region)
{
    if (!w->history_lost && !sim_post_is_kept(w, &w->regions[region], t->ask.post))
        sim_fail(w, "region %u is named as having post %u on disk, and has not", region + 1,
                 t->ask.post);
}

/* "... in 300 ms: r2 after 12 ms, r3 after 20 ms; not: r4" */
static void judge_noacks(struct sim_world *w, const struct sim_traveller *t, struct span text)
{
    const struct post *post = &w->posts.at[t->ask.post];
    size_t at = answer_find(text, span_str("ms: ")), end = answer_find(text, span_str("; not:"));
    uint32_t count = 0;
    if (post->stamp == 0)
        sim_fail(w, "region %u: NOACKS of a post that was not written", t->region + 1);
    for (size_t i = at; i < end; i++) {
        if (text.at[i] != 'r' || text.at[i - 1] != ' ' || i + 1 >= end || text.at[i + 1] > '9')
            continue;
        size_t len = 1;
        while (i + len < end && text.at[i + len] >= '0' && text.at[i + len] <= '9')
            len++;
        uint32_t region;
        if (sim_named_region(w, span_of(text.at + i, len), &region))
            judge_name(w, t, region);
        else
            sim_fail(w, "region %u: post %u was acknowledged by nobody who is known", t->region + 1,
                     t->ask.post);
        count++;
    }
    if (count >= t->ask.others)
        sim_fail(w, "region %u: NOACKS of post %u, that %u regions acknowledged and %u were to",
                 t->region + 1, t->ask.post, count, t->ask.others);
    w->posts.at[t->ask.post].told_us = w->now_us;
}

/* --- the answer of a WITH --- */

/* Whoever is said to have acknowledged a post has it. */
static void judge_acks(struct sim_world *w, const struct sim_traveller *t, const struct told *told)
{
    if (told->ack_count > told->named_count)
        sim_fail(w, "region %u: acknowledgements are not told as they must", t->region + 1);
    for (uint32_t i = 0; i < w->plan.regions && !w->failed; i++) {
        if (told->acked >> i & 1)
            judge_name(w, t, i);
    }
}

/* --- what a read shows --- */

struct showing {
    struct post_set shown;
    struct post_set must; /* their past */
};

static void take_shown(struct sim_world *w, struct sim_traveller *t, struct span in,
                       struct showing *s)
{
    struct span text;
    for (int64_t count = answer_open(&in); count > 0; count--) {
        char number[24] = "";
        answer_text(answer_next(&in), &text);
        size_t skip = answer_begins(text, SIM_SECRET) ? strlen(SIM_SECRET) : 1;
        text = span_skip(text, skip);
        if (text.len < sizeof(number))
            memcpy(number, text.at, text.len);
        uint32_t post = (uint32_t)strtoul(number, NULL, 10);
        if (post >= w->posts.count || w->posts.at[post].stamp == 0) {
            sim_fail(w, "region %u shows post %u, that nobody has written", t->region + 1, post);
            return;
        }
        post_set_add(&s->shown, post);
        post_set_merge(&s->must, &w->posts.at[post].past);
    }
}

/* Clocks may be so far apart, and a heartbeat is not at once. */
static bool is_old(struct sim_world *w, const struct sim_ask *a, const struct post *post)
{
    uint64_t allowed_us = ((uint64_t)a->staleness_ms + w->deployment->max_skew_ms) * 1000;
    return a->staleness_ms != STALENESS_ANY && w->plan.clock_wild_us == 0 &&
           post->written_us + allowed_us < w->now_us;
}

static const char *why_needed(struct sim_world *w, const struct sim_traveller *t,
                              const struct showing *s, uint32_t number)
{
    const struct sim_ask *a = &t->ask;
    const struct post *post = &w->posts.at[number];
    if (post_set_has(&s->must, number))
        return "what it shows was made after it";
    if (post_set_has(&t->here, number))
        return "the session has seen it there, or what comes after it";
    if (a->strong && post->told_us != 0 && post->told_us < a->sent_us)
        return "the read is strong";
    if (is_old(w, a, post))
        return "it is too old to be missing in a bounded read";
    return NULL;
}

static bool is_on(const struct post *post, const struct sim_ask *a)
{
    for (uint32_t i = 0; i < a->board_count; i++) {
        if (post->keyspace == a->keyspaces[i] && post->board == a->boards[i])
            return true;
    }
    return false;
}

static void judge_shown(struct sim_world *w, const struct sim_traveller *t, const struct showing *s)
{
    for (uint32_t i = 0; i < w->posts.count && !w->history_lost; i++) {
        const struct post *post = &w->posts.at[i];
        if (post->stamp == 0 || post->lost || !is_on(post, &t->ask) || post_set_has(&s->shown, i))
            continue;
        const char *why = why_needed(w, t, s, i);
        if (why)
            sim_fail(w, "region %u does not show post %u of region %u, written %lld ms ago: %s",
                     t->region + 1, i, post->region + 1,
                     (long long)(w->now_us - post->written_us) / 1000, why);
    }
}

/* What a region may not hold it does not wait for. */
void sim_add_named(const struct sim_world *w, const struct sim_traveller *t,
                   const struct post_set *named, struct post_set *into)
{
    for (uint32_t i = 0; i < w->posts.count; i++) {
        if (post_set_has(named, i) && sim_holds(w, &w->regions[t->region], w->posts.at[i].keyspace))
            post_set_add(into, i);
    }
}

/* What the answer came after is here from now on, in this session. */
static void came_after_token(const struct sim_world *w, struct sim_traveller *t)
{
    if (!t->ask.causal)
        return;
    if (t->ask.with_token)
        sim_add_named(w, t, &t->held, &t->here);
    if (t->follows)
        sim_add_named(w, t, &t->named, &t->here);
}

/* Another region may have answered (node/elsewhere.h): what that has need not be here. */
static bool is_here(struct sim_world *w, const struct sim_traveller *t, const struct post_set *set)
{
    const struct sim_region *r = region_of(w, t);
    for (uint32_t i = 0; i < w->posts.count; i++) {
        const struct post *post = &w->posts.at[i];
        if (post_set_has(set, i) && post->stamp != 0 && !post->lost &&
            sim_holds(w, r, post->keyspace) &&
            vector_get(&r->node.replica.applied, stamp_origin(post->stamp)) < post->stamp)
            return false;
    }
    return true;
}

/* Reads that are to be fresh, or wait for a token, may have been answered elsewhere: by somebody who has
 * what the token names, but perhaps not what was read here before. */
static bool may_have_moved(const struct sim_world *w, const struct sim_traveller *t,
                           const struct told *told)
{
    if (told->region < w->plan.regions)
        return told->region != t->region;
    return t->ask.staleness_ms != STALENESS_ANY || t->ask.causal;
}

static void judge_read(struct sim_world *w, struct sim_traveller *t, const struct told *told)
{
    struct showing s = { 0 };
    struct post_set before = t->here;
    if (may_have_moved(w, t, told))
        t->here = (struct post_set){ 0 };
    came_after_token(w, t);
    take_shown(w, t, told->reply, &s);
    if (w->failed)
        return;
    judge_shown(w, t, &s);
    post_set_merge(&t->here, &before);
    bool here = is_here(w, t, &s.shown) && is_here(w, t, &t->here);
    if (!here)
        t->here = before;
    if (!here && !t->follows)
        return;
    post_set_merge(here ? &t->here : &t->named, &s.shown);
    post_set_merge(here ? &t->here : &t->named, &s.must);
}

/* --- what is refused --- */

/* What is known of some other writer is older than allowed. */
static bool is_stale(const struct sim_region *r, const struct sim_ask *a)
{
    const struct replica *replica = &r->node.replica;
    if (a->staleness_ms == STALENESS_ANY)
        return false;
    for (uint32_t o = 1; o < ORACLE_ORIGINS; o++) {
        uint64_t known_ms = stamp_ms(vector_get(&replica->applied, (uint8_t)o));
        if (!replica_owns(replica, (uint8_t)o) && known_ms + a->staleness_ms < replica->now_ms)
            return true;
    }
    return false;
}

/* Of what an earlier run of its own made it may have lacked something until another client wrote, in the same
 * turn. */
static bool lacks(const struct sim_region *r, const struct token *token)
{
    const struct replica *replica = &r->node.replica;
    for (uint32_t o = 1; token && o < token->seen.high; o++) {
        bool own = replica_owns(replica, (uint8_t)o);
        stamp_t has = vector_get(own ? &replica->last_op : &replica->applied, (uint8_t)o);
        bool of_earlier = own && token->seen.at[o] != 0 && token->instance[o] < r->instance;
        if ((token->seen.at[o] > has || of_earlier) && replica_may_hold(replica, (uint8_t)o))
            return true;
    }
    return false;
}

/* Something was not there in time: for strong reads, that is for their last round to say. */
static void judge_stale(struct sim_world *w, const struct sim_traveller *t)
{
    const struct sim_ask *a = &t->ask;
    const struct sim_region *r = region_of(w, t);
    struct token *token = mem_alloc(sizeof(*token));
    bool carried = a->with_token &&
                   token_take(buffer_span(&t->token), token, r->node.options.deployment->name);
    bool late = w->now_us >= a->sent_us + (uint64_t)a->timeout_ms * 1000 - 2000;
    bool reason = a->strong || is_stale(r, a) ||
                  ((a->causal || a->kind == ASK_FOLLOW) &&
                   (lacks(r, t->session->token) || (carried && lacks(r, token))));
    mem_free(token);
    if (!reason)
        sim_fail(w, "region %u: STALE, and all that was to be waited for is there", t->region + 1);
    if (!late && w->plan.clock_wild_us == 0)
        sim_fail(w, "region %u: STALE before its time was over", t->region + 1);
}

/* A read that went to another region: its link broke, or that region did not answer. */
static bool was_sent_on(struct span text)
{
    static const char sent[] = "-STALE the read was ";
    return text.len > strlen(sent) && answer_begins(text, sent);
}

/* A region that may not hold a key says so; one that may never does. */
static void judge_fenced(struct sim_world *w, const struct sim_traveller *t, bool fenced)
{
    const struct sim_region *r = region_of(w, t);
    bool holds = t->ask.board_count == 0 || sim_holds(w, r, t->ask.keyspaces[0]);
    if (fenced == holds)
        sim_fail(w, "region %u %s a command for keys that it %s hold", r->index + 1,
                 fenced ? "refuses" : "answers", holds ? "may" : "may not");
}

static void judge_error(struct sim_world *w, struct sim_traveller *t, struct span text)
{
    if (answer_begins(text, "-FENCED"))
        judge_fenced(w, t, true);
    else if (answer_begins(text, "-NOACKS"))
        judge_noacks(w, t, text);
    else if (answer_begins(text, "-STALE") && !was_sent_on(text))
        judge_stale(w, t);
    if (answer_begins(text, "-NOACKS"))
        came_after_token(w, t);
    if (t->ask.kind == ASK_FOLLOW)
        t->follows = answer_begins(text, "-STALE");
    if (t->ask.must)
        sim_fail(w, "region %u: all is well, and a traveller is told %.*s", t->region + 1,
                 (int)(text.len < TEXT_MAX ? text.len : TEXT_MAX), (const char *)text.at);
}

/* --- answers --- */

/* The new token names what this session has seen here, and what it follows. One that names less than what the
 * traveller has is not taken. */
static void take_token(struct sim_traveller *t, struct span text, bool always)
{
    struct post_set held = t->here;
    if (t->follows)
        post_set_merge(&held, &t->named);
    for (uint32_t i = 0; i < POSTS_MAX / 64 && !always; i++) {
        if (t->held.words[i] & ~held.words[i])
            return;
    }
    t->held = held;
    buffer_clear(&t->token);
    buffer_put(&t->token, text);
}

static void judge_post(struct sim_world *w, struct sim_traveller *t, const struct told *told)
{
    const struct sim_ask *a = &t->ask;
    if (w->posts.at[a->post].stamp == 0) {
        sim_fail(w, "region %u: a post was answered, and not written", t->region + 1);
        return;
    }
    if (a->with && told->ack_count < a->others)
        sim_fail(w, "region %u: %u regions are told to have acknowledged post %u, %u were to",
                 t->region + 1, told->ack_count, a->post, a->others);
    came_after_token(w, t);
    sim_post_told(w, a->post, a->others);
    post_set_add(&t->here, a->post);
    post_set_merge(&t->here, &w->posts.at[a->post].past);
}

static void judge_good(struct sim_world *w, struct sim_traveller *t, const struct told *told)
{
    struct span text;
    switch (t->ask.kind) {
    case ASK_POST:
        judge_fenced(w, t, false);
        judge_post(w, t, told);
        break;
    case ASK_READ:
        judge_fenced(w, t, false);
        judge_read(w, t, told);
        break;
    case ASK_LEVEL:
        t->levels.has_write |= t->ask.session.has_write;
        t->levels.has_read |= !t->ask.session.has_write;
        t->levels.write = t->ask.session.write;
        t->levels.read = t->ask.session.read;
        break;
    case ASK_TOKEN:
        CHECK(answer_text(told->reply, &text));
        take_token(t, text, true);
        break;
    case ASK_FOLLOW:
        t->follows = true;
        sim_add_named(w, t, &t->named, &t->here);
        break;
    }
    if (told->token.len > 0)
        take_token(t, told->token, false);
}

void sim_judge(struct sim_world *w, struct sim_traveller *t, struct span reply)
{
    struct told told = { .reply = reply, .region = UINT32_MAX };
    char name[24];
    snprintf(name, sizeof(name), "t%u:%u", t->index, t->drawn);
    sim_tell_answer(w, region_of(w, t), name, reply);
    if (reply.at[0] == '-') {
        judge_error(w, t, reply);
        return;
    }
    if (t->ask.with) {
        told_take(w, reply, &told);
        judge_acks(w, t, &told);
    }
    judge_good(w, t, &told);
}
