/*
 * net -- connections between regions: two streams of bytes that arrive late, in pieces, and in
 * order.
 *
 * Connections are independent of each other, so what goes over different ones overtakes. A stalled
 * way holds its bytes until it is healed, a region that sleeps holds what is for it until it wakes;
 * a broken way resets the connections that its beginning dialled and lets it make none. A machine
 * that loses its power says nothing: its peers hear of it when it is up again and they send.
 */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "sim/world.h"

enum {
    GAP_MAX_US = 100,              /* between pieces that were sent at once */
    DIAL_AGAIN_US = 1000 * 1000,   /* what asks for a connection is lost, and sent again */
    DIAL_MAX_US = 3 * 1000 * 1000, /* as host/peerconn.h */
};

/* What travels: some bytes, or the end of the stream. */
struct piece {
    struct list link; /* while it is held by a stall */
    struct sim_conn *conn;
    uint32_t from; /* which end sent it */
    bool is_end, is_reset;
    size_t len;
    uint8_t bytes[];
};

static void send_end(struct sim_world *w, struct sim_conn *c, uint32_t from, bool is_reset);

static struct sim_region *region_at(struct sim_world *w, const struct sim_conn *c, uint32_t end)
{
    return &w->regions[c->region[end]];
}

static struct sim_way *way_of(struct sim_world *w, const struct sim_conn *c, uint32_t from)
{
    return &w->ways[c->region[from]][c->region[1 - from]];
}

static uint64_t delay_us(struct sim_world *w, uint32_t from, uint32_t to)
{
    const struct sim_plan *plan = &w->plan;
    uint64_t typical = plan->delay_us[w->regions[from].place][w->regions[to].place];
    struct prng *p = &w->net[from][to];
    if (prng_chance(p, plan->tail))
        return typical + prng_below(p, 19 * typical);
    if (prng_chance(p, plan->jitter))
        return typical + prng_below(p, typical);
    return typical;
}

/* --- arrival --- */

static void take_end(struct sim_world *w, struct sim_conn *c, uint32_t to, const char *why)
{
    struct link *l = c->end[to];
    if (!l)
        return;
    struct sim_region *r = region_at(w, c, to);
    sim_trace(w, "r%u conn %llu closed: %s", r->index + 1, (unsigned long long)c->id, why);
    sim_turn_begin(w, r);
    c->end[to] = NULL;
    c->pipe[to].ended = true;
    node_link_closed(&r->node, l, why);
    sim_turn_end(w, r);
}

/* What waits at this end goes on. */
static void flush_end(struct sim_world *w, struct sim_conn *c, uint32_t end)
{
    struct sim_region *r = region_at(w, c, end);
    if (!c->end[end] || c->end[end]->output.len == 0 || sim_region_is_asleep(w, r))
        return;
    sim_turn_begin(w, r);
    sim_net_flush(w, c->end[end]);
    sim_turn_end(w, r);
}

/* Nobody is there: a process that was killed has said so, a machine that lost its power does when
 * it is up again. */
static void answer_nobody(struct sim_world *w, struct sim_conn *c, uint32_t end)
{
    if (c->lost[end] && region_at(w, c, end)->up)
        send_end(w, c, end, true);
}

static void take_piece(struct sim_world *w, struct piece *p)
{
    struct sim_conn *c = p->conn;
    uint32_t to = 1 - p->from;
    if (p->is_end || p->is_reset) {
        take_end(w, c, to, p->is_reset ? "connection reset" : "closed by the peer");
    } else {
        if (!c->end[to]) {
            answer_nobody(w, c, to);
        } else {
            struct sim_region *r = region_at(w, c, to);
            sim_trace(w, "r%u conn %llu %zu bytes %08x", r->index + 1, (unsigned long long)c->id,
                      p->len, crc32c(0, span_of(p->bytes, p->len)));
            sim_turn_begin(w, r);
            node_link_input(&r->node, c->end[to], span_of(p->bytes, p->len));
            sim_turn_end(w, r);
        }
        c->pipe[p->from].in_flight -= p->len; /* the sender's window has room again */
        flush_end(w, c, p->from);
    }
    mem_free(p);
}

static bool is_held(struct sim_world *w, const struct sim_conn *c, uint32_t from)
{
    return way_of(w, c, from)->stalled != 0 || (from == 0 && c->opening) ||
           sim_region_is_asleep(w, region_at(w, c, 1 - from));
}

static void arrive(struct sim_world *w, struct sim_event *e)
{
    struct piece *p = e->what;
    if (is_held(w, p->conn, p->from) || !list_empty(&p->conn->held[p->from]))
        list_add_tail(&p->conn->held[p->from], &p->link);
    else
        take_piece(w, p);
}

static void release_held(struct sim_world *w, struct sim_conn *c, uint32_t from)
{
    while (!list_empty(&c->held[from]) && !is_held(w, c, from)) {
        struct piece *p = container_of(c->held[from].next, struct piece, link);
        list_remove(&p->link);
        take_piece(w, p);
    }
}

static void plan_arrival(struct sim_world *w, struct piece *p, uint64_t after_us)
{
    struct sim_pipe *pipe = &p->conn->pipe[p->from];
    uint64_t when_us = w->now_us + after_us;
    if (when_us < pipe->last_us)
        when_us = pipe->last_us;
    if (way_of(w, p->conn, p->from)->narrow != 0)
        when_us += p->len * 1000000 / w->plan.narrow_bytes_s;
    pipe->last_us = when_us;
    struct sim_event *e = sim_at(w, when_us, arrive);
    e->what = p;
    e->owned = true;
}

static struct piece *new_piece(struct sim_conn *c, uint32_t from, struct span bytes)
{
    struct piece *p = mem_alloc(sizeof(*p) + bytes.len);
    *p = (struct piece){ .conn = c, .from = from, .len = bytes.len };
    if (bytes.len > 0)
        memcpy(p->bytes, bytes.at, bytes.len);
    return p;
}

/* --- sending --- */

static uint32_t end_of(const struct sim_conn *c, const struct link *l)
{
    return c->end[0] == l ? 0 : 1;
}

static void send_bytes(struct sim_world *w, struct sim_conn *c, uint32_t from, struct span bytes)
{
    uint64_t after_us = delay_us(w, c->region[from], c->region[1 - from]);
    struct prng *prng = &w->net[c->region[from]][c->region[1 - from]];
    while (bytes.len > 0) {
        size_t len = 1 + (size_t)prng_below(prng, w->plan.piece_bytes);
        if (len > bytes.len || prng_chance(prng, 300000))
            len = bytes.len;
        struct piece *p = new_piece(c, from, span_of(bytes.at, len));
        c->pipe[from].in_flight += len;
        plan_arrival(w, p, after_us);
        after_us += prng_below(prng, GAP_MAX_US);
        bytes = span_skip(bytes, len);
    }
}

static void send_end(struct sim_world *w, struct sim_conn *c, uint32_t from, bool is_reset)
{
    if (c->pipe[from].ended)
        return;
    c->pipe[from].ended = true;
    struct piece *p = new_piece(c, from, span_of(NULL, 0));
    p->is_end = !is_reset;
    p->is_reset = is_reset;
    plan_arrival(w, p, delay_us(w, c->region[from], c->region[1 - from]));
}

void sim_net_flush(struct sim_world *w, struct link *l)
{
    struct sim_conn *c = l->host;
    uint32_t from = end_of(c, l);
    CHECK(c->end[from] == l);
    struct node *n = &region_at(w, c, from)->node;
    size_t len = l->output.len, room = w->plan.window_bytes;
    if (!l->close) {
        room = room > c->pipe[from].in_flight ? room - (size_t)c->pipe[from].in_flight : 0;
        if (len > room)
            len = room >= w->plan.window_bytes / 2 ? room : 0; /* no slivers */
    }
    if (len > 0) {
        sim_tap(w, c, from, span_of(l->output.at, len));
        send_bytes(w, c, from, span_of(l->output.at, len));
        node_link_sent(n, l, len);
    }
    if (l->close) {
        sim_trace(w, "r%u conn %llu closes: %s", c->region[from] + 1, (unsigned long long)c->id,
                  l->why);
        c->end[from] = NULL;
        send_end(w, c, from, false);
        node_link_closed(n, l, NULL);
    }
}

/* --- connections --- */

static void accept_end(struct sim_world *w, struct sim_event *e)
{
    struct sim_conn *c = e->what;
    struct sim_region *r = region_at(w, c, 1);
    c->opening = false;
    if (!c->pipe[1].ended) { /* else it was reset meanwhile */
        sim_turn_begin(w, r);
        c->end[1] = node_link_open(&r->node, NULL, c, "sim");
        c->audit_made[1] = r->node.audit.made;
        sim_turn_end(w, r);
    }
    release_held(w, c, 0);
}

static void make_conn(struct sim_world *w, struct sim_region *r, struct sim_region *to,
                      struct peer *peer)
{
    struct sim_conn *c = mem_zalloc(sizeof(*c));
    c->id = ++w->conn_count;
    c->region[0] = r->index;
    c->region[1] = to->index;
    c->opening = true;
    list_init(&c->held[0]);
    list_init(&c->held[1]);
    list_add_tail(&w->conns, &c->link);
    sim_trace(w, "r%u conn %llu to r%u", r->index + 1, (unsigned long long)c->id, to->index + 1);
    sim_for_region(w, to, 0, accept_end)->what = c;
    c->end[0] = node_link_open(&r->node, peer, c, "sim");
    c->audit_made[0] = r->node.audit.made;
}

struct dial {
    struct peer *peer;
    uint32_t to;
    uint64_t give_up_us;
};

static void dialled(struct sim_world *w, struct sim_event *e);

static void dial_again(struct sim_world *w, struct sim_region *r, struct dial *d, uint64_t after_us)
{
    struct sim_event *e = sim_for_region(w, r, after_us, dialled);
    e->what = d;
    e->owned = true;
}

/* NULL when the peer can be reached. */
static const char *unreachable(const struct sim_world *w, uint32_t from,
                               const struct sim_region *to)
{
    const struct sim_way *way = &w->ways[from][to->index];
    return way->parted        ? "network is unreachable"
           : way->broken != 0 ? "connection reset"
           : !to->up          ? "connection refused"
                              : NULL;
}

/* The round trip of the dial is over. */
static void dialled(struct sim_world *w, struct sim_event *e)
{
    struct sim_region *r = &w->regions[e->region];
    struct dial *d = e->what;
    struct sim_region *to = &w->regions[d->to];
    const char *why = unreachable(w, r->index, to);
    bool silent = w->ways[r->index][to->index].stalled != 0 ||
                  w->ways[to->index][r->index].stalled != 0;
    if (!why && silent && w->now_us < d->give_up_us) {
        dial_again(w, r, d, DIAL_AGAIN_US);
        return;
    }
    sim_turn_begin(w, r);
    if (why || silent)
        node_dial_failed(&r->node, d->peer, why ? why : "no answer in time");
    else
        make_conn(w, r, to, d->peer);
    sim_turn_end(w, r);
    mem_free(d);
}

void sim_net_dial(struct sim_world *w, struct sim_region *r, struct peer *peer)
{
    struct dial *d = mem_alloc(sizeof(*d));
    *d = (struct dial){
        .peer = peer,
        .to = sim_region_named(w, peer->region->name)->index,
        .give_up_us = w->now_us + DIAL_MAX_US,
    };
    dial_again(w, r, d, delay_us(w, r->index, d->to) + delay_us(w, d->to, r->index));
}

void sim_net_region_down(struct sim_world *w, struct sim_region *r, bool power)
{
    list_each(&w->conns, it)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        for (uint32_t end = 0; end < 2; end++) {
            if (c->region[end] != r->index)
                continue;
            c->end[end] = NULL;
            c->lost[end] = power;
            c->opening = c->opening && end == 0;
            if (!power)
                send_end(w, c, end, true);
        }
    }
}

/* --- faults --- */

/* Both ends see it, one that sleeps when it wakes. What is on the way is lost. */
static void reset(struct sim_world *w, struct sim_conn *c)
{
    for (uint32_t end = 0; end < 2; end++) {
        c->pipe[end].ended = true;
        region_at(w, c, end)->watch.joined = false;
        if (!sim_region_is_asleep(w, region_at(w, c, end))) {
            take_end(w, c, end, "connection reset");
            continue;
        }
        struct piece *p = new_piece(c, 1 - end, span_of(NULL, 0));
        p->is_reset = true;
        list_add_tail(&c->held[1 - end], &p->link);
    }
}

void sim_net_reset(struct sim_world *w, uint32_t from, uint32_t to)
{
    list_each(&w->conns, it)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        if (c->region[0] == from && c->region[1] == to)
            reset(w, c);
    }
}

void sim_net_release_held(struct sim_world *w, uint32_t from, uint32_t to)
{
    list_each(&w->conns, it)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        for (uint32_t end = 0; end < 2; end++) {
            if (c->region[end] == from && c->region[1 - end] == to)
                release_held(w, c, end);
        }
    }
}

void sim_net_region_awake(struct sim_world *w, struct sim_region *r)
{
    list_each(&w->conns, it)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        for (uint32_t end = 0; end < 2; end++) {
            if (c->region[end] != r->index)
                continue;
            release_held(w, c, 1 - end);
            flush_end(w, c, end);
        }
    }
}

void sim_net_release(struct sim_world *w)
{
    list_each(&w->conns, it)
    {
        struct sim_conn *c = container_of(it, struct sim_conn, link);
        for (uint32_t end = 0; end < 2; end++) {
            list_each(&c->held[end], held) mem_free(container_of(held, struct piece, link));
            buffer_release(&c->tapped[end]);
        }
        mem_free(c->asked);
        mem_free(c);
    }
}
