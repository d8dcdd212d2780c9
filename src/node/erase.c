#include "node/erase.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "cmd/system.h"
#include "core/emit.h"
#include "crdt/resident.h"
#include "node/closed.h"
#include "node/node.h"
#include "node/scrub.h"

enum {
    SLICE_STEPS = 64,  /* of a scan */
    SLICE_KEYS = 200,  /* removed in a turn */
    LOOK_US = 100000,  /* so often by time alone while one is on its way, */
    IDLE_US = 10000000 /* and else, for what is to be forgotten */
};

static const uint64_t forget_ms = (uint64_t)24 * 3600 * 1000;

/* An erasure whose removed bytes are made to vanish. */
struct erase_scrub {
    struct list link;
    uint64_t number;
    const struct keyspace_live *keyspace;
    bool prefix;
    struct buffer name;
    char id[ERASE_ID_MAX];
};

void erase_init(struct node *n)
{
    n->erase = (struct node_erase){ .look = true };
    list_init(&n->erase.scrubs);
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
    return n->options.deployment->keyspaces[e->keyspace - n->server.keyspaces].fence;
}

static void put_mark(struct node *n, const struct erasure *e, enum erase_state state, uint64_t keys)
{
    const struct erase_mark mark = { state, keys, replica_hlc_ms(&n->replica) };
    replica_group_begin(&n->replica);
    erase_put_mark(&n->server, e, &mark);
    replica_group_end(&n->replica);
    n->erase.look = true;
    const char *event = state == ERASE_DONE ? "ev=erase.done" : "ev=erase.removed";
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

/* Finds some in the database; sets `scanned` at its end. */
static void scan_slice(struct node *n)
{
    struct erase_run *run = &n->erase.run;
    struct database *d = &n->replica.databases[run->db];
    if (!run->erasure.prefix) {
        buffer_put_prefixed(&run->found, run->erasure.name);
        run->scanned = true;
    }
    for (int i = 0; i < SLICE_STEPS && run->found.len == 0 && !run->scanned; i++) {
        run->cursor = resident_scan(d, run->cursor, note_key, n);
        run->scanned = run->cursor == 0;
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
    put_mark(n, &run->erasure, ERASE_REMOVED, run->keys);
    end_run(&n->erase);
}

/* --- making it vanish --- */

static bool is_of(const struct erase_scrub *s, const struct erasure *e)
{
    return s->keyspace == e->keyspace && s->prefix == e->prefix && strcmp(s->id, e->id) == 0 &&
           span_equal(buffer_span(&s->name), e->name);
}

static struct erase_scrub *scrub_of(struct node *n, const struct erasure *e)
{
    list_each(&n->erase.scrubs, it)
    {
        struct erase_scrub *s = container_of(it, struct erase_scrub, link);
        if (is_of(s, e))
            return s;
    }
    struct erase_scrub *s = mem_zalloc(sizeof(*s));
    s->keyspace = e->keyspace;
    s->prefix = e->prefix;
    buffer_put(&s->name, e->name);
    memcpy(s->id, e->id, sizeof(s->id));
    s->number = scrub_ask(n);
    list_add_tail(&n->erase.scrubs, &s->link);
    return s;
}

static void free_scrub(struct erase_scrub *s)
{
    list_remove(&s->link);
    buffer_release(&s->name);
    mem_free(s);
}

void erase_release(struct node *n)
{
    end_run(&n->erase);
    while (!list_empty(&n->erase.scrubs))
        free_scrub(container_of(n->erase.scrubs.next, struct erase_scrub, link));
}

/* --- what is due --- */

enum due { DUE_NOTHING, DUE_REMOVE, DUE_DONE, DUE_FORGET };

struct looking {
    struct node *n;
    enum due due;
    struct erasure erasure; /* the first that something is due of */
};

static enum due judge(struct node *n, const struct erasure *e)
{
    struct erase_mark own = erase_mark_of(&n->server, e, self(n));
    uint64_t last_ms;
    if (own.state == ERASE_WAITS)
        return DUE_REMOVE;
    if (own.state == ERASE_REMOVED)
        return erase_all_are(&n->server, e, ERASE_REMOVED, &last_ms) &&
                       scrub_done(n, scrub_of(n, e)->number)
                   ? DUE_DONE
                   : DUE_NOTHING;
    bool old = erase_all_are(&n->server, e, ERASE_DONE, &last_ms) &&
               replica_hlc_ms(&n->replica) > last_ms + forget_ms;
    return old ? DUE_FORGET : DUE_NOTHING;
}

static void look_at(void *context, const struct erasure *e)
{
    struct looking *l = context;
    if (l->due != DUE_NOTHING)
        return;
    l->due = judge(l->n, e);
    l->erasure = *e;
}

static void do_next(struct node *n)
{
    struct looking l = { .n = n };
    erase_each(&n->server, look_at, &l);
    n->erase.look = l.due != DUE_NOTHING; /* there may be more */
    n->erase.look_at_us = n->now_us + (list_empty(&n->erase.scrubs) ? IDLE_US : LOOK_US);
    if (l.due == DUE_REMOVE) {
        begin_run(n, &l.erasure);
    } else if (l.due == DUE_DONE) {
        uint64_t keys = erase_mark_of(&n->server, &l.erasure, self(n)).keys;
        free_scrub(scrub_of(n, &l.erasure));
        put_mark(n, &l.erasure, ERASE_DONE, keys);
    } else if (l.due == DUE_FORGET) {
        replica_group_begin(&n->replica);
        erase_forget(&n->server, &l.erasure);
        replica_group_end(&n->replica);
    }
}

static bool may_write(struct node *n)
{
    return n->server.refusal == NULL && !n->loading && !node_must_wait(n) && !bootstrap_is_on(n) &&
           closed_settled(n);
}

void erase_turn_end(struct node *n)
{
    struct node_erase *e = &n->erase;
    if (!e->running && !e->look && n->now_us < e->look_at_us)
        return;
    e->blocked = !may_write(n);
    if (e->blocked)
        e->look_at_us = n->now_us + LOOK_US;
    else if (e->running)
        remove_slice(n);
    else
        do_next(n);
}

uint64_t erase_deadline_us(const struct node *n)
{
    bool at_once = (n->erase.running || n->erase.look) && !n->erase.blocked;
    return at_once ? n->now_us : n->erase.look_at_us;
}

void erase_waits(void *node, struct buffer *out)
{
    struct node *n = node;
    char text[SCRUB_TEXT_MAX];
    if (n->erase.running)
        buffer_put_text(out, "removing");
    else if (!list_empty(&n->erase.scrubs))
        buffer_put_text(out, scrub_waits_for(n, text));
}
