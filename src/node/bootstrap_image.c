/*
 * bootstrap_image -- objects that come from the source, written down as they come.
 *
 * What has come since the last write is the next one: one transaction, with the note that says so.
 * So what is on disk and how far it goes never differ. A lost link gives up what was not written
 * yet.
 */
#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"
#include "node/audited.h"
#include "node/bootstrap.h"
#include "node/node.h"

enum { RETRY_US = 10 * 1000 * 1000 }; /* a full disk is looked at again */

/* --- asking --- */

static void forget_incoming(struct bootstrap *b)
{
    buffer_clear(&b->incoming);
    buffer_clear(&b->incoming_cursor);
    buffer_put(&b->incoming_cursor, buffer_span(&b->note.cursor));
    b->incoming_keys = b->incoming_bytes = 0;
    b->taken_bytes = b->written_bytes = 0;
    b->ended = b->started = false;
}

static uint64_t start_lsn(const struct bootstrap *b)
{
    struct copy_start start;
    struct span in = buffer_span(&b->note.start);
    CHECK(copy_start_take(&in, &start));
    return start.lsn;
}

static void ask(struct node *n, struct link *l)
{
    struct bootstrap *b = &n->bootstrap;
    forget_incoming(b);
    struct message_bootstrap m = {
        .resumes = b->note.start.len > 0,
        .lsn = b->note.start.len > 0 ? start_lsn(b) : 0,
        .credit = BOOTSTRAP_CREDIT_BYTES,
        .cursor = buffer_span(&b->note.cursor),
    };
    vector_copy(&m.floor, &b->marker.floor);
    message_put_bootstrap(&l->output, &m);
    link_dirty(n, l);
    b->link_id = l->id;
}

void bootstrap_image_turn(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->broken || b->last_out)
        return;
    if (b->note.source == 0)
        bootstrap_choose(n);
    if (b->note.source == 0 || !bootstrap_reaches_source(n))
        return;
    struct link *l = bootstrap_source_link(n);
    if (b->link_id != l->id && !b->is_out && !b->again)
        ask(n, l);
}

/* --- what the source says --- */

static bool is_source(struct node *n, struct link *l)
{
    bool is = n->bootstrap.phase == BOOTSTRAP_IMAGE && n->bootstrap.link_id == l->id;
    if (!is)
        link_refuse(n, l, "part of a bootstrap that was not asked for");
    return is;
}

/* Another may; what was begun here can be finished with this one only. */
void bootstrap_declined(struct node *n, struct link *l, struct span body)
{
    struct bootstrap *b = &n->bootstrap;
    char why[MESSAGE_TEXT_MAX + 1];
    if (!is_source(n, l))
        return;
    if (!message_take_declined(body, why)) {
        link_refuse(n, l, "a malformed DECLINED");
        return;
    }
    node_notice(n, NOTICE_WARNING, "ev=bootstrap.declined peer=%s why=\"%s\"",
                l->peer->region->name, why);
    l->peer->declined_until_us = n->now_us + BOOTSTRAP_DECLINED_US;
    b->link_id = 0;
    if (b->note.start.len > 0) {
        bootstrap_anew(n, "the source cannot go on");
        return;
    }
    b->note.source = 0;
    b->choose_us = n->now_us;
}

/* The source may hold streams that we may not, and knows nothing of those that it may not. */
static void leave_out_foreign(const struct node *n, const struct peer *source, struct vector *v)
{
    for (uint32_t o = 0; o < v->high; o++) {
        if (!replica_may_hold(&n->replica, (uint8_t)o) || bits_have(source->foreign, (uint8_t)o))
            vector_drop(v, (uint8_t)o);
    }
}

void bootstrap_start(struct node *n, struct link *l, struct span body)
{
    struct bootstrap *b = &n->bootstrap;
    struct message_start m;
    struct copy_start start;
    if (!is_source(n, l))
        return;
    bool good = message_take_start(body, &m) && !b->started &&
                (m.start.len == 0) == (b->note.start.len > 0);
    struct span in = m.start;
    if (!good || (m.start.len > 0 && (!copy_start_take(&in, &start) || in.len > 0))) {
        link_refuse(n, l, "a malformed START");
        return;
    }
    if (m.start.len > 0) {
        leave_out_foreign(n, l->peer, &start.applied);
        leave_out_foreign(n, l->peer, &start.last_op);
        copy_start_put(&b->note.start, &start);
    }
    b->note.keys_total = m.keys;
    b->started = true;
    node_notice(n, NOTICE_INFO, "ev=bootstrap.objects from=%s keys=%llu done=%llu",
                l->peer->region->name, (unsigned long long)m.keys,
                (unsigned long long)b->note.keys);
}

/* How many objects end in these changes. False: malformed. */
static bool count_keys(struct span changes, uint64_t *keys)
{
    struct change c;
    while (changes.len > 0) {
        if (!change_take(&changes, &c) || c.kind == CHANGE_GONE)
            return false;
        *keys += c.kind != CHANGE_PIECE;
    }
    return true;
}

void bootstrap_image(struct node *n, struct link *l, struct span body)
{
    struct bootstrap *b = &n->bootstrap;
    struct span content, rest, cursor;
    uint64_t keys = 0;
    if (!is_source(n, l))
        return;
    bool good = b->started && !b->ended &&
                b->taken_bytes - b->written_bytes < BOOTSTRAP_CREDIT_BYTES &&
                frame_take(&n->codec, body, &content);
    rest = good ? content : body;
    if (!good || !span_take_prefixed(&rest, &cursor) || cursor.len > MESSAGE_CURSOR_MAX ||
        !count_keys(rest, &keys)) {
        link_refuse(n, l, "a malformed IMAGE");
        return;
    }
    audited_objects(n, l, true, rest);
    buffer_put(&b->incoming, rest);
    buffer_clear(&b->incoming_cursor);
    buffer_put(&b->incoming_cursor, cursor);
    b->incoming_keys += keys;
    b->incoming_bytes += content.len;
    b->taken_bytes += content.len;
    l->applied_us = n->now_us;
}

void bootstrap_end(struct node *n, struct link *l, struct span body)
{
    struct bootstrap *b = &n->bootstrap;
    if (!is_source(n, l))
        return;
    if (!b->started || b->ended || !message_take_end(body, &b->note.target))
        link_refuse(n, l, "a malformed END");
    else
        b->ended = true;
    leave_out_foreign(n, l->peer, &b->note.target);
}

/* --- writing --- */

/* With the last object all that came is a checkpoint: of our log, which goes on where it ends. */
static void put_last(struct node *n, struct bootstrap_note *note)
{
    struct bootstrap *b = &n->bootstrap;
    struct buffer mark = { 0 };
    struct copy_start start;
    struct span in = buffer_span(&b->note.start);
    CHECK(copy_start_take(&in, &start));
    start.lsn = n->replica.log_end;
    copy_start_put(&b->written_start, &start);
    note->phase = BOOTSTRAP_CATCHUP;
    vector_copy(&note->began, &start.last_op);
    tail_mark_here(&n->tail, start.lsn, &start.last_op);
    tail_put_mark(&n->tail, 0, &mark);
    buffer_put_u8(&b->notes, CHECKPOINT_NOTE_MARKS);
    buffer_put_prefixed(&b->notes, buffer_span(&mark));
    buffer_release(&mark);
}

static void take_out(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    struct buffer empty = b->written;
    b->written = b->incoming;
    b->incoming = empty;
    buffer_clear(&b->incoming);
    buffer_clear(&b->written_cursor);
    buffer_put(&b->written_cursor, buffer_span(&b->incoming_cursor));
    b->out_keys = b->incoming_keys;
    b->out_bytes = b->incoming_bytes;
    b->out_link_id = b->link_id;
    b->incoming_keys = b->incoming_bytes = 0;
    b->last_out = b->ended;
}

static void make_notes(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    struct bootstrap_note note = b->note;
    note.cursor = b->written_cursor;
    note.keys += b->out_keys;
    note.bytes += b->out_bytes;
    buffer_clear(&b->notes);
    buffer_clear(&b->written_start);
    if (b->last_out)
        put_last(n, &note);
    bootstrap_note_put(&b->notes, &note);
}

bool bootstrap_next_write(struct node *n, struct checkpoint_write *job)
{
    struct bootstrap *b = &n->bootstrap;
    bool there_is = b->again || b->incoming.len > 0 || b->ended;
    if (b->phase != BOOTSTRAP_IMAGE || b->is_out || b->broken || b->restart || b->restarting ||
        !there_is || n->now_us < b->retry_us || (b->last_out && !b->again))
        return false;
    if (!b->again)
        take_out(n);
    make_notes(n);
    b->again = false;
    b->is_out = true;
    *job = (struct checkpoint_write){
        .changes = buffer_span(&b->written),
        .start = buffer_span(&b->written_start),
        .notes = buffer_span(&b->notes),
    };
    return true;
}

static void fail(struct node *n, int error, const char *why)
{
    struct bootstrap *b = &n->bootstrap;
    node_notice(n, NOTICE_ERROR, "ev=bootstrap.failed why=\"%s\"", why);
    b->again = error == E_FULL;
    b->retry_us = n->now_us + RETRY_US;
    b->broken = error != E_FULL && error != E_FORMAT;
    if (error == E_FORMAT)
        bootstrap_anew(n, "the source sent what cannot be written");
}

static void tell_source(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    struct link *l = bootstrap_source_link(n);
    if (l == NULL || l->id != b->out_link_id || l->id != b->link_id)
        return;
    b->written_bytes += b->out_bytes;
    message_put_written(&l->output, b->written_bytes);
    link_dirty(n, l);
}

bool bootstrap_written(struct node *n, int error, const char *why)
{
    struct bootstrap *b = &n->bootstrap;
    if (!b->is_out)
        return false;
    b->is_out = false;
    checkpoint_refresh(b->store);
    if (error != E_OK) {
        fail(n, error, why);
        return true;
    }
    b->note.keys += b->out_keys;
    b->note.bytes += b->out_bytes;
    buffer_clear(&b->note.cursor);
    buffer_put(&b->note.cursor, buffer_span(&b->written_cursor));
    tell_source(n);
    b->restart |= b->last_out && b->phase == BOOTSTRAP_IMAGE;
    return true;
}

void bootstrap_image_release(struct bootstrap *b)
{
    buffer_release(&b->incoming);
    buffer_release(&b->incoming_cursor);
    buffer_release(&b->written);
    buffer_release(&b->written_cursor);
    buffer_release(&b->written_start);
    buffer_release(&b->notes);
}
