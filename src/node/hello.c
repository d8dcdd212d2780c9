#include "node/hello.h"

#include "base/bits.h"
#include "base/check.h"
#include "node/closed.h"
#include "node/faults.h"
#include "node/intake.h"
#include "node/node.h"
#include "node/runs.h"
#include "wire/message.h"

static enum message_role our_role(const struct link *l)
{
    if (!l->is_intake)
        return ROLE_FEED;
    return l->peer->healing ? ROLE_INTAKE_HEALING : ROLE_INTAKE;
}

/* Its newest write that is here, be it parked, or in our old log while we are bootstrapped: all that it
 * may need to know that it has lost something. */
static stamp_t newest_of(const struct node *n, uint8_t origin)
{
    stamp_t had = bootstrap_is_on(n) ? vector_get(&n->bootstrap.marker.had, origin) : 0;
    stamp_t parked = replica_newest_parked(&n->replica, origin);
    return had > parked ? had : parked;
}

static void send_hello(struct node *n, struct link *l, bool refuses)
{
    uint8_t theirs = l->peer->region->id;
    bool forked = false;
    for (uint32_t o = 0; bits_next(l->peer->origins, STAMP_ORIGINS, &o); o++)
        forked |= n->replica.streams[o].forked;
    struct identity_run known = runs_latest(n, theirs);
    struct message_hello hello = {
        .version = MESSAGE_VERSION,
        .role = our_role(l),
        .region = n->options.self->id,
        .receiver = theirs,
        .instance = n->options.instance,
        .run = n->options.run,
        .known_instance = known.instance,
        .known_run = known.run,
        .forked = forked,
        .refuses = refuses,
        .deployment = span_str(n->options.deployment->name),
        .region_name = span_str(n->options.self->name),
    };
    agreement_put(n, &hello);
    vector_copy(&hello.applied, &n->replica.applied);
    vector_copy(&hello.last_op, &n->replica.last_op);
    for (uint32_t o = 0; bits_next(l->peer->origins, STAMP_ORIGINS, &o); o++) {
        if (newest_of(n, (uint8_t)o) != 0)
            vector_raise(&hello.last_op, newest_of(n, (uint8_t)o));
    }
    message_put_hello(&l->output, &hello);
    link_dirty(n, l);
}

void hello_send(struct node *n, struct link *l)
{
    CHECK(l->peer != NULL);
    send_hello(n, l, false);
}

struct shown hello_shown(struct span name)
{
    struct shown s = { "" };
    for (size_t i = 0; i < name.len && i + 1 < sizeof s.text; i++)
        s.text[i] = name.at[i] <= ' ' || name.at[i] > '~' || name.at[i] == '"' ? '?'
                                                                               : (char)name.at[i];
    return s;
}

/* Refuses who has no place in this deployment, or is not whom we dialled. */
static bool is_member(struct node *n, struct link *l, const struct message_hello *m)
{
    const struct region *self = n->options.self;
    const char *deployment = n->options.deployment->name;
    if (m->version != MESSAGE_VERSION) {
        link_refuse(n, l, "protocol version %u against %u: upgrade the older one", m->version,
                    MESSAGE_VERSION);
        return false;
    }
    if (!span_equal(m->deployment, span_str(deployment))) {
        link_refuse(n, l, "a peer of deployment %s at region %s of deployment %s",
                    hello_shown(m->deployment).text, self->name, deployment);
        return false;
    }
    if (m->region == self->id && span_equal(m->region_name, span_str(self->name))) {
        link_refuse(n, l,
                    m->instance == n->options.instance && m->run == n->options.run
                        ? "region %s reached itself: an address that peers dial is wrong"
                        : "a second process of region %s",
                    self->name);
        return false;
    }
    const struct region *region = deployment_region_with_id(n->options.deployment, m->region);
    if (region == NULL || region == self || !span_equal(m->region_name, span_str(region->name))) {
        link_refuse(
            n, l, "region %s has no configured region %s with number %u: the configurations differ",
            self->name, hello_shown(m->region_name).text, m->region);
        return false;
    }
    if (m->receiver != 0 && m->receiver != self->id) { /* what it knows is of another number */
        link_refuse(n, l, "region %s knows region %s under number %u: the configurations differ",
                    region->name, self->name, m->receiver);
        return false;
    }
    if (l->is_intake && l->peer->region != region) {
        link_refuse(n, l, "region %s answers where %s was dialled", region->name,
                    l->peer->region->name);
        return false;
    }
    return true;
}

/* Newest instance that is connected by another link of the peer; 0: none. */
static uint64_t connected_instance(const struct peer *peer, const struct link *l)
{
    uint64_t newest = 0;
    if (peer->feed != NULL && peer->feed != l)
        newest = peer->feed->instance;
    if (peer->intake != NULL && peer->intake != l && peer->intake->instance > newest)
        newest = peer->intake->instance;
    return newest;
}

/* Who dialled has not seen our HELLO yet: it must learn what we know of it, though refused. */
static void tell_what_we_know(struct node *n, struct link *l, struct peer *peer)
{
    if (l->is_intake)
        return;
    l->peer = peer;
    send_hello(n, l, true);
}

/* One region is one process: not one of an older run beside a newer, nor two of the same. */
static bool is_only_process(struct node *n, struct link *l, struct peer *peer,
                            const struct message_hello *m)
{
    uint64_t connected = connected_instance(peer, l);
    if (m->instance < connected) {
        tell_what_we_know(n, l, peer);
        link_refuse(n, l, "a second process of region %s: run %llu, while run %llu is connected",
                    peer->region->name, (unsigned long long)m->instance,
                    (unsigned long long)connected);
        return false;
    }
    if (runs_is_clone(n, peer->region->id, m->instance, m->run)) {
        tell_what_we_know(n, l, peer);
        link_refuse(
            n, l,
            "a clone of %s: another process was met as run %llu; stop it, or give it a new id "
            "and list %u under closed",
            peer->region->name, (unsigned long long)m->instance, peer->region->id);
        return false;
    }
    return true;
}

static bool may_connect(struct node *n, struct link *l, struct peer *peer,
                        const struct message_hello *m)
{
    if ((m->role == ROLE_FEED) != l->is_intake) {
        link_refuse(n, l, "a HELLO of the wrong role");
        return false;
    }
    if (m->role == ROLE_INTAKE_HEALING)
        faults_heal_end(n, peer);
    if (peer->cut) {
        link_refuse(n, l, "cut by LINK CUT");
        return false;
    }
    if (!l->is_intake && bootstrap_is_on(n)) {
        link_refuse(n, l, "region %s is being bootstrapped", n->options.self->name);
        return false;
    }
    return is_only_process(n, l, peer, m);
}

/* What the peer's HELLO shows of ourselves. */
static void judge_amnesia(struct node *n, const struct peer *peer, const struct message_hello *m)
{
    const char *name = peer->region->name;
    if (m->known_instance > n->options.instance)
        runs_lose(n, name,
                  "the peer knows a later run of this region: its data directory was restored "
                  "from an old copy, or cloned");
    if (m->known_instance == n->options.instance && m->known_run != 0 &&
        m->known_run != n->options.run)
        runs_lose(n, name,
                  "the peer has met another process with this run number: the data directory "
                  "was cloned, or restored from an old copy");
    if (bootstrap_is_on(n))
        return; /* not all is back yet: links are made anew when it is */
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&m->last_op, (uint8_t)o) > vector_get(&n->replica.last_op, (uint8_t)o))
            runs_lose(n, name, "the peer holds writes of this region that its log has not");
    }
    if (m->forked)
        runs_lose(n, name,
                  "the peer holds another history of this region: two data directories wrote "
                  "as it");
}

/* It lost log, as its own HELLO shows: an older run than one that we know, or ops that we hold of an
 * earlier run. What it wrote in this one may have overtaken the HELLO, through another region. */
static bool lost_log(const struct node *n, const struct peer *peer, const struct message_hello *m)
{
    bool lost = m->instance < runs_latest(n, m->region).instance;
    for (uint32_t o = 0; bits_next(peer->origins, STAMP_ORIGINS, &o); o++) {
        lost |= n->replica.streams[o].instance < m->instance &&
                vector_get(&m->last_op, (uint8_t)o) < vector_get(&n->replica.last_op, (uint8_t)o);
    }
    return lost;
}

static void learn(struct node *n, const struct message_hello *m)
{
    struct vector nothing;
    vector_clear(&nothing);
    if (peers_learn(&n->matrix, m->region, m->instance, &m->applied, &nothing, n->now_us))
        n->matrix_changed = true;
    runs_meet(n, m->region, m->instance, m->run);
    closed_note(n, &m->applied);
    newcomer_hears(n, &m->last_op);
    bootstrap_hears(n, &m->last_op);
}

/* The peer is there, maybe as a new process: what we have of the old one is dead, and we need not
 * wait to dial. */
static void welcome(struct node *n, struct link *l, struct peer *peer)
{
    if (peer->feed != NULL)
        link_close(n, peer->feed, "replaced by a new connection");
    if (peer->intake != NULL && peer->intake->ready && peer->intake->instance < l->instance)
        link_close(n, peer->intake, "the peer restarted");
    l->peer = peer;
    peer->feed = l;
    if (peer->intake == NULL) {
        peer->failures = 0;
        peer->dial_at_us = n->now_us;
    }
    hello_send(n, l);
}

void hello_take(struct node *n, struct link *l, struct span body)
{
    struct message_hello m;
    if (!message_take_hello(body, &m)) {
        link_refuse(n, l, "a malformed HELLO");
        return;
    }
    if (!is_member(n, l, &m))
        return;
    if (n->loading) { /* what it has is not known yet: neither side could judge the other */
        link_refuse(n, l, "region %s replays its log", n->options.self->name);
        return;
    }
    struct peer *peer = node_peer(n, m.region_name);
    CHECK(peer != NULL);
    if (m.refuses) {
        judge_amnesia(n, peer, &m);
        return; /* its REFUSED follows */
    }
    if (!may_connect(n, l, peer, &m))
        return;
    l->instance = m.instance;
    l->doubted = lost_log(n, peer, &m);
    judge_amnesia(n, peer, &m);
    agreement_judge(n, peer, &m);
    if (!bootstrap_is_on(n))
        runs_compared(n, peer);
    learn(n, &m);
    vector_copy(&l->told, &m.last_op);
    if (!l->is_intake)
        welcome(n, l, peer);
    l->ready = true;
    node_notice(n, NOTICE_INFO, "ev=link.up peer=%s role=%s address=%s run=%llu",
                peer->region->name, l->is_intake ? "intake" : "feed", l->address,
                (unsigned long long)l->instance);
    if (l->is_intake)
        intake_ready(n, l);
}
