/*
 * caller -- what the clients of keyspaces with homes do: each asks one thing at a time, where it happens to
 * be, and follows redirects. What it must be answered ledger.c says.
 */
#include "base/check.h"
#include "base/memory.h"
#include "sim/answer.h"
#include "sim/world.h"

enum {
    AGAIN_US = 20000, /* where nobody serves, or what must come about has not */
    FIRST_MAX_US = 5000,
    FOLLOW_MS = 300,
    GATHER_MAX_MS = 2000,
    WAIT_MAX_MS = 3000,
    LOCK_TRIES = 3,
    VISITED_MAX = 4,                   /* regions */
    CALLERS_ROW = SIM_REGIONS_MAX + 1, /* of commands: behind the travellers */
};

/* --- when --- */

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_caller *c, uint64_t after_us)
{
    struct sim_event *e = sim_for_visitor(w, c->session, c->region, after_us, act);
    e->what = c;
    e->number = ++c->due;
}

/* What is asked next may be in time for the turn that answered. */
static void think(struct sim_world *w, struct sim_caller *c)
{
    bool at_once = c->session && (c->counted || c->call.kind == CALL_SUM);
    if (c->visits > 0)
        act_after(w, c, c->well ? 1 : AGAIN_US);
    else if (!w->healed)
        act_after(w, c, at_once ? 1 : sim_around(&c->prng, w->plan.calls.every_us, 50000));
}

/* --- saying it --- */

static void put_tag(struct buffer *out, const struct sim_world *w, enum call_space space,
                    uint32_t tag)
{
    if (space == CALL_TAG)
        buffer_printf(out, "r%u", sim_home_named(&w->plan, tag) + 1);
    else
        buffer_printf(out, "%c", 'a' + (int)tag);
}

void sim_call_put_key(struct buffer *out, const struct sim_world *w, enum call_space space,
                      uint32_t tag, const char *key)
{
    buffer_printf(out, "%s%s{", sim_call_prefixes[space], key);
    put_tag(out, w, space, tag);
    buffer_put_text(out, "}");
}

static void put_options(struct buffer *out, const struct call *call)
{
    if (!call->with)
        return;
    if (call->kind == CALL_READ) {
        buffer_printf(out, "WITH read=%s", call->strong ? "strong" : "local");
    } else {
        buffer_put_text(out, "WITH acks=");
        write_level_put(out, call->acks);
    }
    if (call->timeout_ms != 0)
        buffer_printf(out, " ack_timeout=%u", call->timeout_ms);
    buffer_put_text(out, " -- ");
}

static void put_key(struct buffer *out, const struct sim_world *w, const struct call *call,
                    const char *key)
{
    buffer_put_text(out, " ");
    sim_call_put_key(out, w, call->space, call->tag, key);
}

/* Returns how many replies come before the one that counts. */
static uint32_t put_call(struct buffer *out, const struct sim_world *w, const struct sim_caller *c)
{
    const struct call *call = &c->call;
    char lock[12];
    put_options(out, call);
    switch (call->kind) {
    case CALL_SELECT:
        buffer_printf(out, "SELECT %d", CALL_DB);
        break;
    case CALL_LIST:
        buffer_put_text(out, "SET dir:");
        put_tag(out, w, call->space, call->tag);
        buffer_printf(out, " r%u NX", c->region + 1);
        break;
    case CALL_COUNT:
        buffer_put_text(out, "INCR");
        put_key(out, w, call, "n");
        break;
    case CALL_BOTH:
        buffer_put_text(out, "MULTI\r\nINCR");
        put_key(out, w, call, "n");
        buffer_put_text(out, "\r\nINCR");
        put_key(out, w, call, "m");
        buffer_put_text(out, "\r\nEXEC");
        return 3;
    case CALL_SWAP:
        buffer_put_text(out, "SET");
        put_key(out, w, call, "s");
        buffer_printf(out, " %u GET", call->number);
        break;
    case CALL_LOCK:
        snprintf(lock, sizeof(lock), "l%u", call->number);
        buffer_put_text(out, "SET");
        put_key(out, w, call, lock);
        buffer_printf(out, " c%u:%u NX", c->index, c->drawn);
        break;
    case CALL_READ:
        buffer_put_text(out, "GET");
        put_key(out, w, call, "n");
        break;
    case CALL_MOVE:
        buffer_put_text(out, "KEYSPACE MOVE");
        put_key(out, w, call, "n");
        buffer_printf(out, " r%u", call->number + 1);
        break;
    case CALL_PUSH:
        buffer_put_text(out, "RPUSH");
        put_key(out, w, call, "q");
        buffer_printf(out, " %u", call->number);
        break;
    case CALL_POP:
        buffer_put_text(out, "BLPOP");
        put_key(out, w, call, "q");
        buffer_printf(out, " %u.%03u", call->timeout_ms / 1000, call->timeout_ms % 1000);
        break;
    case CALL_SUM:
    case CALL_NUMBER:
        buffer_printf(out, "GATHER %s %sn TIMEOUT %u", call->kind == CALL_SUM ? "sum" : "count",
                      sim_call_prefixes[call->space], call->timeout_ms);
        break;
    case CALL_LAG:
        buffer_printf(out, "INCR lag:%u", call->tag);
        break;
    case CALL_TOKEN:
        buffer_put_text(out, "SESSION TOKEN");
        break;
    case CALL_FOLLOW:
        buffer_printf(out, "SESSION FOLLOW %.*s %u", (int)c->token.len, (const char *)c->token.at,
                      call->timeout_ms);
        break;
    }
    return 0;
}

static void note_down(const struct sim_world *w, struct call *call)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        call->down |= (uint32_t)!w->regions[i].up << i;
        call->epochs[i] = w->regions[i].epoch;
    }
}

static void send(struct sim_world *w, struct sim_caller *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct buffer text = { 0 };
    char name[24];
    c->skip = put_call(&text, w, c);
    snprintf(name, sizeof(name), "h%u:%u", c->index, c->drawn);
    sim_tell(w, r, name, "%.*s", (int)text.len, (const char *)text.at);
    buffer_put_text(&text, "\r\n");
    c->asking = true;
    c->well = false;
    c->call.sent_us = w->now_us;
    c->call.last_write = c->session->last_write;
    sim_verify_alike(w, &c->call.log_bytes);
    note_down(w, &c->call);
    sim_turn_begin(w, r);
    node_session_input(&r->node, c->session, buffer_span(&text));
    sim_turn_end(w, r);
    buffer_release(&text);
}

/* --- what it asks --- */

static struct call_key *key_of(struct sim_world *w, const struct call *call)
{
    return &w->calls.keys[call->space][call->tag];
}

/* How much clients were told of already; what is sent may come to more. */
static void prepare(struct sim_world *w, struct call *call)
{
    call->tag = sim_call_tag(&w->plan, call->space, call->tag);
    struct call_key *key = key_of(w, call);
    call->told = key->told;
    if (call->kind == CALL_COUNT || call->kind == CALL_BOTH)
        key->sent++;
    if (call->kind == CALL_SUM) {
        call->told = 0;
        for (uint32_t i = 0; i < CALL_TAGS; i++)
            call->told += w->calls.keys[call->space][i].told;
    }
    if (call->kind == CALL_SWAP || call->kind == CALL_PUSH)
        call->number = ++w->calls.numbers;
    if (call->kind == CALL_LOCK) {
        call->number = key->lock;
        key->asked[key->lock]++;
        if (++key->tries == LOCK_TRIES) {
            key->tries = 0;
            key->lock++;
        }
    }
}

/* What there is room for. */
static enum call_kind possible(struct sim_world *w, const struct call *call)
{
    const struct call_key *key = key_of(w, call);
    bool counts = call->kind == CALL_COUNT || call->kind == CALL_BOTH;
    if ((counts && key->sent + 2 > CALL_COUNT_MAX / 2) ||
        ((call->kind == CALL_SWAP || call->kind == CALL_PUSH) &&
         w->calls.numbers + 2 > CALL_COUNT_MAX) ||
        (call->kind == CALL_LOCK && key->lock + 1 >= CALL_LOCKS_MAX) ||
        (call->kind == CALL_MOVE && call->space != CALL_DIRECTORY))
        return CALL_READ;
    return call->kind;
}

static struct write_level some_acks(struct prng *p)
{
    static const enum keyspace_acks LEVELS[] = { KEYSPACE_ASYNC, KEYSPACE_SEMI_SYNC,
                                                 KEYSPACE_QUORUM, KEYSPACE_SYNC };
    return (struct write_level){ LEVELS[prng_below(p, COUNT_OF(LEVELS))], 0 };
}

static void choose_options(struct call *call, struct prng *p)
{
    bool plain = call->kind == CALL_COUNT || call->kind == CALL_SWAP || call->kind == CALL_LOCK ||
                 call->kind == CALL_READ;
    call->with = prng_below(p, 3) == 0 && plain;
    call->strong = prng_below(p, 2) == 0;
    call->acks = some_acks(p);
    if (prng_below(p, 2) == 0)
        call->timeout_ms = 1 + (uint32_t)prng_below(p, 500);
    if (call->kind == CALL_SUM || call->kind == CALL_NUMBER)
        call->timeout_ms = 1 + (uint32_t)prng_below(p, GATHER_MAX_MS);
}

static bool is_waited_for(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        const struct sim_caller *c = &w->callers[i];
        if (c->asking && c->call.kind == CALL_POP && c->call.space == CALL_DIRECTORY)
            return true;
    }
    return false;
}

/* Mostly where homes move, and while somebody waits there. */
static void choose_queue(const struct sim_world *w, struct call *call, struct prng *p)
{
    static const enum call_kind KINDS[] = { CALL_POP,  CALL_POP,  CALL_PUSH, CALL_PUSH,
                                            CALL_PUSH, CALL_MOVE, CALL_MOVE, CALL_MOVE };
    uint64_t which = prng_below(p, 12);
    if ((call->kind != CALL_COUNT && call->kind != CALL_SWAP) || which >= COUNT_OF(KINDS))
        return;
    call->kind = is_waited_for(w) ? KINDS[which] : CALL_POP;
    call->with = false;
    call->tag = 0;
    call->timeout_ms = 1 + (uint32_t)prng_below(p, WAIT_MAX_MS);
    if (prng_below(p, 4) > 0 || call->kind == CALL_MOVE)
        call->space = CALL_DIRECTORY;
}

static void choose(struct sim_world *w, struct sim_caller *c, struct prng *p)
{
    static const enum call_kind KINDS[] = {
        CALL_COUNT, CALL_COUNT, CALL_COUNT, CALL_COUNT, CALL_BOTH, CALL_SWAP,
        CALL_SWAP,  CALL_LOCK,  CALL_LOCK,  CALL_READ,  CALL_READ, CALL_READ,
        CALL_TOKEN, CALL_TOKEN, CALL_MOVE,  CALL_SUM,   CALL_LAG,  CALL_LAG,
    };
    struct call *call = &c->call;
    call->kind = KINDS[prng_below(p, COUNT_OF(KINDS))];
    call->space = (enum call_space)prng_below(p, CALL_SPACES);
    call->tag = (uint32_t)prng_below(p, CALL_TAGS);
    if (w->plan.calls.about_lag && prng_below(p, 3) > 0)
        call->kind = CALL_LAG;
    if (call->kind == CALL_MOVE)
        call->space = CALL_DIRECTORY;
    call->number = (uint32_t)prng_below(p, w->plan.regions); /* of a MOVE */
    while (!sim_is_home(&w->plan, CALL_DIRECTORY, call->number))
        call->number = (call->number + 1) % w->plan.regions;
    if (c->counted && prng_below(p, 2) == 0) {
        call->kind = CALL_READ;
        call->space = c->last_space;
        call->tag = c->last_tag;
    }
    choose_options(call, p);
    choose_queue(w, call, p);
    call->kind = possible(w, call);
    prepare(w, call);
}

/* Homes are listed first in one region, so that no two say so at once. */
static bool must_list(struct sim_world *w, const struct sim_caller *c, struct call *call)
{
    for (uint32_t i = 0; i < CALL_TAGS && c->region == w->plan.calls.first; i++) {
        if (w->calls.keys[CALL_DIRECTORY][i].listed)
            continue;
        *call = (struct call){ .kind = CALL_LIST, .space = CALL_DIRECTORY, .tag = i };
        return true;
    }
    return false;
}

/* --- where --- */

static void connect(struct sim_world *w, struct sim_caller *c, uint32_t region)
{
    struct sim_region *r = &w->regions[region];
    c->region = region;
    c->next_region = 0;
    memset(c->seen, 0, sizeof(c->seen));
    sim_turn_begin(w, r);
    c->session = node_session_open(&r->node, c, "sim", "sim");
    if (!c->session)
        sim_fail(w, "region %u takes no caller", r->index + 1);
    sim_turn_end(w, r);
    if (!c->session)
        return;
    c->call.kind = CALL_SELECT;
    send(w, c);
}

static void hang_up(struct sim_world *w, struct sim_caller *c)
{
    struct sim_region *r = &w->regions[c->region];
    sim_turn_begin(w, r);
    node_session_close(&r->node, c->session);
    sim_turn_end(w, r);
    c->session = NULL;
    buffer_clear(&c->answers);
}

static void arrive(struct sim_world *w, struct sim_caller *c, struct prng *p)
{
    uint32_t region = (uint32_t)prng_below(p, w->plan.regions);
    if (c->next_region != 0)
        region = c->next_region - 1;
    bool follows = c->token.len > 0 && prng_below(p, 4) > 0;
    if (!sim_region_serves(&w->regions[region]) || sim_region_is_asleep(w, &w->regions[region])) {
        think(w, c);
        return;
    }
    c->follows = follows;
    connect(w, c, region);
}

static void step(struct sim_world *w, struct sim_caller *c)
{
    struct prng p = prng_split(&c->prng);
    uint32_t n = ++w->outcome->drawn[CALLERS_ROW][c->index];
    c->drawn = n;
    if (!selection_has(&w->only.commands, selection_command(CALLERS_ROW, c->index, n))) {
        think(w, c);
        return;
    }
    if (!c->session || c->next_region != 0) {
        if (c->session)
            hang_up(w, c);
        arrive(w, c, &p);
        return;
    }
    if (!must_list(w, c, &c->call))
        choose(w, c, &p);
    send(w, c);
}

/* --- when all is well --- */

enum visit_step {
    VISIT_COUNT,
    VISIT_READ = VISIT_COUNT + CALL_SPACES,
    VISIT_MOVE = VISIT_READ + CALL_SPACES,
    VISIT_LAG,
    VISIT_SUM, /* only the second time */
    VISIT_NUMBER = VISIT_SUM + CALL_SPACES,
    VISIT_END = VISIT_NUMBER + CALL_SPACES,
};

enum { MUST_MS = 60000 };

/* Everything in turn: the call that the step is for; false: none, as the step is another time's. */
static bool choose_in_turn(struct sim_world *w, struct sim_caller *c)
{
    struct call *call = &c->call;
    uint32_t step = c->step;
    *call = (struct call){ .must = true, .tag = c->index % CALL_TAGS, .timeout_ms = MUST_MS };
    if ((step < VISIT_SUM) == c->asks_all)
        return false;
    if (step < VISIT_SUM && must_list(w, c, call))
        return true;
    if (step < VISIT_READ) {
        call->kind = CALL_COUNT;
        call->space = (enum call_space)(step - VISIT_COUNT);
    } else if (step < VISIT_MOVE) {
        call->kind = CALL_READ;
        call->space = (enum call_space)(step - VISIT_READ);
        call->with = call->strong = true;
    } else if (step == VISIT_MOVE) {
        call->kind = CALL_MOVE;
        call->space = CALL_DIRECTORY;
        call->number = sim_home_named(&w->plan, c->visits);
    } else if (step == VISIT_LAG) {
        call->kind = CALL_LAG;
    } else {
        call->kind = step < VISIT_NUMBER ? CALL_SUM : CALL_NUMBER;
        call->space = (enum call_space)((step - VISIT_SUM) % CALL_SPACES);
    }
    prepare(w, call);
    return true;
}

/* They share the regions, of many some; all begin where homes are listed. */
static bool passes_by(const struct sim_world *w, const struct sim_caller *c)
{
    uint32_t nth = w->plan.regions - c->visits;
    return nth > 0 && (nth % w->plan.calls.callers != c->index || nth >= VISITED_MAX);
}

static void visit(struct sim_world *w, struct sim_caller *c)
{
    while (c->visits > 0 && !c->session && passes_by(w, c))
        c->visits--;
    if (c->visits == 0)
        return;
    uint32_t region = (w->plan.calls.first + w->plan.regions - c->visits) % w->plan.regions;
    c->drawn++;
    if (!c->session) {
        c->step = VISIT_COUNT;
        c->follows = false;
        if (sim_region_serves(&w->regions[region]))
            connect(w, c, region);
        else
            think(w, c);
        return;
    }
    while (c->step < VISIT_END && !choose_in_turn(w, c))
        c->step++;
    if (c->step < VISIT_END) {
        send(w, c);
        return;
    }
    hang_up(w, c);
    c->visits--;
    c->well = true;
    think(w, c);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_caller *c = e->what;
    if (c->asking || e->number != c->due)
        return;
    c->call = (struct call){ 0 };
    if (c->session && c->follows) {
        c->follows = false;
        c->call = (struct call){ .kind = CALL_FOLLOW, .timeout_ms = FOLLOW_MS };
        send(w, c);
    } else if (c->visits > 0)
        visit(w, c);
    else if (!w->healed && w->sent < w->plan.steps)
        step(w, c);
}

/* --- answers --- */

/* A step is done when its answer was as it should be; else it is taken again. */
static void go_on(struct sim_world *w, struct sim_caller *c)
{
    c->counted = c->well && c->call.kind == CALL_COUNT;
    c->last_space = c->call.space;
    c->last_tag = c->call.tag;
    if (c->visits > 0 && c->well && c->call.kind != CALL_SELECT && c->call.kind != CALL_LIST)
        c->step++;
    if (c->call.kind == CALL_TOKEN && c->visits == 0)
        hang_up(w, c);
    think(w, c);
}

static void take_answers(struct sim_world *w, struct sim_caller *c)
{
    ptrdiff_t len;
    while (!w->failed && (len = answer_length(buffer_span(&c->answers))) > 0) {
        if (!c->asking) {
            sim_fail(w, "region %u: a caller gets an answer to nothing", c->region + 1);
        } else if (c->skip > 0) {
            c->skip--;
        } else {
            c->asking = false;
            sim_call_judge(w, c, span_of(c->answers.at, (size_t)len));
        }
        buffer_consume(&c->answers, (size_t)len);
    }
}

static void lose_session(struct sim_world *w, struct sim_caller *c)
{
    if (c->asking)
        sim_call_lost(w, c);
    c->session = NULL;
    c->asking = c->well = c->follows = false;
    buffer_clear(&c->answers);
    act_after(w, c, AGAIN_US);
}

void sim_caller_answers(struct sim_world *w, struct sim_caller *c)
{
    struct sim_region *r = &w->regions[c->region];
    struct span out = node_session_output(c->session);
    bool asked = c->asking;
    buffer_put(&c->answers, out);
    node_session_sent(&r->node, c->session, out.len);
    take_answers(w, c);
    if (c->session->killed || c->session->closing) {
        if (!r->node.log_broken)
            sim_fail(w, "region %u: a caller's session ends", c->region + 1);
        node_session_close(&r->node, c->session);
        lose_session(w, c);
    } else if (asked && !c->asking) {
        go_on(w, c);
    }
}

/* --- the world --- */

void sim_callers_start(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        struct sim_caller *c = &w->callers[i];
        c->index = i;
        act_after(w, c, prng_below(&c->prng, FIRST_MAX_US));
    }
}

void sim_callers_region_down(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        struct sim_caller *c = &w->callers[i];
        if (c->session && c->region == r->index)
            lose_session(w, c);
    }
}

bool sim_callers_idle(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        if (w->callers[i].asking)
            return false;
    }
    return true;
}

void sim_callers_once_more(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        struct sim_caller *c = &w->callers[i];
        if (c->session)
            hang_up(w, c);
        c->visits = w->plan.regions;
        c->well = false;
        act_after(w, c, 1);
    }
}

void sim_callers_ask_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++)
        w->callers[i].asks_all = true;
    sim_callers_once_more(w);
}

bool sim_callers_done(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.calls.callers; i++) {
        if (w->callers[i].visits > 0)
            return false;
    }
    return true;
}

void sim_callers_release(struct sim_world *w)
{
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        buffer_release(&w->callers[i].answers);
        buffer_release(&w->callers[i].token);
    }
    mem_free(w->calls.lag);
}
