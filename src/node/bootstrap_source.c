#include "node/bootstrap_source.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "cmd/fence.h"
#include "node/audited.h"
#include "node/bootstrap.h"
#include "node/node.h"
#include "store/checkpoint.h"

void source_release(struct node *n)
{
    for (size_t i = 0; i < n->peer_count; i++)
        buffer_release(&n->peers[i].source.cursor);
    buffer_release(&n->source.content);
}

static void end(struct node *n, struct peer *p, const char *how)
{
    struct source *s = &p->source;
    if (s->phase == SOURCE_NONE)
        return;
    node_notice(n, NOTICE_INFO, "ev=bootstrap.fed peer=%s how=\"%s\" sent_bytes=%llu ms=%llu",
                p->region->name, how, (unsigned long long)s->message_bytes,
                (unsigned long long)((n->now_us - s->began_us) / 1000));
    buffer_release(&s->cursor);
    *s = (struct source){ .phase = SOURCE_NONE };
}

/* --- it is asked --- */

static void decline(struct node *n, struct link *l, const char *why)
{
    end(n, l->peer, why);
    message_put_declined(&l->output, why);
    link_dirty(n, l);
}

/* NULL: it can be given what it asks for. */
static const char *obstacle(struct node *n, const struct peer *p, const struct message_bootstrap *m)
{
    const struct node_checkpoint *c = &n->checkpoint;
    if (c->store == NULL || bootstrap_is_on(n))
        return "there are no objects on disk here";
    if (p->differs[0] != '\0')
        return "the configurations of the two differ in their fences";
    if (!vector_covers(&n->replica.durable, &m->floor))
        return "what that region has dropped from its log has not all come here";
    if (!c->newest_known) {
        checkpoint_ask(n);
        return "there is no checkpoint here yet";
    }
    if (m->resumes && (m->lsn > c->newest.lsn || m->lsn < n->log_start))
        return "the log that goes with the objects sent before is not kept any more";
    return NULL;
}

static uint64_t key_count(const struct node *n)
{
    uint64_t keys = 0;
    for (int i = 0; i < OP_DATABASES; i++)
        keys += database_size(&n->replica.databases[i]);
    return keys;
}

static void start(struct node *n, struct link *l, const struct message_bootstrap *m)
{
    struct source *s = &l->peer->source;
    struct buffer bytes = { 0 };
    bool known = s->phase != SOURCE_NONE && m->resumes;
    buffer_release(&s->cursor);
    *s = (struct source){
        .phase = SOURCE_IMAGE,
        .link_id = l->id,
        .lsn = m->resumes ? m->lsn : n->checkpoint.newest.lsn,
        .began_us = known ? s->began_us : n->now_us,
        .message_bytes = known ? s->message_bytes : 0,
        .credit = m->credit,
    };
    buffer_put(&s->cursor, m->cursor);
    if (!m->resumes)
        copy_start_put(&bytes, &n->checkpoint.newest);
    audited_image_begins(n, l);
    message_put_start(&l->output, &(struct message_start){ key_count(n), buffer_span(&bytes) });
    link_dirty(n, l);
    buffer_release(&bytes);
    node_notice(n, NOTICE_INFO, "ev=bootstrap.feeds peer=%s how=\"%s\" lsn=%llu",
                l->peer->region->name, m->resumes ? "goes on" : "begins",
                (unsigned long long)s->lsn);
}

void source_bootstrap(struct node *n, struct link *l, struct span body)
{
    struct message_bootstrap m;
    if (!message_take_bootstrap(body, &m)) {
        link_refuse(n, l, "a malformed BOOTSTRAP");
        return;
    }
    const char *why = obstacle(n, l->peer, &m);
    if (!link_has_room(l))
        link_close(n, l, "it does not read what it asks for");
    else if (why != NULL)
        decline(n, l, why);
    else
        start(n, l, &m);
}

static struct source *source_of(struct link *l)
{
    struct source *s = &l->peer->source;
    return s->phase == SOURCE_IMAGE && s->link_id == l->id ? s : NULL;
}

void source_written(struct node *n, struct link *l, struct span body)
{
    struct source *s = source_of(l);
    uint64_t bytes;
    if (!message_take_written(body, &bytes))
        link_refuse(n, l, "a malformed WRITTEN");
    else if (s != NULL && bytes <= s->sent)
        s->written = bytes;
}

void source_subscribed(struct node *n, struct link *l, const uint64_t origins[4])
{
    struct source *s = &l->peer->source;
    bool all = (origins[0] & origins[1] & origins[2] & origins[3]) == UINT64_MAX;
    /* Who takes objects asks for all origins, and for fewer when it is through: it may be before it has
     * asked for any on the link of the objects, and comes back on another. */
    bool through = s->end_sent && s->link_id != l->id;
    if (s->phase == SOURCE_NONE || (s->phase == SOURCE_IMAGE && !all && !through))
        return;
    if (!all) {
        end(n, l->peer, "done");
        return;
    }
    s->phase = SOURCE_LOG;
    s->link_id = l->id;
}

/* --- objects --- */

static bool wants_objects(const struct peer *p)
{
    const struct source *s = &p->source;
    const struct link *l = p->feed;
    return s->phase == SOURCE_IMAGE && l != NULL && l->id == s->link_id && !l->close &&
           !s->all_read && s->sent - s->written < s->credit && link_has_room(l);
}

bool node_next_export(struct node *n, struct span *cursor, size_t *max_bytes)
{
    struct source_shared *shared = &n->source;
    if (shared->reading != NULL || n->now_us < shared->next_us)
        return false;
    for (size_t i = 1; i <= n->peer_count; i++) {
        size_t index = (shared->last + i) % n->peer_count;
        struct peer *p = &n->peers[index];
        if (!wants_objects(p) || audited_holds_image(n, p->feed))
            continue;
        shared->reading = p;
        shared->reading_link_id = p->source.link_id;
        shared->last = index;
        *cursor = buffer_span(&p->source.cursor);
        *max_bytes = SOURCE_MESSAGE_BYTES;
        return true;
    }
    return false;
}

/* The key that it stands at may be none that the peer may hold: then only where it stands is told. */
static void put_cursor(struct node *n, const struct peer *p, struct span cursor, struct buffer *out)
{
    struct buffer unnamed = { 0 };
    struct span key;
    if (n->server.fenced && checkpoint_cursor_key(cursor, &key) &&
        !fence_holds(&n->options.deployment->fences[fence_of_key(&n->server, key)],
                     p->region->id)) {
        checkpoint_cursor_unnamed(cursor, &unnamed);
        cursor = buffer_span(&unnamed);
    }
    buffer_put_prefixed(out, cursor);
    buffer_release(&unnamed);
}

static void send_objects(struct node *n, struct link *l, struct span cursor, struct span changes)
{
    struct source_shared *shared = &n->source;
    struct source *s = &l->peer->source;
    struct buffer *content = &shared->content;
    size_t before = l->output.len;
    buffer_clear(content);
    put_cursor(n, l->peer, cursor, content);
    buffer_put(content, changes);
    if (content->len > FRAME_CONTENT_MAX) {
        link_close(n, l, "an object of %zu bytes is more than a message may hold", content->len);
        return;
    }
    frame_put_as(&n->codec, &l->output, MESSAGE_IMAGE, buffer_span(content));
    audited_objects(n, l, false, changes);
    link_dirty(n, l);
    uint64_t bytes = l->output.len - before, rate = n->options.deployment->bootstrap_rate_bytes;
    uint64_t from_us = shared->next_us > n->now_us ? shared->next_us : n->now_us;
    shared->next_us = from_us + (rate == 0 ? 0 : bytes * 1000000 / rate);
    shared->sent_bytes += bytes;
    s->message_bytes += bytes;
    s->sent += content->len;
    buffer_clear(&s->cursor);
    buffer_put(&s->cursor, cursor);
    if (content->cap > 2 * SOURCE_MESSAGE_BYTES)
        buffer_release(content);
}

/* Takes out what the peer may not hold. Changes were made here: they are well formed. */
static void leave_out_fenced(struct node *n, const struct peer *p, struct span changes,
                             struct buffer *out)
{
    struct change c;
    struct span from = changes;
    while (from.len > 0) {
        struct span before = from;
        CHECK(change_take(&from, &c));
        uint32_t fence = fence_of_key(&n->server, c.key);
        if (fence_holds(&n->options.deployment->fences[fence], p->region->id))
            buffer_put(out, span_of(before.at, before.len - from.len));
    }
}

void node_exported(struct node *n, int error, struct span cursor, struct span changes, bool all,
                   const char *why)
{
    struct source_shared *shared = &n->source;
    struct peer *p = shared->reading;
    CHECK(p != NULL);
    shared->reading = NULL;
    if (p->source.link_id != shared->reading_link_id || p->source.phase != SOURCE_IMAGE ||
        p->feed == NULL || p->feed->id != p->source.link_id || p->feed->close)
        return; /* it went meanwhile */
    if (error != E_OK) {
        node_notice(n, NOTICE_ERROR, "ev=bootstrap.failed peer=%s why=\"%s\"", p->region->name,
                    why);
        decline(n, p->feed, "the objects here cannot be read");
        return;
    }
    if (changes.len > 0 && n->server.fenced) {
        struct buffer allowed = { 0 };
        leave_out_fenced(n, p, changes, &allowed);
        send_objects(n, p->feed, cursor, buffer_span(&allowed));
        buffer_release(&allowed);
    } else if (changes.len > 0) {
        send_objects(n, p->feed, cursor, changes);
    }
    p->source.all_read = all;
}

/* --- the end of it --- */

/* What the last object was read after: the log is followed at least so far. */
static void end_objects(struct node *n, struct link *l, struct source *s)
{
    const struct replica *r = &n->replica;
    if (!s->target_known) {
        CHECK(r->open_ops == 0);
        s->target_known = true;
        s->target_lsn = r->log_end;
        vector_copy(&s->target, &r->last_op);
    }
    if (r->log_durable < s->target_lsn || s->end_sent)
        return;
    s->end_sent = true;
    message_put_end(&l->output, &s->target);
    link_dirty(n, l);
}

void source_turn_end(struct node *n, struct link *l)
{
    struct source *s = source_of(l);
    if (s != NULL && s->all_read && !l->close)
        end_objects(n, l, s);
}

uint64_t source_deadline(const struct node *n, const struct link *l)
{
    bool waits = l->peer->source.phase == SOURCE_IMAGE && n->source.reading == NULL &&
                 wants_objects(l->peer) && n->now_us < n->source.next_us;
    return waits ? n->source.next_us : UINT64_MAX;
}

/* Where the log is held for one peer. */
static uint64_t held_from(struct node *n, struct peer *p)
{
    struct source *s = &p->source;
    const struct link *l = p->feed != NULL && p->feed->id == s->link_id ? p->feed : NULL;
    if (l == NULL && s->lost_us == 0)
        s->lost_us = n->now_us;
    if (l == NULL)
        return s->lsn;
    s->lost_us = 0;
    if (s->phase == SOURCE_LOG && l->subscribed)
        s->lsn = l->cursor;
    return s->lsn;
}

void source_hold_log(struct node *n)
{
    uint64_t lsn = UINT64_MAX;
    for (size_t i = 0; i < n->peer_count; i++) {
        struct peer *p = &n->peers[i];
        if (p->source.phase == SOURCE_NONE)
            continue;
        uint64_t from = held_from(n, p);
        lsn = from < lsn ? from : lsn;
        if (p->source.lost_us != 0 && n->now_us - p->source.lost_us > SOURCE_KEEP_US)
            end(n, p, "it has not come back");
    }
    n->checkpoint.pinned_lsn = lsn;
}
