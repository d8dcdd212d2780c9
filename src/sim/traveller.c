/*
 * traveller -- clients that go from region to region, and carry in a token what they have seen.
 *
 * Each posts on boards (post.h) and reads them, by the levels of their keyspaces, of its session, or of
 * the command. Before it goes it takes a token; where it comes to it follows that, or gives it with its
 * commands, or waits with what it asks causally. What it must be answered judge.c says.
 */
#include "base/check.h"
#include "sim/answer.h"
#include "sim/world.h"

enum {
    TRAVELLER_DB = 4,
    AGAIN_US = 20000, /* where nobody serves */
    FIRST_MAX_US = 5000,
    POSTS_KEPT = 128,     /* for the last rounds */
    LATE_US = 250 * 1000, /* so much later than its time is over an answer may come */
    MUST_MS = 60000,      /* when all is well nothing takes so long */
};

/* --- when --- */

static void act(struct sim_world *w, struct sim_event *e);

static void act_after(struct sim_world *w, struct sim_traveller *t, uint64_t after_us)
{
    struct sim_event *e = sim_for_visitor(w, t->session, t->region, after_us, act);
    e->what = t;
    e->number = ++t->due;
}

static void think(struct sim_world *w, struct sim_traveller *t)
{
    if (t->visits > 0)
        act_after(w, t, 1);
    else if (!w->healed)
        act_after(w, t, sim_around(&t->prng, w->plan.travel_us, 50000));
}

/* --- saying it --- */

static void put_level(struct buffer *out, const struct levels *l, bool write)
{
    if (write)
        write_level_put(out, l->write);
    else
        read_level_put(out, l->read);
}

static void put_options(struct buffer *out, const struct sim_traveller *t, const struct levels *l)
{
    if (!t->ask.with)
        return;
    buffer_put_text(out, "WITH ");
    if (l->has_read) {
        buffer_put_text(out, "read=");
        put_level(out, l, false);
    }
    if (l->has_write) {
        buffer_put_text(out, " acks=");
        put_level(out, l, true);
    }
    if (l->timeout_ms != 0)
        buffer_printf(out, " ack_timeout=%u", l->timeout_ms);
    if (t->ask.with_token)
        buffer_printf(out, " token=%.*s", (int)t->token.len, (const char *)t->token.at);
    buffer_put_text(out, " -- ");
}

static bool is_fenced(const struct sim_world *w, uint32_t keyspace)
{
    return keyspace == 0 && w->plan.fence != 0;
}

static void put_board(struct buffer *out, const struct sim_world *w, uint32_t keyspace,
                      uint32_t board)
{
    if (is_fenced(w, keyspace))
        buffer_printf(out, " " SIM_FENCE_PREFIX "%u", board);
    else
        buffer_printf(out, " k%u:%u", keyspace, board);
}

static void put_command(struct buffer *out, const struct sim_world *w,
                        const struct sim_traveller *t)
{
    const struct sim_ask *a = &t->ask;
    switch (a->kind) {
    case ASK_POST:
        buffer_put_text(out, "SADD");
        put_board(out, w, a->keyspaces[0], a->boards[0]);
        buffer_printf(out, " %s%u", is_fenced(w, a->keyspaces[0]) ? SIM_SECRET : "p", a->post);
        break;
    case ASK_READ:
        buffer_put_text(out, a->board_count == 1 ? "SMEMBERS" : "SUNION");
        for (uint32_t i = 0; i < a->board_count; i++)
            put_board(out, w, a->keyspaces[i], a->boards[i]);
        break;
    case ASK_LEVEL:
        buffer_put_text(out, a->session.has_write ? "SESSION WRITE " : "SESSION READ ");
        put_level(out, &a->session, a->session.has_write);
        break;
    case ASK_TOKEN:
        buffer_put_text(out, "SESSION TOKEN");
        break;
    case ASK_FOLLOW:
        buffer_printf(out, "SESSION FOLLOW %.*s %u", (int)t->token.len, (const char *)t->token.at,
                      a->timeout_ms);
        break;
    }
}

static void send(struct sim_world *w, struct sim_traveller *t, const struct levels *with)
{
    struct sim_region *r = &w->regions[t->region];
    struct buffer text = { 0 };
    char name[24];
    put_options(&text, t, with);
    put_command(&text, w, t);
    snprintf(name, sizeof(name), "t%u:%u", t->index, t->drawn);
    sim_tell(w, r, name, "%.*s", (int)text.len, (const char *)text.at);
    buffer_put_text(&text, "\r\n");
    t->asking = true;
    t->ask.sent_us = w->now_us;
    t->ask.began_us = w->now_us - w->slept_us;
    t->ask.last_write = t->session->last_write;
    sim_turn_begin(w, r);
    node_session_input(&r->node, t->session, buffer_span(&text));
    sim_turn_end(w, r);
    buffer_release(&text);
}

/* --- what a command asks for --- */

static uint32_t members_of(const struct sim_world *w, uint32_t keyspace)
{
    return is_fenced(w, keyspace) ? (uint32_t)__builtin_popcount(w->plan.fence) : w->plan.regions;
}

/* The strictest of all keys; a write and a causal read come after what a token names, and whatever carries
 * one in its WITH. */
static void expect(const struct sim_world *w, struct sim_traveller *t, const struct levels *with)
{
    struct sim_ask *a = &t->ask;
    bool causal = false;
    a->staleness_ms = STALENESS_ANY;
    a->timeout_ms = with->timeout_ms;
    for (uint32_t i = 0; i < a->board_count; i++) {
        const struct sim_keyspace *k = &w->plan.keyspaces[a->keyspaces[i]];
        struct read_level read = with->has_read       ? with->read
                                 : t->levels.has_read ? t->levels.read
                                                      : k->reads;
        struct write_level write = with->has_write       ? with->write
                                   : t->levels.has_write ? t->levels.write
                                                         : k->acks;
        if (with->timeout_ms == 0 && k->timeout_ms > a->timeout_ms)
            a->timeout_ms = k->timeout_ms;
        if (a->kind == ASK_POST) {
            a->others = write_level_others(write, members_of(w, a->keyspaces[i]));
            continue;
        }
        a->strong |= read.reads == KEYSPACE_READ_STRONG;
        causal |= read.reads == KEYSPACE_READ_STRONG || read.reads == KEYSPACE_READ_CAUSAL;
        if (read.reads == KEYSPACE_READ_BOUNDED && read.staleness_ms < a->staleness_ms)
            a->staleness_ms = read.staleness_ms;
    }
    a->causal = a->with_token || (t->follows && (causal || a->kind == ASK_POST));
}

/* No more than there are: that is refused. */
static struct write_level some_acks(struct prng *p, uint32_t others)
{
    static const enum keyspace_acks LEVELS[] = { KEYSPACE_ASYNC,  KEYSPACE_SEMI_SYNC,
                                                 KEYSPACE_QUORUM, KEYSPACE_QUORUM,
                                                 KEYSPACE_SYNC,   KEYSPACE_ACK_COUNT };
    enum keyspace_acks acks = LEVELS[prng_below(p, COUNT_OF(LEVELS))];
    uint32_t count = acks == KEYSPACE_ACK_COUNT ? (uint32_t)prng_below(p, 4) : 0;
    return (struct write_level){ acks, count < others ? count : others };
}

static struct read_level some_reads(struct prng *p)
{
    static const enum keyspace_reads LEVELS[] = { KEYSPACE_READ_LOCAL, KEYSPACE_READ_BOUNDED,
                                                  KEYSPACE_READ_CAUSAL, KEYSPACE_READ_CAUSAL,
                                                  KEYSPACE_READ_STRONG };
    enum keyspace_reads reads = LEVELS[prng_below(p, COUNT_OF(LEVELS))];
    uint32_t ms = 100 + (uint32_t)prng_below(p, prng_below(p, 2) ? 200 : 2000);
    return (struct read_level){ reads, reads == KEYSPACE_READ_BOUNDED ? ms : 0 };
}

/* Of a write to keys that so many other regions hold. */
static struct levels some_options(struct sim_traveller *t, struct prng *p, bool write,
                                  uint32_t others)
{
    struct levels with = { 0 };
    t->ask.with = prng_below(p, 2) == 0;
    if (!t->ask.with)
        return with;
    t->ask.with_token = t->token.len > 0 && prng_below(p, 3) > 0;
    with.has_write = write && prng_below(p, 3) > 0;
    with.has_read = !write && prng_below(p, 3) > 0;
    with.write = some_acks(p, others);
    with.read = some_reads(p);
    if (prng_below(p, 2) == 0)
        with.timeout_ms = 1 + (uint32_t)prng_below(p, prng_below(p, 3) ? 300 : 2000);
    return with;
}

/* --- what it does --- */

static void post_on(struct sim_world *w, struct sim_traveller *t, uint32_t keyspace,
                    const struct levels *with)
{
    struct sim_ask *a = &t->ask;
    a->kind = ASK_POST;
    a->post = posts_add(&w->posts, keyspace, t->region);
    a->board_count = 1;
    a->keyspaces[0] = keyspace;
    a->boards[0] = w->posts.at[a->post].board;
    expect(w, t, with);
    struct post *post = &w->posts.at[a->post];
    post->past = t->here; /* all of which this region has */
    if (a->causal && a->with_token)
        sim_add_named(w, t, &t->held, &post->past);
    if (a->causal && t->follows)
        sim_add_named(w, t, &t->named, &post->past);
    send(w, t, with);
}

static uint32_t some_board(const struct sim_world *w, struct prng *p, uint32_t keyspace)
{
    uint32_t count = w->posts.on[keyspace];
    uint32_t last = count == 0 ? 0 : (count - 1) / POSTS_OF_BOARD;
    return last - (uint32_t)prng_below(p, prng_below(p, 2) ? 1 : last < 2 ? last + 1 : 3);
}

/* Where a region may not hold some of it, it is told so: now and then that is tried. */
static uint32_t some_keyspace(const struct sim_world *w, struct prng *p,
                              const struct sim_traveller *t)
{
    uint32_t keyspace = (uint32_t)prng_below(p, POST_KEYSPACES);
    if (!sim_holds(w, &w->regions[t->region], keyspace) && prng_below(p, 10) > 0)
        keyspace = 1;
    return keyspace;
}

static void read_boards(struct sim_world *w, struct sim_traveller *t, struct prng *p,
                        const struct levels *with)
{
    struct sim_ask *a = &t->ask;
    a->kind = ASK_READ;
    a->board_count = 1 + (uint32_t)prng_below(p, 2);
    a->keyspaces[0] = some_keyspace(w, p, t);
    a->keyspaces[1] = (uint32_t)prng_below(p, POST_KEYSPACES);
    if (is_fenced(w, a->keyspaces[0]) != is_fenced(w, a->keyspaces[1]))
        a->keyspaces[1] = a->keyspaces[0]; /* one command, one fence */
    for (uint32_t i = 0; i < a->board_count; i++)
        a->boards[i] = some_board(w, p, a->keyspaces[i]);
    expect(w, t, with);
    send(w, t, with);
}

static void follow(struct sim_world *w, struct sim_traveller *t, uint32_t timeout_ms)
{
    struct levels none = { 0 };
    t->ask.kind = ASK_FOLLOW;
    t->ask.timeout_ms = timeout_ms;
    t->named = t->held;
    send(w, t, &none);
}

static void do_something(struct sim_world *w, struct sim_traveller *t, struct prng *p)
{
    struct levels none = { 0 };
    uint64_t which = prng_below(p, 100);
    if (which < 15) {
        t->ask.kind = ASK_TOKEN;
        send(w, t, &none);
    } else if (which < 22) {
        bool write = prng_below(p, 2) == 0;
        t->ask.kind = ASK_LEVEL;
        t->ask.session = t->levels;
        t->ask.session.has_write = write;
        if (write)
            t->ask.session.write = some_acks(p, w->plan.regions - 1);
        else
            t->ask.session.read = some_reads(p);
        send(w, t, &none);
    } else if (which < 55 && w->posts.count + POSTS_KEPT < POSTS_MAX) {
        uint32_t keyspace = some_keyspace(w, p, t);
        struct levels with = some_options(t, p, true, members_of(w, keyspace) - 1);
        post_on(w, t, keyspace, &with);
    } else {
        struct levels with = some_options(t, p, false, 0);
        read_boards(w, t, p, &with);
    }
}

static void connect(struct sim_world *w, struct sim_traveller *t, uint32_t region)
{
    struct sim_region *r = &w->regions[region];
    char text[40];
    t->region = region;
    t->here = (struct post_set){ 0 };
    t->follows = false;
    t->levels = (struct levels){ 0 };
    sim_turn_begin(w, r);
    t->session = node_session_open(&r->node, t, "sim", "sim");
    if (!t->session)
        sim_fail(w, "region %u takes no traveller", r->index + 1);
    sim_turn_end(w, r);
    if (!t->session)
        return;
    t->selecting = true;
    int len = snprintf(text, sizeof(text), "SELECT %d\r\n", TRAVELLER_DB);
    sim_turn_begin(w, r);
    node_session_input(&r->node, t->session, span_of(text, (size_t)len));
    sim_turn_end(w, r);
}

static void leave(struct sim_world *w, struct sim_traveller *t)
{
    struct sim_region *r = &w->regions[t->region];
    sim_turn_begin(w, r);
    node_session_close(&r->node, t->session);
    sim_turn_end(w, r);
    t->session = NULL;
    t->asking = t->selecting = false;
    buffer_clear(&t->answers);
}

/* Some go by where they have been, some by where nobody is. */
static void arrive(struct sim_world *w, struct sim_traveller *t, struct prng *p)
{
    uint32_t region = (uint32_t)prng_below(p, w->plan.regions);
    uint64_t timeout_ms = prng_below(p, 3) ? 300 : 2000;
    bool follows = t->token.len > 0 && prng_below(p, 4) > 0;
    if (!sim_region_serves(&w->regions[region]) || sim_region_is_asleep(w, &w->regions[region])) {
        think(w, t);
        return;
    }
    connect(w, t, region);
    if (t->session && follows)
        follow(w, t, 1 + (uint32_t)prng_below(p, timeout_ms));
    else
        think(w, t);
}

static void step(struct sim_world *w, struct sim_traveller *t)
{
    struct prng p = prng_split(&t->prng);
    uint32_t n = ++w->outcome->drawn[SIM_REGIONS_MAX][t->index];
    t->drawn = n;
    if (!selection_has(&w->only.commands, selection_command(SIM_REGIONS_MAX, t->index, n)))
        think(w, t);
    else if (t->session)
        do_something(w, t, &p);
    else
        arrive(w, t, &p);
}

/* --- when all is well --- */

enum visit_step { VISIT_FOLLOW, VISIT_POST, VISIT_SECRET, VISIT_READ, VISIT_TOKEN, VISIT_END };

static void visit(struct sim_world *w, struct sim_traveller *t)
{
    uint32_t region = (t->index + t->visits) % w->plan.regions;
    struct levels with = { .has_read = true,
                           .read = { KEYSPACE_READ_STRONG, 0 },
                           .has_write = true,
                           .write = { KEYSPACE_SYNC, 0 },
                           .timeout_ms = MUST_MS };
    t->drawn++;
    t->ask.must = true;
    if (!t->session && !sim_region_serves(&w->regions[region])) {
        act_after(w, t, AGAIN_US);
        return;
    }
    if (!t->session)
        connect(w, t, region);
    switch ((enum visit_step)t->visit_step++) {
    case VISIT_FOLLOW:
        if (t->token.len > 0) {
            follow(w, t, MUST_MS);
            return;
        }
        break;
    case VISIT_POST:
    case VISIT_SECRET:
        t->ask.with = true;
        if (t->visit_step == VISIT_SECRET + 1 &&
            (w->plan.fence == 0 || !sim_holds(w, &w->regions[region], 0)))
            break;
        post_on(w, t, t->visit_step == VISIT_SECRET + 1 ? 0 : 1, &with);
        return;
    case VISIT_READ:
        t->ask.with = true;
        t->ask.kind = ASK_READ;
        t->ask.board_count = 2;
        t->ask.keyspaces[0] = 1;
        t->ask.keyspaces[1] = 2;
        t->ask.boards[0] = w->posts.on[1] > 0 ? (w->posts.on[1] - 1) / POSTS_OF_BOARD : 0;
        t->ask.boards[1] = w->posts.on[2] > 0 ? (w->posts.on[2] - 1) / POSTS_OF_BOARD : 0;
        expect(w, t, &with);
        send(w, t, &with);
        return;
    case VISIT_TOKEN:
        t->ask.kind = ASK_TOKEN;
        send(w, t, &with);
        return;
    case VISIT_END:
        leave(w, t);
        t->visits--;
        t->visit_step = 0;
        break;
    }
    think(w, t);
}

static void act(struct sim_world *w, struct sim_event *e)
{
    struct sim_traveller *t = e->what;
    if (t->asking || t->selecting || e->number != t->due)
        return;
    t->ask = (struct sim_ask){ 0 };
    if (t->visits > 0)
        visit(w, t);
    else if (!w->healed && w->sent < w->plan.steps)
        step(w, t);
}

/* --- the world --- */

void sim_travellers_start(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        struct sim_traveller *t = &w->travellers[i];
        t->index = i;
        act_after(w, t, prng_below(&t->prng, FIRST_MAX_US));
    }
}

/* A post that was written in this turn is known by the stamp of its session's last write. */
void sim_travellers_turn(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        struct sim_traveller *t = &w->travellers[i];
        if (!t->session || t->region != r->index || !t->asking || t->ask.kind != ASK_POST)
            continue;
        struct post *post = &w->posts.at[t->ask.post];
        if (post->stamp != 0 || t->session->last_write == t->ask.last_write)
            continue;
        post->stamp = t->session->last_write;
        post->written_us = w->now_us;
    }
}

static void take_answers(struct sim_world *w, struct sim_traveller *t)
{
    ptrdiff_t len;
    while (!w->failed && (len = answer_length(buffer_span(&t->answers))) > 0) {
        if (t->selecting) {
            t->selecting = false;
            if (t->answers.at[0] != '+')
                sim_fail(w, "region %u: a traveller selects nothing", t->region + 1);
        } else if (!t->asking) {
            sim_fail(w, "region %u: a traveller gets an answer to nothing", t->region + 1);
        } else {
            t->asking = false;
            sim_judge(w, t, span_of(t->answers.at, (size_t)len));
        }
        buffer_consume(&t->answers, (size_t)len);
    }
}

void sim_traveller_answers(struct sim_world *w, struct sim_traveller *t)
{
    struct sim_region *r = &w->regions[t->region];
    struct span out = node_session_output(t->session);
    enum sim_ask_kind kind = t->ask.kind;
    bool waited = t->asking || t->selecting;
    buffer_put(&t->answers, out);
    node_session_sent(&r->node, t->session, out.len);
    take_answers(w, t);
    if (t->session->killed || t->session->closing) {
        if (!r->node.log_broken)
            sim_fail(w, "region %u: a traveller's session ends", t->region + 1);
        node_session_close(&r->node, t->session);
        t->session = NULL;
        t->asking = t->selecting = false;
        t->visit_step = 0;
        buffer_clear(&t->answers);
        act_after(w, t, AGAIN_US);
    } else if (waited && !t->asking && !t->selecting) {
        if (kind == ASK_TOKEN && t->visits == 0) {
            node_session_close(&r->node, t->session);
            t->session = NULL;
        }
        think(w, t);
    }
}

/* It goes on where it can, with the token that it has. */
void sim_travellers_region_down(struct sim_world *w, struct sim_region *r)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        struct sim_traveller *t = &w->travellers[i];
        if (!t->session || t->region != r->index)
            continue;
        t->session = NULL;
        t->asking = t->selecting = false;
        t->visit_step = 0;
        buffer_clear(&t->answers);
        act_after(w, t, AGAIN_US);
    }
}

/* --- waits end --- */

/* Nothing but the time that it gave itself keeps it from its answer. */
static bool is_excused(const struct sim_world *w, struct sim_region *r, const struct sim_ask *a)
{
    const struct replica *replica = &r->node.replica;
    bool syncs = a->kind == ASK_POST && replica->log_durable < replica->log_end;
    return sim_region_is_asleep(w, r) || syncs || node_must_wait(&r->node) || r->node.loading ||
           bootstrap_is_on(&r->node) || r->node.log_broken || r->disk_failed;
}

void sim_travellers_always(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        struct sim_traveller *t = &w->travellers[i];
        struct sim_ask *a = &t->ask;
        if (!t->session || !t->asking)
            continue;
        /* a write may wait for its token, and then for others */
        uint64_t for_us = (uint64_t)a->timeout_ms * (a->kind == ASK_POST ? 2 : 1) * 1000 + LATE_US;
        if (is_excused(w, &w->regions[t->region], a))
            a->began_us = w->now_us - w->slept_us;
        else if (w->now_us - w->slept_us > a->began_us + for_us)
            sim_fail(w, "region %u: a traveller has asked t%u:%u %llu ms ago, and given it %u",
                     t->region + 1, t->index, t->drawn,
                     (unsigned long long)(w->now_us - a->sent_us) / 1000, a->timeout_ms);
    }
}

bool sim_travellers_idle(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        if (w->travellers[i].asking || w->travellers[i].selecting)
            return false;
    }
    return true;
}

void sim_travellers_once_more(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        struct sim_traveller *t = &w->travellers[i];
        if (t->session)
            leave(w, t);
        t->visits = w->plan.regions;
        t->visit_step = 0;
        act_after(w, t, 1);
    }
}

bool sim_travellers_done(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.travellers; i++) {
        if (w->travellers[i].visits > 0)
            return false;
    }
    return true;
}

void sim_travellers_release(struct sim_world *w)
{
    for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
        buffer_release(&w->travellers[i].answers);
        buffer_release(&w->travellers[i].token);
    }
    posts_release(&w->posts);
}
