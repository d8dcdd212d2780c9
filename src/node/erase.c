#include "node/erase.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutation.h"
#include "cmd/system.h"
#include "core/emit.h"
#include "crdt/resident.h"
#include "node/closed.h"
#include "node/node.h"
#include "node/scrub.h"

enum {
    SLICE_STEPS = 64,  /* of a scan */
    SLICE_KEYS = 200,  /* removed in a turn */
    DUE_MAX = 200,     /* taken up at a look */
    PAUSE_US = 20,     /* after a look, for each erasure looked at: it takes a tenth of that */
    LOOK_US = 100000,  /* so often by time alone while one is on its way, */
    IDLE_US = 10000000 /* and else, for what is to be forgotten */
};

static const uint64_t forget_ms = (uint64_t)24 * 3600 * 1000;

/* An erasure whose removed bytes are made to vanish. */
struct erase_scrub {
    uint64_t number;
    uint64_t look; /* the last that it was needed at */
    struct buffer name;
};

static struct span name_of_scrub(const void *item)
{
    return buffer_span(&((const struct erase_scrub *)item)->name);
}

void erase_init(struct node *n)
{
    n->erase = (struct node_erase){ .look = true };
    list_init(&n->erase.due);
    table_init(&n->erase.scrubs, name_of_scrub, n->options.seed);
}

static void end_run(struct node_erase *e)
{
    buffer_release(&e->run.name);
    buffer_release(&e->run.found);
    e->run = (struct erase_run){ 0 };
    e->running = false;
}

void erase_changed(struct node *n)
{
    n->erase.look = true;
}

static uint8_t self(const struct node *n)
{
    return n->options.self->id;
}

static uint32_t fence_of(const struct node *n, const struct erasure *e)
{
    return server_declared(&n->server, e->keyspace)->fence;
}

static void put_mark(struct node *n, const struct erasure *e, enum erasure_state state,
                     uint64_t keys)
{
    const struct erasure_mark mark = { state, keys, replica_hlc_ms(&n->replica) };
    replica_group_begin(&n->replica);
    erasure_put_mark(&n->server, e, &mark);
    replica_group_end(&n->replica);
    n->erase.look = true;
    const char *event = state == ERASURE_DONE ? "ev=erase.done" : "ev=erase.removed";
    node_notice(n, NOTICE_INFO, "%s id=%s keys=%" PRIu64, event, e->id, keys);
}

/* --- removing --- */

static void begin_run(struct node *n, const struct erasure *e)
{
    struct erase_run *run = &n->erase.run;
    run->erasure = *e;
    buffer_put(&run->name, e->name);
    run->erasure.name = buffer_span(&run->name);
    n->erase.running = true;
}

static void note_key(void *context, const struct scanned *s)
{
    struct node *n = context;
    struct erase_run *run = &n->erase.run;
    struct span name = run->erasure.name;
    if (s->key.len >= name.len && memcmp(s->key.at, name.at, name.len) == 0 &&
        server_keyspace(&n->server, s->key) == run->erasure.keyspace)
        buffer_put_prefixed(&run->found, s->key);
}

/* False when the disk does not say whether it is there. */
static bool remove_key(struct node *n, uint8_t db, struct span key)
{
    struct replica *r = &n->replica;
    struct database *d = &r->databases[db];
    if (database_find(d, key) == NULL)
        return d->colds.keys == 0 || d->unread == E_OK;
    replica_group_begin(r);
    replica_group_fence(r, fence_of(n, &n->erase.run.erasure));
    emit_remove(r, db, key);
    replica_group_end(r);
    n->erase.run.keys++;
    return true;
}

/* True when all of the found were removed. */
static bool remove_found(struct node *n)
{
    struct erase_run *run = &n->erase.run;
    struct span in = buffer_span(&run->found), key;
    for (int i = 0; i < SLICE_KEYS && in.len > 0; i++) {
        struct span rest = in;
        CHECK(span_take_prefixed(&rest, &key));
        if (!remove_key(n, run->db, key))
            break; /* tried again, until the region is told to be damaged */
        in = rest;
    }
    buffer_consume(&run->found, run->found.len - in.len);
    return run->found.len == 0;
}

/* Finds some in the database; sets `scanned` at its end. What the disk does not say is asked again. */
static void scan_slice(struct node *n)
{
    struct erase_run *run = &n->erase.run;
    struct database *d = &n->replica.databases[run->db];
    if (!run->erasure.prefix) {
        buffer_put_prefixed(&run->found, run->erasure.name);
        run->scanned = true;
    }
    for (int i = 0; i < SLICE_STEPS && run->found.len == 0 && !run->scanned; i++) {
        uint64_t next = resident_scan(d, run->cursor, note_key, n);
        if (d->damage != E_OK) {
            buffer_clear(&run->found);
            n->erase.blocked = true;
            n->erase.look_at_us = n->now_us + LOOK_US;
            return;
        }
        run->cursor = next;
        run->scanned = next == 0;
    }
}

static void remove_slice(struct node *n)
{
    struct erase_run *run = &n->erase.run;
    if (!remove_found(n))
        return;
    if (run->scanned) {
        run->scanned = false;
        run->db++;
    }
    if (run->db < USER_DATABASES) {
        scan_slice(n);
        return;
    }
    put_mark(n, &run->erasure, ERASURE_REMOVED, run->keys);
    end_run(&n->erase);
}

/* --- making it vanish --- */

static void put_scrub_name(struct buffer *out, const struct node *n, const struct erasure *e)
{
    buffer_put_u32(out, (uint32_t)(e->keyspace - n->server.keyspaces));
    buffer_put_u8(out, e->prefix);
    buffer_put_prefixed(out, span_str(e->id));
    buffer_put(out, e->name);
}

static struct erase_scrub *scrub_of(struct node *n, const struct erasure *e)
{
    struct buffer name = { 0 };
    put_scrub_name(&name, n, e);
    void **slot = table_find_or_add(&n->erase.scrubs, buffer_span(&name));
    if (*slot != NULL) {
        buffer_release(&name);
    } else {
        struct erase_scrub *s = mem_zalloc(sizeof(*s));
        *s = (struct erase_scrub){ .number = scrub_ask(n), .name = name };
        *slot = s;
    }
    struct erase_scrub *s = *slot;
    s->look = n->erase.looks;
    return s;
}

static void free_scrub(struct erase_scrub *s)
{
    buffer_release(&s->name);
    mem_free(s);
}

static void end_scrub(struct node *n, const struct erasure *e)
{
    struct buffer name = { 0 };
    put_scrub_name(&name, n, e);
    struct erase_scrub *s = table_remove(&n->erase.scrubs, buffer_span(&name));
    if (s != NULL)
        free_scrub(s);
    buffer_release(&name);
}

/* Those of erasures that were asked for anew meanwhile, which `all` are not: nobody needs them. */
static void end_scrubs(struct node *n, bool all)
{
    struct table_iter it;
    table_iter_init(&it, &n->erase.scrubs);
    for (void **slot; (slot = table_iter_next(&it)) != NULL;) {
        struct erase_scrub *s = *slot;
        if (!all && s->look == n->erase.looks)
            continue;
        table_iter_remove(&it);
        free_scrub(s);
    }
}

/* --- what is due --- */

enum due { DUE_NOTHING, DUE_REMOVE, DUE_DONE, DUE_FORGET };

struct erase_due {
    struct list link;
    enum due due;
    struct erasure erasure;
    struct buffer name; /* the erasure's */
};

struct looking {
    struct node *n;
    struct list due;
    size_t due_count;
    uint64_t count;
};

static void free_due(struct erase_due *d)
{
    list_remove(&d->link);
    buffer_release(&d->name);
    mem_free(d);
}

void erase_release(struct node *n)
{
    end_run(&n->erase);
    list_each(&n->erase.due, it) free_due(container_of(it, struct erase_due, link));
    end_scrubs(n, true);
    table_release(&n->erase.scrubs);
}

static enum due judge(struct node *n, const struct erasure *e)
{
    struct erasure_mark own = erasure_mark_of(&n->server, e, self(n));
    uint64_t last_ms;
    if (own.state == ERASURE_WAITS)
        return DUE_REMOVE;
    if (own.state == ERASURE_REMOVED)
        return (erasure_all_are(&n->server, e, ERASURE_REMOVED, &last_ms) ||
                MUTATION(scrubs_too_early)) &&
                       (MUTATION(erases_without_scrub) || scrub_done(n, scrub_of(n, e)->number))
                   ? DUE_DONE
                   : DUE_NOTHING;
    bool old = erasure_all_are(&n->server, e, ERASURE_DONE, &last_ms) &&
               replica_hlc_ms(&n->replica) > last_ms + forget_ms;
    return old ? DUE_FORGET : DUE_NOTHING;
}

static void look_at(void *context, const struct erasure *e)
{
    struct looking *l = context;
    l->count++;
    enum due due = l->due_count < DUE_MAX ? judge(l->n, e) : DUE_NOTHING;
    if (due == DUE_NOTHING)
        return;
    struct erase_due *d = mem_zalloc(sizeof(*d));
    *d = (struct erase_due){ .due = due, .erasure = *e };
    buffer_put(&d->name, e->name);
    d->erasure.name = buffer_span(&d->name);
    list_add_tail(&l->due, &d->link);
    l->due_count++;
}

/* In the turn of the look: none can have been asked for anew since. */
static void settle(struct node *n, const struct erase_due *d)
{
    if (d->due == DUE_DONE) {
        uint64_t keys = erasure_mark_of(&n->server, &d->erasure, self(n)).keys;
        end_scrub(n, &d->erasure);
        put_mark(n, &d->erasure, ERASURE_DONE, keys);
        return;
    }
    replica_group_begin(&n->replica);
    erasure_forget(&n->server, &d->erasure);
    replica_group_end(&n->replica);
}

static void look(struct node *n)
{
    struct node_erase *e = &n->erase;
    struct looking l = { .n = n };
    list_init(&l.due);
    e->looks++;
    erasure_each(&n->server, look_at, &l);
    if (l.due_count < DUE_MAX)
        end_scrubs(n, false);
    e->look = l.due_count > 0; /* there may be more */
    list_each(&l.due, it)
    {
        struct erase_due *d = container_of(it, struct erase_due, link);
        if (d->due == DUE_REMOVE) {
            list_remove(&d->link);
            list_add_tail(&e->due, &d->link);
            continue;
        }
        settle(n, d);
        free_due(d);
    }
    e->look_at_us = n->now_us + (e->scrubs.count == 0 ? IDLE_US : LOOK_US);
    e->pause_end_us = n->now_us + PAUSE_US * l.count;
}

static bool is_look_due(const struct node *n)
{
    const struct node_erase *e = &n->erase;
    return n->now_us >= e->pause_end_us && (e->look || n->now_us >= e->look_at_us);
}

static void go_on(struct node *n)
{
    struct node_erase *e = &n->erase;
    if (!e->running && list_empty(&e->due)) {
        look(n);
        return;
    }
    if (!e->running) {
        struct erase_due *d = container_of(e->due.next, struct erase_due, link);
        begin_run(n, &d->erasure);
        free_due(d);
    }
    for (int i = 0; i < (e->run.erasure.prefix ? 1 : USER_DATABASES) && e->running; i++)
        remove_slice(n);
}

static bool may_write(struct node *n)
{
    return n->server.refusal == NULL && !n->loading && !node_must_wait(n) && !bootstrap_is_on(n) &&
           closed_settled(n);
}

void erase_turn_end(struct node *n)
{
    struct node_erase *e = &n->erase;
    if (!e->running && list_empty(&e->due) && !is_look_due(n))
        return;
    e->blocked = !may_write(n);
    if (e->blocked)
        e->look_at_us = n->now_us + LOOK_US;
    else
        go_on(n);
}

uint64_t erase_deadline_us(const struct node *n)
{
    const struct node_erase *e = &n->erase;
    if ((e->running || !list_empty(&e->due)) && !e->blocked)
        return n->now_us;
    uint64_t due_us = e->look && !e->blocked ? n->now_us : e->look_at_us;
    return due_us > e->pause_end_us ? due_us : e->pause_end_us;
}

void erase_waits(void *node, struct buffer *out)
{
    struct node *n = node;
    char text[SCRUB_TEXT_MAX];
    if (n->erase.blocked)
        buffer_put_text(out, n->server.refusal != NULL ? n->server.refusal : "writes wait here");
    else if (n->erase.running || !list_empty(&n->erase.due))
        buffer_put_text(out, "removing");
    else if (n->erase.scrubs.count > 0)
        buffer_put_text(out, scrub_waits_for(n, text));
}
