/*
 * keys_copy -- RENAME, COPY and MOVE: what is visible of one key, written anew under another name.
 *
 * A copy is of new writes: tallies are folded into the values, siblings and hidden types stay
 * behind.
 */
#include "cmd/contents.h"
#include "cmd/data.h"

struct place {
    uint8_t db;
    struct span key;
};

static void write_copy(struct call *call, const struct entry *from, struct place to)
{
    uint64_t deadline_ms = object_deadline_ms(from);
    struct buffer contents = { 0 };

    contents_put(&contents, from);
    contents_write(call, to.db, to.key, buffer_span(&contents), deadline_ms);
    buffer_release(&contents);
}

/* --- RENAME --- */

static void rename_key(struct call *call, bool only_new)
{
    struct span from = call->argv[1];
    struct place to = { call->db, call->argv[2] };
    struct entry *e;

    if (!call_find(call, from, COMPONENT_NONE, &e))
        return;
    if (e == NULL) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    if (!call_fits_group(call, object_bytes(e)))
        return;
    bool same = span_equal(from, to.key);
    bool refused = only_new && (same || data_live(call, to.db, to.key) != NULL);
    if (!same && !refused) {
        write_copy(call, e, to);
        emit_remove(call->replica, call->db, from);
    }
    if (only_new)
        reply_int(call->reply, !refused);
    else
        reply_ok(call->reply);
}

void cmd_rename(struct call *call)
{
    rename_key(call, false);
}

void cmd_renamenx(struct call *call)
{
    rename_key(call, true);
}

/* --- COPY, MOVE --- */

static bool take_copy_options(struct call *call, uint8_t *db, bool *replace)
{
    for (size_t i = 3; i < call->argc; i++) {
        if (call_is(call, i, "replace")) {
            *replace = true;
        } else if (call_is(call, i, "db") && i + 1 < call->argc) {
            if (!data_database(call, call->argv[++i], db))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void same_object(struct call *call)
{
    reply_error(call->reply, "ERR source and destination objects are the same");
}

void cmd_copy(struct call *call)
{
    struct place to = { call->db, call->argv[2] };
    bool replace = false;
    struct entry *e;

    if (!take_copy_options(call, &to.db, &replace))
        return;
    if (to.db == call->db && span_equal(call->argv[1], to.key)) {
        same_object(call);
        return;
    }
    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e) ||
        (e && !call_fits_group(call, object_bytes(e))))
        return;
    bool copied = e != NULL && (replace || data_live(call, to.db, to.key) == NULL);
    if (copied)
        write_copy(call, e, to);
    reply_int(call->reply, copied);
}

void cmd_move(struct call *call)
{
    struct place to = { call->db, call->argv[1] };
    struct entry *e;

    if (!data_database(call, call->argv[2], &to.db))
        return;
    if (to.db == call->db) {
        same_object(call);
        return;
    }
    if (!call_find(call, call->argv[1], COMPONENT_NONE, &e) ||
        (e && !call_fits_group(call, object_bytes(e))))
        return;
    bool moved = e != NULL && data_live(call, to.db, to.key) == NULL;
    if (moved) {
        write_copy(call, e, to);
        emit_remove(call->replica, call->db, call->argv[1]);
    }
    reply_int(call->reply, moved);
}
