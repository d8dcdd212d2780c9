#include "node/hold.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "node/client.h"
#include "node/forward.h"
#include "node/node.h"
#include "node/promise.h"
#include "node/seen.h"
#include "wire/message.h"

enum { NO_ACK = UINT32_MAX, NAMES_MAX = 300 };

static const uint64_t HOLD_OPEN = UINT64_MAX;

/* What a reply waits for of others, and what it will tell. */
struct hold_acks {
    uint64_t end;  /* of the reply, as hold.start */
    stamp_t stamp; /* of the write; of a strong read: of the last that it may show */
    bool wrote;
    uint64_t began_us, deadline_us;
    uint32_t wanted;
    bool told;           /* it came in a WITH: its answer tells of all this */
    struct buffer token; /* that it gave, as text: that is short; empty: none */
    const char
        *lost; /* of what its token, or its session's, names: LOST or CLOSED; NULL: nothing */
    uint64_t members[4];
    uint32_t staleness_ms;
    uint32_t count;      /* of regions that have acknowledged, members only */
    uint32_t acked_ms[]; /* by place in the matrix; NO_ACK: not yet */
};

/* --- waiting begins --- */

static size_t bytes_of(const struct node *n, const struct hold *h)
{
    const struct hold_acks *a = h->acks;

    return sizeof(*h) +
           (a != NULL ? sizeof(*a) + n->matrix.count * sizeof(a->acked_ms[0]) + a->token.cap : 0);
}

static void push(struct node *n, struct client *c, struct hold hold)
{
    if (c->hold_count == c->hold_cap) {
        c->hold_cap = c->hold_cap ? 2 * c->hold_cap : 4;
        c->holds = mem_realloc(c->holds, c->hold_cap * sizeof(*c->holds));
    }
    c->holds[c->hold_count++] = hold;
    c->hold_bytes += bytes_of(n, &hold);
    if (!list_linked(&c->held))
        list_add_tail(&n->held, &c->held);
    if (hold.lsn == HOLD_OPEN && !list_linked(&c->wrote))
        list_add_tail(&n->wrote, &c->wrote);
}

static bool is_applied(const struct node *n, stamp_t stamp)
{
    return vector_get(&n->replica.applied, stamp_origin(stamp)) >= stamp;
}

/* A write that nobody else is to acknowledge waits with those before it in this turn. */
static bool waits_already(const struct client *c)
{
    return c->hold_count > 0 && c->holds[c->hold_count - 1].lsn == HOLD_OPEN;
}

/* Our last write to one of the fences: what a reader here has seen at most. */
static stamp_t newest_own(const struct node *n, uint32_t fences)
{
    stamp_t newest = 0;

    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        stamp_t last = vector_get(&n->replica.last_op, (uint8_t)o);

        if (fences >> n->fence_of[o] & 1 && last > newest)
            newest = last;
    }
    return newest;
}

static const char *warning_of(struct node *n, const struct session *s)
{
    const char *own = seen_warning(n, s->token), *given = seen_warning(n, s->with.token);

    return own == NULL || (given != NULL && strcmp(given, "LOST") == 0) ? given : own;
}

static struct hold_acks *ask(struct node *n, struct client *c, bool told)
{
    struct session *s = &c->session;
    const struct demand *d = &s->demand;
    struct hold_acks *a = mem_alloc(sizeof(*a) + n->matrix.count * sizeof(a->acked_ms[0]));

    *a = (struct hold_acks){
        .end = c->sent_total + s->output.len,
        .stamp = s->wrote     ? s->last_write
                 : d->settles ? newest_own(n, d->fences)
                              : 0,
        .wrote = s->wrote,
        .began_us = n->now_us,
        .deadline_us = promise_deadline_us(n, c),
        .wanted = s->wrote || d->settles ? d->others : 0,
        .told = told,
        .staleness_ms = promise_staleness_ms(n, d),
    };
    memcpy(a->members, d->members, sizeof(a->members));
    for (size_t i = 0; i < n->matrix.count; i++)
        a->acked_ms[i] = NO_ACK;
    if (told)
        a->lost = warning_of(n, s);
    if (told && s->with.token != NULL)
        token_put(&a->token, s->with.token, n->options.deployment->name);
    n->acks_waited += a->wanted > 0;
    if (a->wanted == 0) /* it only is to be told */
        a->deadline_us = n->now_us;
    if (a->deadline_us < n->hold_due_us)
        n->hold_due_us = a->deadline_us;
    return a;
}

static void end_hold(const struct node *n, struct client *c, const struct hold *h)
{
    c->hold_bytes -= bytes_of(n, h);
    if (h->acks != NULL)
        buffer_release(&h->acks->token);
    mem_free(h->acks);
}

void hold_reply(struct node *n, struct client *c, size_t start)
{
    struct session *s = &c->session;
    bool answered = s->output.len > start; /* CLIENT REPLY may say that it is not to be */
    bool acks = (s->wrote || s->demand.settles) && s->demand.others > 0 &&
                !MUTATION(answers_unacknowledged);
    bool sync = s->wrote && n->server.settings.fsync == FSYNC_ALWAYS &&
                !MUTATION(answers_undurable);
    bool told = s->with.on && answered && s->output.at[start] != '-';
    struct hold hold = { .start = c->sent_total + start,
                         .lsn = sync || (acks && s->wrote) ? HOLD_OPEN : 0 };

    if (told || (acks && answered))
        hold.acks = ask(n, c, told);
    else if (!sync || waits_already(c))
        return;
    if (acks && hold.acks != NULL)
        vector_raise(&n->acks_wanted, hold.acks->stamp);
    push(n, c, hold);
}

void hold_until_applied(struct node *n, struct client *c, size_t start, stamp_t stamp)
{
    if (!replica_may_hold(&n->replica, stamp_origin(stamp)) || is_applied(n, stamp) ||
        MUTATION(answers_unapplied))
        return;
    struct hold hold = { .start = c->sent_total + start,
                         .applied = stamp,
                         .applied_us = n->now_us + FORWARD_SETTLE_MS * 1000 };
    push(n, c, hold);
    n->holds_applied = true;
    if (hold.applied_us < n->hold_due_us)
        n->hold_due_us = hold.applied_us;
}

void hold_seal(struct node *n, uint64_t lsn)
{
    list_each(&n->wrote, it)
    {
        struct client *c = container_of(it, struct client, wrote);
        list_remove(&c->wrote);
        /* Among them are some that have written nothing; what stands before is sealed. */
        for (size_t i = c->hold_count; i > 0; i--) {
            struct hold *h = &c->holds[i - 1];

            if (h->lsn == HOLD_OPEN)
                h->lsn = lsn;
            else if (h->lsn != 0)
                break;
        }
    }
}

/* --- acknowledgements --- */

static bool is_member(const struct hold_acks *a, uint8_t region)
{
    return bits_have(a->members, region);
}

/* A region has a session's writes to one fence in their order. */
static void count_acks_of(struct node *n, struct client *c, size_t place, size_t from)
{
    const struct peers_row *row = &n->matrix.rows[place];

    for (size_t i = from; i < c->hold_count; i++) {
        struct hold_acks *a = c->holds[i].acks;

        if (a == NULL || a->acked_ms[place] != NO_ACK || !is_member(a, row->region) ||
            a->stamp == 0)
            continue;
        const struct vector *has = MUTATION(acks_count_undurable) ? &row->applied : &row->durable;
        if (vector_get(has, stamp_origin(a->stamp)) < a->stamp) {
            if (!n->server.fenced)
                return;
            continue; /* one to another fence may be there */
        }
        a->acked_ms[place] = (uint32_t)((n->now_us - a->began_us + 500) / 1000);
        a->count++;
    }
}

/* While nobody has told anything, only holds that are new can have become acknowledged: replies are looked at
 * in every turn where one waits for another region's write. */
static void count_acks(struct node *n, struct client *c)
{
    size_t from = n->matrix_changed ? 0 : c->hold_counted;

    for (size_t place = 0; place < n->matrix.count && from < c->hold_count; place++)
        count_acks_of(n, c, place, from);
    c->hold_counted = c->hold_count;
}

/* Who has it, or who has not, for an error. */
static void put_names(const struct node *n, const struct hold_acks *a, bool acked,
                      struct buffer *out)
{
    const char *comma = "";

    for (size_t i = 0; i < n->matrix.count && out->len < NAMES_MAX; i++) {
        uint8_t id = n->matrix.rows[i].region;
        const struct region *region = deployment_region_with_id(n->options.deployment, id);

        if (!is_member(a, id) || acked != (a->acked_ms[i] != NO_ACK))
            continue;
        buffer_printf(out, "%s%s", comma, region->name);
        if (acked)
            buffer_printf(out, " after %u ms", a->acked_ms[i]);
        comma = ", ";
    }
    if (*comma == 0)
        buffer_printf(out, "none");
}

static void put_noacks(const struct node *n, const struct hold_acks *a, struct reply *reply)
{
    struct buffer acked = { 0 }, silent = { 0 };

    put_names(n, a, true, &acked);
    put_names(n, a, false, &silent);
    buffer_put_u8(&acked, 0);
    buffer_put_u8(&silent, 0);
    reply_errorf(reply,
                 "NOACKS %s stands here, but %u of %u regions acknowledged it in %llu ms: %s; "
                 "not: %s",
                 a->wrote ? "the write" : "what was read", a->count, a->wanted,
                 (unsigned long long)((a->deadline_us - a->began_us) / 1000), (char *)acked.at,
                 (char *)silent.at);
    buffer_release(&acked);
    buffer_release(&silent);
}

/* --- the answer of a WITH --- */

/* What its client gave and this region may not hold, or has not waited for, goes on with it. */
static void carry(const struct node *n, struct buffer *text, const struct buffer *given)
{
    const char *deployment = n->options.deployment->name;
    struct token *t = mem_alloc(2 * sizeof(*t));

    CHECK(token_take(buffer_span(text), &t[0], deployment));
    CHECK(token_take(buffer_span(given), &t[1], deployment));
    token_merge(&t[0], &t[1]);
    buffer_clear(text);
    token_put(text, &t[0], deployment);
    mem_free(t);
}

static void put_token(struct node *n, const struct session *s, const struct hold_acks *a,
                      struct reply *reply)
{
    struct buffer token = { 0 };

    session_token_put(&n->server, s, &token);
    if (a->token.len > 0)
        carry(n, &token, &a->token);
    reply_bulk(reply, buffer_span(&token));
    buffer_release(&token);
}

/* What a strong read has waited for others wrote: of that it tells nothing. */
static void put_acks(const struct node *n, const struct hold_acks *a, struct reply *reply)
{
    reply_array(reply, a->wrote ? a->count : 0);
    for (size_t i = 0; i < n->matrix.count && a->wrote; i++) {
        if (a->acked_ms[i] == NO_ACK)
            continue;
        reply_array(reply, 2);
        reply_bulk_text(
            reply,
            deployment_region_with_id(n->options.deployment, n->matrix.rows[i].region)->name);
        reply_int(reply, a->acked_ms[i]);
    }
}

/* The gravest: how old the answer is stands beside it anyway. */
static void put_warning(const struct node *n, const struct hold_acks *a, struct reply *reply)
{
    uint32_t warn_ms = n->options.deployment->reads_warn_ms;
    char text[40];

    snprintf(text, sizeof(text), "STALE_OVER_%u", warn_ms);
    if (a->lost != NULL)
        reply_bulk_text(reply, a->lost);
    else if (a->staleness_ms > warn_ms)
        reply_bulk_text(reply, text);
    else
        reply_null(reply);
}

static void put_with(struct node *n, struct client *c, const struct hold_acks *a,
                     struct span answer, struct reply *reply)
{
    char text[40];

    reply_map(reply, 7);
    reply_bulk_text(reply, "reply");
    buffer_put(reply->out, answer);
    reply_bulk_text(reply, "region");
    reply_bulk_text(reply, n->options.self->name);
    reply_bulk_text(reply, "stamp");
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(a->wrote ? a->stamp : 0));
    reply_bulk_text(reply, text);
    reply_bulk_text(reply, "token");
    put_token(n, &c->session, a, reply);
    reply_bulk_text(reply, "acks");
    put_acks(n, a, reply);
    reply_bulk_text(reply, "staleness_ms");
    reply_int(reply, a->staleness_ms == STALENESS_ANY ? -1 : (int64_t)a->staleness_ms);
    reply_bulk_text(reply, "warning");
    put_warning(n, a, reply);
}

/* --- waiting ends --- */

/* Another answer instead of that of a hold; what stands behind moves. */
static void replace(struct client *c, size_t at, struct span answer)
{
    struct buffer *output = &c->session.output;
    const struct hold *h = &c->holds[at];
    size_t start = h->start - c->sent_total, end = h->acks->end - c->sent_total;
    size_t rest = output->len - end;
    int64_t grown = (int64_t)answer.len - (int64_t)(end - start);

    if (grown > 0)
        buffer_room(output, (size_t)grown);
    memmove(output->at + start + answer.len, output->at + end, rest);
    memcpy(output->at + start, answer.at, answer.len);
    output->len = start + answer.len + rest;
    for (size_t i = at + 1; i < c->hold_count; i++) {
        c->holds[i].start += (uint64_t)grown;
        if (c->holds[i].acks != NULL)
            c->holds[i].acks->end += (uint64_t)grown;
    }
}

static void answer(struct node *n, struct client *c, size_t at)
{
    const struct hold *h = &c->holds[at];
    const struct hold_acks *a = h->acks;
    bool failed = a->count < a->wanted;

    if (!failed && !a->told)
        return;
    struct buffer text = { 0 };
    struct reply reply = { .out = &text, .protocol = c->session.reply.protocol };
    size_t start = h->start - c->sent_total, end = a->end - c->sent_total;

    if (failed)
        put_noacks(n, a, &reply);
    else
        put_with(n, c, a, span_of(c->session.output.at + start, end - start), &reply);
    if (failed)
        server_count_error(&n->server, &text, 0);
    replace(c, at, buffer_span(&text));
    buffer_release(&text);
}

/* Whether a hold may end, met or not. */
static bool is_over(const struct node *n, const struct hold *h)
{
    const struct hold_acks *a = h->acks;

    bool here = h->applied == 0 || is_applied(n, h->applied) || n->now_us >= h->applied_us;

    if (h->lsn > n->replica.log_durable || !here)
        return false;
    return a == NULL || a->count >= a->wanted || n->now_us >= a->deadline_us;
}

static void release(struct node *n, struct client *c)
{
    size_t done = 0;

    count_acks(n, c);
    for (; done < c->hold_count && is_over(n, &c->holds[done]); done++) {
        if (c->holds[done].acks != NULL)
            answer(n, c, done);
        end_hold(n, c, &c->holds[done]);
    }
    if (done == 0)
        return;
    c->hold_counted = c->hold_count -= done;
    memmove(c->holds, c->holds + done, c->hold_count * sizeof(*c->holds));
    if (c->hold_count == 0)
        list_remove(&c->held);
    client_mark_dirty(n, c);
}

static void find_due(struct node *n, const struct client *c)
{
    if (c->hold_count > 0 && c->holds[0].applied != 0) {
        n->holds_applied = true;
        if (c->holds[0].applied_us < n->hold_due_us)
            n->hold_due_us = c->holds[0].applied_us;
    }
    const struct hold_acks *a = c->hold_count > 0 ? c->holds[0].acks : NULL;

    /* while the log waits for its disk no time can be over */
    if (a != NULL && c->holds[0].lsn <= n->replica.log_durable && a->deadline_us < n->hold_due_us)
        n->hold_due_us = a->deadline_us;
}

void hold_release(struct node *n)
{
    n->hold_due_us = UINT64_MAX;
    n->holds_applied = false;
    list_each(&n->held, it)
    {
        struct client *c = container_of(it, struct client, held);
        release(n, c);
        find_due(n, c);
    }
}

void hold_forget(const struct node *n, struct client *c)
{
    for (size_t i = 0; i < c->hold_count; i++)
        end_hold(n, c, &c->holds[i]);
    c->hold_counted = c->hold_count = 0;
}

/* What tells of other regions only may go on, but not before what stands in front of it. */
static bool waits_for_log(const struct node *n, const struct client *c)
{
    for (size_t i = 0; i < c->hold_count; i++) {
        if (c->holds[i].lsn > n->replica.log_durable)
            return true;
    }
    return false;
}

void hold_fail(struct node *n)
{
    list_each(&n->held, it)
    {
        struct client *c = container_of(it, struct client, held);
        struct session *s = &c->session;

        if (!waits_for_log(n, c))
            continue;
        s->output.len = c->holds[0].start - c->sent_total;
        reply_errorf(&s->reply,
                     "UNKNOWN the log failed before this was durable: a restart may lose it");
        server_count_error(&n->server, &s->output, c->holds[0].start - c->sent_total);
        s->closing = true;
        hold_forget(n, c);
        list_remove(&c->held);
        client_mark_dirty(n, c);
    }
}

uint64_t hold_deadline_us(const struct node *n)
{
    return n->hold_due_us;
}
