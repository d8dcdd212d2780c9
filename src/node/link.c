#include "node/link.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "node/audited.h"
#include "node/faults.h"
#include "node/feed.h"
#include "node/forward.h"
#include "node/health.h"
#include "node/hello.h"
#include "node/intake.h"
#include "node/node.h"
#include "node/promise.h"
#include "node/remote.h"
#include "wire/message.h"

enum { INPUT_KEEP_BYTES = 1 << 20 }; /* a larger buffer is given back once it is empty */

void link_dirty(struct node *n, struct link *l)
{
    if (!list_linked(&l->dirty))
        list_add_tail(&n->dirty_links, &l->dirty);
}

/* --- life --- */

struct link *link_open(struct node *n, struct peer *peer, void *host, const char *address)
{
    struct link *l = mem_zalloc(sizeof *l);
    l->id = ++n->link_count;
    l->host = host;
    l->opened_us = l->heard_us = n->now_us;
    snprintf(l->address, sizeof l->address, "%s", address);
    list_add_tail(&n->links, &l->link);
    if (peer == NULL)
        return l;
    CHECK(peer->intake == NULL);
    l->peer = peer;
    l->is_intake = true;
    peer->dialing = false;
    peer->intake = l;
    if (peer->cut)
        link_close(n, l, "cut by LINK CUT");
    else
        hello_send(n, l);
    return l;
}

static uint64_t backoff_us(uint32_t failures)
{
    uint64_t wait_us = (uint64_t)LINK_REDIAL_US << (failures < 8 ? failures : 8);
    return wait_us < LINK_REDIAL_MAX_US ? wait_us : LINK_REDIAL_MAX_US;
}

static void fail_dial(struct node *n, struct peer *peer)
{
    peer->dial_at_us = n->now_us + backoff_us(peer->failures);
    peer->failures++;
}

/* A link that went soon after it came counts as a failed dial: two that refuse each other do not
 * spin. */
static void detach_intake(struct node *n, struct link *l)
{
    struct peer *peer = l->peer;
    peer->intake = NULL;
    skew_forget(&n->skew, (uint32_t)(peer - n->peers));
    if (l->ready && n->now_us - l->opened_us >= LINK_TIMEOUT_US)
        peer->failures = 0;
    fail_dial(n, peer);
}

/* One line for each change: a peer that stays unreachable, or one that we refuse again and again,
 * is told once. */
static void tell_down(struct node *n, struct link *l)
{
    const char *role = l->is_intake ? "intake" : "feed";
    if (l->ready)
        node_notice(n, NOTICE_WARNING, "ev=link.down peer=%s role=%s why=\"%s\"",
                    l->peer->region->name, role, l->why);
    else if (l->is_intake && strncmp(l->peer->problem, l->why, sizeof l->peer->problem - 1) != 0)
        node_notice(n, NOTICE_WARNING, "ev=link.refused peer=%s role=%s address=%s why=\"%s\"",
                    l->peer->region->name, role, l->address, l->why);
    else if (!l->is_intake && strcmp(n->refused, l->why) != 0)
        node_notice(n, NOTICE_WARNING, "ev=link.refused role=%s address=%s why=\"%s\"", role,
                    l->address, l->why);
    if (l->is_intake)
        snprintf(l->peer->problem, sizeof l->peer->problem, "%.*s",
                 (int)sizeof l->peer->problem - 1, l->why);
    else if (!l->ready)
        snprintf(n->refused, sizeof n->refused, "%s", l->why);
}

static void end(struct node *n, struct link *l, const char *why)
{
    l->close = true;
    snprintf(l->why, sizeof l->why, "%s", why);
    tell_down(n, l);
    if (l->peer != NULL) {
        l->peer->bytes_in += l->bytes_in;
        l->peer->bytes_out += l->bytes_out;
        *(l->is_intake ? &l->peer->batch_bytes_in : &l->peer->batch_bytes_out) += l->batch_bytes;
    }
    if (l->peer != NULL && l->peer->intake == l && l->ready)
        l->peer->down_us = n->now_us;
    if (l->peer != NULL && l->peer->intake == l)
        detach_intake(n, l);
    if (l->peer != NULL && l->peer->feed == l)
        l->peer->feed = NULL;
    forward_link_closed(n, l);
    remote_link_closed(n, l);
    audited_link_ended(n, l);
    link_dirty(n, l);
}

void link_close(struct node *n, struct link *l, const char *format, ...)
{
    char why[sizeof l->why];
    va_list args;
    if (l->close)
        return;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    end(n, l, why);
}

void link_refuse(struct node *n, struct link *l, const char *format, ...)
{
    char why[sizeof l->why];
    va_list args;
    if (l->close)
        return;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    message_put_refused(&l->output, why);
    end(n, l, why);
}

void link_closed(struct node *n, struct link *l, const char *why)
{
    if (!l->close)
        end(n, l, why);
    list_remove(&l->link);
    list_remove(&l->dirty);
    buffer_release(&l->input);
    buffer_release(&l->later);
    buffer_release(&l->output);
    mem_free(l);
}

/* --- dialling --- */

static bool wants_dial(const struct peer *peer)
{
    return peer->intake == NULL && !peer->dialing && !peer->cut;
}

bool link_next_dial(struct node *n, struct peer **peer)
{
    if (!health_takes_batches(n) || bootstrap_is_frozen(n))
        return false;
    for (size_t i = 0; i < n->peer_count; i++) {
        *peer = &n->peers[i];
        if (!wants_dial(*peer) || (*peer)->dial_at_us > n->now_us)
            continue;
        (*peer)->dialing = true;
        return true;
    }
    return false;
}

void link_dial_failed(struct node *n, struct peer *peer, const char *why)
{
    peer->dialing = false;
    fail_dial(n, peer);
    if (strncmp(peer->problem, why, sizeof peer->problem - 1) == 0)
        return;
    node_notice(n, NOTICE_WARNING, "ev=link.unreachable peer=%s why=\"%s\"", peer->region->name,
                why);
    snprintf(peer->problem, sizeof peer->problem, "%.*s", (int)sizeof peer->problem - 1, why);
}

uint64_t link_dial_deadline(const struct node *n)
{
    uint64_t at = UINT64_MAX;
    if (!health_takes_batches(n) || bootstrap_is_frozen(n))
        return at;
    for (size_t i = 0; i < n->peer_count; i++) {
        if (wants_dial(&n->peers[i]) && n->peers[i].dial_at_us < at)
            at = n->peers[i].dial_at_us;
    }
    return at;
}

/* --- messages --- */

static void take_ping(struct node *n, struct link *l, struct span body)
{
    struct message_pong pong = { .t1_us = n->now_us, .t2_us = n->now_us };
    if (!message_take_ping(body, &pong.t0_us)) {
        link_refuse(n, l, "a malformed PING");
    } else if (link_has_room(l)) { /* else who does not read gets no answers */
        message_put_pong(&l->output, &pong);
        link_dirty(n, l);
    }
}

static void take_refused(struct node *n, struct link *l, struct span body)
{
    char text[MESSAGE_TEXT_MAX + 1];
    if (message_take_refused(body, text))
        link_close(n, l, "refused by the peer: %.150s", text);
    else
        link_close(n, l, "refused by the peer");
}

/* What only one side of a link may say. */
static bool fits_role(const struct link *l, enum message_type type)
{
    switch (type) {
    case MESSAGE_BATCHES:
    case MESSAGE_PONG:
    case MESSAGE_BEHIND:
    case MESSAGE_DECLINED:
    case MESSAGE_START:
    case MESSAGE_IMAGE:
    case MESSAGE_END:
    case MESSAGE_PASSED:
    case MESSAGE_WANTED:
    case MESSAGE_ANSWER:
        return l->is_intake;
    case MESSAGE_SUBSCRIBE:
    case MESSAGE_VECTOR:
    case MESSAGE_BOOTSTRAP:
    case MESSAGE_WRITTEN:
    case MESSAGE_BARRIER:
    case MESSAGE_ROUND_TRIPS:
    case MESSAGE_FORWARD:
        return !l->is_intake;
    case MESSAGE_HELLO:
        return !l->ready;
    case MESSAGE_REFUSED:
    case MESSAGE_PING:
    case MESSAGE_FAULT:
    case MESSAGE_FORGET:
    case MESSAGE_TYPE_END:
        return true;
    }
    return false;
}

static void dispatch(struct node *n, struct link *l, const struct message *m)
{
    bool may = l->ready || m->type == MESSAGE_HELLO || m->type == MESSAGE_REFUSED;
    if (!may || !fits_role(l, m->type)) {
        link_refuse(n, l, "message %u has no place here", m->type);
        return;
    }
    switch (m->type) {
    case MESSAGE_HELLO:
        hello_take(n, l, m->body);
        break;
    case MESSAGE_REFUSED:
        take_refused(n, l, m->body);
        break;
    case MESSAGE_SUBSCRIBE:
        feed_subscribe(n, l, m->body);
        break;
    case MESSAGE_BATCHES:
        intake_batches(n, l, m->body);
        break;
    case MESSAGE_VECTOR:
        feed_vector(n, l, m->body);
        break;
    case MESSAGE_PING:
        take_ping(n, l, m->body);
        break;
    case MESSAGE_PONG:
        intake_pong(n, l, m->body);
        break;
    case MESSAGE_FAULT:
        faults_take(n, l, m->body);
        break;
    case MESSAGE_BEHIND:
        bootstrap_behind(n, l, m->body);
        break;
    case MESSAGE_BOOTSTRAP:
        source_bootstrap(n, l, m->body);
        break;
    case MESSAGE_DECLINED:
        bootstrap_declined(n, l, m->body);
        break;
    case MESSAGE_START:
        bootstrap_start(n, l, m->body);
        break;
    case MESSAGE_IMAGE:
        bootstrap_image(n, l, m->body);
        break;
    case MESSAGE_WRITTEN:
        source_written(n, l, m->body);
        break;
    case MESSAGE_END:
        bootstrap_end(n, l, m->body);
        break;
    case MESSAGE_BARRIER:
        promise_take_barrier(n, l, m->body);
        break;
    case MESSAGE_PASSED:
        promise_take_passed(n, l, m->body);
        break;
    case MESSAGE_WANTED:
        promise_take_wanted(n, l, m->body);
        break;
    case MESSAGE_FORWARD:
        remote_take(n, l, m->body);
        break;
    case MESSAGE_ANSWER:
        forward_take_answer(n, l, m->body);
        break;
    case MESSAGE_FORGET:
        remote_take_forget(n, l, m->body);
        break;
    case MESSAGE_ROUND_TRIPS:
        topology_hear(n, l, m->body);
        break;
    case MESSAGE_TYPE_END:
        break;
    }
}

/* Takes the message at the front of `in`. False when more bytes are needed: *need in all. */
static bool take_message(struct node *n, struct link *l, struct span in, size_t *bytes,
                         size_t *need)
{
    struct message m;
    switch (message_read(in, l->ready ? MESSAGE_MAX : MESSAGE_HELLO_MAX, &m, need)) {
    case MESSAGE_GOOD:
        *bytes = m.bytes;
        dispatch(n, l, &m);
        return true;
    case MESSAGE_SHORT:
        return false;
    case MESSAGE_BAD:
        *bytes = in.len;
        link_refuse(n, l, "a malformed message");
        return true;
    }
    return false;
}

/* Adds to the message that is incomplete in l->input, never more than it needs. */
static void complete_message(struct node *n, struct link *l, struct span *bytes)
{
    size_t done, need = 0;
    while (!take_message(n, l, buffer_span(&l->input), &done, &need)) {
        size_t more = need - l->input.len;
        if (more > bytes->len)
            more = bytes->len;
        if (more == 0)
            return;
        buffer_put_bytes(&l->input, bytes->at, more);
        *bytes = span_skip(*bytes, more);
    }
    buffer_clear(&l->input);
    if (l->input.cap > INPUT_KEEP_BYTES)
        buffer_release(&l->input);
}

/* A few bytes may be many when they are unpacked: so it is asked before each message. */
static bool must_rest(const struct node *n, const struct link *l)
{
    return l->is_intake && l->ready && !health_has_room_for_batches(n);
}

static void take_messages(struct node *n, struct link *l, struct span bytes)
{
    size_t done, need;
    while (bytes.len > 0 && !l->close) {
        if (must_rest(n, l)) {
            buffer_put(&l->later, bytes);
            return;
        }
        if (l->input.len > 0) {
            complete_message(n, l, &bytes);
        } else if (take_message(n, l, bytes, &done, &need)) {
            bytes = span_skip(bytes, done);
        } else {
            buffer_put(&l->input, bytes);
            return;
        }
    }
}

void link_input(struct node *n, struct link *l, struct span bytes)
{
    l->heard_us = n->now_us;
    l->bytes_in += bytes.len;
    if (l->later.len > 0)
        buffer_put(&l->later, bytes);
    else
        take_messages(n, l, bytes);
}

void link_go_on(struct node *n, struct link *l)
{
    struct buffer later = l->later;
    if (later.len == 0 || l->close)
        return;
    l->heard_us = n->now_us; /* it is we who do not listen */
    if (must_rest(n, l))
        return;
    l->later = (struct buffer){ 0 };
    take_messages(n, l, buffer_span(&later));
    buffer_release(&later);
}

void link_sent(struct node *n, struct link *l, size_t bytes)
{
    (void)n;
    buffer_consume(&l->output, bytes);
    l->bytes_out += bytes;
    if (l->output.len == 0 && l->output.cap > 2 * LINK_OUTPUT_MAX)
        buffer_release(&l->output);
}

/* --- turns --- */

void link_turn_end(struct node *n, struct link *l)
{
    if (l->close)
        return;
    if (n->now_us - l->heard_us >= LINK_TIMEOUT_US)
        link_close(n, l, "nothing heard for %d s", LINK_TIMEOUT_US / 1000000);
    else if (l->ready && l->is_intake)
        intake_turn_end(n, l);
    else if (l->ready)
        feed_turn_end(n, l);
    if (l->ready && !l->close)
        promise_turn_end(n, l);
}

uint64_t link_next_deadline(const struct node *n, const struct link *l)
{
    if (l->close)
        return UINT64_MAX;
    uint64_t timeout = l->heard_us + LINK_TIMEOUT_US, due = UINT64_MAX;
    if (l->ready && link_has_room(l))
        due = l->is_intake ? intake_deadline(n, l) : feed_deadline(n, l);
    return due < timeout ? due : timeout;
}
