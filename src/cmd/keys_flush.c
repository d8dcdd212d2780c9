/*
 * keys_flush -- FLUSHDB, FLUSHALL.
 *
 * Every key is removed by an op, and to remove one that is on disk it must be read: so a flush goes on
 * over as many turns as it needs, a group of removals in each, and replies when it is through. What
 * others write meanwhile may be removed or not. Inside MULTI all of it is one group.
 */
#include "base/error.h"
#include "cmd/data.h"
#include "cmd/fence.h"
#include "crdt/resident.h"

enum {
    TURN_WORK = 1000,      /* keys in memory removed in one turn: about a millisecond */
    COLD_WORK = 8,         /* what one on disk counts for, */
    BYTES_WORK = 2 << 10,  /* and so much of it for another */
    TRIED_BYTES = 1 << 20, /* of keys at once, read before any of them is removed */
};

struct names {
    struct buffer bytes; /* keys with their lengths */
    uint64_t work;
};

static void gather(void *context, const struct scanned *s)
{
    struct names *names = context;

    buffer_put_prefixed(&names->bytes, s->key);
    names->work += s->entry != NULL ? 1 : COLD_WORK;
}

/* Removes every key, the expired and the leftovers too: large ones one by one, so that they are never in
 * memory together. The table shrinks below the cursor; scanning allows for it. */
static void remove_names(struct call *call, uint8_t db, struct names *names)
{
    struct database *d = &call->replica->databases[db];
    struct span rest = buffer_span(&names->bytes), key;
    uint64_t room_bytes = TRIED_BYTES;
    int64_t before = d->moved_bytes;

    while (span_take_prefixed(&rest, &key))
        resident_try(d, key, &room_bytes);
    if (d->damage != E_OK)
        return; /* it cannot be said what a removal here observes */
    rest = buffer_span(&names->bytes);
    while (span_take_prefixed(&rest, &key)) {
        fence_follow(call, key);
        emit_remove(call->replica, db, key);
    }
    names->work += (uint64_t)(d->moved_bytes - before) / BYTES_WORK;
}

/* True when the database is through. */
static bool flush_some(struct call *call, struct flush *f, struct names *names)
{
    struct database *d = &call->replica->databases[f->db];

    buffer_clear(&names->bytes);
    f->cursor = resident_scan(d, f->cursor, gather, names);
    remove_names(call, f->db, names);
    return f->cursor == 0;
}

/* What a removal would write, as far as it is known without reading the object. */
static void estimate_key(void *context, const struct scanned *s)
{
    enum { OP_BYTES = 48 };
    size_t *bytes = context;

    *bytes += s->entry != NULL ? emit_remove_bytes(s->entry) : OP_BYTES + s->key.len;
}

static bool fits_group(struct call *call, uint8_t first, uint8_t last)
{
    size_t bytes = 0;

    for (uint8_t db = first; db <= last; db++) {
        uint64_t cursor = 0;

        do {
            cursor = resident_scan(&call->replica->databases[db], cursor, estimate_key, &bytes);
        } while (cursor != 0);
    }
    return call_fits_group(call, bytes);
}

/* SYNC and ASYNC are taken alike. */
static bool take_options(struct call *call)
{
    if (call->argc == 1)
        return true;
    if (call->argc == 2 && (call_is(call, 1, "sync") || call_is(call, 1, "async")))
        return true;
    call_syntax_error(call);
    return false;
}

static void flush_databases(struct call *call, uint8_t first, uint8_t last)
{
    struct flush *f = &call->session->flush;
    struct names names = { 0 };
    bool through = false;

    if (!take_options(call) || (call->nested && !fits_group(call, first, last)))
        return;
    if (!f->runs)
        *f = (struct flush){ .runs = true, .db = first };
    while (!through && (call->nested || names.work < TURN_WORK)) {
        if (flush_some(call, f, &names))
            through = f->db++ == last;
    }
    buffer_release(&names.bytes);
    call->session->unfinished = !through;
    if (!through)
        return;
    f->runs = false;
    reply_ok(call->reply);
}

void cmd_flushdb(struct call *call)
{
    flush_databases(call, call->db, call->db);
}

void cmd_flushall(struct call *call)
{
    flush_databases(call, 0, USER_DATABASES - 1);
}
