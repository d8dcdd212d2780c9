/*
 * stream_write -- XADD, XDEL, XTRIM and XSETID.
 *
 * Trimming is exact. With `~` it goes by hundreds, or removes all, as it does in Redis, whose nodes
 * hold a hundred entries: a stream that is kept about so long is then trimmed once in a hundred
 * XADDs.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/stream_args.h"

enum { ABOUT_STEP = 100, PIECE = 4096 };

static void emit_put(struct call *call, struct span key, struct stream_id id, struct span fields)
{
    uint8_t name[STREAM_ID_BYTES];
    struct emit_fields put;

    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_STREAM, call->db, key);
    emit_fields_add(&put, stream_id_encode(id, name), fields);
    emit_fields_end(&put);
}

static void emit_take(struct call *call, struct span key, const struct stream_id *ids, size_t count)
{
    uint8_t name[STREAM_ID_BYTES];
    struct emit_fields take;

    emit_fields_begin(&take, call->replica, OP_TAKE, COMPONENT_STREAM, call->db, key);
    for (size_t i = 0; i < count; i++)
        emit_fields_add(&take, stream_id_encode(ids[i], name), span_of(NULL, 0));
    emit_fields_end(&take);
}

/* --- trimming --- */

static uint64_t surplus(const struct stream_view *v, const struct stream_trim *t)
{
    uint64_t more = 0;

    if (t->by == TRIM_LENGTH)
        more = v->length > t->length ? v->length - t->length : 0;
    else if (t->by == TRIM_ID)
        more = stream_rank(v, t->id);
    if (!t->about)
        return more;
    if (t->limit > 0 && more > t->limit)
        more = t->limit;
    return more < v->length ? more - more % ABOUT_STEP : more;
}

/* The first entries, at most a piece of them. */
static uint64_t take_first(struct call *call, struct span key, uint64_t count)
{
    struct stream_id ids[PIECE];
    struct stream_view v;
    struct btree_cursor c;
    uint64_t taken = 0;

    if (!stream_find(call, key, &v))
        return 0;
    const struct entry *e = stream_at(&v, 0, &c);
    for (; e != NULL && taken < count && taken < PIECE; e = btree_next(&c))
        ids[taken++] = stream_entry_id(e);
    emit_take(call, key, ids, taken);
    return taken;
}

static uint64_t trim(struct call *call, struct span key, const struct stream_trim *t)
{
    struct stream_view v;

    if (t->by == TRIM_NOT || !stream_find(call, key, &v))
        return 0;
    uint64_t more = surplus(&v, t);
    struct stream_metadata m = stream_metadata_of(&v);
    if (more > 0)
        stream_emit_metadata(call, key, &m);
    for (uint64_t left = more, taken; left > 0; left -= taken) {
        taken = take_first(call, key, left);
        CHECK(taken > 0);
    }
    return more;
}

void cmd_xtrim(struct call *call)
{
    struct stream_trim t;
    struct stream_view v;

    if (!stream_arg_trim(call, &t) || !stream_find(call, call->argv[1], &v))
        return;
    reply_int(call->reply, (int64_t)trim(call, call->argv[1], &t));
}

/* --- XADD --- */

/* The sequence of "ms-*". */
static bool complete_id(const struct stream_view *v, struct stream_id *id)
{
    if (id->ms == v->last_id.ms) {
        *id = v->last_id;
        return id->sequence < UINT64_MAX && ++id->sequence;
    }
    return true;
}

/* False when it replied an error. */
static bool choose_id(struct call *call, const struct stream_view *v, struct stream_add_args *args)
{
    if (stream_id_compare(v->last_id, STREAM_ID_MAX) == 0) {
        reply_error(call->reply, "ERR The stream has exhausted the last possible ID, unable to add "
                                 "more items");
        return false;
    }
    if (args->is_auto)
        return true;
    if (!call_one_writer(call, call->argv[1], "XADD with an explicit id"))
        return false;
    bool completed = !args->is_partial || complete_id(v, &args->id);
    if (completed && stream_id_compare(args->id, v->last_id) > 0)
        return true;
    reply_error(call->reply, "ERR The ID specified in XADD is equal or smaller than the target "
                             "stream top item");
    return false;
}

static void put_fields(struct buffer *out, const struct span *argv, size_t count)
{
    buffer_put_varint(out, count / 2);
    for (size_t i = 0; i < count; i++)
        buffer_put_prefixed(out, argv[i]);
}

void cmd_xadd(struct call *call)
{
    struct span key = call->argv[1];
    struct stream_add_args args;
    struct stream_view v;
    struct buffer fields = { 0 };

    if (!stream_arg_add(call, &args) || !stream_find(call, key, &v))
        return;
    if (!v.there && args.no_stream) {
        reply_null(call->reply);
        return;
    }
    if (!choose_id(call, &v, &args))
        return;
    put_fields(&fields, call->argv + args.fields, call->argc - args.fields);
    if (args.is_auto)
        args.id = emit_stream_add(call->replica, call->db, key, v.last_id, buffer_span(&fields));
    else
        emit_put(call, key, args.id, buffer_span(&fields));
    buffer_release(&fields);
    stream_reply_id(call->reply, args.id);
    trim(call, key, &args.trim);
}

/* --- XDEL --- */

static int by_id(const void *a, const void *b)
{
    const struct stream_id *x = a, *y = b;

    return stream_id_compare(*x, *y);
}

/* Leaves those that are there, each once; returns how many. */
static size_t keep_present(const struct stream_view *v, struct stream_id *ids, size_t count)
{
    size_t kept = 0;

    qsort(ids, count, sizeof(*ids), by_id);
    for (size_t i = 0; i < count; i++) {
        bool again = kept > 0 && stream_id_compare(ids[kept - 1], ids[i]) == 0;
        if (!again && stream_entry(v, ids[i]) != NULL)
            ids[kept++] = ids[i];
    }
    return kept;
}

static size_t delete_ids(struct call *call, const struct stream_view *v, struct stream_id *ids,
                         size_t count)
{
    struct stream_metadata m = stream_metadata_of(v);

    count = keep_present(v, ids, count);
    if (count == 0)
        return 0;
    if (stream_id_compare(ids[count - 1], m.removed_id) > 0)
        m.removed_id = ids[count - 1];
    stream_emit_metadata(call, call->argv[1], &m);
    emit_take(call, call->argv[1], ids, count);
    return count;
}

void cmd_xdel(struct call *call)
{
    struct stream_view v;
    struct stream_id *ids = NULL;

    if (!stream_find(call, call->argv[1], &v))
        return;
    if (!v.there)
        reply_int(call->reply, 0);
    else if (stream_arg_ids(call, 2, call->argc, &ids))
        reply_int(call->reply, (int64_t)delete_ids(call, &v, ids, call->argc - 2));
    mem_free(ids);
}

/* --- XSETID --- */

struct new_state {
    struct stream_id id, removed_id;
    int64_t added; /* -1: as it is */
};

static bool refuse(struct call *call, const char *error)
{
    reply_error(call->reply, error);
    return false;
}

static bool take_state(struct call *call, struct new_state *n)
{
    *n = (struct new_state){ .added = -1 };
    if (!stream_arg_id(call, call->argv[2], 0, &n->id))
        return false;
    for (size_t i = 3; i < call->argc; i += 2) {
        bool more = i + 1 < call->argc;
        if (more && call_is(call, i, "entriesadded")) {
            if (!call_int(call, call->argv[i + 1], &n->added))
                return false;
            if (n->added < 0)
                return refuse(call, "ERR entries_added must be positive");
        } else if (more && call_is(call, i, "maxdeletedid")) {
            if (!stream_arg_id(call, call->argv[i + 1], 0, &n->removed_id))
                return false;
            if (stream_id_compare(n->id, n->removed_id) < 0)
                return refuse(call, "ERR The ID specified in XSETID is smaller than the provided "
                                    "max_deleted_entry_id");
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool state_fits(struct call *call, const struct stream_view *v, const struct new_state *n)
{
    if (!v->there)
        return refuse(call, "ERR no such key");
    if (v->length == 0)
        return true;
    if (stream_id_compare(n->id, v->top_id) < 0)
        return refuse(call, "ERR The ID specified in XSETID is smaller than the target stream top "
                            "item");
    if (n->added != -1 && v->length > (uint64_t)n->added)
        return refuse(call, "ERR The entries_added specified in XSETID is smaller than the target "
                            "stream length");
    return true;
}

void cmd_xsetid(struct call *call)
{
    struct new_state n;
    struct stream_view v;

    if (!take_state(call, &n) || !stream_find(call, call->argv[1], &v) ||
        !state_fits(call, &v, &n) || !call_one_writer(call, call->argv[1], "XSETID"))
        return;
    struct stream_metadata m = stream_metadata_of(&v);
    m.last_id = n.id;
    if (n.added != -1)
        m.added = (uint64_t)n.added;
    if (stream_id_compare(n.removed_id, STREAM_ID_MIN) != 0)
        m.removed_id = n.removed_id;
    stream_emit_metadata(call, call->argv[1], &m);
    reply_ok(call->reply);
}
