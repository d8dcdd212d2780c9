#include "cmd/stream_group.h"

enum { KIND_GROUP = 'g', KIND_CONSUMER = 'c', KIND_PENDING = 'p', KIND_HELD = 'h' };

/* What one piece of a removal gathers before it emits. */
enum { PIECE_BYTES = 1 << 20 };

/* --- names and values --- */

static void name_group(struct buffer *out, struct span group)
{
    buffer_clear(out);
    buffer_put_u8(out, KIND_GROUP);
    buffer_put(out, group);
}

/* What the names of a group's items begin with. */
static void name_of_group(struct buffer *out, uint8_t kind, struct span group)
{
    buffer_clear(out);
    buffer_put_u8(out, kind);
    buffer_put_prefixed(out, group);
}

static void name_consumer(struct buffer *out, struct span group, struct span consumer)
{
    name_of_group(out, KIND_CONSUMER, group);
    buffer_put(out, consumer);
}

static void name_pending(struct buffer *out, struct span group, struct stream_id id)
{
    name_of_group(out, KIND_PENDING, group);
    stream_put_id(out, id);
}

static void name_of_consumer(struct buffer *out, struct span group, struct span consumer)
{
    name_of_group(out, KIND_HELD, group);
    buffer_put_prefixed(out, consumer);
}

static void name_held(struct buffer *out, struct span group, struct span consumer,
                      struct stream_id id)
{
    name_of_consumer(out, group, consumer);
    stream_put_id(out, id);
}

static bool read_group(struct span value, struct stream_group *g)
{
    uint64_t read;

    if (!stream_take_id(&value, &g->last_id) || !span_take_varint(&value, &read) || value.len != 0)
        return false;
    g->read = unzigzag(read);
    return true;
}

static bool read_seen(struct span value, uint64_t *seen_ms)
{
    return span_take_varint(&value, seen_ms) && value.len == 0;
}

static bool read_pending(struct span value, struct stream_pending *p)
{
    return span_take_prefixed(&value, &p->consumer) && span_take_varint(&value, &p->delivered_ms) &&
           span_take_varint(&value, &p->deliveries) && value.len == 0;
}

/* --- finding one --- */

/* Takes the name. */
static bool find_value(const struct stream_view *v, struct buffer *name, struct span *value)
{
    struct probe probe;

    if (v->items == NULL) {
        buffer_release(name);
        return false;
    }
    probe_by_name(&probe, buffer_span(name));
    const struct entry *e = btree_find(v->items, probe.entry);
    probe_release(&probe);
    buffer_release(name);
    if (e == NULL)
        return false;
    *value = data_value(e, NULL);
    return true;
}

bool group_find(const struct stream_view *v, struct span group, struct stream_group *g)
{
    struct buffer name = { 0 };
    struct span value;

    name_group(&name, group);
    return find_value(v, &name, &value) && read_group(value, g);
}

bool group_find_consumer(const struct stream_view *v, struct span group, struct span consumer,
                         uint64_t *seen_ms)
{
    struct buffer name = { 0 };
    struct span value;

    name_consumer(&name, group, consumer);
    return find_value(v, &name, &value) && read_seen(value, seen_ms);
}

bool group_find_pending(const struct stream_view *v, struct span group, struct stream_id id,
                        struct stream_pending *p)
{
    struct buffer name = { 0 };
    struct span value;

    name_pending(&name, group, id);
    p->id = id;
    return find_value(v, &name, &value) && read_pending(value, p);
}

/* --- ranges --- */

static uint64_t rank_of(const struct btree *items, struct span name)
{
    struct probe probe;
    bool found;

    probe_by_name(&probe, name);
    uint64_t rank = btree_rank(items, probe.entry, &found);
    probe_release(&probe);
    return rank;
}

/* The first name after all that begin so: the kind in front is no 0xff. */
static void past_prefix(struct buffer *prefix)
{
    while (prefix->at[prefix->len - 1] == 0xff)
        prefix->len--;
    prefix->at[prefix->len - 1]++;
}

/* Takes the prefix. */
static uint64_t count_of(const struct stream_view *v, struct buffer *prefix)
{
    uint64_t count = 0;

    if (v->items != NULL) {
        uint64_t first = rank_of(v->items, buffer_span(prefix));
        past_prefix(prefix);
        count = rank_of(v->items, buffer_span(prefix)) - first;
    }
    buffer_release(prefix);
    return count;
}

uint64_t group_count(const struct stream_view *v)
{
    struct buffer prefix = { 0 };

    name_group(&prefix, span_of(NULL, 0));
    return count_of(v, &prefix);
}

uint64_t group_count_consumers(const struct stream_view *v, struct span group)
{
    struct buffer prefix = { 0 };

    name_of_group(&prefix, KIND_CONSUMER, group);
    return count_of(v, &prefix);
}

uint64_t group_count_pending(const struct stream_view *v, struct span group)
{
    struct buffer prefix = { 0 };

    name_of_group(&prefix, KIND_PENDING, group);
    return count_of(v, &prefix);
}

uint64_t group_count_held(const struct stream_view *v, struct span group, struct span consumer)
{
    struct buffer prefix = { 0 };

    name_of_consumer(&prefix, group, consumer);
    return count_of(v, &prefix);
}

/* The prefix stands in it->prefix. */
static void open_range(struct group_items *it, const struct stream_view *v, struct span group,
                       const struct stream_id *from)
{
    it->view = v;
    it->group = group;
    if (v->items == NULL)
        return;
    size_t len = it->prefix.len;
    if (from != NULL)
        stream_put_id(&it->prefix, *from);
    it->next = btree_seek(v->items, rank_of(v->items, buffer_span(&it->prefix)), &it->cursor);
    it->prefix.len = len;
}

void group_items_groups(struct group_items *it, const struct stream_view *v)
{
    *it = (struct group_items){ 0 };
    name_group(&it->prefix, span_of(NULL, 0));
    open_range(it, v, span_of(NULL, 0), NULL);
}

void group_items_consumers(struct group_items *it, const struct stream_view *v, struct span group)
{
    *it = (struct group_items){ 0 };
    name_of_group(&it->prefix, KIND_CONSUMER, group);
    open_range(it, v, group, NULL);
}

void group_items_pending(struct group_items *it, const struct stream_view *v, struct span group,
                         struct stream_id from)
{
    *it = (struct group_items){ 0 };
    name_of_group(&it->prefix, KIND_PENDING, group);
    open_range(it, v, group, &from);
}

void group_items_held(struct group_items *it, const struct stream_view *v, struct span group,
                      struct span consumer, struct stream_id from)
{
    *it = (struct group_items){ .consumer = consumer };
    name_of_consumer(&it->prefix, group, consumer);
    open_range(it, v, group, &from);
}

void group_items_release(struct group_items *it)
{
    buffer_release(&it->prefix);
}

static const struct entry *next_entry(struct group_items *it)
{
    const struct entry *e = it->next;

    if (e == NULL || e->name_len < it->prefix.len ||
        memcmp(e->bytes, it->prefix.at, it->prefix.len) != 0)
        return NULL;
    it->next = btree_next(&it->cursor);
    return e;
}

bool group_next(struct group_items *it, struct span *name, struct stream_group *g)
{
    for (const struct entry *e; (e = next_entry(it)) != NULL;) {
        *name = span_skip(entry_name(e), it->prefix.len);
        if (read_group(data_value(e, NULL), g))
            return true;
    }
    return false;
}

bool group_next_consumer(struct group_items *it, struct span *name, uint64_t *seen_ms)
{
    for (const struct entry *e; (e = next_entry(it)) != NULL;) {
        *name = span_skip(entry_name(e), it->prefix.len);
        if (read_seen(data_value(e, NULL), seen_ms))
            return true;
    }
    return false;
}

/* What is held says only which: who has it, and since when, is said where it is pending. */
static bool read_place(const struct group_items *it, const struct entry *e,
                       struct stream_pending *p)
{
    struct span rest = span_skip(entry_name(e), it->prefix.len);

    if (!stream_take_id(&rest, &p->id) || rest.len != 0)
        return false;
    if (it->prefix.at[0] == KIND_PENDING)
        return read_pending(data_value(e, NULL), p);
    return group_find_pending(it->view, it->group, p->id, p) &&
           span_equal(p->consumer, it->consumer);
}

bool group_next_pending(struct group_items *it, struct stream_pending *p)
{
    for (const struct entry *e; (e = next_entry(it)) != NULL;) {
        if (read_place(it, e, p))
            return true;
    }
    return false;
}

bool group_pending_ends(const struct stream_view *v, struct span group, struct stream_id *first,
                        struct stream_id *last)
{
    struct group_items it;
    struct stream_pending p;

    group_items_pending(&it, v, group, STREAM_ID_MIN);
    bool any = group_next_pending(&it, &p);
    if (any) {
        *first = p.id;
        past_prefix(&it.prefix);
        uint64_t end = rank_of(v->items, buffer_span(&it.prefix));
        name_of_group(&it.prefix, KIND_PENDING, group);
        const struct entry *e = btree_seek(v->items, end - 1, &it.cursor);
        for (; e != NULL && !read_place(&it, e, &p); e = btree_prev(&it.cursor))
            continue;
        *last = p.id;
    }
    group_items_release(&it);
    return any;
}

/* --- writing --- */

bool group_has_room(const struct call *call, const struct group_changes *c, const struct reply *r)
{
    uint64_t unread = call->server->settings.output_buffer_bytes / 2;
    size_t written = replica_group_bytes(call->replica) + c->puts.len + c->takes.len;

    return written < GROUP_MAX_BYTES / 2 && (unread == 0 || r->out->len < unread);
}

void group_changes_release(struct group_changes *c)
{
    buffer_release(&c->puts);
    buffer_release(&c->takes);
    buffer_release(&c->scratch);
}

/* What was made in c->scratch: a name that is put, then its value; or one that is taken. */
static void put_made(struct group_changes *c)
{
    buffer_put_prefixed(&c->puts, buffer_span(&c->scratch));
    buffer_clear(&c->scratch);
}

static void take_made(struct group_changes *c)
{
    buffer_put_prefixed(&c->takes, buffer_span(&c->scratch));
    buffer_clear(&c->scratch);
}

void group_put(struct group_changes *c, struct span group, const struct stream_group *g)
{
    name_group(&c->scratch, group);
    put_made(c);
    stream_put_id(&c->scratch, g->last_id);
    buffer_put_varint(&c->scratch, zigzag(g->read));
    put_made(c);
}

void group_put_consumer(struct group_changes *c, struct span group, struct span consumer,
                        uint64_t seen_ms)
{
    name_consumer(&c->scratch, group, consumer);
    put_made(c);
    buffer_put_varint(&c->scratch, seen_ms);
    put_made(c);
}

void group_put_pending(struct group_changes *c, struct span group, const struct stream_pending *p,
                       const struct span *before)
{
    bool stays = before != NULL && span_equal(*before, p->consumer);

    name_pending(&c->scratch, group, p->id);
    put_made(c);
    buffer_put_prefixed(&c->scratch, p->consumer);
    buffer_put_varint(&c->scratch, p->delivered_ms);
    buffer_put_varint(&c->scratch, p->deliveries);
    put_made(c);
    if (stays)
        return;
    name_held(&c->scratch, group, p->consumer, p->id);
    put_made(c);
    put_made(c);
    if (before != NULL) {
        name_held(&c->scratch, group, *before, p->id);
        take_made(c);
    }
}

void group_take_pending(struct group_changes *c, struct span group, const struct stream_pending *p)
{
    name_pending(&c->scratch, group, p->id);
    take_made(c);
    name_held(&c->scratch, group, p->consumer, p->id);
    take_made(c);
}

static struct span must_prefixed(struct span *in)
{
    struct span s;

    CHECK(span_take_prefixed(in, &s));
    return s;
}

static void emit_items(struct call *call, struct span key, enum op_kind kind, struct span in)
{
    struct emit_fields items;

    emit_fields_begin(&items, call->replica, kind, COMPONENT_GROUPS, call->db, key);
    while (in.len > 0) {
        struct span name = must_prefixed(&in);
        emit_fields_add(&items, name, kind == OP_PUT ? must_prefixed(&in) : span_of(NULL, 0));
    }
    emit_fields_end(&items);
}

void group_emit(struct call *call, struct span key, struct group_changes *c)
{
    emit_items(call, key, OP_TAKE, buffer_span(&c->takes));
    emit_items(call, key, OP_PUT, buffer_span(&c->puts));
    buffer_clear(&c->takes);
    buffer_clear(&c->puts);
}

/* --- removing many, piece by piece: each piece is gone when the next is gathered --- */

static bool gather_names(struct group_items *it, struct group_changes *c)
{
    const struct entry *e;

    while (c->takes.len < PIECE_BYTES && (e = next_entry(it)) != NULL)
        buffer_put_prefixed(&c->takes, entry_name(e));
    group_items_release(it);
    return c->takes.len > 0;
}

static bool gather_held(const struct stream_view *v, struct span group, struct span consumer,
                        struct group_changes *c)
{
    struct group_items it;
    struct stream_pending p;

    group_items_held(&it, v, group, consumer, STREAM_ID_MIN);
    while (c->takes.len < PIECE_BYTES && group_next_pending(&it, &p))
        group_take_pending(c, group, &p);
    group_items_release(&it);
    return c->takes.len > 0;
}

void group_emit_delete_consumer(struct call *call, struct span key, struct span group,
                                struct span consumer)
{
    struct group_changes c = { 0 };
    struct stream_view v;

    while (stream_find(call, key, &v) && gather_held(&v, group, consumer, &c))
        group_emit(call, key, &c);
    struct group_items rest; /* held, but not pending: never written so */
    group_items_held(&rest, &v, group, consumer, STREAM_ID_MIN);
    gather_names(&rest, &c);
    name_consumer(&c.scratch, group, consumer);
    take_made(&c);
    group_emit(call, key, &c);
    group_changes_release(&c);
}

void group_emit_destroy(struct call *call, struct span key, struct span group)
{
    static const uint8_t kinds[] = { KIND_HELD, KIND_PENDING, KIND_CONSUMER };
    struct group_changes c = { 0 };
    struct stream_view v;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        for (bool more = true; more && stream_find(call, key, &v);) {
            struct group_items it = { 0 };

            name_of_group(&it.prefix, kinds[i], group);
            open_range(&it, &v, group, NULL);
            more = gather_names(&it, &c);
            group_emit(call, key, &c);
        }
    }
    name_group(&c.scratch, group);
    take_made(&c);
    group_emit(call, key, &c);
    group_changes_release(&c);
}
