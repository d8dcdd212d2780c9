/*
 * bootstrap_own -- the region's own old log is received anew, batch by batch, as if from a peer.
 *
 * All that it holds was applied here after what it depends on, and the source has what came before
 * it: so each batch is a duplicate or the next of its origin. It is logged again where the log goes
 * on. A log that was repaired has holes: what cannot follow without that which was in them, and which
 * no region has, is given up once every region is reached. Its files are still where repair put them.
 */
#include "base/bits.h"
#include "base/check.h"
#include "base/mutation.h"
#include "node/bootstrap.h"
#include "node/health.h"
#include "node/node.h"
#include "node/runs.h"
#include "wire/record.h"

enum { READ_BYTES = 256 << 10, RETRY_US = 100 * 1000 };

bool node_next_own_read(struct node *n, uint64_t *lsn, uint64_t *limit_lsn, size_t *want)
{
    struct bootstrap *b = &n->bootstrap;
    if (!b->own_asked)
        return false;
    b->own_asked = false;
    *lsn = b->own_lsn;
    *limit_lsn = b->marker.end_lsn;
    *want = READ_BYTES;
    return true;
}

/* Writes of our own that do not fit: others hold another history of this region. */
static void lose_own(struct node *n, const char *why)
{
    if (!bits_have(n->bootstrap.skipped, n->options.self->id))
        node_notice(
            n, NOTICE_ERROR,
            "ev=bootstrap.lost what=\"writes of this region's old log cannot be brought back: "
            "%s\"",
            why);
    runs_lose(n, bootstrap_source_name(n), "its old log does not fit what others hold of it");
}

static void skip(struct node *n, uint8_t origin, const char *why)
{
    struct bootstrap *b = &n->bootstrap;
    if (replica_owns(&n->replica, origin))
        lose_own(n, why);
    else if (!bits_have(b->skipped, origin))
        node_notice(n, NOTICE_WARNING, "ev=bootstrap.skipped origin=%u why=\"%s\"", origin, why);
    bits_add(b->skipped, origin);
}

/* False: there is no room for it now. */
static bool receive(struct node *n, struct span batch)
{
    uint8_t origin = 0;
    stamp_t to;
    batch_peek(batch, &origin, &to);
    switch (replica_receive(&n->replica, batch)) {
    case RECEIVE_APPLIED:
    case RECEIVE_PARKED:
        n->bootstrap.own_applied++;
        return true;
    case RECEIVE_DUPLICATE:
        return true;
    case RECEIVE_DROPPED:
        return false;
    case RECEIVE_GAP:
        skip(n, origin, "what came before it is missing");
        return true;
    case RECEIVE_REFUSED:
        skip(n, origin, "it disagrees with what others hold");
        return true;
    }
    return true;
}

void node_own_read_done(struct node *n, uint64_t lsn, struct span records, const char *why)
{
    struct bootstrap *b = &n->bootstrap;
    struct record record;
    size_t need;
    if (b->phase != BOOTSTRAP_OWN || !b->own_reading || lsn != b->own_lsn)
        return;
    b->own_reading = false;
    if (records.len == 0) {
        node_notice(n, NOTICE_ERROR, "ev=bootstrap.failed why=\"the old log cannot be read: %s\"",
                    why == NULL ? "empty" : why);
        b->broken = true;
        return;
    }
    while (b->own_lsn < b->marker.end_lsn &&
           record_read(records, b->own_lsn, &record, &need) == RECORD_GOOD) {
        if (memory_must_wait(n))
            return; /* read again when there is room for what it brings in */
        if (!receive(n, record.payload)) {
            b->own_retry_us = n->now_us + RETRY_US;
            /* What waits here is full of what others hold, by whatever way it was to come. */
            bootstrap_ask_everybody(n);
            return;
        }
        b->own_lsn += record.bytes;
        records = span_skip(records, record.bytes);
    }
}

static bool is_missing(const struct node *n, uint8_t origin)
{
    const struct bootstrap *b = &n->bootstrap;
    return vector_get(&b->marker.had, origin) > vector_get(&n->replica.last_op, origin) &&
           !bits_have(b->skipped, origin);
}

/* The vector is back at what it was. */
static bool is_back(const struct node *n)
{
    for (uint32_t o = 0; o < n->bootstrap.marker.had.high; o++) {
        if (is_missing(n, (uint8_t)o))
            return false;
    }
    return true;
}

static bool any_holds(const struct node *n, stamp_t stamp)
{
    for (size_t i = 0; i < n->matrix.count; i++) {
        if (vector_get(&n->matrix.rows[i].applied, stamp_origin(stamp)) >= stamp)
            return true;
    }
    return false;
}

/* What the origin's next write has to come after, or the write itself, is nowhere any more. */
static bool is_gone(const struct node *n, uint8_t origin)
{
    const struct replica *r = &n->replica;
    stamp_t awaited = replica_awaited(r, origin);
    if (awaited == 0)
        awaited = n->bootstrap.marker.had.at[origin];
    else if (stamp_origin(awaited) == r->options.region && stamp_ms(awaited) > r->now_ms)
        return false; /* it waits for its time */
    return vector_get(&r->applied, stamp_origin(awaited)) < awaited && !any_holds(n, awaited);
}

/* All that the old log had would be back but for what its damage took. */
static void give_up_gone(struct node *n)
{
    const struct bootstrap *b = &n->bootstrap;
    for (uint32_t o = 0; o < b->marker.had.high; o++) {
        if (is_missing(n, (uint8_t)o) && is_gone(n, (uint8_t)o))
            skip(
                n, (uint8_t)o,
                "what it comes after was in the damaged part of the log, and no region has it; the "
                "log's files are kept in damaged-* of the data directory");
    }
}

bool bootstrap_ask_everybody(struct node *n)
{
    bool all = true;
    for (size_t i = 0; i < n->peer_count; i++) {
        struct link *l = n->peers[i].intake;
        if (l == NULL || !l->ready || l->close) {
            all = false;
            continue;
        }
        for (int k = 0; k < 4; k++) {
            l->resubscribe |= l->origins[k] != UINT64_MAX;
            l->origins[k] = UINT64_MAX;
        }
    }
    return all;
}

/* Of fences that the source was no member of; while they are not met a restart finds the marker. */
static void await_members(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    const struct peer *source = bootstrap_source(n);
    b->awaits_members = source != NULL && !bootstrap_holds_all(n, source);
    if (b->awaits_members) {
        static const char why[] = "LOADING this region was bootstrapped from one that is no member "
                                  "of all of its fences: it waits until it has met every other "
                                  "member";
        n->server.loading = why;
    }
}

static void finish(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    uint64_t took_us = n->now_us > b->marker.began_us ? n->now_us - b->marker.began_us : 1;
    n->replica.takes_own = false;
    n->server.loading = NULL;
    if (n->known.joining != 0 && b->marker.instance >= n->known.joined_instance) {
        n->known.joining = 0;
        n->known_changed = true;
    }
    bootstrap_await_fence(n);
    await_members(n);
    bootstrap_enter(n, BOOTSTRAP_TIDY);
    node_notice(n, NOTICE_INFO,
                "ev=bootstrap.done from=%s keys=%llu bytes=%llu ms=%llu bytes_per_second=%llu "
                "own_batches=%llu",
                bootstrap_source_name(n), (unsigned long long)b->note.keys,
                (unsigned long long)b->note.bytes, (unsigned long long)(took_us / 1000),
                (unsigned long long)((double)b->note.bytes * 1e6 / (double)took_us),
                (unsigned long long)b->own_applied);
    list_each(&n->links, it)
        link_close(n, container_of(it, struct link, link), "this region was bootstrapped");
}

void bootstrap_own_turn(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->broken || b->own_reading)
        return;
    if (b->own_lsn < b->marker.end_lsn && !MUTATION(skips_own_log)) {
        b->own_reading = b->own_asked = n->now_us >= b->own_retry_us && health_takes_batches(n) &&
                                        !memory_must_wait(n);
        return;
    }
    if (!b->own_through && !is_back(n) && bootstrap_ask_everybody(n))
        give_up_gone(n);
    if (!b->own_through && (is_back(n) || MUTATION(skips_own_log))) {
        b->own_through = true;
        b->own_end = n->replica.log_end;
    }
    if (b->own_through && n->replica.log_durable >= b->own_end)
        finish(n);
}
