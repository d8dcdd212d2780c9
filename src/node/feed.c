#include "node/feed.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/mutation.h"
#include "node/audited.h"
#include "node/closed.h"
#include "node/health.h"
#include "node/node.h"
#include "node/runs.h"
#include "wire/frame.h"

void feed_release(struct node *n)
{
    buffer_release(&n->feed.content);
    for (int i = 0; i < FEED_FRAMES; i++)
        buffer_release(&n->feed.frames[i].message);
    for (int i = 0; i < REPLICA_FENCES; i++)
        buffer_release(&n->feed.heartbeat[i]);
    frame_codec_release(&n->codec);
}

/* Of these origins something is asked for that our log has no longer: there would be a gap. */
static void leave_out_dropped(struct node *n, struct link *l, struct message_subscribe *m)
{
    uint64_t lacking[4];
    struct message_behind behind;
    if (!tail_lacks(&n->tail, &m->have, m->origins, lacking) || !link_has_room(l))
        return;
    tail_floor(&n->tail, &behind.floor);
    for (uint32_t o = 0; o < behind.floor.high; o++)
        behind.floor.at[o] = bits_have(lacking, (uint8_t)o) ? behind.floor.at[o] : 0;
    message_put_behind(&l->output, &behind);
    link_dirty(n, l);
    for (int i = 0; i < 4; i++)
        m->origins[i] &= ~lacking[i];
}

/* Of these streams all that was sent on this link has come, or will. */
static void go_on(const struct link *l, struct message_subscribe *m)
{
    for (uint32_t o = 0; bits_next(l->origins, STAMP_ORIGINS, &o); o++) {
        stamp_t sent = vector_get(&l->sent, (uint8_t)o);
        if (bits_have(m->goes_on, (uint8_t)o) && sent != 0)
            vector_raise(&m->have, sent);
    }
}

void feed_subscribe(struct node *n, struct link *l, struct span body)
{
    struct message_subscribe m;
    if (!message_take_subscribe(body, &m)) {
        link_refuse(n, l, "a malformed SUBSCRIBE");
        return;
    }
    source_subscribed(n, l, m.origins);
    for (int i = 0; i < 4; i++) /* nothing goes where it may not lie, whoever asks for it */
        m.origins[i] &= MUTATION(sends_fenced) ? UINT64_MAX : ~l->peer->barred[i];
    go_on(l, &m);
    leave_out_dropped(n, l, &m);
    audited_subscribe(n, l, m.origins, &m.have);
    memcpy(l->origins, m.origins, sizeof l->origins);
    vector_copy(&l->sent, &m.have);
    l->subscribed = (m.origins[0] | m.origins[1] | m.origins[2] | m.origins[3]) != 0;
    l->cursor = tail_start_for(&n->tail, &m.have, m.origins);
    l->heartbeat_us = n->now_us;
    if (l->read_wanted) /* not asked for yet: the place has changed */
        l->reading = l->read_wanted = false;
}

void feed_vector(struct node *n, struct link *l, struct span body)
{
    struct message_row row;
    struct span rows;
    if (!message_take_rows(body, &rows)) {
        link_refuse(n, l, "a malformed VECTOR");
        return;
    }
    while (message_next_row(&rows, &row)) {
        runs_meet(n, row.region, row.instance, 0);
        closed_note(n, &row.applied);
        if (peers_learn(&n->matrix, row.region, row.instance, &row.applied, &row.durable,
                        n->now_us))
            n->matrix_changed = true;
    }
}

/* --- frames --- */

static void send_frame(struct node *n, struct link *l, const struct feed_frame *f)
{
    buffer_put(&l->output, buffer_span(&f->message));
    vector_merge(&l->sent, &f->last);
    l->cursor = f->to_lsn;
    l->batches_out += f->batches;
    l->raw_bytes_out += f->content_bytes;
    l->frame_bytes_out += f->message.len;
    l->batch_bytes += f->message.len;
    l->frames_out++;
    audited_frame_sent(n, l, f);
    link_dirty(n, l);
}

/* True when the frame is what this feed would build now: it would leave out nothing of it. */
static bool fits(const struct feed_frame *f, const struct link *l)
{
    if (!f->valid || f->from_lsn != l->cursor ||
        memcmp(f->origins, l->origins, sizeof f->origins) != 0)
        return false;
    for (uint32_t o = 0; o < f->first.high; o++) {
        if (f->first.at[o] != 0 && f->first.at[o] <= vector_get(&l->sent, (uint8_t)o))
            return false;
    }
    return true;
}

static const struct feed_frame *find_frame(const struct feed_shared *shared, const struct link *l)
{
    for (int i = 0; i < FEED_FRAMES; i++) {
        if (fits(&shared->frames[i], l))
            return &shared->frames[i];
    }
    return NULL;
}

/* The record at the front of `run`, whose checksum was looked at when it was written or read
 * back. */
static bool peek_record(struct span run, struct span *payload, size_t *bytes)
{
    uint32_t len;
    struct span rest = run;
    if (!span_take_u32(&rest, &len) || run.len < RECORD_HEADER_BYTES ||
        run.len - RECORD_HEADER_BYTES < len)
        return false;
    *payload = span_of(run.at + RECORD_HEADER_BYTES, len);
    *bytes = RECORD_HEADER_BYTES + (size_t)len;
    return true;
}

enum step { STEP_ADDED, STEP_UNWANTED, STEP_HAD, STEP_FULL, STEP_BAD };

/* Looks at one batch of the log for this feed, and adds it to the frame or not. */
static enum step step(struct node *n, struct link *l, struct feed_frame *f, struct span batch)
{
    struct buffer *content = &n->feed.content;
    uint8_t origin;
    stamp_t to;
    if (!batch_peek(batch, &origin, &to)) {
        link_close(n, l, "the log has no batch after %llu", (unsigned long long)l->cursor);
        return STEP_BAD;
    }
    if (!bits_have(l->origins, origin))
        return STEP_UNWANTED;
    if (to <= vector_get(&l->sent, origin))
        return STEP_HAD;
    if (batch.len > FRAME_CONTENT_MAX - BATCH_LENGTH_MAX) {
        link_close(n, l, "a batch of %zu bytes is more than a message may hold", batch.len);
        return STEP_BAD;
    }
    if (content->len > 0 && content->len + batch.len > FEED_FRAME_BYTES)
        return STEP_FULL;
    frame_add_batch(content, batch);
    audited_frame_adds(n, f, batch);
    f->batches++;
    if (vector_get(&f->first, origin) == 0)
        vector_set(&f->first, to);
    vector_set(&f->last, to);
    return STEP_ADDED;
}

/* A frame's buffer has room for what does not compress: all of them are megabytes. */
static uint32_t kept_frames(const struct node *n)
{
    uint64_t each = 2 * FEED_FRAME_BYTES;
    return 1 + (uint32_t)(memory_share(n, (FEED_FRAMES - 1) * each, 48) / each);
}

/* Compresses what was gathered, keeps it for the next feed, and sends it. */
static void finish_frame(struct node *n, struct link *l, struct feed_frame *f)
{
    struct buffer *content = &n->feed.content;
    if (f->message.cap > FRAME_KEEP_BYTES)
        buffer_release(&f->message);
    buffer_clear(&f->message);
    frame_put(&n->codec, &f->message, buffer_span(content));
    f->content_bytes = content->len;
    n->feed.next = (n->feed.next + 1) % kept_frames(n);
    if (content->cap > 2 * FRAME_KEEP_BYTES)
        buffer_release(content);
    send_frame(n, l, f);
}

/* Builds and sends one frame from the front of `run`; returns how many bytes it passed, 0 when it
 * cannot go on. */
static size_t build_frame(struct node *n, struct link *l, struct span run)
{
    struct feed_frame *f = &n->feed.frames[n->feed.next];
    struct span batch;
    size_t at = 0, bytes;
    buffer_clear(&n->feed.content);
    f->valid = true;
    f->batches = 0;
    vector_clear(&f->first);
    vector_clear(&f->last);
    audited_frame_begins(n, f);
    while (peek_record(span_skip(run, at), &batch, &bytes)) {
        enum step s = step(n, l, f, batch);
        if (s == STEP_FULL || s == STEP_BAD)
            break;
        if (s == STEP_HAD)
            f->valid = false; /* another feed may lack it */
        at += bytes;
    }
    f->from_lsn = l->cursor;
    f->to_lsn = l->cursor + at;
    memcpy(f->origins, l->origins, sizeof f->origins);
    if (f->batches > 0) {
        finish_frame(n, l, f);
    } else {
        f->valid = false;
        l->cursor += at;
    }
    return at;
}

/* Sends what the feed wants of a run of records that starts at its cursor. */
static void walk(struct node *n, struct link *l, struct span run)
{
    while (run.len > 0 && link_has_room(l)) {
        size_t passed = build_frame(n, l, run);
        if (passed == 0)
            return;
        run = span_skip(run, passed);
    }
}

static uint64_t may_leave(const struct node *n)
{
    return MUTATION(sends_undurable) ? n->replica.log_end : n->replica.log_durable;
}

static void fill(struct node *n, struct link *l)
{
    if (audited_holds_log(n, l))
        return;
    while (link_has_room(l) && !l->close && !l->reading && l->cursor < may_leave(n)) {
        struct span run;
        uint64_t before = l->cursor;
        const struct feed_frame *f = find_frame(&n->feed, l);
        if (f != NULL) {
            send_frame(n, l, f);
        } else if (tail_read(&n->tail, l->cursor, may_leave(n), &run)) {
            walk(n, l, run);
        } else {
            l->reading = l->read_wanted = true;
        }
        if (l->cursor == before)
            return;
    }
}

/* --- log read back from disk --- */

bool node_next_read(struct node *n, struct link **link, uint64_t *lsn, uint64_t *limit_lsn,
                    size_t *want)
{
    list_each(&n->links, it)
    {
        struct link *l = container_of(it, struct link, link);
        if (!l->read_wanted || l->close)
            continue;
        l->read_wanted = false;
        *link = l;
        *lsn = l->cursor;
        *limit_lsn = n->replica.log_durable;
        *want = FEED_READ_BYTES;
        return true;
    }
    return false;
}

/* A subscription that came meanwhile has moved the cursor: then the bytes are of no use, and fill
 * asks anew. */
void node_read_done(struct node *n, struct link *l, uint64_t lsn, struct span records,
                    const char *why)
{
    if (!l->reading || l->close)
        return;
    l->reading = l->read_wanted = false;
    if (!l->subscribed || lsn != l->cursor || audited_holds_log(n, l))
        return;
    if (records.len == 0)
        link_close(n, l, "the log cannot be read at %llu: %.120s", (unsigned long long)lsn,
                   why == NULL ? "empty" : why);
    else
        walk(n, l, records);
}

/* --- heartbeats --- */

/* It has been sent all that it asks for of our durable log. */
static bool has_all(const struct node *n, const struct link *l)
{
    return l->subscribed && !l->reading && l->cursor >= n->replica.log_durable && link_has_room(l);
}

/* It asks for one of our streams. */
static bool wants_heartbeat(const struct node *n, const struct link *l)
{
    uint64_t asked = 0;
    for (int i = 0; i < 4; i++)
        asked |= l->origins[i] & n->replica.own[i];
    return has_all(n, l) && asked != 0 && replica_write_refusal(&n->replica) == NULL &&
           health_speaks(n);
}

static void make_heartbeat(struct node *n, uint8_t own)
{
    struct feed_shared *f = &n->feed;
    uint32_t fence = n->fence_of[own];
    struct span batch;
    uint8_t origin;
    stamp_t stamp;
    buffer_clear(&f->content);
    if (!replica_heartbeat(&n->replica, own, &f->content))
        return;
    batch = buffer_span(&f->content);
    if (!batch_peek(batch, &origin, &stamp))
        return;
    struct buffer framed = { 0 };
    frame_add_batch(&framed, batch);
    buffer_clear(&f->heartbeat[fence]);
    frame_put(&n->codec, &f->heartbeat[fence], buffer_span(&framed));
    f->heartbeat_stamp[fence] = stamp;
    buffer_release(&framed);
}

/* One of each stream for all feeds. It claims that every op up to its stamp is in the durable log: true
 * from now on, so the newest that was made stays good for a feed that has not sent it, when none newer
 * can be made (a write is not durable, or the clock runs ahead of our time and stands still). */
static void make_heartbeats(struct node *n)
{
    if (n->feed.heartbeat_us == n->now_us)
        return;
    n->feed.heartbeat_us = n->now_us;
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++)
        make_heartbeat(n, (uint8_t)o);
}

static void heartbeat(struct node *n, struct link *l)
{
    const struct feed_shared *f = &n->feed;
    bool newer = true;
    make_heartbeats(n);
    for (uint32_t o = 0; bits_next(n->replica.own, STAMP_ORIGINS, &o); o++) {
        uint32_t fence = n->fence_of[o];
        if (!bits_have(l->origins, (uint8_t)o))
            continue;
        if (!vector_raise(&l->sent, f->heartbeat_stamp[fence])) {
            newer = false;
            continue;
        }
        if (fence == 0)
            l->heartbeat_sent = f->heartbeat_stamp[fence];
        buffer_put(&l->output, buffer_span(&f->heartbeat[fence]));
        link_dirty(n, l);
    }
    l->heartbeat_us = n->now_us + (newer ? FEED_HEARTBEAT_US : FEED_HEARTBEAT_RETRY_US);
}

/* The next other's stream of which it can be told more, from *o on. */
static bool next_to_pass(const struct node *n, const struct link *l, uint32_t *o)
{
    for (; bits_next(l->origins, STAMP_ORIGINS, o); (*o)++) {
        uint8_t origin = (uint8_t)*o;
        stamp_t known = vector_get(&n->replica.durable, origin);
        if (known > vector_get(&l->sent, origin) &&
            known >= vector_get(&n->replica.last_op, origin) &&
            !replica_owns(&n->replica, origin) && !bits_have(l->peer->origins, origin) &&
            !closed_is(n, origin))
            return true;
    }
    return false;
}

static bool has_to_pass(const struct node *n, const struct link *l)
{
    uint32_t o = 0;
    return has_all(n, l) && next_to_pass(n, l, &o);
}

static void pass_heartbeats(struct node *n, struct link *l)
{
    struct buffer *content = &n->feed.content, batch = { 0 };
    buffer_clear(content);
    for (uint32_t o = 0; next_to_pass(n, l, &o); o++) {
        buffer_clear(&batch);
        if (replica_pass_heartbeat(&n->replica, (uint8_t)o, &batch))
            frame_add_batch(content, buffer_span(&batch));
        vector_raise(&l->sent, vector_get(&n->replica.durable, (uint8_t)o));
    }
    if (content->len > 0)
        frame_put(&n->codec, &l->output, buffer_span(content));
    buffer_release(&batch);
    l->pass_us = n->now_us + FEED_PASS_US;
    link_dirty(n, l);
}

/* --- turns --- */

void feed_turn_end(struct node *n, struct link *l)
{
    source_turn_end(n, l);
    if (l->subscribed)
        fill(n, l);
    if (!l->close && wants_heartbeat(n, l) && n->now_us >= l->heartbeat_us)
        heartbeat(n, l);
    if (!l->close && n->now_us >= l->pass_us && has_to_pass(n, l))
        pass_heartbeats(n, l);
}

uint64_t feed_deadline(const struct node *n, const struct link *l)
{
    uint64_t heartbeat = wants_heartbeat(n, l) ? l->heartbeat_us : UINT64_MAX;
    uint64_t objects = source_deadline(n, l);
    if (has_to_pass(n, l) && l->pass_us < heartbeat)
        heartbeat = l->pass_us;
    return objects < heartbeat ? objects : heartbeat;
}
