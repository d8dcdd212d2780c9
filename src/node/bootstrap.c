#include "node/bootstrap.h"

#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mutation.h"
#include "node/node.h"

enum { TELL_PERCENT = 10 };

/* --- life --- */

void bootstrap_init(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (n->options.marker == NULL)
        return;
    b->marker = *n->options.marker;
    b->phase = BOOTSTRAP_IMAGE;
    b->note = (struct bootstrap_note){ .phase = BOOTSTRAP_IMAGE, .instance = b->marker.instance };
}

void bootstrap_release(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    bootstrap_note_release(&b->note);
    bootstrap_image_release(b);
}

bool bootstrap_install(struct node *n, struct checkpoint *store, int *error)
{
    struct bootstrap *b = &n->bootstrap;
    struct bootstrap_note note;
    *error = E_OK;
    b->store = store;
    if (n->options.marker == NULL)
        return false;
    *error = bootstrap_note_load(store, &note);
    if (*error == E_OK) {
        CHECK(note.instance == b->marker.instance);
        bootstrap_note_release(&b->note);
        b->note = note;
    } else if (*error == E_MISSING) {
        *error = E_OK;
    }
    b->phase = b->note.phase;
    return b->phase == BOOTSTRAP_IMAGE || *error != E_OK;
}

/* --- phases --- */

bool bootstrap_is_on(const struct node *n)
{
    enum bootstrap_phase phase = n->bootstrap.phase;
    return phase != BOOTSTRAP_NONE && phase != BOOTSTRAP_TIDY;
}

bool bootstrap_is_frozen(const struct node *n)
{
    return n->bootstrap.phase == BOOTSTRAP_LEAVING || n->bootstrap.restarting;
}

static void set_text(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    const char *from = bootstrap_source_name(n);
    snprintf(b->text, sizeof(b->text),
             "LOADING this region is being bootstrapped%s%.64s: %s, %u%% done%s%s%s",
             from[0] ? " from " : "", from, bootstrap_phase_name(n), bootstrap_percent(n),
             b->broken ? "; it failed, see the server's log" : "",
             b->waits != NULL ? "; it waits: " : "", b->waits != NULL ? b->waits : "");
    n->server.loading = b->text;
}

void bootstrap_enter(struct node *n, enum bootstrap_phase phase)
{
    struct bootstrap *b = &n->bootstrap;
    b->phase = phase;
    b->phase_began_us = n->now_us;
    b->told_percent = 0;
    node_notice(n, NOTICE_INFO, "ev=bootstrap.phase phase=%s from=%s", bootstrap_phase_name(n),
                bootstrap_source_name(n));
}

/* Whoever answered now would show what a fence holds, or all, as if it had never been written. */
void bootstrap_await_fence(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (n->known.joining == 0 || n->peer_count == 0)
        return;
    const char
        *what = (n->known.joining & IDENTITY_JOINS_ALL) != 0
                    ? "holds nothing yet, and has to be filled from another"
                    : "has become a member of a fence, and takes what that holds from another";
    snprintf(b->text, sizeof(b->text), "LOADING this region %s%s%s", what,
             b->waits != NULL ? "; it waits: " : "", b->waits != NULL ? b->waits : "");
    n->server.loading = b->text;
}

void bootstrap_recovered(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->phase == BOOTSTRAP_NONE) {
        bootstrap_await_fence(n);
        return;
    }
    n->replica.takes_own = true;
    set_text(n);
    node_notice(n, NOTICE_INFO, "ev=bootstrap.resumed phase=%s from=%s percent=%u",
                bootstrap_phase_name(n), bootstrap_source_name(n), bootstrap_percent(n));
}

uint64_t bootstrap_log_starts(struct node *n, uint64_t lsn)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->phase == BOOTSTRAP_NONE)
        return lsn;
    b->log_starts = lsn;
    if (b->own_lsn < lsn)
        b->own_lsn = lsn;
    return lsn < b->marker.end_lsn ? b->marker.end_lsn : lsn;
}

/* Ends every link: whoever comes back is judged anew. */
static void close_links(struct node *n, const char *why)
{
    list_each(&n->links, it) link_close(n, container_of(it, struct link, link), "%s", why);
}

void bootstrap_leave(struct node *n, const struct marker *marker)
{
    struct bootstrap *b = &n->bootstrap;
    b->marker = *marker;
    b->marker.tail_of = n->replica.tail_unknown ? n->options.self->id : 0;
    b->mark = true;
    bootstrap_enter(n, BOOTSTRAP_LEAVING);
    set_text(n);
    close_links(n, "this region is about to be bootstrapped");
}

void bootstrap_anew(struct node *n, const char *why)
{
    struct marker marker = n->bootstrap.marker;
    node_notice(n, NOTICE_WARNING, "ev=bootstrap.anew from=%s why=\"%s\"", bootstrap_source_name(n),
                why);
    bootstrap_leave(n, &marker);
}

/* All that was taken in is durable, nothing is being written: the restart may come. */
static void leave_turn(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    const struct replica *r = &n->replica;
    if (b->restart || b->restarting || r->open_ops > 0 || r->log_durable < r->log_end ||
        b->is_out || n->checkpoint.is_out || b->unmarking)
        return;
    b->marker.instance = n->options.instance;
    b->marker.end_lsn = r->log_end;
    b->restart = true;
}

/* The log cannot be made durable: what is here can still be read. */
static void stay(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->restart || b->restarting || n->options.marker != NULL)
        return;
    b->phase = BOOTSTRAP_NONE;
    n->server.loading = NULL;
}

bool node_next_restart(struct node *n, struct node_restart *restart)
{
    struct bootstrap *b = &n->bootstrap;
    if (!b->restart)
        return false;
    b->restart = false;
    b->restarting = true;
    *restart = (struct node_restart){ .mark = b->mark, .marker = b->marker };
    return true;
}

static void catch_up_turn(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (bootstrap_is_kept(n)) {
        bootstrap_kept_turn(n);
        return;
    }
    if (vector_covers(&n->replica.last_op, &b->note.target) || MUTATION(serves_too_early)) {
        bootstrap_enter(n, BOOTSTRAP_OWN);
        return;
    }
    if (!bootstrap_reaches_source(n))
        return;
    struct link *l = bootstrap_source_link(n);
    for (int i = 0; i < 4 && l != NULL; i++) {
        l->resubscribe |= l->origins[i] != UINT64_MAX;
        l->origins[i] = UINT64_MAX;
    }
    bootstrap_ask_members(n);
}

/* --- after it --- */

static void tidy_turn(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->awaits_members && bootstrap_members_met(n)) {
        b->awaits_members = false;
        n->server.loading = NULL;
        bootstrap_await_fence(n);
    }
    b->unmark |= b->log_starts >= b->marker.end_lsn && !n->replica.tail_unknown &&
                 !b->awaits_members;
    bootstrap_consider(n);
}

bool node_next_unmark(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    bool ask = b->phase == BOOTSTRAP_TIDY && b->unmark && !b->unmarking;
    b->unmarking |= ask;
    return ask;
}

void node_unmarked(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    CHECK(b->unmarking);
    b->unmark = b->unmarking = false;
    if (b->phase != BOOTSTRAP_TIDY)
        return; /* the next bootstrap has begun */
    b->phase = BOOTSTRAP_NONE;
    b->drop_note = true;
}

bool bootstrap_next_drop(const struct node *n, uint64_t *lsn)
{
    const struct bootstrap *b = &n->bootstrap;
    *lsn = b->marker.end_lsn;
    return b->phase == BOOTSTRAP_TIDY && b->log_starts < b->marker.end_lsn;
}

void bootstrap_put_notes(struct node *n, struct buffer *notes)
{
    struct bootstrap *b = &n->bootstrap;
    if (!b->drop_note)
        return;
    buffer_put_u8(notes, 'b');
    buffer_put_varint(notes, 0);
    b->drop_note = false;
}

/* --- turns --- */

static void tell_progress(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    uint32_t percent = bootstrap_percent(n);
    set_text(n);
    if (percent < b->told_percent + TELL_PERCENT)
        return;
    b->told_percent = percent - percent % TELL_PERCENT;
    node_notice(n, NOTICE_INFO, "ev=bootstrap.progress phase=%s from=%s percent=%u bytes=%llu",
                bootstrap_phase_name(n), bootstrap_source_name(n), percent,
                (unsigned long long)b->note.bytes);
}

/* What it takes was begun when it was no member yet, and is without what the fence holds. */
static bool predates_fence(const struct node *n)
{
    const struct bootstrap *b = &n->bootstrap;
    return n->known.joining != 0 && b->marker.instance < n->known.joined_instance &&
           (b->phase == BOOTSTRAP_IMAGE || b->phase == BOOTSTRAP_CATCHUP) && !b->restart &&
           !b->restarting && !bootstrap_is_kept(n);
}

void bootstrap_turn_end(struct node *n)
{
    struct bootstrap *b = &n->bootstrap;
    if (b->choose_us == 0)
        b->choose_us = n->now_us + BOOTSTRAP_CHOOSE_US;
    if (n->log_broken) {
        if (b->phase == BOOTSTRAP_LEAVING)
            stay(n);
        return;
    }
    if (predates_fence(n))
        bootstrap_anew(n, "this region has become a member of a fence");
    switch (b->phase) {
    case BOOTSTRAP_NONE:
        bootstrap_consider(n);
        break;
    case BOOTSTRAP_LEAVING:
        leave_turn(n);
        break;
    case BOOTSTRAP_IMAGE:
        bootstrap_image_turn(n);
        break;
    case BOOTSTRAP_CATCHUP:
        catch_up_turn(n);
        break;
    case BOOTSTRAP_OWN:
        bootstrap_own_turn(n);
        break;
    case BOOTSTRAP_TIDY:
        tidy_turn(n);
        break;
    }
    if (bootstrap_is_on(n))
        tell_progress(n);
}

/* --- for reports --- */

const char *bootstrap_phase_name(const struct node *n)
{
    switch (n->bootstrap.phase) {
    case BOOTSTRAP_NONE:
        return "none";
    case BOOTSTRAP_LEAVING:
        return "leaving";
    case BOOTSTRAP_IMAGE:
        return "objects";
    case BOOTSTRAP_CATCHUP:
        return "log";
    case BOOTSTRAP_OWN:
        return "own log";
    case BOOTSTRAP_TIDY:
        return "tidying";
    }
    return "none";
}

const char *bootstrap_source_name(const struct node *n)
{
    const struct region *region = deployment_region_with_id(n->options.deployment,
                                                            n->bootstrap.note.source);
    return region != NULL ? region->name : "";
}

uint64_t bootstrap_seconds(const struct node *n)
{
    uint64_t began_us = n->bootstrap.marker.began_us;
    return began_us < n->now_us ? (n->now_us - began_us) / 1000000 : 0;
}

static uint64_t newest_ms(const struct vector *v)
{
    uint64_t ms = 0;
    for (uint32_t o = 0; o < v->high; o++)
        ms = v->at[o] != 0 && stamp_ms(v->at[o]) > ms ? stamp_ms(v->at[o]) : ms;
    return ms;
}

static uint32_t share(uint64_t done, uint64_t total)
{
    if (total == 0)
        return 0;
    return done >= total ? 100 : (uint32_t)(100.0 * (double)done / (double)total);
}

static uint32_t caught_up_percent(const struct node *n)
{
    const struct bootstrap_note *note = &n->bootstrap.note;
    uint64_t from = newest_ms(&note->began), to = newest_ms(&note->target);
    uint64_t at = newest_ms(&n->replica.last_op);
    return at < from || to < from ? 0 : share(at - from, to - from);
}

uint32_t bootstrap_percent(const struct node *n)
{
    const struct bootstrap *b = &n->bootstrap;
    switch (b->phase) {
    case BOOTSTRAP_IMAGE:
        return share(b->note.keys, b->note.keys_total);
    case BOOTSTRAP_CATCHUP:
        return caught_up_percent(n);
    case BOOTSTRAP_OWN:
        return share(b->own_lsn - b->log_starts, b->marker.end_lsn - b->log_starts);
    case BOOTSTRAP_NONE:
    case BOOTSTRAP_LEAVING:
    case BOOTSTRAP_TIDY:
        return 0;
    }
    return 0;
}
