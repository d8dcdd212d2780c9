#include "node/promise.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/mutation.h"
#include "node/client.h"
#include "node/elsewhere.h"
#include "node/node.h"
#include "node/seen.h"
#include "wire/message.h"

/* What is asked of which writers. */
static bool is_writer(const struct demand *d, const struct peer *p)
{
    return bits_have(d->writers, p->region->id);
}

/* A stream of the peer that one of the fences holds: *o on the first call is 0. */
static bool next_stream(const struct node *n, const struct peer *p, uint32_t fences, uint32_t *o)
{
    while (bits_next(p->origins, STAMP_ORIGINS, o) && !(fences >> n->fence_of[*o] & 1))
        (*o)++;
    return *o < STAMP_ORIGINS;
}

/* --- bounded --- */

uint32_t promise_age_ms(const struct node *n, stamp_t known)
{
    uint64_t now_ms = n->replica.now_ms, known_ms = stamp_ms(known);

    if (known_ms >= now_ms)
        return 0;
    return now_ms - known_ms < UINT32_MAX ? (uint32_t)(now_ms - known_ms) : UINT32_MAX;
}

/* The writer whose writes may be missing for longest; NULL: there is no other. */
static const struct region *oldest_writer(const struct node *n, const struct demand *d,
                                          uint32_t *age_ms)
{
    const struct region *oldest = NULL;

    *age_ms = 0;
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];

        for (uint32_t o = 0; is_writer(d, p) && next_stream(n, p, d->fences, &o); o++) {
            uint32_t age = promise_age_ms(n, vector_get(&n->replica.applied, (uint8_t)o));

            if (oldest != NULL && age <= *age_ms)
                continue;
            oldest = p->region;
            *age_ms = age;
        }
    }
    return oldest;
}

uint32_t promise_staleness_ms(const struct node *n, const struct demand *d)
{
    uint32_t age_ms;

    oldest_writer(n, d, &age_ms);
    return age_ms;
}

/* --- strong --- */

/* What the peer said when it was first asked after the command came; NULL: nothing yet. */
static const struct barrier_answer *answer_to(const struct barrier *b, uint64_t number)
{
    const struct barrier_answer *best = NULL;

    for (int i = 0; i < BARRIER_ANSWERS; i++) {
        const struct barrier_answer *a = &b->answers[i];

        if (a->number >= number && (best == NULL || a->number < best->number))
            best = a;
    }
    return best;
}

static bool has_passed(const struct node *n, const struct peer *p, uint32_t fences, uint64_t number)
{
    const struct barrier_answer *answer = answer_to(&p->barrier, number);

    for (uint32_t o = 0; next_stream(n, p, fences, &o); o++) {
        if (answer == NULL ||
            vector_get(&n->replica.applied, (uint8_t)o) < answer->last[n->fence_of[o]])
            return false;
    }
    return true;
}

/* The first writer that has not answered, or of which something is missing. */
static const struct region *unpassed(const struct node *n, const struct demand *d, uint64_t number)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        const struct peer *p = &n->peers[i];

        if (is_writer(d, p) && !has_passed(n, p, d->fences, number) &&
            !(MUTATION(barrier_skips_a_writer) && i == 0))
            return p->region;
    }
    return NULL;
}

/* --- max_lag --- */

/* Since when the peer lacks something that we wrote to that stream. */
static uint32_t behind_ms(const struct node *n, const struct peers_row *row, uint8_t own)
{
    stamp_t theirs = vector_get(&row->applied, own);

    return theirs < vector_get(&n->replica.last_op, own) ? promise_age_ms(n, theirs) : 0;
}

uint32_t promise_lag_ms(const struct node *n, uint32_t fences, const struct region **who)
{
    uint32_t most_ms = 0;

    *who = NULL;
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        for (size_t i = 0; i < n->peer_count && (fences >> n->fence_of[o] & 1); i++) {
            uint32_t lag_ms = behind_ms(n, &n->matrix.rows[i], (uint8_t)o);

            if (bits_have(n->peers[i].foreign, (uint8_t)o) || lag_ms <= most_ms)
                continue;
            most_ms = lag_ms;
            *who = n->peers[i].region;
        }
    }
    return most_ms;
}

enum { PACE_MOST_MS = 1000 }; /* a write waits at most so long for those who are behind */

/* From half of what is allowed on, with the square of what is above: writers hardly notice the beginning, and
 * cannot outrun the end. */
static uint64_t pace_us(uint32_t lag_ms, uint32_t max_lag_ms)
{
    uint32_t half = max_lag_ms / 2;
    double over = lag_ms > half ? (double)(lag_ms - half) / (max_lag_ms - half) : 0;

    over = over > 1 ? 1 : over;
    return (uint64_t)(over * over * PACE_MOST_MS * 1000);
}

/* Whether the write has to wait; PROMISE_OVER: it is refused. */
static enum promise_verdict judge_lag(struct node *n, struct client *c)
{
    struct session *s = &c->session;
    const struct demand *d = &s->demand;
    const struct region *who;
    uint32_t lag_ms = promise_lag_ms(n, d->fences, &who);

    if (lag_ms == UINT32_MAX && d->refuses) {
        reply_errorf(&s->reply,
                     "BUSY nothing was heard of %s yet, and max_lag is %u: try again later",
                     who->name, d->max_lag_ms);
        n->lag_refused++;
        return PROMISE_OVER;
    }
    if (lag_ms > d->max_lag_ms && d->refuses) {
        reply_errorf(&s->reply, "BUSY %s is %u ms behind, and max_lag is %u: try again later",
                     who->name, lag_ms, d->max_lag_ms);
        n->lag_refused++;
        return PROMISE_OVER;
    }
    if (n->now_us - c->judged_us >= pace_us(lag_ms, d->max_lag_ms))
        return PROMISE_RUN;
    n->lag_slowed += !c->paced;
    c->paced = true;
    return PROMISE_WAIT;
}

/* --- a command --- */

static const char *name_of(const struct node *n, uint8_t origin)
{
    const struct region *region = node_writer_of(n, origin);

    return region != NULL ? region->name : "a region that is not in the configuration";
}

enum { LACK_MAX = 200 };

/* What a command waits for. */
struct lack {
    const struct region *of; /* who wrote it; NULL: a region that is not in the configuration */
    char text[LACK_MAX];     /* a part of a sentence */
};

/* False: it may run. */
static bool is_lacking(struct node *n, const struct client *c, struct lack *lack)
{
    const struct session *s = &c->session;
    const struct demand *d = &s->demand;
    uint32_t age_ms;
    uint8_t origin = d->causal ? seen_missing(n, s->token) : 0;

    if (d->causal && origin == 0)
        origin = seen_missing(n, s->with.token);
    if (origin != 0) {
        lack->of = node_writer_of(n, origin);
        snprintf(lack->text, LACK_MAX, "writes of %s that the token names have not come",
                 name_of(n, origin));
        return true;
    }
    lack->of = oldest_writer(n, d, &age_ms);
    if (lack->of != NULL && age_ms > d->staleness_ms && !MUTATION(bounded_ignores_age)) {
        snprintf(lack->text, LACK_MAX, "what is known of %s is %u ms old, and %u are allowed",
                 lack->of->name, age_ms, d->staleness_ms);
        return true;
    }
    lack->of = d->strong ? unpassed(n, d, c->barrier) : NULL;
    if (lack->of != NULL) {
        snprintf(lack->text, LACK_MAX, "strong reads wait for every writer, and %s does not answer",
                 lack->of->name);
        return true;
    }
    return false;
}

static bool is_with(struct span name)
{
    return name.len == 4 && span_equal_nocase(name, "with");
}

/* Most commands of most sessions wait for nothing. */
static bool asks_nothing(const struct node *n, const struct session *s, struct span name)
{
    return n->server.plain && !n->server.routed && !s->levels.has_read && !s->levels.has_write &&
           s->token == NULL && !is_with(name);
}

void promise_begin(struct node *n, struct client *c, const struct span *argv, size_t argc)
{
    struct session *s = &c->session;

    if (c->judged || asks_nothing(n, s, argv[0]))
        return;
    c->judged = true;
    c->paced = false;
    c->judged_us = n->now_us;
    c->waits_us = c->waited_us = 0;
    if (is_with(argv[0]) && with_take(argv, argc, n->options.deployment->name, &s->with) != NULL)
        return; /* it is told when it runs */
    uint32_t others;
    if (s->with.on &&
        !with_can_be(&n->server, s, argv + s->with.command_at, argc - s->with.command_at, &others))
        return; /* so is this */
    demand_of(&n->server, s, argv + s->with.command_at, argc - s->with.command_at, &s->demand);
    if (s->demand.strong)
        c->barrier = ++n->barrier_wanted;
}

void promise_end(struct client *c)
{
    if (!c->judged)
        return;
    c->judged = false;
    c->waits_us = c->waited_us = 0;
    demand_init(&c->session.demand);
    with_release(&c->session.with);
}

static uint64_t timeout_us(const struct client *c)
{
    return (uint64_t)c->session.demand.timeout_ms * 1000;
}

/* How long it has waited for something to come. */
static uint64_t waited_us(const struct node *n, const struct client *c)
{
    return c->waited_us + (c->waits_us != 0 ? n->now_us - c->waits_us : 0);
}

static bool is_late(const struct node *n, const struct client *c)
{
    return waited_us(n, c) >= timeout_us(c);
}

uint64_t promise_deadline_us(const struct node *n, const struct client *c)
{
    uint64_t waited = waited_us(n, c);

    return n->now_us + (waited < timeout_us(c) ? timeout_us(c) - waited : 0);
}

static bool is_linked(const struct node *n, const struct region *region)
{
    const struct peer *p = region != NULL ? node_peer_with(n, region->id) : NULL;

    return p != NULL && forward_reaches(p);
}

/* Another region should answer it: what it lacks will hardly come. */
static bool may_go(struct node *n, const struct client *c, const struct lack *lack)
{
    bool hopeless = waited_us(n, c) >= timeout_us(c) / 2 || !is_linked(n, lack->of);

    return hopeless && elsewhere_find(n, c) != NULL;
}

/* It has been answered with an error, at `start`. */
static void give_up(struct node *n, struct client *c, size_t start)
{
    server_count_error(&n->server, &c->session.output, start);
    if (c->session.transaction.open)
        transaction_discard(&n->server, &c->session.transaction);
    promise_end(c);
}

enum promise_verdict promise_judge(struct node *n, struct client *c)
{
    struct session *s = &c->session;
    size_t start = s->output.len;

    if (!c->judged)
        return PROMISE_RUN;
    if (s->demand.max_lag_ms != 0 && !MUTATION(ignores_lag)) {
        enum promise_verdict paced = judge_lag(n, c);

        if (paced == PROMISE_OVER)
            give_up(n, c, start);
        if (paced != PROMISE_RUN)
            return paced;
    }
    if (!demand_waits_to_read(&s->demand))
        return PROMISE_RUN;

    struct lack lack;

    if (!is_lacking(n, c, &lack)) {
        c->waited_us = waited_us(n, c);
        c->waits_us = 0;
        if (s->demand.causal) {
            seen_take_time(n, s->token, &s->token_timed);
            seen_take_time(n, s->with.token, &s->with.token_timed);
        }
        return PROMISE_RUN;
    }
    if (c->waits_us == 0)
        c->waits_us = n->now_us;
    if (!is_late(n, c))
        return may_go(n, c, &lack) ? PROMISE_AWAY : PROMISE_WAIT;
    reply_errorf(&s->reply, "STALE %s: waited %u ms", lack.text, s->demand.timeout_ms);
    give_up(n, c, start);
    return PROMISE_OVER;
}

bool promise_may_resume(struct node *n, struct client *c)
{
    struct lack lack;

    return !c->judged || !demand_waits_to_read(&c->session.demand) || c->waits_us == 0 ||
           is_late(n, c) || !is_lacking(n, c, &lack) || may_go(n, c, &lack);
}

bool promise_end_follow(struct node *n, struct client *c)
{
    struct session *s = &c->session;
    uint8_t origin = seen_missing(n, s->token);
    char problem[200];

    if (origin == 0) {
        seen_take_time(n, s->token, &s->token_timed);
        session_follow_end(s, NULL);
        return true;
    }
    if (n->now_us < s->wait_deadline_us)
        return false;
    snprintf(problem, sizeof(problem),
             "STALE writes of %s that the token names have not come in time; the session waits for "
             "them on",
             name_of(n, origin));
    size_t start = s->output.len;
    bool silent = s->wait_silent;
    session_follow_end(s, problem);
    if (!silent)
        server_count_error(&n->server, &s->output, start);
    return true;
}

/* --- messages --- */

void promise_link_ready(struct peer *peer)
{
    peer->barrier.asked = peer->barrier.answered; /* what was on its way is lost */
}

void promise_take_barrier(struct node *n, struct link *l, struct span body)
{
    struct message_passed answer = { 0 };

    if (!message_take_barrier(body, &answer.number)) {
        link_refuse(n, l, "a malformed BARRIER");
        return;
    }
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&n->replica.last_op, (uint8_t)o) != 0)
            vector_set(&answer.last_op, vector_get(&n->replica.last_op, (uint8_t)o));
    }
    message_put_passed(&l->output, &answer);
    link_dirty(n, l);
}

void promise_take_passed(struct node *n, struct link *l, struct span body)
{
    struct barrier *b = &l->peer->barrier;
    struct message_passed m;

    if (!message_take_passed(body, &m)) {
        link_refuse(n, l, "a malformed PASSED");
        return;
    }
    if (m.number != b->asked || b->asked <= b->answered)
        return; /* it was asked over a link that is gone */
    struct barrier_answer *a = &b->answers[b->next];

    b->answered = m.number;
    b->next = (b->next + 1) % BARRIER_ANSWERS;
    *a = (struct barrier_answer){ .number = m.number };
    for (uint32_t o = 0; bits_next(l->peer->origins, STAMP_ORIGINS, &o); o++)
        a->last[n->fence_of[o]] = vector_get(&m.last_op, (uint8_t)o);
}

/* Somebody there waits for our acknowledgement: the log is synced without delay. */
void promise_take_wanted(struct node *n, struct link *l, struct span body)
{
    stamp_t stamp;

    if (!message_take_wanted(body, &stamp))
        link_refuse(n, l, "a malformed WANTED");
    else if (bits_have(l->peer->origins, stamp_origin(stamp)))
        vector_raise(&n->wanted, stamp);
}

/* Of each of our streams that the peer may have: a newer write to another fence must not hide that to one
 * of its own. */
static void ask_for_acks(struct node *n, struct link *l)
{
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o) && link_has_room(l); o++) {
        stamp_t newest = vector_get(&n->acks_wanted, (uint8_t)o);

        if (bits_have(l->peer->barred, (uint8_t)o) || !vector_raise(&l->wanted, newest))
            continue;
        message_put_wanted(&l->output, newest);
        link_dirty(n, l);
    }
}

void promise_turn_end(struct node *n, struct link *l)
{
    struct barrier *b = &l->peer->barrier;

    if (l->is_intake && b->asked == b->answered && b->asked < n->barrier_wanted &&
        link_has_room(l)) {
        b->asked = n->barrier_wanted;
        message_put_barrier(&l->output, b->asked);
        link_dirty(n, l);
    }
    if (!l->is_intake)
        ask_for_acks(n, l);
}
