#include "cmd/stream.h"

#include <inttypes.h>
#include <stdio.h>

static const char METADATA[] = "s";

/* --- ids --- */

bool stream_id_next(struct stream_id *id)
{
    if (++id->sequence == 0 && ++id->ms == 0) {
        *id = STREAM_ID_MAX;
        return false;
    }
    return true;
}

bool stream_id_previous(struct stream_id *id)
{
    if (id->sequence-- == 0 && id->ms-- == 0) {
        *id = STREAM_ID_MIN;
        return false;
    }
    return true;
}

bool stream_take_id(struct span *in, struct stream_id *id)
{
    struct span bytes;

    if (!span_take_bytes(in, STREAM_ID_BYTES, &bytes))
        return false;
    *id = stream_id_decode(bytes);
    return true;
}

void stream_put_id(struct buffer *out, struct stream_id id)
{
    uint8_t bytes[STREAM_ID_BYTES];

    buffer_put(out, stream_id_encode(id, bytes));
}

/* --- entries --- */

static uint64_t rank_of(const struct btree *entries, struct stream_id id, bool *found)
{
    uint8_t bytes[STREAM_ID_BYTES];
    struct probe probe;

    probe_by_name(&probe, stream_id_encode(id, bytes));
    uint64_t rank = btree_rank(entries, probe.entry, found);
    probe_release(&probe);
    return rank;
}

uint64_t stream_rank(const struct stream_view *v, struct stream_id id)
{
    bool found;

    if (v->entries == NULL)
        return 0;
    uint64_t rank = rank_of(v->entries, id, &found);
    return rank < v->length ? rank : v->length;
}

const struct entry *stream_entry(const struct stream_view *v, struct stream_id id)
{
    bool found;

    if (v->entries == NULL)
        return NULL;
    uint64_t rank = rank_of(v->entries, id, &found);
    return found && rank < v->length ? btree_at(v->entries, rank) : NULL;
}

const struct entry *stream_at(const struct stream_view *v, uint64_t rank, struct btree_cursor *c)
{
    return rank < v->length ? btree_seek(v->entries, rank, c) : NULL;
}

/* --- what the metadata says --- */

/* What a peer or an older state left there in another form counts as none. */
static bool read_metadata(const struct stream_view *v, struct stream_metadata *m)
{
    struct probe probe;

    *m = (struct stream_metadata){ 0 };
    if (v->items == NULL)
        return false;
    probe_by_name(&probe, span_str(METADATA));
    const struct entry *e = btree_find(v->items, probe.entry);
    probe_release(&probe);
    struct span in = e != NULL ? data_value(e, NULL) : span_of(NULL, 0);
    if (stream_take_id(&in, &m->last_id) && span_take_varint(&in, &m->added) &&
        stream_take_id(&in, &m->removed_id) && in.len == 0)
        return true;
    *m = (struct stream_metadata){ 0 };
    return false;
}

static void see_ends(struct stream_view *v)
{
    v->first_id = v->top_id = STREAM_ID_MIN;
    if (v->length == 0)
        return;
    v->first_id = stream_entry_id(btree_at(v->entries, 0));
    v->top_id = stream_entry_id(btree_at(v->entries, v->length - 1));
}

static void see(struct stream_view *v, const struct entry *e)
{
    struct stream_metadata m;

    *v = (struct stream_view){ .there = e != NULL };
    if (e == NULL)
        return;
    v->entries = object_order(e, COMPONENT_STREAM);
    v->items = object_order(e, COMPONENT_GROUPS);
    v->length = v->entries != NULL ? v->entries->count : 0;
    see_ends(v);
    bool known = read_metadata(v, &m);
    v->removed_id = m.removed_id;
    v->last_id = m.last_id;
    v->added = m.added;
    if (v->length > 0 && stream_id_compare(v->top_id, m.last_id) > 0) {
        struct stream_id above = m.last_id;
        v->last_id = v->top_id;
        if (known)
            stream_id_next(&above);
        v->added += v->length - stream_rank(v, above);
    }
}

bool stream_find(struct call *call, struct span key, struct stream_view *v)
{
    struct entry *e;

    if (!call_find(call, key, COMPONENT_STREAM, &e))
        return false;
    see(v, e);
    return true;
}

void stream_emit_metadata(struct call *call, struct span key, const struct stream_metadata *m)
{
    struct emit_fields put;
    struct buffer value = { 0 };

    if (!call_has_one_writer(call, key))
        return;
    stream_put_id(&value, m->last_id);
    buffer_put_varint(&value, m->added);
    stream_put_id(&value, m->removed_id);
    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_GROUPS, call->db, key);
    emit_fields_add(&put, span_str(METADATA), buffer_span(&value));
    emit_fields_end(&put);
    buffer_release(&value);
}

/* --- streams: closed --- */

bool stream_closed(const struct server *server, struct span key)
{
    return server_keyspace(server, key)->promises.streams == KEYSPACE_STREAMS_CLOSED;
}

struct stream_id stream_bound(const struct replica *r)
{
    struct stream_id bound = STREAM_ID_MAX;

    for (size_t i = 0; i < r->options.writer_count; i++) {
        uint8_t origin = r->options.writers[i];
        struct stream_id heard = stream_id_of_stamp(vector_get(&r->applied, origin));
        if (origin != r->options.region && stream_id_compare(heard, bound) < 0)
            bound = heard;
    }
    return bound;
}

bool stream_find_seen(struct call *call, struct span key, struct stream_view *v)
{
    if (!stream_find(call, key, v))
        return false;
    if (v->length == 0 || !stream_closed(call->server, key))
        return true;
    struct stream_id above = stream_bound(call->replica);
    if (!stream_id_next(&above))
        return true; /* nobody else writes */
    uint64_t late = v->length - stream_rank(v, above);
    if (late == 0)
        return true;
    v->length -= late;
    v->added -= late < v->added ? late : v->added;
    see_ends(v);
    v->last_id = v->top_id;
    return true;
}

/* --- replies --- */

void stream_reply_id(struct reply *r, struct stream_id id)
{
    char text[48];
    int len = snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, id.ms, id.sequence);

    reply_bulk(r, span_of(text, (size_t)len));
}

void stream_reply_entry(struct reply *r, const struct entry *e)
{
    struct span fields = data_value(e, NULL);
    uint64_t count = 2 * stream_fields_count(&fields);

    reply_array(r, 2);
    stream_reply_id(r, stream_entry_id(e));
    reply_array(r, count);
    for (uint64_t i = 0; i < count; i++)
        reply_bulk(r, stream_fields_next(&fields));
}

void stream_reply_range(struct call *call, const struct stream_view *v, struct stream_id from,
                        struct stream_id to, uint64_t count, bool backwards)
{
    bool open = stream_id_next(&to); /* now the first that is too great */
    uint64_t first = stream_rank(v, from), end = open ? stream_rank(v, to) : v->length;
    uint64_t there = first < end ? end - first : 0;
    struct btree_cursor c;

    if (count > there)
        count = there;
    reply_array(call->reply, count);
    const struct entry *e = count > 0 ? stream_at(v, backwards ? end - 1 : first, &c) : NULL;
    for (uint64_t i = 0; i < count && !data_reply_too_long(call); i++) {
        stream_reply_entry(call->reply, e);
        e = backwards ? btree_prev(&c) : btree_next(&c);
    }
}
