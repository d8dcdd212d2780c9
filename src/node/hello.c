#include "node/hello.h"

#include "base/check.h"
#include "node/faults.h"
#include "node/intake.h"
#include "node/node.h"
#include "wire/message.h"

/* The latest run of a region that we have heard of: from others, or in its stream. */
static uint64_t known_instance(struct node *n, uint8_t region)
{
    const struct peers_row *row = peers_row(&n->matrix, region);
    uint64_t streamed = n->replica.streams[region].instance;
    return row != NULL && row->instance > streamed ? row->instance : streamed;
}

static enum message_role our_role(const struct link *l)
{
    if (!l->is_intake)
        return ROLE_FEED;
    return l->peer->healing ? ROLE_INTAKE_HEALING : ROLE_INTAKE;
}

void hello_send(struct node *n, struct link *l)
{
    CHECK(l->peer != NULL);
    struct message_hello hello = {
        .version = MESSAGE_VERSION,
        .role = our_role(l),
        .region = n->options.self->id,
        .instance = n->options.instance,
        .known_instance = known_instance(n, l->peer->region->id),
        .deployment = span_str(n->options.deployment->name),
        .region_name = span_str(n->options.self->name),
    };
    vector_copy(&hello.applied, &n->replica.applied);
    vector_copy(&hello.last_op, &n->replica.last_op);
    message_put_hello(&l->output, &hello);
    link_dirty(n, l);
}

/* A name out of a peer's bytes, fit for a log line. */
struct shown {
    char text[64];
};

static struct shown shown(struct span name)
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
                    shown(m->deployment).text, self->name, deployment);
        return false;
    }
    if (m->region == self->id && span_equal(m->region_name, span_str(self->name))) {
        link_refuse(n, l,
                    m->instance == n->options.instance
                        ? "region %s reached itself: an address that peers dial is wrong"
                        : "a second process of region %s",
                    self->name);
        return false;
    }
    const struct region *region = deployment_region_with_id(n->options.deployment, m->region);
    if (region == NULL || region == self || !span_equal(m->region_name, span_str(region->name))) {
        link_refuse(
            n, l, "region %s has no configured region %s with number %u: the configurations differ",
            self->name, shown(m->region_name).text, m->region);
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
    uint64_t connected = connected_instance(peer, l);
    if (m->instance < connected) {
        link_refuse(n, l, "a second process of region %s: run %llu, while run %llu is connected",
                    peer->region->name, (unsigned long long)m->instance,
                    (unsigned long long)connected);
        return false;
    }
    return true;
}

static void notice_amnesia(struct node *n, const struct peer *peer, const char *what)
{
    if (n->replica.amnesiac)
        return;
    n->replica.amnesiac = true;
    node_notice(n, NOTICE_ERROR,
                "ev=amnesia peer=%s what=\"%s: this region has lost log and takes no own writes "
                "any more; give it a "
                "new number in the configuration\"",
                peer->region->name, what);
}

static void judge_amnesia(struct node *n, const struct peer *peer, const struct message_hello *m)
{
    uint8_t self = n->options.self->id;
    if (vector_get(&m->last_op, self) > vector_get(&n->replica.last_op, self))
        notice_amnesia(n, peer, "the peer holds writes of this region that its log has not");
    if (m->known_instance > n->options.instance)
        notice_amnesia(n, peer, "the peer knows a later run of this region than this one");
}

static void learn(struct node *n, const struct message_hello *m)
{
    struct vector nothing;
    vector_clear(&nothing);
    if (peers_learn(&n->matrix, m->region, m->instance, &m->applied, &nothing, n->now_us))
        n->matrix_changed = true;
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
    struct peer *peer = node_peer(n, m.region_name);
    CHECK(peer != NULL);
    if (!may_connect(n, l, peer, &m))
        return;
    l->instance = m.instance;
    judge_amnesia(n, peer, &m);
    learn(n, &m);
    if (!l->is_intake)
        welcome(n, l, peer);
    l->ready = true;
    node_notice(n, NOTICE_INFO, "ev=link.up peer=%s role=%s address=%s run=%llu",
                peer->region->name, l->is_intake ? "intake" : "feed", l->address,
                (unsigned long long)l->instance);
    if (l->is_intake)
        intake_ready(n, l);
}
