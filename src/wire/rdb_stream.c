/*
 * rdb_stream -- the streams of a dump file.
 *
 *     count | nodes: 16 bytes of id, listpack | length | last id | first id, removed id, added (*)
 *     | count | groups: name | last id | entries read (*)
 *               | count | pending: 16 bytes of id, u64 ms, deliveries
 *               | count | consumers: name | u64 ms seen | u64 ms active (**)
 *                         | count | 16 bytes of id, each pending
 *
 * (*) from type 19 on, (**) from type 21 on. A node's listpack begins with a master entry, whose field
 * names those that are flagged to have the same leave out:
 *
 *     count | deleted | n | n names | 0     then entries:
 *     flags | ms, sequence above the node's id | n, n times name, value; or the values | how many
 */
#include "base/memory.h"
#include "wire/rdb_read.h"

enum { TYPE_COUNTED = 19, TYPE_ACTIVE = 21 };
enum { FLAG_DELETED = 1, FLAG_SAME_FIELDS = 2 };
enum stage { NODES, FACTS, GROUPS, CONSUMERS, HELD };

static bool malformed(struct rdb *r)
{
    return rdb_fail(r, "the entries of a stream before this place are malformed");
}

static void texts_release(struct rdb_texts *t)
{
    mem_free(t->at);
    mem_free(t->digits);
    *t = (struct rdb_texts){ 0 };
}

void rdb_stream_release(struct rdb *r)
{
    texts_release(&r->stream.names);
    texts_release(&r->stream.fields);
    mem_free(r->stream.pending);
    r->stream.pending = NULL;
}

/* --- elements of a node --- */

/* Empties `t` and makes room for that many texts. */
static void texts_begin(struct rdb_texts *t, uint64_t count)
{
    t->count = 0;
    if (count <= t->cap)
        return;
    t->cap = (size_t)count;
    t->at = mem_realloc(t->at, t->cap * sizeof(*t->at));
    t->digits = mem_realloc(t->digits, t->cap * PACKED_DIGITS);
}

static bool take_text(struct rdb *r, struct rdb_texts *t)
{
    char *digits = t->digits + t->count * PACKED_DIGITS;

    return packed_next(&r->packed, digits, &t->at[t->count++]) == PACKED_ITEM || malformed(r);
}

static bool take_number(struct rdb *r, int64_t *out)
{
    struct span text;

    return (packed_next(&r->packed, r->digits[0], &text) == PACKED_ITEM &&
            span_to_int64(text, out)) ||
           malformed(r);
}

/* So many elements of two bytes or more are there still. */
static bool has_room(struct rdb *r, uint64_t count)
{
    return count <= r->packed.rest.len / 2 || malformed(r);
}

/* How many fields follow, for each of which there are `each` elements. */
static bool take_count(struct rdb *r, uint64_t each, uint64_t *out)
{
    int64_t count;

    if (!take_number(r, &count))
        return false;
    if (count < 0 || count > RDB_FIELDS_MAX)
        return malformed(r);
    *out = (uint64_t)count;
    return has_room(r, *out * each);
}

static bool take_master(struct rdb *r)
{
    struct rdb_texts *names = &r->stream.names;
    int64_t entries, deleted, end;
    uint64_t count = 0;

    if (!take_number(r, &entries) || !take_number(r, &deleted) || !take_count(r, 1, &count))
        return false;
    texts_begin(names, count);
    while (names->count < count) {
        if (!take_text(r, names))
            return false;
    }
    return take_number(r, &end);
}

static bool take_own_fields(struct rdb *r)
{
    struct rdb_texts *fields = &r->stream.fields;
    uint64_t count = 0;

    if (!take_count(r, 2, &count))
        return false;
    texts_begin(fields, 2 * count);
    while (fields->count < 2 * count) {
        if (!take_text(r, fields))
            return false;
    }
    return true;
}

static bool take_same_fields(struct rdb *r)
{
    const struct rdb_texts *names = &r->stream.names;
    struct rdb_texts *fields = &r->stream.fields;

    if (!has_room(r, names->count))
        return false;
    texts_begin(fields, 2 * names->count);
    for (size_t i = 0; i < names->count; i++) {
        fields->at[fields->count++] = names->at[i];
        if (!take_text(r, fields))
            return false;
    }
    return true;
}

/* *deleted says that there is nothing to tell. */
static bool take_entry(struct rdb *r, struct rdb_event *e, bool *deleted)
{
    int64_t flags, ms, sequence, elements;

    if (!take_number(r, &flags) || !take_number(r, &ms) || !take_number(r, &sequence))
        return false;
    if (!((flags & FLAG_SAME_FIELDS) != 0 ? take_same_fields(r) : take_own_fields(r)) ||
        !take_number(r, &elements))
        return false;
    *deleted = (flags & FLAG_DELETED) != 0;
    *e = (struct rdb_event){
        .kind = RDB_ENTRY,
        .id = { r->stream.node_id.ms + (uint64_t)ms,
                r->stream.node_id.sequence + (uint64_t)sequence },
        .fields = r->stream.fields.at,
        .field_count = r->stream.fields.count,
    };
    return true;
}

static bool open_node(struct rdb *r)
{
    struct rdb_stream_state *s = &r->stream;
    struct span id, blob;

    if (!rdb_text(r, &r->name, &id))
        return false;
    if (id.len != STREAM_ID_BYTES)
        return rdb_fail(r, "a stream's node has no id");
    s->node_id = stream_id_decode(id);
    if (!rdb_text(r, &r->blob, &blob))
        return false;
    if (!packed_open(&r->packed, PACKED_LISTPACK, blob))
        return malformed(r);
    s->in_node = true;
    return take_master(r);
}

static bool at_node_end(const struct rdb *r)
{
    return r->packed.rest.len == 1;
}

/* --- groups --- */

static bool ascends(const struct rdb_stream_state *s, struct stream_id id)
{
    return s->pending_count == 0 || stream_id_compare(s->pending[s->pending_count - 1].id, id) < 0;
}

static bool take_pending(struct rdb *r)
{
    struct rdb_stream_state *s = &r->stream;
    struct rdb_pending p;

    if (!rdb_stream_id(r, &p.id) || !rdb_u64(r, &p.delivered_ms) || !rdb_length(r, &p.deliveries))
        return false;
    if (!ascends(s, p.id))
        return rdb_fail(r, "the pending entries of a group are out of order");
    if (s->pending_count == s->pending_cap) {
        s->pending_cap = s->pending_cap > 0 ? 2 * s->pending_cap : 64;
        s->pending = mem_realloc(s->pending, s->pending_cap * sizeof(*s->pending));
    }
    s->pending[s->pending_count++] = p;
    return true;
}

static const struct rdb_pending *find_pending(const struct rdb_stream_state *s, struct stream_id id)
{
    size_t low = 0, high = s->pending_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = stream_id_compare(s->pending[middle].id, id);

        if (order == 0)
            return &s->pending[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool read_group(struct rdb *r, struct rdb_event *e)
{
    struct rdb_stream_state *s = &r->stream;
    uint64_t read = UINT64_MAX, pending;

    e->kind = RDB_GROUP;
    if (!rdb_text(r, &r->name, &e->name) || !rdb_length_id(r, &e->id) ||
        (r->type >= TYPE_COUNTED && !rdb_length(r, &read)) || !rdb_length(r, &pending))
        return false;
    e->entries_read = read > INT64_MAX ? -1 : (int64_t)read;
    s->pending_count = 0;
    for (; pending > 0; pending--) {
        if (!take_pending(r))
            return false;
    }
    s->stage = CONSUMERS;
    return rdb_length(r, &s->consumers);
}

static bool read_consumer(struct rdb *r, struct rdb_event *e)
{
    uint64_t seen_ms, active_ms;

    e->kind = RDB_CONSUMER;
    r->stream.stage = HELD;
    return rdb_text(r, &r->name, &e->name) && rdb_u64(r, &seen_ms) &&
           (r->type < TYPE_ACTIVE || rdb_u64(r, &active_ms)) && rdb_length(r, &r->stream.held);
}

static bool read_held(struct rdb *r, struct rdb_event *e)
{
    const struct rdb_pending *p;

    e->kind = RDB_PENDING;
    if (!rdb_stream_id(r, &e->id))
        return false;
    p = find_pending(&r->stream, e->id);
    if (p == NULL)
        return rdb_fail(r, "a consumer has an entry that is not pending in its group");
    e->delivered_ms = p->delivered_ms;
    e->deliveries = p->deliveries;
    return true;
}

/* --- all --- */

bool rdb_stream_begin(struct rdb *r)
{
    r->stream.stage = NODES;
    r->stream.in_node = false;
    return rdb_length(r, &r->stream.nodes);
}

static bool read_facts(struct rdb *r, struct rdb_event *e)
{
    struct rdb_stream *facts = &e->stream;
    struct stream_id first_id;

    e->kind = RDB_STREAM;
    facts->counted = r->type >= TYPE_COUNTED;
    if (!rdb_length(r, &facts->length) || !rdb_length_id(r, &facts->last_id))
        return false;
    if (facts->counted && (!rdb_length_id(r, &first_id) || !rdb_length_id(r, &facts->removed_id) ||
                           !rdb_length(r, &facts->added)))
        return false;
    r->stream.stage = GROUPS;
    return rdb_length(r, &r->stream.groups);
}

/* The next entry; or the stage is over. */
static bool next_entry(struct rdb *r, struct rdb_event *e)
{
    struct rdb_stream_state *s = &r->stream;

    while (s->in_node || s->nodes > 0) {
        bool deleted;

        if (!s->in_node) {
            s->nodes--;
            if (!open_node(r))
                return false;
        } else if (at_node_end(r)) {
            s->in_node = false;
        } else if (!take_entry(r, e, &deleted)) {
            return false;
        } else if (!deleted) {
            return true;
        }
    }
    s->stage = FACTS;
    return true;
}

/* Runs through the stages until there is something to tell. */
bool rdb_stream_next(struct rdb *r, struct rdb_event *e)
{
    struct rdb_stream_state *s = &r->stream;

    if (s->stage == NODES && (!next_entry(r, e) || s->stage == NODES))
        return r->problem == NULL;
    *e = (struct rdb_event){ 0 };
    if (s->stage == FACTS)
        return read_facts(r, e);
    if (s->stage == HELD && s->held > 0) {
        s->held--;
        return read_held(r, e);
    }
    if (s->stage == HELD)
        s->stage = CONSUMERS;
    if (s->stage == CONSUMERS && s->consumers > 0) {
        s->consumers--;
        return read_consumer(r, e);
    }
    s->stage = GROUPS;
    if (s->groups > 0) {
        s->groups--;
        return read_group(r, e);
    }
    e->kind = RDB_KEY_END;
    return true;
}
