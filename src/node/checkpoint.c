#include "node/checkpoint.h"

#include <stdio.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/error.h"
#include "base/mutation.h"
#include "core/copier.h"
#include "node/node.h"

enum {
    RETRY_US = 10 * 1000 * 1000, /* a full disk is looked at again */
    DROP_EVERY_US = 1000 * 1000, /* log goes in whole segments: there is no hurry */
    /* who is bootstrapped from here, and holds log, has come back by then */
    FIRST_DROP_US = 5 * 1000 * 1000,
    MARKS_KEPT = 2048, /* of the index, evenly chosen */
    /* gathered while a transaction is written: the next; larger ones cost less in all */
    READY_BYTES = 4 << 20,
    /* and of the store's pages that its keys change: they are memory until the commit */
    READY_PAGES_BYTES = 64 << 20,
    SLICE_PAGES_BYTES = 2 << 20, /* of one slice of the copier: 500 keys, a page each */
};

static const struct deployment *deployment(const struct node *n)
{
    return n->options.deployment;
}

/* --- what is kept beside the objects --- */

/* Every mark, or every other, every fourth …: the index may be coarse where the log is long. */
static void put_marks(const struct node *n, struct buffer *out)
{
    const struct tail *t = &n->tail;
    size_t stride = 1 + t->mark_count / MARKS_KEPT;
    struct buffer marks = { 0 };
    for (size_t i = 0; i < t->mark_count; i++) {
        if (i % stride == 0 || i + 1 == t->mark_count)
            tail_put_mark(t, i, &marks);
    }
    buffer_put_u8(out, CHECKPOINT_NOTE_MARKS);
    buffer_put_prefixed(out, buffer_span(&marks));
    buffer_release(&marks);
}

static int take_marks(struct node *n)
{
    struct buffer note = { 0 };
    int error = checkpoint_note(n->checkpoint.store, CHECKPOINT_NOTE_MARKS, &note);
    if (error == E_OK && !tail_take_marks(&n->tail, buffer_span(&note)))
        error = E_FORMAT;
    buffer_release(&note);
    return error == E_MISSING ? E_OK : error;
}

int node_install(struct node *n, struct checkpoint *store, const struct checkpoint_found *found)
{
    struct node_checkpoint *c = &n->checkpoint;
    int error;
    if (bootstrap_install(n, store, &error))
        return error;
    c->store = store;
    replica_install(&n->replica, &store->cold, found->start_known ? &found->start : NULL,
                    found->counts);
    if (!found->start_known)
        return E_OK;
    c->start_lsn = found->start.lsn;
    c->newest = found->start;
    c->newest_known = true;
    n->tail.end_lsn = found->start.lsn;
    return take_marks(n);
}

void checkpoint_node_release(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    buffer_release(&c->ready);
    buffer_release(&c->written);
    buffer_release(&c->start);
    buffer_release(&c->notes);
    buffer_release(&c->reach);
}

/* --- beginning --- */

uint64_t checkpoint_ask(struct node *n)
{
    n->checkpoint.asked = n->checkpoint.begun + 1;
    return n->checkpoint.asked;
}

void checkpoint_begin_turns(struct node *n)
{
    n->checkpoint.completed_us = n->now_us;
    n->checkpoint.pinned_lsn = UINT64_MAX;
}

static bool is_due(const struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    const struct replica *r = &n->replica;
    if (c->asked > c->begun)
        return true;
    if (n->loading || !copier_has_work(r))
        return false;
    return r->log_end - c->start_lsn >= deployment(n)->checkpoint.log_bytes ||
           n->now_us - c->completed_us >= (uint64_t)deployment(n)->checkpoint.every_ms * 1000;
}

static void begin(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (!copier_begin(&n->replica)) {
        copier_tidy(&n->replica);
        return;
    }
    c->running = true;
    c->all_copied = false;
    c->begun++;
    c->began_us = n->now_us;
    c->log_end = n->replica.log_end;
    buffer_clear(&c->start);
    buffer_clear(&c->notes);
    copy_start_put(&c->start, &n->replica.copier.start);
    tail_mark_here(&n->tail, n->replica.log_end, &n->replica.last_op);
    put_marks(n, &c->notes);
    bootstrap_put_notes(n, &c->notes);
}

/* --- its end --- */

static void complete(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    const struct copier *copier = &n->replica.copier;
    copier_committed(&n->replica);
    c->running = false;
    c->completed = c->begun;
    c->completed_us = n->now_us;
    c->took_us = n->now_us - c->began_us;
    c->start_lsn = copier->start.lsn;
    c->newest = copier->start;
    c->newest_known = true;
    c->objects = copier->objects;
    c->bytes = copier->bytes;
    c->dropped_us = 0;
    c->problem[0] = '\0';
    node_notice(n, NOTICE_INFO, "ev=checkpoint objects=%llu bytes=%llu ms=%llu lsn=%llu",
                (unsigned long long)c->objects, (unsigned long long)c->bytes,
                (unsigned long long)(c->took_us / 1000), (unsigned long long)c->start_lsn);
}

static void fail(struct node *n, int error, const char *why)
{
    struct node_checkpoint *c = &n->checkpoint;
    copier_failed(&n->replica);
    c->running = c->is_ready = false;
    c->failed = c->begun;
    c->broken = error != E_FULL;
    c->retry_us = n->now_us + RETRY_US;
    snprintf(c->problem, sizeof(c->problem), "%s", why);
    node_notice(n, NOTICE_ERROR, "ev=checkpoint.failed why=\"%s\" what=\"%s\"", why,
                c->broken ? "writes and reads go on and the log grows; mend the disk and restart"
                          : "writes and reads go on and the log grows; it is tried again soon");
}

void checkpoint_break(struct node *n, const char *why)
{
    struct node_checkpoint *c = &n->checkpoint;
    c->broken = true;
    snprintf(c->problem, sizeof(c->problem), "%s", why);
    if (!c->running || (c->is_out && c->last_out)) /* what is complete may become durable */
        return;
    copier_failed(&n->replica);
    c->running = c->is_ready = false;
    c->failed = c->begun;
}

void node_written(struct node *n, int error, const char *why)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (bootstrap_written(n, error, why))
        return;
    CHECK(c->is_out);
    c->is_out = false;
    buffer_empty(&c->written, memory_share(n, 2 * READY_BYTES, 64));
    n->resume |= c->running;
    checkpoint_refresh(c->store);
    if (!c->running)
        return; /* checkpoint_break */
    if (error != E_OK)
        fail(n, error, why);
    else if (c->last_out)
        complete(n);
}

/* --- slices --- */

static void copy_slice(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (!c->is_ready) {
        buffer_clear(&c->ready);
        c->ready_slices = 0;
    }
    size_t before = c->ready.len;
    c->all_copied = !copier_step(&n->replica, &c->ready, &c->ready_lsn);
    c->is_ready = true;
    c->ready_slices += c->ready.len > before;
    if (c->all_copied && MUTATION(starts_late)) {
        buffer_clear(&c->start);
        copy_start_put(&c->start, &n->replica.copier.start);
    }
}

/* Where no op came since the start, nothing is in the objects that came after it. */
static void put_reach(const struct node *n, struct buffer *out)
{
    const struct copy_start *start = &n->replica.copier.start;
    bool exact = vector_equal(&n->replica.last_op, &start->last_op);
    buffer_put_u8(out, CHECKPOINT_NOTE_REACH);
    buffer_put_varint(out, sizeof(uint64_t));
    buffer_put_u64(out, exact ? start->lsn : n->checkpoint.ready_lsn);
}

bool node_next_write(struct node *n, struct checkpoint_write *job)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (bootstrap_next_write(n, job))
        return true;
    if (!c->is_ready || c->is_out ||
        (c->ready_lsn > n->replica.log_durable && !MUTATION(writes_ahead)))
        return false;
    struct buffer free = c->written;
    c->written = c->ready;
    c->ready = free;
    c->is_ready = false;
    c->is_out = true;
    c->last_out = c->all_copied;
    *job = (struct checkpoint_write){ .changes = buffer_span(&c->written) };
    struct buffer *notes = c->last_out ? &c->notes : &c->reach;
    if (!c->last_out)
        buffer_clear(notes);
    put_reach(n, notes);
    job->notes = buffer_span(notes);
    if (c->last_out)
        job->start = buffer_span(&c->start);
    return true;
}

/* Removals are a few bytes each, and change a page like any other. */
static bool is_room(const struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    uint64_t slices = memory_share(n, READY_PAGES_BYTES, 32) / SLICE_PAGES_BYTES;
    return c->ready.len < memory_share(n, READY_BYTES, 256) && c->ready_slices < slices;
}

bool checkpoint_is_busy(const struct node *n)
{
    const struct node_checkpoint *c = &n->checkpoint;
    return c->running && !c->all_copied && (!c->is_ready || is_room(n));
}

/* --- the log's other end --- */

/* What a region may not hold it does not lack. */
static bool may_not_hold(const void *context, size_t place, uint8_t origin)
{
    const struct node *n = context;
    return bits_have(n->peers[place].foreign, origin);
}

/* Below this every region has all there is, durably. */
static uint64_t held_by_all(const struct node *n)
{
    struct vector stable;
    if (MUTATION(drops_needed_log))
        return n->replica.log_end;
    peers_stable(&n->matrix, &n->replica.durable, &stable, may_not_hold, n);
    return tail_covered(&n->tail, &stable);
}

/* Where the highest of these stands, once so many higher ones were passed over. */
static uint64_t nth_highest(uint64_t *lsns, size_t count, size_t nth)
{
    for (size_t i = 0; i <= nth; i++) {
        for (size_t k = i + 1; k < count; k++) {
            uint64_t lsn = lsns[i];
            lsns[i] = lsns[k] > lsn ? lsns[k] : lsn;
            lsns[k] = lsns[k] > lsn ? lsn : lsns[k];
        }
    }
    return lsns[nth];
}

uint64_t checkpoint_held_by(const struct node *n, size_t place)
{
    struct vector held;
    vector_copy(&held, &n->matrix.rows[place].durable);
    for (uint32_t o = 0; bits_next(n->peers[place].foreign, STAMP_ORIGINS, &o); o++) {
        if (vector_get(&n->replica.last_op, (uint8_t)o) != 0)
            vector_raise(&held, vector_get(&n->replica.last_op, (uint8_t)o));
    }
    return tail_covered(&n->tail, &held);
}

/* Below this, a majority of a fence's members holds all. */
static uint64_t held_by_most_of(const struct node *n, const struct fence *fence)
{
    uint64_t lsns[STAMP_ORIGINS];
    size_t count = 0;
    for (size_t i = 0; i < n->peer_count; i++) {
        if (fence_holds(fence, n->peers[i].region->id))
            lsns[count++] = checkpoint_held_by(n, i);
    }
    size_t others = (count + 1) / 2;
    return others == 0 ? n->replica.log_end : nth_highest(lsns, count, others - 1);
}

/* Below this, all that ever stood in the log, and what went from it before, is held durably by the same
 * majority of the regions that may hold it, ourselves counted. What no majority holds stays, whatever
 * log.retain says: two regions could each drop what the other lacks, and nobody could bootstrap either. */
static uint64_t held_by_majority(const struct node *n)
{
    const struct deployment *d = deployment(n);
    uint64_t lsn = n->replica.log_end;
    for (size_t i = 0; i < d->fence_count; i++) {
        if (!fence_holds(&d->fences[i], n->options.self->id))
            continue;
        uint64_t most = held_by_most_of(n, &d->fences[i]);
        lsn = most < lsn ? most : lsn;
    }
    return lsn;
}

/* Links that read older log go on; so does a bootstrap. */
static uint64_t in_use(const struct node *n)
{
    uint64_t lsn = n->checkpoint.pinned_lsn;
    list_each(&n->links, it)
    {
        const struct link *l = container_of(it, struct link, link);
        if (!l->is_intake && l->subscribed && l->cursor < lsn)
            lsn = l->cursor;
    }
    return lsn;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Below this log may go. Once it has gone the index must know what stood there: so it goes up to a
 * mark. */
static uint64_t droppable(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    uint64_t retain = deployment(n)->log.retain_bytes, end = n->replica.log_end;
    uint64_t lsn = smaller(c->start_lsn, smaller(held_by_all(n), in_use(n)));
    uint64_t over = end > retain ? end - retain : 0; /* log.retain keeps from here on */
    c->log_full = false;
    if (lsn >= over || over <= n->log_start)
        return lsn;
    uint64_t held = MUTATION(drops_what_few_hold) ? end : held_by_majority(n);
    c->log_full = held + TAIL_MARK_EVERY_BYTES < over;
    return smaller(smaller(c->start_lsn, over), smaller(held, c->pinned_lsn));
}

bool node_next_drop(struct node *n, uint64_t *lsn)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (c->store == NULL || n->log_broken || bootstrap_is_on(n) ||
        n->now_us < c->dropped_us + DROP_EVERY_US)
        return false;
    c->dropped_us = n->now_us;
    if (bootstrap_next_drop(n, lsn))
        return true;
    if (n->now_us < n->start_us + FIRST_DROP_US)
        return false;
    *lsn = tail_mark_before(&n->tail, droppable(n));
    if (*lsn <= n->log_start || *lsn == c->drop_asked)
        return false;
    c->drop_asked = *lsn;
    return true;
}

void node_log_starts(struct node *n, uint64_t lsn)
{
    n->log_start = bootstrap_log_starts(n, lsn);
    tail_forget(&n->tail, n->log_start);
}

/* --- turns --- */

/* Some in every turn: what was removed is memory until then, and the next copy has to wait. */
static void tidy(struct node *n)
{
    if (copier_is_tidy(&n->replica))
        return;
    copier_tidy(&n->replica);
    n->resume |= !copier_is_tidy(&n->replica);
}

void checkpoint_turn_end(struct node *n)
{
    struct node_checkpoint *c = &n->checkpoint;
    if (c->store == NULL)
        return;
    checkpoint_refresh(c->store);
    if (n->log_broken)
        return;
    if (!c->running && !c->is_out && !c->broken && n->now_us >= c->retry_us && is_due(n))
        begin(n);
    if (checkpoint_is_busy(n))
        copy_slice(n);
    tidy(n);
}
