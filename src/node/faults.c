#include "node/faults.h"

#include "cmd/call.h"
#include "node/node.h"
#include "wire/message.h"

enum { SLOW_MAX_MS = 60 * 1000 };

struct peer *node_peer(struct node *n, struct span name)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (span_equal(name, span_str(n->peers[i].region->name)))
            return &n->peers[i];
    }
    return NULL;
}

struct peer *node_peer_with(const struct node *n, uint8_t region)
{
    for (size_t i = 0; i < n->peer_count; i++) {
        if (n->peers[i].region->id == region)
            return &n->peers[i];
    }
    return NULL;
}

/* --- at our end --- */

static void dial_now(struct node *n, struct peer *peer)
{
    peer->failures = 0;
    peer->dial_at_us = n->now_us;
}

void faults_heal_end(struct node *n, struct peer *peer)
{
    peer->slow_ms = 0;
    if (!peer->cut)
        return;
    peer->cut = false;
    dial_now(n, peer);
    node_notice(n, NOTICE_INFO, "ev=link.healed peer=%s", peer->region->name);
}

static void cut_end(struct node *n, struct peer *peer)
{
    if (peer->cut)
        return;
    peer->cut = true;
    peer->healing = false;
    node_notice(n, NOTICE_WARNING, "ev=link.cut peer=%s", peer->region->name);
    if (peer->intake != NULL)
        link_refuse(n, peer->intake, "cut by LINK CUT");
    if (peer->feed != NULL)
        link_refuse(n, peer->feed, "cut by LINK CUT");
}

/* The other end may be cut as well: our next HELLO tells it. */
static void heal_both_ends(struct node *n, struct peer *peer)
{
    faults_heal_end(n, peer);
    if (peer->intake == NULL || !peer->intake->ready) {
        peer->healing = true;
        dial_now(n, peer);
    }
}

void node_cut(struct node *n, struct peer *peer, bool cut)
{
    if (cut)
        cut_end(n, peer);
    else
        heal_both_ends(n, peer);
}

static void apply(struct node *n, struct peer *other, const struct message_fault *m)
{
    switch (m->verb) {
    case FAULT_CUT:
        cut_end(n, other);
        break;
    case FAULT_HEAL:
        heal_both_ends(n, other);
        break;
    case FAULT_SLOW:
        other->slow_ms = m->ms;
        break;
    }
}

void faults_take(struct node *n, struct link *l, struct span body)
{
    uint8_t self = n->options.self->id;
    struct message_fault m;
    if (!message_take_fault(body, &m)) {
        link_refuse(n, l, "a malformed FAULT");
        return;
    }
    struct peer *other = m.a == self   ? node_peer_with(n, m.b)
                         : m.b == self ? node_peer_with(n, m.a)
                                       : NULL;
    if (!n->options.faults || other == NULL || m.ms > SLOW_MAX_MS)
        node_notice(
            n, NOTICE_WARNING, "ev=link.fault_ignored peer=%s why=\"%s\"", l->peer->region->name,
            n->options.faults ? "it names no link of this region" : "not started with --faults");
    else
        apply(n, other, &m);
}

/* --- asked for by a client --- */

/* False when there is no link to the peer now. */
static bool tell(struct node *n, struct peer *peer, struct message_fault m)
{
    struct link *l = peer->intake != NULL && peer->intake->ready ? peer->intake : peer->feed;
    if (l == NULL || !l->ready || !link_has_room(l))
        return false;
    message_put_fault(&l->output, &m);
    link_dirty(n, l);
    return true;
}

/* One end is ours. A cut would go with the link: the other end need not know. */
static void ask_here(struct node *n, struct peer *other, const struct message_fault *m)
{
    struct message_fault theirs = *m;
    theirs.ms = 0;
    if (m->verb != FAULT_CUT)
        tell(n, other, theirs);
    apply(n, other, m);
}

/* Neither end is ours. */
static bool ask_there(struct node *n, struct peer *a, struct peer *b, const struct message_fault *m)
{
    struct message_fault second = *m;
    second.ms = 0;
    bool at_a = tell(n, a, *m);
    if (at_a && m->verb == FAULT_CUT)
        return true;
    bool at_b = tell(n, b, at_a ? second : *m);
    return at_a || at_b;
}

/* Replies when the name is unknown. */
static const struct region *region_of(struct node *n, struct call *call, struct span name)
{
    struct peer *peer = node_peer(n, name);
    if (peer != NULL)
        return peer->region;
    if (span_equal(name, span_str(n->options.self->name)))
        return n->options.self;
    reply_errorf(call->reply, "ERR no region named '%.*s'", name.len > 63 ? 63 : (int)name.len,
                 (const char *)name.at);
    return NULL;
}

static bool take_verb(struct call *call, struct message_fault *m)
{
    int64_t ms = 0;
    if (call_is(call, 1, "CUT"))
        m->verb = FAULT_CUT;
    else if (call_is(call, 1, "HEAL"))
        m->verb = FAULT_HEAL;
    else
        m->verb = FAULT_SLOW;
    if (m->verb == FAULT_SLOW && !call_int(call, call->argv[4], &ms))
        return false;
    if (ms < 0 || ms > SLOW_MAX_MS) {
        reply_errorf(call->reply, "ERR LINK SLOW takes 0 to %d milliseconds", SLOW_MAX_MS);
        return false;
    }
    m->ms = (uint32_t)ms;
    return true;
}

void faults_command(struct node *n, struct call *call)
{
    struct message_fault m = { 0 };
    if (!take_verb(call, &m))
        return;
    const struct region *a = region_of(n, call, call->argv[2]);
    const struct region *b = a == NULL ? NULL : region_of(n, call, call->argv[3]);
    if (a == NULL || b == NULL)
        return;
    if (a == b) {
        reply_error(call->reply, "ERR a link is between two different regions");
        return;
    }
    m.a = a->id;
    m.b = b->id;
    struct peer *peer_a = node_peer_with(n, a->id), *peer_b = node_peer_with(n, b->id);
    if (peer_a == NULL || peer_b == NULL)
        ask_here(n, peer_a == NULL ? peer_b : peer_a, &m);
    else if (!ask_there(n, peer_a, peer_b, &m)) {
        reply_errorf(
            call->reply,
            "ERR neither %s nor %s can be reached from here: ask one of them (--port %u or "
            "--port %u)",
            a->name, b->name, a->clients.port, b->clients.port);
        return;
    }
    reply_ok(call->reply);
}
